"""The command line: argv → the verbs; no mathematics."""

import gc
import sys


def main() -> None:
    """Run the command line on `sys.argv` and leave with its exit code."""
    # A short command makes many objects and next to no garbage: looking for it would be a sixth of the run.
    gc.disable()
    try:
        from tractable.cli._run import run  # with the collector off, this too

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are loaded, or an answer is written
        print("tractable: interrupted", file=sys.stderr)
        code = 130
    gc.freeze()
    sys.exit(code)
