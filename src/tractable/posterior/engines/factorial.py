"""The engine of factorial hidden Markov models: joint recursions, or each chain by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.models._base import ModelError
from tractable.models.additive import Terms, joint_pairs
from tractable.models.emissions import Statistics
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.models.keys import generator
from tractable.models.rows import Rows
from tractable.models.sequences import Sequences
from tractable.plan import Ask, Memory, Plan, adopted, allowed, ask
from tractable.plan._base import n_ranks
from tractable.plan.budget import COMPARED
from tractable.plan.chains import log2_paths
from tractable.plan.factorial import APPROXIMATE, plan_factorial, plan_nothing
from tractable.posterior._base import MostProbable, Posterior
from tractable.posterior.approximate import factorial as variational
from tractable.posterior.approximate import hard
from tractable.posterior.best import best_first
from tractable.posterior.certificate import Certificate
from tractable.posterior.engines import chains, names
from tractable.posterior.engines._protocol import Solved
from tractable.posterior.engines.ahead import Forecast
from tractable.posterior.engines.chains import AskedOfSequences
from tractable.posterior.exact import factorial as exact
from tractable.posterior.expected import Expected
from tractable.posterior.marginals import Means

OPTIONS = {"sample": ("codes",), "impute": ("codes",), "most_probable": ("k",)}


class Asked(AskedOfSequences):
    """What is asked of chains that meet in what they produce."""

    @cached_property
    def terms(self) -> Terms:
        """What the rows say of the states."""
        return self.model.emissions.terms(self.given.rows)

    @property
    def lengths(self) -> np.ndarray:
        """Of the sequences."""
        return self.given.sizes

    def plan(self, ask: Ask) -> Plan:
        """The plan for these sequences."""
        return plan_factorial(self.model.sizes, self.lengths, ask, len(self.terms.quadratic))

    @cached_property
    def question(self) -> exact.Question:
        """What is asked of the exact recursions."""
        return exact.question(self.model, self.terms, self.lengths)

    def rows(self, weights: np.ndarray | None = None) -> variational.SequenceRows:
        """What an approximation works with."""
        return variational.SequenceRows(self.model, self.terms, self.lengths, weights)

    def log_p(self) -> np.ndarray | None:
        """log p(x) of each sequence, where that takes little."""
        plan = self.plan(ask("evidence", seconds=COMPARED))
        return None if plan.method is None else exact.filtered(self.question)[0]

    def split(self, states: np.ndarray, certified: Callable[[Any], Certificate] = Certificate.exact) -> Means:
        """Arrays over rows and states, or chains [..., M], by the names of the chains."""
        names, slices = self.model.chains, self.model.emissions.slices
        shaped = self.given.shaped
        own = {name: shaped(states[:, part]) for name, part in zip(names, slices, strict=True)}
        return Means.of(own, certified)

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, Any]:
        """`n` paths of each chain: exact, or from the factors that stand for the posterior."""
        assert plan.budget is not None
        if plan.method in APPROXIMATE:
            rows = self.rows()
            states = variational.sample(rows, variational.approximate(rows, str(plan.method)), n, generator(key))
        else:
            allowed(self.plan(Ask("sample", plan.budget, n=n)))
            states = exact.sample_paths(self.question, n, generator(key))
            states[:, ~self.given.each(exact.filtered(self.question)[0] > -np.inf)] = -1
        ends, chains = self.given.ends[:-1], enumerate(self.model.chains)
        own = {name: states[:, :, m] for m, name in chains}
        return {name: np.split(path, ends, axis=1) if self.many else path for name, path in own.items()}


class Answer(NamedTuple):
    """log p(x) of each sequence, and what else was found."""

    log_partition: Certificate
    found: Any = None


@dataclass(frozen=True, eq=False, repr=False)
class FactorialPosterior(Posterior[Means]):
    """What is known of the chains given the rows.

    Attributes
    ----------
    marginals : ``marginals["chain0"]`` is p(z_t | x) of the first chain [t, k]; a list of them for many sequences.
    transitions : the expected number of each transition [k, k] of each chain, over all sequences.
    elbo : E_q[log p(x, z)] + H(q) of each sequence; log p(x) where q is the posterior.
    """

    transitions: list[np.ndarray] = field(repr=False, default_factory=list)
    elbo: Any = None

    @cached_property
    def kl(self) -> Certificate:
        """KL(q ‖ p(z | x)) = log p(x) − ELBO: exact where log p(x) takes little, else between zero and a bound."""
        found = self.log_partition
        if found.kind == "exact":
            return Certificate.exact(0.0 * self.elbo)
        log_p = self._asked.log_p()
        if log_p is None:
            return Certificate.bound(0.0 * self.elbo, 0.0 * self.elbo, found.upper - self.elbo)
        return Certificate.exact(self._asked.number(log_p) - self.elbo)


def read(model: FactorialHiddenMarkovModel, evidence: Any) -> Asked:
    """Sequences, checked."""
    return Asked(model, None if evidence is None else model.check(evidence, partial=True))


def read_rows(model: FactorialHiddenMarkovModel, data: Any, missing: bool) -> Asked:
    """Sequences that have all columns of the model, checked."""
    return Asked(model, model.check(data), data)


def groups(asked: Asked, ask: Ask) -> list[tuple[slice, Asked]]:
    """All sequences run side by side."""
    return [(slice(None), asked)]


def plan(asked: Asked, ask: Ask) -> Plan:
    """The plan of joint recursions, or of an approximation."""
    if isinstance(ask.method, Plan):
        return adopted(ask.method, tuple(asked.model.sizes), ask, tuple(asked.lengths.tolist()))
    if asked.sequences is None and ask.query in ("evidence", "sample"):
        return plan_nothing(asked.model.sizes, ask)
    return asked.plan(ask)


def solve(plan: Plan, asked: Asked, key: Any) -> Answer:
    """What was planned, run."""
    if asked.sequences is None:
        drawn = None if plan.query == "evidence" else _ancestral(asked.model, plan.n, key)
        return Answer(Certificate.exact(0.0), drawn)
    if plan.method in APPROXIMATE:
        rows = asked.rows()
        found = variational.approximate(rows, str(plan.method))
        low, high = asked.number(found.elbo), asked.number(rows.relaxed.bound)
        return Answer(Certificate.bound(low, low, high), found)
    if plan.query == "map":
        ranks = n_ranks(plan.n, log2_paths(asked.question.chains.n_joint, asked.lengths))
        return Answer(Certificate.exact(0.0), exact.viterbi(asked.question, ranks))
    if plan.query in ("evidence", "filtering"):
        log_p, alpha = exact.filtered(asked.question)
        return Answer(asked.certificate(log_p), alpha)
    if plan.query == "sample":
        return Answer(Certificate.exact(0.0), _completions(asked, plan.n, key))
    smoothed = exact.smooth(asked.question)
    return Answer(asked.certificate(smoothed.log_likelihood), smoothed)


def posterior(asked: Asked, solved: Sequence[Solved]) -> FactorialPosterior:
    """p(z | x) of one sequence, or of each of many."""
    ((_, _, plan, (log_p, found)),) = solved
    if plan.method in APPROXIMATE:
        marginals = asked.split(found.states, Certificate.estimate)
    else:
        marginals = asked.split(found.marginals)
    return FactorialPosterior(log_p, marginals, plan, asked, found.transitions, log_p.lower)


def log_partition(asked: Asked, solved: Sequence[Solved]) -> Certificate:
    """log p(x): of one sequence, or of each of many."""
    return solved[0].answer.log_partition


def normalized(model: FactorialHiddenMarkovModel) -> bool:
    """Whether all sequences together have the probability one."""
    return True


def most_probable(asked: Asked, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable joint paths of all chains (Viterbi), with log p(x, z), for each sequence.

    Of an impossible sequence among others, and where there are fewer, the states are −1.
    """
    ((_, _, plan, (_, found)),), names = solved, asked.model.chains
    asked.check_alone(asked.certificate(found.log_probability[0]))

    def paths(j: int) -> dict[str, Any]:
        return {name: asked.given.shaped(found.states[j, :, m]) for m, name in enumerate(names)}

    return best_first(plan, found.log_probability, paths, asked.certificate)


def sample(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """A sequence of `n` rows [n, d]; given a sequence with gaps (NaN), `n` completions of it [n, t, d], exact."""
    return solved[0].answer.found


def _ancestral(model: FactorialHiddenMarkovModel, n: int, key: Any) -> np.ndarray:
    """Rows where nothing is observed: the chains do not touch."""
    rng, e = generator(key), model.emissions
    rows = read(model, np.full((max(n, 1), model.n_columns), np.nan)).rows()
    prior = variational.Factors(variational.uniform(rows), np.zeros(1), [], np.zeros_like(rows.terms.linear))
    own = variational.sample(rows, prior, 1, rng)[0, :n]
    return e.mean(_one_hot(model, own)) + e.noise.sample(rng, np.zeros(n, int))


def _completions(asked: Asked, n: int, key: Any) -> np.ndarray:
    if len(asked.given) != 1:
        raise ModelError(f"expected one sequence, got {len(asked.given)}; ask for them one by one")
    model, rng = asked.model, generator(key)
    asked.check_alone(asked.certificate(exact.filtered(asked.question)[0]))
    states = exact.sample_paths(asked.question, n, rng)
    e, rows = model.emissions, enumerate(asked.given.rows)
    return np.stack([e.completed(rng, row, _one_hot(model, states[:, t])) for t, row in rows], axis=1)


def _one_hot(model: FactorialHiddenMarkovModel, states: np.ndarray) -> np.ndarray:
    """States of the chains [n, M] as indicators [n, Σk]."""
    return np.concatenate([np.eye(k)[states[:, m]] for m, k in enumerate(model.sizes)], axis=1)


def transform(asked: Asked, solved: Sequence[Solved]) -> Any:
    """p(z_t^m | x) of each row, the chains side by side [t, Σk]; a list for many sequences."""
    return asked.given.shaped(solved[0].answer.found.marginals)


def reconstruct(asked: Asked, solved: Sequence[Solved]) -> Any:
    """The mean of each row's columns under its posterior [t, d]; a list for many sequences."""
    found, own = asked.model.emissions.mean(solved[0].answer.found.marginals), asked.model.named
    return asked.given.shaped(found) if own is None else names.sequences(own, asked.data, found)


def impute(asked: Asked, solved: Sequence[Solved]) -> Any:
    """The sequences with NaN replaced by posterior means; exact. Gaps of an impossible one among others stay gaps."""
    asked.check_alone(solved[0].answer.log_partition)
    states = solved[0].answer.found.marginals
    return asked.given.shaped(asked.model.emissions.imputed(asked.given.rows, states))


# ---------------------------------------------------------------- as time goes on


def filtering(asked: Asked, solved: Sequence[Solved]) -> Means:
    """p(z_t^m | x_1, …, x_{t+lag}) of each chain [t, k], by its name; lists for many sequences."""
    asked.check_alone(solved[0].answer.log_partition)
    lag = solved[0].plan.n
    return asked.split(exact.fixed_lag(asked.question, lag) if lag else solved[0].answer.found)


def forecast(asked: Asked, solved: Sequence[Solved]) -> Any:
    """p(z_{T+h}^m | x), the chains side by side [n, Σk], and E[x_{T+h} | x], for h = 1, …, n; a list for many."""
    ((_, _, plan, answer),), model, e = solved, asked.model, asked.model.emissions
    asked.check_alone(answer.log_partition)
    now, steps = answer.found[asked.given.ends - 1], []
    for _ in range(plan.n):
        parts = [now[:, own] @ step for own, step in zip(e.slices, model.transitions, strict=True)]
        now = np.concatenate(parts, axis=1)
        steps.append(now)
    states = np.stack(steps, axis=1) if steps else np.zeros((len(now), 0, now.shape[1]))
    named = model.named
    found = [Forecast(s, e.mean(s) if named is None else Rows(named.written(e.mean(s)))) for s in states]
    return found if asked.many else found[0]


# ---------------------------------------------------------------- for learning


def expected_statistics(
    model: FactorialHiddenMarkovModel,
    x: Sequences,
    weights: np.ndarray | None = None,
    q: str | int = "exact",
    before: Expected | None = None,
    memory: Memory = None,
) -> Expected:
    """The E-step: expected sufficient statistics of all sequences under the posterior, or under what stands for it.

    Parameters
    ----------
    q : ``"exact"``, ``"hard"`` (the best joint path), ``"structured"`` or ``"mean_field"``.
    before : an E-step whose q this one begins from, so that the ELBO does not fall.

    Raises
    ------
    ModelError : another q; a q that cannot avoid forbidden transitions. BudgetError : the joint states are too many.
    """
    asked = Asked(model, x)
    if q == "exact":
        allowed(asked.plan(ask("marginals", memory)))
        found = exact.smooth(asked.question, weights)
        asked.check_possible(np.isneginf(found.log_likelihood) & (_ones(asked, weights) > 0))
        pairs, own = joint_pairs(found.joint, model.sizes), _ones(asked, weights)
        log_p = float(found.log_likelihood[own > 0] @ own[own > 0])
        return Expected(
            _statistics(asked, weights, (np.nan_to_num(found.marginals), pairs, found.transitions)), log_p, log_p, 0.0
        )
    if q == "hard":
        allowed(asked.plan(ask("map", memory)))
        return _along_paths(asked, weights)
    if q not in APPROXIMATE:
        raise ModelError(
            f"the posterior of a factorial hidden Markov model is exact, hard, {', '.join(APPROXIMATE)}; got {q!r}"
        )
    rows = asked.rows(_ones(asked, weights))
    found = variational.approximate(rows, str(q), None if before is None else before.q)
    if not np.isfinite(found.elbo).all():
        raise ModelError("no mean field avoids the transitions of probability zero: take posterior='structured'")
    moments = (found.states, variational.pair_moments(rows, found.states), found.transitions)
    return _with_kl(asked, rows, found, _statistics(asked, weights, moments))


def _along_paths(asked: Asked, weights: np.ndarray | None) -> Expected:
    """All of q on the most probable joint path."""
    path, own = exact.viterbi(asked.question), _ones(asked, weights)
    states, best = path.states[0], path.log_probability[0]
    asked.check_possible(np.isneginf(best) & (own > 0))
    x, sizes, each = asked.given, asked.model.sizes, asked.given.each(own)
    counts = [hard.transitions(states[:, m], each, x, k) for m, k in enumerate(sizes)]
    shares = _one_hot(asked.model, states)
    moments = (shares, variational.pair_moments(asked.rows(own), shares), counts)
    log_p = exact.filtered(asked.question)[0]
    return hard.expected(_statistics(asked, weights, moments), log_p, best, own)


def _with_kl(
    asked: Asked, rows: variational.SequenceRows, found: variational.Factors, statistics: Statistics
) -> Expected:
    """The record of an E-step: KL by itself where log p(x) takes little, else a bound above."""
    elbo, log_p = float(found.elbo @ rows.weights), asked.log_p()
    if log_p is not None:
        gap = float((log_p - found.elbo) @ rows.weights)
        return Expected(statistics, float(log_p @ rows.weights), elbo, gap, None, found.states)
    above = float(rows.relaxed.bound @ rows.weights)
    return Expected(statistics, elbo, elbo, 0.0, above, found.states)


def _ones(asked: Asked, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(asked.lengths)) if weights is None else weights


def _statistics(asked: Asked, weights: np.ndarray | None, moments: tuple[Any, Any, Any]) -> Statistics:
    states, pairs, counts = moments
    each = np.repeat(_ones(asked, weights), asked.lengths)
    weighted, x = states * each[:, None], asked.given
    first = weighted[x.ends - x.sizes].sum(0)
    return asked.model.statistics(asked.model.emissions.statistics(x.rows, weighted, pairs, each), first, counts)


in_names = chains.in_names
