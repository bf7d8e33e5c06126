"""The kernels and their tests in C, built with the sanitizers of the compiler.

What is built is kept in build/c as long as its sources and flags are the same. `make sanitize` runs this file: the
tests in C at every length of vectors that the processor has, and the tests in Python of the kernels, sanitized too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "src" / "tractable" / "kernels"
TESTS = ROOT / "tests" / "c"
FOLDER = ROOT / "build" / "c"
REPORTS = FOLDER / "reports"
FLAGS = ("-std=c11", "-g1", "-fno-omit-frame-pointer", "-fno-math-errno", "-fPIC", "-Wno-psabi")
SANITIZERS = {
    "address": ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-O1", "-fsanitize=thread"),
    "none": ("-O2",),
}
ALLOCATORS = ("malloc", "calloc", "posix_memalign")
WRAP = ("-DWRAPPED_MALLOC", *(f"-Wl,--wrap={name}" for name in ALLOCATORS)) if sys.platform == "linux" else ()
OPTIONS = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1:detect_leaks=",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}
QUICK = ("enumeration_kernel", "kernel_answers", "rows_kernel")
PYTHON_TESTS = (
    *QUICK,
    *("posterior_random", "kernels", "calls", "interrupts", "chain_kernels", "factorial", "threads"),
    "xla_kernels",
)
PROBE = '#include <stdio.h>\n#include <math.h>\nint main(int n, char **x) { return printf("%g\\n", exp(-n)) < 0; }\n'


class Build(NamedTuple):
    """How the kernels are compiled: the sanitizers, and the instruction set ("" for the compiler's default)."""

    sanitizer: str
    march: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """What the compiler is told."""
        return (*FLAGS, *SANITIZERS[self.sanitizer], *([f"-march={self.march}"] if self.march else []))

    @property
    def works(self) -> bool:
        """Whether a program that is built so runs here."""
        return compiler() is not None and _runs(self.flags)

    @property
    def folder(self) -> Path:
        """Where its objects are kept."""
        return FOLDER / _digest(*(compiler() or []), *self.flags)


@cache
def compiler() -> list[str] | None:
    """The command of the first of $CC, cc, gcc, clang that is there and whose programs run."""
    for command in map(shlex.split, (os.environ.get("CC", ""), "cc", "gcc", "clang")):
        if command and shutil.which(command[0]) and _probe([*command, *FLAGS]):
            return command
    return None


@cache
def marches() -> list[str]:
    """Instruction sets that this processor runs, one for each length of the vectors."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return [march for march in ("x86-64-v2", "x86-64-v3", "x86-64-v4") if Build("none", march).works]
    return [""]


@cache
def widest() -> str:
    """The instruction set with the longest vectors."""
    return marches()[-1]


def program(test: Path, build: Build) -> Path:
    """The test linked with the kernels, without those that it includes itself."""
    text = test.read_text(encoding="utf-8")
    own = set(re.findall(r'#include "(\w+)\.c"', text))
    with _locked():
        objects = [path for path in _objects(build) if path.name.split(".")[0] not in own]
        headers = [*KERNELS.rglob("*.[ch]"), *TESTS.glob("*.h")]
        target = build.folder / f"{test.stem}.{_digest(text, *objects, *_texts(headers))}"
        command = [*build.flags, f"-I{KERNELS}", f"-I{TESTS}", *WRAP, str(test), *map(str, objects), "-lm", "-pthread"]
        return _made(command, target)


def environment() -> dict[str, str]:
    """The environment to run a sanitized program in."""
    leaks = "01"[_runs(Build("address").flags, detect_leaks=True)]
    return os.environ | OPTIONS | {"ASAN_OPTIONS": OPTIONS["ASAN_OPTIONS"] + leaks}


def python_environment() -> dict[str, str] | None:
    """The environment in which Python loads sanitized kernels: a copy of the package, after the sanitizers' libraries.

    None where the compiler has these in no library of their own. Leaks are not looked for: Python has some.
    """
    runtime = [_library_of_compiler(name) for name in ("libasan.so", "libubsan.so")]
    if sys.platform != "linux" or not all(runtime):
        return None
    options = {"ASAN_OPTIONS": OPTIONS["ASAN_OPTIONS"] + f"0:log_path={REPORTS}/address"}
    options["UBSAN_OPTIONS"] = OPTIONS["UBSAN_OPTIONS"] + f":log_path={REPORTS}/undefined"
    options |= {"LD_PRELOAD": " ".join(map(str, runtime)), "PYTHONPATH": str(_package()), "TRACTABLE_KERNELS": ""}
    return os.environ | options


def run_python(names: Iterable[str], options: Sequence[str] = ()) -> str:
    """What went wrong in these test files with sanitized kernels; empty where nothing did."""
    environment = python_environment()
    if environment is None:
        return "the sanitizers of this compiler are in no library that Python could load first"
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    tests = [str(ROOT / "tests" / f"test_{name}.py") for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    reports = _texts(REPORTS.iterdir())
    return "\n".join([done.stdout, done.stderr, *reports]) if done.returncode or reports else ""


def _package() -> Path:
    """A folder with the package in it, and sanitized kernels as the one library for this machine."""
    with _locked():
        build = Build("address", widest())
        objects = [path for path in _objects(build) if path.name.split(".")[0] != "processor"]
        folder = FOLDER / "python"
        library = _made(
            [*build.flags, "-shared", *map(str, objects), "-lm"], build.folder / f"kernels.{_digest(*objects)}"
        )
        shutil.rmtree(folder, ignore_errors=True)
        ignore = shutil.ignore_patterns("_kernels*", "__pycache__")
        shutil.copytree(KERNELS.parent, folder / KERNELS.parent.name, ignore=ignore)
        shutil.copy(library, folder / KERNELS.parent.name / KERNELS.name / "_kernels.so")
        return folder


def _library_of_compiler(name: str) -> Path | None:
    done = subprocess.run([*(compiler() or []), f"-print-file-name={name}"], capture_output=True, text=True)
    path = Path(done.stdout.strip())
    return path if path.is_absolute() and path.exists() else None


def _objects(build: Build) -> list[Path]:
    build.folder.mkdir(parents=True, exist_ok=True)
    headers = _texts(KERNELS.glob("*.h"))

    def compiled(source: Path) -> Path:
        target = build.folder / f"{source.stem}.{_digest(source.read_text(encoding='utf-8'), *headers)}.o"
        return _made([*build.flags, "-fvisibility=hidden", "-c", str(source)], target)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(compiled, sorted(KERNELS.glob("*.c"))))


def _made(arguments: list[str], target: Path) -> Path:
    """What the compiler makes of the arguments, in place of an older version of the target."""
    if target.exists():
        return target
    for old in target.parent.glob(f"{target.name.split('.')[0]}.*"):
        old.unlink()
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    done = subprocess.run([*(compiler() or []), *arguments, "-o", str(partial)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(arguments)}\n{done.stderr}")
    os.replace(partial, target)
    return target


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time builds, and the others find what it has built."""
    import fcntl

    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _texts(paths: Iterable[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


@cache
def _runs(flags: tuple[str, ...], detect_leaks: bool = False) -> bool:
    return _probe([*(compiler() or []), *flags], detect_leaks)


def _probe(command: list[str], detect_leaks: bool = False) -> bool:
    """Whether a small program that the command builds runs."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "probe.c"), Path(folder, "probe")
        source.write_text(PROBE)
        if subprocess.run([*command, str(source), "-o", str(target), "-lm"], capture_output=True).returncode:
            return False
        options = {"ASAN_OPTIONS": f"detect_leaks={int(detect_leaks)}"}
        return subprocess.run([str(target)], capture_output=True, env=os.environ | options).returncode == 0


def main(options: list[str]) -> int:
    """All tests in C, then those in Python."""
    command = [sys.executable, "-m", "pytest", *options, str(ROOT / "tests" / "test_c.py")]
    failed = subprocess.run(command, cwd=ROOT, env=os.environ | {"TRACTABLE_ALL_VECTORS": "1"}).returncode
    print(wrong := run_python(PYTHON_TESTS, options))
    return failed or bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
