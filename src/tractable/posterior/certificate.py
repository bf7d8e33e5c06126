"""Numbers that say how far off they may be, and how they add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Self

import numpy as np

from tractable.models import ModelError
from tractable.models.frames import frame_of

FEW = 4
"""So many numbers are printed each with its ends."""

KINDS = ("exact", "bound", "probabilistic", "conditional", "estimate")
"""From the strongest to the weakest."""

IMPOSSIBLE, NAMED = "impossible: ", 5
"""How a verdict on cases of probability zero begins, and how many of them it names."""

FALLIBLE = ("probabilistic", "conditional")
"""Kinds of intervals that miss the truth at times; their confidence says how rarely."""


class ImpossibleEvidenceError(ModelError):
    """A posterior was asked for, but the evidence has probability zero.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [1.0, 0.0]})
    >>> tr.log_evidence(net, {"a": "1"}).value
    -inf
    >>> try:
    ...     tr.infer(net, {"a": "1"}).marginals
    ... except tr.ImpossibleEvidenceError as error:
    ...     print(error)
    the evidence has probability zero under the model, as 'a' = '1' cannot be: there is no posterior
    """


@dataclass(frozen=True, repr=False)
class Certificate:
    """A number, or one per evidence row, and how far off it may be: lower ≤ truth ≤ upper.

    It can be used as a number (``float(c)``, ``f"{c:.3f}"``, ``c - d``, ``2 * c``); ``c[i]`` is that of one row. A sum
    or a difference has the interval that those of its parts allow: the lower end of c − d is c.lower − d.upper.

    Attributes
    ----------
    kind : the weaker of `lower_kind` and `upper_kind`; an infinite end holds trivially and does not count.
        ``exact``: up to rounding. ``bound``: always. ``probabilistic``: with `confidence`. ``conditional``: with
        `confidence` if it is so what it `assumes`. ``estimate``: there is no interval, at most a `std_error`.
    confidence : that both ends hold. Failure probabilities add: two parts at 95 % give 90 %, and δ is split by parts at
        1 − δ/2 each. None for what cannot fail.
    std_error : of a sum the root of the sum of squares, which supposes that its parts are independent; None where that
        of a part is not known.
    verdict : in words whether the value can be relied on, where that was checked; of a sum, all that is not reliable.
        What is not exact and not a number never is, and its ends are infinite.

    Raises
    ------
    ValueError : an unknown kind, a confidence or an assumption that is not stated.
    TypeError : many numbers taken for one. ImpossibleEvidenceError : −∞ − −∞.

    Examples
    --------
    >>> log_z = tr.Certificate(2.0, 1.9, 2.25, "probabilistic", 0.95, verdict="reliable")
    >>> tr.Certificate.exact(-1.0) - log_z
    Certificate(-3 [-3.25, -2.9], probabilistic at 95 %, reliable)
    >>> found = tr.Certificate.exact(-3.0) - tr.Certificate.bound(-4.0, lower=-4.5)
    >>> found.kind, found.upper, f"{found:.2f}"
    ('bound', 1.5, '1.00')
    """

    value: Any
    lower: Any
    upper: Any
    kind: str
    confidence: float | None = None
    std_error: Any = None
    verdict: str | None = None
    lower_kind: str = ""
    upper_kind: str = ""
    assumes: str | None = None

    __array_ufunc__ = None  # NumPy leaves sums to the methods below

    @classmethod
    def exact(cls, value: Any) -> Certificate:
        """The certificate of a number that is right up to rounding.

        Examples
        --------
        >>> tr.Certificate.exact(1.5)
        Certificate(1.5, exact)
        """
        out = object.__new__(cls)  # many are made, and there is nothing to check
        vars(out).update(_EXACT, value=value, lower=value, upper=value)
        return out

    @classmethod
    def of_cases(cls, values: Any, named: Callable[[int], str] = "row {}".format) -> Certificate:
        """Exact logarithms of probabilities: one, or those of many cases, whose verdict names the impossible ones.

        Examples
        --------
        >>> import numpy as np
        >>> tr.Certificate.of_cases(np.array([-1.5, -np.inf])).verdict
        'impossible: row 1'
        """
        out = cls.exact(values)
        if np.ndim(values) and len(bad := np.flatnonzero(np.isneginf(values))):
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            out._set(verdict=f"{IMPOSSIBLE}{', '.join(map(named, bad[:NAMED].tolist()))}{more}")
        return out

    @classmethod
    def bound(cls, value: Any, lower: Any = None, upper: Any = None) -> Certificate:
        """A value between ends that hold always; one that is not given is infinite.

        Examples
        --------
        >>> tr.Certificate.bound(-4.0, lower=-4.5)
        Certificate(-4 [-4.5, inf], bound)
        """
        return cls(value, _or_infinite(lower, value, -np.inf), _or_infinite(upper, value, np.inf), "bound")

    @classmethod
    def estimate(cls, value: Any, std_error: Any = None, verdict: str | None = None) -> Certificate:
        """A value of which at most the standard error is known, and whether it can be relied on.

        Examples
        --------
        >>> tr.Certificate.estimate(2.0, 0.1) + 1
        Certificate(3 ± 0.1, estimate)
        """
        lower, upper = (_or_infinite(None, value, end) for end in (-np.inf, np.inf))
        return cls(value, lower, upper, "estimate", std_error=std_error, verdict=verdict)

    @classmethod
    def of(cls, found: Certificate, **more: Any) -> Self:
        """A certificate with what else a record of this class holds, or without what another held."""
        return cls(**{f.name: getattr(found, f.name) for f in fields(Certificate)}, **more)

    def __post_init__(self) -> None:
        given = self.lower_kind or self.kind, self.upper_kind or self.kind
        if given == ("exact", "exact"):
            self._set(lower_kind="exact", upper_kind="exact", kind="exact")
        else:
            self._check(given)
            self._excuse()
            lower, upper = self._counted(given)
            self._set(lower_kind=lower, upper_kind=upper, kind=weaker(lower, upper))
        if self.kind not in FALLIBLE:
            self._set(confidence=None)
        if self.kind != "conditional":
            self._set(assumes=None)

    def _set(self, **own: Any) -> None:
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def _check(self, kinds: tuple[str, str]) -> None:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
            if kind in FALLIBLE and self.confidence is None:
                raise ValueError(f"a {kind} certificate states its confidence, such as confidence=0.95")
            if kind in FALLIBLE and self.confidence is not None and not 0 <= self.confidence <= 1:
                raise ValueError(f"a confidence is a probability between 0 and 1, got {self.confidence!r}")
            if kind == "conditional" and not self.assumes:
                raise ValueError("a conditional certificate states in words what it assumes: assumes=…")

    def _excuse(self) -> None:
        """Ends that are not numbers say nothing, and a value that is not one cannot be relied on."""
        broken = {"the value": np.isnan(self.value)}
        if self.std_error is not None:
            broken["the standard error"] = ~(np.asarray(self.std_error) >= 0)  # an infinite one says what is so
        for what, where in broken.items():
            if where.any() and not (self.verdict or "").startswith("unreliable"):
                of = f" of {int(where.sum())} of {where.size} rows" if where.size > 1 else ""
                self._set(verdict=joined(f"unreliable: {what}{of} is not a number", self.verdict))
        for name, end in (("lower", -np.inf), ("upper", np.inf)):
            gone = np.isnan(getattr(self, name))
            if gone.any():
                self._set(**{name: np.where(gone, end, getattr(self, name))[()]})

    def _counted(self, kinds: tuple[str, str]) -> tuple[str, str]:
        """The kinds of the ends: an infinite one always holds, and two are no interval."""
        below, above = np.all(self.lower == -np.inf), np.all(self.upper == np.inf)
        if below and above:
            return "estimate", "estimate"
        return "bound" if below else kinds[0], "bound" if above else kinds[1]

    def __float__(self) -> float:
        if np.ndim(self.value):
            n = np.size(self.value)
            raise TypeError(f"a certificate of {n} numbers is not one: take .value, one row c[i], or the mean c.mean()")
        return float(self.value)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __getitem__(self, row: Any) -> Certificate:
        if not np.ndim(self.value):
            raise TypeError("a certificate of one number has no rows: take .value, .lower and .upper")
        found = self.map(lambda a: a[row])
        if (self.verdict or "").startswith(IMPOSSIBLE):  # which names rows by their numbers among all
            found._set(verdict=None)
        return found

    def map(self, change: Callable[[np.ndarray], Any]) -> Certificate:
        """The certificate with its arrays changed alike, such as reshaped."""
        error = None if self.std_error is None else change(self._wide(self.std_error))
        value, lower, upper = (change(self._wide(a)) for a in (self.value, self.lower, self.upper))
        return self._with(value, lower, upper, error)

    def _wide(self, a: Any) -> np.ndarray:
        a = np.asarray(a)
        return a if a.shape == np.shape(self.value) else np.broadcast_to(a, np.shape(self.value))

    def _with(self, value: Any, lower: Any, upper: Any, std_error: Any) -> Certificate:
        kinds = {"lower_kind": self.lower_kind, "upper_kind": self.upper_kind, "assumes": self.assumes}
        return Certificate(value, lower, upper, self.kind, self.confidence, std_error, self.verdict, **kinds)

    def mean(self) -> Certificate:
        """The mean over rows, whose failure probabilities add; standard errors as of independent rows.

        Examples
        --------
        >>> import numpy as np
        >>> tr.Certificate.bound(np.array([1.0, 3.0]), lower=np.array([0.0, 2.5]), upper=np.array([2.0, 3.5])).mean()
        Certificate(2 [1.25, 2.75], bound)
        """
        n = np.size(self.value)
        error = None if self.std_error is None else float(np.sqrt(np.sum(self._wide(self.std_error) ** 2)) / n)
        value, lower, upper = (float(np.mean(a)) for a in (self.value, self.lower, self.upper))
        out = self._with(value, lower, upper, error)
        out._set(confidence=_surely(*n * [out.confidence]))
        return out

    def __neg__(self) -> Certificate:
        kinds = {"lower_kind": self.upper_kind, "upper_kind": self.lower_kind, "assumes": self.assumes}
        ends = (-self.value, -self.upper, -self.lower)
        return Certificate(*ends, self.kind, self.confidence, self.std_error, self.verdict, **kinds)

    def __add__(self, other: Any) -> Certificate:
        other = other if isinstance(other, Certificate) else _exactly(other)
        return NotImplemented if other is None else _sum(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Certificate:
        other = other if isinstance(other, Certificate) else _exactly(other)
        return NotImplemented if other is None else _sum(self, -other)

    def __rsub__(self, other: Any) -> Certificate:
        return -self + other

    def __mul__(self, factor: Any) -> Certificate:
        if not isinstance(factor, Real):
            return NotImplemented
        if factor < 0:
            return -self * -factor
        error = None if self.std_error is None else factor * self.std_error
        with np.errstate(invalid="ignore"):
            return self._with(factor * self.value, factor * self.lower, factor * self.upper, error)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Certificate:
        return self * (1 / divisor) if isinstance(divisor, Real) else NotImplemented

    def to_frame(self, library: str | None = None) -> Any:
        """A row for each number: ``value``, ``lower``, ``upper``; of ``"pandas"``, ``"polars"`` or ``"pyarrow"``.

        Examples
        --------
        >>> tr.Certificate.exact([0.5, 2.0]).to_frame("pyarrow").to_pydict()
        {'value': [0.5, 2.0], 'lower': [0.5, 2.0], 'upper': [0.5, 2.0]}
        """
        return frame_of({end: np.ravel(getattr(self, end)) for end in ("value", "lower", "upper")}, library)

    def to_json(self) -> dict[str, Any]:
        """Plain values, those left out that say nothing; ``Certificate(**record)`` reads them."""
        own = {f.name: getattr(self, f.name) for f in fields(Certificate)}
        if self.lower_kind == self.upper_kind:
            own["lower_kind"] = own["upper_kind"] = None
        return {name: value for name, value in own.items() if value is not None}

    def __str__(self) -> str:
        kind = self.kind if self.confidence is None else f"{self.kind} at {100 * self.confidence:.6g} %"
        return f"{self._interval()}, {kind}{f' if {self.assumes}' if self.assumes else ''}{self._told()}"

    def _told(self) -> str:
        return f", {self.verdict}" if self.verdict else ""

    def _interval(self) -> str:
        if np.ndim(self.value):
            if np.ndim(self.value) == 1 and np.size(self.value) <= FEW and self.kind not in ("exact", "estimate"):
                return "; ".join(self[i]._interval() for i in range(len(self.value)))
            what = f"{'×'.join(map(str, np.shape(self.value)))} numbers"
            known = np.asarray(self.value)[~np.isnan(self.value)]
            return f"{what} from {known.min():.6g} to {known.max():.6g}" if known.size else what
        if self.kind == "exact":
            return f"{self.value:.6g}"
        if self.kind == "estimate":
            return f"{self.value:.6g} ± {'?' if self.std_error in (None, np.inf) else format(self.std_error, '.2g')}"
        return f"{self.value:.6g} [{self.lower:.6g}, {self.upper:.6g}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def _repr_html_(self) -> str:
        from tractable import _html  # loaded when a notebook shows something, as everywhere

        return _html.certificate(self)


_EXACT = {f.name: f.default for f in fields(Certificate)} | dict.fromkeys(("kind", "lower_kind", "upper_kind"), "exact")


def weaker(*kinds: str) -> str:
    """The weakest of some kinds."""
    return max(kinds, key=KINDS.index)


def joined(*verdicts: str | None) -> str | None:
    """What several verdicts say together: all that is not reliable, what is unreliable first."""
    said = [v for v in verdicts if v]
    against = sorted(
        _each(v for v in said if not v.startswith("reliable")), key=lambda v: not v.startswith("unreliable")
    )
    return "; ".join(against) or max(said, key=len, default=None)


def _each(texts: Any) -> list[str]:
    """Each text once, those left out that another contains."""
    once = list(dict.fromkeys(texts))
    return [a for a in once if not any(a != b and a in b for b in once)]


def _or_infinite(end: Any, value: Any, infinite: float) -> Any:
    return np.full(np.shape(value), infinite)[()] if end is None else end


def _exactly(number: Any) -> Certificate | None:
    """A number or an array as a certificate; None for what is neither."""
    is_number = isinstance(number, Real) or getattr(getattr(number, "dtype", None), "kind", "") in ("f", "i", "u", "b")
    return Certificate.exact(number) if is_number else None


def _sum(a: Certificate, b: Certificate) -> Certificate:
    with np.errstate(invalid="ignore"):
        value, lower, upper = a.value + b.value, a.lower + b.lower, a.upper + b.upper
    if np.any(np.isnan(value) & ~np.isnan(a.value) & ~np.isnan(b.value)):
        raise ImpossibleEvidenceError(
            "−∞ − −∞ is no number: for log p(x) it means that the model itself is impossible, no joint state having a"
            " positive weight"
        )
    value, lower, upper = (x if np.ndim(x) else float(x) for x in (value, lower, upper))
    verdict = joined(a.verdict, b.verdict)
    if np.all(np.isinf(value) & (value == lower) & (value == upper)):  # whatever the finite part may be
        return Certificate(value, value, value, "exact", verdict=verdict)
    lower_kind, upper_kind = weaker(a.lower_kind, b.lower_kind), weaker(a.upper_kind, b.upper_kind)
    assumes = "; ".join(_each(text for text in (a.assumes, b.assumes) if text))
    confidence, error = _surely(a.confidence, b.confidence), _error(a, b)
    return Certificate(value, lower, upper, "estimate", confidence, error, verdict, lower_kind, upper_kind, assumes)


def _surely(*confidences: float | None) -> float | None:
    """The confidence that all of them hold: failures add. None where nothing can fail."""
    given = [c for c in confidences if c is not None]
    if len(given) < 2:
        return given[0] if given else None
    return max(0.0, round(1 - sum(1 - c for c in given), 12))


def _error(a: Certificate, b: Certificate) -> Any:
    """The standard error of a sum; None where that of a part is not known. Bounds and exact numbers have none."""
    errors: list[Any] = [c.std_error for c in (a, b) if c.std_error is not None or c.kind not in ("exact", "bound")]
    if not errors or any(e is None for e in errors):
        return None
    return errors[0] if len(errors) == 1 else np.hypot(*errors)
