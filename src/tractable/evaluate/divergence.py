"""How far one Bayesian network is from another with the same structure: exact, family by family."""

from __future__ import annotations

import numpy as np

from tractable.models import BayesianNetwork, ModelError
from tractable.posterior import Certificate, infer
from tractable.posterior.engines._protocol import unsupported


def kl_divergence(truth: BayesianNetwork, other: BayesianNetwork) -> Certificate:
    """KL(truth ‖ other) = Σ over families Σ_pa p(pa) KL(p(x | pa) ‖ q(x | pa)), with p(pa) from the exact engine.

    Infinite where the other network rules out what the true one does not.

    Raises
    ------
    ModelError : networks of different states or parents. UnsupportedError : no Bayesian networks.
    BudgetError : parents whose joint marginal is not affordable.

    Examples
    --------
    >>> coin, other = (tr.BayesianNetwork({"a": "01"}, {}, {"a": [p, 1 - p]}) for p in (0.5, 0.25))
    >>> round(tr.evaluate.kl_divergence(coin, other).value, 6)
    0.143841
    """
    for model in (truth, other):
        if not isinstance(model, BayesianNetwork):
            raise unsupported(model, "kl_divergence")
    if dict(truth.states) != dict(other.states) or dict(truth.parents) != dict(other.parents):
        raise ModelError("a divergence is taken between networks of the same variables, states and parents")
    posterior, total = infer(truth, targets=(), method="exact"), 0.0
    for v, parents in truth.parents.items():
        weights = posterior.joint(parents) if parents else np.ones(())
        p, q = np.asarray(truth.tables[v]), np.asarray(other.tables[v])
        there = (p > 0) & (weights[..., None] > 0)
        with np.errstate(divide="ignore"):
            terms = weights[..., None] * p * (np.log(np.where(there, p, 1.0)) - np.log(np.where(there, q, 1.0)))
        total += float(terms[there].sum())
    return Certificate.exact(total)
