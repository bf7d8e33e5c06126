"""The best states below a mini-bucket bound, against all joint states: which, in what order, a bound of the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from small_networks import SmallNetwork, random_network
from sweep import seeds

from tractable.kernels.mini_buckets import BoundState, LeafWorth, MiniBuckets, Searched, SearchTerms, Sweeps

LIMITS = 1, 2, 4, 8, 2**20
CLOSE = {"rel": 1e-9, "abs": 1e-9}


class Choice(NamedTuple):
    """The last variables of an order are chosen, the others summed out; `values`, an axis of one for these."""

    net: SmallNetwork
    order: np.ndarray
    n_max: int
    values: np.ndarray

    @classmethod
    def of(cls, net: SmallNetwork, order: np.ndarray, n_max: int) -> Choice:
        """With the logarithms of the sums."""
        values = net.log_joint(net.all_states).reshape(net.sizes)
        for v in order[: len(order) - n_max].tolist():
            values = np.logaddexp.reduce(values, axis=v, keepdims=True)
        return cls(net, order, n_max, values)

    def bounded(self, limit: int, sweeps: int, seed: int = 0) -> tuple[MiniBuckets, BoundState]:
        """The mini-buckets, with a state of temperatures zero for what is chosen."""
        temperatures = np.ones(len(self.order))
        temperatures[self.order[len(self.order) - self.n_max :]] = 0
        buckets = MiniBuckets(self.net.tables, self.order, limit, seed)
        return buckets, buckets.annealed(Sweeps(sweeps), temperatures)

    def places(self, states: np.ndarray) -> np.ndarray:
        """Where in the flat values the states are."""
        return np.asarray(np.ravel_multi_index(tuple(np.maximum(states, 0).T), self.values.shape))

    def worth(self, states: np.ndarray, most: float) -> float:
        """The value of a choice, which is no more than its bound."""
        value = float(self.values.ravel()[self.places(states[None])[0]])
        assert value <= most + 1e-9 * (1 + abs(value))
        return value

    def check(self, found: Searched, k: int, lower: float = -np.inf) -> None:
        """What is found is distinct, in order and what it says; the rest has no more than the bound."""
        places, values = self.places(found.states), self.values.ravel()
        assert len(set(places.tolist())) == len(places) <= k and (np.diff(found.values) <= 0).all()
        assert found.values == pytest.approx(values[places], **CLOSE) and (found.values > lower).all()
        assert (
            (found.states < 0) == ~np.isin(np.arange(len(self.order)), self.order[len(self.order) - self.n_max :])
        ).all()
        rest = np.delete(values, places).max(initial=-np.inf)
        assert found.upper >= rest
        if found.proven:
            best = np.sort(values[values > lower])[::-1][:k]
            assert found.values == pytest.approx(best, **CLOSE)


def random_choice(seed: int, whole: bool) -> Choice:
    """Of a random network, all variables or some."""
    net, rng = random_network(seed), np.random.default_rng(seed)
    n = len(net.sizes)
    return Choice.of(net, rng.permutation(n), n if whole else int(rng.integers(0, n + 1)))


@pytest.mark.verify
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", seeds(40, 10))
def test_the_best_are_found_in_order(seed: int, whole: bool) -> None:
    choice, rng = random_choice(seed, whole), np.random.default_rng(seed)
    worth: LeafWorth | None = None if choice.n_max == len(choice.order) else choice.worth
    for limit in LIMITS:
        buckets, state = choice.bounded(limit, int(rng.integers(5)), seed)
        for k in (1, 5, choice.values.size + 1):
            found = buckets.search(state, choice.n_max, SearchTerms(k), worth=worth)
            assert found.proven and not found.interrupted
            choice.check(found, k)
        lower = state.bound - float(rng.exponential())
        if np.isfinite(lower):
            choice.check(buckets.search(state, choice.n_max, SearchTerms(3, lower), worth=worth), 3, lower)


@pytest.mark.verify
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", seeds(40, 10))
def test_what_ends_early_is_bounded(seed: int, whole: bool) -> None:
    choice, rng = random_choice(seed, whole), np.random.default_rng(seed)
    worth: LeafWorth | None = None if choice.n_max == len(choice.order) else choice.worth
    for limit in LIMITS[:-1]:
        buckets, state = choice.bounded(limit, 1, seed)
        for nodes, memory in (
            (int(rng.integers(1, 300)), 1e9),
            (int(rng.integers(1, 300)), 0),
            (np.inf, 0),
            (np.inf, 3e4),
        ):
            k = int(rng.choice([1, 4, 30]))
            found = buckets.search(state, choice.n_max, SearchTerms(k, nodes=nodes, memory=memory), worth=worth)
            assert found.proven or found.nodes >= nodes
            choice.check(found, k)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(30))
def test_leaves_bound_the_sums_below_them(seed: int) -> None:
    choice = random_choice(seed, False)
    for limit in LIMITS:
        buckets, state = choice.bounded(limit, 3, seed)
        found = buckets.search(state, choice.n_max, SearchTerms(10_000))
        own = choice.values.ravel()[choice.places(found.states)]
        assert found.proven and (found.values + state.slack >= own - 1e-13 * np.abs(own)).all()
        assert np.delete(choice.values.ravel(), choice.places(found.states)).max(initial=-np.inf) == -np.inf
        if limit == LIMITS[-1]:
            assert found.values == pytest.approx(own, **CLOSE)


@pytest.mark.verify
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", seeds(40, 10))
def test_parts_find_the_same(seed: int, whole: bool) -> None:
    choice, rng = random_choice(seed, whole), np.random.default_rng(seed)
    for limit in LIMITS:
        buckets, state = choice.bounded(limit, int(rng.integers(4)), seed)
        terms = SearchTerms(memory=float(rng.choice([0, 1e9])))
        one = buckets.search(state, choice.n_max, terms)
        other = buckets.search(state, choice.n_max, terms._replace(by_parts=True))
        assert other.proven and other.values == pytest.approx(one.values, **CLOSE)
        if not len(one.values):
            continue
        best, most = float(one.values[0]), choice.values.max()
        for lower in (best - 0.1, best + 1e-6):
            found = buckets.search(state, choice.n_max, terms._replace(by_parts=True, lower=lower))
            assert found.proven and len(found.values) == (lower < best) and found.upper >= most - 1e-13 * abs(most)
        early = buckets.search(state, choice.n_max, terms._replace(by_parts=True, nodes=int(rng.integers(1, 60))))
        assert early.upper >= most - 1e-13 * abs(most) and (early.proven or early.nodes <= 61)
        if whole:
            choice.check(other, 1)


def test_parts_are_solved_by_themselves() -> None:
    """Pairs that hang on one hub: what is solved of one pair is not solved again for the states of another."""
    n, rng = 60, np.random.default_rng(0)
    scopes = [(0, i) for i in range(1, 2 * n + 1)] + [(2 * i + 1, 2 * i + 2) for i in range(n)]
    net = SmallNetwork((2,) * (2 * n + 1), tuple(scopes), tuple(rng.normal(size=(len(scopes), 2, 2))))
    order = np.arange(2 * n + 1)[::-1].copy()
    buckets = MiniBuckets(net.tables, order, 1)
    state = buckets.bound(Sweeps(0), None, np.zeros(2 * n + 1))
    whole = MiniBuckets(net.tables, order, 2**20).bound(Sweeps(0), None, np.zeros(2 * n + 1))
    found = buckets.search(state, 2 * n + 1, SearchTerms(nodes=10**6, by_parts=True))
    assert state.bound > whole.bound + 1 and found.proven
    assert found.values[0] == pytest.approx(whole.bound, abs=1e-8)
    assert found.values == pytest.approx(net.log_joint(found.states.T))


def chain(n: int, k: int) -> SmallNetwork:
    """Variables that each hang on the one before."""
    rng = np.random.default_rng(n)
    return SmallNetwork((k,) * n, tuple((i, i + 1) for i in range(n - 1)), tuple(rng.normal(size=(n - 1, k, k))))


def test_whole_buckets_lead_straight_to_the_best() -> None:
    """With nothing split f is exact: every node that is looked at is on the way to one of the best, or beside it."""
    n, k = 1000, 20
    buckets = MiniBuckets(chain(n, 3).tables, np.arange(n), 2**20)
    state = buckets.bound(Sweeps(0), None, np.zeros(n))
    found = buckets.search(state, n, SearchTerms(k))
    assert found.proven and found.nodes <= n * k and len(found.values) == k
    assert found.values[0] == pytest.approx(state.bound, abs=1e-8)


def test_what_must_be_exceeded_may_be_raised_meanwhile() -> None:
    n = 16
    net = SmallNetwork(
        (3,) * n, tuple((i, j) for i in range(n) for j in range(i)), tuple(np.zeros((n * (n - 1) // 2, 3, 3)))
    )
    buckets = MiniBuckets(net.tables, np.arange(n), 9)
    state = buckets.bound(Sweeps(0), None, np.zeros(n))
    heard: list[Searched] = []

    def show(found: Searched) -> tuple[float, float]:
        heard.append(found)
        return np.inf, np.inf

    found = buckets.search(state, n, SearchTerms(10**5, seconds=60), show)
    assert heard and found.proven and heard[0].upper >= 0 and 0 < len(found.values) < 3**n


@pytest.mark.parametrize("by_parts", [False, True])
def test_an_interrupted_search_says_what_it_has(by_parts: bool) -> None:
    n = 40
    order = np.random.default_rng(0).permutation(n)
    net = SmallNetwork(
        (2,) * n,
        tuple((i, j) for i in range(n) for j in range(i)),
        tuple(np.random.default_rng(0).normal(size=(n * (n - 1) // 2, 2, 2))),
    )
    buckets = MiniBuckets(net.tables, order, 4)
    state = buckets.bound(Sweeps(0), None, np.zeros(n))

    def show(found: Searched) -> None:
        if len(found.values) or by_parts:
            raise KeyboardInterrupt

    found = buckets.search(state, n, SearchTerms(3, seconds=60, by_parts=by_parts), show)
    assert found.interrupted and not found.proven and len(found.values) == 3 * (not by_parts)
    assert found.values.max(initial=-np.inf) <= found.upper <= state.bound + 1e-9
    assert found.values == pytest.approx(net.log_joint(found.states.T))


def test_what_is_chosen_has_temperature_zero() -> None:
    buckets = MiniBuckets(random_network(1).tables, np.arange(len(random_network(1).sizes)), 4)
    with pytest.raises(ValueError, match="temperature 0"):
        buckets.search(buckets.bound(Sweeps(0)), 1, SearchTerms())
