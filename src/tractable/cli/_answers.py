"""What was asked and what was found, case by case: the verbs are called here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import tractable as tr
from tractable.cli import _text
from tractable.cli._best import ShownBest, best, by_case
from tractable.cli._how import SEARCHES
from tractable.cli._table_files import Picked, Texts
from tractable.models._base import unknown_variable
from tractable.models.conditioning import TableModel as Network
from tractable.models.evidence import parse_evidence

MAP = "--map"
"""What is refused where the most probable states are; no variable is called so."""


class ShownQuery(NamedTuple):
    """A query without its evidence."""

    targets: tuple[str, ...]
    joint: bool
    best: int
    """How many of the most probable assignments are asked for."""

    chosen: bool
    """Whether the targets were named; else they are all variables."""

    how: dict[str, Any]
    """Method, budget and terms of intervals, as `infer` takes them."""

    marginals: bool = True
    """Whether marginals and log P are asked for: with most probable assignments only where these are wanted too."""

    @property
    def summed(self) -> dict[str, Any]:
        """How marginals are found: methods that search for states find none."""
        return {**self.how, "method": "auto"} if self.how["method"] in SEARCHES else self.how

    @property
    def asked(self) -> tuple[str, ...] | None:
        """The targets as the verbs take them."""
        return self.targets if self.chosen else None

    def shown(self, net: Network) -> tuple[str, ...]:
        """The variables of the most probable assignments."""
        return self.targets if self.chosen else tuple(net.states)

    @property
    def searched(self) -> dict[str, Any]:
        """How the most probable assignments are found: methods that sum, or average, find none and are not for them."""
        known = ("exact", "elimination", "counting", *SEARCHES)
        method = self.how["method"] if self.how["method"] in known else "auto"
        return {**self.budget, "method": method, "confidence": self.how["confidence"]}

    @property
    def budget(self) -> dict[str, Any]:
        """What answers may take that have no interval."""
        return {name: self.how[name] for name in ("memory", "seconds")}


class ShownAnswer(NamedTuple):
    """What was found for one case; arrays have one axis for each variable, that of a joint those that are free."""

    evidence: Mapping[str, Any]
    log_evidence: tr.Certificate | tr.Plan | None
    """None where the most probable assignments alone are asked for."""

    marginals: dict[str, np.ndarray]
    joint: tr.Certificate | None
    most_probable: ShownBest | None
    plan: tr.Plan | None
    refused: Mapping[str, tr.Plan]
    estimates: Mapping[str, tr.Certificate] = MappingProxyType({})
    """The marginals that are not exact, with their certificates."""

    seconds: float = 0.0
    """How long it took, from the question to the answer; of several cases all together."""

    @property
    def log_value(self) -> float:
        """log P(evidence), NaN where it is refused."""
        return float(self.log_evidence.value) if isinstance(self.log_evidence, tr.Certificate) else math.nan


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

    @property
    def files(self) -> dict[str, str | None]:
        """The file that is read besides the model, by the option that names it."""
        return {"--evidence-file": self.evidence_file}

    def read(self, net: Network) -> list[dict[str, Any]]:
        """The evidence of each case: what is typed, and with it each row of a file."""
        read = parse_evidence(net.states, _text.assignments(self.evidence, net.states))
        seen = zip(net.states.items(), read.states.tolist(), strict=True)
        given: dict[str, Any] = {v: names[s] for (v, names), s in seen if s >= 0}
        given = _text.merged(given, _text.softly(self.soft, net.states), "--soft")
        if (path := self.evidence_file) is None:
            return [given]
        return [_text.merged(given, row, path) for row in tr.read_evidence(path, net, **self.asked)]


def targets(net: Network, texts: Sequence[str] | None, joint: bool = False) -> tuple[str, ...]:
    """The variables that are named, each once."""
    named = tuple(dict.fromkeys(_text.names(texts)))
    for name in named:
        if name not in net.states:
            raise unknown_variable(name, net.states)
    if joint and not named:
        raise tr.ModelError("--joint needs the variables it is over: --target A,B")
    return named


def answers(net: Network, given: Sequence[dict[str, Any]], asked: ShownQuery) -> Iterator[ShownAnswer]:
    """Answer every case; several are run as one batch."""
    if not asked.marginals:
        yield from _best_alone(net, given, asked)
    elif len(given) == 1:
        answer = _single(net, given[0], asked)
        yield answer._replace(most_probable=_best(net, given[0], asked) if asked.best else None)
    elif given:
        together = by_case(_best(net, list(given), asked), len(given)) if asked.best else [None] * len(given)
        found = zip(_batch(net, given, asked), together, strict=True)
        yield from (answer._replace(most_probable=own) for answer, own in found)


def noted(answers: Iterable[ShownAnswer], refused: dict[str, Any]) -> Iterator[ShownAnswer]:
    """The answers, while what was refused in them is noted down."""
    for answer in answers:
        refused.update(answer.refused)
        if isinstance(answer.most_probable, tr.Plan):
            refused[MAP] = answer.most_probable
        yield answer


def _best_alone(net: Network, given: Sequence[dict[str, Any]], asked: ShownQuery) -> Iterator[ShownAnswer]:
    """The most probable assignments of every case, and nothing else, so that none waits for marginals.

    Raises
    ------
    BudgetError : the budget refuses them.
    """
    if not given:
        return
    many = len(given) > 1
    start = time.perf_counter()
    found = _best(net, list(given) if many else given[0], asked)
    if isinstance(found, tr.Plan):
        raise tr.BudgetError(found)
    seconds = time.perf_counter() - start
    impossible, plan = tr.Certificate.exact(-math.inf), found[0].plan if found else None
    for evidence, own in zip(given, by_case(found, len(given)) if many else [found], strict=True):
        yield ShownAnswer(evidence, None if own else impossible, {}, None, own, plan, {}, seconds=seconds)


Between = tuple[float, float] | None


def cells(net: Network, asked: ShownQuery, answer: ShownAnswer) -> Iterator[tuple[dict[str, str], float, Between]]:
    """Every cell of the joint table over the targets: its states (what is observed has its own), value and interval."""
    if answer.joint is None:
        return
    own = [net.states[v] if v in _free(asked, answer.evidence) else (answer.evidence[v],) for v in asked.targets]
    for states, (p, ends) in zip(product(*own), with_ends(answer.joint), strict=True):
        yield dict(zip(asked.targets, states, strict=True)), p, ends


def with_ends(found: tr.Certificate) -> Iterator[tuple[float, Between]]:
    """Each of many numbers with its interval; None of what is exact, and of estimates, which have none."""
    value = np.ravel(found.value).tolist()
    if found.kind in ("exact", "estimate"):
        return zip(value, [None] * len(value), strict=True)
    ends = zip(np.ravel(found.lower).tolist(), np.ravel(found.upper).tolist(), strict=True)
    return zip(value, ends, strict=True)


def _free(asked: ShownQuery, evidence: Mapping[str, Any]) -> list[str]:
    """The targets that are not observed."""
    return [v for v in asked.targets if not isinstance(evidence.get(v), str)]


def _single(net: Network, evidence: dict[str, Any], asked: ShownQuery) -> ShownAnswer:
    start = time.perf_counter()
    try:
        posterior = tr.infer(net, evidence, targets=asked.asked, **asked.summed)
    except tr.BudgetError as error:
        return _evidence_alone(net, evidence, asked, error)
    answer = ShownAnswer(evidence, _log(posterior), {}, None, None, posterior.plan, posterior.refused)
    answer = answer._replace(seconds=time.perf_counter() - start)
    if answer.log_value == -math.inf:
        return answer
    free = _free(asked, evidence)
    joint = (posterior.certificates(free) if free else tr.Certificate.exact(np.ones(()))) if asked.joint else None
    found = {v: posterior.certificates(v) for v in asked.targets if v not in posterior.refused}
    return _told(answer, found)._replace(joint=joint)


def _best(net: Network, evidence: Any, asked: ShownQuery) -> ShownBest:
    """The most probable assignments, or the plan that is refused."""
    return best(net, evidence, asked.best, asked.asked, asked.searched)


def _told(answer: ShownAnswer, found: Mapping[str, tr.Certificate]) -> ShownAnswer:
    """The answer with these marginals."""
    estimates = {v: c for v, c in found.items() if c.kind != "exact"}
    return answer._replace(marginals={v: c.value for v, c in found.items()}, estimates=estimates)


def _log(posterior: tr.Posterior) -> tr.Certificate | tr.Plan:
    """log P(evidence), or the plan that is refused."""
    try:
        return posterior.log_partition
    except tr.BudgetError as error:
        return error.plan


def _evidence_alone(net: Network, evidence: dict[str, Any], asked: ShownQuery, refused: tr.BudgetError) -> ShownAnswer:
    """log P(evidence), which never waits for marginals; where it is refused too, so is the question."""
    plan = tr.plan(net, evidence, "evidence", **asked.budget)
    if plan.method is None:
        raise refused
    found = tr.log_partition(net, evidence, method=plan)
    return ShownAnswer(evidence, found, {}, None, None, plan, dict.fromkeys(asked.targets, refused.plan))


def _batch(net: Network, given: Sequence[dict[str, Any]], asked: ShownQuery) -> Iterator[ShownAnswer]:
    """Marginals of all cases at once; what has no batched form, case by case."""
    if asked.joint:
        yield from (_single(net, evidence, asked) for evidence in given)
        return
    start = time.perf_counter()
    posterior = tr.infer(net, list(given), targets=asked.asked, **asked.summed)
    seconds = time.perf_counter() - start
    tables = {v: posterior.certificates(v) for v in asked.targets if v not in posterior.refused}
    log, refused = _log(posterior), posterior.refused
    for row, evidence in enumerate(given):
        own = log if isinstance(log, tr.Plan) else log[row]
        answer = ShownAnswer(evidence, own, {}, None, None, posterior.plan, refused, seconds=seconds)
        found = {} if answer.log_value == -math.inf else {v: table[row] for v, table in tables.items()}
        yield _told(answer, found)
