"""The site: every public name is in the reference, every page has its place, both languages show the same figures."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import re
import tokenize
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_docs import FENCE, PUBLIC, ROOT, full_name

import tractable as tr

DOCS = ROOT / "docs"
CHINESE = sorted((DOCS / "zh").glob("*.md"))


def named(path: str) -> Any:
    """What a dotted path of the reference means; `tractable.plan` is a function and a package."""
    _, *names = path.split(".")
    start: Any = importlib.import_module("tractable.plan") if names[:1] == ["plan"] and names[1:] else tr
    return reduce(getattr, names[start is not tr :], start)


def test_every_public_name_is_in_the_reference_once() -> None:
    pages = (page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
    found = [full_name(named(path)) for page in pages for path in re.findall(r"^::: (\S+)$", page, re.MULTILINE)]
    assert sorted(found) == sorted(PUBLIC)


def navigation(config: str) -> set[str]:
    """The pages that a configuration of the site lists."""
    return set(re.findall(r": ([\w/]+\.md)$", (ROOT / config).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_page_has_a_place_on_the_site() -> None:
    own = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page not in CHINESE}
    notebooks = {f"examples/{path.stem}.md" for path in ROOT.glob("examples/*.ipynb")}
    assert navigation("mkdocs.yml") == own | notebooks | {"contributing.md", "changelog.md"}
    assert navigation("mkdocs.zh.yml") == {page.name for page in CHINESE}


def test_nothing_on_the_site_comes_from_elsewhere() -> None:
    sources = [*ROOT.glob("mkdocs*.yml"), *DOCS.glob("assets/*.css"), DOCS / "hooks.py"]
    assert not [path for path in sources if re.search(r"https?://|@import", path.read_text(encoding="utf-8"))]


def bare(language: str, text: str) -> str:
    """A block without its comments and docstrings, which may be in another language."""
    if language == "sh":
        return re.sub(r" *# .*", "", text)
    if language != "python":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(tree)


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_a_chinese_page_has_the_code_and_the_output_of_its_twin(page: Path) -> None:
    twins = [
        [bare(m[1], m[2]) for m in FENCE.finditer(p.read_text(encoding="utf-8"))] for p in (page, DOCS / page.name)
    ]
    assert twins[0] == twins[1]


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_the_words_of_a_chinese_page_are_chinese(page: Path) -> None:
    code = "".join(m[2] for m in FENCE.finditer(page.read_text(encoding="utf-8")) if m[1] == "python")
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    docstrings = [doc for node in functions if (doc := ast.get_docstring(node))]
    assert not [words for words in comments + docstrings if not re.search("[\u4e00-\u9fff]", words)]


def check_site() -> ModuleType:
    """The script that looks at the built site."""
    spec = importlib.util.spec_from_file_location("check_site", DOCS / "check_site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_broken_link_of_the_built_site_is_found(tmp_path: Path) -> None:
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "a.html").write_text('<a href="../b.html#here">', encoding="utf-8")
    (tmp_path / "b.html").write_text('<p id="here"><a href="c.html"><a href="zh/a.html#no"><img src="//x/y.png">')
    (tmp_path / "d.html").write_text(r"<math><mi>\arg</mi></math>", encoding="utf-8")
    trouble = ["b.html loads //x/y.png", "b.html: c.html leads nowhere", "b.html: zh/a.html#no leads nowhere"]
    trouble.append(r"d.html has a command that is not known: <math><mi>\arg</mi></math>")
    assert check_site().troubles(tmp_path) == sorted(trouble)
