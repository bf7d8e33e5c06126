"""The records of this room: what is known given the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from tractable.models._base import unknown_variable
from tractable.plan import Plan
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError


class Marginals(Mapping[str, Mapping[str, Any]]):
    """Posterior marginals by variable, then by state; ``array(variable)`` gives them as an array.

    Each array has shape [n_states], or [n_rows, n_states] for many cases; `values` holds those of all variables side by
    side, None where the evidence is impossible. ``certificate(variable)`` says how far off they may be.
    """

    def __init__(self, states: Mapping[str, Sequence[str]], places: Mapping[str, slice], values: np.ndarray | None):
        self.states, self.places, self.values = states, places, values

    def array(self, variable: str) -> np.ndarray:
        """The marginal of one variable as an array with its states on the last axis."""
        place = self.places.get(variable)
        if place is None:
            raise unknown_variable(variable, self.states)
        if self.values is None:
            raise ImpossibleEvidenceError("the evidence has probability zero under the model: there is no posterior")
        return self.values[..., place]

    def certificate(self, variable: str) -> Certificate:
        """The marginal of one variable with its certificate."""
        return Certificate.exact(self.array(variable))

    def __getitem__(self, variable: str) -> Mapping[str, Any]:
        array = self.array(variable)
        values = array.tolist() if array.ndim == 1 else list(array.T)
        return dict(zip(self.states[variable], values, strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    def __len__(self) -> int:
        return len(self.states)

    def __repr__(self) -> str:
        return f"Marginals of {len(self)} variables: {', '.join(list(self.states)[:6])}{' …' if len(self) > 6 else ''}"


M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class Posterior(Generic[M]):
    """What is known of the free variables given the evidence; it pickles.

    Attributes
    ----------
    marginals : variable → state → probability; of machines and layers, group → means.
    log_partition : log Z of the conditioned model: log p(evidence) for a Bayesian network.
    plan : the plan that ran.
    """

    log_partition: Certificate
    _marginals: M = field(repr=False)
    _planned: Any = field(repr=False)
    _asked: Any = field(repr=False)

    @property
    def plan(self) -> Plan:
        """The plan that ran; where planning and running were one call, put into words when first read."""
        return self._planned if isinstance(self._planned, Plan) else self._planned.plan

    @cached_property
    def marginals(self) -> M:
        """Posterior marginals; an error where the evidence is impossible and there is no posterior."""
        if np.ndim(self.log_partition.value) == 0:
            self._check_possible()
        return self._marginals

    @property
    def possible(self) -> Any:
        """Whether the evidence has positive probability (one answer for each row)."""
        return np.asarray(self.log_partition.value) > -np.inf

    def certificates(self, variable: str) -> Certificate:
        """The marginal of one variable, or the means of one group, with how far off they may be."""
        return self.marginals.certificate(variable)  # pyright: ignore

    def joint(self, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables, one axis for each, in the order given.

        Raises
        ------
        UnsupportedError : only networks and mixtures have one. BudgetError : the table is too large.
        """
        self._check_possible()
        return self._asked.joint(self.plan, variables)

    def sample(self, n: int, key: Any = 0) -> dict[str, Any]:
        """`n` samples of all variables jointly, as state indices or values; the same key gives the same samples."""
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
            raise TypeError(f"sample(n, key=…) takes the number of samples first, got {n!r}")
        self._check_possible()
        return self._asked.draw(self.plan, int(n), key)

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
