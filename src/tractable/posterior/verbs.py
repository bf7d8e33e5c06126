"""The verbs: a model and evidence in, certified numbers out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from tractable import kernels
from tractable.kernels import Reduced
from tractable.models import BayesianNetwork, Evidence, ModelError, TableModel, one_case, parse_evidence, reduce_model
from tractable.models.evidence import with_likelihoods
from tractable.plan import Plan, allowed, plan_reduced
from tractable.plan.budget import memory_bytes, terms
from tractable.plan.search import GREEDY
from tractable.posterior._base import Marginals, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.exact.elimination import sum_product
from tractable.posterior.exact.joint import joint_table
from tractable.posterior.exact.walk import most_probable_states, sample_states

Memory = int | float | str | None
METHODS = ("auto", "elimination")


def infer(model: Any, evidence: Any = None, *, method: str = "auto", memory: Memory = None, key: Any = 0) -> Posterior:
    """The posterior of every variable given the evidence: p(z | x) = p(z, x) / p(x).

    Parameters
    ----------
    model : BayesianNetwork or MarkovNetwork.
    evidence : one case (variable → state name, state index or likelihood vector) or many (variable → sequence of names
        or indices, a DataFrame, an array [n_rows, n_variables] with NaN for unobserved).
    method : ``"auto"`` takes what the plan chooses.
    memory : budget, see `plan`.
    key : of methods that draw random numbers.

    Returns
    -------
    Posterior : ``marginals``, ``log_partition`` (a Certificate), ``joint``, ``sample``, ``plan``. Impossible evidence
        has log evidence −∞.

    Raises
    ------
    ModelError : evidence that does not fit the model. BudgetError : the budget refuses; its ``plan`` says why.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.BayesianNetwork(
    ...     {"rain": ["no", "yes"], "wet": ["no", "yes"]},
    ...     {"wet": ["rain"]},
    ...     {"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]},
    ... )
    >>> post = tr.infer(net, {"wet": "yes"})
    >>> round(post.marginals["rain"]["yes"], 6)
    0.666667
    >>> round(float(np.exp(post.log_partition.value)), 6), post.log_partition.kind
    (0.24, 'exact')
    """
    if model.family != "tables":
        return family_of(model).infer(model, evidence, method=method, memory=memory, key=key)
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    given = parse_evidence(model.states, evidence)
    if given.many:
        from tractable.posterior.exact.batch import infer_rows

        return infer_rows(model, given, memory)
    case = Case(model, given, memory)
    tables = with_likelihoods(model.packed, given.likelihoods)
    found = kernels.answer(tables, given.states, terms(memory_bytes(memory)), GREEDY)
    if found is None:
        case.plan = allowed(plan_reduced(model, case.reduced, given, "marginals", memory))
        found = sum_product(case.reduced, case.plan, marginals=True)[:2]
    return case.posterior(*found)


def log_evidence(model: Any, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log p(x) of the evidence x under a Bayesian network: log Z(condition(m, x)) − log Z(m).

    For a Markov network this needs the partition function too. For many cases the certificate holds an array.

    Raises
    ------
    ModelError : evidence that does not fit the model. ImpossibleEvidenceError : a Markov network that allows nothing.
    BudgetError : the budget refuses.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(float(np.exp(tr.log_evidence(net, {"a": "1"}).value)), 6)
    0.75
    """
    clamped = log_partition(model, evidence, memory=memory)
    if model.family == "tables" and model.graph.parents:
        return clamped
    return clamped - log_partition(model, memory=memory)


def log_partition(model: Any, evidence: Any = None, *, memory: Memory = None) -> Certificate:
    """log Z = log Σ_z p̃(z, x): zero for a Bayesian network without evidence.

    Raises
    ------
    ModelError : evidence that does not fit the model. BudgetError : the budget refuses.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(float(np.exp(tr.log_partition(net).value)), 6)
    4.0
    """
    if model.family != "tables":
        return family_of(model).log_partition(model, evidence, memory=memory)
    given = parse_evidence(model.states, evidence)
    if given.many:
        return infer(model, evidence, memory=memory).log_partition
    reduced = reduce_model(model, given, prune=True)
    plan = allowed(plan_reduced(model, reduced, given, "evidence", memory))
    return Certificate.exact(sum_product(reduced, plan, marginals=False).log_z)


def most_probable(model: Any, evidence: Any = None, *, memory: Memory = None) -> MostProbable:
    """The most probable joint state of all variables given the evidence: argmax_z p(z | x).

    Raises
    ------
    ImpossibleEvidenceError : the evidence has probability zero. ModelError, BudgetError : as for `infer`.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1.0, 2.0], [3.0, 4.0]])])
    >>> tr.most_probable(net, {"a": "0"}).assignment
    {'a': '0', 'b': '1'}
    """
    if model.family != "tables":
        return family_of(model).most_probable(model, evidence, memory=memory)
    given = one_case(model, evidence)
    reduced = reduce_model(model, given)
    plan = allowed(plan_reduced(model, reduced, given, "map", memory))
    value, states = most_probable_states(reduced, plan)
    if value == -np.inf:
        raise ImpossibleEvidenceError("the evidence has probability zero under the model: no state is possible")
    assignment = {v: str(model.states[v][s]) for v, s in zip(model.states, states.tolist(), strict=True)}
    return MostProbable(assignment, Certificate.exact(value), plan)


def sample(model: Any, n: int, *, evidence: Any = None, key: Any = 0, memory: Memory = None) -> Any:
    """`n` samples given the evidence: of a network, variable → state indices, exact and independent.

    Of a machine, the values of its visible units [n, n_visible]: exact where its states can be enumerated, else the
    ends of long Gibbs chains.

    Raises
    ------
    ImpossibleEvidenceError : the evidence has probability zero. ModelError, BudgetError : as for `infer`.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [0.0, 3.0])])
    >>> tr.sample(net, 3)
    {'a': array([1, 1, 1], dtype=int32)}
    """
    if n < 0:
        raise ValueError(f"the number of samples must not be negative, got {n}")
    if model.family != "tables":
        return family_of(model).sample(model, n, evidence=evidence, key=key, memory=memory)
    given = one_case(model, evidence)
    case = Case(model, given, memory)
    case.plan = allowed(plan_reduced(model, case.reduced, given, "marginals", memory))
    return case.posterior(-np.inf if case.reduced.impossible else 0.0, None).sample(n, key=key)


def transform(model: Any, data: Any) -> np.ndarray:
    """The posterior means of the hidden units of each row: [n_rows, n_hidden].

    Examples
    --------
    >>> import tractable as tr
    >>> print(tr.transform(tr.restricted(couplings=[[1.0], [-1.0]]), [[1, 0], [1, 1]]).round(2))
    [[0.73]
     [0.5 ]]
    """
    return family_of(model).transform(model, data)


def reconstruct(model: Any, data: Any) -> np.ndarray:
    """The means of the visible units given the posterior means of the hidden ones: [n_rows, n_visible].

    Examples
    --------
    >>> import tractable as tr
    >>> print(tr.reconstruct(tr.restricted(couplings=[[9.0], [-9.0]]), [[1, 0]]).round(2))
    [[1. 0.]]
    """
    return family_of(model).reconstruct(model, data)


def impute(model: Any, data: Any, *, key: Any = 0, n_sweeps: int = 200) -> np.ndarray:
    """The data with what is missing (NaN) replaced by its posterior mean given what is observed in the row.

    Examples
    --------
    >>> import tractable as tr
    >>> print(tr.impute(tr.restricted(couplings=[[9.0], [9.0]]), [[1, np.nan]]).round(2))
    [[1. 1.]]
    """
    return family_of(model, of_rows=True).impute(model, data, key=key, n_sweeps=n_sweeps)


def expected_statistics(model: Any, data: Any, weights: Any = None, q: Any = "exact", before: Any = None) -> Any:
    """The E-step: expected sufficient statistics of checked data, Σ log p(x), Σ ELBO and Σ KL, by field name.

    `weights` says how often each row counts; `q`, what stands for the posterior, which every family reads for itself;
    `before` is what the E-step before this one found: a q that is searched for is searched for from there.
    """
    return family_of(model, of_rows=True).expected_statistics(model, data, weights, q, before)


_LEAVES = {
    "boltzmann": "machines",
    "factorial_hidden_markov": "factorial",
    "hidden_markov": "chains",
    "mixture": "mixtures",
}
_LEAVES |= dict.fromkeys(("sigmoid_belief", "deep_belief", "helmholtz"), "directed")
"""The module with the verbs of each other family than tables."""


def family_of(model: Any, of_rows: bool = False) -> Any:
    """The verbs for a model that is no network of tables; those of rows of data for a Bayesian network too."""
    if of_rows and isinstance(model, BayesianNetwork):
        return import_module("tractable.posterior.networks")
    if model.family not in _LEAVES:
        raise ModelError("a network of tables has no such verb; see infer, most_probable and sample")
    return import_module(f"tractable.posterior.{_LEAVES[model.family]}")


def generator(key: Any) -> np.random.Generator:
    """Random numbers from an integer, a jax key or a NumPy generator."""
    if isinstance(key, np.random.Generator):
        return key
    if isinstance(key, int | np.integer):
        return np.random.default_rng(int(key))
    jax = sys.modules.get("jax")  # whoever holds a jax key has imported jax
    if jax is None:
        raise TypeError(f"a key is an integer, a jax key or a NumPy generator, got {type(key).__name__}")
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())


class Case:
    """One case of evidence about a model. An answer found at once is reduced and planned when that is asked for."""

    def __init__(self, model: TableModel, given: Evidence, memory: Memory):
        self.model, self.given, self.memory = model, given, memory

    @cached_property
    def reduced(self) -> Reduced:
        """What the evidence leaves of the model."""
        return reduce_model(self.model, self.given)

    @cached_property
    def plan(self) -> Plan:
        """What was run."""
        return plan_reduced(self.model, self.reduced, self.given, "marginals", self.memory, at_once=True)

    def posterior(self, log_z: float, marginals: np.ndarray | None) -> Posterior:
        """The record of the answer."""
        array = marginals.__getitem__ if marginals is not None else _no_posterior
        places = Marginals(self.model.states, self.model.graph.state_slices, array)
        return Posterior(Certificate.exact(log_z), lambda: self.plan, places, self.joint, self.sample)

    def joint(self, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables."""
        return joint_table(self.model, self.reduced, self.plan, variables, self.memory)

    def sample(self, key: Any, n: int) -> dict[str, np.ndarray]:
        """`n` exact samples of all variables."""
        states = sample_states(self.reduced, self.plan, generator(key), n)
        return {name: states[:, v] for v, name in enumerate(self.model.states)}


def _no_posterior(_: slice) -> np.ndarray:
    raise ImpossibleEvidenceError("the evidence has probability zero under the model: there is no posterior")
