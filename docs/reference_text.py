"""Docstrings as Markdown: their sections hold `names : text`, not names and types, and their examples are sessions."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Yields|Raises|References|Notes|Examples)\n-{3,}\n", re.MULTILINE)
NEXT = re.compile(r"(?<=\.) (?=[A-Za-z]\w*(?:, \w+)* : )")
ITEM = re.compile(r"^(\S.*?) :(?: |$)")


class Sections(Extension):
    """Rewrites each docstring when its object is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The docstring with headings in bold, items as lists, and sessions in fences."""
    head, *rest = SECTION.split(text)
    parts = [head.strip()]
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        parts.append(f"**{name}**")
        parts.append(
            session(body) if name == "Examples" else body.strip() if name in ("References", "Notes") else items(body)
        )
    return "\n\n".join(parts)


def session(body: str) -> str:
    return f"```pycon\n{body.strip()}\n```"


def items(body: str) -> str:
    """Lines that begin at the margin begin an item; what is indented goes on with it."""
    out: list[str] = []
    for line in filter(str.strip, body.splitlines()):
        if line[0].isspace() and out:
            out[-1] += f" {line.strip()}"
        else:
            out.append(line.strip())
    return "\n".join(f"- {named(item)}" for line in out for item in NEXT.split(line))


def named(item: str) -> str:
    found = ITEM.match(item)
    return f"**{found[1]}**: {item[found.end() :]}" if found else item
