"""What EM leaves: the record of each iteration with its identity log p = ELBO + KL, where it is, the run as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from tractable.learning.records import History, Record, interval
from tractable.models.emissions import Statistics
from tractable.posterior import Certificate


@dataclass(frozen=True)
class Iteration(Record):
    """The state of EM after so many M-steps; likelihoods are means over rows, of sequences over these.

    Attributes
    ----------
    iteration : number of M-steps (of passes, where data come in blocks) before it; 0 is the start.
    seconds : since the start.
    train : log p(x) under the parameters at this point. elbo, kl : train = elbo + kl, with the q that stands for the
        posterior; KL is zero where q is the posterior itself. None where no single q belongs to the parameters.
    objective : what may not decrease: the ELBO of all rows, plus the log prior, divided by the number of rows (of
        sequences too the number of rows in all of them).
    change : the largest change of a parameter in the M-step before.
    validation : log p(x) of rows that are not learned from.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [3.0], [3.4]]
    >>> last = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.EM()).history[-1]
    >>> last.train.kind, last.kl.value
    ('exact', 0.0)
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

    def row(self) -> dict[str, str]:
        likelihoods = {"log-likelihood": self.train, "ELBO": self.elbo, "KL": self.kl}
        own = {"iteration": str(self.iteration), "seconds": f"{self.seconds:.1f}"}
        own |= {name: interval(found) for name, found in likelihoods.items()}
        return own | {"change": f"{self.change:.2g}", "validation": interval(self.validation)}


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


M = TypeVar("M")


@dataclass(frozen=True)
class EMRun(Generic[M]):
    """What a fit by EM returns.

    Attributes
    ----------
    model : the model after the last iteration of the best start.
    history : its iterations.
    converged : whether the tolerance was reached.
    objectives : what each start ended at; the best is kept.

    Examples
    --------
    >>> rows = [[0, 0], [1, 1], [1, 1], [0, 0]]
    >>> run = tr.fit(tr.mixture(rows, 2, "bernoulli", key=1), rows, tr.EM(prior=0))
    >>> run.converged, len(run.history) > 1, type(run.model).__name__
    (True, True, 'Mixture')
    """

    model: M
    history: History[Iteration] = field(repr=False)
    converged: bool
    objectives: tuple[float, ...]
