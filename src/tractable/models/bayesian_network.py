"""Bayesian networks over discrete variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tractable._cached import cached_property
from tractable.graph import Graph, GraphError
from tractable.models._base import (
    ModelError,
    ReadOnly,
    Tables,
    check_known,
    set_fields,
    unknown_variable,
)
from tractable.models.axes import has_names
from tractable.models.evidence import parse_rows
from tractable.models.observations import Observations
from tractable.models.rows import as_names
from tractable.models.sparse_networks import Holding, n_entries, outlined
from tractable.models.sparse_reading import is_sparse, sparse_table
from tractable.models.sparse_tables import SparseTable, held
from tractable.models.tables import checked_rows, checked_states, checked_table, sparse_rows, text_keys
from tractable.models.values import text_of

if TYPE_CHECKING:
    from tractable.models.emissions import Statistics

ROW_SUM_TOLERANCE = 1e-3
"""A row of a conditional table further than this from summing to one is an error; a nearer one is renormalized."""


@dataclass(frozen=True, eq=False)
class BayesianNetwork(Holding):
    """A directed model p(x) = ∏ p(xᵢ | parents(xᵢ)) over discrete variables with named states.

    Parameters
    ----------
    states : mapping of variable name to the names of its states, in order; they are made text. Or to their number. What
        `parents` or `tables` say by name may be left out; None where they say it for all variables.
    parents : mapping of variable name to the names of its parents, in the order of the table's axes; a variable left
        out has none. Or all edges: pairs (parent, child), a ``networkx.DiGraph``, or text such as
        ``"smoke->lung; smoke->bronc"``, in which states may follow a name, ``smoke{no|yes}``; parents are in the order
        of their edges.
    tables : mapping of variable name to p(x | parents): an array of shape ``(*parent sizes, own size)``; a DataFrame,
        wide (a column for each parent and one for each state) or long (a column for each parent, for the variable, and
        one of numbers); a mapping: state → p, parent's state → row, (states of parents) → state → p; or only what is
        not zero: a function of the parents' states that gives the variable's, a matrix of ``scipy.sparse``, `sparse`.
        Rows sum to one (one within 1e-3 of that is renormalized). Tables are copied, and read-only: `replace` makes a
        network with others.
    ties : groups of variables that share one table in learning. fixed : variables whose tables are not learned.
    normalize : whether rows are divided by their sums, whatever these are; for hand-rounded numbers, or counts.

    Raises
    ------
    ModelError : a table of the wrong shape, a negative entry, a row of zeros or that does not sum to one, what a frame
        lacks or has twice, an unknown or duplicate parent, a directed cycle, tied variables with different tables; the
        message names the variable.

    Examples
    --------
    >>> net = tr.BayesianNetwork(
    ...     states={"rain": ["no", "yes"], "wet": ["no", "yes"]},
    ...     parents={"wet": ["rain"]},
    ...     tables={"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]},
    ... )
    >>> net.variables
    ('rain', 'wet')
    >>> float(net.tables["wet"][1, 0])
    0.2
    >>> wet = {"no": {"no": 0.9, "yes": 0.1}, "yes": {"yes": 0.8, "no": 0.2}}
    >>> same = tr.BayesianNetwork({}, "rain -> wet", {"rain": {"no": 0.8, "yes": 0.2}, "wet": wet})
    >>> same.states["rain"], float(same.tables["wet"][1, 0])
    (('no', 'yes'), 0.2)
    """

    family: ClassVar[str] = "tables"

    states: Mapping[str, Any]
    parents: Any
    tables: Mapping[str, Any]
    name: str = "network"
    ties: Sequence[Sequence[str]] = ()
    fixed: Sequence[str] = ()
    packed: Tables = field(init=False, repr=False)
    graph: Graph = field(init=False, repr=False)
    normalize: InitVar[bool] = field(default=False, kw_only=True)

    def __post_init__(self, normalize: bool) -> None:
        given, fixed = text_keys(self.tables), tuple(map(text_of, self.fixed))
        states, parents = _read(self.states, self.parents, given)
        index = {name: i for i, name in enumerate(states)}
        check_known((*parents, *given, *fixed), index)
        parents = {name: parents.get(name, ()) for name in states}
        scopes = [_family(name, own, index) for name, own in parents.items()]
        tolerance = None if normalize else ROW_SUM_TOLERANCE
        with np.errstate(over="ignore"):  # of weights that are to be normalized
            arrays = [_table(v, given, {u: states[u] for u in (*parents[v], v)}, tolerance) for v in states]
        outline, sparse = outlined([len(s) for s in states.values()], scopes, arrays)
        graph = Graph(sizes={v: len(s) for v, s in states.items()}, parents=parents)
        if cycle := graph.directed_cycle():
            raise ModelError("the parents form a directed cycle: " + " → ".join(cycle))
        set_fields(self, states=ReadOnly(states), parents=ReadOnly(parents), graph=graph)
        self._hold(outline, sparse)
        ties = _checked_ties(self.ties, self.tables)
        set_fields(self, ties=ties, fixed=_all_fixed(fixed, ties))

    def _hold(self, outline: Tables, sparse: Mapping[int, SparseTable]) -> None:
        """Take these numbers; from here on nothing can write into them."""
        set_fields(self, tables=ReadOnly(dict(zip(self.states, self.keep(outline, sparse), strict=True))))

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(self.states)

    def replace(
        self,
        tables: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        ties: Sequence[Sequence[str]] | None = None,
        fixed: Sequence[str] | None = None,
        normalize: bool = False,
    ) -> BayesianNetwork:
        """A new network in which some of this are replaced, all of it checked; tables as when a network is made.

        Raises
        ------
        ModelError : an unknown variable, a table that does not fit, tied variables of which only one has a new table.

        Examples
        --------
        >>> net = tr.BayesianNetwork({}, "rain{no|yes}", {"rain": [0.8, 0.2]})
        >>> net.replace({"rain": [0.5, 0.5]}).tables["rain"].tolist(), net.tables["rain"].tolist()
        ([0.5, 0.5], [0.8, 0.2])
        """
        new = text_keys(tables or {})
        check_known(new, self.states)
        return BayesianNetwork(
            self.states,
            self.parents,
            {**self.tables, **new},
            self.name if name is None else name,
            self.ties if ties is None else ties,
            self.fixed if fixed is None else fixed,
            normalize=normalize,
        )

    @classmethod
    def assembled(cls, states: Mapping[str, Any], families: Iterable[tuple[tuple[str, ...], Any]], name: str) -> Self:
        """A network of what is known to be good: states as tuples of text, and for each family its table."""
        of = {family[-1]: (family, table) for family, table in families}
        index = {v: k for k, v in enumerate(states)}
        scopes = [[index[u] for u in of[v][0]] for v in states]
        sizes, parents = {v: len(s) for v, s in states.items()}, {v: of[v][0][:-1] for v in states}
        out = object.__new__(cls)
        set_fields(out, name=name, ties=(), fixed=(), states=ReadOnly(states), parents=ReadOnly(parents))
        set_fields(out, graph=Graph(sizes=sizes, parents=parents))
        out._hold(*outlined([*sizes.values()], scopes, [of[v][1] for v in states]))
        return out

    def __getstate__(self) -> dict[str, Any]:
        kept = "states", "parents", "name", "ties", "fixed", "graph"  # not views of the numbers as copies
        numbers = {"outline": self.outline, "sparse": self.sparse}
        return numbers | {field: getattr(self, field) for field in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        outline, sparse = state.pop("outline"), state.pop("sparse")
        set_fields(self, **state)
        self._hold(outline, sparse)

    @cached_property
    def conditional(self) -> np.ndarray:
        """The variable over which each table sums to one: its own [n_variables]."""
        return np.arange(len(self.states), dtype=np.int32)

    # ------------------------------------------------------------ learning

    @property
    def n_parameters(self) -> int:
        """Free numbers: one less than entries in each row of a table that is learned; tied tables count once."""
        others = {v for tie in self.ties for v in tie[1:]} | {*self.fixed}
        return sum(t.size - t.size // t.shape[-1] for v, t in self.tables.items() if v not in others)

    def check(self, data: Any, name: str = "") -> Observations:
        """Rows of data, every value looked at: a DataFrame, variable → column, or an array of state indices.

        Raises
        ------
        ModelError : an unknown variable or state; the message names row and column.
        """
        if isinstance(data, Observations):
            return data
        try:
            return Observations(parse_rows(self.states, data))
        except ModelError as error:
            raise ModelError(f"{name}{error}") from None

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> BayesianNetwork:
        """The tables most likely (with a prior: most probable) given expected counts of their entries.

        Rows that are never expected, and tables that are fixed, stay as they are.
        """
        counts = statistics["count"] if prior is None else statistics["count"] + prior["count"]
        counts, old = self._pooled(counts), self.packed.values
        starts, lengths = self._rows
        sums = np.repeat(np.add.reduceat(counts, starts), lengths)
        values = np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), old)
        for v in self.fixed:
            values[self._places[v]] = old[self._places[v]]
        return self._with(values)

    def _pooled(self, counts: np.ndarray) -> np.ndarray:
        """Counts with those of tied variables added up."""
        out = counts.copy() if self.ties else counts
        for tie in self.ties:
            total = sum(counts[self._places[v]] for v in tie)
            for v in tie:
                out[self._places[v]] = total
        return out

    def prior(self, strength: float | Mapping[str, Any] | None = None, weights: float = 0.0) -> Statistics:
        """A Dirichlet prior: `strength` pseudo-rows spread evenly over each table, and `weights` more in each entry.

        The first alone is BDeu (None: one pseudo-row), the second alone Laplace's. Instead of a number `strength` may
        be variable → pseudo-counts in the shape of its table. Tied tables share one prior, fixed ones have none.
        """
        from tractable.models.emissions import Statistics  # learning's: a query does not load it
        from tractable.models.emissions._base import pseudo_count

        weights = pseudo_count("weights", weights)
        counts = np.zeros(self.packed.values.size)
        for v in [v for v in self.states if v not in self.fixed]:
            counts[self._places[v]] = self._pseudo_counts(v, strength).ravel() + weights
        for tie in self.ties:
            for v in tie:
                counts[self._places[v]] /= len(tie)
        return Statistics({"count": counts})

    def _pseudo_counts(self, variable: str, strength: float | Mapping[str, Any] | None) -> np.ndarray:
        shape = self.tables[variable].shape
        if isinstance(strength, Mapping):
            strength = text_keys(strength)
            check_known(strength, self.states)
            axes = {v: self.states[v] for v in (*self.parents[variable], variable)}
            return checked_table(f"the prior of {variable!r}", strength.get(variable, np.zeros(shape)), axes)
        given = 1.0 if strength is None else strength
        if not 0 <= given < np.inf:
            raise ModelError(f"the strength of a prior is a number of pseudo-rows ≥ 0, got {strength!r}")
        return np.full(shape, given / np.prod(shape))

    def log_prior(self, prior: Statistics) -> float:
        """The log density of a prior at these tables, up to a constant."""
        from tractable.models.emissions._base import times_logs  # as above

        return times_logs(prior["count"], self.packed.values)

    def vector(self) -> np.ndarray:
        """The entries of all tables."""
        return self.packed.values

    @cached_property
    def _places(self) -> dict[str, slice]:
        """Where the entries of each table are among all."""
        starts = self.packed.value_starts.tolist()
        return {v: slice(a, b) for v, a, b in zip(self.states, starts[:-1], starts[1:], strict=True)}

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the rows of all tables start, and their lengths."""
        sizes = self.packed.sizes.astype(np.int64)
        lengths = np.repeat(sizes, np.diff(self.packed.value_starts) // sizes)
        return np.cumsum(lengths) - lengths, lengths

    def _with(self, values: np.ndarray) -> BayesianNetwork:
        """The same network with other numbers in its tables."""
        out = object.__new__(BayesianNetwork)
        set_fields(out, **{k: x for k, x in self.__dict__.items() if k not in ("packed", "held", "opened")})
        tables = replace(self.packed, values=values)
        if not self.sparse:
            out._hold(tables, {})
        else:
            arrays = [tables.table(j) for j in range(tables.n_factors)]
            kept = [held(t, t.shape) if j in self.sparse else t for j, t in enumerate(arrays)]
            scopes = [tables.scope(j).tolist() for j in range(tables.n_factors)]
            out._hold(*outlined(tables.sizes.tolist(), scopes, kept))
        return out

    def __repr__(self) -> str:
        return (
            f"BayesianNetwork({self.name!r}: {len(self.states)} variables, "
            f"{sum(map(len, self.parents.values()))} links, {n_entries(self)} table entries)"
        )


def _read(states: Any, parents: Any, tables: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The states of all variables and the parents of those that have some, whoever says them."""
    known = checked_states(states or {})
    silent = known and not _saying(tables, known)
    if isinstance(parents, Mapping) and silent:  # as a network from a file, which says all by itself
        return known, {v: tuple(as_names(of) or ()) for v, of in text_keys(parents).items()}
    found, said = _structure(parents)
    for v, own in said.items():
        if known.setdefault(v, own) != own:
            raise ModelError(f"variable {v!r} has the states {known[v]}, its structure says {own}")
    if not silent:
        from tractable.models.named_tables import states_said

        known |= checked_states(states_said(tables, found, known))
    return known, found


def _saying(tables: Any, known: Any) -> list[str]:
    """The variables whose states only their own tables say."""
    return [v for v, table in tables.items() if v not in known and has_names(table)]


def _structure(parents: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Who is whose parent, and the states that are said with it."""
    from tractable.graph.structure import read_structure

    try:
        found, said = read_structure(parents)
        Graph(dict.fromkeys(found, 1), found).topological_order()  # before anything is said of tables
    except GraphError as error:
        raise ModelError(str(error)) from None
    return found, checked_states(said)


def _family(name: str, parents: tuple[str, ...], index: Mapping[str, int]) -> tuple[int, ...]:
    for parent in parents:
        if parent not in index:
            raise ModelError(f"variable {name!r}: {unknown_variable(parent, index)}")
    family = (*parents, name)
    if len(set(family)) != len(family):
        raise ModelError(f"variable {name!r} names a parent twice, or itself: {', '.join(parents)}")
    return tuple(index[v] for v in family)


def _checked_ties(ties: Sequence[Sequence[str]], tables: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], ...]:
    """Groups of variables with equal tables, none in two of them."""
    found = tuple(tuple(map(text_of, tie)) for tie in ties if len(tie) > 1)
    members = [v for tie in found for v in tie]
    check_known(members, tables)
    if len(set(members)) < len(members):
        twice = next(v for v in members if members.count(v) > 1)
        raise ModelError(f"variable {twice!r} is tied twice; put all that share a table into one group")
    for tie in found:
        _check_equal(tie, [tables[v] for v in tie])
    return found


def _all_fixed(fixed: tuple[str, ...], ties: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Those that are fixed, and those that share a table with one of them."""
    tied = [v for tie in ties if {*tie} & {*fixed} for v in tie]
    return tuple(dict.fromkeys([*fixed, *tied]))


def _check_equal(names: Sequence[str], tables: Sequence[np.ndarray]) -> None:
    first = tables[0]
    for name, table in zip(names, tables, strict=True):
        if table.shape != first.shape or not np.allclose(table, first, rtol=0, atol=1e-9):
            raise ModelError(f"{names[0]!r} and {name!r} are tied, but their tables differ: give them one table")


def _table(name: str, tables: Mapping[str, Any], axes: dict[str, tuple[str, ...]], tolerance: float | None) -> Any:
    """The table of a variable, with rows that sum to one."""
    if name not in tables:
        raise ModelError(f"variable {name!r} has no table; give p({name} | parents)")
    where, given = f"variable {name!r}", tables[name]
    if is_sparse(given):
        return sparse_rows(where, sparse_table(where, given, axes, conditional=True), axes, tolerance)
    return checked_rows(where, checked_table(where, given, axes), axes, tolerance)
