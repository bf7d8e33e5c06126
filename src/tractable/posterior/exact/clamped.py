"""Exact answers about the free units of a machine, row by row of evidence: closed form, enumeration, elimination."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.kernels import Reduced
from tractable.models.as_tables import MachineTables, machine_tables
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.clamping import condition
from tractable.plan import ContractionTree, Plan
from tractable.plan._base import n_ranks
from tractable.plan.machines import Split
from tractable.posterior.best import RankedModes
from tractable.posterior.cases import CaseAnswer, Cases, as_features, exact_answer
from tractable.posterior.exact import enumeration, modes
from tractable.posterior.exact.elimination import copied, fitted, sum_product
from tractable.posterior.exact.walk import most_probable_states, sample_states

ClampedSums = tuple[float, dict[str, np.ndarray]]
"""log Z, and the expected features of the free units."""


def independent(model: Boltzmann, cases: Cases, plan: Plan) -> CaseAnswer:
    """No two free units interact: each is at its mean given what is known; all rows at once."""
    known, x = as_features(model, cases)
    with jax.enable_x64(True):
        log_z, means = _closed_form(model.astype(np.float64), known, x)
    rows = np.broadcast_to(np.asarray(log_z), cases.n_rows)  # one number where no unit is left
    return exact_answer(rows, {name: np.asarray(m) for name, m in means.items()})


@jax.jit
def _closed_form(
    model: Boltzmann, known: dict[str, jax.Array], x: dict[str, jax.Array]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """log Z and all expected features where the free units of each row are independent given the known ones."""
    log_z, means = model.log_joint(x), {}
    for name, units in model.units.items():
        theta = jnp.broadcast_to(model.local_field(name, x), x[name].shape)
        means[name] = jnp.where(known[name], x[name], units.mean(theta))
        free = ~known[name][:, units.first_features]
        log_z = log_z + jnp.where(free, units.cumulant(theta), 0).sum(-1)
    return log_z, means


def enumerated(model: Boltzmann, cases: Cases, plan: Plan) -> CaseAnswer:
    """Every row by enumeration of the free units that cannot be summed out."""
    return _by_row(model, cases, _enumerate_one, plan)


def eliminated(model: Boltzmann, cases: Cases, plan: Plan) -> CaseAnswer:
    """Every row by elimination on the graph of its free units."""
    return _by_row(model, cases, _eliminate_one, plan)


def _by_row(model: Boltzmann, cases: Cases, solve: Callable[[Boltzmann, Plan], ClampedSums], plan: Plan) -> CaseAnswer:
    known, means = as_features(model, cases)
    log_z = np.zeros(cases.n_rows)
    for r in range(cases.n_rows):
        log_z[r], found = solve(left(model, cases, r), plan)
        for name, m in found.items():
            means[name][r, ~known[name][r]] = m
    return exact_answer(log_z, means)


def left(model: Boltzmann, cases: Cases, r: int) -> Boltzmann:
    """What is left free in a case, in double precision."""
    with jax.enable_x64(True):
        return condition(model.astype(np.float64), cases.row(r))


def _enumerate_one(machine: Boltzmann, plan: Plan) -> ClampedSums:
    if plan.query == "evidence":
        return enumeration.log_partition(machine, plan.program), {}
    found = enumeration.statistics(machine, plan.program)
    return found.log_z, {name: np.asarray(m) for name, m in found.gradient.fields.items()}


def as_tables(machine: Boltzmann) -> MachineTables:
    """The tables of a machine, in double precision."""
    with jax.enable_x64(True):
        return machine_tables(machine)


def _tables(machine: Boltzmann, tree: ContractionTree) -> tuple[Reduced, ContractionTree | None, float]:
    """The machine as tables, the tree that runs on them, and a constant."""
    reduced, constant, copies = as_tables(machine)
    return reduced, fitted(copied(tree, copies), reduced), constant


def _eliminate_one(machine: Boltzmann, plan: Plan) -> ClampedSums:
    reduced, tree, constant = _tables(machine, plan.program)
    found = sum_product(reduced, tree, plan.query != "evidence")
    if found.marginals is None:
        return found.log_z + constant, {}
    means, start = {}, 0
    for name in machine.groups:
        units = machine.units[name]
        states = np.asarray(units.states(), np.float64)
        own = found.marginals[start : (start := start + units.n * len(states))].reshape(units.n, -1)
        means[name] = (own @ states).ravel()
    return found.log_z + constant, means


SOLVERS: dict[str, Callable[[Boltzmann, Cases, Plan], CaseAnswer]] = {
    "independent": independent,
    "enumeration": enumerated,
    "elimination": eliminated,
}


# ---------------------------------------------------------------- samples and modes of one case


def draw(model: Boltzmann, cases: Cases, plan: Plan, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exact, independent samples of all units in the first case, group → values [n, n_units]."""
    machine, n = condition(model, cases.row(0)), plan.n
    if not machine.units:
        return completed(cases, {}, n)
    if plan.method == "elimination":
        reduced, tree, _ = _tables(machine, plan.program)
        return completed(cases, values_of(machine, sample_states(reduced, tree, rng, n)), n)
    if plan.method == "enumeration":
        return completed(cases, enumeration.sample(machine, plan.program, rng, n), n)
    return completed(cases, draw_independent(machine, machine.fields, rng, n), n)


def draw_independent(machine: Boltzmann, theta: Any, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Samples of units with given natural parameters."""
    key, rows = jax.random.key(int(rng.integers(2**31))), jnp.arange(n, dtype=jnp.uint32)
    x = {}
    for i, (name, units) in enumerate(machine.units.items()):
        wide = jnp.broadcast_to(jnp.asarray(theta[name]), (n, units.n_features))
        x[name] = units.sample(jax.random.fold_in(key, i), rows, wide)
    return machine.decode(x)


def values_of(machine: Boltzmann, states: np.ndarray) -> dict[str, np.ndarray]:
    """State numbers of all units [n, n_units] as their values, group by group."""
    out, start = {}, 0
    for name in machine.groups:
        units = machine.units[name]
        values = np.asarray(units.take(np.arange(1)).decode(units.states())).ravel()
        out[name] = values[states[:, start : (start := start + units.n)]]
    return out


def completed(cases: Cases, drawn: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Values of the free units beside those that are known in the first case."""
    out = {}
    for name, values in cases.values.items():
        out[name] = np.repeat(values[:1], n, axis=0)
        if name in drawn:
            out[name][:, np.isnan(values[0])] = drawn[name]
    return out


ROWS = 1000
"""Rows that are looked at together."""


def most_probable(model: Boltzmann, cases: Cases, plan: Plan) -> Iterator[RankedModes]:
    """The best joint states of every row; of more than one a row, one more than asked for tells of ties."""
    known, x = as_features(model, cases)
    if plan.method == "independent" and plan.n == 1 and modes.are_discrete(model, known):
        for rows in np.split(np.arange(cases.n_rows), range(ROWS, cases.n_rows, ROWS)):
            part = ({name: own[rows] for name, own in each.items()} for each in (known, x))
            yield from modes.of_independent(model, *part)
        return
    for r in range(cases.n_rows):
        machine = left(model, cases, r)
        found = _eliminated_mode(machine, plan) if plan.method == "elimination" else _best_modes(machine, plan)
        yield RankedModes(found.log_weights, completed(cases.take([r]), found.values, len(found.log_weights)))


def _best_modes(machine: Boltzmann, plan: Plan) -> RankedModes:
    """By enumeration of the free units that are not independent."""
    split = plan.program or Split((), machine.groups)
    return modes.most_probable(machine, split, n_ranks(plan.n, machine.graph.log2_states(machine.groups)))


def _eliminated_mode(machine: Boltzmann, plan: Plan) -> RankedModes:
    reduced, own, constant = _tables(machine, plan.program)
    value, states = most_probable_states(reduced, own)
    return RankedModes(np.array([value + constant]), values_of(machine, states[None]))
