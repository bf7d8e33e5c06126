"""Log-densities and weighted sums of rows against the textbook, and rows that the kernels must not read."""

from __future__ import annotations

import numpy as np
import pytest

from tractable.kernels import rows

SIZES = [(1, 1, 1), (3, 2, 5), (4, 3, 8), (7, 1, 9), (300, 5, 3), (13, 4, 17)]


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_densities_and_moments_are_the_textbooks(n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(n)
    x, means, r = rng.normal(size=(n, d)), rng.normal(size=(k, d)), rng.random((n, k))
    roots = np.tril(rng.normal(size=(k, d, d))) + 2 * np.eye(d)
    covariances = roots @ np.swapaxes(roots, 1, 2)
    log_det = np.linalg.slogdet(covariances)[1]
    gaps = x[:, None] - means
    squares = np.einsum("nki,kij,nkj->nk", gaps, np.linalg.inv(covariances), gaps)
    found = rows.densities(x, rows.gaussians(means, np.linalg.inv(roots), log_det))
    assert found is not None
    np.testing.assert_allclose(found, -0.5 * (squares + log_det + d * np.log(2 * np.pi)), rtol=1e-10, atol=1e-10)
    scale = rng.random((k, d)) + 0.5
    found = rows.densities(x, rows.gaussians(means, 1 / scale, 2 * np.log(scale).sum(1)))
    assert found is not None
    expected = -0.5 * ((gaps / scale) ** 2 + np.log(2 * np.pi * scale**2)).sum(2)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    z = x - means[0]
    for full, square in ((True, np.einsum("nk,ni,nj->kij", r, z, z)), (False, r.T @ z**2)):
        sums = rows.moments(x, r, means[0], full)
        assert sums is not None
        np.testing.assert_allclose(sums.square, square, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(sums.sum, r.T @ z, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(sums.count, r.sum(0), rtol=1e-13)


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_states_are_looked_up_and_counted(n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(n)
    sizes = tuple(rng.integers(1, 6, d).tolist())
    x = np.stack([rng.integers(0, q, n) for q in sizes], axis=1).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    tables, r = [rng.normal(size=(k, q)) for q in sizes], rng.random((n, k))
    expected, counts = np.zeros((n, k)), [np.zeros((k, q)) for q in sizes]
    for t, j in zip(*np.nonzero(~np.isnan(x)), strict=True):
        expected[t] += tables[j][:, int(x[t, j])]
        counts[j][:, int(x[t, j])] += r[t]
    np.testing.assert_allclose(rows.lookup(x, rows.tables(tables)), expected, atol=1e-13)
    for found, count in zip(rows.tally(x, r, sizes), counts, strict=True):
        np.testing.assert_allclose(found, count, rtol=1e-13, atol=1e-13)


def test_gaps_and_what_is_not_there_are_left_alone() -> None:
    one = rows.gaussians(np.zeros((1, 2)), np.ones((1, 2)), np.zeros(1))
    assert rows.densities(np.array([[0.0, np.nan]]), one) is None
    assert rows.moments(np.array([[0.0, np.nan]]), np.ones((1, 1)), np.zeros(2), True) is None
    table = rows.tables([np.zeros((1, 2))])
    for state in (2.0, -1.0, np.inf):
        with pytest.raises(IndexError):
            rows.lookup(np.array([[state]]), table)
        with pytest.raises(IndexError):
            rows.tally(np.array([[state]]), np.ones((1, 1)), (2,))
    for bad in (np.zeros((1, 3)), np.zeros(2)):
        with pytest.raises(ValueError, match="expected"):
            rows.densities(bad, one)
    with pytest.raises(ValueError, match="expected"):
        rows.moments(np.zeros((2, 2)), np.ones((1, 1)), np.zeros(2), True)
