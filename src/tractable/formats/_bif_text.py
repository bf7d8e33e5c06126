"""Bayesian networks as BIF text; sparse tables in as few rows as the format allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from tractable.formats._base import encoded
from tractable.formats._networks import bayesian
from tractable.models import BayesianNetwork
from tractable.models.diagrams import rows_alike
from tractable.models.sparse_tables import SparseTable

_PLAIN = re.compile(r'(?!.*(?://|/\*))[^\s,|;(){}\[\]"\\]+')
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_KEYWORDS = ("network", "variable", "probability", "property", "type", "discrete", "table", "default")


def write(model: object) -> bytes:
    """A network as BIF; names are in quotes where it or other readers would take them for something else."""
    net = bayesian(model, ".bif")
    title = _word(net.name) if _IDENTIFIER.fullmatch(net.name) else _quoted(net.name)
    lines = [f"network {title} {{", "}"]
    for name, states in net.states.items():
        listed = ", ".join(map(_word, states))
        lines += [f"variable {_word(name)} {{", f"  type discrete [ {len(states)} ] {{ {listed} }};", "}"]
    for name in net.states:
        lines += _block_lines(net, name)
    return encoded("\n".join(lines) + "\n")


def _block_lines(net: BayesianNetwork, name: str) -> list[str]:
    parents, table = net.parents[name], net.tables[name]
    given = " | " + ", ".join(map(_word, parents)) if parents else ""
    body = _of_sparse(net, name, table) if isinstance(table, SparseTable) else _of_dense(net, name, table)
    return [f"probability ( {_word(name)}{given} ) {{", *body, "}"]


def _of_dense(net: BayesianNetwork, name: str, table: np.ndarray) -> list[str]:
    rows = [", ".join(map(repr, row)) for row in table.reshape(-1, len(net.states[name])).tolist()]
    if not net.parents[name]:
        return [f"  table {rows[0]};"]
    labels = product(*(list(map(_word, net.states[v])) for v in net.parents[name]))
    return [f"  ({', '.join(label)}) {row};" for label, row in zip(labels, rows, strict=True)]


def _of_sparse(net: BayesianNetwork, name: str, table: SparseTable) -> list[str]:
    """A default, that of the most rows, and the others; or all numbers without labels, where that is shorter."""
    alike, size = rows_alike(table.places, table.values, table.shape[-1]), table.shape[-1]
    words = [[_word(s) for s in net.states[v]] for v in net.parents[name]]
    label = sum(2 + max(map(len, own)) for own in words)
    if alike is None or not words:
        return _whole(table)
    kinds, which = alike
    common = int(np.bincount(which).argmax())
    others = np.flatnonzero(which != common)
    if len(others) * (label + 3 * size) > 3 * table.size:
        return _whole(table)
    rows = [", ".join(map(_short, kind)) for kind in kinds.tolist()]
    labels = _labels(words, np.unravel_index(others, table.shape[:-1]))
    listed = [f"  ({', '.join(at)}) {rows[k]};" for at, k in zip(labels, which[others].tolist(), strict=True)]
    return [f"  default {rows[common]};", *listed]


def _labels(words: Sequence[Sequence[str]], states: Sequence[np.ndarray]) -> Iterator[tuple[str, ...]]:
    """The names of the states of each row."""
    return zip(*([own[k] for k in column.tolist()] for own, column in zip(words, states, strict=True)), strict=True)


def _whole(table: SparseTable) -> list[str]:
    return [f"  table {', '.join(_all_numbers(table))};"]


def _all_numbers(table: SparseTable) -> Iterator[str]:
    """The numbers of a ``table``, the child's states slowest."""
    for state in range(table.shape[-1]):
        yield from map(_short, table.cut([*[-1] * (table.ndim - 1), state]).dense().ravel().tolist())


def _short(number: float) -> str:
    """The number as text that reads back as the same."""
    return str(int(number)) if number in (0.0, 1.0) else repr(number)


def _word(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _KEYWORDS else _quoted(name)


def _quoted(name: str) -> str:
    import json  # names that need quotes are rare

    return json.dumps(name, ensure_ascii=False)
