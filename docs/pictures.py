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


COLOURS = {"exact": "#2e7d4f", "interval": "#2a6496", "bound": "#b26a00", "estimate": "#777777"}
"""Of what stands in the picture of choices, by how sure it is."""

KINDS = {
    "en": {"exact": "exact", "interval": "two ends", "bound": "one end", "estimate": "no end"},
    "zh": {"exact": "精确", "interval": "上下界", "bound": "单侧界", "estimate": "无界估计"},
}
CHOICES = {
    "en": [
        (
            "I have a model, and a question",
            [
                ("whatever it is: ask the price first", "tr.plan(model, observed)", "", ""),
                ("affordable", "exact", "elimination, enumeration, forward–backward, counting", "exact"),
                ("refused: a network of tables", "mini_buckets", "narrower the longer it runs", "interval"),
                ("… its most probable state", "branch_and_bound", "and toulbar2", "interval"),
                ("refused: log Z of a Boltzmann machine", "annealing", "if its chains have mixed", "interval"),
                ("refused: several hidden chains", "structured", "log p(x) and KL", "interval"),
                ("refused: layers of causes", "importance, annealing", "log p(x) from below", "bound"),
                ("a lower bound, at once", "mean_field", "of any of these", "bound"),
                ("marginals, roughly and at once", "belief_propagation, gibbs", "with a verdict", "estimate"),
            ],
        ),
        (
            "I have data, and want a model",
            [
                ("whatever they are: one call", "tr.fit(model, data, learner)", "", ""),
                ("a table, gaps, columns of all kinds", "mixture · EM", "how many: tr.choose", "exact"),
                ("a sequence", "hidden_markov · EM", "path, forecast", "exact"),
                ("causes and effects with names", "bayesian_network · EM", "hidden variables too", "exact"),
                ("… too wide for that", "GeneralizedEM · mini_buckets", "KL with two ends", "interval"),
                ("several causes over time", "GeneralizedEM · structured", "factorial_hidden_markov", "interval"),
                ("bits and pixels, at most 20 hidden units", "restricted · ExactGradient", "", "exact"),
                ("… more of them", "restricted · PersistentCD", "modes far apart: TemperedPCD", "interval"),
                ("layers of causes", "ReweightedWakeSleep", "or VariationalGradient", "bound"),
            ],
        ),
    ],
    "zh": [
        (
            "已有模型，有一个问题",
            [
                ("无论什么模型：先问价", "tr.plan(model, observed)", "", ""),
                ("负担得起", "exact", "变量消去、枚举、前向-后向、计数", "exact"),
                ("被拒：概率表网络", "mini_buckets", "运行越久区间越窄", "interval"),
                ("……它的最可能状态", "branch_and_bound", "以及 toulbar2", "interval"),
                ("被拒：玻尔兹曼机的 log Z", "annealing", "前提是链已混合", "interval"),
                ("被拒：多条隐链", "structured", "log p(x) 与 KL", "interval"),
                ("被拒：多层成因", "importance, annealing", "log p(x) 的下界", "bound"),
                ("立刻要一个下界", "mean_field", "以上各类皆可", "bound"),
                ("立刻要大致的边缘分布", "belief_propagation, gibbs", "附诊断结论", "estimate"),
            ],
        ),
        (
            "已有数据，想要模型",
            [
                ("无论什么数据：一个调用", "tr.fit(model, data, learner)", "", ""),
                ("表格，有缺失，各种类型的列", "mixture · EM", "分量数：tr.choose", "exact"),
                ("序列", "hidden_markov · EM", "路径、预测", "exact"),
                ("有名字的因与果", "bayesian_network · EM", "可含隐变量", "exact"),
                ("……太宽，精确 E 步做不到", "GeneralizedEM · mini_buckets", "KL 有上下界", "interval"),
                ("随时间变化的多个成因", "GeneralizedEM · structured", "factorial_hidden_markov", "interval"),
                ("比特与像素，隐单元不超过 20", "restricted · ExactGradient", "", "exact"),
                ("……隐单元更多", "restricted · PersistentCD", "模态相距远：TemperedPCD", "interval"),
                ("多层成因", "ReweightedWakeSleep", "或 VariationalGradient", "bound"),
            ],
        ),
    ],
}


def choosing() -> None:
    """Which method for what, in the languages of the site: plain shapes and text, so that no font has to be there."""
    for language, place in (("en", HERE), ("zh", HERE / "zh")):
        lanes = [drawn for x, lane in zip((0, 460), CHOICES[language], strict=True) for drawn in drawn_lane(x, *lane)]
        for i, (kind, name) in enumerate(KINDS[language].items()):
            lanes += [shape("circle", cx=28 + 130 * i, cy=672, r=6, fill=COLOURS[kind]), text(42 + 130 * i, 677, name)]
        whole = [shape("rect", width=980, height=700, fill="#ffffff"), *lanes]
        font = "system-ui, 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 700" font-family="{font}" font-size="14">'
        (place / "choosing.svg").write_text("\n".join([head, *whole, "</svg>\n"]), encoding="utf-8")


def drawn_lane(x: int, title: str, rows: list[tuple[str, str, str, str]]) -> list[str]:
    """A line down with a stop for each case; the first is where it begins."""
    out = [text(x + 20, 38, title, font_size=19, font_weight=600, fill="#23425f")]
    out.append(
        shape("line", x1=x + 28, y1=76, x2=x + 28, y2=84 + 68 * (len(rows) - 1), stroke="#c8d2dc", stroke_width=3)
    )
    for i, (case, method, note, kind) in enumerate(rows):
        y, colour = 80 + 68 * i, COLOURS.get(kind, "#23425f")
        out.append(
            shape("circle", cx=x + 28, cy=y, r=7, fill=colour if kind else "#ffffff", stroke=colour, stroke_width=3)
        )
        out.append(text(x + 48, y - 4, case, fill="#555555"))
        beside = f'<tspan dx="8" font-weight="400" font-size="12.5" fill="#555555">{note}</tspan>'
        out.append(text(x + 48, y + 17, method + beside, font_weight=600, font_size=15, fill=colour))
    return out


def shape(name: str, **how: object) -> str:
    """A shape of SVG."""
    told = (f'{key.replace("_", "-")}="{value}"' for key, value in how.items())
    return f"<{name} {' '.join(told)}/>"


def text(x: float, y: float, words: str, **how: object) -> str:
    """A line of text of SVG."""
    return f"{shape('text', x=f'{x:g}', y=f'{y:g}', **how)[:-2]}>{words}</text>"


PICTURES = {own.__name__: own for own in (network, separation, beliefs, plan, regimes, intervals, ladder, choosing)}

if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "tractable"
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
