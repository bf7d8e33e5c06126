"""Graph + parameters."""

from tractable.kernels import Tables
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.conditioning import TableModel, condition, one_case, reduce_model
from tractable.models.evidence import Evidence, parse_evidence
from tractable.models.markov_network import Factor, MarkovNetwork

__all__ = [
    "BayesianNetwork",
    "Evidence",
    "Factor",
    "MarkovNetwork",
    "ModelError",
    "TableModel",
    "Tables",
    "condition",
    "one_case",
    "parse_evidence",
    "reduce_model",
]
