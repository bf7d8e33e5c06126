"""How a question about a network is answered: exactly, by an interval, by an estimate; and what that may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

WITH_INTERVALS = ("auto", "mini_buckets")
SEARCHES = ("branch_and_bound", "toulbar2")
"""Methods that find the most probable states and nothing else."""


def _positive(seconds: float | None) -> float | None:
    if seconds is not None and not seconds > 0:
        raise typer.BadParameter(f"a budget of seconds must be positive, got {seconds:g}")
    return seconds


def _probability(confidence: float | None) -> float | None:
    if confidence is not None and not 0 < confidence < 1:
        raise typer.BadParameter(f"a confidence lies between 0 and 1, such as 0.95, got {confidence:g}")
    return confidence


@dataclass(frozen=True)
class How:
    """How it is answered, and within what."""

    method: Annotated[
        Literal[
            "auto",
            "elimination",
            "counting",
            "mini_buckets",
            "belief_propagation",
            "gibbs",
            "mean_field",
            "branch_and_bound",
            "toulbar2",
        ],
        typer.Option(
            metavar="NAME",
            help="auto: exact, or an interval. elimination, counting: exact; mini_buckets: an interval;"
            " belief_propagation, gibbs, mean_field: estimates; branch_and_bound, toulbar2: a search, with --map.",
        ),
    ] = "auto"
    exact: Annotated[bool, typer.Option("--exact", help="Exact numbers or a refusal, never an interval.")] = False
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            callback=_positive,
            help="What exact numbers may take, and else an interval; 30 and 10 if absent.",
        ),
    ] = None
    confidence: Annotated[
        float | None,
        typer.Option(metavar="P", callback=_probability, help="How surely an interval holds; 0.95 if absent."),
    ] = None
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="So many draws for an interval, whatever the clock says: repeatable."),
    ] = None

    def terms(self, searched: bool = False) -> dict[str, Any]:
        """The same as `infer` of the library takes it, or `most_probable`; whether states are `searched` for."""
        if self.exact and self.method != "auto":
            raise typer.BadParameter(f"--exact and --method {self.method} exclude each other: leave one out")
        if self.method in SEARCHES and not searched:
            raise typer.BadParameter(f"--method {self.method} is about the most probable assignments: give --map too")
        return {"method": "exact" if self.exact else self.method, "seconds": self.seconds, **self._intervals()}

    def _intervals(self) -> dict[str, Any]:
        """The terms of intervals, which not every method has."""
        method = "exact" if self.exact else self.method
        terms = {"confidence": self.confidence, "draws": self.draws}
        given = [f"--{name}" for name, value in terms.items() if value is not None]
        if given and method not in WITH_INTERVALS:
            how = "--exact" if self.exact else f"--method {method}"
            raise typer.BadParameter(f"{given[0]} is about intervals, and {how} gives none: leave one out")
        return terms
