"""Rows of numbers shown as images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 100
"""So many images are shown; the others are left out."""


def samples(rows: Any, shape: tuple[int, int] | None = None) -> Figure:
    """Rows of data or samples as images, dark where the value is large; the first hundred of them.

    Parameters
    ----------
    rows : [n_rows, n_columns]. shape : height and width of an image; square by default.

    Raises
    ------
    ValueError : rows that do not have the size of an image.

    Examples
    --------
    >>> tr.plots.samples([[0, 1, 1, 0], [1, 1, 0, 0]]).axes[0].images[0].get_array().shape
    (2, 2)
    """
    images = _images(rows, shape)
    return _grid(images, "gray_r", np.nanmin(images), np.nanmax(images))


def filters(weights: Any, shape: tuple[int, int] | None = None) -> Figure:
    """What each hidden unit looks for: its weights as an image, all on one scale with zero in the middle.

    Parameters
    ----------
    weights : [n_visible, n_hidden], such as ``model.couplings["visible", "hidden"]``, or a machine that has those; of
        layers of causes
        ``model.weights[0]`` (of units further up ``model.weights[0] @ model.weights[1]``).
    shape : height and width of an image; square by default.

    Raises
    ------
    ValueError : columns that do not have the size of an image.

    Examples
    --------
    >>> len(tr.plots.filters([[0.1, 0.2], [0.3, -0.1], [0.0, 0.0], [0.1, 0.1]]).axes)
    2
    """
    own = getattr(weights, "couplings", {}).get(("visible", "hidden"), weights)
    images = _images(np.transpose(np.asarray(own)), shape)
    most = float(np.abs(images).max())
    return _grid(images, "RdBu_r", -most, most)


def _images(rows: Any, shape: tuple[int, int] | None) -> np.ndarray:
    """Rows as images [n, height, width]."""
    array = np.asarray(rows, float)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"expected rows of numbers, got an array of shape {array.shape}")
    side = math.isqrt(array.shape[1])
    height, width = shape or (side, side)
    if height * width != array.shape[1]:
        wanted = f"an image of {height} × {width}" if shape else "a square image; give its shape"
        raise ValueError(f"{array.shape[1]} numbers do not fill {wanted}")
    return array[:MOST].reshape(-1, height, width)


def _grid(images: np.ndarray, colours: str, low: float, high: float) -> Figure:
    n_columns = math.ceil(math.sqrt(len(images)))
    n_rows = math.ceil(len(images) / n_columns)
    fig = figure(0.8 * n_columns, 0.8 * n_rows * images.shape[1] / images.shape[2])
    for i, image in enumerate(images):
        ax = fig.add_subplot(n_rows, n_columns, i + 1)
        ax.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        ax.set_axis_off()
    return fig
