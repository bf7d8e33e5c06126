"""A graph at the level of groups: "784 units, all of them joined to 500 others", never 392,000 pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from tractable._cached import cached_property
from tractable.graph._base import Graph, GraphError, unknown_variable

Pair = tuple[str, str]


@dataclass(frozen=True)
class GroupGraph:
    """Groups of units, and which groups (or, where they are sparse, which pairs of units of a group) interact.

    Parameters
    ----------
    sizes : group → number of units.
    states : group → number of states of each of its units; infinite for continuous ones.
    couplings : pairs of groups of which every unit of one meets every unit of the other; (a, a) is a dense group.
    edges : group → the pairs of its units that interact, where few of them do.
    several : group → the number of states of each of its units, where these are of several kinds and all discrete.

    Examples
    --------
    >>> machine = GroupGraph({"visible": 784, "hidden": 500}, {"visible": 2, "hidden": 2}, (("visible", "hidden"),))
    >>> machine.independent_groups()
    (('visible',), ('hidden',))
    """

    sizes: Mapping[str, int]
    states: Mapping[str, float]
    couplings: tuple[Pair, ...] = ()
    edges: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    several: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def n_units(self) -> int:
        """Units in all groups."""
        return sum(self.sizes.values())

    @property
    def n_pairs(self) -> int:
        """Pairs of units that interact."""
        dense = sum(math.comb(self.sizes[a], 2) if a == b else self.sizes[a] * self.sizes[b] for a, b in self.couplings)
        return dense + sum(map(len, self.edges.values()))

    def log2_states(self, groups: Iterable[str]) -> float:
        """log2 of the number of joint states of some groups."""
        return sum(sum(map(math.log2, self.states_of(g))) for g in groups if self.sizes[g])

    def states_of(self, group: str) -> Sequence[float]:
        """The number of states of each unit of a group."""
        return self.several.get(group, (self.states[group],) * self.sizes[group])

    def coupled_within(self, group: str) -> bool:
        """Whether units of one group interact with each other."""
        return ((group, group) in self.couplings and self.sizes[group] > 1) or bool(self.edges.get(group))

    @cached_property
    def neighbours(self) -> Mapping[str, set[str]]:
        """The groups that each group touches, itself left out."""
        joined: dict[str, set[str]] = {name: set() for name in self.sizes}
        for a, b in self.couplings:
            if a != b and self.sizes[a] and self.sizes[b]:
                joined[a].add(b)
                joined[b].add(a)
        return joined

    @cached_property
    def is_free(self) -> bool:
        """Whether no two units interact."""
        return not any(self.neighbours.values()) and not any(map(self.coupled_within, self.sizes))

    @cached_property
    def is_one_block(self) -> bool:
        """Whether all that interacts are all units of one group, or all pairs of units of two.

        Its treewidth is what enumeration pays for, so that no order of elimination is better.
        """
        own = [name for name in self.sizes if self.coupled_within(name)]
        touched = [name for name, others in self.neighbours.items() if others]
        dense = not any(self.edges.get(name) for name in own)
        return dense and (not touched if len(own) == 1 else not own and len(touched) == 2)

    def independent_groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups in blocks of which no two members touch: the colour classes of the graph of groups.

        Layers alternate between two blocks. A group that is coupled within itself stands in a block of its own.
        """
        blocks: list[list[str]] = []
        for name in self.sizes:
            fits = (b for b in blocks if not self._touches(name, b))
            block = None if self.coupled_within(name) else next(fits, None)
            if block is None:
                blocks.append([name])
            else:
                block.append(name)
        return tuple(map(tuple, blocks))

    def _touches(self, name: str, block: list[str]) -> bool:
        return any(other in self.neighbours[name] or self.coupled_within(other) for other in block)

    def without(self, observed: Mapping[str, Iterable[int]] | Iterable[str]) -> GroupGraph:
        """What stays free when whole groups, or some units of them (by number), are known."""
        gone = observed if isinstance(observed, Mapping) else {name: range(self.size(name)) for name in observed}
        kept = {name: self._kept(name, gone.get(name, ())) for name in self.sizes}
        sizes = {name: len(units) for name, units in kept.items() if units}
        return self._among(sizes, {name: tuple(self._renumbered(name, kept[name])) for name in self.edges}, kept)

    def _among(
        self, sizes: Mapping[str, int], edges: Mapping[str, tuple[tuple[int, int], ...]], kept: Mapping[str, list[int]]
    ) -> GroupGraph:
        couplings = tuple((a, b) for a, b in self.couplings if a in sizes and b in sizes)
        left = {name: pairs for name, pairs in edges.items() if name in sizes}
        several = {name: tuple(own[i] for i in kept[name]) for name, own in self.several.items() if name in sizes}
        return GroupGraph(sizes, {name: self.states[name] for name in sizes}, couplings, left, several)

    def size(self, name: str) -> int:
        """The number of units of a group; GraphError where there is no such group."""
        if name not in self.sizes:
            raise unknown_variable(name, self.sizes)
        return self.sizes[name]

    def _kept(self, name: str, gone: Iterable[int]) -> list[int]:
        dropped = set(gone)
        if beyond := dropped.difference(range(self.size(name))):
            raise GraphError(f"{name} has {self.sizes[name]} units, there is no unit {min(beyond)}")
        return [i for i in range(self.sizes[name]) if i not in dropped]

    def _renumbered(self, name: str, kept: list[int]) -> Iterator[tuple[int, int]]:
        place = {unit: i for i, unit in enumerate(kept)}
        return ((place[i], place[j]) for i, j in self.edges[name] if i in place and j in place)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every pair of interacting units, by name."""
        for a, b in self.couplings:
            units = combinations(self.unit_names(a), 2) if a == b else product(self.unit_names(a), self.unit_names(b))
            yield from units
        for name, edges in self.edges.items():
            yield from ((f"{name}{i}", f"{name}{j}") for i, j in edges)

    def unit_names(self, group: str) -> list[str]:
        """The units of a group as variables: ``hidden0``, ``hidden1``, …"""
        return [f"{group}{i}" for i in range(self.sizes[group])]

    def units_graph(self) -> Graph:
        """The same graph unit by unit; only for few pairs."""
        sizes = {u: int(self.states[g]) for g in self.sizes for u in self.unit_names(g)}
        return Graph(sizes, links=(*((u,) for u in sizes), *self.pairs()))
