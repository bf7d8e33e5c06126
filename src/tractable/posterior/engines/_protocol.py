"""What a verb asks of the engine of a family, and the way that every verb walks.

    read → group → plan → refuse or go on → solve → gather

An engine is a module, or any object with these functions; it has those verbs for which it has the last step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from tractable.models import ModelError
from tractable.plan import Ask, BudgetError, Plan, allowed
from tractable.plan._base import within
from tractable.posterior._base import MostProbable, Posterior
from tractable.posterior.certificate import Certificate, joined, weaker


class Solved(NamedTuple):
    """Some of the cases, what was planned for them, and what came of it."""

    rows: Any
    part: Any
    plan: Plan
    answer: Any


class Engine(Protocol):
    """The functions of an engine; `asked` is whatever its `read` makes of a model and evidence."""

    def read(self, model: Any, evidence: Any) -> Any:
        """A model and what is observed, checked: ``asked.many`` says whether these are many cases, or one."""
        ...

    def groups(self, asked: Any, ask: Ask) -> Iterable[tuple[Any, Any]]:
        """The cases in groups that share a plan: numbers of rows, and the question about these alone."""
        ...

    def plan(self, part: Any, ask: Ask) -> Plan:
        """The plan of a question, made by the room `plan`."""
        ...

    def solve(self, plan: Plan, part: Any, key: Any) -> Any:
        """What was planned, run; an answer to ``marginals`` or ``evidence`` has a `log_partition` [n_rows]."""
        ...

    def posterior(self, asked: Any, solved: Sequence[Solved]) -> Posterior:
        """The record of `infer`."""
        ...

    def log_partition(self, asked: Any, solved: Sequence[Solved]) -> Certificate:
        """The record of `log_partition`, `log_evidence` and `log_likelihood`."""
        ...

    def most_probable(self, asked: Any, solved: Sequence[Solved]) -> list[MostProbable]:
        """The record of `most_probable`."""
        ...

    # sample, transform, reconstruct, impute, filtering, forecast: the same, with what these verbs return.
    # at_once(asked, ask) -> Solved or None: plans and solves small questions in one call, on terms that the plan sets.
    # gaps(asked) -> names: what rows do not observe, which are the targets of `impute`; such an engine knows targets.
    # affordable(model, data, memory): refuses E-steps that take more, before the first.
    # expected_statistics(model, data, weights, q, before, memory) -> Expected: the E-step on checked data.


class UnsupportedError(ModelError):
    """A verb that a family does not have; the message says which models have it, and what to use instead.

    Examples
    --------
    >>> try:
    ...     tr.transform(tr.MarkovNetwork({"a": "01"}, []), [["0"]])
    ... except tr.UnsupportedError as error:
    ...     print(str(error).partition(": ")[0], "…", str(error).rpartition("; ")[2])
    a MarkovNetwork has no transform … use infer(model, evidence).marginals
    """


INSTEAD = {
    "transform": "infer(model, evidence).marginals",
    "reconstruct": "impute(model, data)",
    "filtering": "infer(model, evidence).marginals",
    "forecast": "sample(model, n, evidence=…)",
    "joint": "marginals, or condition on a unit and infer again; of chains it is not tabulated, see transitions",
    "targets": "infer(model, evidence).marginals, all of which have one price",
    "free_energy": "-log_partition(model, evidence)",
    "pseudo_log_likelihood": "log_likelihood(model, data)",
    "traces": "infer(model, evidence), whose certificates say how far off its numbers may be",
    "kl_divergence": "log_likelihood(model, data) on rows that the other model has drawn",
}


ONLY = {
    "free_energy": "Boltzmann machines",
    "joint": "networks and mixtures",
    "targets": "networks",
    "pseudo_log_likelihood": "Boltzmann machines",
    "traces": "Boltzmann machines",
    "kl_divergence": "Bayesian networks",
}
"""Of what is no verb of an engine, or a verb of the rooms below: whose it is."""


def unsupported(model: Any, verb: str, have: Sequence[str] = ()) -> UnsupportedError:
    """The error for a verb that a model does not have, but these families have."""
    who = ONLY.get(verb) or f"models of the families {', '.join(have)}"
    told = f"{who} have one" if verb in ONLY or have else "no family has one"
    instead = f"; use {INSTEAD[verb]}" if verb in INSTEAD else ""
    return UnsupportedError(f"a {type(model).__name__} has no {verb}: {told}{instead}")


def answered(engine: Any, asked: Any, question: Ask, key: Any = 0) -> list[Solved]:
    """Group, plan, refuse or go on, solve: every group is planned before the first is run."""
    at_once = getattr(engine, "at_once", None)
    if at_once is not None and (found := at_once(asked, question)) is not None:
        return [found]
    return run(engine, planned(engine, asked, question), key)


Planned = tuple[Any, Any, Plan]
"""The numbers of some rows, the question about these, and the plan for it."""


def planned(engine: Any, asked: Any, question: Ask) -> list[Planned]:
    """The groups with their plans, none of them refused.

    Raises
    ------
    BudgetError : the budget refuses one of them, or all of them together.
    """
    parts = list(engine.groups(asked, question))
    if len(parts) > 1:
        question = shared(question, len(parts))
    found = [(rows, part, allowed(engine.plan(part, question))) for rows, part in parts]
    found = list(_together(engine, asked, found))
    seconds = sum(plan.seconds for *_, plan in found)
    if len(found) > 1 and seconds > question.budget.seconds * (1 + 1e-9):
        worst = max((plan for *_, plan in found), key=lambda plan: plan.seconds)
        told = f"{len(found)} sets of what is observed, the costliest: {worst.why}"
        raise BudgetError(replace(worst, method=None, seconds=seconds, reason=told))
    return found


def shared(question: Ask, n: int) -> Ask:
    """The question about one of `n` groups, which share the patience and the time of an answer that any time ends."""
    terms = question.anytime
    if terms is not None:
        terms = terms._replace(patience=terms.patience / n, seconds=terms.seconds / n)
    return question._replace(patience=question.patience / n, anytime=terms)


def run(engine: Any, groups: Sequence[Planned], key: Any = 0) -> list[Solved]:
    """What was planned, run."""
    return [Solved(rows, part, plan, engine.solve(plan, part, key)) for rows, part, plan in groups]


def _together(engine: Any, asked: Any, found: list[Planned]) -> Iterator[Planned]:
    """Groups for which the same approximation answers are one, rows in their order."""
    together: dict[str | None, list[Planned]] = {}
    for some in found:
        if len(found) > 1 and some[2].method in getattr(engine, "APPROXIMATE", ()):
            together.setdefault(some[2].method, []).append(some)
        else:
            yield some
    for some in together.values():
        rows, plans = np.sort(np.concatenate([rows for rows, *_ in some])), [plan for *_, plan in some]
        told = {name: sum(getattr(plan, name) for plan in plans) for name in ("flops", "bytes", "seconds")}
        yield rows, engine.take(asked, rows), allowed(within(replace(plans[0], **told), told["bytes"]))


def costliest(solved: Sequence[Solved]) -> Plan:
    """The plan that stands for all groups: the costliest."""
    return max((s.plan for s in solved), key=lambda plan: plan.seconds)


def gathered(n_rows: int, parts: Sequence[tuple[Any, Certificate]]) -> Certificate:
    """A number for every case [n_rows], from those of groups of them: as sure as the least sure."""
    if len(parts) == 1:
        return parts[0][1]
    found = [c for _, c in parts]
    value, lower, upper, error = (_end(n_rows, parts, end) for end in ("value", "lower", "upper", "std_error"))
    confidence = min((c.confidence for c in found if c.confidence is not None), default=None)
    assumes, verdict = joined(*(c.assumes for c in found)), joined(*(c.verdict for c in found))
    kind = weaker(*(c.kind for c in found))
    return Certificate(value, lower, upper, kind, confidence, error, verdict, assumes=assumes)


def _end(n_rows: int, parts: Sequence[tuple[Any, Certificate]], end: str) -> np.ndarray | None:
    found = [(rows, getattr(c, end)) for rows, c in parts]
    return None if any(array is None for _, array in found) else scattered(n_rows, found)


def in_order(solved: Sequence[Solved]) -> list[Any]:
    """The answers to all cases, each a list for a group of them."""
    found = {int(row): own for s in solved for row, own in zip(s.rows, s.answer, strict=True)}
    return [found[row] for row in sorted(found)]


def scattered(n_rows: int, parts: Iterable[tuple[Any, np.ndarray]]) -> np.ndarray:
    """Arrays [n, …] of groups of rows as one."""
    out: np.ndarray | None = None
    for rows, part in parts:
        if out is None:
            out = np.empty((n_rows, *part.shape[1:]), part.dtype)
        out[rows] = part
    assert out is not None
    return out
