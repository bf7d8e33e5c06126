"""The outer edge: which exception becomes which exit code, and one line on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._commands import app, show_refusal
from tractable.cli._common import InterruptedFitError, OverBudgetError
from tractable.cli._text import one_line, warnings_in_a_line
from tractable.extras import missing

ANSWERED, BROKEN_PIPE, BAD_INPUT, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130

LATE = {"show": ("_show",), "filter": ("_ahead",), "forecast": ("_ahead",), "report": ("_report",), "view": ("_view",)}
MODULES = (
    "_show",
    "_view",
    "_ahead",
    "_report",
    "_machines",
    "_fit",
    "_fit_mixture",
    "_fit_hmm",
    "_fit_layers",
    "_fit_network",
)
"""Where commands are that others do not wait for: by name, and all."""

COMPLETION = "_TRACTABLE_COMPLETE"
"""In the environment where a shell asks for completions."""

# The class of every error that the argument parser raises; typer exports only this leaf of it by name.
UsageError: Any = typer.BadParameter.__mro__[1]


def run(argv: Sequence[str]) -> int:
    """Run one command line; its exit code: 0 answered, 2 bad input, 3 refused by the budget, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            _prepare(stream)
    try:
        with warnings_in_a_line(tr.FormatWarning), _quietly(argv):
            code = _guarded(argv)
        if sys.stdout is not None:  # nobody may have opened it
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not raise again at exit.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except ImportError as error:
        return _fail(_lacking(error))
    except OSError as error:
        return _fail(f"{error.filename or 'the standard output'}: {error.strerror or error}")


def _quietly(argv: Sequence[str]) -> AbstractContextManager[None]:
    if {"-q", "--quiet"}.isdisjoint(argv):
        return nullcontext()
    from tractable.posterior.waiting import silence  # help does not wait for it

    return silence()


def _prepare(stream: TextIOWrapper) -> None:
    """No character may end a command: what a stream cannot show is written otherwise."""
    stream.reconfigure(errors="backslashreplace")
    if stream.encoding.lower() != "utf-8" or os.environ.get("LC_ALL") in ("C", "POSIX"):
        from tractable.cli import _ascii  # seldom needed

        if _ascii.needed(stream):
            _ascii.prepare(stream)


def _command(argv: Sequence[str]) -> Any:
    """The command line as the parser sees it; a command on networks does not wait for those on machines to be built."""
    if not {c.callback.__name__ for c in app.registered_commands if c.callback} & {*argv[:1]}:
        for name in LATE.get(argv[0], MODULES) if argv else MODULES:
            import_module(f"tractable.cli.{name}")
    command = typer.main.get_command(app)
    if not argv or argv[0].startswith("-"):  # so a shell asks for completions, and a user to have them installed
        command.params += typer.main.get_install_completion_arguments()
    return command


def _guarded(argv: Sequence[str]) -> int:
    try:
        return _affordable(argv)
    except UsageError as error:
        return _fail(error.format_message())
    except InterruptedFitError as error:
        return _fail(str(error), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except (tr.ModelError, tr.GraphError) as error:  # any other ValueError is a defect, and must be seen
        return _fail(str(error))


def _affordable(argv: Sequence[str]) -> int:
    """The exit code of a command that the budget may refuse, or memory end."""
    try:
        return _answered(argv)
    except MemoryError:
        return _fail("out of memory; a smaller --memory makes the plan take less, or refuse", REFUSED)
    except tr.BudgetError as error:
        show_refusal(error, json="--json" in argv)
        return _fail(str(error), REFUSED)
    except OverBudgetError as error:
        if "--json" in argv:
            _json.write({"refused": str(error)})
        return _fail(str(error), REFUSED)
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):  # from jax, which has no class of its own for it
            raise
        return _fail("out of memory; take smaller batches, fewer hidden units or fewer chains")


def _answered(argv: Sequence[str]) -> int:
    if not argv and COMPLETION not in os.environ:
        from tractable.cli import _folder  # seldom needed

        _folder.show()
        return ANSWERED
    command = _command(argv)
    code = command.main(list(argv), prog_name="tractable", standalone_mode=False) or ANSWERED
    if code == INTERRUPTED:  # which is all that the parser makes of an interrupt
        raise KeyboardInterrupt
    return code


def _lacking(error: ImportError) -> str:
    """What to say where an extra is not installed, or no kernels run on this machine; another error is a defect."""
    if error.name == "tractable.kernels":
        return str(error)
    if not isinstance(error, ModuleNotFoundError):
        raise error
    return str(missing(error, "this command"))


def _fail(message: str, code: int = BAD_INPUT) -> int:
    print(f"tractable: {one_line(message)}", file=sys.stderr)
    return code
