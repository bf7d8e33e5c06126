"""Sigmoid belief networks: layers of 0/1 units, each caused by the layer above it (Neal 1992)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.graph.layers import FEW_LINKS, LayeredGraph, Links
from tractable.models._base import ModelError
from tractable.models.keys import as_key, generator
from tractable.models.layers import (
    KnownValues,
    Layered,
    LayerSizes,
    as_many,
    checked_sizes,
    completed,
    dense,
    drawn,
    from_own,
    listed,
    log_bernoulli,
    log_prob,
    matrix_shape,
    promoted,
    rows_of,
    times,
    triangles,
)
from tractable.models.parameters import array


class SigmoidBeliefNetwork(Layered):
    """p(x, h¹, …, hᴸ) = p(hᴸ) ∏ p(hˡ | hˡ⁺¹), every unit Bernoulli with logit b + W h of the layer above, h⁰ = x.

    The units of a layer are independent given the layer above, those of the top layer independent outright, unless
    there are weights `within` a layer: then a unit also depends on those before it, logit b_i + Σ_k<i L_ik h_k + W h.

    Parameters
    ----------
    layers : numbers of units, from the visible layer upward; may be left out where `weights` say them.
    weights : one matrix W [n_layer, n_above] for each pair of neighbouring layers; a zero is a missing link.
    biases : one vector for each layer.
    within : for each layer a matrix L [n, n], zero on and above the diagonal, or None; True for zeros in all layers, to
        be learned.
    key : of the small random weights that a new network starts with.

    Raises
    ------
    ModelError : sizes, weights or biases that do not chain, weights within a layer that are not strictly triangular.

    References
    ----------
    Neal, Connectionist learning of belief networks, 1992; Gregor et al., Deep autoregressive networks, 2014 (`within`).

    Examples
    --------
    >>> import numpy as np
    >>> alarm = tr.SigmoidBeliefNetwork(weights=[[[6.0, 6.0]]], biases=[[-4.0], [-2.0, -2.0]])
    >>> alarm.groups, alarm.sizes
    (('visible', 'hidden1'), (1, 2))
    >>> p = np.exp(alarm.log_joint([np.ones((4, 1)), np.array([[0, 0], [0, 1], [1, 0], [1, 1]])]))
    >>> [f"{v:.3f}" for v in p / p.sum()]  # given that the alarm rings: one cause or the other, hardly both
    ['0.065', '0.434', '0.434', '0.067']
    """

    family: ClassVar[str] = "sigmoid_belief"

    weights: tuple[Float[Any, "n m"], ...]
    biases: tuple[Float[Any, " n"], ...]
    within: tuple[Any, ...]
    known: KnownValues

    def __init__(
        self,
        layers: Sequence[int] | None = None,
        *,
        weights: Any = None,
        biases: Any = None,
        within: Any = None,
        key: Any = 0,
    ):
        sizes = _sizes(layers, weights, biases)
        rng, n = generator(key), len(sizes)
        given = as_many("weights", weights, n - 1)
        pairs = enumerate(zip(pairwise(sizes), given, strict=True))
        self.weights = tuple(dense(f"weights {at}", w, shape, rng) for at, (shape, w) in pairs)
        vectors = zip(sizes, as_many("biases", biases, n), strict=True)
        self.biases = tuple(array(f"biases {at}", b, (size,)) for at, (size, b) in enumerate(vectors))
        self.within = triangles(within, sizes)
        self.known = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of units of each layer, the visible one first."""
        return tuple(b.shape[-1] for b in self.biases)

    @property
    def proposed(self) -> tuple[int, ...]:
        """The layers that a recognition network proposes: all."""
        return self.sizes

    @property
    def dtype(self) -> Any:
        """The type of the parameters."""
        return np.result_type(*(np.dtype(leaf.dtype) for leaf in (*self.weights, *self.biases)))

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned; missing links within a layer are not."""
        own = sum(a.shape[0] * (a.shape[0] - 1) // 2 for a in self.within if a is not None)
        return own + sum(leaf.size for leaf in (*self.weights, *self.biases))

    @property
    def graph(self) -> LayeredGraph:
        """Who causes whom, without the parameters."""
        names = self.groups
        links = {names[at]: _links(np.asarray(w), w.size) for at, w in enumerate(self.weights)}
        triangles = {names[at]: np.tril(a, -1) for at, a in enumerate(self.within) if a is not None}
        own = {name: _links(a, len(a) * (len(a) - 1) // 2) for name, a in triangles.items()}
        return LayeredGraph(dict(zip(names, self.sizes, strict=True)), links, own)

    def logits(self, at: int, layers: LayerSizes) -> Float[Array, "*b n"]:
        """The logits of layer `at` given the layer above it and, where there are weights `within`, its own states."""
        out = jnp.asarray(self.biases[at])
        if at < len(self.weights):
            out = out + times(jnp.asarray(layers[at + 1]), self.weights[at], transposed=True)
        if self.within[at] is not None:
            out = out + from_own(jnp.asarray(layers[at]), self.within[at])
        return out

    def log_joint(self, layers: LayerSizes) -> Float[Array, "*b"]:
        """log p(x, h¹, …) of states of all layers, the visible one first, [..., n] for each.

        Raises
        ------
        ModelError : another number of layers, or of units in one.
        """
        return sum(self.log_joint_by_layer(layers), jnp.zeros(()))

    def log_joint_by_layer(self, layers: LayerSizes) -> list[Float[Array, "*b"]]:
        """The terms of `log_joint`: log p(x | h¹), …, log p(hᴸ)."""
        if len(layers) != len(self.biases):
            raise ModelError(f"the network has {len(self.biases)} layers, the states {len(layers)}")
        found = promoted(self, completed(self, layers))
        return [self._log_layer(at, found) for at in range(len(found))]

    def _log_layer(self, at: int, layers: list[Array]) -> Float[Array, "*b"]:
        if at == len(self.weights) or self.within[at] is not None:
            return log_bernoulli(layers[at], self.logits(at, layers))
        return log_prob(layers[at], layers[at + 1], self.weights[at], self.biases[at], transposed=True)

    def sample(self, key: Any, n: int) -> list[Float[Array, "n u"]]:
        """`n` states of all layers, the visible one first, drawn from the top downward: exact, independent.

        Raises
        ------
        ModelError : some units are clamped; `tractable.sample` takes evidence.

        Examples
        --------
        >>> sure = tr.SigmoidBeliefNetwork(weights=[[[99.0], [-99.0]]], biases=[[-50.0, 50.0], [99.0]])
        >>> visible, hidden = sure.sample(0, 2)
        >>> visible.tolist(), hidden.tolist()
        ([[1.0, 0.0], [1.0, 0.0]], [[1.0], [1.0]])
        """
        if self.known is not None:
            raise ModelError("some units are clamped: ask tractable.sample for samples given what is known")
        return _ancestral(self, as_key(key), jnp.arange(n))

    def check(self, data: Any, name: str = "") -> np.ndarray:
        """Rows of data [n_rows, n_visible], zeros and ones, NaN where nothing is observed.

        Raises
        ------
        ModelError : data that do not fit, naming the place.
        """
        try:
            return rows_of(self, data)
        except ModelError as error:
            raise ModelError(f"{name}{error}") from None

    def vector(self) -> np.ndarray:
        """All parameters, one after another."""
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(self)])

    def __repr__(self) -> str:
        own = ", autoregressive" if any(a is not None for a in self.within) else ""
        return f"SigmoidBeliefNetwork({' ← '.join(map(str, self.sizes))}{own}; {self.n_parameters:,} parameters)"


def drawn_below(model: Any, key: Any, rows: Array, top: Array, first: int) -> list[Array]:
    """States of the layers up to `first`, the visible one first, drawn downward from states `top` of layer `first`."""
    layers: list[Any] = [None] * first + [top]
    for at in reversed(range(first)):
        logits = jnp.asarray(model.biases[at]) + times(layers[at + 1], model.weights[at], transposed=True)
        layers[at] = drawn(jax.random.fold_in(key, at), rows, logits, model.within[at])
    return layers


@jax.jit
def _ancestral(model: SigmoidBeliefNetwork, key: Any, rows: Array) -> list[Array]:
    at, rows = len(model.biases) - 1, rows.astype(jnp.uint32)
    logits = jnp.broadcast_to(jnp.asarray(model.biases[at]), (len(rows), model.sizes[at]))
    return drawn_below(model, key, rows, drawn(jax.random.fold_in(key, at), rows, logits, model.within[at]), at)


def _sizes(layers: Any, weights: Any, biases: Any) -> tuple[int, ...]:
    """The sizes given, else those of the weights or biases."""
    if layers is not None:
        return checked_sizes(layers, 1)
    if biases is not None:
        return tuple(_length(f"biases {at}", b) for at, b in enumerate(listed("biases", biases)))
    given = [] if weights is None else listed("weights", weights)
    shapes = [matrix_shape(f"weights {at}", w) for at, w in enumerate(given)]
    if not shapes:
        raise ModelError("the numbers of units are missing: give layers, or weights and biases that say them")
    return (*(shape[0] for shape in shapes), shapes[-1][1])


def _length(what: str, given: Any) -> int:
    if np.ndim(given) != 1 or not np.size(given):
        raise ModelError(f"{what}: expected a vector, one number for each unit, got the shape {np.shape(given)}")
    return int(np.shape(given)[0])


def _links(w: np.ndarray, n_pairs: int) -> Links:
    """The links that are there, where few are; None for a dense block."""
    n = np.count_nonzero(w)
    return None if n == n_pairs or n > FEW_LINKS else tuple(zip(*(i.tolist() for i in np.nonzero(w)), strict=True))
