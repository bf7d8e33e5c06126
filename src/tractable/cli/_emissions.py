"""What columns hold, given what is hidden, as the commands of mixtures and of hidden Markov models take it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tractable.cli import _text
from tractable.cli._table_files import Learned, Texts, known_columns

_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


@dataclass(frozen=True)
class Emitted:
    """Kinds of emissions, and the states of categorical columns."""

    emissions: Annotated[
        Texts,
        typer.Option(
            metavar="KIND[:COLUMNS]",
            help="What columns hold, auto if absent: for all, or for some by name or number, 0,2-4.",
        ),
    ] = None
    categories: Annotated[
        Texts,
        typer.Option(metavar="COLUMN=N", help="States of a categorical column: their number, or their names, a|b|c."),
    ] = None

    def options(self, found: Learned) -> dict[str, Any]:
        """How `tr.mixture` and `tr.hidden_markov` take these, and the columns that are chosen of data with names."""
        own: dict[str, Any] = {"emissions": kinds_of(self.emissions, found.names)} if self.emissions else {}
        if self.categories:
            own["categories"] = states_of(self.categories, found.names)
        return own | found.asked


def kinds_of(texts: list[str], names: Collection[str], option: str = "--emissions") -> str | dict[str, list[str]]:
    """One kind for all columns, or kind → columns.

    >>> kinds_of(["gaussian"], ()), kinds_of(['gaussian:temp,"a,b"', "poisson:2-4"], ["temp", "a,b", "n", "m"])
    ('gaussian', {'gaussian': ['temp', 'a,b'], 'poisson': ['n', 'm', '4']})
    """
    if len(texts) == 1 and ":" not in texts[0]:
        return texts[0]
    kinds: dict[str, list[str]] = {}
    known = known_columns(names)
    for text in texts:
        kind, _, columns = text.partition(":")
        found = [column for name in _text.names(columns) for column in _columns(name, known)]
        if not found:
            raise typer.BadParameter(
                f"{option}: expected a kind and its columns such as gaussian:0,2-4 or gaussian:temp, got {text!r}"
            )
        kinds.setdefault(kind, []).extend(found)
    return kinds


def _columns(name: str, known: Mapping[str, str]) -> list[str]:
    """A column, or a range of their numbers."""
    found = None if name in known else _RANGE.fullmatch(name)
    numbers = [str(j) for j in range(int(found[1]), int(found[2]) + 1)] if found else [name]
    return [known.get(number, number) for number in numbers]


def states_of(texts: list[str], names: Collection[str]) -> Any:
    """Column → number or names of its states, or one number for all.

    >>> states_of(["6"], ()), states_of(["sky=sun|rain", "wind=3"], ["sky", "wind"])
    (6, {'sky': ['sun', 'rain'], 'wind': 3})
    """
    if len(texts) == 1 and texts[0].isdecimal():
        return int(texts[0])
    found: dict[str, Any] = {}
    known = known_columns(names)
    for text in texts:
        column, own = _split(text, known)
        column = known.get(column, column)
        if not column or not own or column in found:
            raise typer.BadParameter(f"--categories: expected COLUMN=N or COLUMN=a|b|c, each column once, got {text!r}")
        if "," in own and "|" not in own:
            raise typer.BadParameter(f"--categories {text}: take | between states, {column}={own.replace(',', '|')}")
        found[column] = int(own) if own.isdecimal() else own.split("|")
    return found


def _split(text: str, names: Collection[str]) -> tuple[str, str]:
    """A column and its states: at the first `=` that a column stands before, else at the first."""
    splits = [(text[:i], text[i + 1 :]) for i, c in enumerate(text) if c == "="]
    return next((split for split in splits if split[0] in names), splits[0] if splits else ("", ""))
