"""Markov random fields over discrete variables: a product of non-negative tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from tractable._cached import cached_property
from tractable.graph import Graph
from tractable.models._base import ModelError, ReadOnly, Tables, set_fields, unknown_variable
from tractable.models.sparse_networks import Holding, n_entries, outlined
from tractable.models.sparse_reading import is_sparse, sparse_table
from tractable.models.sparse_tables import SparseTable
from tractable.models.tables import checked_states, checked_table, is_number
from tractable.models.values import text_of


class Factor(NamedTuple):
    """A non-negative table over the variables of its scope, one axis each (flat, in C order, beyond 64 variables).

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [tr.Factor(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> net.factors[0].scope, net.factors[0].table.tolist()
    (('a', 'b'), [[1.0, 2.0], [3.0, 4.0]])
    """

    scope: tuple[str, ...]
    table: Any


NORMALIZED = 1e-12
"""A factor whose rows sum to one this nearly is a conditional table."""


@dataclass(frozen=True, eq=False)
class MarkovNetwork(Holding):
    """An undirected model p(x) = (1/Z) ∏ⱼ φⱼ(x_scope(j)) over discrete variables with named states.

    Parameters
    ----------
    states : mapping of variable name to the names of its states, in order; they are made text. Or to their number.
    factors : sequence of ``(scope, table)``: variable names and a table with one axis for each of them, or a frame or
        mapping as for a `BayesianNetwork`, or `sparse`. A scope may be empty (a constant), may occur twice, and a
        variable may occur in none. Tables are copied, and read-only: `replace` makes a network with others.

    Raises
    ------
    ModelError : a table of the wrong shape, a negative entry, an unknown or repeated variable; the message names the
        factor.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> net.factors[0].scope
    ('a', 'b')
    """

    family: ClassVar[str] = "tables"

    states: Mapping[str, Sequence[str]]
    factors: Sequence[Factor | tuple[Sequence[str], np.ndarray]]
    name: str = "network"
    packed: Tables = field(init=False, repr=False)
    graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        states = checked_states(self.states)
        index = {name: i for i, name in enumerate(states)}
        scopes = [_scope(scope, states) for scope, _ in self.factors]
        arrays = [_checked_factor(j, s, self.factors[j][1], states) for j, s in enumerate(scopes)]
        graph = Graph(sizes={v: len(s) for v, s in states.items()}, links=tuple(scopes))
        set_fields(self, states=ReadOnly(states), graph=graph)
        self._hold(scopes, *outlined([*map(len, states.values())], [[index[v] for v in s] for s in scopes], arrays))

    def _hold(self, scopes: Sequence[tuple[str, ...]], outline: Tables, sparse: Mapping[int, SparseTable]) -> None:
        """Take these numbers; from here on nothing can write into them."""
        set_fields(self, factors=tuple(map(Factor, scopes, self.keep(outline, sparse))))

    def replace(self, factors: Mapping[Any, Any] | None = None, *, name: str | None = None) -> MarkovNetwork:
        """A new network with some factors replaced, all of it checked.

        Parameters
        ----------
        factors : number of a factor, or its scope where no other has it, → its new table.

        Raises
        ------
        ModelError : a factor that is not there or one of several; a table that does not fit.

        Examples
        --------
        >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("a", [1.0, 2.0]), ("ab", [[1.0, 2.0], [3.0, 4.0]])])
        >>> net.replace({"a": [5.0, 6.0]}).factors[0].table.tolist()
        [5.0, 6.0]
        """
        held: Any = self.factors
        tables = [factor.table for factor in held]
        for which, table in (factors or {}).items():
            tables[self._place(which)] = table
        new = [(factor.scope, table) for factor, table in zip(held, tables, strict=True)]
        return MarkovNetwork(self.states, new, self.name if name is None else name)

    def _place(self, which: Any) -> int:
        """The number of a factor."""
        held: Any = self.factors
        if is_number(which):
            if not 0 <= which < len(self.factors):
                raise ModelError(f"there is no factor {which}; the network has {len(self.factors)}, counted from 0")
            return int(which)
        scopes = [tuple(map(text_of, which)), (which,)]  # letters, or one name
        found = [j for j, factor in enumerate(held) if factor.scope in scopes]
        if len(found) != 1:
            there = f"{len(found)} factors are" if found else "no factor is"
            raise ModelError(f"{there} over ({', '.join(map(str, which))}); name a factor by its number")
        return found[0]

    @classmethod
    def assembled(cls, states: Mapping[str, Any], factors: Iterable[tuple[tuple[str, ...], Any]], name: str) -> Self:
        """A network of what is known to be good: states as tuples of text, and factors."""
        scopes, tables = map(list, zip(*factors, strict=True))
        index, sizes = {v: k for k, v in enumerate(states)}, {v: len(s) for v, s in states.items()}
        out = object.__new__(cls)
        set_fields(out, name=name, states=ReadOnly(states), graph=Graph(sizes=sizes, links=tuple(scopes)))
        out._hold(scopes, *outlined([*sizes.values()], [[index[v] for v in s] for s in scopes], tables))
        return out

    def __getstate__(self) -> dict[str, Any]:
        held: Any = self.factors
        kept = ("states", "name", "outline", "sparse", "graph")  # not views of the numbers as copies
        return {field: getattr(self, field) for field in kept} | {"factors": [factor.scope for factor in held]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        scopes, outline, sparse = (state.pop(name) for name in ("factors", "outline", "sparse"))
        set_fields(self, **state)
        self._hold(scopes, outline, sparse)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(self.states)

    @cached_property
    def conditional(self) -> np.ndarray:
        """The last variable of each factor that sums to one over it, −1 of others [n_factors].

        Many networks come as Markov networks whose factors are conditional tables with the child last.
        """
        tables = self.packed
        child = np.full(tables.n_factors, -1, np.int32)
        small = np.maximum.reduceat(tables.values, tables.value_starts[:-1]) <= 1 if len(child) else child > 0
        for j in np.flatnonzero(small & (np.diff(tables.scope_starts) > 0)).tolist():
            last = tables.scopes[tables.scope_starts[j + 1] - 1]
            rows = tables.values[tables.value_starts[j] : tables.value_starts[j + 1]].reshape(-1, tables.sizes[last])
            if np.abs(rows.sum(axis=1) - 1).max() <= NORMALIZED:
                child[j] = last
        return child

    def __repr__(self) -> str:
        return (
            f"MarkovNetwork({self.name!r}: {len(self.states)} variables, {len(self.factors)} factors, "
            f"{n_entries(self)} table entries)"
        )


def _scope(given: Any, states: Mapping[Any, Any]) -> tuple[str, ...]:
    """The variables of a scope; a text that is the name of one is that one, else one of letters."""
    return (given,) if isinstance(given, str) and given in states else tuple(map(text_of, given))


def _checked_factor(j: int, scope: tuple[str, ...], table: object, states: Mapping[str, tuple[str, ...]]) -> Any:
    where = f"factor {j} over ({', '.join(map(str, scope))})"
    for v in scope:
        if v not in states:
            raise ModelError(f"{where}: {unknown_variable(v, states)}")
    if len(set(scope)) != len(scope):
        raise ModelError(f"{where}: a variable occurs twice in the scope")
    axes = {v: states[v] for v in scope}
    return sparse_table(where, table, axes) if is_sparse(table) else checked_table(where, table, axes)
