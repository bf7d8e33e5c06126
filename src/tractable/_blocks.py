"""What cards of HTML are made of: text, facts, tables, bars and arrays, in light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

VARIABLES, STATES, ROWS, COLUMNS, LETTERS = 40, 12, 10, 8, 48
"""How many of each are shown."""

LIGHT = "--ink:#1c2333;--soft:#566074;--line:#d8dee9;--paper:#ffffff;--fill:#8fb8e6;--warn:#9b2c0c"
DARK = "--ink:#e6eaf2;--soft:#a3adc0;--line:#3a4356;--paper:#171c28;--fill:#33639c;--warn:#ffab8a"
STYLE = f"""
.tractable{{color-scheme:light dark;{LIGHT}}}
@media (prefers-color-scheme:dark){{.tractable{{{DARK}}}}}
[data-jp-theme-light=true] .tractable,.vscode-light .tractable{{color-scheme:light;{LIGHT}}}
[data-jp-theme-light=false] .tractable,.vscode-dark .tractable{{color-scheme:dark;{DARK}}}
.tractable{{background:var(--paper);color:var(--ink);border:1px solid var(--line);border-radius:6px;padding:10px 14px;
 font:13px/1.45 system-ui,sans-serif;width:fit-content;max-width:100%;box-sizing:border-box;overflow-x:auto}}
.tractable .title{{font-weight:600;margin:0 0 6px}}
.tractable p{{margin:6px 0;max-width:70ch}}
.tractable .soft,.tractable .plain caption small{{color:var(--soft);font-weight:400}}
.tractable .warn{{color:var(--warn)}}
.tractable .plain{{border-collapse:collapse;border:0;margin:4px 0 8px;font-size:13px;color:inherit;table-layout:auto}}
.tractable .plain caption{{caption-side:top;text-align:left;font-weight:600;color:inherit;padding:0 0 2px;
 white-space:nowrap}}
.tractable .plain tbody tr,.tractable .plain thead tr,.tractable .plain tbody tr:hover{{background:none;border:0}}
.tractable .plain th,.tractable .plain td{{border:0;border-bottom:1px solid var(--line);padding:2px 14px 2px 0;
 text-align:left;vertical-align:top;font-weight:400;max-width:60ch;color:inherit;overflow-wrap:break-word}}
.tractable .plain thead th{{color:var(--soft);white-space:nowrap}}
.tractable .plain .n{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.tractable .facts th{{color:var(--soft);white-space:nowrap}}
.tractable .many{{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:6px 26px;align-items:start;
 width:880px;max-width:100%}}
.tractable .wide{{grid-template-columns:repeat(auto-fill,minmax(390px,1fr))}}
.tractable .many .plain{{width:100%;table-layout:fixed}}
.tractable .many caption{{white-space:normal;overflow-wrap:anywhere}}
.tractable .many .plain th{{width:28%}} .tractable .many .plain td{{padding-right:0}}
.tractable .said span:last-child{{min-width:5em}}
.tractable .wide .said span:last-child{{min-width:13.5em}}
.tractable .said{{display:flex;align-items:center;gap:8px;font-variant-numeric:tabular-nums;white-space:nowrap}}
.tractable .bar{{position:relative;flex:1 0 56px;height:10px;background:var(--line);border-radius:2px;overflow:hidden}}
.tractable .bar i{{position:absolute;left:0;top:0;bottom:0;background:var(--fill)}}
.tractable .bar b{{position:absolute;top:3px;height:4px;min-width:2px;background:var(--ink);opacity:.75}}
"""

# ---------------------------------------------------------------- text

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that no page can hold."""


def text(given: Any) -> str:
    """Any text as text of a page.

    >>> text("<script>alert('1')</script>")
    '&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;'
    """
    return escape(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(given)))


def name(given: Any, letters: int = LETTERS) -> str:
    """A name, cut where it is long; what is written from right to left turns nothing around it.

    >>> name("a&b"), name("x" * 9, letters=4)
    ('<bdi>a&amp;b</bdi>', '<bdi title="xxxxxxxxx">xxx…</bdi>')
    """
    whole = str(given)
    if len(whole) <= letters:
        return f"<bdi>{text(whole)}</bdi>"
    return f'<bdi title="{text(whole[:400])}">{text(whole[: letters - 1])}…</bdi>'


def names(given: Iterable[Any], most: int = 6) -> str:
    """The first of some names, and how many there are where these are not all."""
    all_of = list(given)
    more = (
        f" …\N{NO-BREAK SPACE}({len(all_of):,}\N{NO-BREAK SPACE}in\N{NO-BREAK SPACE}all)" if len(all_of) > most else ""
    )
    return ", ".join(map(name, all_of[:most])) + more


def number(given: Any) -> str:
    """A number to four digits; a dash for none."""
    return "–" if given is None or given != given else f"{given:.4g}"


def said(found: Any, value: float, lower: float, upper: float, show: Callable[[Any], str] = number) -> str:
    """A number of a certificate, with its ends where it has some, or what is known of its error."""
    if found.kind == "exact":
        return show(value)
    if found.kind != "estimate":
        return f"{show(value)} [{show(lower)}, {show(upper)}]"
    error = found.std_error
    return show(value) if error is None or getattr(error, "ndim", 0) else f"{show(value)} ± {error:.2g}"


def sure(found: Any) -> str:
    """How sure a certificate is, in words."""
    kind = found.kind if found.confidence is None else f"{found.kind} at {100 * found.confidence:.6g} %"
    return kind + (f" if {found.assumes}" if found.assumes else "")


def card(title: str, *parts: str) -> str:
    """A record: its title, and parts that are HTML already."""
    return f'<div class="tractable"><style>{STYLE}</style><p class="title">{title}</p>{"".join(parts)}</div>'


def note(given: str, kind: str = "soft") -> str:
    """A line of HTML besides."""
    return f'<p class="{kind}">{given}</p>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """What it is → how it is, in HTML, a line each."""
    rows = "".join(f'<tr><th scope="row">{text(key)}</th><td>{value}</td></tr>' for key, value in pairs if value)
    return f'<table class="plain facts"><tbody>{rows}</tbody></table>' if rows else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", numbers: bool = True) -> str:
    """A table of HTML whose first column names the rows, where they have names; numbers stand to the right of it."""
    kind = ' class="n"' if numbers else ""
    top = "".join(
        f'<th scope="col"{kind if i else ""}>{cell}</th>' if cell else "<td></td>" for i, cell in enumerate(head)
    )
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td{kind}>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    above = f"<caption>{caption}</caption>" if caption else ""
    return f'<table class="plain">{above}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def left_out(shown: int, of: int, what: str) -> str:
    """How many there are besides those that are shown.

    >>> left_out(40, 1041, "variables"), left_out(8, 8, "variables")
    ('<p class="soft">… and 1,001 more variables</p>', '')
    """
    return note(f"… and {of - shown:,} more {what}") if of > shown else ""


def bar(value: float, lower: float, upper: float, said: str) -> str:
    """A probability as a bar, and its interval as a line on it; the number stands beside it."""

    def percent(x: float) -> float:
        return round(100 * min(1.0, max(0.0, x if x == x else 0.0)), 2)

    ends = f'<b style="left:{percent(lower)}%;width:{round(percent(upper) - percent(lower), 2)}%"></b>'
    drawn = f'<i style="width:{percent(value)}%"></i>{ends if lower < upper else ""}'
    return f'<div class="said"><span class="bar" aria-hidden="true">{drawn}</span><span>{said}</span></div>'


def array(numbers: Any, caption: str, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> str:
    """The first entries of an array, with names for its axes; of more axes than two the shape alone."""
    if numbers.ndim > 2 or not numbers.size:
        return note(caption + ("" if numbers.size else " (none)"))
    flat = numbers.reshape(1, -1) if numbers.ndim < 2 else numbers
    shown = flat[:ROWS, :COLUMNS].tolist()
    head = labels(columns, len(shown[0]))
    first = labels(rows, len(shown)) if numbers.ndim == 2 else [""]
    cells = [[label, *map(number, row)] for label, row in zip(first, shown, strict=True)]
    more = left_out(len(shown), len(flat), "rows") + left_out(len(shown[0]), flat.shape[1], "columns")
    return table(["", *head], cells, caption) + more


def labels(known: Sequence[str], n: int) -> list[str]:
    """The names of the first of an axis, numbers for those that have none."""
    return [name(own, 24) for own in [*known[:n], *range(len(known), n)]]
