"""Curves: how a fit went, and how chains move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import figure
from tractable.plots._text import name_axes, name_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tractable.learning.em.records import Iteration
    from tractable.learning.records import Epoch
    from tractable.posterior import Certificate


def learning_curve(history: Iterable[Epoch]) -> Figure:
    """The log-likelihood of train and validation rows over the epochs, each point with the interval of its certificate.

    A point whose certificate is an estimate gets two standard errors. Where no likelihood was followed, the norm of the
    gradient is drawn instead.

    Parameters
    ----------
    history : the records of the epochs, such as ``run.history``.

    Examples
    --------
    >>> live = tr.Certificate(-3.0, -3.1, -2.9, "bound")
    >>> tr.plots.learning_curve([tr.learning.Epoch(1, 0.5, 0.1, 0.5, live)]).axes[0].get_ylabel()
    'log-likelihood of a row, nats'
    """
    epochs = list(history)
    fig = figure(6, 4)
    ax = fig.add_subplot()
    drawn = [_certified(ax, epochs, name) for name in ("train", "validation")]
    if any(drawn):
        ax.set_ylabel("log-likelihood of a row, nats")
        ax.legend()
    else:
        ax.plot([e.epoch for e in epochs], [e.gradient_norm for e in epochs], marker=".")
        ax.set_ylabel("norm of the gradient")
    ax.set_xlabel("epoch")
    ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    ax.locator_params(axis="x", integer=True)
    return fig


def em_curves(history: Iterable[Iteration]) -> Figure:
    """log p(x) = ELBO + KL over the iterations of EM: likelihood and ELBO above, KL below, intervals as bands.

    Where KL is zero throughout, as in EM with the exact posterior, the ELBO is the likelihood and one panel says all.

    Parameters
    ----------
    history : the records of the iterations, such as ``run.history``; what is not on record is not drawn.

    Examples
    --------
    >>> rows = [[0.0], [1.4], [2.0], [3.4]]
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.GeneralizedEM(posterior="hard"))
    >>> [line.get_label() for ax in tr.plots.em_curves(run.history).axes for line in ax.lines]
    ['log-likelihood', 'ELBO', 'KL']
    """
    records = list(history)
    apart = any(_is_some(e.kl) for e in records)
    fig = figure(6, 6 if apart else 4)
    axes = fig.subplots(2, sharex=True, height_ratios=(2, 1)) if apart else [fig.add_subplot()]
    same = not apart and any(e.kl is not None for e in records)
    curves = {"train": "log-likelihood = ELBO"} if same else {"train": "log-likelihood", "elbo": "ELBO"}
    for name, label in (curves | {"validation": "validation"}).items():
        _certified(axes[0], records, name, label)
    axes[0].set_ylabel("nats a row")
    axes[0].legend()
    if apart:
        _certified(axes[1], records, "kl", "KL")
        axes[1].set_ylabel("KL(q ‖ posterior), nats a row")
    for ax in axes:
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes[-1].set_xlabel("iteration")
    axes[-1].locator_params(axis="x", integer=True)
    return fig


def _is_some(kl: Certificate | None) -> bool:
    """Whether a divergence is on record that is not zero up to rounding, or may not be."""
    return kl is not None and max(abs(kl.value), abs(kl.upper)) > 1e-9


def _certified(ax: Axes, epochs: Sequence[Epoch | Iteration], name: str, label: str | None = None) -> bool:
    """A line with its band; whether there is anything to draw."""
    found = [(e.epoch, getattr(e, name)) for e in epochs if getattr(e, name) is not None]
    if not found:
        return False
    x, values = [epoch for epoch, _ in found], [c.value for _, c in found]
    (line,) = ax.plot(x, values, marker=".", label=label or name)
    lower, upper = np.transpose([_interval(c) for _, c in found])
    ax.fill_between(x, lower, upper, color=line.get_color(), alpha=0.25, linewidth=0)
    return True


def _interval(found: Certificate) -> tuple[float, float]:
    """The interval of a certificate; of an estimate, two standard errors to each side."""
    if np.isfinite(found.lower) and np.isfinite(found.upper):
        return found.lower, found.upper
    spread = 2 * (found.std_error or 0.0)
    return found.value - spread, found.value + spread


def chain_traces(draws: Any, names: Iterable[str] | None = None) -> Figure:
    """A quantity along each of several chains, which should be indistinguishable.

    Parameters
    ----------
    draws : [n_chains, n_draws], or [n_chains, n_draws, n_quantities], which get a panel each.
    names : of the quantities.

    Examples
    --------
    >>> len(tr.plots.chain_traces([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]]).axes[0].lines)
    2
    """
    values = np.asarray(draws, float)
    if values.ndim not in (2, 3):
        raise ValueError(f"draws must have the shape [n_chains, n_draws] or [n_chains, n_draws, n], got {values.shape}")
    values = values.reshape(*values.shape[:2], -1)
    fig = figure(6, 1 + 2 * values.shape[2])
    axes = fig.subplots(values.shape[2], sharex=True, squeeze=False)[:, 0]
    labels = list(names) if names is not None else [""] * len(axes)
    for ax, name, quantity in zip(axes, labels, np.moveaxis(values, 2, 0), strict=True):
        ax.plot(quantity.T, linewidth=0.7)
        name_axes(ax, y=name)
    axes[-1].set_xlabel("draw")
    return fig


def intervals(
    found: Mapping[float, Certificate],
    others: Mapping[str, float] | None = None,
    *,
    of: str = "log Z",
    over: str = "seconds",
) -> Figure:
    """Intervals of one number as they get narrower: lower and upper end over seconds, or draws, and its value.

    Parameters
    ----------
    found : seconds or draws → certificate.
    others : name → a number to compare with, drawn as a line: what is known of it, or an estimate without an end.
    of, over : what the axes are named.

    Examples
    --------
    >>> narrower = {s: tr.Certificate(2.0, 2.0 - 1 / s, 2.0 + 1 / s, "probabilistic", 0.95) for s in (1.0, 10.0)}
    >>> tr.plots.intervals(narrower, {"exact": 2.1}).axes[0].get_xscale()
    'log'
    """
    fig = figure(6, 4)
    ax = fig.add_subplot()
    at = sorted(found)
    lower, upper, value = ([getattr(found[t], end) for t in at] for end in ("lower", "upper", "value"))
    handles: dict[str, Any] = {"interval": ax.fill_between(at, lower, upper, alpha=0.25, linewidth=0)}
    handles["value"] = ax.plot(at, value, marker=".")[0]
    for i, (name, number) in enumerate((others or {}).items()):
        line = ax.axhline(number, color=f"C{i + 1}", linestyle="--" if i else "-", linewidth=1)
        handles[name] = line
    ax.set(xscale="log", xlabel=over, ylabel=of)
    some = at[:: -(-len(at) // 8)] if at else []
    ax.set_xticks(some, [f"{t:g}" for t in some])
    ax.minorticks_off()
    ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    name_legend(ax, list(handles.values()), handles)
    return fig
