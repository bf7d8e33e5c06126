"""`query` of what is no network: components of mixtures, states along sequences, units of machines and layers."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer

import tractable as tr
from tractable.cli import _answers, _best, _json, _text
from tractable.cli._blocks import Block, alone, numbered, one_row
from tractable.cli._cutting import SEQUENTIAL, Cutting
from tractable.cli._table_files import once, values_of
from tractable.models._base import nearest

MOMENTS = ("mean", "deviation", "low", "high")
COVERAGE = 0.9
"""The probability that intervals of columns hold."""

NETWORKS_ALONE = {"soft": "--soft", "joint": "--joint", "confidence": "--confidence", "draws": "--draws"}
"""What only networks have, by the field that holds it."""


@dataclass(frozen=True)
class Question:
    """A model, what is observed, what is asked, and how it is answered."""

    path: str
    model: Any
    given: _answers.CaseOptions
    wanted: Any
    terms: Mapping[str, Any]
    common: Any
    cut: Cutting

    @property
    def how(self) -> dict[str, Any]:
        """The method and the budget, as the verbs take them."""
        return {name: self.terms[name] for name in ("method", "memory", "seconds")}

    @property
    def targets(self) -> list[str]:
        """What is asked about, all if empty."""
        return _text.names(self.wanted.target)

    def asks(self, name: str) -> bool:
        """Whether something is asked about."""
        return not self.targets or name in self.targets

    def check(self) -> None:
        """Refuse options that this family has no meaning for."""
        given = {**vars(self.given), **vars(self.wanted), **self.terms}
        told = f"a {type(self.model).__name__}"
        for name, option in NETWORKS_ALONE.items():
            if given[name]:
                raise typer.BadParameter(f"{option} is for networks, and not for {told}: leave it out")
        if self.wanted.output is not None:
            raise typer.BadParameter(f"--output is for networks, and not for {told}: see --json, decode, transform")
        if self.model.family not in SEQUENTIAL:
            self.cut.check_single(self.model)


@dataclass
class ShownCase:
    """What is told of one case."""

    log_evidence: tr.Certificate | None
    blocks: list[Block]
    record: dict[str, Any]
    tops: dict[str, str] = field(default_factory=dict)
    """In a word, where there are several cases."""

    best: list[tr.MostProbable] | None = None
    notes: list[str] = field(default_factory=list)


def answer(question: Question) -> None:
    """Answer, and print it: as JSON a line for each case."""
    question.check()
    family = question.model.family
    if hasattr(question.model, "groups"):
        from tractable.cli._unit_queries import unit_cases as cases  # brings jax
    else:
        cases = _mixture_cases if family == "mixture" else _chain_cases
    found = cases(question)
    if question.common.json:
        for case in found:
            _json.write(case.record)
        return
    from tractable.cli import _query_tables  # brings rich

    _query_tables.show(question, list(found))


def summed(question: Question, evidence: Any, model: Any) -> Any:
    """The posterior, where marginals are asked for."""
    return tr.infer(model, evidence, **question.how) if question.wanted.summed else None


def searched(question: Question, evidence: Any, model: Any) -> list[tr.MostProbable] | None:
    """The most probable states, where these are asked for.

    Raises
    ------
    BudgetError : the budget refuses them.
    """
    if not (ranks := question.wanted.ranks):
        return None
    found = _best.best(model, evidence, ranks, None, question.how)
    if isinstance(found, tr.Plan):
        raise tr.BudgetError(found)
    return found


def told(
    question: Question, log: tr.Certificate | None, best: list[tr.MostProbable] | None, plan: Any
) -> dict[str, Any]:
    """What JSON says of every case, whatever the family."""
    record: dict[str, Any] = {} if log is None else {"log_evidence": log.to_json()}
    if best is not None:
        record |= _best.as_json(best, question.wanted.ranks)
    return {**record, "plan": plan and plan.to_json()}


def case_of(found: list[tr.MostProbable] | None, row: int, many: bool) -> list[tr.MostProbable] | None:
    """The best of one case, as plain values."""
    if found is None:
        return None
    return [own for own in (_one(own, row, many) for own in found) if float(own.log_probability.value) > -math.inf]


def _one(found: tr.MostProbable, row: int, many: bool) -> tr.MostProbable:
    given = found.assignment if found.by_name is None else found.by_name
    own = {name: np.asarray(x[row] if many else x).tolist() for name, x in given.items()}
    if not many:
        return tr.MostProbable(own, found.log_probability, found.plan, None, found.optimum, found.tied)
    tied = bool(np.ravel(found.tied)[row]) if np.ndim(found.tied) else bool(found.tied)
    return tr.MostProbable(own, found.log_probability[row], found.plan, None, found.optimum[row], tied)


def plan_of(post: Any, best: list[tr.MostProbable] | None) -> tr.Plan | None:
    """The plan that ran."""
    return post.plan if post is not None else best[0].plan if best else None


# ---------------------------------------------------------------- mixtures


def _mixture_cases(question: Question) -> Iterator[ShownCase]:
    """The component of each row, and what its other columns may hold."""
    model, rows = question.model, _rows(question)
    plain, names = model.unnamed, model.named.names if model.named else numbered(model.n_columns)
    _check_targets(question, ("component", *names))
    post, best = summed(question, rows, plain), searched(question, rows, plain)
    for row, x in enumerate(rows):
        own = case_of(best, row, True)
        log = None if post is None else post.log_partition[row]
        record, blocks, tops = told(question, log, own, plan_of(post, best)), [], {}
        if post is not None and float(log.value) > -math.inf:
            p, free = post.marginals.array("component")[row], [*_missing(question, x)]
            if question.asks("component"):
                blocks.append(one_row("component", "component", numbered(len(p)), p))
                record["marginals"] = {"component": _by_name(blocks[0])}
            record |= {"columns": {block.name: _by_name(block) for block in free}, "coverage": COVERAGE}
            blocks += [*_together(free)]
            tops["component"] = f"{int(p.argmax())} {p.max():.4f}"
        yield ShownCase(log, blocks, record, tops, own)


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


def _missing(question: Question, row: np.ndarray) -> Iterator[Block]:
    """What the columns that a row does not observe may hold: a mean, a deviation and an interval, or states."""
    left = tr.condition(question.model.unnamed, row[None])
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


def _rows(question: Question) -> np.ndarray:
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


def joined(rows: np.ndarray, typed: np.ndarray, path: str) -> np.ndarray:
    """Rows of a file with what is typed beside it; nothing in both."""
    seen = ~np.isnan(typed)
    if (twice := ~np.isnan(rows) & seen).any():
        column = int(np.argwhere(twice)[0, 1])
        raise tr.ModelError(f"evidence on column {column} twice: in what is typed and in {path}")
    return np.where(seen, typed, rows)


def _typed(question: Question) -> dict[Any, Any] | None:
    """Evidence as typed: column → value."""
    named = question.model.named
    states = dict.fromkeys(named.names if named else numbered(question.model.n_columns), ())
    states |= named.categories if named else {}
    found = _text.assignments(question.given.evidence, states)
    if unknown := [name for name in found if name not in states]:
        raise tr.ModelError(f"unknown column {unknown[0]!r}{nearest(unknown[0], states)}")
    values = {name: text if states[name] else number_in(name, text) for name, text in found.items()}
    return (values if named else {int(name): x for name, x in values.items()}) or None


def number_in(name: str, text: str) -> float:
    """A number as typed."""
    try:
        return float(text)
    except ValueError:
        raise tr.ModelError(f"evidence on {name!r}: expected a number, got {text!r}") from None


def _check_targets(question: Question, known: Iterable[str]) -> None:
    names = {*known}
    if unknown := [name for name in question.targets if name not in names]:
        raise tr.ModelError(f"unknown target {unknown[0]!r}{nearest(unknown[0], names)}")


# ---------------------------------------------------------------- sequences


def _chain_cases(question: Question) -> Iterator[ShownCase]:
    """The states along each sequence, given all of it."""
    model, given = question.model, question.given
    if given.evidence:
        raise typer.BadParameter("--evidence: of a hidden Markov model sequences are observed: --evidence-file FILE")
    if given.evidence_file is None:
        raise typer.BadParameter(
            "a hidden Markov model is asked about sequences: --evidence-file FILE, with --by COLUMN"
        )
    source = once(given.evidence_file)
    sequences = question.cut.read(source, given)
    chains = ["state"] if model.family == "hidden_markov" else model.chains
    _check_targets(question, chains)
    with values_of(source):
        post, best = summed(question, sequences, model), searched(question, sequences, model)
    many = sequences.many
    logs = None if post is None else post.log_partition
    if logs is not None and logs.verdict and many:
        print(f"tractable: {_text.one_line(logs.verdict)}", file=sys.stderr)
    for s in range(len(sequences)):
        own, log = case_of(best, s, many), logs if logs is None or not many else logs[s]
        record, blocks, tops = told(question, log, own, plan_of(post, best)), [], {"rows": f"{sequences.sizes[s]:,}"}
        if post is not None and log is not None and float(np.max(log.upper)) > -math.inf:
            blocks = [*_paths_of(question, post, chains, s if many else None)]
            record["marginals"] = {block.of: block.values.tolist() for block in blocks}
            tops |= {block.of: _runs(block) for block in blocks}
        yield ShownCase(log, blocks, record, tops, own)


def _paths_of(question: Question, post: Any, chains: Sequence[str], s: int | None) -> Iterator[Block]:
    """The probabilities of the states of each chain in each row."""
    for name in filter(question.asks, chains):
        found = post.marginals[name] if s is None else post.marginals[name][s]
        rows = alone(map(str, range(len(found))))
        yield Block(f"{name} of each row", ("row",), rows, name, numbered(found.shape[1]), found)


def _runs(block: Block) -> str:
    """The most probable state of each row, in runs."""
    from tractable.cli._sequences import runs

    return runs(np.argmax(block.values, axis=1).tolist())
