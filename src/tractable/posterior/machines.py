"""The verbs for Boltzmann machines: evidence in, certified numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.graph.groups import GroupGraph
from tractable.models._base import ModelError, nearest
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values, condition
from tractable.plan import Plan, allowed
from tractable.plan import machines as prices
from tractable.plan._base import Query
from tractable.plan.budget import MAX_SECONDS, memory_bytes
from tractable.posterior._base import Means, MostProbable, Posterior
from tractable.posterior.approximate import clamped as approximate
from tractable.posterior.approximate.mean_field import layer_means
from tractable.posterior.cases import Answer, Cases, exact_answer, one, read_cases, shaped, unbatched
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact import clamped as exact
from tractable.posterior.verbs import generator

Memory = int | float | str | None
APPROXIMATE = {"mean_field": approximate.by_mean_field, "tap": approximate.by_tap, "gibbs": approximate.by_gibbs}
METHODS = ("auto", *exact.SOLVERS, *APPROXIMATE)
AFFORDABLE = 10.0
"""Predicted seconds up to which `sample` and `impute` are exact; beyond them chains are run."""


def infer(
    model: Boltzmann, evidence: Any = None, *, method: str = "auto", memory: Memory = None, key: Any = 0
) -> Posterior:
    """The posterior of all units given the evidence.

    Parameters
    ----------
    evidence : values of the visible units [n_visible] or [n_rows, n_visible], or group → values; NaN is unobserved.
    method : ``"auto"`` takes the exact method that the plan chooses. ``"mean_field"`` gives a bound on log Z,
        ``"tap"`` an estimate of it, ``"gibbs"`` means with standard errors (and the bound of mean field).
    key : of the random starts of mean field and of Gibbs sampling.

    Returns
    -------
    Posterior : ``marginals`` is a `Means`, group → means of its units, those observed included.

    Raises
    ------
    ModelError : evidence that does not fit, a method that does not apply. BudgetError : no exact method is affordable.

    Examples
    --------
    >>> from tractable.models.boltzmann_machine import restricted
    >>> rbm = restricted(couplings=[[1.0], [-1.0]])
    >>> post = infer(rbm, [1, 0])
    >>> float(post.marginals["hidden"][0].round(6))  # σ(1)
    0.731059
    """
    cases = read_cases(model, evidence)
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    if method in APPROXIMATE:
        answer, plan = APPROXIMATE[method](model, cases, key), _approximate_plan(model, cases, method)
    else:
        answer, plan = _exact(model, cases, method, "marginals", memory)
    return _posterior(model, cases, answer, plan)


def log_partition(model: Boltzmann, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log Z = log Σ_z p̃(z, x), exact, one for each case.

    Raises
    ------
    ModelError : evidence that does not fit. BudgetError : no exact method is affordable.
    """
    cases = read_cases(model, evidence)
    return unbatched(cases, _exact(model, cases, "auto", "evidence", memory)[0].log_partition)


def sample(
    model: Boltzmann, n: int, *, evidence: Any = None, key: Any = 0, n_sweeps: int = 1000, memory: Memory = None
) -> np.ndarray:
    """`n` samples of the visible units [n, n_visible] given the evidence.

    Exact and independent where an exact method is affordable, which `plan` tells; else the ends of `n` Gibbs chains of
    `n_sweeps` sweeps.
    """
    cases = one(read_cases(model, evidence))
    plan = prices.plan_machine(model.graph, cases.observed(), "marginals", memory)
    if plan.method and plan.seconds <= AFFORDABLE:
        return exact.draw(model, cases, plan.method, generator(key), n)[VISIBLE]
    return approximate.draw(model, cases, key, (n, n_sweeps))[VISIBLE]


def transform(model: Boltzmann, data: Any) -> np.ndarray:
    """The means of the hidden units given each row [n_rows, n_features], all hidden groups side by side.

    Exact where they are independent given the data, as in a restricted machine; mean field elsewhere.
    """
    means = _hidden_means(model, data)
    return np.concatenate([np.asarray(means[name]) for name in model.hidden] or [np.zeros((len(data), 0))], axis=1)


def reconstruct(model: Boltzmann, data: Any) -> np.ndarray:
    """The means of the visible units given the means of the hidden ones [n_rows, n_visible]."""
    means = _hidden_means(model, data)
    theta = jnp.broadcast_to(model.local_field(VISIBLE, means), means[VISIBLE].shape)
    return model.decode({VISIBLE: model.units[VISIBLE].mean(theta)})[VISIBLE]


def _hidden_means(model: Boltzmann, data: Any) -> dict[str, Any]:
    values = checked_values(model, VISIBLE, data, missing=False)
    if values.ndim != 2:
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    return _layer_means(model, model.encode({VISIBLE: values})[VISIBLE])


_layer_means = jax.jit(lambda model, x: layer_means(model, x, 50))


def impute(model: Boltzmann, data: Any, *, key: Any = 0, n_sweeps: int = 500) -> np.ndarray:
    """The data with its missing entries (NaN) replaced by their posterior means [n_rows, n_visible].

    Exact for rows where an exact method is affordable, else averages over clamped Gibbs chains. Categorical units get
    their likeliest state.
    """
    cases = read_cases(model, data)
    out = cases.values[VISIBLE].copy()
    graph, costly = model.graph, []
    for rows in cases.patterns():
        part = cases.take(rows)
        plan = _plan(graph, part, "auto", "marginals", None)
        if plan.method and plan.seconds <= AFFORDABLE:
            out[rows] = _filled(model, part, exact.SOLVERS[plan.method](model, part, "marginals"))
        else:
            costly.append(rows)
    if costly:
        rows = np.concatenate(costly)
        part = Cases(cases.take(rows).values, cases.many)
        out[rows] = _filled(model, part, approximate.by_gibbs(model, part, key, n_sweeps))
    return out if cases.many else out[0]


def _filled(model: Boltzmann, cases: Cases, answer: Answer) -> np.ndarray:
    values = cases.values[VISIBLE]
    return np.where(np.isnan(values), model.decode({VISIBLE: answer.means[VISIBLE].value})[VISIBLE], values)


def most_probable(model: Boltzmann, evidence: Any = None, *, memory: Memory = None) -> MostProbable:
    """The most probable joint state of all units given the evidence, group → values, by elimination.

    Raises
    ------
    ModelError : continuous units. BudgetError : the graph is too dense for elimination.
    """
    cases = one(read_cases(model, evidence))
    plan = allowed(_plan(model.graph, cases, "elimination", "map", memory))
    value, states = exact.most_probable(condition(model, cases.row(0)))
    values = {name: v[0] for name, v in exact.completed(cases, states, 1).items()}
    return MostProbable(values, Certificate.exact(value), plan)  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------- exact answers, pattern by pattern


def _exact(model: Boltzmann, cases: Cases, method: str, query: Query, memory: Memory) -> tuple[Answer, Plan]:
    """The rows with the same units observed share a plan; the plan returned is the costliest."""
    graph, parts = model.graph, [(rows, cases.take(rows)) for rows in cases.patterns()]
    plans = [allowed(_plan(graph, part, method, query, memory)) for _, part in parts]
    log_z = np.empty(cases.n_rows)
    means = {name: np.empty((cases.n_rows, model.units[name].n_features)) for name in model.groups}
    for (rows, part), plan in zip(parts, plans, strict=True):
        found = exact.SOLVERS[str(plan.method)](model, part, query)
        log_z[rows] = found.log_partition.value
        for name, m in found.means.items():
            means[name][rows] = m.value
    return exact_answer(log_z, means), max(plans, key=lambda plan: plan.seconds)


def _plan(graph: GroupGraph, cases: Cases, method: str, query: Query, memory: Memory) -> Plan:
    """The plan for cases with the same units observed; refused where all of them together take too long."""
    observed = cases.observed()
    free = graph.without(observed)
    if method == "elimination":
        plan = prices._elimination(free, tuple(observed), query, memory)
    elif method == "independent" and not free.is_free:
        plan = None
    elif method == "enumeration" and not free.is_free:
        plan = prices._enumeration(graph, free, tuple(observed), query, memory_bytes(memory))
    else:
        plan = prices.plan_machine(graph, observed, query, memory)
    if plan is None:
        raise ModelError(f"{method} does not apply: {_why_not[method]}; leave the choice to method='auto'")
    seconds = plan.seconds * cases.n_rows
    return replace(plan, seconds=seconds, method=plan.method if seconds <= MAX_SECONDS else None)


_why_not = {
    "independent": "some of the free units interact",
    "elimination": "it needs discrete units with few pairs of them interacting",
}


def _approximate_plan(model: Boltzmann, cases: Cases, method: str) -> Plan:
    """What an approximation that was asked for by name costs, roughly."""
    chains = {"gibbs": approximate.CHAINS, "mean_field": approximate.RESTARTS}.get(method, 1) * cases.n_rows
    graph = model.graph.without(cases.observed())
    flops = 2.0 * (graph.n_pairs + graph.n_units) * chains * (approximate.SWEEPS if method == "gibbs" else 100)
    reason = f"{method} was asked for: {chains:,} chains" if method == "gibbs" else f"{method} was asked for"
    return Plan(
        method, 0.0, flops, 16.0 * chains * graph.n_units, 1e-9 * flops, reason, observed=tuple(cases.observed())
    )


# ---------------------------------------------------------------- records


def _posterior(model: Boltzmann, cases: Cases, answer: Answer, plan: Plan) -> Posterior:
    def joint(variables: Sequence[str]) -> np.ndarray:
        raise ModelError("joint marginals of machines are not computed; expected products are learning's statistics")

    def draw(key: Any, n: int) -> Mapping[str, np.ndarray]:
        return _draw(model, one(cases), answer, str(plan.method), (key, n))

    named = {n: answer.means[n].map(lambda a, n=n: shaped(model, n, a)) for n in model.groups}
    means = Means({name: unbatched(cases, c) for name, c in named.items()})
    return Posterior(unbatched(cases, answer.log_partition), lambda: plan, means, joint, draw)  # pyright: ignore


def _draw(
    model: Boltzmann, cases: Cases, answer: Answer, method: str, how: tuple[Any, int]
) -> Mapping[str, np.ndarray]:
    """Samples of all units: exact ones, the ends of chains, or draws from the factorized approximation."""
    key, n = how
    if method == "gibbs":
        return approximate.draw(model, cases, key, (n, approximate.SWEEPS))
    if method in exact.SOLVERS:
        return exact.draw(model, cases, method, generator(key), n)
    theta = {name: model.local_field(name, {g: c.value for g, c in answer.means.items()}) for name in model.groups}
    drawn = exact.draw_independent(model, theta, generator(key), n)
    free = {name: v[:, np.isnan(cases.values[name][0])] for name, v in drawn.items()}
    return exact.completed(cases, free, n)
