"""Layers of directed links at the level of layers: "784 units, each a child of all 200", never 156,800 arrows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product

from tractable.graph._base import Graph, GraphError, unknown_variable

Links = tuple[tuple[int, int], ...] | None
"""Pairs (child, parent) of units; None where every unit of one layer is linked to every unit of the other."""

FEW_LINKS = 20_000
"""Missing links are worth knowing where at most so many are left; more are held as a dense block."""


@dataclass(frozen=True)
class VStructure:
    """Observed units of a layer that couple free parents, and how many each of them couples: least, most."""

    layer: str
    n_units: int
    parents: str
    fewest: int
    most: int
    units: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class LayeredGraph:
    """Layers from the visible one upward; a unit's parents are in the layer above, and before it in its own.

    Parameters
    ----------
    sizes : layer → number of units, the visible layer first.
    links : layer → pairs of its units with units of the layer above; None for all pairs.
    within : layer → pairs of its units, the later one the child; None for all pairs.
    undirected_top : whether the two top layers are a restricted Boltzmann machine.

    Examples
    --------
    >>> graph = LayeredGraph({"visible": 784, "hidden1": 200, "hidden2": 200}, {"visible": None, "hidden1": None})
    >>> graph.v_structures({"visible": range(784)})[0]
    VStructure(layer='visible', n_units=784, parents='hidden1', fewest=200, most=200)
    >>> graph.width({"visible": range(784)})
    400
    >>> graph.width({})
    0
    """

    sizes: Mapping[str, int]
    links: Mapping[str, Links]
    within: Mapping[str, Links] = field(default_factory=dict)
    undirected_top: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, the visible one first."""
        return tuple(self.sizes)

    @property
    def n_units(self) -> int:
        """Units of all layers."""
        return sum(self.sizes.values())

    @property
    def n_links(self) -> int:
        """Pairs of units that are linked."""
        across = (self.sizes[a] * self.sizes[b] if self.links[a] is None else 0 for a, b in pairwise(self.names))
        own = (self.sizes[a] * (self.sizes[a] - 1) // 2 for a, pairs in self.within.items() if pairs is None)
        few = (len(pairs) for pairs in (*self.links.values(), *self.within.values()) if pairs is not None)
        return sum(across) + sum(own) + sum(few)

    @property
    def is_sparse(self) -> bool:
        """Whether every link is known by itself."""
        return all(pairs is not None for pairs in (*self.links.values(), *self.within.values()))

    def size(self, name: str) -> int:
        """The number of units of a layer; GraphError where there is no such layer."""
        if name not in self.sizes:
            raise unknown_variable(name, self.sizes)
        return self.sizes[name]

    def observed(self, given: Mapping[str, Iterable[int]]) -> dict[str, frozenset[int]]:
        """The observed units of every layer, checked."""
        out = {name: frozenset[int]() for name in self.sizes}
        for name, units in given.items():
            out[name] = frozenset(units)
            if beyond := out[name].difference(range(self.size(name))):
                raise GraphError(f"{name} has {self.sizes[name]} units, there is no unit {min(beyond)}")
        return out

    def counted(self, given: Mapping[str, Iterable[int]], pruned: bool = True) -> dict[str, frozenset[int]]:
        """The units of each layer whose probability counts: those observed and those with an observed descendant.

        The others are barren: they sum to one. Where the top is undirected its layers always count. Without `pruned`
        all hidden units count, and visible ones as far as others of their layer depend on them.
        """
        seen, out, below = self.observed(given), {}, False
        for name in self.sizes:
            below = below or self._always(name, pruned)
            out[name] = frozenset(range(self.sizes[name])) if below else self._up_to(name, seen[name], pruned)
            below = below or bool(seen[name])
        return out

    def _always(self, name: str, pruned: bool) -> bool:
        """Whether all units of a layer count, whatever is observed."""
        return (self.undirected_top and name in self.names[-2:]) or not (pruned or name == self.names[0])

    def _up_to(self, name: str, seen: frozenset[int], pruned: bool) -> frozenset[int]:
        """The units of a layer without observed descendants below that count: within it a unit depends on others."""
        if name not in self.within:
            return seen
        last = self.sizes[name] - 1 if not pruned and len(seen) < self.sizes[name] else max(seen, default=-1)
        return frozenset(range(last + 1))

    def free(self, given: Mapping[str, Iterable[int]], pruned: bool = True) -> dict[str, int]:
        """How many free units of each layer count, see `counted`."""
        seen, counted = self.observed(given), self.counted(given, pruned)
        return {name: len(units - seen[name]) for name, units in counted.items()}

    def width(self, given: Mapping[str, Iterable[int]], pruned: bool = True) -> int:
        """How many free units meet in the largest clique when layers are summed out one by one, from the top downward.

        Observing a child joins all its parents, so a layer above an observed one is a clique, and it stays joined to
        the layer above it. Links that are missing are not made use of.
        """
        free = list(self.free(given, pruned).values())
        if self.undirected_top:  # given one of the two top layers the other factors; a clique below leaves no choice
            joined = any(self.observed(given)[name] for name in self.names[:-2])
            free[-2:] = [free[-2] if joined else min(free[-2:])]
        return max((a + b for a, b in pairwise([*free, 0])), default=0)

    def v_structures(self, given: Mapping[str, Iterable[int]]) -> tuple[VStructure, ...]:
        """For each layer with observed units: how many free parents in the layer above each of them couples."""
        seen, found = self.observed(given), []
        for child, parent in self.directed_pairs():
            counts = {i: n for i, n in self._parents(child, seen[child], seen[parent]).items() if n > 1}
            if counts:
                each = counts.values()
                found.append(VStructure(child, len(counts), parent, min(each), max(each), tuple(sorted(counts))))
        return tuple(found)

    def directed_pairs(self) -> list[tuple[str, str]]:
        """Neighbouring layers of which the upper one is the parent of the lower one."""
        pairs = list(pairwise(self.names))
        return pairs[:-1] if self.undirected_top else pairs

    def _parents(self, child: str, units: frozenset[int], known: frozenset[int]) -> dict[int, int]:
        """How many free units of the layer above each of these units has for parents."""
        pairs, above = self.links[child], self.names[self.names.index(child) + 1]
        if pairs is None:
            return dict.fromkeys(units, self.sizes[above] - len(known))
        counts = dict.fromkeys(units, 0)
        for i, j in pairs:
            if i in counts and j not in known:
                counts[i] += 1
        return counts

    def unit_names(self, layer: str) -> list[str]:
        """The units of a layer as variables: ``hidden1.0``, ``hidden1.1``, …"""
        return [f"{layer}.{i}" for i in range(self.sizes[layer])]

    def units_graph(self) -> Graph:
        """The same graph unit by unit; only for few links."""
        parents: dict[str, list[str]] = {name: [] for layer in self.sizes for name in self.unit_names(layer)}
        directed = [pair for a, b in self.directed_pairs() for pair in self._pairs(a, b)]
        for child, parent in [*directed, *(pair for a in self.within for pair in self._pairs_within(a))]:
            parents[child].append(parent)
        links = tuple(self._pairs(*self.names[-2:])) if self.undirected_top else ()
        return Graph(dict.fromkeys(parents, 2), {name: tuple(own) for name, own in parents.items()}, links)

    def _pairs(self, a: str, b: str) -> Iterator[tuple[str, str]]:
        """The linked units of two layers, by name."""
        pairs = self.links[a]
        pairs = product(range(self.sizes[a]), range(self.sizes[b])) if pairs is None else pairs
        return ((f"{a}.{i}", f"{b}.{j}") for i, j in pairs)

    def _pairs_within(self, a: str) -> Iterator[tuple[str, str]]:
        pairs = self.within[a]
        pairs = ((i, k) for k, i in combinations(range(self.sizes[a]), 2)) if pairs is None else pairs
        return ((f"{a}.{i}", f"{a}.{k}") for i, k in pairs)
