"""Which of the compiled libraries this processor runs.

On x86-64 the kernels are compiled for three levels of the instruction set, each its own library: v2 (SSE4.2), v3 (AVX2)
and v4 (AVX-512). A small one, compiled for the oldest processor, says which level there is; what is above it is never
loaded. Elsewhere, and where the build was asked for one instruction set, there is one library.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

LEVELS = {"v2": 2, "v3": 3, "v4": 4}
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
HERE = Path(__file__).parent


def library_path(folder: Path = HERE) -> Path:
    """The library to load: that of `$TRACTABLE_KERNELS`, else the highest that this processor runs.

    An ImportError says what is missing, in one line.
    """
    asked = os.environ.get("TRACTABLE_KERNELS", "").strip().lower()
    runs = available(folder)
    if asked not in ("", "off", *runs):  # without kernels go the roads that have another; these have none
        known = ", ".join((*runs, "off"))
        raise _missing(f"TRACTABLE_KERNELS is {asked!r}, and this machine has {known}; unset it to take the fastest")
    return runs[asked] if asked in runs else [*runs.values()][-1]


def available(folder: Path = HERE) -> dict[str, Path]:
    """The libraries that this processor runs, the fastest last: by level, or one for the machine by the name "own"."""
    single = folder / f"_kernels{SUFFIX}"
    if single.exists():
        return {"own": single}
    processor = folder / f"_kernels.processor{SUFFIX}"
    if not processor.exists():
        raise _missing(f"the compiled kernels are missing from {folder}; build them with: pip install .")
    level = ctypes.CDLL(str(processor)).x86_64_level()
    paths = {name: folder / f"_kernels.{name}{SUFFIX}" for name in LEVELS}
    found = {name: path for name, path in paths.items() if LEVELS[name] <= level and path.exists()}
    if not found:
        raise _missing(
            "the compiled kernels need a processor of x86-64-v2 (SSE4.2, made since about 2009) or later; "
            "build them for this one from the sources: TRACTABLE_MARCH=native pip install ."
        )
    return found


def _missing(message: str) -> ImportError:
    return ImportError(message, name="tractable.kernels")
