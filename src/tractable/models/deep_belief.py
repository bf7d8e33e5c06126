"""Deep belief networks: a restricted Boltzmann machine on top of directed layers (Hinton, Osindero & Teh 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.graph.layers import LayeredGraph
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, restricted
from tractable.models.keys import generator
from tractable.models.layers import (
    KnownValues,
    Layered,
    LayerSizes,
    as_many,
    checked_sizes,
    completed,
    dense,
    listed,
    log_bernoulli,
    matrix_shape,
    promoted,
    times,
)
from tractable.models.parameters import array
from tractable.models.units import Bernoulli

TOP = (VISIBLE, "hidden")


class DeepBeliefNetwork(Layered):
    """p(x, h¹, …, hᴸ) = p(hᴸ⁻¹, hᴸ) ∏ p(hˡ | hˡ⁺¹): the two top layers a restricted Boltzmann machine, 0/1 units.

    Below them every unit is Bernoulli with logit b + W h of the layer above, as in a `SigmoidBeliefNetwork`.

    Parameters
    ----------
    layers : numbers of units, from the visible layer upward, at least three.
    top : the machine of the two top layers, made by `restricted`, in place of a new one.
    weights, biases : of the directed layers, the visible one first: W [n_layer, n_above] and b [n_layer] for each.
    key : of the small random weights that a new network starts with.

    Raises
    ------
    ModelError : fewer than three layers, sizes or arrays that do not chain, a top that is no machine of 0/1 units.

    Examples
    --------
    >>> dbn = tr.DeepBeliefNetwork([784, 500, 500])
    >>> dbn.groups, dbn.top.graph.n_pairs
    (('visible', 'hidden1', 'hidden2'), 250000)
    """

    family: ClassVar[str] = "deep_belief"

    weights: tuple[Float[Any, "n m"], ...]
    biases: tuple[Float[Any, " n"], ...]
    top: Boltzmann
    known: KnownValues

    def __init__(
        self,
        layers: Sequence[int] | None = None,
        *,
        top: Boltzmann | None = None,
        weights: Any = None,
        biases: Any = None,
        key: Any = 0,
    ):
        sizes = _sizes(layers, top, weights)
        rng, n = generator(key), len(sizes) - 2
        given = zip(pairwise(sizes[:-1]), as_many("weights", weights, n), strict=True)
        self.weights = tuple(dense(f"weights {at}", w, shape, rng) for at, (shape, w) in enumerate(given))
        vectors = zip(sizes, as_many("biases", biases, n), strict=False)
        self.biases = tuple(array(f"biases {at}", b, (size,)) for at, (size, b) in enumerate(vectors))
        self.top = restricted(*sizes[-2:], key=key) if top is None else top
        self.known = None

    @property
    def within(self) -> tuple[None, ...]:
        """Directed layers have no weights within."""
        return (None,) * len(self.weights)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of units of each layer, the visible one first."""
        return (*(b.shape[-1] for b in self.biases), *(self.top.units[name].n for name in TOP))

    @property
    def proposed(self) -> tuple[int, ...]:
        """The layers that a recognition network proposes; the top one is summed out in closed form."""
        return self.sizes[:-1]

    @property
    def dtype(self) -> Any:
        """The type of the parameters."""
        return np.result_type(self.top.dtype, *(np.dtype(leaf.dtype) for leaf in (*self.weights, *self.biases)))

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned."""
        return self.top.n_parameters + sum(leaf.size for leaf in (*self.weights, *self.biases))

    @property
    def graph(self) -> LayeredGraph:
        """Who touches whom, without the parameters."""
        links = dict.fromkeys(self.groups[:-1])
        return LayeredGraph(dict(zip(self.groups, self.sizes, strict=True)), links, undirected_top=True)

    def logits(self, at: int, layers: LayerSizes) -> Float[Array, "*b n"]:
        """The logits of layer `at` given the layer above (of the top layers: given the other one)."""
        if at < len(self.weights):
            return jnp.asarray(self.biases[at]) + times(jnp.asarray(layers[at + 1]), self.weights[at], transposed=True)
        own, other = TOP if at == len(self.weights) else TOP[::-1]
        return self.top.local_field(own, {other: jnp.asarray(layers[2 * len(self.weights) + 1 - at])})

    def log_joint(self, layers: LayerSizes) -> Float[Array, "*b"]:
        """log p̃(x, h¹, …): log p of the directed layers and log p̃ of the machine on top, whose log Z is left out.

        Parameters
        ----------
        layers : states of the layers, the visible one first, [..., n] for each; all of them, or all but the top one,
            which is then summed out.

        Raises
        ------
        ModelError : another number of layers, or of units in one.
        """
        return sum(self.log_joint_by_layer(layers), jnp.zeros(()))

    def log_joint_by_layer(self, layers: LayerSizes) -> list[Float[Array, "*b"]]:
        """The terms of `log_joint`: log p(x | h¹), …, log p̃ of the top."""
        if len(layers) not in (len(self.sizes), len(self.sizes) - 1):
            raise ModelError(
                f"the network has {len(self.sizes)} layers, of which the top one may be left out; got {len(layers)}"
            )
        found = promoted(self, completed(self, layers))
        directed = [log_bernoulli(h, self.logits(at, found)) for at, h in enumerate(found[: len(self.weights)])]
        return [*directed, self._log_top(found[len(self.weights) :])]

    def _log_top(self, states: Sequence[Array]) -> Array:
        """log p̃ of the machine on top, its upper layer summed out where it is not given."""
        v = states[0]
        if len(states) == 2:
            return self.top.log_joint({TOP[0]: v, TOP[1]: states[1]})
        theta = self.top.local_field(TOP[1], {TOP[0]: v})
        free, held = jax.nn.softplus(theta), None if self.known is None else self.known.get(self.groups[-1])
        if held is not None:
            free = jnp.where(jnp.isnan(jnp.asarray(held)), free, theta * jnp.nan_to_num(jnp.asarray(held)))
        return jnp.asarray(self.top.offset) + v @ jnp.asarray(self.top.fields[TOP[0]]) + free.sum(-1)

    def __repr__(self) -> str:
        below = "".join(f"{b.shape[-1]} ← " for b in self.biases)
        top = " – ".join(str(self.top.units[name].n) for name in TOP)
        return f"DeepBeliefNetwork({below}{top}; {self.n_parameters:,} parameters)"


def _sizes(layers: Any, top: Any, weights: Any) -> tuple[int, ...]:
    """The sizes given, else those of the weights and the machine on top."""
    above = () if top is None else _top_sizes(top)
    if layers is None:
        if top is None or weights is None:
            raise ModelError("the numbers of units are missing: give layers, or weights and a top that say them")
        shapes = [matrix_shape(f"weights {at}", w) for at, w in enumerate(listed("weights", weights))]
        layers = [*(shape[0] for shape in shapes), *above]
    sizes = checked_sizes(layers, 3)
    if above and sizes[-2:] != above:
        raise ModelError(f"the machine on top has {above[0]} and {above[1]} units, the layers {sizes[-2:]}")
    return sizes


def _top_sizes(top: Any) -> tuple[int, ...]:
    units = getattr(top, "units", {})
    if set(units) != {*TOP} or set(top.couplings) != {TOP} or any(type(u) is not Bernoulli for u in units.values()):
        raise ModelError(f"the top of a deep belief network is a restricted machine of 0/1 units, got {top!r}")
    return tuple(units[name].n for name in TOP)
