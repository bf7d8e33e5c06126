"""What models of layers share: names, products with the states of a layer, Bernoulli units with given logits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels import xla, xla_units
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.clamping import checked_values, read_evidence
from tractable.models.parameters import array, small
from tractable.models.units import Bernoulli, _random

LayerSizes = Sequence[Any]
"""States of the layers, the visible one first: [..., n] for each."""

KnownValues = dict[str, Any] | None
"""group → the values of its units that have been conditioned on, NaN for those that are free."""


class Layered(eqx.Module):
    """A model of layers of 0/1 units, the visible one first."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """The number of units of each layer, the visible one first."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the layers, the visible one first."""
        return layer_names(len(self.sizes))

    @property
    def hidden(self) -> tuple[str, ...]:
        """The names of the layers that hold no data."""
        return self.groups[1:]

    @property
    def units(self) -> dict[str, Bernoulli]:
        """The units of each layer."""
        return units_of(self.sizes)

    @property
    def n_visible(self) -> int:
        """The number of columns of the data."""
        return self.sizes[0]

    def astype(self, dtype: Any) -> Self:
        """The same model with parameters of another precision."""
        return jax.tree.map(lambda p: p.astype(dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p, self)

    def _repr_html_(self) -> str:
        from tractable import _html

        leaves, _ = jax.tree_util.tree_flatten_with_path(self)
        return _html.units(self, {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves})


def layer_names(n: int) -> tuple[str, ...]:
    """``visible``, ``hidden1``, …: names that sort in the order of the layers; a single hidden layer is ``hidden1``."""
    digits = len(str(n - 1))
    return (VISIBLE, *(f"hidden{i:0{digits}}" for i in range(1, n)))


def units_of(sizes: Sequence[int]) -> dict[str, Bernoulli]:
    """The units of each layer by name."""
    return {name: Bernoulli(n) for name, n in zip(layer_names(len(sizes)), sizes, strict=True)}


def checked_sizes(layers: Any, least: int) -> tuple[int, ...]:
    """Numbers of units, at least one in each of at least so many layers."""
    found = [layers] if np.ndim(layers) == 0 else list(layers)
    for n in found:
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise ModelError(f"a layer needs a whole number of units, at least one, got {n!r}")
    if len(found) < least:
        raise ModelError(f"expected at least {least} layers, the visible one first, got {len(found)}: {found}")
    return tuple(map(int, found))


def rows_of(model: Layered, data: Any, missing: bool = True) -> np.ndarray:
    """Rows of the visible units, checked; NaN only where entries may be missing."""
    values = checked_values(model, VISIBLE, data, missing)
    if values.ndim != 2:
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    return values


def as_many(what: str, given: Any, n: int) -> list[Any]:
    """One entry for each of `n` layers (or pairs of them); Nones where nothing is given."""
    if given is None:
        return [None] * n
    found = listed(what, given)
    if len(found) != n:
        raise ModelError(f"expected {n} {what} for these layers, got {len(found)}")
    return found


def listed(what: str, given: Any) -> list[Any]:
    """A list with an entry for each layer, of any sequence."""
    try:
        return list(given)
    except TypeError:
        raise ModelError(f"{what}: expected a list with an entry for each layer, got {given!r}") from None


def matrix_shape(what: str, given: Any) -> tuple[int, int]:
    """The shape of what has to be a matrix with rows and columns."""
    try:
        shape = np.shape(given)
    except ValueError:
        raise ModelError(f"{what}: expected a matrix, got rows of different lengths") from None
    if len(shape) != 2 or 0 in shape:
        raise ModelError(f"{what}: expected a matrix, got the shape {shape}")
    return shape[0], shape[1]


def triangles(given: Any, sizes: Sequence[int]) -> tuple[Any, ...]:
    """Weights within layers of these sizes, a strictly triangular matrix or None for each; True is zeros everywhere."""
    given = None if given is False else given
    if given is True:
        return tuple(np.zeros((n, n)) for n in sizes)
    own = zip(sizes, as_many("within", given, len(sizes)), strict=True)
    return tuple(None if a is None else _triangular(at, a, n) for at, (n, a) in enumerate(own))


def _triangular(at: int, given: Any, n: int) -> np.ndarray:
    found = array(f"within {at}", given, (n, n))
    if np.triu(found).any():
        raise ModelError(f"within {at}: a unit depends on those before it only: zero on and above the diagonal")
    return found


def dense(what: str, given: Any, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Weights between two layers: those given, else random ones that keep the size of signals (Glorot 2010)."""
    return small(rng, shape, (2 / sum(shape)) ** 0.5) if given is None else array(what, given, shape)


def times(h: Float[Array, "*b m"], w: Any, transposed: bool = False) -> Float[Array, "*b n"]:
    """h @ w, or h @ w.T, for states of a layer; fast where they are zeros and ones, right for any."""
    w = jnp.asarray(w)
    if h.dtype != w.dtype:
        h, w = (a.astype(jnp.promote_types(h.dtype, w.dtype)) for a in (h, w))
    if h.dtype != jnp.float32 or h.ndim < 2:
        return h @ (w.T if transposed else w)
    product = xla.binary_dot_transposed if transposed else xla.binary_dot
    return product(h.reshape(-1, h.shape[-1]), w).reshape(*h.shape[:-1], w.shape[0 if transposed else 1])


def from_own(h: Float[Array, "*b n"], within: Any) -> Float[Array, "*b n"]:
    """What the logits of a layer take from its own units: Σ_k<i L_ik h_k."""
    return times(h, jnp.tril(jnp.asarray(within), -1), transposed=True)


def means_within(logits: Float[Array, "*b n"], within: Any) -> Float[Array, "*b n"]:
    """σ of the logits; with weights `within` the layer each unit sees the means of those before it."""
    if within is None:
        return jax.nn.sigmoid(logits)
    own = jnp.tril(jnp.asarray(within, logits.dtype), -1)

    def unit(i: Any, means: Array) -> Array:
        logit = jax.lax.dynamic_index_in_dim(logits, i, -1, False) + means @ own[i]
        return means.at[..., i].set(jax.nn.sigmoid(logit))

    return jax.lax.fori_loop(0, logits.shape[-1], unit, jnp.zeros_like(logits))


def log_bernoulli(x: Float[Array, "*b n"], logits: Float[Array, "*b n"]) -> Float[Array, "*b"]:
    """log p(x) of 0/1 units with these logits, summed over the units: Σ x a − log(1 + e^a)."""
    return (x * logits - jax.nn.softplus(logits)).sum(-1)


def log_prob(
    x: Float[Array, "*b n"], given: Float[Array, "*c m"], w: Any, bias: Any, transposed: bool = False
) -> Float[Array, "*d"]:
    """log p(x) of a layer whose logits are bias + given @ w, or w.T: `log_bernoulli` without the logits in between.

    `given` is [b, k, m] and x [b, k, n] or [b, 1, n], or both without the k; other shapes, and a `given` that is one
    for several x, take the longer way.
    """
    w, bias = jnp.asarray(w), jnp.asarray(bias)
    each = x.shape[:-1] == given.shape[:-1] or (x.ndim == 3 and x.shape[:2] == (len(given), 1))
    if not each or any(a.dtype != jnp.float32 for a in (x, given, w, bias)):
        return log_bernoulli(x, bias + times(given, w, transposed))
    flat = [a.reshape(-1, a.shape[-1]) for a in (given, x)]
    return xla.log_bernoulli(flat[0], w, bias, flat[1], transposed).reshape(given.shape[:-1])


def drawn(key: Any, rows: Array, logits: Float[Array, "c n"], within: Any = None) -> Float[Array, "c n"]:
    """States of a layer given the logits from above; with weights `within` the layer, unit by unit.

    Row r depends on `key` and ``rows[r]`` alone.
    """
    if within is None:
        return _random.bernoulli(key, rows, logits)
    return xla_units.sample_ordered(_random.seed(key), rows, logits, jnp.asarray(within, logits.dtype))


def drawn_given(
    key: Any, rows: Array, given: Float[Array, "b k m"], w: Any, bias: Any, within: Any = None
) -> tuple[Float[Array, "b n u"], Float[Array, "b n"]]:
    """States of a layer with the logits bias + given @ w, and log p of them; as many for each of b as `rows` allows.

    With weights `within` the layer, they are drawn unit by unit.

    Parameters
    ----------
    rows : numbers of the states [b · n]. given : k is n, or 1: then the n states have the same logits.
    """
    w, bias = jnp.asarray(w), jnp.asarray(bias)
    many = (len(given), len(rows) // max(len(given), 1))
    if within is None and given.shape[1] == many[1] and all(a.dtype == jnp.float32 for a in (given, w, bias)):
        seed = jax.random.bits(key, (2,), jnp.uint32)
        h, log_p = xla.bernoulli_layer(seed, rows, given.reshape(-1, given.shape[-1]), w, bias)
        return jax.lax.stop_gradient(h).reshape(*many, len(bias)), log_p.reshape(many)
    logits = bias + times(given, w)
    wide = jnp.broadcast_to(logits, (*many, len(bias))).reshape(-1, len(bias))
    h = jax.lax.stop_gradient(drawn(key, rows, wide, within)).reshape(*many, len(bias))
    return h, log_bernoulli(h, logits if within is None else logits + from_own(h, within))


def completed(model: Any, layers: LayerSizes) -> list[Array]:
    """The layers, what has been conditioned on in its place."""
    found = [jnp.asarray(h) for h in layers]
    for at, (name, n) in enumerate(zip(layer_names(len(model.sizes)), model.sizes, strict=True)):
        if at < len(found) and found[at].shape[-1:] != (n,):
            raise ModelError(f"{name}: the model has {n} units, the states the shape {found[at].shape}")
        if at < len(found) and model.known is not None and name in model.known:
            value = jnp.asarray(model.known[name])
            found[at] = jnp.where(jnp.isnan(value), found[at], value.astype(found[at].dtype))
    return found


def promoted(model: Any, layers: Sequence[Array]) -> list[Array]:
    """The states in the precision of the model, or their own where that is higher."""
    own = jax.dtypes.canonicalize_dtype(model.dtype)
    dtype = jnp.result_type(own, *(jnp.result_type(h, jnp.float32) for h in layers))
    return [h.astype(dtype) for h in layers]


def condition(model: Any, evidence: Any) -> Any:
    """The model of what stays free when units are clamped: the same layers, log p̃(z) = log p̃(z, x).

    Conditioning composes. `log_joint` of the result puts what is known in its place, whatever states it is given.

    Parameters
    ----------
    evidence : values of the visible units [n_visible], or group → values; NaN marks a unit that stays free.

    Raises
    ------
    ModelError : unknown group, wrong length, a value other than 0 and 1, or another value than was clamped before.
    """
    if model.family == "helmholtz":
        return eqx.tree_at(lambda m: m.generative, model, condition(model.generative, evidence))
    given = read_evidence(model, evidence)
    for name, values in given.items():
        if values.ndim != 1:
            raise ModelError(f"{name}: conditioning takes one case, got an array of shape {values.shape}")
    known = merged(model.known, given)
    return with_known(model, known if any((~np.isnan(v)).any() for v in known.values()) else None)


def free_of_evidence(model: Any) -> Any:
    """A model to be learned, as it is; refuses one with clamped units, whose values are no parameters."""
    known = (model.generative if model.family == "helmholtz" else model).known
    if known is not None:
        raise ModelError(
            f"units of {', '.join(known)} are clamped: fit the network without evidence, and condition what was learned"
        )
    return model


def with_known(model: Any, known: KnownValues) -> Any:
    """The model with these values clamped; None for nothing."""
    return eqx.tree_at(lambda m: m.known, model, known, is_leaf=lambda a: a is None)


def merged(known: KnownValues, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What was clamped before with what is observed now, [n] or [n_rows, n] for each group."""
    out = {name: np.asarray(v, np.float64) for name, v in (known or {}).items()}
    for name, values in given.items():
        new = np.asarray(values, np.float64)
        old = out.get(name, np.full(new.shape[-1], np.nan))
        if (~np.isnan(old) & ~np.isnan(new) & (old != new)).any():
            raise ModelError(f"{name}: a unit that is clamped already is given another value")
        out[name] = np.where(np.isnan(new), old, new)
    return out
