"""Counting: log Z of formulas and of near-deterministic networks, side by side with ganak.

Claim: the search alone answers at least 80 % of the instances that ganak counts within 60 s, each within 300 s, in at
most ten times its time in the median; without being asked for it (``auto``), log Z of all of them. Every answer comes
from a process of its own: ganak with its preprocessing (in the peers' Python, ``--peers``), log Z by search, planned
and run, log Z as the verbs plan it, and all marginals by search. Reading the file does not count. Instances whose log Z
is zero are shown, and left out of the times.

    python benchmarks/counting.py [--only log-1,detgrid] [--peers PYTHON] [--json FILE]
"""

from __future__ import annotations

import gzip
import json
import math
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from _common import GIB, HERE, Log, Row, arguments, chosen, data, in_child, once, reply, report, save, stem

MEMORY = 4 * GIB
ADDRESS_SPACE = 12 * GIB
GANAK, OURS = 60.0, 300.0
WAYS = ("search", "auto", "marginals")
COLUMNS = {
    "name": "",
    "variables": "d",
    "factors": "d",
    "log Z": ".9g",
    "ganak s": ".2f",
    "search s": ".2f",
    "auto s": ".2f",
    "auto by": "",
    "marginals s": ".2f",
    "verdict": "",
}


def files() -> list[Path]:
    """Formulas of one collection, and all of the other."""
    return [*data("uai").glob("*cnf.uai.gz"), *data("wmc").glob("*.uai.gz")]


def clauses(path: Path) -> tuple[int, list[list[int]], dict[int, tuple[float, float]], float]:
    """A file of clauses as tables with one zero, and weights: variables, clauses, weights, and a constant logarithm."""
    words = iter(gzip.decompress(path.read_bytes()).decode().split())
    next(words)
    n = [next(words) for _ in range(int(next(words)))]
    scopes = [[int(next(words)) for _ in range(int(next(words)))] for _ in range(int(next(words)))]
    found, weights, constant = [], {}, 0.0
    for scope in scopes:
        table = [float(next(words)) for _ in range(int(next(words)))]
        if len(scope) == 1 and min(table) > 0:
            off, on = weights.get(scope[0], (1.0, 1.0))
            weights[scope[0]] = off * table[0], on * table[1]
            continue
        values = {x for x in table if x}
        if len(values) > 1 or not values:
            raise RuntimeError("no clauses")
        constant += math.log(values.pop())
        places = [i for i, x in enumerate(table) if not x]
        bits = [[at >> (len(scope) - 1 - k) & 1 for k in range(len(scope))] for at in places]
        found += [[-v - 1 if bit else v + 1 for v, bit in zip(scope, row, strict=True)] for row in bits]
    return len(n), found, weights, constant


def by_ganak(path: Path) -> Row:
    """log Z by ganak, in this process."""
    import pyganak

    n, found, weights, constant = clauses(path)
    start = time.perf_counter()
    counter = pyganak.WeightedCounter() if weights else pyganak.Counter()
    counter.new_vars(n)
    counter.add_clauses(found)
    for v, (off, on) in weights.items():
        counter.set_lit_weight(v + 1, on)
        counter.set_lit_weight(-v - 1, off)
    total = counter.count()
    seconds = time.perf_counter() - start
    return {"log Z": math.log(total) + constant if total > 0 else -math.inf, "seconds": seconds}


def by_us(path: Path, way: str) -> Row:
    """log Z, or all marginals, by this library."""
    import tractable as tr
    from tractable.plan import ask
    from tractable.posterior.engines import tables

    net = tr.load(path)
    row: Row = {"variables": len(net.states), "factors": net.packed.n_factors}
    query: Any = "marginals" if way == "marginals" else "evidence"

    def answer() -> Any:
        case = tables.read(net, {})
        plan = tables.plan(case, ask(query, MEMORY, OURS, "auto" if way == "auto" else "counting"))
        if plan.method is None:
            raise tr.BudgetError(plan)
        return plan, tables.solve(plan, case, 0)

    seconds, (plan, found) = once(answer)
    return row | {"log Z": float(found.log_partition), "seconds": seconds, "method": plan.method}


def path_of(name: str) -> Path:
    """The file of an instance."""
    return next(path for path in files() if stem(path) == name)


def ganak(name: str, python: str) -> Row:
    """What ganak says, in another process of the peers' Python."""
    command = [python, str(HERE / "counting.py"), "--child", f"{name}@ganak"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GANAK + 10, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {GANAK:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["killed"])[-1][:100]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(path: Path, python: str) -> Row:
    """One instance, in all ways."""
    name = stem(path)
    peer = ganak(name, python)
    row: Row = {"name": name, "ganak s": peer.get("seconds"), "log Z": peer.get("log Z")}
    said = [peer["log Z"]] if "log Z" in peer else []
    for way in WAYS:
        own = in_child("counting.py", f"{name}@{way}", OURS, ADDRESS_SPACE)
        row |= {f"{way} s": own.get("seconds")}
        row |= {key: own[key] for key in ("variables", "factors") if key in own}
        if "error" in own:
            row[f"{way} error"] = own["error"]
        else:
            said.append(own["log Z"])
        if way == "auto":
            row["auto by"] = own.get("method", "–")
    row["log Z"] = said[0] if said else None
    return row | {"verdict": verdict(said)}


def verdict(said: list[float]) -> str:
    """Whether all who answered agree."""
    if not said:
        return "no answer"
    agree = all(x == said[0] or abs(x - said[0]) <= 1e-9 * max(1.0, abs(x)) for x in said)
    return "agree" if agree else f"differ: {', '.join(f'{x:.12g}' for x in said)}"


def notes(rows: list[Row]) -> list[str]:
    """The shares and the ratio of times that are claimed."""
    timed = [r for r in rows if r["ganak s"] is not None and r["ganak s"] <= GANAK and r["log Z"] != 0]
    timed = [r for r in timed if abs(r["log Z"]) > 1e-9]
    ours = [r for r in timed if r["search s"] is not None]
    ratios = [r["search s"] / r["ganak s"] for r in ours]
    more = [r["name"] for r in rows if r["ganak s"] is None and r["search s"] is not None]
    return [
        f"of {len(timed)} that ganak counts in {GANAK:.0f} s the search answers {len(ours)}",
        f"auto answers {sum(r['auto s'] is not None for r in timed)} of them",
        f"all marginals of {sum(r['marginals s'] is not None for r in timed)}",
        f"time of the search / time of ganak: median {statistics.median(ratios) if ratios else math.nan:.2g}",
        f"answered by the search alone: {', '.join(more) or 'none'}",
    ]


def main() -> None:
    """Measure the instances asked for, or answer as a child."""
    options = arguments(__doc__)
    if options.child:
        name, _, way = options.child.partition("@")
        if way == "ganak":
            print(json.dumps(by_ganak(path_of(name))))
        else:
            reply(by_us(path_of(name), way))
        return
    log = Log("counting", options.fresh)
    rows = []
    for path in chosen(files(), options.only):
        rows.append(log.row(stem(path), lambda path=path: measure(path, options.peers)))
        print(f"{rows[-1]['name']}: {rows[-1]['verdict']}", flush=True)
    log.finish()
    report("counting: ganak and a search over tables", COLUMNS, rows, notes(rows))
    save(options.json, rows)


if __name__ == "__main__":
    main()
