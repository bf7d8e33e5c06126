"""The engine of Boltzmann machines: closed form, enumeration, elimination; mean field and chains where these fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.kernels import Reduced
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import all_known, checked_values, condition
from tractable.models.keys import generator
from tractable.models.normalizable import check_normalizable
from tractable.models.precision import working, working_type
from tractable.models.rows import Rows
from tractable.plan import Ask, Plan, adopted, allowed
from tractable.plan.budget import PATIENCE
from tractable.plan.machines import EXACT, plan_machine
from tractable.plan.most_probable import SearchRun
from tractable.posterior._base import Drawn, MostProbable, Posterior
from tractable.posterior.approximate import branch_and_bound
from tractable.posterior.approximate import clamped as approximate
from tractable.posterior.approximate.mean_field import layer_means
from tractable.posterior.best import RankedModes, modes_first
from tractable.posterior.cases import CaseAnswer, Cases, one, read_cases, shaped, unbatched
from tractable.posterior.certificate import Certificate
from tractable.posterior.engines._protocol import Solved, costliest, gathered, in_order, unsupported
from tractable.posterior.exact import clamped as exact
from tractable.posterior.exact import random_clusters
from tractable.posterior.exact.walk import original
from tractable.posterior.marginals import Means
from tractable.posterior.tempering import draws, spread

OPTIONS = {"impute": ("n_sweeps", "expected"), "most_probable": ("k",)}
APPROXIMATE = {"mean_field": approximate.by_mean_field, "tap": approximate.by_tap, "gibbs": spread.by_gibbs}


@dataclass(frozen=True, eq=False)
class Asked:
    """A machine and cases of what is observed of it."""

    model: Boltzmann
    cases: Cases

    @property
    def many(self) -> bool:
        """Whether there are many cases."""
        return self.cases.many

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """Not tabulated: expected products are learning's statistics."""
        raise unsupported(self.model, "joint")

    def draw(self, plan: Plan, n: int, key: Any) -> Mapping[str, np.ndarray]:
        """`n` samples of all units as the plan goes: exact ones, ends of chains, or draws from a factorized q."""
        assert plan.budget is not None
        one(self.cases)
        if plan.method in ("mean_field", "tap"):
            return _drawn_from_q(self, APPROXIMATE[plan.method](self.model, self.cases, key, plan.program), n, key)
        method = plan.method if plan.method in EXACT else "auto"
        own = globals()["plan"](self, Ask("sample", plan.budget, str(method), n, patience=PATIENCE["sample"]))
        drawn = _drawn(self, allowed(own), key)
        return {name: drawn.of(name) for name in drawn.values}


def read(model: Boltzmann, evidence: Any) -> Asked:
    """Evidence as cases; what they leave free has a distribution."""
    cases = read_cases(model, evidence)
    try:
        check_normalizable(model)
    except ModelError:  # what is observed needs no distribution
        for rows in cases.patterns():
            check_normalizable(model, {name: ~np.isnan(v[rows[0]]) for name, v in cases.values.items()})
    return Asked(model, cases)


def read_rows(model: Boltzmann, data: Any, missing: bool) -> Asked:
    """Rows of the visible units; where nothing may be missing they are rows indeed."""
    if missing and VISIBLE in model.units:
        return read(model, data)
    values = checked_values(model, VISIBLE, data, missing=False)
    if values.ndim != 2:
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    return Asked(model, Cases({VISIBLE: values}, True))


def groups(asked: Asked, ask: Ask) -> Iterator[tuple[np.ndarray, Asked]]:
    """The cases with the same units observed; an approximation takes all together."""
    together = ask.query == "transform" or ask.method in APPROXIMATE
    for rows in [np.arange(asked.cases.n_rows)] if together else asked.cases.patterns():
        yield rows, take(asked, rows)


def take(asked: Asked, rows: np.ndarray) -> Asked:
    """Some of the cases."""
    return Asked(asked.model, asked.cases.take(rows) if asked.many else asked.cases)


def plan(asked: Asked, ask: Ask) -> Plan:
    """The plan for cases with the same units observed."""
    if isinstance(ask.method, Plan):
        return adopted(ask.method, asked.model.graph, ask, asked.cases.observed())
    if ask.query == "sample":
        one(asked.cases)
    return plan_machine(asked.model.graph, asked.cases.observed(), ask, asked.cases.n_rows, asked.many)


def solve(plan: Plan, asked: Asked, key: Any) -> Any:
    """What was planned, run."""
    model, cases = asked.model, asked.cases
    if plan.query == "transform":
        return _transformed(model, cases.values[VISIBLE])
    if plan.query == "map":
        found = _searched(asked, plan, key) if isinstance(plan.program, SearchRun) else None
        return list(found or exact.most_probable(model, cases, plan))
    if plan.query == "sample":
        return _drawn(asked, plan, key)
    if plan.method in APPROXIMATE:
        return APPROXIMATE[plan.method](model, cases, key, plan.program)
    return exact.SOLVERS[str(plan.method)](model, cases, plan)


def _searched(asked: Asked, plan: Plan, key: Any) -> Iterator[RankedModes]:
    """The best joint states of each case that a search of its tables finds, and bounds of the others."""
    for r in range(asked.cases.n_rows):
        machine = exact.left(asked.model, asked.cases, r)
        reduced, constant, _ = exact.as_tables(machine)
        found = searched(reduced, plan, key)
        values = exact.completed(asked.cases.take([r]), exact.values_of(machine, found.states), len(found.values))
        yield RankedModes(found.values + constant, values, found.upper + constant, found.tied)


def searched(reduced: Reduced, plan: Plan, key: Any) -> Any:
    """The best states of all variables of tables, what these have with their constant, bounds and ties."""
    found, constant = branch_and_bound.best(reduced.tables, plan.program, key), reduced.log_constant
    states = original(reduced, found.states)
    return found._replace(values=found.values + constant, states=states, upper=found.upper + constant)


ROWS = 1000
"""Rows whose means are found at once, between two looks at what interrupts."""

_layer_means = jax.jit(lambda model, x: layer_means(model, x, 50))


def _transformed(model: Boltzmann, values: np.ndarray) -> Mapping[str, np.ndarray]:
    with working(model):
        model = model if working_type(model) is np.float32 else model.astype(np.float64)
        x = model.encode({VISIBLE: values})[VISIBLE]
        parts = [jax.block_until_ready(_layer_means(model, x[i : i + ROWS])) for i in range(0, max(len(x), 1), ROWS)]
        return jax.tree.map(lambda *own: np.concatenate(own), *parts)


class DrawnStates(NamedTuple):
    """Samples of all units, group → values [n, n_units], the method that drew them, and the verdict on them."""

    values: Mapping[str, np.ndarray]
    method: str
    verdict: str = "exact"

    def of(self, group: str) -> Drawn:
        """The values of one group with the verdict."""
        return Drawn.of(self.values[group], self.verdict)


def _drawn(asked: Asked, plan: Plan, key: Any) -> DrawnStates:
    """Exact samples; in place of chains also where parameters allow it, which no plan sees; else the ends of chains."""
    if plan.method in EXACT:
        return DrawnStates(exact.draw(asked.model, asked.cases, plan, generator(key)), str(plan.method))
    machine = condition(asked.model, asked.cases.row(0))
    x, method, verdict = _from_the_past(machine, plan, key), "random_clusters", "exact"
    if x is None:
        found = draws.draw(machine, plan.n, key, plan.program)
        x, method, verdict = found.x, str(plan.method), found.verdict
    return DrawnStates(exact.completed(asked.cases, machine.decode(x), plan.n), method, verdict)


def _from_the_past(machine: Boltzmann, plan: Plan, key: Any) -> Any:
    """Exact samples by random clusters, where the machine allows it and they take no more than chains would."""
    form = random_clusters.balanced(machine)
    return None if form is None or plan.n == 0 else random_clusters.draw(form, plan.n, key, plan.flops)


def _drawn_from_q(asked: Asked, answer: CaseAnswer, n: int, key: Any) -> Mapping[str, np.ndarray]:
    model, means = asked.model, {name: c.value for name, c in answer.means.items()}
    theta = {name: model.local_field(name, means) for name in model.groups}
    drawn = exact.draw_independent(model, theta, generator(key), n)
    free = {name: v[:, np.isnan(asked.cases.values[name][0])] for name, v in drawn.items()}
    return exact.completed(asked.cases, free, n)


# ---------------------------------------------------------------- records


def posterior(asked: Asked, solved: Sequence[Solved]) -> Posterior[Means]:
    """The means of all units, those observed included."""
    model, cases, n = asked.model, asked.cases, asked.cases.n_rows
    means = {}
    for name in model.groups:
        found = gathered(n, [(s.rows, s.answer.means[name]) for s in solved])
        means[name] = unbatched(cases, found.map(lambda a, name=name: shaped(model, name, a)))
    return Posterior(log_partition(asked, solved), Means(means), costliest(solved), asked)


def log_partition(asked: Asked, solved: Sequence[Solved]) -> Certificate:
    """log Z of every case."""
    parts = [(s.rows, s.answer.log_partition) for s in solved]
    return unbatched(asked.cases, gathered(asked.cases.n_rows, parts))


def most_probable(asked: Asked, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable joint states of all units, group → values; of many cases values [n_rows, n_units]."""
    return modes_first(costliest(solved), in_order(solved), asked.many)


def sample(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The visible units [n, n_visible]."""
    if VISIBLE not in asked.model.units:
        raise all_known(asked.model, VISIBLE)
    return solved[0].answer.of(VISIBLE)


def transform(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The means of the hidden units given each row [n_rows, n_features], all hidden groups side by side.

    Exact where they are independent given the data, as in a restricted machine; mean field elsewhere.
    """
    means, model = solved[0].answer, asked.model
    none = np.zeros((asked.cases.n_rows, 0))
    return np.concatenate([np.asarray(means[name]) for name in model.hidden] or [none], axis=1)


def reconstruct(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The means of the visible units given the means of the hidden ones [n_rows, n_visible]."""
    means, model = solved[0].answer, asked.model
    theta = jnp.broadcast_to(model.local_field(VISIBLE, means), means[VISIBLE].shape)
    return model.decode({VISIBLE: model.units[VISIBLE].mean(theta)})[VISIBLE]


def in_names(model: Boltzmann, found: Any, data: Any, expected: bool = False) -> Any:
    """Visible values by the names that their units have."""
    if VISIBLE not in model.units:
        return found
    out = model.units[VISIBLE].named(found, data)
    if isinstance(out, Rows):
        out.verdict = getattr(found, "verdict", "exact")
    return out


def impute(asked: Asked, solved: Sequence[Solved], expected: bool = False) -> np.ndarray:
    """The data with its missing entries (NaN) replaced by their posterior means [n_rows, n_visible].

    Exact for rows where an exact method is affordable, else averages over clamped Gibbs chains. Categorical units get
    their likeliest state, or the mean of their states that is `expected`.
    """
    model, values = asked.model, asked.cases.values[VISIBLE]
    means = gathered(len(values), [(s.rows, s.answer.means[VISIBLE]) for s in solved])
    units = model.units[VISIBLE]
    filled = np.asarray(units.expected(means.value) if expected else units.decode(means.value))
    out = np.where(np.isnan(values), filled, values)
    return Drawn.of(out if asked.many else out[0], means.verdict)
