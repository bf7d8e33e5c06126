"""Products with matrices of zeros and ones, random bits and Bernoulli samples, inside jax programs.

On a CPU these are C kernels (binary.c, through xla_handlers.c); on other devices, for other types than float32,
where the kernels cannot be had, or with TRACTABLE_KERNELS=off in the environment, they are the same in jax.numpy, and
whoever asks `available` does without kernels of its own: then a CPU runs what a GPU runs.

All may be jitted and vectorized. Products and means have gradients; samples are constants to a gradient. Nothing is
registered with XLA before the first use.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import library

TARGETS = ("binary_dot", "binary_outer", "conditional_mean", "gibbs_half")
TARGETS += ("narrow_anneal", "bernoulli_score", "bernoulli_layer", "scaled_outer", "sample_ordered", "gibbs_units")
"""The handlers xla_… of xla_handlers.c, registered as tractable_…"""

SEEDED = ("gibbs_half", "bernoulli_layer", "sample_ordered")
"""Those whose first arguments are a seed and row numbers."""

PIECE = 32
"""Columns for which a kernel has one sum of log-probabilities, as in binary.h."""

_lock = Lock()
Plain = Callable[..., Any]


def available() -> bool:
    """Whether the C kernels are there, wanted, and this version of jax takes them."""
    with _lock:
        return _registered()


@cache
def _registered() -> bool:
    if os.environ.get("TRACTABLE_KERNELS", "").strip().lower() == "off":
        return False
    try:
        for name in TARGETS:
            handler = jax.ffi.pycapsule(getattr(library(), f"xla_{name}"))
            jax.ffi.register_ffi_target(f"tractable_{name}", handler, platform="cpu")
    except Exception:  # whatever an older or a later jax dislikes, jax.numpy does without it
        return False
    return True


def counter_bits(seed: Array, rows: Array, n_columns: int) -> Array:
    """Random uint32 [len(rows), n_columns]: functions of the seed (uint32 [2]), the row number and the column alone.

    However many rows are drawn at a time, row 7 is the same; the seed has to change from draw to draw.
    """
    return _bits(*numbers(seed, rows, rows.shape[0]), n_columns)


def sample_bernoulli(seed: Array, rows: Array, logits: Array) -> Array:
    """Zeros and ones with P(1) = σ(logits), [len(rows), columns], from the bits of `counter_bits`."""
    return _sample(*numbers(seed, rows, logits.shape[0]), jax.lax.stop_gradient(logits))


def binary_dot(x: Array, w: Array) -> Array:
    """x @ w for x [rows, n] and w [n, m]; right for any x, and fast where its rows are zeros and ones."""
    return _DOT[False](x, w)


def binary_dot_transposed(x: Array, w: Array) -> Array:
    """x @ w.T for x [rows, m] and w [n, m]; right for any x, and fast where its rows are zeros and ones."""
    return _DOT[True](x, w)


def binary_outer(x: Array, y: Array) -> Array:
    """x.T @ y for x [rows, n] and y [rows, m]; right for any x, and fast where its columns are zeros and ones."""
    return _OUTER(x, y)


def outer_difference(x: Array, y: Array, x2: Array, y2: Array) -> Array:
    """x.T @ y − x2.T @ y2 in one pass, with as many columns but any number of rows in the second pair."""
    if (x2.shape[1], y2.shape[1]) != (x.shape[1], y.shape[1]):
        raise ValueError(f"the second pair has {x2.shape[1]} and {y2.shape[1]} columns, not {x.shape[1]}, {y.shape[1]}")
    return _OUTER(x, y, x2, y2)


def conditional_mean(x: Array, w: Array, bias: Array, transposed: bool = False) -> Array:
    """σ(bias + x @ w), with w.T for w if `transposed`: the means of units with logistic conditionals."""
    _check_bias(w, bias, transposed)
    return _MEAN[transposed](x, w, bias)


def gibbs_half(
    seed: Array, rows: Array, x: Array, w: Array, bias: Array, transposed: bool = False
) -> tuple[Array, Array]:
    """Half a step of Gibbs sampling: a sample of the units on the other side of w, and its mean.

    The mean is `conditional_mean` and the sample is that of `sample_bernoulli`, without the logits on their way through
    memory. `rows` are the numbers of the chains, [len(x)].
    """
    _check_bias(w, bias, transposed)
    return _GIBBS[transposed](*numbers(seed, rows, x.shape[0]), x, w, bias)


def narrow_anneal(
    words: tuple[Array, Array], betas: Array, x: Array, machine: tuple[Array, Array, Array], backward: bool = False
) -> tuple[Array, Array]:
    """Chains of binary units from temperature to temperature, their binary neighbours summed out; on CPUs only.

    log p̃_β(x) = c_β·x + Σ_j log(1 + exp(b_βj + β x·W_j)) with fields on the line to their last row, from the only one
    before it or from a row for each chain. At each new temperature all units are drawn one by one, in the opposite
    order if `backward`.

    Parameters
    ----------
    words : seeds uint32 [n_steps, k, 2] and the numbers of the chains uint32 [n_chains].
    betas : [n_steps + 1]. x : zeros and ones [n_chains, k].
    machine : W [k, m], c [n + 1, k], b [n + 1, m], n being 1 or n_chains.

    Returns
    -------
    The states at the end [n_chains, k], and log p̃ at each new temperature less that at the old one [n_steps, n_chains].
    """
    shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype), jax.ShapeDtypeStruct((len(betas) - 1, x.shape[0]), x.dtype))
    call = jax.ffi.ffi_call("tractable_narrow_anneal", shapes, vmap_method="sequential")
    states, work = call(*words, betas, x, *machine, backward=np.int64(backward))
    return states, work


def scaled_outer(x: Array, y: Array, scale: Array) -> Array:
    """x.T @ (scale[:, None] * y) for x [rows, n], y [rows, m]; right for any x, fast where it is zeros and ones."""

    def plain(x: Array, y: Array, scale: Array) -> Array:
        return x.T @ (scale[:, None] * y)

    return either("scaled_outer", plain, x, y, scale)


def log_bernoulli(x: Array, w: Array, bias: Array, target: Array, transposed: bool = False) -> Array:
    """log p(target) [rows] of units with the logits bias + x @ w, or w.T; x [rows, n], and each row of `target` counts
    for rows / len(target) rows of x in turn.
    """
    _check_bias(w, bias, transposed)
    if target.shape[1:] != bias.shape or not len(target) or len(x) % len(target):
        raise ValueError(f"states of shape {target.shape} for {len(x)} rows of {len(bias)} units")
    return _SCORE[transposed](x, w, bias, target)


def bernoulli_layer(
    seed: Array, rows: Array, x: Array, w: Array, bias: Array, transposed: bool = False
) -> tuple[Array, Array]:
    """A sample of units with the logits bias + x @ w (or w.T), and its log p [rows]: `gibbs_half`, `log_bernoulli`."""
    _check_bias(w, bias, transposed)
    return _LAYER[transposed](*numbers(seed, rows, x.shape[0]), x, w, bias)


def numbers(seed: Array, rows: Array, n_rows: int) -> tuple[Array, Array]:
    """Seed and row numbers as unsigned words, one number for each row."""
    if seed.shape != (2,) or rows.shape != (n_rows,):
        raise ValueError(f"seed and rows have the shapes {seed.shape} and {rows.shape}; expected (2,) and ({n_rows},)")
    return jnp.asarray(seed, jnp.uint32), jnp.asarray(rows, jnp.uint32)


def _check_bias(w: Array, bias: Array, transposed: bool) -> None:
    expected = (w.shape[0 if transposed else 1],)
    if bias.shape != expected:
        raise ValueError(f"the bias has the shape {bias.shape}; w has the shape {w.shape}, so expected {expected}")


def either(name: str, plain: Plain, *arrays: Array, **attributes: bool) -> Any:
    """The C kernel on a CPU, `plain` elsewhere; `plain` also checks the shapes and says those of the results."""
    numbers = arrays[2:] if name in SEEDED else arrays
    if not all(a.dtype == jnp.float32 for a in numbers) or not available():
        return plain(*arrays)
    call = jax.ffi.ffi_call(f"tractable_{name}", jax.eval_shape(plain, *arrays), vmap_method="sequential")
    fast = partial(call, **{key: np.int64(value) for key, value in attributes.items()})
    return jax.lax.platform_dependent(*arrays, cpu=fast, default=plain)


def _dot(x: Array, w: Array, transposed: bool) -> Array:
    def plain(x: Array, w: Array) -> Array:
        return x @ (w.T if transposed else w)

    return either("binary_dot", plain, x, w, transposed=transposed)


def _outer(*arrays: Array) -> Array:
    def plain(x: Array, y: Array, *second: Array) -> Array:
        return x.T @ y - second[0].T @ second[1] if second else x.T @ y

    return either("binary_outer", plain, *arrays)


def _logits(x: Array, w: Array, bias: Array, transposed: bool) -> Array:
    return bias + x @ (w.T if transposed else w)


def _mean(x: Array, w: Array, bias: Array, transposed: bool) -> Array:
    def plain(x: Array, w: Array, bias: Array) -> Array:
        return jax.nn.sigmoid(_logits(x, w, bias, transposed))

    return either("conditional_mean", plain, x, w, bias, transposed=transposed)


def _gibbs(seed: Array, rows: Array, x: Array, w: Array, bias: Array, *, transposed: bool) -> tuple[Array, Array]:
    def plain(seed: Array, rows: Array, x: Array, w: Array, bias: Array) -> tuple[Array, Array]:
        logits = _logits(x, w, bias, transposed)
        return _sample(seed, rows, logits), jax.nn.sigmoid(logits)

    return either("gibbs_half", plain, seed, rows, x, w, bias, transposed=transposed)


def _scored(a: Array, x: Array) -> tuple[Array, Array]:
    """x − σ(a), and the log p of x given logits a: the kernels' sums over PIECE columns."""
    terms = x * a - jax.nn.softplus(a)
    pieces = jnp.pad(terms, ((0, 0), (0, -a.shape[1] % PIECE))).reshape(len(a), -1, PIECE)
    return x - jax.nn.sigmoid(a), pieces.sum(2)


def _score(x: Array, w: Array, bias: Array, target: Array, *, transposed: bool) -> tuple[Array, Array]:
    def plain(x: Array, w: Array, bias: Array, target: Array) -> tuple[Array, Array]:
        return _scored(_logits(x, w, bias, transposed), jnp.repeat(target, len(x) // len(target), axis=0))

    return either("bernoulli_score", plain, x, w, bias, target, transposed=transposed)


def _layer(
    seed: Array, rows: Array, x: Array, w: Array, bias: Array, *, transposed: bool
) -> tuple[Array, Array, Array]:
    def plain(seed: Array, rows: Array, x: Array, w: Array, bias: Array) -> tuple[Array, Array, Array]:
        logits = _logits(x, w, bias, transposed)
        sample = _sample(seed, rows, logits)
        return sample, *_scored(logits, sample)

    return either("bernoulli_layer", plain, seed, rows, x, w, bias, transposed=transposed)


def _mix(x: Array) -> Array:
    """A mixing function of 32 bits with full avalanche, as in binary.c."""
    x = (x ^ (x >> 16)) * np.uint32(0x21F0AAAD)
    x = (x ^ (x >> 15)) * np.uint32(0xD35A2D97)
    return x ^ (x >> 15)


def _bits(seed: Array, rows: Array, n_columns: int) -> Array:
    a = _mix(_mix(rows * np.uint32(0x9E3779B9) + (seed[0] + np.uint32(0x6A09E667))) ^ seed[1])
    b = _mix(_mix(rows * np.uint32(0x85EBCA6B) + (seed[1] + np.uint32(0xBB67AE85))) ^ seed[0] ^ a)
    columns = jnp.arange(n_columns, dtype=jnp.uint32) * np.uint32(0x9E3779B9)
    return _mix(_mix(columns + a[:, None]) ^ b[:, None])


def uniform(seed: Array, rows: Array, n_columns: int) -> Array:
    """Numbers between zero and one, neither reached, [len(rows), n_columns], from the bits of `counter_bits`."""
    bits = _bits(seed, rows, n_columns)
    uniform = (bits >> 1).astype(jnp.int32).astype(jnp.float32) * np.float32(2.0**-31) + np.float32(2.0**-32)
    return jnp.minimum(uniform, np.float32(1 - 2.0**-24))  # rounding must not make it one


def _sample(seed: Array, rows: Array, logits: Array) -> Array:
    return (uniform(seed, rows, logits.shape[1]) < jax.nn.sigmoid(logits)).astype(logits.dtype)


def _dot_back(arrays: Any, _: Array, g: Array, transposed: bool) -> tuple[Array, Array]:
    x, w = arrays
    return (g @ w, g.T @ x) if transposed else (g @ w.T, _outer(x, g))


def _outer_back(arrays: Any, _: Array, g: Array) -> tuple[Array, ...]:
    x, y, *second = arrays
    first = (y @ g.T, _dot(x, g, False))
    return first + _outer_back(second, _, -g) if second else first


def _mean_back(arrays: Any, mean: Array, g: Array, transposed: bool) -> tuple[Array, ...]:
    slope = g * mean * (1 - mean)
    return *_dot_back(arrays[:2], mean, slope, transposed), slope.sum(0)


def _gibbs_back(arrays: Any, drawn: tuple[Array, Array], g: tuple[Array, Array], transposed: bool) -> tuple:
    return None, None, *_mean_back(arrays[2:], drawn[1], g[1], transposed)


def _score_back(x: Array, w: Array, residual: Array, g: Array, transposed: bool) -> tuple[Array, Array, Array]:
    """The gradient of log p by x, w and bias."""
    outer = scaled_outer(x, residual, g)
    down = g[:, None] * residual
    return (down @ w, outer.T, g @ residual) if transposed else (down @ w.T, outer, g @ residual)


def _scoring(transposed: bool) -> Callable[..., Any]:
    @jax.custom_vjp
    def score(x: Array, w: Array, bias: Array, target: Array) -> Array:
        return _score(x, w, bias, target, transposed=transposed)[1].sum(1)

    def forth(x: Array, w: Array, bias: Array, target: Array) -> tuple[Array, Any]:
        residual, log_p = _score(x, w, bias, target, transposed=transposed)
        return log_p.sum(1), (x, w, residual, bias, target)

    def back(kept: Any, g: Array) -> tuple[Array, ...]:
        x, w, residual, bias, target = kept
        by_target = (g[:, None] * (bias + _dot(x, w, transposed))).reshape(len(target), -1, len(bias)).sum(1)
        return *_score_back(x, w, residual, g, transposed), by_target

    score.defvjp(forth, back)
    return score


def _layering(transposed: bool) -> Callable[..., Any]:
    @jax.custom_vjp
    def layer(seed: Array, rows: Array, x: Array, w: Array, bias: Array) -> tuple[Array, Array]:
        sample, _, log_p = _layer(seed, rows, x, w, bias, transposed=transposed)
        return sample, log_p.sum(1)

    def forth(seed: Array, rows: Array, x: Array, w: Array, bias: Array) -> tuple[Any, Any]:
        sample, residual, log_p = _layer(seed, rows, x, w, bias, transposed=transposed)
        return (sample, log_p.sum(1)), (x, w, residual)

    def back(kept: tuple[Array, Array, Array], g: tuple[Any, Array]) -> tuple[Any, ...]:
        x, w, residual = kept
        return None, None, *_score_back(x, w, residual, g[1], transposed)

    layer.defvjp(forth, back)
    return layer


def _differentiable(call: Callable[..., Any], back: Callable[..., Any]) -> Callable[..., Any]:
    """`call` with its gradient: back(arguments, result, gradient by the result)."""
    function = jax.custom_vjp(call)

    def forth(*arrays: Array) -> tuple[Any, Any]:
        result = call(*arrays)
        return result, (arrays, result)

    function.defvjp(forth, lambda kept, g: back(*kept, g))
    return function


def _either_way(call: Callable[..., Any], back: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """For w as it is and for its transpose."""
    plain, transposed = (
        _differentiable(partial(call, transposed=t), partial(back, transposed=t)) for t in (False, True)
    )
    return plain, transposed


_OUTER = _differentiable(_outer, _outer_back)
_DOT, _MEAN, _GIBBS = _either_way(_dot, _dot_back), _either_way(_mean, _mean_back), _either_way(_gibbs, _gibbs_back)
_SCORE, _LAYER = ([make(False), make(True)] for make in (_scoring, _layering))
