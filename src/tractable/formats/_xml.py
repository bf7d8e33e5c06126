"""XML read from beginning to end, in memory in proportion to what is kept, with no entity and nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.parsers import expat

from tractable.formats._base import FormatError, Source, shown

MAX_DEPTH = 32
"""Elements nested deeper than this belong to no file of a network."""

MAX_DEFAULTS = 256
"""Attribute declarations a document type may make: each is applied to every element."""

_MARK = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
"""What some write before a file begins, and XML forbids."""


class Elements:
    """The elements of a document as they come: a format says what to do where one begins and where one ends.

    Names of elements and attributes lose their prefix, and are in capitals.
    """

    what = "XML"
    roots: Collection[str] = ()
    texts: Collection[str] = ()
    """Elements that hold text only."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.open: list[str] = []
        self._text: list[str] = []
        self._keep_space = False
        self._n_declared = 0
        self._n_blank = 0

    def begins(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins; it is the last that is open."""

    def ends(self, tag: str, text: str) -> None:
        """An element ends, and the last that is open is the one around it; blanks around its text are gone."""

    @property
    def line(self) -> int:
        """The line that the parser is at."""
        return self._n_blank + self._parser.CurrentLineNumber

    @property
    def outer(self) -> str:
        """The innermost element that is open."""
        return self.open[-1] if self.open else ""

    def error(self, cause: object, line: int | None = None) -> FormatError:
        return self.source.error(cause, line)

    def parse(self) -> None:
        """Read the whole document."""
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._entity
        parser.AttlistDeclHandler = self._declared
        mark, data = _MARK.match(self.source.data), self.source.data
        if mark and mark[0]:
            self._n_blank, data = mark[0].count(b"\n"), data[mark.end() :]
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            line = self._n_blank + error.lineno
            raise self.error(f"not well-formed XML: {expat.ErrorString(error.code)}", line) from None
        except FormatError:
            raise
        except (LookupError, ValueError) as error:
            raise self.error(f"the encoding cannot be read ({error}); save the file as UTF-8", 1) from None

    def _entity(self, name: str, *_: object) -> None:
        cause = f"the file declares or uses the entity {shown(name)}; write its text instead"
        raise self.error(cause, self.line)

    def _declared(self, *_: object) -> None:
        self._n_declared += 1
        if self._n_declared > MAX_DEFAULTS:
            raise self.error(f"more than {MAX_DEFAULTS} attribute declarations", self.line)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag, name, outer = _plain(name), name[:60], self.outer
        attributes = {_plain(key): value for key, value in attributes.items()}
        self._text.clear()
        self._keep_space = attributes.get("SPACE") == "preserve"
        if len(self.open) == MAX_DEPTH:
            raise self.error(f"elements are nested deeper than {MAX_DEPTH}; is it an {self.what} file?", self.line)
        if not self.open and tag not in self.roots:
            begins = f"an {self.what} file begins with <{next(iter(self.roots))}>"
            raise self.error(f"{begins}, found <{name}>; is it another format?", self.line)
        if outer in self.texts:
            raise self.error(f"an element <{name}> inside <{outer}>, which holds text only", self.line)
        self.open.append(tag)
        self.begins(tag, attributes)

    def _end(self, _: str) -> None:
        tag, text = self.open.pop(), "".join(self._text)
        self._text.clear()
        text, self._keep_space = text if self._keep_space else text.strip(), False
        self.ends(tag, text)


def _plain(name: str) -> str:
    return name.rpartition(":")[2].upper()
