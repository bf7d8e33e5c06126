"""Estimates of marginals and log Z: loopy belief propagation and Gibbs sampling, how far off they are and how fast.

Claim: on the bnlearn networks, a tenth of whose variables are observed as one sample has them, messages are as near to
the exact marginals as those of pyAgrum's LoopyBeliefPropagation, and faster; chains are nearer than its GibbsSampling
in the same seconds, and their verdict tells which of them can be relied on. On UAI problems Bethe's log Z is compared
with the published one: it has no bound, and may be off by hundreds.

pgmpy has no peer of either: its BeliefPropagation is an exact junction tree, its Gibbs sampler takes no evidence.

    python benchmarks/estimates.py [--only alarm,Grids] [--json FILE]
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from _common import Log, Row, arguments, chosen, data, geometric_mean, once, report, save, stem
from _peers import agrum_network

OBSERVED, LONGEST, EPSILON = 0.1, 10.0, 1e-6
COLUMNS = {
    "name": "",
    "variables": "d",
    "messages s": ".3f",
    "pyAgrum s": ".3f",
    "messages error": ".1e",
    "pyAgrum error": ".1e",
    "messages": "",
    "chains s": ".2f",
    "chains error": ".1e",
    "pyAgrum chains error": ".1e",
    "chains": "",
}
LOG_Z = {"name": "", "variables": "d", "messages s": ".3f", "log Z": ".6g", "off by": ".3g", "messages": ""}


def distance(found: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """The mean over variables of the total variation of their marginals."""
    return float(np.mean([np.abs(p - q).sum() / 2 for p, q in zip(found, exact, strict=True)]))


def verdict(found: Any) -> str:
    """Its first words."""
    if found.kind == "exact":
        return "exact"
    return (
        "unreliable"
        if found.verdict.startswith("unreliable")
        else "reliable"
        if "reliable" in found.verdict
        else "loopy"
    )


def network(path: Path) -> Row:
    """Both estimates of all marginals of one network, beside pyAgrum's."""
    import tractable as tr

    net = tr.load(path)
    small = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", np.ones((2, 2)))])
    drawn, rng = tr.sample(net, 1, key=0), np.random.default_rng(0)
    names = list(net.states)
    seen = rng.choice(len(names), max(1, int(OBSERVED * len(names))), replace=False).tolist()
    given = {names[v]: drawn[names[v]][0] for v in seen}
    exact = tr.infer(net, given)
    truth = [exact.marginals.array(v) for v in names]
    row: Row = {"name": stem(path), "variables": len(names)}
    for method, told in (("belief_propagation", "messages"), ("gibbs", "chains")):
        tr.infer(small, method=method)  # what is loaded late
        seconds, post = once(lambda method=method: tr.infer(net, given, method=method))
        row |= {f"{told} s": seconds, told: verdict(post.certificates(names[0]))}
        row[f"{told} error"] = distance([post.marginals.array(v) for v in names], truth)
    codes = {v: net.states[names[v]].index(given[names[v]]) for v in seen}
    return row | peers(agrum_network(net), codes, truth, row["chains s"])


def peers(bn: Any, given: dict[int, int], truth: list[np.ndarray], seconds: float) -> Row:
    """The same of pyAgrum, chains for as many seconds."""
    import pyagrum as gum

    row: Row = {}
    for name, engine, limit in (
        ("pyAgrum", gum.LoopyBeliefPropagation(bn), LONGEST),
        ("pyAgrum chains", gum.GibbsSampling(bn), max(seconds, 0.1)),
    ):
        engine.setEvidence(dict(given))
        engine.setEpsilon(EPSILON)
        engine.setMaxTime(limit)
        try:
            row[f"{name} s"], _ = once(engine.makeInference)
            found = [np.asarray(engine.posterior(v).toarray(), float) for v in range(len(truth))]
            row[f"{name} error"] = distance(found, truth)
        except gum.GumException as error:
            row[f"{name} said"] = str(error)
    return row


def problem(path: Path) -> Row:
    """Bethe's log Z of a UAI problem beside the published one."""
    import tractable as tr

    net = tr.load(path)
    cases = tr.read_evidence(path.with_name(f"{stem(path)}.uai.evid"), net)
    given = cases[0] if cases else {}
    seconds, found = once(lambda: tr.log_partition(net, given, method="belief_propagation"))
    published = float(path.with_name(f"{stem(path)}.uai.PR").read_text().split()[-1]) * math.log(10)
    told = {"messages s": seconds, "log Z": published, "off by": found.value - published, "messages": verdict(found)}
    return {"name": stem(path), "variables": len(net.states)} | told


def notes(rows: list[Row]) -> list[str]:
    """Ratios and sums."""
    both = [row for row in rows if "pyAgrum error" in row]
    relied = [row["chains error"] for row in rows if row["chains"] == "reliable"]
    others = [row["chains error"] for row in rows if row["chains"] != "reliable"]
    said = [
        f"{row['name']}: pyAgrum's chains: {row['pyAgrum chains said']}" for row in rows if "pyAgrum chains said" in row
    ]
    return [
        f"messages {geometric_mean(r['pyAgrum s'] / r['messages s'] for r in both):.3g} times as fast as pyAgrum's",
        f"error of messages {geometric_mean(max(r['messages error'], 1e-9) for r in both):.2g},"
        f" of pyAgrum's {geometric_mean(max(r['pyAgrum error'], 1e-9) for r in both):.2g} (geometric means)",
        f"chains called reliable in {len(relied)} networks, error at most {max(relied, default=0):.1e};"
        f" of the other {len(others)} at least {min(others, default=0):.1e}, at most {max(others, default=0):.1e}",
        *said,
    ]


def main() -> None:
    """Measure what is asked for."""
    options = arguments(__doc__)
    log = Log("estimates", options.fresh)
    paths = chosen(data("bif").glob("*.bif.gz"), options.only)
    rows = [log.row(stem(path), lambda path=path: network(path)) for path in paths]
    if rows:
        report("Estimates of marginals: bnlearn networks, a tenth observed", COLUMNS, rows, notes(rows))
    paths = [path for path in data("uai").glob("*.uai.gz") if ".cnf" not in path.name]
    paths = [path for path in paths if path.with_name(f"{stem(path)}.uai.PR").exists()]
    uai = [log.row(stem(path), lambda path=path: problem(path)) for path in chosen(paths, options.only)]
    if uai:
        off = [
            f"off by at most {max(abs(r['off by']) for r in uai if r['messages'] == k):.3g} where {k}"
            for k in dict.fromkeys(r["messages"] for r in uai)
        ]
        report("Estimates of log Z: UAI problems", LOG_Z, uai, off)
    save(options.json, [*rows, *uai])
    log.finish()


if __name__ == "__main__":
    main()
