"""Models as estimators of scikit-learn (the extra `sklearn`)."""

from tractable.estimators.boltzmann import RestrictedBoltzmannMachine

__all__ = ["RestrictedBoltzmannMachine"]
