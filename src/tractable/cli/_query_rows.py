"""`query` of mixtures and hidden Markov models: components, columns that are not observed, states along sequences."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import typer

import tractable as tr
from tractable.cli import _text
from tractable.cli._blocks import Block, alone, numbered, one_row
from tractable.cli._query_base import (
    COVERAGE,
    MOMENTS,
    OtherQuery,
    ShownCase,
    case_of,
    joined,
    number_in,
    plan_of,
    searched,
    summed,
    told,
)
from tractable.cli._table_files import once, values_of
from tractable.models._base import nearest

# ---------------------------------------------------------------- mixtures


def mixture_cases(question: OtherQuery) -> Iterator[ShownCase]:
    """The component of each row, and what its other columns may hold."""
    model, rows = question.model, _rows(question)
    plain, names = model.unnamed, model.named.names if model.named else numbered(model.n_columns)
    _check_targets(question, ("component", *names))
    post, best = summed(question, rows, plain), searched(question, rows, plain)
    for row, x in enumerate(rows):
        own, log = case_of(best, row, True), _log(post, row, True)
        case = ShownCase(log, [], told(question, log, own, plan_of(post, best)), {}, own)
        if log is not None and float(log.value) > -math.inf:
            p = post.marginals.array("component")[row]
            case.tops["component"] = f"{int(p.argmax())} {p.max():.4f}"
            if question.common.json or len(rows) == 1:  # nothing more of several is printed
                _tell_row(question, case, x, p)
        yield case


def _tell_row(question: OtherQuery, case: ShownCase, row: np.ndarray, p: np.ndarray) -> None:
    """The component of a row, and the columns that it does not observe."""
    if question.asks("component"):
        case.blocks.append(one_row("component", "component", numbered(len(p)), p))
        case.record["marginals"] = {"component": _by_name(case.blocks[0])}
    free = [*_missing(question, row)]
    case.record.update({"columns": {block.name: _by_name(block) for block in free}, "coverage": COVERAGE})
    case.blocks += _together(free)


def _by_name(block: Block) -> dict[str, float]:
    return dict(zip(block.columns, block.values[0].tolist(), strict=True))


def _together(found: Sequence[Block]) -> Iterator[Block]:
    """Columns of numbers in one table, and those of categories in one each."""
    numbers = [block for block in found if not block.of]
    if numbers:
        values = np.concatenate([block.values for block in numbers])
        yield Block(
            "columns that are not observed", ("column",), alone(own.name for own in numbers), "", MOMENTS, values
        )
    yield from (block for block in found if block.of)


def _missing(question: OtherQuery, row: np.ndarray) -> Iterator[Block]:
    """What the columns that a row does not observe may hold: a mean, a deviation and an interval, or states."""
    left: Any = tr.condition(question.model.unnamed, row[None])
    named, free = question.model.named, np.flatnonzero(np.isnan(row)).tolist()
    if left.emissions is None:
        return
    predictive, (low, high) = left.predictive, left.predictive.interval(COVERAGE)
    for j, at in enumerate(free):
        name = named.names[at] if named else str(at)
        if not question.asks(name):
            continue
        if states := predictive.states(j):
            own = named.categories[name] if named else states
            yield one_row(name, name, own, predictive.probabilities(j))
        else:
            numbers = [float(a[0, j]) for a in (predictive.means, predictive.deviations, low, high)]
            yield one_row(name, "", MOMENTS, numbers)


def _rows(question: OtherQuery) -> np.ndarray:
    """Rows of numbers, NaN for what is not observed: what is typed holds in each row of a file."""
    from tractable.models.mixture import read_rows

    model, given = question.model, question.given
    typed = read_rows(model, _typed(question))[0]
    if (path := given.evidence_file) is None:
        return typed[None]
    source = once(path)
    with values_of(source):
        rows = np.array(read_rows(model, given.rows(source)), np.float64)
    return joined(rows, typed, path)


def _typed(question: OtherQuery) -> dict[Any, Any] | None:
    """Evidence as typed: column → value."""
    named = question.model.named
    states = {**dict.fromkeys(named.names, ()), **named.categories} if named else _numbers(question.model.n_columns)
    found = _text.assignments(question.given.evidence, states)
    if unknown := [name for name in found if name not in states]:
        raise tr.ModelError(f"unknown column {unknown[0]!r}{nearest(unknown[0], states)}")
    values = {name: text if states[name] else number_in(name, text) for name, text in found.items()}
    return (values if named else {int(name): x for name, x in values.items()}) or None


def _numbers(n: int) -> dict[str, Sequence[str]]:
    """Columns without names, none of which has states that have names."""
    return dict.fromkeys(numbered(n), ())


def _check_targets(question: OtherQuery, known: Iterable[str]) -> None:
    names = {*known}
    if unknown := [name for name in question.targets if name not in names]:
        raise tr.ModelError(f"unknown target {unknown[0]!r}{nearest(unknown[0], names)}")


# ---------------------------------------------------------------- sequences


def chain_cases(question: OtherQuery) -> Iterator[ShownCase]:
    """The states along each sequence, given all of it."""
    source, sequences = _sequences(question)
    model, many = question.model, sequences.many
    chains = ["state"] if model.family == "hidden_markov" else model.chains
    _check_targets(question, chains)
    with values_of(source):
        post, best = summed(question, sequences, model), searched(question, sequences, model)
    _warn(post, many)
    for s in range(len(sequences)):
        own, log = case_of(best, s, many), _log(post, s, many)
        case = ShownCase(
            log, [], told(question, log, own, plan_of(post, best)), {"rows": f"{sequences.sizes[s]:,}"}, own
        )
        if log is not None and float(np.max(log.upper)) > -math.inf:
            case.blocks += _paths_of(question, post, chains, s if many else None)
            case.record["marginals"] = {block.of: block.values.tolist() for block in case.blocks}
            case.tops.update({block.of: _runs(block) for block in case.blocks})
        yield case


def _warn(post: Any, many: bool) -> None:
    """Say which of several sequences are impossible."""
    if post is not None and many and post.log_partition.verdict:
        print(f"tractable: {_text.one_line(post.log_partition.verdict)}", file=sys.stderr)


def _sequences(question: OtherQuery) -> tuple[Any, Any]:
    """The file of sequences, and what is in it."""
    given = question.given
    if given.evidence:
        raise typer.BadParameter("--evidence: of a hidden Markov model sequences are observed: --evidence-file FILE")
    if given.evidence_file is None:
        raise typer.BadParameter(
            "a hidden Markov model is asked about sequences: --evidence-file FILE, with --by COLUMN"
        )
    source = once(given.evidence_file)
    return source, question.cut.read(source, given)


def _log(post: Any, s: int, many: bool) -> tr.Certificate | None:
    """log p of one of the sequences, where it is asked for."""
    if post is None:
        return None
    return post.log_partition[s] if many else post.log_partition


def _paths_of(question: OtherQuery, post: Any, chains: Sequence[str], s: int | None) -> Iterator[Block]:
    """The probabilities of the states of each chain in each row."""
    for name in filter(question.asks, chains):
        found = post.marginals[name] if s is None else post.marginals[name][s]
        rows = alone(map(str, range(len(found))))
        yield Block(f"{name} of each row", ("row",), rows, name, numbered(found.shape[1]), found)


def _runs(block: Block) -> str:
    """The most probable state of each row, in runs."""
    return _text.runs(np.argmax(block.values, axis=1).tolist())
