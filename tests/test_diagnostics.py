"""Diagnostics of chains against processes whose autocorrelation is known."""

from __future__ import annotations

import numpy as np
import pytest

import tractable as tr
from tractable.evaluate import autocorrelation_time, diagnose, effective_sample_size, split_r_hat, traces

RNG = np.random.default_rng


def autoregressive(rho: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Stationary chains x_t = ρ x_(t−1) + √(1 − ρ²) ε: τ = (1 + ρ)/(1 − ρ)."""
    noise = rng.normal(size=shape)
    x = np.empty(shape)
    x[:, 0] = noise[:, 0]
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return x


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_a_known_process(rho: float) -> None:
    x = autoregressive(rho, (8, 20_000), RNG(0))
    assert autocorrelation_time(x) == pytest.approx((1 + rho) / (1 - rho), rel=0.1)


def test_the_standard_error_is_that_of_the_mean() -> None:
    rng = RNG(1)
    found = [diagnose(autoregressive(0.8, (4, 2000), rng)) for _ in range(200)]
    z = np.array([d.mean / d.std_error for d in found])
    assert np.std(z) == pytest.approx(1, abs=4 / np.sqrt(2 * len(z)))  # four standard errors of a standard deviation


def test_independent_draws_are_worth_their_number_and_agree() -> None:
    x = RNG(2).normal(size=(4, 5000, 3))
    found = diagnose(x)
    assert found.converged
    assert found.effective.shape == (3,)
    assert found.effective == pytest.approx(np.full(3, 20_000), rel=0.1)
    assert (found.r_hat < 1.005).all()


def test_r_hat_by_its_closed_form() -> None:
    """For many long chains with means spread by s around unit variance, normal scores keep √(1 + s²) to first order."""
    rng = RNG(3)
    x = rng.normal(size=(400, 500)) + 0.3 * rng.normal(size=(400, 1))
    assert split_r_hat(x) == pytest.approx(np.sqrt(1 + 0.09), abs=0.01)


@pytest.mark.parametrize("kind", ["shifted", "drifting", "wider"])
def test_chains_that_disagree_are_seen(kind: str) -> None:
    x = RNG(4).normal(size=(4, 1000))
    if kind == "shifted":
        x[0] += 1
    elif kind == "drifting":
        x = x + np.linspace(0, 2, 1000)  # every chain alike: only its halves differ
    else:
        x[0] *= 3  # the same mean: only the tails differ
    found = diagnose(x)
    assert found.verdict.startswith("chains disagree: R-hat 1.")
    assert not found.converged


def test_heavy_tails_do_not_hide_a_shift() -> None:
    x = RNG(5).standard_cauchy(size=(4, 1000))
    assert split_r_hat(x) < 1.01
    x[0] += 2
    assert split_r_hat(x) > 1.05


def test_the_worst_entry_is_named() -> None:
    x = RNG(6).normal(size=(4, 1000, 2, 2))
    x[0, :, 1, 0] += 3
    assert "at entry 1, 0" in diagnose(x).verdict
    assert diagnose(RNG(7).normal(size=(2, 20))).verdict.startswith("too few independent draws")


def test_draws_that_never_change() -> None:
    for value in (1.0, 0.1, 1 / 3, -7e250):  # the mean of copies need not be the same number, nor their variance zero
        draws = np.full((300, 10), value)
        assert np.isnan(split_r_hat(draws)) and np.isnan(effective_sample_size(draws))
        assert not diagnose(draws).converged and diagnose(draws).verdict.startswith("draws never change: ")
    assert split_r_hat(np.repeat([[0.0], [0.1]], 10, axis=1)) == np.inf
    assert split_r_hat(np.repeat([[0.1], [0.7]], 10, axis=1)) == np.inf


def test_one_constant_among_others_is_named() -> None:
    x = RNG(5).normal(size=(4, 1000, 3))
    x[:, :, 1] = 0.1
    found = diagnose(x)
    assert not found.converged and "at entry 1" in found.verdict
    assert np.isfinite(found.effective[[0, 2]]).all() and np.isnan(found.std_error[1])


def test_spins_vary_though_their_distance_from_the_median_does_not() -> None:
    assert diagnose(RNG(8).choice([-1.0, 1.0], (4, 1000))).converged


def test_draws_whose_squares_overflow_or_vanish() -> None:
    x = RNG(9).normal(size=(4, 1000))
    plain = diagnose(x)
    for unit in (1e300, 1e-200):
        found = diagnose(unit * x)
        assert found.verdict == plain.verdict
        np.testing.assert_allclose(found.std_error, unit * plain.std_error, rtol=1e-9)
        np.testing.assert_allclose(found.effective, plain.effective, rtol=1e-9)


def test_unusable_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least four"):
        diagnose(np.zeros((4, 3)))
    for measure in (diagnose, split_r_hat, effective_sample_size):
        for value in (np.nan, np.inf, -np.inf):
            x = RNG(1).normal(size=(2, 10))
            x[1, 3] = value
            with pytest.raises(ValueError, match=f"not finite, the first {value}, draw 3 of chain 1"):
                measure(x)
        with pytest.raises(ValueError, match="at least four"):
            measure(np.zeros((0, 10)))


def test_arviz_finds_the_same() -> None:
    stats = pytest.importorskip("arviz_stats")
    found = traces(tr.restricted(4, 3, key=1), n_chains=4, n_sweeps=80)
    tree = found.to_arviz()
    r_hat, effective = stats.rhat(tree, method="rank"), stats.ess(tree, method="mean")
    for own, theirs in ((found.diagnosis.r_hat, r_hat), (found.diagnosis.effective, effective)):
        np.testing.assert_allclose(own, [float(theirs[name]) for name in found.names], rtol=1e-6)
