"""Cold start: a whole `tractable query` on asia, as a new process, against `python -c "import numpy"`.

Claim: at most twice as long. The commands are run in turn, so that what else the machine does falls on all of them;
the medians of the wall times and their ratios are printed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import tractable

ROUNDS = 31
ASIA = str(Path(tractable.__file__).parent / "examples" / "asia.bif")
SCRIPT = Path(sys.executable).with_name("tractable")
TRACTABLE = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "tractable"]
QUERY = [*TRACTABLE, "query", ASIA, "--evidence", "asia=yes,dysp=yes"]
COMMANDS = {
    "import numpy": [sys.executable, "-c", "import numpy"],
    "query --json": [*QUERY, "--json"],
    "query": QUERY,
}


def wall_time(command: list[str]) -> float:
    """Seconds from start to end of a process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Run all commands in turn, the first round unmeasured, and print the medians."""
    for command in COMMANDS.values():
        wall_time(command)
    rounds = [[wall_time(command) for command in COMMANDS.values()] for _ in range(ROUNDS)]
    medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    for name, median in zip(COMMANDS, medians, strict=True):
        print(f"{name:14s} {median * 1e3:7.1f} ms   ratio {median / medians[0]:.2f}")


if __name__ == "__main__":
    main()
