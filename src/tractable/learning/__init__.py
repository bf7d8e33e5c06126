"""Model + data -> better model: learning is two inference calls and an update."""

from tractable.learning._base import Learner
from tractable.learning.contrastive import ContrastiveDivergence, FastPersistentCD, PersistentCD
from tractable.learning.layerwise import pretrain
from tractable.learning.likelihood import ExactGradient, PseudoLikelihood
from tractable.learning.loop import Run, fit
from tractable.learning.records import Epoch, History
from tractable.learning.tempered import TemperedPCD
from tractable.learning.trajectory import TrajectoryTempering, log_partition_of

__all__ = [
    "ContrastiveDivergence",
    "Epoch",
    "ExactGradient",
    "FastPersistentCD",
    "History",
    "Learner",
    "PersistentCD",
    "PseudoLikelihood",
    "Run",
    "TemperedPCD",
    "TrajectoryTempering",
    "fit",
    "log_partition_of",
    "pretrain",
]
