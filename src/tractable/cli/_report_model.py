"""What a report says of a model by itself: what it is, what its queries cost, what is in it."""

from __future__ import annotations

from typing import Any

import tractable as tr
from tractable import _html
from tractable._blocks import card, facts, name, names, note, table, text
from tractable.cli import _json
from tractable.cli._block_html import cards
from tractable.cli._model_blocks import blocks
from tractable.cli._report_base import Report, certified
from tractable.cli._table_files import columns_in
from tractable.families import leaf
from tractable.models.sparse_networks import bytes_held
from tractable.plan._units import memory_size

IS, WHY, LEARNED = "What it is", "Why it is tractable, or not", "What was learned"
"""Sections."""

SEQUENCES = 100
"""Queries are priced for so many of the sequences."""

WORDS = {
    "BayesianNetwork": "a Bayesian network: a table for each variable given its parents, whose product is the joint "
    "distribution",
    "MarkovNetwork": "a Markov network: factors over some variables each; their product is the distribution, up to Z",
    "Mixture": "a mixture: each row comes from one of the components, which is hidden",
    "HiddenMarkovModel": "a hidden Markov model: a chain of hidden states, each of which emits a row",
    "FactorialHiddenMarkovModel": "a factorial hidden Markov model: several chains of hidden states that emit a row "
    "together",
    "Boltzmann": "a Boltzmann machine: units with biases, coupled to each other; p(x) = exp(−energy) / Z",
    "SigmoidBeliefNetwork": "a sigmoid belief network: layers of causes, each unit on with a probability that depends "
    "on the layer above",
    "DeepBeliefNetwork": "a deep belief network: layers of causes with a restricted Boltzmann machine on top",
    "HelmholtzMachine": "a Helmholtz machine: layers of causes, and a recognition network that guesses them",
}
"""What a model of each class is, in words."""


def about(report: Report) -> None:
    """What the model is, and how large."""
    model, kind = report.model, type(report.model).__name__
    report.record["model"] = {"path": report.path, **_json.model(model)}
    pairs = [("file", name(report.path, 80)), ("kind", text(WORDS.get(kind, kind))), ("sizes", text(repr(model)))]
    pairs += _network(model) if model.family == "tables" else [("parameters", f"{model.n_parameters:,}")]
    known = columns_in(model) if model.family != "tables" else None
    pairs.append(("columns", names(known.names, 12) if known else ""))
    if report.data is not None:
        told = f"{report.n_rows:,} {report.unit}{'' if report.n_rows == 1 else 's'} of {name(report.data, 80)}"
        some = f"; this report looks at {report.n_seen:,} of them" if report.n_seen < report.n_rows else ""
        pairs.append(("data", told + some))
    report.add(IS, card(text(kind), facts(pairs)))
    if model.family == "tables":
        report.add(IS, _html.network(model))
    elif model.family == "boltzmann":
        report.add(IS, _groups(model))


def _network(net: Any) -> list[tuple[str, str]]:
    largest = max(net.graph.sizes, key=net.graph.sizes.__getitem__, default=None)
    most = "" if largest is None else f"{net.graph.sizes[largest]:,} of {name(largest)}"
    return [("most states", most), ("tables take", memory_size(bytes_held(net)))]


def _groups(machine: Any) -> str:
    """A row for each group of units."""
    rows = []
    for group in machine.groups:
        others = sorted({b if a == group else a for a, b in machine.couplings if group in (a, b)})
        units = machine.units[group]
        rows.append([name(group), text(type(units).__name__.lower()), f"{units.n:,}", names(others)])
    return card("Groups of units", table(["group", "units", "number", "coupled to"], rows, numbers=False))


def priced(report: Report) -> None:
    """The plan of each query, one after the other: those there is time for."""
    rows: Any = report.rows
    observed = [int(n) for n in rows.sizes[:SEQUENCES]] if report.sequential and rows is not None else None
    plans = report.found.setdefault("priced", [])
    for given, query in leaf(report.model, "plan").explained(report.model, observed, None):
        plans.append(tr.plan(report.model, given, query, report.how["memory"]))


def plans(report: Report) -> None:
    """What each query would cost, and the structural reason."""
    found = tr.Explanation(tuple(report.found.get("priced", ())))
    report.record["plans"] = [plan.to_json() for plan in found]
    if not len(found):
        return
    from tractable.plan._text import HEAD, explanation_rows, notes  # brings rich

    rows = [*explanation_rows(found.plans)]
    shown = table([*map(text, HEAD[:-1])], [[*map(text, row[:-1])] for row in rows])
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row[-1], []).append(row[0])
    why = facts((", ".join(queries), text(reason)) for reason, queries in reasons.items())
    more = (note(text(told)) for told in notes(found.plans))
    report.add(WHY, card("Queries and their price", note(text(_said(found))), shown, why, *more))


def _said(found: tr.Explanation) -> str:
    """Whether it is tractable, in a line."""
    from tractable.plan._units import duration

    if refused := [plan.query for plan in found if plan.method is None]:
        return f"refused by the budget: {', '.join(refused)}; what remains stands below"
    slow = max(found, key=lambda plan: plan.seconds)
    told = f"the dearest is {slow.query}, predicted to take {duration(slow.seconds)}"
    return f"every query below is within the budget; {told}"


def beliefs(report: Report) -> None:
    """Of a network the marginals when nothing is observed."""
    if report.model.family != "tables":
        return
    seconds = max(0.1, 0.3 * report.time.left)
    post = tr.infer(report.model, memory=report.how["memory"], seconds=seconds)
    report.found["posterior"] = post
    told = facts(certified("log Z", post.log_partition)) if hasattr(report.model, "factors") else ""
    report.add(LEARNED, card("Marginals with nothing observed", told, _html.of_each(post.marginals)))


def tables(report: Report) -> None:
    """What is in it, table by table."""
    report.add(LEARNED, *cards(blocks(report.model)))
