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
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

import tractable as tr

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
RUN = [page for page in PAGES if page.parent.name != "zh"]
"""Of the Chinese pages tests/test_site.py says that they hold the code and the output of others."""
FOUND = (module.name for module in pkgutil.walk_packages(tr.__path__, "tractable."))
MODULES = sorted(name for name in FOUND if not name.endswith(("__main__", "._kernels")))  # the last is no Python module
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
TIME = re.compile(r"\b[\d.e+]+ (ns|µs|ms|s)\b")


def blocks(text: str) -> list[str]:
    return [block[2] for block in FENCE.finditer(text)]


def comparable(text: str) -> list[str]:
    """Lines without what differs between machines: times, and the layout that depends on how long they are."""
    lines = (re.sub(r"[\s─]+", " ", TIME.sub("TIME", line)).strip() for line in text.splitlines())
    return [line for line in lines if line]


def rerun(page: Path) -> str:
    """The page with all that it runs run again: python, whose output is the block of text after it, and consoles."""
    namespace: dict[str, object] = {}
    output = ""

    def renewed(block: re.Match[str]) -> str:
        nonlocal output
        language, text = block[1], block[2]
        if language == "python":
            output = printed(text, namespace)
        elif language == "console":
            text = "".join(f"$ {line}\n{answered(line)}" for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE))
        elif language == "text":
            text = output
        return f"```{language}\n{text}```\n"

    return FENCE.sub(renewed, page.read_text(encoding="utf-8"))


def mirrored(page: Path) -> str:
    """A Chinese page with the output of the page whose code it shows."""
    twin = iter(FENCE.findall((page.parent.parent / page.name).read_text(encoding="utf-8")))

    def renewed(block: re.Match[str]) -> str:
        language, text = next(twin)
        return f"```{language}\n{text}```\n" if language in ("text", "console") else block[0]

    return FENCE.sub(renewed, page.read_text(encoding="utf-8"))


def printed(code: str, namespace: dict[str, object]) -> str:
    """What a piece of python prints, run at the root of the repository."""
    out, here = io.StringIO(), os.getcwd()
    os.chdir(ROOT)
    try:
        with redirect_stdout(out):
            exec(code, namespace)
    finally:
        os.chdir(here)
    return out.getvalue()


def answered(command: str) -> str:
    """What a command line prints on a terminal of 80 columns."""
    program, *argv = shlex.split(command)
    assert program == "tractable", "a console block holds what is run here; put other commands into a block of sh"
    env = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    argv = [sys.executable, "-m", "tractable", *argv]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, encoding="utf-8")
    lines = (done.stdout + done.stderr).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def public() -> dict[str, object]:
    """Module and name → every class and function that one finds in `tr` and in the packages that are names of it."""
    rooms = [getattr(tr, name) for name in tr.__all__ if inspect.ismodule(getattr(tr, name))]
    faces = [tr, *rooms, tr.models.emissions, tr.models.units]
    found = (getattr(face, name) for face in faces for name in face.__all__)
    return {full_name(item): item for item in found if inspect.isclass(item) or inspect.isfunction(item)}


def full_name(item: Any) -> str:
    return f"{item.__module__}.{item.__qualname__}"


PUBLIC = public()


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    """Those of public names run when pasted after `import tractable as tr` alone, others where they stand."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for found in doctest.DocTestFinder().find(importlib.import_module(name)):
        if {found.name, found.name.rpartition(".")[0]} & set(PUBLIC):
            found.globs = {"tr": tr}
        runner.run(found)
    assert not runner.failures


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example(name: str) -> None:
    doc, (module, _, own) = inspect.cleandoc(PUBLIC[name].__doc__ or ""), name.rpartition(".")
    assert doctest.DocTestParser().get_examples(doc)
    assert module in MODULES and getattr(importlib.import_module(module), own) is PUBLIC[name], "it would not be run"


def anchors(page: Path) -> set[str]:
    """Where one may jump to on a page: headings, made anchors as GitHub does it, and names with a docstring."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*?) *$", text, re.MULTILINE)
    found = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return found | set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_what_a_page_runs_prints_what_the_page_shows(page):
    for shown, real in zip(blocks(page.read_text(encoding="utf-8")), blocks(rerun(page)), strict=True):
        assert comparable(shown) == comparable(real)


def test_python_on_a_page_is_followed_by_its_output():
    for page in PAGES:
        languages = [block[1] for block in FENCE.finditer(page.read_text(encoding="utf-8"))]
        assert all(after == "text" for block, after in pairwise([*languages, ""]) if block == "python")


def test_the_readme_opens_with_the_two_commands_and_an_example():
    found = [(block[1], block[2]) for block in FENCE.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert [language for language, _ in found[:3]] == ["sh", "python", "text"]
    assert re.findall(r"^make \w+", found[0][1], re.MULTILINE) == ["make demo", "make test"]
    assert len(found[1][1].splitlines()) <= 20


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith("https://"):
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("script", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.name)
def test_every_example_runs_and_is_listed(script):
    strict = ",".join(filter(None, ["error", os.environ.get("PYTHONWARNINGS")]))
    env = os.environ | {"PYTHONWARNINGS": strict}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and done.stdout and not done.stderr
    assert f"(../examples/{script.name})" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_index():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [name for name in tr.__all__ if f"`{name}" not in text] == []


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


def options(item: object) -> set[str]:
    """The names that ``**options: Unpack[…]`` takes."""
    rest = [p for p in inspect.signature(item).parameters.values() if p.kind is p.VAR_KEYWORD]  # type: ignore[arg-type]
    module = vars(sys.modules[item.__module__])
    found = [eval(p.annotation, module) for p in rest if str(p.annotation).startswith("Unpack[")]
    return {name for own in found for name in get_args(own)[0].__annotations__}


def test_documented_parameters_exist():
    for name, item in documented():
        real = set(inspect.signature(item).parameters) | options(item)  # type: ignore[arg-type]
        assert set(parameters(inspect.getdoc(item) or "")) <= real, name


def test_the_options_of_every_command_are_on_its_page():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = ("explain", "query", "separated", "convert", "fit rbm", "fit dbm", "fit boltzmann")
    for command in (*commands, "score", "sample", "impute", "transform"):
        argv = [sys.executable, "-m", "tractable", *command.split(), "--help"]
        text = subprocess.run(argv, capture_output=True, encoding="utf-8", check=True).stdout
        section = page.partition(f"## tractable {command.split()[0]}")[2].partition("\n## ")[0]
        options = set(re.findall(r"--[a-z-]+", text.partition("Options:")[2].partition("Example")[0])) - {"--help"}
        for option in options:
            part = page.partition("\n## ")[0] if option in ("--memory", "--quiet") else section
            assert f"`{option}" in part, f"{option} of {command}"


if __name__ == "__main__":
    for path in RUN:
        path.write_text(rerun(path), encoding="utf-8")
    for path in set(PAGES) - set(RUN):
        path.write_text(mirrored(path), encoding="utf-8")
