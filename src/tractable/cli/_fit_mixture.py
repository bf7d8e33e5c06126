"""The command that fits a mixture: read the data, make a start for it, run EM, write it, say how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._commands import Json
from tractable.cli._fit import fit
from tractable.cli._options import Data, Output, Real, Seed
from tractable.cli._spread import spread

Emissions = Literal["bernoulli", "categorical", "poisson", "gaussian", "tied", "diagonal", "spherical"]
Start = Literal["k-means++", "rows"]


@dataclass(frozen=True)
class Ascent:
    """How EM runs."""

    start: Annotated[Start, typer.Option(help="Groups of rows that are far apart, or random rows.")] = "k-means++"
    starts: Annotated[int, typer.Option(min=1, help="Number of starts, of which the best is kept.")] = 1
    iterations: Annotated[int, typer.Option(min=1, help="Iterations at most.")] = 200
    tolerance: Annotated[float, typer.Option(min=0.0, help="EM ends when a row gains less than this.")] = 1e-6
    prior: Annotated[Real, typer.Option(min=0.0, help="Strength of the prior; 0 maximizes the likelihood.")] = None
    validation: Annotated[
        str | None, typer.Option(metavar="FILE", help="Rows whose likelihood is followed and not learned from.")
    ] = None
    seed: Seed = 0


@fit.command(epilog="\b\nExample:\n  tractable fit mixture votes.csv --components 10 -o votes.safetensors")
@spread
def mixture(
    data: Data,
    components: Annotated[int, typer.Option(min=1, help="Number of components.", show_default=False)],
    output: Output,
    ascent: Ascent,
    emissions: Annotated[Emissions, typer.Option(help="What a column holds, given the component.")] = "bernoulli",
    json: Json = False,
) -> None:
    """Fit a mixture by expectation maximization; missing entries are integrated out."""
    from tractable.formats._base import extension

    extension(output, (".safetensors",))
    rows = tr.read_data(data)
    held = tr.read_data(ascent.validation) if ascent.validation else None
    begin = tr.mixture(rows, components, emissions, start=ascent.start, key=ascent.seed)
    learner = tr.EM(tolerance=ascent.tolerance, n_init=ascent.starts, prior=ascent.prior)
    run = tr.fit(begin, rows, learner, epochs=ascent.iterations, validation=held, key=ascent.seed)
    tr.save(run.model, output)
    show_run(run, output, tr.bic(run.model, rows).value, json)


def show_run(run: tr.EMRun, output: str, bic: float, json: bool) -> None:
    """The last iterations, and how likely the data are."""
    from tractable.cli import _json

    if json:
        history: list[dict[str, Any]] = [step.to_json() for step in run.history]
        what = {"mixture": "mixture", "tables": "network"}.get(run.model.family, "chain")
        record = {"model": output, what: _json.model(run.model), "converged": run.converged, "bic": bic}
        return _json.write({**record, "history": history})
    from tractable.cli._machine_tables import show_likelihood
    from tractable.cli._tables import MAX_ROWS, console

    console.print(type(run.history)(run.history.iterations[-MAX_ROWS:]))
    last, unit = run.history[-1], "sequence" if run.model.family == "hidden_markov" else "row"
    for name, found in (("train", last.train), ("validation", last.validation)):
        if found is not None:
            show_likelihood(f"log-likelihood of a {name} {unit}", found)
    console.print(f"BIC {bic:.6g}; {'converged' if run.converged else 'not converged: give it more --iterations'}")
    console.print(f"wrote {output}: {run.model!r}", soft_wrap=True)
