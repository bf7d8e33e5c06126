"""Warnings are errors, hypothesis draws the same examples in every run, and what jax compiles is kept for the next."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sweep import VERIFYING, many

settings.register_profile(
    "tests",
    max_examples=many(100),
    derandomize=not VERIFYING,  # there the piece is the seed
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

XLA_FLAGS = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
"""The tests compile far more than they compute: with these in a third of the time."""

HARMLESS = [f"ignore:Error {doing} persistent compilation cache" for doing in ("reading", "writing")]
"""jax says so of a file that another process is writing or was killed while it wrote it, and compiles once more."""

OF_PEERS = ["ignore:builtin type [Ss]wig:DeprecationWarning"]
"""What pyAgrum's bindings warn of when they are loaded: an error there, in C, ends the process."""

SHORT = ["ignore::tractable.learning.records.LearningWarning"]
"""Most fits in tests are so short that they learn nothing, and say so; those of `test_defaults.py` are heard."""

DAYS_KEPT = 30

MOST_REGIONS = 30_000
"""Of memory, before what was compiled is forgotten; Linux ends a process that asks for more than 65,530."""


def pytest_configure(config: pytest.Config) -> None:
    compile_soon()
    keep_what_is_compiled(config)
    config.addinivalue_line("filterwarnings", "error")
    for line in (*HARMLESS, *OF_PEERS, *SHORT):
        config.addinivalue_line("filterwarnings", line)
    config.addinivalue_line("markers", "verify: a sweep; `make verify` runs all of its cases, the tests a sample")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; some tests send one
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if getattr(getattr(item, "function", None), "is_hypothesis_test", False):
            item.add_marker("verify")


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Forget the programs of jax before the system allows no more: each takes some of the regions of a process."""
    yield
    regions = Path("/proc/self/maps")
    if "jax" in sys.modules and regions.exists() and regions.read_bytes().count(b"\n") > MOST_REGIONS:
        sys.modules["jax"].clear_caches()
        gc.collect()


@pytest.fixture
def no_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fits of which nobody asks what they are compared with: half of what they compile is for that."""
    from tractable.learning import loop

    monkeypatch.setattr(loop, "compared", lambda *_: None)


def compile_soon() -> None:
    """The flags of XLA where it has them all: a process with one that it does not know ends at once."""
    if "XLA_FLAGS" not in os.environ:
        trial = [sys.executable, "-c", "import jax; jax.devices()"]
        with_flags = os.environ | {"XLA_FLAGS": XLA_FLAGS}
        known = subprocess.run(trial, env=with_flags, capture_output=True).returncode == 0
        os.environ["XLA_FLAGS"] = XLA_FLAGS if known else XLA_FLAGS.split()[0]


def keep_what_is_compiled(config: pytest.Config) -> None:
    """A folder of pytest's cache for jax, here and in processes that tests start; where it cannot be written, none."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        folder = cache.mkdir("jax")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return
    if not hasattr(config, "workerinput"):
        forget_what_is_old(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), *HARMLESS]))


def forget_what_is_old(folder: Path) -> None:
    for path in folder.iterdir():
        if max(path.stat().st_atime, path.stat().st_mtime) < time.time() - DAYS_KEPT * 86400:
            path.unlink(missing_ok=True)
