"""What EM leaves: the record of each iteration with its identity log p = ELBO + KL, where it is, the run as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from tractable.learning.records import interval
from tractable.models.emissions import Statistics
from tractable.posterior import Certificate

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Iteration:
    """The state of EM after so many M-steps; likelihoods are means over rows.

    Attributes
    ----------
    iteration : number of M-steps (of passes, where data come in blocks) before it; 0 is the start.
    seconds : since the start.
    train : log p(x) under the parameters at this point. elbo, kl : train = elbo + kl, with the q that stands for the
        posterior; KL is zero where q is the posterior itself. None where no single q belongs to the parameters.
    objective : what may not decrease: the ELBO, plus the log prior divided by the number of rows.
    change : the largest change of a parameter in the M-step before.
    validation : log p(x) of rows that are not learned from.
    """

    iteration: int
    seconds: float
    train: Certificate
    elbo: Certificate | None
    kl: Certificate | None
    objective: float
    change: float
    validation: Certificate | None = None

    @property
    def epoch(self) -> int:
        """The iteration, by the name it has in other records."""
        return self.iteration

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.to_json() if isinstance(v, Certificate) else v for k, v in out.items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Iteration:
        """The record that `to_json` wrote."""
        return cls(**{k: _value(v) for k, v in record.items()})


class Point(NamedTuple):
    """Where one start has got to: all that the next iteration reads, and all that a checkpoint has to hold.

    Attributes
    ----------
    model : now. before : at the last record, which a pass over blocks of rows has left behind.
    records : of the iterations that are done.
    kept : the statistics that the next M-step starts from. q : what stood for the posterior, an array or several, where
        the next E-step starts from it.
    block, steps : blocks of the pass under way that are done, and M-steps in all, where data come in blocks.
    """

    model: Any
    before: Any
    records: tuple[Iteration, ...] = ()
    kept: Statistics | None = None
    q: Any = None
    block: int = 0
    steps: int = 0
    converged: bool = False

    @property
    def seconds(self) -> float:
        """What the iterations that are done have taken."""
        return self.records[-1].seconds if self.records else 0.0

    def is_over(self, epochs: int) -> bool:
        """Whether there is nothing left to do."""
        return self.converged or len(self.records) > epochs

    def recorded(self, record: Iteration, model: Any, kept: Statistics | None, converged: bool) -> Point:
        """After another iteration."""
        records = (*self.records, record)
        return self._replace(model=model, before=model, records=records, kept=kept, block=0, converged=converged)


def _value(found: Any) -> Any:
    return Certificate(**found) if isinstance(found, dict) else found


@dataclass(frozen=True)
class Iterations:
    """The iterations of EM; prints as a table."""

    iterations: tuple[Iteration, ...] = ()

    def __iter__(self) -> Iterator[Iteration]:
        return iter(self.iterations)

    def __len__(self) -> int:
        return len(self.iterations)

    def __getitem__(self, i: int) -> Iteration:
        return self.iterations[i]

    def __rich__(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("iteration", "seconds", "log-likelihood", "ELBO", "KL", "change", "validation"):
            table.add_column(name, justify="right")
        for r in self:
            likelihoods = (interval(r.train), interval(r.elbo), interval(r.kl))
            table.add_row(str(r.iteration), f"{r.seconds:.1f}", *likelihoods, f"{r.change:.2g}", interval(r.validation))
        return table

    def __str__(self) -> str:
        from tractable.plan._text import rendered

        return rendered(self)  # type: ignore[arg-type]


@dataclass(frozen=True)
class EMRun:
    """What a fit by EM returns.

    Attributes
    ----------
    model : the model after the last iteration of the best start.
    history : its iterations.
    converged : whether the tolerance was reached.
    objectives : what each start ended at; the best is kept.
    """

    model: Any
    history: Iterations = field(repr=False)
    converged: bool
    objectives: tuple[float, ...]
