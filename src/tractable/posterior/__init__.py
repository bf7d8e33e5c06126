"""Plan + model -> posterior with a certificate."""

from tractable.posterior._base import Certificate, ImpossibleEvidenceError, Marginals, MostProbable, Posterior
from tractable.posterior.verbs import (
    impute,
    infer,
    log_evidence,
    log_partition,
    most_probable,
    reconstruct,
    sample,
    transform,
)

__all__ = [
    "Certificate",
    "ImpossibleEvidenceError",
    "Marginals",
    "MostProbable",
    "Posterior",
    "impute",
    "infer",
    "log_evidence",
    "log_partition",
    "most_probable",
    "reconstruct",
    "sample",
    "transform",
]
