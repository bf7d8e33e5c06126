"""Sums over all states of binary units: against every state written out, at any size of the exponents."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from data import needs_data, real_files
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

from tractable.kernels import enumeration
from tractable.kernels.enumeration import expectations, log_sum

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def parameters(n: int, m: int, scale: float = 1.0, coupled: bool = False, seed: int = 0) -> Parameters:
    rng = np.random.default_rng([n, m, seed])
    W, c, b = (scale * rng.normal(size=shape) for shape in ((n, m), n, m))
    J = np.triu(scale * rng.normal(size=(n, n)), 1)
    return W, c, b, J + J.T if coupled else None


def states(n: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=n))).reshape(2**n, n)


def thetas(W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """All h, θ_k(h), and log weights with x summed out, in logarithms throughout."""
    h = states(len(W))
    theta = b + h @ W
    log_w = h @ c + np.logaddexp(0.0, theta).sum(1)
    return h, theta, log_w if J is None else log_w + 0.5 * ((h @ J) * h).sum(1)


def sigmoid(theta: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -theta))


def check(W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None) -> None:
    """log Z to rounding of its largest term, expectations to rounding of log Z."""
    h, theta, log_w = thetas(W, c, b, J)
    log_z = np.logaddexp.reduce(log_w)
    size = max(1.0, float(np.abs(c).sum() + np.abs(b).sum() + np.abs(W).sum() + (0 if J is None else np.abs(J).sum())))
    assert log_sum(W, c, b, J) == pytest.approx(log_z, rel=1e-12, abs=1e-15 * size)
    found, p = expectations(W, c, b, J), np.exp(log_w - log_z)
    assert found.log_z == pytest.approx(log_z, rel=1e-12, abs=1e-15 * size)
    hp, x = (h * p[:, None]).T, sigmoid(theta)
    for ours, expected in zip(found[1:], (p @ h, p @ x, hp @ x, hp @ h), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-13 + 1e-15 * size)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("n", range(9))
def test_small_ones_agree_with_all_states_written_out(n: int, coupled: bool) -> None:
    for m in range(7):
        check(*parameters(n, m, 1.5, coupled))


@pytest.mark.parametrize(("n", "m"), [(12, 3), (13, 9), (14, 8), (15, 1), (16, 20)])
def test_the_top_bits_count_like_the_others(n: int, m: int) -> None:
    check(*parameters(n, m, 0.7, coupled=True))


@pytest.mark.parametrize("scale", [30.0, 200.0, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("coupled", [False, True])
def test_exponents_beyond_the_range_of_a_double(scale: float, coupled: bool) -> None:
    for seed in range(4):
        check(*parameters(7, 11, scale, coupled, seed))
        check(*parameters(13, 2, scale, coupled, seed))


def test_many_factors_at_the_edge_of_the_range() -> None:
    """Hundreds of columns just below and above the limit at which products give way to logarithms."""
    rng = np.random.default_rng(5)
    for limit in (enumeration.WILD - 1e-3, enumeration.WILD + 1e-3):
        W = rng.choice([-1.0, 1.0], (6, 300)) * limit / 3
        check(W, rng.normal(size=6), -W.sum(0) / 2, None)


@pytest.mark.parametrize("bias", [-1e5, -800.0, 800.0, 1e5])
def test_columns_that_are_always_off_or_always_on(bias: float) -> None:
    W, c, _, J = parameters(9, 40, 3.0, coupled=True)
    check(W, c, np.full(40, bias), J)


@sweep(20)
@given(st.integers(0, 10), st.integers(0, 9), st.floats(-2, 4), st.booleans(), st.integers(0, 999))
def test_any_size_and_scale(n: int, m: int, log_scale: float, coupled: bool, seed: int) -> None:
    check(*parameters(n, m, 10.0**log_scale, coupled, seed))


def test_without_weights_every_factor_is_known() -> None:
    n, m = 18, 5
    c, b = np.linspace(-3, 3, n), np.linspace(-2, 2, m)
    expected = np.logaddexp(0, c).sum() + np.logaddexp(0, b).sum()
    found = expectations(np.zeros((n, m)), c, b)
    assert found.log_z == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(found.h, sigmoid(c), rtol=1e-11)
    np.testing.assert_allclose(found.x, sigmoid(b), rtol=1e-11)
    np.testing.assert_allclose(found.hx, np.outer(sigmoid(c), sigmoid(b)), rtol=1e-11)


def test_the_gradient_of_log_z_is_the_expectation() -> None:
    W, c, b, J = parameters(10, 6, 1.0, coupled=True)
    assert J is not None
    found, step = expectations(W, c, b, J), 1e-5

    def slope(k: int, at: tuple[int, ...]) -> float:
        ends = []
        for sign in (-1, 1):
            moved = [W.copy(), c.copy(), b.copy(), J.copy()]
            moved[k][at] += sign * step
            if k == 3:
                moved[k][at[::-1]] = moved[k][at]
            ends.append(log_sum(*moved))
        return (ends[1] - ends[0]) / (2 * step)

    assert slope(0, (9, 3)) == pytest.approx(found.hx[9, 3], abs=1e-8)
    assert slope(1, (2,)) == pytest.approx(found.h[2], abs=1e-8)
    assert slope(2, (5,)) == pytest.approx(found.x[5], abs=1e-8)
    assert slope(3, (1, 9)) == pytest.approx(found.hh[1, 9], abs=1e-8)


def test_progress_is_heard_and_the_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given_ = parameters(16, 10, 1.0, coupled=True)
    whole, all_at_once = log_sum(*given_), expectations(*given_)
    monkeypatch.setattr(enumeration, "CHUNK", 1)
    heard: list[tuple[int, int]] = []
    assert log_sum(*given_, progress=lambda *at: heard.append(at)) == pytest.approx(whole, rel=1e-14)
    assert heard == [(k * 4096, 2**16) for k in range(1, 17)]
    for one, other in zip(expectations(*given_), all_at_once, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_an_interrupt_between_chunks_ends_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enumeration, "CHUNK", 1)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log_sum(*parameters(20, 2), interrupt)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("which", range(4))
def test_what_is_not_finite_is_refused(bad: float, which: int) -> None:
    arrays = [np.array(a) for a in parameters(3, 2, coupled=True)]
    arrays[which].flat[1] = bad
    for call in (log_sum, expectations):
        with pytest.raises(ValueError, match="finite"):
            call(*arrays)


def test_what_does_not_fit_together_is_refused() -> None:
    W, c, b, J = parameters(3, 2, coupled=True)
    assert J is not None
    for arrays, words in (
        ((W.T, c, b), "shapes"),
        ((W, c, b[:1]), "shapes"),
        ((W, c, b, np.eye(3)), "diagonal"),
        ((W, c, b, np.triu(J)), "symmetric"),
        ((W, c, b, J[:2, :2]), r"\(3, 3\)"),
        (parameters(31, 0)[:3], "at most 30"),
        ((np.full((2, 2), 1e308), c[:2], b), "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            log_sum(*arrays)


@needs_data
def test_the_reference_machine() -> None:
    (path,) = real_files("reference/rbm_784x15.npz")
    with np.load(path) as file:
        W, b, c = file["couplings"], file["visible_bias"], file["hidden_bias"]
    assert log_sum(W.T, c, b) == pytest.approx(215.138405525317, abs=1e-9)
    found = expectations(W.T, c, b)
    assert found.log_z == pytest.approx(215.138405525317, abs=1e-9)
    h, theta, log_w = thetas(W.T, c, b, None)
    p = np.exp(log_w - found.log_z)
    np.testing.assert_allclose(found.hx, (h * p[:, None]).T @ sigmoid(theta), atol=1e-12)


@pytest.mark.parametrize("coupled", [False, True])
def test_samples_have_the_exact_moments_whatever_the_chunks(coupled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 units are two blocks of states; each is a chunk of its own here."""
    given, n = parameters(13, 3, 1.0, coupled), 20_000
    monkeypatch.setattr(enumeration, "CHUNK", 1)
    h = enumeration.sample(*given, np.random.default_rng(1), n).astype(float)
    truth = expectations(*given).hh
    error = np.sqrt(np.maximum(truth * (1 - truth), 1 / n) / n)
    assert (np.abs(h.T @ h / n - truth) < 4.5 * error).all()
    same = enumeration.sample(*given, np.random.default_rng(1), n)
    np.testing.assert_array_equal(h, same)
