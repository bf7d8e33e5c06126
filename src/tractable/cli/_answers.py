"""What was asked and what was found, case by case: the verbs are called here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import tractable as tr
from tractable.cli import _text
from tractable.cli._table_files import Picked, Texts
from tractable.models._base import unknown_variable
from tractable.models.conditioning import TableModel as Network
from tractable.models.evidence import parse_evidence


class ShownQuery(NamedTuple):
    """A query without its evidence."""

    targets: tuple[str, ...]
    joint: bool
    most_probable: bool
    memory: str | None


class ShownAnswer(NamedTuple):
    """What was found for one case; arrays have one axis for each variable."""

    evidence: Mapping[str, Any]
    log_evidence: tr.Certificate
    marginals: dict[str, np.ndarray]
    joint: np.ndarray | None
    most_probable: tr.MostProbable | None
    plan: tr.Plan


def network(path: str) -> Network:
    """The network in a file."""
    return as_network(path, tr.load(path))


def as_network(path: str, found: Any) -> Network:
    """What was found in a file, if it is a network."""
    if found.family != "tables":
        raise tr.ModelError(
            f"{path} holds a {type(found).__name__}; this command is for networks, `score` for machines"
        )
    return found


@dataclass(frozen=True)
class CaseOptions(Picked):
    """What is observed."""

    evidence: Annotated[
        Texts, typer.Option(metavar="A=x,B=y", help='What is observed; quote a name that holds a comma: A="x,y".')
    ] = None
    soft: Annotated[
        Texts, typer.Option(metavar="A=x:0.7,y:0.3", help="How likely what was seen of A is under each of its states.")
    ] = None
    evidence_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Cases: .evid, or .csv with a row for each (an empty cell is unobserved)."),
    ] = None

    def read(self, net: Network) -> list[dict[str, Any]]:
        """The evidence of each case: what is typed, and with it each row of a file."""
        read = parse_evidence(net.states, _text.assignments(self.evidence, net.states))
        seen = zip(net.states.items(), read.states.tolist(), strict=True)
        given: dict[str, Any] = {v: names[s] for (v, names), s in seen if s >= 0}
        given = _text.merged(given, _text.softly(self.soft, net.states), "--soft")
        if (path := self.evidence_file) is None:
            return [given]
        return [_text.merged(given, row, path) for row in tr.read_evidence(path, net, **self.asked)]


def targets(net: Network, texts: Sequence[str] | None, joint: bool) -> tuple[str, ...]:
    """The variables asked for: those named, else all."""
    named = tuple(dict.fromkeys(_text.names(texts)))
    for name in named:
        if name not in net.states:
            raise unknown_variable(name, net.states)
    if joint and not named:
        raise tr.ModelError("--joint needs the variables it is over: --target A,B")
    return named or tuple(net.states)


def answers(net: Network, given: Sequence[dict[str, Any]], asked: ShownQuery) -> Iterator[ShownAnswer]:
    """Answer every case; several are run as one batch."""
    if len(given) == 1:
        yield _single(net, given[0], asked)
    elif given:
        yield from _batch(net, given, asked)


def cells(net: Network, variables: Sequence[str], table: np.ndarray) -> Iterator[tuple[dict[str, str], float]]:
    """Every cell of a table over `variables`, as its states and its value."""
    for states, p in zip(product(*(net.states[v] for v in variables)), table.ravel().tolist(), strict=True):
        yield dict(zip(variables, states, strict=True)), p


def _single(net: Network, evidence: dict[str, Any], asked: ShownQuery) -> ShownAnswer:
    posterior = tr.infer(net, evidence, memory=asked.memory)
    answer = ShownAnswer(evidence, posterior.log_partition, {}, None, None, posterior.plan)
    if not posterior.possible:
        return answer
    return answer._replace(
        marginals={v: posterior.marginals.array(v) for v in asked.targets},
        joint=posterior.joint(asked.targets) if asked.joint else None,
        most_probable=tr.most_probable(net, evidence, memory=asked.memory) if asked.most_probable else None,
    )


def _batch(net: Network, given: Sequence[dict[str, Any]], asked: ShownQuery) -> Iterator[ShownAnswer]:
    """Marginals of all cases at once; what has no batched form, case by case."""
    if asked.joint or asked.most_probable:
        yield from (_single(net, evidence, asked) for evidence in given)
        return
    posterior = tr.infer(net, list(given), memory=asked.memory)
    tables = {v: posterior.marginals.array(v) for v in asked.targets}
    for row, (evidence, possible) in enumerate(zip(given, posterior.possible, strict=True)):
        marginals = {v: table[row] for v, table in tables.items()} if possible else {}
        yield ShownAnswer(evidence, posterior.log_partition[row], marginals, None, None, posterior.plan)
