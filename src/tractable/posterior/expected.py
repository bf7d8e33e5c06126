"""The record of an E-step."""

from __future__ import annotations

from typing import Any, NamedTuple

from tractable.models.emissions import Statistics


class Expected(NamedTuple):
    """What an E-step finds: expected statistics, Σ log p(x), and ELBO and KL(q ‖ posterior) summed over rows.

    Where log p(x) is not affordable, the ELBO stands for it, a KL of zero beside it, and `upper` is a bound above. `q`
    is what stood for the posterior, where it has to be searched for.
    """

    statistics: Statistics
    log_likelihood: float
    elbo: float
    kl: float
    upper: float | None = None
    q: Any = None
