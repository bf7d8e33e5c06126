"""A name says one thing: no class or alias of types is defined in two modules, but for those listed with the reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest
from test_circles import sources

ROLES = {"Asked", "Answer"}
"""What `read` and `solve` of an engine return: one role in every engine, as `posterior.engines._protocol` names it."""

ESTIMATORS = {"DeepBeliefNetwork", "HelmholtzMachine", "HiddenMarkovModel", "SigmoidBeliefNetwork"}
"""Estimators that learn the model of the same name; they are no names of the front door."""


def defined(code: ast.Module) -> Iterator[str]:
    """Public classes, and aliases of types: names in capitals and small letters that a module binds, whatever under."""
    for node in ast.walk(code):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in [*code.body, *(inner for top in code.body if isinstance(top, ast.If) for inner in top.body)]:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (t.id for t in targets if isinstance(t, ast.Name) and t.id[:1].isupper() and not t.id.isupper())


def where() -> dict[str, set[str]]:
    """Name -> the modules that define it."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, (_, code) in sources().items():
        for name in defined(code):
            found[name].add(module)
    return {name: modules for name, modules in found.items() if not name.startswith("_")}


def test_a_name_has_one_meaning() -> None:
    twice = {name: modules for name, modules in where().items() if len(modules) > 1}
    assert not {name: modules for name, modules in twice.items() if name not in ROLES | ESTIMATORS}
    assert set(twice) == ROLES | ESTIMATORS, "names that no longer need to be listed"


def test_the_listed_names_are_only_where_the_reason_holds() -> None:
    found = where()
    assert all(module.startswith("tractable.posterior.engines.") for name in ROLES for module in found[name])
    for name in ESTIMATORS:
        assert {module.split(".")[1] for module in found[name]} == {"estimators", "models"}
        assert len(found[name]) == 2


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("class Rows:\n    class Inner: ...", {"Rows", "Inner"}),
        ("Rows = tuple[int, ...]\nROWS = 2\nrows = 3\nT = TypeVar('T')", {"Rows"}),
        ("if TYPE_CHECKING:\n    Rows = int | str\n    class Kept: ...", {"Rows", "Kept"}),
        ("Rows: TypeAlias = int", {"Rows"}),
    ],
)
def test_classes_and_aliases_are_seen(code: str, names: set[str]) -> None:
    assert set(defined(ast.parse(code))) == names
