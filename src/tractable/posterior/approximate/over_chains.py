"""Averages over chains: their standard errors, and whether the chains that give them have seen the same.

A chain's average is that of both its halves. Where half-chains are further apart than they move within themselves, the
chains do not cross, and the shares of phases among them are those of their starts: n of them are then worth one draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tractable.posterior.certificate import Certificate

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

CROSSING = 1.1
"""R-hat of half-chains: above it they are said not to cross."""

ROUNDING = 1e-6
"""The share of its mean square that the variance of a chain is known to, in single precision."""

CROSS = "reliable given the phases found: chains from all of them cross"


class Halves(NamedTuple):
    """Of the first and of the second half of every chain: the mean of each entry, and of its square."""

    means: Float[np.ndarray, "2 rows chains f"]
    squares: Float[np.ndarray, "2 rows chains f"]


def r_hat(halves: Halves) -> Float[np.ndarray, "rows f"]:
    """√(1 + variance between half-chains / variance within them); one where nothing moves and all agree."""
    within = np.maximum(halves.squares - halves.means**2, 0).mean(axis=(0, 2))
    within = within + ROUNDING * halves.squares.mean(axis=(0, 2))
    both = np.concatenate(list(halves.means), axis=1)
    between = both.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(between == 0, 1.0, np.sqrt(1 + between / within))


def averaged(halves: Halves) -> tuple[Certificate, Float[np.ndarray, "rows f"]]:
    """The mean over all chains of every row [n_rows, n_features], and R-hat.

    The standard error is that of the mean of independent chains, whatever the correlation within them; of chains that
    do not cross it is how far one is from another.
    """
    each, found = halves.means.mean(axis=0), r_hat(halves)
    alike = each.std(axis=1, ddof=1) / np.sqrt(np.where(found <= CROSSING, each.shape[1], 1))
    return Certificate.estimate(each.mean(axis=1), alike), found


def apart(found: Mapping[str, Float[np.ndarray, "rows f"]]) -> Bool[np.ndarray, " rows"]:
    """The rows in which chains do not cross, by any entry; what is not a number does not."""
    crossing = np.concatenate(list(found.values()), axis=1) <= CROSSING
    return ~np.atleast_1d(crossing.all(axis=1))


def verdict(found: Mapping[str, Float[np.ndarray, "rows f"]], rows: Bool[np.ndarray, " rows"]) -> str:
    """Of all rows: which of them (`rows`) chains do not answer, and where they are furthest apart."""
    if not rows.any():
        return CROSS
    worst = {name: np.where(rows[:, None], np.nan_to_num(a, nan=np.inf), 0) for name, a in found.items() if a.size}
    name = max(worst, key=lambda g: float(worst[g].max()))
    row, unit = (int(i) for i in np.unravel_index(np.argmax(worst[name]), worst[name].shape))
    where = f" of row {row}" if len(rows) > 1 else ""
    told = f"in {int(rows.sum())} of {len(rows)} rows " if len(rows) > 1 else ""
    return f"unreliable: chains do not cross {told}(R-hat {worst[name].max():.3g} at {name}[{unit}]{where})"
