"""Models as estimators of scikit-learn (the extra `sklearn`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.extras import import_module

if TYPE_CHECKING:
    from tractable.estimators.belief import DeepBeliefNetwork, HelmholtzMachine, SigmoidBeliefNetwork
    from tractable.estimators.boltzmann import DeepBoltzmannMachine, RestrictedBoltzmannMachine
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
    "RestrictedBoltzmannMachine",
    "SigmoidBeliefNetwork",
]

_LEAVES = {
    "belief": ("DeepBeliefNetwork", "HelmholtzMachine", "SigmoidBeliefNetwork"),
    "boltzmann": ("DeepBoltzmannMachine", "RestrictedBoltzmannMachine"),
    "hidden_markov": ("HiddenMarkovModel",),
    "mixtures": ("BernoulliMixture", "GaussianMixture", "MixedMixture"),
    "networks": ("BayesianNetworkClassifier",),
}
_LEAF_OF = {name: leaf for leaf, names in _LEAVES.items() for name in names}


def __getattr__(name: str) -> object:
    """Loaded when first used: mixtures need no jax."""
    if name not in _LEAF_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LEAF_OF[name]}", name), name)
