"""UAI evidence: ``k v s v s …``, the number of observed variables and then index and state of each.

An older form begins with the number of cases and then gives each in this way. An empty file observes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tractable.formats._base import FormatError, Source, States, encoded, line_of_word, shown
from tractable.formats.uai import without_comments
from tractable.models import ModelError
from tractable.models._base import unknown_state, unknown_variable


def read(source: Source, states: States) -> list[dict[str, str]]:
    """The cases in a UAI evidence file."""
    text = without_comments(source.text())
    source = replace(source, data=text.encode())
    numbers = _whole_numbers(source, text)
    starts = _starts(text, numbers)
    if starts is None:
        cause = f"the counts do not fit the {len(numbers)} numbers; expected: k, then k times variable and state"
        raise source.error(cause, 1)
    names = list(states)
    return [_case(source, numbers, start, states, names) for start in starts] if numbers else [{}]


def _whole_numbers(source: Source, text: str) -> list[int]:
    words = text.split()
    for index, word in enumerate(words):
        if not (word.isascii() and word.isdigit() and len(word) <= 18):
            raise source.error(f"expected a whole number ≥ 0, found {shown(word)}", line_of_word(text, index))
    return list(map(int, words))


def _starts(text: str, numbers: Sequence[int]) -> list[int] | None:
    """Where the cases begin, in the form that fits the counts; where both fit, the lines tell."""
    one = [0] if not numbers or len(numbers) == 1 + 2 * numbers[0] else None
    many = _starts_of_many(numbers)
    if one and many:
        return many if _is_a_case_a_line(text) else one
    return one or many


def _is_a_case_a_line(text: str) -> bool:
    first, *others = (line.split() for line in text.splitlines() if line.strip())
    return len(first) == 1 and all(len(line) == 1 + 2 * int(line[0]) for line in others)


def _starts_of_many(numbers: Sequence[int]) -> list[int] | None:
    starts, at = [], 1
    while at < len(numbers):
        starts.append(at)
        at += 1 + 2 * numbers[at]
    return starts if numbers and at == len(numbers) and len(starts) == numbers[0] else None


def _case(source: Source, numbers: Sequence[int], start: int, states: States, names: Sequence[str]) -> dict[str, str]:
    case: dict[str, str] = {}
    for at in range(start + 1, start + 1 + 2 * numbers[start], 2):
        variable, state = numbers[at], numbers[at + 1]
        if variable >= len(names):
            raise _at(source, at, f"unknown variable {variable}; the model's variables are 0 to {len(names) - 1}")
        name = names[variable]
        if state >= len(states[name]):
            last = len(states[name]) - 1
            raise _at(source, at, f"variable {variable} ({shown(name)}) has no state {state}, only 0 to {last}")
        if name in case:
            raise _at(source, at, f"variable {variable} ({shown(name)}) is observed twice; keep one")
        case[name] = states[name][state]
    return case


def _at(source: Source, index: int, cause: str) -> FormatError:
    return source.error(cause, line_of_word(source.text(), index))


def write(cases: Sequence[Mapping[str, str]], states: States) -> bytes:
    """Cases as UAI evidence: the plain form for one, the older form for several."""
    if not cases:
        raise ModelError("there is no case to write; UAI evidence holds at least one")
    index = {name: v for v, name in enumerate(states)}
    lines = [_line(case, states, index) for case in cases]
    return encoded("\n".join(lines if len(lines) == 1 else [str(len(lines)), *lines]) + "\n")


def _line(case: Mapping[str, str], states: States, index: Mapping[str, int]) -> str:
    parts = [len(case)]
    for name, state in case.items():
        if name not in index:
            raise unknown_variable(name, index)
        if state not in states[name]:
            raise unknown_state(name, state, states[name])
        parts += [index[name], states[name].index(state)]
    return " ".join(map(str, parts))
