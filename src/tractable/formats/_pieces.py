"""BIF text cut once at its marks ``{ } ( ) [ ] ;`` into pieces: chunks of words at even places, marks at odd places.

A chunk is split into words or numbers only when its turn comes, and a place becomes a line number only for an error.
"""

from __future__ import annotations

import re

from tractable.formats._base import FormatError, Source, shown

END = "the end of the file"

_MARKS = re.compile(r"([{}()\[\];])")
_HIDDEN = re.compile(r'"(?P<name>[^"\\\n]*(?:\\[^\n][^"\\\n]*)*)"|//[^\n]*|/\*.*?\*/|"|/\*', re.DOTALL)


class Pieces:
    """The text cut at its marks, with quoted names and comments taken out of the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.quoted: list[str] = []
        text = source.text()
        if '"' in text or "//" in text or "/*" in text:
            text = _HIDDEN.sub(self._hide, text)
        self.pieces = _MARKS.split(text)
        self.last = len(self.pieces) - 1
        self.pieces += [END, ""] * 4  # so that looking ahead needs no check

    def _hide(self, found: re.Match[str]) -> str:
        """Stand-ins that hold no mark: the index of a quoted name; the line breaks of a comment."""
        if found["name"] is not None:
            self.quoted.append(_unescaped(found["name"]))
            return f' "{len(self.quoted) - 1}" '
        if len(found[0]) <= 2 and found[0] != "//":
            line = 1 + found.string.count("\n", 0, found.start())
            raise self.source.error(f"{found[0]} is never closed", line)
        return " " + "\n" * found[0].count("\n")

    def name(self, word: str) -> str:
        return self.quoted[int(word[1:-1])] if word.startswith('"') else word

    def words(self, place: int) -> list[str]:
        found = self.pieces[place].replace(",", " ").split()
        return [self.name(word) for word in found] if self.quoted else found

    def line(self, place: int, word: str | None = None) -> int:
        """The line of a piece: of its first word, or of the word given."""
        chunk = self.pieces[place]
        inside = len(chunk) - len(chunk.lstrip()) if word is None else max(chunk.find(word), 0)
        return 1 + sum(p.count("\n") for p in self.pieces[:place]) + chunk.count("\n", 0, inside)

    def error(self, place: int, cause: object, word: str | None = None) -> FormatError:
        return self.source.error(cause, self.line(place, word))

    def expect(self, place: int, mark: str, after: str) -> int:
        """The place after a mark that must be here."""
        found = self.pieces[place]
        if found != mark:
            where = place - 1 if self.words(place - 1) else place  # the line where the mark is missing
            raise self.error(where, f"expected {mark!r} after {after}, found {found if found == END else repr(found)}")
        return place + 1

    def blank(self, place: int, after: str) -> int:
        """The place after a chunk that must hold no words."""
        if words := self.words(place):
            raise self.error(place, f"unexpected {shown(words[0])} after {after}")
        return place + 1

    def find(self, mark: str, place: int, what: str) -> int:
        """The next place of a mark."""
        try:
            return self.pieces.index(mark, place)
        except ValueError:
            raise self.error(place, f"{what} has no closing {mark!r}; is the file cut short?") from None

    def after_property(self, place: int) -> int:
        """The place after a property: free text up to a semicolon."""
        at = place + 1
        while self.pieces[at] not in (";", "}", END):
            at += 2
        return self.expect(at, ";", "the property")


def _unescaped(name: str) -> str:
    if "\\" not in name:
        return name
    import json  # quoted names with escapes are rare

    try:
        return json.loads(f'"{name}"', strict=False)
    except ValueError:
        return name
