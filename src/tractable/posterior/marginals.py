"""Marginals and means by name, each with its certificate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tractable.models._base import ModelError, unknown_variable
from tractable.models.frames import frame_of
from tractable.models.values import state_index, text_of
from tractable.plan import BudgetError, Plan
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError

SHOWN = 4
"""How many variables, and states of each, are told in a line."""


def printable(name: str) -> str:
    """A name as it may go to a terminal."""
    return name if name.isprintable() else repr(name)


def counted(n: int) -> str:
    """So many variables."""
    return f"{n} variable{'' if n == 1 else 's'}"


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
        if (known := text_of(name)) not in self._names:
            raise unknown_variable(known, self._names)
        return self._names[known]

    def certificate(self, name: str) -> Any:
        """The name of 0.1 for `certificates`."""
        raise AttributeError(f"since version 0.2: certificates({name!r}), of the marginals or of the posterior")

    def __getitem__(self, name: str) -> Any:
        found = self.certificates(name)
        return [one.value for one in found] if isinstance(found, list) else found.value

    def __contains__(self, name: object) -> bool:
        return text_of(name) in self._names

    def get(self, name: Any, default: Any = None) -> Any:
        """What belongs to a name, or the default."""
        known: Any = text_of(name)
        return self[known] if known in self._names else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        told = ", ".join(map(self._told, islice(self, SHOWN)))
        return f"{type(self).__name__} of {counted(len(self))}: {told}{', …' if len(self) > SHOWN else ''}"

    def _told(self, name: str) -> str:
        """One of them in a few words."""
        return printable(name)

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.marginals(self)


class ByState(dict[str, Any]):
    """State → probability of one variable; a state may be given as in evidence, a number for one that reads as it."""

    def __init__(self, variable: str, names: Sequence[str], values: Sequence[Any]):
        super().__init__(zip(names, values, strict=True))
        self.variable = variable

    def __missing__(self, state: Any) -> Any:
        names = tuple(self)
        place = state_index(self.variable, state, names)
        if place < 0:
            raise KeyError(state)
        return self[names[place]]


class Marginals(Means):
    """Posterior marginals by variable, then by state; ``array(variable)`` gives them as an array.

    Each array has shape [n_states], or [n_rows, n_states] for many cases. `values` holds those of all variables side by
    side: exact numbers, or a certificate with an interval for each; None where the evidence is impossible. Variables
    whose marginals the budget refuses are in ``refused``, variable → plan, and nowhere else: to ask for one of them is
    a `BudgetError` with that plan.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> found = tr.infer(net, {"b": ["0", "1"]}).marginals
    >>> found.array("a").round(6).tolist()
    [[0.75, 0.25], [0.076923, 0.923077]]
    >>> found["a"]["1"].round(6).tolist()
    [0.25, 0.923077]
    """

    def __init__(
        self,
        states: Mapping[str, Sequence[str]],
        places: Mapping[str, slice],
        values: np.ndarray | Certificate | None,
        unasked: Collection[str] = (),
    ):
        self._names, self._places, self._values, self._unasked = states, places, values, unasked
        self.refused: Mapping[str, Plan] = {}

    def __repr__(self) -> str:
        kind = self._values.kind if isinstance(self._values, Certificate) else "exact"
        told = "" if kind == "exact" else f"; {kind}"
        return f"{super().__repr__()}{told}{f'; {len(self.refused)} refused' if self.refused else ''}"

    def _told(self, name: str) -> str:
        if self._values is None or self.certificates(name).value.ndim > 1:
            return printable(name)
        own = self.certificates(name)
        ends = own.kind not in ("exact", "estimate")
        told = [f"{p:.4g} [{a:.4g}, {b:.4g}]" if ends else f"{p:.4g}" for p, a, b in _first(own)]
        states = [f"{printable(state)} {p}" for state, p in zip(self._names[name], told, strict=False)]
        return f"{printable(name)} ({', '.join(states)}{', …' if len(self._names[name]) > SHOWN else ''})"

    def without(self, refused: Mapping[str, Plan]) -> Marginals:
        """The marginals less those that the budget refuses."""
        answered = {v: own for v, own in self._names.items() if v not in refused}
        found = Marginals(answered, self._places, self._values, self._unasked)
        found.refused = refused
        return found

    def certificates(self, name: str) -> Certificate:
        """The marginal of one variable with its certificate, states on the last axis."""
        place = self._places.get(text_of(name))
        if place is None or self.refused:
            self._check_answered(text_of(name))
        if self._values is None:
            raise ImpossibleEvidenceError("the evidence has probability zero under the model: there is no posterior")
        if isinstance(self._values, Certificate):
            return self._values.map(lambda a: a[..., place])
        return Certificate.exact(self._values[..., place])

    def _check_answered(self, name: str) -> None:
        if name in self.refused:
            raise BudgetError(self.refused[name])
        if name not in self._names and name in self._unasked:
            raise ModelError(f"variable {name!r} was not asked for: leave targets out, or name it among them")
        if name not in self._names:
            raise unknown_variable(name, self._names)

    def array(self, variable: str) -> np.ndarray:
        """The marginal of one variable as an array with its states on the last axis."""
        return self.certificates(variable).value

    def to_frame(self, library: str | None = None) -> Any:
        """A row for each case, variable and state: ``row`` (of many cases), ``variable``, ``state``, ``probability``.

        Of ``"pandas"``, ``"polars"`` or ``"pyarrow"``, the first that is installed if None; where the numbers are not
        exact also ``lower`` and ``upper``.

        Examples
        --------
        >>> net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.25, 0.75]})
        >>> tr.infer(net).marginals.to_frame("pyarrow").to_pylist()[1]
        {'variable': 'a', 'state': '1', 'probability': 0.75}
        """
        return frame_of(_long(self._names, [self.certificates(name) for name in self]), library)

    def __getitem__(self, variable: str) -> Mapping[str, Any]:
        array = self.array(variable)
        values = array.tolist() if array.ndim == 1 else list(array.T)
        return ByState(text_of(variable), self._names[text_of(variable)], values)


def _first(found: Certificate) -> list[tuple[float, float, float]]:
    """The value and the ends of the first states."""
    sides = (
        np.broadcast_to(side, found.value.shape)[:SHOWN].tolist() for side in (found.value, found.lower, found.upper)
    )
    return [*zip(*sides, strict=True)]


def _long(states: Mapping[str, Sequence[str]], found: Sequence[Certificate]) -> dict[str, Any]:
    """Marginals of all variables, one below the other."""
    names = [(v, s) for v, own in states.items() for s in own]
    ends = {"probability": "value", "lower": "lower", "upper": "upper"}
    told = {
        name: np.concatenate([np.atleast_2d(getattr(c, end)) for c in found], axis=1)
        for name, end in ends.items()
        if end == "value" or any(c.kind != "exact" for c in found)
    }
    n_rows = len(told["probability"])
    rows = {"row": np.repeat(np.arange(n_rows), len(names))} if np.ndim(found[0].value) > 1 else {}
    variables, own = zip(*names, strict=True)
    return rows | {"variable": variables * n_rows, "state": own * n_rows} | {k: w.ravel() for k, w in told.items()}
