"""The engine of mixtures: the posterior of the component is one softmax over joint probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.threads import n_cores, side_by_side
from tractable.models._base import ModelError
from tractable.models.emissions import Statistics
from tractable.models.keys import generator
from tractable.models.levels import levels_of
from tractable.models.mixture import COMPONENT, Mixture, condition
from tractable.models.mixture import read_rows as rows_of
from tractable.models.rows import Rows, is_named
from tractable.plan import Ask, Memory, Plan, adopted, allowed, ask
from tractable.plan.mixtures import plan_rows
from tractable.posterior._base import MostProbable, Posterior
from tractable.posterior.best import best_first
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.engines._protocol import Solved
from tractable.posterior.engines.names import filled, likely, table
from tractable.posterior.expected import Expected
from tractable.posterior.marginals import Marginals

ROWS = 2048
OPTIONS = {"sample": ("codes",), "impute": ("codes", "expected"), "most_probable": ("k",)}
PIECE = 4 * ROWS
"""Rows that one thread looks at: whatever cores there are, so that sums do not depend on them."""


def softmax(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log Σ_k exp(joint) [n], and the posterior [n, K]; a row that is impossible under all has zeros."""
    top = joint.max(1)
    weights = np.exp(joint - np.where(np.isfinite(top), top, 0.0)[:, None])
    total = weights.sum(1)
    possible = total > 0
    with np.errstate(divide="ignore"):
        log_p = top + np.log(total)
    weights /= np.where(possible, total, 1.0)[:, None]
    return np.where(possible, log_p, -np.inf), weights


def chunks(x: np.ndarray) -> Iterator[slice]:
    """Slices of so many rows."""
    for start in range(0, len(x), ROWS):
        yield slice(start, start + ROWS)


def log_likelihood_rows(model: Mixture, x: np.ndarray) -> np.ndarray:
    """log p(x) of each row."""
    return np.concatenate([softmax(model.log_joint(x[rows]))[0] for rows in chunks(x)] or [np.zeros(0)])


def responsibilities(model: Mixture, x: np.ndarray) -> np.ndarray:
    """p(k | x) of each row [n, K]."""
    return np.concatenate([softmax(model.log_joint(x[r]))[1] for r in chunks(x)] or [np.zeros((0, model.n_components))])


def expected_statistics(
    model: Mixture,
    x: np.ndarray,
    weights: np.ndarray | None = None,
    q: str | int = "exact",
    before: Any = None,
    memory: Memory = None,  # see `affordable`
) -> Expected:
    """The E-step: expected sufficient statistics of all rows under the posterior, or under what stands for it.

    Parameters
    ----------
    x : checked rows [n, d]. weights : how often each row counts [n].
    q : ``"exact"``, the posterior itself, for which the KL is zero; ``"hard"`` or a number, see `truncated`.

    Raises
    ------
    ModelError : a row of probability zero under every component; another q.
    """
    one = partial(_expected, model, x, weights, _n_kept(q))
    pieces = [range(start, min(start + PIECE, len(x)), ROWS) for start in range(0, len(x), PIECE)]
    found = side_by_side(one, pieces, products=True)
    for impossible in (part for part in found if isinstance(part, int)):
        raise ModelError(f"row {impossible} has probability zero under every component: learn with a prior > 0")
    parts = [part for part in found if not isinstance(part, int)]
    return Expected(reduce(add, (own for own, _ in parts)), *np.sum([sums for _, sums in parts], 0).tolist())


def affordable(model: Mixture, x: np.ndarray, memory: Memory) -> None:
    """Refuse E-steps in which the rows that all cores look at at a time take more than `memory`."""
    allowed(plan_rows(model, (), ask("marginals", memory, np.inf), min(len(x), ROWS * n_cores())))


def _expected(
    model: Mixture, x: np.ndarray, weights: np.ndarray | None, n_kept: int, starts: range
) -> tuple[Statistics, np.ndarray] | int:
    """The statistics of some chunks, and the sums of log p(x), ELBO and KL; or the first row that is impossible."""
    total, sums = None, np.zeros(3)
    for start in starts:
        rows = slice(start, start + ROWS)
        w = None if weights is None else weights[rows]
        joint = model.log_joint(x[rows])
        log_p, r = softmax(joint)
        if (bad := _impossible(joint, log_p, w)) is not None:
            return start + bad
        elbo, kl = log_p, np.zeros_like(log_p)
        if n_kept:
            r, elbo, kl = _approximated(joint, r, n_kept)
        r = r if w is None else r * w[:, None]
        sums += [np.sum(v) if w is None else w @ v for v in (log_p, elbo, kl)]
        found = model.statistics(x[rows], r)
        total = found if total is None else total + found
    assert total is not None
    return total, sums


def _impossible(joint: np.ndarray, log_p: np.ndarray, weights: np.ndarray | None) -> int | None:
    """The first impossible row that counts; those that do not count are made harmless, if there is none."""
    bad = np.isneginf(log_p)
    if (counted := bad if weights is None else bad & (weights > 0)).any():
        return int(counted.argmax())
    joint[bad], log_p[bad] = 0.0, 0.0
    return None


def _n_kept(q: str | int) -> int:
    """On how many components of each row q is not zero; 0 for all of them."""
    known = {"exact": 0, "hard": 1}
    if q not in known and not isinstance(q, int):
        raise ModelError(f"the posterior of a mixture is 'exact', 'hard' or a number of components, got {q!r}")
    return known[q] if isinstance(q, str) else q


def truncated(joint: np.ndarray, n: int) -> np.ndarray:
    """The posterior on the `n` most probable components of each row [n_rows, K], zero on the others.

    >>> truncated(np.log([[0.5, 0.3, 0.2]]), 2).round(3).tolist()
    [[0.625, 0.375, 0.0]]
    """
    k = joint.shape[1]
    if n >= k:
        best = joint
    else:
        places = np.argpartition(joint, k - n, axis=1)[:, k - n :]
        best = np.full_like(joint, -np.inf)
        np.put_along_axis(best, places, np.take_along_axis(joint, places, 1), 1)
    q = np.exp(best - best.max(1, keepdims=True))
    return q / q.sum(1, keepdims=True)


def _approximated(joint: np.ndarray, posterior: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, and by themselves ELBO = E_q[log p(x, k)] + H(q) and KL(q ‖ posterior) of each row."""
    r = truncated(joint, n)
    there = r > 0
    log_r = np.log(np.where(there, r, 1.0))
    elbo = np.where(there, r * (np.where(there, joint, 0.0) - log_r), 0.0).sum(1)
    log_posterior = joint - joint.max(1, keepdims=True)
    log_posterior -= np.log(np.exp(log_posterior).sum(1, keepdims=True))
    kl = np.where(there, r * (log_r - np.where(there, log_posterior, 0.0)), 0.0).sum(1)
    return r, elbo, kl


# ---------------------------------------------------------------- the steps of the verbs


@dataclass(frozen=True, eq=False)
class Asked:
    """A mixture and rows [n, d]; `given` says whether anything is."""

    model: Mixture
    rows: np.ndarray
    many: bool
    given: bool = True
    data: Any = None
    """As they came."""

    @property
    def observed(self) -> tuple[str, ...]:
        """The columns that the first row observes."""
        there = np.flatnonzero(~np.isnan(self.rows[:1]).any(0)).tolist() if len(self.rows) else []
        return tuple(self.model.named.names[j] if self.model.named else str(j) for j in there)

    def in_names(self, found: dict[str, Any]) -> dict[str, Any]:
        """Draws with their columns by name."""
        return found | {"columns": in_names(self.model, found["columns"], None)}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"data": None}

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior of the only hidden variable."""
        if list(variables) != [COMPONENT]:
            raise ModelError(f"the only hidden variable of a mixture is {COMPONENT!r}, got {list(variables)}")
        r = _posteriors(self.model, self.rows)[1]
        return r if self.many else r[0]

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, np.ndarray]:
        """Components and complete rows given one row."""
        assert plan.budget is not None
        allowed(plan_rows(self.model, self.observed, Ask("sample", plan.budget, n=n), 1))
        return _draw(self, n, key)


class Answer(NamedTuple):
    """log p(x) of each row, and what else was found."""

    log_partition: Certificate
    found: Any = None


def read(model: Mixture, evidence: Any) -> Asked:
    """One row [d], or many [n, d]; NaN is integrated out."""
    rows = rows_of(model, evidence)
    one = evidence is None or (len(rows) == 1 and not (isinstance(evidence, np.ndarray) and evidence.ndim == 2))
    if model.named is not None and evidence is not None:
        alone = not is_named(evidence) and np.ndim(evidence) == 1 and len(rows) == 1
        one = model.named.case_of(evidence) is not None or alone
    return Asked(model, rows, not one, evidence is not None)


def read_rows(model: Mixture, data: Any, missing: bool) -> Asked:
    """Rows of data, checked."""
    return Asked(model, model.check(data), True, data=data)


def groups(asked: Asked, ask: Ask) -> list[tuple[slice, Asked]]:
    """All rows together."""
    return [(slice(None), asked)]


def plan(asked: Asked, ask: Ask) -> Plan:
    """The plan of one softmax for each row."""
    if isinstance(ask.method, Plan):
        return adopted(ask.method, (asked.model.n_components, asked.model.n_columns), ask)
    return plan_rows(asked.model, asked.observed, ask, len(asked.rows))


def solve(plan: Plan, asked: Asked, key: Any) -> Answer:
    """The softmax of each row, or draws from it."""
    model, rows = asked.model, asked.rows
    if plan.query == "evidence" and not asked.given:
        return Answer(Certificate.exact(model.offset))
    if plan.query == "sample":
        return Answer(Certificate.exact(0.0), _draw(asked, plan.n, key)["columns"])
    if plan.query == "map":
        return Answer(Certificate.exact(0.0), np.concatenate([*_each(model.log_joint, rows)]))
    log_p, r = _posteriors(model, rows)
    return Answer(Certificate.of_cases(log_p if asked.many else float(log_p[0])), r)


def _posteriors(model: Mixture, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) and p(k | x) of each row; NaN where a row is impossible."""
    parts = map(softmax, _each(model.log_joint, rows))
    log_p, r = (np.concatenate(own) for own in zip(*parts, strict=True))
    r[np.isneginf(log_p)] = np.nan
    return log_p, r


def _each(f: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> Iterator[np.ndarray]:
    """A function of rows, chunk by chunk; of none where there are none."""
    yield from (f(rows[part]) for part in chunks(rows)) if len(rows) else [f(rows)]


def _one(asked: Asked) -> np.ndarray:
    if len(asked.rows) != 1:
        raise ModelError(f"this takes one row, the evidence holds {len(asked.rows)}")
    return asked.rows


def _draw(asked: Asked, n: int, key: Any) -> dict[str, np.ndarray]:
    """Components and complete rows given one row."""
    rng, left, row = generator(key), condition(asked.model.unnamed, _one(asked)), asked.rows[0]
    components = rng.choice(asked.model.n_components, size=n, p=left.weights)
    out = np.tile(np.asarray(row, np.float64), (n, 1))
    if left.emissions is not None:
        out[:, np.isnan(row)] = left.emissions.sample(rng, components)
    return {COMPONENT: components, "columns": out}


def posterior(asked: Asked, solved: Sequence[Solved]) -> Posterior[Marginals]:
    """p(component | x) of one row, or of many."""
    ((_, _, plan, (log_p, r)),) = solved
    names = {COMPONENT: [str(k) for k in range(asked.model.n_components)]}
    return Posterior(log_p, Marginals(names, {COMPONENT: slice(None)}, r if asked.many else r[0]), plan, asked)


def log_partition(asked: Asked, solved: Sequence[Solved]) -> Certificate:
    """log p(x): the offset where nothing is given."""
    return solved[0].answer.log_partition


def normalized(model: Mixture) -> bool:
    """Whether all rows together have the probability one."""
    return model.offset == 0


def most_probable(asked: Asked, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable components of each row, with log p(x, component).

    None where a row is impossible, or under no more components possible.
    """
    ((_, _, plan, (_, joint)),) = solved
    best = np.argsort(-joint, axis=1, kind="stable")[:, : plan.n + 1]
    log_p = np.take_along_axis(joint, best, 1).T
    if not asked.many and log_p[0, 0] == -np.inf:
        raise ImpossibleEvidenceError("the evidence has probability zero under every component")
    names = best.T.astype(str).astype(object)
    names[log_p == -np.inf] = None

    def certified(values: np.ndarray) -> Certificate:
        return Certificate.of_cases(values if asked.many else float(values[0]))

    return best_first(plan, log_p, lambda j: {COMPONENT: names[j] if asked.many else names[j, 0]}, certified)


def sample(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """Rows [n, d], independent and exact; columns that are given have the values given."""
    return solved[0].answer.found


def transform(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """p(k | x) of each row [n, K]."""
    return solved[0].answer.found


def reconstruct(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The mean of each row's columns under its posterior [n, d]; by name the likeliest state of a categorical one."""
    found, own = transform(asked, solved), asked.model.named
    return found @ asked.model.free.means if own is None else table(own, asked.data, likely(asked.model.free, found))


def impute(asked: Asked, solved: Sequence[Solved], expected: bool = False) -> np.ndarray:
    """The data with NaN replaced by posterior means (of a categorical column: the most probable state); exact.

    With `expected` states that read as numbers are these, and the mean of such a column is in its gaps. A row that is
    impossible under every component keeps its gaps.
    """
    r, x, own = np.nan_to_num(solved[0].answer.found), asked.rows, asked.model.free
    levels = levels_of(asked.model.named, own.column_states) if expected else ()
    found = np.concatenate([own.imputed(x[rows], r[rows], levels) for rows in chunks(x)] or [x])
    return np.where(r.any(1)[:, None] | ~np.isnan(x), found, np.nan)


def in_names(model: Mixture, found: np.ndarray, data: Any, expected: bool = False) -> Any:
    """Rows by the names of their columns, those of data in the container that these came in."""
    if model.named is None:
        return found
    levels = levels_of(model.named, model.free.column_states) if expected else ()
    return Rows(model.named.written(found)) if data is None else filled(model.named, data, found, levels)


joint = Asked.joint
