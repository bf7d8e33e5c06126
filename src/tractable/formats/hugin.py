"""NET, the format of Hugin: discrete chance nodes with tables; other nodes, classes and expressions are refused."""

from __future__ import annotations

import re
from bisect import bisect_right

import numpy as np

from tractable.formats._base import BadNumberError, FormatError, Numbers, Source, first_bad, repeated, shown
from tractable.formats._networks import Families
from tractable.models import BayesianNetwork, ModelError

END = ""
_TOKEN = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*")|%[^\n]*|(?P<word>[(){}=;|]|[^\s(){}=;|"%]+)|(?P<open>")', re.DOTALL)
_REVERSED = re.compile(r"aGrUM 0\.")
"""Who wrote files with the states of the first parent fastest, not slowest."""


def read(source: Source) -> BayesianNetwork:
    """The network in a NET file: variables by the names of their nodes."""
    return _Reader(source).network()


class _Reader:
    """The words of a file and a position in them."""

    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text()
        found = [token for token in _TOKEN.finditer(self.text) if token.lastgroup]
        self.words = [token[0] for token in found] + [END] * 4
        self.starts = [token.start() for token in found] + [len(self.text.rstrip())] * 4
        self.breaks = [m.start() for m in re.finditer("\n", self.text)]
        self.at = 0
        self.title, self.software = source.stem, ""
        self.states: dict[str, tuple[str, ...]] = {}
        self.tables: list[tuple[list[str], list[str], int]] = []
        self.lines: dict[str, int] = {}

    def error(self, cause: object, at: int) -> FormatError:
        return self.source.error(cause, self.line(at))

    def line(self, at: int) -> int:
        """The line of a word."""
        return 1 + bisect_right(self.breaks, self.starts[at])

    def take(self, word: str, where: str) -> None:
        """The next word, which must be this one."""
        if self.words[self.at] != word:
            found = self.words[self.at]
            what = shown(found) if found != END else "the end of the file"
            raise self.error(f"expected {word!r} {where}, found {what}", self.at)
        self.at += 1

    # ------------------------------------------------------------ blocks

    def network(self) -> BayesianNetwork:
        while self.words[self.at] != END:
            self._block()
        if not self.states:
            raise self.source.error("holds no nodes; is it a NET file?", 1)
        families = Families(self.states, {}, {})
        for family, numbers, at in self.tables:
            self._check_order(family, at)
            families.put(self.source, family, self._numbers(family[-1], numbers, at), self.line(at))
        for name in self.states:
            if name not in families.tables:
                raise self.source.error(f"variable {shown(name)} has no potential; add one", self.lines[name])
        lines = self.lines | {family[-1]: self.line(at) for family, _, at in self.tables}
        return families.network(self.source, self.title, lambda name, _: lines[name])

    def _block(self) -> None:
        start = self.at
        head = self.words[start]
        if head == "potential":
            self.at += 1
            self._potential(start)
        elif head == "net":
            self.at += 1
            fields = self._fields("the net")
            self.title = " ".join(map(_plain, fields.get("name", [self.title])))
            self.software = " ".join(map(_plain, fields.get("software", [])))
        elif head == "node" or self.words[start : start + 2] == ["discrete", "node"]:
            self.at += 1 + (head == "discrete")
            self._node(start)
        else:
            cause = f"a block {shown(head)}; only net, discrete nodes and their potentials can be read"
            raise self.error(cause, start)

    def _node(self, start: int) -> None:
        name = _plain(self.words[self.at])
        self.at += 1
        fields = self._fields(f"node {shown(name)}")
        states = tuple(_plain(word) for word in fields.get("states", ()) if word not in "()")
        if name in self.states:
            raise self.error(f"variable {shown(name)} is declared twice", start)
        if not states:
            raise self.error(f"variable {shown(name)} has no states; give it at least one", start)
        if (twice := repeated(states)) is not None:
            raise self.error(f"variable {shown(name)} has the state {shown(twice)} twice", start)
        self.states[name], self.lines[name] = states, self.line(start)

    def _potential(self, start: int) -> None:
        self.take("(", "after 'potential'")
        end = self.at
        while self.words[end] not in (")", "{", "}", END):
            end += 1
        names, self.at = self.words[self.at : end], end
        self.take(")", "after the nodes of a potential")
        fields = self._fields("the potential")
        heads = names[: names.index("|")] if "|" in names else names
        if len(heads) != 1:
            raise self.error(f"a potential of {len(heads)} nodes; each has a potential of its own", start)
        if "data" not in fields:
            raise self.error(f"the potential of {shown(heads[0])} has no data; only tables can be read", start)
        family = [*map(_plain, names[2:]), _plain(heads[0])]
        self.tables.append((family, [word for word in fields["data"] if word not in "()"], start))

    def _fields(self, what: str) -> dict[str, list[str]]:
        """The fields of a block, ``{ key = words; … }``."""
        self.take("{", f"after {what}")
        fields: dict[str, list[str]] = {}
        while self.words[self.at] not in ("}", END):
            key = self.words[self.at]
            self.at += 1
            self.take("=", f"after {shown(key)} in {what}")
            end = self.at
            while self.words[end] not in (";", "}", END):
                end += 1
            fields[key], self.at = self.words[self.at : end], end
            self.take(";", f"after {shown(key)} in {what}")
        self.take("}", f"at the end of {what}")
        return fields

    # ------------------------------------------------------------ tables

    def _check_order(self, family: list[str], at: int) -> None:
        if len(family) > 2 and _REVERSED.match(self.software):
            cause = f"{self.software} wrote it, which orders parents the other way; write it again with a newer one"
            raise self.error(cause, at)

    def _numbers(self, child: str, words: list[str], at: int) -> np.ndarray:
        """The states of the first parent slowest, those of the child fastest."""
        try:
            return Numbers().array(words)
        except BadNumberError:
            _, cause = first_bad(words) or (0, "")
            raise self.error(f"the potential of {shown(child)}: {cause}", at) from None


def _plain(word: str) -> str:
    """A word without its quotes."""
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def write(model: object) -> bytes:
    """NET is read only."""
    raise ModelError("a NET file is read, not written; write .bif, .xml or .safetensors")
