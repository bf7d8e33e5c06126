"""The pictures of the documentation: `python docs/pictures.py` draws them anew (the extra `plots`, three minutes).

`python docs/pictures.py network plan` draws these alone. What no clock decides comes out the same to the byte.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import tractable as tr

HERE = Path(__file__).resolve().parent
ASIA = Path(tr.__file__).parent / "examples" / "asia.bif"
LADDER = 1.0, 10.0, 60.0
SECONDS = 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0


def square(n: int, coupling: float) -> tr.MarkovNetwork:
    """Spins on a square, coupled at random."""
    rng, sign = np.random.default_rng(0), np.array([[1, -1], [-1, 1]])
    at = {(r, c): f"s{r}.{c}" for r in range(n) for c in range(n)}
    pairs = [(a, (a[0] + i, a[1] + j)) for a in at for i, j in ((0, 1), (1, 0)) if (a[0] + i, a[1] + j) in at]
    factors = [((at[a], at[b]), np.exp(coupling * rng.normal() * sign)) for a, b in pairs]
    return tr.MarkovNetwork(dict.fromkeys(at.values(), "01"), factors)


def saved(figure: Figure, name: str) -> None:
    """Write a picture, without the day it was drawn on."""
    figure.savefig(HERE / f"{name}.svg", metadata={"Date": None})


def network() -> None:
    """What is believed of a patient, whose answers have two ends."""
    post = tr.infer(tr.load(ASIA), {"xray": "yes", "smoke": "no"}, method="mini_buckets", draws=500)
    saved(tr.plots.network(post), "network")


def separation() -> None:
    """Why an observation joins what was independent."""
    net = tr.load(ASIA)
    saved(tr.plots.network(net, highlight=tr.is_separated(net, "asia", "smoke", given="dysp")), "separation")


def beliefs() -> None:
    """What an X-ray changes."""
    net = tr.load(ASIA)
    known = {"before": tr.infer(net), "xray = yes": tr.infer(net, {"xray": "yes"})}
    saved(tr.plots.beliefs(known, ["lung", "tub", "smoke"]), "beliefs")


def plan() -> None:
    """What a step costs on a square, and what it costs once its middle row is known."""
    net, row = square(16, 1.0), [f"s8.{c}" for c in range(16)]
    plans = {
        "nothing observed": tr.plan(net, query="evidence"),
        "the row in the middle": tr.plan(net, row, query="evidence"),
    }
    saved(tr.plots.plan(plans), "plan")


def regimes() -> None:
    """A sequence with the states that a hidden Markov model sees in it, and what these emit."""
    states, rng = np.repeat([0, 1, 0, 2, 1], [60, 40, 50, 30, 40]), np.random.default_rng(0)
    rows = {"speed": rng.normal(np.array([0.0, 2.0, 5.0])[states], 0.9)}
    emissions = tr.GaussianEmissions([[0.0], [2.0], [5.0]], [[[0.8]]] * 3)
    hmm = tr.HiddenMarkovModel([1 / 3] * 3, np.full((3, 3), 0.02) + 0.94 * np.eye(3), emissions)
    post, best = tr.infer(hmm, rows), tr.most_probable(hmm, rows)
    names = ["calm", "busy", "storm"]
    share = post.marginals["state"]
    saved(tr.plots.state_path(share, rows, names, path=best.assignment["state"]), "regimes")
    saved(tr.plots.emissions(hmm, rows, weights=share.mean(axis=0), names=names), "emissions")


def intervals() -> None:
    """log Z of a square that exact numbers are known of, with memory for tables that are far too small for these."""
    net = square(16, 1.0)
    others = {"exact": net_log_z(net), "belief propagation": net_log_z(net, method="belief_propagation")}
    found = {s: tr.log_partition(net, method="mini_buckets", memory="512KiB", seconds=s) for s in SECONDS}
    for s, c in found.items():
        print(s, c)
    saved(tr.plots.intervals(found, others), "intervals")


class Rung(NamedTuple):
    """What a method says of log Z after so many seconds: its value, and the ends that it has."""

    name: str
    seconds: float
    value: float
    lower: float | None = None
    upper: float | None = None


def rungs(net: tr.MarkovNetwork) -> list[Rung]:
    """What is affordable of the ladder, with the seconds that it takes."""
    found = []
    for seconds in LADDER:
        told = tr.log_partition(net, method="mini_buckets", seconds=seconds)
        found.append(Rung(f"interval, {seconds:.0f} s", seconds, float(told), told.lower, told.upper))
    for method, name in (
        ("mean_field", "mean field, a lower bound"),
        ("belief_propagation", "belief propagation, no end"),
    ):
        start = time.perf_counter()
        told = tr.log_partition(net, method=method)
        lower = told.lower if method == "mean_field" else None
        found.append(Rung(name, time.perf_counter() - start, float(told), lower))
    return found


def ladder() -> None:
    """The rungs of a square that is too wide."""
    net = square(32, 1.0)
    draw_ladder(rungs(net), tr.plan(net, query="evidence").seconds)


def draw_ladder(found: list[Rung], exact: float) -> None:
    """What each rung gives over seconds: its distance, and that of its ends, from the best value that there is.

    What is exact stands at the seconds that are predicted for it.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    base = next(rung.value for rung in found if rung.seconds == LADDER[-1])
    axes.axhline(0, color="0.6", linewidth=1, zorder=0)
    axes.axvline(exact, color="C2", linestyle="--")
    beside = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    axes.annotate("exact,\npredicted", (exact, 1), (-6, 0), ha="right", color="C2", **beside)
    for rung in found:
        at, colour = rung.value - base, "C0" if rung.upper is not None else "C1" if rung.lower is not None else "C3"
        if rung.lower is not None:
            top = at / 2 if rung.upper is None else rung.upper - base
            ends = {"arrowstyle": "-" if rung.upper is not None else "->", "color": colour, "linewidth": 2}
            axes.annotate("", (rung.seconds, top), (rung.seconds, rung.lower - base), arrowprops=ends)
        axes.plot(rung.seconds, at, "o", color=colour, markerfacecolor="none" if rung.lower is None else colour)
        axes.annotate(
            rung.name, (rung.seconds, at if rung.upper is None else rung.upper - base), (7, 7), color=colour, **beside
        )
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_yticks([-10, -1, 0, 1, 10], ["−10", "−1", "0", "1", "10"])
    axes.set_ylim(-15, 40)
    axes.set(xlabel="seconds", ylabel="nats above the value after 60 s")
    saved(figure, "ladder")


def net_log_z(net: tr.MarkovNetwork, method: str = "exact") -> float:
    """Its log Z, and what is said of it."""
    found = tr.log_partition(net, method=method)
    print(method, found)
    return float(found)


PICTURES = {own.__name__: own for own in (network, separation, beliefs, plan, regimes, intervals, ladder)}

if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "tractable"
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
