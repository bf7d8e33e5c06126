"""Exact answers about the free units of a machine, row by row of evidence: closed form, enumeration, elimination."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models.as_tables import markov_network
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.clamping import condition
from tractable.plan._base import Query
from tractable.plan.machines import split
from tractable.posterior.cases import Answer, Cases, as_features, exact_answer
from tractable.posterior.exact import enumeration

Result = tuple[float, dict[str, np.ndarray]]
"""log Z, and the expected features of the free units."""


def independent(model: Boltzmann, cases: Cases, query: Query) -> Answer:
    """No two free units interact: each is at its mean given what is known; all rows at once."""
    known, x = as_features(model, cases)
    with jax.enable_x64(True):
        log_z, means = _closed_form(model.astype(np.float64), known, x)
    return exact_answer(np.asarray(log_z), {name: np.asarray(m) for name, m in means.items()})


@jax.jit
def _closed_form(
    model: Boltzmann, known: dict[str, jax.Array], x: dict[str, jax.Array]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """log Z and all expected features where the free units of each row are independent given the known ones."""
    log_z, means = model.log_joint(x), {}
    for name, units in model.units.items():
        theta = jnp.broadcast_to(model.local_field(name, x), x[name].shape)
        means[name] = jnp.where(known[name], x[name], units.mean(theta))
        free = ~known[name][:, :: units.n_features // units.n]
        log_z = log_z + jnp.where(free, units.cumulant(theta), 0).sum(-1)
    return log_z, means


def enumerated(model: Boltzmann, cases: Cases, query: Query) -> Answer:
    """Every row by enumeration of the free units that cannot be summed out."""
    return _by_row(model, cases, _enumerate_one, query)


def eliminated(model: Boltzmann, cases: Cases, query: Query) -> Answer:
    """Every row by elimination on the graph of its free units."""
    return _by_row(model, cases, _eliminate_one, query)


def _by_row(model: Boltzmann, cases: Cases, solve: Callable[[Boltzmann, Query], Result], query: Query) -> Answer:
    known, means = as_features(model, cases)
    log_z = np.zeros(cases.n_rows)
    for r in range(cases.n_rows):
        log_z[r], found = solve(condition(model, cases.row(r)), query)
        for name, m in found.items():
            means[name][r, ~known[name][r]] = m
    return exact_answer(log_z, means)


def _enumerate_one(machine: Boltzmann, query: Query) -> Result:
    cheapest = split(machine.graph)
    assert cheapest is not None
    if query == "evidence":
        return enumeration.log_partition(machine, cheapest), {}
    found = enumeration.statistics(machine, cheapest)
    return found.log_z, {name: np.asarray(m) for name, m in found.gradient.fields.items()}


def _eliminate_one(machine: Boltzmann, query: Query) -> Result:
    from tractable.posterior import verbs

    network, constant = markov_network(machine)
    if query == "evidence":
        return float(verbs.log_partition(network).value) + constant, {}
    post = verbs.infer(network)
    means = {name: np.zeros((units.n, units.n_features // units.n)) for name, units in machine.units.items()}
    for name in machine.groups:
        states = machine.units[name].states()
        for i, unit in enumerate(machine.graph.unit_names(name)):
            means[name][i] = post.marginals.array(unit) @ states
    return float(post.log_partition.value) + constant, {name: m.ravel() for name, m in means.items()}


SOLVERS: dict[str, Callable[[Boltzmann, Cases, Query], Answer]] = {
    "independent": independent,
    "enumeration": enumerated,
    "elimination": eliminated,
}


# ---------------------------------------------------------------- samples and modes of one case


def draw(model: Boltzmann, cases: Cases, method: str, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """`n` exact, independent samples of all units in the first case, group → values [n, n_units]."""
    machine = condition(model, cases.row(0))
    if not machine.units:
        return completed(cases, {}, n)
    if method == "elimination":
        return completed(cases, _draw_eliminated(machine, rng, n), n)
    if method == "enumeration":
        cheapest = split(machine.graph)
        assert cheapest is not None
        return completed(cases, enumeration.sample(machine, cheapest, rng, n), n)
    return completed(cases, draw_independent(machine, machine.fields, rng, n), n)


def draw_independent(machine: Boltzmann, theta: Any, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Samples of units with given natural parameters."""
    key, rows = jax.random.key(int(rng.integers(2**31))), jnp.arange(n, dtype=jnp.uint32)
    x = {}
    for i, (name, units) in enumerate(machine.units.items()):
        wide = jnp.broadcast_to(jnp.asarray(theta[name]), (n, units.n_features))
        x[name] = units.sample(jax.random.fold_in(key, i), rows, wide)
    return machine.decode(x)


def _draw_eliminated(machine: Boltzmann, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    from tractable.posterior import verbs

    drawn = verbs.sample(markov_network(machine)[0], n, key=rng)
    return {name: _values(machine, name, drawn) for name in machine.groups}


def _values(machine: Boltzmann, name: str, states: dict[str, Any]) -> np.ndarray:
    """State numbers of the units of a group as their values, units last."""
    units = machine.units[name]
    values = np.asarray(units.take(np.arange(1)).decode(units.states())).ravel()
    return values[np.stack([states[unit] for unit in machine.graph.unit_names(name)], axis=-1)]


def completed(cases: Cases, drawn: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Values of the free units beside those that are known in the first case."""
    out = {}
    for name, values in cases.values.items():
        out[name] = np.repeat(values[:1], n, axis=0)
        if name in drawn:
            out[name][:, np.isnan(values[0])] = drawn[name]
    return out


def most_probable(machine: Boltzmann) -> tuple[float, dict[str, np.ndarray]]:
    """The largest log p̃ and a joint state that attains it, by elimination."""
    from tractable.posterior import verbs

    network, constant = markov_network(machine)
    found = verbs.most_probable(network)
    states = {u: network.states[u].index(s) for u, s in found.assignment.items()}
    values = {name: _values(machine, name, states) for name in machine.groups}
    return float(found.log_probability.value) + constant, values
