"""Products with zeros and ones, random bits and samples inside jax: against dense products and the laws of chance."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

from tractable.kernels import xla, xla_units

SHAPES = [(1, 1, 1), (3, 5, 2), (2, 4, 64), (7, 17, 65), (33, 64, 48), (70, 130, 500), (5, 1030, 70), (9, 2049, 3)]
"""Rows, inner, columns: odd sizes, whole and broken tiles, and sums in one, two and three pieces."""

EMPTY = [(0, 3, 2), (3, 0, 2), (3, 2, 0)]


def binary(*shape: int, seed: int = 0, density: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < density).astype(np.float32)


def dense(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mixed(rows: int, n: int) -> np.ndarray:
    """Rows of all kinds: zeros, ones, some of each, and numbers."""
    x = binary(rows, n)
    x[::5] = 0
    x[1::5] = 1
    x[2::5] = dense(len(x[2::5]), n)
    x[3::5, :1] = -0.5
    return x


def close(ours: object, expected: np.ndarray, terms: int) -> None:
    """Equal but for the rounding of a sum in another order."""
    ours = np.asarray(ours)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6 * (1 + terms) ** 0.75)


def seed_of(number: int) -> jax.Array:
    return jax.random.key_data(jax.random.key(number))


def numbers(n: int) -> jax.Array:
    return jnp.arange(n, dtype=jnp.uint32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


@pytest.fixture(params=["kernels", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test that asks for it runs through the C kernels and through jax.numpy."""
    if request.param == "plain":
        monkeypatch.setattr(xla, "available", lambda: False)
    return request.param


def test_the_kernels_are_taken_here() -> None:
    assert xla.available()


@pytest.mark.parametrize("shape", SHAPES + EMPTY)
@pytest.mark.parametrize("make", [binary, mixed])
def test_products_agree_with_dense_ones(shape: tuple[int, int, int], make, path: str) -> None:
    rows, n, m = shape
    x, w, y = make(rows, n), dense(n, m), dense(rows, m)
    close(xla.binary_dot(x, w), x @ w, n)
    close(xla.binary_dot_transposed(x, w.T.copy()), x @ w, n)
    close(xla.binary_outer(x, y), x.T @ y, rows)
    close(xla.conditional_mean(x, w, y.sum(0)), sigmoid(x @ w + y.sum(0)), n)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", [binary, mixed])
def test_the_difference_of_two_outer_products(shape: tuple[int, int, int], make, path: str) -> None:
    rows, n, m = shape
    for more in (1, rows, 3 * rows + 1):
        x, y, x2, y2 = make(rows, n), dense(rows, m), make(more, n)[::-1].copy(), dense(more, m)
        close(xla.outer_difference(x, y, x2, y2), x.T @ y - x2.T @ y2, rows + more)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_any_density(density: float) -> None:
    x, w = binary(40, 300, density=density), dense(300, 100)
    close(xla.binary_dot(x, w), x @ w, 300)
    close(xla.binary_outer(x, w[:40]), x.T @ w[:40], 40)


def test_what_is_not_a_number_stays_in_its_row() -> None:
    x, w = mixed(6, 40), dense(40, 20)
    x[4, 7] = np.nan
    found = np.asarray(xla.binary_dot(x, w))
    assert np.isnan(found[4]).all() and not np.isnan(np.delete(found, 4, 0)).any()
    found = np.asarray(xla.binary_outer(x, w[:6]))
    assert np.isnan(found[7]).all() and not np.isnan(np.delete(found, 7, 0)).any()


def test_an_infinite_weight_counts_only_where_it_is_used() -> None:
    w = dense(8, 3)
    w[2, 1] = np.inf
    x = np.eye(8, dtype=np.float32)
    np.testing.assert_array_equal(xla.binary_dot(x, w), w)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32, jnp.uint32])
def test_other_types_take_the_plain_way(dtype) -> None:
    x, w = jnp.asarray(binary(5, 9), dtype), jnp.asarray(np.round(np.abs(dense(9, 4))), dtype)
    assert xla.binary_dot(x, w).dtype == dtype
    np.testing.assert_array_equal(xla.binary_dot(x, w), x @ w)
    np.testing.assert_array_equal(xla.binary_outer(x, x), x.T @ x)


def test_shapes_that_do_not_fit_are_refused(path: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        xla.binary_dot(binary(3, 4), dense(5, 2))
    with pytest.raises((ValueError, TypeError)):
        xla.outer_difference(binary(3, 4), dense(3, 2), binary(3, 5), dense(3, 2))
    w = dense(4, 2)
    for call in (
        lambda: xla.outer_difference(binary(3, 4), dense(3, 2), binary(3, 1), dense(3, 2)),
        lambda: xla.conditional_mean(binary(3, 4), w, dense(1)),
        lambda: xla.gibbs_half(seed_of(0), numbers(1), binary(3, 4), w, dense(2)),
        lambda: xla.gibbs_half(seed_of(0), numbers(3), binary(3, 2), w, dense(2), transposed=True),
        lambda: xla.sample_bernoulli(seed_of(0)[:1], numbers(3), dense(3, 4)),
        lambda: xla_units.sample_ordered(seed_of(0), numbers(3), dense(3, 4), dense(4, 3)),
    ):
        with pytest.raises(ValueError, match=r"shape|columns"):
            call()


def test_gradients_are_those_of_dense_products(path: str) -> None:
    x, w, y, bias = map(jnp.asarray, (binary(6, 9), dense(9, 5), dense(6, 5, seed=2), dense(5, seed=3)))
    seed, rows = seed_of(0), numbers(6)

    def gibbs(x, w, bias):
        return xla.gibbs_half(seed, rows, x, w, bias)[1]

    for ours, expected, arrays in (
        (xla.binary_dot, lambda x, w: x @ w, (x, w)),
        (xla.binary_dot_transposed, lambda x, w: x @ w.T, (x, w.T)),
        (xla.binary_outer, lambda x, y: x.T @ y, (x, y)),
        (xla.outer_difference, lambda a, b, c, d: a.T @ b - c.T @ d, (x, y, x[:2], y[:2])),
        (xla.conditional_mean, lambda x, w, b: jax.nn.sigmoid(b + x @ w), (x, w, bias)),
        (
            lambda x, w, b: xla.conditional_mean(x, w, b, True),
            lambda x, w, b: jax.nn.sigmoid(b + x @ w.T),
            (x, w.T, bias),
        ),
        (gibbs, lambda x, w, b: jax.nn.sigmoid(b + x @ w), (x, w, bias)),
    ):
        every = tuple(range(len(arrays)))
        found, sought = (
            jax.jit(jax.grad(lambda *a, f=f: jnp.sin(f(*a)).sum(), every))(*arrays) for f in (ours, expected)
        )
        for one, other in zip(found, sought, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_samples_are_constants_to_a_gradient(path: str) -> None:
    logits, w = jnp.asarray(dense(4, 3)), jnp.asarray(dense(4, 3))
    seed, rows = seed_of(0), numbers(4)
    assert not jax.grad(lambda a: xla.sample_bernoulli(seed, rows, a).sum())(logits).any()
    assert not jax.grad(lambda w: xla.gibbs_half(seed, rows, jnp.eye(4), w, jnp.zeros(3))[0].sum())(w).any()


def test_vectorized_over_either_argument(path: str) -> None:
    x, w = jnp.asarray(binary(3, 6, 9)), jnp.asarray(dense(3, 9, 5))
    for axes in ((0, 0), (0, None), (None, 0)):
        a, b = (x if axes[0] == 0 else x[0]), (w if axes[1] == 0 else w[0])
        np.testing.assert_allclose(
            jax.jit(jax.vmap(xla.binary_dot, axes))(a, b), jax.vmap(jnp.matmul, axes)(a, b), atol=1e-5
        )
    seeds = jnp.stack([seed_of(k) for k in range(3)])
    each = [xla.gibbs_half(s, numbers(6), a, w[0], jnp.zeros(5)) for s, a in zip(seeds, x, strict=True)]
    both = jax.vmap(lambda s, a: xla.gibbs_half(s, numbers(6), a, w[0], jnp.zeros(5)))(seeds, x)
    np.testing.assert_array_equal(both[0], jnp.stack([sample for sample, _ in each]))


def test_inside_a_scan() -> None:
    w, bias = jnp.asarray(dense(12, 12)), jnp.zeros(12)

    def sweep(x, seed):
        x, _ = xla.gibbs_half(seed, numbers(8), x, w, bias)
        return x, x

    seeds = jnp.stack([seed_of(k) for k in range(5)])
    _, path = jax.jit(lambda x: jax.lax.scan(sweep, x, seeds))(jnp.asarray(binary(8, 12)))
    x = jnp.asarray(binary(8, 12))
    for k in range(5):
        x = sweep(x, seeds[k])[0]
        np.testing.assert_array_equal(path[k], x)


def test_many_programs_at_once() -> None:
    """More of them than there are threads in XLA's pool, each waiting for its helpers."""
    x, w = jnp.asarray(binary(64, 300)), jnp.asarray(dense(300, 200))
    step = jax.jit(lambda x: xla.binary_dot(x, w))
    expected = np.asarray(step(x))
    with ThreadPoolExecutor(16) as pool:
        for found in pool.map(lambda _: np.asarray(step(x)), range(400)):
            np.testing.assert_array_equal(found, expected)


class TestRandomBits:
    def test_both_versions_give_the_same_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for shape in ((1, 1), (5, 16), (13, 77), (100, 784)):
            rows = numbers(shape[0]) * np.uint32(77777) + np.uint32(2**32 - 100)
            ours = xla.counter_bits(seed_of(5), rows, shape[1])
            with monkeypatch.context() as patch:
                patch.setattr(xla, "available", lambda: False)
                np.testing.assert_array_equal(ours, xla.counter_bits(seed_of(5), rows, shape[1]))

    def test_they_do_not_depend_on_how_rows_and_columns_are_cut(self, path: str) -> None:
        whole = xla.counter_bits(seed_of(1), numbers(40), 100)
        np.testing.assert_array_equal(whole[17:21, :30], xla.counter_bits(seed_of(1), numbers(40)[17:21], 30))

    def test_every_bit_and_every_byte_is_uniform(self) -> None:
        bits = np.asarray(xla.counter_bits(seed_of(2), numbers(1000), 1000))
        n = bits.size
        for k in range(32):
            assert abs((bits >> k & 1).mean() - 0.5) < 5 * 0.5 / n**0.5
        for k in range(0, 32, 8):
            self.chi_square(np.bincount((bits >> k & 255).ravel(), minlength=256), n / 256)

    def test_neighbours_are_independent(self) -> None:
        """Pairs of nibbles: near columns, near rows, the same place under the next seed."""
        a = np.asarray(xla.counter_bits(seed_of(3), numbers(600), 800))
        b = np.asarray(xla.counter_bits(seed_of(3) + jnp.array([0, 1], jnp.uint32), numbers(600), 800))
        c = np.asarray(xla.counter_bits(seed_of(3) + jnp.array([1, 0], jnp.uint32), numbers(600), 800))
        pairs = [(a, b), (a, c), (b, c)] + [(a[:-k], a[k:]) for k in (1, 2, 16, 100)]
        pairs += [(a[:, :-k], a[:, k:]) for k in (1, 2, 16, 100)] + [(a[1:, 1:], a[:-1, :-1]), (a[1:, :-1], a[:-1, 1:])]
        for shift in (28, 14, 0):
            for one, other in pairs:
                joint = (one >> shift & 15) * 16 + (other >> shift & 15)
                self.chi_square(np.bincount(joint.ravel(), minlength=256), joint.size / 256)

    def test_no_row_is_another_one_moved(self) -> None:
        """Values that two rows share are no more than chance makes."""
        bits = np.asarray(xla.counter_bits(seed_of(4), numbers(2000), 500)).ravel()
        expected = bits.size**2 / 2**33
        assert bits.size - len(np.unique(bits)) < expected + 6 * expected**0.5

    def chi_square(self, counts: np.ndarray, expected: float) -> None:
        statistic, degrees = float(((counts - expected) ** 2 / expected).sum()), len(counts) - 1
        assert abs(statistic - degrees) < 6 * (2 * degrees) ** 0.5


class TestSamples:
    def test_both_versions_agree(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """But for the last bit of a probability, which is met once in ten million draws."""
        x, w, bias = binary(200, 100), dense(100, 300), dense(300, seed=4)
        logits, seed, rows = jnp.asarray(x @ w + bias), seed_of(1), numbers(200)

        def draw() -> tuple:
            backwards = xla.gibbs_half(seed, rows, x, w.T.copy(), bias, transposed=True)
            return xla.sample_bernoulli(seed, rows, logits), *xla.gibbs_half(seed, rows, x, w, bias), *backwards

        ours = draw()
        monkeypatch.setattr(xla, "available", lambda: False)
        for one, other in zip(ours, draw(), strict=True):
            assert (np.abs(one - other) > 1e-5).sum() <= 3

    @pytest.mark.parametrize("logit", [-4.0, -0.5, 0.0, 1.0, 6.0])
    def test_the_probability_is_that_of_the_logit(self, logit: float, path: str) -> None:
        n = 1_000_000
        mean = np.asarray(xla.sample_bernoulli(seed_of(0), numbers(1000), jnp.full((1000, 1000), logit))).mean()
        p = 1 / (1 + np.exp(-logit))
        assert abs(mean - p) < 5 * (p * (1 - p) / n) ** 0.5

    def test_what_is_certain_never_fails(self, path: str) -> None:
        logits = jnp.tile(jnp.array([-np.inf, -200.0, 40.0, 200.0, np.inf], jnp.float32), (100_000, 1))
        sample = np.asarray(xla.sample_bernoulli(seed_of(0), numbers(100_000), logits))
        np.testing.assert_array_equal(sample, np.tile([0, 0, 1, 1, 1], (100_000, 1)))

    def test_the_same_seed_gives_the_same_sample(self, path: str) -> None:
        arrays = (numbers(30), binary(30, 50), dense(50, 70), dense(70))
        one, other = xla.gibbs_half(seed_of(7), *arrays), jax.jit(xla.gibbs_half)(seed_of(7), *arrays)
        np.testing.assert_array_equal(one[0], other[0])
        assert (np.asarray(xla.gibbs_half(seed_of(8), *arrays)[0]) != np.asarray(one[0])).any()

    def test_one_sweep_leaves_the_distribution_as_it_is(self, path: str) -> None:
        """Chains that start from p(v) of a small machine are distributed as p(v) after v → h → v."""
        n, m, chains = 4, 3, 200_000
        w, b, c = dense(n, m, seed=6), dense(n, seed=7), dense(m, seed=8)
        v = np.array(list(itertools.product((0, 1), repeat=n)), np.float32)
        p = np.exp(v @ b + np.logaddexp(0, v @ w + c).sum(1))
        p /= p.sum()
        start = v[np.random.default_rng(9).choice(2**n, chains, p=p)]
        h, _ = xla.gibbs_half(seed_of(10), numbers(chains), start, w, c)
        end, _ = xla.gibbs_half(seed_of(11), numbers(chains), h, w, b, transposed=True)
        counts = np.bincount(np.asarray(end).astype(int) @ 2 ** np.arange(n)[::-1], minlength=2**n)
        statistic = ((counts - chains * p) ** 2 / (chains * p)).sum()
        assert statistic < 2**n - 1 + 5 * (2 * (2**n - 1)) ** 0.5


def test_importing_registers_nothing() -> None:
    code = "from tractable.kernels import xla, library; print(xla._registered.cache_info(), library.cache_info())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("currsize=0") == 2


def test_without_the_library_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no kernels here")

    monkeypatch.setattr(xla, "library", missing)
    assert xla._registered.__wrapped__() is False


# ---------------------------------------------------------------- layers of Bernoulli units


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 17, 65), (33, 64, 48), (12, 9, 500)])
def test_scores_of_states_and_of_samples(shape: tuple[int, int, int], path: str) -> None:
    rows, n, m = shape
    x, w, bias = mixed(rows, n), dense(n, m), 3 * dense(m)
    for repeat in (1, rows):
        target = binary(rows // repeat, m)
        logits, wide = x.astype(np.float64) @ w + bias, np.repeat(target, repeat, axis=0)
        close(xla.log_bernoulli(x, w, bias, target), (wide * logits - np.logaddexp(0, logits)).sum(1), n + m)
        close(
            xla.log_bernoulli(x, w.T.copy(), bias, target, transposed=True),
            xla.log_bernoulli(x, w, bias, target),
            n + m,
        )
    sample, log_p = xla.bernoulli_layer(seed_of(1), numbers(rows), x, w, bias)
    np.testing.assert_array_equal(sample, xla.sample_bernoulli(seed_of(1), numbers(rows), xla.binary_dot(x, w) + bias))
    close(log_p, (np.asarray(sample) * logits - np.logaddexp(0, logits)).sum(1), n + m)
    close(xla.scaled_outer(x, logits.astype(np.float32), log_p), x.T @ (logits * np.asarray(log_p)[:, None]), 50 * m)


@pytest.mark.parametrize("shape", [(1, 1), (17, 33), (40, 200)])
def test_units_that_depend_on_one_another_are_drawn_in_order(shape: tuple[int, int], path: str) -> None:
    """Each is on where logit(u) is below its logit; what is on or above the diagonal does not count."""
    rows, n = shape
    logits, within = dense(rows, n), dense(n, n, seed=3)
    found = np.asarray(jax.jit(xla_units.sample_ordered)(seed_of(2), numbers(rows), logits, within))
    uniform = np.asarray(xla.uniform(seed_of(2), numbers(rows), n), np.float64)
    full = logits + found @ np.tril(within, -1).T.astype(np.float64)
    margin = full - np.log(uniform / (1 - uniform))
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert ((margin > 0) == (found > 0))[np.abs(margin) > 1e-3].all() and (np.abs(margin) > 1e-3).mean() > 0.9
    alone = xla_units.sample_ordered(seed_of(2), numbers(rows)[-1:], logits[-1:], within)
    np.testing.assert_array_equal(alone, found[-1:])


@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradient_of_a_score(transposed: bool, path: str) -> None:
    x, w, bias, target = binary(6, 9), dense(9, 40), dense(40), binary(3, 40)
    w, count = (w.T.copy() if transposed else w), dense(6)

    def plain(*arrays):
        logits = arrays[2] + arrays[0] @ (arrays[1].T if transposed else arrays[1])
        return count @ (jnp.repeat(arrays[3], 2, axis=0) * logits - jax.nn.softplus(logits)).sum(1)

    ours = jax.grad(lambda *a: count @ xla.log_bernoulli(*a, transposed=transposed), argnums=(0, 1, 2, 3))(
        x, w, bias, target
    )
    for a, b in zip(ours, jax.grad(plain, argnums=(0, 1, 2, 3))(x, w, bias, target), strict=True):
        close(a, b, 100)


def test_states_that_do_not_fit_the_rows() -> None:
    with pytest.raises(ValueError, match=r"states of shape \(4, 2\) for 6 rows of 2 units"):
        xla.log_bernoulli(binary(6, 3), dense(3, 2), dense(2), binary(4, 2))
