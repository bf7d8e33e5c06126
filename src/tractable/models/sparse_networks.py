"""Networks some of whose tables are held by their non-zeros: what of these is made dense, and when.

Answers are computed from dense tables. A sparse table becomes small ones over variables of its own, which come after
those of the network (`diagrams`), or what evidence leaves of it; which of them, and how much that is, is known before
any is made.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import Tables
from tractable.models._base import ModelError, pack, read_only, set_fields
from tractable.models.sparse_tables import DENSE_LIMIT, SMALL, SparseTable


def outlined(
    sizes: Sequence[int], scopes: Sequence[Sequence[int]], tables: Sequence[Any]
) -> tuple[Tables, dict[int, SparseTable]]:
    """All tables in one buffer but those that are sparse, which have no entries there; and these by number."""
    sparse = {j: table for j, table in enumerate(tables) if isinstance(table, SparseTable)}
    dense = [np.empty(0) if j in sparse else table for j, table in enumerate(tables)] if sparse else tables
    return pack(sizes, scopes, dense), sparse


def filled(outline: Tables, sparse: Mapping[int, SparseTable]) -> Tables:
    """All tables in one buffer.

    Raises
    ------
    ModelError : those that are sparse have more than 2^28 entries together.
    """
    if (size := sum(table.size for table in sparse.values())) > DENSE_LIMIT:
        raise ModelError(
            f"sparse tables of 2^{math.log2(size):.4g} entries together are not made dense beyond "
            f"2^{math.log2(DENSE_LIMIT):.4g}, which this would take: infer and its like need not"
        )
    scopes = [outline.scope(j).tolist() for j in range(outline.n_factors)]
    tables = [sparse[j].dense() if j in sparse else outline.table(j) for j in range(len(scopes))]
    return pack(outline.sizes.tolist(), scopes, tables)


def n_entries(model: Any) -> int:
    """How many entries the tables of a network have, zeros and all."""
    return model.outline.values.size + sum(table.size for table in model.sparse.values())


def bytes_held(model: Any) -> float:
    """What the tables of a network take."""
    return float(model.outline.values.nbytes + sum(table.nbytes for table in model.sparse.values()))


class Holding:
    """A network's tables: `packed`, all of them in one buffer; where some are sparse, made when it is first read."""

    if not TYPE_CHECKING:  # to a type checker it is the field of a network, in which it is where nothing is sparse

        @cached_property
        def packed(self) -> Tables:
            return filled(*self.held)

    @property
    def outline(self) -> Tables:
        """All tables in one buffer but those that are sparse, which have no entries there."""
        own: Any = self
        return own.held[0] if "held" in own.__dict__ else own.packed

    @property
    def sparse(self) -> Mapping[int, SparseTable]:
        """The tables that are held by their non-zeros, by number."""
        return self.__dict__["held"][1] if "held" in self.__dict__ else {}

    @cached_property
    def opened(self) -> Any:
        """The network with every sparse table dense, or in its pieces; None where that is too much of one."""
        return in_pieces(self)

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.network(self)

    def keep(self, outline: Tables, sparse: Mapping[int, SparseTable]) -> list[Any]:
        """Take these numbers; from here on nothing can write into them. All tables as they are held."""
        read_only(outline.values)
        if sparse:
            set_fields(self, held=(outline, sparse))
        else:
            set_fields(self, packed=outline)
        return [sparse[j] if j in sparse else outline.table(j) for j in range(outline.n_factors)]


class Left(NamedTuple):
    """What evidence leaves of a sparse table: its variables, and the non-zeros."""

    scope: tuple[str, ...]
    table: SparseTable


def cuts(model: Any, states: np.ndarray, needed: Collection[str] | None) -> dict[int, Left]:
    """What is left of each sparse table when the observed of its variables are cut out.

    All of it is where it is small, or where it has pieces and its rest is not small. The last variable of a conditional
    table stays, so that its rows go on to sum to one. Of a table that is not `needed` (None: all are) nothing is left
    but that variable.
    """
    names, conditional = list(model.states), _is_conditional(model)
    out = {}
    for j, table in model.sparse.items():
        places = model.outline.scope(j)
        scope, own = tuple(names[v] for v in places), states[places].tolist()
        if conditional:
            own[-1] = -1
        barren = conditional and needed is not None and scope[-1] not in needed
        out[j] = Left(scope[-1:], _uniform(table.shape[-1])) if barren else _cut(scope, table, own)
    return out


def _cut(scope: tuple[str, ...], table: SparseTable, states: list[int]) -> Left:
    rest = [k for k, state in enumerate(states) if state < 0]
    small = math.prod(table.shape[k] for k in rest) <= SMALL
    if len(rest) == len(scope) or table.size <= SMALL or (not small and table.pieces):
        return Left(scope, table)
    return Left(tuple(scope[k] for k in rest), table.cut(states))


def _uniform(n: int) -> SparseTable:
    return SparseTable((n,), np.arange(n), np.full(n, 1.0 / n))


def _is_conditional(model: Any) -> bool:
    return hasattr(model, "parents")


def dense_entries(found: Mapping[int, Left]) -> int:
    """How many entries are made of these."""
    return sum(
        cut.table.size if cut.table.pieces is None else sum(t.size for t in cut.table.pieces) for cut in found.values()
    )


def opened(model: Any, found: Mapping[int, Left]) -> Any:
    """The network with these in place of its sparse tables: in pieces where they have some, else dense.

    The variables between pieces come last, so that places of the others stay as they are; given the others their
    states are certain, or of no weight.
    """
    names, states, parts = list(model.states), dict(model.states), []
    for j in range(model.outline.n_factors):
        scope = tuple(names[v] for v in model.outline.scope(j).tolist())
        parts += _parts(*found[j], states) if j in found else [(scope, model.outline.table(j))]
    return model.assembled(states, parts, model.name)


def _parts(scope: tuple[str, ...], table: SparseTable, states: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """Scopes and dense tables that make up a sparse one; their variables are added to `states`."""
    if (pieces := table.pieces) is None:
        return [(scope, table.dense(math.inf))]  # the plan has priced it
    first, second, *rest = scope
    out, before = [], (first, second)
    for k, piece in enumerate(pieces[:-1]):
        node = _unused(f"{scope[-1]} after {scope[k + 1]}", states)
        states[node] = tuple(map(str, range(piece.shape[-1])))
        out.append(((*before, node), piece))
        before = (node, rest[k])
    return [*out, ((*before, scope[-1]), pieces[-1])]


def _unused(name: str, known: Iterable[str]) -> str:
    return name if name not in known else _unused(f"{name}'", known)


def in_pieces(model: Any) -> Any:
    """The network with every sparse table dense, or in pieces; None where one of them is not small and has none."""
    if any(table.size > SMALL and table.pieces is None for table in model.sparse.values()):
        return None
    return opened(model, cuts(model, np.full(len(model.states), -1), None))
