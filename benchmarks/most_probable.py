"""Most probable states: what is found, and what is proven, beside toulbar2 in as many seconds.

Claim: the states found are at least as probable as the best known ones, for all 14 UAI 2014 problems, and at least nine
of these are proven the most probable within `--seconds`; every ground state of spin glasses on a torus is proven.
Beside it toulbar2 with its defaults is given the tables as the evidence leaves them, in costs so fine that rounding
takes less than 1e-4 nats. A state is proven where the bound is within 1e-4 nats of its value.

Families: UAI problems with the published assignments (several may be equally good: logarithms of unnormalized products
are compared, entry by entry from the tables as they were read), and Gaussian couplings on tori, whose ground states are
known. Of `bnlearn` networks 20 random sets of targets each (one, three, a tenth and a third of the variables in turn, a
tenth of the others observed in every second one), of `marginal` UAI problems a random third, all else summed out: exact
within a second where the width of orders that sum first is at most 18, elsewhere both ends; what an assignment is worth
is checked by log Z given it.

    python benchmarks/most_probable.py [--families uai,torus,bnlearn,marginal] [--seconds 60] [--only wcsp] [--no-peers]
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import GIB, Log, Row, arguments, chosen, data, once, report, save, stem

import tractable as tr
from tractable.extras import is_there

MEMORY, PROVEN, NARROW, SETS, LARGEST = 4 * GIB, 1e-4, 18.0, 20, 300_000
COLUMNS = {"name": "", "variables": "d", "best known": ".10g", "gain": ".4g", "gap": ".3g", "seconds": ".3g"}
SOME = {"name": "", "variables": "d", "targets": "d", "width": ".3g", "value": ".8g", "gap": ".3g", "seconds": ".3g"}
SOME |= {"method": "", "verdict": ""}
COLUMNS |= {"method": "", "toulbar2 gain": ".4g", "toulbar2 gap": ".3g", "toulbar2 seconds": ".3g", "verdict": ""}


class Case(NamedTuple):
    """A network with evidence, and the largest log product that is known."""

    net: Any
    given: dict[str, str]
    known: float
    digits: float = 0.0
    """How far the known value may be off, as published."""

    targets: tuple[str, ...] | None = None
    """Which variables are asked for; all others are summed out."""


# ---------------------------------------------------------------- families


def uai(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """UAI 2014 problems with the best known assignments."""
    for path in chosen(data("uai_map").glob("*.uai.gz"), only):
        yield stem(path), lambda path=path: published(path)


def published(path: Path) -> Case:
    """A problem, its evidence, and the value of the published assignment: a state index for each variable."""
    net = tr.load(path)
    cases = tr.read_evidence(path.with_name(f"{stem(path)}.uai.evid"), net)
    given = cases[0] if cases else {}
    words = path.with_name(f"{stem(path)}.uai.MAP").read_text().split()
    assignment = {v: net.states[v][int(k)] for v, k in zip(net.states, words[2:], strict=True)}
    broken = any(assignment[v] != state for v, state in given.items())
    return Case(net, given, math.nan if broken else log_product(net, assignment))


def torus(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Spin glasses on a torus: log p̃ = Σ J s s, whose largest value is minus the energy of the ground state."""
    with np.load(data("ising") / "torus_gaussian.npz") as found:
        arrays = dict(found)
    for side in sorted(int(name.split("_")[1]) for name in arrays if name.startswith("edges")):
        for i, (edges, couplings) in enumerate(zip(arrays[f"edges_{side}"], arrays[f"J_{side}"], strict=True)):
            known = -float(arrays[f"gs_energy_per_spin_{side}"][i]) * side**2
            if not only or any(word in f"torus_{side}_{i}" for word in only):
                yield f"torus_{side}_{i}", lambda e=edges, j=couplings, n=side**2, k=known: glass(n, e, j, k)


def glass(n: int, edges: np.ndarray, couplings: np.ndarray, known: float) -> Case:
    """Spins that like to be alike or not."""
    spins = np.array([[1.0, -1.0], [-1.0, 1.0]])
    pairs = zip(edges.tolist(), couplings.tolist(), strict=True)
    factors = [((f"s{a}", f"s{b}"), np.exp(coupling * spins)) for (a, b), coupling in pairs]
    return Case(tr.MarkovNetwork({f"s{i}": "-+" for i in range(n)}, factors), {}, known, digits=2e-6 * n)


def bnlearn(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Bayesian networks with random sets of targets."""
    for path in chosen(data("bif").glob("*.bif.gz"), only):
        net = tr.load(path)
        for i in range(SETS):
            yield f"{stem(path)} {i}", lambda net=net, i=i: some(net, {}, i)


def marginal(only: list[str]) -> Iterator[tuple[str, Callable[[], Case]]]:
    """UAI problems of log Z, a random third of the variables as targets."""
    for path in chosen(data("uai").glob("*.uai.gz"), only):
        if path.stat().st_size <= LARGEST:
            yield stem(path), lambda path=path: third(path)


def third(path: Path) -> Case:
    """A problem with its evidence."""
    net = tr.load(path)
    cases = tr.read_evidence(path.with_name(f"{stem(path)}.uai.evid"), net)
    return some(net, cases[0] if cases else {}, 3)


def some(net: Any, given: dict[str, str], i: int) -> Case:
    """The i-th set of targets, and where nothing is observed some evidence that the network itself has drawn."""
    rng, free = np.random.default_rng(i), [v for v in net.states if v not in given]
    order = [free[k] for k in rng.permutation(len(free))]
    n = min((1, 3, len(free) // 10, len(free) // 3)[i % 4] or 1, len(free))
    if not given and i % 2 == 0 and isinstance(net, tr.BayesianNetwork):
        drawn = tr.sample(net, 1, key=i)
        given = {v: str(drawn[v][0]) for v in order[n : n + len(free) // 10]}
    return Case(net, given, math.nan, targets=tuple(order[:n]))


FAMILIES = {"uai": uai, "torus": torus, "bnlearn": bnlearn, "marginal": marginal}


def log_product(net: Any, assignment: dict[str, str]) -> float:
    """log p̃(x), entry by entry from the tables as they were read."""
    tables, total = net.packed, 0.0
    index = [net.states[v].index(assignment[v]) for v in net.states]
    for j in range(tables.n_factors):
        at = 0
        for v in tables.scope(j).tolist():
            at = at * int(tables.sizes[v]) + index[v]
        value = float(tables.values[tables.value_starts[j] + at])
        total += math.log(value) if value > 0 else -math.inf
    return total


# ---------------------------------------------------------------- contestants


def ours(case: Case, seconds: float) -> Row:
    """What the library finds, and what it says of it; nothing where it refuses."""
    try:
        taken, found = once(lambda: tr.most_probable(case.net, case.given, seconds=seconds, memory=MEMORY))
    except tr.BudgetError as error:
        return {"verdict": f"refused: {str(error)[:100]}"}
    claimed, again = float(found.log_probability), log_product(case.net, found.assignment)
    row = {"seconds": taken, "method": found.plan.method, "gain": again - case.known}
    row |= {"gap": max(found.optimum.upper - again, 0.0), "upper": found.optimum.upper}
    return row | {"verdict": verdict(case, claimed, again, found.optimum.upper)}


def of_some(case: Case, seconds: float) -> Row:
    """What the library finds of some variables, and whether log Z given it says the same."""
    asked: Row = {"query": "map", "targets": case.targets, "memory": MEMORY, "seconds": seconds}
    row: Row = {"targets": len(case.targets or ())}
    row["width"] = tr.plan(case.net, case.given, **asked).width
    try:
        taken, found = once(
            lambda: tr.most_probable(case.net, case.given, targets=case.targets, seconds=seconds, memory=MEMORY)
        )
    except tr.BudgetError as error:
        return row | {"verdict": f"refused: {str(error)[:100]}"}
    except tr.ImpossibleEvidenceError:
        return row | {"verdict": "impossible"}
    value, optimum = found.log_probability, found.optimum
    again = tr.log_partition(case.net, case.given | found.assignment, seconds=seconds)
    row |= {"seconds": taken, "method": found.plan.method, "value": value.value, "gap": optimum.upper - optimum.lower}
    slack = 1e-8 * max(1.0, abs(value.value))
    if not (value.lower <= again.upper + slack and again.lower <= value.upper + slack):
        return row | {"verdict": "the assignment is not worth what is said"}
    if row["width"] <= NARROW and (optimum.kind != "exact" or taken > 1):
        return row | {"verdict": "narrow, and not exact within a second"}
    return row | {"verdict": "exact" if optimum.kind == "exact" else "both ends"}


def verdict(case: Case, claimed: float, again: float, upper: float) -> str:
    """What is wrong with an answer, or how good it is."""
    slack = 1e-9 * max(1.0, abs(again))
    if abs(claimed - again) > slack:
        return "claimed value is not that of the assignment"
    if upper < max(again, case.known - case.digits) - slack:
        return "a bound that is false"
    proven = "proven" if upper - again <= PROVEN else "found"
    if again < case.known - PROVEN:
        return f"{proven}, worse than the best known"
    return f"{proven}, better than the best known" if again > case.known + PROVEN else proven


def theirs(case: Case, seconds: float) -> Row:
    """What toulbar2 finds with its defaults."""
    from tractable.kernels import reduce
    from tractable.posterior.approximate import toulbar2

    names = list(case.net.states)
    given = np.full(len(names), -1, np.int32)
    for v, state in case.given.items():
        given[names.index(v)] = case.net.states[v].index(state)
    left = reduce(case.net.packed, given, merge=False)
    if why := toulbar2.unsuited(left.tables):
        return {"toulbar2": why}
    taken, found = once(lambda: toulbar2.solve(left.tables, seconds, MEMORY))
    gain = found.lower + left.log_constant - case.known
    return {"toulbar2 seconds": taken, "toulbar2 gain": gain, "toulbar2 gap": found.upper - found.lower}


def measured(case: Case, seconds: float, peers: bool) -> Row:
    """A row of the table."""
    row: Row = {"variables": len(case.net.states)}
    if case.targets is not None:
        return row | of_some(case, seconds)
    row |= {"best known": case.known}
    return row | ours(case, seconds) | (theirs(case, seconds) if peers else {})


def notes(rows: list[Row]) -> list[str]:
    """How many of each family were found and proven, and how long that took."""
    said = []
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        if "targets" in own[0]:
            said.append(f"{family}: {len(own)} problems; {verdicts(own)}")
            continue
        line = f"{family}: {len(own)} problems; {counts(own, '')}"
        said.append(
            f"{line}; toulbar2 {counts(own, 'toulbar2 ')}" if any("toulbar2 gap" in row for row in own) else line
        )
    return said


def verdicts(rows: list[Row]) -> str:
    """How many of each kind, and the slowest of what is narrow."""
    kinds = dict.fromkeys(row["verdict"].partition(":")[0] for row in rows)
    told = ", ".join(f"{sum(row['verdict'].startswith(kind) for row in rows)} {kind}" for kind in kinds)
    narrow = [row["seconds"] for row in rows if row["width"] <= NARROW and "seconds" in row]
    soon = f"; {len(narrow)} of a width up to {NARROW:g}, the slowest in {max(narrow):.3g} s" if narrow else ""
    late = max((row["seconds"] for row in rows if "seconds" in row), default=math.nan)
    return f"{told}{soon}; none took more than {late:.3g} s"


def counts(rows: list[Row], who: str) -> str:
    """Of one side: how many are at least the best known, how many proven and how soon."""
    found = sum(row.get(f"{who}gain", -math.inf) >= -PROVEN for row in rows)
    times = [row[f"{who}seconds"] for row in rows if row.get(f"{who}gap", math.inf) <= PROVEN]
    soon = f" in a median of {statistics.median(times):.3g} s" if times else ""
    return f"{found} at least the best known, {len(times)} proven{soon}"


def main() -> None:
    """Measure the problems asked for."""
    options = arguments(
        __doc__,
        families=("uai,torus", "which of them, also bnlearn and marginal"),
        seconds=(60.0, "for each problem and side"),
        **{"no-peers": "the library alone"},
    )
    peers = not options.no_peers and is_there("pytoulbar2")
    log = Log("most_probable", options.fresh)
    rows = []
    for family in options.families.split(","):
        for name, case in FAMILIES[family](options.only):

            def row(case: Callable[[], Case] = case, family: str = family, name: str = name) -> Row:
                return {"name": name, "family": family} | measured(case(), options.seconds, peers)

            rows.append(log.row(f"{name} {options.seconds:g}s", row))
            print(f"{name}: {rows[-1]['verdict']}, {rows[-1].get('seconds', math.nan):.3g} s", flush=True)
    missing = [] if peers or options.no_peers else ['toulbar2 is not installed: pip install "tractable[map]"']
    for some_of_them in (False, True):
        own = [row for row in rows if ("targets" in row) == some_of_them]
        if own and some_of_them:
            report("The most probable of some, all else summed out", SOME, own, notes(own))
        elif own:
            report("Most probable states: found and proven", COLUMNS, own, notes(own) + missing)
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
