"""The page's own files: one ES module, which every shell runs, and one style sheet."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

PARTS = ("base", "beliefs", "viewport", "lines", "cards", "overview", "graph", "panels", "list", "bubble", "toolbar")
PARTS += ("network", "charts", "sheets", "mixture", "chain", "machine", "explorer")
"""The files of the module, each after those that it imports; all share its top level."""

ENGINE = ("kernels", "separation", "engine")
"""What a page that is a file has besides: it answers by itself."""

_JOINED = re.compile(
    r'^import \{[^}]*\} from "\./[\w-]+\.js";\n|^export (?=(?:async )?(?:function|const|class|let)\b)', re.M
)


@cache
def module(*shells: str) -> str:
    """The explorer and what a shell adds, as one ES module without imports: its files share one top level."""
    return "\n".join(_JOINED.sub("", text(f"{name}.js")) for name in (*PARTS, *shells))


@cache
def style() -> str:
    """The style sheet of all pages."""
    return text("explorer.css") + text("sheets.css")


@cache
def text(name: str) -> str:
    """A file of the page."""
    return files("tractable.view").joinpath("static", name).read_text("utf-8")
