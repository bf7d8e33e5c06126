"""A question about a model that is no network, and what is told of each case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer

import tractable as tr
from tractable.cli import _answers, _best, _text
from tractable.cli._blocks import Block
from tractable.cli._cutting import SEQUENTIAL, Cutting

MOMENTS = ("mean", "deviation", "low", "high")
COVERAGE = 0.9
"""The probability that intervals of columns hold."""

NETWORKS_ALONE = {"soft": "--soft", "joint": "--joint", "confidence": "--confidence", "draws": "--draws"}
"""What only networks have, by the field that holds it."""


METHODS = {
    "mixture": ("auto",),
    "hidden_markov": ("auto",),
    "factorial_hidden_markov": ("auto", "mean_field"),
}
UNITS = ("auto", "elimination", "gibbs", "mean_field")
"""How each family is answered, and machines and layers."""


@dataclass(frozen=True)
class OtherQuery:
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
        self._check_method(told)
        if self.wanted.output is not None:
            raise typer.BadParameter(f"--output is for networks, and not for {told}: see --json, decode, transform")
        if self.model.family not in SEQUENTIAL:
            self.cut.check_single(self.model)

    def _check_method(self, told: str) -> None:
        """Refuse methods of other families, whatever the library has besides."""
        family, method = self.model.family, self.terms["method"]
        known = METHODS.get(family, UNITS)
        if method not in known:
            given = "--exact" if method == "exact" else f"--method {method}"
            raise typer.BadParameter(f"{given}: not for {told}; --method is one of {', '.join(known)}")


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


def summed(question: OtherQuery, evidence: Any, model: Any) -> Any:
    """The posterior, where marginals are asked for."""
    return tr.infer(model, evidence, **question.how) if question.wanted.summed else None


def searched(question: OtherQuery, evidence: Any, model: Any) -> list[tr.MostProbable] | None:
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
    question: OtherQuery, log: tr.Certificate | None, best: list[tr.MostProbable] | None, plan: Any
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


def joined(rows: np.ndarray, typed: np.ndarray, path: str) -> np.ndarray:
    """Rows of a file with what is typed beside it; nothing in both."""
    seen = ~np.isnan(typed)
    if (twice := ~np.isnan(rows) & seen).any():
        column = int(np.argwhere(twice)[0, 1])
        raise tr.ModelError(f"evidence on column {column} twice: in what is typed and in {path}")
    return np.where(seen, typed, rows)


def number_in(name: str, text: str) -> float:
    """A number as typed."""
    try:
        return float(text)
    except ValueError:
        raise tr.ModelError(f"evidence on {name!r}: expected a number, got {text!r}") from None
