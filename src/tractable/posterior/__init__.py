"""Plan + model -> posterior with a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.posterior._base import Marginals, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
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

if TYPE_CHECKING:
    from tractable.posterior.chains import Forecast, OnlineFilter, filtering, forecast

__all__ = [
    "Certificate",
    "Forecast",
    "ImpossibleEvidenceError",
    "Marginals",
    "MostProbable",
    "OnlineFilter",
    "Posterior",
    "filtering",
    "forecast",
    "impute",
    "infer",
    "log_evidence",
    "log_partition",
    "most_probable",
    "reconstruct",
    "sample",
    "transform",
]


def __getattr__(name: str) -> object:
    """What only hidden Markov models need is loaded when first used."""
    if name not in ("Forecast", "OnlineFilter", "filtering", "forecast"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tractable.posterior import chains

    return getattr(chains, name)
