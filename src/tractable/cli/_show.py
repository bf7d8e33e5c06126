"""The command that shows what is in a model file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

import tractable as tr
from tractable.cli import _answers, _json, _text
from tractable.cli._blocks import Block, columns_of
from tractable.cli._commands import Model, app, tables
from tractable.cli._common import Common, OverBudgetError
from tractable.cli._help import GroupedHelp
from tractable.cli._model_blocks import blocks
from tractable.cli._places import check_apart, check_writable
from tractable.cli._spread import spread
from tractable.cli._table_files import NAMED, Texts, told
from tractable.formats._pipes import STANDARD, kind_of
from tractable.models.sparse_networks import bytes_held
from tractable.plan._units import memory_size
from tractable.plan.budget import memory_bytes

A_NUMBER = 400
"""Bytes that a number takes on its way into text, with its names."""


@dataclass(frozen=True)
class ShownParts:
    """What of it is shown, and where to."""

    variable: Annotated[
        Texts, typer.Option(metavar="A,B", help="Only these: variables of a network, columns, units or groups.")
    ] = None
    csv: Annotated[
        bool, typer.Option("--csv", help="All numbers as CSV, a row each: table,given,variable,what,value.")
    ] = False
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="The same to a file, as .csv or .parquet.")
    ] = None

    def place(self, json: bool) -> str | None:
        """The file that all numbers go to, if any."""
        if json and (self.csv or self.output):
            raise typer.BadParameter("--json and --csv or --output are two forms of the same; leave out one")
        if self.output is not None and self.output != STANDARD:
            kind_of(self.output, NAMED)
            check_writable(self.output)
        return STANDARD if self.csv and self.output is None else self.output


@app.command(
    cls=GroupedHelp,
    epilog="\b\nExamples:\n  tractable show asia.bif --variable either,lung\n"
    "  tractable show weather.safetensors --json",
)
@spread
def show(model: Model, parts: ShownParts, common: Common) -> None:
    """Show what is in a model: tables, weights, transitions, means, couplings; of what is large the first of it.

    Of a network the table of each variable given its parents, or the factors; of a mixture weights and what each
    component holds; of a hidden Markov model the start, the transitions and what each state emits; of machines and
    layers biases and the strongest couplings. --json and --csv have all of it.
    """
    place = parts.place(common.json)
    check_apart({"MODEL": model}, {"--output": place})
    net = common.load(model)
    found = _chosen(net, _text.names(parts.variable))
    if common.json or place:
        _check_told(net, common.memory)
    if common.json:
        return _json.write({"model": _json.model(net), "tables": [block.to_json() for block in found]})
    if place:
        rows = columns_of(found)
        tr.write_data(place, rows)
        return told(common, place, len(rows["value"]))
    from tractable.cli import _block_tables  # brings rich

    if not common.quiet:
        tables().show_model(model, net)
        if net.family == "boltzmann":
            from tractable.cli import _machine_tables

            _machine_tables.show_groups(net)
    _block_tables.show_blocks(found)


def _check_told(net: Any, memory: str | None) -> None:
    """Refuse text that takes more memory than there is."""
    numbers = bytes_held(net) / 8 if net.family == "tables" else net.n_parameters
    if numbers * A_NUMBER > memory_bytes(memory):
        raise OverBudgetError(
            f"all {numbers:,.0f} numbers as text take {memory_size(numbers * A_NUMBER)}: more than --memory;"
            " --variable chooses some"
        )


def _chosen(net: Any, names: Sequence[str]) -> Iterable[Block]:
    """The tables of a model, or those that have to do with some names.

    Raises
    ------
    ModelError : a name that nothing has.
    """
    if net.family == "tables":
        return blocks(net, _answers.targets(net, names))
    if not names:
        return blocks(net)
    found = [*_only(blocks(net), names)]
    seen = {name for block in found for name in (block.name, block.of, *block.columns, *_parts(block))}
    if missing := [name for name in names if name not in seen]:
        raise tr.ModelError(f"--variable {missing[0]}: the model has no column, unit, group or table of this name")
    return found


def _only(found: Iterable[Block], names: Sequence[str]) -> Iterator[Block]:
    """Of each table what is about these names: all of it, some columns, or some rows."""
    for block in found:
        if not {block.name, block.of, _group(block)}.isdisjoint(names):
            yield block
        elif (chosen := _columns(block, names) or _rows(block, names)) is not None:
            yield chosen


def _columns(block: Block, names: Sequence[str]) -> Block | None:
    """The columns that are variables of these names."""
    at = [] if block.of else [j for j, column in enumerate(block.columns) if column in names]
    if not at:
        return None
    spread = None if block.deviations is None else block.deviations[:, at]
    return block._replace(columns=[block.columns[j] for j in at], values=block.values[:, at], deviations=spread)


def _rows(block: Block, names: Sequence[str]) -> Block | None:
    """The rows that are about units or columns of these names."""
    if block.over[:1] not in (("unit",), ("column",)):
        return None
    at = [i for i, row in enumerate(block.rows) if not {*row}.isdisjoint(names)]
    return block._replace(rows=[block.rows[i] for i in at], values=block.values[at]) if at else None


def _group(block: Block) -> str:
    """The group of units that a table of biases is about."""
    return block.name.partition(":")[0]


def _parts(block: Block) -> set[str]:
    """What names its rows, where that is looked up."""
    own = {name for row in block.rows for name in row} if block.over[:1] in (("unit",), ("column",)) else set()
    return own | {_group(block)}
