"""The records of this room: what a query costs, or why it is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import Scopes
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.plan._units import duration, memory_size

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

Query = Literal[
    "marginals", "evidence", "map", "gradient", "sample", "joint", "targets", "impute", "transform", "filtering"
]
QUERIES: tuple[Query, ...] = ("marginals", "evidence", "map")


class Budget(NamedTuple):
    """What a query may take: bytes at once, and predicted seconds."""

    memory: float
    seconds: float


class Anytime(NamedTuple):
    """What may answer where exact numbers are predicted to take more than `patience` seconds: an interval.

    It holds with this confidence and takes so many seconds, or so many `draws`; the clock stood at `since` when it was
    asked for.
    """

    patience: float
    seconds: float
    confidence: float = 0.95
    draws: int | None = None
    since: float = math.inf


class Ask(NamedTuple):
    """What is asked of a model: the query, how (a method's name, or a plan made before), the budget, how many samples.

    `patience` says that beyond so many predicted seconds an approximation answers instead, and the plan is that one's;
    `sweeps`, how long its chains are; `targets`, which marginals are wanted, None for all; `anytime`, that an interval
    may answer; `effort`, the share of its patience that the search for a plan has.
    """

    query: Query
    budget: Budget
    method: Any = "auto"
    n: int = 1
    patience: float = math.inf
    sweeps: int | None = None
    targets: tuple[str, ...] | None = None
    anytime: Anytime | None = None
    effort: float = 1.0

    @property
    def exactly(self) -> Budget:
        """The budget of an exact answer."""
        return self.budget._replace(seconds=min(self.budget.seconds, self.patience))


class Foreseen(NamedTuple):
    """The widths that are foreseen after so many seconds: of log Z, in nats, and of a probability of one half."""

    seconds: float
    log_width: float
    share_width: float


@dataclass(frozen=True)
class Alternative:
    """A method that remains, with the kind of certificate it can give and a word on when to take it.

    `foreseen` is what more and more time would give, where a pilot has looked.
    """

    method: str
    certificate: str
    note: str
    foreseen: tuple[Foreseen, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is foreseen where it is known."""
        ahead = {"foreseen": [one._asdict() for one in self.foreseen]} if self.foreseen else {}
        return {"method": self.method, "certificate": self.certificate, "note": self.note, **ahead}


class Printed:
    """What prints as the table that `rich` makes of it; loading that takes longer than a small query."""

    def __str__(self) -> str:
        from tractable.plan._text import rendered  # as all of that module: brings rich

        return rendered(self)


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Printed):
    """The price of a query, known before it runs; ``print(plan)`` explains it.

    Attributes
    ----------
    method : how it is answered; None where the budget refuses it.
    width : log2 of the entries of the largest table made; of a search, of that which elimination would make.
    flops : multiply-adds of the whole query.
    bytes : the most memory held at once, tables only.
    seconds : predicted on this machine.
    reason : the structural reason, one sentence, or what makes it; read it as ``plan.why``.
    alternatives : methods that remain, each with the kind of certificate it can give.
    advice : the smallest set of variables found whose observation would bring the query within the budget.
    query, observed : what was asked. targets : which marginals of a network; None for all.
    slices : number of independent pieces the run is cut into to save memory.
    n : how many samples are drawn, rows looked ahead, or of the best asked for.
    program : what the engine runs: a contraction tree, a split to enumerate, a scan, chains; None where a closed form
        needs nothing.
    budget : what the query was allowed to take.
    structure : of the model that was planned for; a plan runs on no other.
    given : which units are observed, where `observed` is a summary; a plan runs given these and no others.

    Examples
    --------
    >>> chain = tr.MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 2], [3, 4]]), ("bc", [[1, 2], [3, 4]])])
    >>> plan = tr.plan(chain, query="evidence")
    >>> plan.method, plan.width, plan.why
    ('elimination', 0.0, 'what is free is a tree of pairs: messages over single variables suffice')
    >>> tr.plan(tr.restricted(50, 50)).method is None
    True
    """

    method: str | None
    width: float
    flops: float
    bytes: float
    seconds: float
    reason: str | Callable[[], str] = field(repr=False)
    alternatives: tuple[Alternative, ...] = ()
    advice: tuple[str, ...] = ()
    query: Query = "marginals"
    observed: tuple[str, ...] = ()
    slices: int = 1
    n: int = 1
    program: Any = field(default=None, repr=False)
    budget: Budget | None = field(default=None, repr=False)
    structure: Any = field(default=None, repr=False)
    given: Any = field(default=None, repr=False)
    targets: tuple[str, ...] | None = None

    @cached_property
    def refused(self) -> Mapping[str, Plan]:
        """The variables that the budget refuses while it allows others, each with the plan that would answer it.

        Examples
        --------
        >>> tr.plan(tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.25, 0.75]}), targets=["a"]).refused
        {}
        """
        found = self.program.refused if isinstance(self.program, ByTarget) else ()
        plans = {name: plan for names, plan in found for name in names}
        return {name: plans[name] for name in self.targets or plans if name in plans}

    @cached_property
    def why(self) -> str:
        """The structural reason, one sentence; put into words when first read."""
        return self.reason if isinstance(self.reason, str) else self.reason()

    def for_rows(self, n: int, seconds: float) -> Plan:
        """The plan for `n` rows that take so many seconds together; refused where that is more than allowed."""
        limit = math.inf if self.budget is None else self.budget.seconds
        return replace(self, seconds=seconds, method=self.method if seconds <= limit else None) if n != 1 else self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "reason": self.why}

    def __getattr__(self, name: str) -> Any:
        moved = "; what a plan runs is plan.program since version 0.2" if name == "tree" else ""
        raise AttributeError(f"a Plan has no attribute {name!r}{moved}")

    def to_json(self) -> dict[str, Any]:
        """Everything but the program and what it runs on, as plain values; an infinite budget is None.

        Examples
        --------
        >>> found = tr.plan(tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])]), query="evidence").to_json()
        >>> found["method"], found["query"], found["observed"]
        ('elimination', 'evidence', [])
        """
        names = ("method", "width", "flops", "bytes", "seconds", "why", "query", "slices", "n")
        refused = {"refused": {v: plan.to_json() for v, plan in self.refused.items()}} if self.refused else {}
        return {name: getattr(self, name) for name in names} | {
            "observed": list(self.observed),
            "targets": None if self.targets is None else list(self.targets),
            **refused,
            "budget": self.budget and {k: v if v < math.inf else None for k, v in self.budget._asdict().items()},
            "alternatives": [a.to_json() for a in self.alternatives],
            "advice": list(self.advice),
        }

    def __repr__(self) -> str:
        return f"Plan({self.query}: {self.method or 'refused'}, {memory_size(self.bytes)}, {duration(self.seconds)})"

    def __rich__(self) -> Table:
        from tractable.plan._text import plan_table

        return plan_table(self)

    def _repr_html_(self) -> str:
        from tractable import _html
        from tractable.plan._text import plan_rows

        return _html.plan(plan_rows(self))


@dataclass(frozen=True, eq=False)
class ContractionTree:
    """Which tables are contracted in which order, and which variables are conditioned on in turn.

    `leaves` are the numbers of its tables in a network of which nothing is conditioned yet, where the tree was made for
    that: tables of which nothing stays free are none of its leaves. `rows` of evidence, or of samples, run together.
    """

    scopes: Scopes
    pairs: np.ndarray
    cost: np.ndarray
    sliced: tuple[int, ...] = ()
    slices: int = 1
    leaves: np.ndarray | None = None
    rows: int = 0


class Apart(NamedTuple):
    """A program in parts: rows of evidence that observe the same variables, each part with its plan."""

    parts: tuple[tuple[np.ndarray, Plan], ...]


class ByTarget(NamedTuple):
    """A program in parts: log Z, and groups of variables, each with its plan; and those that the budget refuses."""

    evidence: Plan
    parts: tuple[tuple[tuple[str, ...], Plan], ...]
    refused: tuple[tuple[tuple[str, ...], Plan], ...]


class Beside(NamedTuple):
    """A program in parts: what is exact, and an interval for what the budget refuses of it."""

    exact: Plan
    interval: Plan


class Instead(NamedTuple):
    """A program with another one for where it comes to no end in its time."""

    first: Plan
    otherwise: Plan


@dataclass(frozen=True, repr=False)
class Explanation(Printed):
    """The plans of all of a model's queries; prints as a table, iterates as plans.

    Examples
    --------
    >>> chain = tr.MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 2], [3, 4]]), ("bc", [[1, 2], [3, 4]])])
    >>> [(plan.query, plan.method) for plan in tr.explain(chain)]
    [('marginals', 'elimination'), ('evidence', 'elimination'), ('map', 'elimination')]
    """

    plans: tuple[Plan, ...]

    def __iter__(self) -> Iterator[Plan]:
        return iter(self.plans)

    def __len__(self) -> int:
        return len(self.plans)

    def __repr__(self) -> str:
        told = (f"{plan.query}: {plan.method or 'refused'}" for plan in self)
        return f"Explanation({', '.join(told)})"

    def __rich__(self) -> Group:
        from tractable.plan._text import explanation

        return explanation(self.plans)

    def _repr_html_(self) -> str:
        from tractable import _html
        from tractable.plan._text import HEAD, explanation_rows, notes

        return _html.plans(HEAD, explanation_rows(self.plans), notes(self.plans))


class BudgetError(ValueError):
    """The budget refuses the query; `plan` says what it would cost and what would make it affordable.

    Of a network of tables, marginals, log Z and the most probable states that take too long have two ends instead.
    Refused are joint tables that are too large, ``method="exact"``, a plan made before that refuses, and a memory that
    does not suffice for anything.

    Examples
    --------
    >>> from itertools import combinations
    >>> pairs = combinations("abcdefghij", 2)
    >>> dense = tr.MarkovNetwork({v: "01" for v in "abcdefghij"}, [(pair, [[1, 2], [3, 4]]) for pair in pairs])
    >>> try:
    ...     tr.infer(dense, memory="256B", method="exact")
    ... except tr.BudgetError as error:
    ...     print(error.plan.method, error.plan.width, error.plan.why)
    None 9.0 the best order found never joins more than 9 variables: b, c, d, e, … (9 in all)
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        advice = f"; observing {', '.join(plan.advice)} would bring it within" if plan.advice else ""
        price = f"{memory_size(plan.bytes)} and {duration(plan.seconds)} predicted"
        refused = f"refused by the budget: {price}, because" if plan.bytes else "refused:"  # at no price
        super().__init__(f"{refused} {plan.why}{advice}")


def allowed(plan: Plan) -> Plan:
    """The plan, unless the budget refused it."""
    if plan.method is None:
        raise BudgetError(plan)
    return plan


def within(plan: Plan, n_bytes: float) -> Plan:
    """The plan with all that it holds, refused where that is too much."""
    limits = plan.budget
    fits = limits is None or (n_bytes <= limits.memory and plan.seconds <= limits.seconds)
    return replace(plan, bytes=n_bytes, method=plan.method if fits else None)


def adopted(plan: Plan, structure: Any, ask: Ask, given: Any = None) -> Plan:
    """A plan that was made before, where it is for this question.

    Raises
    ------
    ModelError : it was made for another model, another query, or other evidence.
    """
    if plan.structure is not structure and plan.structure != structure:
        raise ModelError("the plan was made for another model: make one for this model, plan(model, observed)")
    if plan.query != ask.query:
        raise ModelError(f"the plan was made for the query {plan.query!r}, not for {ask.query!r}: make one for that")
    _check_same_targets(plan, ask)
    if ask.query == "map" and plan.n != ask.n:
        raise ModelError(f"the plan was made for k={plan.n}, not for {ask.n}: make one for that")
    if given is not None and given != (set(plan.observed) if plan.given is None else plan.given):
        told = ", ".join(plan.observed) or "nothing"
        raise ModelError(f"the plan was made for other evidence (observed: {told}): make one for what is observed now")
    return plan


def _check_same_targets(plan: Plan, ask: Ask) -> None:
    if ask.targets is not None and {*ask.targets} != {*(plan.targets or ())}:
        told = "all variables" if plan.targets is None else ", ".join(plan.targets) or "none"
        raise ModelError(f"the plan was made for other targets ({told}): make one for these, or leave them out")


def n_ranks(n: int, log2_states: float) -> int:
    """How many of the best are looked for: one more than asked for, to know of ties, and no more than there are."""
    return int(min(n + 1, round(2.0 ** min(log2_states, 62.0))))


def check_query(query: str, known: tuple[str, ...]) -> None:
    """Raise for a query that a family does not have."""
    if query not in known:
        raise ModelError(f"unknown query {query!r}; choose one of {', '.join(known)}")


def check_exact(ask: Ask, exact: tuple[str, ...]) -> None:
    """Raise for a method that has no most probable state where that is asked for: averages have none."""
    if ask.query == "map" and not isinstance(ask.method, Plan) and ask.method not in ("auto", *exact):
        told = f"{ask.method} finds no most probable state"
        raise ModelError(f"{told}; choose one of {', '.join(('auto', *exact))}")


def exact_alone(ask: Ask) -> Ask:
    """``"exact"`` is whatever answers exactly, and nothing else where that is refused."""
    asked = not isinstance(ask.method, Plan) and ask.method == "exact"
    return ask._replace(method="auto", anytime=None, patience=math.inf) if asked else ask


def check_method(method: Any, known: tuple[str, ...]) -> None:
    """Raise for a method that a family does not have."""
    if not isinstance(method, Plan) and method not in known:
        raise ModelError(f"unknown method {method!r}{nearest(method, known)}; choose one of {', '.join(known)}")
