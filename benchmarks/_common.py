"""What the benchmarks share: the data folder, arguments, alternating timings, children with limits, logs, tables."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import tractable

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
GIB = 2**30
Row = dict[str, Any]


def data(kind: str) -> Path:
    """The folder of one kind of data, inside $TRACTABLE_DATA or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("TRACTABLE_DATA") or HERE.parent.parent / "shared" / "data") / kind
    if not folder.is_dir():
        print(f"no data in {folder}: set TRACTABLE_DATA to the folder that holds {kind}/; nothing measured")
        sys.exit(0)
    return folder


def stem(path: Path) -> str:
    """The name of an instance: its file name without .bif.gz or .uai.gz."""
    return path.name.removesuffix(".gz").removesuffix(".bif").removesuffix(".uai")


def arguments(description: str | None, **switches: str | tuple[Any, str]) -> argparse.Namespace:
    """``--only a,b``, ``--json FILE``, ``--fresh``, own switches (name → help) and values (default, help)."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="names, or parts of them: a,b")
    parser.add_argument("--json", type=Path, help="write the rows and the machine here")
    parser.add_argument("--fresh", action="store_true", help="forget what an interrupted run has logged")
    parser.add_argument("--peers", default=sys.executable, help="the Python whose environment holds the peers")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    for name, own in switches.items():
        if isinstance(own, tuple):
            parser.add_argument(f"--{name}", type=type(own[0]), default=own[0], help=f"{own[1]} ({own[0]})")
        else:
            parser.add_argument(f"--{name}", action="store_true", help=own)
    return parser.parse_args()


def chosen(paths: Iterable[Path], only: Sequence[str]) -> list[Path]:
    """The instances that were asked for: by name, where none has it by its beginning, else by a part of it."""
    paths = sorted(paths, key=lambda path: [int(p) if p.isdigit() else p for p in _runs(stem(path))])
    names = [stem(path) for path in paths]
    wanted: set[str] = set() if only else set(names)
    for word in only:
        ways = (
            [word] if word in names else [],
            [n for n in names if n.startswith(word)],
            [n for n in names if word in n],
        )
        wanted.update(next((found for found in ways if found), []))
    return [path for path in paths if stem(path) in wanted]


def _runs(text: str) -> list[str]:
    """Text cut between digits and the rest, always beginning with text, so that 9 sorts before 10."""
    return re.split(r"(\d+)", text)


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def alternate(
    calls: Mapping[str, Callable[[], Any]], rounds: tuple[int, int] = (5, 51), budget: float = 2.0, rest: float = 0.0
) -> Row:
    """Times of several calls, run in turn so that what else the machine does falls on all of them.

    Threads of OpenBLAS and OpenMP go on waiting actively for some time after their work: in the `rest` seconds before
    each call they come to a stop, where they would take a core from the next one.

    Returns name → list of seconds, the first round apart as name + " first"; at least ``rounds[0]`` further rounds, at
    most ``rounds[1]``, as many as `budget` seconds allow.
    """
    first = {name: once(call)[0] for name, call in calls.items()}
    n = max(rounds[0], min(rounds[1], int(budget / max(sum(first.values()), 1e-9))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n):
        for name, call in calls.items():
            time.sleep(rest)
            times[name].append(once(call)[0])
    return {name: statistics.median(found) for name, found in times.items()} | {
        f"{name} first": seconds for name, seconds in first.items()
    }


def contestants(
    makers: Mapping[str, Callable[[], Callable[[], Any]]], only: Sequence[str]
) -> tuple[dict[str, Callable[[], Any]], Row]:
    """Those that were asked for and are there (always the first), and why the others are not."""
    found, missing, first = {}, {}, next(iter(makers))
    for name, make in makers.items():
        if name != first and only and not any(word in name for word in only):
            continue
        try:
            found[name] = make()
        except (ImportError, RuntimeError) as error:
            missing[name] = str(error)
    return found, missing


def other_process(command: Sequence[str], n_steps: int) -> Callable[[], None]:
    """An epoch of a peer in another environment, which says ready, and how many steps each line it reads made it do.

    A RuntimeError where it is not there.
    """
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    ask, answer = child.stdin, child.stdout
    if answer.readline().strip() != "ready":
        raise RuntimeError((child.stderr.read().strip().splitlines() or ["it died"])[-1])

    def epoch() -> None:
        ask.write("\n")
        ask.flush()
        if int(answer.readline()) != n_steps:
            raise RuntimeError(f"{command[1:3]} made another number of steps")

    return epoch


def geometric_mean(values: Iterable[float]) -> float:
    """exp of the mean logarithm; NaN of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def in_child(script: str, name: str, seconds: float, memory: float, extra: Sequence[str] = ()) -> Row:
    """The row that ``script --child name`` prints as its last line, in a new process with limits on time and memory.

    A child that dies gives a row with ``error``; ``rss`` is the peak resident memory of the process.
    """
    command = [sys.executable, str(HERE / script), "--child", name, *extra]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))

    before = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, preexec_fn=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"name": name, "error": f"no answer in {seconds:.0f} s"}
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return {"name": name, "error": f"exit {done.returncode}: {said[:200]}"}
    wall = time.perf_counter() - before
    return {"name": name} | json.loads(done.stdout.strip().splitlines()[-1]) | {"process": wall}


def reply(row: Row) -> None:
    """What a child says to `in_child`."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(row | {"rss": peak if sys.platform == "darwin" else peak * 1024}))


class Log:
    """Rows on disk as they come, one JSON object a line: an interrupted run goes on where it stopped."""

    def __init__(self, name: str, fresh: bool = False):
        OUT.mkdir(exist_ok=True)
        self.path = OUT / f"{name}.jsonl"
        if fresh:
            self.path.unlink(missing_ok=True)
        self.rows: dict[str, Row] = {}
        if self.path.exists():
            self.rows = {r["key"]: r for r in map(json.loads, self.path.read_text().splitlines())}

    def row(self, key: str, make: Callable[[], Row]) -> Row:
        """The logged row of this key, made and logged now if there is none."""
        if key not in self.rows:
            self.rows[key] = {"key": key} | make()
            with self.path.open("a") as file:
                file.write(json.dumps(self.rows[key]) + "\n")
        return self.rows[key]

    def finish(self) -> None:
        """The run is complete: the next one starts anew."""
        self.path.replace(self.path.with_suffix(".done.jsonl"))


def machine() -> Row:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = {"tractable": tractable.__version__}
    for name in ("numpy", "pyagrum", "pgmpy"):
        try:
            packages[name] = version(name)
        except ImportError:  # PackageNotFoundError is one
            continue
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    return {"system": platform.platform(), "python": platform.python_version(), "cores": cores, "load": load} | packages


def report(title: str, columns: Mapping[str, str], rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print a table (column title → format of a number) with notes below it, and keep it as Markdown in out/."""
    cells = [[_cell(row.get(name), form) for name, form in columns.items()] for row in rows]
    table = Table(title=title, title_justify="left", pad_edge=False)
    for name, form in columns.items():
        table.add_column(
            name, justify="right" if form else "left", no_wrap=bool(form) or name == "name", overflow="fold"
        )
    for line in cells:
        table.add_row(*line)
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
    _keep_markdown(title, list(columns), cells, notes)


def _keep_markdown(title: str, names: list[str], cells: list[list[str]], notes: Sequence[str]) -> None:
    OUT.mkdir(exist_ok=True)
    lines = [f"## {title}", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(line) + " |" for line in cells]
    lines += ["", *(f"- {note}" for note in notes), ""]
    name = "".join(c if c.isalnum() else "_" for c in title.split(":")[0].lower())
    (OUT / f"{name}.md").write_text("\n".join(lines))


def _cell(value: Any, form: str) -> str:
    if value is None:
        return "–"
    return format(value, form) if isinstance(value, int | float) and form else str(value)


def save(path: Path | None, rows: Sequence[Row], **summary: Any) -> None:
    """Write rows, summary and machine as JSON where ``--json`` says."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), "summary": summary, "rows": list(rows)}, indent=1))
