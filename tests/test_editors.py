"""What an editor needs: names that are listed before they are loaded, and the same names for what only reads source."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import assert_type

import pytest
from test_circles import source_of

import tractable as tr
from tractable.estimators import GaussianMixture

ROOMS = {name: getattr(tr, name) for name in tr.__all__ if inspect.ismodule(getattr(tr, name))}
PACKAGES = [tr, *ROOMS.values()]


def shown(package: ModuleType) -> str:
    return package.__name__


def read_statically(package: ModuleType) -> dict[str, object]:
    """Name → what it stands for to a reader of the source: imports, those for type checkers too, and definitions."""
    code = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    found = {name: getattr(package, name) for node in code.body if (name := getattr(node, "name", None))}
    for node in ast.walk(code):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            module = source_of(node, package.__name__)
            if module.startswith("tractable"):
                found[alias.asname or alias.name] = getattr(importlib.import_module(module), alias.name)
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=shown)
def test_a_package_lists_its_public_names_and_no_others(package: ModuleType) -> None:
    listed = [name for name in dir(package) if not name.startswith("__")]
    assert listed == sorted(package.__all__) and all(hasattr(package, name) for name in listed)


@pytest.mark.parametrize("package", PACKAGES, ids=shown)
def test_what_reads_the_source_finds_the_same_names(package: ModuleType) -> None:
    found = read_statically(package)
    assert [name for name in package.__all__ if found.get(name) is not getattr(package, name)] == []


def test_rooms_are_loaded_by_their_names_and_listed_before_their_contents() -> None:
    listed = f"[dir(tr), *(dir(getattr(tr, room)) for room in {[*ROOMS]})]"
    heavy = "{'jax', 'matplotlib', 'sklearn', 'networkx'} & {*sys.modules}"
    code = f"import sys, tractable as tr; print(*sorted({{*sum({listed}, [])}}), {heavy}, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *names, loaded = done.stdout.splitlines()
    assert {"infer", "estimators", "GaussianMixture", "diagnose", "filters"} <= set(names)
    assert loaded == "set()"


def test_a_name_that_is_none_is_an_error_with_the_nearest_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import tractable as tr; tr.estimators.GausianMixture"], capture_output=True, text=True
    )
    assert "has no attribute 'GausianMixture'. Did you mean: 'GaussianMixture'?" in done.stderr


def test_types_are_known_through_the_front_door() -> None:
    assert_type(tr.estimators.GaussianMixture(2), GaussianMixture)  # which pyright looks at
    assert_type(tr.infer(tr.MarkovNetwork({"a": "01"}, [])), "tr.Posterior[tr.posterior.Marginals]")
