"""The pictures of the documentation: `python docs/pictures.py` draws them anew (the extra `plots`, half a minute)."""

from pathlib import Path

import numpy as np

import tractable as tr

HERE = Path(__file__).resolve().parent
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


def net_log_z(net: tr.MarkovNetwork, method: str = "exact") -> float:
    """Its log Z, and what is said of it."""
    found = tr.log_partition(net, method=method)
    print(method, found)
    return float(found)


if __name__ == "__main__":
    interval_against_time()
