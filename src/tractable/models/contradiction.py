"""Which findings rule each other out, as far as the zeros of the tables alone show it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tractable.kernels import reduce
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.evidence import Evidence, with_likelihoods
from tractable.models.markov_network import MarkovNetwork


def contradiction(model: BayesianNetwork | MarkovNetwork, evidence: Evidence) -> str:
    """A smallest part of impossible evidence that is impossible by itself, in words; empty where zeros do not show it.

    No finding can be left out of it, though another part may be as good.

    Source: Junker 2004 (QuickXplain).

    >>> same = MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 0], [0, 1]]), ("bc", [[1, 0], [0, 1]])])
    >>> contradiction(same, Evidence(np.array([0, -1, 1])))
    "'a' = '0' cannot be with 'c' = '1'"
    """
    findings = [*np.flatnonzero(evidence.states >= 0).tolist(), *evidence.likelihoods]

    def impossible(chosen: list[int]) -> bool:
        states = np.full(len(evidence.states), -1, np.int32)
        hard = [v for v in chosen if v not in evidence.likelihoods]
        states[hard] = evidence.states[hard]
        soft = {v: evidence.likelihoods[v] for v in chosen if v in evidence.likelihoods}
        return reduce(with_likelihoods(model.packed, soft), states).impossible

    if not impossible(findings):
        return ""
    if impossible([]):
        return "the zeros of the network allow nothing at all"
    *others, last = (_named(model, evidence, v) for v in _smallest(impossible, [], findings))
    return f"{', '.join(others)} cannot be with {last}" if others else f"{last} cannot be"


def _named(model: BayesianNetwork | MarkovNetwork, evidence: Evidence, v: int) -> str:
    name = model.variables[v]
    return f"the likelihood of {name!r}" if v in evidence.likelihoods else _state(model, name, evidence.states[v])


def _state(model: BayesianNetwork | MarkovNetwork, name: str, state: int) -> str:
    return f"{name!r} = {model.states[name][state]!r}"


def _smallest(impossible: Callable[[list[int]], bool], given: list[int], findings: list[int]) -> list[int]:
    """A smallest part of the findings that is impossible with what is given, where all of them are."""
    if len(findings) < 2:
        return findings
    half = len(findings) // 2
    first, second = findings[:half], findings[half:]
    needed = [] if impossible(given + first) else _smallest(impossible, given + first, second)
    return [*([] if impossible(given + needed) else _smallest(impossible, given + needed, first)), *needed]
