"""The verbs for factorial hidden Markov models: sequences in, certified numbers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.additive import Terms, joint_pairs
from tractable.models.emissions import Statistics
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.models.sequences import Sequences
from tractable.plan import Plan, allowed
from tractable.plan._base import Query
from tractable.plan.factorial import APPROXIMATE, plan_approximate, plan_factorial
from tractable.posterior._base import Means, MostProbable, Posterior
from tractable.posterior.approximate import factorial as variational
from tractable.posterior.certificate import Certificate
from tractable.posterior.chains import Forecast
from tractable.posterior.exact import factorial as exact
from tractable.posterior.mixtures import Expected
from tractable.posterior.verbs import generator

Memory = int | float | str | None
METHODS = ("auto", "exact", *APPROXIMATE)
AFFORDABLE = 1.0
"""Predicted seconds up to which log p(x) is computed to say how far q is from the posterior."""


class Case(NamedTuple):
    """A model and the sequences that are asked about."""

    model: FactorialHiddenMarkovModel
    sequences: Sequences
    terms: Terms

    @property
    def lengths(self) -> np.ndarray:
        """Of the sequences."""
        return self.sequences.sizes

    def plan(self, query: Query, memory: Memory = None) -> Plan:
        """The price of an exact answer."""
        return plan_factorial(self.model.sizes, self.lengths, query, memory, len(self.terms.quadratic))

    def exact(self, query: Query, memory: Memory = None) -> exact.Question:
        """What is asked of the exact recursions, if the budget allows it."""
        allowed(self.plan(query, memory))
        return exact.question(self.model, self.terms, self.lengths)

    def rows(self, weights: np.ndarray | None = None) -> variational.Rows:
        """What an approximation works with."""
        return variational.Rows(self.model, self.terms, self.lengths, weights)

    def log_p(self) -> np.ndarray | None:
        """log p(x) of each sequence, where that takes little."""
        plan = self.plan("evidence")
        if plan.method is None or plan.seconds > AFFORDABLE:
            return None
        return exact.filtered(exact.question(self.model, self.terms, self.lengths))[0]

    def split(self, states: np.ndarray) -> dict[str, Any]:
        """Arrays over rows and states, or chains [..., M], by the names of the chains."""
        names, slices = self.model.chains, self.model.emissions.slices
        return {name: self.sequences.shaped(states[:, own]) for name, own in zip(names, slices, strict=True)}


def case(model: FactorialHiddenMarkovModel, evidence: Any) -> Case:
    """The question about sequences, every value looked at."""
    if evidence is None:
        raise ModelError("a factorial hidden Markov model needs a sequence: give rows, NaN where nothing is observed")
    sequences = model.check(evidence)
    return Case(model, sequences, model.emissions.terms(sequences.rows))


@dataclass(frozen=True, eq=False)
class FactorialPosterior(Posterior):
    """What is known of the chains given the rows.

    Attributes
    ----------
    marginals : ``marginals["chain0"]`` is p(z_t | x) of the first chain [t, k]; a list of them for many sequences.
    transitions : the expected number of each transition [k, k] of each chain, over all sequences.
    elbo : E_q[log p(x, z)] + H(q) of each sequence; log p(x) where q is the posterior.
    """

    transitions: list[np.ndarray] = field(repr=False, default_factory=list)
    elbo: Any = None
    _kl: Callable[[], Certificate] = field(repr=False, default=lambda: Certificate.exact(0.0))

    @cached_property
    def kl(self) -> Certificate:
        """KL(q ‖ p(z | x)) = log p(x) − ELBO: exact where log p(x) takes little, else between zero and a bound."""
        return self._kl()


def infer(
    model: FactorialHiddenMarkovModel, evidence: Any, *, method: str = "auto", memory: Memory = None, key: Any = 0
) -> FactorialPosterior:
    """p(z | x) of one sequence, or of each of many; what is NaN is integrated out.

    Parameters
    ----------
    method : ``"exact"`` (also ``"auto"``) holds the states of all chains jointly. ``"structured"`` takes each chain by
        itself, ``"mean_field"`` each state of each chain: log p(x) is then between the ELBO and a bound above.

    Raises
    ------
    ModelError : data that do not fit, naming sequence and row. BudgetError : the joint states are too many.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    asked = case(model, evidence)
    return _approximated(asked, method) if method in APPROXIMATE else _exact(asked, memory)


def _exact(asked: Case, memory: Memory) -> FactorialPosterior:
    question, plan = asked.exact("marginals", memory), asked.plan("marginals", memory)
    found = exact.smooth(question)

    def draw(key: Any, n: int) -> dict[str, Any]:
        allowed(asked.plan("map", memory))
        return _paths(asked, exact.sample_paths(question, n, generator(key)))

    log_p = _number(asked, found.log_likelihood)
    marginals: Any = Means.of(asked.split(found.marginals))
    zero = Certificate.exact(0.0 * log_p)
    return FactorialPosterior(
        Certificate.exact(log_p), lambda: plan, marginals, _no_joint, draw, found.transitions, log_p, lambda: zero
    )


def _approximated(asked: Case, method: str) -> FactorialPosterior:
    rows, plan = asked.rows(), plan_approximate(asked.model.sizes, asked.lengths, method)
    found = variational.approximate(rows, method)
    low, high = (_number(asked, x) for x in (found.elbo, rows.relaxed.bound))

    def draw(key: Any, n: int) -> dict[str, Any]:
        return _paths(asked, variational.sample(rows, found, n, generator(key)))

    def kl() -> Certificate:
        log_p = asked.log_p()
        if log_p is None:
            return Certificate.bound(0.0 * low, 0.0 * low, high - low)
        return Certificate.exact(_number(asked, log_p) - low)

    bound = Certificate.bound(low, low, high)
    marginals = Means.of(asked.split(found.states), Certificate.estimate)
    return FactorialPosterior(bound, lambda: plan, marginals, _no_joint, draw, found.transitions, low, kl)  # type: ignore[arg-type]


def _no_joint(_: Any) -> Any:
    raise ModelError("joint marginals of chains are not tabulated; see transitions, and sample")


def _paths(asked: Case, states: np.ndarray) -> dict[str, Any]:
    """Paths [n, rows, M] by the names of the chains: [n, rows], a list for many sequences."""
    ends, many = asked.sequences.ends[:-1], asked.sequences.many
    own = {name: states[:, :, m] for m, name in enumerate(asked.model.chains)}
    return {name: np.split(path, ends, axis=1) if many else path for name, path in own.items()}


def _number(asked: Case, values: np.ndarray) -> Any:
    return values if asked.sequences.many else float(values[0])


def log_partition(model: FactorialHiddenMarkovModel, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log p(x), exact: of one sequence, or of each of many."""
    if evidence is None:
        return Certificate.exact(0.0)
    asked = case(model, evidence)
    return Certificate.exact(_number(asked, exact.filtered(asked.exact("evidence", memory))[0]))


def bounds(model: FactorialHiddenMarkovModel, evidence: Any) -> Certificate:
    """log p(x) of each sequence: exact where the plan allows it, else between a structured ELBO and a bound above."""
    asked = case(model, evidence)
    if asked.plan("evidence").method:
        return Certificate.exact(exact.filtered(asked.exact("evidence"))[0])
    rows = asked.rows()
    found = variational.approximate(rows, "structured")
    return Certificate.bound(found.elbo, found.elbo, rows.relaxed.bound)


def most_probable(model: FactorialHiddenMarkovModel, evidence: Any, *, memory: Memory = None) -> MostProbable:
    """The most probable joint path of all chains (Viterbi), with log p(x, z), for each sequence."""
    asked = case(model, evidence)
    found = exact.viterbi(asked.exact("map", memory))
    own = {name: asked.sequences.shaped(found.states[:, m]) for m, name in enumerate(model.chains)}
    value = Certificate.exact(_number(asked, found.log_probability))
    return MostProbable(own, value, asked.plan("map", memory))  # type: ignore[arg-type]


def sample(
    model: FactorialHiddenMarkovModel, n: int, *, evidence: Any = None, key: Any = 0, memory: Memory = None
) -> np.ndarray:
    """A sequence of `n` rows [n, d]; given a sequence with gaps (NaN), `n` completions of it [n, t, d], exact."""
    rng, e = generator(key), model.emissions
    if evidence is None:
        free = case(model, np.full((max(n, 1), model.n_columns), np.nan))
        own = variational.sample(free.rows(), _prior(free), 1, rng)[0, :n]
        return e.mean(_one_hot(model, own)) + e.noise.sample(rng, np.zeros(n, int))
    asked = case(model, evidence)
    if len(asked.sequences) != 1:
        raise ModelError(f"expected one sequence, got {len(asked.sequences)}; ask for them one by one")
    states = exact.sample_paths(asked.exact("map", memory), n, rng)
    rows = asked.sequences.rows
    drawn = [e.completed(rng, row, _one_hot(model, states[:, t])) for t, row in enumerate(rows)]
    return np.stack(drawn, axis=1)


def _prior(free: Case) -> variational.Factors:
    """The chains where nothing is observed: they do not touch."""
    rows = free.rows()
    return variational.Factors(variational.uniform(rows), np.zeros(1), [], np.zeros_like(free.terms.linear))


def _one_hot(model: FactorialHiddenMarkovModel, states: np.ndarray) -> np.ndarray:
    """States of the chains [n, M] as indicators [n, Σk]."""
    return np.concatenate([np.eye(k)[states[:, m]] for m, k in enumerate(model.sizes)], axis=1)


def transform(model: FactorialHiddenMarkovModel, data: Any) -> Any:
    """p(z_t^m | x) of each row, the chains side by side [t, Σk]; a list for many sequences."""
    asked = case(model, data)
    return asked.sequences.shaped(exact.smooth(asked.exact("marginals")).marginals)


def reconstruct(model: FactorialHiddenMarkovModel, data: Any) -> Any:
    """The mean of each row's columns under its posterior [t, d]; a list for many sequences."""
    found, mean = transform(model, data), model.emissions.mean
    return [mean(part) for part in found] if isinstance(found, list) else mean(found)


def impute(model: FactorialHiddenMarkovModel, data: Any, *, key: Any = 0, n_sweeps: int = 0) -> Any:
    """The sequences with NaN replaced by posterior means; exact."""
    asked = case(model, data)
    states = exact.smooth(asked.exact("marginals")).marginals
    return asked.sequences.shaped(model.emissions.imputed(asked.sequences.rows, states))


# ---------------------------------------------------------------- as time goes on


def filtering(model: FactorialHiddenMarkovModel, data: Any, *, lag: int = 0) -> dict[str, Any]:
    """p(z_t^m | x_1, …, x_{t+lag}) of each chain [t, k], by its name; lists for many sequences."""
    asked = case(model, data)
    return asked.split(exact.fixed_lag(asked.exact("map" if lag else "evidence"), lag))


def forecast(model: FactorialHiddenMarkovModel, data: Any, n: int = 1) -> Any:
    """p(z_{T+h}^m | x), the chains side by side [n, Σk], and E[x_{T+h} | x], for h = 1, …, n; a list for many."""
    asked, e = case(model, data), model.emissions
    now, steps = exact.filtered(asked.exact("evidence"))[1][asked.sequences.ends - 1], []
    for _ in range(n):
        parts = [now[:, own] @ step for own, step in zip(e.slices, model.transitions, strict=True)]
        now = np.concatenate(parts, axis=1)
        steps.append(now)
    states = np.stack(steps, axis=1) if steps else np.zeros((len(now), 0, now.shape[1]))
    found = [Forecast(s, e.mean(s)) for s in states]
    return found if asked.sequences.many else found[0]


# ---------------------------------------------------------------- for learning


def expected_statistics(
    model: FactorialHiddenMarkovModel,
    x: Sequences,
    weights: np.ndarray | None = None,
    q: str | int = "exact",
    before: Expected | None = None,
) -> Expected:
    """The E-step: expected sufficient statistics of all sequences under the posterior, or under what stands for it.

    Parameters
    ----------
    q : ``"exact"``, ``"structured"`` or ``"mean_field"``. before : an E-step whose q this one begins from, so that the
        ELBO does not fall.

    Raises
    ------
    ModelError : another q; a q that cannot avoid forbidden transitions. BudgetError : the joint states are too many.
    """
    asked = Case(model, x, model.emissions.terms(x.rows))
    if q == "exact":
        found = exact.smooth(asked.exact("marginals"), weights)
        pairs = joint_pairs(found.joint, model.sizes)
        log_p = float(found.log_likelihood @ _ones(asked, weights))
        return Expected(_statistics(asked, weights, (found.marginals, pairs, found.transitions)), log_p, log_p, 0.0)
    if q not in APPROXIMATE:
        raise ModelError(
            f"the posterior of a factorial hidden Markov model is exact, {', '.join(APPROXIMATE)}; got {q!r}"
        )
    rows = asked.rows(_ones(asked, weights))
    found = variational.approximate(rows, str(q), None if before is None else before.q)
    if not np.isfinite(found.elbo).all():
        raise ModelError("no mean field avoids the transitions of probability zero: take posterior='structured'")
    moments = (found.states, variational.pair_moments(rows, found.states), found.transitions)
    return _with_kl(asked, rows, found, _statistics(asked, weights, moments))


def _with_kl(asked: Case, rows: variational.Rows, found: variational.Factors, statistics: Statistics) -> Expected:
    """The record of an E-step: KL by itself where log p(x) takes little, else a bound above."""
    elbo, log_p = float(found.elbo @ rows.weights), asked.log_p()
    if log_p is not None:
        gap = float((log_p - found.elbo) @ rows.weights)
        return Expected(statistics, float(log_p @ rows.weights), elbo, gap, None, found.states)
    above = float(rows.relaxed.bound @ rows.weights)
    return Expected(statistics, elbo, elbo, 0.0, above, found.states)


def _ones(asked: Case, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(asked.lengths)) if weights is None else weights


def _statistics(asked: Case, weights: np.ndarray | None, moments: tuple[Any, Any, Any]) -> Statistics:
    states, pairs, counts = moments
    each = np.repeat(_ones(asked, weights), asked.lengths)
    weighted, x = states * each[:, None], asked.sequences
    first = weighted[x.ends - x.sizes].sum(0)
    return asked.model.statistics(asked.model.emissions.statistics(x.rows, weighted, pairs, each), first, counts)
