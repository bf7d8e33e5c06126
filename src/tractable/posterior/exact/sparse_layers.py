"""Networks of layers with few links, by elimination: their units as variables of a Bayesian network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tractable.kernels import Reduced
from tractable.models import BayesianNetwork
from tractable.models._base import ModelError
from tractable.models.as_tables import SPAN, bayesian_network, is_steep
from tractable.models.evidence import Evidence
from tractable.models.pruning import left
from tractable.plan import Ask, ContractionTree, Plan
from tractable.plan.tables import named, plan_rows
from tractable.posterior.best import RankedModes
from tractable.posterior.cases import Cases
from tractable.posterior.exact.batch import solve_rows
from tractable.posterior.exact.elimination import fitted, sum_product
from tractable.posterior.exact.walk import most_probable_states, sample_states

MANY = 4
"""So many rows with the same units observed are carried through one contraction together."""


def plan_together(model: Any, part: Cases, alone: Plan, ask: Ask) -> Plan:
    """The plan of many rows together, where there is one; else that of each of them alone."""
    network, states = bayesian_network(model), _states(part)
    found = plan_rows(network, _base(network, states, ask.query), states, ask._replace(budget=ask.exactly))
    if found.method is None or not isinstance(found.program, ContractionTree):
        return alone
    return replace(found, structure=alone.structure, observed=alone.observed, given=alone.given)


def _base(network: BayesianNetwork, states: np.ndarray, query: str) -> Reduced:
    """What is left of the network where only the names of what is observed are known."""
    names = list(network.states)
    return named(network, [names[v] for v in np.flatnonzero(states[0] >= 0)], query)


def solve(model: Any, part: Cases, plan: Plan) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """log p(x) of every row, and the means of every layer: together, or one by one, those that are alike once."""
    network, wide = bayesian_network(model), plan.query != "evidence"
    states = _states(part)
    if plan.program.rows:
        rows = solve_rows(network, _base(network, states, plan.query), states, plan)
        return rows.log_z, {} if rows.marginals is None else by_layer(model, rows.marginals[:, 1::2])
    distinct, where = np.unique(states, axis=0, return_inverse=True)
    found = [_solved(network, row, plan.program, wide) for row in distinct]
    log_z = np.array([log_z for log_z, _ in found])[where.ravel()]
    if not wide:
        return log_z, {}
    means = np.array([m for _, m in found])[where.ravel()]
    return log_z, by_layer(model, means)


def _solved(
    network: BayesianNetwork, states: np.ndarray, tree: ContractionTree, wide: bool
) -> tuple[float, np.ndarray | None]:
    rest = left(network, Evidence(states), "marginals" if wide else "evidence")
    found = sum_product(rest, fitted(tree, rest), wide)
    if not wide:
        return found.log_z, None
    ones = np.full(len(states), np.nan) if found.marginals is None else found.marginals[1::2]
    return found.log_z, ones


def _states(part: Cases) -> np.ndarray:
    """The units of all layers side by side as states [n_rows, n_units], −1 where nothing is observed."""
    values = np.concatenate(list(part.values.values()), axis=1)
    return np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int32)


def by_layer(model: Any, units: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers for all units [n, n_units] layer by layer."""
    cuts = np.cumsum(model.sizes)[:-1]
    return dict(zip(model.groups, np.split(units, cuts, axis=1), strict=True))


def _case(values: Mapping[str, np.ndarray]) -> Evidence:
    return Evidence(_states(Cases({name: v[None] for name, v in values.items()}, False))[0])


def draw(model: Any, values: Mapping[str, np.ndarray], plan: Plan, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exact, independent samples of all units."""
    rest = tables_of(model, values)
    return by_layer(model, sample_states(rest, fitted(plan.program, rest), rng, plan.n).astype(float))


def most_probable(model: Any, values: Mapping[str, np.ndarray], tree: ContractionTree) -> RankedModes:
    """The largest log p of a joint state, and that state.

    Raises
    ------
    ModelError : a more probable state might have a factor that no table holds.
    """
    rest = tables_of(model, values)
    value, states = most_probable_states(rest, fitted(tree, rest))
    if value < -SPAN:
        check_tables(model)
    return RankedModes(np.array([value]), by_layer(model, states[None].astype(float)))


def tables_of(model: Any, values: Mapping[str, np.ndarray]) -> Reduced:
    """What is left of all units as tables."""
    return left(bayesian_network(model), _case(values), "map")


def check_tables(model: Any) -> None:
    """Raise where tables may say zero of what is possible: the best of what they hold need not be the best."""
    if is_steep(model):
        raise ModelError("tables cannot hold the probabilities of units this sure: use method='enumeration'")
