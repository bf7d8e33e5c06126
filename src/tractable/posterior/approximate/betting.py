"""Confidence sequences by betting: intervals of a mean of weights, and of shares under them, valid whenever one stops.

Draws weigh X in [0, 1]: w/e^U, the weight of a draw over its bound. Against the candidate m a gambler multiplies the
capital at each draw by 1 + c g(m) with g ≥ −1 of mean zero where m is true: X/m − 1 and (1 − X)/(1 − m) − 1 for the
two ends of E[X], X (h − m)/m for the lower end of E[X h]/E[X], h in [0, 1], and 1 − h in its place for the upper one.
With stakes c from the past alone the capital is a martingale at the truth, and the probability that it ever reaches
1/level is at most level (Ville): {m : capital < 1/level} is an interval that holds at all times together
(Waudby-Smith & Ramdas 2024). The stakes do not depend on m, so the capital is monotone in it.

Three quarters of the capital lie on the stake that is best for the planned number of draws, the rest on a ladder of
constant stakes: an insurance for another end of the run. What is kept does not grow with the draws: a tally
(`tallies.py`) of each block of time between which the tuned stake changes, and the moments at these changes. As
log(1 + c g) is concave in X the capital of the tally is never larger than that of the draws themselves, whatever the
grid: the intervals are wider by little, and hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.betting import Gains, Stakes, edges
from tractable.kernels.threads import side_by_side
from tractable.plan.interval_memory import BLOCKS, CORES, LEVELS, POINTS, TOGETHER, pilot_draws
from tractable.plan.outlook import LARGEST, TUNED
from tractable.posterior.certificate import Certificate

from .tallies import Drawing, WeightMoments, WeightTally, complement, deviations, largest, log_mean

RUNGS = LARGEST * 0.5 ** np.arange(12)
"""Constant stakes."""

LOG_PARTS = np.log([TUNED, *(1 - TUNED) / np.arange(1, 13) / np.arange(2, 14)])
LOG_PARTS = LOG_PARTS - np.logaddexp.reduce(LOG_PARTS)
"""Logarithms of the parts of the capital: on tuned stakes, and on each rung."""

CUTS = 1 / 64, 1 / 16, 1 / 4
"""Shares of the planned draws after which tuned stakes are set anew; nothing is tuned before the first."""

ROUNDING = 1e-9
"""log w may lie so far above its bound."""

LAST = 46.0, 600.0
"""Candidates of interest: shares above e^-46, means above e^-600 of the estimate."""


class Interval(NamedTuple):
    """Estimates, and the intervals around them."""

    value: Any
    lower: Any
    upper: Any


class Fractions(NamedTuple):
    """Of some events, at some time: p = E[X h]/E[X], E[X² (h − p)²], E[X], and the number of draws."""

    p: np.ndarray
    squares: np.ndarray
    mean: float
    n: float

    def opposite(self) -> Fractions:
        """Those of 1 − h."""
        return self._replace(p=1 - self.p)

    @property
    def mean_g2(self) -> np.ndarray:
        """E[g²] of the gain X (h − p)/p; infinite where p = 0."""
        with np.errstate(all="ignore"):
            return np.where(self.p > 0, self.squares / self.p**2, np.inf)


class StakeSetting(NamedTuple):
    """What was known when stakes were set: the draws that were planned, and those made."""

    horizon: int
    moments: WeightMoments


class Cells(NamedTuple):
    """Masses [events, blocks, cells], and of each cell the logarithm of X and the value h of the function bet on."""

    mass: np.ndarray
    log_x: np.ndarray
    h: np.ndarray


class Bets:
    """What was drawn so far, in bounded memory, and the intervals that bets on it give at any time.

    An interrupt leaves a record that holds.

    Parameters
    ----------
    sizes : the number of labels of each question: a variable, or several jointly; a draw has one label for each.
    horizon : the number of draws that is planned. More or fewer cost width, never validity. It may be set again at any
        time, from what was drawn: stakes from the next change on follow it.
    n_values : functions with values in [0, 1] whose posterior means are wanted; a draw has a value of each.
    """

    def __init__(self, sizes: Sequence[int] | np.ndarray = (), horizon: int = 100_000, n_values: int = 0):
        self.sizes, self.horizon, self.n_values = np.array(sizes, np.int64), horizon, n_values
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self._pilot: list[Drawing] = []
        self._pilot_draws = pilot_draws(
            8 * (1 + n_values) + len(self.sizes) * (1 if self.sizes.max(initial=0) <= 256 else 4)
        )
        self._tally: WeightTally | None = None
        self._past: list[StakeSetting] = []

    def add(self, log_weights: np.ndarray, labels: np.ndarray | None = None, values: np.ndarray | None = None) -> None:
        """Count draws: log w − U ≤ 0 (−inf for weight zero) [n], labels [T, n], values [n_values, n].

        Raises
        ------
        ValueError : a weight above its bound or not a number, labels and values that do not fit.
        """
        log_weights = _below_bound(np.asarray(log_weights, np.float64))
        labels = _within(_rows(labels, len(self.sizes), len(log_weights), "labels"), self.sizes - 1, "labels")
        labels = labels if labels.dtype in (np.uint8, np.int32) else labels.astype(np.int32)
        values = _rows(values, self.n_values, len(log_weights), "values").astype(np.float64)
        values = _within(values, np.ones(self.n_values), "values")
        for block, at in self._pieces(len(log_weights)):
            while len(self._past) < block:  # stakes from here on may know what was drawn before, and no more
                self._past.append(StakeSetting(self.horizon, self.moments))
            self._count(_positive(Drawing(block, log_weights[at], labels[:, at], values[:, at])))

    def _pieces(self, n: int) -> Iterator[tuple[int, slice]]:
        """The next n draws by the block that they fall into; no block comes back when the horizon moves on."""
        first = self.n_draws
        cuts = [max(16, math.ceil(self.horizon * share)) for share in CUTS]
        cuts[: len(self._past)] = [first] * len(self._past)
        ends = [first, *(min(max(cut, first), first + n) for cut in cuts), first + n]
        for block in range(len(ends) - 1):
            if ends[block] < ends[block + 1]:
                yield block, slice(ends[block] - first, ends[block + 1] - first)

    def _count(self, piece: Drawing) -> None:
        if self._tally is not None:
            self._tally.add(piece)
            return
        last = self._pilot[-1] if self._pilot else None
        if last is not None and last.block == piece.block and not len(piece.log_weights):
            self._pilot[-1] = last._replace(zeros=last.zeros + piece.zeros)
            return
        kept = (a.copy() for a in (piece.log_weights, piece.labels, piece.values))
        self._pilot.append(Drawing(piece.block, *kept, zeros=piece.zeros))
        if sum(len(one.log_weights) for one in self._pilot) >= self._pilot_draws:
            self._tally = self.tally  # from now on the pilot counts no more
            self._pilot = []

    @property
    def n_draws(self) -> int:
        """The number of draws so far."""
        return sum(piece.n for piece in self._pilot) if self._tally is None else int(self._tally.drawn[0])

    @property
    def found_nothing(self) -> bool:
        """Whether no draw had a positive weight."""
        return self._tally is None and not any(len(piece.log_weights) for piece in self._pilot)

    @property
    def tally(self) -> WeightTally:
        """The draws, counted."""
        if self._tally is not None:
            return self._tally
        log_weights = [piece.log_weights for piece in self._pilot]
        found = WeightTally(np.concatenate([np.empty(0), *log_weights]), self._starts, self.n_values)
        for piece in self._pilot:
            found.add(piece)
        return found

    @property
    def moments(self) -> WeightMoments:
        """Those of all draws so far."""
        return WeightMoments.of(self.tally)

    # ------------------------------------------------------------------ intervals

    def log_mean(self, level: float) -> Interval:
        """log E[X], both ends together missing with probability at most `level`; add U for log Z."""
        tally = self.tally
        mass = np.ascontiguousarray(tally.mass[:, 0])
        low = self._log_lower(tally.points, mass, 0, level / 2)
        high = complement(np.array(self._log_lower(complement(tally.points), mass, 1, level / 2)))
        return Interval(*map(np.float64, (log_mean(tally.points, mass.sum(0)), low, high)))

    def shares(self, level: float) -> Interval:
        """E[X 1(label)]/E[X] of all labels of all questions side by side: all intervals together miss at `level`.

        Two labels are one event; a single one has share 1. Shares are NaN where no draw had a positive weight.
        """
        tally, of = self.tally, np.repeat(np.arange(len(self.sizes)), self.sizes)
        two, first = self.sizes[of] == 2, np.arange(len(of)) == self._starts[of]
        events, second = np.flatnonzero((self.sizes[of] > 2) | (two & first)), np.flatnonzero(two & ~first)
        lower, upper, known = np.ones(len(of)), np.ones(len(of)), self._known

        def bound(part: np.ndarray) -> None:
            inside = np.ascontiguousarray(tally.mass[:, 1 + part].transpose(1, 0, 2))
            outside = np.maximum(tally.mass[:, 0] - inside, 0.0)
            past = [_of_labels(moments, part) for moments in known]
            one, other = (Cells(mass, tally.points, np.ones(POINTS)) for mass in (inside, outside))
            lower[part], upper[part] = self._ends(one, other, past, level / (2 * len(events)))

        side_by_side(bound, np.array_split(events, range(TOGETHER, len(events), TOGETHER)), at_once=CORES)
        lower[second], upper[second] = 1 - upper[second - 1], 1 - lower[second - 1]
        with np.errstate(invalid="ignore"):
            sums = known[-1].sums[:, 0]
            return Interval(sums[1:] / sums[0], lower, upper)

    def means(self, level: float) -> Interval:
        """E[X f]/E[X] of all functions [n_values]: all intervals together miss with probability at most `level`."""
        mass = self.tally.value_mass.transpose(1, 0, 2, 3)
        return self._means(mass, np.linspace(0, 1, LEVELS), lambda m: m.value_sums, level / max(self.n_values, 1))

    def mean_of(self, question: int, values: Sequence[float], level: float) -> Interval:
        """The posterior mean of a function of one question's label: its value for each label."""
        first, last = (1 + self._starts[question : question + 2]).tolist()
        h = np.asarray(values, np.float64)
        bottom, width = h.min(), np.ptp(h)
        if h.shape != (last - first,) or not np.isfinite(width):
            raise ValueError(f"question {question} has {last - first} labels: expected a finite value for each")
        mass, scaled = self.tally.mass[None, :, first:last], (h - bottom) / (width or 1.0)
        found = self._means(mass, scaled, lambda m: m.sums[None, first:last], level)
        return Interval(*(bottom + width * end[0] for end in found))

    def _means(
        self, mass: np.ndarray, h: np.ndarray, sums: Callable[[WeightMoments], np.ndarray], level: float
    ) -> Interval:
        """Means of values h at levels that have masses [m, blocks, levels, points]; each of the m misses at `level`."""
        past = [_of_values(moments, sums(moments), h) for moments in self._known]
        mass = np.ascontiguousarray(mass).reshape(*mass.shape[:2], -1)
        log_x, own = np.tile(self.tally.points, len(h)), np.repeat(h, POINTS)
        value = past[-1].p if self.moments.top > -np.inf else np.full(len(mass), np.nan)
        return Interval(value, *self._ends(Cells(mass, log_x, own), Cells(mass, log_x, 1 - own), past, level / 2))

    def log_partition(self, bound: float, confidence: float) -> Certificate:
        """log Z, which is at most the bound U."""
        found, moments = self.log_mean(1 - confidence), self.moments
        value, lower, upper = (float(min(bound, bound + end)) for end in found)
        error = math.sqrt(moments.spreads[0] / moments.n) if moments.n else math.inf
        none = None if value > -np.inf else f"unreliable: none of {self.n_draws} draws had a positive weight"
        return Certificate(value, lower, upper, "probabilistic", confidence, error, none)

    def marginals(self, confidence: float) -> Certificate:
        """Posterior shares of all labels of all questions side by side, which hold together."""
        return Certificate(*self.shares(1 - confidence), "probabilistic", confidence)

    # ------------------------------------------------------------------ bets

    def _log_lower(self, log_x: np.ndarray, mass: np.ndarray, which: int, level: float) -> float:
        """log E[X] is at least this: bets on X/m − 1 = (1 + u) X/E[X] − 1 by masses [blocks, points]."""
        total = mass.sum(0)
        estimate, offset, now = log_mean(log_x, total), deviations(log_x, total), self.moments
        if estimate == -np.inf:
            return -np.inf
        log_inverse = math.log(1 / level)
        guess = min(math.sqrt(2 * log_inverse * now.spreads[which] / now.n) + log_inverse / now.n, 1.0)
        search = [0.0, math.expm1(estimate - largest(log_x, total)), guess, math.exp(LAST[1])]
        stakes = self._stakes(np.array([[past.moments.spreads[which] for past in self._past]]), level)
        gains = Gains(offset + 1, offset, offset[:0])
        edge = edges(mass[None], mass[None, :, :0], gains, stakes, np.array([search]), log_inverse)
        return estimate - math.log1p(edge[0])

    @property
    def _known(self) -> list[WeightMoments]:
        """The moments at each change of the stakes, and now."""
        return [*(past.moments for past in self._past), self.moments]

    def _ends(self, inside: Cells, outside: Cells, past: list[Fractions], level: float) -> list[np.ndarray]:
        """Both ends of E[X h]/E[X]; `outside` holds what 1 − h is not zero for, each end misses at `level`."""
        opposite = [fractions.opposite() for fractions in past]
        return [self._lower(inside, outside, past, level), 1 - self._lower(outside, inside, opposite, level)]

    def _lower(self, moving: Cells, still: Cells, past: list[Fractions], level: float) -> np.ndarray:
        """E[X h]/E[X] is at least this for each event: bets on X (h − m)/m, with 1 + u = 1/m.

        Cells of which h is one everywhere leave those of h = 0 beside them to `still`.
        """
        now, out = past[-1], np.zeros(len(moving.mass))
        seen = np.flatnonzero((now.p > 0) & (now.mean > 0))
        x, p, log_inverse = np.exp(moving.log_x), np.maximum(now.p[seen], 1e-300), math.log(1 / level)
        apart = slice(None) if np.all(moving.h == 1) else slice(0)
        with np.errstate(all="ignore"):
            guess = (np.sqrt(2 * log_inverse * now.mean_g2[seen] / now.n) + log_inverse / (now.n * now.mean)) / p
        last = np.full(len(seen), math.exp(LAST[0]))
        search = np.stack([np.minimum(1 / p - 1, last), np.zeros(len(seen)), guess, last], 1)
        gains = Gains(x * moving.h, x * (moving.h - 1), -np.exp(still.log_x[apart]))
        stakes = self._stakes(np.array([f.mean_g2[seen] for f in past[:-1]]).reshape(len(past) - 1, len(seen)).T, level)
        found = edges(moving.mass[seen], still.mass[seen][:, :, apart], gains, stakes, search, log_inverse)
        out[seen] = 1 / (1 + found)
        return out

    def _stakes(self, mean_g2: np.ndarray, level: float) -> Stakes:
        """Tuned stakes √(2 log(1/level)/(N E[g²])) from E[g²] [n, changes] before each block; none in the first."""
        tuned, horizons = np.zeros((len(mean_g2), BLOCKS)), np.array([past.horizon for past in self._past])
        with np.errstate(divide="ignore", over="ignore"):
            best = np.sqrt(2 * math.log(1 / level / TUNED) / (horizons * mean_g2))
        tuned[:, 1 : 1 + mean_g2.shape[1]] = np.minimum(best, RUNGS[0])
        return Stakes(tuned, RUNGS, LOG_PARTS)


def _of_labels(moments: WeightMoments, labels: np.ndarray) -> Fractions:
    inside, total = moments.sums[1 + labels], moments.sums[0]
    with np.errstate(invalid="ignore"):
        p = np.nan_to_num(inside[:, 0] / total[0])
    squares = (1 - p) ** 2 * inside[:, 1] + p**2 * np.maximum(total[1] - inside[:, 1], 0.0)
    return _scaled(moments, p, squares)


def _of_values(moments: WeightMoments, sums: np.ndarray, h: np.ndarray) -> Fractions:
    """Of values h at levels with sums [m, levels, 2]."""
    with np.errstate(invalid="ignore"):
        p = np.nan_to_num(sums[:, :, 0] @ h / sums[:, :, 0].sum(1)).clip(0, 1)
    return _scaled(moments, p, ((h - p[:, None]) ** 2 * sums[:, :, 1]).sum(1))


def _scaled(moments: WeightMoments, p: np.ndarray, squares: np.ndarray) -> Fractions:
    n, scale = max(moments.n, 1.0), math.exp(moments.top)
    return Fractions(p, squares * scale**2 / n, float(moments.sums[0, 0]) * scale / n, moments.n)


def _below_bound(log_weights: np.ndarray) -> np.ndarray:
    if log_weights.ndim != 1 or not np.all(log_weights <= ROUNDING):
        raise ValueError("log weights must be one row of numbers below their bound: log w − U ≤ 0")
    return np.minimum(log_weights, 0.0)


def _rows(given: np.ndarray | None, m: int, n: int, what: str) -> np.ndarray:
    """The rows [m, n] that every draw has; none where there is nothing to ask."""
    rows = np.empty((0, n), np.uint8) if given is None else np.asarray(given)
    if rows.shape != (m, n):
        raise ValueError(f"{what} of {n} draws must have shape {(m, n)}, got {rows.shape}")
    return rows


def _within(rows: np.ndarray, most: np.ndarray, what: str) -> np.ndarray:
    """The rows, if all entries are numbers from 0 to the most of their row."""
    if rows.dtype.kind not in "iufb" or (what == "labels" and rows.dtype.kind == "f"):
        raise ValueError(f"{what} must be {'whole ' if what == 'labels' else ''}numbers, got an array of {rows.dtype}")
    if rows.size and np.any(bad := ~((rows.min(1) >= 0) & (rows.max(1) <= most))):
        row = int(np.argmax(bad))
        raise ValueError(
            f"{what} in row {row} must lie between 0 and {most[row]:g}, got {rows[row].min()} … {rows[row].max()}"
        )
    return rows


def _positive(piece: Drawing) -> Drawing:
    """The draws of positive weight; the others tell nothing of labels and are only counted."""
    positive = piece.log_weights > -np.inf
    zeros = len(positive) - int(np.count_nonzero(positive))
    arrays = (a[..., positive] if zeros else a for a in (piece.log_weights, piece.labels, piece.values))
    return Drawing(piece.block, *map(np.ascontiguousarray, arrays), zeros=zeros)
