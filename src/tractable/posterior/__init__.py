"""Plan + model -> posterior with a certificate."""

from tractable.posterior._base import Certificate, ImpossibleEvidenceError, Marginals, MostProbable, Posterior
from tractable.posterior.verbs import infer, log_evidence, log_partition, most_probable, sample

__all__ = [
    "Certificate",
    "ImpossibleEvidenceError",
    "Marginals",
    "MostProbable",
    "Posterior",
    "infer",
    "log_evidence",
    "log_partition",
    "most_probable",
    "sample",
]
