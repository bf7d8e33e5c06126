"""Sequences on the command line: how rows are cut into them, and the command that decodes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer

import tractable as tr
from tractable.cli import _json, _text
from tractable.cli._commands import Model, app, tables
from tractable.cli._common import Common
from tractable.cli._cutting import Cut, Text
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._places import check_apart
from tractable.cli._spread import spread
from tractable.cli._table_files import check_output, told, values_of
from tractable.formats._pipes import STANDARD

SequencesArgument = Annotated[
    str,
    typer.Argument(
        metavar="SEQUENCES",
        help="Rows of data, or .json: a list of sequences.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class StatesQuery(Common):
    """What is asked about hidden states."""

    posterior: Annotated[
        bool, typer.Option("--posterior", help="Probabilities of the states of each row, not the best path.")
    ] = False
    best: Annotated[int, typer.Option(metavar="K", min=1, help="So many of the best paths, one after the other.")] = 1

    def of(self, chain: Any, sequences: tr.Sequences) -> list[dict[str, Any]]:
        """What is asked of each sequence."""
        if self.posterior and self.best > 1:
            raise typer.BadParameter("--best is about paths, and --posterior asks for probabilities: leave out one")
        if self.posterior:
            return _posterior(chain, sequences, self.memory)
        found: Any = tr.most_probable(chain, sequences, k=self.best, memory=self.memory)
        return _paths(sequences, found if self.best > 1 else [found], self.best)


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "decode weather.safetensors days.csv --by station -o states.npy",
        "decode weather.safetensors days.csv --by station --posterior --json",
    ),
)
@spread
def decode(
    model: Model,
    sequences: SequencesArgument,
    cut: Cut,
    asked: StatesQuery,
    output: Annotated[
        Text, typer.Option("--output", "-o", metavar="FILE", help="States of all rows, as .npy, .npz or .csv.")
    ] = None,
) -> None:
    """Say which hidden states sequences went through: the most probable paths, or the posterior of each row."""
    check_apart({"MODEL": model, "SEQUENCES": sequences} | cut.files, {"--output": output})
    chain = chain_of(model)
    if output:
        check_output(chain, output, asked.json)
    rows = cut.read(sequences, cut)
    with values_of(sequences):
        found = asked.of(chain, rows)
    if output:
        tr.write_data(output, np.concatenate([_columns(part, asked.best) for part in found]))
    if asked.json:
        return _json.write({"model": _json.model(chain), "output": output, "sequences": found})
    if output != STANDARD:
        if not asked.quiet:
            tables().show_model(model, chain)
        _show(found, asked.posterior, asked.best)
    if output:
        told(asked, output, sum(part["rows"] for part in found))


def chain_of(path: str) -> Any:
    """The hidden Markov model in a file."""
    found: Any = tr.load(path)
    if found.family != "hidden_markov":
        raise tr.ModelError(f"{path} holds a {type(found).__name__}; this command is for hidden Markov models")
    return found


def _paths(sequences: tr.Sequences, found: list[tr.MostProbable], k: int) -> list[dict[str, Any]]:
    """The most probable path of each sequence, and of several those that it has."""
    _tell(found[0].log_probability)
    own = [_each(sequences, best.assignment["state"], "log_probability", best.log_probability) for best in found]
    for best, parts in zip(found, own, strict=True):
        for part, tied in zip(parts, np.atleast_1d(best.tied).tolist(), strict=True):
            part["tied"] = tied
    best = [
        [{what: part[what] for what in ("log_probability", "tied", "states")} for part in ranked if _possible(part)]
        for ranked in zip(*own, strict=True)
    ]
    return own[0] if k == 1 else [{**part, "best": paths} for part, paths in zip(own[0], best, strict=True)]


def _possible(part: dict[str, Any]) -> bool:
    return part["log_probability"] > -np.inf


def _columns(part: dict[str, Any], k: int) -> np.ndarray:
    """The states of a sequence's rows [rows, …]: a column for each of the best paths, −1 where there are fewer."""
    if k == 1:
        return np.reshape(part["states"], (part["rows"], -1))
    out = np.full((part["rows"], k), -1)
    for rank, path in enumerate(part["best"]):
        out[:, rank] = path["states"]
    return out


def _posterior(chain: Any, sequences: tr.Sequences, memory: Text) -> list[dict[str, Any]]:
    """The posterior of the state of each row."""
    found: Any = tr.infer(chain, sequences, memory=memory)
    _tell(found.log_partition)
    return _each(sequences, found.marginals["state"], "log_likelihood", found.log_partition)


def _tell(found: tr.Certificate) -> None:
    if found.verdict:
        print(found.verdict, file=sys.stderr)


def _each(sequences: tr.Sequences, states: Any, what: str, found: tr.Certificate) -> list[dict[str, Any]]:
    parts = states if sequences.many else [states]
    values = np.atleast_1d(np.asarray(found.value)).tolist()
    return [
        {"rows": len(part), what: value, "kind": found.kind, "states": part.tolist()}
        for part, value in zip(parts, values, strict=True)
    ]


def _show(found: list[dict[str, Any]], posterior: bool, best: int) -> None:
    """A row for each sequence; of a path its runs of equal states."""
    what = "log_likelihood" if posterior else "log_probability"
    told = "most probable states" if posterior else "path: state × rows"
    head = "log p(rows)" if posterior else "log p(path, rows)"
    table = tables().new_table("sequence", "rows", head, told, left=0)
    for number, part in enumerate(found[: (most := tables().MAX_ROWS)]):
        for place, one in _ranked(number, part):
            table.add_row(*place, *_row(one, what))
    tables().console.print(table)
    if min((len(part["best"]) for part in found if part.get("best")), default=best) < best:
        tables().console.print(f"of a sequence with fewer than {best} paths these are all that are possible")
    if len(found) > most:
        tables().console.print(f"… and {len(found) - most:,} sequences more; --json has them all")


def _ranked(number: int, part: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """What was found for a sequence, its number and length beside the first."""
    first, *others = part.get("best") or [part]
    yield (str(number), f"{part['rows']:,}"), {**part, **first}
    yield from ((("", ""), {**part, **one}) for one in others)


def _row(found: dict[str, Any], what: str) -> tuple[str, str]:
    """What a path or a posterior has, and its states."""
    states, tied = found["states"], ", tied" if found.get("tied") else ""
    own = np.argmax(states, axis=1).tolist() if what == "log_likelihood" else states
    path = _text.runs(own) if found[what] > -np.inf else "impossible"
    return f"{found[what]:.10g} ({found['kind']}{tied})", path
