"""The process in which toulbar2 runs (see toulbar2.py): arrays on its standard input, a line of JSON on its output."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import sys
from typing import Any

import numpy as np

PYTHON = 1 << 28
"""Bytes of addresses that Python and the libraries take by themselves."""


def main() -> None:
    """Solve what is on standard input."""
    seconds, memory = float(sys.argv[1]), float(sys.argv[2])
    out = os.dup(1)
    os.dup2(2, 1)  # what toulbar2 prints is no answer
    limit_memory(memory)
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as problem:
        found = solved(dict(problem), seconds)
    os.write(out, json.dumps(found).encode())
    os._exit(0)  # its destructors have nothing more to say


def limit_memory(memory: float) -> None:
    """Of this process, where the system has such limits."""
    if math.isfinite(memory):
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            bytes_ = int(memory) + PYTHON
            resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))


def solved(problem: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The best states, None where none were found, and the least that any can cost."""
    pytoulbar2 = importlib.import_module("pytoulbar2")
    starts, ends, costs = problem["scope_starts"], problem["value_starts"], problem["costs"]
    functions = [
        (problem["scopes"][starts[j] : starts[j + 1]].tolist(), costs[ends[j] : ends[j + 1]])
        for j in range(len(starts) - 1)
    ]
    network = pytoulbar2.CFN(bar(problem, functions), resolution=0, verbose=-1)
    for v, size in enumerate(problem["sizes"].tolist()):
        network.AddVariable(f"v{v}", [f"s{s}" for s in range(size)])
    for scope, own in functions:
        if scope:
            network.AddFunction(scope, own.tolist())
    answer = network.Solve(timeLimit=math.ceil(seconds))  # of processor time; by the clock our caller sends the signal
    least = max(float(network.GetDDualBound()), 0.0)
    return {"states": None if answer is None else [int(s) for s in answer[0]], "least": least}


def bar(problem: dict[str, Any], functions: list[tuple[list[int], np.ndarray]]) -> float | None:
    """What a state has to cost less than: one more than the one that is known, which is then found again."""
    if "start" not in problem:
        return None
    state, sizes, total = problem["start"], problem["sizes"], 1.0
    for scope, own in functions:
        total += own[np.ravel_multi_index(state[scope], sizes[scope])] if scope else own[0]
    return float(total)


if __name__ == "__main__":
    main()
