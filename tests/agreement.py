"""What all laws share: a model with evidence and all that enumeration says of it, computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import brute_force
import numpy as np
import pytest
from zoo import Model, Row, random_evidence

import tractable as tr

SEEDS = range(5)


class Case(NamedTuple):
    """A model, evidence for it, the exact log Z of both together, and the joint posterior over all variables."""

    model: Model
    evidence: dict[str, Any]
    log_z: float
    joint: np.ndarray

    @property
    def possible(self) -> bool:
        return self.log_z > -math.inf

    def marginal(self, *names: str) -> np.ndarray:
        """p(names | evidence), one axis for each name in the order given."""
        order = list(self.model.states)
        kept = [order.index(name) for name in names]
        summed = self.joint.sum(axis=tuple(set(range(len(order))) - set(kept)))
        return np.transpose(summed, np.argsort(np.argsort(kept)))


@cache
def case(row: Row, seed: int) -> Case:
    """A member of the zoo; seed 0 observes nothing, the others about half of the variables."""
    model = row.model(seed)
    return enumerated(model, random_evidence(model, np.random.default_rng(seed)) if seed else {})


def enumerated(model: Model, evidence: Mapping[str, Any]) -> Case:
    """The case of this model and evidence."""
    log_z = brute_force.log_partition(model, evidence)
    possible = log_z > -math.inf
    joint = brute_force.joint_marginal(model, list(model.states), evidence) if possible else np.zeros(0)
    return Case(model, dict(evidence), log_z, joint)


def gaps(rows: np.ndarray) -> np.ndarray:
    """State indices with NaN, and not −1, for what is unobserved."""
    return np.where(rows < 0, np.nan, rows)


def close(found: float, truth: float, tolerance: float = 1e-10) -> bool:
    """Whether two logarithms agree to an absolute and relative error of `tolerance`; infinities must be equal."""
    return found == truth or abs(found - truth) <= tolerance * max(1.0, abs(truth))


def agrees(posterior: tr.Posterior, truth: Case, tolerance: float = 1e-10) -> None:
    """Fail unless log Z and every marginal are those of the enumeration."""
    certificate = posterior.log_partition
    assert certificate.kind == "exact"
    assert close(certificate.value, truth.log_z, tolerance)
    slack = tolerance * max(1.0, abs(truth.log_z))
    assert not truth.possible or certificate.lower - slack <= truth.log_z <= certificate.upper + slack
    assert bool(posterior.possible) == truth.possible
    if truth.possible:
        for name in truth.model.states:
            np.testing.assert_allclose(
                posterior.marginals.array(name), truth.marginal(name), rtol=0, atol=tolerance, err_msg=name
            )


def agrees_where_answered(posterior: tr.Posterior, truth: Case, tolerance: float = 1e-10) -> int:
    """The same of an answer in which the budget may refuse some of it; the number of marginals that are there."""
    if not posterior.refused and posterior.plan.method and not isinstance(posterior._log_partition, tr.Plan):
        agrees(posterior, truth, tolerance)
        return len(truth.model.states)
    if not isinstance(posterior._log_partition, tr.Plan):
        assert close(posterior.log_partition.value, truth.log_z, tolerance)
    if not truth.possible and not isinstance(posterior._log_partition, tr.Plan):
        return 0
    assert {*posterior.marginals} | {*posterior.refused} == {*truth.model.states}
    for name in posterior.marginals if truth.possible else ():
        np.testing.assert_allclose(
            posterior.marginals.array(name), truth.marginal(name), rtol=0, atol=tolerance, err_msg=name
        )
    for name in posterior.refused:
        with pytest.raises(tr.BudgetError):
            posterior.marginals[name]
    return len(posterior.marginals)
