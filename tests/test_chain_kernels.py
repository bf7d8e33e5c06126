"""Forward-backward, Viterbi and path samples against the enumeration of all paths."""

from __future__ import annotations

import numpy as np
import pytest
from chains_oracle import enumerate_paths, random_chain

from tractable.kernels.chain import Chains, best_paths, filtered, sample_paths, tally, viterbi
from tractable.kernels.chain import smooth as sequential
from tractable.posterior.exact.chain import METHODS, fixed_lag, smooth

TOLERANCE = 1e-10
LENGTHS = [4, 1, 6, 2, 5, 3]
CASES = [(k, zeros, scale) for k in (1, 2, 3, 4) for zeros in (0, 0.4) for scale in (1, 30, 2000, 1e5)]


def chains_of(k: int, zeros: float, scale: float, seed: int = 0) -> Chains:
    rng = np.random.default_rng([seed, k])
    return Chains(*random_chain(rng, k, sum(LENGTHS), zeros, scale), lengths=LENGTHS, weights=[1, 2, 0.5, 1, 0, 3])


def parts(chains: Chains) -> list[np.ndarray]:
    return np.split(chains.rows, chains.offsets[1:-1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k", "zeros", "scale"), CASES)
def test_smoothing_is_the_enumeration_of_all_paths(k: int, zeros: float, scale: float, method: str) -> None:
    chains, expected = chains_of(k, zeros, scale), np.zeros((k, k))
    found = smooth(chains, method)
    for s, (rows, begin) in enumerate(zip(parts(chains), chains.offsets, strict=False)):
        truth = enumerate_paths(chains.start, chains.transition, rows)
        if truth is None:
            assert found.log_likelihood[s] == -np.inf
            continue
        np.testing.assert_allclose(found.log_likelihood[s], truth.log_p, rtol=1e-12, atol=TOLERANCE)
        np.testing.assert_allclose(found.marginals[begin : begin + len(rows)], truth.marginals, rtol=0, atol=TOLERANCE)
        expected += chains.weights[s] * truth.transitions
    np.testing.assert_allclose(found.transitions, expected, rtol=1e-10, atol=TOLERANCE)


@pytest.mark.parametrize("k", [1, 2, 5, 7, 8, 9, 15, 17, 64, 65])
@pytest.mark.parametrize("n", [2, 4, 7, 11])
def test_sequences_side_by_side_are_as_each_alone(k: int, n: int) -> None:
    rng = np.random.default_rng([k, n])
    lengths, weights = rng.integers(1, 40, n), rng.random(n)
    start, transition, rows = random_chain(rng, k, int(lengths.sum()), 0, 3)
    together, counts = sequential(Chains(start, transition, rows, lengths, weights)), np.zeros((k, k))
    for s, part in enumerate(np.split(rows, np.cumsum(lengths)[:-1])):
        alone, begin = sequential(Chains(start, transition, part, None, weights[s : s + 1])), lengths[:s].sum()
        np.testing.assert_allclose(together.log_likelihood[s], alone.log_likelihood[0], rtol=1e-13)
        np.testing.assert_allclose(together.marginals[begin : begin + len(part)], alone.marginals, rtol=0, atol=1e-12)
        counts += alone.transitions
    np.testing.assert_allclose(together.transitions, counts, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("k", "zeros", "scale"), CASES)
def test_a_tally_is_smoothing_summed_over_rows_that_are_alike(k: int, zeros: float, scale: float) -> None:
    rng = np.random.default_rng(k)
    start, transition, kinds = random_chain(rng, k, 5, zeros, scale)
    kind, weights = rng.integers(0, 5, sum(LENGTHS)), np.array([1, 2, 0.5, 1, 0, 3])
    found = tally(Chains(start, transition, kinds, LENGTHS, weights, kind))
    rows = sequential(Chains(start, transition, kinds[kind], LENGTHS, weights))
    np.testing.assert_allclose(found.log_likelihood, rows.log_likelihood, rtol=1e-12, atol=TOLERANCE)
    weighted = np.nan_to_num(rows.marginals) * np.repeat(weights, LENGTHS)[:, None]
    sums = np.zeros((5, k))
    np.add.at(sums, kind, weighted)
    np.testing.assert_allclose(found.kinds, sums, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.first, weighted[np.cumsum([0, *LENGTHS[:-1]])].sum(0), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.transitions, rows.transitions, rtol=1e-10, atol=TOLERANCE)


def test_kinds_of_rows_that_there_are_not() -> None:
    for kind in ([0, 2], [-1, 0]):
        with pytest.raises(ValueError, match="kinds of rows"):
            Chains([1.0], [[1.0]], np.zeros((2, 1)), kind=np.array(kind))
    with pytest.raises(ValueError, match="tally"):
        sequential(Chains([1.0], [[1.0]], np.zeros((2, 1)), kind=np.array([0, 1])))


@pytest.mark.parametrize(("k", "zeros", "scale"), CASES)
@pytest.mark.parametrize("lag", [0, 1, 2, 9])
def test_filtering_and_fixed_lags_know_the_rows_up_to_there(k: int, zeros: float, scale: float, lag: int) -> None:
    chains = chains_of(k, zeros, scale)
    possible = sequential(chains).log_likelihood > -np.inf
    found = fixed_lag(chains, lag)
    for s in np.flatnonzero(possible):
        rows, begin = parts(chains)[s], chains.offsets[s]
        for t in range(len(rows)):
            truth = enumerate_paths(chains.start, chains.transition, rows[: t + lag + 1])
            assert truth is not None
            np.testing.assert_allclose(found[begin + t], truth.marginals[t], rtol=0, atol=TOLERANCE)
    if lag == 0:
        np.testing.assert_allclose(filtered(chains)[1], found, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("k", "zeros", "scale"), CASES)
def test_viterbi_finds_the_best_of_all_paths(k: int, zeros: float, scale: float) -> None:
    chains = chains_of(k, zeros, scale)
    found = viterbi(chains)
    for s, (rows, begin) in enumerate(zip(parts(chains), chains.offsets, strict=False)):
        truth = enumerate_paths(chains.start, chains.transition, rows)
        path = found.states[begin : begin + len(rows)]
        if truth is None:
            assert found.log_probability[s] == -np.inf and (path == -1).all()
            continue
        np.testing.assert_allclose(found.log_probability[s], truth.log_joint.max(), rtol=1e-12)
        np.testing.assert_array_equal(path, truth.paths[truth.log_joint.argmax()])


@pytest.mark.parametrize(("k", "zeros", "scale"), CASES)
@pytest.mark.parametrize("n", [1, 2, 9, 300])
def test_the_best_paths_are_the_best_of_all_paths(k: int, zeros: float, scale: float, n: int) -> None:
    chains = chains_of(k, zeros, scale)
    found = best_paths(chains, n)
    assert (found.log_probability[1:] <= found.log_probability[:-1]).all()
    np.testing.assert_array_equal(found.log_probability[0], viterbi(chains).log_probability)
    np.testing.assert_array_equal(found.states[0], viterbi(chains).states)
    for s, (rows, begin) in enumerate(zip(parts(chains), chains.offsets, strict=False)):
        truth = enumerate_paths(chains.start, chains.transition, rows)
        best = np.zeros(0) if truth is None else np.sort(truth.log_joint)[::-1]
        best = best[best > -np.inf][:n]
        np.testing.assert_allclose(found.log_probability[: len(best), s], best, rtol=1e-12, atol=TOLERANCE)
        assert (found.log_probability[len(best) :, s] == -np.inf).all()
        own = found.states[:, begin : begin + len(rows)]
        assert len({tuple(path) for path in own[: len(best)].tolist()}) == len(best)
        assert (own[: len(best)] >= 0).all() and (own[len(best) :] == -1).all()


def test_all_paths_that_are_as_good_are_found() -> None:
    chains = Chains(np.full(3, 1 / 3), np.full((3, 3), 1 / 3), np.zeros((5, 3)))
    found = best_paths(chains, 300)
    assert len(np.unique(found.states[:243], axis=0)) == 243 and (found.states[243:] == -1).all()
    np.testing.assert_allclose(found.log_probability[:243], -5 * np.log(3), rtol=1e-14)


def test_ties_go_to_the_lowest_state() -> None:
    for k in (2, 3, 8, 20):
        chains = Chains(np.full(k, 1 / k), np.full((k, k), 1 / k), np.zeros((5, k)))
        assert viterbi(chains).states.tolist() == [0] * 5


@pytest.mark.parametrize("scale", [1, 400])  # the second needs logarithms: the identity keeps what underflows
def test_sampled_paths_come_as_often_as_their_probability(scale: float) -> None:
    rng, n = np.random.default_rng(3), 40_000
    start, transition, rows = random_chain(rng, 3, 4)
    if scale > 1:
        transition, rows = np.eye(3), np.array([[0, -800, 0], [0, 0, -800.0], [-800, 0, 1], [0, 0.5, 0]])
    found = sample_paths(Chains(start, transition, rows), n, seed=1)
    truth = enumerate_paths(start, transition, rows)
    assert truth is not None
    codes = np.bincount(found.states @ 3 ** np.arange(3, -1, -1), minlength=81)
    p = np.exp(truth.log_joint - truth.log_p)
    np.testing.assert_allclose(codes / n, p, atol=5 * np.sqrt(0.25 / n), rtol=0)
    assert (codes[p == 0] == 0).all()
    np.testing.assert_allclose(found.log_probability, truth.log_p, rtol=1e-12)
    assert (sample_paths(Chains(start, transition, rows), n, seed=1).states == found.states).all()


def test_what_underflows_is_kept_where_it_may_come_back() -> None:
    """Two chains that never mix: after 10,000 rows against the second, as many for it."""
    half = np.tile([[0.0, -3.0]], (10_000, 1))
    rows = np.concatenate([half, half[:, ::-1], [[0.0, 1.0]]])
    found = sequential(Chains([0.5, 0.5], np.eye(2), rows))
    np.testing.assert_allclose(found.marginals[0], [1 / (1 + np.e), np.e / (1 + np.e)], atol=1e-9)
    np.testing.assert_allclose(found.log_likelihood[0], -30_000 + np.log((1 + np.e) / 2), rtol=1e-13)


def test_a_million_rows() -> None:
    """Rows that say nothing but how probable they are: log p is their sum, marginals are those of the chain."""
    n = 1_000_000
    transition = np.array([[0.9, 0.1], [0.3, 0.7]])
    found = sequential(Chains([0.75, 0.25], transition, np.full((n, 2), -1000.125)))
    assert found.log_likelihood[0] == pytest.approx(-1000.125 * n, rel=1e-14)
    np.testing.assert_allclose(found.marginals, np.tile([0.75, 0.25], (n, 1)), atol=1e-12)
    np.testing.assert_allclose(found.transitions, (n - 1) * transition * [[0.75], [0.25]], rtol=1e-10)


def test_a_million_rows_that_say_something() -> None:
    rng, n = np.random.default_rng(0), 1_000_000
    start, transition, rows = random_chain(rng, 5, n, scale=5)
    found = sequential(Chains(start, transition, rows))
    np.testing.assert_allclose(found.marginals.sum(1), 1, atol=1e-12)
    assert found.transitions.sum() == pytest.approx(n - 1, rel=1e-12)
    np.testing.assert_allclose(found.transitions.sum(0), found.marginals[1:].sum(0), rtol=1e-9)
    np.testing.assert_allclose(found.transitions.sum(1), found.marginals[:-1].sum(0), rtol=1e-9)
    window = sequential(Chains(start, transition, rows[-400:])).marginals[-100:]  # the chain forgets its start
    np.testing.assert_allclose(found.marginals[-100:], window, atol=TOLERANCE)


@pytest.mark.parametrize("k", [1, 2, 5, 7, 8, 9, 16, 17, 33, 100])
def test_many_sequences_are_the_same_as_one_by_one(k: int) -> None:
    rng = np.random.default_rng(k)
    lengths = rng.integers(1, 60, 23)
    start, transition, rows = random_chain(rng, k, int(lengths.sum()), zeros=0.1)
    together, ends = sequential(Chains(start, transition, rows, lengths)), np.cumsum(lengths)
    best, counts = viterbi(Chains(start, transition, rows, lengths)), np.zeros((k, k))
    for s, (begin, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        alone = Chains(start, transition, rows[begin:end])
        one = sequential(alone)
        np.testing.assert_allclose(together.log_likelihood[s], one.log_likelihood[0], rtol=1e-13)
        np.testing.assert_allclose(together.marginals[begin:end], one.marginals, atol=1e-13)
        np.testing.assert_array_equal(best.states[begin:end], viterbi(alone).states)
        counts += one.transitions
    np.testing.assert_allclose(together.transitions, counts, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"log_likelihood": [[0.0, np.nan]]}, "NaN"),
        ({"log_likelihood": [[0.0, np.inf]]}, "NaN"),
        ({"lengths": [2]}, "lengths"),
        ({"lengths": [1, 0]}, "lengths"),
        ({"start": [1.0]}, "do not fit"),
        ({"weights": [1.0, 2.0]}, "lengths"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict, said: str) -> None:
    good = {"start": [0.5, 0.5], "transition": np.eye(2), "log_likelihood": [[0.0, 0.0]]}
    with pytest.raises(ValueError, match=said):
        Chains(**{**good, **change})


def test_unknown_method_and_negative_lag() -> None:
    chains = Chains([1.0], [[1.0]], [[0.0]])
    with pytest.raises(ValueError, match="did you mean 'associative'"):
        smooth(chains, "asociative")
    with pytest.raises(ValueError, match="≥ 0"):
        fixed_lag(chains, -1)
