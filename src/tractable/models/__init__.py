"""Graph + parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.conditioning import condition
from tractable.models.markov_network import Factor, MarkovNetwork

if TYPE_CHECKING:
    from tractable.models import emissions, units
    from tractable.models.additive import AdditiveGaussianEmissions
    from tractable.models.binarizing import binarized
    from tractable.models.boltzmann_machine import Boltzmann, boltzmann, deep, restricted
    from tractable.models.columns import Columns
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
    from tractable.models.evidence import Likelihood, likelihood
    from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
    from tractable.models.hidden_markov import HiddenMarkovModel
    from tractable.models.interchange.networkx import from_networkx, to_networkx
    from tractable.models.interchange.pgmpy import from_pgmpy, to_pgmpy
    from tractable.models.interchange.pyagrum import from_pyagrum, to_pyagrum
    from tractable.models.mixture import Mixture
    from tractable.models.predictive import Predictive
    from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
    from tractable.models.rows import Rows, select
    from tractable.models.scaling import scaled
    from tractable.models.sequences import Sequences
    from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
    from tractable.models.sparse_reading import sparse
    from tractable.models.units import Bernoulli, Categorical, Gaussian, Mixed, Spin, units_for

__all__ = [
    "AdditiveGaussianEmissions",
    "BayesianNetwork",
    "Bernoulli",
    "BernoulliEmissions",
    "Boltzmann",
    "Categorical",
    "CategoricalEmissions",
    "Columns",
    "DeepBeliefNetwork",
    "DiagonalGaussianEmissions",
    "Factor",
    "FactorialHiddenMarkovModel",
    "Gaussian",
    "GaussianEmissions",
    "HelmholtzMachine",
    "HiddenMarkovModel",
    "Likelihood",
    "MarkovNetwork",
    "Mixed",
    "Mixture",
    "MixtureEmissions",
    "ModelError",
    "PoissonEmissions",
    "Predictive",
    "ProductEmissions",
    "RecognitionNetwork",
    "Rows",
    "Sequences",
    "SigmoidBeliefNetwork",
    "SphericalGaussianEmissions",
    "Spin",
    "TiedGaussianEmissions",
    "binarized",
    "boltzmann",
    "condition",
    "deep",
    "emissions",
    "emissions_for",
    "from_networkx",
    "from_pgmpy",
    "from_pyagrum",
    "likelihood",
    "restricted",
    "scaled",
    "select",
    "sparse",
    "to_networkx",
    "to_pgmpy",
    "to_pyagrum",
    "units",
    "units_for",
]

# Other models are loaded when first used: a query of a network must not wait for them.
_LEAVES = {
    "additive": ("AdditiveGaussianEmissions",),
    "binarizing": ("binarized",),
    "boltzmann_machine": ("Boltzmann", "boltzmann", "deep", "restricted"),
    "columns": ("Columns",),
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
    "evidence": ("Likelihood", "likelihood"),
    "factorial_hidden_markov": ("FactorialHiddenMarkovModel",),
    "hidden_markov": ("HiddenMarkovModel",),
    "interchange.networkx": ("from_networkx", "to_networkx"),
    "interchange.pgmpy": ("from_pgmpy", "to_pgmpy"),
    "interchange.pyagrum": ("from_pyagrum", "to_pyagrum"),
    "mixture": ("Mixture",),
    "predictive": ("Predictive",),
    "recognition": ("HelmholtzMachine", "RecognitionNetwork"),
    "rows": ("Rows", "select"),
    "scaling": ("scaled",),
    "sequences": ("Sequences",),
    "sigmoid_belief": ("SigmoidBeliefNetwork",),
    "sparse_reading": ("sparse",),
    "units": ("Bernoulli", "Categorical", "Gaussian", "Mixed", "Spin", "units_for"),
}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES, ("emissions", "units"))
