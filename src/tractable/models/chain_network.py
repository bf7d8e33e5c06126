"""A hidden Markov model with its rows observed: a network of tables over the states, for all that works on those."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.hidden_markov import STATE, HiddenMarkovModel
from tractable.models.markov_network import MarkovNetwork

FAR = -650.0


def condition(model: HiddenMarkovModel, evidence: Any) -> MarkovNetwork:
    """p̃(z) = p(z, x) for one sequence x: a chain of variables ``state0``, ``state1``, …, whose Z is p(x).

    Raises
    ------
    ModelError : many sequences; a row so improbable that its table would underflow (`infer` answers it).

    Examples
    --------
    >>> import tractable as tr
    >>> coin = tr.BernoulliEmissions([[0.9], [0.2]])
    >>> hmm = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], coin)
    >>> tr.infer(condition(hmm, [1, 1, 0])).marginals.array("state0").round(6).tolist()
    [0.823688, 0.176312]
    """
    sequences = model.check(evidence, partial=True)
    if len(sequences) != 1:
        raise ModelError(f"conditioning takes one sequence, got {len(sequences)}")
    rows = model.log_likelihoods(sequences.rows)
    low = np.flatnonzero((rows.max(1) < FAR) & (rows.max(1) > -np.inf))
    if len(low):
        raise ModelError(f"row {low[0]} is too improbable for a table: log p is {rows[low[0]].max():.6g}; use infer")
    tables, names = np.exp(rows), [f"{STATE}{t}" for t in range(len(rows))]
    links = [(pair, model.transition * table) for pair, table in zip(pairwise(names), tables[1:], strict=True)]
    states = [str(k) for k in range(model.n_states)]
    return MarkovNetwork(dict.fromkeys(names, states), [((names[0],), model.first * tables[0]), *links])
