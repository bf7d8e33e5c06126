"""What is shown of machines to people."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import tractable as tr
from tractable.cli._tables import MAX_ROWS, certified, console, new_table

if TYPE_CHECKING:
    from tractable.cli._fitting import Fitted


def show_groups(model: tr.Boltzmann) -> None:
    """A row for each group of units."""
    shown = new_table("group", "units", "number", "coupled to", left=2)
    for name in model.groups:
        units = model.units[name]
        others = sorted({b if a == name else a for a, b in model.couplings if name in (a, b)})
        states = f", {units.q} states" if isinstance(units, tr.Categorical) else ""
        shown.add_row(name, type(units).__name__.lower() + states, f"{units.n:,}", ", ".join(others))
    console.print(shown)


def show_fit(found: Fitted) -> None:
    """The last epochs, and how likely the data are under the model."""
    history = found.run.history
    console.print(type(history)(tuple(islice(history, max(0, len(history) - MAX_ROWS), None))))
    for name, likelihood in found.likelihood.items():
        show_likelihood(f"log-likelihood of a {name} row", likelihood)
    if yard := found.run.yardstick:
        beside = f"independent columns {yard.independent:.3f}"
        beside += "" if yard.mixture is None else f", a mixture of {yard.n_components} {yard.mixture:.3f}"
        console.print(f"for comparison, a {yard.rows} row: {beside}", soft_wrap=True)
    console.print(f"{found.run.steps:,} steps of {found.run.learner!r}", soft_wrap=True)
    console.print(f"wrote {found.path}: {found.run.model!r}", soft_wrap=True)


def show_likelihood(what: str, found: tr.Certificate) -> None:
    """A certified mean, and the verdict on it where there is one."""
    console.print(f"{what} = {certified(found)}", soft_wrap=True)
    if found.verdict:
        console.print(found.verdict)
