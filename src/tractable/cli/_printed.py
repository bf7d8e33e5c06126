"""What printed tables are made of."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

import tractable as tr
from tractable.cli._console import Answers

MAX_ROWS = 60
"""So many rows of a table are printed; JSON has them all."""

MAX_COLUMNS = 4
"""So many variables are shown beside each of several cases."""

console = Answers(highlight=False, markup=False, emoji=False)


def certified(certificate: tr.Certificate) -> str:
    """A value with the kind of its certificate, and the interval where that is wider than rounding."""
    if certificate.kind == "estimate":
        return str(certificate)
    if certificate.kind == "exact":
        return f"{certificate.value:.10g} (exact)"
    sure = "" if certificate.confidence is None else f" at {100 * certificate.confidence:.6g} %"
    return (
        f"{certificate.value:.10g} in [{certificate.lower:.10g}, {certificate.upper:.10g}] ({certificate.kind}{sure})"
    )


def tell_rest(n: int) -> None:
    """Say how many rows are not shown."""
    if n > 0:
        console.print(f"… and {n:,} rows more; --json has them all, --target chooses variables")


def new_table(*columns: str, left: int = 2) -> Table:
    """A table without rows: the first columns are aligned left, the others are numbers."""
    out = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        out.add_column(column, justify="left" if i < left else "right", overflow="fold", no_wrap=left <= i < 3)
    return out
