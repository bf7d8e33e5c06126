"""fit: a model, data and a learner; the learner says how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from tractable.families import check_own, served
from tractable.kernels.interrupts import heard
from tractable.learning.records import Request, learner_name
from tractable.models._base import ModelError
from tractable.models.rows import as_names, columns_of, is_named, select

if TYPE_CHECKING:
    from tractable.learning.em.exact import ExpectationMaximization
    from tractable.learning.em.records import EMRun
    from tractable.learning.layers._base import LayeredLearner
    from tractable.learning.layers.layerwise import Layerwise
    from tractable.learning.learner import Learner
    from tractable.learning.loop import Run
    from tractable.learning.machines._base import MachineLearner
    from tractable.models import (
        BayesianNetwork,
        Boltzmann,
        DeepBeliefNetwork,
        FactorialHiddenMarkovModel,
        HelmholtzMachine,
        HiddenMarkovModel,
        Mixture,
        SigmoidBeliefNetwork,
    )

    Directed = SigmoidBeliefNetwork | DeepBeliefNetwork | HelmholtzMachine
    Maximized = TypeVar("Maximized", BayesianNetwork, Mixture, HiddenMarkovModel, FactorialHiddenMarkovModel)
    M = TypeVar("M")


@overload
def fit(model: M, data: Any, learner: ExpectationMaximization, **options: Any) -> EMRun[M]: ...
@overload
def fit(
    model: Boltzmann, data: Any, learner: MachineLearner | Layerwise | None = ..., **options: Any
) -> Run[Boltzmann]: ...
@overload
def fit(
    model: Directed, data: Any, learner: LayeredLearner | Layerwise | None = ..., **options: Any
) -> Run[HelmholtzMachine]: ...
@overload
def fit(model: Maximized, data: Any, learner: None = ..., **options: Any) -> EMRun[Maximized]: ...
@overload
def fit(model: Any, data: Any, learner: Learner | Layerwise, **options: Any) -> Run[Any]: ...
@overload
def fit(model: Any, data: Any, learner: Any = ..., **options: Any) -> Any: ...


@heard
def fit(
    model: Any, data: Any, learner: Any = None, *, epochs: int | None = None, validation: Any = None, **options: Any
) -> Any:
    """Fit a model to data: maximize the likelihood of its rows, Σ log p(x).

    Boltzmann machines (general, restricted, deep) climb its gradient; sigmoid belief networks, deep belief networks and
    Helmholtz machines that of a bound, together with a recognition network. Bayesian networks, mixtures, hidden Markov
    models and factorial hidden Markov models are learned by EM.

    Parameters
    ----------
    model : where learning starts. Fields of a machine that are all zero are set to match the data's means.
    data : [n_rows, n_columns], NaN = missing; may be memory-mapped. For a network a DataFrame, variable → column, or an
        array of state indices; a variable without a column is hidden. Of chains one sequence, a list or `Sequences`.
    learner : settings of the method; by default `PersistentCD()` for Boltzmann machines, `ReweightedWakeSleep()` for
        the three with a recognition network, `EM()` for all others.
    epochs : passes over the data (iterations of EM, at most); by default 20, for EM 100.
    validation : rows whose likelihood is followed; not learned from.
    options : `columns`, `ignore`, which columns of data and validation by name, see `select`; `key`, `progress`,
        `callback`, `checkpoint`, `checkpoint_seconds`, `resume`, `memory` (the budget); for gradient learners `live`;
        for EM `weights`, how often each row counts.

    Returns
    -------
    Run or EMRun : ``model``, ``history`` (a record for each epoch: seconds, log-likelihood of train and validation rows
        with their intervals; of EM also ELBO and KL).

    Raises
    ------
    ModelError : values outside the model's domain, wrong width, no rows, unknown options, settings that make no sense.
    ModelError : a network with evidence; a fit that diverges, in its first epoch whose end is not finite.
    ModelError : a fit by gradient that takes more than `memory`, or than there is; a likelihood that EM makes fall.
    BudgetError : an E-step that takes more.
    FormatError : a checkpoint of another fit, or damaged, or that cannot be written when the fit begins; another file
        where the checkpoint would go.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> run = tr.fit(tr.restricted(4, 2), rows, tr.ExactGradient(batch_size=100), epochs=2, progress=False)
    >>> len(run.history)
    2
    >>> run = tr.fit(tr.mixture(rows, 2, "bernoulli"), rows, tr.EM(prior=0))
    >>> round(run.history[-1].train.value, 6), run.history[-1].kl.value
    (-0.693147, 0.0)
    """
    check_own(model)
    if learner is None:
        learner = default_learner(model)()
    if isinstance(learner, type) or not hasattr(learner, "run"):
        raise ModelError(f"a learner is an object such as EM() or PersistentCD(k=5), got {learner!r}")
    if chosen := {name: options.pop(name) for name in ("columns", "ignore") if name in options}:
        data = select(data, **chosen)
        validation = None if validation is None else _as_chosen(validation, chosen)
    return learner.run(model, data, Request(epochs, validation, options))


def _as_chosen(validation: Any, chosen: dict[str, Any]) -> Any:
    """The same columns of validation rows, which may lack those to ignore."""
    there = columns_of(validation) if is_named(validation) else {}
    left = as_names(chosen.get("ignore")) or []
    return select(validation, chosen.get("columns"), [name for name in left if not there or name in there])


def default_learner(model: Any) -> Any:
    """The class of the learner of a model where none is given.

    Raises
    ------
    ModelError : a model that nothing learns.
    """
    learner_name(model)
    return model.engine.learner if hasattr(model, "engine") else served(model.family, "learner")
