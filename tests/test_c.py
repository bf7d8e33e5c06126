"""The tests in C of the kernels, under the sanitizers of addresses, undefined behaviour and threads where they work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sanitized import KERNELS, QUICK, TESTS, Build, compiler, environment, marches, program, run_python, widest

if sys.platform == "win32" or not KERNELS.exists() or compiler() is None:
    pytest.skip("needs the source tree and a C compiler whose programs run here", allow_module_level=True)

TEXTS = {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.glob("test_*.c"))}
THREADED = [path for path, text in TEXTS.items() if "pthread" in text or "crews.h" in text]
MARCHES = marches() if os.environ.get("TRACTABLE_ALL_VECTORS") else [widest()]
FAULTS = {
    "memset(grab(24), 0, 25)": "heap-buffer-overflow",
    "drop(first), first[0] = 1": "heap-use-after-free",
    "first[0] = 1; CHECK(INT32_MAX + first[0] != 0)": "signed integer overflow",
    "CHECK(malloc(8) != NULL)": "detected memory leaks",
}

needs_sanitizer = pytest.mark.skipif(not Build("address").works, reason="the compiler has no sanitizers that run here")


def run(test: Path, build: Build) -> str:
    """What a test says; nothing where all is well."""
    command = [str(program(test, build))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=600)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("march", MARCHES)
@pytest.mark.parametrize("test", TEXTS, ids=lambda path: path.stem)
def test_kernels_by_themselves(test: Path, march: str) -> None:
    sanitized = Build("address", march)
    wrong = run(test, sanitized if sanitized.works else Build("none", march))
    assert not wrong, wrong


@pytest.mark.parametrize("test", THREADED, ids=lambda path: path.stem)
def test_threads_share_nothing_unguarded(test: Path) -> None:
    build = Build("thread", widest())
    if not build.works:
        pytest.skip("the compiler has no thread sanitizer that runs here")
    wrong = run(test, build)
    assert not wrong, wrong


def test_every_file_has_a_test() -> None:
    tested = [name for text in TEXTS.values() for name in re.findall(r"\w+\.c", text[: text.index(":")])]
    assert sorted(tested) == sorted(path.name for path in KERNELS.rglob("*.c"))


@needs_sanitizer
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, tmp_path: Path) -> None:
    if "leaks" in FAULTS[fault] and not environment()["ASAN_OPTIONS"].endswith("1"):
        pytest.skip("leaks cannot be looked for here")
    test = tmp_path / f"test_fault{list(FAULTS).index(fault)}.c"
    head = '#include "check.h"\n#include "memory.h"\nint main(void) {\n    REGION(NULL)\n    char *first = grab(100);\n'
    test.write_text(f"{head}    CHECK(first);\n    {fault};\n    region_leave();\n    return 0;\n}}\n")
    assert FAULTS[fault] in run(test, Build("address", widest()))


@needs_sanitizer
@pytest.mark.skipif(sys.platform != "linux", reason="Python is made to load the sanitizers first on Linux only")
def test_python_over_sanitized_kernels() -> None:
    wrong = run_python(QUICK, ["-x", "-n", "0"])
    assert not wrong, wrong
