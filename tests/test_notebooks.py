"""The notebooks run and show what they hold; `python tests/test_notebooks.py [names]` renews that."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
JOBS = {"diagnosis", "digits", "explaining_away", "regimes", "table_with_gaps", "too_expensive"}
SECONDS = 120


def read(path: Path) -> Any:
    return pytest.importorskip("nbformat").read(path, 4)


def executed(path: Path) -> Any:
    """The notebook with all of its cells run, in a process of its own."""
    client = pytest.importorskip("nbclient").NotebookClient
    os.environ.setdefault("JPY_SESSION_NAME", path.name)
    found = read(path)
    client(found, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in found.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return found


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook: Any) -> list[tuple[str, ...]]:
    """Of each cell what kinds of things it shows."""
    shown = [
        sorted({*out.get("data", {out.output_type: ""})} for out in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return [tuple(kind for own in cell for kind in sorted(own)) for cell in shown]


def test_there_is_one_for_each_job() -> None:
    index = (FOLDER.parent / "docs" / "index.md").read_text(encoding="utf-8")
    assert {path.stem for path in NOTEBOOKS} == JOBS
    assert all(f"(../examples/{path.name})" in index for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path: Path) -> None:
    held, found = read(path), executed(path)
    assert kinds(found) == kinds(held), f"run python {Path(__file__).name}"
    assert {"text/html", "image/png"} <= {kind for cell in kinds(found) for kind in cell}
    html = [out["data"]["text/html"] for out in outputs(found) if "text/html" in out.get("data", {})]
    assert any('class="tractable"' in page for page in html) and not any("<script" in page for page in html)
    lines = [line for cell in held.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert max(map(len, lines)) <= 100


if __name__ == "__main__":
    import nbformat

    for notebook in NOTEBOOKS:
        if not sys.argv[1:] or notebook.stem in sys.argv[1:]:
            nbformat.write(executed(notebook), notebook)
            print(notebook.name)
