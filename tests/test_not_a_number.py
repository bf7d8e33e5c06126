"""What is not a number passes no check: no verdict is better for it, and no end of an interval rests on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tractable.evaluate import Annealing, anneal, annealed_rows, diagnose, pseudo_log_likelihood
from tractable.evaluate import certified as annealed
from tractable.evaluate.diagnostics import _verdict
from tractable.evaluate.sampled import Tally
from tractable.evaluate.starts import Starts
from tractable.models import ModelError, restricted
from tractable.posterior import Certificate
from tractable.posterior.approximate.layers import by_weights
from tractable.posterior.approximate.mean_field import MeanField, best_of
from tractable.posterior.tempering import bounds
from tractable.posterior.tempering.verdicts import against_exchange

FINE = {
    "gap": 0.0,
    "gap_error": 0.01,
    "overlap": 1.0,
    "forward_effective": 200.0,
    "reverse_effective": 200.0,
    "forward_tail": -np.inf,
    "reverse_tail": 0.3,
}
EXCHANGE = {"exchange": 0.01, "exchange_error": 0.02, "round_trips": 40.0}
FEW = {"forward_effective": 100.0, "reverse_effective": 100.0}
"""Where tails count."""

RUNS = np.random.default_rng(0).normal(scale=0.1, size=128)


def test_checks_that_pass_are_the_ones_spoilt_below() -> None:
    assert annealed._reasons(FINE, (256, 256)) == [] and set(FINE | EXCHANGE) == set(annealed.CHECKS)
    assert against_exchange(0.01, (0.02, 0.01), 40.0) == []


@pytest.mark.parametrize("check", FINE)
def test_no_check_is_passed_by_what_is_no_number(check: str) -> None:
    assert annealed._reasons(FINE | FEW | {check: np.nan}, (256, 256))


@pytest.mark.parametrize("spoilt", range(4))
def test_nor_does_replica_exchange(spoilt: int) -> None:
    apart, own, other, trips = (np.nan if i == spoilt else good for i, good in enumerate((0.01, 0.02, 0.01, 40.0)))
    assert against_exchange(apart, (own, other), trips)
    assert against_exchange(apart, (own, other), trips, np.nan)


@pytest.mark.parametrize("worth", [0.1, -0.3, 1 / 3])
def test_equal_weights_are_worth_all_of_them_up_to_rounding(worth: float) -> None:
    """Their effective number exceeds their number by rounding, which is a variance below zero."""
    rounded = [n for n in range(2, 300) if 1 / bounds.effective_sample_size(np.full(n, worth)) < 1 / n]
    assert rounded
    for n in rounded[:9]:
        found, checks = annealed.certified(
            (np.full(n, worth), np.full(n, 5 - worth)), 0.0, 0.95, Starts({}, "", False), None
        )
        assert checks["gap_error"] >= 0
        assert found.verdict and found.verdict.startswith("unreliable: forward and reverse disagree by 5 nats")


@pytest.mark.parametrize(
    ("worth", "side"), [(np.nan, 0), (np.inf, 0), (np.nan, 1), (np.inf, 1), (-np.inf, 1)]
)  # a chain that does not count has −∞ forward
def test_runs_without_finite_work_say_nothing(worth: float, side: int) -> None:
    runs = [RUNS.copy(), RUNS.copy()]
    runs[side][3] = worth
    found, checks = annealed.certified((runs[0], runs[1]), 0.0, 0.95, Starts({}, "", False), None)
    assert found.verdict and found.verdict.startswith("unreliable: the work of 1 of 256 runs is not finite")
    assert np.isnan(found.value) and (found.lower, found.upper) == (-np.inf, np.inf)
    assert set(checks) == set(annealed.CHECKS)


def test_a_machine_beyond_single_precision_is_annealed_in_double_and_one_beyond_that_refused() -> None:
    model, settings = restricted(couplings=np.full((3, 30), 3e38)), Annealing(n_chains=8, max_temperatures=10)
    found = anneal(model, data=np.ones((5, 3)), settings=settings).log_partition
    assert found.value == pytest.approx(90 * 3e38)
    with pytest.raises(ModelError, match="so large that log Z overflows"):
        anneal(restricted(couplings=np.full((3, 30), 3e307)))


def test_bounds_of_what_is_no_number_are_infinite() -> None:
    w = np.array([0.0, np.nan, 0.0])
    with np.errstate(invalid="ignore"):
        assert bounds.log_mean_lower(w, 0.05) == -np.inf
        assert bounds.log_ratio_lower(w, np.zeros(3), 0.05) == -np.inf
        assert bounds.log_ratio_lower(np.zeros(3), w, 0.05) == -np.inf
        assert np.isnan(bounds.acceptance_ratio(np.zeros(3), w).overlap)


def test_chains_do_not_converge_by_measures_that_are_no_numbers() -> None:
    one, many = np.array([np.nan]), np.array([1.0, np.nan])
    assert _verdict(one, np.array([1e3])) == "chains disagree: R-hat nan; run longer chains"
    assert "nan at entry 1" in _verdict(many, np.array([1e3, 1e3]))
    assert _verdict(np.ones(2), np.array([1e3, np.nan])).startswith("too few independent draws: nan at entry 1")
    for value in (0.1, -0.0, 1e300):
        assert not diagnose(np.full((400, 1000), value)).converged


def test_rows_whose_weights_are_no_numbers_are_named() -> None:
    w = np.random.default_rng(0).normal(size=(3, 64))
    w[1, 5] = np.nan
    with np.errstate(invalid="ignore"):
        found = by_weights(w)
        tally = Tally(64)
        tally.add(w)
        mean = tally.result(0.95)
    assert found.lower[1] == -np.inf and np.isfinite(found.lower[[0, 2]]).all()
    for verdict in (found.verdict, mean.per_row.verdict):
        assert verdict and verdict.startswith("unreliable: the value of 1 of 3 rows is not a number")
    assert mean.lower == -np.inf and str(mean.verdict).startswith("unreliable: the value is not a number; a lower")
    assert annealed_rows._verdict(np.array([20.0, np.nan])).endswith("use more temperatures")


@pytest.mark.parametrize(
    ("said", "then"),
    [(None, ""), ("reliable", ""), ("low", "; low"), ("unreliable: x", None)],
)
def test_no_certificate_of_what_is_no_number_is_reliable(said: Any, then: str | None) -> None:
    found = Certificate(np.nan, np.nan, np.nan, "bound", verdict=said)
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert found.verdict == (said if then is None else f"unreliable: the value is not a number{then}")


@pytest.mark.parametrize("error", [np.nan, -1.0, np.array([0.1, np.nan])])
def test_nor_one_whose_standard_error_is_none(error: Any) -> None:
    value = np.zeros(np.shape(error))
    found = Certificate(value, value - 1, value + 1, "probabilistic", 0.95, error, "reliable")
    assert str(found.verdict).startswith("unreliable: the standard error")
    assert "1 of 2 rows" in str(found.verdict) or not np.ndim(error)
    fine = Certificate(0.0, -1.0, 1.0, "probabilistic", 0.95, np.inf, "reliable")  # says what is so
    assert fine.verdict == "reliable"


@pytest.mark.parametrize("confidence", [np.nan, -0.1, 95])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(ValueError, match="a confidence is a probability between 0 and 1, got"):
        Certificate(0.0, -1.0, 1.0, "probabilistic", confidence)


def test_of_several_starts_one_that_is_no_number_is_not_the_best() -> None:
    value = np.array([1.0, np.nan, 2.0, np.nan, np.nan, -3.0])
    found = best_of(
        MeanField({"visible": np.arange(6.0)[:, None]}, Certificate(value, value, value, "bound"), 1, 0.0), 3
    )
    assert found.log_partition.value.tolist() == [2.0, -3.0]
    assert found.means["visible"].ravel().tolist() == [2.0, 5.0]


def test_every_unit_is_no_sample_of_them() -> None:
    """A share of one has no error, however few units there are."""
    found = pseudo_log_likelihood(restricted(couplings=[[0.5, -1.0]]), [[0], [1]], n_units=1)
    assert found.kind == "exact" and found.lower == found.value == found.upper
