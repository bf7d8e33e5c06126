"""BIF text cut once at its marks ``{ } ( ) [ ] ;`` into pieces: chunks of words at even places, marks at odd places.

A chunk is split into words or numbers only when its turn comes, and a place becomes a line number only for an error.
Where a name holds marks, as in ``(0,1]``, its pieces are joined again when its place says that it is a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from tractable.formats._base import FormatError, Source, shown

END = "the end of the file"

_MARKS = re.compile(r"([{}()\[\];])")
_HIDDEN = re.compile(
    r'"(?P<name>[^"\\\n]*(?:\\[^\n][^"\\\n]*)*)"|//[^\n]*|/\*.*?\*/|^[ \t]*[#%][^\n]*|"|/\*', re.DOTALL | re.MULTILINE
)
_STAND_IN = re.compile(r'"\d+"')
_BRACKETS_AND_COMMAS = re.compile(r"[](),[]")


class Pieces:
    """The text cut at its marks, with quoted names and comments taken out of the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.quoted: list[str] = []
        text = source.text()
        if any(mark in text for mark in ('"', "//", "/*", "#", "%")):
            text = _HIDDEN.sub(self._hide, text)
        self.pieces = _MARKS.split(text)
        self.last = len(self.pieces) - 1
        self.pieces += [END, ""] * 4  # so that looking ahead needs no check

    def _hide(self, found: re.Match[str]) -> str:
        """Stand-ins that hold no mark: the index of a quoted name; the line breaks of a comment."""
        if found["name"] is not None:
            self.quoted.append(_unescaped(found["name"]))
            return f' "{len(self.quoted) - 1}" '
        if found[0] in ('"', "/*"):
            line = 1 + found.string.count("\n", 0, found.start())
            raise self.source.error(f"{found[0]} is never closed", line)
        return " " + "\n" * found[0].count("\n")

    def name(self, word: str) -> str:
        return self.quoted[int(word[1:-1])] if word.startswith('"') else word

    def words(self, place: int) -> list[str]:
        found = self.pieces[place].replace(",", " ").split()
        return [self.name(word) for word in found] if self.quoted else found

    def names(self, place: int, count: int) -> list[str]:
        """The names of a list: what stands between commas, as it is written; in the old dialect blanks part them too.

        The count says which is meant, and also whether commas inside of ``( ]`` belong to a name. A list that is of
        another length however it is read comes back as the commas part it.
        """
        words = self.words(place)
        if len(words) == count:  # then no name holds a blank
            return words
        readings = self._as_written(self.pieces[place])
        return next((names for names in readings if len(names) == count), readings[0] or words)

    def family(self, place: int, known: Collection[str]) -> list[str]:
        """The names in the head of a probability block, where a bar is as good as a comma: those that are declared."""
        chunk = self.pieces[place] = self.pieces[place].replace("|", ",")
        words = self.words(place)
        if len(words) <= chunk.count(",") + 1 and all(word in known for word in words):
            return words
        readings = [words, *filter(None, self._as_written(chunk))]
        fitting = [names for names in readings if all(name in known for name in names)]
        if any(names != fitting[0] for names in fitting):
            raise self.error(place, f"{shown(' '.join(chunk.split()))} can be read in two ways; quote the names")
        return (fitting or readings)[0]

    def title(self, place: int) -> list[str]:
        """The name after the keyword of a block: as it is written, or in quotes; none if there is none."""
        _, *words = self.words(place)
        if len(words) < 2:
            return words
        written = " ".join(self.pieces[place].split()[1:])
        if '"' in written:
            raise self.error(place, f"{shown(' '.join(words))} is a name in quotes and more; quote the whole name")
        return [written]

    def _as_written(self, chunk: str) -> list[list[str]]:
        """The chunk parted at every comma, and only at those outside of brackets; empty where quotes hold a part."""
        readings = []
        for parts in (chunk.split(","), _outside_brackets(chunk)):
            written = [" ".join(part.split()) for part in parts if part.strip()]
            quoted = ['"' in part for part in written]
            whole = all(_STAND_IN.fullmatch(part) for part, marked in zip(written, quoted, strict=True) if marked)
            readings.append([self.name(part) for part in written] if whole else [])
        return readings

    def mark(self, marks: str, place: int) -> int:
        """The next place, from an odd one on, of one of the marks, or of the end."""
        ends = (*marks, END)
        while self.pieces[place] not in ends:
            place += 2
        return place

    def fold(self, first: int, close: str, end: int) -> None:
        """Join the pieces of names that hold marks: from `first` to the last `close` up to the mark at `end`.

        The marks from there to `end` follow it at once, and what they leave behind is blank.
        """
        last = end
        while last > first and self.pieces[last] != close:
            last -= 2
        if last > first + 1:
            whole, rest = "".join(self.pieces[first:last]), self.pieces[last : end + 1]
            self.pieces[first : end + 1] = [whole, *rest, *[""] * (last - first - 1)]

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


def _outside_brackets(chunk: str) -> list[str]:
    """The chunk parted at commas outside of brackets, which need not match: ``(0,1], [1,2)`` are two."""
    parts, depth, start = [], 0, 0
    for found in _BRACKETS_AND_COMMAS.finditer(chunk):
        if found[0] != ",":
            depth = max(depth + (1 if found[0] in "([" else -1), 0)
        elif not depth:
            parts.append(chunk[start : found.start()])
            start = found.end()
    return [*parts, chunk[start:]]


def _unescaped(name: str) -> str:
    if "\\" not in name:
        return name
    import json  # quoted names with escapes are rare

    try:
        return json.loads(f'"{name}"', strict=False)
    except ValueError:
        return name
