"""The pictures of the documentation: `python docs/pictures.py` draws them anew (the extra `plots`, three minutes)."""

import time
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import tractable as tr

HERE = Path(__file__).resolve().parent
LADDER = 1.0, 10.0, 60.0
SECONDS = 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0


def square(n: int, coupling: float) -> tr.MarkovNetwork:
    """Spins on a square, coupled at random."""
    rng, sign = np.random.default_rng(0), np.array([[1, -1], [-1, 1]])
    at = {(r, c): f"s{r}.{c}" for r in range(n) for c in range(n)}
    pairs = [(a, (a[0] + i, a[1] + j)) for a in at for i, j in ((0, 1), (1, 0)) if (a[0] + i, a[1] + j) in at]
    factors = [((at[a], at[b]), np.exp(coupling * rng.normal() * sign)) for a, b in pairs]
    return tr.MarkovNetwork(dict.fromkeys(at.values(), "01"), factors)


def interval_against_time() -> None:
    """log Z of a square that exact numbers are known of, with memory for tables that are far too small for these."""
    net = square(16, 1.0)
    others = {"exact": net_log_z(net), "belief propagation": net_log_z(net, method="belief_propagation")}
    found = {s: tr.log_partition(net, method="mini_buckets", memory="512KiB", seconds=s) for s in SECONDS}
    for s, c in found.items():
        print(s, c)
    figure = tr.plots.intervals(found, others)
    axes = figure.axes[0]
    axes.set(xlabel="seconds", ylabel="log Z")
    figure.savefig(HERE / "intervals.svg", metadata={"Date": None})


class Rung(NamedTuple):
    """What a method says of log Z after so many seconds: its value, and the ends that it has."""

    name: str
    seconds: float
    value: float
    lower: float | None = None
    upper: float | None = None


def rungs(net: tr.MarkovNetwork) -> list[Rung]:
    """Every rung of the ladder: the exact one at the seconds that are predicted, the others as they take."""
    exact = net_log_z(net)
    found = [Rung("exact", tr.plan(net, query="evidence").seconds, exact, exact, exact)]
    for seconds in LADDER:
        told = tr.log_partition(net, method="mini_buckets", seconds=seconds)
        found.append(Rung(f"interval\n{seconds:.0f} s", seconds, float(told), told.lower, told.upper))
    for method, name in (
        ("mean_field", "mean field,\na lower bound"),
        ("belief_propagation", "belief propagation,\nno end"),
    ):
        start = time.perf_counter()
        told = tr.log_partition(net, method=method)
        lower = told.value if method == "mean_field" else None
        found.append(Rung(name, time.perf_counter() - start, float(told), lower))
    return found


def ladder(found: list[Rung]) -> None:
    """What each rung gives at which cost: the distance of its value and its ends from log Z, over seconds."""
    exact = found[0]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.axhline(0, color="0.6", linewidth=1, zorder=0)
    for rung in found:
        bounded, at = rung.lower is not None, rung.value - exact.value
        colour = "C0" if rung.upper is not None else "C1" if bounded else "C3"
        if rung.upper is not None and rung is not exact:
            axes.vlines(rung.seconds, rung.lower - exact.value, rung.upper - exact.value, color=colour, linewidth=4)
        if rung.upper is None and bounded:
            arrow = {"arrowstyle": "->", "color": colour, "linewidth": 1.5}
            axes.annotate("", (rung.seconds, at * 0.5), (rung.seconds, at), arrowprops=arrow)
        axes.plot(rung.seconds, at, "o", color=colour, markerfacecolor=colour if bounded else "none", markersize=7)
        side = {"xytext": (9, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        axes.annotate(rung.name, (rung.seconds, at), **side)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="seconds", ylabel="distance from log Z, in nats", xlim=(min(r.seconds for r in found) / 2, 300))
    figure.savefig(HERE / "ladder.svg", metadata={"Date": None})


def net_log_z(net: tr.MarkovNetwork, method: str = "exact") -> float:
    """Its log Z, and what is said of it."""
    found = tr.log_partition(net, method=method)
    print(method, found)
    return float(found)


if __name__ == "__main__":
    interval_against_time()
    ladder(rungs(square(26, 1.0)))
