"""Whether log Z of a machine is finite: real-valued units that are coupled to each other need not have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Gaussian

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
    with np.errstate(over="ignore"):
        total = sum(float(np.abs(p).sum(dtype=np.float64)) for p in (*model.fields.values(), *model.couplings.values()))
    if not np.isfinite(total):
        raise ModelError(
            "the parameters of the machine are so large that log Z overflows, or not finite: scale them down"
        )
    free = {name: ~(known or {}).get(name, np.zeros(units.n, bool)) for name, units in _gaussian(model).items()}
    precision = {name: np.exp(np.asarray(model.units[name].log_precision, np.float64)) for name in free}
    for name, gamma in precision.items():
        bad = np.flatnonzero(free[name] & ~((gamma > 0) & (gamma < np.inf)))
        if bad.size:
            raise ModelError(
                f"unit {bad[0]} of {name} has the precision {gamma[bad[0]]}: a log_precision is a number"
                " between −745 and 709"
            )
    names = [name for name in model.groups if name in free]
    pairs = [_coupled(model, pair) for pair in model.couplings if free.keys() >= {*pair}]
    if pairs:
        at = {name: start for name, start in zip(names, np.cumsum([0, *(len(free[n]) for n in names)]), strict=False)}
        pairs = [Coupled(at[p.names[0]] + p.i, at[p.names[1]] + p.j, p.w, p.names) for p in pairs]
        kept, gamma = (np.concatenate([own[name] for name in names]) for own in (free, precision))
        _check_definite(kept, gamma, pairs)


class Coupled(NamedTuple):
    """Pairs of units of two groups, and their couplings."""

    i: np.ndarray
    j: np.ndarray
    w: np.ndarray
    names: tuple[str, str]


def _gaussian(model: Boltzmann) -> dict[str, Gaussian]:
    return {name: units for name, units in model.units.items() if isinstance(units, Gaussian)}


def _coupled(model: Boltzmann, pair: tuple[str, str]) -> Coupled:
    w, (a, b) = np.asarray(model.couplings[pair], np.float64), pair
    if a == b and a in model.edges:
        i, j = np.asarray(model.edges[a]).T
        return Coupled(i, j, w, pair)
    i, j = np.triu_indices(len(w), 1) if a == b else np.indices(w.shape).reshape(2, -1)
    return Coupled(i, j, w[i, j], pair)


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
