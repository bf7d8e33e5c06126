"""Inference in models with hidden variables, priced before it runs and certified when it returns.

The public names are loaded on first use: importing the package imports nothing else.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tractable.evaluate import aic, bic, log_likelihood, log_partition, pseudo_log_likelihood
    from tractable.formats import FormatError, load, read_data, read_evidence, read_sequences, save, write_data
    from tractable.graph import Graph, GraphError, Separation, is_separated
    from tractable.learning import (
        EM,
        ContrastiveDivergence,
        EMRun,
        ExactGradient,
        ExpectationMaximization,
        FastPersistentCD,
        GeneralizedEM,
        GradientMStep,
        History,
        IncrementalEM,
        JointStochasticApproximation,
        Layerwise,
        OnlineEM,
        PersistentCD,
        PseudoLikelihood,
        ReweightedWakeSleep,
        Run,
        TemperedPCD,
        TrajectoryTempering,
        VariationalGradient,
        WakeSleep,
        bayesian_network,
        factorial_hidden_markov,
        fit,
        hidden_markov,
        left_right,
        log_partition_of,
        mixture,
        pretrain,
        stacked,
    )
    from tractable.models import (
        AdditiveGaussianEmissions,
        BayesianNetwork,
        Bernoulli,
        BernoulliEmissions,
        Boltzmann,
        Categorical,
        CategoricalEmissions,
        DeepBeliefNetwork,
        DiagonalGaussianEmissions,
        Factor,
        FactorialHiddenMarkovModel,
        Gaussian,
        GaussianEmissions,
        HelmholtzMachine,
        HiddenMarkovModel,
        MarkovNetwork,
        Mixture,
        MixtureEmissions,
        ModelError,
        PoissonEmissions,
        ProductEmissions,
        RecognitionNetwork,
        Sequences,
        SigmoidBeliefNetwork,
        SphericalGaussianEmissions,
        Spin,
        TiedGaussianEmissions,
        boltzmann,
        condition,
        deep,
        emissions_for,
        restricted,
    )
    from tractable.plan import BudgetError, Explanation, Plan, explain, plan
    from tractable.posterior import (
        Certificate,
        MostProbable,
        OnlineFilter,
        Posterior,
        UnsupportedError,
        filtering,
        forecast,
        impute,
        infer,
        log_evidence,
        most_probable,
        reconstruct,
        sample,
        transform,
    )

__version__ = "0.2.0"

__all__ = [
    "EM",
    "AdditiveGaussianEmissions",
    "BayesianNetwork",
    "Bernoulli",
    "BernoulliEmissions",
    "Boltzmann",
    "BudgetError",
    "Categorical",
    "CategoricalEmissions",
    "Certificate",
    "ContrastiveDivergence",
    "DeepBeliefNetwork",
    "DiagonalGaussianEmissions",
    "EMRun",
    "ExactGradient",
    "ExpectationMaximization",
    "Explanation",
    "Factor",
    "FactorialHiddenMarkovModel",
    "FastPersistentCD",
    "FormatError",
    "Gaussian",
    "GaussianEmissions",
    "GeneralizedEM",
    "GradientMStep",
    "Graph",
    "GraphError",
    "HelmholtzMachine",
    "HiddenMarkovModel",
    "History",
    "IncrementalEM",
    "JointStochasticApproximation",
    "Layerwise",
    "MarkovNetwork",
    "Mixture",
    "MixtureEmissions",
    "ModelError",
    "MostProbable",
    "OnlineEM",
    "OnlineFilter",
    "PersistentCD",
    "Plan",
    "PoissonEmissions",
    "Posterior",
    "ProductEmissions",
    "PseudoLikelihood",
    "RecognitionNetwork",
    "ReweightedWakeSleep",
    "Run",
    "Separation",
    "Sequences",
    "SigmoidBeliefNetwork",
    "SphericalGaussianEmissions",
    "Spin",
    "TemperedPCD",
    "TiedGaussianEmissions",
    "TrajectoryTempering",
    "UnsupportedError",
    "VariationalGradient",
    "WakeSleep",
    "aic",
    "bayesian_network",
    "bic",
    "boltzmann",
    "condition",
    "deep",
    "emissions_for",
    "explain",
    "factorial_hidden_markov",
    "filtering",
    "fit",
    "forecast",
    "hidden_markov",
    "impute",
    "infer",
    "is_separated",
    "left_right",
    "load",
    "log_evidence",
    "log_likelihood",
    "log_partition",
    "log_partition_of",
    "mixture",
    "most_probable",
    "plan",
    "pretrain",
    "pseudo_log_likelihood",
    "read_data",
    "read_evidence",
    "read_sequences",
    "reconstruct",
    "restricted",
    "sample",
    "save",
    "stacked",
    "transform",
    "write_data",
]

_NAMES = {
    "evaluate": ["aic", "bic", "log_likelihood", "log_partition", "pseudo_log_likelihood"],
    "formats": ["FormatError", "load", "read_data", "read_evidence", "read_sequences", "save", "write_data"],
    "graph": ["Graph", "GraphError", "Separation", "is_separated"],
    "learning": [
        "EM",
        "ContrastiveDivergence",
        "EMRun",
        "ExactGradient",
        "ExpectationMaximization",
        "FastPersistentCD",
        "GeneralizedEM",
        "GradientMStep",
        "History",
        "IncrementalEM",
        "JointStochasticApproximation",
        "Layerwise",
        "OnlineEM",
        "PersistentCD",
        "PseudoLikelihood",
        "ReweightedWakeSleep",
        "Run",
        "TemperedPCD",
        "TrajectoryTempering",
        "VariationalGradient",
        "WakeSleep",
        "bayesian_network",
        "factorial_hidden_markov",
        "fit",
        "hidden_markov",
        "left_right",
        "log_partition_of",
        "mixture",
        "pretrain",
        "stacked",
    ],
    "models": [
        "AdditiveGaussianEmissions",
        "BayesianNetwork",
        "Bernoulli",
        "BernoulliEmissions",
        "Boltzmann",
        "Categorical",
        "CategoricalEmissions",
        "DeepBeliefNetwork",
        "DiagonalGaussianEmissions",
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
        "TiedGaussianEmissions",
        "boltzmann",
        "condition",
        "deep",
        "emissions_for",
        "restricted",
    ],
    "plan": ["BudgetError", "Explanation", "Plan", "explain"],
    "posterior": [
        "Certificate",
        "MostProbable",
        "OnlineFilter",
        "Posterior",
        "UnsupportedError",
        "filtering",
        "forecast",
        "impute",
        "infer",
        "log_evidence",
        "most_probable",
        "reconstruct",
        "sample",
        "transform",
    ],
}
_ROOM = {name: room for room, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM:
        raise AttributeError(f"module 'tractable' has no attribute {name!r}")
    value = getattr(import_module(f"tractable.{_ROOM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All names that can be had: whoever looks at each of them, as a completer does, meets no missing extra."""
    from tractable.extras import is_there

    names = sorted({*globals(), *__all__})
    return names if is_there("jax") else [name for name in names if _can_be_had(name)]


def _can_be_had(name: str) -> bool:
    try:
        return hasattr(sys.modules[__name__], name)
    except ModuleNotFoundError:
        return False


class _Package(ModuleType):
    """The package, on which `plan` is the verb: importing the room of that name would otherwise put it in its place."""

    @property
    def plan(self) -> object:
        return import_module("tractable.plan").plan

    @plan.setter
    def plan(self, room: ModuleType) -> None:
        """Called by the import system, which binds every submodule to its package."""


sys.modules[__name__].__class__ = _Package
