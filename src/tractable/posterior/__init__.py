"""Plan + model -> posterior with a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.posterior._base import Marginals, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.engines import tables as _tables  # noqa: F401, loaded here: a first query does not wait for it
from tractable.posterior.engines._protocol import UnsupportedError
from tractable.posterior.verbs import (
    filtering,
    forecast,
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
    from tractable.posterior.engines.chains import Forecast, OnlineFilter

__all__ = [
    "Certificate",
    "Forecast",
    "ImpossibleEvidenceError",
    "Marginals",
    "MostProbable",
    "OnlineFilter",
    "Posterior",
    "UnsupportedError",
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
    if name not in ("Forecast", "OnlineFilter"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tractable.posterior.engines import chains  # a query of a network does not load it

    return getattr(chains, name)
