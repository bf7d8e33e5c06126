"""How many components, or states: a fit for each number, and the one that a criterion prefers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tractable.evaluate import bic, log_likelihood
from tractable.evaluate.criteria import total_log_likelihood
from tractable.kernels.interrupts import heard
from tractable.learning.display import Display
from tractable.learning.em.exact import EM, ExpectationMaximization
from tractable.learning.em.records import EMRun
from tractable.learning.fitting import fit
from tractable.learning.records import History, Record
from tractable.learning.settings import SHARE
from tractable.models._base import ModelError, nearest
from tractable.models.keys import generator
from tractable.models.weights import checked_weights
from tractable.plan import BudgetError
from tractable.plan._base import Printed
from tractable.posterior import Certificate

if TYPE_CHECKING:
    from rich.table import Table

CRITERIA = ("bic", "held_out")
"""What a number may be chosen by."""

CHECKPOINT = "checkpoint"

NARROW = 1e-3
"""A standard deviation within a component that is so small a share of that of all is hardly one."""


@dataclass(frozen=True)
class Candidate(Record):
    """The fit of one number.

    Attributes
    ----------
    number : of components or states.
    log_likelihood : Σ log p(x) of what was learned from.
    n_parameters : free ones.
    bic : −2 log_likelihood + n_parameters · log n_rows.
    held_out : the mean log p of a row, or sequence, that was not learned from; None where there is none.
    seconds : of the fit.
    error : why there is no fit; empty where there is one.
    note : that a component hardly varies in a column: its density has no limit then, nor have criteria made of it.
    run : what the fit left.

    Examples
    --------
    >>> tr.learning.Candidate(2, tr.Certificate.exact(-10.0), 3, tr.Certificate.exact(24.8)).row()["BIC"]
    '24.80'
    """

    number: int
    log_likelihood: Certificate | None = None
    n_parameters: int | None = None
    bic: Certificate | None = None
    held_out: Certificate | None = None
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    run: EMRun | None = field(default=None, repr=False, compare=False)

    def loss(self, by: str) -> float:
        """What the chosen one has the least of; infinite where there is no fit."""
        found = self.bic if by == "bic" else self.held_out
        value = math.inf if found is None else float(found.value) * (1 if by == "bic" else -1)
        return math.inf if math.isnan(value) else value

    def row(self) -> dict[str, str]:
        own = {"number": str(self.number), "log likelihood": _number(self.log_likelihood)}
        own["parameters"] = "–" if self.n_parameters is None else f"{self.n_parameters:,}"
        held = "–" if self.held_out is None else f"{self.held_out.value:.5g}"
        return {**own, "BIC": _number(self.bic), "held out": held}

    def to_json(self) -> dict[str, Any]:
        """Plain values; the run is left out."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "run"}
        return {k: v.to_json() if isinstance(v, Certificate) else v for k, v in out.items()}


def _number(found: Certificate | None) -> str:
    return "–" if found is None else f"{found.value:,.2f}"


@dataclass(frozen=True, repr=False)
class Choice(Printed):
    """What `choose` returns.

    Attributes
    ----------
    candidates : a record for each number that was fitted, in the order in which they were.
    best : that of the chosen number.
    by : the criterion.
    run : the fit of the chosen number; where rows were held out, one from all rows.
    interrupted : whether it was ended before all numbers were fitted.

    Examples
    --------
    >>> rows = [[0], [0], [0], [1], [1], [1]]
    >>> tr.choose(tr.mixture, rows, [1, 2])
    Choice(1 of 1, 2 by bic: Mixture(1 components, 1 columns: BernoulliEmissions))
    """

    candidates: History[Candidate]
    best: Candidate
    by: str
    run: EMRun
    interrupted: bool = False

    @property
    def model(self) -> Any:
        """The chosen model."""
        return self.run.model

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found = [candidate.to_json() for candidate in self.candidates]
        return {"by": self.by, "chosen": self.best.number, "interrupted": self.interrupted, "candidates": found}

    def __repr__(self) -> str:
        numbers = ", ".join(str(own.number) for own in self.candidates)
        ended = ", interrupted" if self.interrupted else ""
        return f"Choice({self.best.number} of {numbers} by {self.by}{ended}: {self.model!r})"

    def rows(self) -> list[dict[str, str]]:
        """Column → cell of each number; held-out rows where there are any, and a last column that marks the chosen."""
        held = any(own.held_out is not None for own in self.candidates)
        told = {id(own): own.error or own.note for own in self.candidates}
        told[id(self.best)] = "; ".join(filter(None, ("← chosen", self.best.note)))
        out = [{**own.row(), "": told[id(own)]} for own in self.candidates]
        return out if held else [{k: v for k, v in row.items() if k != "held out"} for row in out]

    def __rich__(self) -> Table:
        from rich.box import SIMPLE_HEAD  # loaded when a table is printed
        from rich.table import Table

        table, rows = Table(box=SIMPLE_HEAD, pad_edge=False), self.rows()
        for name in rows[0]:
            table.add_column(name, justify="right" if name else "left")
        for row in rows:
            table.add_row(*row.values())
        return table

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.choice(self)


class ChoiceTask(NamedTuple):
    """What all fits share."""

    begin: Callable[[Any, int], Any]
    data: Any
    learner: ExpectationMaximization
    options: dict[str, Any]
    learned: np.ndarray | None
    held: np.ndarray | None
    """How often each row is learned from, and how often it counts among those that were held out; None for once."""


@heard
def choose(
    begin: Callable[[Any, int], Any],
    data: Any,
    numbers: Iterable[int],
    learner: ExpectationMaximization | None = None,
    *,
    by: str = "bic",
    **options: Any,
) -> Choice:
    """Fit a mixture, or a chain, with each of several numbers of components, or states, and choose among them.

    Parameters
    ----------
    begin : the data and a number → where learning begins, such as `mixture`, `hidden_markov`, or one with its options:
        ``functools.partial(tr.mixture, emissions="diagonal")``.
    data : as for `fit`.
    numbers : of components or states, such as ``range(1, 9)``.
    learner : `EM()` if absent.
    by : ``"bic"``, the least `bic`; ``"held_out"``, the largest mean log p of rows, or sequences, that were not learned
        from. Of equal ones the first is taken.
    options : `held_out`, the share of rows, or sequences, that are held out where the choice is by these and there is
        no `validation`, 0.2 if absent; the number that is chosen is then fitted once more to all of them. And those of
        `fit`: `epochs`, `validation`, `weights`, `key`, `memory`, `progress`, `callback`; `checkpoint`,
        where each number has its own, with ``.NUMBER`` at its end (``.all`` of the last fit to all), and `resume`.

    Returns
    -------
    Choice : ``best``, ``model`` and ``run``, and the ``candidates``, a record for each number. An interrupt (Ctrl-C)
        after the first fit returns what stands. A number whose fit fails, or is refused, has an ``error``.

    Raises
    ------
    ModelError : no numbers, or such as are none; more components than rows; fewer than two rows, or sequences to hold
        out of; every fit failed.

    References
    ----------
    Schwarz, Estimating the dimension of a model, Annals of Statistics 6, 1978. Fraley & Raftery, How many clusters?
    Which clustering method?, The Computer Journal 41, 1998.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rows = np.concatenate([rng.normal(0, 1, (50, 1)), rng.normal(6, 1, (50, 1))])
    >>> found = tr.choose(partial(tr.mixture, emissions="diagonal"), rows, [1, 2, 3])
    >>> found.best.number, [candidate.n_parameters for candidate in found.candidates]
    (2, [2, 5, 8])
    """
    asked = checked_numbers(numbers)
    if by not in CRITERIA:
        raise ModelError(f"by must be one of {', '.join(CRITERIA)}, got {by!r}{nearest(str(by), CRITERIA)}")
    learner = EM() if learner is None else learner
    if not isinstance(learner, ExpectationMaximization):
        raise ModelError(f"choose fits by EM: give EM(…), got {learner!r}")
    share = options.pop("held_out", 0.2)
    task = _task((begin, data, learner), asked, options, share if by == "held_out" else 0.0)
    return _chosen(task, asked, by)


def checked_numbers(numbers: Iterable[int]) -> list[int]:
    """Whole numbers of at least one, each once."""
    try:
        found = [*numbers]
    except TypeError:
        raise ModelError(f"numbers must be several whole numbers such as range(1, 9), got {numbers!r}") from None
    for n in found:
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise ModelError(f"numbers of components or states are whole and at least one, got {n!r}")
    if not found:
        raise ModelError("there are no numbers to choose from: give some, such as range(1, 9)")
    return list(dict.fromkeys(map(int, found)))


def _task(what: tuple[Any, Any, Any], asked: list[int], options: dict[str, Any], share: float) -> ChoiceTask:
    """The fits, once the data are known to have rows enough."""
    begin, data, learner = what
    rows = begin(data, min(asked)).check(data)
    n_rows = int(rows.sizes.sum()) if hasattr(rows, "sizes") else len(rows)
    if n_rows < 2:
        raise ModelError("there is one row: a choice between models takes several")
    if max(asked) > n_rows:
        raise ModelError(f"{max(asked):,} components or states need as many rows, and there are {n_rows:,}")
    task = ChoiceTask(begin, data, learner, {**options}, options.get("weights"), None)
    return task if not share or options.get("validation") is not None else _split(task, len(rows), share)


def _split(task: ChoiceTask, n: int, share: float) -> ChoiceTask:
    """Some rows, or sequences, are held out: they count zero times."""
    if not SHARE.holds(share) or not 0 < share < 1:
        raise ModelError(f"held_out is a share between 0 and 1, got {share!r}")
    if n < 2:
        raise ModelError("one sequence cannot be split: choose by BIC, or give a validation sequence")
    out = generator(task.options.get("key", 0)).permutation(n)[: min(max(round(share * n), 1), n - 1)]
    each = np.ones(n) if task.learned is None else checked_weights(task.learned, n)
    held = np.zeros(n)
    held[out] = each[out]
    if not held.any() or not (each - held).any():
        raise ModelError("all rows that count were held out, or none: give a validation file, or other weights")
    return task._replace(learned=each - held, held=held)


def _chosen(task: ChoiceTask, asked: list[int], by: str) -> Choice:
    """All fits, one after the other, as far as they get."""
    found: list[Candidate] = []
    options = task.options
    each = task.learner.n_init * (options.get("epochs") or task.learner.epochs)
    failed: list[Exception] = []
    total = each * (sum(asked) + (max(asked) if task.held is not None else 0))
    with Display(options.get("progress"), total, 0) as show:
        try:
            for n in asked:
                found.append(_fitted(task, n, (show, each), failed))
            best = _best(found, by, failed)
            run = best.run
            if task.held is not None:
                whole = task._replace(learned=options.get("weights"), held=None)
                run = _run(whole, best.number, (show, each), "all")
        except KeyboardInterrupt:
            if not any(own.run for own in found):
                raise
            best = _best(found, by, failed)
            return Choice(History(tuple(found)), best, by, _there(best), interrupted=True)
    assert run is not None
    return Choice(History(tuple(found)), best, by, run)


def _best(found: list[Candidate], by: str, failed: list[Exception]) -> Candidate:
    """The one with the least loss, of equal ones the first."""
    there = [own for own in found if own.run is not None]
    if not there:
        raise failed[0]
    return min(there, key=lambda own: own.loss(by))


def _there(best: Candidate) -> EMRun:
    assert best.run is not None
    return best.run


def _fitted(task: ChoiceTask, n: int, shown: tuple[Display, int], failed: list[Exception]) -> Candidate:
    """The fit of one number, and what it is worth; one that fails says why."""
    began = time.perf_counter()
    try:
        run = _run(task, n, shown)
    except (ModelError, BudgetError) as error:
        if type(error) not in (ModelError, BudgetError):  # what is wrong with a file is not the number's fault
            raise
        failed.append(error)
        return Candidate(n, seconds=time.perf_counter() - began, error=str(error))
    model, data, how = run.model, task.data, {"memory": task.options.get("memory")}
    out = Candidate(n, total_log_likelihood(model, data, weights=task.learned, **how), model.n_parameters, run=run)
    criterion = bic(model, data, weights=task.learned, **how)
    seconds = time.perf_counter() - began
    return replace(out, bic=criterion, held_out=_held_out(model, task), seconds=seconds, note=_hardly_varies(model))


def _hardly_varies(model: Any) -> str:
    """Where a component is next to constant in a column of real numbers, beside how much that varies in all."""
    own = model.emissions
    within = np.where(own.whole, np.nan, own.deviations)
    all_of = np.sqrt(np.mean(within**2, axis=0) + np.var(own.means, axis=0))
    k, column = np.nonzero(within < NARROW * all_of)
    if not len(k):
        return ""
    name = model.named.names[column[0]] if model.named else f"column {column[0]}"
    return f"{k[0]} hardly varies in {name}: its density has no limit"


def _held_out(model: Any, task: ChoiceTask) -> Certificate | None:
    """The mean log p of what was not learned from."""
    memory, others = task.options.get("memory"), task.options.get("validation")
    if task.held is not None:
        return total_log_likelihood(model, task.data, weights=task.held, memory=memory) / float(task.held.sum())
    return None if others is None else Certificate.of(log_likelihood(model, others, memory=memory))


def _run(task: ChoiceTask, n: int, shown: tuple[Display, int], mark: str = "") -> EMRun:
    """EM with one number."""
    (show, each), own, done = shown, dict(task.options), 0
    theirs = own.pop("callback", None)

    def iterated(record: Any) -> Any:
        nonlocal done
        done += 1
        show.advance(n)
        show.tell(f"{n} of them", record)
        return theirs and theirs(record)

    if own.get(CHECKPOINT):
        own[CHECKPOINT] = f"{own[CHECKPOINT]}.{mark or n}"
    own |= {"weights": task.learned, "progress": False, "callback": iterated}
    run = fit(task.begin(task.data, n), task.data, task.learner, **own)
    show.advance(n * max(each - done, 0))
    return run
