"""Reading the 24 BIF networks: against pyAgrum's loadBN and pgmpy's BIFReader.

Claim: each network within a second. Ours reads the compressed file, the peers get it unpacked. A peer that fails, or
needs more than a minute for a file, is reported as such; each is timed in a process of its own, medians of five where
the file takes less than two seconds.

    python benchmarks/files.py [--only munin,mildew] [--json FILE]
"""

from __future__ import annotations

import gzip
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _common import GIB, Log, Row, arguments, chosen, data, geometric_mean, in_child, once, reply, report, save, stem

LIMIT = 60.0
COLUMNS = {"name": "", "entries": "d", "text MB": ".2f", "ours ms": ".1f", "pyAgrum ms": ".1f", "pyAgrum ratio": ".1f"}
COLUMNS |= {"pgmpy ms": ".0f", "pgmpy ratio": ".0f", "remark": ""}
READERS = ("ours", "pyAgrum", "pgmpy")


def reader(name: str) -> Callable[[str], Any]:
    """The function of a library that reads a BIF file."""
    if name == "ours":
        import tractable as tr

        return tr.load
    if name == "pyAgrum":
        import pyagrum as gum

        return gum.loadBN
    import logging

    from pgmpy.readwrite import BIFReader

    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    return lambda path: BIFReader(path).get_model()


def child(task: str) -> Row:
    """Median seconds of one reader on one file, ``name:reader``."""
    name, _, which = task.partition(":")
    packed = data("bif") / f"{name}.bif.gz"
    read = reader(which)
    with tempfile.TemporaryDirectory() as folder:
        text = gzip.decompress(packed.read_bytes())
        path = Path(folder) / f"{name}.bif"
        path.write_bytes(text)
        file = str(packed if which == "ours" else path)
        first, model = once(lambda: read(file))
        times = [once(lambda: read(file))[0] for _ in range(5 if first < 2 else 0)] or [first]
    row: Row = {f"{which} ms": statistics.median(times) * 1e3, f"{which} first ms": first * 1e3}
    if which == "ours":
        row |= {"entries": int(model.packed.values.size), "text MB": len(text) / 1e6}
    return row


def measure(name: str) -> Row:
    """Every reader on one network."""
    row: Row = {"name": name, "remark": ""}
    for which in READERS:
        found = in_child("files.py", f"{name}:{which}", LIMIT, 14 * GIB)
        if "error" in found:
            row["remark"] += f"{which}: {found['error']} "
        row |= {key: value for key, value in found.items() if key not in ("error", "rss", "process", "name")}
    for which in READERS[1:]:
        if f"{which} ms" in row and "ours ms" in row:
            row[f"{which} ratio"] = row[f"{which} ms"] / row["ours ms"]
    return row


def notes(rows: list[Row]) -> list[str]:
    """The slowest file and the mean ratios."""
    slowest = max(rows, key=lambda r: r.get("ours first ms", 0.0))
    lines = [f"slowest of ours: {slowest['name']}, {slowest['ours first ms']:.0f} ms the first time"]
    for which in READERS[1:]:
        ratios = [r[f"{which} ratio"] for r in rows if f"{which} ratio" in r]
        lines.append(f"{which}: geometric mean of the ratios {geometric_mean(ratios):.1f} over {len(ratios)} networks")
    return lines


def main() -> None:
    """Measure the networks asked for, or answer as a child."""
    options = arguments(__doc__)
    if options.child:
        reply(child(options.child))
        return
    log = Log("files", options.fresh)
    rows = [log.row(stem(p), lambda p=p: measure(stem(p))) for p in chosen(data("bif").glob("*.bif.gz"), options.only)]
    report("Files: reading BIF, ours against pyAgrum and pgmpy", COLUMNS, rows, notes(rows))
    save(options.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
