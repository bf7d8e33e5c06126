"""Laws of inference in Boltzmann machines, over every kind of unit and every constructor."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import machines_oracle
import numpy as np
import pytest
from machines_oracle import Joint, Z, assert_unchanged, exact_state, joint
from machines_zoo import ZOO, Row, random_evidence, random_values

import tractable as tr
from tractable.models import ModelError, condition
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, boltzmann, restricted
from tractable.models.units import Categorical, Spin
from tractable.posterior import verbs as machines
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.mean_field import layer_means, mean_field, starts

each = pytest.mark.parametrize("row", ZOO, ids=str)
SWEPT_NAMES = ("restricted_mixed", "deep_gaussian", "dense_categorical", "dense_hidden", "star")
SWEPT = [row for row in ZOO if str(row) in SWEPT_NAMES]
"""One row for each way of sweeping: matrix products, units one by one, colours, several groups, every kind of unit."""

swept = pytest.mark.parametrize("row", SWEPT, ids=str)
Evidence = dict[str, np.ndarray]


def flat(marginals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Marginals with the features of each group side by side, as the oracle has them."""
    return {name: np.asarray(m).reshape(-1) for name, m in marginals.items()}


def assert_close(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float = 1e-9) -> None:
    for name, means in expected.items():
        np.testing.assert_allclose(found[name], means, rtol=tolerance, atol=tolerance, err_msg=name)


def some_evidence(model: Boltzmann, seed: int = 1) -> Evidence:
    """Values for some of the units of every group."""
    return random_evidence(model, np.random.default_rng(seed), 0.4)


def model_of(name: str) -> Boltzmann:
    return next(row for row in ZOO if str(row) == name).model()


def test_the_oracle_reproduces_published_numbers() -> None:
    assert doctest.testmod(machines_oracle).failed == 0


# ---------------------------------------------------------------- exact


@each
def test_what_infer_answers_is_what_enumeration_gives(row: Row) -> None:
    model = row.model()
    rows = np.stack([random_evidence(model, np.random.default_rng(2), s)[VISIBLE] for s in (1.0, 0.5, 0.0)])
    many, free = tr.infer(model, rows), machines.log_partition(model)
    assert many.log_partition.kind == free.kind == many.certificates(VISIBLE).kind == "exact"
    assert free.value == pytest.approx(joint(model).log_z, rel=1e-9, abs=1e-9)
    for r, visible in enumerate(rows):
        truth = joint(model, {VISIBLE: visible})
        assert many.log_partition.value[r] == pytest.approx(truth.log_z, rel=1e-9, abs=1e-9)
        assert_close(flat({name: m[r] for name, m in many.marginals.items()}), truth.means)


@each
def test_the_exact_methods_agree_and_conditioning_composes(row: Row) -> None:
    model = row.model()
    evidence = some_evidence(model)
    truth = joint(model, evidence)
    for method in ("enumeration", "elimination", "independent"):
        try:
            post = tr.infer(model, evidence, method=method)
        except ModelError:
            assert method != "enumeration", "enumeration applies to every tiny machine"
            continue
        assert post.plan.method in (method, "independent")
        assert post.log_partition.value == pytest.approx(truth.log_z, rel=1e-9, abs=1e-9)
        assert_close(flat(post.marginals), truth.means)
    rest = condition(model, evidence)
    more = random_evidence(rest, np.random.default_rng(5), 0.5)
    for name, v in more.items():
        evidence[name][np.isnan(evidence[name])] = v
    assert joint(condition(rest, more)).log_z == pytest.approx(joint(model, evidence).log_z, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["free", "restricted_mixed", "deep_gaussian", "lattice"])
def test_exact_samples_have_the_exact_means(name: str) -> None:
    model, n = model_of(name), 4000
    samples, truth = tr.infer(model).sample(n, key=1), joint(model).means
    for group, units in model.units.items():
        features = np.asarray(units.encode(samples[group]), float)
        error = features.std(axis=0) / np.sqrt(n) + 1e-9
        assert (np.abs(features.mean(axis=0) - truth[group]) < Z * error).all()
    assert tr.sample(model, n, key=4).shape == (n, model.n_visible)


@pytest.mark.parametrize("name", ["lattice", "chain", "star", "dense_categorical", "deep"])
def test_the_most_probable_state_has_the_largest_weight(name: str) -> None:
    model = model_of(name)
    evidence = some_evidence(model)
    found, table = machines.most_probable(model, evidence), joint(model, evidence)
    best = int(table.p.argmax())
    assert found.log_probability.value == pytest.approx(np.log(table.p[best]) + table.log_z, rel=1e-9)
    for group, values in found.assignment.items():
        np.testing.assert_array_equal(values, table.values[group][best])


# ---------------------------------------------------------------- mean field


@swept
def test_mean_field_is_log_z_minus_the_divergence_of_its_q(row: Row) -> None:
    model = row.model()
    for evidence in ({}, some_evidence(model)):
        post, table = tr.infer(model, evidence, method="mean_field"), joint(model, evidence)
        bound = post.log_partition
        assert bound.kind == "bound" and bound.lower <= table.log_z + 1e-9 and bound.upper == np.inf
        if all(np.isfinite(u.n_states) for u in model.units.values()):
            q = _factorized(model, table, flat(post.marginals))
            divergence = float((q * (np.log(q) - np.log(table.p)))[q > 0].sum())
            assert bound.value == pytest.approx(table.log_z - divergence, rel=1e-7, abs=1e-7)


def _factorized(model: Boltzmann, table: Joint, means: Mapping[str, np.ndarray]) -> np.ndarray:
    """∏ q_i of every joint state: a state's share is that of its feature, or what is left of it."""
    q = np.ones(len(table.p))
    for name, x in table.features.items():
        if isinstance(model.units[name], Categorical):
            q *= np.where(x == 1, means[name], 1).prod(axis=1)
        else:
            low = -1 if isinstance(model.units[name], Spin) else 0
            up = (means[name] - low) / (1 - low)
            q *= np.where(x == 1, up, 1 - up).prod(axis=1)
    return q


@swept
def test_mean_field_rises_with_every_sweep(row: Row) -> None:
    with jax.enable_x64(True):
        model = row.model().astype(np.float64)
        x = starts(model, 4, 1)
        bounds = np.array([mean_field(model, x, n_iterations=n).log_partition.lower for n in (1, 2, 3, 5, 8, 13)])
    assert (np.diff(bounds, axis=0) >= -1e-12 * np.abs(bounds[:-1]) - 1e-12).all()


@pytest.mark.parametrize("name", ["free", "edgeless"])
@pytest.mark.parametrize("method", ["mean_field", "tap"])
def test_mean_field_is_exact_where_units_are_independent(name: str, method: str) -> None:
    model = model_of(name)
    post, truth = tr.infer(model, method=method), joint(model)
    assert post.log_partition.value == pytest.approx(truth.log_z, rel=1e-9)
    assert post.log_partition.kind == {"mean_field": "bound", "tap": "estimate"}[method]
    assert_close(flat(post.marginals), truth.means, 1e-8)


@pytest.mark.parametrize("name", ["restricted", "dense_spin", "lattice"])
def test_the_second_order_leaves_an_error_of_the_third(name: str) -> None:
    """Halving the couplings divides the error of log Z by four for the naive bound, by eight for the second order."""
    model, errors = model_of(name), {"mean_field": [], "tap": []}
    for scale in (0.1, 0.05):
        weak = replace(model, couplings={pair: scale * np.asarray(w) for pair, w in model.couplings.items()})
        for method, found in errors.items():
            found.append(abs(tr.infer(weak, method=method).log_partition.value - joint(weak).log_z))
    order = {method: np.log2(a / b) for method, (a, b) in errors.items()}
    assert order["mean_field"] == pytest.approx(2, abs=0.3) and order["tap"] > 2.7


def test_layer_means_are_exact_given_data_in_a_restricted_machine_and_stationary_in_a_deep_one() -> None:
    for name in ("restricted_mixed", "deep_mixed"):
        model = model_of(name)
        values = random_evidence(model, np.random.default_rng(0), 1.0)[VISIBLE][None]
        means = jax.jit(layer_means)(model, jnp.asarray(model.units[VISIBLE].encode(values), jnp.float32), 200)
        if name == "restricted_mixed":
            truth = joint(model, {VISIBLE: values[0]}).means
            assert_close({g: np.asarray(m[0]) for g, m in means.items()}, truth, 1e-5)
        for g in model.hidden:
            np.testing.assert_allclose(model.units[g].mean(model.local_field(g, means)), means[g], atol=1e-5)


# ---------------------------------------------------------------- Gibbs sampling


@swept
def test_gibbs_stays_at_the_exact_distribution_wherever_a_row_stands(row: Row) -> None:
    model, n = row.model().astype(np.float32), 4000
    plan, key, rows = gibbs.schedule(model.graph), jax.random.key(1), jnp.arange(n, dtype=jnp.uint32)
    x = exact_state(model, n)
    sweep = jax.jit(gibbs.sweep)
    after = sweep(plan, model, key, rows, x)
    assert_unchanged(model, {name: np.asarray(a) for name, a in after.items()})
    assert any((np.asarray(after[name]) != np.asarray(x[name])).any() for name in x)
    order = np.random.default_rng(0).permutation(n)
    elsewhere = sweep(plan, model, key, rows[order], {name: a[order] for name, a in x.items()})
    for name, a in elsewhere.items():
        assert (np.abs(np.asarray(a) - np.asarray(after[name])[order]) > 1e-3).mean() < 1e-4  # ties of a rounded field


@swept
def test_gibbs_averages_are_within_their_standard_errors(row: Row) -> None:
    model = row.model()
    evidence = some_evidence(model)
    post, truth = tr.infer(model, evidence, method="gibbs", key=2), joint(model, evidence)
    for name, units in model.units.items():
        c = post.certificates(name)
        assert c.kind == "estimate" and np.all(np.isinf(c.upper))
        off = np.abs(np.asarray(c.value) - truth.means[name].reshape(np.shape(c.value)))
        assert (off <= 5.5 * np.asarray(c.std_error) + 2e-3).all(), (name, units)
    assert post.log_partition.kind == "bound" and post.log_partition.lower <= truth.log_z + 1e-9


def test_chains_that_run_in_parts_are_the_same_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    model, key = model_of("star"), jax.random.key(0)
    plan, x = gibbs.schedule(model.graph), gibbs.start(model, key, jnp.arange(48, dtype=jnp.uint32))
    together = gibbs.run(plan, model, key, x, 5)[VISIBLE]
    monkeypatch.setattr(gibbs, "CACHE", 0)
    parts = jax.jit(gibbs.run.__wrapped__)(plan, model, key, x, 5)[VISIBLE]
    np.testing.assert_array_equal(parts, together)


# ---------------------------------------------------------------- the other verbs


def test_impute_fills_in_posterior_means_and_leaves_the_rest() -> None:
    model = model_of("restricted")
    data = np.array([[0, 1, np.nan, 1, 0, 1], [np.nan, 1, 0, 1, np.nan, 1], [1, 1, 1, 0, 0, 0]])
    filled = tr.impute(model, data)
    for row, full in zip(data, filled, strict=True):
        np.testing.assert_allclose(full, joint(model, {VISIBLE: row}).means[VISIBLE], atol=1e-9)


def test_impute_by_chains_where_no_exact_method_is_affordable() -> None:
    model = restricted(60, 60, key=1)
    data = np.random.default_rng(0).integers(2, size=(2, 60)).astype(float)
    data[:, :50] = np.nan
    filled = tr.impute(model, data, n_sweeps=50)
    np.testing.assert_allclose(filled[:, :50], 0.5, atol=0.1)  # couplings near zero
    np.testing.assert_array_equal(filled[:, 50:], data[:, 50:])


def test_up_and_down_are_means() -> None:
    model = model_of("restricted_spin")
    data = random_values(model.units[VISIBLE], np.random.default_rng(0), (3, 5))
    up = np.tanh(np.asarray(model.fields["hidden"]) + data @ np.asarray(model.couplings[VISIBLE, "hidden"]))
    np.testing.assert_allclose(tr.transform(model, data), up, atol=1e-6)
    down = np.tanh(np.asarray(model.fields[VISIBLE]) + up @ np.asarray(model.couplings[VISIBLE, "hidden"]).T)
    np.testing.assert_allclose(tr.reconstruct(model, data), down, atol=1e-6)


def test_what_cannot_be_afforded_is_refused_with_its_plan() -> None:
    with pytest.raises(tr.BudgetError, match="500 hidden units are enumerated"):
        tr.infer(restricted(784, 500))
    with pytest.raises(ModelError, match="some of the free units interact"):
        tr.infer(restricted(2, 2), method="independent")
    with pytest.raises(ValueError, match="did you mean 'gibbs'"):
        tr.infer(restricted(2, 2), method="gibs")
    with pytest.raises(ModelError, match="expected one case, got 2"):
        tr.sample(restricted(2, 2), 1, evidence=np.zeros((2, 2)))
    with pytest.raises(ModelError, match="the second order is for units with one number each"):
        tr.infer(model_of("restricted_mixed"), method="tap")


def test_clamped_units_hold_within_a_sweep() -> None:
    """A unit that copies a clamped one: drawing the clamped one on the way would show in the copy."""
    for model in (boltzmann(couplings=[[0, 40.0], [40.0, 0]], visible_bias=[-20.0, -20.0]),
                  boltzmann(2, [(0, 1)], couplings=[40.0], visible_bias=[-20.0, -20.0])):  # fmt: skip
        for value in (0.0, 1.0):
            clamp = {VISIBLE: gibbs.Clamp(np.tile([True, False], (50, 1)), np.full((50, 2), value, np.float32))}
            x = {VISIBLE: jnp.full((50, 2), value).at[:, 1].set(1 - value)}
            after = gibbs.run(gibbs.schedule(model.graph), model, jax.random.key(0), x, 1, clamp)[VISIBLE]
            np.testing.assert_array_equal(after, np.full((50, 2), value))


def test_few_units_with_many_neighbours_do_not_pad_the_table_of_all() -> None:
    n = 400
    edges = [(0, k) for k in range(2, n)] + [(k, k + 1) for k in range(1, n - 1)]
    classes = gibbs.schedule(boltzmann(n, edges).graph).colours[VISIBLE]
    assert sum(part.edges.size for part in classes) < 3 * 2 * len(edges)
    assert sorted(np.concatenate([part.units for part in classes])) == list(range(n))
    colour = np.empty(n, int)
    for c, part in enumerate(classes):
        colour[part.units] = c
    assert all(colour[i] != colour[j] for i, j in edges)
