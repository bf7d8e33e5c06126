"""The records of this room: numbers with their certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tractable.models import ModelError
from tractable.models._base import unknown_variable
from tractable.plan import Plan


@dataclass(frozen=True)
class Certificate:
    """A number, or one per evidence row, and how far off it may be: lower ≤ truth ≤ upper.

    `kind` is ``exact`` (up to rounding), ``bound`` (deterministic), ``probabilistic`` (with `confidence`) or
    ``estimate`` (a value with `std_error`; the interval is infinite). `verdict` says in words whether the value can be
    relied on, where that was checked. What is not exact and not a number is never reliable, and its ends are infinite.
    """

    value: Any
    lower: Any
    upper: Any
    kind: str
    confidence: float | None = None
    std_error: float | None = None
    verdict: str | None = None

    def __post_init__(self) -> None:
        if self.kind != "exact" and any(np.isnan(x).any() for x in (self.value, self.lower, self.upper)):
            self._excuse()

    def _excuse(self) -> None:
        """Ends that are not numbers say nothing, and a value that is not one cannot be relied on."""
        for name, end in (("lower", -np.inf), ("upper", np.inf)):
            object.__setattr__(self, name, np.where(np.isnan(getattr(self, name)), end, getattr(self, name))[()])
        broken = np.isnan(self.value)
        if broken.any() and not (self.verdict or "").startswith("unreliable"):
            said = f"; {self.verdict}" if self.verdict not in (None, "reliable") else ""
            of = f" of {int(broken.sum())} of {broken.size} rows" if broken.size > 1 else ""
            object.__setattr__(self, "verdict", f"unreliable: the value{of} is not a number{said}")

    @classmethod
    def exact(cls, value: Any) -> Certificate:
        """The certificate of a number that is right up to rounding."""
        return cls(value, value, value, "exact")


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


class ImpossibleEvidenceError(ModelError):
    """A posterior was asked for, but the evidence has probability zero."""


@dataclass(frozen=True)
class MostProbable:
    """The most probable joint state of all variables given the evidence.

    `log_probability` is log p(assignment) for a Bayesian network (the evidence included), the log of the unnormalized
    product of the factors for a Markov network.
    """

    assignment: dict[str, str]
    log_probability: Certificate
    plan: Plan
