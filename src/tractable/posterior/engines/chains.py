"""The engine of hidden Markov models: scans along sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels.chain import Chains, Smoothed, best_paths, filtered, sample_paths, smooth, tally
from tractable.kernels.threads import room, side_by_side
from tractable.models._base import ModelError
from tractable.models.emissions import Statistics
from tractable.models.hidden_markov import STATE, HiddenMarkovModel
from tractable.models.keys import generator
from tractable.models.levels import levels_of
from tractable.models.predictive import Predictive
from tractable.models.rows import Rows
from tractable.models.sequences import Sequences
from tractable.plan import Ask, Memory, Plan, adopted, allowed, ask
from tractable.plan._base import n_ranks
from tractable.plan.chains import log2_paths, plan_chains, plan_nothing
from tractable.posterior._base import MostProbable, Posterior
from tractable.posterior.approximate import hard
from tractable.posterior.best import best_first
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.engines import names
from tractable.posterior.engines._protocol import Solved, unsupported
from tractable.posterior.engines.ahead import Forecast
from tractable.posterior.exact import chain as exact
from tractable.posterior.expected import Expected
from tractable.posterior.marginals import Means

KINDS = 0.25
"""The work on a row that is one of few kinds, beside that on any row."""
OPTIONS = {"sample": ("codes",), "impute": ("codes", "expected"), "most_probable": ("k",)}
PIECE = 1 << 19
"""Multiply-adds below which an E-step is not worth a second thread: about a millisecond."""


@dataclass(frozen=True, eq=False)
class AskedOfSequences:
    """A model and sequences; none of them where nothing is given."""

    model: Any
    sequences: Sequences | None
    data: Any = None
    """As they came."""

    @property
    def given(self) -> Sequences:
        """The sequences, where there must be some."""
        if self.sequences is None:
            name = type(self.model).__name__
            raise ModelError(f"a {name} needs a sequence: give rows, NaN where nothing is observed")
        return self.sequences

    @property
    def many(self) -> bool:
        """Whether there are many sequences."""
        return self.sequences is not None and self.sequences.many

    def number(self, values: np.ndarray) -> Any:
        """A number where there is one sequence."""
        return values if self.many else float(values[0])

    def certificate(self, log_p: np.ndarray) -> Certificate:
        """log p(x) of each sequence; of many the verdict names the impossible ones."""
        return Certificate.of_cases(self.number(log_p), lambda s: f"sequence {s}{self.since(s)}")

    def since(self, s: int) -> str:
        """From where on a sequence is impossible, where that can be said."""
        return ""

    def check_possible(self, bad: np.ndarray) -> None:
        """Raise for the first of the sequences that are impossible."""
        if bad.any():
            s = int(bad.argmax())
            where = f"sequence {s}" if len(bad) > 1 else "the sequence"
            raise ImpossibleEvidenceError(
                f"{where} has probability zero{self.since(s)}: no state may follow and produce it"
            )

    def check_alone(self, log_p: Certificate) -> None:
        """Raise where the only sequence is impossible: among others it spoils none."""
        if len(self.given) == 1:
            self.check_possible(np.isneginf(np.atleast_1d(log_p.value)))

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """Not tabulated."""
        raise unsupported(self.model, "joint")

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "sequences": self.sequences}


class Asked(AskedOfSequences):
    """What is asked of one chain."""

    def since(self, s: int) -> str:
        """From where on a sequence is impossible: the row up to which it is not."""
        own, rows = self.chains, self.chains.rows[slice(*self.chains.offsets[s : s + 2])]
        low, high = 0, len(rows)
        while high - low > 1:
            middle = (low + high) // 2
            impossible = filtered(Chains(own.start, own.transition, rows[:middle]))[0][0] == -np.inf
            low, high = (low, middle) if impossible else (middle, high)
        return f" from row {low} on"

    @cached_property
    def chains(self) -> Chains:
        """Start, transitions and log-likelihoods of the rows, for the kernels."""
        return chains_of(self.model, self.given)

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, Any]:
        """`n` paths of each sequence; of one that is impossible the state is −1."""
        assert plan.budget is not None
        allowed(plan_chains(self.model.n_states, self.given.sizes, Ask("sample", plan.budget, n=n)))
        found = sample_paths(self.chains, n, int(generator(key).integers(2**63)))
        states = np.where(self.given.each(found.log_probability > -np.inf), found.states, -1)
        return {STATE: np.split(states, self.given.ends[:-1], axis=1) if self.many else states}


class Answer(NamedTuple):
    """log p(x) of each sequence, and what else was found."""

    log_partition: Certificate
    found: Any = None


@dataclass(frozen=True, eq=False, repr=False)
class ChainPosterior(Posterior[Means]):
    """What is known of the hidden states given the rows.

    Attributes
    ----------
    marginals : ``marginals["state"]`` is p(z_t | x) [t, K]; a list of them for many sequences.
    transitions : the expected number of each transition [K, K], over all sequences.
    """

    transitions: np.ndarray = field(repr=False, default_factory=lambda: np.zeros((0, 0)))


def chains_of(model: HiddenMarkovModel, sequences: Sequences, weights: np.ndarray | None = None) -> Chains:
    """Start, transitions and log-likelihoods of the rows, for the kernels."""
    rows = model.log_likelihoods(sequences.rows)
    return Chains(model.first, model.transition, rows, sequences.sizes, weights)


def read(model: HiddenMarkovModel, evidence: Any) -> Asked:
    """Sequences, checked."""
    return Asked(model, None if evidence is None else model.check(evidence, partial=True))


def read_rows(model: HiddenMarkovModel, data: Any, missing: bool) -> Asked:
    """Sequences that have all columns of the model, checked."""
    return Asked(model, model.check(data), data)


def groups(asked: Asked, ask: Ask) -> list[tuple[slice, Asked]]:
    """All sequences run side by side."""
    return [(slice(None), asked)]


def plan(asked: Asked, ask: Ask) -> Plan:
    """The plan of a scan along all sequences; of nothing, that of a sequence of samples."""
    if isinstance(ask.method, Plan):
        return adopted(ask.method, asked.model.n_states, ask, tuple(asked.given.sizes.tolist()))
    if asked.sequences is None and ask.query in ("evidence", "sample"):
        return plan_nothing(asked.model.n_states, ask)
    return plan_chains(asked.model.n_states, asked.given.sizes, ask)


def solve(plan: Plan, asked: Asked, key: Any) -> Answer:
    """The scan that was planned, run."""
    if asked.sequences is None:
        if plan.query == "evidence":
            return Answer(Certificate.exact(0.0))
        return Answer(Certificate.exact(0.0), draw(asked.model, plan.n, key)[0])
    chains = asked.chains
    if plan.query == "map":
        return Answer(
            Certificate.exact(0.0), best_paths(chains, n_ranks(plan.n, log2_paths(chains.k, asked.given.sizes)))
        )
    if plan.query in ("evidence", "filtering"):
        log_p, alpha = filtered(chains)
        return Answer(asked.certificate(log_p), alpha)
    if plan.query == "sample":
        return Answer(Certificate.exact(0.0), _completions(_one(asked), plan.n, key))
    found = exact.smooth(chains, plan.program)
    return Answer(asked.certificate(found.log_likelihood), found)


def posterior(asked: Asked, solved: Sequence[Solved]) -> ChainPosterior:
    """p(z | x) of one sequence, or of each of many."""
    ((_, _, plan, answer),) = solved
    marginals = Means.of({STATE: asked.given.shaped(answer.found.marginals)})
    return ChainPosterior(answer.log_partition, marginals, plan, asked, answer.found.transitions)


def log_partition(asked: Asked, solved: Sequence[Solved]) -> Certificate:
    """log p(x): of one sequence, or of each of many."""
    return solved[0].answer.log_partition


def normalized(model: HiddenMarkovModel) -> bool:
    """Whether all sequences together have the probability one."""
    return True


def most_probable(asked: Asked, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable paths of each sequence (Viterbi): ``assignment["state"]``, with log p(x, z).

    Where several paths are as probable, that of the lowest states, from the end backwards, is the first. Of an
    impossible sequence among others, and where there are fewer, the states are −1.
    """
    ((_, _, plan, (_, found)),) = solved
    asked.check_alone(asked.certificate(found.log_probability[0]))
    return best_first(
        plan, found.log_probability, lambda j: {STATE: asked.given.shaped(found.states[j])}, asked.certificate
    )


def sample(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """A sequence of `n` rows [n, d]; given a sequence with gaps (NaN), `n` completions of it [n, t, d]."""
    return solved[0].answer.found


def _completions(asked: Asked, n: int, key: Any) -> np.ndarray:
    model, rows, rng = asked.model, asked.given.rows, generator(key)
    found = sample_paths(asked.chains, n, int(rng.integers(2**63)))
    asked.check_possible(np.isneginf(found.log_probability))
    out = np.tile(rows.astype(np.float64), (n, 1, 1))
    for t in np.flatnonzero(np.isnan(out[0]).any(1)) if n else ():
        gap = np.isnan(rows[t])
        left = model.emissions.conditioned(rows[t])
        if left is not None:
            out[:, t, gap] = left.sample(rng, found.states[:, t])
    return out


def in_names(model: Any, found: Any, data: Any, expected: bool = False) -> Any:
    """Rows by the names of their columns, those of data in the container that these came in."""
    if model.named is None:
        return found
    if data is not None:
        levels = levels_of(model.named, model.emissions.column_states) if expected else ()
        return names.filled_sequences(model.named, data, found, levels)
    rows = [Rows(model.named.written(part)) for part in (found if found.ndim == 3 else [found])]
    return rows if found.ndim == 3 else rows[0]


def draw(model: HiddenMarkovModel, n: int, key: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """A sequence of `n` rows [n, d], and its states [n]."""
    rng = generator(key)
    free = Chains(model.first, model.transition, np.zeros((max(n, 1), model.n_states)))
    states = sample_paths(free, 1, int(rng.integers(2**63))).states[0]
    return model.emissions.sample(rng, states)[:n], states[:n]


def transform(asked: Asked, solved: Sequence[Solved]) -> Any:
    """p(z_t | x) of each row [t, K]; a list for many sequences."""
    return posterior(asked, solved).marginals[STATE]


def reconstruct(asked: Asked, solved: Sequence[Solved]) -> Any:
    """The mean of each row's columns under its posterior [t, d]; a list for many sequences."""
    found, emissions = solved[0].answer.found.marginals, asked.model.emissions
    if asked.model.named is None:
        return asked.given.shaped(found @ emissions.means)
    return names.sequences(asked.model.named, asked.data, names.likely(emissions, found))


def impute(asked: Asked, solved: Sequence[Solved], expected: bool = False) -> Any:
    """The sequences with NaN replaced by posterior means (of a categorical column: the most probable state); exact.

    With `expected` states that read as numbers are these, and the mean of such a column is in its gaps. Gaps of an
    impossible sequence among others stay gaps.
    """
    answer, given = solved[0].answer, asked.given
    asked.check_alone(answer.log_partition)
    possible = given.each(answer.found.log_likelihood > -np.inf)[:, None]
    levels = levels_of(asked.model.named, asked.model.emissions.column_states) if expected else ()
    found = asked.model.emissions.imputed(given.rows, np.where(possible, answer.found.marginals, 0.0), levels)
    return given.shaped(np.where(possible | ~np.isnan(given.rows), found, np.nan))


# ---------------------------------------------------------------- as time goes on


def filtering(asked: Asked, solved: Sequence[Solved]) -> Any:
    """p(z_t | x_1, …, x_{t+lag}) of each row [t, K]; a list for many sequences."""
    ((_, _, plan, answer),) = solved
    asked.check_alone(answer.log_partition)
    return asked.given.shaped(exact.fixed_lag(asked.chains, plan.n))


def forecast(asked: Asked, solved: Sequence[Solved]) -> Any:
    """p(z_{T+h} | x) and E[x_{T+h} | x] for h = 1, …, n; a list for many sequences."""
    ((_, _, plan, answer),), model = solved, asked.model
    asked.check_alone(answer.log_partition)
    now, steps = answer.found[asked.given.ends - 1], []
    for _ in range(plan.n):
        now = now @ model.transition
        steps.append(now)
    states = np.stack(steps, axis=1) if steps else np.zeros((len(asked.given), 0, model.n_states))
    e, named = model.emissions, model.named
    found = [Forecast(s, names.expected(named, e, s), Predictive(s, e, named)) for s in states]
    return found if asked.many else found[0]


# ---------------------------------------------------------------- for learning


def expected_statistics(
    model: Any, x: Sequences, weights: Any = None, q: Any = "exact", before: Any = None, memory: Memory = None
) -> Expected:
    """The E-step: expected sufficient statistics of all sequences under the posterior, or (``"hard"``) the best path.

    Raises
    ------
    ModelError : an impossible sequence; anything else to stand for the posterior.
    """
    if q == "hard":
        log_p, found = hard.of_paths(model, x, np.ones(len(x)) if weights is None else weights)
        _check_counted(model, x, weights, log_p)
        return found
    if q != "exact":
        raise ModelError(f"the posterior of a hidden Markov model is 'exact' or 'hard', got {q!r}")
    pieces, one = _pieces(x, model.n_states * (1 if x.kinds is None else KINDS)), partial(_expected, model, x, weights)
    found = side_by_side(one, pieces)
    log_p, total = np.concatenate([log_p for log_p, _ in found]), sum((own for _, own in found[1:]), found[0][1])
    _check_counted(model, x, weights, log_p)
    sum_log_p = float(log_p.sum()) if weights is None else _weighted(log_p, weights)
    return Expected(total, sum_log_p, sum_log_p, 0.0)


def _check_counted(model: Any, x: Sequences, weights: np.ndarray | None, log_p: np.ndarray) -> None:
    """Raise for the first impossible sequence that counts."""
    bad = np.isneginf(log_p) if weights is None else np.isneginf(log_p) & (weights > 0)
    if bad.any():
        Asked(model, x).check_possible(bad)


def affordable(model: HiddenMarkovModel, x: Sequences, memory: Memory) -> None:
    """Refuse E-steps that take more than `memory`."""
    allowed(plan_chains(model.n_states, x.sizes, ask("marginals", memory, np.inf)))


def _pieces(x: Sequences, k: float) -> list[slice]:
    """Sequences that are looked at together: an even number of parts of about equal work, whatever cores there are."""
    work = np.cumsum(x.sizes) * float(k * max(k, 8))
    n = 1 if work[-1] < PIECE else 2 * int(np.ceil(work[-1] / (4 * PIECE)))
    last = np.searchsorted(work, work[-1] * np.arange(1, n) / n) + 1
    cuts = np.unique([0, *last.tolist(), len(x)]).tolist()
    return [slice(a, b) for a, b in pairwise(cuts)]


def _expected(
    model: HiddenMarkovModel, x: Sequences, weights: np.ndarray | None, which: slice
) -> tuple[np.ndarray, Statistics]:
    """log p of some of the sequences, and their expected statistics."""
    sizes, ends = x.sizes[which], x.ends[which]
    rows, own = slice(ends[0] - sizes[0], ends[-1]), None if weights is None else weights[which]
    if x.kinds is not None:
        log_rows = model.log_likelihoods(x.kinds.rows)
        found = tally(Chains(model.first, model.transition, log_rows, sizes, own, x.kinds.kind[rows]))
        return found.log_likelihood, model.statistics(x.kinds.rows, found.kinds, found.first, found.transitions)
    part = Sequences(x.rows[rows], sizes)
    shape = (len(part.rows), model.n_states)
    chains = Chains(model.first, model.transition, model.log_likelihoods(part.rows, room("rows", shape)), sizes, own)
    smoothed = smooth(chains, room("marginals", shape))
    return smoothed.log_likelihood, _statistics(model, part, smoothed, own)


def _weighted(log_p: np.ndarray, weights: np.ndarray) -> float:
    counted = weights > 0
    return float(log_p[counted] @ weights[counted])


def _statistics(model: HiddenMarkovModel, x: Sequences, found: Smoothed, weights: np.ndarray | None) -> Statistics:
    marginals = found.marginals
    if weights is not None:
        each = np.repeat(weights, x.sizes)[:, None]
        marginals = np.where(each > 0, marginals * each, 0.0)
    first = marginals[x.ends - x.sizes].sum(0)
    return model.statistics(x.rows, marginals, first, found.transitions)


def _one(asked: Asked) -> Asked:
    if len(asked.given) != 1:
        raise ModelError(f"expected one sequence, got {len(asked.given)}; ask for them one by one")
    return asked
