"""The record of an E-step, and what one by draws is told."""

from __future__ import annotations

from typing import Any, NamedTuple

from tractable.models.emissions import Statistics
from tractable.posterior.certificate import Certificate


class Told(NamedTuple):
    """Sums over rows where nothing is exact: log p(x), the ELBO and KL(q ‖ posterior), whose ends hold together."""

    log_likelihood: Certificate
    elbo: Certificate
    kl: Certificate


class Expected(NamedTuple):
    """What an E-step finds: expected statistics, Σ log p(x), and ELBO and KL(q ‖ posterior) summed over rows.

    Where log p(x) is not affordable, the ELBO stands for it, a KL of zero beside it, and `upper` is a bound above; or
    all three are `told` with ends of their own. `q` is what stood for the posterior, where it has to be searched for.
    """

    statistics: Statistics
    log_likelihood: float
    elbo: float
    kl: float
    upper: float | None = None
    q: Any = None
    told: Told | None = None


class UnderBound(NamedTuple):
    """What stands for the posterior of a row that is too wide: so many draws under a bound by mini-buckets.

    All ends hold together with `confidence`. The `seed` has not been used before for anything that the model depends
    on. `strict`: an impossible row is an error.
    """

    draws: int
    confidence: float
    seed: tuple[int, ...]
    strict: bool = True
