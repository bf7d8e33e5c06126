"""Recognition networks, q(h | x) from the bottom upward, and the pair of a generative and a recognition network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.graph.layers import LayeredGraph
from tractable.models._base import ModelError
from tractable.models.deep_belief import DeepBeliefNetwork
from tractable.models.keys import as_key, generator
from tractable.models.layers import (
    Layered,
    LayerSizes,
    as_many,
    checked_sizes,
    dense,
    drawn_given,
    from_own,
    listed,
    log_bernoulli,
    log_prob,
    matrix_shape,
    means_within,
    times,
    triangles,
)
from tractable.models.parameters import array
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork

Matrices = tuple[Float[Any, "n m"], ...]


class Proposal(NamedTuple):
    """States drawn by a recognition network, and how likely it was to draw them.

    Attributes
    ----------
    layers : x [n_rows, 1, n_visible], then the hidden layers [n_rows, n, n_units], ready for a model's `log_joint`.
    log_q : log q(h | x) [n_rows, n].
    """

    layers: list[Float[Array, "r n u"]]
    log_q: Float[Array, "r n"]


class RecognitionNetwork(eqx.Module):
    """q(h | x) = q(h¹ | x) q(h² | h¹) …: what a model's hidden units may have been, guessed from the bottom upward.

    The units of a layer are Bernoulli and independent given the layer below, with logits c + R x, or those of a
    network with tanh units in between. Causes that compete to explain what is below are not independent, and with
    weights `within` a layer they need not be: then a unit also depends on those before it, logit_i + Σ_k<i L_ik h_k.

    Parameters
    ----------
    layers : numbers of units, from the visible layer upward.
    hidden : numbers of tanh units between each two layers, a number or several; None for logits that are linear.
    weights : for each layer above the visible one a matrix [n_below, n_layer], or with tanh units a list of them.
    biases : for each of these a vector, or a list of them.
    within : for each of these a matrix L [n, n], zero on and above the diagonal, or None; True for zeros in all layers,
        to be learned.
    key : of the small random weights that a new network starts with.

    Raises
    ------
    ModelError : sizes, weights or biases that do not chain, weights within a layer that are not strictly triangular.

    References
    ----------
    Hinton, Dayan, Frey & Neal, The wake–sleep algorithm, 1995; Dayan et al., The Helmholtz machine, 1995; Gregor et
    al., Deep autoregressive networks, 2014 (`within`).

    Examples
    --------
    >>> import numpy as np
    >>> q = tr.RecognitionNetwork([784, 200, 100], hidden=300)
    >>> [w.shape for w in q.weights[1]]
    [(200, 300), (300, 100)]
    >>> layers, log_q = q.sample(0, np.zeros((5, 784)), 3)
    >>> [h.shape for h in layers], log_q.shape
    ([(5, 1, 784), (5, 3, 200), (5, 3, 100)], (5, 3))
    """

    weights: tuple[Matrices, ...]
    biases: tuple[Matrices, ...]
    within: tuple[Any, ...]

    def __init__(
        self,
        layers: Sequence[int] | None = None,
        *,
        hidden: Any = None,
        weights: Any = None,
        biases: Any = None,
        within: Any = None,
        key: Any = 0,
    ):
        own = None if weights is None else [_listed(w, 2) for w in listed("weights", weights)]
        sizes = _sizes(layers, own)
        rng, n = generator(key).spawn(1)[0], len(sizes) - 1  # a model with this key has other numbers
        between = checked_sizes(hidden, 1) if hidden is not None else ()
        given = zip(as_many("weights", own, n), as_many("biases", biases, n), strict=True)
        found = [
            _level(at, pair, w, _inner(between, w), b, rng)
            for at, (pair, (w, b)) in enumerate(zip(pairwise(sizes), given, strict=True))
        ]
        self.weights, self.biases = tuple(w for w, _ in found), tuple(b for _, b in found)
        self.within = triangles(within, sizes[1:])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of units of each layer, the visible one first."""
        return (self.weights[0][0].shape[0], *(level[-1].shape[1] for level in self.weights))

    @property
    def dtype(self) -> Any:
        """The type of the parameters."""
        return np.result_type(*(np.dtype(leaf.dtype) for leaf in jax.tree.leaves((self.weights, self.biases))))

    @property
    def is_autoregressive(self) -> bool:
        """Whether units of some layer depend on others of it."""
        return any(a is not None for a in self.within)

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned; missing links within a layer are not."""
        own = sum(a.shape[0] * (a.shape[0] - 1) // 2 for a in self.within if a is not None)
        return own + sum(leaf.size for leaf in jax.tree.leaves((self.weights, self.biases)))

    def logits(self, at: int, below: Float[Array, "*b n"], own: Any = None) -> Float[Array, "*b m"]:
        """The logits of layer `at` (1 for the first hidden one) given states of the layer below it.

        Parameters
        ----------
        own : states of the layer itself, where its units depend on those before them.
        """
        given, w, b = self._last(at, jnp.asarray(below))
        from_below, within = times(given, w) + jnp.asarray(b), self.within[at - 1]
        if within is None:
            return from_below
        if own is None:
            raise ModelError(f"units of layer {at} depend on one another: their logits take states of the layer too")
        return from_below + from_own(jnp.asarray(own), within)

    def log_prob(self, layers: LayerSizes) -> Float[Array, "*b"]:
        """log q(h | x) of states of all layers, the visible one first.

        Raises
        ------
        ModelError : another number of layers.
        """
        return sum(self.log_prob_by_layer(layers), jnp.zeros(()))

    def log_prob_by_layer(self, layers: LayerSizes) -> list[Float[Array, "*b"]]:
        """The terms of `log_prob`: log q(h¹ | x), log q(h² | h¹), …"""
        if len(layers) != len(self.sizes):
            raise ModelError(f"the recognition network has {len(self.sizes)} layers, the states {len(layers)}")
        pairs = enumerate(pairwise(jnp.asarray(h) for h in layers))
        return [self._log_layer(at + 1, below, h) for at, (below, h) in pairs]

    def _log_layer(self, at: int, below: Float[Array, "*b n"], h: Float[Array, "*b m"]) -> Float[Array, "*b"]:
        if self.within[at - 1] is None:
            return log_prob(h, *self._last(at, below))
        return log_bernoulli(h, self.logits(at, below, h))

    def _last(self, at: int, below: Float[Array, "*b n"]) -> tuple[Array, Any, Any]:
        """What the logits of layer `at` are linear in (the layer below, or tanh units), and the weights and biases."""
        ws, bs = self.weights[at - 1], self.biases[at - 1]
        for w, b in zip(ws[:-1], bs[:-1], strict=True):
            below = jnp.tanh(times(below, w) + jnp.asarray(b))
        return below, ws[-1], bs[-1]

    def sample(self, key: Any, x: Any, n: int = 1, rows: Any = None) -> Proposal:
        """`n` states of the hidden layers for each row of data; no derivative passes through the states.

        Parameters
        ----------
        key : int or jax key.
        x : rows of the visible units [n_rows, n_visible].
        rows : numbers of the rows [n_rows], which with the key say what is drawn; 0, 1, … if absent.
        """
        layers, terms = self.sample_by_layer(key, x, n, rows)
        return Proposal(layers, sum(terms, jnp.zeros(())))

    def sample_by_layer(self, key: Any, x: Any, n: int = 1, rows: Any = None) -> tuple[list[Array], list[Array]]:
        """The states of `sample`, and log q(h¹ | x), log q(h² | h¹), … of them [n_rows, n] each."""
        x = jnp.asarray(x, jax.dtypes.canonicalize_dtype(self.dtype))
        if x.ndim != 2 or x.shape[1] != self.sizes[0]:
            raise ModelError(f"expected rows of data [n_rows, {self.sizes[0]}], got an array of shape {x.shape}")
        numbers = jnp.arange(len(x), dtype=jnp.uint32) if rows is None else jnp.asarray(rows, jnp.uint32)
        chains = (numbers[:, None] * np.uint32(n) + jnp.arange(n, dtype=jnp.uint32)).reshape(-1)
        key = as_key(key)
        layers, terms = [x[:, None]], []
        for at in range(1, len(self.sizes)):
            given, w, b = self._last(at, layers[-1])
            h, log_q = drawn_given(jax.random.fold_in(key, at), chains, given, w, b, self.within[at - 1])
            layers.append(h)
            terms.append(log_q)
        return layers, terms

    def means(self, x: Float[Array, "*b n"]) -> list[Float[Array, "*b m"]]:
        """The mean of each hidden layer given the mean of the layer below, and of the units before each."""
        out = []
        for at in range(1, len(self.sizes)):
            given, w, b = self._last(at, jnp.asarray(x))
            x = means_within(times(given, w) + jnp.asarray(b), self.within[at - 1])
            out.append(x)
        return out

    def astype(self, dtype: Any) -> RecognitionNetwork:
        """The same network with parameters of another precision."""
        return jax.tree.map(lambda p: p.astype(dtype), self)

    def __repr__(self) -> str:
        inner = "" if len(self.weights[0]) == 1 else ", tanh units between layers"
        inner += ", autoregressive" if self.is_autoregressive else ""
        return f"RecognitionNetwork({' → '.join(map(str, self.sizes))}{inner}; {self.n_parameters:,} parameters)"


class HelmholtzMachine(Layered):
    """A generative model of layers, and a recognition network that guesses what its hidden units may have been.

    Verbs take the generative model and use the recognition network as their proposal.

    Parameters
    ----------
    generative : a `SigmoidBeliefNetwork` or a `DeepBeliefNetwork`.
    recognition : a network over its layers; of a deep belief network over all but the top one. A new one with linear
        logits where none is given.

    Raises
    ------
    ModelError : a recognition network of another shape.

    Examples
    --------
    >>> tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([784, 200, 200]))
    HelmholtzMachine(SigmoidBeliefNetwork 784 ← 200 ← 200, RecognitionNetwork 784 → 200 → 200)
    """

    family: ClassVar[str] = "helmholtz"

    generative: SigmoidBeliefNetwork | DeepBeliefNetwork
    recognition: RecognitionNetwork

    def __init__(self, generative: Any, recognition: RecognitionNetwork | None = None, *, key: Any = 0):
        if not isinstance(generative, SigmoidBeliefNetwork | DeepBeliefNetwork):
            raise ModelError(
                f"expected a SigmoidBeliefNetwork or a DeepBeliefNetwork, got a {type(generative).__name__}"
            )
        recognition = RecognitionNetwork(generative.proposed, key=key) if recognition is None else recognition
        if not isinstance(recognition, RecognitionNetwork):
            raise ModelError(f"expected a RecognitionNetwork, got a {type(recognition).__name__}")
        if recognition.sizes != generative.proposed:
            raise ModelError(
                f"the recognition network has layers of {recognition.sizes}, the model needs {generative.proposed}"
            )
        self.generative, self.recognition = generative, recognition

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of units of each layer, the visible one first."""
        return self.generative.sizes

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned."""
        return self.generative.n_parameters + self.recognition.n_parameters

    @property
    def graph(self) -> LayeredGraph:
        """That of the generative model."""
        return self.generative.graph

    def log_joint(self, layers: LayerSizes) -> Float[Array, "*b"]:
        """log p(x, h) of the generative model."""
        return self.generative.log_joint(layers)

    def __repr__(self) -> str:
        parts = (self.generative, self.recognition)
        return f"HelmholtzMachine({', '.join(repr(part).partition(';')[0].replace('(', ' ') for part in parts)})"


def _sizes(layers: Any, weights: Any) -> tuple[int, ...]:
    if layers is not None:
        return checked_sizes(layers, 2)
    if not weights or not all(weights):
        raise ModelError("the numbers of units are missing: give layers, or weights that say them")
    ends = [[matrix_shape(f"weights {at}", w) for w in (level[0], level[-1])] for at, level in enumerate(weights)]
    return checked_sizes([ends[0][0][0], *(last[1] for _, last in ends)], 2)


def _listed(given: Any, ndim: int) -> list[Any]:
    """One array as a list of one."""
    single = not isinstance(given, list | tuple) or (len(given) > 0 and np.ndim(given[0]) == ndim - 1)
    return [given] if single else list(given)


def _inner(between: tuple[int, ...], weights: Any) -> tuple[int, ...]:
    """The tanh units between two layers, by number or by the weights given."""
    return between if weights is None else tuple(matrix_shape("weights", w)[1] for w in weights[:-1])


def _level(
    at: int, pair: tuple[int, int], weights: Any, inner: tuple[int, ...], biases: Any, rng: Any
) -> tuple[Matrices, Matrices]:
    """The matrices and vectors from one layer to the next."""
    shapes = list(pairwise((pair[0], *inner, pair[1])))
    ws = as_many(f"weights {at}", weights, len(shapes))
    bs = as_many(f"biases {at}", None if biases is None else _listed(biases, 1), len(shapes))
    return (
        tuple(dense(f"recognition weights {at}", w, shape, rng) for w, shape in zip(ws, shapes, strict=True)),
        tuple(array(f"recognition biases {at}", b, shape[1:]) for b, shape in zip(bs, shapes, strict=True)),
    )
