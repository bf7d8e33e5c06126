"""Sizes: short functions, short files, few arguments, few branches. The list of exceptions may only shrink."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import tractable

SOURCE = Path(tractable.__file__).parent
LIMITS = {"lines": 400, "arguments": 6, "branches": 10}
MEDIAN_LENGTH = 10

EXCEPTIONS: dict[tuple[str, str], int] = {}
"""(place, measure) -> the value that it must not exceed: take an entry out when the code no longer needs it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name, methods and inner functions included."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, Function | ast.ClassDef)
        name = f"{prefix}{node.name}." if named else prefix
        if isinstance(node, Function):
            yield name[:-1], node
        yield from functions(node, name)


def length(function: Function) -> int:
    """Lines from ``def`` to the end, the docstring not counted."""
    first = function.body[0]
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return _lines(function) - (_lines(first) if text else 0)


def _lines(node: Function | ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def arguments(function: Function) -> int:
    """Parameters, all kinds together, without ``self`` and ``cls``."""
    args = function.args
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg) if a]
    return len([name for name in names if name not in ("self", "cls")])


def branches(function: Function) -> int:
    """Cyclomatic complexity: one, and one for each place where the way may part; inner functions count apart."""
    return 1 + sum(_forks(child) for child in ast.iter_child_nodes(function))


def _forks(node: ast.AST) -> int:
    if isinstance(node, Function | ast.Lambda):
        return 0
    if isinstance(node, ast.BoolOp):
        own = len(node.values) - 1
    elif isinstance(node, ast.comprehension):
        own = 1 + len(node.ifs)
    else:
        own = isinstance(node, ast.If | ast.IfExp | ast.For | ast.While | ast.ExceptHandler | ast.match_case)
    return own + sum(_forks(child) for child in ast.iter_child_nodes(node))


def measures() -> dict[tuple[str, str], int]:
    """All that is limited: place (file, or file and function) and measure -> value."""
    out = {}
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(SOURCE).as_posix()
        out[place, "lines"] = len(text.splitlines())
        for name, function in functions(ast.parse(text)):
            out[f"{place}:{name}", "arguments"] = arguments(function)
            out[f"{place}:{name}", "branches"] = branches(function)
    return out


def test_nothing_is_larger_than_its_limit() -> None:
    over = {place: value for place, value in measures().items() if value > EXCEPTIONS.get(place, LIMITS[place[1]])}
    assert not over, f"beyond the limits {LIMITS}: split these, do not list them"


def test_the_exceptions_are_still_needed_and_still_exact() -> None:
    found = measures()
    for place, allowed in EXCEPTIONS.items():
        value = found.get(place, 0)
        assert value > LIMITS[place[1]], f"{place} is no exception any more ({value}): take it off the list"
        assert value >= allowed, f"{place} is now {value}: lower its figure"


def test_the_median_function_is_short() -> None:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py"))
    assert statistics.median(length(function) for tree in trees for _, function in functions(tree)) <= MEDIAN_LENGTH


def test_the_measures_count_what_they_say() -> None:
    code = '''
class Box:
    def busy(self, a, /, b, *rest, c=1, **more):
        """Two lines
        of text."""
        def inner(x):
            return x if x else -x
        for i in [j for j in a if j and i]:
            while b or c or i:
                pass
        try:
            pass
        except ValueError:
            pass
'''
    found = dict(functions(ast.parse(code)))
    busy = found["Box.busy"]
    assert list(found) == ["Box.busy", "Box.busy.inner"]
    assert (arguments(busy), branches(busy), length(busy)) == (5, 9, 10)
    assert (arguments(found["Box.busy.inner"]), branches(found["Box.busy.inner"])) == (1, 2)
