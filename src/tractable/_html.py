"""Records as HTML, for notebooks: a card each, in light and dark, without script, and every name is text.

A record calls this when a notebook asks for it. Nothing here knows the house: only the fields of what is handed in are
read. What is made is bounded, and says how much it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import prod
from typing import Any

from tractable._blocks import (
    COLUMNS,
    LETTERS,
    ROWS,
    STATES,
    VARIABLES,
    array,
    bar,
    card,
    facts,
    left_out,
    name,
    names,
    note,
    number,
    said,
    sure,
    table,
    text,
)

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
    value = said(found, found.value, found.lower, found.upper, "{:.6g}".format)
    return [
        (what, f'{value} <span class="soft">{text(sure(found))}</span>'),
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
    how_sure = "".join(map(note, dict.fromkeys(f"marginals: {text(sure(c))}" for _, c in known if c.kind != "exact")))
    return f'{how_sure}<div class="many{wide}">{"".join(_states(own, tuple(found[own]), c) for own, c in known)}</div>'


def _states(variable: str, states: Sequence[str], found: Any) -> str:
    """The marginal of one variable."""
    rows = islice(zip(states, *(end.tolist() for end in (found.value, found.lower, found.upper)), strict=True), STATES)
    drawn = found.kind not in ("exact", "estimate")
    body = "".join(
        f'<tr><th scope="row">{name(state, 24)}</th>'
        f"<td>{bar(p, low if drawn else p, high if drawn else p, said(found, p, low, high))}</td></tr>"
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
    told = said(found, value[best], lower[best], upper[best])
    return f"{name(states[best], 16)}: {told}"


def _means(group: str, found: Any) -> str:
    """The means of a group of units, or of the states along a sequence, the first of many."""
    if isinstance(found, list):
        many = note(f"the first of {len(found):,} sequences")
        return many + _means(group, found[0]) if found else many
    shape = "×".join(map(str, found.value.shape))
    told = "" if found.kind == "exact" else f", {found.kind}"
    return array(found.value, f"{name(group)} <small>{shape}{told}</small>")


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


def rows(found: Any) -> str:
    """Rows of data by columns: the first of them."""
    n, shown = found.n_rows, [*islice(found.items(), COLUMNS)]
    body = [[_cell(column[i]) for _, column in shown] for i in range(min(n, ROWS))]
    told = [] if found.verdict == "exact" else [note(text(found.verdict))]
    more = left_out(len(body), n, "rows") + left_out(len(shown), len(found), "columns")
    return card(f"{n:,} rows", *told, table([name(key) for key, _ in shown], body, numbers=False), more)


def _cell(value: Any) -> str:
    return number(value) if getattr(getattr(value, "dtype", None), "kind", "") == "f" else name(value, 24)


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


def choice(found: Any) -> str:
    """Fits of several numbers, the chosen one marked."""
    rows = found.rows()
    shown = table([*rows[0]], [[*map(text, row.values())] for row in rows[:VARIABLES]])
    pairs = [("chosen", f"{found.best.number} by {text(found.by)}"), ("model", text(repr(found.model)))]
    pairs.append(("ended", "interrupted" if found.interrupted else ""))
    return card("Choice", facts(pairs), shown, left_out(VARIABLES, len(rows), "numbers"))


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


BY_COLUMN = ("locations", "means", "variances", "deviations", "probabilities", "rates")
"""Parameters whose last axis is that of the columns."""


def emissions(found: Any) -> str:
    """The parameters of emissions."""
    return card(text(repr(found)), *_emitted(found, (), ()))


def _emitted(found: Any, labels: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Each array of parameters, the components from top to bottom."""
    parts = {key: own for key, own in found.arrays().items() if not key.endswith("shift")}  # of arithmetic alone
    if (squares := parts.get("covariances")) is not None and squares.ndim == 3:  # of which a card has no room
        parts["deviations"] = squares.diagonal(axis1=1, axis2=2) ** 0.5
    out = []
    for key, own in islice(parts.items(), ROWS):
        named = columns if key in BY_COLUMN and own.shape[-1] == len(columns) else ()
        out.append(array(own, f"{text(key)} <small>{'×'.join(map(str, own.shape))}</small>", labels, named))
    return [*out, left_out(len(out), len(parts), "arrays")]


def units(model: Any, arrays: Mapping[str, Any]) -> str:
    """A model of units: each array of its parameters in one line."""
    rows = [
        [name(key), "×".join(map(str, own.shape)), *(map(number, _spread(own)) if own.size else "–––")]
        for key, own in islice(arrays.items(), VARIABLES)
    ]
    shown = table(["", "shape", "least", "mean", "largest"], rows)
    return card(text(repr(model)), shown, left_out(len(rows), len(arrays), "arrays"))


def _spread(own: Any) -> tuple[float, float, float]:
    return float(own.min()), float(own.mean()), float(own.max())


def diagnosis(found: Any) -> str:
    """What chains say, and where they agree least."""
    kind = "soft" if found.converged else "warn"
    columns = {"R-hat": found.r_hat, "effective draws": found.effective, "mean": found.mean, "± s.e.": found.std_error}
    flat = {key: own.ravel().tolist() for key, own in columns.items()}
    worst = sorted(range(len(flat["R-hat"])), key=lambda i: -flat["R-hat"][i])[:ROWS]
    rows = [[str(i), *(number(own[i]) for own in flat.values())] for i in worst]
    more = left_out(len(rows), len(flat["R-hat"]), "entries, which agree more")
    return card("Diagnosis", note(text(found.verdict), kind), table(["entry", *map(text, flat)], rows), more)
