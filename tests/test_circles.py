"""Modules of a room import one another one way: no circle of imports, wherever in a file an import stands.

What `tractable.families` names for a room counts as imported by whoever asks for it: `leaf(model, "plan")` leads to all
modules of that column.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from test_rooms import ROOMS, modules, package_of, room_of

from tractable.families import FAMILIES

Graph = Mapping[str, set[str]]


def name_of(path: Path) -> str:
    return package_of(path) + ("" if path.stem == "__init__" else f".{path.stem}")


@cache
def sources() -> dict[str, tuple[str, ast.Module]]:
    """Each module: the package that its relative imports start from, and its code."""
    return {name_of(path): (package_of(path), ast.parse(path.read_text(encoding="utf-8"))) for path in modules()}


def graph_of(room: str) -> dict[str, set[str]]:
    """Module -> the modules of its room that it imports; names that a package hands on are those of their leaves."""
    own = {name: code for name, code in sources().items() if room_of(name) == room}
    return {name: set(_imported(name, *code)) - {name} for name, code in own.items()}


def _imported(name: str, package: str, code: ast.Module) -> Iterator[str]:
    for full in named(code, package):
        found = module_of(full)
        if found and room_of(found) == room_of(name):
            yield found


def named(code: ast.Module, package: str) -> Iterator[str]:
    """Full names of all that is imported at run time: by statements, and by tables of names."""
    nodes = list(at_run_time(code))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{source_of(node, package)}.{alias.name}" for alias in node.names)
    texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for prefix in filter(None, (_prefix(node, package) for node in nodes)):
        yield from (full for text in texts if (full := prefix + text) in sources())
    for column in filter(None, map(_column, nodes)):
        where = "learning" if column in ("learner", "starts") else column
        leaves = {getattr(row, column).partition(":")[0] for row in FAMILIES.values()} - {""}
        yield from (f"tractable.{where}.{leaf}" for leaf in leaves)


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from at_run_time(child)


def source_of(node: ast.ImportFrom, package: str) -> str:
    above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    return ".".join([*above, *filter(None, [node.module])])


def _prefix(node: ast.AST, package: str) -> str:
    """What `import_module(f"tractable.room.{…}")`, or `attach(__name__, …)`, begins with; empty for anything else."""
    called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    if called not in ("import_module", "attach"):
        return ""
    first = node.args[0]
    text = first.values[0] if isinstance(first, ast.JoinedStr) else first
    named = text.value if isinstance(text, ast.FormattedValue) else text
    if ast.unparse(named) == "__name__":
        return f"{package}."
    return str(text.value) if isinstance(text, ast.Constant) else ""


def _column(node: ast.AST) -> str:
    """The room in `leaf(model, "room")` or `served(family, "room")`; empty for anything else."""
    asks = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("leaf", "served")
    return str(ast.literal_eval(node.args[1])) if asks else ""


def module_of(full: str) -> str:
    """The module that a full name stands for or is defined in; empty for what is not ours."""
    if full in sources():
        return full
    package, _, name = full.rpartition(".")
    if package not in sources():
        return module_of(package) if package else ""
    return handed_on(package).get(name, package)


@cache
def handed_on(package: str) -> dict[str, str]:
    """Name -> the module that a package has it from, of those that it exports."""
    top, code = sources()[package]
    if top != package:  # a module, not the face of a package
        return {}
    found = [node for node in ast.walk(code) if isinstance(node, ast.ImportFrom)]
    return {a.asname or a.name: module_of(f"{source_of(node, top)}.{a.name}") for node in found for a in node.names}


def circles(graph: Graph) -> set[str]:
    """The modules that can be reached from themselves."""

    def reached(start: str) -> set[str]:
        found, todo = set(), [*graph.get(start, ())]
        while todo:
            if (name := todo.pop()) not in found:
                found.add(name)
                todo += graph.get(name, ())
        return found

    return {name for name in graph if name in reached(name)}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_no_circles(room: str) -> None:
    graph = graph_of(room)
    found = circles(graph)
    assert not found, {name: graph[name] & found for name in sorted(found)}
    _in_order(graph)


def _in_order(graph: Graph) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(error.args[1]) from None


@pytest.mark.parametrize(
    "late",
    [
        "from tractable.graph import elimination",
        "def late():\n    import tractable.graph.elimination",
        "def late():\n    from .elimination import order",
        "LEAVES = {'a': 'elimination'}\nimport_module(f'tractable.graph.{LEAVES[x]}')",
        "LEAVES = {'a': 'elimination'}\nimport_module(f'{__name__}.{LEAVES[x]}')",
        "attach(__name__, {'elimination': ('order',)})",
    ],
)
def test_a_late_import_is_seen(late: str) -> None:
    assert {module_of(full) for full in named(ast.parse(late), "tractable.graph")} >= {"tractable.graph.elimination"}


@pytest.mark.parametrize(
    ("asks", "found"),
    [
        ("leaf(model, 'plan').plan_model(model)", "tractable.plan.networks"),
        ("families.served(kind, 'posterior')", "tractable.posterior.engines.tables"),
        ("served(kind, 'learner')", "tractable.learning.em.exact"),
        ("leaf(model, 'starts')", "tractable.learning.starts.networks"),
    ],
)
def test_what_the_table_of_families_names_is_seen(asks: str, found: str) -> None:
    assert found in set(named(ast.parse(asks), "tractable.plan")) & set(sources())


def test_what_only_a_type_checker_reads_is_no_import() -> None:
    code = "if TYPE_CHECKING:\n    from tractable.graph import elimination"
    assert not list(named(ast.parse(code), "tractable.graph"))


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == {"b", "c"}
