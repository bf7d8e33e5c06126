"""Whether log Z of a machine is finite: real-valued units that are coupled to each other need not have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Gaussian, Mixed

MAX_UNITS = 4096
"""Of more Gaussian units only diagonal dominance is looked at; their chains then say if they run away."""


def check_normalizable(model: Boltzmann, known: Mapping[str, np.ndarray] | None = None) -> None:
    """Refuse a machine whose Gaussian units, those that are not `known`, have no joint distribution.

    Given the other units, exp(−½ xᵀ(Γ − W)x + …) can be integrated if Γ − W is positive definite. What other units add
    to the fields is bounded, so that nothing else matters.

    Raises
    ------
    ModelError : log Z is infinite, or beyond double precision; a precision is no positive number.

    >>> from tractable.models import restricted
    >>> check_normalizable(restricted(Gaussian(1), Gaussian(1), couplings=[[0.5]]))
    >>> try:
    ...     check_normalizable(restricted(Gaussian(1), Gaussian(1), couplings=[[2.0]]))
    ... except ModelError as error:
    ...     print(str(error).partition(":")[0])
    the machine cannot be normalized, log Z is infinite
    """
    _check_finite(model)
    units = {name: own for name, own in model.units.items() if isinstance(own, Gaussian)}
    _check_mixed(model, units)
    free = {name: ~(known or {}).get(name, np.zeros(own.n, bool)) for name, own in units.items()}
    precision = {name: np.exp(np.asarray(own.log_precision, np.float64)) for name, own in units.items()}
    for name, gamma in precision.items():
        _check_positive(name, gamma, free[name])
    pairs = _coupled(model, units)
    if pairs:
        _check_definite(np.concatenate([*free.values()]), np.concatenate([*precision.values()]), pairs)


def _check_mixed(model: Boltzmann, gaussian: Mapping[str, Gaussian]) -> None:
    """Refuse real-valued columns among several kinds that are coupled to real-valued units."""
    real = {*gaussian}
    for name, own in model.units.items():
        if isinstance(own, Mixed) and (parts := [part for part in own.parts if isinstance(part, Gaussian)]):
            real.add(name)
            for part in parts:
                _check_positive(name, np.exp(np.asarray(part.log_precision, np.float64)), np.ones(part.n, bool))
    for a, b in model.couplings:
        if {a, b} <= real and not {a, b} <= gaussian.keys():
            raise ModelError(f"{a} and {b} both have real-valued units, and others: take hidden units of another kind")


def _check_finite(model: Boltzmann) -> None:
    with np.errstate(over="ignore"):
        total = sum(float(np.abs(p).sum(dtype=np.float64)) for p in (*model.fields.values(), *model.couplings.values()))
    if not np.isfinite(total):
        raise ModelError(
            "the parameters of the machine are not finite, or so large that log Z overflows: scale them down"
        )


def _check_positive(name: str, gamma: np.ndarray, free: np.ndarray) -> None:
    bad = np.flatnonzero(free & ~((gamma > 0) & (gamma < np.inf)))
    if bad.size:
        raise ModelError(
            f"unit {bad[0]} of {name} has the precision {gamma[bad[0]]}: log_precision is between −745 and 709"
        )


class Coupled(NamedTuple):
    """Pairs of units and their couplings, the units of all groups numbered one after another."""

    i: np.ndarray
    j: np.ndarray
    w: np.ndarray


def _coupled(model: Boltzmann, units: Mapping[str, Gaussian]) -> list[Coupled]:
    """The couplings among these groups."""
    at = dict(zip(units, np.cumsum([0, *(own.n for own in units.values())]).tolist(), strict=False))
    out = []
    for (a, b), given in model.couplings.items():
        if a in units and b in units:
            i, j, w = _pairs(model, (a, b), np.asarray(given, np.float64))
            out.append(Coupled(at[a] + i, at[b] + j, w))
    return out


def _pairs(model: Boltzmann, pair: tuple[str, str], w: np.ndarray) -> Coupled:
    if pair[0] != pair[1]:
        i, j = np.indices(w.shape).reshape(2, -1)
    elif pair[0] in model.edges:
        i, j = np.asarray(model.edges[pair[0]]).T
        return Coupled(i, j, w)
    else:
        i, j = np.triu_indices(len(w), 1)
    return Coupled(i, j, w[i, j])


def _check_definite(kept: np.ndarray, gamma: np.ndarray, pairs: list[Coupled]) -> None:
    i, j, w = (np.concatenate([p[k] for p in pairs]) for k in range(3))
    both = kept[i] & kept[j] & (w != 0)
    i, j, w = i[both], j[both], w[both] / np.sqrt(gamma[i[both]] * gamma[j[both]])
    if not np.isfinite(w).all():
        raise ModelError("the machine cannot be normalized: a coupling of Gaussian units is not a finite number")
    strength = np.bincount(i, abs(w), len(kept)) + np.bincount(j, abs(w), len(kept))
    if strength.max(initial=0.0) < 1 or len(kept) > MAX_UNITS:
        return
    joint = np.eye(len(kept))
    np.add.at(joint, (np.append(i, j), np.append(j, i)), np.append(-w, -w))
    try:
        np.linalg.cholesky(joint)
    except np.linalg.LinAlgError:
        most = 1 - float(np.linalg.eigvalsh(joint)[0])
        raise ModelError(
            "the machine cannot be normalized, log Z is infinite: couplings among its Gaussian units are stronger than"
            f" their precisions; divide these couplings by more than {most:.4g}, or raise log_precision"
        ) from None
