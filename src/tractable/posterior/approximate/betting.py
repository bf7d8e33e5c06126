"""Confidence sequences by betting: intervals of a mean of weights, and of shares under them, valid whenever one stops.

Draws weigh X in [0, 1]: w/e^U, the weight of a draw over its bound. Against the candidate m a gambler multiplies the
capital at each draw by 1 + c g(m) with g ≥ −1 of mean zero where m is true: X/m − 1 and (1 − X)/(1 − m) − 1 for the
two ends of E[X], X (h − m)/m for the lower end of E[X h]/E[X], h in [0, 1], and 1 − h in its place for the upper one.
With stakes c from the past alone the capital is a martingale at the truth, and the probability that it ever reaches
1/level is at most level (Ville): {m : capital < 1/level} is an interval that holds at all times together
(Waudby-Smith & Ramdas 2024). The stakes do not depend on m, so the capital is monotone in it.

Three quarters of the capital lie on the stake that is best for the planned number of draws, the rest on a ladder of
constant stakes: an insurance for another end of the run.

What is kept does not grow with the draws: masses at the points of a grid of weights, by label, in a few blocks of time
between which the tuned stake changes. A draw between two points counts for both by shares that keep its mean. As
log(1 + c g) is concave in X the capital is never larger than that of the draws themselves, whatever the grid: the
intervals are wider by little and hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tractable.kernels.betting import Gains, Stakes, edges, placed

TUNED = 0.75
"""The part of the capital on the tuned stakes."""

RUNGS = 0.98 * 0.5 ** np.arange(12)
"""Constant stakes."""

LOG_PARTS = np.log([TUNED, *(p := (1 - TUNED) / np.arange(1, 13) / np.arange(2, 14) * 13 / 12)])
LOG_PARTS = LOG_PARTS - np.logaddexp.reduce(LOG_PARTS)
"""Logarithms of the parts of the capital: on tuned stakes, and on each rung."""

CUTS = 1 / 64, 1 / 16, 1 / 4
"""Shares of the planned draws after which tuned stakes are set anew; nothing is tuned before the first."""

POINTS, ABOVE, BELOW = 64, 14, 8
"""Points of the grid of weights; of these above the largest of the pilot, and below the smallest."""

PILOT = 2048
"""So many draws of positive weight are kept as they are before the grid is chosen."""

LEVELS = 17
"""Points of the grid of values."""

ROUNDING = 1e-9
"""Weights may lie so far above their bound, relative to it."""

LAST = 46.0, 600.0
"""Candidates of interest: shares above e^-46, means above e^-600 of the estimate."""


class Ends(NamedTuple):
    """Estimates, and the intervals around them."""

    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Drawing(NamedTuple):
    """Draws of positive weight in one block of time: log weights [n], labels [T, n], values [V, n]."""

    block: int
    log_weights: np.ndarray
    labels: np.ndarray
    values: np.ndarray


class Tally:
    """Masses of draws at the points of a grid of log weights, by block: of all and by label, and by value."""

    def __init__(self, log_weights: np.ndarray, starts: np.ndarray, n_values: int):
        self.points = grid(log_weights)
        self.starts = starts
        self.mass = np.zeros((1 + len(CUTS), 1 + starts[-1], POINTS))
        self.value_mass = np.zeros((1 + len(CUTS), n_values, LEVELS, POINTS))

    def add(self, piece: Drawing) -> None:
        """Count the draws; a ValueError where there is no such label or value."""
        draws = placed(self.points, piece.log_weights)
        if not draws.tally(self.starts, piece.labels, self.mass[piece.block]):
            raise ValueError("a label of a draw is none of its question's: expected 0 … size − 1")
        if not draws.tally_values(piece.values, self.value_mass[piece.block]):
            raise ValueError("a value of a draw lies outside of [0, 1]: map the function's range there first")


class Bets:
    """What was drawn so far, in bounded memory, and the intervals that bets on it give at any time.

    Parameters
    ----------
    sizes : the number of labels of each question: a variable, or several jointly; a draw has one label for each.
    horizon : the number of draws that is planned. More or fewer cost width, never validity.
    n_values : functions with values in [0, 1] whose posterior means are wanted; a draw has a value of each.
    """

    def __init__(self, sizes: Sequence[int] = (), horizon: int = 100_000, n_values: int = 0):
        self.sizes, self.horizon, self.n_values, self.n = tuple(sizes), horizon, n_values, 0
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self._cuts = [max(16, math.ceil(horizon * share)) for share in CUTS]
        self._zeros = np.zeros(1 + len(CUTS))
        self._pilot: list[Drawing] = []
        self._tally: Tally | None = None

    def add(self, log_weights: np.ndarray, labels: np.ndarray | None = None, values: np.ndarray | None = None) -> None:
        """Count draws: log w − U ≤ 0 (−inf for weight zero) [n], labels [T, n], values [n_values, n].

        Raises
        ------
        ValueError : a weight above its bound or not a number, labels and values that do not fit.
        """
        log_weights = self._checked(np.asarray(log_weights, np.float64))
        labels = _rows(labels, len(self.sizes), len(log_weights), "labels")
        labels = labels if labels.dtype in (np.uint8, np.int32) else labels.astype(np.int32)
        values = _rows(values, self.n_values, len(log_weights), "values").astype(np.float64)
        for block, at in self._pieces(len(log_weights)):
            piece = Drawing(block, log_weights[at], labels[:, at], values[:, at])
            self._count(self._positive(piece))
        self.n += len(log_weights)

    @staticmethod
    def _checked(log_weights: np.ndarray) -> np.ndarray:
        if log_weights.ndim != 1 or not np.all(log_weights <= ROUNDING):
            raise ValueError("log weights must be one row of numbers below their bound: log w − U ≤ 0")
        return np.minimum(log_weights, 0.0)

    def _pieces(self, n: int) -> Iterator[tuple[int, slice]]:
        """The next n draws by the block that they fall into."""
        ends = [self.n, *(min(max(cut, self.n), self.n + n) for cut in self._cuts), self.n + n]
        for block, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
            if first < last:
                yield block, slice(first - self.n, last - self.n)

    def _positive(self, piece: Drawing) -> Drawing:
        """The draws of positive weight; the others tell no label and are only counted."""
        positive = piece.log_weights > -np.inf
        self._zeros[piece.block] += len(positive) - np.count_nonzero(positive)
        arrays = piece[1:] if positive.all() else (a[..., positive] for a in piece[1:])
        return Drawing(piece.block, *(np.ascontiguousarray(a) for a in arrays))

    def _count(self, piece: Drawing) -> None:
        if self._tally is not None:
            self._tally.add(piece)
            return
        self._pilot.append(Drawing(piece.block, *(a.copy() for a in piece[1:])))
        if sum(len(one.log_weights) for one in self._pilot) >= PILOT:
            self._tally, self._pilot = self.tally, []

    @property
    def tally(self) -> Tally:
        """The draws of positive weight, counted."""
        if self._tally is not None:
            return self._tally
        log_weights = [piece.log_weights for piece in self._pilot]
        found = Tally(np.concatenate(log_weights or [np.empty(0)]), self._starts, self.n_values)
        for piece in self._pilot:
            found.add(piece)
        return found

    # ------------------------------------------------------------------ intervals

    def log_mean(self, level: float) -> Ends:
        """log E[X], both ends together missing with probability at most `level`; add U for log Z."""
        tally = self.tally
        mass = tally.mass[:, 0].copy()
        mass[:, 0] += self._zeros
        low = self._log_lower(tally.points, mass, level / 2)
        with np.errstate(divide="ignore"):
            high = np.log(-np.expm1(self._log_lower(np.log(-np.expm1(tally.points)), mass, level / 2)))
        return Ends(_log_mean(tally.points, mass), np.float64(low), high)

    def shares(self, level: float) -> Ends:
        """E[X 1(label)]/E[X] of all labels of all questions side by side: all intervals together miss at `level`.

        Two labels are one event; a single one has share 1. Shares are NaN where no draw had a positive weight.
        """
        tally, sizes = self.tally, np.array(self.sizes, np.int64)
        of = np.repeat(np.arange(len(sizes)), sizes)
        first = np.arange(len(of)) == self._starts[of]
        events = np.flatnonzero((sizes[of] > 2) | (first & (sizes[of] == 2)))
        total = np.ascontiguousarray(tally.mass[:, 0])
        inside = np.ascontiguousarray(tally.mass[:, 1 + events].transpose(1, 0, 2))
        outside = np.maximum(total - inside, 0.0)
        x, level = tally.points, level / max(2 * len(events), 1)
        lower, upper = np.ones(len(of)), np.ones(len(of))
        lower[events] = self._lower(Cells(inside, x), Cells(outside, x), level)
        upper[events] = 1 - self._lower(Cells(outside, x), Cells(inside, x), level)
        second = np.flatnonzero(~first & (sizes[of] == 2))
        lower[second], upper[second] = 1 - upper[second - 1], 1 - lower[second - 1]
        return Ends(_shares(tally.points, tally.mass.sum(0)), lower, upper)

    def means(self, level: float) -> Ends:
        """E[X f]/E[X] of all functions [n_values]: all intervals together miss with probability at most `level`."""
        tally = self.tally
        mass = tally.value_mass.transpose(1, 0, 2, 3).reshape(self.n_values, 1 + len(CUTS), -1)
        return self._means(mass, np.linspace(0, 1, LEVELS), level / max(2 * self.n_values, 1))

    def mean_of(self, question: int, values: Sequence[float], level: float) -> Ends:
        """The posterior mean of a function of one question's label: its value for each label."""
        first, last = 1 + self._starts[question : question + 2]
        mass = self.tally.mass[None, :, first:last].reshape(1, 1 + len(CUTS), -1)
        h = np.asarray(values, np.float64)
        bottom, width = h.min(), np.ptp(h)
        if width == 0:
            return Ends(*(np.array(bottom) for _ in Ends._fields))
        found = self._means(mass, (h - bottom) / width, level / 2)
        return Ends(*(bottom + width * end[0] for end in found))

    def _means(self, mass: np.ndarray, h: np.ndarray, level: float) -> Ends:
        """Means of values h, whose masses [m, blocks, len(h) × points] are; each end misses at `level`."""
        x, h = np.tile(self.tally.points, len(h)), np.repeat(h, POINTS)
        none = Cells(mass[:, :, :0], x[:0])
        low, high = self._lower(Cells(mass, x, h), none, level), 1 - self._lower(Cells(mass, x, 1 - h), none, level)
        scaled = mass.sum(1) * np.exp(x - _top(x, mass.sum((0, 1))))
        with np.errstate(invalid="ignore"):
            return Ends(scaled @ h / scaled.sum(1), low, high)

    # ------------------------------------------------------------------ bets

    def _log_lower(self, log_x: np.ndarray, mass: np.ndarray, level: float) -> float:
        """log E[X] is at least this: bets on X/m − 1 by masses [blocks, points]."""
        estimate, top, n = _log_mean(log_x, mass), _top(log_x, mass.sum(0)), mass.sum()
        if not estimate > -np.inf:
            return -np.inf
        seen = mass.sum(0) > 0
        with np.errstate(over="ignore"):
            offset = np.expm1(np.where(seen, log_x - estimate, -np.inf))
        gains = Gains(offset + 1, offset, offset[:0])
        past = np.cumsum(mass, axis=0) - mass
        with np.errstate(all="ignore"):
            spread = _spread(offset, past)
            guess = math.sqrt(2 * math.log(1 / level) * _spread(offset, mass.sum(0)) / n) + math.log(1 / level) / n
        search = np.array([[0.0, math.expm1(estimate - top), min(guess, 1.0), math.exp(LAST[1])]])
        stakes = self._stakes(np.where(past.sum(1) > 0, spread, np.inf)[None], level)
        edge = edges(mass[None], mass[None, :, :0], gains, stakes, search, math.log(1 / level))
        return estimate - math.log1p(edge[0])

    def _lower(self, moving: Cells, still: Cells, level: float) -> np.ndarray:
        """E[X h]/E[X] is at least this for each of some events: bets on X (h − m)/m, with u = 1/m − 1 for m."""
        top = max(_top(moving.log_x, moving.mass.sum((0, 1))), _top(still.log_x, still.mass.sum((0, 1))))
        sums = moving.sums(top) + still.sums(top, 0.0)
        draws = self._zeros + moving.mass.sum(2) + still.mass.sum(2)
        p, g2 = _moments(sums.sum(2), draws.sum(1), top)
        seen = np.flatnonzero(p > 0)
        past = np.cumsum(sums, axis=2) - sums
        ahead = _moments(past, np.cumsum(draws, axis=1) - draws, top)[1]
        log_inverse = math.log(1 / level)
        with np.errstate(all="ignore"):
            guess = np.sqrt(2 * log_inverse * g2 / draws.sum(1)) / p + log_inverse * np.exp(-top) / sums[0].sum(1)
        search = np.stack([1 / p[seen] - 1, np.zeros(len(seen)), guess[seen], np.full(len(seen), math.exp(LAST[0]))], 1)
        gains = Gains(moving.x * moving.h, moving.x * (moving.h - 1), -still.x)
        stakes, out = self._stakes(ahead[seen], level), np.zeros(len(p))
        found = edges(moving.mass[seen], still.mass[seen], gains, stakes, search, log_inverse)
        out[seen] = 1 / (1 + found)
        return out

    def _stakes(self, mean_g2: np.ndarray, level: float) -> Stakes:
        """Tuned stakes √(2 log(1/level) / (N E[g²])) from E[g²] in the past of each block [n, blocks]; infinite: none."""
        with np.errstate(divide="ignore"):
            tuned = np.sqrt(2 * math.log(1 / level / TUNED) / (self.horizon * mean_g2))
        return Stakes(np.minimum(RUNGS[0], np.nan_to_num(tuned, nan=0.0)), RUNGS, LOG_PARTS)


class Cells:
    """Masses [events, blocks, cells] of cells with weights X and values h of the function whose mean is bet on."""

    def __init__(self, mass: np.ndarray, log_x: np.ndarray, h: np.ndarray | float = 1.0):
        self.mass, self.log_x, self.x, self.h = mass, log_x, np.exp(log_x), np.broadcast_to(h, log_x.shape)

    def sums(self, top: float, h: float | None = None) -> np.ndarray:
        """Sums of x h, x, x², x² (1 − h) and x² (1 − h)² by event and block, for x = X/e^top; `h` instead of its own."""
        x, h_of = np.exp(self.log_x - top), self.h if h is None else np.full(len(self.h), h)
        columns = (x * h_of, x, x**2, x**2 * (1 - h_of), (x * (1 - h_of)) ** 2)
        return np.moveaxis(self.mass @ np.stack(columns, 1), 2, 0)


def _moments(sums: np.ndarray, n: np.ndarray, top: float) -> tuple[np.ndarray, np.ndarray]:
    """p = E[X h]/E[X] and E[g²] of the gain at p, from sums as in `Cells` over n draws; E[g²] is infinite where p = 0."""
    with np.errstate(all="ignore"):
        p = np.nan_to_num(sums[0] / sums[1])
        squares = (1 - p) ** 2 * sums[2] - 2 * (1 - p) * sums[3] + sums[4]
        g2 = np.maximum(squares, 0.0) * math.exp(2 * top) / (n * p**2)
    return p, np.where(p > 0, g2, np.inf)


def _spread(offset: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """E[(X/E[X] − 1)²] of masses [..., points] of X = 1 + offset."""
    n = mass.sum(-1)
    mean = (mass @ offset) / n
    return (mass * (offset - mean[..., None]) ** 2).sum(-1) / n / (1 + mean) ** 2


def _top(log_x: np.ndarray, mass: np.ndarray) -> float:
    """The largest logarithm that has a mass."""
    return float(np.max(log_x[mass > 0], initial=-np.inf))


def _log_mean(log_x: np.ndarray, mass: np.ndarray) -> np.float64:
    total = mass.sum(0)
    top = _top(log_x, total)
    if top == -np.inf:
        return np.float64(-np.inf)
    return np.float64(top + np.log(np.sum(total * np.exp(np.minimum(log_x - top, 0.0))) / total.sum()))


def _shares(log_x: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Self-normalised shares of all labels, from masses [1 + labels, points]."""
    sums = mass @ np.exp(np.minimum(log_x - _top(log_x, mass[0]), 0.0))
    with np.errstate(invalid="ignore"):
        return sums[1:] / sums[0]


def _rows(given: np.ndarray | None, m: int, n: int, what: str) -> np.ndarray:
    """The rows [m, n] that every draw has; none where there is nothing to ask."""
    rows = np.empty((0, n), np.uint8) if given is None else np.asarray(given)
    if rows.shape != (m, n):
        raise ValueError(f"{what} of {n} draws must have shape {(m, n)}, got {rows.shape}")
    return rows


def _nearer(n: int) -> np.ndarray:
    """Shares of a way to go, n of them, the closer the nearer they are to the whole way."""
    return 1 - (np.arange(1, n + 1) / (n + 1)) ** 2


def grid(log_weights: np.ndarray) -> np.ndarray:
    """Points for weights like these, from log 0 to log 1, where splitting a draw adds the least variance.

    That is where there are as many as the cube root of the density of weights (Panter & Dite 1951); beyond the
    largest weight seen, up to one, and below the smallest, down to zero, the farther away the farther apart.
    """
    seen, counts = np.unique(log_weights, return_counts=True)
    if len(seen) == 0:
        seen, counts = np.array([-1.0]), np.array([1])
    top = seen[-1]
    room = POINTS - 2 - ABOVE - BELOW
    if len(seen) > room:
        width = np.exp(seen[:-1] - top) * np.expm1(np.diff(seen))
        density = np.concatenate([[0.0], np.cumsum(np.cbrt(counts[:-1] * width**2))])
        seen = seen[np.searchsorted(density, np.linspace(0, density[-1], room)).clip(max=len(seen) - 1)]
    above = top * _nearer(ABOVE)
    with np.errstate(divide="ignore"):
        below = np.log(-np.expm1(np.log(-np.expm1(seen[0])) * _nearer(BELOW)))
    points = np.unique(np.concatenate([[-np.inf, 0.0], below[below > -np.inf], seen, above]))
    spare = points[1] - 1 - np.arange(POINTS - len(points))
    return np.sort(np.concatenate([points, spare]))
