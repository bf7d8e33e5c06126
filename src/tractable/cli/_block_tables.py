"""Tables of a model for people: bounded, and each says how much of it is left out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from tractable.cli._blocks import Block, strongest
from tractable.cli._printed import console, new_table

TABLES, ROWS, COLUMNS, BEST, LINKS = 12, 20, 8, 5, 15
"""So many tables, rows and columns of each are printed; states of a wide row, and of couplings the strongest."""

LETTERS = 32
"""So much of a name."""

ALL = "--json, --csv and -o have it all"


def cut(name: str) -> str:
    """A name that fits a table.

    >>> cut("x" * 200)[-3:], len(cut("x" * 200))
    ('xx…', 32)
    """
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def show_blocks(found: Iterable[Block]) -> None:
    """The first of some tables."""
    blocks = iter(found)
    for block in islice(blocks, TABLES):
        show_block(block)
    if more := sum(1 for _ in blocks):
        console.print(f"… and {more:,} tables more; --variable chooses some, {ALL}")


def show_block(block: Block, rest: str = ALL) -> None:
    """One table, as its shape allows: couplings, a single row, distributions of many states, or rows and columns."""
    console.print(_title(block), soft_wrap=True)
    shown, of, what = _shaped(block)
    console.print(shown)
    left = [f"{of - shown.row_count:,} {what}"] if of > shown.row_count else []
    hidden = len(block.columns) - COLUMNS
    if what == "rows" and not block.of and hidden > 0:
        left.append(f"{hidden:,} columns")
    if left:
        console.print(f"… and {' and '.join(left)} more; {rest}")


def _shaped(block: Block) -> tuple[Any, int, str]:
    """A table of it, how many rows it would have, and what these are."""
    if block.links and block.values.size > LINKS:
        return _links(block), block.values.size, "weaker ones"
    if not block.over:
        return _single(block), len(block.columns), "entries"
    made = _wide if block.of and len(block.columns) > COLUMNS else _plain
    return made(block), len(block.rows), "rows"


def _title(block: Block) -> str:
    """What a table is."""
    if block.of == block.name and block.over:
        return f"{cut(block.name)} given {', '.join(map(cut, islice(block.over, COLUMNS)))}"
    if block.of and not _numbered(block) and block.of != block.name:
        return f"{cut(block.name)}: {cut(block.of)}"
    name = f"{block.name}, {len(block.rows):,} × {len(block.columns):,}" if block.links else cut(block.name)
    return name + _what(block)


def _what(block: Block) -> str:
    """What the numbers are, where the name does not say so."""
    what = block.what + ("" if block.deviations is None else " ± standard deviation")
    return f" ({what})" if what and what not in block.name else ""


def _numbered(block: Block) -> bool:
    """Whether columns have numbers alone, and need the name of what they are states of."""
    return block.name != block.of and all(name.isdecimal() for name in islice(block.columns, COLUMNS))


def _heads(block: Block, names: Iterable[str]) -> list[str]:
    return [f"{cut(block.of)} {name}" if block.of and _numbered(block) else cut(name) for name in names]


def _plain(block: Block) -> Any:
    """Rows and columns."""
    table = new_table(*map(cut, block.over), *_heads(block, block.columns[:COLUMNS]), left=len(block.over))
    for i, row in enumerate(islice(block.rows, ROWS)):
        table.add_row(*map(cut, row), *_numbers(block, i))
    return table


def _numbers(block: Block, i: int) -> list[str]:
    values = block.values[i, :COLUMNS].tolist()
    if block.deviations is None:
        return [f"{x:.6g}" for x in values]
    pairs = zip(values, block.deviations[i, :COLUMNS].tolist(), strict=True)
    return [f"{x:.5g} ± {s:.3g}" if s == s else f"{x:.6g}" for x, s in pairs]


def _single(block: Block) -> Any:
    """A row that stands alone, from top to bottom."""
    table = new_table(cut(block.of), block.what or ("probability" if block.of else "value"), left=1)
    for name, x in zip(islice(block.columns, ROWS), block.values[0, :ROWS].tolist(), strict=True):
        table.add_row(cut(name), f"{x:.6g}")
    return table


def _wide(block: Block) -> Any:
    """The most probable states of each row."""
    table = new_table(*map(cut, block.over), f"most probable of {len(block.columns):,} {cut(block.of)}", left=9)
    names = [cut(name) for name in block.columns]
    for i, row in enumerate(islice(block.rows, ROWS)):
        best = np.argsort(-block.values[i], kind="stable")[:BEST]
        told = [f"{names[j]} {block.values[i, j]:.4g}" for j in best.tolist() if block.values[i, j] > 0]
        table.add_row(*map(cut, row), ", ".join(told))
    return table


def _links(block: Block) -> Any:
    """The strongest couplings, by name."""
    table = new_table("from", "to", f"strongest {block.what or 'values'}")
    for a, b, x in strongest(block, LINKS):
        table.add_row(cut(a), cut(b), f"{x:.6g}")
    return table
