"""The components of a mixture: images of their means, or ellipses in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import columns_of_numbers, figure
from tractable.plots._text import name_axes
from tractable.plots.images import samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RADII = (1.0, 2.0)
"""Ellipses are drawn at so many standard deviations."""


def components(
    means: Any,
    covariances: Any = None,
    *,
    weights: Any = None,
    rows: Any = None,
    shape: tuple[int, int] | None = None,
) -> Figure:
    """The components of a mixture: means as images, or Gaussians of two columns as ellipses over the rows.

    Parameters
    ----------
    means : [K, d]. weights : [K]; images come in their order, the largest first, and ellipses are as opaque.
    covariances : of two columns: [K, 2, 2], [2, 2] for all, variances [K, 2], or [K]; without them means are images.
    rows : [n, 2], drawn as points below the ellipses; a table names the axes by its columns of numbers.
    shape : height and width of an image; square by default.

    Raises
    ------
    ValueError : means that are no images; covariances of other than two columns.

    Examples
    --------
    >>> len(tr.plots.components([[0.1, 0.9, 0.9, 0.1], [0.8, 0.2, 0.2, 0.8]], weights=[0.3, 0.7]).axes)
    2
    >>> len(tr.plots.components([[0.0, 0.0], [3.0, 1.0]], [[[1.0, 0.5], [0.5, 1.0]]] * 2).axes[0].patches)
    4
    """
    centres = np.asarray(means, float)
    share = np.full(len(centres), 1 / max(len(centres), 1)) if weights is None else np.asarray(weights, float)
    if share.shape != centres.shape[:1]:
        raise ValueError(f"{len(centres)} components need as many weights, got the shape {share.shape}")
    if covariances is None:
        order = np.argsort(-share, kind="stable")
        fig = samples(centres[order], shape)
        for ax, k in zip(fig.axes, order, strict=False):
            ax.set_title(f"{share[k]:.3g}", fontsize=6, pad=1)
        return fig
    return _ellipses(centres, _planes(covariances, centres), share, rows)


def _planes(covariances: Any, centres: np.ndarray) -> np.ndarray:
    """A covariance of two columns for each component [K, 2, 2]."""
    k, given = len(centres), np.asarray(covariances, float)
    if centres.shape[1:] == (2,):
        if given.shape in ((k, 2, 2), (2, 2)) and not (given.ndim == 2 and k == 2 and _are_variances(given)):
            return np.broadcast_to(given, (k, 2, 2))
        if given.shape in ((k, 2), (k,)):
            return np.broadcast_to(given.reshape(k, -1), (k, 2))[:, :, None] * np.eye(2)
    raise ValueError(
        f"ellipses need two columns: means [K, 2] and covariances [K, 2, 2], got {centres.shape} and {given.shape}"
    )


def _are_variances(given: np.ndarray) -> bool:
    """Two rows of variances, and not one covariance: that would be symmetric."""
    return bool(given[0, 1] != given[1, 0])


def _ellipses(centres: np.ndarray, planes: np.ndarray, share: np.ndarray, rows: Any) -> Figure:
    fig = figure(5, 5)
    ax = fig.add_subplot()
    if rows is not None:
        points, names = columns_of_numbers(rows)
        ax.plot(points[:, 0], points[:, 1], ".", color="0.6", markersize=3, zorder=1)
        name_axes(ax, *names[:2])
    for k in range(len(centres)):
        _ellipse(ax, (centres[k], planes[k]), f"C{k % 10}", 0.25 + 0.5 * share[k] / share.max())
    ax.autoscale_view()
    return fig


def _ellipse(ax: Axes, normal: tuple[np.ndarray, np.ndarray], colour: str, alpha: float) -> None:
    """The lines at so many standard deviations around a mean."""
    from matplotlib.patches import Ellipse

    values, axes = np.linalg.eigh(normal[1])
    turn = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
    for radius in RADII:
        long, short = 2 * radius * np.sqrt(np.maximum(values[::-1], 0))
        ax.add_patch(Ellipse(tuple(normal[0]), long, short, angle=turn, facecolor=colour, alpha=alpha / 2))
    ax.plot(*normal[0], "+", color=colour)
