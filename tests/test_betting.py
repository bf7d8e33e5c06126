"""Bets on weights: against capital counted draw by draw, widths, extremes, bad input."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

from tractable.plan.interval_memory import LEVELS, POINTS, record_bytes
from tractable.plan.outlook import draws_for, log_width, share_width
from tractable.posterior.approximate import betting
from tractable.posterior.approximate.betting import CUTS, LOG_PARTS, RUNGS, TUNED, Bets
from tractable.posterior.approximate.tallies import WeightTally, grid

Sampler = Callable[[np.random.Generator, int], np.ndarray]

FAMILIES: dict[str, Sampler] = {
    "narrow": lambda r, n: np.minimum(0, np.log(0.83) + np.log1p(0.05 * r.normal(size=n))),
    "nearly constant": lambda r, n: np.log(0.83) + np.log1p(0.001 * r.normal(size=n)),
    "gap of 10": lambda r, n: np.minimum(0, -10.5 + r.normal(size=n)),
    "zeros": lambda r, n: np.where(r.random(n) < 0.93, -np.inf, -1.0 - r.exponential(size=n)),
    "heavy": lambda r, n: np.minimum(0, -8 + 2 * r.normal(size=n)),
    "uniform": lambda r, n: np.log1p(-r.random(n)),
    "near the bound": lambda r, n: -1e-6 * r.exponential(size=n),
    "atoms": lambda r, n: -np.array([0, 0.1, 1, 2, 3, 9.0])[r.integers(6, size=n)],
}


def recorded(log_weights: np.ndarray, horizon: int | None = None, batch: int = 4096, **given: np.ndarray) -> Bets:
    """A record of draws; `labels` of two states, `values`."""
    labels, values = given.get("labels"), given.get("values")
    sizes = [] if labels is None else [max(2, int(row.max(initial=0)) + 1) for row in labels]
    bets = Bets(sizes, horizon or len(log_weights), 0 if values is None else len(values))
    for i in range(0, len(log_weights), batch):
        at = slice(i, i + batch)
        bets.add(log_weights[at], *(None if a is None else a[:, at] for a in (labels, values)))
    return bets


# ---------------------------------------------------------------------------- draw by draw


def stakes_of(n: int, level: float, mean_g2: Callable[[int], float]) -> np.ndarray:
    """Tuned stakes of each draw, from the draws before the last change."""
    stakes = np.zeros(n)
    for cut in (max(16, math.ceil(n * share)) for share in CUTS):
        stakes[cut:] = min(0.98, math.sqrt(2 * math.log(1 / level / TUNED) / (n * mean_g2(cut) + 1e-300)))
    return stakes


def log_capital(gains: np.ndarray, tuned: np.ndarray) -> float:
    parts = [np.log1p(stake * gains).sum() for stake in (tuned, *RUNGS)]
    return float(np.logaddexp.reduce(LOG_PARTS + parts))


def last_rejected(
    gains: Callable[[float], np.ndarray], tuned: np.ndarray, ends: tuple[float, float], level: float
) -> float:
    """By bisection between a rejected candidate and one that is kept."""
    out, kept = ends
    for _ in range(60):
        middle = (out + kept) / 2
        out, kept = (middle, kept) if log_capital(gains(middle), tuned) >= math.log(1 / level) else (out, middle)
    return out


def plain_log_mean(log_x: np.ndarray, level: float) -> np.ndarray:
    def lower(log_x: np.ndarray) -> float:
        x, top = np.exp(log_x), log_x.max()
        tuned = stakes_of(len(x), level / 2, lambda cut: float(np.var(x[:cut]) / np.mean(x[:cut]) ** 2))
        return last_rejected(lambda t: np.expm1(log_x - t), tuned, (top - 40, top), level / 2)

    with np.errstate(divide="ignore"):
        return np.array([lower(log_x), np.log(-np.expm1(lower(np.log(-np.expm1(log_x)))))])


def plain_share(x: np.ndarray, h: np.ndarray, level: float) -> float:
    """The lower end of E[X h]/E[X]."""

    def mean_g2(cut: int) -> float:
        p = np.sum(x[:cut] * h[:cut]) / np.sum(x[:cut])
        return float(np.mean((x[:cut] * (h[:cut] - p) / p) ** 2)) if p > 0 else np.inf

    tuned = stakes_of(len(x), level, mean_g2)
    return math.exp(last_rejected(lambda t: x * (h * np.exp(-t) - 1), tuned, (-30.0, 0.0), level))


def bernstein(x: np.ndarray, level: float) -> np.ndarray:
    """The empirical Bernstein interval of Maurer and Pontil (2009), for a number of draws fixed in advance."""
    log = math.log(4 / level)
    off = math.sqrt(2 * np.var(x, ddof=1) * log / len(x)) + 7 * log / (3 * (len(x) - 1))
    return np.clip([x.mean() - off, x.mean() + off], 0, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bounded_memory_costs_little_width(family: str) -> None:
    n = 20_000
    log_x = FAMILIES[family](np.random.default_rng(1), n)
    found, plain = recorded(log_x).log_mean(0.05), plain_log_mean(log_x, 0.05)
    assert found.lower < found.value < found.upper
    np.testing.assert_allclose(found.value, np.log(np.exp(log_x).mean()), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.lower - found.value, plain[0] - found.value, rtol=0.08)
    np.testing.assert_allclose(found.upper - found.value, plain[1] - found.value, rtol=0.08)
    assert found.upper - found.lower < 1.05 * (plain[1] - plain[0])
    with np.errstate(divide="ignore"):
        assert found.upper - found.lower < np.diff(np.log(bernstein(np.exp(log_x), 0.05)))


def test_shares_and_means_cost_little_width() -> None:
    n, r = 20_000, np.random.default_rng(2)
    z = r.normal(size=n)
    log_x, x = np.minimum(0, -2 + z), np.exp(np.minimum(0, -2 + z))
    labels = np.stack([z > 0.5, r.random(n) < 0.02, np.searchsorted([-1, 0, 1.5], z)]).astype(np.uint8)
    values = np.stack([1 / (1 + np.exp(-z)), r.random(n)])
    bets = recorded(log_x, labels=labels, values=values)
    found, ends = bets.shares(0.05), []
    for row, label in [(0, 0), (1, 0), *((2, label) for label in range(4))]:
        event = (labels[row] == label).astype(float)
        ends.append((plain_share(x, event, 0.05 / 12), 1 - plain_share(x, 1 - event, 0.05 / 12)))
    events, plain = [0, 2, 4, 5, 6, 7], np.array(ends).T
    np.testing.assert_allclose((found.upper - found.lower)[events], plain[1] - plain[0], rtol=0.05)
    np.testing.assert_allclose(found.lower[events], plain[0], atol=0.03 * np.max(plain[1] - plain[0]))
    np.testing.assert_allclose(found.lower[[1, 3]], 1 - found.upper[[0, 2]], rtol=1e-12)
    np.testing.assert_allclose(found.value[:2], [np.sum(x * (z <= 0.5)) / x.sum(), np.sum(x * (z > 0.5)) / x.sum()])
    means, plain = bets.means(0.05), [(plain_share(x, v, 0.0125), 1 - plain_share(x, 1 - v, 0.0125)) for v in values]
    np.testing.assert_allclose(means.value, values @ x / x.sum(), rtol=1e-10)
    np.testing.assert_allclose(means.upper - means.lower, np.diff(plain)[:, 0], rtol=0.05)
    one = bets.mean_of(2, [1.0, 3, 3, 5], 0.025)
    f = np.array([0, 0.5, 0.5, 1])[labels[2]]
    plain = [1 + 4 * plain_share(x, f, 0.0125), 5 - 4 * plain_share(x, 1 - f, 0.0125)]
    np.testing.assert_allclose([one.lower, one.upper], plain, rtol=0.01)


@sweep(30)
@given(st.integers(0, 2**32), st.floats(0.001, 0.98), st.floats(1e-4, 0.9999))
def test_capital_of_the_tally_is_never_larger(seed: int, stake: float, m: float) -> None:
    """Whatever the grid: here it is chosen from other weights."""
    r, n = np.random.default_rng(seed), 50
    log_x = np.where(r.random(n) < 0.2, -np.inf, -(10 ** r.uniform(-6, 2)) * r.exponential(size=n))
    log_x = log_x[log_x > -np.inf]
    tally = WeightTally(-r.exponential(size=int(r.integers(0, 300))), np.array([0]), 1)
    draws = betting.Drawing(0, log_x, np.empty((0, len(log_x)), np.uint8), r.random((1, len(log_x))))
    tally.add(draws)
    x, points, h, level = np.exp(log_x), np.exp(tally.points), draws.values[0], np.linspace(0, 1, LEVELS)[:, None]
    for own, gains in (
        (x / m - 1, points / m - 1),
        ((m - x) / (1 - m), (m - points) / (1 - m)),
        (x * (h - m) / m, points * (level - m) / m),
    ):
        mass = tally.mass[0, 0] if gains.ndim == 1 else tally.value_mass[0, 0]
        assert np.sum(mass * np.log1p(stake * gains)) <= np.log1p(stake * own).sum() + 1e-9


# ---------------------------------------------------------------------------- the past


def test_stakes_know_only_the_past() -> None:
    r, n = np.random.default_rng(3), 4000
    log_x, labels = np.log(r.random(n)), r.integers(0, 3, (1, n))
    other_x, other = np.r_[log_x[:1000], -r.exponential(size=n - 1000)], labels.copy()
    other[:, 1000:] = 0
    one, two = recorded(log_x, labels=labels), recorded(other_x, labels=np.maximum(other, labels * 0))
    for a, b in zip(one._past, two._past, strict=True):
        for ours, theirs in zip(a.moments, b.moments, strict=True):
            np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------------------- widths to come


@pytest.mark.parametrize("family", FAMILIES)
def test_widths_are_foreseen(family: str) -> None:
    n = 20_000
    bets = recorded(FAMILIES[family](np.random.default_rng(4), n))
    found, spread = bets.log_mean(0.05), bets.moments.spreads[0]
    foreseen = log_width(n, -found.value, spread, 0.05)
    assert 0.85 < (found.upper - found.lower) / foreseen < 1.2
    assert draws_for(foreseen, -found.value, spread, 0.05) == pytest.approx(n, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("p", [0.5, 0.02])
def test_widths_of_shares_are_foreseen(family: str, p: float) -> None:
    n, r = 20_000, np.random.default_rng(15)
    bets = recorded(FAMILIES[family](r, n), labels=(r.random((1, n)) < p).astype(np.uint8))
    found, spread = bets.shares(0.05), bets.moments.spreads[0]
    foreseen = share_width(n, p, -bets.log_mean(0.05).value, spread, 0.05)
    assert 0.8 < (found.upper - found.lower)[0] / foreseen < 1.4  # the skewness of heavy tails is not foreseen


def test_widths_fall_with_the_draws() -> None:
    for gap in (0.0, 1e-9, 0.3, 20, 700, 5000):
        widths = [log_width(n, gap, 2.0, 0.05) for n in 10.0 ** np.arange(1, 12)]
        assert all(a > b > 0 for a, b in itertools.pairwise(widths))
    assert log_width(0, 1.0, 1.0, 0.05) == log_width(10, np.inf, np.inf, 0.05) == np.inf
    assert draws_for(1e-12, 10.0, 5.0, 0.05) == np.inf
    assert log_width(1e6, 20.0, 1.0, 0.05) == pytest.approx(math.log1p(3.98e-6 * math.e**20), abs=0.05)


# ---------------------------------------------------------------------------- extremes


def test_memory_does_not_grow_and_batches_do_not_matter() -> None:
    r, n = np.random.default_rng(5), 30_000
    log_x, labels, values = np.log(r.random(n)), r.integers(0, 300, (2, n)), r.random((1, n))
    labels[0] %= 2
    whole, pieces = (recorded(log_x, n, batch, labels=labels, values=values) for batch in (n, 997))
    for ask in (Bets.log_mean, Bets.shares, Bets.means):
        for ours, theirs in zip(ask(whole, 0.05), ask(pieces, 0.05), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=1e-4)
    arrays = pieces.tally.mass, pieces.tally.value_mass
    before = [a.nbytes for a in arrays]
    pieces.add(log_x, labels, values)
    assert [a.nbytes for a in (pieces.tally.mass, pieces.tally.value_mass)] == before
    assert not pieces._pilot
    assert pieces.n_draws == 2 * n


def test_weights_that_are_all_zero_leave_an_upper_end() -> None:
    n = 10_000
    bets = recorded(np.full(n, -np.inf), batch=100, labels=np.zeros((2, n), np.uint8))
    assert bets.n_draws == n and len(bets._pilot) == 4
    found = bets.log_mean(0.05)
    assert found.value == found.lower == -np.inf
    assert found.upper == pytest.approx(-math.log(n / 4), abs=0.1)
    shares = bets.shares(0.05)
    assert np.isnan(shares.value).all()
    np.testing.assert_array_equal([shares.lower, shares.upper], [[0] * 4, [1] * 4])
    log_z, marginals = bets.log_partition(7.0, 0.95), bets.marginals(0.95)
    assert log_z.upper == pytest.approx(7 + found.upper)
    assert log_z.lower_kind == "bound" and log_z.upper_kind == "probabilistic"
    assert log_z.verdict == "unreliable: none of 10000 draws had a positive weight"
    assert marginals.verdict.startswith("unreliable")


@pytest.mark.parametrize("gap", [300.0, 700.0, 5000.0])
def test_weights_far_below_their_bound_claim_nothing_of_shares(gap: float) -> None:
    r, n = np.random.default_rng(6), 5000
    log_x = -gap - r.exponential(size=n)
    bets = recorded(log_x, labels=r.integers(0, 3, (1, n)), values=r.random((1, n)))
    found, shares, means = bets.log_mean(0.05), bets.shares(0.05), bets.means(0.05)
    assert found.value == pytest.approx(-gap + math.log(np.exp(log_x + gap).mean()), abs=1e-10)
    assert -gap - 0.75 < found.lower < found.value < -math.log(n / 4.1) < found.upper + 0.1
    np.testing.assert_array_equal([shares.lower, shares.upper], [[0] * 3, [1] * 3])
    np.testing.assert_array_equal([means.lower, means.upper], [[0], [1]])
    assert np.all((shares.value > 0.3) & (shares.value < 0.37))
    assert means.value == pytest.approx(0.5, abs=0.05)


def test_weights_at_their_bound() -> None:
    n = 10_000
    for log_x in (np.zeros(n), np.full(n, -1e-300), np.full(n, 1e-12), -1e-15 * np.random.default_rng(7).random(n)):
        found = recorded(log_x).log_mean(0.05)
        assert -4.1 / n < found.lower < -3.6 / n
        assert np.minimum(log_x, 0).mean() - 1e-16 <= found.upper <= 0
    same = recorded(np.zeros(n), labels=np.zeros((1, n), np.uint8)).shares(0.05)
    assert same.lower[0] > 1 - 5 / n and same.upper[0] == 1


def test_few_draws() -> None:
    none = Bets([2, 1, 3], 100)
    found, shares = none.log_mean(0.05), none.shares(0.05)
    assert (found.value, found.lower, found.upper) == (-np.inf, -np.inf, 0)
    np.testing.assert_array_equal([shares.lower, shares.upper], [[0, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
    assert none.log_partition(3.0, 0.95).upper == 3
    none.add(np.array([-0.5]), np.array([[0], [0], [2]]))
    found, shares = none.log_mean(0.05), none.shares(0.05)
    assert -0.5 - math.log(40 / 0.1) < found.lower < -0.5 < found.upper < 0
    np.testing.assert_array_equal(shares.value, [1, 0, 1, 0, 0, 1])
    assert 0 <= shares.lower[0] < 0.3 and shares.upper[0] == 1


def test_the_horizon_may_move() -> None:
    """A pilot without a plan, then a plan: as good as having known it; and no block comes back."""
    n, r = 20_000, np.random.default_rng(11)
    log_x, labels = np.log(r.random(n)), r.integers(0, 2, (1, n)).astype(np.uint8)
    best, moved = recorded(log_x, labels=labels), Bets([2], 10**12)
    moved.add(log_x[:200], labels[:, :200])
    for horizon, first, last in ((n, 200, 3000), (10 * n, 3000, 4000), (n, 4000, n)):
        moved.horizon = horizon
        moved.add(log_x[first:last], labels[:, first:last])
    assert [past.horizon for past in moved._past] == [n, n, n]
    for ask in (Bets.log_mean, Bets.shares):
        one, other = ask(best, 0.05), ask(moved, 0.05)
        np.testing.assert_allclose(other.upper - other.lower, one.upper - one.lower, rtol=0.05)


@pytest.mark.parametrize("first", [0, 5000])
def test_an_interrupt_leaves_a_record_that_holds(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch over several changes of the stakes, struck after the second piece of it."""
    r, n = np.random.default_rng(13), 6000
    log_x, labels = np.where(r.random(n) < 0.5, -np.inf, np.log(r.random(n))), r.integers(0, 2, (3, n)).astype(np.uint8)
    bets, count, calls = Bets([2, 2, 2], 20 * first + 1000), Bets._count, []

    def struck(self: Bets, piece: betting.Drawing) -> None:
        count(self, piece)
        calls.append(piece.n)
        if len(calls) == 2:
            raise KeyboardInterrupt

    if first:
        bets.add(log_x[:first], labels[:, :first])
    monkeypatch.setattr(Bets, "_count", struck)
    with pytest.raises(KeyboardInterrupt):
        bets.add(log_x[first:], labels[:, first:])
        bets.add(log_x, labels)
    monkeypatch.undo()
    assert bets.n_draws == first + sum(calls)
    mass = bets.tally.mass.sum((0, 2))
    assert mass[0] == pytest.approx(bets.n_draws)
    np.testing.assert_allclose(mass[1:].reshape(3, 2).sum(1), np.isfinite(np.resize(log_x, bets.n_draws)).sum())
    assert bets.log_mean(0.05).lower < math.log(0.25) < bets.log_mean(0.05).upper


def test_memory_is_priced() -> None:
    tracemalloc.start()
    sizes, n = [2] * 300 + [5], 4096
    r = np.random.default_rng(12)
    log_x, labels, values = np.log(r.random(n)), r.integers(0, 2, (301, n)).astype(np.uint8), r.random((2, n))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    bets = Bets(sizes, 10_000, 2)
    for _ in range(3):
        bets.add(log_x, labels, values)
        bets.shares(0.05)
        bets.means(0.05)
    used = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert 0.3 * record_bytes(sizes, 2) < used < record_bytes(sizes, 2)


@pytest.mark.parametrize("horizon", [1, 10, 500, 10**9])
def test_another_horizon_costs_width_alone(horizon: int) -> None:
    n = 20_000
    log_x = FAMILIES["uniform"](np.random.default_rng(8), n)
    best, other = recorded(log_x).log_mean(0.05), recorded(log_x, horizon).log_mean(0.05)
    assert other.lower < best.value < other.upper
    assert 0.95 < (other.upper - other.lower) / (best.upper - best.lower) < 1.5


def test_questions_of_many_labels_are_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    r, n = np.random.default_rng(9), 5000
    bets = recorded(np.log(r.random(n)), labels=np.array([r.integers(0, q, n) for q in (2, 7, 2, 5)]))
    whole = bets.shares(0.05)
    monkeypatch.setattr(betting, "TOGETHER", 3)
    np.testing.assert_array_equal(bets.shares(0.05), whole)
    assert len(whole.value) == 16
    for first, last in ((0, 2), (2, 9), (9, 11), (11, 16)):
        assert whole.value[first:last].sum() == pytest.approx(1)


@given(st.lists(st.floats(-800, 0), max_size=300))
def test_grids_ascend_from_zero_to_one(log_weights: list[float]) -> None:
    points = grid(np.array(log_weights))
    assert len(points) == POINTS
    assert points[0] == -np.inf and points[-1] == 0
    assert np.all(points[1:] > points[:-1])


def test_weights_of_every_size_at_once() -> None:
    r, n = np.random.default_rng(14), 3000
    for scale in (1.0, 700.0, 1e5):
        log_x = np.where(r.random(n) < 0.3, -scale, 0.0) * r.random(n)
        labels = np.stack([log_x < -scale / 2, log_x < 0, log_x == log_x.min()]).astype(np.uint8)
        bets = recorded(log_x, labels=labels)
        found, shares, x = bets.log_mean(0.05), bets.shares(0.05), np.exp(log_x)
        assert found.lower < math.log(x.mean()) < found.upper
        truth = labels @ x / x.sum()
        np.testing.assert_allclose(shares.value[1::2], truth, rtol=0.05, atol=1e-12)
        assert np.all((shares.lower[1::2] <= truth) & (truth <= shares.upper[1::2]))


BAD = {
    "below their bound": (np.array([0.1]), None),
    "one row of numbers": (np.array([np.nan]), None),
    "expected|one row": (np.array([[0.0]]), None),
    r"labels in row 1 must lie between 0 and 2, got 3 … 3": (np.zeros(1), np.array([[0], [3]])),
    r"labels in row 0 must lie between 0 and 1, got -1 … -1": (np.zeros(1), np.array([[-1], [2]])),
    "whole numbers, got an array of float64": (np.zeros(1), np.array([[0.5], [1]])),
    r"labels of 1 draws must have shape \(2, 1\), got \(1, 1\)": (np.zeros(1), np.zeros((1, 1), int)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_draws_are_refused_and_leave_no_trace(message: str) -> None:
    log_weights, labels = BAD[message]
    bets = Bets([2, 3], 100)
    with pytest.raises(ValueError, match=message):
        bets.add(log_weights, np.zeros((2, len(log_weights)), int) if labels is None else labels)
    assert bets.n_draws == 0 and not bets._pilot and not bets._past


def test_bad_values_are_refused() -> None:
    bets = Bets([3], 100, 1)
    for values in ([[1.5]], [[-0.1]], [[np.nan]]):
        with pytest.raises(ValueError, match="values in row 0 must lie between 0 and 1"):
            bets.add(np.zeros(1), np.zeros((1, 1), int), np.array(values))
    with pytest.raises(ValueError, match="question 0 has 3 labels: expected a finite value for each"):
        bets.mean_of(0, [1.0, 2.0], 0.05)


def test_certificates_hold_together() -> None:
    r, n = np.random.default_rng(10), 5000
    bets = recorded(np.log(r.random(n)), labels=(r.random((3, n)) < 0.3).astype(np.uint8))
    log_z, marginals = bets.log_partition(100.0, 0.99), bets.marginals(0.99)
    assert log_z.kind == marginals.kind == "probabilistic"
    assert log_z.confidence == marginals.confidence == 0.99
    assert log_z.lower < 100 + math.log(0.5) < log_z.upper <= 100
    assert log_z.std_error == pytest.approx(math.sqrt(1 / 3 / n), rel=0.05)
    assert np.all((marginals.lower < [0.7, 0.3] * 3) & (marginals.upper > [0.7, 0.3] * 3))
    wide = bets.log_partition(100.0, 0.999)
    assert wide.lower < log_z.lower and wide.upper > log_z.upper
