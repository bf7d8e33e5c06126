"""Information criteria: the likelihood of the rows that were learned from, less a price for every parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tractable.evaluate.verbs import log_likelihood
from tractable.families import check_own
from tractable.models.weights import checked_weights
from tractable.plan import Memory
from tractable.posterior import Certificate, UnsupportedError


def bic(model: Any, data: Any, *, weights: Any = None, memory: Memory = None) -> Certificate:
    """The Bayesian information criterion −2 Σ log p(x) + n_parameters · log n_rows: lower is better.

    With `weights` each row, or sequence, counts so often, in both terms.

    Of Bayesian networks, Boltzmann machines (general, restricted, deep), sigmoid belief networks, deep belief networks,
    Helmholtz machines, mixtures, hidden Markov models and factorial hidden Markov models; of the last two n_rows counts
    the rows of all sequences. As sure as `log_likelihood` is.

    Raises
    ------
    ModelError : data that do not fit the model.

    References
    ----------
    Schwarz, Estimating the dimension of a model, Annals of Statistics 6, 1978.

    Examples
    --------
    >>> coin = tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]]))
    >>> round(tr.bic(coin, [[0], [1]]).value, 6)
    3.465736
    """
    rows, each = _counts(model, data), _checked(model, data, weights)
    n = sum(rows) if each is None else float(each @ np.asarray(rows))
    return _criterion(model, (data, each), float(np.log(n)), memory)


def aic(model: Any, data: Any, *, weights: Any = None, memory: Memory = None) -> Certificate:
    """Akaike's information criterion −2 Σ log p(x) + 2 n_parameters: lower is better.

    With `weights` each row, or sequence, counts so often.

    Of Bayesian networks, Boltzmann machines (general, restricted, deep), sigmoid belief networks, deep belief networks,
    Helmholtz machines, mixtures, hidden Markov models and factorial hidden Markov models. As sure as `log_likelihood`.

    Raises
    ------
    ModelError : data that do not fit the model.

    References
    ----------
    Akaike, A new look at the statistical model identification, IEEE Transactions on Automatic Control 19, 1974.

    Examples
    --------
    >>> coin = tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]]))
    >>> round(tr.aic(coin, [[0], [1]]).value, 6)
    4.772589
    """
    return _criterion(model, (data, _checked(model, data, weights)), 2.0, memory)


def _criterion(model: Any, given: tuple[Any, np.ndarray | None], price: float, memory: Memory) -> Certificate:
    data, weights = given
    check_own(model)
    if not hasattr(model, "n_parameters"):
        raise UnsupportedError(
            f"the free parameters of a {type(model).__name__} are not counted: compare log_likelihood"
        )
    return price * model.n_parameters - 2 * _total(model, data, weights, memory)


def total_log_likelihood(model: Any, data: Any, *, weights: Any = None, memory: Memory = None) -> Certificate:
    """Σ log p(x) over rows, or sequences, each counted as often as its weight says; as sure as `log_likelihood` is."""
    return _total(model, data, _checked(model, data, weights), memory)


def _total(model: Any, data: Any, weights: np.ndarray | None, memory: Memory) -> Certificate:
    found = log_likelihood(model, data, memory=memory)
    return len(_counts(model, data)) * found if weights is None else _weighted(found.per_row, weights)


def _weighted(rows: Certificate, weights: np.ndarray) -> Certificate:
    """Σ w log p(x), where a row of weight zero may be impossible."""
    if rows.kind != "exact":
        raise UnsupportedError(f"rows of weights need exact likelihoods, these are {rows.kind}: leave weights out")
    seen = weights > 0
    return Certificate.exact(np.asarray(rows.value)[seen] @ weights[seen])


def _checked(model: Any, data: Any, weights: Any) -> np.ndarray | None:
    """Weights of rows or sequences, as such."""
    return None if weights is None else checked_weights(weights, len(_counts(model, data)))


def _counts(model: Any, data: Any) -> Sequence[int]:
    """The rows of each term of the likelihood: of sequences more than one."""
    check_own(model)
    checked = model.check(data) if hasattr(model, "check") else data
    return checked.sizes.tolist() if hasattr(checked, "sizes") else [1] * len(checked)
