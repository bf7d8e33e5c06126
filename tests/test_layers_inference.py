"""Inference in models of layers: every method against the table of all joint states."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layers_oracle import Table, table
from layers_zoo import ZOO, Row, network, random_evidence
from sweep import some

import tractable as tr
from tractable.evaluate.directed import simulated_gap
from tractable.kernels import xla
from tractable.models import ModelError
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate import layers as approximate
from tractable.posterior.engines.layers import cases_of

each = pytest.mark.parametrize("row", ZOO, ids=str)
SHARES = ((1.0, 0.0), (0.5, 0.0), (0.5, 0.4), (0.0, 0.4), (0.0, 0.0))
Z = 4.7


def model_of(name: str):
    return next(row for row in ZOO if str(row) == name).model()


def assert_means(found, truth: Table, tolerance: float = 1e-9) -> None:
    for name, mean in zip(found, truth.means, strict=True):
        np.testing.assert_allclose(found[name], mean, atol=tolerance, err_msg=name)


# ---------------------------------------------------------------- exact


@each
def test_exact_answers_are_those_of_the_table(row: Row) -> None:
    model, rng = row.model(), np.random.default_rng(1)
    for share, hidden in SHARES:
        evidence = random_evidence(model, rng, share, hidden)
        truth = table(model, evidence)
        methods = ["auto", "enumeration"] + (["elimination"] if model.graph.is_sparse else [])
        for method in methods:
            post = tr.infer(model, evidence, method=method)
            assert post.log_partition.kind == "exact"
            assert post.log_partition.value == pytest.approx(truth.log_z, abs=1e-9)
            assert_means(post.marginals, truth)
        assert tr.log_partition(tr.condition(model, evidence)).value == pytest.approx(truth.log_z, abs=1e-9)


def test_many_rows_are_answered_as_each_by_itself() -> None:
    for name in ("deep", "sparse", "autoregressive", "deep_belief"):
        model, rng = model_of(name), np.random.default_rng(2)
        x = np.where(rng.random((9, model.n_visible)) < 0.8, rng.integers(2, size=(9, model.n_visible)), np.nan)
        x[:3] = [0] * model.n_visible
        post = tr.infer(model, x)
        for r, values in enumerate(x):
            truth = table(model, {"visible": values})
            assert post.log_partition.value[r] == pytest.approx(truth.log_z, abs=1e-9)
            np.testing.assert_allclose(post.marginals["hidden1"][r], truth.means[1], atol=1e-9)
            np.testing.assert_allclose(tr.impute(model, x)[r], truth.means[0], atol=1e-9)
        whole = np.nan_to_num(x)
        means = np.stack([np.concatenate(table(model, {"visible": v}).means[1:]) for v in whole])
        np.testing.assert_allclose(tr.transform(model, whole), means, atol=1e-9)


@pytest.mark.parametrize("name", ["deep", "sparse", "autoregressive", "deep_belief_three"])
def test_exact_samples_given_evidence_have_the_exact_means(name: str) -> None:
    model, n = model_of(name), 3000
    evidence = random_evidence(model, np.random.default_rng(3), 0.6)
    drawn, truth = tr.infer(model, evidence).sample(n, key=5), table(model, evidence)
    for group, mean in zip(model.groups, truth.means, strict=True):
        error = np.sqrt(np.clip(mean * (1 - mean), 0, 1) / n)
        assert (np.abs(drawn[group].mean(0) - mean) <= Z * error + 1e-9).all()
    seen = tr.sample(model, 50, evidence=evidence, key=1)
    known = ~np.isnan(evidence["visible"])
    assert (seen[:, known] == evidence["visible"][known]).all()


def test_the_most_probable_state_of_a_sparse_network_has_the_largest_weight() -> None:
    model = model_of("sparse_deep")
    evidence = random_evidence(model, np.random.default_rng(3), 0.6)
    found, truth = tr.most_probable(model, evidence), table(model, evidence)
    best = int(truth.p.argmax())
    assert found.log_probability.value == pytest.approx(np.log(truth.p[best]) + truth.log_z, abs=1e-9)
    for name, layer in zip(model.groups, truth.layers, strict=True):
        np.testing.assert_array_equal(found.assignment[name], layer[best])


def test_sums_over_many_states_run_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network(np.random.default_rng(0), [7, 5, 4]), np.random.default_rng(1).integers(2, size=(5, 7))
    whole = tr.infer(model, x)
    monkeypatch.setattr("tractable.posterior.exact.layers.CELLS", 48)
    monkeypatch.setattr("tractable.posterior.exact.layers.CACHED", 24)
    parts = tr.infer(model, x)
    np.testing.assert_allclose(parts.log_partition.value, whole.log_partition.value, atol=1e-12)
    a, b = (np.asarray(post.marginals["hidden2"]) for post in (parts, whole))
    np.testing.assert_allclose(a, b, atol=1e-12)


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("unit", ["hidden1.x", "hidden1.9", "nope"])
def test_a_unit_that_is_not_there_is_named(unit: str) -> None:
    with pytest.raises(ValueError, match=r"there is no unit 9|unknown variable"):
        tr.plan(tr.SigmoidBeliefNetwork([4, 3]), observed=[unit])


def test_the_plan_names_the_v_structures_and_refuses_what_cannot_be_summed() -> None:
    plan = tr.plan(tr.SigmoidBeliefNetwork([784, 200, 200]), ["visible"])
    assert plan.method is None and plan.width == 400
    assert "each of 784 observed visible units couples 200 parents in hidden1" in plan.why
    assert {a.certificate for a in plan.alternatives} == {"probabilistic", "bound", "estimate", "exact"}
    assert plan.advice == ("178 units of hidden1", "200 units of hidden2")
    by_advice = {"visible": range(784), "hidden1": range(178), "hidden2": range(200)}
    assert tr.plan(tr.SigmoidBeliefNetwork([784, 200, 200]), by_advice, "evidence").method == "enumeration"
    with pytest.raises(tr.BudgetError, match="explaining away"):
        tr.infer(tr.SigmoidBeliefNetwork([784, 200, 200]), np.zeros(784))
    small = tr.explain(tr.SigmoidBeliefNetwork([784, 12, 10]))
    assert [p.method for p in small] == ["enumeration", "enumeration", "independent"]
    assert next(iter(small)).width == 22


def test_missing_links_make_it_tractable() -> None:
    rng, n = np.random.default_rng(0), 60
    weights = np.zeros((n, n))
    for i in range(n):
        weights[i, [i, (i + 1) % n]] = rng.normal(size=2)
    net = tr.SigmoidBeliefNetwork(weights=[weights], biases=[rng.normal(size=n), rng.normal(size=n)])
    plan = tr.plan(net, ["visible"])
    assert plan.method == "elimination" and plan.width < 6
    x = rng.integers(2, size=n)
    assert -200 < tr.infer(net, x).log_partition.value < 0
    assert gibbs.blocks_of(net.graph).units[1].shape == (2, 30)  # every second unit at once


# ---------------------------------------------------------------- approximations


CLIMBED = ("one", "two_causes", "deep", "autoregressive", "strong", "deep_belief")


def test_mean_field_chooses_among_causes_that_are_alike() -> None:
    """Between them, where symmetric starts end, the bound is 2.7 nats below; on one of them ln 2."""
    model = tr.SigmoidBeliefNetwork(weights=[[[6.0, 6.0]]], biases=[[-4.0], [-2.0, -2.0]])
    found, exact = (tr.infer(model, [1.0], method=how) for how in ("mean_field", "exact"))
    assert 0 < exact.log_partition.value - found.log_partition.lower < 0.75
    assert found.marginals["hidden1"].max() > 0.9


@pytest.mark.parametrize("row", [row for row in ZOO if str(row) in CLIMBED], ids=str)
def test_the_bound_of_mean_field_is_below_and_tight_where_nothing_is_coupled(row: Row) -> None:
    model, rng = row.model(), np.random.default_rng(6)
    evidence = random_evidence(model, rng, 0.7, 0.2)
    found, truth = tr.infer(model, evidence, method="mean_field").log_partition, table(model, evidence)
    assert found.kind == "bound" and found.upper == np.inf
    assert found.value <= truth.log_z + 1e-9
    assert found.value >= truth.log_z - 0.35 * sum(model.sizes)
    if str(row) == "one":
        assert found.value == pytest.approx(truth.log_z, abs=2e-3)


GIBBS = ("deep", "sparse_deep", "autoregressive", "deep_belief_three")


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("tempered", [False, True])
def test_the_kernel_draws_what_jax_draws(tempered: bool, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seventy units and more above some thousand, which are two stretches of the kernel; some are known."""
    if not xla.available():
        pytest.skip("the kernels are not there")
    rng = np.random.default_rng(3)
    sizes = (1100, 70, 33)
    weights = [0.3 * rng.normal(size=pair) for pair in pairwise(sizes)]
    model = tr.SigmoidBeliefNetwork(weights=weights, biases=[rng.normal(size=n) for n in sizes]).astype(np.float32)
    x = [jnp.asarray(h) for h in model.sample(0, 9)]
    known = [jnp.asarray(rng.random(h.shape) < (share if not at else 0.1)) for at, h in enumerate(x)]
    between = gibbs.TemperedLayers(jnp.float32(0.3), [jnp.full(h.shape, 0.2) for h in x]) if tempered else None
    blocks = gibbs.LayerBlocks(tuple(np.arange(n, dtype=np.int32)[::-1, None][: n - 1] for n in sizes))
    chains = gibbs.LayerChains(blocks, jnp.arange(9, dtype=jnp.uint32), gibbs.Held(known, x), between)

    def swept() -> list[np.ndarray]:
        return [np.asarray(h) for h in jax.jit(lambda key: gibbs.sweep(model, chains, key, x))(jax.random.key(1))]

    fast = swept()
    monkeypatch.setattr(xla, "available", lambda: False)
    for one, other, start, held in zip(fast, swept(), x, known, strict=True):
        assert (one != other).mean() < 2e-3  # where rounding decides
        assert (one == start)[np.asarray(held)].all()
    assert (fast[1] != x[1]).any() and (fast[1][:, 0] == x[1][:, 0]).all()  # the first unit was not in the order


@pytest.mark.parametrize("name", GIBBS)
def test_gibbs_averages_are_within_their_standard_errors(name: str) -> None:
    model = model_of(name)
    evidence = random_evidence(model, np.random.default_rng(7), 0.6, 0.2)
    post, truth = tr.infer(model, evidence, method="gibbs", key=2), table(model, evidence)
    for group, mean in zip(model.groups, truth.means, strict=True):
        found = post.certificates(group)
        assert found.kind == "estimate"
        assert (np.abs(found.value - mean) <= 5.5 * found.std_error + 3e-3).all(), group


@pytest.mark.parametrize("recognized", [False, True])
@pytest.mark.parametrize("name", ["deep", "autoregressive", "deep_belief"])
def test_annealed_weights_are_unbiased_from_below_and_from_above(name: str, recognized: bool) -> None:
    model = model_of(name)
    q = tr.RecognitionNetwork(model.proposed, key=5) if recognized else None
    evidence = random_evidence(model, np.random.default_rng(8), 1.0)
    truth = table(model, evidence)
    cases = cases_of(model, evidence)
    up = approximate.annealed(model, q, cases, 3, approximate.Effort(600, 10)).work[0] - truth.log_z
    error = np.exp(up).std() / np.sqrt(len(up))
    assert abs(np.exp(up).mean() - 1) < Z * error + 1e-3
    assert up.std() < (0.9 if recognized else 0.6)  # what is recognized here are small random weights
    states = np.random.default_rng(0).choice(len(truth.p), size=600, p=truth.p / truth.p.sum())
    many = cases_of(model, {"visible": np.repeat(evidence["visible"][None], 600, axis=0)})
    exact = [h[states] for h in truth.layers]
    down = approximate.annealed(model, q, many, 4, approximate.Effort(1, 10), exact).work[:, 0] + truth.log_z
    assert abs(np.exp(down).mean() - 1) < Z * np.exp(down).std() / np.sqrt(600) + 1e-3
    assert down.std() > 0.01


def test_annealing_begins_at_what_is_recognized_and_never_certain() -> None:
    model, x = model_of("deep"), np.array([[0, 1, 1, 0], [1, 1, 0, 0]])
    q = tr.RecognitionNetwork(weights=[np.full((4, 3), 9.0), np.eye(3)], biases=[np.zeros(3), np.zeros(3)])
    base = approximate.annealed_from(model, q, cases_of(model, x))
    np.testing.assert_allclose(base[1], np.full((2, 3), np.log(0.98 / 0.02)), rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-base[2])), np.full((2, 3), 1 / (1 + np.exp(-1))), rtol=1e-4)
    gaps = approximate.annealed_from(model, q, cases_of(model, [[0, np.nan, 1, 0]]))
    prior = table(model).means
    np.testing.assert_allclose(1 / (1 + np.exp(-gaps[1][0])), prior[1], atol=0.04)


def test_a_row_has_as_many_annealed_chains_as_asked_for() -> None:
    model = model_of("deep")
    x = np.random.default_rng(9).integers(2, size=(3, model.n_visible))
    found = tr.log_likelihood(model, x, method="annealing", samples=20, chains=2, key=1)
    assert found.samples == 2 and found.per_row.value.shape == (3,)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        tr.log_likelihood(model, x, method="annealing", chains=0)


@pytest.mark.parametrize("name", ["deep", "deep_belief"])
def test_k_sample_bounds_grow_with_k_and_stay_below(name: str) -> None:
    model, rng = model_of(name), np.random.default_rng(9)
    machine = tr.HelmholtzMachine(model)
    x = rng.integers(2, size=(40, model.n_visible)).astype(float)
    x[3, 0] = np.nan
    exact = tr.log_likelihood(machine, x)
    log_z = table(model).log_z
    truth = np.array([table(model, {"visible": v}).log_z for v in x]) - log_z
    assert exact.kind == "exact" and exact.value == pytest.approx(truth.mean(), abs=1e-6)
    np.testing.assert_allclose(exact.per_row.value, truth, atol=1e-6)
    found = tr.log_likelihood(machine, x, samples=1000, method="importance", key=1)
    assert found.kind == "probabilistic" and found.lower <= truth.mean() and found.lower < found.value < found.upper
    assert found.value == pytest.approx(truth.mean(), abs=0.05)
    values, error = found.by_samples.values, found.by_samples.std_errors[:-1].max()
    assert found.by_samples.samples.tolist() == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert (np.diff(values) > -4 * error).all() and values[0] < values[-1]
    assert (found.effective_sample_size >= 1).all() and (found.effective_sample_size <= 1000).all()
    again = tr.log_likelihood(machine, x[:7], samples=1000, method="importance", key=1)
    np.testing.assert_allclose(again.per_row.value, found.per_row.value[:7], atol=1e-5)
    post = tr.infer(machine, x[3], method="importance", key=2)
    for name, mean in zip(("visible", "hidden1"), table(model, {"visible": x[3]}).means, strict=False):
        np.testing.assert_allclose(np.asarray(post.marginals[name]), mean, atol=0.15)
    if model.family == "deep_belief":
        z = tr.Certificate(log_z, log_z - 0.1, log_z + 0.1, "probabilistic", 0.95)
        found = tr.log_likelihood(machine, x, samples=1000, method="importance", key=1, log_partition=z)
        assert found.log_partition is z and found.confidence == pytest.approx(0.949)
        assert truth.mean() - 0.4 < found.lower < found.value - 0.1


@pytest.mark.verify
@pytest.mark.parametrize("sizes", some([[6, 10, 6], [6, 8]], 1), ids=str)
def test_bounds_from_both_sides_hold_on_rows_of_the_models_own(sizes: list[int]) -> None:
    model = network(np.random.default_rng(5), sizes)
    found = simulated_gap(model, 60, temperatures=20, key=1)
    truth = tr.log_likelihood(model, found.rows).value
    assert found.lower < truth < found.upper and found.gap == pytest.approx(found.upper - found.lower)
    annealed = tr.log_likelihood(model, found.rows, method="annealing", samples=20)
    assert annealed.lower < truth and annealed.value == pytest.approx(truth, abs=0.05)
    bound = tr.log_likelihood(model, found.rows, method="mean_field")
    assert bound.kind == "bound" and bound.value < truth


def test_samples_of_a_deep_belief_network_have_its_means() -> None:
    model, n = model_of("deep_belief"), 3000
    mean = table(model).means[0]
    found = tr.sample(model, n, key=3)
    assert found.shape == (n, 4) and (np.abs(found.mean(0) - mean) < Z * np.sqrt(0.25 / n)).all()


def test_large_models_fall_back_to_what_is_affordable() -> None:
    machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([20, 40], key=1), tr.RecognitionNetwork([20, 40]))
    x = np.random.default_rng(0).integers(2, size=(3, 20)).astype(float)
    assert tr.transform(machine, x).shape == (3, 40) and tr.reconstruct(machine, x).shape == (3, 20)
    assert tr.log_likelihood(machine, x, samples=20).kind == "probabilistic"
    x[0, :5] = np.nan
    whole = tr.impute(machine, x, n_sweeps=10)
    assert not np.isnan(whole).any() and (whole[1:] == x[1:]).all()
    assert tr.sample(machine, 4, evidence=x[0], key=1).shape == (4, 20)


BAD = [
    (lambda m: tr.log_likelihood(m, [[0, 1, 0]], samples=0), ValueError, "at least 1, got 0"),
    (lambda m: tr.log_likelihood(m, [[0, 1, 2]]), ModelError, "row 0, column 2: the value 2"),
    (lambda m: tr.log_likelihood(m, [[0, 1]]), ModelError, "3 units, the data 2 columns"),
    (lambda m: tr.log_likelihood(m, np.zeros((0, 3))), ModelError, "no rows"),
    (lambda m: tr.log_likelihood(m, [[0, 1, 0]], method="exactly"), ValueError, "did you mean 'exact'"),
    (lambda m: tr.log_likelihood(m, [[0, 1, 0]], method="importance"), ModelError, "HelmholtzMachine"),
    (lambda m: tr.infer(m, [0, 1, 0], method="importance"), ModelError, "HelmholtzMachine"),
    (lambda m: tr.infer(m, [0, 1, 0], method="gibs"), ValueError, "did you mean 'gibbs'"),
    (lambda m: tr.infer(m, {"hidden": [1]}), ModelError, "unknown group"),
    (lambda m: tr.infer(m).joint(["hidden1"]), ModelError, "condition on a unit"),
    (lambda m: tr.plan(m, ["hiden1"]), ValueError, "did you mean 'hidden1'"),
    (lambda m: tr.plan(m, query="gradient"), ValueError, "marginals, evidence"),
    (lambda m: tr.most_probable(m, method="elimination"), ModelError, "few parents"),
    (lambda m: tr.transform(m, [0, 1, 0]), ModelError, "expected rows"),
    (lambda m: tr.infer(tr.HelmholtzMachine(m), {"hidden1": [1, 0]}, method="importance"), ModelError, "annealing"),
]


@pytest.mark.parametrize(("ask", "kind", "message"), BAD, ids=[m for *_, m in BAD])
def test_what_cannot_be_asked_is_said_in_words(ask, kind, message: str) -> None:
    with pytest.raises(kind, match=message):
        ask(tr.SigmoidBeliefNetwork([3, 2]))
