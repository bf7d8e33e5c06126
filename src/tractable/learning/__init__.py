"""Model + data -> better model: learning is two inference calls and an update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach

if TYPE_CHECKING:
    from tractable.learning.choosing import Candidate, Choice, choose
    from tractable.learning.em.exact import EM, ExpectationMaximization
    from tractable.learning.em.generalized import GeneralizedEM, IncrementalEM, OnlineEM
    from tractable.learning.em.gradient_step import GradientMStep
    from tractable.learning.em.mini_buckets_step import MiniBucketsEStep
    from tractable.learning.em.records import EMRun, Iteration
    from tractable.learning.fitting import fit
    from tractable.learning.layers.layerwise import Layerwise, pretrain
    from tractable.learning.layers.reweighted import JointStochasticApproximation, ReweightedWakeSleep, WakeSleep
    from tractable.learning.layers.stacks import stacked
    from tractable.learning.layers.variational import VariationalGradient
    from tractable.learning.learner import Learner
    from tractable.learning.loop import Run
    from tractable.learning.machines.columns import fit_columns
    from tractable.learning.machines.contrastive import ContrastiveDivergence, FastPersistentCD, PersistentCD
    from tractable.learning.machines.discriminative import Discriminative
    from tractable.learning.machines.likelihood import ExactGradient, PseudoLikelihood
    from tractable.learning.machines.tempered import TemperedPCD
    from tractable.learning.machines.trajectory import TrajectoryTempering, log_partition_of
    from tractable.learning.records import Epoch, History, LearningWarning
    from tractable.learning.simple_models import yardsticks
    from tractable.learning.starts.chains import hidden_markov, left_right
    from tractable.learning.starts.factorial import factorial_hidden_markov
    from tractable.learning.starts.mixtures import mixture
    from tractable.learning.starts.networks import bayesian_network
    from tractable.learning.yardstick import Yardstick

__all__ = [
    "EM",
    "Candidate",
    "Choice",
    "ContrastiveDivergence",
    "Discriminative",
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
    "JointStochasticApproximation",
    "Layerwise",
    "Learner",
    "LearningWarning",
    "MiniBucketsEStep",
    "OnlineEM",
    "PersistentCD",
    "PseudoLikelihood",
    "ReweightedWakeSleep",
    "Run",
    "TemperedPCD",
    "TrajectoryTempering",
    "VariationalGradient",
    "WakeSleep",
    "Yardstick",
    "bayesian_network",
    "choose",
    "factorial_hidden_markov",
    "fit",
    "fit_columns",
    "hidden_markov",
    "left_right",
    "log_partition_of",
    "mixture",
    "pretrain",
    "stacked",
    "yardsticks",
]

# Loaded when first used: EM needs no jax.
_LEAVES = {
    "choosing": ("Candidate", "Choice", "choose"),
    "learner": ("Learner",),
    "em.exact": ("EM", "ExpectationMaximization"),
    "em.generalized": ("GeneralizedEM", "IncrementalEM", "OnlineEM"),
    "em.gradient_step": ("GradientMStep",),
    "em.mini_buckets_step": ("MiniBucketsEStep",),
    "em.records": ("EMRun", "Iteration"),
    "fitting": ("fit",),
    "layers.layerwise": ("Layerwise", "pretrain"),
    "layers.reweighted": ("JointStochasticApproximation", "ReweightedWakeSleep", "WakeSleep"),
    "layers.stacks": ("stacked",),
    "layers.variational": ("VariationalGradient",),
    "loop": ("Run",),
    "machines.contrastive": ("ContrastiveDivergence", "FastPersistentCD", "PersistentCD"),
    "machines.columns": ("fit_columns",),
    "machines.discriminative": ("Discriminative",),
    "machines.likelihood": ("ExactGradient", "PseudoLikelihood"),
    "machines.tempered": ("TemperedPCD",),
    "machines.trajectory": ("TrajectoryTempering", "log_partition_of"),
    "records": ("Epoch", "History", "LearningWarning"),
    "simple_models": ("yardsticks",),
    "starts.chains": ("hidden_markov", "left_right"),
    "starts.factorial": ("factorial_hidden_markov",),
    "starts.mixtures": ("mixture",),
    "starts.networks": ("bayesian_network",),
    "yardstick": ("Yardstick",),
}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES)
