"""10,000 evidence rows over alarm, all marginals of each: one batch against a loop over the rows in pyAgrum and pgmpy.

Claim: at least 100 times faster than the pyAgrum loop. 10 % of the cells are observed, at random, with the states of
joint samples. The peers are timed on the first rows (pyAgrum 500, pgmpy 20) and extrapolated row by row; the answers to
these rows are compared. Two pyAgrum loops are timed: a new engine for each row, and one whose evidence is replaced.
pgmpy's BeliefPropagation takes a minute for a single marginal here and joins with ``--all``.

    python benchmarks/evidence_rows.py [--only hailfinder] [--all] [--json FILE]
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from _common import GIB, Log, Row, arguments, chosen, data, in_child, once, reply, report, save, stem
from _peers import agrum_marginals, agrum_network, pgmpy_network

NETWORKS, ROWS, SHARE, SEED = ("alarm",), 10_000, 0.1, 7
AGRUM_ROWS, PGMPY_ROWS, ROUNDS = 500, 20, 5
COLUMNS = {"network": "", "method": "", "rows timed": "d", "ms per row": ".4f", "all rows s": ".3f", "ratio": ".1f"}
COLUMNS |= {"max difference": ".1e"}


def evidence(net: Any) -> Any:
    """Rows of state indices [n_rows, n_variables] with −1 where nothing is observed."""
    import numpy as np

    import tractable as tr

    rng = np.random.default_rng(SEED)
    joint = tr.sample(net, ROWS, key=rng, codes=True)
    states = np.column_stack([joint[v] for v in net.states])
    return np.where(rng.random(states.shape) < SHARE, states, -1)


def case(rows: Any, i: int) -> dict[int, int]:
    """One row as variable index → state index."""
    return {v: int(s) for v, s in enumerate(rows[i]) if s >= 0}


def columns(net: Any, rows: Any) -> dict[str, list[str | None]]:
    """The rows as variable → names of states, as users have them."""
    return {v: [names[s] if s >= 0 else None for s in rows[:, i]] for i, (v, names) in enumerate(net.states.items())}


def batch(net: Any, cases: Any) -> list[Any]:
    """All rows at once, reading their names included: an array [n_rows, n_states] for each variable."""
    import tractable as tr

    post = tr.infer(net, cases)
    return [post.marginals.array(v) for v in net.states]


def measure_ours(net: Any, rows: Any) -> tuple[Row, list[Any]]:
    """Median of the batch over all rows."""
    cases = columns(net, rows)
    first, answer = once(lambda: batch(net, cases))
    seconds = statistics.median(once(lambda: batch(net, cases))[0] for _ in range(ROUNDS))
    row = {"method": "tractable, batch", "rows timed": ROWS, "all rows s": seconds, "first s": first}
    return row | {"ms per row": seconds / ROWS * 1e3}, answer


def measure_loop(net: Any, rows: Any) -> Row:
    """Our own loop, one row at a time."""
    import tractable as tr

    names = list(net.states)
    cases = [{names[v]: net.states[names[v]][s] for v, s in case(rows, i).items()} for i in range(AGRUM_ROWS)]

    def loop() -> None:
        for given in cases:
            post = tr.infer(net, given)
            for v in names:
                post.marginals.array(v)

    loop()
    return _loop_row("tractable, loop", AGRUM_ROWS, statistics.median(once(loop)[0] for _ in range(ROUNDS)))


def measure_agrum(net: Any, rows: Any, ours: list[Any]) -> list[Row]:
    """The two ways to loop in pyAgrum."""
    import pyagrum as gum

    bn = agrum_network(net)
    engine = gum.LazyPropagation(bn)

    def anew() -> list[list[Any]]:
        return [agrum_marginals(bn, case(rows, i)) for i in range(AGRUM_ROWS)]

    def replaced() -> list[list[Any]]:
        out = []
        for i in range(AGRUM_ROWS):
            engine.setEvidence(case(rows, i))
            engine.makeInference()
            out.append([gum.Tensor(engine.posterior(v)) for v in bn.nodes()])
        return out

    found = []
    for name, loop in (
        ("new engine", anew),
        ("kept engine", replaced),
    ):
        answer = loop()
        seconds = statistics.median(once(loop)[0] for _ in range(3))
        difference = _difference(ours, [[t.toarray() for t in row] for row in answer])
        found.append(
            _loop_row(f"pyAgrum LazyPropagation, {name}", AGRUM_ROWS, seconds) | {"max difference": difference}
        )
    return found


def measure_pgmpy(net: Any, rows: Any, ours: list[Any]) -> Row:
    """VariableElimination, all unobserved marginals of some rows."""
    from pgmpy.inference import VariableElimination

    bn = pgmpy_network(net)
    seconds, answer = once(
        lambda: [_pgmpy_row(VariableElimination(bn), case(rows, i), ours) for i in range(PGMPY_ROWS)]
    )
    return _loop_row("pgmpy VariableElimination", PGMPY_ROWS, seconds) | {"max difference": _difference(ours, answer)}


def belief_propagation(path: Path) -> Row:
    """pgmpy's BeliefPropagation: building, calibrating and one marginal of one row; it answers each query apart."""
    from pgmpy.inference import BeliefPropagation

    import tractable as tr

    net: Any = tr.load(path)
    rows, bn = evidence(net), pgmpy_network(net)
    given = case(rows, 0)
    build, engine = once(lambda: BeliefPropagation(bn))
    calibrate, _ = once(engine.calibrate)
    target = next(v for v in range(len(net.states)) if v not in given)
    query, _ = once(lambda: engine.query([target], evidence=given, show_progress=False))
    return {"build s": build, "calibrate s": calibrate, "query s": query, "variables": len(net.states)}


def measure_propagation(name: str) -> Row:
    """One row of BeliefPropagation from one of its queries, in a child for it may never end."""
    found = in_child("evidence_rows.py", name, 600.0, 14 * GIB)
    row = {"method": "pgmpy BeliefPropagation (one query timed)", "rows timed": 1}
    if "error" in found:
        return row | {"remark": found["error"]}
    per_row = found["query s"] * found["variables"] * (1 - SHARE)
    return row | {"ms per row": per_row * 1e3, "all rows s": per_row * ROWS, "detail": found}


def _pgmpy_row(engine: Any, given: dict[int, int], ours: list[Any]) -> list[Any]:
    """Every marginal of a row, the observed ones written down."""
    import numpy as np

    free = [v for v in range(len(ours)) if v not in given]
    out = [np.eye(a.shape[1])[given[v]] if v in given else None for v, a in enumerate(ours)]
    for v in free:
        out[v] = engine.query([v], evidence=given, show_progress=False).values
    return out


def _difference(ours: list[Any], theirs: list[list[Any]]) -> float:
    import numpy as np

    return max(float(np.abs(a[i] - row[v]).max()) for i, row in enumerate(theirs) for v, a in enumerate(ours))


def _loop_row(method: str, timed: int, seconds: float) -> Row:
    return {
        "method": method,
        "rows timed": timed,
        "ms per row": seconds / timed * 1e3,
        "all rows s": seconds / timed * ROWS,
    }


def measure(path: Path, propagation: bool) -> list[Row]:
    """Every method on one network, with ratios to our batch."""
    import tractable as tr

    net = tr.load(path)
    rows = evidence(net)
    mine, answer = measure_ours(net, rows)
    found = [mine, measure_loop(net, rows), *measure_agrum(net, rows, answer), measure_pgmpy(net, rows, answer)]
    if propagation:
        found.append(measure_propagation(stem(path)))
    ratios = [{"ratio": r["all rows s"] / mine["all rows s"]} if "all rows s" in r else {} for r in found]
    return [{"network": stem(path)} | r | ratio for r, ratio in zip(found, ratios, strict=True)]


def main() -> None:
    """Measure alarm, or the networks asked for."""
    options = arguments(__doc__, all="pgmpy's BeliefPropagation too")
    if options.child:
        reply(belief_propagation(data("bif") / f"{options.child}.bif.gz"))
        return
    log = Log("evidence_rows", options.fresh)
    rows: list[Row] = []
    for path in chosen(data("bif").glob("*.bif.gz"), options.only or NETWORKS):
        rows += log.row(stem(path), lambda path=path: {"rows": measure(path, options.all)})["rows"]
    notes = [f"all rows: {ROWS:,}; where fewer were timed, extrapolated; ratio: against the batch"]
    report("Evidence rows: all marginals of each row, batch against loops", COLUMNS, rows, notes)
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
