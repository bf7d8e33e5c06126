"""The most probable joint state of tables by toulbar2, a branch and bound, and a true bound of its probability.

Its costs are whole numbers. An entry x of a table whose largest is h costs ⌊s·log(h/x)⌋, and a zero is forbidden. No
state costs more than it should, so that what toulbar2 proves every state to cost bounds all log products by

    log Π f ≤ Σ log h − cost / s

however coarse s is. Values of states are computed from the tables, not from costs.

Source: Hurley, O'Sullivan, Allouche, Katsirelos, Schiex, Zytnicki & de Givry 2016.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tractable.extras import is_there, missing
from tractable.kernels import Tables
from tractable.kernels.threads import look_up
from tractable.posterior.approximate.local_search import log_product

SCALE, TOTAL = 2.0**27, 2.0**50
"""Costs of a nat, but that all costs together stay whole numbers of double precision."""

MOST_STATES, MOST_ENTRIES, MOST_OF_MANY = 2000, 1 << 24, 1 << 20
"""States of a variable; entries of all tables, and of those over more than three variables, given one by one."""

ARRAYS = ("sizes", "scope_starts", "scopes", "value_starts")

GRACE, LATE = 5.0, 0.2
"""Seconds beyond its own that the process gets at most, and the share of its own: toulbar2 looks at its clock between
steps of a search alone."""

START = 1.0
"""Seconds that it has beyond its own in any case: until it begins."""


class BothEnds(NamedTuple):
    """The best states [n] that were found, None where there are none; their log product, and what none is beyond."""

    states: np.ndarray | None
    lower: float
    upper: float


def unsuited(tables: Tables) -> str:
    """Why toulbar2 is not for these tables; nothing where it is."""
    entries, several = np.diff(tables.value_starts), np.diff(tables.scope_starts) > 3
    if tables.sizes.max(initial=0) > MOST_STATES:
        return f"toulbar2 takes variables of at most {MOST_STATES:,} states, one here has {tables.sizes.max():,}"
    if entries.sum() > MOST_ENTRIES or entries[several].sum() > MOST_OF_MANY:
        return (
            f"toulbar2 is given tables of at most {MOST_ENTRIES:,} entries in all, {MOST_OF_MANY:,} of them in tables"
            f" over more than three variables; here are {entries.sum():,}, of these {entries[several].sum():,}"
        )
    return ""


def solve(tables: Tables, seconds: float, memory: float = math.inf, start: np.ndarray | None = None) -> BothEnds:
    """What toulbar2 finds in so many seconds, from states that are known or from none; with both ends.

    Raises
    ------
    ModuleNotFoundError : pytoulbar2 is not installed. ValueError : tables that it does not take, see `unsuited`.
    """
    with Toulbar2(tables, seconds, memory, start) as search:
        return search.found()


class Toulbar2:
    """A search by toulbar2 in a process of its own, beside which others may go on; it ends with its ``with`` block.

    It has so many seconds by the clock, and of these so many of a `processor`. Ctrl-C does not end its search; its
    clock, its settings and what it does with signals are those of the whole process, which it ends where memory runs
    out.
    """

    def __init__(
        self,
        tables: Tables,
        seconds: float,
        memory: float = math.inf,
        start: np.ndarray | None = None,
        processor: float = math.inf,
    ):
        if not is_there("pytoulbar2"):  # which only the process imports
            raise missing(ModuleNotFoundError(name="pytoulbar2"), "a search by toulbar2")
        if why := unsuited(tables):
            raise ValueError(why)
        self.tables, self.until = tables, time.monotonic() + seconds
        self.end, self.called = self.until + min(GRACE, max(LATE * seconds, START)), False
        costs, self.scale, self.most = whole_costs(tables)
        self.known = -math.inf if start is None else log_product(tables, start)
        self.start = start if self.known > -math.inf else None
        problem: dict[str, Any] = {name: getattr(tables, name) for name in ARRAYS} | {"costs": costs}
        given = problem if self.start is None else {**problem, "start": self.start}
        self.answer, self.process = tempfile.TemporaryFile(), None  # noqa: SIM115, closed with the search
        if self.most > -math.inf:
            self.process = _process(given, min(processor, seconds + 1), memory, self.answer)

    def __enter__(self) -> Toulbar2:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.answer.close()

    @property
    def over(self) -> bool:
        """Whether it has come to its end, or is late with it.

        toulbar2's own clock is of processor time: when it should stop it is sent what that clock sends.
        """
        now = time.monotonic()
        if self.process is None or self.process.poll() is not None or now > self.end:
            return True
        if now > self.until and not self.called and hasattr(signal, "SIGVTALRM"):
            self.process.send_signal(signal.SIGVTALRM)
            self.called = True
        return False

    def found(self) -> BothEnds:
        """What it found, once it is over; nothing where it failed."""
        while not self.over:
            look_up()  # whoever waits may be called off meanwhile
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.process is not None:
                    self.process.wait(timeout=0.05)
        if self.process is None:
            return BothEnds(None, -math.inf, -math.inf)
        self.answer.seek(0)
        lines = self.answer.read().decode(errors="replace").splitlines() if self.process.poll() == 0 else []
        told = json.loads(lines[-1]) if lines else {"states": None, "least": 0.0}
        found = None if told["states"] is None else np.array(told["states"], np.int32)
        value = -math.inf if found is None else log_product(self.tables, found)
        states, lower = (found, value) if value > self.known else (self.start, self.known)
        return BothEnds(states, lower, max(self.most - told["least"] / self.scale, lower))


def whole_costs(tables: Tables) -> tuple[np.ndarray, float, float]:
    """The costs of all entries, those of a nat, and the sum of the tables' largest logarithms, rounded up."""
    n, first = np.diff(tables.value_starts), tables.value_starts[:-1]
    if not tables.n_factors:
        return np.zeros(0), SCALE, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(tables.values)
        high = np.maximum.reduceat(logs, first)
        below = np.where(tables.values > 0, np.repeat(high, n) - logs, np.inf)
        total = np.maximum.reduceat(np.where(np.isinf(below), 0.0, below), first).sum()
    scale = min(SCALE, TOTAL / max(total, 1.0))
    most = math.fsum(high)
    rounded = most + 4e-16 * (np.abs(high).sum() + tables.n_factors) if np.isfinite(most) else -math.inf
    return np.maximum(np.floor(below * scale - 1e-3), 0.0), scale, float(rounded)


def _process(problem: dict[str, Any], seconds: float, memory: float, answer: IO[bytes]) -> subprocess.Popen[bytes]:
    """The process, which reads its problem from a file and writes its answer to another one."""
    # Not multiprocessing: it would run the caller's own script once more.
    path = str(Path(__file__).with_name("toulbar2_process.py"))
    command = [sys.executable, "-P", path, f"{seconds:g}", f"{memory:g}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryFile() as given:
        np.savez(given, **problem)
        given.seek(0)
        return subprocess.Popen(command, stdin=given, stdout=answer, stderr=subprocess.DEVNULL, env=environment)
