"""The command that fits a mixture: read the data, make a start for it, run EM, write it, say how good it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._choosing import Choosing, check_ended, chosen
from tractable.cli._common import Common
from tractable.cli._emissions import Emitted
from tractable.cli._fit import fit
from tractable.cli._former import Renamed
from tractable.cli._help import examples
from tractable.cli._options import Climbing, Data, Output, Real
from tractable.cli._outputs import checkpoint_of, climb
from tractable.cli._spread import spread
from tractable.cli._table_files import Learned, once, values_of
from tractable.cli._weights import weighing
from tractable.models.rows import n_rows_of

MixtureStart = Literal["k-means++", "rows", "random"]


@dataclass(frozen=True)
class Ascent(Climbing):
    """How EM runs."""

    start: Annotated[MixtureStart, typer.Option(help="Groups of rows far apart, random rows, or blends of some.")] = (
        "k-means++"
    )
    prior: Annotated[Real, typer.Option(min=0.0, help="Strength of the prior; 0 maximizes the likelihood.")] = None

    @property
    def learner(self) -> tr.EM:
        """EM with these settings."""
        return tr.EM(tolerance=self.tolerance, n_init=self.n_init, prior=self.prior)


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit mixture votes.csv --components 10 -o votes.safetensors",
        "fit mixture votes.csv --choose 1-12 --plot bic.svg -o votes.safetensors",
        "fit mixture p.csv --components 4 --emissions gaussian:age,height --emissions categorical:job -o p.safetensors",
    ),
)
@spread
def mixture(
    data: Data,
    output: Output,
    choosing: Choosing,
    ascent: Ascent,
    emitted: Emitted,
    components: Annotated[int | None, typer.Option(min=1, help="Number of components.")] = None,
) -> None:
    """Fit a mixture by expectation maximization; missing entries are integrated out.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    numbers = choosing.numbers(components, "--components")
    choosing.check(ascent.validation)
    checkpoint = checkpoint_of(ascent, output, {"DATA": data, "--validation": ascent.validation})
    ascent, weights = weighing(ascent, data := once(data))
    found = ascent.learned(data)
    each = weights and weights.of(n_rows_of(found.rows))
    begin = partial(tr.mixture, start=ascent.start, key=ascent.seed, **emitted.options(found))
    with values_of(data):
        first = begin(found.rows, numbers[0])
    held = held_out(first, ascent.validation, ascent.learned)
    fit_numbers((ascent, choosing, numbers), begin, first, (data, found.rows, held, each), (output, checkpoint))


def fit_numbers(
    how: tuple[Any, Choosing, list[int]],
    begin: Callable[[Any, int], Any],
    first: Any,
    data: tuple[Any, Any, Any, Any],
    files: tuple[str, str],
) -> None:
    """Fit one number from its first model, or all of them to choose one, and say what came of it.

    `how` has the settings of EM and what is chosen from; `data` its file, rows, those that are followed, and weights.
    """
    (settings, choosing, numbers), (path, rows, held, each) = how, data
    with values_of(path):
        if choosing.choose is None:
            return show_run(climb(settings, first, (rows, held), *files, each), files[0], (rows, each), settings)
        found = chosen(settings, choosing, begin, (rows, held, each), files)
    show_run(found.run, files[0], (rows, each), settings, found)
    check_ended(found, numbers, files[0])


def held_out(model: Any, path: str | None, read: Callable[[str], Learned]) -> Any:
    """Rows that are followed, looked at here, where their file has a name."""
    if path is None:
        return None
    found = read(path).rows
    with values_of(path):
        model.check(found)
    return found


def show_run(
    run: tr.EMRun, output: str, data: tuple[Any, Any], common: Common, choice: tr.learning.Choice | None = None
) -> None:
    """The last iterations, or what was chosen from, and how likely the data are, rows with their weights."""
    how = {"weights": data[1], "memory": common.memory}
    criteria = {c.__name__: c(run.model, data[0], **how).value for c in (tr.aic, tr.bic)}
    if common.json:
        history: list[dict[str, Any]] = [step.to_json() for step in run.history]
        what = {"mixture": "mixture", "tables": "network"}.get(run.model.family, "chain")
        record = {"model": output, what: _json.model(run.model), "converged": run.converged, **criteria}
        record |= {"objectives": list(run.objectives), "starts_alike": run.n_alike}
        more = {} if choice is None else {"choice": choice.to_json()}
        return _json.write({**record, **more, "history": history})
    if not common.quiet:
        _show_end(run, criteria, choice)
        from tractable.cli import _tables  # loaded when a table is printed

        _tables.console.print(f"wrote {output}: {run.model!r}", soft_wrap=True)


def _show_end(run: tr.EMRun, criteria: dict[str, float], choice: tr.learning.Choice | None) -> None:
    """How it ended, for people."""
    from tractable.cli import _machine_tables, _tables  # loaded when a table is printed

    _tables.console.print(choice or tr.History(run.history.records[-_tables.MAX_ROWS :]))
    last, unit = run.history[-1], "sequence" if run.model.family == "hidden_markov" else "row"
    for name, found in (("train", last.train), ("validation", last.validation)):
        if found is not None:
            _machine_tables.show_likelihood(f"log-likelihood of a {name} {unit}", found)
    _tables.console.print(", ".join(f"{name.upper()} {value:.6g}" for name, value in criteria.items()))
    ended = "converged" if run.converged else "not converged: give it more --epochs"
    _tables.console.print(*filter(None, [run.said(), ended]), sep="\n")
