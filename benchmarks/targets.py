"""Queries that ask for some marginals only, and networks that are too wide for all at once, against pyAgrum's targets.

Claims: a target among many causes within 50 ms; 42 narrow targets of a wide network of 494 variables within a second;
three targets of munin faster than all its marginals; all prior marginals of BN_69 and BN_74, which are refused as one
sweep, and their log evidence at once. Each peer runs in a process of its own, under limits: LazyPropagation with
`addTarget`, and VariableElimination.

    python benchmarks/targets.py [--only munin,BN_69] [--json FILE]
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _common import GIB, Log, Row, arguments, data, in_child, once, reply, report, save
from _peers import agrum_network

ROUNDS = 5
PEER_SECONDS, PEER_MEMORY = 60.0, 8 * GIB
PEERS = ("LazyPropagation", "VariableElimination")
COLUMNS = {
    "name": "",
    "variables": "d",
    "targets": "d",
    "ours ms": ".2f",
    "first ms": ".1f",
    "all ms": ".1f",
    "log evidence ms": ".2f",
    "LazyPropagation ms": ".1f",
    "VariableElimination ms": ".1f",
    "max difference": ".1e",
    "remark": "",
}


class Asked(NamedTuple):
    """A network, what is observed, and what is asked for; None for all."""

    net: Any
    evidence: dict[str, Any]
    targets: list[str] | None


def many_causes(n: int, effects: int, parents: int) -> Any:
    """Causes, and effects that hang on some of them each: as wide as there are causes."""
    import tractable as tr

    rng = np.random.default_rng(0)
    tables: dict[str, Any] = {f"d{i}": [1 - p, p] for i, p in enumerate(rng.uniform(0.01, 0.3, n))}
    of = {f"f{j}": [f"d{i}" for i in rng.choice(n, parents, replace=False)] for j in range(effects)}
    for v, own in of.items():
        p = rng.uniform(0.05, 0.95, [2] * len(own))
        tables[v] = np.stack([1 - p, p], axis=-1)
    return tr.BayesianNetwork(dict.fromkeys(tables, ("no", "yes")), of, tables)


def from_file(kind: str, name: str, n_targets: int | None) -> Asked:
    """A network of the data folder with one variable observed, and some others, spread evenly, asked for."""
    import tractable as tr

    net = tr.load(data(kind) / f"{name}.{kind}.gz")
    names = list(net.states)
    if n_targets is None:
        return Asked(net, {}, None)
    targets = [names[len(names) * i // (n_targets + 1)] for i in range(1, n_targets + 1)]
    return Asked(net, {names[3]: net.states[names[3]][0]}, targets)


CASES: dict[str, Callable[[], Asked]] = {
    "causes 60×100": lambda: Asked(many_causes(60, 100, 5), {"f0": "yes", "f1": "yes"}, ["d0"]),
    "causes 60×100, all": lambda: Asked(many_causes(60, 100, 5), {"f0": "yes", "f1": "yes"}, None),
    "causes 250×244": lambda: Asked(many_causes(250, 244, 7), {}, [f"f{j}" for j in range(42)]),
    "munin": lambda: from_file("bif", "munin", 3),
    "munin1": lambda: from_file("bif", "munin1", 3),
    "link": lambda: from_file("bif", "link", 3),
    "alarm": lambda: from_file("bif", "alarm", 3),
    "BN_69": lambda: from_file("uai", "BN_69", None),
    "BN_74": lambda: from_file("uai", "BN_74", None),
}


def ours(asked: Asked) -> Row:
    """Times of what is asked, of all marginals, and of log evidence alone, and the marginals."""
    import tractable as tr

    def query() -> Any:
        return tr.infer(asked.net, asked.evidence, targets=asked.targets)

    first, post = once(query)
    row: Row = {"variables": len(asked.net.states), "targets": len(post.marginals), "first ms": 1e3 * first}
    row["ours ms"] = 1e3 * statistics.median(once(query)[0] for _ in range(ROUNDS))
    row["log evidence ms"] = 1e3 * min(once(lambda: tr.log_partition(asked.net, asked.evidence))[0] for _ in range(2))
    if asked.targets is not None:
        row["all ms"] = _all(asked)
    return row | {"found": {v: post.marginals.array(v).tolist() for v in post.marginals}}


def _all(asked: Asked) -> float | None:
    import tractable as tr

    try:
        return 1e3 * min(once(lambda: tr.infer(asked.net, asked.evidence))[0] for _ in range(3))
    except tr.BudgetError:
        return None


def peer(asked: Asked, kind: str) -> Row:
    """A peer's time, and its marginals."""
    import pyagrum as gum

    bn = agrum_network(asked.net)
    places = {v: i for i, v in enumerate(asked.net.states)}
    targets = list(asked.net.states) if asked.targets is None else asked.targets

    def query() -> dict[str, Any]:
        engine = getattr(gum, kind)(bn)
        engine.setEvidence({places[v]: asked.net.states[v].index(s) for v, s in asked.evidence.items()})
        engine.eraseAllTargets()
        for v in targets:
            engine.addTarget(places[v])
        engine.makeInference()
        return {v: engine.posterior(places[v]).toarray().tolist() for v in targets}

    seconds, found = once(query)
    if seconds < 1:
        seconds = statistics.median(once(query)[0] for _ in range(ROUNDS))
    return {f"{kind} ms": 1e3 * seconds, "found": found}


def child(task: str) -> Row:
    """One measurement in this process, ``name:who``."""
    name, _, who = task.partition(":")
    asked = CASES[name]()
    return ours(asked) if who == "ours" else peer(asked, who)


def measure(name: str) -> Row:
    """All measurements of one case; those that fail leave a remark."""
    row = in_child("targets.py", f"{name}:ours", 600.0, PEER_MEMORY)
    found, remarks, worst = row.pop("found", {}), [], math.nan
    for kind in PEERS if not name.startswith("BN") else ():  # which come as Markov networks
        other = in_child("targets.py", f"{name}:{kind}", PEER_SECONDS, PEER_MEMORY)
        if "error" in other:
            remarks.append(f"{kind}: {other['error']}")
            continue
        row[f"{kind} ms"] = other[f"{kind} ms"]
        apart = [np.abs(np.subtract(found[v], p)).max() for v, p in other["found"].items()]
        worst = max(apart) if math.isnan(worst) else max(worst, *apart)
    differs = {} if math.isnan(worst) else {"max difference": float(worst)}
    return row | differs | {"name": name, "remark": "; ".join(remarks)}


def notes(rows: list[Row]) -> list[str]:
    """Whether the claims hold."""
    by = {row["name"]: row for row in rows}
    claims = {
        "a target among many causes within 50 ms": ("causes 60×100", lambda r: r["ours ms"] < 50),
        "42 narrow targets of 494 variables within a second": ("causes 250×244", lambda r: r["first ms"] < 1000),
        "three targets of munin faster than all": ("munin", lambda r: r["ours ms"] < r["all ms"]),
    }
    return [
        f"{told}: {'holds' if holds(by[name]) else 'FAILS'}"
        for told, (name, holds) in claims.items()
        if "ours ms" in by.get(name, {})
    ]


def main() -> None:
    """Measure the cases asked for, or answer as a child."""
    options = arguments(__doc__)
    if options.child:
        reply(child(options.child))
        return
    log, rows = Log("targets", options.fresh), []
    for name in CASES:
        if options.only and not any(word in name for word in options.only):
            continue
        rows.append(row := log.row(name, lambda name=name: measure(name)))
        print(name, {k: v for k, v in row.items() if k in COLUMNS}, flush=True)
    report("targets: some marginals of a network against pyAgrum's", COLUMNS, rows, notes(rows))
    save(options.json, rows, notes=notes(rows))
    log.finish()


if __name__ == "__main__":
    main()
