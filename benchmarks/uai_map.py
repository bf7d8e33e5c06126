"""UAI 2014 most-probable-assignment problems: log-probability against that of the best known assignment.

Assignments differ where several are equally good, so the logarithms of their unnormalized products are compared; ours
is exact wherever it answers and can be lower than the published one only by rounding. Each instance runs in a process
of its own, within 8 GiB and a minute.

    python benchmarks/uai_map.py [--only wcsp] [--json FILE]
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from _common import GIB, Log, Row, arguments, chosen, data, in_child, once, reply, report, save, stem

MEMORY, SECONDS = 8 * GIB, 60.0
COLUMNS = {"name": "", "variables": "d", "width": ".1f", "bytes": ".3g", "predicted s": ".3g", "plan s": ".3f"}
COLUMNS |= {"run s": ".3f", "log p": ".10g", "best known": ".10g", "gain": ".2e", "verdict": ""}


def solve(path: Path) -> Row:
    """Plan and run one instance in this process."""
    import tractable as tr

    net = tr.load(path)
    cases = tr.read_evidence(path.with_name(f"{stem(path)}.uai.evid"), net)
    evidence = cases[0] if cases else {}
    plan_seconds, plan = once(lambda: tr.plan(net, observed=evidence, query="map", memory=MEMORY))
    row: Row = {"variables": len(net.states), "width": plan.width, "bytes": plan.bytes, "predicted s": plan.seconds}
    row |= {"plan s": plan_seconds, "method": plan.method, "best known": best_known(net, path, evidence)}
    if plan.method is None:
        return row
    seconds, found = once(lambda: tr.most_probable(net, evidence, memory=MEMORY))
    claimed, again = found.log_probability.value, log_product(net, found.assignment)
    return row | {"total s": seconds, "log p": claimed, "log p of the assignment": again}


def best_known(net: Any, path: Path, evidence: dict[str, str]) -> float:
    """The log-product of the published assignment, a state index for each variable."""
    words = path.with_name(f"{stem(path)}.uai.MAP").read_text().split()
    assignment = {v: net.states[v][int(k)] for v, k in zip(net.states, words[2:], strict=True)}
    broken = [v for v, state in evidence.items() if assignment[v] != state]
    return math.nan if broken else log_product(net, assignment)


def log_product(net: Any, assignment: dict[str, str]) -> float:
    """log p̃(x), entry by entry from the tables as they were read."""
    total = 0.0
    tables = net.packed
    index = [net.states[v].index(assignment[v]) for v in net.states]
    for j in range(tables.n_factors):
        at = 0
        for v in tables.scope(j).tolist():
            at = at * int(tables.sizes[v]) + index[v]
        value = float(tables.values[tables.value_starts[j] + at])
        total += math.log(value) if value > 0 else -math.inf
    return total


def judged(row: Row) -> Row:
    """The row with its gain over the best known assignment and a verdict."""
    if "error" in row:
        return row | {"verdict": row["error"]}
    if row["method"] is None:
        return row | {"verdict": "refused"}
    row = row | {"gain": row["log p"] - row["best known"], "run s": max(row["total s"] - row["plan s"], 0.0)}
    slack = 1e-9 * max(1.0, abs(row["log p"]))
    if abs(row["log p"] - row["log p of the assignment"]) > slack:
        return row | {"verdict": "claimed value is not that of the assignment"}
    if row["gain"] < -slack:
        return row | {"verdict": "worse than the best known"}
    return row | {"verdict": "better than the best known" if row["gain"] > slack else "ok"}


def main() -> None:
    """Measure the instances asked for, or answer as a child."""
    options = arguments(__doc__)
    folder = data("uai_map")
    if options.child:
        reply(solve(folder / f"{options.child}.uai.gz"))
        return
    log = Log("uai_map", options.fresh)
    rows = []
    for path in chosen(folder.glob("*.uai.gz"), options.only):
        limits = ("uai_map.py", stem(path), SECONDS, 12 * GIB)
        rows.append(row := log.row(stem(path), lambda limits=limits: judged(in_child(*limits))))
        print(f"{row['name']}: {row['verdict']}, {row.get('total s', math.nan):.3g} s", flush=True)
    solved = sum("total s" in r for r in rows)
    report(
        "UAI MAP: log-probability against the best known assignment", COLUMNS, rows, [f"{solved} of {len(rows)} solved"]
    )
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
