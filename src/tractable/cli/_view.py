"""The command that shows a model in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._commands import Model, app
from tractable.cli._common import Common
from tractable.cli._cutting import Cut
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._places import check_apart, check_writable
from tractable.cli._spread import spread
from tractable.cli._table_files import values_of
from tractable.extras import import_module
from tractable.formats._base import write

PAGES = (".htm", ".html")


@dataclass(frozen=True)
class Serving:
    """Where a page is served."""

    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; one that is free if 0.")] = 0
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or print the address alone.")
    ] = True


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "view asia.bif",
        "view asia.bif -o asia.html",
        "view weather.safetensors days.csv --by station --no-browser",
    ),
)
@spread
def view(
    model: Model,
    cut: Cut,
    serving: Serving,
    common: Common,
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="Rows, or sequences, that the model is shown with.", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="One file that works by itself, as .html; nothing is served."
        ),
    ] = None,
) -> None:
    """Show a model in a browser: click a state to observe it, and see what all others become.

    What a click would cost is said before it is made. The page is served on this machine alone, behind an address that
    nobody can guess, until Ctrl-C. With -o it becomes one file that can be mailed: a network answers in it by the same
    kernels, compiled for the browser, as long as exact answers are within its means.
    """
    check_apart({"MODEL": model, "DATA": data} | cut.files, {"--output": output})
    if output is not None:
        check_writable(output, PAGES)
        return _written(output, _session(model, data, cut, common), common)
    _served(model, data, cut, common, serving)


def _session(path: str, data: str | None, cut: Any, common: Common) -> Any:
    """What is shown, read from its files."""
    from tractable.view.sessions import session  # no other command waits for it

    found, name = common.load(path), Path(path).name.partition(".")[0]
    if data is None:
        return session(found, name=name)
    rows = cut.data(found, data)
    with values_of(data):
        return session(found, rows, name)


def _written(output: str, own: Any, common: Common) -> None:
    from tractable.view.page import page

    content = page(own).encode("utf-8")
    write(output, content)
    if common.json:
        return _json.write({"output": output, "bytes": len(content)})
    common.tell(f"wrote {output}: {len(content) / 1024:.0f} KiB; open it in a browser")


def _served(path: str, data: str | None, cut: Any, common: Common, serving: Serving) -> None:
    server = import_module("tractable.view.server", "a page in a browser")
    if os.path.exists(path):
        opened = server.Served(lambda: _session(path, data, cut, common), Path(path))
    else:
        opened = server.Served(lambda: _session(path, data, cut, common))
    try:
        at = server.bound(serving.port)
    except OSError as error:
        raise tr.ModelError(str(error)) from None

    def ready(address: str) -> None:
        shown = serving.browser and webbrowser.open(address)
        if common.json:
            _json.write({"address": address, "browser": bool(shown)})
        else:
            told = (
                "Ctrl-C ends it"
                if shown or not serving.browser
                else "no browser was found here: open it in one; Ctrl-C ends it"
            )
            typer.echo(f"{path} is at {address} ({told})")
        sys.stdout.flush()

    with at:
        server.serve(opened, at, ready)
