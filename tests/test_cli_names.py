"""One vocabulary: every option of every command has the name of the library's argument, or the docs say why not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tractable as tr
from tractable.cli._former import FORMER
from tractable.cli._run import _command, run
from tractable.learning.records import EMOptions, GradientOptions

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10)


class Row(NamedTuple):
    """What the table says of an option."""

    library: list[str]
    estimators: list[str]
    why: str


def table() -> dict[str, Row]:
    """Option -> its row in the docs."""
    part = DOCS.read_text(encoding="utf-8").split("## One vocabulary", 1)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:3] == "| `"]
    quoted = [(re.findall(r"`([^`]+)`", cell) for cell in row[:3]) for row in rows]
    return {name[0]: Row(own, names, row[3]) for row, (name, own, names) in zip(rows, quoted, strict=True)}


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it, the groups among them."""
    command = command or _command([])
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def options() -> dict[str, list[Any]]:
    """Name -> the options of that name."""
    found: dict[str, list[Any]] = {}
    for _, command in commands():
        for option in command.params:
            if option.param_type_name == "option":
                short = [spelling for spelling in option.opts if not spelling.startswith("--") and spelling != "-q"]
                name = option.opts[0] if option.name in ("k", "n") and short else f"--{option.name.replace('_', '-')}"
                assert name in option.opts
                found.setdefault(name, []).append(option)
    return found


def taken(call: str) -> inspect.Parameter:
    """The parameter that `call`, such as ``fit(epochs=)``, names; fails where there is none."""
    name, argument = re.fullmatch(r"([\w.]+)\((\w+)=\)", call).groups()  # type: ignore[union-attr]
    found: Any = tr
    for part in name.split("."):
        found = getattr(found, part)
    parameters = dict(inspect.signature(found).parameters)
    if name == "fit":
        for more in (GradientOptions, EMOptions):
            parameters |= inspect.signature(more).parameters
    if argument not in parameters and inspect.Parameter.VAR_KEYWORD in {p.kind for p in parameters.values()}:
        assert re.search(rf"\b{argument}\b", found.__doc__), f"{call} is not documented"
        return inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY)
    return parameters[argument]


def plain(name: str) -> str:
    """A name without what command line and library spell differently by rule."""
    return name.lstrip("-").replace("-", "_").removeprefix("n_")


def test_the_table_has_every_option_and_no_other() -> None:
    assert sorted(options()) == sorted(table())


@pytest.mark.parametrize("name", sorted(table()))
def test_a_name_that_differs_has_its_reason(name: str) -> None:
    row = table()[name]
    same = {plain(taken(call).name) for call in row.library} == {plain(name)}
    same = same and {plain(other) for other in row.estimators} <= {plain(name)} and name != "--n-init"
    assert same or row.why


@pytest.mark.parametrize("name", sorted(table()))
def test_estimators_have_these_parameters(name: str) -> None:
    kinds = [getattr(tr.estimators, kind) for kind in tr.estimators.__all__]
    known = {parameter for kind in kinds for parameter in inspect.signature(kind).parameters}
    assert set(table()[name].estimators) <= known


@pytest.mark.parametrize("name", ["--checkpoint-seconds", "--n-init", "--tolerance", "--seed", "--resume"])
def test_defaults_are_those_of_the_library(name: str) -> None:
    for call in table()[name].library:
        assert {option.default for option in options()[name]} == {taken(call).default}


def test_passes_are_as_many_as_in_the_library() -> None:
    found = {path[-1]: option for path, command in commands() for option in command.params if option.name == "epochs"}
    for name, option in found.items():
        assert option.default == (tr.EM.epochs if name in ("mixture", "hmm", "network") else None)
    chains = {o.name: o.default for path, c in commands() if path == ("diagnose",) for o in c.params}
    assert (chains["chains"], chains["sweeps"]) == tuple(
        inspect.signature(tr.evaluate.traces).parameters[n].default for n in ("n_chains", "n_sweeps")
    )


LEAVES = [(" ".join(path), command) for path, command in commands() if path and not hasattr(command, "commands")]


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_command_says_how_it_answers_and_has_an_example(name: str, command: Any, capsys: Any) -> None:
    assert {"memory", "quiet", "json"} <= {option.name for option in command.params}
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"Examples?:\n +tractable {name} ", shown) and "-q, --quiet" in shown
    for former in FORMER.get(name.split()[-1], {}):
        assert not re.search(rf"{former}\b(?!-)", shown) or former in {s for o in command.params for s in o.opts}


@pytest.mark.parametrize("words", [(), ("fit",)], ids=["tractable", "fit"])
def test_groups_have_an_example_and_the_exit_code_of_an_interrupt(words: tuple[str, ...], capsys: Any) -> None:
    assert run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Examples:\n +tractable \w+", shown) and "130" in shown and "--resume" in shown


FORMERLY = {
    "mixture": ("--components 2 --starts 2 --iterations 3 --checkpoint-every 9", {"n_init": 2, "epochs": 3}),
    "rbm": ("--hidden 2 --batch 5 --average 0.5 --states 3", {"batch_size": 5, "averaging": 0.5, "categories": ("3",)}),
    "sbn": ("--layers 3,2 --batch 5 --checkpoint-every 9", {"hidden": "3,2", "checkpoint_seconds": 9.0}),
    "sample": ("--given rows.csv", {"evidence_file": "rows.csv"}),
    "explain": ("--observe a,b", {"observed": ("a,b",)}),
}


@pytest.mark.parametrize("name", FORMERLY)
def test_former_names_mean_what_they_meant(name: str) -> None:
    command = next(command for path, command in commands() if path[-1:] == (name,))
    text, expected = FORMERLY[name]
    output = [] if name == "explain" else ["-o", "m.safetensors"]
    context = command.make_context(name, ["input", *text.split(), *output])
    assert {key: context.params[key] for key in expected} == expected


def test_hidden_units_are_given_alike(tmp_path: Path, capsys: Any) -> None:
    rows = str(tmp_path / "rows.npy")
    np.save(rows, ROWS)
    for name, sizes, told in [
        ("rbm", "3,2", "there is one layer of hidden units here, got '3,2'; fit dbm has several"),
        ("rbm", "x", "expected a number of units such as 500, got 'x'"),
        ("rbm", "0", "expected a number of units such as 500, got '0'"),
        ("boltzmann", "-1", "expected a number of units such as 500, got '-1'"),
        ("dbm", "3,,2", "expected numbers of units such as 500,1000, got '3,,2'"),
        ("dbn", "3", "needs at least two numbers, one for each hidden layer, got '3'"),
        ("sbn", "3,-2", "expected numbers of units such as 500,1000, got '3,-2'"),
    ]:
        assert run(["fit", name, rows, "--hidden", sizes, "-o", str(tmp_path / "m.safetensors")]) == 2
        err = capsys.readouterr().err
        assert told in err and "--hidden" in err and err.count("\n") == 1
