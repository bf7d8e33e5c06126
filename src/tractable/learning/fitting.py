"""fit: a model, data and a learner; the learner says how."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tractable.learning.em.exact import Request

_EM = ("em.exact", "EM")
_WAKE_SLEEP = ("layers.reweighted", "ReweightedWakeSleep")
_DEFAULTS = {
    "boltzmann": ("machines.contrastive", "PersistentCD"),
    "deep_belief": _WAKE_SLEEP,
    "factorial_hidden_markov": _EM,
    "hidden_markov": _EM,
    "helmholtz": _WAKE_SLEEP,
    "mixture": _EM,
    "sigmoid_belief": _WAKE_SLEEP,
    "tables": _EM,
}
"""The learner of each family where none is given."""


def fit(
    model: Any, data: Any, learner: Any = None, *, epochs: int | None = None, validation: Any = None, **options: Any
) -> Any:
    """Fit a model to data: a machine by gradient ascent on the likelihood, others by EM.

    Parameters
    ----------
    model : where learning starts. Fields of a machine that are all zero are set to match the data's means.
    data : [n_rows, n_columns], NaN = missing; may be memory-mapped. For a network a DataFrame, variable → column, or an
        array of state indices; a variable without a column is hidden.
    learner : settings of the method; by default `PersistentCD()` for machines, `EM()` for all others.
    epochs : passes over the data (iterations of EM, at most); by default 20, for EM 100.
    validation : rows whose likelihood is followed; not learned from.
    options : `key`, `progress`, `callback`, `checkpoint`, `checkpoint_seconds`, `resume`; for machines `live`; for EM
        `weights`, how often each row counts.

    Returns
    -------
    Run or EMRun : ``model``, ``history`` (a record for each epoch: seconds, log-likelihood of train and validation rows
        with their intervals; of EM also ELBO and KL).

    Raises
    ------
    ModelError : values outside the model's domain, wrong width, no rows, unknown options, settings that make no sense.
    ModelError : a network with evidence; a fit that diverges, in its first epoch whose end is not finite.
    ModelError : a fit that takes more memory than there is; a likelihood that EM makes fall.
    FormatError : a checkpoint of another fit, or damaged, or that cannot be written when the fit begins; another file
        where the checkpoint would go.

    Examples
    --------
    >>> import numpy as np
    >>> import tractable as tr
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> run = tr.fit(tr.restricted(4, 2), rows, tr.ExactGradient(batch_size=100), epochs=2, progress=False)
    >>> len(run.history)
    2
    >>> run = tr.fit(tr.mixture(rows, 2, "bernoulli"), rows, tr.EM(prior=0))
    >>> round(run.history[-1].train.value, 6), run.history[-1].kl.value
    (-0.693147, 0.0)
    """
    if learner is None:
        module, name = default_learner(model)
        learner = getattr(import_module(f"tractable.learning.{module}"), name)()
    return learner.run(model, data, Request(epochs, validation, options))


def check_fit(model: Any, data: Any, learner: Any, *, epochs: int | None = None, **options: Any) -> None:
    """Refuse now what `fit` with this gradient learner would refuse: for what comes before it and takes its time."""
    from tractable.learning.loop import prepared

    prepared(model, data, learner, Request(epochs, None, options))


def default_learner(model: Any) -> tuple[str, str]:
    """The module and the name of the learner of a model's family."""
    from tractable.models import ModelError

    if getattr(model, "family", None) not in _DEFAULTS:
        raise ModelError(f"nothing learns a {type(model).__name__} yet")
    return _DEFAULTS[model.family]
