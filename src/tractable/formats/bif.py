"""BIF, the Interchange Format for Bayesian Networks: blocks of variables and of conditional tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from tractable.formats._base import (
    BadNumberError,
    FormatError,
    Numbers,
    Source,
    amount,
    first_bad,
    repeated,
    shown,
)
from tractable.formats._bif_text import write
from tractable.formats._networks import Families
from tractable.formats._pieces import Pieces
from tractable.models import BayesianNetwork
from tractable.models._base import unknown_state, unknown_variable
from tractable.models.sparse_tables import LARGE, SparseTable

__all__ = ["read", "write"]

MAX_DEFAULT_ENTRIES = 2**24
"""How many entries of one file may come from ``default`` rows, that is from no text of their own.

Of a large table whose default row is zero in half of its states or more, zeros do not count: they are not held."""


def read(source: Source) -> BayesianNetwork:
    """The network in a BIF file."""
    return _Reader(source).network()


@dataclass
class _Block:
    """A probability block: the names in its head and the places of its statements."""

    place: int
    body: int
    child: str
    parents: tuple[str, ...]
    table: int | None = None
    default: int | None = None
    rows: list[int] = field(default_factory=list)


class _Reader:
    """One pass over the blocks; tables are read when all variables are known."""

    def __init__(self, source: Source) -> None:
        self.text = Pieces(source)
        self.title = source.stem
        self.states: dict[str, tuple[str, ...]] = {}
        self.declared: dict[str, int] = {}
        self.lines_of: dict[str, Callable[[int], int]] = {}
        self.families = Families(self.states, {}, {})
        self.numbers = Numbers()
        self.index: dict[str, dict[str, int]] = {}
        self.default_entries = 0

    def network(self) -> BayesianNetwork:
        blocks: dict[str, Callable[[int], int]] = {
            "network": self._network,
            "variable": self._variable,
            "probability": self._skip_probability,
        }
        tables, place = [], 0
        while place < self.text.last:
            words = self.text.words(place)
            found = words[0] if words else self.text.pieces[place + 1]
            keyword = found.lower()
            if keyword not in blocks:
                raise self.text.error(place, f"expected network, variable or probability, found {shown(found)}")
            if keyword == "probability":
                tables.append(place)
            place = blocks[keyword](place)
        self.text.blank(place, "the last block")
        return self._assembled(tables)

    def _assembled(self, tables: Sequence[int]) -> BayesianNetwork:
        if not self.states:
            raise self.text.source.error("holds no variables; is it a BIF file?")
        self.index = {v: {s: k for k, s in enumerate(names)} for v, names in self.states.items()}
        for place in tables:
            self._probability(place)
        for name in self.states:
            if name not in self.families.tables:
                raise self.text.error(self.declared[name], f"variable {shown(name)} has no probability block; add one")
        return self.families.network(self.text.source, self.title, lambda name, row: self.lines_of[name](row))

    def _network(self, place: int) -> int:
        name, body = self._titled(place, "the network's name")
        self.title = name[0] if name else self.title
        return self.text.find("}", body, "the network block") + 1

    def _titled(self, place: int, what: str) -> tuple[list[str], int]:
        """The name of a block and the place after its opening brace; the name may hold marks, not a line's end."""
        text, end = self.text, place + 1
        if text.pieces[end] != "{":
            end = text.mark("{};", end)
            if text.pieces[end] == "{" and "\n" not in "".join(text.pieces[place:end]).strip():
                text.fold(place, "{", end)
        text.expect(place + 1, "{", what)
        return text.title(place), end + 1

    # ------------------------------------------------------------ variables

    def _variable(self, place: int) -> int:
        text, (title, at) = self.text, self._titled(place, "the variable's name")
        if not title:
            raise text.error(place, "expected a name after 'variable'; add one")
        name = title[0]
        if name in self.states:
            raise text.error(place, f"variable {shown(name)} is declared twice")
        while words := text.words(at):
            keyword = words[0].lower()
            if keyword == "property":
                at = text.after_property(at)
            elif keyword == "type" and name not in self.states:
                self.declared[name] = place
                self.states[name], at = self._states(at, name)
            else:
                raise text.error(at, f"expected type or property once each, found {shown(words[0])}")
        if name not in self.states:
            raise text.error(place, f"variable {shown(name)} has no type; add: type discrete [ n ] {{ … }};")
        return text.expect(at + 1, "}", f"variable {shown(name)}")

    def _states(self, place: int, name: str) -> tuple[tuple[str, ...], int]:
        """``type discrete [ 2 ] { yes, no };`` -> the names and the place after it."""
        text, what = self.text, f"the type of {shown(name)}"
        if [word.lower() for word in text.words(place)] != ["type", "discrete"]:
            raise text.error(place, f"variable {shown(name)} is not discrete; only discrete variables can be read")
        for step, mark in enumerate("[]"):
            text.expect(place + 1 + 2 * step, mark, what)
        if text.words(place + 4) != ["="]:
            text.blank(place + 4, "the number of states")
        first, end = text.expect(place + 5, "{", what), text.mark("};", place + 7)
        if text.pieces[end] == "}":  # brackets before it belong to names
            text.fold(first, "}", end)
        text.expect(first + 1, "}", what)
        names = self._named_states(first, " ".join(text.words(place + 2)), name)
        ended = text.pieces[end + 2] == ";" and not text.words(end + 1)  # some leave the semicolon out
        return names, end + 3 if ended else end + 1

    def _named_states(self, place: int, size: str, name: str) -> tuple[str, ...]:
        names = tuple(self.text.names(place, int(size) if size.isdecimal() and len(size) < 19 else -1))
        if size != str(len(names)):
            raise self.text.error(place, f"variable {shown(name)} declares {shown(size)} states and lists {len(names)}")
        if not names:
            raise self.text.error(place, f"variable {shown(name)} has no states; give it at least one")
        if (twice := repeated(names)) is not None:
            raise self.text.error(place, f"variable {shown(name)} has the state {shown(twice)} twice; rename one")
        return names

    # ------------------------------------------------------------ tables

    def _skip_probability(self, place: int) -> int:
        return self.text.find("}", place, "the probability block") + 1

    def _probability(self, place: int) -> None:
        block = self._statements(self._head(place))
        n_rows = math.prod(len(self.states[v]) for v in block.parents)
        by = self._by_rows if block.table is None else self._whole
        table = by(block, n_rows)
        self.families.parents[block.child] = block.parents
        self.families.tables[block.child] = table if isinstance(table, SparseTable) else table.reshape(-1)

    def _head(self, place: int) -> _Block:
        """``probability ( child | parent, parent ) {``"""
        text = self.text
        text.expect(place + 1, "(", "'probability'")
        end = place + 5
        if text.pieces[place + 3] != ")" or text.pieces[end] != "{":
            end = text.mark("{};", place + 3)
            if text.pieces[end] == "{":
                text.fold(place + 2, ")", end)
        text.expect(place + 3, ")", "the names of a probability block")
        text.blank(place + 4, "the names of a probability block")
        text.expect(place + 5, "{", "the names of a probability block")
        names = text.family(place + 2, self.states)
        if not names:
            raise text.error(place, "a probability block names no variable")
        for name in names:
            if name not in self.states:
                raise text.error(place + 2, unknown_variable(name, self.states))
        if (twice := repeated(names)) is not None:
            raise text.error(place + 2, f"a probability block names {shown(twice)} twice")
        if names[0] in self.families.tables:
            raise text.error(place, f"variable {shown(names[0])} has a second probability block; keep one")
        return _Block(place, end + 1, names[0], tuple(names[1:]))

    def _statements(self, block: _Block) -> _Block:
        text, at = self.text, block.body
        if rows := self._only_rows(at):
            block.rows = rows
            return block
        what = f"the probabilities of {shown(block.child)}"
        while words := text.words(at) or text.pieces[at + 1].replace("}", ""):
            keyword = words[0].lower()
            if keyword == "property":
                at = text.after_property(at)
            elif keyword == "(":
                block.rows.append(at)
                at = self._row(at, what)
            elif keyword in ("table", "default") and getattr(block, keyword) is None:
                setattr(block, keyword, at)
                at = text.expect(at + 1, ";", f"the numbers of {what}")
            else:
                raise text.error(at, f"expected one table, or rows and one default, in {what}; found {shown(words[0])}")
        return block

    def _row(self, at: int, what: str) -> int:
        """The place after a row; brackets before the last one belong to names of states."""
        text, end = self.text, self.text.mark(";}", at + 1)
        text.expect(at + 1, "(", what)
        if text.pieces[end] == ";":
            text.fold(at + 2, ")", end)
        text.expect(at + 3, ")", f"the states of a row of {what}")
        text.expect(at + 5, ";", f"a row of {what}")
        return end + 1

    def _only_rows(self, at: int) -> list[int]:
        """The rows of a block that holds nothing else, at one glance."""
        pieces, end = self.text.pieces, self.text.pieces.index("}", at)
        marks = pieces[at + 1 : end : 2]
        regular = marks == ["(", ")", ";"] * (len(marks) // 3) and not "".join(pieces[at:end:6]).strip()
        return list(range(at, end - 1, 6)) if regular else []

    def _whole(self, block: _Block, n_rows: int) -> np.ndarray:
        """A ``table`` lists the child's states slowest, its last parent's fastest."""
        if block.rows or block.default is not None:
            raise self.text.error(block.place, f"{shown(block.child)} has a table and rows; keep one of them")
        size = len(self.states[block.child])
        self.lines_of[block.child] = lambda row: self.text.line(block.table or 0)
        return self._numbers([block.table or 0], size * n_rows, 1).reshape(size, n_rows).T.copy()

    def _by_rows(self, block: _Block, n_rows: int) -> np.ndarray | SparseTable:
        """Rows come in any order, each labelled by the states of the parents."""
        size = len(self.states[block.child])
        default, few = self._default(block, n_rows, size)
        values, positions = self._numbers([at + 4 for at in block.rows], size, 0), self._positions(block)
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        if (again := np.flatnonzero(ordered[1:] == ordered[:-1])).size:
            place = block.rows[order[again + 1].min()]
            raise self.text.error(place, f"this row of {shown(block.child)} is given twice; keep one")
        self.lines_of[block.child] = lambda row: self._line_of_row(block, positions, row)
        if few:
            return self._few(block, default, ordered, values[order])
        table = np.empty((n_rows, size))
        table[:] = default
        table[positions] = values
        return table

    def _default(self, block: _Block, n_rows: int, size: int) -> tuple[np.ndarray, bool]:
        """The default row, and whether the table is made of its non-zeros; before anything is allocated for it."""
        missing, have = max(n_rows - len(block.rows), 0), f"{shown(block.child)} has {len(block.rows)} of"
        if block.default is None:
            if missing:
                cause = f"{have} {amount(n_rows)} rows; add the others, or a default"
                raise self.text.error(block.place, cause)
            return np.zeros(size), False
        default = self._numbers([block.default], size, 1)[0]
        nnz = int(np.count_nonzero(default))
        few = n_rows * size >= LARGE and 2 * nnz <= size
        self.default_entries += missing * (max(nnz, 1) if few else size)
        if self.default_entries > MAX_DEFAULT_ENTRIES:
            cause = f"{have} {amount(n_rows)} rows, too many for a default; write the rows out"
            raise self.text.error(block.place, cause)
        return default, few

    def _line_of_row(self, block: _Block, positions: np.ndarray, row: int) -> int:
        found = np.flatnonzero(positions == row)
        return self.text.line(block.rows[found[0]] if len(found) else block.default or block.place)

    def _few(self, block: _Block, default: np.ndarray, given: np.ndarray, values: np.ndarray) -> SparseTable:
        """The non-zeros of a table with these rows, by their numbers in order, and a default for all others."""
        shape = tuple(len(self.states[v]) for v in (*block.parents, block.child))
        others = np.ones(math.prod(shape[:-1]), bool)
        others[given] = False
        states, (row, state) = np.flatnonzero(default), np.nonzero(values)
        rest = np.flatnonzero(others)
        places = np.concatenate([np.add.outer(rest * shape[-1], states).ravel(), given[row] * shape[-1] + state])
        numbers = np.concatenate([np.tile(default[states], len(rest)), values[row, state]])
        order = np.argsort(places)
        return SparseTable(shape, places[order], numbers[order])

    def _numbers(self, places: Sequence[int], size: int, skip: int) -> np.ndarray:
        """The numbers of each piece as a row, without the first `skip` words; pieces that repeat are read once."""
        chunks = [self.text.pieces[place] for place in places]
        index = {chunk: k for k, chunk in enumerate(dict.fromkeys(chunks))}
        words = [chunk.replace(",", " ").split()[skip:] for chunk in index]
        try:
            if any(len(row) != size for row in words):
                raise BadNumberError
            distinct = self.numbers.array(chain.from_iterable(words)).reshape(len(words), size)
        except BadNumberError:
            raise self._bad_numbers(places, size, skip) from None
        return distinct[[index[chunk] for chunk in chunks]]

    def _bad_numbers(self, places: Sequence[int], size: int, skip: int) -> FormatError:
        """The complaint about the first row that has other than `size` numbers."""
        for place in places:
            row = self.text.pieces[place].replace(",", " ").split()[skip:]
            if '"' in self.text.pieces[place]:
                return self.text.error(place, "expected numbers, found a name in quotes")
            if bad := first_bad(row):
                return self.text.error(place, bad[1], row[bad[0]])
            if len(row) != size:
                remedy = "; write decimals with a point" if len(row) == 2 * size and "." not in "".join(row) else ""
                return self.text.error(place, f"expected {amount(size)} numbers, found {len(row)}{remedy}")
        raise AssertionError("every row is good")

    def _positions(self, block: _Block) -> np.ndarray:
        """Where each row goes in a table with the last parent's states fastest."""
        text = self.text
        labels = [text.names(at + 2, len(block.parents)) for at in block.rows]
        for at, label in zip(block.rows, labels, strict=True):
            if len(label) != len(block.parents):
                raise text.error(at + 2, f"expected {len(block.parents)} states of parents, found {len(label)}")
        position = np.zeros(len(labels), np.int64)
        for parent, column in zip(block.parents, zip(*labels, strict=True), strict=labels != []):
            index = self.index[parent]
            try:
                position = position * len(index) + np.fromiter(map(index.__getitem__, column), np.int64, len(column))
            except KeyError:
                row = next(k for k, state in enumerate(column) if state not in index)
                error = unknown_state(parent, column[row], self.states[parent])
                raise text.error(block.rows[row] + 2, error, column[row]) from None
        return position
