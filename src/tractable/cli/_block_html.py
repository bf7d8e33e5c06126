"""Tables of a model on a page: bounded, and each says how much of it is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from tractable._blocks import card, left_out, name, names, note, number, table, text
from tractable.cli._blocks import Block, strongest

TABLES, ROWS, COLUMNS, LINKS = 24, 16, 10, 20
"""So many tables, rows and columns of each; of couplings the strongest."""

LETTERS = 24


def cards(found: Iterable[Block]) -> list[str]:
    """The first of some tables, a card each."""
    blocks = iter(found)
    shown = [block_card(block) for block in islice(blocks, TABLES)]
    more = sum(1 for _ in blocks)
    return [*shown, card("The rest", left_out(0, more, "tables: tractable show has them all"))] if more else shown


def block_card(block: Block) -> str:
    """One table, as its shape allows."""
    if block.links and block.values.size > LINKS:
        return card(_title(block), *_links(block))
    if not block.over:
        return card(_title(block), *_single(block))
    return card(_title(block), *_plain(block))


def _title(block: Block) -> str:
    """What a table is."""
    if block.of == block.name and block.over:
        return f"{name(block.name)} given {names(block.over, 4)}"
    if block.of and block.of != block.name:
        return f"{name(block.name)}: {name(block.of)}" if block.over else name(block.name)
    return name(block.name) + _more(block)


def _more(block: Block) -> str:
    """How large it is, and what the numbers are where the name does not say so."""
    told = block.what + ("" if block.deviations is None else " ± standard deviation")
    size = f", {len(block.rows):,} × {len(block.columns):,}" if block.links else ""
    return size + (f" ({text(told)})" if told and told not in block.name else "")


def _cells(block: Block, i: int) -> list[str]:
    values = block.values[i, :COLUMNS].tolist()
    if block.deviations is None:
        return [number(x) for x in values]
    pairs = zip(values, block.deviations[i, :COLUMNS].tolist(), strict=True)
    return [f"{number(x)} ± {s:.3g}" if s == s else number(x) for x, s in pairs]


def _plain(block: Block) -> list[str]:
    """Rows and columns; the names of a row stand in its first cell."""
    own = f"{block.of} " if block.of and all(c.isdecimal() for c in islice(block.columns, COLUMNS)) else ""
    head = [names(block.over, 4), *(name(f"{own}{column}", LETTERS) for column in block.columns[:COLUMNS])]
    rows = [[_row_name(row), *_cells(block, i)] for i, row in enumerate(islice(block.rows, ROWS))]
    more = left_out(len(rows), len(block.rows), "rows") + left_out(COLUMNS, len(block.columns), "columns")
    return [table(head, rows), more]


def _row_name(row: Sequence[str]) -> str:
    return ", ".join(name(part, LETTERS) for part in row[:4]) + (", …" if len(row) > 4 else "")


def _single(block: Block) -> list[str]:
    """A row that stands alone, from top to bottom."""
    pairs = zip(islice(block.columns, ROWS), block.values[0, :ROWS].tolist(), strict=True)
    what = block.what or ("probability" if block.of else "value")
    rows = [[name(own, LETTERS), number(x)] for own, x in pairs]
    return [table([name(block.of), text(what)], rows), left_out(len(rows), len(block.columns), "entries")]


def _links(block: Block) -> list[str]:
    """The strongest couplings, by name."""
    rows = [[name(a, LETTERS), name(b, LETTERS), number(x)] for a, b, x in strongest(block, LINKS)]
    shown = table(["from", "to", f"strongest {text(block.what or 'values')}"], rows)
    return [shown, left_out(len(rows), block.values.size, "weaker ones")] if rows else [note("none")]
