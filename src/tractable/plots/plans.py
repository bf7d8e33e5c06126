"""Plans: what each step of a contraction costs, and what knowing more would save."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plan import ContractionTree, Plan
from tractable.plan._units import duration, memory_size
from tractable.plots._base import LINE, MARKED, SOFT, figure
from tractable.plots._text import name_legend, name_ticks, put

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plan(plans: Plan | Mapping[str, Plan]) -> Figure:
    """What each step of an elimination costs, and what the whole query takes; of several plans side by side.

    Above, the multiply-adds of every step along the contraction tree, in the order in which they run, on a logarithmic
    scale: a query is as expensive as its peak. Below, predicted seconds and bytes; a plan that the budget refuses is
    hatched. Plans that contract no tree (closed forms, enumeration, chains, intervals) have no steps to draw.

    Parameters
    ----------
    plans : a plan, or what is observed → plan, such as one with nothing observed beside one with ``plan.advice``.

    Raises
    ------
    ValueError : nothing to draw.

    Examples
    --------
    >>> chain = tr.MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 2], [3, 4]]), ("bc", [[1, 2], [3, 4]])])
    >>> plans = {"nothing": tr.plan(chain), "b": tr.plan(chain, observed=["b"])}
    >>> [ax.get_xlabel() for ax in tr.plots.plan(plans).axes]
    ['step of the contraction', 'predicted seconds']
    """
    found = {f"{plans.query}, {plans.method or 'refused'}": plans} if isinstance(plans, Plan) else dict(plans)
    if not found:
        raise ValueError("expected a plan, or plans by what is observed, got none")
    steps = {label: step_costs(own) for label, own in found.items()}
    drawn = any(map(len, steps.values()))
    heights = [2.4] * drawn + [0.6 + 0.34 * len(found)]
    fig = figure(6.5, sum(heights) + 0.5)
    axes = fig.subplots(len(heights), height_ratios=heights, squeeze=False)[:, 0]
    if drawn:
        _steps(axes[0], steps)
    _totals(axes[-1], found)
    return fig


def step_costs(plan: Plan) -> np.ndarray:
    """Multiply-adds of each step of a plan's contraction trees, in their order; of a sliced one those of all slices."""
    return np.array([cost for tree in _trees(plan.program) for cost in _of_tree(tree)], float)


def _trees(program: Any) -> Iterator[ContractionTree]:
    """The contraction trees of a program and of its parts."""
    if isinstance(program, ContractionTree):
        yield program
    elif isinstance(program, tuple):
        for part in program:
            yield from _trees(part)
    elif isinstance(program, Plan):
        yield from _trees(program.program)


def _of_tree(tree: ContractionTree) -> Iterator[float]:
    """The product of the sizes of all variables that meet in each step; what no other table has is then summed out."""
    scopes, sizes = tree.scopes, np.asarray(tree.scopes.sizes, float).copy()
    sizes[list(tree.sliced)] = 1
    m = len(scopes.starts) - 1
    live = {i: frozenset(scopes.members[scopes.starts[i] : scopes.starts[i + 1]].tolist()) for i in range(m)}
    left = Counter(v for scope in live.values() for v in scope)
    live = {i: frozenset(v for v in scope if left[v] > 1) for i, scope in live.items()}  # others are summed out before
    for k, (a, b) in enumerate(np.asarray(tree.pairs)[: 2 * max(m - 1, 0)].reshape(-1, 2).tolist()):
        met = live[a] | live[b]
        yield tree.slices * math.prod(sizes[list(met)].tolist())
        left.subtract(live.pop(a))
        left.subtract(live.pop(b))
        live[m + k] = frozenset(v for v in met if left[v])
        left.update(live[m + k])


def _steps(ax: Axes, steps: Mapping[str, np.ndarray]) -> None:
    lines = []
    for i, costs in enumerate(steps.values()):
        at = np.arange(1, len(costs) + 1)
        (line,) = ax.plot(at, costs, color=f"C{i}", linewidth=1, marker="." if len(costs) < 60 else "")
        ax.fill_between(at, costs, 1, color=f"C{i}", alpha=0.15, linewidth=0)
        lines.append(line)
    ax.set(yscale="log", xlabel="step of the contraction", ylabel="multiply-adds")
    ax.set_ylim(bottom=1)
    ax.locator_params(axis="x", integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    name_legend(ax, lines, steps, frameon=False, fontsize=8)


def _totals(ax: Axes, plans: Mapping[str, Plan]) -> None:
    """A bar of predicted seconds for each plan, with memory and width beside it."""
    seconds = np.array([own.seconds for own in plans.values()], float)
    known = seconds[np.isfinite(seconds) & (seconds > 0)]
    low, high = (known.min(), known.max()) if len(known) else (1e-3, 1.0)
    base = low / 10
    widths = np.clip(np.nan_to_num(seconds, posinf=high * 10), base * 1.2, None) - base
    bars = ax.barh(range(len(plans)), widths, left=base, height=0.6, color=[f"C{i}" for i in range(len(plans))])
    for bar, i, own in zip(bars, range(len(plans)), plans.values(), strict=True):
        if own.method is None:
            bar.set(facecolor="white", edgecolor=MARKED, hatch="////")
        width = f"width {own.width:.3g}, " if np.isfinite(own.width) else ""
        told = "refused: " if own.method is None else f"{own.method}, "
        text = f"{told}{width}{memory_size(own.bytes)}, {duration(own.seconds)}"
        put(ax, bar.get_x() + bar.get_width(), i, f"  {text}", size=8, color=SOFT, ha="left", va="center")
    ax.set_xscale("log")
    ax.set(xlabel="predicted seconds", xlim=(base, high * (high / base) ** 1.1), ylim=(len(plans) - 0.5, -0.5))
    name_ticks(ax.yaxis, range(len(plans)), plans, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=LINE, linewidth=0.6)
    ax.set_axisbelow(True)
