"""XDSL, the format of GeNIe and SMILE: chance nodes with tables; other nodes are refused."""

from __future__ import annotations

import numpy as np

from tractable.formats._base import BadNumberError, FormatError, Numbers, Source, first_bad, repeated, shown
from tractable.formats._networks import Families
from tractable.formats._xml import Elements
from tractable.models import BayesianNetwork, ModelError

_TEXTS = ("PARENTS", "PROBABILITIES")
_SILENT = ("STATE", "PROPERTY", "SUBMODEL", *_TEXTS)
"""Elements among the nodes that are no nodes of another kind."""


def read(source: Source) -> BayesianNetwork:
    """The network in an XDSL file: variables and states by their ids."""
    return _Reader(source).network()


class _Reader(Elements):
    """Collects states, parents and numbers of each node; tables are made when all variables are known."""

    what = "XDSL"
    roots = ("SMILE",)
    texts = _TEXTS

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.title = source.stem
        self.numbers = Numbers()
        self.states: dict[str, list[str]] = {}
        self.parts: dict[str, dict[str, str]] = {}
        self.lines: dict[str, int] = {}
        self.several = False
        self.parse()

    def begins(self, tag: str, attributes: dict[str, str]) -> None:
        own = attributes.get("ID", "")
        if attributes.get("APP", "").startswith("aGrUM") and self.several:
            cause = "pyAgrum wrote it, which lists numbers in another order of parents than GeNIe; save it as .bifxml"
            raise self.error(cause, self.line)
        if tag == "SMILE":
            self.title = own or self.title
        elif "DYNAMIC" in self.open[:-1] and tag != "EXTENSIONS":
            raise self.error("a dynamic network has arcs between slices; unroll it first", self.line)
        elif "NODES" in self.open[:-1]:
            self._in_nodes(tag, own)
        elif tag == "CPT":
            raise self._misplaced(own)

    def _in_nodes(self, tag: str, own: str) -> None:
        if tag == "CPT":
            if "CPT" in self.open[:-1]:
                raise self._misplaced(own)
            if own in self.states:
                raise self.error(f"variable {shown(own)} is declared twice", self.line)
            self.name = own
            self.states[own], self.parts[own], self.lines[own] = [], {}, self.line
        elif tag == "STATE" and self.open[-2] == "CPT":
            self.states[self.name].append(own)
        elif tag not in _SILENT:
            cause = f"a node {shown(own)} of the kind <{tag.lower()[:60]}>; only chance nodes with tables can be read"
            raise self.error(cause, self.line)

    def _misplaced(self, own: str) -> FormatError:
        told = f"the node {shown(own)} is not where nodes are: in <nodes>, and in no other node"
        return self.error(told, self.line)

    def ends(self, tag: str, text: str) -> None:
        if tag in _TEXTS and self.outer == "CPT":
            self.parts[self.name][tag] = text
            self.several |= tag == "PARENTS" and len(text.split()) > 1
            if tag == "PROBABILITIES":
                self.lines[self.name] = self.line

    # ------------------------------------------------------------ assembly

    def network(self) -> BayesianNetwork:
        if not self.states:
            raise self.error("holds no <cpt>; is it an XDSL file?", 1)
        for name, own in self.states.items():
            if (twice := repeated(own)) is not None:
                raise self.error(f"variable {shown(name)} has the state {shown(twice)} twice", self.lines[name])
        families = Families({name: tuple(own) for name, own in self.states.items()}, {}, {})
        for name, parts in self.parts.items():
            family = [*parts.get("PARENTS", "").split(), name]
            families.put(self.source, family, self._table(name, parts), self.lines[name])
        return families.network(self.source, self.title, lambda name, _: self.lines[name])

    def _table(self, name: str, parts: dict[str, str]) -> np.ndarray:
        """The numbers: the states of the first parent slowest, those of the node itself fastest."""
        if "PROBABILITIES" not in parts:
            raise self.error(f"variable {shown(name)} has no <probabilities>; add them", self.lines[name])
        try:
            return self.numbers.parse(parts["PROBABILITIES"])
        except BadNumberError:
            _, cause = first_bad(parts["PROBABILITIES"].split()) or (0, "")
            raise self.error(f"variable {shown(name)}: {cause}", self.lines[name]) from None


def write(model: object) -> bytes:
    """XDSL is read only."""
    raise ModelError("an XDSL file is read, not written; write .bif, .xml or .safetensors")
