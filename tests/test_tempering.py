"""Laws of annealed runs and of replica exchange, on every kind of path, against enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import layers_oracle
import layers_zoo
import numpy as np
import pytest
from machines_oracle import Z, assert_unchanged, exact_state, joint
from machines_zoo import ZOO
from sweep import some

from tractable.models import ModelError, restricted
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, boltzmann
from tractable.posterior.approximate import gibbs, layers
from tractable.posterior.engines.layers import cases_of
from tractable.posterior.tempering import _base, exchange, rows, temperatures
from tractable.posterior.tempering._base import At, Path, run
from tractable.posterior.tempering.exchange import ParallelTempering, temper
from tractable.posterior.tempering.layers import LayerPath
from tractable.posterior.tempering.machines import base_log_partition, make_path
from tractable.posterior.tempering.traced import Traced

MACHINES = {str(row): row for row in ZOO}
LAYERS = {str(row): row for row in layers_zoo.ZOO}
N = 2000
Start = tuple[Any, Any, float]
"""A path, `N` chains drawn at β = 0, and log Z at β = 1 less that at β = 0."""


# ---------------------------------------------------------------- annealed runs


class Table(Path):
    """Six states in NumPy, moved by Metropolis' rule to one of both neighbours."""

    log_p = np.array([0.0, 1.5, -1.0, 2.0, 0.3, -2.0])

    def start(self, key: int, n: int) -> np.ndarray:
        return np.random.default_rng(key).integers(6, size=n)

    def log_ratio(self, x: np.ndarray, old: float, new: float) -> np.ndarray:
        return (new - old) * self.log_p[x]

    def sweep(self, key: int, at: At, x: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([key, int(at.time)])
        there = (x + rng.choice([-1, 1], size=len(x))) % 6
        return np.where(np.log(rng.random(len(x))) < at.new * (self.log_p[there] - self.log_p[x]), there, x)


def of_a_table() -> Start:
    return Table(), Table().start(0, N), float(np.logaddexp.reduce(Table.log_p) - np.log(6))


def of_a_machine(kind: str) -> Start:
    model = MACHINES[kind].model(1)
    path = make_path(model, {name: 0.5 * np.asarray(b) for name, b in model.fields.items()})
    return path, path.start(jax.random.key(0), N), joint(model).log_z - float(model.offset + base_log_partition(path))


def of_a_row(kind: str) -> Start:
    model = MACHINES[kind].model(0)
    v = np.asarray(model.decode({VISIBLE: exact_state(model, 1)[VISIBLE]})[VISIBLE], float)
    path = rows.rows_path(model, v, N)
    truth = joint(model, {VISIBLE: v[0]}).log_z - float(rows.log_joint_of_data(model, v)[0])
    return path, path.start(jax.random.key(0), N), truth - float(base_log_partition(path)[0])


def of_layers(kind: str) -> Start:
    model = LAYERS[kind].model()
    evidence = layers_zoo.random_evidence(model, np.random.default_rng(8), 1.0)
    chains, x = layers.started(model.astype(np.float32), cases_of(model, evidence), [0], N, 0)
    q = [0.5 * np.ones(h.shape, np.float32) for h in x]
    path = LayerPath(model.astype(np.float32), chains, q)
    return path, path.start(jax.random.key(0), N), layers_oracle.table(model, evidence).log_z


PATHS = {
    "a table": of_a_table,
    "restricted": lambda: of_a_machine("restricted"),  # single units are flipped, by the kernel where it is there
    "restricted_mixed": lambda: of_a_machine("restricted_mixed"),  # flipped and swept
    "deep_gaussian": lambda: of_a_machine("deep_gaussian"),
    "dense_hidden": lambda: of_a_machine("dense_hidden"),  # unit by unit
    "lattice": lambda: of_a_machine("lattice"),  # by colours
    "rows of a deep machine": lambda: of_a_row("deep"),
    "rows with gaussian units": lambda: of_a_row("deep_gaussian"),
    "layers": lambda: of_layers("deep"),
    "layers within": lambda: of_layers("autoregressive"),
    "layers under a machine": lambda: of_layers("deep_belief"),
}


@pytest.mark.verify
@pytest.mark.parametrize("name", some(PATHS, 6))
def test_work_is_unbiased_at_any_number_of_steps(name: str) -> None:
    """With two steps chains are far from equilibrium, and only exact increments average to the ratio of Z."""
    path, x, truth = PATHS[name]()
    key = 5 if name == "a table" else jax.random.key(5)
    spread = []
    for n in (2, 30):
        found = run(path, key, temperatures.linear(n), x)
        weight = np.exp(found.work - truth)
        assert found.increments.shape == (n, N)
        assert abs(weight.mean() - 1) < Z * weight.std() / np.sqrt(N) + 1e-4
        spread.append(weight.std())
    assert 0 < spread[1] < 0.8 * spread[0]


def test_compiled_steps_are_the_steps() -> None:
    """Thirty steps are a call of 25 and one of five, filled up; plainly they are one after the other."""
    path, x, _ = of_a_machine("dense_hidden")
    key, betas = jax.random.key(2), temperatures.linear(30)
    found = run(path, key, betas, x)
    ready = path.prepared()
    end, gained = Path.steps(ready, key, _base.along(betas), ready.entered(x))
    np.testing.assert_allclose(gained, found.increments, atol=1e-5)
    for name, a in found.x.items():
        assert (np.asarray(a) != np.asarray(end.x[name])).mean() < 1e-3  # where rounding decides


def test_the_way_down_bears_the_numbers_of_the_way_up() -> None:
    up, down = _base.along(np.linspace(0, 1, 6)), _base.along(np.linspace(1, 0, 6))
    numbers = dict(zip(up.new.tolist(), up.turn.tolist(), strict=True))
    assert [numbers[beta] for beta in down.new.tolist() if beta] == down.turn[:-1].tolist()


def test_a_run_of_no_steps_leaves_the_chains_where_they_are() -> None:
    found = run(Table(), 0, np.ones(1), np.arange(6))
    assert not found.work.any()
    np.testing.assert_array_equal(found.x, np.arange(6))


@pytest.mark.parametrize("xp", [np, jnp])
def test_steps_of_equal_cost(xp: Any) -> None:
    betas, costs = np.array([0.0, 0.2, 0.5, 1.0], np.float32), np.array([3.0, 1.0, 2.0], np.float32)
    found = np.asarray(temperatures.evenly(xp, xp.asarray(costs), xp.asarray(betas), 12))
    assert (found[0], found[-1]) == (0, 1)
    at = np.interp(found, betas, np.append(0, np.cumsum(costs)))
    np.testing.assert_allclose(np.diff(at), 0.5, atol=1e-5)
    assert 0 < temperatures.curved(10)[1] < 0.05
    np.testing.assert_allclose(temperatures.curved(10) + temperatures.curved(10)[::-1], 1)


def test_a_pilot_puts_steps_where_they_are_needed() -> None:
    """Between coins and two states a hundred nats apart all happens near the coins."""
    path = make_path(restricted(couplings=[[100.0]], visible_bias=[0.0]), {VISIBLE: [0.0], "hidden": [0.0]})
    found = temperatures.pilot(path, jax.random.key(0), 256).temperatures(20)
    assert found[10] < 0.25
    assert (np.diff(found) > 0).all()


def test_a_base_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match=r"fields of shape \(3,\) for hidden, got nothing"):
        make_path(restricted(4, 3), {VISIBLE: np.zeros(4)})
    with pytest.raises(ModelError, match=r"fields of shape \(4,\) for visible, got \(3,\)"):
        temper(restricted(4, 3), base={VISIBLE: np.zeros(3), "hidden": np.zeros(3)})


# ---------------------------------------------------------------- replica exchange


class Few(Traced):
    """Three states, log p̃_β = β² f: not a straight line, so that both temperatures count."""

    log_p: Any

    def start(self, key: Any, n: int) -> Any:
        return jax.random.randint(key, (n,), 0, 3)

    def log_ratio(self, x: Any, old: Any, new: Any) -> Any:
        return (new**2 - old**2) * self.log_p[x]

    def sweep(self, key: Any, at: At, x: Any) -> Any:
        return x


BETAS = np.array([0.0, 0.4, 0.7, 1.0], np.float32)


@pytest.mark.parametrize("turn", [0, 1])
def test_swaps_leave_the_joint_distribution_as_it_is(turn: int) -> None:
    """Of four replicas with three states each: the matrix of all 81 joint states, without a random number."""
    log_p = np.array([0.0, 1.5, -1.0], np.float32)
    joint_states = np.array(list(itertools.product(range(3), repeat=4)))
    log_pi = (BETAS**2 * log_p[joint_states]).sum(1)
    pi = np.exp(log_pi - np.logaddexp.reduce(log_pi))
    place = np.argsort(np.random.default_rng(0).random((4, 81)), axis=0)  # any replica may be anywhere
    x = np.take_along_axis(joint_states.T, place, axis=0).ravel()
    path, zero = Few(jnp.asarray(log_p)), jnp.zeros((), jnp.int32)
    state = exchange.Replicas(
        jnp.asarray(x), jnp.asarray(place), jnp.asarray(BETAS), jnp.zeros(3), zero + turn, place == 0, zero
    )
    accept = np.exp(np.asarray(exchange.log_acceptance(exchange.gains(path, state.x, state)), float))
    number, kernel = {tuple(s): i for i, s in enumerate(joint_states.tolist())}, np.eye(81)
    for pair in range(turn, 3, 2):
        swap = np.zeros((81, 81))
        for i, s in enumerate(joint_states.tolist()):
            s[pair], s[pair + 1] = s[pair + 1], s[pair]
            swap[i, number[tuple(s)]] += accept[pair, i]
            swap[i, i] += 1 - accept[pair, i]
        kernel = kernel @ swap
    np.testing.assert_allclose(pi @ kernel, pi, atol=1e-7)
    assert np.abs(kernel - np.eye(81)).max() > 0.9


def test_swaps_are_made_as_often_as_that_and_in_turn() -> None:
    path, n = Few(jnp.asarray([0.0, 1.5, -1.0])), 20_000
    state = exchange.init(path, jax.random.key(0), jnp.asarray(BETAS), n)
    accept = np.exp(np.asarray(exchange.log_acceptance(exchange.gains(path, state.x, state)), float)).mean(axis=1)
    after = exchange.step(path, jax.random.key(1), state)
    moved = (np.asarray(after.place) != np.asarray(state.place)).mean(axis=1)
    np.testing.assert_allclose(moved, accept[[0, 0, 2, 2]], atol=Z * 0.5 / np.sqrt(n))
    np.testing.assert_allclose(exchange.rejection(after)[::2], 1 - accept[::2], atol=1e-5)
    assert (np.sort(after.place, axis=0) == np.arange(4)[:, None]).all()
    again = exchange.step(path, jax.random.key(2), after)
    assert not (np.asarray(again.place) == 3)[:2].any()  # two rounds take nobody from the bottom to the top


@pytest.mark.parametrize("name", ["deep_gaussian", "dense_categorical", "star"])
def test_every_place_stays_at_its_distribution(name: str) -> None:
    model, k, n = MACHINES[name].model().astype(np.float32), 4, 4000
    base = {g: 0.5 * np.asarray(b) for g, b in model.fields.items()}
    path, beta = make_path(model, base), np.linspace(0, 1, k).astype(np.float32)
    state = exchange.init(path, jax.random.key(0), jnp.asarray(beta), n)
    levels = [exact_state(_between(model, base, float(b)), n) for b in beta]
    state = state._replace(x={g: np.concatenate([level[g] for level in levels]) for g in path.kept})
    state, _ = exchange.run(path, jax.random.key(1), state, 3, 1)
    holder = np.argsort(state.place, axis=0)
    for at, b in enumerate(beta):
        here = holder[at] * n + np.arange(n)
        assert_unchanged(_between(model, base, float(b)), {g: np.asarray(a)[here] for g, a in state.x.items()})
    assert (np.asarray(state.place) != np.arange(k)[:, None]).any()
    at_model = exchange.at_model(state)
    assert all((np.asarray(at_model[g]) == np.asarray(state.x[g])[here]).all() for g in path.kept)


def test_every_place_of_layers_stays_at_its_distribution() -> None:
    """Each place at p_β ∝ q^(1−β) p^β, over all states of the hidden units."""
    model, n = LAYERS["deep"].model(), 4000
    evidence = layers_zoo.random_evidence(model, np.random.default_rng(8), 1.0)
    table = layers_oracle.table(model, evidence)
    chains, _ = layers.started(model.astype(np.float32), cases_of(model, evidence), [0], len(BETAS) * n, 0)
    q = [np.full((len(BETAS) * n, size), 0.5, np.float32) for size in model.sizes]
    log_q = sum((0.5 * h - np.logaddexp(0, 0.5)).sum(1) for h in table.layers[1:])
    log_p = (1 - BETAS[:, None]) * log_q + BETAS[:, None] * np.log(table.p)
    p = np.exp(log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True))
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.choice(len(table.p), size=n, p=level) for level in p])
    path = LayerPath(model.astype(np.float32), chains, q)
    state = exchange.init(path, jax.random.key(0), jnp.asarray(BETAS), n)
    state = state._replace(x=[jnp.asarray(h[drawn], jnp.float32) for h in table.layers])
    for t in range(2):
        state = jax.jit(exchange.step)(path, jax.random.key(t), state)
    holder = np.argsort(state.place, axis=0)
    assert (holder[0] > 0).any()
    for at, level in enumerate(p):
        here = holder[at] * n + np.arange(n)
        for h, states in zip(state.x[1:], table.layers[1:], strict=True):
            found = np.asarray(h)[here]
            assert (np.abs(found.mean(0) - level @ states) <= Z * found.std(0) / np.sqrt(n)).all()


def _between(model: Boltzmann, base: Mapping[str, np.ndarray], beta: float) -> Boltzmann:
    fields = {g: (1 - beta) * base[g] + beta * np.asarray(b) for g, b in model.fields.items()}
    return replace(model, fields=fields, couplings={p: beta * np.asarray(w) for p, w in model.couplings.items()})


def two_modes() -> Boltzmann:
    """Eight spins that all but agree with each other: two modes of different weight, far apart."""
    return boltzmann(couplings=0.9 * (1 - np.eye(8)), visible_bias=np.full(8, 0.05), units="spin")


def test_tempering_crosses_between_modes_where_gibbs_sampling_stays() -> None:
    model, truth = two_modes(), joint(two_modes()).means[VISIBLE]
    down = {VISIBLE: jnp.full((64, 8), -1.0)}
    stuck = gibbs.run(gibbs.schedule(model.graph), model, jax.random.key(0), down, 500)
    assert np.mean(stuck[VISIBLE]) < -0.9 < truth[0] - 1
    found = temper(model, ParallelTempering(n_replicas=8, n_rounds=1500, n_tuning=300), key=1)
    means, rates = found.averages[VISIBLE], found.exchange.rejection
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    assert (np.abs(means.mean(axis=0) - truth) < Z * error).all() and (error < 0.05).all()
    assert np.ptp(rates) < 0.1 and found.exchange.round_trips > 500
    assert found.exchange.round_trips_per_round < 1 / (2 + 2 * found.exchange.barrier)


def test_averages_of_summed_groups_are_of_their_means() -> None:
    model = MACHINES["restricted_mixed"].model(1)
    found, truth = temper(model, ParallelTempering(n_replicas=4, n_rounds=2000), key=2), joint(model).means
    assert {*found.x} < {*found.averages} == {*model.groups}
    for name, means in found.averages.items():
        error = means.std(axis=0, ddof=1) / np.sqrt(len(means)) + 1e-4
        assert (np.abs(means.mean(axis=0) - truth[name]) < Z * error).all()


def test_too_few_replicas_are_refused() -> None:
    with pytest.raises(ModelError, match="two replicas or more"):
        temper(restricted(2, 2), ParallelTempering(n_replicas=1))
