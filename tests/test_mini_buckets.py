"""Bounds of log Z by mini-buckets and draws under them, against sums over all joint states and a recursion in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from small_networks import SmallNetwork, random_network
from sweep import seeds

from tractable.kernels.mini_buckets import BATCH, BoundState, MiniBuckets, Sweeps

LIMITS = 1, 2, 4, 8, 16


class Piece(NamedTuple):
    """A part of a bucket: its variables in the order of elimination, its tables, the parts whose messages it has."""

    scope: tuple[int, ...]
    factors: list[int]
    children: list[int]


def random_numbers(seed: int) -> Iterator[int]:
    """xorshift64*, from the seed as the kernels take it."""
    most = 2**64 - 1
    s = (seed + 1) * 0x9E3779B97F4A7C15 & most
    s ^= s >> 31
    while True:
        s ^= s >> 12
        s ^= s << 25 & most
        s ^= s >> 27
        yield s * 2685821657736338717 & most


def pieces_of(net: SmallNetwork, order: Sequence[int], limit: int, seed: int) -> list[list[Piece]]:
    """The parts of each bucket: the largest function first, to the part that grows least and stays within the limit."""
    place, random = {int(v): i for i, v in enumerate(order)}, random_numbers(seed)

    def ordered(variables: Iterator[int]) -> tuple[int, ...]:
        return tuple(sorted({v for v in variables if net.sizes[v] > 1}, key=place.__getitem__))

    def size(scope: Sequence[int]) -> int:
        return int(np.prod([net.sizes[v] for v in scope], dtype=int))

    waiting: dict[int, list[tuple[int, int, tuple[int, ...], int, int]]] = {int(v): [] for v in order}
    for k, s in enumerate(net.scopes):
        if scope := ordered(iter(s)):
            waiting[scope[0]].append((-size(s), next(random), scope, k, -1))
    buckets: list[list[Piece]] = []
    number = 0
    for v in waiting:
        bins: list[Piece] = [] if waiting[v] else [Piece((v,), [], [])]
        for _, _, scope, factor, part in sorted(waiting[v]):
            grown = [ordered(iter((*b.scope, *scope))) for b in bins]
            fits = [i for i, g in enumerate(grown) if size(g) <= limit or g == bins[i].scope]
            best = min(fits, key=lambda i: size(grown[i]) / size(bins[i].scope), default=len(bins))
            if best == len(bins):
                bins.append(Piece((), [], []))
                grown.append(scope)
            bins[best] = Piece(grown[best], bins[best].factors, bins[best].children)
            (bins[best].factors if part < 0 else bins[best].children).append(factor if part < 0 else part)
        buckets.append(bins)
        for i, b in enumerate(bins):
            if len(b.scope) > 1:
                waiting[b.scope[1]].append((-size(b.scope[1:]), next(random), b.scope[1:], -1, number + i))
        number += len(bins)
    return buckets


def verified_bound(net: SmallNetwork, order: Sequence[int], buckets: MiniBuckets, state: BoundState) -> float:
    """The bound from weights and shifts alone, in NumPy; an error where these are no state."""
    place = {int(v): i for i, v in enumerate(order)}

    def table(values: np.ndarray, own: Sequence[int], scope: Sequence[int]) -> np.ndarray:
        kept = [v for v in own if net.sizes[v] > 1]
        values = values.reshape([net.sizes[v] for v in kept]).transpose(
            sorted(range(len(kept)), key=lambda i: place[kept[i]])
        )
        return values.reshape([net.sizes[v] if v in kept else 1 for v in scope])

    total = sum(float(t.reshape(-1)[0]) for t in net.logs if t.size == 1)
    shift_at, weights = 0, iter(state.weights.tolist())
    messages: list[tuple[np.ndarray, tuple[int, ...]]] = []
    for bucket in pieces_of(net, order, buckets.limit, int(buckets.how[1])):
        shared = [v for v in bucket[0].scope if all(v in p.scope for p in bucket)]
        k, own = int(np.prod([net.sizes[v] for v in shared])), [next(weights) for _ in bucket]
        shifts = (
            [np.zeros(k)] if len(bucket) == 1 else [*state.shifts[shift_at : shift_at + k * len(bucket)].reshape(-1, k)]
        )
        shift_at += k * len(bucket) if len(bucket) > 1 else 0
        assert min(own) > 0 and abs(sum(own) - 1) < 1e-9 and np.allclose(np.sum(shifts, axis=0), 0, atol=1e-7)
        for p, w, shift in zip(bucket, own, shifts, strict=True):
            psi = np.zeros([net.sizes[v] for v in p.scope]) + table(shift, shared, p.scope)
            for f in p.factors:
                psi = psi + table(net.logs[f], net.scopes[f], p.scope)
            for child in p.children:
                psi = psi + table(*messages[child], p.scope)
            message = w * np.logaddexp.reduce(psi / w, axis=0)
            messages.append((message, p.scope[1:]))
            total += float(message) if len(p.scope) == 1 else 0.0
    assert shift_at == len(state.shifts) and next(weights, None) is None
    return total


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(60, 10))
def test_bounds_hold_and_are_those_of_their_states(seed: int) -> None:
    net, rng = random_network(seed), np.random.default_rng(seed)
    z, order = net.log_z(), rng.permutation(len(net.sizes))
    for limit in LIMITS:
        buckets = MiniBuckets(net.tables, order, limit, seed)
        state = buckets.bound(Sweeps(0))
        for more in (0, 3, 9):
            swept = buckets.bound(Sweeps(more), state)
            assert z - 1e-13 * abs(z) <= swept.bound <= state.bound + state.slack and swept.sweeps <= more
            state = swept
            u = verified_bound(net, order, buckets, state)
            assert state.bound - state.slack == pytest.approx(u, rel=1e-9, abs=1e-9)
            assert state.slack < 1e-8


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(30))
def test_whole_buckets_are_elimination(seed: int) -> None:
    net = random_network(seed)
    order = np.random.default_rng(seed).permutation(len(net.sizes))
    state = MiniBuckets(net.tables, order, 2**20).bound(Sweeps())
    assert not len(state.shifts) and state.sweeps == 0
    assert state.bound - state.slack == pytest.approx(net.log_z(), rel=1e-12, abs=1e-12)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(60))
def test_draws_weigh_what_their_probabilities_say(seed: int) -> None:
    net, rng = random_network(seed), np.random.default_rng(seed)
    buckets = MiniBuckets(net.tables, rng.permutation(len(net.sizes)), int(rng.choice(LIMITS)), seed)
    state, wanted = buckets.bound(Sweeps(4)), np.ones(len(net.sizes), np.uint8)
    if state.bound == -np.inf:
        return
    log_w, x = buckets.draw(state, buckets.proposal(state, wanted), (0, 8), seed, wanted)
    f, log_u = net.log_joint(x), state.bound - state.slack
    assert ((log_w > -np.inf) == (f > -np.inf)).all() and (log_w <= 0).all()
    alive = f > -np.inf
    log_q = f[alive] - log_u - log_w[alive]
    assert (log_q <= 1e-9 * (1 + abs(log_u))).all()
    often, where = np.unique(
        np.ravel_multi_index(tuple(x[:, alive]), net.sizes), return_counts=True, return_index=True
    )[1:]
    q, n = np.exp(log_q[often]), len(log_w)
    assert (np.abs(where - n * q) <= 6 * np.sqrt(n * q) + 6).all()


def maxima_of_sums(net: SmallNetwork, order: np.ndarray, n_max: int) -> float:
    """The largest sum over the variables that come first in the order."""
    f = net.log_joint(net.all_states).reshape(net.sizes)
    summed = tuple(int(v) for v in order[: len(order) - n_max])
    return float(np.logaddexp.reduce(f, axis=summed).max()) if summed else float(f.max())


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(120, 10))
def test_maxima_of_sums_are_bounded(seed: int) -> None:
    net, rng = random_network(seed), np.random.default_rng(seed)
    n = len(net.sizes)
    order = rng.permutation(n)
    for n_max in (n, int(rng.integers(1, n))):
        temperatures = np.ones(n)
        temperatures[order[n - n_max :]] = 0
        truth = maxima_of_sums(net, order, n_max)
        for limit in (*LIMITS, 2**20):
            buckets = MiniBuckets(net.tables, order, limit, seed)
            first = buckets.bound(Sweeps(0), None, temperatures)
            found = buckets.annealed(Sweeps(6), temperatures)
            assert truth - 1e-13 * abs(truth) <= found.bound <= first.bound and found.slack < 1e-8
            again = buckets.bound(Sweeps(0), found)
            assert (again.bound, again.slack) == (found.bound, found.slack)
            warm = buckets.bound(Sweeps(3), found, np.maximum(temperatures, rng.uniform(0.01, 1)))
            assert warm.bound >= truth - 1e-13 * abs(truth)
            if not found.shifts.size:
                assert found.bound - found.slack == pytest.approx(truth, rel=1e-12, abs=1e-12)


def test_what_no_number_holds_still_weighs_right() -> None:
    """Of three variables no two may be alike, but for e^-690: the conditionals of draws are smaller than any number."""
    differ = np.array([[-690.0, 0.0], [0.0, -690.0]])
    net = SmallNetwork((2, 2, 2), ((0, 1), (0, 2), (1, 2)), (differ,) * 3)
    buckets, wanted = MiniBuckets(net.tables, np.arange(3), 4), np.ones(3, np.uint8)
    state = buckets.bound(Sweeps(0))
    log_w, _ = buckets.draw(state, buckets.proposal(state, wanted), (0, 4), 0, wanted)
    assert state.bound > 0 > -680 > net.log_z()
    assert state.bound + log_w.max() < net.log_z() + 3


def test_batches_are_the_same_however_they_are_cut() -> None:
    net = random_network(3)
    buckets, wanted = MiniBuckets(net.tables, np.arange(len(net.sizes)), 4), np.zeros(len(net.sizes), np.uint8)
    wanted[::3] = 1
    state = buckets.bound(Sweeps(2))
    proposal = buckets.proposal(state, wanted)
    log_w, x = buckets.draw(state, proposal, (0, 5), 7, wanted)
    some = [buckets.draw(state, proposal, ends, 7, wanted) for ends in ((0, 2), (2, 5))]
    assert log_w.shape == (5 * BATCH,) and x.shape == (int(wanted.sum()), 5 * BATCH)
    assert np.array_equal(log_w, np.concatenate([w for w, _ in some]))
    assert np.array_equal(x, np.concatenate([own for _, own in some], axis=1))
    other, _ = buckets.draw(state, proposal, (0, 5), 8, wanted)
    assert not np.array_equal(log_w, other)


def test_an_order_has_every_variable() -> None:
    with pytest.raises(ValueError, match="every variable once"):
        MiniBuckets(random_network(1).tables, np.arange(2), 4)
