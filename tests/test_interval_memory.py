"""An interval stays within its memory, as the system counts it: tables, the record of draws, and draws under way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tractable.plan.interval_memory import PIECE, record_bytes, room_for

GROWTH = """
import sys
import numpy as np
import tractable as tr


def grid(n):
    rng, sign = np.random.default_rng(0), np.array([[1, -1], [-1, 1]])
    at = np.arange(n * n).reshape(n, n)
    pairs = [(int(a), int(b)) for c in (at, at.T) for a, b in zip(c[:-1].ravel(), c[1:].ravel())]
    factors = [((f"v{i}", f"v{j}"), np.exp(rng.normal() * sign)) for i, j in pairs]
    return tr.MarkovNetwork({f"v{i}": "01" for i in range(n * n)}, factors)


def kept(name):
    text = open("/proc/self/status").read().partition(name)[2]
    return int(text.split()[1]) / 1024


def asked(net, memory, seconds):
    rows = [{"v0": str(i % 2), "v9": str(i // 2)} for i in range(int(sys.argv[3]))] or None
    return tr.infer(net, rows, method="mini_buckets", memory=memory, seconds=seconds).log_partition


asked(grid(4), "64KiB", 0.2)  # loads what is late
net = grid(int(sys.argv[1]))
net.packed
open("/proc/self/clear_refs", "w").write("5")
before = kept("VmRSS")
found = asked(net, f"{sys.argv[2]}MiB", 1.0)
print(kept("VmHWM") - before, bool(np.all(np.isfinite(found.lower) & (found.lower < found.upper))))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is counted anew on Linux")
@pytest.mark.parametrize(("side", "memory", "n_rows"), [(32, 16, 0), (32, 64, 0), (50, 48, 0), (24, 16, 4)])
def test_no_more_memory_is_taken(side: int, memory: int, n_rows: int) -> None:
    asked = [sys.executable, "-c", GROWTH, *map(str, (side, memory, n_rows))]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONWARNINGS": ""})
    grown, sound = found.stdout.split()
    assert float(grown) < memory and sound == "True"


def test_little_memory_goes_to_tables_first() -> None:
    """A network that needs less than the process itself leaves all to its tables; else they have what is left."""
    small, large = np.full(64, 2), np.full(2500, 2)
    assert room_for(65536.0, small, 64, small).tables == 65536.0
    memory = 2.0**26
    some = room_for(memory, large, 2500, large)
    assert 0 < some.tables < memory - record_bytes(large, 0, 512) and some.step < PIECE
    assert room_for(memory, large, 0, ()).tables > 0.9 * memory
    assert room_for(2.0**40, large, 2500, large).step == PIECE
    assert room_for(2.0**24, large, 2500, large).tables < 0
