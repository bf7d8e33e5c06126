"""The command line: argv → the verbs; no mathematics."""

import sys


def main() -> None:
    """Run the command line on `sys.argv` and leave with its exit code."""
    from tractable.cli._run import run

    sys.exit(run(sys.argv[1:]))
