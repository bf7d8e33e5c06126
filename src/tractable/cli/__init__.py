"""The command line: argv → the verbs; no mathematics."""

import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line on `sys.argv` and leave with its exit code."""
    # A short command makes many objects and next to no garbage: looking for it would be a sixth of the run.
    gc.disable()
    try:
        from tractable.cli._run import INTERRUPTED, run  # with the collector off, this too

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are loaded, or an answer is written
        print("tractable: interrupted", file=sys.stderr)
        code = INTERRUPTED = 130
    gc.freeze()
    if code == INTERRUPTED:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> None:
    """End at once: what was interrupted may still compute in threads, which crash where modules are taken from them."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the reader has gone
            stream.flush()
    os._exit(code)
