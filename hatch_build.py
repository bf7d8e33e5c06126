"""Compiles the C kernels into one shared library while the package is being installed.

The compiler is the first of `$CC`, cc, gcc, clang that can build a small library, else the zig compiler of the
`ziglang` wheel, so that a machine with only Python and pip can install the package. Python's headers are not needed:
the library is loaded with ctypes.

`$TRACTABLE_MARCH` names the instruction set (default: native, the machine at hand); set it to e.g. x86-64-v2 for a
wheel that will run elsewhere, or to the empty string for the compiler's default.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("src", "tractable", "kernels")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-shared"]
FLAGS += [] if sys.platform == "win32" else ["-fPIC", "-fvisibility=hidden"]
PROBE = "#include <math.h>\n#include <stdlib.h>\n#include <string.h>\ndouble probe(double x) { return log(x); }\n"


class KernelsHook(BuildHookInterface):
    """Adds the compiled kernels to wheels and to editable installs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The zig compiler's wheel, where the system has no C compiler that works."""
        return [] if system_compiler() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tag the wheel with this platform but with no Python version: ctypes loads it in any."""
        library = build(Path(self.root) / KERNELS)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())

    def clean(self, versions: list[str]) -> None:
        """Remove the compiled library."""
        (Path(self.root) / KERNELS / f"_kernels{SUFFIX}").unlink(missing_ok=True)


def build(folder: Path) -> Path:
    """Compile every C file of `folder` into one shared library in it, and return its path."""
    sources = sorted(folder.glob("*.c"))
    if not sources:
        raise SystemExit(f"no C sources in {folder}; the source tree is incomplete")
    library = folder / f"_kernels{SUFFIX}"
    compile_library(compiler(), sources, library)
    return library


def compiler() -> list[str]:
    """The command of the C compiler to use."""
    if command := system_compiler():
        return command
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise SystemExit("no C compiler works here: install gcc or clang, name one in $CC, or `pip install ziglang`")


def system_compiler() -> list[str]:
    """The first of $CC, cc, gcc, clang that builds a shared library using the C library's headers; else empty."""
    for command in map(shlex.split, (os.environ.get("CC", ""), "cc", "gcc", "clang")):
        if command and shutil.which(command[0]) and works(command):
            return command
    return []


def works(command: list[str]) -> bool:
    """Whether the compiler builds a shared library: some are installed without the C library's headers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        return attempt([*command, *FLAGS, str(source), "-o", str(source.with_suffix(SUFFIX)), "-lm"]) is None


def compile_library(command: list[str], sources: list[Path], library: Path) -> None:
    """Compile for the instruction set asked for, or without one where the compiler rejects the flag."""
    march = os.environ.get("TRACTABLE_MARCH", "native")
    partial = library.with_name(f"_kernels.{os.getpid()}.partial{SUFFIX}")
    rest = [*FLAGS, *map(str, sources), "-o", str(partial), "-lm"]
    error = attempt([*command, f"-march={march}", *rest]) if march else "not tried"
    if error is not None:
        error = attempt([*command, *rest])
    if error is not None:
        raise SystemExit(f"compiling the kernels failed:\n{error}")
    # A running process may have the old library mapped: replace the name, never write into the file.
    os.replace(partial, library)


def attempt(command: list[str]) -> str | None:
    """Run a command; None when it succeeds, else what it was and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return None if done.returncode == 0 else f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}"


def platform_tag() -> str:
    """The wheel tag of this platform: on macOS that of the one architecture compiled for."""
    if sys.platform == "darwin":
        from packaging.tags import mac_platforms

        return next(mac_platforms())
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
