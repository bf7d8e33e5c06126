"""Graph + parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.kernels import Tables
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.conditioning import TableModel, condition, one_case, reduce_model
from tractable.models.evidence import Evidence, parse_evidence
from tractable.models.markov_network import Factor, MarkovNetwork

if TYPE_CHECKING:
    from tractable.models.boltzmann_machine import Boltzmann, boltzmann, deep, restricted
    from tractable.models.units import Bernoulli, Categorical, Gaussian, Spin

__all__ = [
    "BayesianNetwork",
    "Bernoulli",
    "Boltzmann",
    "Categorical",
    "Evidence",
    "Factor",
    "Gaussian",
    "MarkovNetwork",
    "ModelError",
    "Spin",
    "TableModel",
    "Tables",
    "boltzmann",
    "condition",
    "deep",
    "one_case",
    "parse_evidence",
    "reduce_model",
    "restricted",
]

_LEAVES = {
    "boltzmann_machine": ("Boltzmann", "boltzmann", "deep", "restricted"),
    "units": ("Bernoulli", "Categorical", "Gaussian", "Spin"),
}
_LEAF_OF = {name: leaf for leaf, names in _LEAVES.items() for name in names}


def __getattr__(name: str) -> object:
    """Models trained with jax are loaded when first used: a query of a network must not wait for it."""
    if name not in _LEAF_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_LEAF_OF[name]}"), name)
    globals()[name] = value
    return value
