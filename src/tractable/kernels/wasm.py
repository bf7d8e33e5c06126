"""The kernels that a page carries, compiled for browsers when the package was installed."""

from __future__ import annotations

from importlib.resources import files


def library() -> bytes:
    """The kernels as WebAssembly; wasm.c says what they are asked.

    Raises
    ------
    FileNotFoundError : they were not compiled; the message says what to do.
    """
    try:
        return files("tractable.kernels").joinpath("_kernels.wasm").read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            "this installation has no kernels for pages, as zig did not compile them: install tractable again, "
            "where pip may fetch ziglang, or after `pip install ziglang`"
        ) from None
