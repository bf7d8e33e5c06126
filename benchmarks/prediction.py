"""What a plan predicts against what its run takes, in bytes and in seconds: bnlearn networks and UAI instances.

Claims: predicted bytes at least the measured peak and at most three times as much; predicted seconds within a factor of
four on runs above 0.1 s. Each instance is run in a process of its own; short runs are repeated and the median counts.
The cost vector of each tree is kept in the JSON rows: the constants of the cost model are fitted to them.

    python benchmarks/prediction.py [--only munin,Grids] [--evidence] [--json FILE]
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from _common import GIB, Log, Row, arguments, chosen, data, geometric_mean, in_child, once, reply, report, save, stem
from _peers import resident_peak

MEMORY = 8 * GIB
SECONDS_ABOVE, BYTES_ABOVE = 0.1, 2**20
COLUMNS = {
    "name": "",
    "query": "",
    "width": ".1f",
    "steps": "d",
    "predicted bytes": ".3g",
    "measured bytes": ".3g",
    "resident bytes": ".3g",
    "bytes ratio": ".2f",
    "predicted s": ".3g",
    "measured s": ".3g",
    "seconds ratio": ".2f",
    "remark": "",
}


def conditioned(path: Path, query: str) -> tuple[Any, Any, Any]:
    """A model, its evidence, and the tables that remain of it."""
    import tractable as tr
    from tractable.models.conditioning import one_case
    from tractable.models.pruning import left

    net = tr.load(path)
    file = path.with_name(f"{stem(path)}.uai.evid")
    cases = tr.read_evidence(file, net) if file.exists() else []
    evidence = one_case(net, cases[0] if cases else {})
    return net, evidence, left(net, evidence, query)


def child(path: Path, query: str) -> Row:
    """Plan one instance and run its tree, measuring the engine alone."""
    from tractable.plan import ask
    from tractable.plan.networks import OneCase

    net, evidence, reduced = conditioned(path, query)
    question: Any = ask(query, MEMORY)  # type: ignore[arg-type]
    seconds, plan = once(lambda: OneCase(net, evidence, question).price(question.query, None, 1.0))
    row: Row = {"query": query, "width": plan.width, "plan s": seconds, "slices": plan.slices, "method": plan.method}
    row |= {"predicted s": plan.seconds, "predicted bytes": plan.bytes}
    if plan.program is None:
        return row | {"remark": plan.method}
    row |= {"cost": plan.program.cost.tolist(), "steps": reduced.tables.n_factors - 1}
    if plan.method is None:
        return row | {"remark": "refused"}
    return row | run(reduced, plan, query == "marginals")


def run(reduced: Any, plan: Any, marginals: bool) -> Row:
    """The first run, how much memory it held, and the median of some more where it is short."""
    import numpy as np

    from tractable.posterior.exact.elimination import sum_product

    np.matmul(np.ones((512, 512)), np.ones((512, 512)))  # wakes the threads of the arithmetic library
    before = resident_peak(reset=True)
    first, result = once(lambda: sum_product(reduced, plan.program, marginals))
    row: Row = {"measured bytes": result.peak_bytes, "resident bytes": resident_peak() - before, "first s": first}
    more = [once(lambda: sum_product(reduced, plan.program, marginals))[0] for _ in range(min(21, int(2.0 / first)))]
    return row | {"measured s": statistics.median([first, *more]), "runs": 1 + len(more), "log z": result.log_z}


def judged(row: Row) -> Row:
    """The row with its ratios and a remark where a claim fails."""
    row.setdefault("remark", row.pop("error", ""))
    if "measured s" not in row:
        return row
    bytes_ratio = row["predicted bytes"] / max(row["measured bytes"], 1)
    seconds_ratio = row["predicted s"] / row["measured s"]
    wrong = []
    if bytes_ratio < 1 or (row["measured bytes"] > BYTES_ABOVE and bytes_ratio > 3):
        wrong.append("bytes")
    if row["measured s"] > SECONDS_ABOVE and not 0.25 <= seconds_ratio <= 4:
        wrong.append("seconds")
    return row | {"bytes ratio": bytes_ratio, "seconds ratio": seconds_ratio, "remark": ", ".join(wrong)}


def notes(rows: list[Row]) -> list[str]:
    """Ranges of the ratios and how many claims fail."""
    found = [r for r in rows if "measured s" in r]
    long = [r for r in found if r["measured s"] > SECONDS_ABOVE]
    large = [r for r in found if r["measured bytes"] > BYTES_ABOVE]
    below = sum(r["bytes ratio"] < 1 for r in found)
    return [
        f"bytes over {len(large)} runs above 1 MiB: predicted / measured {_range(large, 'bytes ratio')}",
        f"bytes over all {len(found)} runs: {below} predicted below the measured peak",
        f"seconds over {len(long)} runs above {SECONDS_ABOVE} s: predicted / measured {_range(long, 'seconds ratio')}",
        "outside the claims: " + (", ".join(f"{r['name']} ({r['remark']})" for r in found if r["remark"]) or "none"),
        "not run: " + (", ".join(f"{r['name']} ({r['remark']})" for r in rows if "measured s" not in r) or "none"),
    ]


def _range(rows: list[Row], name: str) -> str:
    values = [r[name] for r in rows] or [math.nan]
    return f"{min(values):.2f} to {max(values):.2f}, geometric mean {geometric_mean(values):.2f}"


def main() -> None:
    """Measure the instances asked for, or answer as a child."""
    options = arguments(__doc__, evidence="price log Z alone too", cnf="the CNF instances too")
    folders = {"bif": data("bif"), "uai": data("uai")}
    if options.child:
        kind, name, query = options.child.split(":")
        reply(child(folders[kind] / f"{name}.{kind}.gz", query))
        return
    log = Log("prediction", options.fresh)
    queries = ("marginals", "evidence") if options.evidence else ("marginals",)
    rows = []
    for query in queries:
        for kind, folder in folders.items():
            for path in chosen(folder.glob(f"*.{kind}.gz"), options.only):
                if options.cnf or "cnf" not in path.name:
                    task = f"{kind}:{stem(path)}:{query}"
                    limit = ("prediction.py", task, 300.0, 14 * GIB)
                    made = log.row(task, lambda a=limit, p=path: judged(in_child(*a) | {"name": stem(p)}))
                    rows.append(made)
                    print(
                        f"{made['name']} {query}: {made.get('seconds ratio', math.nan):.2f} {made['remark']}",
                        flush=True,
                    )
    report("Prediction: bytes and seconds, predicted against measured", COLUMNS, rows, notes(rows))
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
