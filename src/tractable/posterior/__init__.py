"""Plan + model -> posterior with a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach
from tractable.posterior._base import Drawn, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.engines import tables as _tables  # noqa: F401, loaded here: a first query does not wait for it
from tractable.posterior.engines._protocol import UnsupportedError
from tractable.posterior.marginals import Marginals
from tractable.posterior.rows import filtering, forecast, impute, reconstruct, transform
from tractable.posterior.verbs import infer, log_evidence, log_partition, most_probable, sample

if TYPE_CHECKING:
    from tractable.posterior.engines.ahead import Forecast, OnlineFilter

__all__ = [
    "Certificate",
    "Drawn",
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

# What only hidden Markov models need is loaded when first used: a query of a network does not wait for it.
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, {"engines.ahead": ("Forecast", "OnlineFilter")})
