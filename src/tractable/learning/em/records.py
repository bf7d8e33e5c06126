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


ALIKE = 1e-4
"""Objectives that differ by less than this share are taken for the same end."""

M = TypeVar("M")


@dataclass(frozen=True, repr=False)
class EMRun(Generic[M]):
    """What a fit by EM returns.

    Attributes
    ----------
    model : the model after the last iteration of the best start.
    history : its iterations.
    converged : whether the tolerance was reached.
    objectives : what each start ended at; the best is kept.
    n_alike : how many of them ended where the best did, up to `ALIKE`. Where all did, others are no more likely to end
        higher; where one alone did, more starts may.

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

    @property
    def n_alike(self) -> int:
        """How many starts ended where the best did."""
        best = max(self.objectives)
        return sum(best - own <= ALIKE * max(1.0, abs(best)) for own in self.objectives)

    def said(self) -> str:
        """What became of the starts, in words; nothing of a single one.

        >>> tr.EMRun(None, tr.History(), True, (-1.5, -1.2, -1.2)).said()
        '2 of 3 starts ended at the best objective, -1.2; the worst at -1.5'
        """
        if (n := len(self.objectives)) < 2:
            return ""
        best, worst = max(self.objectives), min(self.objectives)
        if self.n_alike == n:
            return f"all {n} starts ended alike, at the objective {best:.6g}"
        return f"{self.n_alike} of {n} starts ended at the best objective, {best:.6g}; the worst at {worst:.6g}"

    def __repr__(self) -> str:
        starts = f"; {self.said()}" if len(self.objectives) > 1 else ""
        ended = "converged" if self.converged else "not converged"
        return f"EMRun({self.model!r}: {ended} after {max(len(self.history) - 1, 0)} iterations{starts})"

    def _repr_html_(self) -> str:
        from tractable import _html

        ended = "converged" if self.converged else "not converged"
        pairs = [("model", repr(self.model)), ("ended", ended), ("starts", self.said())]
        return _html.history(self.history, "EMRun", pairs)
