"""A page of its own: cards in sections, in light and dark, without script, and nothing is loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from tractable._blocks import DARK, LIGHT, STYLE, text

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for a page: what stands in it."""

SHRUNK = 0.5
"""A picture gets no smaller than this share of its size, so that it can be read; it moves sideways instead."""

PAGE = f"""
:root{{color-scheme:light dark;--page:#f4f6fa;{LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{--page:#0f131c;{DARK}}}}}
body{{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}}
main{{max-width:1080px;margin:0 auto;padding:22px 20px 60px}}
h1{{font-size:26px;margin:0;overflow-wrap:anywhere}} h2{{font-size:19px;margin:34px 0 10px}}
h1+p{{color:var(--soft);margin:4px 0 12px;overflow-wrap:anywhere}}
nav{{display:flex;flex-wrap:wrap;gap:4px 18px}} a{{color:inherit}}
.cards{{display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start}}
.cards .tractable{{margin:0;padding:12px 18px}}
.cards .many{{width:min(960px,calc(100vw - 90px))}}
figure{{margin:8px 0 4px}}
figure div{{overflow-x:auto}}
figure img{{max-width:100%;height:auto;display:block}}
figcaption{{color:var(--soft);font-size:13px;max-width:70ch}}
@media (prefers-color-scheme:dark){{figure img{{filter:invert(.92) hue-rotate(180deg)}}}}
@media (max-width:600px){{main{{padding:14px 10px 40px}} .cards .tractable{{padding:10px 12px}} h1{{font-size:21px}}
 .cards .many,.cards .wide{{grid-template-columns:1fr;width:auto}} .cards .facts th{{white-space:normal}}}}
@media print{{nav{{display:none}} section .tractable{{break-inside:avoid}}}}
"""


def page(title: str, told: str, sections: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A whole page: its title and a line below as text, and sections of cards that are HTML already.

    >>> found = page("a & b", "", [("What it is", ["<p>a line</p>"])])
    >>> found.startswith("<!doctype html>"), "<h1>a &amp; b</h1>" in found, "<script" in found
    (True, True, False)
    """
    shown = [(f"part{i}", name, "".join(parts)) for i, (name, parts) in enumerate(sections) if parts]
    links = "".join(f'<a href="#{key}">{text(name)}</a>' for key, name, _ in shown)
    body = "".join(
        f'<section id="{key}"><h2>{text(name)}</h2><div class="cards">{parts}</div></section>'
        for key, name, parts in shown
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}{PAGE}</style></head><body><main>"
        f"<h1>{text(title)}</h1><p>{text(told)}</p><nav>{links}</nav>"
        f"{body.replace(f'<style>{STYLE}</style>', '')}</main></body></html>\n"
    )


def picture(content: bytes, kind: str, said: str, width: float) -> str:
    """A picture that stands in the page itself, so many pixels wide, with what it shows as text."""
    shown = text(said)
    data = b64encode(content).decode("ascii")
    image = f'<img src="data:image/{kind};base64,{data}" alt="{shown}" style="min-width:{SHRUNK * width:.0f}px">'
    return f"<figure><div>{image}</div><figcaption>{shown}</figcaption></figure>"
