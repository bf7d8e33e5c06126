"""What a criterion says of each number of components, or states, that was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.plots._base import MARKED, SOFT, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tractable.learning.choosing import Choice


def choice(found: Choice) -> Figure:
    """The criteria against the number, the chosen one marked: BIC, and held-out rows where there are any.

    Parameters
    ----------
    found : what `choose` returned.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [0.2], [0.3], [7.1], [7.0], [7.4], [7.2]]
    >>> fig = tr.plots.choice(tr.choose(tr.mixture, rows, [1, 2, 3]))
    >>> fig.axes[0].get_ylabel(), fig.axes[0].lines[0].get_xdata().tolist()
    ('BIC (least is best)', [1, 2, 3])
    """
    there = sorted((own for own in found.candidates if own.bic is not None), key=lambda own: own.number)
    panels = {"BIC (least is best)": ("bic", there)}
    if held := [own for own in there if own.held_out is not None]:
        panels["held-out log p, nats (largest is best)"] = ("held_out", held)
    fig = figure(6, 2.6 * len(panels) + 0.6)
    axes = fig.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, (label, (name, own)) in zip(axes, panels.items(), strict=True):
        ax.plot([c.number for c in own], [getattr(c, name).value for c in own], marker=".", color=SOFT)
        _mark(ax, found, name)
        ax.set_ylabel(label)
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes[-1].set_xlabel("number of components or states")
    axes[-1].locator_params(axis="x", integer=True)
    return fig


def _mark(ax: Axes, found: Choice, name: str) -> None:
    """The chosen number, named in the panel of the criterion that chose it."""
    if (own := getattr(found.best, name)) is None:
        return
    (point,) = ax.plot(found.best.number, own.value, "o", color=MARKED, markersize=8)
    if name == found.by:
        ax.legend([point], [f"chosen: {found.best.number}"])
