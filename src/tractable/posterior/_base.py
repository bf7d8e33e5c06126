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


class Means(Mapping[str, Any]):
    """Posterior means by name: of units, or of states, whose means are their probabilities.

    Of a group of units [n], or [n_rows, n] for many cases, of categorical ones [..., n, q]; of the states along a
    sequence [t, K], a list of them for many. ``certificates(name)`` says how far off they may be, entry by entry.
    """

    def __init__(self, certificates: Mapping[str, Any]):
        self._names: Mapping[str, Any] = certificates

    @classmethod
    def of(cls, arrays: Mapping[str, Any], certified: Callable[[Any], Certificate] = Certificate.exact) -> Means:
        """Means from arrays, or lists of them."""
        return cls({k: [certified(x) for x in a] if isinstance(a, list) else certified(a) for k, a in arrays.items()})

    def certificates(self, name: str) -> Any:
        """The means of one name with their certificate; a list of them for many sequences."""
        if name not in self._names:
            raise unknown_variable(name, self._names)
        return self._names[name]

    def __getitem__(self, name: str) -> Any:
        found = self.certificates(name)
        return [one.value for one in found] if isinstance(found, list) else found.value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        what = type(self).__name__
        return f"{what} of {len(self)} variables: {', '.join(list(self)[:6])}{' …' if len(self) > 6 else ''}"


class Marginals(Means):
    """Posterior marginals by variable, then by state; ``array(variable)`` gives them as an array.

    Each array has shape [n_states], or [n_rows, n_states] for many cases.
    """

    def __init__(
        self, states: Mapping[str, Sequence[str]], places: Mapping[str, slice], array: Callable[[slice], np.ndarray]
    ):
        super().__init__(states)
        self._places = places
        self._array = array

    def certificates(self, name: str) -> Certificate:
        """The marginal of one variable with its certificate, states on the last axis."""
        return Certificate.exact(self.array(name))

    def array(self, variable: str) -> np.ndarray:
        """The marginal of one variable as an array with its states on the last axis."""
        place = self._places.get(variable)
        if place is None:
            raise unknown_variable(variable, self._names)
        return self._array(place)

    def __getitem__(self, variable: str) -> Mapping[str, Any]:
        array = self.array(variable)
        values = array.tolist() if array.ndim == 1 else list(array.T)
        return dict(zip(self._names[variable], values, strict=True))


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

    def certificates(self, name: str) -> Any:
        """The marginals of one variable, or the means of a group of units, as an array with lower and upper ends.

        Examples
        --------
        >>> import tractable as tr
        >>> net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.25, 0.75]})
        >>> found = tr.infer(net).certificates("a")
        >>> found[1]
        Certificate(0.75, exact)
        """
        return self.marginals.certificates(name)

    @property
    def possible(self) -> Any:
        """Whether the evidence has positive probability (one answer for each row)."""
        return np.asarray(self.log_partition.value) > -np.inf

    def joint(self, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables, one axis for each, in the order given."""
        self._check_possible()
        return self._joint(variables)

    def sample(self, n: int, *old: Any, key: Any = 0) -> dict[str, np.ndarray]:
        """`n` exact samples of all variables jointly, as state indices; the same key gives the same samples."""
        if old or not isinstance(n, int | np.integer):
            raise TypeError("the number of samples comes first, and the key by its name: posterior.sample(100, key=0)")
        if n < 0:
            raise ValueError(f"the number of samples must not be negative, got {n}")
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
