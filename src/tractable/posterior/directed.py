"""The verbs for models of layers: sigmoid belief networks, deep belief networks, Helmholtz machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models import layers as models
from tractable.models._base import ModelError, nearest
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.emissions import Statistics
from tractable.models.layers import merged
from tractable.models.recognition import RecognitionNetwork
from tractable.plan import Plan, allowed
from tractable.plan import directed as prices
from tractable.plan._base import Query
from tractable.plan.budget import MAX_SECONDS
from tractable.posterior._base import Means, MostProbable, Posterior
from tractable.posterior.approximate import layers as approximate
from tractable.posterior.cases import Answer, Cases, exact_answer, one, read_cases, unbatched
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact import layers as exact
from tractable.posterior.exact import sparse_layers
from tractable.posterior.mixtures import Expected
from tractable.posterior.verbs import generator

Memory = int | float | str | None
EXACT = ("independent", "enumeration", "elimination")
METHODS = ("auto", *EXACT, *approximate.METHODS)
AFFORDABLE = 10.0
"""Predicted seconds up to which `sample`, `impute` and `transform` are exact."""

AT_ONCE = 1.0
"""Predicted seconds up to which an E-step computes log p(x) to say how far q is from the posterior."""


class Parts(NamedTuple):
    """The generative model, and the recognition network where there is one."""

    model: Any
    recognition: RecognitionNetwork | None


def parts(model: Any) -> Parts:
    """A Helmholtz machine as its two networks; a generative model alone has no recognition network."""
    if model.family == "helmholtz":
        return Parts(model.generative, model.recognition)
    return Parts(model, None)


def cases_of(model: Any, evidence: Any) -> Cases:
    """Evidence as cases, with what the model has been conditioned on."""
    own = parts(model).model
    cases = read_cases(own, evidence)
    if not cases.n_rows:
        raise ModelError("there are no rows")
    if own.known is None:
        return cases
    values = merged(own.known, cases.values)
    return Cases({name: np.broadcast_to(values[name], cases.values[name].shape) for name in own.groups}, cases.many)


def infer(model: Any, evidence: Any = None, *, method: str = "auto", memory: Memory = None, key: Any = 0) -> Posterior:
    """The posterior of all units given the evidence.

    Parameters
    ----------
    evidence : values of the visible units [n_visible] or [n_rows, n_visible], or layer → values; NaN is unobserved.
    method : ``"auto"`` takes the exact method that the plan chooses. ``"mean_field"`` gives a bound below log p(x),
        ``"importance"`` (of a Helmholtz machine) and ``"annealing"`` one that holds with probability, ``"gibbs"`` means
        with standard errors and the bound of mean field.
    key : of methods that draw random numbers.

    Returns
    -------
    Posterior : ``log_partition`` is log p(x) (of a deep belief network log p̃(x), the log Z of its top not subtracted),
        ``marginals`` a `Means`, layer → means of its units, those observed included.

    Raises
    ------
    ModelError : evidence that does not fit, a method that does not apply. BudgetError : no exact method is affordable.

    Examples
    --------
    >>> from tractable.models import SigmoidBeliefNetwork
    >>> alarm = SigmoidBeliefNetwork(weights=[[[6.0, 6.0]]], biases=[[-4.0], [-2.0, -2.0]])
    >>> float(infer(alarm, [1]).marginals["hidden1"][0].round(4))
    0.5006
    >>> float(infer(alarm, {"visible": [1], "hidden1": [np.nan, 1]}).marginals["hidden1"][0].round(4))
    0.1331
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    own, cases = parts(model), cases_of(model, evidence)
    if method in approximate.METHODS:
        answer = approximate.METHODS[method](own.model, own.recognition, cases, key)
        plan = _asked_plan(own.model, cases, method)
    else:
        answer, plan = _exact(own.model, cases, method, "marginals", memory)
    return _posterior(own.model, cases, answer, plan)


def log_partition(model: Any, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log p(x), exact, one for each case; of a deep belief network log p̃(x), and log Z where nothing is observed.

    Raises
    ------
    ModelError : evidence that does not fit. BudgetError : no exact method is affordable.
    """
    own, cases = parts(model).model, cases_of(model, evidence)
    return unbatched(cases, _exact(own, cases, "auto", "evidence", memory)[0].log_partition)


def most_probable(model: Any, evidence: Any = None, *, memory: Memory = None) -> MostProbable:
    """The most probable joint state of all units given the evidence, by elimination: for networks with few links.

    Raises
    ------
    ModelError : dense layers, or units with many parents. BudgetError : elimination is over the budget.
    """
    own, cases = parts(model).model, one(cases_of(model, evidence))
    plan = allowed(plan_of(own, cases, "marginals", "elimination", memory))
    value, states = sparse_layers.most_probable(own, cases.row(0))
    return MostProbable(states, Certificate.exact(value), plan)  # pyright: ignore[reportArgumentType]


def sample(
    model: Any, n: int, *, evidence: Any = None, key: Any = 0, memory: Memory = None, n_sweeps: int = 200
) -> np.ndarray:
    """`n` samples of the visible units [n, n_visible] given the evidence.

    Without evidence drawn from the top downward, which is exact and independent in a directed network. Given evidence
    exact where that is affordable, else the ends of `n` Gibbs chains of `n_sweeps` sweeps.
    """
    own, cases = parts(model).model, one(cases_of(model, evidence))
    if not cases.observed():
        return np.asarray(approximate.ancestral(own, key, n, memory)[0], np.float64)
    plan = plan_of(own, cases, "marginals", memory=memory)
    if plan.method and plan.seconds <= AFFORDABLE:
        return _draw_exact(own, cases, str(plan.method), key, n)[VISIBLE]
    return approximate.chain_ends(own, cases, key, (n, n_sweeps))[VISIBLE]


def transform(model: Any, data: Any) -> np.ndarray:
    """The means of the hidden units given each row [n_rows, n_hidden units], all hidden layers side by side.

    Exact where that is affordable; else those of the recognition network, or of mean field where there is none or where
    the model has been conditioned on hidden units, of which such a network knows nothing.
    """
    means, n_rows = _hidden_means(model, rows_of(model, data)), len(data)
    return np.concatenate([np.zeros((n_rows, 0)), *(means[name] for name in parts(model).model.hidden)], axis=1)


def reconstruct(model: Any, data: Any) -> np.ndarray:
    """The means of the visible units given the means of the hidden ones [n_rows, n_visible].

    With weights within the visible layer each unit sees the means of those before it.
    """
    own, means = parts(model).model, _hidden_means(model, rows_of(model, data))
    a = np.tile(np.asarray(own.biases[0], float), (len(data), 1))
    if own.hidden:
        a = a + means[own.hidden[0]] @ np.asarray(own.weights[0], float).T
    with jax.enable_x64(True):
        return np.asarray(models.means_within(jnp.asarray(a), own.within[0]))


def impute(model: Any, data: Any, *, key: Any = 0, n_sweeps: int = 200) -> np.ndarray:
    """The data with its missing entries (NaN) replaced by their posterior means [n_rows, n_visible].

    Exact where that is affordable, else averages over Gibbs chains. A recognition network has learned from complete
    rows, and its weighted samples are far off where much is missing.
    """
    own, cases = parts(model).model, cases_of(model, data)
    out = cases.values[VISIBLE].copy()
    gaps = np.flatnonzero(np.isnan(out).any(axis=1))
    if len(gaps):
        part = cases.take(gaps)
        exactly = _affordable(own, part)
        means = exactly.means if exactly else approximate.chain_means(own, part, key, n_sweeps)
        out[gaps] = np.where(np.isnan(out[gaps]), means[VISIBLE].value, out[gaps])
    return out if cases.many else out[0]


def expected_statistics(
    model: Any, x: np.ndarray, weights: np.ndarray | None = None, q: str | int = "exact", before: Any = None
) -> Expected:
    """The E-step of mean field: the means of q for every row, and the bound of Saul, Jaakkola & Jordan as the ELBO.

    log p(x) is exact where that takes no more than a second, else between the bound and zero.

    Raises
    ------
    ModelError : another q than ``"mean_field"``.
    """
    if q != "mean_field":
        raise ModelError(f"what stands for the posterior of a {type(model).__name__} is 'mean_field', got {q!r}")
    cases, count = cases_of(model, x), np.ones(len(x)) if weights is None else weights
    found = approximate.factorized(model, cases, None if before is None else before.q)
    means = {f"mean{at}": mean for at, mean in enumerate(found.means)}
    statistics = Statistics({"weight": count, "known": ~np.isnan(cases.values[VISIBLE]), **means})
    elbo, exactly = float(found.bound @ count), _affordable(model, cases, "evidence", AT_ONCE)
    if exactly is None:
        return Expected(statistics, elbo, elbo, 0.0, 0.0, found.logits)
    log_p = np.asarray(exactly.log_partition.value)
    return Expected(statistics, float(log_p @ count), elbo, float((log_p - found.bound) @ count), None, found.logits)


def rows_of(model: Any, data: Any, missing: bool = False) -> np.ndarray:
    """Rows of the visible units, checked."""
    return models.rows_of(parts(model).model, data, missing)


def _hidden_means(model: Any, values: np.ndarray) -> dict[str, np.ndarray]:
    own = parts(model)
    cases = cases_of(own.model, values)
    answer = _affordable(own.model, cases)
    if answer is None and own.recognition is not None and approximate.is_proposable(own.model, cases):
        return approximate.recognized(own.model, own.recognition, values)
    if answer is None:
        answer = approximate.METHODS["mean_field"](own.model, None, cases, 0)
    return {name: np.asarray(answer.means[name].value) for name in own.model.hidden}


def _affordable(model: Any, cases: Cases, query: Query = "marginals", seconds: float = AFFORDABLE) -> Answer | None:
    """Exact answers where they take no more than some seconds."""
    plans = [plan_of(model, part, query) for _, part in groups(cases)]
    if all(plan.method for plan in plans) and sum(plan.seconds for plan in plans) <= seconds:
        return _exact(model, cases, "auto", query, None)[0]
    return None


# ---------------------------------------------------------------- exact answers, group by group of rows


def groups(cases: Cases) -> Iterator[tuple[np.ndarray, Cases]]:
    """The rows with the same units observed, and the same values of hidden ones: they share all sums but the last."""
    hidden = [v for name, v in cases.values.items() if name != VISIBLE]
    words = [np.isnan(cases.values[VISIBLE]), *(np.nan_to_num(v, nan=2.0) for v in hidden)]
    keys = np.concatenate(words, axis=1).astype(np.int8)
    if (keys == keys[0]).all():
        yield np.arange(len(keys)), cases
        return
    _, group = np.unique(keys, axis=0, return_inverse=True)
    for g in range(int(group.max()) + 1):
        rows = np.flatnonzero(group.ravel() == g)
        yield rows, cases.take(rows)


def _exact(model: Any, cases: Cases, method: str, query: Query, memory: Memory) -> tuple[Answer, Plan]:
    """Answers group by group; the plan returned is the costliest."""
    found = [(rows, part, allowed(plan_of(model, part, query, method, memory))) for rows, part in groups(cases)]
    log_z = np.empty(cases.n_rows)
    means = {name: np.empty((cases.n_rows, n)) for name, n in zip(model.groups, model.sizes, strict=True)}
    for rows, part, plan in found:
        log_z[rows], own = _solver(model, part, plan, query)(model, part, query)
        for name, m in own.items():
            means[name][rows] = m
    return exact_answer(log_z, means), max((plan for *_, plan in found), key=lambda plan: plan.seconds)


Solver = Callable[[Any, Cases, Query], tuple[np.ndarray, dict[str, np.ndarray]]]


def _solver(model: Any, part: Cases, plan: Plan, query: Query) -> Solver:
    if query == "evidence" and model.family == "deep_belief" and prices.only_top(model.graph, part.observed()):
        return _top_only
    return sparse_layers.solve if plan.method == "elimination" else _enumerate


def _enumerate(model: Any, part: Cases, query: Query) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    problem = exact.Problem(model, list(part.values.values()), query)
    log_z = problem.log_z()
    if not problem.by_row:  # visible units that are free depend on each other: one row at a time
        rest = [exact.Problem(model, list(part.take([r]).values.values()), query) for r in range(1, part.n_rows)]
        problems = [problem, *rest]
        log_z = np.concatenate([p.log_z() for p in problems])
        means = [p.means(slice(None)) for p in problems] if query != "evidence" else []
    else:
        means = [problem.means(rows) for rows in problem.chunks(0)] if query != "evidence" else []
    columns = [np.concatenate(layer) for layer in zip(*means, strict=True)]
    return log_z, dict(zip(model.groups, columns, strict=False))


def _top_only(model: Any, part: Cases, query: Query) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from tractable.posterior import machines

    lower, upper = (part.values[name][:1] for name in model.groups[-2:])
    value = machines.log_partition(model.top, {"visible": lower[0], "hidden": upper[0]}).value
    return np.full(part.n_rows, float(value)), {}


def plan_of(model: Any, cases: Cases, query: Query, method: str = "auto", memory: Memory = None) -> Plan:
    """The plan for cases with the same units observed; refused where all of them together take too long."""
    graph, given = model.graph, cases.observed()
    if method in ("auto", "independent"):
        plan = prices.plan_layers(graph, given, query, memory)
    elif method == "enumeration":
        plan = prices.enumeration(graph, given, query, memory)
    else:
        plan = prices.elimination(graph, given, query, memory)
    if plan is None or (method == "independent" and plan.method != "independent"):
        why = {"elimination": "it needs few links, and few parents for each unit"}
        raise ModelError(
            f"{method} does not apply: {why.get(method, prices.why(graph, given, query))}; use method='auto'"
        )
    by_row = plan.seconds if plan.method == "elimination" else prices.seconds_by_row(graph, given, query)
    seconds = plan.seconds + by_row * (cases.n_rows - 1)
    return replace(plan, seconds=seconds, method=plan.method if seconds <= MAX_SECONDS else None)


def _asked_plan(model: Any, cases: Cases, method: str) -> Plan:
    """What an approximation that was asked for by name costs, roughly."""
    graph, given = model.graph, cases.observed()
    flops = 2.0 * graph.n_links * cases.n_rows * approximate.PASSES[method]
    return Plan(
        method,
        0.0,
        flops,
        16.0 * cases.n_rows * graph.n_units,
        1e-9 * flops,
        f"{method} was asked for",
        observed=tuple(given),
    )


# ---------------------------------------------------------------- records


def _posterior(model: Any, cases: Cases, answer: Answer, plan: Plan) -> Posterior:
    def joint(variables: Sequence[str]) -> np.ndarray:
        raise ModelError("joint marginals of layers are not computed; condition on a unit and infer again")

    def draw(key: Any, n: int) -> Mapping[str, np.ndarray]:
        if plan.method in EXACT:
            return _draw_exact(model, one(cases), str(plan.method), key, n)
        return approximate.chain_ends(model, one(cases), key, (n, 200))

    means = Means({name: unbatched(cases, c) for name, c in answer.means.items()})
    return Posterior(unbatched(cases, answer.log_partition), lambda: plan, means, joint, draw)  # pyright: ignore


def _draw_exact(model: Any, cases: Cases, method: str, key: Any, n: int) -> dict[str, np.ndarray]:
    """`n` exact samples of all layers in the first case."""
    rng = generator(key)
    if method == "elimination":
        return sparse_layers.draw(model, cases.row(0), rng, n)
    drawn = exact.Problem(model, list(cases.values.values()), "marginals").draw(rng, n)
    return dict(zip(model.groups, drawn, strict=True))
