"""The records of this room: what a query costs, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tractable.kernels import Scopes

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

Query = Literal["marginals", "evidence", "map", "gradient"]
QUERIES: tuple[Query, ...] = ("marginals", "evidence", "map")


@dataclass(frozen=True)
class Alternative:
    """A method that remains, with the kind of certificate it can give and a word on when to take it."""

    method: str
    certificate: str
    note: str


@dataclass(frozen=True, eq=False)
class Plan:
    """The price of a query, known before it runs; ``print(plan)`` explains it.

    Attributes
    ----------
    method : how it is answered; None where the budget refuses it.
    width : log2 of the entries of the largest table made.
    flops : multiply-adds of the whole query.
    bytes : the most memory held at once, tables only.
    seconds : predicted on this machine.
    reason : the structural reason, one sentence, or what makes it; read it as ``plan.why``.
    alternatives : methods that remain, each with the kind of certificate it can give.
    advice : the smallest set of variables found whose observation would bring the query within the budget.
    query, observed : what was asked.
    slices : number of independent pieces the run is cut into to save memory.
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
    tree: ContractionTree | None = field(default=None, repr=False)

    @cached_property
    def why(self) -> str:
        """The structural reason, one sentence; put into words when first read."""
        return self.reason if isinstance(self.reason, str) else self.reason()

    def to_json(self) -> dict[str, Any]:
        """Everything but the tree, as plain values."""
        names = ("method", "width", "flops", "bytes", "seconds", "why", "query", "slices")
        return {name: getattr(self, name) for name in names} | {
            "observed": list(self.observed),
            "alternatives": [vars(a) for a in self.alternatives],
            "advice": list(self.advice),
        }

    def __rich__(self) -> Table:
        from tractable.plan._text import plan_table

        return plan_table(self)

    def __str__(self) -> str:
        from tractable.plan._text import rendered

        return rendered(self)


@dataclass(frozen=True, eq=False)
class ContractionTree:
    """Which tables are contracted in which order, and which variables are conditioned on in turn."""

    scopes: Scopes
    pairs: np.ndarray
    cost: np.ndarray
    sliced: tuple[int, ...] = ()
    slices: int = 1


@dataclass(frozen=True)
class Explanation:
    """The plans of all of a model's queries; prints as a table, iterates as plans."""

    plans: tuple[Plan, ...]

    def __iter__(self) -> Iterator[Plan]:
        return iter(self.plans)

    def __len__(self) -> int:
        return len(self.plans)

    def __rich__(self) -> Group:
        from tractable.plan._text import explanation

        return explanation(self.plans)

    def __str__(self) -> str:
        from tractable.plan._text import rendered

        return rendered(self)


class BudgetError(ValueError):
    """The budget refuses the query; `plan` says what it would cost and what would make it affordable."""

    def __init__(self, plan: Plan):
        self.plan = plan
        advice = f"; observing {', '.join(plan.advice)} would bring it within" if plan.advice else ""
        price = f"{plan.bytes:.3g} bytes and {plan.seconds:.3g} s predicted"
        super().__init__(f"refused by the budget: {price}, because {plan.why}{advice}")
