"""Structures as people write them: variable → parents, edges, a directed graph of networkx, or ``"smoke->lung"``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise, product
from typing import Any, NamedTuple

from tractable.graph._errors import GraphError

Said = tuple[str, ...] | int


class Structure(NamedTuple):
    """Each variable that is named, in the order in which they are, with its parents; and the states that are said."""

    parents: dict[str, tuple[str, ...]]
    states: dict[str, Said]


def read_structure(given: Any) -> Structure:
    """Who is whose parent. Parents are in the order of their edges, which is that of the axes of a table.

    Parameters
    ----------
    given : a mapping of variable to its parents; pairs (parent, child); a directed graph of networkx; or text, in which
        ``a->b->c; d<-b`` are edges, ``a,b->c`` two of them, and a name alone a variable without any. Statements end
        with a semicolon or a line; names that hold such signs stand in double quotes. States may follow a name:
        ``rain{no|yes}``, or their number, ``rain[2]``.

    Raises
    ------
    GraphError : text that cannot be read, an edge twice or from a variable to itself; edges without a direction.

    >>> read_structure("smoke->lung; smoke->bronc").parents
    {'smoke': (), 'lung': ('smoke',), 'bronc': ('smoke',)}
    >>> read_structure([("smoke", "lung"), ("age", "lung")]).parents["lung"]
    ('smoke', 'age')
    >>> read_structure("rain{no|yes} -> wet[2]").states
    {'rain': ('no', 'yes'), 'wet': 2}
    """
    if given is None:
        return Structure({}, {})
    if isinstance(given, str):
        return _of_text(given)
    if isinstance(given, Mapping):
        parents = {_name(v): _names(own) for v, own in given.items()}
        roots = dict.fromkeys((p for own in parents.values() for p in own if p not in parents), ())
        return Structure(roots | parents, {})
    if hasattr(given, "is_directed") and hasattr(given, "edges"):
        return _of_networkx(given)
    return _of_list(given)


def _name(given: Any) -> str:
    return str(int(given) if isinstance(given, float) and given.is_integer() else given)


def _names(given: Any) -> tuple[str, ...]:
    """Parents of one variable: a name alone is one."""
    return tuple(map(_name, given if hasattr(given, "__iter__") and not isinstance(given, str) else (given,)))


class _Edges:
    """Edges that are collected, each looked at."""

    def __init__(self) -> None:
        self.parents: dict[str, list[str]] = {}

    def add(self, parent: str, child: str, where: str = "") -> None:
        self.parents.setdefault(parent, [])
        own = self.parents.setdefault(child, [])
        if parent == child:
            raise GraphError(f"{where}the edge {parent!r} → {child!r} leads from a variable to itself")
        if parent in own:
            raise GraphError(f"{where}the edge {parent!r} → {child!r} is there twice; keep one")
        own.append(parent)

    def with_states(self, states: Mapping[str, Said]) -> Structure:
        return Structure({v: tuple(own) for v, own in self.parents.items()}, dict(states))


# ---------------------------------------------------------------- of other objects


def _of_networkx(graph: Any) -> Structure:
    if not graph.is_directed():
        raise GraphError("the edges of this graph have no direction; parents need a networkx.DiGraph")
    names = {node: _name(node) for node in graph}
    if len({*names.values()}) < len(names):
        twice = next(name for name in names.values() if [*names.values()].count(name) > 1)
        raise GraphError(f"two nodes have the name {twice!r} as text; relabel one of them")
    edges = _Edges()
    edges.parents = {name: [] for name in names.values()}
    for child in graph:
        for parent in graph.predecessors(child):  # in the order in which its edges were added
            edges.add(names[parent], names[child])
    return edges.with_states({})


def _of_list(given: Any) -> Structure:
    """Pairs, or pieces of text, of which each may hold several edges."""
    if not isinstance(given, Iterable) or hasattr(given, "columns") or _is_numeric(given):
        raise GraphError(
            f"a structure is variable → parents, pairs (parent, child), a networkx.DiGraph or text such as "
            f"'a->b; a->c', not a {type(given).__name__}"
        )
    edges, states = _Edges(), {}
    for item in given:
        if isinstance(item, str):
            _read_text(item, edges, states)
        else:
            edges.add(*_pair(item))
    return edges.with_states(states)


def _is_numeric(given: Any) -> bool:
    """Whether this is an array of numbers: rather a matrix of who is linked than pairs of names."""
    return getattr(getattr(given, "dtype", None), "kind", "") in ("b", "i", "u", "f", "c")


def _pair(item: Any) -> tuple[str, str]:
    if (not isinstance(item, list | tuple) and not hasattr(item, "dtype")) or len(item) != 2:  # a set has no direction
        raise GraphError(f"an edge is a pair (parent, child), not {item!r}")
    return _name(item[0]), _name(item[1])


# ---------------------------------------------------------------- of text

_TOKENS = re.compile(
    r"""(?P<arrow>->|→|<-|←) | (?P<comma>,) | (?P<states>\{[^{}]*\}) | \[\s*(?P<count>\d+)\s*\]
    | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>(?:(?!->|<-)[^,{}\[\]"→←])+)""",
    re.VERBOSE | re.DOTALL,
)
_STATEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\}|[^;\n])+', re.DOTALL)


def _of_text(text: str) -> Structure:
    edges, states = _Edges(), {}
    _read_text(text, edges, states)
    return edges.with_states(states)


def _read_text(text: str, edges: _Edges, states: dict[str, Said]) -> None:
    for found in _STATEMENT.finditer(text):
        if statement := found[0].strip():
            _read_statement(statement, edges, states)


def _read_statement(statement: str, edges: _Edges, states: dict[str, Said]) -> None:
    where = f"{statement!r} in the structure: "
    groups, backwards = _groups(statement, where, states)
    for name in (name for group in groups for name in group):
        edges.parents.setdefault(name, [])
    for (left, right), back in zip(pairwise(groups), backwards, strict=True):
        for parent, child in product(right, left) if back else product(left, right):
            edges.add(parent, child, where)


def _groups(statement: str, where: str, states: dict[str, Said]) -> tuple[list[list[str]], list[bool]]:
    """The names between the arrows, and whether each arrow leads back; states go where they are said of."""
    groups: list[list[str]] = [[]]
    backwards: list[bool] = []
    for kind, found in _tokens(statement, where):
        if kind == "arrow":
            backwards.append(found[0] in ("<-", "←"))
            groups.append([])
        elif kind in _NAMES:
            groups[-1].append(_name_in(found, where))
        elif kind in _STATES:
            name, own = groups[-1][-1], _states_in(found)
            if states.setdefault(name, own) != own:
                raise GraphError(f"{where}the states of {name!r} were said otherwise before")
    return groups, backwards


_NAMES, _STATES = ("plain", "quoted"), ("states", "count")


def _tokens(statement: str, where: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Arrows, commas, names and states, in an order that makes sense: a name where one has to be, and nowhere else."""
    place, last = 0, "arrow"
    while place < len(statement):
        found = _TOKENS.match(statement, place)
        if found is None:
            raise GraphError(f"{where}{statement[place:]!r} cannot be read")
        place, kind = found.end(), found.lastgroup or ""
        if kind == "plain" and not found[0].strip():
            continue
        _check_order(last, kind, found[0].strip(), where)
        yield kind, found
        last = kind
    if last in ("arrow", "comma"):
        raise GraphError(f"{where}a name is missing at the end")


def _check_order(last: str, kind: str, text: str, where: str) -> None:
    """Raise where a piece cannot follow the one before."""
    wanted = last in ("arrow", "comma")
    if kind in _NAMES and not wanted:
        raise GraphError(f"{where}{text!r} stands where ->, <-, a comma or a semicolon is needed")
    if kind not in _NAMES and wanted:
        raise GraphError(f"{where}a name is missing before {text!r}")
    if kind in _STATES and last in _STATES:
        raise GraphError(f"{where}the states are said twice: {text!r}")


def _name_in(found: re.Match[str], where: str) -> str:
    if found.lastgroup == "quoted":
        return re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL)
    if re.search("--|–", name := found[0].strip()):
        raise GraphError(f"{where}an edge has a direction, -> or <-; a name with such signs stands in double quotes")
    return name


def _states_in(found: re.Match[str]) -> Said:
    if found.lastgroup == "count":
        return int(found["count"])
    return tuple(state.strip() for state in found[0][1:-1].split("|"))
