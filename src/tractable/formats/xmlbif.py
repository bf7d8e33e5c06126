"""XMLBIF 0.3: the Interchange Format for Bayesian Networks in XML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from tractable.formats._base import (
    BadNumberError,
    Numbers,
    Source,
    encoded,
    first_bad,
    repeated,
    shown,
    written,
)
from tractable.formats._networks import Families, bayesian, rows_of
from tractable.formats._xml import Elements
from tractable.models import BayesianNetwork

_BLOCKS = ("VARIABLE", "DEFINITION")
_OBSERVED = ("OBS", "OBSERVED")
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


class _Reader(Elements):
    """Collects the blocks while the parser runs; assembles the network afterwards."""

    what = "XMLBIF"
    roots = ("BIF", "NETWORK")
    texts = _PARTS

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.title: str | None = None
        self.blocks: dict[str, list[_Block]] = {kind: [] for kind in _BLOCKS}
        self.numbers = Numbers()
        self.lines: dict[str, int] = {}
        self.root = 1, "none"
        self.parse()

    # ------------------------------------------------------------ events

    def begins(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) == 1:
            self.root = self.line, attributes.get("VERSION", "none")
        if tag in _BLOCKS:
            kind = attributes.get("TYPE", "nature") if tag == "VARIABLE" else "nature"
            if kind.lower() not in ("nature", "discrete", "chance"):
                raise self.error(f"a variable of type {shown(kind)}; only nature variables can be read", self.line)
            self.blocks[tag].append(_Block(self.line))
        elif tag == "PROBABILITY":
            cause = "<PROBABILITY> is of drafts before XMLBIF 0.3, not read here; write <DEFINITION>"
            raise self.error(cause, self.line)
        elif tag == "TABLE" and self.open[-2:-1] == ["DEFINITION"]:
            self.blocks["DEFINITION"][-1].table_line = self.line

    def ends(self, tag: str, text: str) -> None:
        if tag == "NAME" and self.outer == "NETWORK":
            self.title = text
        elif tag in _OBSERVED and self.outer == "VARIABLE" and text:
            self.source.warn(f"the observation {shown(text)} is no part of a network; give it as evidence", self.line)
        elif tag in _PARTS and self.outer in _BLOCKS:
            self.blocks[self.outer][-1].parts[tag].append(text)

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
        table = self._table(numbers, block.table_line)
        families.put(self.source, (*block.parts["GIVEN"], child), table, block.table_line)
        self.lines[child] = block.table_line

    def _table(self, text: str, line: int) -> np.ndarray:
        text = text.replace(",", " ")
        try:
            return self.numbers.parse(text)
        except BadNumberError:
            _, cause = first_bad(text.split()) or (0, "")
            raise self.error(cause, line) from None


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
        lines.append("  <TABLE>")
        for rows in rows_of(net.tables[name], len(net.states[name])):
            lines.append("\n".join(f"    {written(row)}" for row in rows))
        lines += ["  </TABLE>", "</DEFINITION>"]
    return encoded("\n".join([*lines, "</NETWORK>", "</BIF>", ""]))


def _element(tag: str, name: str) -> str:
    space = ' xml:space="preserve"' if name != name.strip() else ""
    return f"<{tag}{space}>{name.translate(_ESCAPES)}</{tag}>"
