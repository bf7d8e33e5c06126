"""Intervals where exact answers are too expensive: how wide after so many seconds, how far off, and what peers give.

Claim: from call to answer, planning included, the 95 % interval of log Z has at most the width in the column `target`
(10 and 60 seconds) and holds the known value; log Z and marginals are nearer than those of loopy belief propagation and
of the samplers of pyAgrum and pgmpy in as many seconds. Every UAI problem gets an answer.

Families: planar Ising models, whose log Z is known by a determinant and whose marginals are all 1/2 by symmetry; some
of them with a spin that is observed, a bipartite network 17 wide, UAI grids and a pedigree, with memory for far smaller
tables than they need, beside exact answers; all UAI problems as they come (`uai`, without peers). Samplers of the peers
take Bayesian networks: a table of an undirected one is a child that was observed, of which P(seen | scope) is the table
over its largest entry. log Z is then log P(seen) and constants; of the peers only pgmpy's likelihood weighting
estimates it.

    python benchmarks/approximate.py [--families planar,rbm,forced,clamped,uai] [--seconds 10,60]
        [--only gauss1] [--no-peers]
"""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

import numpy as np  # noqa: E402
from _common import Log, Row, arguments, chosen, data, once, report, save, stem  # noqa: E402
from _peers import agrum_network, pgmpy_network  # noqa: E402
from uai_instances import RECOMPUTED  # noqa: E402

import tractable as tr  # noqa: E402

Marginals = dict[str, np.ndarray]
FORCED = {"Grids_11": 16, "Grids_13": 16, "Grids_15": 16, "Grids_17": 16, "linkage_23": 14}
"""UAI problem → log2 of the entries that a table may have."""


class Case(NamedTuple):
    """A network with evidence, what is known of it, the memory that it gets, and the widths that are wanted."""

    family: str
    net: Any
    given: dict[str, Any]
    log_z: float | None
    marginals: Callable[[], Marginals | None]
    memory: Any = None
    targets: tuple[float, float] | None = None
    digits: float = 0.0
    """How far the known value may be off, as published."""


# ---------------------------------------------------------------- families


def planar(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Ising models on squares, without fields."""
    folder = data("planar")
    rows = (line.split("\t") for line in (folder / "planar.logZ.tsv").read_text().splitlines()[1:])
    known = {name: float(value) for name, value in rows}
    wanted = {"gauss0.5_32": (0.7, 0.3), "gauss0.5_50": (2, 0.7), "ferro0.44_32": (0.7, 0.3), "ferro0.44_50": (2, 0.7)}
    wanted |= {"gauss1_32": (3, 1.5), "gauss1_50": (10, 6), "pmj1_32": (10, 6)}
    for path in chosen(folder.glob("*.uai.gz"), only):
        name = stem(path)
        target = next((widths for part, widths in wanted.items() if part in name), None)

        def case(path: Path = path, name: str = name, target: Any = target) -> Case:
            net = tr.load(path)
            half = {v: np.array([0.5, 0.5]) for v in net.states}
            return Case("planar", net, {}, known.get(name), lambda: half, targets=target)

        yield name, case


def bipartite(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Like a restricted Boltzmann machine, 17 units on its smaller side, with memory for tables of 2^14 entries."""

    def case() -> Case:
        rng, m, n = np.random.default_rng(0), 17, 60
        names = [f"h{i}" for i in range(m)] + [f"v{j}" for j in range(n)]
        weights = rng.normal(size=(m, n)) * 0.5
        factors: list[Any] = [((v,), np.exp([0.0, 0.3 * rng.normal()])) for v in names]
        pairs = [(i, j) for i in range(m) for j in range(n)]
        factors += [((f"h{i}", f"v{j}"), [[1, 1], [1, math.exp(weights[i, j])]]) for i, j in pairs]
        net = tr.MarkovNetwork(dict.fromkeys(names, "01"), factors)
        return exactly("rbm", net, {}, 14, (0.01, 0.003))

    if not only or any(word in "rbm_17" for word in only):
        yield "rbm_17", case


def forced(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """UAI problems with memory for smaller tables than exact answers take."""
    for path in chosen(data("uai").glob("*.uai.gz"), only):
        name = stem(path)
        if name in FORCED:
            yield (
                f"{name} forced",
                lambda path=path, name=name: exactly(
                    "forced", *problem(path), FORCED[name], (0.2, 0.05) if "linkage" in name else (0.5, 0.1)
                ),
            )


def clamped(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Squares of spins of which the first is observed, so that no symmetry tells the marginals; tables of 2^12."""
    for path in chosen(data("planar").glob("*20x20*.uai.gz"), only):

        def case(path: Path = path) -> Case:
            net = tr.load(path)
            first = next(iter(net.states))
            return exactly("clamped", net, {first: net.states[first][0]}, 12, (math.inf, math.inf))

        yield f"{stem(path)} clamped", case


def problem(path: Path) -> tuple[Any, dict[str, Any]]:
    """A UAI problem with its evidence."""
    net = tr.load(path)
    evidence = path.with_name(f"{stem(path)}.uai.evid")
    cases = tr.read_evidence(evidence, net) if evidence.exists() else []
    return net, cases[0] if cases else {}


def exactly(family: str, net: Any, given: dict[str, Any], log2: int, targets: tuple[float, float]) -> Case:
    """A case with its exact answers, and memory for parts with tables of at most so many entries."""
    post = tr.infer(net, given, method="exact", seconds=3600)
    marginals = {v: post.marginals.array(v) for v in net.states if v not in given}
    memory = held(net, given, log2)
    return Case(family, net, given, post.log_partition.value, lambda: marginals, memory, targets)


def held(net: Any, given: dict[str, Any], log2: int) -> float:
    """The memory in which parts have tables of at most 2^log2 entries, for the first order of the race."""
    from tractable.kernels import Scopes
    from tractable.kernels.mini_buckets import MiniBuckets
    from tractable.models.evidence import parse_evidence
    from tractable.models.pruning import left
    from tractable.plan.interval_memory import room_for
    from tractable.plan.mini_buckets import CORES, eliminating, orders

    tables = left(net, parse_evidence(net.states, given), "marginals").tables
    order = eliminating(Scopes(tables.sizes, tables.scope_starts, tables.scopes), next(orders()))
    price = None if order is None else MiniBuckets(tables, order, 2**log2, 0).price()
    if price is None:
        raise RuntimeError(f"no parts with tables of 2^{log2} entries")
    plenty, sizes = 2.0**50, tables.sizes
    return CORES * price.bytes + plenty - room_for(plenty, sizes, len(sizes), sizes).tables


def uai(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """All UAI problems, as they come."""
    for path in chosen(data("uai").glob("*.uai.gz"), only):
        published = path.with_name(f"{stem(path)}.uai.PR")

        def case(path: Path = path, published: Path = published) -> Case:
            if not published.exists():
                return Case("uai", *problem(path), None, lambda: None)
            text = RECOMPUTED.get(stem(path), published.read_text().split()[-1])
            digits = max(10.0 ** -len(text.partition(".")[2]), 1e-5 * abs(float(text))) if text != "-inf" else 0.0
            known = float(text) * math.log(10)
            return Case("uai", *problem(path), known, lambda: None, digits=math.log(10) * digits)

        yield stem(path), case


FAMILIES = {"planar": planar, "rbm": bipartite, "forced": forced, "clamped": clamped, "uai": uai}


# ---------------------------------------------------------------- what is measured


def hellinger(found: Marginals, truth: Marginals | None) -> float | None:
    """The mean over variables of the Hellinger distance of their marginals."""
    both = [v for v in truth or {} if v in found]
    if truth is None or not both:
        return None
    overlap = [np.sqrt(np.clip(found[v], 0, None) * truth[v]).sum() for v in both]
    return float(np.mean([math.sqrt(max(1 - b, 0.0)) for b in overlap]))


def off(found: float, truth: float | None) -> float | None:
    """How far an estimate of log Z is off."""
    return None if truth is None else abs(found - truth)


def ours(case: Case, seconds: float, how: dict[str, Any]) -> Row:
    """One interval, from call to answer."""
    wall, post = once(lambda: tr.infer(case.net, case.given, memory=case.memory, seconds=seconds, **how))
    found = post.log_partition
    row: Row = {"method": post.plan.method, "wall": wall, "log Z": float(found.value), "known": case.log_z}
    row |= {"width": float(found.upper - found.lower), "error": off(found.value, case.log_z), "verdict": found.verdict}
    if case.log_z is not None:
        slack = max(case.digits, 1e-9 * abs(case.log_z)) if math.isfinite(case.log_z) else 0.0
        row["holds"] = "yes" if found.lower - slack <= case.log_z <= found.upper + slack else "NO"
    if found.value == -math.inf:
        return row
    free = [v for v in case.net.states if v not in case.given]
    told = {v: post.certificates(v) for v in free if v not in post.refused}
    row["marginal width"] = float(np.mean([np.max(c.upper - c.lower) for c in told.values()])) if told else None
    truth = case.marginals()
    if truth is not None:
        row["Hellinger"] = hellinger({v: np.asarray(c.value) for v, c in told.items()}, truth)
        inside = [(c.lower - 1e-9 <= truth[v]).all() and (truth[v] <= c.upper + 1e-9).all() for v, c in told.items()]
        row["holds"] = row["holds"] if all(inside) else "NO"
    return row


def directed(case: Case) -> tuple[Any, dict[int, int], float]:
    """The network as a Bayesian one, the states that are observed by number, and what log P(seen) lacks to log Z."""
    net, given = case.net, {v: case.net.states[v].index(s) for v, s in case.given.items()}
    names = list(net.states)
    if isinstance(net, tr.BayesianNetwork):
        return net, {names.index(v): s for v, s in given.items()}, 0.0
    states = {v: list(s) for v, s in net.states.items()}
    parents: dict[str, list[str]] = {v: [] for v in names}
    tables: dict[str, Any] = {v: np.full(len(s), 1 / len(s)) for v, s in states.items()}
    constant = sum(math.log(len(s)) for s in states.values())
    for j, factor in enumerate(net.factors):
        name, table = f"seen{j}", np.asarray(factor.table, float)
        top = table.max()
        constant += math.log(top)
        states[name], parents[name] = ["yes", "no"], list(factor.scope)
        tables[name] = np.stack([table / top, 1 - table / top], -1)
    whole = tr.BayesianNetwork(states, parents, tables)
    seen = {names.index(v): s for v, s in given.items()} | dict.fromkeys(range(len(names), len(states)), 0)
    return whole, seen, constant


def agrum(case: Case, seconds: float) -> Iterator[tuple[str, Row]]:
    """Marginals of pyAgrum: loopy belief propagation, and its samplers for as many seconds."""
    import pyagrum as gum

    whole, seen, _ = directed(case)
    bn, truth, names = agrum_network(whole), case.marginals(), list(case.net.states)
    gum.setNumberOfThreads(2)
    for kind in ("LoopyBeliefPropagation", "GibbsSampling", "ImportanceSampling", "WeightedSampling"):
        engine = getattr(gum, kind)(bn)
        engine.setEvidence(dict(seen))
        engine.setEpsilon(1e-9)
        engine.setMinEpsilonRate(1e-9)
        engine.setMaxTime(seconds)
        engine.setMaxIter(10**9)
        if kind == "GibbsSampling":
            engine.setBurnIn(100)  # which no limit of time ends

        def answer(engine: Any = engine) -> Row:
            wall, _ = once(engine.makeInference)
            free = [v for v in names if names.index(v) not in seen]
            found = {v: np.asarray(engine.posterior(names.index(v)).toarray(), float) for v in free}
            return {"wall": wall, "Hellinger": hellinger(found, truth)}

        yield f"pyAgrum {kind}", limited(answer, 3 * seconds + 20)


def pgmpy(case: Case, seconds: float) -> Iterator[tuple[str, Row]]:
    """Likelihood weighting and Gibbs sampling of pgmpy, as much as fits into the seconds."""
    import logging

    import pgmpy.sampling  # which says here whether it is there  # noqa: F401

    logging.disable(logging.WARNING)
    for name, call in (("pgmpy weighting", weighted), ("pgmpy GibbsSampling", chains)):

        def answer(call: Callable[[Case, float], Row] = call) -> Row:
            wall, row = once(lambda: call(case, seconds))
            return {"wall": wall, **row}

        yield name, limited(answer, 3 * seconds + 20)


def weighted(case: Case, seconds: float) -> Row:
    """Likelihood weighting of pgmpy, at least ten draws."""
    from pgmpy.factors.discrete import State
    from pgmpy.sampling import BayesianModelSampling

    whole, seen, constant = directed(case)
    names, evidence = list(case.net.states), [State(v, s) for v, s in seen.items()]
    sampler, size, weights = BayesianModelSampling(pgmpy_network(whole)), 10, np.empty(0)
    sums = {v: np.zeros(len(case.net.states[v])) for v in names if names.index(v) not in seen}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not len(weights):
        drawn = sampler.likelihood_weighted_sample(evidence=evidence, size=size, show_progress=False)
        w, size = drawn["_weight"].to_numpy(float), 2 * size
        weights = np.concatenate([weights, w])
        for v, total in sums.items():
            total += np.bincount(drawn[names.index(v)].to_numpy().astype(int), w, minlength=len(total))
    if not weights.sum() > 0:
        return {"verdict": f"all of {len(weights)} weights are zero in floating point"}
    log_z = math.log(weights.mean()) + constant
    found = {v: total / total.sum() for v, total in sums.items()}
    return {"error": off(log_z, case.log_z), "Hellinger": hellinger(found, case.marginals())}


def chains(case: Case, seconds: float) -> Row:
    """Gibbs sampling of pgmpy, which takes no evidence: of a Markov network itself."""
    from pgmpy.factors.discrete import State
    from pgmpy.sampling import GibbsSampling

    if case.given or isinstance(case.net, tr.BayesianNetwork):
        return {"verdict": "its chains take no evidence"}
    counts = {v: np.zeros(len(s)) for v, s in case.net.states.items()}
    start, end = [State(v, 0) for v in counts], time.perf_counter() + seconds
    model = GibbsSampling(tr.to_pgmpy(case.net))
    while True:
        drawn = model.sample(start_state=start, size=20)
        for v, own in counts.items():
            own += np.bincount(drawn[v].to_numpy().astype(int), minlength=len(own))
        start = [State(v, int(drawn[v].iloc[-1])) for v in counts]
        if time.perf_counter() > end:
            return {"Hellinger": hellinger({v: c / c.sum() for v, c in counts.items()}, case.marginals())}


def limited(answer: Callable[[], Row], seconds: float) -> Row:
    """What a peer makes of it in a process of its own, which ends where the peer keeps to no limit of time."""
    context = multiprocessing.get_context("fork")
    hear, tell = context.Pipe(duplex=False)

    def run() -> None:
        try:
            tell.send(answer())
        except Exception as error:  # whatever a peer makes of it is its answer
            tell.send({"verdict": f"{type(error).__name__}: {str(error)[:80]}"})

    process = context.Process(target=run)
    process.start()
    tell.close()
    try:
        return hear.recv() if hear.poll(seconds) else {"verdict": f"no answer in {seconds:.0f} s"}
    except EOFError:
        return {"verdict": "its process died"}
    finally:
        process.kill()
        process.join()


def loopy(case: Case) -> tuple[str, Row]:
    """Our own loopy belief propagation: Bethe's log Z, which has no end."""
    wall, post = once(lambda: tr.infer(case.net, case.given, method="belief_propagation"))
    found = {v: post.marginals.array(v) for v in case.net.states if v not in case.given}
    row: Row = {"wall": wall, "error": off(float(post.log_partition), case.log_z)}
    return "belief propagation", row | {"Hellinger": hellinger(found, case.marginals()), "verdict": "no end"}


def measured(case: Case, seconds: float, peers: bool) -> Row:
    """Ours and, where they are wanted, what others give of it in as many seconds."""
    how = {"method": "auto" if case.family == "uai" else "mini_buckets"}
    row = {"seconds": seconds} | ours(case, seconds, how)
    if case.targets is not None:
        row["target"] = case.targets[0] if seconds < 30 else case.targets[1]
    if peers and case.family != "uai":
        row["others"] = dict([loopy(case)])
        for found in (agrum, pgmpy):
            try:
                row["others"] |= dict(found(case, seconds))
            except ImportError as error:
                row["others"][found.__name__] = {"verdict": str(error)}
    return row


# ---------------------------------------------------------------- report

COLUMNS = {
    "name": "",
    "seconds": ".0f",
    "method": "",
    "wall": ".2f",
    "log Z": ".6g",
    "width": ".3g",
    "target": ".3g",
    "error": ".2g",
    "holds": "",
    "marginal width": ".2g",
    "Hellinger": ".1e",
}


def lines(rows: list[Row]) -> list[Row]:
    """A line for each of ours, and under it those of the peers."""
    out: list[Row] = []
    for row in rows:
        out.append(row | {"name": row["key"].rpartition(" ")[0]})
        out += [{"name": "", "method": name, **own} for name, own in row.get("others", {}).items()]
    return out


def notes(rows: list[Row]) -> list[str]:
    """Medians, and whether every claim holds."""
    told = []
    for seconds in dict.fromkeys(row["seconds"] for row in rows):
        own = [row for row in rows if row["seconds"] == seconds]
        widths = [row["width"] for row in own if row["method"] == "mini_buckets"]
        wanted = [row for row in own if "target" in row]
        missed = [row["key"] for row in wanted if not row["width"] <= row["target"]]
        wrong = [row["key"] for row in own if row.get("holds") == "NO"]
        late = statistics.median(row["wall"] for row in own)
        width, most = statistics.median(widths or [0]), max(row["wall"] for row in own)
        told += [
            f"{seconds:g} s: median width {width:.3g} of {len(widths)} intervals,"
            f" answered in {late:.3g} s (most {most:.3g})",
            f"{seconds:g} s: targets met {len(wanted) - len(missed)} of {len(wanted)},"
            f" not: {', '.join(missed) or 'none'}; missed the known value: {', '.join(wrong) or 'none'}",
        ]
    for name in dict.fromkeys(name for row in rows for name in row.get("others", {})):
        both = [(row, row["others"][name]) for row in rows if name in row.get("others", {})]
        for figure in ("error", "Hellinger"):
            pairs = [(a[figure], b[figure]) for a, b in both if None not in (a.get(figure), b.get(figure))]
            if pairs:
                mine, theirs = (statistics.median(p) for p in zip(*pairs, strict=True))
                better = sum(a <= b for a, b in pairs)
                told.append(f"{name}: {figure} {theirs:.2g} (ours {mine:.2g}; better in {better} of {len(pairs)})")
    return told


def main() -> None:
    """Measure what is asked for."""
    switches = {"families": (",".join(FAMILIES), "families"), "seconds": ("10,60", "seconds of an interval")}
    options = arguments(__doc__, **switches, **{"no-peers": "ours alone"})
    log, rows = Log("approximate", options.fresh), []
    tr.infer(tr.MarkovNetwork({"a": "01"}, [("a", np.ones(2))]), method="mini_buckets", draws=10)  # loads what is late
    for family in options.families.split(","):
        for name, make in FAMILIES[family](options.only):
            made: list[Case] = []  # once for all seconds, and not at all where every row is logged
            for seconds in map(float, options.seconds.split(",")):

                def row(seconds: float = seconds, make: Any = make, made: list[Case] = made) -> Row:
                    made[:] = made or [make()]
                    return measured(made[0], seconds, not options.no_peers)

                key = f"{name} {seconds:g}s"
                rows.append(log.row(key, row))
                print(f"{key}: width {rows[-1]['width']:.3g} in {rows[-1]['wall']:.3g} s", flush=True)
    report("Intervals: networks too expensive for exact answers", COLUMNS, lines(rows), notes(rows))
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
