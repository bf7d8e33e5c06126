"""The scripts of the explorer without a browser: as one module they are sound, and what they keep in mind is right."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from engine import node

from tractable.view._assets import ENGINE, module

needs_node = pytest.mark.skipif(node() is None, reason="there is no node here")


def run(*words: str) -> None:
    found = subprocess.run([str(node()), *words], capture_output=True, text=True, encoding="utf-8")
    assert found.returncode == 0, found.stderr


@needs_node
@pytest.mark.parametrize("shells", [("page",), ("notebook",), (*ENGINE, "file")], ids=lambda own: own[-1])
def test_the_joined_module_is_sound(shells: tuple[str, ...], tmp_path: Path) -> None:
    """No name twice on its one top level, nothing imported that is not in it."""
    joined = module(*shells)
    assert "\nimport {" not in joined and "innerHTML" not in joined
    (tmp_path / "joined.mjs").write_text(joined, "utf-8")
    run("--check", str(tmp_path / "joined.mjs"))


@needs_node
def test_what_the_explorer_keeps_in_mind() -> None:
    run(str(Path(__file__).with_name("explorer.mjs")), str(files("tractable.view") / "static"))
