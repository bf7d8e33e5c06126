"""`python docs/check_site.py site`: every link of the built site leads to a page, and every anchor to a place on it.

mkdocs checks its own links; this also sees those between the two languages, to files, and in what pages show.
No page may load anything from elsewhere.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """What a page links to, what it loads, its anchors, and formulas in which a command of TeX is left."""

    def __init__(self, text: str):
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.unread = [formula for formula in re.findall(r"<math.*?</math>", text, re.DOTALL) if "\\" in formula]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if value and (tag, name) in LOADED:
                self.loaded.add(value)
            if value and name in ("href", "src"):
                self.links.add(value)


def troubles(root: Path) -> list[str]:
    """What is wrong, a line each."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in root.rglob("*.html")}
    out = []
    for path, page in pages.items():
        here = path.relative_to(root.resolve())
        out += [f"{here} loads {link}" for link in page.loaded if urlsplit(link).netloc]
        out += [f"{here} has a command that is not known: {formula}" for formula in page.unread]
        out += [
            f"{here}: {link} leads nowhere"
            for link in page.links
            if path.name != "404.html" and not leads(path, link, pages)
        ]
    return sorted(out)


def leads(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    """Whether a link leads somewhere; what is elsewhere is not looked at."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    there = there / "index.html" if there.is_dir() else there
    if there not in pages or not parts.fragment:
        return there.exists()
    return unquote(parts.fragment) in pages[there].anchors


if __name__ == "__main__":
    found = troubles(Path(sys.argv[1]))
    print("\n".join(found) or "every link leads somewhere")
    sys.exit(bool(found))
