"""The verbs for mixtures: the posterior of the component is one softmax over joint probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.threads import side_by_side
from tractable.models._base import ModelError, nearest
from tractable.models.emissions import Statistics
from tractable.models.mixture import COMPONENT, Mixture, condition, one_row, read_rows
from tractable.plan.mixtures import plan_model
from tractable.posterior._base import Marginals, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.verbs import generator

Memory = int | float | str | None
METHODS = ("auto", "closed form")
ROWS = 2048
PIECE = 4 * ROWS
"""Rows that one thread looks at: whatever cores there are, so that sums do not depend on them."""


class Expected(NamedTuple):
    """What an E-step finds: expected statistics, Σ log p(x), and ELBO and KL(q ‖ posterior) summed over rows.

    Where log p(x) is not affordable, the ELBO stands for it, a KL of zero beside it, and `upper` is a bound above. `q`
    is what stood for the posterior, where it has to be searched for.
    """

    statistics: Statistics
    log_likelihood: float
    elbo: float
    kl: float
    upper: float | None = None
    q: Any = None


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
    model: Mixture, x: np.ndarray, weights: np.ndarray | None = None, q: str | int = "exact", before: Any = None
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
        if (bad := _impossible(log_p, w)).any():
            return start + int(bad.argmax())
        elbo, kl = log_p, np.zeros_like(log_p)
        if n_kept:
            r, elbo, kl = _approximated(joint, r, n_kept)
        r = r if w is None else r * w[:, None]
        sums += [np.sum(v) if w is None else w @ v for v in (log_p, elbo, kl)]
        found = model.statistics(x[rows], r)
        total = found if total is None else total + found
    assert total is not None
    return total, sums


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


def _impossible(log_p: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.isneginf(log_p) if weights is None else np.isneginf(log_p) & (weights > 0)


# ---------------------------------------------------------------- the verbs


def infer(
    model: Mixture, evidence: Any = None, *, method: str = "auto", memory: Memory = None, key: Any = 0
) -> Posterior:
    """p(component | x) of one row [d], or of many [n, d]; NaN is integrated out."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    rows = read_rows(model, evidence)
    log_p, r = softmax(model.log_joint(rows))
    one = evidence is None or (len(rows) == 1 and not (isinstance(evidence, np.ndarray) and evidence.ndim == 2))
    array = r[0] if one else r
    names = {COMPONENT: [str(k) for k in range(model.n_components)]}
    marginals = Marginals(names, {COMPONENT: slice(None)}, lambda _: array)
    certificate = Certificate.exact(float(log_p[0]) if one else log_p)
    observed = tuple(str(j) for j in np.flatnonzero(~np.isnan(rows[0])))
    draw = partial(_draw, model, rows)
    return Posterior(certificate, lambda: plan_model(model, observed), marginals, partial(_joint, array), draw)


def _joint(array: np.ndarray, variables: Sequence[str]) -> np.ndarray:
    """The joint posterior of the only hidden variable."""
    if list(variables) != [COMPONENT]:
        raise ModelError(f"the only hidden variable of a mixture is {COMPONENT!r}, got {list(variables)}")
    return array


def _draw(model: Mixture, rows: np.ndarray, key: Any, n: int) -> dict[str, np.ndarray]:
    """Components and complete rows given one row."""
    if len(rows) != 1:
        raise ModelError(f"samples are drawn given one row, the evidence holds {len(rows)}")
    rng, left, row = generator(key), condition(model, rows), rows[0]
    components = rng.choice(model.n_components, size=n, p=left.weights)
    out = np.tile(np.asarray(row, np.float64), (n, 1))
    if left.emissions is not None:
        out[:, np.isnan(row)] = left.emissions.sample(rng, components)
    return {COMPONENT: components, "columns": out}


def log_partition(model: Mixture, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log p(x): the offset where nothing is given."""
    if evidence is None:
        return Certificate.exact(model.offset)
    return infer(model, evidence, memory=memory).log_partition


def most_probable(model: Mixture, evidence: Any = None, *, memory: Memory = None) -> MostProbable:
    """The most probable component given one row, with log p(x, component)."""
    row = one_row(model, evidence)
    joint = model.log_joint(row)[0]
    best = int(joint.argmax())
    if joint[best] == -np.inf:
        raise ImpossibleEvidenceError("the evidence has probability zero under every component")
    observed = tuple(str(j) for j in np.flatnonzero(~np.isnan(row[0])))
    return MostProbable(
        {COMPONENT: str(best)}, Certificate.exact(float(joint[best])), plan_model(model, observed, "map")
    )


def sample(model: Mixture, n: int, *, evidence: Any = None, key: Any = 0, memory: Memory = None) -> np.ndarray:
    """Rows [n, d], independent and exact; columns that are given have the values given."""
    return _draw(model, one_row(model, evidence), key, n)["columns"]


def transform(model: Mixture, data: Any) -> np.ndarray:
    """p(k | x) of each row [n, K]."""
    return responsibilities(model, model.check(data))


def reconstruct(model: Mixture, data: Any) -> np.ndarray:
    """The mean of each row's columns under its posterior [n, d]."""
    return transform(model, data) @ model.free.means


def impute(model: Mixture, data: Any, *, key: Any = 0, n_sweeps: int = 0) -> np.ndarray:
    """The data with NaN replaced by posterior means (of a categorical column: the most probable state); exact."""
    x = model.check(data)
    return np.concatenate([model.free.imputed(x[rows], responsibilities(model, x[rows])) for rows in chunks(x)])
