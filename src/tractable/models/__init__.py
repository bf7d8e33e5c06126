"""Graph + parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.extras import import_module
from tractable.kernels import Tables
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.conditioning import TableModel, condition, one_case, reduce_model
from tractable.models.evidence import Evidence, parse_evidence
from tractable.models.markov_network import Factor, MarkovNetwork

if TYPE_CHECKING:
    from tractable.models.additive import AdditiveGaussianEmissions
    from tractable.models.boltzmann_machine import Boltzmann, boltzmann, deep, restricted
    from tractable.models.deep_belief import DeepBeliefNetwork
    from tractable.models.emissions import (
        BernoulliEmissions,
        CategoricalEmissions,
        DiagonalGaussianEmissions,
        GaussianEmissions,
        MixtureEmissions,
        PoissonEmissions,
        ProductEmissions,
        SphericalGaussianEmissions,
        TiedGaussianEmissions,
        emissions_for,
    )
    from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
    from tractable.models.hidden_markov import HiddenMarkovModel
    from tractable.models.mixture import Mixture
    from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
    from tractable.models.sequences import Sequences
    from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
    from tractable.models.units import Bernoulli, Categorical, Gaussian, Spin

__all__ = [
    "AdditiveGaussianEmissions",
    "BayesianNetwork",
    "Bernoulli",
    "BernoulliEmissions",
    "Boltzmann",
    "Categorical",
    "CategoricalEmissions",
    "DeepBeliefNetwork",
    "DiagonalGaussianEmissions",
    "Evidence",
    "Factor",
    "FactorialHiddenMarkovModel",
    "Gaussian",
    "GaussianEmissions",
    "HelmholtzMachine",
    "HiddenMarkovModel",
    "MarkovNetwork",
    "Mixture",
    "MixtureEmissions",
    "ModelError",
    "PoissonEmissions",
    "ProductEmissions",
    "RecognitionNetwork",
    "Sequences",
    "SigmoidBeliefNetwork",
    "SphericalGaussianEmissions",
    "Spin",
    "TableModel",
    "Tables",
    "TiedGaussianEmissions",
    "boltzmann",
    "condition",
    "deep",
    "emissions_for",
    "one_case",
    "parse_evidence",
    "reduce_model",
    "restricted",
]

_LEAVES = {
    "additive": ("AdditiveGaussianEmissions",),
    "boltzmann_machine": ("Boltzmann", "boltzmann", "deep", "restricted"),
    "deep_belief": ("DeepBeliefNetwork",),
    "emissions": (
        "BernoulliEmissions",
        "CategoricalEmissions",
        "DiagonalGaussianEmissions",
        "GaussianEmissions",
        "MixtureEmissions",
        "PoissonEmissions",
        "ProductEmissions",
        "SphericalGaussianEmissions",
        "TiedGaussianEmissions",
        "emissions_for",
    ),
    "factorial_hidden_markov": ("FactorialHiddenMarkovModel",),
    "hidden_markov": ("HiddenMarkovModel",),
    "mixture": ("Mixture",),
    "recognition": ("HelmholtzMachine", "RecognitionNetwork"),
    "sequences": ("Sequences",),
    "sigmoid_belief": ("SigmoidBeliefNetwork",),
    "units": ("Bernoulli", "Categorical", "Gaussian", "Spin"),
}
_LEAF_OF = {name: leaf for leaf, names in _LEAVES.items() for name in names}


def __getattr__(name: str) -> object:
    """Other models are loaded when first used: a query of a network must not wait for it."""
    if name not in _LEAF_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LEAF_OF[name]}", name), name)
    globals()[name] = value
    return value
