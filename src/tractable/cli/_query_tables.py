"""Answers about components, states along sequences and units, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import tractable as tr
from tractable.cli._block_tables import show_block
from tractable.cli._blocks import Block
from tractable.cli._printed import MAX_COLUMNS, MAX_ROWS, certified, console, new_table
from tractable.cli._query_base import COVERAGE, OtherQuery, ShownCase
from tractable.cli._tables import show_model

REST = "--json has it all"


def show(question: OtherQuery, cases: Sequence[ShownCase]) -> None:
    """One case in full; of several a row each."""
    if not question.common.quiet:
        show_model(question.path, question.model)
    if len(cases) == 1:
        _show_one(question, cases[0])
    elif question.wanted.summed:
        _show_logs(cases)
    if len(cases) != 1 and question.wanted.ranks:
        _show_best(cases)


def _show_one(question: OtherQuery, case: ShownCase) -> None:
    if case.log_evidence is not None:
        impossible = "; the evidence is impossible" if np.max(case.log_evidence.upper) == -math.inf else ""
        console.print(f"{_of(question)} = {certified(case.log_evidence)}{impossible}\n", soft_wrap=True)
    for block in case.blocks:
        show_block(block, REST)
    for note in case.notes:
        console.print(note)
    if question.model.family == "mixture" and len(case.blocks) > 1:
        console.print(f"low and high: the interval that holds {100 * COVERAGE:g} %; exact")
    if case.best is not None:
        _show_ranked(question, case.best)


def _of(question: OtherQuery) -> str:
    """What the number in front is."""
    if question.model.family == "boltzmann":
        return "log of the sum over all that is free"
    return "log p(what is observed)"


def _show_ranked(question: OtherQuery, best: Sequence[tr.MostProbable]) -> None:
    """The best of one case side by side, with what each has."""
    if not best:
        return console.print("the evidence is impossible")
    shown = best[:MAX_COLUMNS]
    for name in shown[0].assignment:
        show_block(_ranks(question, name, shown), REST)
    what = (
        "log weight, not divided by Z," if question.model.family == "boltzmann" else "log p(these and what is observed)"
    )
    for rank, own in enumerate(shown, 1):
        ends = "" if own.optimum.kind == "exact" else f"; the optimum is {certified(own.optimum)}"
        tied = "; another one is as probable" if own.tied else ""
        console.print(f"{rank}: {what} = {certified(own.log_probability)}{ends}{tied}", soft_wrap=True)
    if len(best) > len(shown):
        console.print(f"… and {len(best) - len(shown):,} more of the best; --json has them all")


def _ranks(question: OtherQuery, name: str, best: Sequence[tr.MostProbable]) -> Block:
    """The states of one group, chain or variable, each of the best in a column."""
    heads = ["most probable", *map(str, range(2, len(best) + 1))]
    values = np.stack([_numbers(own.assignment[name]) for own in best], axis=1)
    if question.model.family == "mixture":
        return Block(name, (name,), [("",)], "", heads, values)
    row = "unit" if hasattr(question.model, "groups") else "row"
    return Block(name, (row,), [(str(i),) for i in range(len(values))], "", heads, values)


def _numbers(value: Any) -> np.ndarray:
    """States as numbers; of a component its number."""
    return np.atleast_1d(np.asarray(value, np.float64)).ravel()


def _show_logs(cases: Sequence[ShownCase]) -> None:
    """What the evidence of each case has, and in a word what is known."""
    names = [*dict.fromkeys(name for case in cases for name in case.tops)][:MAX_COLUMNS]
    table = new_table("case", "log evidence", "kind", *names, left=0)
    for number, case in enumerate(cases[:MAX_ROWS], 1):
        log = case.log_evidence
        own = (f"{float(log.value):.10g}", log.kind) if log is not None else ("", "")
        table.add_row(str(number), *own, *(case.tops.get(name, "") for name in names))
    console.print(table)
    _tell_more(len(cases) - MAX_ROWS)


def _show_best(cases: Sequence[ShownCase]) -> None:
    """The best of each case in a line."""
    table = new_table("case", "rank", "log probability", "most probable", left=0)
    rows = [(number, rank, own) for number, case in enumerate(cases, 1) for rank, own in enumerate(case.best or [], 1)]
    for number, rank, own in rows[:MAX_ROWS]:
        told = "; ".join(f"{name} {_line(value)}" for name, value in own.assignment.items())
        table.add_row(str(number), str(rank), f"{float(own.log_probability.value):.10g}", told)
    console.print(table)
    _tell_more(len(rows) - MAX_ROWS)


def _line(value: Any) -> str:
    flat = np.ravel(value).tolist()
    return " ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in flat[:12]) + (" …" if len(flat) > 12 else "")


def _tell_more(n: int) -> None:
    if n > 0:
        console.print(f"… and {n:,} rows more; --json has them all")
