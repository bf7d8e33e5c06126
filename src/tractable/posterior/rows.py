"""The verbs about rows of data and sequences: what is hidden in each, what is missing from it, what comes next."""

from __future__ import annotations

from typing import Any

from tractable.kernels.interrupts import heard
from tractable.plan import Memory
from tractable.posterior.dispatch import asked_of, in_names, rows_of, walk_of


@heard
def transform(model: Any, data: Any, *, memory: Memory = None, seconds: float | None = None) -> Any:
    """What the hidden variables of each row are like: means of units, or probabilities of states.

    Of Boltzmann machines (general, restricted, deep) posterior means of all hidden units [n_rows, n_hidden], exact
    where they are independent given the row, as in a restricted machine, else by mean field. Of sigmoid belief
    networks, deep belief networks and Helmholtz machines the same, exact where that is affordable, else those of the
    recognition network, or of mean field where there is none. Of mixtures p(component | row) [n_rows, K]; of hidden
    Markov models p(state | sequence) of each row [t, K]; of factorial hidden Markov models the chains side by side [t,
    Σk].

    Raises
    ------
    UnsupportedError : a network of tables, which `infer` answers. ModelError : rows that do not fit the model, or that
        have gaps where a model has units.

    Examples
    --------
    >>> print(tr.transform(tr.restricted(couplings=[[1.0], [-1.0]]), [[1, 0], [1, 1]]).round(2))
    [[0.73]
     [0.5 ]]
    """
    walk = asked_of(model, "transform", "transform", memory, seconds, {})
    return walk_of("transform", rows_of(walk[0], model, data, False), walk)


@heard
def reconstruct(model: Any, data: Any, *, memory: Memory = None, seconds: float | None = None) -> Any:
    """Each row as its hidden variables have it: means of the columns [n_rows, n_columns].

    Of Boltzmann machines (general, restricted, deep), sigmoid belief networks, deep belief networks and Helmholtz
    machines the means of the visible units given the means of the hidden ones, see `transform`. Of mixtures, hidden
    Markov models and factorial hidden Markov models the mean of the emissions under the posterior of the row's states.

    Raises
    ------
    UnsupportedError : a network of tables; `impute` fills in what is missing. ModelError : as for `transform`.

    Examples
    --------
    >>> print(tr.reconstruct(tr.restricted(couplings=[[9.0], [-9.0]]), [[1, 0]]).round(2))
    [[1. 0.]]
    """
    walk = asked_of(model, "reconstruct", "transform", memory, seconds, {})
    return walk_of("reconstruct", rows_of(walk[0], model, data, False), walk)


@heard
def impute(
    model: Any, data: Any, *, key: Any = 0, memory: Memory = None, seconds: float | None = None, **options: Any
) -> Any:
    """The data with what is missing (NaN) replaced by its posterior mean given what is observed.

    Of Bayesian networks and Markov networks names of states, the most probable one where a value is missing, in the
    container that the data came in, variables without a column behind the others; ``codes=True`` gives variable → state
    indices [n_rows]. Of Boltzmann machines (general, restricted, deep), sigmoid belief networks, deep belief networks
    and Helmholtz machines [n_rows, n_visible] with a ``verdict``, exact where affordable, else averages over Gibbs
    chains of ``n_sweeps``. Of mixtures, hidden Markov models and factorial hidden Markov models rows as they came,
    exact. Categories get their likeliest state; with ``expected=True`` (not of layers) those that all read as numbers
    become these, and gaps their mean. Gaps in a row, or a sequence among others, that is impossible stay gaps.

    Raises
    ------
    ModelError : data that do not fit, a single impossible sequence; an option that the family does not have.

    Examples
    --------
    >>> print(tr.impute(tr.restricted(couplings=[[9.0], [9.0]]), [[1, float("nan")]]).round(2))
    [[1. 1.]]
    """
    walk = asked_of(model, "impute", "impute", memory, seconds, options)
    how = {"expected": True} if options.get("expected") else {}
    found = walk_of("impute", rows_of(walk[0], model, data, True), walk, key, **how)
    return in_names(walk[0], model, found, data, bool(options.get("codes")), **how)


@heard
def filtering(model: Any, data: Any, *, lag: int = 0, memory: Memory = None, seconds: float | None = None) -> Any:
    """p(z_t | x_1, …, x_{t+lag}) of each row [t, K]: filtering, or fixed-lag smoothing; a list for many sequences.

    Of hidden Markov models; of factorial hidden Markov models one for each chain. NaN for impossible ones among many.

    Raises
    ------
    UnsupportedError : other families. ValueError : a negative lag.
    ModelError : data that do not fit, a single sequence that is impossible.

    Examples
    --------
    >>> coin = tr.BernoulliEmissions([[0.9], [0.2]])
    >>> hmm = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], coin)
    >>> tr.filtering(hmm, [1, 1, 0])[0].round(6).tolist()
    [0.818182, 0.181818]
    """
    if lag < 0:
        raise ValueError(f"a lag is a number of rows ≥ 0, got {lag}")
    walk = asked_of(model, "filtering", "filtering", memory, seconds, {"n": lag})
    return walk_of("filtering", walk[0].read(model, data), walk)


@heard
def forecast(model: Any, data: Any, n: int = 1, *, memory: Memory = None, seconds: float | None = None) -> Any:
    """p(z_{T+h} | x) and E[x_{T+h} | x] for h = 1, …, n, a `Forecast`; a list for many sequences.

    Of hidden Markov models, ``states`` [n, K], ``means`` [n, d] and ``predictive``, the distribution of each column:
    standard deviations, quantiles, intervals; of factorial hidden Markov models the states of all chains side by side
    [n, Σk], and no ``predictive``. NaN for an impossible sequence among others.

    Raises
    ------
    UnsupportedError : other families. ModelError : data that do not fit, a single sequence that is impossible.

    Examples
    --------
    >>> coin = tr.BernoulliEmissions([[0.9], [0.2]])
    >>> hmm = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], coin)
    >>> tr.forecast(hmm, [1, 1, 0], 2).means.round(6).ravel().tolist()
    [0.498058, 0.508447]
    >>> heights = tr.DiagonalGaussianEmissions([[0.0], [9.0]], [[1.0], [4.0]])
    >>> tide = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], heights)
    >>> low, high = tr.forecast(tide, [0.2, 0.5, 8.8]).predictive.interval(0.9)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([[-0.0]], [[12.186]])
    """
    walk = asked_of(model, "forecast", "filtering", memory, seconds, {"n": n})
    return walk_of("forecast", walk[0].read(model, data), walk)
