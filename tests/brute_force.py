"""The oracle: sums and maxima over all joint states of a tiny table model, written as plainly as can be.

It reads nothing of a model but its states, parents and tables (or factors) and shares no code with the library.
Evidence is a mapping from variable to a state name, a state index, or weights for each of its states.

>>> from tractable.models import BayesianNetwork
>>> rain = {"rain": ["no", "yes"], "wet": ["no", "yes"]}
>>> net = BayesianNetwork(rain, {"wet": ["rain"]}, {"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]})
>>> round(math.exp(log_partition(net, {"wet": "yes"})), 12)  # 0.8 · 0.1 + 0.2 · 0.8
0.24
>>> marginals(net, {"wet": "yes"})["rain"].round(12).tolist()  # 0.08 / 0.24 and 0.16 / 0.24
[0.333333333333, 0.666666666667]
>>> most_probable(net)[0]
{'rain': 'no', 'wet': 'no'}
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tractable.models import BayesianNetwork, MarkovNetwork

Model = BayesianNetwork | MarkovNetwork
Evidence = Mapping[str, Any]


def log_weights(model: Model, evidence: Evidence | None = None) -> Iterator[tuple[dict[str, int], float]]:
    """Each joint state, as state indices, with the log of the product of all tables and likelihoods at it."""
    factors = [(scope, _logs(table)) for scope, table in _factors(model)]
    factors += [((name,), _logs(_likelihood(model, name, given))) for name, given in (evidence or {}).items()]
    for indices in itertools.product(*(range(len(names)) for names in model.states.values())):
        at = dict(zip(model.states, indices, strict=True))
        yield at, sum(logs[_place(model, scope, at)] for scope, logs in factors)


def log_weight(model: Model, assignment: Mapping[str, str]) -> float:
    """The log of the product of all tables at one joint state, given by state names."""
    at = {name: list(model.states[name]).index(state) for name, state in assignment.items()}
    return sum(_logs(table)[_place(model, scope, at)] for scope, table in _factors(model))


def log_partition(model: Model, evidence: Evidence | None = None) -> float:
    """log of the sum of all weights: log P(evidence) for a Bayesian network; −∞ where nothing is possible."""
    logs = [log for _, log in log_weights(model, evidence)]
    top = max(logs)
    return top if top == -math.inf else top + math.log(math.fsum(math.exp(log - top) for log in logs))


def joint_marginal(model: Model, names: Sequence[str], evidence: Evidence | None = None) -> np.ndarray:
    """p(names | evidence), one axis for each name; the evidence has to be possible."""
    total = log_partition(model, evidence)
    sums = np.zeros([len(model.states[name]) for name in names])
    for at, log in log_weights(model, evidence):
        sums[tuple(at[name] for name in names)] += math.exp(log - total)
    return sums


def marginals(model: Model, evidence: Evidence | None = None) -> dict[str, np.ndarray]:
    """p(x | evidence) for each variable x, observed ones included; the evidence has to be possible."""
    total = log_partition(model, evidence)
    sums = {name: np.zeros(len(states)) for name, states in model.states.items()}
    for at, log in log_weights(model, evidence):
        for name, state in at.items():
            sums[name][state] += math.exp(log - total)
    return sums


def most_probable(model: Model, evidence: Evidence | None = None) -> tuple[dict[str, str], float]:
    """A joint state of the largest weight, the first of several, by state names, and the log of that weight."""
    at, log = max(log_weights(model, evidence), key=lambda pair: pair[1])
    return {name: model.states[name][state] for name, state in at.items()}, log


def _factors(model: Model) -> list[tuple[tuple[str, ...], np.ndarray]]:
    if isinstance(model, MarkovNetwork):
        return [(tuple(scope), table) for scope, table in model.factors]
    return [((*model.parents[name], name), table) for name, table in model.tables.items()]


def _logs(table: np.ndarray) -> list[float]:
    return [math.log(entry) if entry > 0 else -math.inf for entry in np.ravel(table).tolist()]


def _likelihood(model: Model, name: str, given: Any) -> np.ndarray:
    states, given = model.states[name], getattr(given, "weights", given)
    if isinstance(given, str):
        given = list(states).index(given)
    return np.eye(len(states))[given] if isinstance(given, int | np.integer) else np.asarray(given, float)


def _place(model: Model, scope: tuple[str, ...], at: Mapping[str, int]) -> int:
    """Where a flat table in C order over `scope` has its entry for a joint state."""
    place = 0
    for name in scope:
        place = place * len(model.states[name]) + at[name]
    return place
