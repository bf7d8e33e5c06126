"""Factorial hidden Markov models: exact answers beside the oracle of all joint paths, certificates, and learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factorial_oracle import Enumerated, enumerate_joint, gappy, marginals, random_model, transitions

import tractable as tr

infer: Any = tr.infer  # what it returns depends on the family of the model
filtering: Any = tr.filtering
forecast: Any = tr.forecast
METHODS = ("structured", "mean_field")
SHAPES = [(2,), (2, 2), (3, 2), (2, 1, 2), (2, 2, 2)]


def cases(zeros: bool = False) -> list[tuple[tr.FactorialHiddenMarkovModel, np.ndarray]]:
    out = []
    for seed, sizes in enumerate(SHAPES):
        model = random_model(seed, sizes, zeros=zeros)
        out.append((model, gappy(tr.sample(model, 4 if np.prod(sizes) < 8 else 3, key=seed), seed)))
    return out


def kl_of(truth: Enumerated, model: tr.FactorialHiddenMarkovModel, post: Any) -> float:
    """KL(q ‖ p(z | x)) of a completely factorized q, path by path."""
    q = [post.marginals[name] for name in model.chains]
    t = np.arange(truth.paths.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = sum(np.log(p[t, truth.paths[:, :, m]]).sum(1) for m, p in enumerate(q))
        terms = np.exp(log_q) * (log_q - (truth.log_joint - truth.log_p))
    return float(terms[np.exp(log_q) > 0].sum())


# ---------------------------------------------------------------- exact


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_exact_answers_are_those_of_all_joint_paths(number: int, zeros: bool) -> None:
    model, rows = cases(zeros)[number]
    truth, post = enumerate_joint(model, rows), infer(model, rows)
    assert post.log_partition.kind == "exact" and post.kl.value == 0
    assert post.log_partition.value == pytest.approx(truth.log_p, abs=1e-10)
    assert tr.log_partition(model, rows).value == pytest.approx(truth.log_p, abs=1e-10)
    best = tr.most_probable(model, rows)
    path = np.stack(list(best.assignment.values()), axis=1)  # type: ignore[call-overload]
    assert (path == truth.paths[truth.log_joint.argmax()]).all()
    assert best.log_probability.value == pytest.approx(truth.log_joint.max(), abs=1e-10)
    for m, (name, k) in enumerate(zip(model.chains, model.sizes, strict=True)):
        np.testing.assert_allclose(post.marginals[name], marginals(truth, m, k), atol=1e-12)
        np.testing.assert_allclose(post.transitions[m], transitions(truth, m, k), atol=1e-12)


@pytest.mark.parametrize("number", [1, 2])
def test_the_engine_of_networks_agrees(number: int) -> None:
    model, rows = cases()[number]
    net, post = infer(tr.condition(model, rows)), infer(model, rows)
    assert net.log_partition.value == pytest.approx(post.log_partition.value, abs=1e-10)
    for name in model.chains:
        found = [net.marginals.array(f"{name}_{t}") for t in range(len(rows))]
        np.testing.assert_allclose(found, post.marginals[name], atol=1e-10)


def test_one_chain_is_a_hidden_markov_model() -> None:
    model = random_model(3, (3,))
    e = model.emissions
    plain = tr.HiddenMarkovModel(model.starts[0], model.transitions[0], tr.TiedGaussianEmissions(e.means, e.covariance))
    parts = [gappy(tr.sample(model, n, key=n), n) for n in (30, 4, 9)]
    ours, theirs = infer(model, parts), infer(plain, parts)
    np.testing.assert_allclose(ours.log_partition.value, theirs.log_partition.value, atol=1e-10)
    for a, b in zip(ours.marginals["chain0"], theirs.marginals["state"], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    for a, b in zip(filtering(model, parts, lag=2)["chain0"], filtering(plain, parts, lag=2), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    one, two = forecast(model, parts[0], 3), forecast(plain, parts[0], 3)
    np.testing.assert_allclose(one.states, two.states, atol=1e-10)
    np.testing.assert_allclose(one.means, two.means, atol=1e-10)
    np.testing.assert_allclose(tr.impute(model, parts)[0], tr.impute(plain, parts)[0], atol=1e-10)
    em: Any = tr.EM(prior=0, tolerance=0)
    fits = [tr.fit(which, parts, em, epochs=5, progress=False) for which in (model, plain)]
    np.testing.assert_allclose(fits[0].model.emissions.means, fits[1].model.emissions.means, atol=1e-8)
    np.testing.assert_allclose(fits[0].model.emissions.covariance, fits[1].model.emissions.covariances, atol=1e-8)
    np.testing.assert_allclose(fits[0].model.transitions[0], fits[1].model.transition, atol=1e-8)


@pytest.mark.parametrize(
    ("sizes", "zeros"), [((3, 2, 2), False), ((5, 7), False), ((3, 2, 2), True), ((9, 3, 4), False)]
)
def test_long_sequences_are_those_of_the_product_chain(sizes: tuple[int, ...], zeros: bool) -> None:
    """All joint states as one chain: another kernel, dense in the product of the transitions."""
    from functools import reduce

    from tractable.kernels.chain import Chains, filtered, smooth
    from tractable.models.factorial_hidden_markov import log_likelihoods

    model = random_model(1, sizes, d=3, noise=0.01, zeros=zeros, scale=3.0)
    lengths = [2200, 5, 800]
    parts = [gappy(tr.sample(model, n, key=n), n) for n in lengths]
    joint = log_likelihoods(model, np.concatenate(parts))
    chains = Chains(reduce(np.kron, model.starts), reduce(np.kron, model.transitions), joint, lengths)
    truth, post = smooth(chains), infer(model, parts)
    np.testing.assert_allclose(post.log_partition.value, truth.log_likelihood, rtol=1e-12)
    now, cube = filtered(chains)[1].reshape(-1, *sizes), truth.marginals.reshape(-1, *sizes)
    square = truth.transitions.reshape(*sizes, *sizes)
    for m, name in enumerate(model.chains):
        others = tuple(a + 1 for a in range(len(sizes)) if a != m)
        np.testing.assert_allclose(np.concatenate(post.marginals[name]), cube.sum(others), atol=1e-9)
        np.testing.assert_allclose(np.concatenate(filtering(model, parts)[name]), now.sum(others), atol=1e-9)
        ends = tuple(a for a in range(2 * len(sizes)) if a % len(sizes) != m)
        np.testing.assert_allclose(post.transitions[m], square.sum(ends), atol=1e-6)


def test_what_doubles_cannot_hold_is_done_with_logarithms() -> None:
    """Each chain may only move on; the rows say, late and loudly, that a path of tiny weight was right."""
    emissions = tr.AdditiveGaussianEmissions([[[0.0], [60.0]], [[0.0], [7.0]]], [[1.0]])
    once = [[1 - 1e-12, 1e-12], [0.0, 1.0]]
    model = tr.FactorialHiddenMarkovModel([[1.0, 0.0]] * 2, [once] * 2, emissions)
    rows = np.array([[0.0], [30.0], [67.0], [67.0]])
    truth, post = enumerate_joint(model, rows), infer(model, rows)
    assert post.log_partition.value == pytest.approx(truth.log_p, rel=1e-12)
    np.testing.assert_allclose(post.marginals["chain0"], marginals(truth, 0, 2), atol=1e-12)
    np.testing.assert_allclose(post.transitions[1], transitions(truth, 1, 2), atol=1e-12)
    far = np.concatenate([np.zeros((3, 1)), np.full((3, 1), 60.0)])  # 60 deviations away in one step
    late = infer(model, far)
    np.testing.assert_allclose(late.marginals["chain0"][:, 1], [0, 0, 0, 1, 1, 1], atol=1e-12)
    assert late.log_partition.value == pytest.approx(enumerate_joint(model, far).log_p, rel=1e-12)


def test_filtering_and_lags_are_what_shorter_sequences_say() -> None:
    model, rows = cases()[2]
    for lag in (0, 1, 5):
        found = filtering(model, rows, lag=lag)
        for t in range(len(rows)):
            short = infer(model, rows[: t + lag + 1])
            for name in model.chains:
                np.testing.assert_allclose(found[name][t], short.marginals[name][t], atol=1e-12)
    ahead, longer = forecast(model, rows, 2), np.vstack([rows, np.full((2, 2), np.nan)])
    post = infer(model, longer)
    np.testing.assert_allclose(ahead.states, np.hstack([post.marginals[n][-2:] for n in model.chains]), atol=1e-12)
    np.testing.assert_allclose(ahead.means, tr.impute(model, longer)[-2:], atol=1e-10)
    with pytest.raises(ValueError, match="lag"):
        filtering(model, rows, lag=-1)


def test_samples_have_the_moments_of_the_posterior() -> None:
    model, rows = cases()[4]
    post, n = infer(model, rows), 20_000
    approximate = infer(model, rows, method="structured")
    for which in (post, approximate):
        drawn = which.sample(n, key=0)
        for name in model.chains:
            share = (drawn[name] == 1).mean(0)
            np.testing.assert_allclose(share, which.marginals[name][:, 1], atol=5 * 0.5 / np.sqrt(n))
    completed = tr.sample(model, n, evidence=rows, key=1)
    seen = ~np.isnan(rows)
    assert (completed[:, seen] == rows[seen]).all()
    spread = completed.std(0).max()
    np.testing.assert_allclose(completed.mean(0), tr.impute(model, rows), atol=5 * spread / np.sqrt(n))
    free = tr.sample(model, 5, key=3)
    assert free.shape == (5, 2) and (free == tr.sample(model, 5, key=3)).all() and tr.sample(model, 0).shape == (0, 2)


# ---------------------------------------------------------------- approximate


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_certificates_contain_the_truth_and_the_identity_holds(number: int, method: str) -> None:
    model, rows = cases()[number]
    truth, post = enumerate_joint(model, rows), infer(model, rows, method=method)
    c = post.log_partition
    assert c.kind == "bound" and c.value == c.lower <= truth.log_p + 1e-10 and truth.log_p <= c.upper + 1e-10
    assert post.kl.kind == "exact" and post.elbo + post.kl.value == pytest.approx(truth.log_p, abs=1e-8)
    if method == "mean_field":
        assert kl_of(truth, model, post) == pytest.approx(post.kl.value, abs=1e-8)


def test_kl_of_structured_q_is_that_of_all_paths() -> None:
    """q of every path from the marginals and transitions of a sequence of two rows, which determine it."""
    model = random_model(9, (3, 2), noise=0.5)
    rows = tr.sample(model, 2, key=0)
    truth, post = enumerate_joint(model, rows), infer(model, rows, method="structured")
    q = np.prod([post.transitions[m][*truth.paths[:, :, m].T] for m in range(2)], axis=0)
    there = q > 0
    kl = (q[there] * (np.log(q[there]) - (truth.log_joint - truth.log_p)[there])).sum()
    assert kl > 1e-3 and post.kl.value == pytest.approx(kl, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_sweep_never_lowers_the_elbo_and_the_bound_above_stays_above(method: str) -> None:
    from tractable.posterior.approximate import factorial as variational

    model = random_model(5, (3, 3, 2), noise=0.2)
    parts = [gappy(tr.sample(model, n, key=n), n) for n in (40, 3, 25)]
    sequences = model.check(parts)
    rows = variational.SequenceRows(model, model.emissions.terms(sequences.rows), sequences.sizes)
    own = {"structured": variational._structured, "mean_field": variational._mean_field}[method]
    states, values = variational.uniform(rows), []
    for _ in range(12):
        found = own(rows, states, 1)
        values.append(found.elbo)
        states = found.states
    truth = tr.log_partition(model, parts).value
    assert np.diff(values, axis=0).min() > -1e-9 and (values[-1] > values[0] + 0.1).any()
    assert (values[-1] <= truth).all() and (truth <= rows.relaxed.bound).all()
    loose = -0.5 * np.linalg.slogdet(2 * np.pi * model.emissions.covariance)[1] * sequences.sizes
    assert (rows.relaxed.bound < loose + 20).all()  # no worse than the largest density anywhere, gaps aside


@pytest.mark.parametrize("method", METHODS)
def test_chains_that_contribute_nothing_are_known_exactly(method: str) -> None:
    free = random_model(2, (3, 2))
    model = tr.FactorialHiddenMarkovModel(
        free.starts,
        [np.tile(start, (len(start), 1)) for start in free.starts],  # rows are independent: mean field is exact, too
        tr.AdditiveGaussianEmissions([np.zeros((3, 2)), np.zeros((2, 2))], free.emissions.covariance),
    )
    post = infer(model, tr.sample(free, 6, key=1), method=method)
    assert post.kl.value == pytest.approx(0, abs=1e-9)
    assert post.log_partition.upper == pytest.approx(post.log_partition.lower, abs=1e-9)


def test_one_chain_is_its_own_structure() -> None:
    model = random_model(4, (4,))
    rows = gappy(tr.sample(model, 50, key=0), 0)
    post, exact = infer(model, rows, method="structured"), infer(model, rows)
    assert post.elbo == pytest.approx(exact.log_partition.value, abs=1e-9)
    np.testing.assert_allclose(post.marginals["chain0"], exact.marginals["chain0"], atol=1e-9)


def test_more_structure_is_closer_and_more_chains_are_further() -> None:
    """No theorem for local maxima, but so it is here, from the starts that are taken."""
    gaps = []
    for m in (1, 2, 3):
        model = random_model(11, (3,) * m, d=3, noise=0.5)
        rows = tr.sample(model, 100, key=0)
        gaps.append([infer(model, rows, method=method).kl.value for method in METHODS])
    assert all(structured <= factorized + 1e-6 for structured, factorized in gaps)
    assert gaps[0][0] < gaps[1][0] < gaps[2][0]


def test_mean_field_says_so_where_it_must_not_do_what_is_forbidden() -> None:
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    emissions = tr.AdditiveGaussianEmissions([[[0.0], [0.0]], [[0.0], [1.0]]], [[1.0]])
    model = tr.FactorialHiddenMarkovModel([[0.5, 0.5]] * 2, [swap, [[0.5, 0.5]] * 2], emissions)
    rows = [0.3, 0.2, 1.0]
    post = infer(model, rows, method="structured")
    assert post.log_partition.lower > -np.inf and post.marginals["chain0"].tolist() == [[0.5, 0.5]] * 3
    found = infer(model, rows, method="mean_field").log_partition
    truth = tr.log_partition(model, rows).value
    assert found.lower <= truth <= found.upper


# ---------------------------------------------------------------- the price


def test_the_price_is_that_of_the_product_and_the_reason_is_explaining_away() -> None:
    small, large = random_model(0, (3,) * 3), random_model(0, (3,) * 18)
    plan = tr.plan(small, observed=500)
    assert plan.method == "joint forward-backward" and "3^3 = 27 states" in plan.why and "explaining away" in plan.why
    assert plan.flops == 5 * 500 * 27 * 9 and [p.query for p in tr.explain(small)] == ["marginals", "evidence", "map"]
    refused = tr.plan(large)
    assert refused.method is None and [(a.method, a.certificate) for a in refused.alternatives] == [
        ("structured", "bound"),
        ("mean_field", "bound"),
    ]
    assert refused.advice and tr.plan(large, observed=[1000, *refused.advice]).method == "joint forward-backward"
    rows = np.zeros((100, 2))
    with pytest.raises(tr.BudgetError, match="observing x_t joins the 18 chains"):
        infer(large, rows, memory="1GiB")
    with pytest.raises(ValueError, match="number of rows"):
        tr.plan(small, observed=[1.5])
    with pytest.raises(tr.ModelError, match="did you mean 'chain1'"):
        tr.plan(small, observed="chian1")
    post = infer(large, rows, method="structured")
    assert post.plan.method == "structured" and post.kl.kind == "bound" and post.kl.lower == 0 < post.kl.upper
    found = tr.log_likelihood(large, rows)
    assert found.kind == "bound" and found.lower < found.upper


def test_a_chain_that_is_known_leaves_the_others() -> None:
    model = random_model(6, (3, 2, 2))
    rows, path = tr.sample(model, 3, key=0), np.array([0, 2, 1])
    left = model.without([0])
    truth = enumerate_joint(model, rows)
    given = (truth.paths[:, :, 0] == path).all(1)
    log_p = np.logaddexp.reduce(truth.log_joint[given])
    p = model.starts[0][0] * model.transitions[0][0, 2] * model.transitions[0][2, 1]
    found = tr.log_partition(left, rows - model.emissions.contributions[0][path]).value + np.log(p)
    assert left.sizes == (2, 2) and found == pytest.approx(log_p, abs=1e-10)


# ---------------------------------------------------------------- learning


def data_of(seed: int = 0, n: int = 4) -> list[np.ndarray]:
    model = random_model(seed, (3, 2), d=3, noise=0.2, scale=2.0)
    return [gappy(tr.sample(model, 12 + 5 * i, key=i), i) for i in range(n)]


@pytest.mark.parametrize("posterior", ["exact", *METHODS])
def test_learning_climbs_and_the_identity_is_on_record(posterior: str) -> None:
    data = data_of()
    learner = tr.GeneralizedEM(posterior=posterior, tolerance=0)
    run = tr.fit(tr.factorial_hidden_markov(data, [3, 2], key=1), data, learner, epochs=12, progress=False)
    objective = np.array([step.objective for step in run.history])
    assert np.diff(objective).min() > -1e-10 and objective[-1] > objective[0] + 1
    for step in run.history:
        assert step.elbo and step.kl and step.kl.kind == "exact" and step.kl.value >= -1e-10
        assert step.elbo.value + step.kl.value == pytest.approx(step.train.value, abs=1e-8)
    assert run.history[-1].train.value == pytest.approx(tr.log_likelihood(run.model, data).value, abs=1e-9)
    assert (run.history[-1].kl.value > 1e-6) == (posterior != "exact")


def test_an_iteration_is_that_of_the_oracle() -> None:
    """Complete rows: W by least squares on the joint posterior of all states, then the covariance of what is left."""
    model = random_model(7, (2, 2), noise=0.8)
    rows = tr.sample(model, 4, key=2)
    truth = enumerate_joint(model, rows)
    design = np.concatenate([np.eye(2)[truth.paths[:, :, m]] for m in range(2)], axis=2).reshape(-1, 4)
    weight = np.repeat(truth.weights, 4)
    target = np.tile(rows - model.emissions.offset, (len(truth.paths), 1))
    root = np.sqrt(weight)[:, None]
    fitted = design @ np.linalg.lstsq(root * design, root * target, rcond=None)[0]
    covariance = ((target - fitted) * weight[:, None]).T @ (target - fitted) / 4
    found = tr.fit(model, rows, tr.EM(prior=0, tolerance=0), epochs=1, progress=False).model
    np.testing.assert_allclose(found.emissions.covariance, covariance, atol=1e-10)
    means = np.array([fitted[(design[:, 1] == a) & (design[:, 3] == b)][0] for a in (0, 1) for b in (0, 1)])
    np.testing.assert_allclose(found.emissions.means, means + model.emissions.offset, atol=1e-9)
    for m in range(2):
        counts = transitions(truth, m, 2)
        np.testing.assert_allclose(found.transitions[m], counts / counts.sum(1, keepdims=True), atol=1e-12)
        np.testing.assert_allclose(found.starts[m], marginals(truth, m, 2)[0], atol=1e-12)


def test_constraints_weights_blocks_and_keys() -> None:
    data = data_of(n=3)
    start = tr.factorial_hidden_markov(data, [3, 2], key=2)
    onward = tr.FactorialHiddenMarkovModel(
        [[1, 0, 0], [0.5, 0.5]], [[[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]], start.transitions[1]], start.emissions
    )
    exact: Any = {"prior": 0, "tolerance": 0}
    found = tr.fit(onward, data, tr.EM(**exact), epochs=4, progress=False).model
    assert (found.transitions[0][onward.transitions[0] == 0] == 0).all() and found.starts[0].tolist() == [1, 0, 0]
    twice = tr.fit(start, data, tr.EM(**exact), epochs=4, progress=False, weights=[2, 1, 0])
    again = tr.fit(start, [data[0], *data[:2]], tr.EM(**exact), epochs=4, progress=False)
    np.testing.assert_allclose(twice.model.vector(), again.model.vector(), atol=1e-8)
    for posterior in METHODS:
        learner = tr.GeneralizedEM(posterior=posterior, **exact)
        weighted = tr.fit(start, data, learner, epochs=1, progress=False, weights=[2, 1, 0])
        assert weighted.history[-1].objective > weighted.history[0].objective
    blocks = tr.fit(start, data, tr.IncrementalEM(n_blocks=2), epochs=5, progress=False)
    assert blocks.history[-1].train.value > blocks.history[0].train.value
    runs = [tr.fit(start, data, tr.EM(n_init=2), epochs=3, key=5, progress=False) for _ in range(2)]
    assert (runs[0].model.vector() == runs[1].model.vector()).all() and len(runs[0].objectives) == 2


def test_where_the_truth_costs_too_much_the_record_is_an_interval() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(30, 2))
    model = random_model(0, (3,) * 20)
    run = tr.fit(model, data, tr.GeneralizedEM(posterior="structured"), epochs=2, progress=False)
    for step in run.history:
        assert step.train.kind == "bound" and step.kl and step.elbo and step.kl.kind == "bound"
        assert step.train.lower == step.elbo.value and step.kl.upper == pytest.approx(
            step.train.upper - step.elbo.value
        )


@pytest.mark.parametrize("posterior", METHODS)
def test_a_fit_goes_on_from_its_checkpoint_to_the_same_bits(posterior: str, tmp_path: Any) -> None:
    """With the q it had: from anew, the ELBO might fall."""
    data, learner = data_of(n=2), tr.GeneralizedEM(posterior=posterior, tolerance=0)
    start = tr.factorial_hidden_markov(data, [3, 2], key=3)
    whole = tr.fit(start, data, learner, epochs=6, progress=False)
    kept: dict[str, Any] = {"progress": False, "checkpoint": str(tmp_path / "fit"), "resume": True}
    tr.fit(start, data, learner, epochs=3, **kept)
    again = tr.fit(start, data, learner, epochs=6, **kept)
    assert again.model.vector().tolist() == whole.model.vector().tolist()


def test_a_far_row_alone_is_learned_from() -> None:
    """A sequence of one row that only logarithms hold: there is no transition to count."""
    model, far = random_model(0, (2, 3)), np.full((1, 2), 60.0)
    truth = enumerate_joint(model, far)
    found = tr.fit(model, [far, far], tr.EM(prior=0.5), epochs=1, progress=False)
    assert found.history[0].train.value == pytest.approx(truth.log_p, rel=1e-12)


# ---------------------------------------------------------------- files, and what is refused


def test_a_model_reads_back_bit_for_bit(tmp_path: Any) -> None:
    model = random_model(0, (3, 2))
    tr.save(model, tmp_path / "m.safetensors")  # type: ignore[arg-type]
    again: Any = tr.load(tmp_path / "m.safetensors")
    assert again.sizes == (3, 2) and again.vector().tolist() == model.vector().tolist()


def test_what_is_no_model_and_no_data_is_named() -> None:
    model = random_model(0, (2, 2))
    e = model.emissions
    for make, said in (
        (lambda: tr.FactorialHiddenMarkovModel(model.starts[:1], model.transitions, e), "2 chains, there are 1 starts"),
        (lambda: tr.FactorialHiddenMarkovModel([[0.5, 0.6], [1, 0]], model.transitions, e), r"starts\[0\] must sum"),
        (lambda: tr.AdditiveGaussianEmissions([], np.eye(2)), "empty"),
        (lambda: tr.AdditiveGaussianEmissions(e.contributions, -np.eye(2)), "positive definite"),
        (lambda: tr.AdditiveGaussianEmissions([np.zeros((2, 3))], np.eye(2)), r"contributions\[0\]"),
        (lambda: infer(model, None), "needs a sequence"),
        (lambda: infer(model, np.array([[0.0, 1.0], [np.inf, 0.0]])), "row 1, column 0"),
        (lambda: infer(model, np.zeros((3, 1))), "1 columns, the model has 2"),
        (lambda: tr.condition(model, [np.zeros((2, 2))] * 2), "one sequence"),
        (lambda: tr.sample(model, 1, evidence=[np.zeros((2, 2))] * 2), "expected one sequence"),
        (lambda: tr.fit(model, np.zeros((4, 2)), tr.GeneralizedEM(posterior=2)), "exact, hard, structured, mean_field"),
        (lambda: tr.factorial_hidden_markov(np.zeros((4, 2)), []), "at least 1"),
        (lambda: tr.factorial_hidden_markov(np.full((4, 2), np.nan), [2]), "every entry is missing"),
        (lambda: infer(model, np.zeros((2, 2))).joint(["chain0"]), "not tabulated"),
    ):
        with pytest.raises(tr.ModelError, match=said):
            make()
    with pytest.raises(ValueError, match="did you mean 'structured'"):
        infer(model, np.zeros((2, 2)), method="structred")


@pytest.mark.parametrize("shape", ["one row", "constant", "more states than rows"])
def test_awkward_data_give_finite_numbers(shape: str) -> None:
    rng = np.random.default_rng(1)
    rows = {"one row": rng.normal(size=(1, 2)), "constant": np.ones((9, 2))}.get(shape, rng.normal(size=(3, 2)))
    for posterior in ("exact", *METHODS):
        start = tr.factorial_hidden_markov(rows, [4, 2], key=0)
        run = tr.fit(start, rows, tr.GeneralizedEM(posterior=posterior), epochs=10, progress=False)
        assert np.isfinite(run.model.vector()).all() and np.isfinite(run.history[-1].train.value)
