"""The records of this room: what is known given the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tractable.models._base import unknown_variable
from tractable.plan import Plan
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError


class Marginals(Mapping[str, Mapping[str, Any]]):
    """Posterior marginals by variable, then by state; ``array(variable)`` gives them as an array.

    Each array has shape [n_states], or [n_rows, n_states] for many cases.
    """

    def __init__(
        self, states: Mapping[str, Sequence[str]], places: Mapping[str, slice], array: Callable[[slice], np.ndarray]
    ):
        self._states = states
        self._places = places
        self._array = array

    def array(self, variable: str) -> np.ndarray:
        """The marginal of one variable as an array with its states on the last axis."""
        place = self._places.get(variable)
        if place is None:
            raise unknown_variable(variable, self._states)
        return self._array(place)

    def __getitem__(self, variable: str) -> Mapping[str, Any]:
        array = self.array(variable)
        values = array.tolist() if array.ndim == 1 else list(array.T)
        return dict(zip(self._states[variable], values, strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def __repr__(self) -> str:
        return f"Marginals of {len(self)} variables: {', '.join(list(self._states)[:6])}{' …' if len(self) > 6 else ''}"


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of the free variables given the evidence.

    Attributes
    ----------
    marginals : variable → state → probability.
    log_partition : log Z of the conditioned model: log p(evidence) for a Bayesian network.
    plan : what the answer cost.
    """

    log_partition: Certificate
    _plan: Callable[[], Plan] = field(repr=False)
    _marginals: Marginals = field(repr=False)
    _joint: Callable[[Sequence[str]], np.ndarray] = field(repr=False)
    _sample: Callable[[Any, int], dict[str, np.ndarray]] = field(repr=False)

    @cached_property
    def plan(self) -> Plan:
        """What the answer cost; written down when first read."""
        return self._plan()

    @cached_property
    def marginals(self) -> Marginals:
        """Posterior marginals; an error where the evidence is impossible and there is no posterior."""
        if np.ndim(self.log_partition.value) == 0:
            self._check_possible()
        return self._marginals

    @property
    def possible(self) -> Any:
        """Whether the evidence has positive probability (one answer for each row)."""
        return np.asarray(self.log_partition.value) > -np.inf

    def joint(self, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables, one axis for each, in the order given."""
        self._check_possible()
        return self._joint(variables)

    def sample(self, key: Any, n: int) -> dict[str, np.ndarray]:
        """`n` exact samples of all variables jointly, as state indices; the same key gives the same samples."""
        self._check_possible()
        return self._sample(key, n)

    def _check_possible(self) -> None:
        if not np.all(self.possible):
            raise ImpossibleEvidenceError("the evidence has probability zero under the model: there is no posterior")


@dataclass(frozen=True)
class MostProbable:
    """The most probable joint state of all variables given the evidence.

    `log_probability` is log p(assignment) for a Bayesian network (the evidence included), the log of the unnormalized
    product of the factors for a Markov network.
    """

    assignment: dict[str, str]
    log_probability: Certificate
    plan: Plan
