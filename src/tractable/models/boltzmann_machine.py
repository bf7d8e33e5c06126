"""Boltzmann machines, general, restricted and deep: one class, and constructors that say which couplings exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tractable.graph.groups import GroupGraph
from tractable.models._base import ModelError, nearest
from tractable.models.keys import generator
from tractable.models.parameters import array, small
from tractable.models.products import times
from tractable.models.units import KINDS, Mixed, Units

Features = Mapping[str, Any]
VISIBLE = "visible"
SEVERAL = "units of several kinds in one layer are Mixed(Bernoulli(3), Gaussian(2))"


class Boltzmann(eqx.Module):
    """p(x) = (1/Z) exp(offset + Σ_g b_g·T(x_g) + Σ_(g,k) T(x_g)ᵀ W_gk T(x_k)) ∏ q(x): pairwise couplings between units.

    Made by `boltzmann`, `restricted` or `deep`. The first group holds the data and is called ``visible``.

    Attributes
    ----------
    units : group → its units (kind, number, features T and base measure q).
    fields : group → b [n_features].
    couplings : (group, other group) → W [n_features, n_features of the other]; (group, group) → within a group, the
        entries above the diagonal count; for a group with `edges` the weight of each edge [n_edges].
    edges : group → the pairs of units that interact [n_edges, 2], where few of them do.
    offset : a constant, which `condition` adds to.

    Examples
    --------
    >>> machine = tr.deep([4, 3, 2])
    >>> machine.groups, machine.couplings["visible", "hidden1"].shape
    (('visible', 'hidden1', 'hidden2'), (4, 3))
    >>> tr.infer(machine, [1, 0, 1, 0]).marginals["hidden2"].shape
    (2,)
    """

    family: ClassVar[str] = "boltzmann"

    units: dict[str, Units]
    fields: dict[str, Float[Any, " f"]]
    couplings: dict[tuple[str, str], Float[Any, "f k"]]
    edges: dict[str, Int[Any, "e 2"]]
    offset: Float[Any, ""]

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups, the visible one first."""
        return tuple(sorted(self.units, key=lambda name: (name != VISIBLE, name)))

    @property
    def hidden(self) -> tuple[str, ...]:
        """The names of the groups that hold no data."""
        return tuple(name for name in self.groups if name != VISIBLE)

    @property
    def n_visible(self) -> int:
        """The number of columns of the data."""
        return self.units[VISIBLE].n

    @property
    def dtype(self) -> Any:
        """The type of the parameters."""
        leaves = jax.tree.leaves((self.fields, self.couplings)) or [np.asarray(self.offset)]
        return np.result_type(*(np.dtype(leaf.dtype) for leaf in leaves))

    @property
    def graph(self) -> GroupGraph:
        """Who touches whom, without the parameters."""
        sizes = {name: self.units[name].n for name in self.groups}
        edges = {name: tuple(map(tuple, np.asarray(pairs).tolist())) for name, pairs in self.edges.items()}
        dense = tuple(pair for pair in self.couplings if pair[0] not in edges or pair[0] != pair[1])
        return GroupGraph(sizes, {name: self.units[name].n_states for name in self.groups}, dense, edges, self.several)

    @property
    def several(self) -> dict[str, tuple[int, ...]]:
        """Group → the number of states of each unit, of groups of several kinds that are all discrete."""
        mixed = {name: units.states_each for name, units in self.units.items() if isinstance(units, Mixed)}
        return {name: each for name, each in mixed.items() if each}

    def within(self, name: str) -> Array:
        """The couplings within a dense group as a symmetric matrix with no coupling of a unit to itself."""
        unit = self.units[name].unit_of_feature
        upper = jnp.where(unit[:, None] < unit[None, :], jnp.asarray(self.couplings[name, name]), 0)
        return upper + upper.T

    def local_field(self, name: str, x: Features) -> Float[Array, "*b f"]:
        """The natural parameter of each unit of a group given all others: ∂ log p̃ / ∂ T(x_g)."""
        theta = jnp.asarray(self.fields[name])
        for (a, b), w in self.couplings.items():
            if a == b == name:
                theta = theta + self._field_within(name, x[name])
            elif a == name and b in x:
                theta = theta + times(self.units[b], x[b], w, transposed=True)
            elif b == name and a in x:
                theta = theta + times(self.units[a], x[a], w)
        return theta

    def _field_within(self, name: str, x: Array) -> Array:
        if name not in self.edges:
            return x @ self.within(name)
        i, j = self.edges[name].T
        w = jnp.asarray(self.couplings[name, name])
        field = jnp.zeros_like(x)
        return field.at[..., i].add(w * x[..., j]).at[..., j].add(w * x[..., i])

    def interaction(self, x: Features) -> Float[Array, "*b"]:
        """The exponent without base measures; linear in each unit's features, so it takes expected features too."""
        out = jnp.asarray(self.offset)
        for name, b in self.fields.items():
            out = out + x[name] @ jnp.asarray(b)
        for (a, b), w in self.couplings.items():
            if a == b:
                out = out + 0.5 * (self._field_within(a, x[a]) * x[a]).sum(-1)
            else:
                out = out + (times(self.units[a], x[a], w) * x[b]).sum(-1)
        return out

    def log_joint(self, x: Features) -> Float[Array, "*b"]:
        """log p̃(x) of states given by their features, group by group [..., n_features].

        Examples
        --------
        >>> machine = tr.restricted(couplings=[[1.0], [2.0]], visible_bias=[0.5, 0.5])
        >>> float(machine.log_joint(machine.encode({"visible": [1.0, 1.0], "hidden": [1.0]})))
        4.0
        """
        return self.interaction(x) + sum(self.units[name].log_base(x[name]) for name in self.units)

    def encode(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """States of groups as features."""
        dtype = jax.dtypes.canonicalize_dtype(self.dtype)
        return {name: jnp.asarray(self.units[name].encode(v), dtype) for name, v in values.items()}

    def decode(self, x: Features) -> dict[str, np.ndarray]:
        """Features of groups as states."""
        return {name: np.asarray(self.units[name].decode(f)) for name, f in x.items()}

    def astype(self, dtype: Any) -> Boltzmann:
        """The same machine with parameters of another precision."""
        return jax.tree.map(lambda p: p.astype(dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p, self)

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(leaf.size for leaf in jax.tree.leaves((self.fields, self.couplings)))

    def __repr__(self) -> str:
        groups = ", ".join(f"{self.units[g].n} {type(self.units[g]).__name__} {g}" for g in self.groups)
        return f"Boltzmann({groups}; {self.graph.n_pairs} couplings)"

    def _repr_html_(self) -> str:
        from tractable import _html

        own = {f"biases of {name}": self.fields[name] for name in self.groups}
        return _html.units(self, own | {f"couplings {a} – {b}": w for (a, b), w in self.couplings.items()})


# ---------------------------------------------------------------- constructors


def boltzmann(
    n: int | None = None,
    edges: Iterable[tuple[int, int]] | None = None,
    *,
    hidden: int = 0,
    units: str | Units = "bernoulli",
    key: Any = 0,
    **parameters: Any,
) -> Boltzmann:
    """A general Boltzmann machine of `n` units: every pair coupled, or the pairs of `edges` only.

    Parameters
    ----------
    n : number of visible units.
    edges : pairs of them that interact; None couples all.
    hidden : number of hidden units, coupled to all others (dense machines only).
    units : ``"bernoulli"``, ``"spin"``, or units such as ``Categorical(n, q)``.
    key : of the small random couplings that a new machine starts with.
    parameters : ``couplings`` ([n, n], symmetric; the weight of each edge where there are `edges`), ``visible_bias``.

    Raises
    ------
    ModelError : couplings, edges or biases that do not fit together.

    Examples
    --------
    >>> machine = tr.boltzmann(3, units="spin", couplings=[[0, 0.1, 0.1], [0.1, 0, 0.1], [0.1, 0.1, 0]])
    >>> machine.graph.n_pairs
    3
    """
    given = dict(parameters)
    weights, bias = given.pop("couplings", None), given.pop("visible_bias", None)
    _no_more(given)
    _check_one_kind(units, coupled=True)
    n = units.n if isinstance(units, Units) else _size("n", n, weights if edges is None else None, bias)
    own = {VISIBLE: _units(units, n)}
    if edges is not None:
        if hidden:
            raise ModelError("a machine with edges has no hidden units; give couplings for all pairs instead")
        return _sparse(own, _checked_edges(edges, n), weights, bias, key)
    if hidden:
        own["hidden"] = _units(units if isinstance(units, str) else type(units).__name__.lower(), hidden)
    pairs = [(a, b) for i, a in enumerate(own) for b in list(own)[i:]]
    return _machine(own, pairs, {} if weights is None else {(VISIBLE, VISIBLE): weights}, {VISIBLE: bias}, key)


def restricted(
    visible: int | Units | None = None,
    hidden: int | Units | None = None,
    *,
    units: str = "bernoulli",
    key: Any = 0,
    **parameters: Any,
) -> Boltzmann:
    """A restricted Boltzmann machine: visible units are coupled to hidden ones, nothing else is, so p(h | v) factors.

    log p̃(v, h) = bᵀv + cᵀh + vᵀWh.

    Parameters
    ----------
    visible, hidden : numbers of units, or units such as ``Gaussian(784, learned=True)``, ``Categorical(10, 3)``.
    units : the kind of those given as numbers.
    key : of the small random couplings that a new machine starts with.
    parameters : ``couplings`` W [n_visible, n_hidden], ``visible_bias`` b, ``hidden_bias`` c.

    Raises
    ------
    ModelError : shapes that do not fit together.

    Examples
    --------
    >>> tr.restricted(784, 500).graph.n_pairs
    392000
    """
    given = dict(parameters)
    weights = given.pop("couplings", None)
    bias = {VISIBLE: given.pop("visible_bias", None), "hidden": given.pop("hidden_bias", None)}
    _no_more(given)
    shape = np.shape(weights) if weights is not None else (None, None)
    if len(shape) != 2:
        raise ModelError(f"couplings must be a matrix [n_visible, n_hidden], got the shape {shape}")
    sides = ((VISIBLE, visible, shape[0]), ("hidden", hidden, shape[1]))
    own = {name: _given_units(name, n, size, units) for name, n, size in sides}
    return _machine(own, [(VISIBLE, "hidden")], {(VISIBLE, "hidden"): weights}, bias, key)


def deep(
    layers: Sequence[int | Units],
    *,
    units: str = "bernoulli",
    key: Any = 0,
    couplings: Sequence[Any] | None = None,
    biases: Sequence[Any] | None = None,
) -> Boltzmann:
    """A deep Boltzmann machine: layers of units, each coupled to the next; the first is visible.

    Parameters
    ----------
    layers : numbers of units, or units, from the visible layer upward.
    units : the kind of those given as numbers.
    couplings : one matrix [n_layer, n_next] for each pair of neighbouring layers.
    biases : one vector for each layer.

    Raises
    ------
    ModelError : fewer than two layers, or shapes that do not fit together.

    Examples
    --------
    >>> tr.deep([784, 500, 1000]).groups
    ('visible', 'hidden1', 'hidden2')
    """
    if len(layers) < 2:
        raise ModelError(f"a deep machine has a visible layer and at least one hidden one, got {len(layers)} layers")
    digits = len(str(len(layers) - 1))  # the names sort in the order of the layers
    names = [VISIBLE, *(f"hidden{i:0{digits}}" for i in range(1, len(layers)))]
    own = {name: _given_units(name, n, None, units) for name, n in zip(names, layers, strict=True)}
    pairs = list(pairwise(names))
    weights = dict(zip(pairs, _as_many("couplings", couplings, len(pairs)), strict=True))
    return _machine(own, pairs, weights, dict(zip(names, _as_many("biases", biases, len(names)), strict=True)), key)


def _as_many(what: str, given: Sequence[Any] | None, n: int) -> Sequence[Any]:
    if given is not None and len(given) != n:
        raise ModelError(f"expected {n} {what} for these layers, got {len(given)}")
    return [None] * n if given is None else given


def _no_more(given: Mapping[str, Any]) -> None:
    known = ("couplings", "visible_bias", "hidden_bias")
    for name in given:
        raise ModelError(f"unknown parameter {name!r}{nearest(name, known)}")


def _size(name: str, n: int | None, *arrays: Any) -> int:
    sizes = {int(np.shape(a)[0]) for a in arrays if a is not None and np.ndim(a)} | ({n} if n is not None else set())
    if len(sizes) != 1:
        raise ModelError(
            f"{name} does not fit the arrays given: sizes {sorted(sizes)}" if sizes else f"{name} is missing"
        )
    return sizes.pop()


def _units(kind: str | Units, n: int) -> Units:
    if isinstance(kind, Units):
        return kind
    _check_one_kind(kind)
    if kind not in KINDS:
        raise ModelError(f"unknown kind of units {kind!r}{nearest(kind, KINDS)}; there are {', '.join(KINDS)}")
    if n < 1:
        raise ModelError(f"a group needs at least one unit, got {n}")
    return KINDS[kind](int(n))


def _check_one_kind(kind: Any, coupled: bool = False) -> None:
    if coupled and isinstance(kind, Mixed):
        raise ModelError("units of several kinds are not coupled to one another: take restricted, or deep")
    if not isinstance(kind, str | Units):
        raise ModelError(
            f"units are of one kind, such as 'bernoulli', or units such as Spin(3), got {kind!r}; {SEVERAL}"
        )


def _given_units(name: str, given: int | Units | None, size: int | None, kind: str) -> Units:
    if isinstance(given, Units):
        return given
    n = size if given is None else given
    if n is None:
        raise ModelError(f"the number of {name} units is missing: give a number, or couplings that say it")
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise ModelError(f"{name}: expected a number of units, or units such as Spin(3), got {n!r}; {SEVERAL}")
    return _units(kind, int(n))


def _checked_edges(edges: Iterable[tuple[int, int]], n: int) -> np.ndarray:
    found = np.asarray(list(edges), np.int32).reshape(-1, 2)
    outside = (found < 0) | (found >= n)
    for k in np.flatnonzero(outside.any(axis=1) | (found[:, 0] == found[:, 1]))[:1]:
        raise ModelError(f"edge {k} joins {tuple(found[k].tolist())}; edges join two different units from 0 to {n - 1}")
    found = np.sort(found, axis=1)
    unique, count = np.unique(found, axis=0, return_counts=True)
    if (count > 1).any():
        raise ModelError(f"the edge {tuple(unique[count > 1][0].tolist())} is given twice; add its weights up")
    return found


def _sparse(units: dict[str, Units], edges: np.ndarray, weights: Any, bias: Any, key: Any) -> Boltzmann:
    own = units[VISIBLE]
    if own.n_features != own.n:
        raise ModelError("edges need units with one number each; couple categorical units densely")
    fields = {VISIBLE: array("visible_bias", bias, (own.n_features,))}
    shape = (len(edges),)
    couplings = small(generator(key), shape) if weights is None else array("couplings", weights, shape)
    return Boltzmann(units, fields, {(VISIBLE, VISIBLE): couplings}, {VISIBLE: edges}, np.float32(0))


def _machine(
    units: dict[str, Units], pairs: Sequence[tuple[str, str]], weights: Mapping, biases: Mapping, key: Any
) -> Boltzmann:
    """A machine with dense couplings: those given, small random numbers where there are none."""
    rng = generator(key)
    couplings: dict[tuple[str, str], Any] = {}
    for a, b in pairs:
        shape, given = (units[a].n_features, units[b].n_features), weights.get((a, b))
        couplings[a, b] = small(rng, shape) if given is None else array(f"couplings {a}–{b}", given, shape)
    for a in units:
        if (a, a) in couplings:
            _check_within(units[a], weights.get((a, a)))
            couplings[a, a] = np.triu(couplings[a, a], 1)
    fields = {name: array(f"the bias of {name}", biases.get(name), (u.n_features,)) for name, u in units.items()}
    return Boltzmann(units, fields, couplings, {}, np.float32(0))


def _check_within(units: Units, given: Any) -> None:
    if given is None:
        return
    w = np.asarray(given)
    own = units.unit_of_feature
    if np.any(w[own[:, None] == own[None, :]]):
        raise ModelError("couplings: a unit is coupled to itself; put that into its bias, the diagonal must be zero")
    if not np.array_equal(w, w.T) and np.tril(w).any():
        raise ModelError("couplings must be symmetric, or zero below the diagonal")
