"""What every command takes: the memory that may be used, and in which form it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

import tractable as tr
from tractable.models.sparse_networks import bytes_held
from tractable.plan._units import memory_size
from tractable.plan.budget import memory_bytes

Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def _checked_size(memory: str | None) -> str | None:
    try:
        memory_bytes(memory)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return memory


class OverBudgetError(Exception):
    """What has to be held takes more than the memory that may be used; there is no plan that could say so."""


class InterruptedFitError(Exception):
    """A fit was interrupted and can go on: the message says how. The parser would swallow a KeyboardInterrupt."""


@dataclass(frozen=True)
class Common:
    """The options of all commands."""

    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="The memory that may be used: 4GiB, or bytes; half of the machine's if absent, all for a gradient.",
            callback=_checked_size,
        ),
    ] = None
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the answer alone: no progress, nothing about how it was found.")
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help='Print JSON (an infinite number is the string "-inf" or "inf").')
    ] = False

    @property
    def progress(self) -> bool | None:
        """Whether a fit shows a bar: at a terminal, unless that is not wanted."""
        return False if self.quiet else None

    def load(self, path: str, normalize: bool = False) -> Any:
        """The model in a file, refused where its numbers alone take more than the memory that may be used."""
        found: Any = tr.load(path, normalize=normalize)
        held = bytes_held(found) if found.family == "tables" else 8.0 * found.n_parameters
        if self.memory is not None and held > memory_bytes(self.memory):
            raise OverBudgetError(f"{path}: the model alone takes {memory_size(held)}; --memory is {self.memory}")
        return found

    def tell(self, what: str) -> None:
        """Say what was done."""
        if not self.quiet:
            typer.echo(what)
