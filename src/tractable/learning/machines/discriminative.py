"""Learning to tell the label of a row from its other columns: log p(label | row) of a machine, without chains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from tractable.learning import sizes
from tractable.learning._base import Seen, Training
from tractable.learning.loop import Run
from tractable.learning.machines._base import MachineLearner
from tractable.learning.machines.phases import weighted_mean
from tractable.learning.records import GradientOptions, Request
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import Categorical, Mixed
from tractable.posterior.approximate.gibbs import Schedule, State


@dataclass(frozen=True, kw_only=True)
class Discriminative(MachineLearner):
    """∂/∂θ of the mean of log p(y | x), where y is the last visible column, a categorical one, and x are all others.

    With hidden units that are independent given the data, p(x, y) has a closed form but for its constant, which all y
    share: no chains, no log Z. What is learned tells labels apart, and is no density of the rows. Steps are Adam's.

    Larochelle & Bengio, "Classification using discriminative restricted Boltzmann machines", ICML 2008.

    Raises
    ------
    ModelError : a machine whose last visible column is not categorical, or whose hidden units interact.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1]] * 50)  # whether the first two columns agree
    >>> machine = tr.restricted(tr.Mixed(tr.Bernoulli(2), tr.Categorical(1, 2)), 4)
    >>> run = tr.fit(machine, rows, tr.Discriminative())
    >>> tr.infer(run.model, [1, 1, np.nan]).marginals["visible"][2:].round() # of the labels 0 and 1
    array([0., 1.])
    """

    defaults: ClassVar[sizes.Sizes] = sizes.LABELS

    def rate(self, model: Any) -> float:
        return sizes.rate_of_adam(model.n_parameters)

    def run(self, model: Any, data: Any, request: Request) -> Run:
        given = GradientOptions.read(request.options, self)
        own = replace(given, watch=False, yardstick=False, live=0.0)  # these are about densities
        return super().run(model, data, request._replace(options=own))

    def transformation(self) -> optax.GradientTransformation:
        return self.optimizer or _adam()

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Any:
        units = model.units[VISIBLE]
        last = units.parts[-1] if isinstance(units, Mixed) else None
        if not isinstance(last, Categorical) or last.n != 1:
            raise ModelError("labels are the last visible column: take Mixed(Bernoulli(9), Categorical(1, 3))")
        if not model.hidden or not model.graph.without([VISIBLE]).is_free:
            raise ModelError("labels are told by hidden units that are independent given the data; take `restricted`")
        return ()

    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        def objective(model: Boltzmann) -> Array:
            return weighted_mean(log_label(model, data[VISIBLE]), weights)

        return eqx.filter_grad(objective)(training.model), ()


@cache
def _adam() -> optax.GradientTransformation:
    """One object, so that repeated fits find the compiled step again."""
    return optax.scale_by_adam()


def log_label(model: Boltzmann, v: Float[Array, "b f"]) -> Float[Array, " b"]:
    """log p(y | x) of each row, whose last features are those of the label."""
    scores = label_scores(model, v)
    return (v[:, -scores.shape[1] :] * scores).sum(-1) - jax.nn.logsumexp(scores, axis=-1)


def label_scores(model: Boltzmann, v: Float[Array, "b f"]) -> Float[Array, "b k"]:
    """log p̃(x, y) of each row and label, less what all labels have in common."""
    k = model.units[VISIBLE].parts[-1].n_features  # type: ignore[attr-defined]
    x = v.at[:, -k:].set(0)
    scores = jnp.asarray(model.fields[VISIBLE])[-k:]
    for name in model.hidden:
        theta = jnp.broadcast_to(model.local_field(name, {VISIBLE: x}), (len(v), model.units[name].n_features))
        own = jnp.asarray(model.couplings[VISIBLE, name])[-k:]
        scores = scores + model.units[name].cumulant(theta[:, None] + own).sum(-1)
    return scores
