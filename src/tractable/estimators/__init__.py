"""Models as estimators of scikit-learn (the extra `sklearn`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach

if TYPE_CHECKING:
    from tractable.estimators.belief import DeepBeliefNetwork, HelmholtzMachine, SigmoidBeliefNetwork
    from tractable.estimators.boltzmann import DeepBoltzmannMachine, RestrictedBoltzmannMachine
    from tractable.estimators.classifier import RestrictedBoltzmannClassifier
    from tractable.estimators.hidden_markov import HiddenMarkovModel
    from tractable.estimators.mixtures import BernoulliMixture, GaussianMixture, MixedMixture
    from tractable.estimators.networks import BayesianNetworkClassifier

__all__ = [
    "BayesianNetworkClassifier",
    "BernoulliMixture",
    "DeepBeliefNetwork",
    "DeepBoltzmannMachine",
    "GaussianMixture",
    "HelmholtzMachine",
    "HiddenMarkovModel",
    "MixedMixture",
    "RestrictedBoltzmannClassifier",
    "RestrictedBoltzmannMachine",
    "SigmoidBeliefNetwork",
]

# Loaded when first used: mixtures need no jax.
_LEAVES = {
    "belief": ("DeepBeliefNetwork", "HelmholtzMachine", "SigmoidBeliefNetwork"),
    "boltzmann": ("DeepBoltzmannMachine", "RestrictedBoltzmannMachine"),
    "classifier": ("RestrictedBoltzmannClassifier",),
    "hidden_markov": ("HiddenMarkovModel",),
    "mixtures": ("BernoulliMixture", "GaussianMixture", "MixedMixture"),
    "networks": ("BayesianNetworkClassifier",),
}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES)
