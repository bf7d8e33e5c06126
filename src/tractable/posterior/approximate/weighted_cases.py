"""The posterior of a case that is too wide for elimination: weighted completions, drawn under a bound by mini-buckets.

Draws of a proposal r have weights w = F(z)/r(z) ≤ e^U of mean Z (`mini_buckets.py`). With a state z₀ of positive
weight, found by other draws, and a small share s, q takes z₀ or one of the draws in proportion to its term in

    R = s F(z₀) + Σ_k w_k (1 − s [z_k = z₀]) / K,   E[R] = Z,   R ≥ s F(z₀) > 0.

The draws are hidden variables too, of which p says what makes q exact up to R: log(p(x, z, draws)/q(z, draws)) = log R,

    ELBO = E[log R],   KL(q(z) ‖ p(z | x)) ≤ KL(q(z, draws) ‖ p(z, draws | x)) = log Z − E[log R].

From −log y ≤ 1 − y + C(a) (y − 1)² for y ≥ a, with C(a) = (a − 1 − log a)/(1 − a)²,

    KL ≤ C(s F(z₀)/Z) Var(R)/Z²,

and bets on w and on w² (`betting.py`) bound what is on the right.

Sources: Burda, Grosse & Salakhutdinov 2016; Domke & Sheldon 2018, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import Scopes, Tables
from tractable.kernels.mini_buckets import BATCH, BoundState, MiniBuckets, Sweeps
from tractable.models._base import pack
from tractable.plan.mini_buckets import batches, eliminating, largest, orders
from tractable.posterior.approximate.betting import Bets
from tractable.posterior.exact.case_arrays import Group, offsets
from tractable.posterior.exact.layout import Layout

SHARE = 1 / 8
"""s: what z₀ has of its weight in any case. More makes R vary, less lowers its floor."""

RACE, LONG, SHORT = 2, 10, 3
"""Sweeps of each order in the race of a group, of its winner, and of each further case, which begins there."""

BLOCKS = 64
"""Into so many blocks draws are cut, each of which has an R of its own."""

PIECE = 8
"""Batches at a time, at most."""

LOG_SHARE, LOG_REST = math.log(SHARE), math.log1p(-SHARE)


class CaseTables:
    """The tables of cases with the same hidden variables: what they share, and which entries each one reads."""

    def __init__(self, layout: Layout, group: Group):
        place = {v: i for i, v in enumerate(group.hidden)}
        own = [[v for v in layout.families[j].tolist() if v in place] for j in group.families]
        self.scopes = [[place[v] for v in members] for members in own]
        self.base, self.sizes = group.base, [int(layout.sizes[v]) for v in group.hidden]
        steps = [offsets(layout, j, members) for j, members in zip(group.families, own, strict=True)]
        self.offsets = np.concatenate(steps)
        self.families = np.repeat(np.arange(len(steps)), [len(s) for s in steps])
        self.blank = pack(self.sizes, self.scopes, steps)
        self.wanted = np.ones(len(self.sizes), np.uint8)

    def entries(self, case: int) -> np.ndarray:
        """Where the entries of the tables of a case are among those of all tables."""
        return self.offsets + self.base[case, self.families]

    def tables(self, values: np.ndarray) -> Tables:
        """Its tables."""
        return replace(self.blank, values=np.ascontiguousarray(values))

    @cached_property
    def scope_graph(self) -> Scopes:
        """Which variables stand together."""
        return Scopes(self.blank.sizes, self.blank.scope_starts, self.blank.scopes)

    def places(self, family: int, states: np.ndarray) -> np.ndarray:
        """Which entry of a family's table is read in states [n_hidden, n]."""
        at = np.full(states.shape[1], 0, np.int64)
        for v in self.scopes[family]:
            at = at * self.sizes[v] + states[v]
        return at + self.blank.value_starts[family]

    def log_weights(self, log_values: np.ndarray, states: np.ndarray) -> np.ndarray:
        """log F of states [n_hidden, n]."""
        out = np.zeros(states.shape[1])
        for family in range(len(self.scopes)):
            out += log_values[self.places(family, states)]
        return out

    def add_counts(self, counts: np.ndarray, states: np.ndarray, weights: np.ndarray) -> None:
        """Count the entries that states read."""
        for family, (start, end) in enumerate(zip(self.blank.value_starts, self.blank.value_starts[1:], strict=False)):
            counts[start:end] += np.bincount(self.places(family, states) - start, weights, int(end - start))


class Splitting(NamedTuple):
    """How the buckets of a group are split: an order, the entries of a part at most, the seed for ties, the bytes."""

    order: np.ndarray
    limit: int
    seed: int
    whole: bool
    bytes: float

    def of(self, tables: Tables) -> MiniBuckets:
        """The parts of these tables."""
        return MiniBuckets(tables, self.order, self.limit, self.seed)


class Start(NamedTuple):
    """Where the bound of each case of a group begins."""

    parts: Splitting
    state: BoundState


def started(found: list[Splitting], tables: Tables) -> Start:
    """The order with the lowest bound for one case of a group, and the state that sweeps lead it to."""
    if found[0].whole:
        return Start(found[0], found[0].of(tables).bound(Sweeps(0)))
    raced = [(parts, parts.of(tables).bound(Sweeps(RACE))) for parts in found]
    parts, state = min(raced, key=lambda one: one[1].bound)
    return Start(parts, parts.of(tables).bound(Sweeps(LONG), state))


class DrawsAsked(NamedTuple):
    """So many draws, each end of each statement missing with probability `level` in all, and the batches at a time."""

    draws: int
    level: float
    piece: int


class CaseMasses(NamedTuple):
    """For bets on many cases: masses at logarithms of X = w (1 − s [z = z₀])/e^scale; log s F(z₀) and log F(z₀), less
    the scale; mean and relative variance of w/e^scale as other draws foresee them; log R of each block of the draws,
    above its floor log s F(z₀), and how far above that may be."""

    log_x: np.ndarray
    mass: np.ndarray
    log_f: float
    least: float
    mean: float
    spread: float
    blocks: np.ndarray
    width: float


class WeightedCase(NamedTuple):
    """Of one case: estimates of log Z and of E[log R]; their ends; U; the expected entries of its tables, None without.

    log Z is between `lower` and `upper`, the KL between 0 and `kl_upper`. `scale` and `seen` where draws were needed.
    """

    log_z: float
    elbo: float
    lower: float
    upper: float
    kl_upper: float
    std_error: float
    bound: float
    counts: np.ndarray | None = None
    scale: float = 0.0
    seen: CaseMasses | None = None


def weighted(group: CaseTables, values: np.ndarray, start: Start, asked: DrawsAsked, seed: np.ndarray) -> WeightedCase:
    """The draws of a case; without counts where none has a positive weight."""
    buckets = start.parts.of(group.tables(values))
    state = buckets.bound(Sweeps(0 if start.parts.whole else SHORT), start.state)
    if state.bound == -np.inf:
        return _nothing(-np.inf)
    drawer = _Drawer(group, buckets, state, asked)
    if start.parts.whole:
        return drawer.exact(int(seed[1]))
    with np.errstate(divide="ignore"):
        first = drawer.first(np.log(values), int(seed[0]))
    return _nothing(state.bound) if first is None else drawer.under_bound(first, int(seed[1]))


def _nothing(bound: float) -> WeightedCase:
    return WeightedCase(-np.inf, -np.inf, -np.inf, bound, np.inf, np.inf, bound)


class FirstState(NamedTuple):
    """z₀ [n_hidden, 1] and log F(z₀); the mean of w/e^scale and its relative variance where it was found."""

    states: np.ndarray
    log_weight: float
    mean: float
    spread: float


class _Drawer:
    """Draws under the bound of one case."""

    def __init__(self, group: CaseTables, buckets: MiniBuckets, state: BoundState, asked: DrawsAsked):
        self.group, self.buckets, self.state, self.asked = group, buckets, state, asked
        self.proposal = buckets.proposal(state, group.wanted)
        self.scale = state.bound - state.slack
        """log w = this + what the kernel says."""

    def pieces(self, seed: int, step: int = PIECE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """log w − scale and states, by the piece."""
        n, step = self.asked.draws, min(step, self.asked.piece)
        for first in range(0, batches(n), step):
            last = min(first + step, batches(n))
            log_w, states = self.buckets.draw(self.state, self.proposal, (first, last), seed, self.group.wanted)
            yield log_w[: n - first * BATCH], states[:, : n - first * BATCH]

    def first(self, log_values: np.ndarray, seed: int) -> FirstState | None:
        """The most probable state of the first batch that has one of positive weight."""
        for log_w, states in self.pieces(seed, 1):
            if (live := log_w > -np.inf).any():
                states, x = states[:, live], np.exp(log_w)
                log_f = self.group.log_weights(log_values, states)
                k, mean = int(log_f.argmax()), float(x.mean())
                return FirstState(states[:, k : k + 1], float(log_f[k]), mean, float(x.var() / max(mean**2, 1e-300)))
        return None

    def exact(self, seed: int) -> WeightedCase:
        """Where no bucket is split: independent samples of the posterior itself, all of the weight Z."""
        tally = _Tally(self.group)
        for _, states in self.pieces(seed):
            tally.add(np.zeros(states.shape[1]), states)
        z = self.scale
        return WeightedCase(z, z, z, z, 0.0, 0.0, z, tally.counts / tally.sum)

    def under_bound(self, first: FirstState, seed: int) -> WeightedCase:
        """The draws, and what follows from them."""
        n = self.asked.draws
        tally, means, squares, all_x = _Tally(self.group), Bets(horizon=n), Bets(horizon=n), []
        for log_w, states in self.pieces(seed):
            log_x = log_w + np.where((states == first.states).all(0), LOG_REST, 0.0)
            means.add(log_x)
            squares.add(2 * log_x)
            tally.add(log_x, states)
            all_x.append(log_x)
        found = self._told(first, tally, means, squares)
        floor = LOG_SHARE + first.log_weight - self.scale
        known = (floor, first.log_weight - self.scale, first.mean, first.spread)
        above = _blocks(np.concatenate(all_x), floor), float(np.logaddexp(0.0, -floor))
        seen = CaseMasses(means.tally.points, means.tally.mass[:, 0].sum(0), *known, *above)
        return found._replace(scale=self.scale, seen=seen)

    def _told(self, first: FirstState, tally: _Tally, means: Bets, squares: Bets) -> WeightedCase:
        n, floor = self.asked.draws, LOG_SHARE + first.log_weight
        log_r = float(np.logaddexp(floor, self.scale + tally.log_sum - math.log(n)))
        spread = math.exp(2 * (self.scale + tally.log_sum - math.log(n) - log_r)) * tally.relative_variance(n)
        ends, (_, _, second) = means.log_mean(2 / 3 * self.asked.level), squares.log_mean(2 / 3 * self.asked.level)
        lower = max(float(np.logaddexp(floor, self.scale + ends.lower)), first.log_weight)
        upper = max(min(float(np.logaddexp(floor, self.scale + ends.upper)), self.state.bound), lower)
        second = min(2 * self.scale + float(second) - 2 * lower, self.state.bound - lower)
        most = _kl_bound((lower, upper), first.log_weight, second, n)
        log_z = min(max(log_r + min(spread / (2 * n), most), lower), upper)
        counts = tally.counts * math.exp(self.scale + tally.top - math.log(n) - log_r)
        self.group.add_counts(counts, first.states, np.array([math.exp(floor - log_r)]))
        std_error = math.sqrt(spread / n) if tally.sum else most
        ends = (log_z, min(log_r, log_z), lower, upper, most, std_error, self.state.bound)
        return WeightedCase(*ends, counts)


def _blocks(log_x: np.ndarray, floor: float) -> np.ndarray:
    """log R of each block of draws, above the floor; R of all draws is on average no lower (Burda et al. 2016)."""
    m = min(BLOCKS, len(log_x))
    x = log_x[: len(log_x) // m * m].reshape(m, -1)
    log_r: np.ndarray = np.logaddexp.reduce(x, axis=1) - math.log(x.shape[1]) - floor
    return np.logaddexp(np.zeros(m), log_r)


def _kl_bound(log_z: tuple[float, float], log_first: float, log_second: float, n: int) -> float:
    """log Z − E[log R] is at most this: from the ends of log Z, log F(z₀), and log E[w²]/Z² at most."""
    lower, upper = log_z
    mean = 1 - SHARE * math.exp(min(log_first - lower, 0.0))
    variance = max(math.exp(min(log_second, 600.0)) - mean**2, 0.0)
    floor = SHARE * math.exp(min(log_first - upper, 0.0))
    curvature = (floor - 1 - LOG_SHARE - min(log_first - upper, 0.0)) / (1 - floor) ** 2
    return min(curvature * variance / n, upper - LOG_SHARE - log_first)


class _Tally:
    """Sums of weights, of their squares and by the entries that are read, all relative to the largest weight so far."""

    def __init__(self, group: CaseTables):
        self.group = group
        self.top, self.sum, self.squares = -math.inf, 0.0, 0.0
        self.counts = np.zeros(len(group.offsets))

    @property
    def log_sum(self) -> float:
        """The logarithm of the sum of all weights."""
        return self.top + math.log(self.sum) if self.sum > 0 else -np.inf

    def relative_variance(self, n: int) -> float:
        """The variance of n weights, relative to the square of their mean."""
        return max(n * self.squares / self.sum**2 - 1, 0.0) if self.sum > 0 else 0.0

    def add(self, log_x: np.ndarray, states: np.ndarray) -> None:
        """Count draws."""
        top = max(self.top, float(log_x.max()))
        if top == -np.inf:
            return
        scale = math.exp(self.top - top)
        x = np.exp(log_x - top)
        self.top, self.sum = top, scale * self.sum + float(x.sum())
        self.squares = scale**2 * self.squares + float(x @ x)
        self.counts *= scale
        self.group.add_counts(self.counts, states, x)


def split(group: CaseTables, n: int, entries: float, memory: float) -> list[Splitting]:
    """So many ways to split the buckets of a group, of at most so many entries; none where the memory holds none."""
    out = []
    for how in islice(orders(), n):
        found = largest(group.blank, eliminating(group.scope_graph, how, math.inf), how.seed, entries, memory)
        if found is None:
            continue
        price = found.price(group.wanted)
        assert price is not None
        out.append(Splitting(found.order, found.limit, how.seed, price.n_split == 0, price.bytes))
    return sorted(out, key=lambda parts: not parts.whole)
