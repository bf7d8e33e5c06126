"""What a value means: one rule for every verb, file and container.

1. Exact text wins.
2. Else a value that reads as a number or boolean names the one state that reads as the same: 1, 1.0, "1", True, "true".
3. Only where no state of the variable reads as one, a whole number, or text that reads as one, is an index.
4. ``NA``, ``NaN``, ``?`` or nothing is missing, unless the variable has that state.

So the meaning depends on the states alone: not on a type, on the length of a column, or on what else is in it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tractable.models._base import ModelError, unknown_state

MISSING_WORDS = frozenset({"", "?", "na", "nan"})
"""What a cell of text says where there is nothing, in any case."""

_WORDS = {"true": 1, "false": 0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)
_DIGITS, _SHOWN = 300, 60
_SPAN = 1 << 16
"""Whole numbers of a column are looked up in a table where they lie this near to each other."""


def text_of(value: Any) -> str:
    """A value as the name of a state; what is whole is written as such.

    >>> [text_of(x) for x in (1, 1.0, True, 0.5, np.float32(0.1), "yes")]
    ['1', '1', 'True', '0.5', '0.1', 'yes']
    """
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and abs(value) < 2**63 and value == int(value):
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # of a whole number Python writes no more
        raise ModelError(f"a number of more than {sys.get_int_max_str_digits()} digits is no name") from None


def number_of(value: Any) -> Any:
    """The number that a value reads as, None where it is none.

    >>> [number_of(x) for x in (True, "true", "1.0", " 2e3 ", np.float32(0.1), "yes", "1_0", float("nan"))]
    [1, 1, 1.0, 2000.0, 0.1, None, None, None]
    """
    if isinstance(value, str):
        return _number_in(value.strip().lower())
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(str(value)) if np.isfinite(value) else None  # of single precision, what it is written as
    if isinstance(value, np.ndarray) and not value.ndim:
        return number_of(value.item())
    number: Any = value
    return number if is_decimal(number) and number.is_finite() else None


def is_decimal(value: Any) -> bool:
    """Whether a value is a ``Decimal``; nobody has one before its module is loaded, which this need not do."""
    return "decimal" in sys.modules and isinstance(value, sys.modules["decimal"].Decimal)


def _number_in(word: str) -> int | float | None:
    if word in _WORDS:
        return _WORDS[word]
    if len(word) > _DIGITS or not _NUMBER.fullmatch(word):
        return None
    return int(word) if word.lstrip("+-").isdigit() else float(word)


def shown(value: Any) -> str:
    """A value as it is typed, its beginning where it is long."""
    try:
        told = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # a whole number that Python does not write
        told = f"a number near 2**{int(value).bit_length()}"
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}…"


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, or what other libraries have for nothing; of text see `MISSING_WORDS`."""
    if value is None or type(value).__name__ == "MaskedConstant":  # of numpy.ma, which nothing else here loads
        return True
    if isinstance(value, str):
        return False
    try:
        return bool(value != value)
    except TypeError:  # pandas' own NA does not say
        return True
    except ValueError:  # an array
        return False


def is_missing_word(text: str) -> bool:
    """Whether a cell of text says that there is nothing, where no state has that name."""
    return text.strip().casefold() in MISSING_WORDS


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, or text that reads as one; a boolean is none."""
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return False
    number = number_of(value)
    return number is not None and not isinstance(value, bool | np.bool_) and number == int(number)


def _single(value: Any) -> Any:
    """A value that is text in bytes, or that an array of its own holds, as such."""
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, np.ndarray) and not value.ndim:
        return None if is_missing(value) else value.item()
    return value


class StateReader:
    """How the values of one variable are read: value → index of its state, −1 where it is missing."""

    def __init__(self, variable: str, names: Sequence[str]):
        self.variable, self.names = variable, names
        self.places = {name: k for k, name in enumerate(names)}
        self.known: dict[Any, int] = {**self.places, None: -1}
        self.words = frozenset(name.strip().casefold() for name in names)
        self.numbers: dict[Any, list[str]] = {}
        for name in names:
            if (number := number_of(name)) is not None:
                self.numbers.setdefault(number, []).append(name)

    def code(self, value: Any) -> int:
        """The index of the state that a value names; −1 where it is missing.

        Raises
        ------
        ModelError : no state, or two, that the value could mean.
        """
        value = _single(value)
        if isinstance(value, str):
            for text in (value, value.strip()):
                if text in self.places:
                    return self.places[text]
            if is_missing_word(value) and value.strip().casefold() not in self.words:
                return -1
            return self._by_number(value)
        self._check_single(value)
        return -1 if is_missing(value) else self._by_number(value)

    def _check_single(self, value: Any) -> None:
        if isinstance(value, list | tuple | np.ndarray):
            raise self._error(f"a {type(value).__name__} is no state; soft evidence is tr.likelihood({value!s:.60})")
        if isinstance(value, Mapping) or hasattr(value, "weights"):
            raise self._error(
                f"{shown(value)} is no state; soft evidence is for networks, in evidence of infer and its like"
            )

    def _by_number(self, value: Any) -> int:
        number = number_of(value)
        if number is None:
            text = text_of(value)
            if text not in self.places:
                raise unknown_state(self.variable, text, self.names)
            return self.places[text]
        if self.numbers:
            return self.places[self._only(value, self.numbers.get(number, []))]
        if not is_whole(value):
            raise self._error(
                f"{shown(value)} is none of its states ({self._listed}), and no index; "
                "soft evidence has a form of its own: tr.likelihood([...]), or state → weight"
            )
        if not 0 <= number < len(self.names):
            raise self._error(
                f"there is no state number {shown(value)}; it has {len(self.names)} states ({self._listed}), "
                "and where none of them is a number, a whole number is an index from 0"
            )
        return int(number)

    def _only(self, value: Any, found: list[str]) -> str:
        """The one state that reads as the same number."""
        if len(found) == 1:
            return found[0]
        if found:
            raise self._error(f"{shown(value)} could be {' or '.join(map(repr, found))}; give the state as text")
        raise self._error(
            f"no state is {shown(value)} (it has {self._listed}); "
            "a number names the state that reads as the same number"
        )

    @property
    def _listed(self) -> str:
        return ", ".join(self.names[:8]) + (", …" if len(self.names) > 8 else "")

    def _error(self, told: str) -> ModelError:
        return ModelError(f"variable {self.variable!r}: {told}")

    # ------------------------------------------------------------ columns

    def codes(self, cells: Any) -> np.ndarray:
        """The indices of the states of a column [n_rows], −1 where it is missing.

        Raises
        ------
        ModelError : as of `code`; the message names the row.
        """
        if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
            return self._of_numbers(cells)
        cells = cells.tolist() if isinstance(cells, np.ndarray) else cells
        if (found := self.plain(cells)) is not None:
            return found
        types = {*map(type, cells)}
        booleans = {bool, np.bool_} & types  # True == 1 for a dictionary, but where 1 is an index True is none
        read = self.code if booleans and len(types) > 1 else _Codes(self).__getitem__
        try:
            return np.fromiter(map(read, cells), np.int32, len(cells))
        except (ModelError, TypeError):  # a list has no hash
            return np.array([self._at(row, value) for row, value in enumerate(cells)], np.int32)

    def plain(self, cells: Any) -> np.ndarray | None:
        """The indices of a column of names and None alone; None where there is anything else in it."""
        try:
            return np.fromiter(map(self.known.__getitem__, cells), np.int32, len(cells))
        except (KeyError, TypeError):
            return None

    def _at(self, row: int, value: Any) -> int:
        try:
            return self.code(value)
        except ModelError as error:
            raise ModelError(f"row {row}: {error}") from None

    def _of_numbers(self, array: np.ndarray) -> np.ndarray:
        """Each different number is read once."""
        values, which = distinct(array)
        try:
            table = np.array([self.code(x) for x in values], np.int32)
        except ModelError:
            bad = [k for k, x in enumerate(values) if not self._is_known(x)]
            row = int(np.isin(which, bad).argmax())
            self._at(row, values[which[row]])
            raise
        return table[which] if len(values) else np.zeros(0, np.int32)

    def _is_known(self, value: Any) -> bool:
        try:
            self.code(value)
        except ModelError:
            return False
        return True


class _Codes(dict):
    """Cell → index of its state, each different cell read once."""

    def __init__(self, reader: StateReader):
        super().__init__(reader.places)
        self.reader = reader

    def __missing__(self, cell: Any) -> int:
        code = self.reader.code(cell)
        if len(self) < _SPAN:
            self[cell] = code
        return code


def distinct(array: np.ndarray) -> tuple[Any, np.ndarray]:
    """The different values of an array of numbers, and which of them each entry is [n]."""
    if array.dtype.kind == "b":
        return [False, True], array.astype(np.intp)
    if array.dtype.kind in "iu" and array.size:
        low, high = int(array.min()), int(array.max())
        if high - low < _SPAN:
            there = np.zeros(high - low + 1, bool)
            places = array.astype(np.intp) - low if high < 2**63 else (array - low).astype(np.intp)
            there[places] = True
            return (np.flatnonzero(there) + low).tolist(), (there.cumsum() - 1)[places]
    values, which = np.unique(array, return_inverse=True)
    return values, which.ravel()


@lru_cache(512)
def state_reader(variable: str, names: tuple[str, ...]) -> StateReader:
    """The reader of a variable with these states."""
    return StateReader(variable, names)


def state_index(variable: str, value: Any, names: tuple[str, ...]) -> int:
    """The index of the state that a value names, −1 where it is missing.

    >>> state_index("a", 1, ("1", "0")), state_index("a", 1, ("no", "yes")), state_index("a", "NA", ("no", "yes"))
    (0, 1, -1)
    """
    if isinstance(value, str) and value in names:
        return names.index(value)
    return state_reader(variable, names).code(value)


def ordered_values(values: Iterable[Any]) -> list[str]:
    """Different values as names of states: numbers by size, then the rest by the alphabet; what is missing left out.

    >>> ordered_values(["b", 10, 2.0, None, "a", "10", "NA"])
    ['2', '10', 'a', 'b']
    """
    texts = {text_of(x): number_of(x) for x in values if not is_missing(x)}
    kept = {text.strip(): number for text, number in texts.items() if not is_missing_word(text)}
    return sorted(kept, key=lambda text: (kept[text] is None, kept[text] or 0, text))
