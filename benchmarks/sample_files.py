"""Public sample files: what pgmpy and pyAgrum read of them, and whether we read the same.

Claim: each file that one of them reads we read too, or refuse with line and reason; tables agree, and so do marginals,
a priori and with a tenth of the variables observed (three samples of the network), to 1e-6. The files are those that
ship with pgmpy and those of the data folders ``bif`` and ``networks``. Rows of the peers are divided by their sums.
Marginals of pyAgrum are by lazy propagation, those of pgmpy (ten, of networks of up to 100 variables) by variable
elimination; each on what it read itself. A peer that is not there, or takes more than two minutes, is said.

    python benchmarks/sample_files.py [--only asia,dog] [--json FILE]
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _common import GIB, Log, Row, arguments, chosen, data, in_child, reply, report, save

LIMIT = 120.0
TOLERANCE = 1e-6
SMALL = 100
"""Variables of a network whose marginals pgmpy computes in reasonable time."""

COLUMNS = {"name": "", "ours": "", "pyAgrum": "", "tables": ".0e", "marginals": ".0e", "pgmpy": ""}
COLUMNS |= {"tables ": ".0e", "marginals ": ".0e"}
PEERS = ("pyAgrum", "pgmpy")
EXTENSIONS = (".bif", ".bifxml", ".net", ".xdsl", ".dsl", ".uai")

Cases = list[dict[str, str]]
Marginals = Callable[[dict[str, str]], Iterator[tuple[str, np.ndarray]]]


def files() -> list[Path]:
    """The sample files, those of pgmpy under the same names as in the data folder only once where they are the same."""
    found = [
        *data("bif").glob("*.gz"),
        *(p for p in data("networks").glob("*.gz") if Path(p.stem).suffix in EXTENSIONS),
    ]
    if spec := find_spec("pgmpy"):
        known = {path.read_bytes() for path in found}
        shipped = Path(spec.submodule_search_locations[0], "utils", "example_models").glob("*.gz")  # type: ignore[index]
        found += [path for path in shipped if path.read_bytes() not in known]
    return sorted(found)


def axes(table: np.ndarray, order: list[str], wanted: list[str]) -> np.ndarray:
    """A table of a peer with our axes, its rows divided by their sums."""
    rows = np.transpose(table, [order.index(v) for v in wanted])
    return rows / rows.sum(-1, keepdims=True)


def agrum(path: str) -> tuple[dict[str, Any], Marginals]:
    """Variable → states, family and table as pyAgrum reads them, and its marginals."""
    import pyagrum as gum

    bn = gum.loadBN(path)
    tables = {}
    for v in bn.names():
        cpt = bn.cpt(v)
        cpt.normalizeAsCPT()
        tables[v] = (list(bn.variable(v).labels()), list(cpt.names[::-1]), cpt.toarray())

    def marginals(case: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        engine = gum.LazyPropagation(bn)
        engine.setEvidence(case)
        engine.makeInference()
        return ((v, engine.posterior(v).toarray()) for v in tables if v not in case)

    return tables, marginals


def pgmpy(path: str) -> tuple[dict[str, Any], Marginals]:
    """The same of pgmpy."""
    import logging

    from pgmpy.inference import VariableElimination
    from pgmpy.readwrite import BIFReader, XDSLReader, XMLBIFReader

    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    read = {".bif": BIFReader, ".bifxml": XMLBIFReader, ".xdsl": XDSLReader}[Path(path).suffix]
    model: Any = read(path).get_model()
    cpds = {v: model.get_cpds(v) for v in model.nodes()}
    tables = {v: (list(c.state_names[v]), list(c.variables), c.values) for v, c in cpds.items()}

    def marginals(case: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        free = [v for v in tables if v not in case][:10] if len(tables) <= SMALL else []
        engine: Any = VariableElimination(model)
        found = ((v, engine.query([v], case, show_progress=False)) for v in free)
        return ((v, f.values[[f.state_names[v].index(s) for s in tables[v][0]]]) for v, f in found)

    return tables, marginals


def compared(net: Any, tables: Mapping[str, Any], marginals: Marginals, cases: Cases) -> Row:
    """The largest differences of tables and of marginals; an error where names differ."""
    import tractable as tr

    if {v: list(states) for v, states in net.states.items()} != {v: states for v, (states, *_) in tables.items()}:
        return {"said": "other names"}
    worst = 0.0
    for v, (_, family, table) in tables.items():
        wanted = [*net.parents[v], v]
        if set(family) != set(wanted):
            return {"said": f"other parents of {v}"}
        worst = max(worst, float(np.abs(axes(table, family, wanted) - net.tables[v]).max()))
    row: Row = {"said": "read", "tables": worst}
    for case in cases:
        ours = tr.infer(net, case).marginals
        differences = [float(np.abs(p - list(ours[v].values())).max()) for v, p in marginals(case)]
        if differences:
            row["marginals"] = max(row.get("marginals", 0.0), *differences)
    return row


def observed(net: Any) -> Cases:
    """Nothing, and a tenth of the variables as three samples of the network have them."""
    import tractable as tr

    rng, names = np.random.default_rng(0), list(net.states)
    chosen = [rng.choice(names, max(len(names) // 10, 1), replace=False).tolist() for _ in range(3)]
    drawn = [tr.sample(net, 1, key=key) for key in range(3)]
    return [{}, *({v: str(row[v][0]) for v in own} for row, own in zip(drawn, chosen, strict=True))]


def child(task: str) -> Row:
    """One peer, or ours, on one file: ``path|reader``."""
    import tractable as tr

    packed, _, which = task.partition("|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(packed).name.removesuffix(".gz")
        path.write_bytes(gzip.decompress(Path(packed).read_bytes()))
        try:
            net = tr.load(path)
            ours = f"{len(net.states)} variables"
        except tr.FormatError as error:
            net, ours = None, f"refused: {str(error).removeprefix(folder + '/')}"
        try:
            tables, marginals = {"pyAgrum": agrum, "pgmpy": pgmpy}[which](str(path))
        except ImportError:
            return {"ours": ours, "said": "not there"}
        except Exception as error:  # peers raise what they like
            return {"ours": ours, "said": f"refuses: {' '.join(str(error).split())[-80:]}"}
        if net is None:
            return {"ours": ours, "said": f"read, {len(tables)} variables"}
        return {"ours": ours} | compared(net, tables, marginals, observed(net))


def measure(path: Path) -> Row:
    """Both peers on one file."""
    row: Row = {"name": f"{path.parent.name}/{path.name}"}
    for which in PEERS:
        found, blank = in_child("sample_files.py", f"{path}|{which}", LIMIT, 24 * GIB), " " * (which == "pgmpy")
        row |= {"ours": found["ours"]} if "ours" in found else {}
        row[which] = found.get("said", found.get("error"))
        row |= {f"{name}{blank}": found[name] for name in ("tables", "marginals") if name in found}
    return row


def notes(rows: list[Row]) -> list[str]:
    """How many files each reads, and what is amiss."""
    lines = []
    for which, blank in zip(PEERS, ("", " "), strict=True):
        read = [row for row in rows if row[which] == "read"]
        off = {row["name"]: max(row.get(f"{n}{blank}", 0.0) for n in ("tables", "marginals")) for row in read}
        worst = max(off.values(), default=0.0)
        lines.append(f"{which} and we read {len(read)} of {len(rows)} files alike, tables and marginals to {worst:.0e}")
        amiss = [name for name, value in off.items() if value > TOLERANCE]
        lines += [f"{which}: beyond {TOLERANCE:g}: {', '.join(amiss)}"] if amiss else []
        lines += [f"{row['name']}: {which}: {row[which]}" for row in rows if row[which] != "read"]
    return lines


def main() -> None:
    """Compare the files asked for, or answer as a child."""
    options = arguments(__doc__)
    if options.child:
        reply(child(options.child))
        return
    log = Log("sample_files", options.fresh)
    rows = [log.row(str(path), lambda path=path: measure(path)) for path in chosen(files(), options.only)]
    report("Sample files: ours against pyAgrum and pgmpy", COLUMNS, rows, notes(rows))
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
