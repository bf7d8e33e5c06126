"""What the site needs beyond mkdocs: formulas as MathML, notebooks as pages, and links that leave docs/.

The sources read well in the repository too, so they link to files as these lie there. A link to what is no page of the
site becomes a copy of that file.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.inlinepatterns import InlineProcessor
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PAGES |= {f"examples/{path.name}": f"examples/{path.stem}.md" for path in sorted(ROOT.glob("examples/*.ipynb"))}
"""Place in the repository → page of the site, of pages that are not in docs/."""

LINK = re.compile(r"(?<!`)(\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
BROKEN = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef”])\n(?=[\u3000-\u9fff\uff00-\uffef“\[]|\*\*)")
"""The end of a line between two Chinese characters, where there must be no blank."""

SITE = "site:"
"""How links and files are marked that mkdocs has no page of, until the page is rendered."""

LANGUAGES = {"en": "English", "zh": "中文"}


def on_config(config: Any) -> Any:
    """Add formulas, and anchors as GitHub makes them of headings."""
    config.markdown_extensions.append(Formulas())
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def slug(text: str, separator: str = "-") -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", separator)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that come from elsewhere in the repository."""
    if is_chinese(config):
        return with_shared_files(files, config)
    for place, page in PAGES.items():
        text = (ROOT / place).read_text(encoding="utf-8")
        content = notebook_page(json.loads(text)) if place.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=content))
    return files


def with_shared_files(files: Files, config: Any) -> Files:
    """The Chinese pages have the style sheet and the mark of the others."""
    for path in sorted((ROOT / "docs" / "assets").iterdir()):
        files.append(File.generated(config, f"assets/{path.name}", abs_src_path=str(path)))
    return files


def is_chinese(config: Any) -> bool:
    return config.theme["language"] == "zh"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links as the repository has them into links of the site."""
    folder = "docs/zh" if is_chinese(config) else "docs"
    here = {page: place for place, page in PAGES.items()}.get(page.file.src_uri, f"{folder}/{page.file.src_uri}")

    def moved(link: re.Match[str]) -> str:
        there = posixpath.normpath(posixpath.join(posixpath.dirname(here), link[2]))
        return f"{link[1]}{target(there, folder, page.file.src_uri, files)}{link[3]}"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(moved, BROKEN.sub("", part)) for part in parts)


def target(there: str, folder: str, here: str, files: Files) -> str:
    """Where the site has a file of the repository, as seen from one of its pages."""
    own = PAGES.get(there) if folder == "docs" else None
    own = own or there.removeprefix(f"{folder}/")
    if files.get_file_from_path(own):
        return posixpath.relpath(own, posixpath.dirname(here) or ".")
    up = "../" if folder == "docs/zh" else ""
    known = PAGES.get(there, there.removeprefix("docs/"))
    if known.endswith(".md"):
        return f"{SITE}{up}{known.removesuffix('.md')}.html"
    return f"{SITE}{up}{known if there.startswith('docs/') else copied(there)}"


COPIED: set[str] = set()


def copied(place: str) -> str:
    """Where the copy of a file will be."""
    COPIED.add(place)
    return f"files/{place}"


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Resolve what was marked."""
    return html.replace(f'"{SITE}', f'"{"../" * page.url.count("/")}')


def on_post_build(config: Any, **_: Any) -> None:
    """Copy the files that pages link to."""
    for place in sorted(COPIED):
        out = Path(config.site_dir, "files", place)
        if not is_chinese(config):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes((ROOT / place).read_bytes())


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> Any:
    """Link to the same page in the other language, or to its first page."""
    name, chinese = page.file.src_uri, is_chinese(config)
    twin = name if (ROOT / "docs" / name).exists() and (ROOT / "docs" / "zh" / name).exists() else "index.md"
    address = twin.removesuffix(".md") + ".html"
    links = {"en": ("../" if chinese else "") + address, "zh": ("" if chinese else "zh/") + address}
    links["zh" if chinese else "en"] = "index.html"
    config.extra["alternate"] = [{"name": LANGUAGES[k], "link": links[k], "lang": k} for k in LANGUAGES]
    return context


class Formulas(Extension):
    """`$…$` within a line and `$$` around lines become MathML, which browsers draw themselves."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.inlinePatterns.register(Inline(r"(?<![\\$\w])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?![\w$])", md), "formula", 188)
        md.parser.blockprocessors.register(Display(md.parser), "formula", 90)


class Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]  # noqa: N802
        return self.md.htmlStash.store(mathml(m[1], "inline")), m.start(0), m.end(0)


class Display(BlockProcessor):
    def test(self, parent: Element, block: str) -> bool:
        return block.strip().startswith("$$") and block.strip().endswith("$$")

    def run(self, parent: Element, blocks: list[str]) -> None:
        formula = mathml(blocks.pop(0).strip()[2:-2].strip(), "block")
        SubElement(parent, "div", {"class": "formula"}).text = self.parser.md.htmlStash.store(formula)


def mathml(latex: str, display: str) -> str:
    """A formula as MathML, with a thin space between the name of a function and what it is taken of."""
    return re.sub(
        r"(<mi>(?:log|exp|max|min)</mi>)(?=<m[inosuf])(?!<mo stretchy)",
        r'\1<mspace width=".17em"/>',
        convert(latex, display=display),
    )


def notebook_page(notebook: Any) -> str:
    """A notebook as a page: its text, its code, and what it shows."""
    return "\n\n".join(part for cell in notebook["cells"] for part in cell_parts(cell))


def cell_parts(cell: Any) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *map(shown, cell["outputs"])]


def shown(output: Any) -> str:
    """What a cell shows, in the richest form that a page can hold: a card, a picture, or text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "text/html" in data:
        return card("".join(data["text/html"]))
    if "image/png" in data:
        return card(f'<img alt="" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">')
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"


def card(inner: str) -> str:
    """HTML on a line of its own, so that it is no Markdown."""
    return f'<div class="shown" data-search-exclude>{" ".join(inner.splitlines())}</div>'
