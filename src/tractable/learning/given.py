"""The rows that a gradient learner is given: which of them count, how often, and what gray values are taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable.learning.records import GradientOptions
from tractable.models import ModelError
from tractable.models.binarizing import DRAW, binarized, checked, drawn, in_columns
from tractable.models.columns import numbers_of
from tractable.models.keys import generator
from tractable.models.rows import is_named
from tractable.models.weights import counted


@dataclass(frozen=True)
class GivenRows:
    """Rows as they are learned from.

    Attributes
    ----------
    rows : as the learner takes them; of what is drawn anew in each epoch one draw, which likelihoods are of.
    gray : the probabilities that are drawn from, None where nothing is drawn.
    weights : how often each row counts, None for once.
    bits : the columns that are drawn, all of them where None.
    """

    rows: Any
    gray: np.ndarray | None = None
    weights: np.ndarray | None = None
    bits: np.ndarray | None = None

    @property
    def relative(self) -> np.ndarray | None:
        """The weights, one on average."""
        return None if self.weights is None else (self.weights / self.weights.mean()).astype(np.float32)

    @property
    def n_rows(self) -> float:
        """How many rows there are, each as often as it counts."""
        return len(self.rows) if self.weights is None else float(self.weights.sum())

    def drawn(self, rows: np.ndarray, words: list[int]) -> np.ndarray:
        """These rows, with the draws that belong to these words."""
        if self.gray is None:
            return np.asarray(self.rows[rows])
        rng = np.random.default_rng(words)
        return in_columns(self.bits, np.asarray(self.gray[rows]), lambda gray: drawn(gray, rng))

    def spread(self, n: int) -> np.ndarray:
        """All rows where they count once; else at most `n` of them, each about as often as it counts."""
        if self.weights is None:
            return self.rows
        ends, n = np.cumsum(self.weights), int(min(n, max(1, round(self.n_rows))))
        places = (np.arange(n) + 0.5) / n * ends[-1]
        return self.rows[np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)]


def as_given(data: Any, options: GradientOptions, units: Any = None) -> GivenRows:
    """Data as the options say that they are to be taken, not looked at by a learner yet.

    Of columns of several kinds those alone are binarized that hold zeros and ones, Bernoulli units.

    Raises
    ------
    ModelError : weights that are none; values that cannot be binarized this way; units that hold no zeros and ones.
    """
    if not is_named(data) and hasattr(data, "tocsr"):
        data = numbers_of(data)
    data, weights = counted(data, options.weights)
    if (how := options.binarize) is None:
        return GivenRows(data, None, weights)
    own, key = bits_of(units), generator(options.key)
    rows = checked(numbers_of(data) if own is None else units.numbers(data), how, own)
    cut = in_columns(own, rows, lambda gray: binarized(gray, how, key))
    return GivenRows(cut, rows if how == DRAW else None, weights, own)


def bits_of(units: Any) -> np.ndarray | None:
    """The columns of several kinds that hold zeros and ones; None where all columns are of one kind.

    Raises
    ------
    ModelError : there are none: the columns hold real numbers or categories.
    """
    from tractable.models.units import Bernoulli, Categorical, Gaussian, Mixed  # jax: a command says that it is missing

    own = [isinstance(part, Bernoulli) for part in units.parts] if isinstance(units, Mixed) else []
    if isinstance(units, Gaussian | Categorical) or (own and not any(own)):
        raise ModelError("binarize makes zeros and ones, and none of these columns holds any: leave it out")
    return np.repeat(own, [part.n for part in units.parts]) if own else None
