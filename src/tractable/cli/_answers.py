"""What was asked and what was found, case by case: the verbs are called here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import tractable as tr
from tractable.cli import _text
from tractable.models._base import unknown_variable

Network = tr.BayesianNetwork | tr.MarkovNetwork


class Asked(NamedTuple):
    """A query without its evidence."""

    targets: tuple[str, ...]
    joint: bool
    most_probable: bool
    memory: str | None


class Answer(NamedTuple):
    """What was found for one case; arrays have one axis for each variable."""

    evidence: Mapping[str, str]
    log_evidence: tr.Certificate
    marginals: dict[str, np.ndarray]
    joint: np.ndarray | None
    most_probable: tr.MostProbable | None
    plan: tr.Plan


def cases(net: Network, typed: str, path: str | None) -> list[dict[str, str]]:
    """The evidence of each case: what is typed, and with it each row of a file."""
    given = _text.assignments(typed, net.states)
    if path is None:
        return [given]
    return [_text.merged(given, row, path) for row in tr.read_evidence(path, net)]


def targets(net: Network, text: str, joint: bool) -> tuple[str, ...]:
    """The variables asked for: those named, else all."""
    named = tuple(dict.fromkeys(_text.names(text)))
    for name in named:
        if name not in net.states:
            raise unknown_variable(name, net.states)
    if joint and not named:
        raise tr.ModelError("--joint needs the variables it is over: --target A,B")
    return named or tuple(net.states)


def answers(net: Network, given: Sequence[dict[str, str]], asked: Asked) -> Iterator[Answer]:
    """Answer every case; several are run as one batch."""
    if len(given) == 1:
        yield _single(net, given[0], asked)
    elif given:
        yield from _batch(net, given, asked)


def cells(net: Network, variables: Sequence[str], table: np.ndarray) -> Iterator[tuple[dict[str, str], float]]:
    """Every cell of a table over `variables`, as its states and its value."""
    for index in np.ndindex(table.shape):
        yield {v: net.states[v][i] for v, i in zip(variables, index, strict=True)}, float(table[index])


def _single(net: Network, evidence: dict[str, str], asked: Asked) -> Answer:
    posterior = tr.infer(net, evidence, memory=asked.memory)
    return Answer(
        evidence=evidence,
        log_evidence=posterior.log_partition,
        marginals={v: posterior.marginals.array(v) for v in asked.targets},
        joint=posterior.joint(asked.targets) if asked.joint else None,
        most_probable=tr.most_probable(net, evidence) if asked.most_probable else None,
        plan=posterior.plan,
    )


def _batch(net: Network, given: Sequence[dict[str, str]], asked: Asked) -> Iterator[Answer]:
    raise NotImplementedError
