"""Laws of learning: gradients are derivatives, chains leave what they sample, learners end near the best there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import machines_zoo
import numpy as np
import optax
import pytest
from machines_oracle import joint
from machines_zoo import random_values
from sweep import some

from tractable.learning import (
    ContrastiveDivergence,
    ExactGradient,
    FastPersistentCD,
    Learner,
    PersistentCD,
    PseudoLikelihood,
    TemperedPCD,
    TrajectoryTempering,
    batches,
    fit,
    log_partition_of,
    loop,
    pretrain,
)
from tractable.learning._base import Seen, Training, begin
from tractable.learning.layers import layerwise
from tractable.learning.machines import phases
from tractable.learning.machines.likelihood import log_unnormalized
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, boltzmann, deep, restricted
from tractable.models.units import Categorical, Gaussian, Spin
from tractable.plan.machines import split
from tractable.posterior.approximate.gibbs import Schedule, schedule
from tractable.posterior.exact import enumeration


def bars_and_stripes(n: int) -> np.ndarray:
    """The 2ⁿ patterns of rows and the 2ⁿ patterns of columns: blank and full come twice."""
    rows = np.array(list(itertools.product([0, 1], repeat=n)))
    grid = np.repeat(rows[:, :, None], n, axis=2)
    return np.concatenate([grid.reshape(-1, n * n), grid.transpose(0, 2, 1).reshape(-1, n * n)])


BARS = bars_and_stripes(3)
BEST = 0.25 * np.log(2 / 16) + 0.75 * np.log(1 / 16)
"""The mean log-likelihood of the 16 rows under their own frequencies: no machine does better."""


def log_likelihood(model: Boltzmann, rows: np.ndarray) -> float:
    """The exact mean log-likelihood."""
    own = split(model.graph)
    assert own is not None
    v = jnp.asarray(model.units[VISIBLE].encode(rows), jnp.float32)
    return float(jax.jit(log_unnormalized)(model, v).mean()) - enumeration.log_partition(model, own)


def quietly(model: Boltzmann, rows: np.ndarray, learner: Learner, epochs: int, **options: Any) -> loop.Run:
    return fit(model, rows, learner, epochs=epochs, progress=False, **{"live": 0} | options)


# ---------------------------------------------------------------- gradients


def gaussian_visible(rng: np.random.Generator) -> Boltzmann:
    units = Gaussian(3, np.array([0.2, -0.3, 0.5]), learned=True)
    return restricted(units, 4, couplings=rng.normal(size=(3, 4)), visible_bias=rng.normal(size=3))


def gaussian_hidden(rng: np.random.Generator) -> Boltzmann:
    return restricted(4, Gaussian(2, np.array([1.0, 0.7]), learned=True), couplings=rng.normal(size=(4, 2)))


NAMES = ("restricted", "restricted_mixed", "restricted_categorical", "deep_mixed")
NAMES += ("dense_categorical", "dense_hidden", "chain")
ROWS = [row for row in machines_zoo.ZOO if row.name in NAMES]
ROWS += [machines_zoo.Row("gaussian_hidden", gaussian_hidden)]
ROWS += [machines_zoo.Row("gaussian_visible", gaussian_visible)]


def state_of(learner: Learner, model: Boltzmann) -> tuple[Schedule, Training]:
    plan = schedule(model.graph)
    means = np.full(model.units[VISIBLE].n_features, 0.5)
    return plan, begin(learner, plan, model.astype(np.float32), jax.random.key(0), Seen(means, 100))


def gradient_of(learner: Learner, model: Boltzmann, rows: np.ndarray) -> Boltzmann:
    plan, training = state_of(learner, model)
    v = jnp.asarray(model.units[VISIBLE].encode(rows), jnp.float32)

    @jax.jit
    def found(training: Training) -> Boltzmann:
        chains = isinstance(learner, ContrastiveDivergence)
        data = phases.positive(training.model, v) if chains else {VISIBLE: v}
        return learner.gradient(plan, training, jax.random.key(1), data)[0]

    return found(training)


def slopes(objective: Callable[[Boltzmann], float], model: Boltzmann, gradient: Boltzmann) -> tuple[float, float]:
    """The derivative along a random direction, by differences of the oracle and by the gradient."""
    rng, step = np.random.default_rng(5), 1e-5
    model = model.astype(np.float32).astype(np.float64)
    learned = eqx.filter(gradient, eqx.is_inexact_array)
    direction = jax.tree.map(lambda g: rng.normal(size=g.shape) * (np.abs(g) > 0), learned)
    ahead, back = (eqx.apply_updates(model, jax.tree.map(lambda d, s=s: s * step * d, direction)) for s in (1, -1))
    along = sum(
        float((np.asarray(g, float) * d).sum())
        for g, d in zip(*map(jax.tree.leaves, (learned, direction)), strict=True)
    )
    return (objective(ahead) - objective(back)) / (2 * step), along


@pytest.mark.parametrize("row", [r for r in ROWS if not r.name.endswith("_categorical")], ids=str)
def test_the_exact_gradient_is_the_derivative_of_the_log_likelihood(row: machines_zoo.Row) -> None:
    model, rng = row.model(), np.random.default_rng(1)
    rows = random_values(model.units[VISIBLE], rng, (5, model.n_visible))

    def mean_log_likelihood(m: Boltzmann) -> float:
        return float(np.mean([joint(m, {VISIBLE: v}).log_z for v in rows])) - joint(m).log_z

    by_differences, along = slopes(mean_log_likelihood, model, gradient_of(ExactGradient(), model, rows))
    assert along == pytest.approx(by_differences, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("row", [r for r in ROWS if "deep" not in r.name and r.name != "dense_hidden"], ids=str)
def test_the_pseudo_likelihood_gradient_is_its_derivative(row: machines_zoo.Row) -> None:
    model, rng = row.model(), np.random.default_rng(2)
    if isinstance(model.units[VISIBLE], Gaussian) and any(isinstance(model.units[g], Gaussian) for g in model.hidden):
        pytest.skip("refused: see test_learning_errors")
    rows = random_values(model.units[VISIBLE], rng, (4, model.n_visible))

    def conditionals(m: Boltzmann) -> float:
        out = 0.0
        for v in rows:
            others = (np.where(np.arange(len(v)) == i, np.nan, v) for i in range(len(v)))
            out += sum(joint(m, {VISIBLE: v}).log_z - joint(m, {VISIBLE: rest}).log_z for rest in others)
        return out / len(rows)

    by_differences, along = slopes(conditionals, model, gradient_of(PseudoLikelihood(), model, rows))
    assert along == pytest.approx(by_differences, rel=1e-4, abs=1e-4)


def test_a_few_units_give_the_pseudo_likelihood_without_bias() -> None:
    model = machines_zoo.ZOO[2].model().astype(np.float32)
    rows = np.random.default_rng(0).integers(0, 2, (8, model.n_visible))
    plan, training = state_of(PseudoLikelihood(n_units=1), model)
    data = {VISIBLE: jnp.asarray(rows, jnp.float32)}
    one_unit = lambda key: PseudoLikelihood(n_units=1).gradient(plan, training, key, data)[0]  # noqa: E731
    some = jax.jit(lambda keys: jax.lax.map(one_unit, keys))(jax.random.split(jax.random.key(3), 400))
    whole = gradient_of(PseudoLikelihood(), model, rows)
    for one, all_ in zip(jax.tree.leaves(some), jax.tree.leaves(whole), strict=True):
        error = np.asarray(one).std(axis=0) / np.sqrt(400)
        assert (np.abs(np.asarray(one).mean(axis=0) - all_) <= 5 * error + 1e-5).all()


def moments_gradient(model: Boltzmann, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient of a restricted machine of 0/1 units, its negative phase by the oracle."""
    w, c, table = model.couplings[VISIBLE, "hidden"], model.fields["hidden"], joint(model)
    h = 1 / (1 + np.exp(-(rows @ np.asarray(w, float) + np.asarray(c, float))))
    product = (table.features[VISIBLE] * table.p[:, None]).T @ table.features["hidden"]
    free = table.means
    out = {VISIBLE: rows.mean(0) - free[VISIBLE], "hidden": h.mean(0) - free["hidden"]}
    return out | {"couplings": rows.T @ h / len(rows) - product}


def by_name(gradient: Boltzmann) -> dict[str, np.ndarray]:
    couplings = np.asarray(gradient.couplings[VISIBLE, "hidden"])
    return {name: np.asarray(b) for name, b in gradient.fields.items()} | {"couplings": couplings}


def test_contrastive_divergence_is_the_less_biased_the_longer_its_chains() -> None:
    rng = np.random.default_rng(4)
    model = restricted(couplings=1.5 * rng.normal(size=(6, 4)), visible_bias=rng.normal(size=6))
    rows = np.repeat(rng.integers(0, 2, (10, 6)), 2000, axis=0)
    exact = moments_gradient(model, rows)["couplings"]
    found = [by_name(gradient_of(ContrastiveDivergence(k=k), model, rows))["couplings"] for k in (1, 2, 10)]
    bias = [np.linalg.norm(one - exact) for one in found]
    assert bias[0] > 2 * bias[1] > 2 * bias[2]
    assert bias[2] < np.sqrt(24 / len(rows))


CHAINS = (PersistentCD, FastPersistentCD, TemperedPCD, TrajectoryTempering)
FEW = {TemperedPCD: {"n_temperatures": 5}, TrajectoryTempering: {"n_checkpoints": 4, "target": 0.7}}


@pytest.mark.parametrize("kind", [PersistentCD, TemperedPCD, TrajectoryTempering])
def test_at_a_fixed_model_the_negative_phase_is_right(kind: type[PersistentCD]) -> None:
    rng = np.random.default_rng(6)
    model = restricted(couplings=rng.normal(size=(5, 3)), visible_bias=rng.normal(size=5)).astype(np.float32)
    rows = rng.integers(0, 2, (4, 5))
    learner = kind(n_chains=400, **({"every": 2, "target": 0.9} if kind is TrajectoryTempering else {}))
    plan, training = state_of(learner, model)
    data = phases.positive(training.model, jnp.asarray(rows, jnp.float32))

    @jax.jit
    def run(own: Any) -> Boltzmann:
        def one(own: Any, t: jax.Array) -> tuple[Any, Boltzmann]:
            now = training._replace(learner=own, step=t)
            gradient, own = learner.gradient(plan, now, jax.random.fold_in(jax.random.key(9), t), data)
            return own, gradient

        return jax.lax.scan(one, own, jnp.arange(250))[1]

    found, exact = by_name(run(training.learner)), moments_gradient(model, rows)
    for name, want in exact.items():
        settled = found[name][50:]
        blocks = settled.reshape(10, 20, *settled.shape[1:]).mean(axis=1)  # means of 20 steps: hardly correlated
        error = blocks.std(axis=0, ddof=1) / np.sqrt(10)
        assert (np.abs(blocks.mean(axis=0) - want) <= 6 * error + 1e-5).all()


# ---------------------------------------------------------------- learning


def test_the_exact_gradient_reaches_the_best_likelihood() -> None:
    run = quietly(
        restricted(9, 8), np.tile(BARS, (10, 1)), ExactGradient(batch_size=160, learning_rate=0.5, momentum=0.95), 800
    )
    assert BEST - 0.02 < log_likelihood(run.model, BARS) <= BEST + 1e-4


@pytest.mark.verify
@pytest.mark.parametrize("kind", some(CHAINS[:3], 2))
def test_learners_with_chains_end_near_the_best_likelihood(kind: type[PersistentCD]) -> None:
    learner = kind(batch_size=32, n_chains=100, learning_rate=0.2, averaging=0.3, **FEW.get(kind, {}))
    run = quietly(restricted(9, 8), np.tile(BARS, (100, 1)), learner, 60)
    assert BEST - 0.15 < log_likelihood(run.model, BARS) <= BEST + 1e-4


def test_persistent_chains_settle_where_the_moments_match() -> None:
    rng = np.random.default_rng(3)
    rows = (rng.random((400, 4)) < [0.2, 0.4, 0.6, 0.7]).astype(np.uint8)
    rows[:, 1] = rows[:, 0] ^ (rng.random(400) < 0.2)
    run = quietly(
        restricted(4, 2), rows, PersistentCD(batch_size=400, n_chains=1000, learning_rate=0.05, averaging=0.5), 1500
    )
    assert max(np.abs(left).max() for left in moments_gradient(run.model, rows).values()) < 0.01


def test_flipping_the_data_flips_the_solution() -> None:
    rows = np.tile(BARS, (2, 1))
    rows = rows[rows.sum(axis=1) < 6]  # mostly zeros, so that a flip would matter
    learner = ExactGradient(batch_size=len(rows), learning_rate=0.2)
    found = [log_likelihood(quietly(restricted(9, 4), x, learner, 300).model, x) for x in (rows, 1 - rows)]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_missing_entries_are_filled_in_from_the_rest() -> None:
    rng = np.random.default_rng(8)
    whole = np.tile(BARS, (60, 1)).astype(np.float32)
    holes = np.where(rng.random(whole.shape) < 0.15, np.nan, whole)
    learner = PersistentCD(batch_size=32, n_chains=100, learning_rate=0.2, averaging=0.3)
    found = [log_likelihood(quietly(restricted(9, 8), x, learner, 60).model, BARS) for x in (whole, holes)]
    assert found[1] > found[0] - 0.5
    assert found[1] > -9 * np.log(2) + 2


def test_units_of_several_kinds_learn_their_distribution() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 3, (400, 3))
    values[:, 1] = np.where(rng.random(400) < 0.8, values[:, 0], values[:, 1])
    counts = np.unique(values, axis=0, return_counts=True)[1]
    best = float((counts / 400) @ np.log(counts / 400))
    learner = PersistentCD(batch_size=100, learning_rate=0.3, averaging=0.3)
    run = quietly(restricted(Categorical(3, 3), Spin(4)), values, learner, 150)
    assert best - 0.1 < log_likelihood(run.model, values) <= best + 1e-4
    assert best > -3 * np.log(3) + 0.2


def test_gaussian_units_learn_means_variances_and_clusters() -> None:
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 600)
    rows = (
        np.where(side[:, None], [2.0, -1.0], [-2.0, 1.0]) + rng.normal(size=(600, 2)) * [0.5, 0.8] + [1.0, 0.0]
    ).astype(np.float32)
    learner = ExactGradient(batch_size=600, optimizer=optax.adam(0.1))
    found = quietly(restricted(Gaussian(2, learned=True), 1), rows, learner, 800).model
    deviation = np.exp(-0.5 * np.asarray(found.units[VISIBLE].log_precision))
    np.testing.assert_allclose(deviation, [0.5, 0.8], rtol=0.1)
    w, b = (np.asarray(p) for p in (found.couplings[VISIBLE, "hidden"][:, 0], found.fields[VISIBLE]))
    centres = np.sort([b * deviation**2, (b + w) * deviation**2], axis=0)
    np.testing.assert_allclose(centres, [[-1, -1], [3, 1]], atol=0.15)


def test_a_precision_that_is_not_learned_has_no_gradient() -> None:
    slope = lambda learned: eqx.filter_grad(lambda g: g.log_base(jnp.ones(2)))(Gaussian(2, learned=learned))  # noqa: E731
    np.testing.assert_array_equal(slope(False).log_precision, [0, 0])
    np.testing.assert_array_equal(slope(True).log_precision, [-0.5, -0.5])


EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 4)]


PERSISTENT = PersistentCD(batch_size=500, n_chains=500, learning_rate=0.2, averaging=0.5)
TEMPERED = TemperedPCD(batch_size=500, n_chains=100, n_temperatures=4, learning_rate=0.2, averaging=0.5)
PSEUDO = PseudoLikelihood(batch_size=500, learning_rate=0.1)
EXACT = ExactGradient(batch_size=500, learning_rate=0.2)


@pytest.mark.verify
@pytest.mark.parametrize(
    ("learner", "sparse"),
    some([(PERSISTENT, True), (PERSISTENT, False), (TEMPERED, True), (PSEUDO, True), (EXACT, True)], 3),
    ids=lambda value: {True: "sparse", False: "dense"}.get(value, type(value).__name__),
)
def test_machines_without_hidden_units_learn_the_couplings(learner: Learner, sparse: bool) -> None:
    true = boltzmann(5, EDGES, units="spin", couplings=[0.6, -0.4, 0.5, 0.3, -0.7], visible_bias=[0.2, 0, 0, -0.3, 0])
    table = joint(true)
    chosen = np.random.default_rng(1).choice(len(table.p), size=2000, p=table.p)
    rows = table.values[VISIBLE][chosen].astype(np.int8)
    new = boltzmann(5, EDGES, units="spin") if sparse else boltzmann(5, units="spin")
    found = quietly(new, rows, learner, 100).model
    reached = log_likelihood(found, rows)
    assert reached > log_likelihood(true, rows) - 0.01
    assert reached < log_likelihood(true, rows) + 0.03


# ---------------------------------------------------------------- deep machines


def test_layers_learned_one_by_one_are_a_start_and_joint_learning_improves_on_it() -> None:
    rows, learner = np.tile(BARS, (60, 1)), PersistentCD(batch_size=32, n_chains=100, learning_rate=0.1)
    start = pretrain([9, 6, 4], rows, learner, epochs=30, progress=False)
    joint_ = quietly(start, rows, learner, 40).model
    alone = log_likelihood(deep([9, 6, 4]), BARS)
    assert log_likelihood(start, BARS) > alone + 1
    assert log_likelihood(joint_, BARS) > max(log_likelihood(start, BARS) + 0.1, BEST - 0.35)


def test_restricted_machines_of_the_layers_make_up_the_machine_they_came_from() -> None:
    whole = deep([5, 4, 3, 2], key=3)
    pairs = layerwise._layers(whole)
    parts = [layerwise._part(whole, pair, i == 0, i == 2) for i, pair in enumerate(pairs)]
    again = layerwise._together(whole, pairs, parts)
    assert again.groups == whole.groups and again.units == whole.units
    for pair, w in whole.couplings.items():
        np.testing.assert_allclose(again.couplings[pair], w, rtol=1e-6)
    below, h = parts[0], np.ones((1, 4), np.float32)
    v = below.units[VISIBLE].encode(np.array([[1, 0, 1, 1, 0]], np.float32))
    heard = below.local_field("hidden", {VISIBLE: v})  # the data come twice
    np.testing.assert_allclose(heard, v @ whole.couplings[VISIBLE, "hidden1"], rtol=1e-5)
    assert v.max() == 2
    np.testing.assert_allclose(parts[2].units["hidden"].mean(np.zeros((1, 2))), 1.0)  # two copies of a half
    np.testing.assert_allclose(below.local_field(VISIBLE, {"hidden": h}), h @ whole.couplings[VISIBLE, "hidden1"].T)


# ---------------------------------------------------------------- trajectories


def test_a_trajectory_knows_its_partition_function() -> None:
    learner = TrajectoryTempering(batch_size=32, n_chains=100, learning_rate=0.2, n_checkpoints=4, target=0.7)
    run = quietly(restricted(9, 8), np.tile(BARS, (100, 1)), learner, 60)
    found, own = log_partition_of(run.training, n_rounds=20), split(run.model.graph)
    assert own is not None and found.std_error is not None
    assert 2 <= int(run.training.learner.count) <= 4
    assert found.kind == "estimate" and (found.lower, found.upper) == (-np.inf, np.inf)
    assert 0 < found.std_error < 0.5
    assert abs(found.value - enumeration.log_partition(run.model, own)) < 4 * found.std_error
    assert BEST - 0.3 < log_likelihood(run.model, BARS) <= BEST + 1e-4


# ---------------------------------------------------------------- runs


def leaves(training: Training) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(training)]


def same(a: Training, b: Training) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


SMALL = np.tile(BARS, (8, 1))


@pytest.mark.verify
@pytest.mark.parametrize("kind", some(CHAINS, 2))
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(kind: type[PersistentCD], tmp_path: Any) -> None:
    learner, path = kind(batch_size=10), str(tmp_path / "fit.safetensors")
    whole = quietly(restricted(9, 4), SMALL, learner, 4, key=5)
    again = quietly(
        restricted(9, 4), SMALL, learner, 4, key=5, checkpoint=path, callback=lambda epoch: epoch.epoch == 2
    )
    assert len(again.history) == 2
    resumed = quietly(restricted(9, 4), SMALL, learner, 4, key=5, checkpoint=path, resume=True)
    assert same(whole.training, resumed.training)
    assert [e.epoch for e in resumed.history] == [1, 2, 3, 4]
    assert [e.gradient_norm for e in resumed.history] == [e.gradient_norm for e in whole.history]


def test_a_fit_killed_within_an_epoch_goes_on_bit_for_bit(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BLOCK_BYTES", 200)
    learner, path = PersistentCD(batch_size=10), str(tmp_path / "fit.safetensors")
    whole = quietly(restricted(9, 4), SMALL, learner, 2)

    def killed(record: Any) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quietly(restricted(9, 4), SMALL, learner, 2, checkpoint=path, checkpoint_seconds=0, callback=killed)
    resumed = quietly(restricted(9, 4), SMALL, learner, 2, checkpoint=path, resume=True)
    assert same(whole.training, resumed.training)
    assert [e.gradient_norm for e in resumed.history] == [e.gradient_norm for e in whole.history]


def test_the_same_key_gives_the_same_run() -> None:
    runs = [quietly(restricted(9, 4), SMALL, PersistentCD(batch_size=10), 2, key=key) for key in (1, 1, 2)]
    assert same(runs[0].training, runs[1].training)
    assert not same(runs[0].training, runs[2].training)


def test_a_shape_is_compiled_once() -> None:
    quietly(restricted(9, 5), SMALL, PersistentCD(batch_size=16), 1)
    before = loop.run_block._cache_size()
    for key in range(3):
        model = restricted(9, 5, key=key)
        quietly(model, 1 - SMALL, PersistentCD(batch_size=16), 2, key=key)
    assert loop.run_block._cache_size() == before


def test_rows_that_do_not_fill_a_batch_wait_for_another_epoch() -> None:
    rows = np.eye(7, dtype=np.uint8)
    seen = quietly(restricted(7, 2), rows, PersistentCD(batch_size=3, learning_rate=0.0), 1)
    assert int(seen.training.step) == 2
