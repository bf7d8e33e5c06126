"""The cells of text files: which are numbers, which are missing, and what mark of decimals they have."""

from __future__ import annotations

import re
from collections.abc import Collection
from math import isinf

from tractable.formats._base import shown
from tractable.models.values import MISSING_WORDS, is_missing_word

_WORDS = {**dict.fromkeys(MISSING_WORDS, float("nan")), "true": 1.0, "false": 0.0}
_INFINITE = {"inf", "infinity"}
_WORDLIKE = {*_WORDS, *(sign + word for word in _INFINITE for sign in ("", "+", "-"))}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.ASCII)
_MAY_BE_NUMBERS = "0123456789+-.,?iItTfFnN \t"


def number(cell: str, comma: bool = False) -> float:
    """The number in a cell, NaN if it is missing; `comma`: decimals follow a comma.

    >>> number(" 2.5"), number("?"), number("TRUE"), number("2,5", comma=True)
    (2.5, nan, 1.0, 2.5)
    """
    word = cell.strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    if comma:
        if "." in word:
            raise ValueError(f"{shown(cell)} is not a number where decimals follow a comma")
        word = word.replace(",", ".", 1)
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{shown(cell)} is not a number; leave a missing cell empty") from None
    if "_" in word:  # Python's own literals
        raise ValueError(f"{shown(cell)} is not a number; leave a missing cell empty")
    if isinf(value) and word.lstrip("+-") not in _INFINITE:
        raise ValueError(f"{shown(cell)} is too large for a number of 64 bits")
    return value


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, or is missing, without an exception for each that is none.

    >>> [is_number(cell) for cell in ("1.5", "NA", "-inf", "north", "1_0", "1e999")]
    [True, True, True, False, False, True]
    """
    if not may_be_number(cell):
        return False
    word = cell.strip().casefold()
    return word in _WORDLIKE or _NUMBER.fullmatch(word) is not None


def is_value(cell: str) -> bool:
    """Whether a cell holds a number."""
    return is_number(cell) and not is_missing_word(cell)


def may_be_number(cell: str) -> bool:
    """Whether a cell begins as numbers do, and the signs of what is missing."""
    return cell[:1] in _MAY_BE_NUMBERS


def is_truth(cell: str) -> bool:
    """Whether a cell says true or false."""
    return len(cell) < 12 and cell.strip().casefold() in ("true", "false")


def all_numbers(cells: Collection[str]) -> bool:
    """Whether all cells are numbers or missing; most often the first says that they are not."""
    return is_number(next(iter(cells), "")) and all(map(is_number, {*cells}))


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number with a comma before its decimals.

    >>> has_decimal_comma("-1,5"), has_decimal_comma("1,2,3"), has_decimal_comma("1.5")
    (True, False, False)
    """
    return _DECIMAL_COMMA.fullmatch(cell.strip().lower()) is not None


def with_point(cell: str, comma: bool) -> str:
    """A cell of a file whose decimals follow a comma as it reads elsewhere: a number has a point.

    >>> with_point("1,5", True), with_point("1,5", False), with_point("a,b", True)
    ('1.5', '1,5', 'a,b')
    """
    return cell.replace(",", ".") if comma and has_decimal_comma(cell) else cell


class CellNumbers(dict):
    """Cell → number, each distinct cell converted once: columns with few values repeat them."""

    def __init__(self, comma: bool):
        super().__init__()
        self.comma = comma

    def __missing__(self, cell: str) -> float:
        value = number(cell, self.comma)
        if len(self) < 2**16:
            self[cell] = value
        return value
