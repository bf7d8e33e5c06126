"""Pictures of a report: what can be drawn of a model and its data, and a word where it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np

import tractable as tr
from tractable._blocks import card
from tractable.cli._page import picture
from tractable.cli._report_base import Report, first_sequence
from tractable.cli._report_data import CHAINS, LIKELY
from tractable.cli._report_model import LEARNED, WHY
from tractable.models.rows import take

NODES, STATES, STEPS, POINTS, LARGE = 60, 12, 400, 3000, 400_000
"""Nodes of a network and states of a chain that a picture holds; rows of a path, points of a scatter; bytes of SVG."""

LEAST_IMAGE, IMAGES, FEW = 16, 49, 20
"""Columns that may be an image; so many samples are drawn, and so many rows make a histogram."""

Pictured = tuple[str, str, str, Callable[[], Any]]
"""Section, title, what is seen, and what makes the figure."""


def pictures(report: Report) -> list[Pictured]:
    """The pictures that fit a model."""
    own = {"tables": _of_network, "mixture": _of_mixture, "hidden_markov": _of_chain, "boltzmann": _of_machine}
    found = [*own.get(report.model.family, _of_layers)(report)]
    return [*found, *_of_rows(report)]


def as_card(title: str, said: str, figure: Any) -> str:
    """A figure as a card: SVG, or PNG where that would be large."""
    content, kind = _bytes(figure, "svg"), "svg+xml"
    if len(content) > LARGE:
        content, kind = _bytes(figure, "png"), "png"
    return card(title, picture(content, kind, said, 96 * float(figure.get_size_inches()[0])))


def _bytes(figure: Any, form: str) -> bytes:
    drawn = BytesIO()
    more = {"metadata": {"Date": None}} if form == "svg" else {"dpi": 120}
    figure.savefig(drawn, format=form, transparent=True, **more)
    return drawn.getvalue()


def _of_network(report: Report) -> Iterator[Pictured]:
    net, known = report.model, report.found.get("posterior", report.model)
    n = len(net.states)
    if n <= NODES:
        yield (
            LEARNED,
            "Network",
            "the variables, with what is believed of each when nothing is observed",
            lambda: tr.plots.network(known),
        )
    else:
        centre = max(net.graph.neighbours, key=lambda v: len(net.graph.neighbours[v]))
        report.left.append(f"a picture of all {n:,} variables: it has room for {NODES}")
        if len(net.graph.neighbours[centre]) <= NODES:
            said = f"the variable with the most neighbours, and these; {n:,} variables are too many for one picture"
            yield LEARNED, "Part of the network", said, lambda: tr.plots.network(known, around=centre)
    plans = {plan.query: plan for plan in report.found.get("priced", ())}
    if plans:
        yield (
            WHY,
            "Cost by step",
            "multiply-adds of each step of the elimination, and predicted seconds",
            lambda: tr.plots.plan(plans),
        )


def _of_mixture(report: Report) -> Iterator[Pictured]:
    model, emissions = report.model, report.model.emissions
    if emissions is None:
        return
    covariances = emissions.arrays().get("covariances")
    rows = None if report.rows is None else _spread(model.check(report.rows))
    if model.n_columns == 2 and covariances is not None:
        shown = None if rows is None else _named(model, rows)
        draw = lambda: tr.plots.components(emissions.means, covariances, weights=model.weights, rows=shown)  # noqa: E731
        yield LEARNED, "Components", "means, with ellipses at one and two standard deviations", draw
    elif _is_image(model.n_columns) and emissions.kind in ("bernoulli", "diagonal", "spherical"):
        draw = lambda: tr.plots.components(emissions.means, weights=model.weights)  # noqa: E731
        yield LEARNED, "Components", "means as images, the largest component first, above each its weight", draw
    yield from _emissions(report, rows, model.weights)


def _emissions(report: Report, rows: Any, weights: Any) -> Iterator[Pictured]:
    if rows is None:
        return
    model, state = report.model, "state" if report.sequential else "component"
    columns = [*model.named.names] if model.named else None
    names = [f"{state} {i}" for i in range(model.emissions.n_components)]
    draw = lambda: tr.plots.emissions(model, rows, weights=weights, names=names, columns=columns)  # noqa: E731
    yield LEARNED, "Emissions", f"columns of the data as histograms, under what each {state} emits and their sum", draw


def _of_chain(report: Report) -> Iterator[Pictured]:
    model = report.model
    if model.n_states <= STATES:
        draw = lambda: tr.plots.transition_graph(model.transition)  # noqa: E731
        yield LEARNED, "Transitions", "states, and how probable it is that one follows another", draw
    if report.rows is None:
        return
    one = take(first_sequence(report), slice(0, STEPS))
    yield (
        LEARNED,
        "First sequence",
        f"its first rows, at most {STEPS}: how probable each state is given all of these",
        lambda: _path(model, one),
    )
    yield from _emissions(report, _spread(model.check(report.rows).rows), None)


def _path(model: Any, one: Any) -> Any:
    states, checked = tr.infer(model, one).marginals["state"], model.check(one)
    columns = {name: checked.rows[:, j] for j, name in enumerate(model.named.names)} if model.named else checked.rows
    best = tr.most_probable(model, one).assignment["state"]
    return tr.plots.state_path(np.asarray(states), columns, path=best)


def _of_machine(report: Report) -> Iterator[Pictured]:
    model = report.model
    couplings = model.couplings.get(("visible", model.hidden[0])) if model.hidden else None
    if couplings is not None and _is_image(np.size(couplings, 0)):
        yield from _filters(couplings)
        yield _samples(report)
    if (traces := report.found.get("traces")) is not None:
        said = "each chain a line; they should be indistinguishable"
        yield CHAINS, "Chains, sweep by sweep", said, lambda: tr.plots.chain_traces(traces.draws, traces.names)


def _of_layers(report: Report) -> Iterator[Pictured]:
    model = getattr(report.model, "generative", report.model)
    weights: Any = getattr(model, "weights", ())
    if len(weights) and _is_image(np.size(weights[0], 0)):
        yield from _filters(weights[0])
        yield _samples(report)


def _filters(weights: Any) -> Iterator[Pictured]:
    n = np.size(weights, 1)
    some = f", the first 100 of {n:,}" if n > 100 else ""
    said = f"the weights of each hidden unit as an image, red above zero, blue below{some}"
    yield LEARNED, "Filters", said, lambda: tr.plots.filters(weights)


def _samples(report: Report) -> Pictured:
    def draw() -> Any:
        found = tr.sample(report.model, IMAGES, **report.how)
        report.found["samples"] = getattr(found, "verdict", "exact")
        return tr.plots.samples(np.asarray(found, float))

    return LEARNED, "Samples", f"{IMAGES} samples of the model", draw


def _of_rows(report: Report) -> Iterator[Pictured]:
    found = report.found.get("likelihood")
    if found is None or np.size(found.per_row.value) < FEW:
        return
    others = {key: float(own.value) for key, own in report.found.get("yardsticks", {}).items()}
    values = np.asarray(found.per_row.value, float)
    draw = lambda: tr.plots.row_likelihoods(values, others, of=report.unit)  # noqa: E731
    yield LIKELY, f"All {report.unit}s", f"how likely each {report.unit} is; lines are means", draw


def _is_image(n: int) -> bool:
    return n >= LEAST_IMAGE and math.isqrt(n) ** 2 == n


def _spread(rows: Any) -> np.ndarray:
    array = np.asarray(rows, float)
    return array[np.linspace(0, len(array) - 1, min(POINTS, len(array))).astype(int)]


def _named(model: Any, rows: np.ndarray) -> Any:
    return {name: rows[:, j] for j, name in enumerate(model.named.names)} if model.named else rows
