"""The kernels in a page against the same kernels in Python: all marginals of a network given a piece of evidence.

Both are asked for the same, the page's engine in node. The time of a page is that of the whole reply, without drawing;
that of Python is that of the verb. Claim: a page takes at most three times as long.

    python benchmarks/wasm.py [--only alarm,munin] [--json FILE]
"""

from __future__ import annotations

import sys
from typing import Any

from _common import HERE, Row, arguments, chosen, data, geometric_mean, once, report, save, stem

sys.path.insert(0, str(HERE.parent / "tests"))
from engine import Engine, node, numbered

ROUNDS = 20
NETWORKS = ("asia", "alarm", "hailfinder", "win95pts", "pigs", "munin1", "munin", "barley", "link")
COLUMNS = {"name": "", "width": ".1f", "page ms": ".3f", "Python ms": ".3f", "ratio": ".2f", "foreseen ms": ".3f"}


def measure(engine: Engine, path: Any) -> Row:
    """The best of several answers of each."""
    import tractable as tr

    net = tr.load(path)
    drawn, names = tr.sample(net, 1, key=3), list(net.states)
    evidence = {v: str(drawn[v][0]) for v in names[2 :: max(len(names) // 4, 1)]}
    message = {"verb": "infer", "evidence": numbered(net, evidence), "seconds": 60}
    (found,) = engine.ask(net, [message], times=ROUNDS)
    native = min(once(lambda: tr.infer(net, evidence, method="exact"))[0] for _ in range(ROUNDS))
    return {
        "name": stem(path),
        "width": found["plan"]["width"],
        "page ms": 1e3 * found["best"],
        "Python ms": 1e3 * native,
        "ratio": found["best"] / native,
        "foreseen ms": 1e3 * found["plan"]["seconds"],
    }


def main() -> None:
    """Measure the networks asked for."""
    options = arguments(__doc__)
    if (command := node()) is None:
        print("node is not here; nothing measured")
        return
    engine, rows = Engine(command), []
    for path in chosen(data("bif").glob("*.bif.gz"), options.only or NETWORKS):
        if options.only or stem(path) in NETWORKS:
            rows.append(row := measure(engine, path))
            print(row, flush=True)
    engine.close()
    mean = geometric_mean(row["ratio"] for row in rows)
    worst = max((row["ratio"] for row in rows), default=0)
    notes = [f"geometric mean of the ratios {mean:.2f}", f"at most three times: {'holds' if worst <= 3 else 'FAILS'}"]
    report("wasm: the kernels in a page against Python", COLUMNS, rows, notes)
    save(options.json, rows, notes=notes)


if __name__ == "__main__":
    main()
