"""Lists of names and assignments as they are typed: `A,B` and `A=yes,B="x,y"`."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from typing import Any

from tractable.formats._base import repeated
from tractable.models import ModelError

RUNS = 12
"""So many runs of equal states of a path are printed."""


@contextmanager
def warnings_in_a_line(category: type[Warning]) -> Iterator[None]:
    """Warnings as lines on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", category)
        warnings.showwarning = lambda message, *_: print(f"tractable: {one_line(str(message))}", file=sys.stderr)
        yield


def names(texts: str | Sequence[str] | None) -> list[str]:
    """The names of comma-separated lists; double quotes protect a comma.

    >>> names(['A, "B,C"', "D"])
    ['A', 'B,C', 'D']
    """
    if not isinstance(texts, str):
        return [name for text in texts or () for name in names(text)]
    lexer = shlex.shlex(texts, posix=True)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = ",\n", True, ""
    lexer.quotes, lexer.escape = '"', ""
    try:
        return [name for item in lexer if (name := item.strip())]
    except ValueError:
        raise ModelError(f"unbalanced double quote in {texts!r}") from None


def assignments(texts: str | Sequence[str] | None, states: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Evidence as typed, checked against the model's variables only where that decides which `=` separates.

    >>> assignments('A=<5, B="x,y", C=a=b', {"A": ["<5"], "B": ["x,y"], "C": ["a=b"]})
    {'A': '<5', 'B': 'x,y', 'C': 'a=b'}
    """
    out: dict[str, str] = {}
    for item in names(texts):
        variable, state = _assignment(item, states)
        if variable in out:
            raise ModelError(f"evidence on variable {variable!r} twice: {out[variable]!r} and {state!r}")
        if not state and state not in states.get(variable, ()):
            raise ModelError(
                f"evidence on variable {variable!r}: no state is given, got ''; leave out what is not observed"
            )
        out[variable] = state
    return out


def softly(texts: Sequence[str] | None, states: Mapping[str, Collection[str]]) -> dict[str, dict[str, float]]:
    """Soft evidence as typed: variable → state → weight.

    >>> softly(['A=yes:0.7,no:0.3', 'B="x,y":1,z:2'], {"A": ["yes", "no"], "B": ["x,y", "z"]})
    {'A': {'yes': 0.7, 'no': 0.3}, 'B': {'x,y': 1.0, 'z': 2.0}}
    """
    out: dict[str, dict[str, float]] = {}
    for text in texts or ():
        variable, _, first = text.partition("=") if text.count("=") < 2 else _longest(text, states)
        variable = variable.strip().strip('"')
        if variable in out:
            raise ModelError(f"soft evidence on variable {variable!r} twice")
        weights = [_weight(item, text) for item in names(first) or [""]]
        if twice := repeated(state for state, _ in weights):
            raise ModelError(f"--soft {text}: the state {twice!r} has two weights; give each once")
        out[variable] = dict(weights)
    return out


def _longest(text: str, states: Mapping[str, Collection[str]]) -> tuple[str, str, str]:
    """Split at the first `=` that a variable stands before, else at the first."""
    ends = [i for i, c in enumerate(text) if c == "="]
    end = next((i for i in ends if text[:i].strip().strip('"') in states), ends[0])
    return text[:end], "=", text[end + 1 :]


def _weight(item: str, text: str) -> tuple[str, float]:
    state, _, weight = item.rpartition(":")
    try:
        return state.strip(), float(weight)
    except ValueError:
        raise ModelError(f"--soft {text}: expected VARIABLE=STATE:WEIGHT,STATE:WEIGHT, got {item!r}") from None


def merged(typed: Mapping[str, Any], row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A case of an evidence file together with the evidence typed beside it; no variable in both."""
    for variable in typed:
        if variable in row:
            raise ModelError(f"evidence on variable {variable!r} twice: in what is typed and in {where}")
    return {**typed, **row}


def one_line(message: str) -> str:
    """The message with every run of white space and control characters as one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in message).split())


def _assignment(item: str, states: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Split at the `=` that makes sense of both sides, else of the left one, else at the first."""
    parts = item.split("=")
    splits = [("=".join(parts[:i]).strip(), "=".join(parts[i:]).strip()) for i in range(1, len(parts))]
    if not splits:
        raise ModelError(f'--evidence: expected VARIABLE=STATE, got {item!r}; quote a name that holds a comma: A="x,y"')
    return max(splits, key=lambda split: _sense(split, states))


def _sense(split: Sequence[str], states: Mapping[str, Collection[str]]) -> int:
    variable, state = split
    return (variable in states) + (state in states.get(variable, ()))


def runs(states: list[int]) -> str:
    """A path as its runs of equal states, the first of them."""
    found = [f"{state}×{len(list(rows))}" for state, rows in islice(groupby(states), RUNS + 1)]
    return " ".join(found[:RUNS]) + (" …" if len(found) > RUNS else "")
