"""The commands: load, call a verb, show the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

import tractable as tr
from tractable.cli import _answers, _best, _json, _places, _text
from tractable.cli._common import Common, Force
from tractable.cli._cutting import Cutting
from tractable.cli._former import Renamed
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._how import How
from tractable.cli._spread import spread
from tractable.cli._table_files import Texts
from tractable.formats._pipes import STANDARD
from tractable.models.rows import listed
from tractable.plan import Query

REFUSED = 3
"""The exit code where the budget refuses something that was asked for."""

app = typer.Typer(
    help="Inference and learning in models with hidden variables, priced before it runs and certified.",
    epilog="\b\nExamples:\n  tractable query asia.bif --evidence asia=yes,dysp=yes --target lung\n"
    "  tractable fit mixture votes.csv --components 10 -o votes.safetensors\n\n"
    "Without a command it says what can be done with the files in the folder.\n\n"
    "\b\nExit codes:\n  0    answered\n  2    bad input: one line says what and where\n"
    "  3    refused by the budget: the plan says what would help\n"
    "  130  interrupted: of a fit that can go on, one line says how (--resume)",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file: .bif, .uai, .xml, .xmlbif or .safetensors, each also .gz.",
        show_default=False,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(tr.__version__)
        raise typer.Exit


@app.callback()
def tractable(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """The options of the command line as a whole."""


@app.command(
    cls=Renamed,
    epilog=examples(
        "explain asia.bif --observed dysp,asia --memory 1GiB",
        "explain grid.uai.gz --query map",
    ),
)
@spread
def explain(
    model: Model,
    common: Common,
    observed: Annotated[
        Texts, typer.Option(metavar="A,B", help="Variables that will be observed; of a chain, numbers of rows.")
    ] = None,
    query: Annotated[
        Query | None, typer.Option(help="Price only this query; which a model has, the error for another one lists.")
    ] = None,
    target: Annotated[Texts, typer.Option(metavar="A,B", help="Of a network, price only these marginals.")] = None,
) -> None:
    """Say what the queries of a model would cost, and why, without running any.

    A plan without a method is one that the budget refuses; its advice says what would make it affordable.
    """
    net: Any = tr.load(model)
    asked = None if target is None else _text.names(target)
    plans = tr.explain(net, _observed(net, observed), query, common.memory, targets=asked)
    if common.json:
        return _json.write({"model": _json.model(net), "plans": [plan.to_json() for plan in plans]})
    if not common.quiet:
        tables().show_model(model, net)
    if net.family == "boltzmann" and not common.quiet:
        from tractable.cli import _machine_tables  # as `tables`

        _machine_tables.show_groups(net)
    tables().show_plans(plans)


def _observed(net: Any, observed: Texts) -> Any:
    """Variables; of a chain the numbers of rows of sequences."""
    found = _text.names(observed)
    if net.family != "hidden_markov":
        return found
    if wrong := [n for n in found if not (n.isascii() and n.isdigit() and 0 < int(n) < 2**62)]:
        raise typer.BadParameter(
            f"--observed {wrong[0]}: of a chain, give the number of rows of each sequence, such as 1000"
        )
    return [int(n) for n in found] or None


@dataclass(frozen=True)
class QueryTargets:
    """What is asked about it."""

    target: Annotated[Texts, typer.Option(metavar="A,B", help="Only these variables.")] = None
    joint: Annotated[bool, typer.Option("--joint", help="Also the joint distribution of the targets.")] = False
    map: Annotated[
        bool, typer.Option("--map", help="Instead the most probable assignment of all variables, or of the targets.")
    ] = False
    marginals: Annotated[
        bool,
        typer.Option("--marginals", help="With --map, the marginals and log P too; --joint asks for them as well."),
    ] = False
    best: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="With --map, so many of the best, one after the other.")
    ] = None
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="With --map, the assignments too, as .csv or .parquet."),
    ] = None

    @property
    def summed(self) -> bool:
        """Whether marginals are asked for."""
        return self.marginals or self.joint or not self.map

    @property
    def ranks(self) -> int:
        """How many of the most probable assignments are asked for; none without --map."""
        for name, given in (("--best", self.best), ("--output", self.output)):
            if given is not None and not self.map:
                raise typer.BadParameter(f"{name} is about the most probable assignments: give --map too")
        return (self.best or 1) if self.map else 0


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "query asia.bif --evidence asia=yes,dysp=yes --target lung,tub --joint",
        "query grid.uai.gz --map --method branch_and_bound --seconds 60",
        "query grid.uai.gz --seconds 60 --confidence 0.99",
        "query people.safetensors --evidence job=cook,age=31",
        "query weather.safetensors --evidence-file days.csv --by station",
    ),
)
@spread
def query(
    model: Model, given: _answers.CaseOptions, wanted: QueryTargets, how: How, common: Common, cut: Cutting
) -> None:
    """Answer: the probability of the evidence and the marginals given it, with a certificate.

    Where exact numbers would take too long the answer is an interval for each, which holds with a stated confidence
    and gets narrower with time; Ctrl-C ends it with what stands. --exact is refused instead. What does not matter to
    the targets is left out. Where some of what is asked is refused the rest is answered, and the exit code is 3. With
    several cases --json prints one object a line. Of mixtures it is about components and columns, of hidden Markov
    models about the states along sequences, of machines and layers about units.
    """
    terms, ranks = {"memory": common.memory, **how.terms(wanted.map)}, wanted.ranks
    _places.check_apart({"MODEL": model} | given.files | cut.files, {"--output": wanted.output})
    _best.check(wanted.output, common.json)
    net: Any = tr.load(model)
    if net.family != "tables":
        from tractable.cli import _queries  # a query of a network does not wait for it
        from tractable.cli._query_base import OtherQuery

        return _queries.answer(OtherQuery(model, net, given, wanted, terms, common, cut))
    cut.check_single(net)
    cases = given.read(net)
    named = _answers.targets(net, wanted.target, wanted.joint)
    asked = _answers.ShownQuery(named or tuple(net.states), wanted.joint, ranks, bool(named), terms, wanted.summed)
    refused: dict[str, Any] = {}
    shown = _answers.noted(_answers.answers(net, cases, asked), refused)
    shown = _best.written(wanted.output, shown, asked.shown(net))
    if common.json:
        for answer in shown:
            _json.write(_json.answer(net, asked, answer))
    elif wanted.output != STANDARD:
        shown = list(shown)
        if not common.quiet:
            tables().show_model(model, net)
        tables().show_answers(net, asked, shown, common.quiet)
    _check_answered(refused)


def _check_answered(refused: Mapping[str, Any]) -> None:
    """Say what was refused, and leave with the exit code of that."""
    if refused:
        parts = [f"the marginals of {listed(names)}"] if (names := [v for v in refused if v != _answers.MAP]) else []
        parts += ["the most probable assignment"] if _answers.MAP in refused else []
        told = f"refused by the budget: {' and '.join(parts)}; the rest is answered"
        typer.echo(f"tractable: {_text.one_line(told)}", err=True)
        raise typer.Exit(REFUSED)


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "separated asia.bif asia smoke --given dysp",
        "separated asia.bif asia,tub smoke,bronc --json",
    ),
)
@spread
def separated(
    model: Model,
    common: Common,
    a: Annotated[str, typer.Argument(metavar="A", help="A variable, or several: A,B.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="A variable, or several.", show_default=False)],
    given: Annotated[Texts, typer.Option(metavar="C,D", help="What is observed.")] = None,
) -> None:
    """Say whether A and B are independent given C in every distribution with this graph; show an open path if not."""
    net = _answers.as_network(model, common.load(model))
    found = tr.is_separated(net.graph, _text.names(a), _text.names(b), _text.names(given))
    if common.json:
        return _json.write({"separated": bool(found), "path": list(found.path), "reason": found.reason})
    typer.echo(found.reason)


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "convert alarm.bif.gz alarm.uai.gz",
        "convert rounded.bif whole.safetensors --normalize --force",
    ),
)
@spread
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A model file.", show_default=False)],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help="The file to write; its extension says the format.", show_default=False)
    ],
    common: Common,
    force: Force = False,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Divide each row of a conditional table by its sum.")
    ] = False,
) -> None:
    """Write a model in another format."""
    _places.check_apart({"IN": source}, {"OUT": destination})
    _places.check_new(destination, force)
    net = common.load(source, normalize)
    tr.save(net, destination)
    if common.json:
        return _json.write({"model": _json.model(net), "output": destination})
    common.tell(f"wrote {destination}: {net!r}")


def show_refusal(error: tr.BudgetError, json: bool) -> None:
    """Print the plan that the budget refuses."""
    if json:
        return _json.write({"refused": str(error), "plan": error.plan.to_json()})
    tables().console.print(error.plan)


def tables() -> Any:
    """What prints tables; loaded when one is printed, as `rich` takes longer than a small query."""
    from tractable.cli import _tables

    return _tables
