"""The most probable of all, of some, and the k best of networks of tables: against enumeration."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from small_networks import SmallNetwork, random_network
from sweep import seeds

import tractable as tr


class Question(NamedTuple):
    """A small network, evidence, targets, and all log probabilities of these with the evidence, best first."""

    net: SmallNetwork
    evidence: dict[str, str]
    targets: list[str]
    table: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The finite ones, in order."""
        found = np.sort(self.table.ravel())[::-1]
        return found[found > -np.inf]

    def value(self, assignment: dict[str, str]) -> float:
        """That of an assignment of the targets."""
        return float(self.table[tuple(int(assignment[v]) for v in self.targets)])


def question(seed: int, of_all: bool = False) -> Question:
    """Some variables are observed, some are asked for, in any order, the others are summed out."""
    net, rng = random_network(seed, 3 + seed % 7), np.random.default_rng(seed + 1)
    order = rng.permutation(len(net.sizes)).tolist()
    seen = order[: int(rng.integers(0, 3))]
    rest = order[len(seen) :]
    asked = sorted(rest) if of_all else rest[: int(rng.integers(1, len(rest) + 1))]
    states = {v: int(rng.integers(net.sizes[v])) for v in seen}
    x = net.all_states
    f = np.where(np.all([x[v] == s for v, s in states.items()], axis=0) if states else True, net.log_joint(x), -np.inf)
    table = np.full([net.sizes[v] for v in asked], -np.inf)
    np.logaddexp.at(table, tuple(x[asked]), f)
    return Question(net, {f"v{v}": str(s) for v, s in states.items()}, [f"v{v}" for v in asked], table)


def asked(q: Question, **how: Any) -> list[tr.MostProbable] | None:
    """The answer as a list; None where the evidence is impossible."""
    try:
        found = tr.most_probable(q.net.network, q.evidence, targets=q.targets, **how)
    except tr.ImpossibleEvidenceError:
        return None
    return found if isinstance(found, list) else [found]


def check(q: Question, found: list[tr.MostProbable] | None, k: int) -> None:
    """Every value is that of its assignment, both ends hold, none occurs twice; exact ones are the best in order."""
    if not len(q.best):
        assert found is None
        return
    assert found is not None and 1 <= len(found) <= min(k, len(q.best))
    assert len({tuple(one.assignment.values()) for one in found}) == len(found)
    for j, one in enumerate(found):
        assert list(one.assignment) == q.targets
        value, slack = q.value(one.assignment), 1e-9 * max(1.0, abs(q.best[j]))
        assert one.log_probability.lower - slack <= value <= one.log_probability.upper + slack
        assert one.optimum.lower - slack <= q.best[j] <= one.optimum.upper + slack
        if one.optimum.kind == "exact":
            assert math.isclose(one.optimum.value, q.best[j], rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("seed", seeds(150))
def test_the_most_probable_of_some_is_that_of_enumeration(seed: int) -> None:
    q = question(seed)
    found = asked(q)
    check(q, found, 1)
    assert found is None or found[0].optimum.kind == "exact"
