"""Information criteria: the likelihood of the rows that were learned from, less a price for every parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.evaluate.verbs import log_likelihood
from tractable.families import check_own
from tractable.plan import Memory
from tractable.posterior import Certificate, UnsupportedError


def bic(model: Any, data: Any, *, memory: Memory = None) -> Certificate:
    """The Bayesian information criterion −2 Σ log p(x) + n_parameters · log n_rows: lower is better.

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
    return _criterion(model, data, float(np.log(_counts(model, data)[1])), memory)


def aic(model: Any, data: Any, *, memory: Memory = None) -> Certificate:
    """Akaike's information criterion −2 Σ log p(x) + 2 n_parameters: lower is better.

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
    return _criterion(model, data, 2.0, memory)


def _criterion(model: Any, data: Any, price: float, memory: Memory) -> Certificate:
    check_own(model)
    if not hasattr(model, "n_parameters"):
        raise UnsupportedError(
            f"the free parameters of a {type(model).__name__} are not counted: compare log_likelihood"
        )
    found, n = log_likelihood(model, data, memory=memory), _counts(model, data)[0]
    return price * model.n_parameters - 2 * n * found


def _counts(model: Any, data: Any) -> tuple[int, int]:
    """Terms of the likelihood, and rows: of sequences not the same."""
    check_own(model)
    checked = model.check(data) if hasattr(model, "check") else data
    return len(checked), len(getattr(checked, "rows", checked))
