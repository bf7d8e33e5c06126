"""Compiles the C kernels into shared libraries while the package is being installed.

On x86-64 there is one for each level of the instruction set, and a small one that says which level a processor has:
`kernels/levels.py` loads the highest it runs. On other machines there is one, for what all of them have.
`$TRACTABLE_MARCH` asks for one library for another instruction set instead, `native` for that of this machine, which no
other machine need run.

The compiler is the first of `$CC`, cc, gcc, clang that can build a small library, else the zig compiler of the
`ziglang` wheel, so that a machine with only Python and pip can install the package. Python's headers are not needed:
the libraries are loaded with ctypes. `python hatch_build.py` makes the wheels of all `TARGETS` with zig, in dist/;
`$TRACTABLE_TARGET` names one of them for any other way to build a wheel.

The version is that of the last tag, where git can say which that is, else what the source says (`version`); it is
written into what is built, so that a source distribution needs no git.
"""

from __future__ import annotations

import atexit
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
FRONT = "src/tractable/__init__.py"
KERNELS = Path("src", "tractable", "kernels")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
FLAGS = ["-std=c11", "-O3", "-g0", "-fno-math-errno", "-fvisibility=hidden"]
PROBE = """#include <math.h>
#include <stdlib.h>
#include <string.h>
__attribute__((visibility("default"))) double probe(double x) { return log(x); }
"""

PROCESSOR = "processor.c"
"""The source of the library that says the level."""

LEVELS = {
    "v2": "-mcx16 -msahf -mpopcnt -msse3 -mssse3 -msse4.1 -msse4.2",
    "v3": "-mavx -mavx2 -mbmi -mbmi2 -mf16c -mfma -mlzcnt -mmovbe",
    "v4": "-mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl",
}
"""What each level of x86-64 has beyond the one before; compilers know these words longer than x86-64-v2."""

TARGETS = {
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "x86_64-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-linux-musl": "musllinux_1_2_aarch64",
    "x86_64-macos.11.0": "macosx_11_0_x86_64",
    "aarch64-macos.11.0": "macosx_11_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
    "aarch64-windows-gnu": "win_arm64",
}
"""The wheels: what zig calls a system, and the tag of the wheel for it."""


class Target(NamedTuple):
    """Which machine to compile for, and the compiler's command."""

    compiler: list[str]
    machine: str
    suffix: str
    tag: str

    @property
    def command(self) -> list[str]:
        """The compiler with the flags of all libraries."""
        return [*self.compiler, *FLAGS, *position_independent(self.suffix)]


class Library(NamedTuple):
    """A library to compile: its place, its sources, and the flags that only it has."""

    path: Path
    sources: list[Path]
    flags: list[str]


class KernelsHook(BuildHookInterface):
    """Adds the compiled kernels to wheels and to editable installs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The zig compiler's wheel, where the system has no C compiler that works."""
        return [] if system_compiler() and "TRACTABLE_TARGET" not in os.environ else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tag the wheel with this platform but with no Python version: ctypes loads it in any.

        What goes into a wheel is compiled beside the sources, where what an editable install has stays as it is.
        """
        if version != "editable":
            self.scratch = tempfile.mkdtemp()
            stamped = stamp(self.metadata.version, Path(self.scratch))
            build_data["force_include"][str(stamped)] = FRONT.removeprefix("src/" * (self.target_name == "wheel"))
        if self.target_name == "sdist":
            return
        source, at = Path(self.root) / KERNELS, target()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{at.tag}"
        if version == "editable":
            build(source, at)
            return
        for library in build(source, at, Path(self.scratch)):
            build_data["force_include"][str(library)] = f"tractable/kernels/{library.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what is in the wheel now."""
        if version != "editable":
            shutil.rmtree(self.scratch)

    def clean(self, versions: list[str]) -> None:
        """Remove the compiled libraries."""
        for library in (Path(self.root) / KERNELS).glob("_kernels.*"):
            library.unlink()


def version() -> str:
    """That of the tag v1.2.3 on this commit, 1.2.3.post1.dev4 four commits later; without git or tags, the source's."""
    command = ["git", "-C", str(ROOT), "describe", "--tags", "--long", "--match", "v[0-9]*"]
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return said()
    described = subprocess.run(command, capture_output=True, text=True)
    if described.returncode:  # no tag, or a clone without history
        return said()
    tag, commits, _ = described.stdout.strip().removeprefix("v").rsplit("-", 2)
    return tag if commits == "0" else f"{tag}.post1.dev{commits}"


def said() -> str:
    """The version in the source."""
    (found,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / FRONT).read_text(encoding="utf-8"), re.MULTILINE)
    return found


def stamp(version: str, folder: Path) -> Path:
    """The front door of the package with this version, in the folder."""
    text = (ROOT / FRONT).read_text(encoding="utf-8").replace(f'__version__ = "{said()}"', f'__version__ = "{version}"')
    stamped = folder / "__init__.py"
    stamped.write_text(text, encoding="utf-8")
    return stamped


def target() -> Target:
    """The system of `$TRACTABLE_TARGET`, else this one."""
    if asked := os.environ.get("TRACTABLE_TARGET"):
        if asked not in TARGETS:
            raise SystemExit(f"TRACTABLE_TARGET is {asked!r}, which is none of {', '.join(TARGETS)}")
        machine, system = asked.split("-")[:2]
        suffix = ".dll" if system == "windows" else ".dylib" if "macos" in system else ".so"
        return Target([*zig(), "-target", asked], machine, suffix, TARGETS[asked])
    machine = platform.machine().lower().replace("amd64", "x86_64")
    return Target(compiler(), machine if sys.maxsize > 2**32 else "32 bits", SUFFIX, platform_tag())


def build(folder: Path, at: Target | None = None, out: Path | None = None) -> list[Path]:
    """Compile every C file of `folder` into shared libraries in `out` (the same folder), and return their paths."""
    sources = sorted(folder.glob("*.c"))
    if not sources:
        raise SystemExit(f"no C sources in {folder}; the source tree is incomplete")
    at, out = at or target(), out or folder
    made = libraries(at, sources, out)
    compile_libraries([*at.command, *instruction_set(at)], made)
    for other in {*out.glob("_kernels.*")} - {library.path for library in made}:
        other.unlink()  # of an earlier build, and would be loaded
    return [library.path for library in made]


def libraries(at: Target, sources: Sequence[Path], out: Path) -> list[Library]:
    """One for each level of x86-64 and one that says the level; elsewhere, or where one set is asked for, just one."""
    kernels = [source for source in sources if source.name != PROCESSOR]
    if at.machine != "x86_64" or "TRACTABLE_MARCH" in os.environ:
        return [Library(out / f"_kernels{at.suffix}", kernels, [])]
    made, flags = [], []
    for name, more in LEVELS.items():
        flags = [*flags, *more.split()]
        made.append(Library(out / f"_kernels.{name}{at.suffix}", kernels, flags))
    processor = [source for source in sources if source.name == PROCESSOR]
    return [*made, Library(out / f"_kernels.processor{at.suffix}", processor, ["-fvisibility=default"])]


def instruction_set(at: Target) -> list[str]:
    """The flag for what is asked for, else for the oldest machine of the architecture, in the compiler's own words."""
    oldest = ("-march=x86-64", "-march=x86_64") if at.machine == "x86_64" else ("-mcpu=baseline",)
    march = os.environ.get("TRACTABLE_MARCH")
    words = oldest if march is None else (f"-march={march}",) if march else ()
    return next(([word] for word in words if works([*at.compiler, word], at.suffix)), [])


def compiler() -> list[str]:
    """The command of the C compiler to use."""
    return system_compiler() or zig()


def zig() -> list[str]:
    """The command of the zig compiler's wheel."""
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise SystemExit("no C compiler works here: install gcc or clang, name one in $CC, or `pip install ziglang`")


def system_compiler() -> list[str]:
    """The first of $CC, cc, gcc, clang that builds a shared library using the C library's headers; else empty."""
    for command in map(shlex.split, (os.environ.get("CC", ""), "cc", "gcc", "clang")):
        if command and shutil.which(command[0]) and works(command):
            return command
    return []


def works(command: list[str], suffix: str = SUFFIX) -> bool:
    """Whether the compiler builds a shared library: some are installed without the C library's headers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        flags = [*FLAGS, *position_independent(suffix), "-shared"]
        return attempt([*command, *flags, str(source), "-o", str(source.with_suffix(suffix)), "-lm"]) is None


def position_independent(suffix: str) -> list[str]:
    """The flag for code that a shared library takes; on Windows all code is so, and some compilers refuse the flag."""
    return [] if suffix == ".dll" else ["-fPIC"]


def compile_libraries(command: list[str], made: Sequence[Library]) -> None:
    """Compile all files of all libraries side by side, then link."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects: list[list[str]] = []
        jobs: list[list[str]] = []
        for i, library in enumerate(made):
            objects.append([str(Path(scratch, f"{i}.{source.stem}.o")) for source in library.sources])
            for source, to in zip(library.sources, objects[-1], strict=True):
                jobs.append([*command, *library.flags, "-c", str(source), "-o", to])
        for error in pool.map(attempt, jobs):
            required(error)
        for library, files in zip(made, objects, strict=True):
            link([*command, "-shared", *files], library.path, Path(scratch))


def link(command: list[str], library: Path, scratch: Path) -> None:
    """Link in the scratch folder, as some linkers leave more than the library, and put the library in its place."""
    linked, partial = scratch / library.name, library.with_name(f"{library.name}.{os.getpid()}.partial")
    required(attempt([*command, "-o", str(linked), "-lm"]))
    shutil.copy(linked, partial)
    # A running process may have the old library mapped: replace the name, never write into the file.
    os.replace(partial, library)


def required(error: str | None) -> None:
    """End the build where there is an error."""
    if error is not None:
        raise SystemExit(f"compiling the kernels failed:\n{error}")


def attempt(command: list[str]) -> str | None:
    """Run a command; None when it succeeds, else what it was and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=surroundings())
    return None if done.returncode == 0 else f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}"


def surroundings() -> dict[str, str]:
    """The environment of the compiler: zig keeps what it has made in the home, which need not be there."""
    if sys.platform == "win32" or os.access(os.environ.get("HOME", ""), os.W_OK):
        return {**os.environ}
    return {"ZIG_GLOBAL_CACHE_DIR": temporary_cache(), **os.environ}


@cache
def temporary_cache() -> str:
    """A folder that stays until we end."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def platform_tag() -> str:
    """The wheel tag of this platform: on macOS that of the one architecture compiled for."""
    if sys.platform == "darwin":
        from packaging.tags import mac_platforms

        return next(mac_platforms())
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def main() -> None:
    """Make the wheels of all targets, or of those named."""
    for name in sys.argv[1:] or TARGETS:
        environment = {**os.environ, "TRACTABLE_TARGET": name}
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
