"""Chains of a machine, drawn and judged."""

from __future__ import annotations

from typing import Any

import tractable as tr
from tractable.cli import _json
from tractable.cli._common import Common
from tractable.cli._outputs import draw
from tractable.cli._places import check_figure
from tractable.cli._tables import console, new_table
from tractable.evaluate.tracing import Traces, traces
from tractable.plots import chain_traces


def diagnosed(model: Any, how: tuple[int, int, int], plot: str | None, common: Common) -> None:
    """Run the chains, draw them where a figure is asked for, and say what they are worth."""
    if model.family != "boltzmann":
        raise tr.ModelError(f"chains are those of a Boltzmann machine; a {type(model).__name__} is sampled without any")
    if plot:
        check_figure(plot)
    n_chains, n_sweeps, seed = how
    found = traces(model, n_chains=n_chains, n_sweeps=n_sweeps, key=seed, memory=common.memory)
    if plot:
        draw(plot, chain_traces, found.draws, found.names)
    if common.json:
        return _json.write({"model": _json.model(model), "verdict": found.diagnosis.verdict, "traces": _records(found)})
    shown = new_table("quantity", "mean", "std. error", "R-hat", "independent draws", left=1)
    for row in _records(found):
        shown.add_row(row["name"], *(f"{row[name]:.4g}" for name in ("mean", "std_error", "r_hat", "effective")))
    console.print(shown)
    console.print(f"{n_chains} chains of {n_sweeps:,} sweeps: {found.diagnosis.verdict}", soft_wrap=True)


def _records(found: Traces) -> list[dict[str, Any]]:
    of = found.diagnosis
    columns = ("mean", "std_error", "r_hat", "effective")
    return [
        {"name": name} | {column: float(getattr(of, column)[i]) for column in columns}
        for i, name in enumerate(found.names)
    ]
