"""log p̃(v) row by row where the hidden units cannot be summed out: annealing from each row's own mean field.

For each row v a few chains go from the factorized q of mean field to p(h | v), through machines with the fields
(1 − β) a + β φ and β times the couplings among hidden units. e^work is an unbiased estimate of p̃(v)/Z_base, and so:

- log p̃(v) of a row is at least the betting bound of its chains, with the stated confidence;
- over R independent rows ∏ (estimate/p̃) has the expectation one, so that by Markov's inequality the mean of log p̃(v) is
  at least the mean of the logarithms of the estimates less log(1/δ)/R.

There is no upper end: reverse runs would need exact samples of the hidden units given each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.models.keys import as_key
from tractable.models.precision import in_working_precision
from tractable.posterior import Certificate
from tractable.posterior.tempering import bounds
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.machines import base_log_partition
from tractable.posterior.tempering.rows import applies, log_joint_of_data, rows_path
from tractable.posterior.tempering.temperatures import linear

__all__ = ["RowAnnealing", "applies", "certified", "row_work"]

TOGETHER = 4096
"""Chains that run side by side."""

FEW = 2.0
"""Effective chains below which a row's estimate is the work of a single one."""

NO_UPPER = "log p̃(v) of each row is annealed and has no upper end: that takes exact samples of its hidden units"


@dataclass(frozen=True)
class RowAnnealing:
    """How to anneal the hidden units of each row.

    Attributes
    ----------
    n_chains : chains for each row.
    n_temperatures : even steps between mean field and model.
    confidence : of the lower ends; half of what they may fail by is left to log Z.

    Examples
    --------
    >>> tr.evaluate.RowAnnealing(n_chains=8)  # for tr.log_likelihood(machine, data, method="annealing", rows=…)
    RowAnnealing(n_chains=8, n_temperatures=200, confidence=0.95)
    """

    n_chains: int = 16
    n_temperatures: int = 200
    confidence: float = 0.95


def certified(
    model: Boltzmann, values: Any, key: Any = 0, settings: RowAnnealing | None = None
) -> tuple[Certificate, Certificate]:
    """log p̃(v) of complete rows [n_rows, n_visible], each with its own lower end, and their mean with its own.

    Raises
    ------
    ModelError : values that do not fit the model, or are missing.
    """
    settings = settings or RowAnnealing()
    work, delta = row_work(model, values, key, settings), (1 - settings.confidence) / 2
    effective = np.array([bounds.effective_sample_size(w) for w in work])
    value = np.array([bounds.log_mean_exp(w) for w in work])
    lower = np.minimum([bounds.log_mean_lower(w, delta) for w in work], value)
    error, n = np.sqrt(np.maximum(1 / effective - 1 / settings.n_chains, 0)), len(work)
    how: dict[str, Any] = {"kind": "probabilistic", "confidence": settings.confidence, "verdict": _verdict(effective)}
    rows = Certificate(value, lower, np.full(n, np.inf), std_error=error, **how)
    mean, low = float(value.mean()), float(value.mean() - np.log(1 / delta) / n)
    return rows, Certificate(mean, low, np.inf, std_error=rows.mean().std_error, **how)


def _verdict(effective: np.ndarray) -> str:
    few = int((~(effective >= FEW)).sum())  # what is not a number counts among them
    if not few:
        return NO_UPPER
    return f"{NO_UPPER}; of {few} of {len(effective)} rows one chain carries the estimate: use more temperatures"


@in_working_precision
def row_work(model: Boltzmann, values: Any, key: Any, settings: RowAnnealing) -> Float[np.ndarray, "r c"]:
    """log p̃(v) of each row as each of its chains has it."""
    rows = checked_values(model, VISIBLE, values, missing=False)
    parts = _parts(rows, settings)
    return np.concatenate([_work(model, part, (as_key(key), first), settings)[:n] for first, n, part in parts])


def _parts(rows: np.ndarray, settings: RowAnnealing) -> Iterator[tuple[int, int, np.ndarray]]:
    """Some rows at a time, the last of them filled up: all parts have the same shape."""
    size = min(len(rows), max(1, TOGETHER // settings.n_chains))
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        yield first, len(part), part[np.minimum(np.arange(size), len(part) - 1)]


def _work(model: Boltzmann, rows: np.ndarray, how: Any, settings: RowAnnealing) -> Float[np.ndarray, "r c"]:
    """log p̃(v) as each chain has it."""
    (key, first), n, betas = how, settings.n_chains, linear(settings.n_temperatures)
    path = rows_path(model, rows, n, first)
    x = path.start(jax.random.fold_in(key, len(betas)), len(rows) * n)
    hidden = base_log_partition(path) + run(path, key, betas, x).work
    return log_joint_of_data(model, rows)[:, None] + hidden.reshape(len(rows), n)
