"""XMLBIF 0.3: the Interchange Format for Bayesian Networks in XML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np

from tractable.formats._base import (
    BadNumberError,
    FormatError,
    Numbers,
    Source,
    amount,
    encoded,
    first_bad,
    repeated,
    shown,
    written,
)
from tractable.formats._networks import Families, bayesian
from tractable.models import BayesianNetwork
from tractable.models._base import unknown_variable

MAX_DEPTH = 32
"""Elements nested deeper than this belong to no XMLBIF file."""

MAX_DEFAULTS = 256
"""Attribute declarations a document type may make: each is applied to every element."""

_BLOCKS = ("VARIABLE", "DEFINITION")
_OBSERVED = ("OBS", "OBSERVED")
_MARK = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
"""What some write before a file begins, and XML forbids."""

_PARTS = ("NAME", "OUTCOME", "FOR", "GIVEN", "TABLE")


def read(source: Source) -> BayesianNetwork:
    """The network in an XMLBIF file."""
    return _Reader(source).network()


@dataclass
class _Block:
    """A VARIABLE or DEFINITION element: the texts of its parts, and where it is."""

    line: int
    parts: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in _PARTS})
    table_line: int = 0

    def one(self, part: str) -> str | None:
        found = self.parts[part]
        return found[0] if len(found) == 1 else None


class _Reader:
    """Collects the blocks while the parser runs; assembles the network afterwards."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.title: str | None = None
        self.blocks: dict[str, list[_Block]] = {kind: [] for kind in _BLOCKS}
        self.open: list[str] = []
        self.text: list[str] = []
        self.keep_space = False
        self.n_declared = 0
        self.numbers = Numbers()
        self.lines: dict[str, int] = {}
        self.root = 1, "none"
        self._parse()

    @property
    def line(self) -> int:
        """The line that the parser is at."""
        return self.n_blank + self.parser.CurrentLineNumber

    def error(self, cause: object, line: int | None = None) -> FormatError:
        return self.source.error(cause, line)

    def _parse(self) -> None:
        parser = self.parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.text.append
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._entity
        parser.AttlistDeclHandler = self._declared
        mark, rest = _MARK.match(self.source.data)[0], _MARK.sub(b"", self.source.data, count=1)  # type: ignore[index]
        self.n_blank = mark.count(b"\n")
        try:
            parser.Parse(rest, True)
        except expat.ExpatError as error:
            line = self.n_blank + error.lineno
            raise self.error(f"not well-formed XML: {expat.ErrorString(error.code)}", line) from None
        except FormatError:
            raise
        except (LookupError, ValueError) as error:
            raise self.error(f"the encoding cannot be read ({error}); save the file as UTF-8", 1) from None

    # ------------------------------------------------------------ events

    def _entity(self, name: str, *_: object) -> None:
        cause = f"the file declares or uses the entity {shown(name)}; write its text instead"
        raise self.error(cause, self.line)

    def _declared(self, *_: object) -> None:
        self.n_declared += 1
        if self.n_declared > MAX_DEFAULTS:
            raise self.error(f"more than {MAX_DEFAULTS} attribute declarations", self.line)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name, tag, line = tag[:60], _plain(tag), self.line
        attributes = {_plain(name): value for name, value in attributes.items()}
        self.open.append(tag)
        self.text.clear()
        self.keep_space = attributes.get("SPACE") == "preserve"
        self._check_nesting(name, attributes, line)
        if tag in _BLOCKS:
            self._open_block(tag, attributes, line)
        elif tag == "PROBABILITY":
            raise self.error("<PROBABILITY> is of drafts before XMLBIF 0.3, not read here; write <DEFINITION>", line)
        elif tag == "TABLE" and self.open[-2:-1] == ["DEFINITION"]:
            self.blocks["DEFINITION"][-1].table_line = line

    def _check_nesting(self, name: str, attributes: dict[str, str], line: int) -> None:
        if len(self.open) > MAX_DEPTH:
            raise self.error(f"elements are nested deeper than {MAX_DEPTH}; is it an XMLBIF file?", line)
        if len(self.open) == 1:
            self.root = line, attributes.get("VERSION", "none")
            if self.open[0] not in ("BIF", "NETWORK"):
                raise self.error(f"an XMLBIF file begins with <BIF>, found <{name}>; is it another format?", line)
        if len(self.open) > 1 and self.open[-2] in _PARTS:
            raise self.error(f"an element <{name}> inside <{self.open[-2]}>, which holds text only", line)

    def _open_block(self, tag: str, attributes: dict[str, str], line: int) -> None:
        kind = attributes.get("TYPE", "nature") if tag == "VARIABLE" else "nature"
        if kind.lower() not in ("nature", "discrete", "chance"):
            raise self.error(f"a variable of type {shown(kind)}; only nature variables can be read", line)
        self.blocks[tag].append(_Block(line))

    def _end(self, _: str) -> None:
        tag = self.open.pop()
        text = "".join(self.text)
        self.text.clear()
        text, outer = text if self.keep_space else text.strip(), self.open[-1] if self.open else ""
        self.keep_space = False
        if tag == "NAME" and outer == "NETWORK":
            self.title = text
        elif tag in _OBSERVED and outer == "VARIABLE" and text:
            self.source.warn(f"the observation {shown(text)} is no part of a network; give it as evidence", self.line)
        elif tag in _PARTS and outer in _BLOCKS:
            self.blocks[outer][-1].parts[tag].append(text)

    # ------------------------------------------------------------ assembly

    def network(self) -> BayesianNetwork:
        states = self._states()
        families = Families(states, {}, {})
        for block in self.blocks["DEFINITION"]:
            self._definition(block, families)
        for name in states:
            if name not in families.tables:
                raise self.error(f"variable {shown(name)} has no DEFINITION; add one", self.lines[name])
        title = self.source.stem if self.title is None else self.title
        return families.network(self.source, title, lambda name, _: self.lines[name])

    def _states(self) -> dict[str, tuple[str, ...]]:
        states: dict[str, tuple[str, ...]] = {}
        for block in self.blocks["VARIABLE"]:
            name, outcomes = block.one("NAME"), tuple(block.parts["OUTCOME"])
            if name is None:
                raise self.error(f"a VARIABLE has {len(block.parts['NAME'])} NAMEs; give it one", block.line)
            if name in states:
                raise self.error(f"variable {shown(name)} is declared twice", block.line)
            if not outcomes:
                raise self.error(f"variable {shown(name)} has no OUTCOME; give it at least one", block.line)
            if (twice := repeated(outcomes)) is not None:
                raise self.error(f"variable {shown(name)} has the state {shown(twice)} twice", block.line)
            states[name], self.lines[name] = outcomes, block.line
        if not states:
            line, version = self.root
            cause = f"holds no <VARIABLE>; XMLBIF 0.3 is read, and the version of this file is {version[:20]}"
            raise self.error(cause, line)
        return states

    def _definition(self, block: _Block, families: Families) -> None:
        child, numbers = block.one("FOR"), block.one("TABLE")
        if child is None or numbers is None:
            raise self.error("a DEFINITION needs one FOR and one TABLE", block.line)
        family = (*block.parts["GIVEN"], child)
        for name in family:
            if name not in families.states:
                raise self.error(unknown_variable(name, families.states), block.line)
        if (twice := repeated(family)) is not None:
            raise self.error(f"a DEFINITION names {shown(twice)} twice", block.line)
        if child in families.tables:
            raise self.error(f"variable {shown(child)} has a second DEFINITION; keep one", block.line)
        table = self._table(numbers, block.table_line)
        needed = math.prod(len(families.states[name]) for name in family)
        if table.size != needed:
            cause = f"the table of {shown(child)} has {table.size} numbers, it needs {amount(needed)}"
            raise self.error(cause, block.table_line)
        families.parents[child], families.tables[child] = family[:-1], table
        self.lines[child] = block.table_line

    def _table(self, text: str, line: int) -> np.ndarray:
        text = text.replace(",", " ")
        try:
            return self.numbers.parse(text)
        except BadNumberError:
            _, cause = first_bad(text.split()) or (0, "")
            raise self.error(cause, line) from None


def _plain(name: str) -> str:
    """The name of an element or attribute without a namespace, in the case that the format gives it."""
    return name.rpartition(":")[2].upper()


# ---------------------------------------------------------------- writing

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", **{c: f"&#{ord(c)};" for c in "\t\n\r"}})
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write(model: object) -> bytes:
    """A network as XMLBIF."""
    net = bayesian(model, ".xml", _FORBIDDEN)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<BIF VERSION="0.3">', "<NETWORK>", _element("NAME", net.name)]
    for name, states in net.states.items():
        outcomes = [f"  {_element('OUTCOME', state)}" for state in states]
        lines += ['<VARIABLE TYPE="nature">', f"  {_element('NAME', name)}", *outcomes, "</VARIABLE>"]
    for name in net.states:
        lines += ["<DEFINITION>", f"  {_element('FOR', name)}"]
        lines += [f"  {_element('GIVEN', parent)}" for parent in net.parents[name]]
        rows = net.tables[name].reshape(-1, len(net.states[name]))
        lines += ["  <TABLE>", *(f"    {written(row)}" for row in rows), "  </TABLE>", "</DEFINITION>"]
    return encoded("\n".join([*lines, "</NETWORK>", "</BIF>", ""]))


def _element(tag: str, name: str) -> str:
    space = ' xml:space="preserve"' if name != name.strip() else ""
    return f"<{tag}{space}>{name.translate(_ESCAPES)}</{tag}>"
