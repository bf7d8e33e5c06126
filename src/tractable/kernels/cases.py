"""Expected table entries over many small cases of evidence, each enumerated: see cases.c."""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import kernel
from .threads import side_by_side

_INTS = ("level_size", "clique_level", "clique_size", "stride", "offset", "base")
_ORDER = (
    *("level_start", "clique_start", "case_start", "base_start", "level_size", "clique_level", "clique_size"),
    *("stride_start", "stride", "family_start", "offset_start", "offset", "base"),
)
PIECE = 1 << 18
"""States visited, at least, in one call of the kernel."""


class _Cases(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _ORDER] + [("n_groups", ctypes.c_int64)]


class CaseGroups(NamedTuple):
    """Cases in groups of the same hidden variables, one after another: what `Cases` in cases.c says of each array."""

    level_start: np.ndarray
    clique_start: np.ndarray
    case_start: np.ndarray
    base_start: np.ndarray
    level_size: np.ndarray
    clique_level: np.ndarray
    clique_size: np.ndarray
    stride_start: np.ndarray
    stride: np.ndarray
    family_start: np.ndarray
    offset_start: np.ndarray
    offset: np.ndarray
    base: np.ndarray
    price: np.ndarray
    """States that a case of each group visits."""

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> CaseGroups:
        """The arrays in the types of the kernel."""
        types = {name: np.int32 if name in _INTS else np.int64 for name in _ORDER} | {"price": np.float64}
        return cls(**{name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in types.items()})

    @property
    def n_cases(self) -> int:
        """Number of cases."""
        return int(self.case_start[-1])


def enumerated(cases: CaseGroups, theta: np.ndarray, weights: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """log Z of each case, NaN where it takes logarithms to say, 0 where the weight is 0.

    `counts`, of the length of `theta`, grows by the posteriors of all table entries times the weights.
    """
    log_z = np.zeros(cases.n_cases)
    struct, pieces = _struct(cases), _pieces(cases)

    def run(piece: tuple[int, int]) -> np.ndarray | None:
        own = None if counts is None else np.zeros_like(counts)
        at = None if own is None else own.ctypes.data
        _kernel()(ctypes.byref(struct), *piece, theta.ctypes.data, weights.ctypes.data, at, log_z.ctypes.data)
        return own

    for own in side_by_side(run, pieces):  # in the order of the pieces: the sum does not depend on the cores
        if own is not None and counts is not None:
            counts += own
    return log_z


def _struct(cases: CaseGroups) -> _Cases:
    return _Cases(*(getattr(cases, name).ctypes.data for name in _ORDER), len(cases.price))


def _pieces(cases: CaseGroups) -> list[tuple[int, int]]:
    """Ranges of cases of about equal work, at most 64."""
    work = np.cumsum(np.repeat(cases.price, np.diff(cases.case_start)))
    if not len(work):
        return []
    number = work // max(PIECE, work[-1] / 64)
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(work)]
    return list(pairwise(cuts))


@cache
def _kernel() -> Any:
    return kernel("cases_expected", [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64] + [ctypes.c_void_p] * 4)
