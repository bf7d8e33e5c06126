"""Records as HTML, for notebooks: a card each, in light and dark, without script, and every name is text.

A record calls this when a notebook asks for it. Nothing here knows the house: only the fields of what is handed in are
read. What is made is bounded, and says how much it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import islice
from math import prod
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
 width:min(880px,88vw)}}
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


def _said(found: Any, value: float, lower: float, upper: float, show: Callable[[Any], str] = number) -> str:
    """A number of a certificate, with its ends where it has some, or what is known of its error."""
    if found.kind == "exact":
        return show(value)
    if found.kind != "estimate":
        return f"{show(value)} [{show(lower)}, {show(upper)}]"
    error = found.std_error
    return show(value) if error is None or getattr(error, "ndim", 0) else f"{show(value)} ± {error:.2g}"


def _sure(found: Any) -> str:
    """How sure a certificate is, in words."""
    kind = found.kind if found.confidence is None else f"{found.kind} at {100 * found.confidence:.6g} %"
    return kind + (f" if {found.assumes}" if found.assumes else "")


# ---------------------------------------------------------------- blocks


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


# ---------------------------------------------------------------- answers


def certificate(found: Any) -> str:
    """A certified number, or the first of many."""
    title = text(type(found).__name__)
    if not getattr(found.value, "ndim", 0):
        return card(title, facts(_known("value", found)))
    n, flat = found.value.size, found.map(lambda a: a.ravel()[:ROWS])
    ends = [flat.value] if found.kind == "exact" else [flat.value, flat.lower, flat.upper]
    rows = [[str(i), *map(number, row)] for i, row in enumerate(zip(*(end.tolist() for end in ends), strict=True))]
    shown = table(["", "value", "lower", "upper"][: len(ends) + 1], rows)
    return card(title, facts([("numbers", text(found))]), shown, left_out(len(rows), n, "numbers"))


def _known(what: str, found: Any) -> list[tuple[str, str]]:
    """A certificate as facts."""
    if getattr(found.value, "ndim", 0):
        return [(what, text(found))]
    kind = "warn" if (found.verdict or "").startswith("unreliable") else "soft"
    value = _said(found, found.value, found.lower, found.upper, "{:.6g}".format)
    return [
        (what, f'{value} <span class="soft">{text(_sure(found))}</span>'),
        ("verdict", f'<span class="{kind}">{text(found.verdict)}</span>' if found.verdict else ""),
    ]


def marginals(found: Any, parts: Sequence[str] = ()) -> str:
    """Probabilities of the states of variables as bars, or the means of groups."""
    n = len(found)
    return card(
        text(f"{type(found).__name__} of {n:,} {'variable' if n == 1 else 'variables'}"), *parts, of_each(found)
    )


def of_each(found: Any) -> str:
    """The variables of marginals or means, the first of them."""
    known, refused = [(own, found.certificates(own)) for own in islice(found, VARIABLES)], getattr(found, "refused", {})
    told = note(f"refused by the budget: {names(refused)}", "warn") if refused else ""
    return _shown(found, known) + left_out(len(known), len(found), "variables") + told


def _shown(found: Any, known: Sequence[tuple[str, Any]]) -> str:
    if not hasattr(found, "array"):
        return "".join(_means(own, c) for own, c in known)
    if known and known[0][1].value.ndim > 1:
        return _cases(found, known)
    wide = " wide" if any(c.kind not in ("exact", "estimate") for _, c in known) else ""
    sure = "".join(map(note, dict.fromkeys(f"marginals: {text(_sure(c))}" for _, c in known if c.kind != "exact")))
    return f'{sure}<div class="many{wide}">{"".join(_states(own, tuple(found[own]), c) for own, c in known)}</div>'


def _states(variable: str, states: Sequence[str], found: Any) -> str:
    """The marginal of one variable."""
    rows = islice(zip(states, *(end.tolist() for end in (found.value, found.lower, found.upper)), strict=True), STATES)
    drawn = found.kind not in ("exact", "estimate")
    body = "".join(
        f'<tr><th scope="row">{name(state, 24)}</th>'
        f"<td>{bar(p, low if drawn else p, high if drawn else p, _said(found, p, low, high))}</td></tr>"
        for state, p, low, high in rows
    )
    more = f"<small> … {len(states) - STATES:,} more states</small>" if len(states) > STATES else ""
    return f'<table class="plain"><caption>{name(variable)}{more}</caption><tbody>{body}</tbody></table>'


def _cases(found: Any, known: Sequence[tuple[str, Any]]) -> str:
    """The most probable state of each variable in the first of many cases."""
    n = len(known[0][1].value)
    shown = range(min(n, COLUMNS))
    rows = [[name(own), *(_likeliest(tuple(found[own]), c, row) for row in shown)] for own, c in known]
    head = ["variable", *(f"row {row}" for row in shown)]
    told = note(f"the most probable state of each in each of {n:,} rows, with its probability")
    return told + table(head, rows) + left_out(len(shown), n, "rows")


def _likeliest(states: Sequence[str], found: Any, row: int) -> str:
    value, lower, upper = (end[row].tolist() for end in (found.value, found.lower, found.upper))
    if value[0] != value[0]:
        return "impossible"
    best = max(range(len(value)), key=value.__getitem__)
    told = _said(found, value[best], lower[best], upper[best])
    return f"{name(states[best], 16)}: {told}"


def _means(group: str, found: Any) -> str:
    """The means of a group of units, or of the states along a sequence, the first of many."""
    if isinstance(found, list):
        many = note(f"the first of {len(found):,} sequences")
        return many + _means(group, found[0]) if found else many
    shape = "×".join(map(str, found.value.shape))
    told = "" if found.kind == "exact" else f", {found.kind}"
    return array(found.value, f"{name(group)} <small>{shape}{told}</small>")


def array(numbers: Any, caption: str, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> str:
    """The first entries of an array, with names for its axes; of more axes than two the shape alone."""
    if numbers.ndim > 2 or not numbers.size:
        return note(caption + ("" if numbers.size else " (none)"))
    flat = numbers.reshape(1, -1) if numbers.ndim < 2 else numbers
    shown = flat[:ROWS, :COLUMNS].tolist()
    head = _labels(columns, len(shown[0]))
    first = _labels(rows, len(shown)) if numbers.ndim == 2 else [""]
    cells = [[label, *map(number, row)] for label, row in zip(first, shown, strict=True)]
    more = left_out(len(shown), len(flat), "rows") + left_out(len(shown[0]), flat.shape[1], "columns")
    return table(["", *head], cells, caption) + more


def _labels(known: Sequence[str], n: int) -> list[str]:
    """The names of the first of an axis, numbers for those that have none."""
    return [name(own, 24) for own in [*known[:n], *range(len(known), n)]]


def posterior(title: str, log_partition: Any, found: Any, plan: Any) -> str:
    """What is known: log Z, how it was got, and of each variable."""
    told = _known("log Z", log_partition) if hasattr(log_partition, "value") else [("log Z", "refused by the budget")]
    how = (("method", text(plan.method or "refused")), ("why", text(plan.why)))
    return card(text(title), facts([*told, *how]), of_each(found))


def most_probable(found: Any) -> str:
    """The most probable states of what was asked for."""
    own = found.assignment if found.by_name is None else found.by_name
    told = _known("log p", found.log_probability)
    if found.optimum.kind != "exact":
        told += _known("optimum", found.optimum)
    if not getattr(found.tied, "ndim", 0):
        told.append(("tied", "another one is as probable" if found.tied else ""))
    if not isinstance(own, Mapping):
        return card("MostProbable", facts(told), f"<pre>{text(repr(own)[:2000])}</pre>")
    rows = [[name(key), _value(value)] for key, value in islice(own.items(), VARIABLES)]
    shown = table(["variable", "state"], rows, numbers=False)
    return card("MostProbable", facts(told), shown, left_out(len(rows), len(own), "variables"))


def _value(given: Any) -> str:
    """A state, or the first of many."""
    if isinstance(given, str) or not hasattr(given, "__len__"):
        return name(given)
    first = ", ".join(f"{own:g}" if isinstance(own, float) else str(own)[:LETTERS] for own in given[:STATES])
    return text(first[:400]) + (f" … ({len(given):,} in all)" if len(given) > STATES else "")


# ---------------------------------------------------------------- prices, fits, structure


def plan(rows: Iterable[tuple[str, str]]) -> str:
    """The price of a query, from its lines as text."""
    return card("Plan", facts((key, text(value)) for key, value in rows))


def plans(head: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str]) -> str:
    """The prices of several queries, and what remains where they are refused."""
    kept = [[*(text(cell).replace(" ", "\N{NO-BREAK SPACE}") for cell in row[:-1]), text(row[-1])] for row in rows]
    shown = table(list(map(text, head)), kept, numbers=False)
    return card("Explanation", shown, *(note(text(own)) for own in notes))


def history(found: Any, title: str = "History", pairs: Iterable[tuple[str, str]] = ()) -> str:
    """The last records of a run, and what else is known of it as text."""
    n, last = len(found), [found[i].row() for i in range(max(0, len(found) - ROWS), len(found))]
    shown = table(list(map(text, last[0])), [[*map(text, row.values())] for row in last]) if last else ""
    more = note(f"the last {ROWS} of {n:,} records" if n else "no records") if n > ROWS or not n else ""
    return card(text(title), facts((key, text(value)) for key, value in pairs), shown, more)


def run(found: Any) -> str:
    """What a fit leaves: the model, how long it ran, what it gains over simple models, and its last records."""
    pairs = [("model", repr(found.model)), ("learner", repr(found.learner)), ("steps", f"{found.steps:,}")]
    if found.yardstick is not None:
        own = (("learned", "model"), ("independent columns", "independent"), ("mixture", "mixture"))
        told = [(what, getattr(found.yardstick, field)) for what, field in own]
        gained = ", ".join(f"{what} {number(x)}" for what, x in told if x is not None)
        pairs.append((f"{found.yardstick.rows} rows", gained))
    return history(found.history, type(found).__name__, pairs)


def separation(found: Any) -> str:
    """Whether two groups of variables are separated, and what shows it."""
    verdict = "separated" if found.separated else "not separated"
    pairs = [("why", text(found.reason)), ("open path", names(found.path, 12)), ("given", names(found.blocked_by, 12))]
    return card(f"Separation: {verdict}", facts(pairs))


def network(model: Any) -> str:
    """A network: how large it is, its largest tables, and its variables."""
    sizes = model.graph.sizes
    tables = sorted(((prod(sizes[v] for v in own), own) for own in model.graph.scopes), key=lambda own: -own[0])
    largest = table(["table of", "entries"], [[names(own[::-1]), f"{n:,}"] for n, own in tables[:5]], "Largest tables")
    counts = {"variables": len(sizes), "tables": len(tables), "entries": sum(n for n, _ in tables)}
    told = facts((key, f"{n:,}") for key, n in counts.items())
    return card(
        f"{text(type(model).__name__)} {name(model.name)}", told, largest, _variables(model.graph, model.states)
    )


def graph(found: Any) -> str:
    """Who touches whom."""
    return card(text(repr(found)), _variables(found, {v: [n] for v, n in found.sizes.items()}))


def _variables(found: Any, states: Mapping[str, Sequence[Any]]) -> str:
    """The first variables of a graph, with what is said of their states."""
    columns = {"states": lambda v: names(states[v])}
    columns |= {"parents": lambda v: names(found.parents.get(v, ()))} if any(found.parents.values()) else {}
    columns |= {"neighbours": lambda v: names(sorted(found.neighbours[v]))} if found.links else {}
    rows = [[name(v), *(cell(v) for cell in columns.values())] for v in islice(states, VARIABLES)]
    return table(["variable", *columns], rows, numbers=False) + left_out(len(rows), len(states), "variables")


def hidden(model: Any, state: str, distributions: Mapping[str, Any], columns: Sequence[str]) -> str:
    """A model with a hidden variable in each row: its distributions, and what each of its states emits."""
    k = max(own.shape[-1] for own in distributions.values())
    labels = [f"{state} {i}" for i in range(min(k, ROWS))] if state else []
    own = [array(a, text(key), labels if a.ndim == 2 else (), labels) for key, a in distributions.items()]
    return card(
        text(repr(model)), *own, *([] if model.emissions is None else _emitted(model.emissions, labels, columns))
    )


BY_COLUMN = ("locations", "means", "variances", "probabilities", "rates")
"""Parameters whose last axis is that of the columns."""


def emissions(found: Any) -> str:
    """The parameters of emissions."""
    return card(text(repr(found)), *_emitted(found, (), ()))


def _emitted(found: Any, labels: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Each array of parameters, the components from top to bottom."""
    parts = {key: own for key, own in found.arrays().items() if not key.endswith("shift")}  # of arithmetic alone
    out = []
    for key, own in islice(parts.items(), ROWS):
        named = columns if key in BY_COLUMN and own.shape[-1] == len(columns) else ()
        out.append(array(own, f"{text(key)} <small>{'×'.join(map(str, own.shape))}</small>", labels, named))
    return [*out, left_out(len(out), len(parts), "arrays")]
