"""M-steps by gradient: an optimizer of optax climbs the expected complete log-likelihood, and never ends lower."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tractable.learning.em.coordinates import chart_of, density, model_at
from tractable.learning.em.lifted import lifted
from tractable.models import ModelError
from tractable.models.emissions import Statistics

HALVINGS = 40


@dataclass(frozen=True)
class GradientMStep:
    """An M-step that only improves: `steps` steps on E_q[log p(x, z; θ)] per row, plus the log prior, in coordinates
    without constraints.

    The optimizer begins anew at each M-step. Where it has overshot, the way it has gone is halved until its end is
    higher than its beginning; where there is no such point, the gradient itself is followed in that way. So the ELBO
    never falls, and parameters stay where they are only at a maximum, up to rounding. Zeros stay zeros, unless a prior
    has pseudo-counts there. Of mixtures, hidden Markov models, networks and sigmoid belief networks.

    Parameters
    ----------
    optimizer : any transformation of optax (pass the same object again to reuse the compiled steps); Adam with a rate
        of 0.1 if absent.
    steps : in an M-step.

    Raises
    ------
    ModelError : no steps; a model that has no such coordinates.

    References
    ----------
    Dempster, Laird & Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977, section 1: a
    generalized EM algorithm is one whose M-steps do not lower the expected complete log-likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> import optax
    >>> rows = np.array([[0.0], [0.4], [3.0], [3.4]])
    >>> learner = tr.GeneralizedEM(m_step=tr.GradientMStep(optax.sgd(0.5), steps=5))
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, learner, epochs=20)
    >>> min(b.objective - a.objective for a, b in zip(run.history, list(run.history)[1:])) > -1e-12
    True
    """

    optimizer: optax.GradientTransformation | None = field(default=None, repr=False)
    steps: int = 10

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ModelError(f"a gradient M-step takes at least one step, got steps={self.steps}")

    def __call__(self, model: Any, statistics: Statistics, n_rows: float) -> Any:
        """A model with a higher expected complete log-likelihood under these statistics."""
        begun = lifted(model, statistics)
        at = chart_of(begun)
        optimizer = self.optimizer or _adam()
        with jax.enable_x64(True):
            given = (at.constants, dict(statistics.arrays), n_rows)
            moved = _ascended(at.shape, optimizer, self.steps, at.free, given)
            best = _higher(at.shape, moved, given)
            if best is None:
                best = _higher(at.shape, _gradient(at.shape, at.free, given), given)
            free = jax.tree.map(np.asarray, best)
        return begun if free is None else model_at(begun, at.constants, free)


@cache
def _adam() -> optax.GradientTransformation:
    """One object, so that the compiled steps are found again."""
    return optax.adam(0.1)


def _value(shape: Any, free: Any, given: Any) -> Any:
    constants, statistics, n_rows = given
    return density(shape, constants, free, statistics) / n_rows


_gradient = jax.jit(jax.grad(_value, argnums=1), static_argnums=0)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _ascended(shape: Any, optimizer: optax.GradientTransformation, steps: int, free: Any, given: Any) -> Any:
    """Where the optimizer gets to."""

    def loss(free: Any) -> Any:
        return -_value(shape, free, given)

    update = optax.with_extra_args_support(optimizer).update

    def one(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        free, state = carry
        value, gradient = jax.value_and_grad(loss)(free)
        updates, state = update(gradient, state, free, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(free, updates), state

    return jax.lax.fori_loop(0, steps, one, (free, optimizer.init(free)))[0]


def _higher(shape: Any, end: Any, given: Any) -> Any:
    """The end of the way, if it is higher than the beginning; else the highest of its halvings; None if none is."""
    values = np.asarray(_along(shape, end, given))
    better = np.flatnonzero(values[1:] > values[0])
    if not len(better):
        return None
    n = 0 if better[0] == 0 else int(better[values[1:][better].argmax()])
    return jax.tree.map(lambda a: 0.5**n * a, end)


@partial(jax.jit, static_argnums=0)
def _along(shape: Any, end: Any, given: Any) -> Any:
    """Values at the beginning, where all coordinates are zero, at the end, and at each of the halvings between."""
    at = jnp.concatenate([jnp.zeros(1), 0.5 ** jnp.arange(HALVINGS)])
    return jax.lax.map(lambda t: _value(shape, jax.tree.map(lambda a: t * a, end), given), at)
