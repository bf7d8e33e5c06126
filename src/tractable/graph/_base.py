"""The graph record: variables with their numbers of states, directed families and undirected factor scopes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import Any, TypeVar

from tractable._cached import cached_property
from tractable.graph._errors import GraphError, unknown_variable
from tractable.graph._errors import nearest as nearest
from tractable.graph._errors import unknown as unknown

Adjacency = Mapping[str, set[str]]
_V = TypeVar("_V", bound=Hashable)


def closure(start: Iterable[_V], step: Callable[[_V], Iterable[_V]]) -> set[_V]:
    """Everything that repeated steps reach from `start`, the start included."""
    seen = set(start)
    stack = list(seen)
    while stack:
        new = set(step(stack.pop())) - seen
        seen |= new
        stack.extend(new)
    return seen


@dataclass(frozen=True, repr=False)
class Graph:
    """A mixed graph: directed families (a child with its parents) and undirected links (the scopes of factors).

    Everything derived is computed at the first use and kept; what is returned follows the order of `sizes`.

    Parameters
    ----------
    sizes : mapping of variable name to its number of states; None: 2 of each in `parents`, or what that says.
    parents : mapping of variable to its parents; it names only variables that have a conditional table. Or all edges:
        pairs (parent, child), a ``networkx.DiGraph`` or text such as ``"rain->wet; sprinkler->wet"``.
    links : hyperedges of any size, empty ones included; the variables of one link are neighbours of each other.

    Raises
    ------
    GraphError : on first use, where a family or a link names a variable without a size; edges that make no sense.

    Examples
    --------
    >>> graph = tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")})
    >>> graph
    Graph(3 variables, 2 arrows, 0 links)
    >>> graph.markov_blanket("rain")
    ('sprinkler', 'wet')
    >>> bool(tr.is_separated(tr.Graph(None, "rain -> wet <- sprinkler"), "rain", "sprinkler"))
    True
    """

    sizes: Mapping[str, int]
    parents: Mapping[str, tuple[str, ...]]
    links: tuple[tuple[str, ...], ...]

    def __init__(
        self, sizes: Mapping[str, int] | None, parents: Any = None, links: Iterable[Iterable[str]] = ()
    ) -> None:
        parents = {} if parents is None and sizes is not None else parents
        if not isinstance(parents, Mapping) or sizes is None or any(isinstance(own, str) for own in parents.values()):
            from tractable.graph.structure import read_structure  # what the library makes has been read

            parents, said = read_structure(parents)
            numbers = {v: own if isinstance(own, int) else len(own) for v, own in said.items()}
            sizes = dict.fromkeys(parents, 2) | numbers if sizes is None else sizes
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "links", tuple(map(tuple, links)))

    @cached_property
    def places(self) -> dict[str, int]:
        """The number of each variable."""
        return {name: i for i, name in enumerate(self.sizes)}

    @cached_property
    def state_slices(self) -> dict[str, slice]:
        """Where the states of each variable are in one list of all states."""
        ends = list(accumulate(self.sizes.values(), initial=0))
        return dict(zip(self.sizes, map(slice, ends, ends[1:]), strict=True))

    def __repr__(self) -> str:
        arrows = sum(map(len, self.parents.values()))
        return f"Graph({len(self.sizes)} variables, {arrows} arrows, {len(self.links)} links)"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.graph(self)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(self.sizes)

    @property
    def scopes(self) -> tuple[tuple[str, ...], ...]:
        """The scope of every factor: each family (the parents, then the child), then each link."""
        return (*((*parents, child) for child, parents in self.parents.items()), *self.links)

    @cached_property
    def children(self) -> Mapping[str, list[str]]:
        """The children of each variable."""
        children: dict[str, list[str]] = {name: [] for name in self.sizes}
        for child, parents in self.parents.items():
            for parent in parents:
                if parent not in children:
                    raise unknown_variable(parent, self.sizes)
                children[parent].append(child)
        return children

    @cached_property
    def neighbours(self) -> Adjacency:
        """The variables that share a link with each variable."""
        return self._joined(self.links)

    @cached_property
    def skeleton(self) -> Adjacency:
        """Each variable's parents, children and neighbours: the graph without its directions."""
        return {
            name: {*linked, *self.children[name], *self.parents.get(name, ())}
            for name, linked in self.neighbours.items()
        }

    @cached_property
    def blankets(self) -> Adjacency:
        """The Markov blanket of each variable: its neighbours in the moral graph."""
        married = (self._parents_of(part) for part in self.chain_components() if len(part) > 1)
        return self._joined((*self.scopes, *married))

    def _joined(self, scopes: Iterable[Collection[str]]) -> Adjacency:
        joined: dict[str, set[str]] = {name: set() for name in self.sizes}
        for scope in scopes:
            for name in scope:
                if name not in joined:
                    raise unknown_variable(name, self.sizes)
                joined[name].update(scope)
        for name, others in joined.items():
            others.discard(name)
        return joined

    def _parents_of(self, names: Iterable[str]) -> set[str]:
        return {parent for name in names for parent in self.parents.get(name, ())}

    def named(self, names: str | Iterable[str]) -> tuple[str, ...]:
        """One name, or several, as a tuple without repetitions; GraphError where the graph has no such variable."""
        found = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
        for name in found:
            if name not in self.sizes:
                raise unknown_variable(name, self.sizes)
        return found

    def ordered(self, names: Collection[str]) -> tuple[str, ...]:
        """Names of variables, in the graph's order."""
        return tuple(name for name in self.sizes if name in names)

    def without(self, observed: str | Iterable[str]) -> Graph:
        """What remains to be inferred once `observed` is known: one link for each factor, over its free variables.

        Observing a child links its parents. An empty link stands for a factor that has become a number, so that link j
        belongs to factor j, and ``graph.without(a).without(b) == graph.without(a + b)``.

        >>> graph = tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")})
        >>> graph.without("wet").links
        (('rain', 'sprinkler'),)
        """
        gone = set(self.named(observed))
        links = tuple(tuple(name for name in scope if name not in gone) for scope in self.scopes)
        return Graph({name: size for name, size in self.sizes.items() if name not in gone}, links=links)

    def moral(self) -> Graph:
        """The moral graph: directions dropped, the parents of each child married (and those of each chain component).

        >>> tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")}).moral().links
        (('rain', 'sprinkler'), ('rain', 'wet'), ('sprinkler', 'wet'))
        """
        place = {name: i for i, name in enumerate(self.sizes)}
        pairs = ((a, b) for a in self.sizes for b in sorted(self.blankets[a], key=place.__getitem__))
        return Graph(self.sizes, links=tuple((a, b) for a, b in pairs if place[a] < place[b]))

    def v_structures(self) -> Iterator[tuple[str, str, str]]:
        """Each pair of unmarried parents with their child, as (parent, child, parent).

        >>> list(tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")}).v_structures())
        [('rain', 'wet', 'sprinkler')]
        """
        for child, parents in self.parents.items():
            for a, b in combinations(parents, 2):
                if b not in self.skeleton[a]:
                    yield a, child, b

    def markov_blanket(self, name: str) -> tuple[str, ...]:
        """The variables that make `name` independent of all others once they are known.

        Examples
        --------
        >>> tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")}).markov_blanket("rain")
        ('sprinkler', 'wet')
        """
        return self.ordered(self.blankets[self.named(name)[0]])

    def ancestors(self, names: str | Iterable[str]) -> tuple[str, ...]:
        """The variables from which arrows lead to any of `names`, those left out.

        Examples
        --------
        >>> tr.Graph({"a": 2, "b": 2, "c": 2}, {"b": ("a",), "c": ("b",)}).ancestors(["c"])
        ('a', 'b')
        """
        start = self.named(names)
        return self.ordered(closure(start, lambda name: self.parents.get(name, ())).difference(start))

    def descendants(self, names: str | Iterable[str]) -> tuple[str, ...]:
        """The variables to which arrows lead from any of `names`, those left out."""
        start = self.named(names)
        return self.ordered(closure(start, self.children.__getitem__).difference(start))

    def ancestral_set(self, names: str | Iterable[str]) -> tuple[str, ...]:
        """The smallest set that holds `names` and, with each variable, its parents and neighbours."""
        return self.ordered(closure(self.named(names), lambda v: self.neighbours[v].union(self.parents.get(v, ()))))

    def barren(self, observed: str | Iterable[str] = (), query: str | Iterable[str] = ()) -> tuple[str, ...]:
        """The variables whose conditional tables sum to one whatever is observed: leaving them out changes no answer.

        >>> graph = tr.Graph({"rain": 2, "wet": 2, "slippery": 2}, {"rain": (), "wet": ("rain",), "slippery": ("wet",)})
        >>> graph.barren(observed="wet", query="rain")
        ('slippery',)
        """
        linked = {name for link in self.links for name in link}
        needed = {*self.named(observed), *self.named(query), *linked, *self.sizes.keys() - self.parents.keys()}
        kept = closure(needed, lambda name: self.parents.get(name, ()))
        return tuple(name for name in self.sizes if name not in kept)

    def components(self) -> tuple[tuple[str, ...], ...]:
        """The connected components, directions ignored.

        Examples
        --------
        >>> tr.Graph({"a": 2, "b": 2, "c": 2}, links=(("a", "c"),)).components()
        (('a', 'c'), ('b',))
        """
        return self._parts(self.skeleton)

    def chain_components(self) -> tuple[tuple[str, ...], ...]:
        """The connected components that remain when the arrows are removed: single variables in a directed graph."""
        return self._parts(self.neighbours)

    def _parts(self, adjacency: Adjacency) -> tuple[tuple[str, ...], ...]:
        part: dict[str, int] = {}
        for root in self.sizes:
            if root not in part:
                part.update(dict.fromkeys(closure([root], adjacency.__getitem__), len(part)))
        found: dict[int, list[str]] = {}
        for name in self.sizes:
            found.setdefault(part[name], []).append(name)
        return tuple(map(tuple, found.values()))

    def topological_order(self) -> tuple[str, ...]:
        """The variables with every parent before its children; GraphError where arrows form a cycle.

        Examples
        --------
        >>> tr.Graph({"wet": 2, "rain": 2}, {"wet": ("rain",)}).topological_order()
        ('rain', 'wet')
        """
        if cycle := self.directed_cycle():
            raise GraphError("the parents form a directed cycle: " + " → ".join(cycle))
        return tuple(self._parents_first())

    def directed_cycle(self) -> tuple[str, ...]:
        """A directed cycle as the variables along it, first repeated at the end; empty where there is none."""
        order = self._parents_first()
        if len(order) == len(self.sizes):
            return ()
        rest = self.sizes.keys() - order
        name, path = next(v for v in self.sizes if v in rest), {}
        while name not in path:  # every variable in `rest` has a parent there
            path[name] = len(path)
            name = next(parent for parent in self.parents[name] if parent in rest)
        return (name, *list(path)[: path[name] : -1], name)

    def _parents_first(self) -> list[str]:
        """A topological order of the variables that are not behind a directed cycle."""
        children = self.children
        waiting = {name: len(self.parents.get(name, ())) for name in self.sizes}
        order = [name for name, n in waiting.items() if not n]
        for name in order:  # grows while it runs
            for child in children[name]:
                waiting[child] -= 1
                if not waiting[child]:
                    order.append(child)
        return order
