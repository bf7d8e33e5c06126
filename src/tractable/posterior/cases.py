"""Cases of evidence about a machine: one row for each, NaN for what is not observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.clamping import Grouped, read_evidence
from tractable.posterior.certificate import Certificate


class Cases(NamedTuple):
    """The values of every group in every case [n_rows, n], and whether many cases were asked for or one."""

    values: dict[str, np.ndarray]
    many: bool

    @property
    def n_rows(self) -> int:
        """The number of cases; one where no group is left to observe."""
        return len(next(iter(self.values.values()), [()]))

    @property
    def n_free(self) -> int:
        """How many units are not observed in the first case."""
        return int(sum(np.isnan(v[0]).sum() for v in self.values.values()))

    def take(self, rows: Any) -> Cases:
        """Some of the cases."""
        return Cases({name: v[rows] for name, v in self.values.items()}, True)

    def row(self, r: int) -> dict[str, np.ndarray]:
        """One case as evidence to condition on."""
        return {name: v[r] for name, v in self.values.items()}

    def observed(self) -> dict[str, list[int]]:
        """group → the units that are observed in the first case."""
        known = {name: np.flatnonzero(~np.isnan(v[0])).tolist() for name, v in self.values.items()}
        return {name: units for name, units in known.items() if units}

    def patterns(self) -> Iterator[np.ndarray]:
        """The rows with the same units observed, pattern by pattern."""
        units = [np.zeros((self.n_rows, 0)), *self.values.values()]
        known = np.packbits(~np.isnan(np.concatenate(units, axis=1)), axis=1)
        _, pattern = np.unique(known, axis=0, return_inverse=True)
        order = np.argsort(pattern.ravel(), kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(pattern.ravel()[order])) + 1)


def read_cases(model: Grouped, evidence: Any) -> Cases:
    """Evidence as cases: one, or as many as the arrays have rows.

    Raises
    ------
    ModelError : evidence that does not fit the model, or groups with different numbers of rows.
    """
    given = read_evidence(model, evidence)
    rows = {name: len(v) for name, v in given.items() if v.ndim == 2}
    if len(set(rows.values())) > 1 or any(v.ndim > 2 for v in given.values()):
        shapes = ", ".join(f"{name} {v.shape}" for name, v in given.items())
        raise ModelError(
            f"evidence is one case [n] or many [n_rows, n], with the same rows for all groups; got {shapes}"
        )
    n_rows = next(iter(rows.values()), 1)
    values = {name: np.full((n_rows, model.units[name].n), np.nan) for name in model.groups}
    for name, v in given.items():
        values[name][:] = v
    return Cases(values, bool(rows))


class Known(NamedTuple):
    """Cases as features: which are known [n_rows, n_features], and what they are, zero where they are not."""

    known: dict[str, np.ndarray]
    x: dict[str, np.ndarray]


def as_features(model: Grouped, cases: Cases) -> Known:
    """The features of what is observed; zeros for what is not add nothing to any sum."""
    known, x = {}, {}
    for name, units in model.units.items():
        values = cases.values[name]
        known[name] = ~np.isnan(values)[:, units.unit_of_feature]
        encoded = np.asarray(units.encode(np.where(np.isnan(values), 0, values)), np.float64)
        x[name] = np.where(known[name], encoded, 0.0)
    return Known(known, x)


class CaseAnswer(NamedTuple):
    """log Z of each case, and the expected features of each group [n_rows, n_features]."""

    log_partition: Certificate
    means: dict[str, Certificate]


def one(cases: Cases) -> Cases:
    """The cases, of which there must be one."""
    if cases.n_rows != 1:
        raise ModelError(f"expected one case, got {cases.n_rows}; ask for them one by one")
    return cases


def unbatched(cases: Cases, certificate: Certificate) -> Certificate:
    """A certificate without the axis of cases, where there is one case."""
    return certificate if cases.many else certificate[0]


def exact_answer(log_z: np.ndarray, means: Mapping[str, np.ndarray]) -> CaseAnswer:
    """An answer that is right up to rounding."""
    return CaseAnswer(Certificate.exact(log_z), {name: Certificate.exact(m) for name, m in means.items()})


def shaped(model: Grouped, name: str, features: np.ndarray) -> np.ndarray:
    """Features [..., n_features] by unit: [..., n], or [..., n, q] for units with several; flat for mixed ones."""
    units = model.units[name]
    if units.n_features == units.n or len({*np.bincount(units.unit_of_feature)}) > 1:  # of several kinds: flat
        return features
    return features.reshape(*features.shape[:-1], units.n, -1)
