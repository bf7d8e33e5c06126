"""In which precision chains of a machine run: single, unless parameters are so large that log p̃ would lose digits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import jax
import numpy as np

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann

SINGLE = 1e4
"""A unit that can change log p̃ by more than this loses more than 6e-4 nats in single precision."""

OfMachine = TypeVar("OfMachine", bound=Callable[..., Any])


def working_type(model: Boltzmann) -> type[np.floating]:
    """Single precision, or double for large parameters.

    >>> from tractable.models import restricted
    >>> [working_type(restricted(couplings=[[w]])).__name__ for w in (1.0, 1e5)]
    ['float32', 'float64']
    """
    return np.float64 if not _largest_change(model) <= SINGLE else np.float32


def working(model: Boltzmann) -> AbstractContextManager[Any]:
    """The context in which jax keeps the precision that this machine needs."""
    return jax.enable_x64(True) if working_type(model) is np.float64 else nullcontext()


def in_working_precision(verb: OfMachine) -> OfMachine:
    """A function whose first argument is the machine, run in the precision that it needs."""

    @wraps(verb)
    def call(model: Boltzmann, *more: Any, **named: Any) -> Any:
        with working(model):
            return verb(model, *more, **named)

    return call  # type: ignore[return-value]


def _largest_change(model: Boltzmann) -> float:
    """The most that one unit can add to log p̃, its neighbours being of the order of one."""
    fields = {name: abs(np.asarray(b, np.float64)) for name, b in model.fields.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        for (a, b), given in model.couplings.items():
            w = abs(np.asarray(given, np.float64))
            if a == b and a in model.edges:
                for end in np.asarray(model.edges[a]).T:
                    np.add.at(fields[a], end, w)
            else:
                fields[a] = fields[a] + w.sum(axis=1)
                fields[b] = fields[b] + w.sum(axis=0)
        return max((_change(model, name, theta) for name, theta in fields.items()), default=0.0)


def _change(model: Boltzmann, name: str, theta: np.ndarray) -> float:
    log_precision = getattr(model.units[name], "log_precision", None)
    if log_precision is not None:  # θ²/2γ
        theta = 0.5 * theta**2 * np.exp(-np.asarray(log_precision, np.float64))
    return float(np.max(theta, initial=0.0))


def single(model: Any) -> Any:
    """A model of layers in single precision, in which its chains and weighted samples run.

    Raises
    ------
    ModelError : weights so large that log p would lose digits.
    """
    worst = _largest_of_layers(model)
    if not worst <= SINGLE:
        told = f"the weights of a unit add up to {worst:.3g}, more than {SINGLE:,.0f}"
        raise ModelError(f"{told}: chains and weighted samples would lose digits of log p; scale them down")
    return model.astype(np.float32)


def _largest_of_layers(model: Any) -> float:
    """The most that one unit can add to log p, over the layers and a machine on top."""
    found = [0.0 if getattr(model, "top", None) is None else _largest_change(model.top)]
    arrays = [abs(np.asarray(w, np.float64)) for w in (*model.weights, *model.within) if w is not None]
    with np.errstate(over="ignore", invalid="ignore"):
        found += [float(np.max(w.sum(axis=axis), initial=0.0)) for w in arrays for axis in (0, 1)]
    found += [float(np.max(abs(np.asarray(b, np.float64)), initial=0.0)) for b in model.biases]
    return float(np.max(found))
