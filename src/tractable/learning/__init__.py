"""Model + data -> better model: learning is two inference calls and an update."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tractable.learning._base import Learner
    from tractable.learning.chain_starts import hidden_markov, left_right
    from tractable.learning.contrastive import ContrastiveDivergence, FastPersistentCD, PersistentCD
    from tractable.learning.em import EM, ExpectationMaximization
    from tractable.learning.em_records import EMRun, Iteration, Iterations
    from tractable.learning.factorial_starts import factorial_hidden_markov
    from tractable.learning.fitting import fit
    from tractable.learning.generalized_em import GeneralizedEM, IncrementalEM, OnlineEM
    from tractable.learning.gradient_step import GradientMStep
    from tractable.learning.layerwise import Layerwise, pretrain
    from tractable.learning.likelihood import ExactGradient, PseudoLikelihood
    from tractable.learning.loop import Run
    from tractable.learning.network_starts import bayesian_network
    from tractable.learning.records import Epoch, History
    from tractable.learning.reweighted import JointStochasticApproximation, ReweightedWakeSleep, WakeSleep
    from tractable.learning.stacks import stacked
    from tractable.learning.starts import mixture
    from tractable.learning.tempered import TemperedPCD
    from tractable.learning.trajectory import TrajectoryTempering, log_partition_of
    from tractable.learning.variational import VariationalGradient

__all__ = [
    "EM",
    "ContrastiveDivergence",
    "EMRun",
    "Epoch",
    "ExactGradient",
    "ExpectationMaximization",
    "FastPersistentCD",
    "GeneralizedEM",
    "GradientMStep",
    "History",
    "IncrementalEM",
    "Iteration",
    "Iterations",
    "JointStochasticApproximation",
    "Layerwise",
    "Learner",
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
]

_LEAVES = {
    "_base": ("Learner",),
    "chain_starts": ("hidden_markov", "left_right"),
    "contrastive": ("ContrastiveDivergence", "FastPersistentCD", "PersistentCD"),
    "em": ("EM", "ExpectationMaximization"),
    "em_records": ("EMRun", "Iteration", "Iterations"),
    "factorial_starts": ("factorial_hidden_markov",),
    "fitting": ("fit",),
    "generalized_em": ("GeneralizedEM", "IncrementalEM", "OnlineEM"),
    "gradient_step": ("GradientMStep",),
    "layerwise": ("Layerwise", "pretrain"),
    "likelihood": ("ExactGradient", "PseudoLikelihood"),
    "loop": ("Run",),
    "network_starts": ("bayesian_network",),
    "records": ("Epoch", "History"),
    "reweighted": ("JointStochasticApproximation", "ReweightedWakeSleep", "WakeSleep"),
    "stacks": ("stacked",),
    "starts": ("mixture",),
    "tempered": ("TemperedPCD",),
    "trajectory": ("TrajectoryTempering", "log_partition_of"),
    "variational": ("VariationalGradient",),
}
_LEAF_OF = {name: leaf for leaf, names in _LEAVES.items() for name in names}


def __getattr__(name: str) -> object:
    """Loaded when first used: EM needs no jax."""
    if name not in _LEAF_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LEAF_OF[name]}"), name)
    globals()[name] = value
    return value
