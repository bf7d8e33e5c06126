"""Rows of data cut into the smallest cases that an E-step has to answer.

What is observed cuts a row's hidden variables into components that know nothing of each other: the parts that hang
together through families. Families that hold nothing hidden are counted. Components with the same hidden variables make
a group; within it those that read the same entries of their tables are one case, however many rows it stands for.

Small components are enumerated, larger ones contracted. Rows whose component is large and like no other are contracted
whole: all together, with indicators of what each observes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tractable.kernels.cases import CaseGroups
from tractable.posterior.exact.case_arrays import Group, kernel_cases, price
from tractable.posterior.exact.layout import Layout

ENUMERATED = 1 << 13
"""Joint states times tables, up to which a component is enumerated."""

SHARED = 8
"""Components of so many rows with the same hidden variables are contracted together."""


class ComponentRows(NamedTuple):
    """The rows in which these variables are a component."""

    hidden: tuple[int, ...]
    rows: np.ndarray


@dataclass(frozen=True)
class Program:
    """All that an E-step does, but for the numbers in the tables.

    Row ``rows[i]`` needs the case ``cases[i]``, in the order of the groups: first those enumerated, then those
    contracted. `whole` marks the rows of which a single case has all families.
    """

    layout: Layout
    enumerated: tuple[Group, ...]
    contracted: tuple[Group, ...]
    kernel: CaseGroups
    rows: np.ndarray
    cases: np.ndarray
    n_cases: int
    whole: np.ndarray


def program(layout: Layout, states: np.ndarray, may_contract_whole: bool = True) -> Program:
    """What an E-step has to do for rows of states [n_rows, n_variables], −1 where nothing is observed."""
    found = list(_components(layout.labels(layout.hidden(states))))
    whole = _rare_rows(layout, found, len(states)) if may_contract_whole else np.zeros(len(states), bool)
    bases = layout.bases(states)
    enumerated, contracted = _Gathered(), _Gathered()
    for part in found:
        rows = part.rows[~whole[part.rows]]
        if len(rows):
            to = enumerated if price(layout, part.hidden) <= ENUMERATED else contracted
            to.add(layout, part.hidden, bases, rows)
    if whole.any():
        contracted.add_whole(layout, states, np.flatnonzero(whole))
    return _joined(layout, enumerated, contracted, whole)


def _rare_rows(layout: Layout, found: list[ComponentRows], n_rows: int) -> np.ndarray:
    """Which rows have a large component that few others have, where these are enough to be worth it."""
    out = np.zeros(n_rows, bool)
    large = [part.rows for part in found if len(part.rows) < SHARED and price(layout, part.hidden) > ENUMERATED]
    if large and sum(map(len, large)) >= SHARED:
        out[np.concatenate(large)] = True
    return out


def _components(labels: np.ndarray) -> Iterator[ComponentRows]:
    """All components of all rows, by their hidden variables."""
    n = len(labels)
    for v in range(n):
        rows = np.flatnonzero(labels[v] == v)
        if not len(rows):
            continue
        member = labels[v:, rows] == v
        packed = np.ascontiguousarray(np.packbits(member, axis=0).T)
        _, first, which = np.unique(_as_items(packed), return_index=True, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(which.ravel()))
        for i, some in zip(first.tolist(), np.split(order, ends[:-1]), strict=True):
            yield ComponentRows(tuple((v + np.flatnonzero(member[:, i])).tolist()), rows[some])


def _as_items(array: np.ndarray) -> np.ndarray:
    """The rows of an array as single items that can be compared."""
    return np.ascontiguousarray(array).view([("", array.dtype)] * array.shape[1]).ravel()


class _Gathered:
    """Groups as they come, and which row needs which of their cases."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.rows: list[np.ndarray] = []
        self.cases: list[np.ndarray] = []
        self.n = 0

    def add(self, layout: Layout, hidden: tuple[int, ...], bases: np.ndarray, rows: np.ndarray) -> None:
        """A component: rows that read the same entries are one case."""
        families = layout.families_of(hidden)
        base = np.ascontiguousarray(bases[np.array(families)[:, None], rows].T)
        which = np.zeros(1, np.int64)
        if len(rows) > 1:
            _, first, which = np.unique(_as_items(base), return_index=True, return_inverse=True)
            base = base[first]
        self._take(Group(hidden, tuple(families), base), rows, which.ravel())

    def add_whole(self, layout: Layout, states: np.ndarray, rows: np.ndarray) -> None:
        """Whole rows: what some of them hide is hidden, with indicators in those that observe it."""
        distinct, which = np.unique(states[rows], axis=0, return_inverse=True)
        hidden = np.flatnonzero(layout.hidden(distinct).any(axis=1))
        masked = distinct.copy()
        masked[:, hidden] = -1
        group = Group(
            tuple(hidden.tolist()), tuple(range(len(layout.families))), layout.bases(masked).T, distinct[:, hidden]
        )
        self._take(group, rows, which.ravel())

    def _take(self, group: Group, rows: np.ndarray, which: np.ndarray) -> None:
        self.groups.append(group)
        self.rows.append(rows)
        self.cases.append(self.n + which)
        self.n += len(group.base)


def _joined(layout: Layout, enumerated: _Gathered, contracted: _Gathered, whole: np.ndarray) -> Program:
    rows = np.concatenate([*enumerated.rows, *contracted.rows, np.zeros(0, np.int64)])
    cases = [*enumerated.cases, *(c + enumerated.n for c in contracted.cases), np.zeros(0, np.int64)]
    order = np.argsort(rows, kind="stable")
    return Program(
        layout,
        tuple(enumerated.groups),
        tuple(contracted.groups),
        kernel_cases(layout, enumerated.groups),
        rows[order].astype(np.int64),
        np.concatenate(cases)[order].astype(np.int64),
        enumerated.n + contracted.n,
        whole,
    )
