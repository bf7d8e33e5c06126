"""Hidden causes: how one explains another away, how a bound grows with its samples, how much gradients vary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import figure
from tractable.plots._text import name_legend, name_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tractable.evaluate.sampled import SampleBounds


def explaining_away(probabilities: Mapping[str, Any], names: Iterable[str] | None = None) -> Figure:
    """p(z_i = 1) of several causes side by side, before and after another one is known.

    Parameters
    ----------
    probabilities : what is known → p(z_i = 1) of each cause [n], such as ``post.marginals["hidden1"]`` of a posterior
        given x, and of one given x and z_j.
    names : of the causes.

    Raises
    ------
    ValueError : nothing to draw, different numbers of causes, numbers that are no probabilities.

    Examples
    --------
    >>> probabilities = {"alarm": [0.37, 0.23], "alarm, earthquake": [0.003, 1.0]}
    >>> fig = tr.plots.explaining_away(probabilities, ["burglary", "earthquake"])
    >>> len(fig.axes[0].patches)
    4
    """
    rows = {label: np.asarray(p, float) for label, p in probabilities.items()}
    _check(list(rows.values()))
    n = len(next(iter(rows.values())))
    fig = figure(max(4.0, 0.6 * n), 3.5)
    ax, width = fig.add_subplot(), 0.8 / len(rows)
    places = (np.arange(n) + (k - (len(rows) - 1) / 2) * width for k in range(len(rows)))
    bars = [ax.bar(place, row, width) for place, row in zip(places, rows.values(), strict=True)]
    name_ticks(ax.xaxis, range(n), [f"z{i}" for i in range(n)] if names is None else names)
    ax.set_ylim(0, 1)
    ax.set_ylabel("probability of the cause")
    name_legend(ax, bars, [f"given {label}" for label in rows])
    return fig


def _check(rows: list[np.ndarray]) -> None:
    if len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
        raise ValueError(f"expected as many causes in each case, got {', '.join(str(r.shape) for r in rows)}")
    if not (np.stack(rows) > -1e-9).all() or not (np.stack(rows) < 1 + 1e-9).all():
        raise ValueError("expected probabilities between 0 and 1")


def bound_against_samples(bounds: SampleBounds) -> Figure:
    """The mean of log (1/K Σ weights) over K, with two standard errors: it grows with K towards the log-likelihood.

    Parameters
    ----------
    bounds : such as ``log_likelihood(machine, rows, samples=1000).by_samples``.

    Examples
    --------
    >>> import numpy as np
    >>> bounds = tr.evaluate.SampleBounds(np.array([1, 10]), np.array([-99.0, -97.0]), np.array([0.1, 0.1]))
    >>> fig = tr.plots.bound_against_samples(bounds)
    >>> fig.axes[0].get_xscale()
    'log'
    """
    fig = figure(6, 4)
    ax = fig.add_subplot()
    (line,) = ax.plot(bounds.samples, bounds.values, marker=".")
    spread = 2 * np.nan_to_num(np.asarray(bounds.std_errors))
    ax.fill_between(
        bounds.samples, bounds.values - spread, bounds.values + spread, color=line.get_color(), alpha=0.25, linewidth=0
    )
    ax.set_xscale("log")
    ax.set_xlabel("samples for each row, K")
    ax.set_ylabel("bound on the log-likelihood of a row, nats")
    ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    return fig


def gradient_variance(variances: Mapping[str, float]) -> Figure:
    """The variance of a gradient by the estimator that drew it, on a logarithmic scale, in the order given.

    Parameters
    ----------
    variances : estimator → variance of one draw, summed over the parameters.

    Raises
    ------
    ValueError : nothing to draw, a variance that is not above zero.

    Examples
    --------
    >>> fig = tr.plots.gradient_variance({"reinforce": 12.0, "disarm": 0.8})
    >>> [float(bar.get_width()) for bar in fig.axes[0].patches]
    [12.0, 0.8]
    """
    names, widths = list(variances), np.array(list(variances.values()), float)
    if not len(widths) or not (np.isfinite(widths) & (widths > 0)).all():
        raise ValueError(f"expected variances above zero, estimator by estimator, got {dict(variances)}")
    fig = figure(6, 1 + 0.4 * len(widths))
    ax = fig.add_subplot()
    ax.bar_label(ax.barh(names, widths), fmt="%.3g", padding=3)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("variance of the gradient of a draw")
    return fig
