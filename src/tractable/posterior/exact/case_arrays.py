"""Groups of cases, and how the kernel that enumerates them reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.cases import CaseGroups
from tractable.posterior.exact.layout import Layout


@dataclass(frozen=True)
class Group:
    """Cases with the same hidden variables.

    `base` [n_cases, n_families] says where a family reads, were all hidden variables in their first state; `known`
    [n_cases, n_hidden], where it is given, which state a variable has in a case after all, −1 where it is hidden.
    """

    hidden: tuple[int, ...]
    families: tuple[int, ...]
    base: np.ndarray
    known: np.ndarray | None = None


class Cliques(NamedTuple):
    """The families of a group, by their hidden variables: places in the group, in the order of the last of them."""

    members: list[tuple[int, ...]]
    families: list[list[int]]


def cliques(layout: Layout, group: Group) -> Cliques:
    """Families of a group that share their hidden variables, together."""
    place = {v: i for i, v in enumerate(group.hidden)}
    found: dict[tuple[int, ...], list[int]] = {}
    for column, j in enumerate(group.families):
        members = tuple(sorted(place[v] for v in layout.families[j].tolist() if v in place))
        found.setdefault(members, []).append(column)
    order = sorted(found, key=lambda members: members[-1] if members else -1)
    return Cliques(order, [found[members] for members in order])


def offsets(layout: Layout, family: int, variables: Iterable[int]) -> np.ndarray:
    """How far from its base a family reads in each joint state of some of its variables, the last fastest."""
    out = np.zeros(1, np.int64)
    where = layout.families[family].tolist()
    for v in variables:
        steps = int(layout.strides[family][where.index(v)]) * np.arange(layout.sizes[v])
        out = (out[:, None] + steps).ravel()
    return out


def price(layout: Layout, hidden: tuple[int, ...]) -> float:
    """Joint states of the variables times the tables that hold one of them."""
    return float(prod(layout.n_states[v] for v in hidden)) * (1 + len(layout.families_of(hidden)))


def kernel_cases(layout: Layout, groups: list[Group]) -> CaseGroups:
    """The groups as the kernel reads them."""
    arrays = _Arrays(layout)
    for group in groups:
        arrays.add(group)
    return arrays.finished()


STARTS = ("level_start", "clique_start", "case_start", "base_start", "stride_start", "family_start")
"""The arrays that say where parts of others begin, gathered as lengths."""


class _Arrays:
    """The arrays of `Cases`, growing."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.lists: dict[str, list[Any]] = {name: [] for name in CaseGroups._fields}
        self.base: list[np.ndarray] = []
        self.known: dict[tuple[int, tuple[int, ...]], int] = {}

    def add(self, group: Group) -> None:
        """A group: its levels, cliques and cases."""
        found, sizes = cliques(self.layout, group), [self.layout.n_states[v] for v in group.hidden]
        self.base.append(group.base[:, [column for families in found.families for column in families]].ravel())
        self.lists["level_size"] += sizes
        lengths = (len(sizes), len(found.members), len(group.base), group.base.size)
        for name, length in zip(STARTS, lengths, strict=False):
            self.lists[name].append(length)
        self.lists["price"].append(price(self.layout, group.hidden))
        for members, families in zip(found.members, found.families, strict=True):
            self.add_clique(group, members, sizes, [group.families[column] for column in families])

    def add_clique(self, group: Group, members: tuple[int, ...], sizes: list[int], families: list[int]) -> None:
        """A clique: which of the levels it depends on, and where its families have their entries."""
        strides, size = [0] * len(sizes), 1
        for i in reversed(members):
            strides[i], size = size, size * sizes[i]
        self.lists["clique_level"].append(members[-1])
        self.lists["clique_size"].append(size)
        self.lists["stride"] += strides
        self.lists["stride_start"].append(len(strides))
        self.lists["family_start"].append(len(families))
        variables = tuple(group.hidden[i] for i in members)
        self.lists["offset_start"] += [self.offset_start(j, variables) for j in families]

    def offset_start(self, family: int, variables: tuple[int, ...]) -> int:
        """Where the offsets of a family in the joint states of these variables begin: each is kept once."""
        key = family, variables
        if key not in self.known:
            self.known[key] = len(self.lists["offset"])
            self.lists["offset"] += offsets(self.layout, *key).tolist()
        return self.known[key]

    def finished(self) -> CaseGroups:
        """The arrays, lengths turned into starts."""
        arrays = {name: np.asarray(found) for name, found in self.lists.items()}
        arrays |= {name: np.cumsum([0, *self.lists[name]]) for name in STARTS}
        return CaseGroups.of(arrays | {"base": np.concatenate([*self.base, np.zeros(0, np.int32)])})
