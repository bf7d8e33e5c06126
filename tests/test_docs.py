"""The documentation runs: every example prints what the page says, every link leads somewhere, every name is real."""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import tractable as tr

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
MODULES = sorted(m.name for m in pkgutil.walk_packages(tr.__path__, "tractable.") if not m.name.endswith("__main__"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
TIME = re.compile(r"\b[\d.e+]+ (ns|µs|ms|s)\b")


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """The fenced blocks of a page as (language, text, the text of an output block that follows at once)."""
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    out = []
    for block, after in zip(found, [*found[1:], None], strict=True):
        follows = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
        out.append((block[1], block[2], after[2] if follows else ""))
    return out


def comparable(text: str) -> list[str]:
    """Lines without what differs between machines: times, and the layout that depends on how long they are."""
    lines = (re.sub(r"[\s─]+", " ", TIME.sub("TIME", line)).strip() for line in text.splitlines())
    return [line for line in lines if line]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console session, each with the output shown under it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def sessions() -> Iterator[tuple[Path, str, str]]:
    for page in PAGES:
        for language, text, _ in blocks(page):
            if language == "console":
                yield from ((page, *pair) for pair in commands(text))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_prints_what_the_page_shows(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {}
    for language, code, output in blocks(page):
        if language == "python":
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(code, page.name, "exec"), namespace)
            assert comparable(printed.getvalue()) == comparable(output)


@pytest.mark.parametrize(("page", "command", "output"), sessions(), ids=lambda value: getattr(value, "name", ""))
def test_commands_on_a_page_print_what_the_page_shows(page, command, output):
    program, *argv = shlex.split(command)
    assert program == "tractable", "a console block holds what is run here; put other commands into a block of sh"
    env = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    env.pop("FORCE_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "tractable", *argv], cwd=ROOT, env=env, capture_output=True, encoding="utf-8"
    )
    assert comparable(done.stdout + done.stderr) == comparable(output)


def test_the_readme_shows_the_command_line_and_the_library():
    languages = [language for language, _, _ in blocks(ROOT / "README.md")]
    assert languages[0] == "sh" and {"python", "console"} <= set(languages)
    assert [page for page, _, _ in sessions() if page.name == "cli.md"]


def test_the_readme_opens_with_the_two_commands():
    language, text, _ = blocks(ROOT / "README.md")[0]
    assert language == "sh" and re.findall(r"^make \w+", text, re.MULTILINE) == ["make demo", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_public_name_is_in_the_index():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [name for name in tr.__all__ if f"`{name}" not in text] == []


@pytest.mark.parametrize("name", [name for name in tr.__all__ if not isinstance(getattr(tr, name), type)])
def test_every_public_verb_has_an_example(name):
    assert ">>> " in (inspect.getdoc(getattr(tr, name)) or "")


def test_every_room_is_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {m.name for m in pkgutil.iter_modules(tr.__path__) if m.ispkg}
    assert [room for room in sorted(rooms) if f"`{room}`" not in text] == []


def documented() -> Iterator[tuple[str, object]]:
    """Every function and class of the package that has a section of parameters."""
    for name in MODULES:
        for what, item in inspect.getmembers(importlib.import_module(name)):
            own = getattr(item, "__module__", None) == name and (inspect.isfunction(item) or inspect.isclass(item))
            if own and "\nParameters\n---" in (inspect.getdoc(item) or ""):
                yield f"{name}.{what}", item


def parameters(doc: str) -> list[str]:
    """The names before the colons of a section `Parameters`."""
    section = re.split(r"\n\w+\n-{3,}\n", re.split(r"\nParameters\n-{3,}\n", doc)[1])[0]
    lines = re.findall(r"^(\S[^:\n]*?) *:", section, re.MULTILINE)
    return [name.strip().lstrip("*") for line in lines for name in line.split(",")]


def test_documented_parameters_exist():
    for name, item in documented():
        real = set(inspect.signature(item).parameters)  # type: ignore[arg-type]
        assert set(parameters(inspect.getdoc(item) or "")) <= real, name


def test_the_options_of_every_command_are_on_its_page():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in ("explain", "query", "separated", "convert"):
        argv = [sys.executable, "-m", "tractable", command, "--help"]
        text = subprocess.run(argv, capture_output=True, encoding="utf-8", check=True).stdout
        section = page.partition(f"## tractable {command}")[2].partition("\n## ")[0]
        for option in set(re.findall(r"--[a-z-]+", text.partition("Options:")[2].partition("Example")[0])) - {"--help"}:
            assert f"`{option}" in section, f"{option} of {command}"
