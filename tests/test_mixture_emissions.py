"""Emissions that are mixtures: the same model written out with one component (or state) for each part is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chains_oracle import enumerate_paths

import tractable as tr
from tractable.models.emissions import KINDS

K, M = 2, 3
MIXED = {"gaussian": [0, 2], "poisson": [1]}
KINDS_AND_MIXED = [*KINDS, "mixed"]


def rows_of(kind: str, n: int = 40, missing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3)) + 2.0 * rng.integers(0, 4, n)[:, None]
    whole = {"bernoulli": x > 3, "categorical": np.clip(np.round(x), 0, 3), "poisson": np.maximum(np.round(x), 0)}
    x = np.asarray(whole.get(kind, x), np.float64)
    x[:, 1] = whole["poisson"][:, 1] if kind == "mixed" else x[:, 1]
    return np.where(rng.random(x.shape) < missing, np.nan, x)


def emissions_of(kind: str) -> tr.MixtureEmissions:
    """Parts that differ from each other."""
    found: Any = tr.mixture(rows_of(kind, 60), K, MIXED if kind == "mixed" else kind, n_parts=M, key=1).emissions
    assert isinstance(found, tr.MixtureEmissions)
    return found


def mixtures_of(kind: str) -> tuple[tr.Mixture, tr.Mixture]:
    """A mixture of mixtures, and the same as one mixture of K M components."""
    own, outer = emissions_of(kind), np.array([0.3, 0.7])
    return tr.Mixture(outer, own), tr.Mixture((outer[:, None] * own.weights).ravel(), own.parts)


def expanded(model: tr.HiddenMarkovModel) -> tr.HiddenMarkovModel:
    """A state for each part."""
    own: Any = model.emissions
    start = (model.first[:, None] * own.weights).ravel()
    return tr.HiddenMarkovModel(
        start, np.repeat(model.transition, M, axis=0).repeat(M, 1) * own.weights.ravel(), own.parts
    )


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_a_mixture_of_mixtures_is_a_mixture(kind: str) -> None:
    (nested, flat), x = mixtures_of(kind), rows_of(kind)
    np.testing.assert_allclose(tr.log_evidence(nested, x).value, tr.log_evidence(flat, x).value, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tr.impute(nested, x), tr.impute(flat, x), atol=1e-10)
    np.testing.assert_allclose(tr.transform(nested, x), tr.transform(flat, x).reshape(-1, K, M).sum(2), atol=1e-12)
    left, plain = (
        tr.condition(model, [x[0, 0] if x[0, 0] == x[0, 0] else 1.0, np.nan, np.nan]) for model in (nested, flat)
    )
    assert left.offset == pytest.approx(plain.offset, rel=1e-12)
    rest = np.array([[1.0, 0.0], [np.nan, 1.0]])
    np.testing.assert_allclose(tr.log_evidence(left, rest).value, tr.log_evidence(plain, rest).value, rtol=1e-10)
    np.testing.assert_allclose(nested.weights @ nested.free.means, flat.weights @ flat.free.means, rtol=1e-12)
    assert nested.n_parameters == flat.n_parameters


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_an_iteration_of_em_is_that_of_the_flat_mixture_and_never_goes_down(kind: str) -> None:
    (nested, flat), x = mixtures_of(kind), rows_of(kind)
    runs = [tr.fit(model, x, tr.EM(tolerance=0), epochs=4, progress=False) for model in (nested, flat)]
    found: Any = runs[0].model
    np.testing.assert_allclose(
        (found.weights[:, None] * found.free.weights).ravel(), runs[1].model.weights, rtol=1e-9, atol=1e-12
    )
    for name, array in runs[1].model.free.arrays().items():
        np.testing.assert_allclose(found.free.arrays()[f"parts.{name}"], array, rtol=1e-8, atol=1e-9)
    assert np.diff([step.objective for step in runs[0].history]).min() >= -1e-12


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "mixed"])
def test_states_that_are_mixtures_are_several_states(kind: str) -> None:
    model = tr.HiddenMarkovModel([0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]], emissions_of(kind))
    x, wide = rows_of(kind, 30), expanded(model)
    parts = [x[:10], x[10:11], x[11:]]
    np.testing.assert_allclose(tr.log_partition(model, parts).value, tr.log_partition(wide, parts).value, rtol=1e-12)
    np.testing.assert_allclose(tr.impute(model, x), tr.impute(wide, x), atol=1e-10)
    run = tr.fit(model, parts, tr.EM(tolerance=0), epochs=6, progress=False)
    assert np.diff([step.objective for step in run.history]).min() >= -1e-12
    assert run.history[-1].objective > run.history[0].objective + 1e-3
    drawn = tr.sample(model, 20_000, key=3)
    np.testing.assert_allclose(drawn.mean(0), np.array([0.6, 0.4]) @ model.emissions.means, atol=0.2)


def test_the_m_step_is_that_of_all_paths() -> None:
    """Six states of which three share transitions: weights, means and variances from the posterior of their paths."""
    own = tr.MixtureEmissions(
        [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], tr.DiagonalGaussianEmissions([[float(i)] for i in range(6)], [[3.0]] * 6)
    )
    model, x = (
        tr.HiddenMarkovModel([0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]], own),
        np.array([[0.4], [2.1], [4.4], [3.0], [9.0]]),
    )
    wide = expanded(model)
    truth = enumerate_paths(wide.first, wide.transition, wide.log_likelihoods(x))
    assert truth is not None
    counts = truth.marginals.sum(0)
    means = truth.marginals.T @ x / counts[:, None]
    variances = truth.marginals.T @ x**2 / counts[:, None] - means**2
    found: Any = tr.fit(model, x, tr.EM(tolerance=0, prior=0), epochs=1, progress=False).model
    np.testing.assert_allclose(
        found.emissions.weights, counts.reshape(K, M) / counts.reshape(K, M).sum(1)[:, None], atol=1e-12
    )
    np.testing.assert_allclose(found.emissions.parts.locations, means, atol=1e-12)
    np.testing.assert_allclose(found.emissions.parts.variances, variances, atol=1e-12)
    pairs = truth.transitions.reshape(K, M, K, M).sum((1, 3))
    np.testing.assert_allclose(found.transition, pairs / pairs.sum(1, keepdims=True), atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("covariance", ["full", "diag", "spherical"])
def test_iterates_are_those_of_hmmlearn(covariance: str) -> None:
    """A step of GMMHMM takes squares about the old means, which is no EM; about the new ones they are smaller.

    Its tied covariances are one for each state, ours one for all.
    """
    kind = {"full": "gaussian", "diag": "diagonal"}.get(covariance, covariance)
    data = tr.Sequences(rows_of("gaussian", 90, missing=0), [50, 10, 30])
    model: Any = tr.hidden_markov(data, K, kind, n_parts=M, key=2)
    for _ in range(4):
        peer = peer_step(model, covariance, data)
        found: Any = tr.fit(model, data, tr.EM(tolerance=0, prior=0), epochs=1, progress=False).model
        parts = found.emissions.parts
        moved = (parts.means - model.emissions.parts.means).reshape(K, M, -1)
        square = {"gaussian": moved[..., None] * moved[..., None, :], "diagonal": moved**2}.get(
            kind, (moved**2).mean(-1)
        )
        np.testing.assert_allclose(found.transition, peer.transmat_, atol=1e-6)
        np.testing.assert_allclose(found.first, peer.startprob_, atol=1e-6)
        np.testing.assert_allclose(found.emissions.weights, peer.weights_, atol=1e-6)
        np.testing.assert_allclose(parts.means.reshape(K, M, -1), peer.means_, atol=1e-6)
        np.testing.assert_allclose(spread_of(parts), peer.covars_ - square, atol=1e-6)
        model = found


def spread_of(parts: Any) -> np.ndarray:
    spread = parts.arrays().get("covariances", parts.arrays().get("variances"))
    return spread.reshape(K, M, *spread.shape[1:])


def peer_step(model: Any, covariance: str, data: tr.Sequences) -> Any:
    """hmmlearn's model after one iteration from the same parameters, its priors flat."""
    hmm, own = pytest.importorskip("hmmlearn.hmm"), model.emissions
    prior = {"full": (0.0, -5.0), "diag": (-1.5, 0.0), "spherical": (-2.5, 0.0)}[covariance]
    priors = {"covars_prior": prior[0], "covars_weight": prior[1]}
    peer = hmm.GMMHMM(K, M, covariance_type=covariance, n_iter=1, init_params="", min_covar=0, **priors)
    peer.startprob_, peer.transmat_, peer.weights_ = model.first, model.transition, own.weights
    peer.means_, peer.covars_ = own.parts.means.reshape(K, M, -1), spread_of(own.parts)
    return peer.fit(data.rows, data.sizes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda e: tr.MixtureEmissions([[0.5, 0.5], [0.5, 0.4]], e), "row 1 of weights sums to 0.9"),
        (lambda e: tr.MixtureEmissions([[0.5, 0.5]], e), "need 2 parts"),
        (lambda e: tr.MixtureEmissions([[1.5, -0.5], [0.5, 0.5]], e), "≥ 0"),
        (
            lambda e: tr.MixtureEmissions([[1.0, 0], [0.5, 0.5]], e).check([[2.0]]),
            "row 0, column 0: the value 2.0 is not 0 or 1",
        ),
        (lambda e: tr.MixtureEmissions.pooled([[1.0]], 2), "emissions_for"),
        (lambda e: tr.mixture([[1.0]], 2, "bernoulli", n_parts=0), "parts must be at least 1"),
    ],
)
def test_what_is_no_mixture_is_refused(make: Any, said: str) -> None:
    with pytest.raises(tr.ModelError, match=said):
        make(tr.BernoulliEmissions([[0.5], [0.2], [0.1], [0.9]]))
