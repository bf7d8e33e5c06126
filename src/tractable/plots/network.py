"""A network: its variables in layers, what is believed of each, and what its structure says."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.graph import Graph, elimination_cliques, elimination_order
from tractable.graph.drawing import LayeredDrawing, drawn_pairs, layout
from tractable.plan import BudgetError
from tractable.plots import _boxes, _lines
from tractable.plots._base import MARKED, SOFT, figure
from tractable.plots._boxes import Box, Line
from tractable.plots._text import LETTERS, put, shown, width_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tractable.graph import Separation

MOST, LINKS = 400, 2000
"""More variables, or more lines, are not drawn."""

MARGIN, CAPTION, SMALL = 10.0, 7.0, 230.0
"""Points: around a drawing, the size of the letters below it, and the least width."""


@dataclass(frozen=True)
class Pointed:
    """What a figure points at: variables, pairs of them, links that it adds, words, and what counts as known."""

    names: Collection[str] = ()
    pairs: Collection[frozenset[str]] = ()
    added: Collection[frozenset[str]] = ()
    said: str = ""
    arrows: bool = True
    given: Collection[str] = ()


def network(
    known: Any,
    *,
    around: str | Iterable[str] = (),
    steps: int = 1,
    highlight: Separation | str | Iterable[str] | None = None,
    row: int = 0,
    states: int = 5,
) -> Figure:
    """A network, with bars of what is believed of each variable where a posterior is given.

    What was observed is shaded; where the numbers are intervals, their ends are drawn on the bars and stand beside
    them. The figure is as large as the network needs. Boltzmann machines and layers are drawn by their groups of units.

    Parameters
    ----------
    known : a posterior, a model that has a graph, a Graph, or text such as ``"rain -> wet <- sprinkler"``.
    around : draw only these variables and what is at most `steps` lines away from them.
    highlight : what ``is_separated`` found: the open path, or what blocks all paths; ``"moral"``, the moral graph with
        the links that it adds; ``"clique"``, the widest clique of an elimination of what is not observed; or names of
        variables.
    row : which of many cases.
    states : a variable shows so many of its states, the most probable ones; 0 draws names alone.

    Raises
    ------
    ValueError : more than 400 variables or 2,000 lines, which no page holds: draw a part of them with `around`, or read
        ``post.marginals.to_frame()``; an unknown word to highlight.
    TypeError : what has no graph of variables, such as a mixture or a chain.
    GraphError : an unknown variable. ImpossibleEvidenceError : there is no posterior.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> fig = tr.plots.network(tr.infer(net, {"b": "1"}))
    >>> [text.get_text() for text in fig.axes[0].texts][:4]
    ['a', '0', '7.7 %', '1']
    >>> fig = tr.plots.network("rain -> wet <- sprinkler", highlight="moral")
    >>> fig.axes[0].texts[-1].get_text()
    'moral graph: 1 link added between parents of the same child'
    """
    graph, notes = _graph_of(known)
    post = known if hasattr(getattr(known, "marginals", None), "array") else None
    seen = _seen(post, row)
    pointed = _pointed(graph, highlight, seen) if highlight is not None else Pointed(graph.named(around))
    part = _around(graph, around, steps)
    _check_size(part, graph)
    boxes = _boxes_of(part, post, seen, (row, states), notes)
    boxes |= {v: replace(boxes[v], observed=True) for v in pointed.given if v in boxes}
    whole = _with_links(part, pointed.added)
    drawing = layout(whole, {v: box.size for v, box in boxes.items()})
    told = [pointed.said, _part_said(part, graph, around, steps), *_certainty(graph, post, row, seen)]
    return _drawn(drawing, boxes, pointed, list(filter(None, told)))


# ---------------------------------------------------------------- what is drawn


def _graph_of(known: Any) -> tuple[Graph, Mapping[str, str]]:
    """The graph, and what is said of each of its nodes; of groups of units theirs."""
    found = Graph(None, known) if isinstance(known, str) else getattr(known, "graph", known)
    if isinstance(found, Graph):
        return found, {}
    if hasattr(found, "couplings") or hasattr(found, "links"):
        notes = {v: f"{n:,} unit{'' if n == 1 else 's'}" for v, n in found.sizes.items()}
        return _of_groups(found, notes)
    what = type(known).__name__
    told = "plots.transition_graph draws the states of a chain, plots.emissions what they emit"
    raise TypeError(f"{what} has no graph of variables to draw; {told}")


def _of_groups(found: Any, notes: dict[str, str]) -> tuple[Graph, Mapping[str, str]]:
    """Groups of units, or layers, as a graph."""
    if hasattr(found, "couplings"):
        inside = [v for v in found.sizes if found.coupled_within(v)]
        notes |= {v: f"{notes[v]}, coupled" for v in inside}
        return Graph(found.sizes, {}, [pair for pair in found.couplings if pair[0] != pair[1]]), notes
    pairs = list(pairwise(found.sizes))
    links = [pairs.pop()] if found.undirected_top and pairs else []
    return Graph(found.sizes, {child: (parent,) for child, parent in pairs}, links), notes


def _around(graph: Graph, around: str | Iterable[str], steps: int) -> Graph:
    """The part of a graph that is at most so many lines away from some variables."""
    if not (near := set(graph.named(around))):
        return graph
    kept = set(near)
    for _ in range(steps):
        near = set().union(*(graph.skeleton[v] for v in near)) - kept
        kept |= near

    def only(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(v for v in names if v in kept)

    sizes = {v: graph.sizes[v] for v in only(graph.sizes)}
    return Graph(sizes, {v: only(graph.parents[v]) for v in only(graph.parents)}, map(only, graph.links))


def _check_size(part: Graph, graph: Graph) -> None:
    n, first = len(part.sizes), next(iter(graph.sizes), "")
    lines = sum(1 for _ in drawn_pairs(part)) if n <= MOST else 0
    if n > MOST or lines > LINKS:
        what = f"{n:,} variables are" if n > MOST else f"{lines:,} lines are"
        remedy = f"draw a part of them, network(…, around=[{first!r}], steps=1)"
        most = f"{MOST:,}" if n > MOST else f"{LINKS:,}"
        raise ValueError(
            f"{what} too many for one figure, at most {most}: {remedy}, or read the table post.marginals.to_frame()"
        )


def _with_links(graph: Graph, added: Collection[frozenset[str]]) -> Graph:
    links = [tuple(sorted(pair)) for pair in added if all(v in graph.sizes for v in pair)]
    return Graph(graph.sizes, graph.parents, [*graph.links, *sorted(links)]) if links else graph


def _seen(post: Any, row: int) -> dict[str, Any]:
    """What is observed in this case: variable → state, or soft evidence."""
    found = {} if post is None else dict(post.evidence)
    found = {v: own[row] if isinstance(own, list) else own for v, own in found.items()}
    return {v: own for v, own in found.items() if own is not None}


def _boxes_of(
    graph: Graph, post: Any, seen: Mapping[str, Any], asked: tuple[int, int], notes: Mapping[str, str]
) -> dict[str, Box]:
    """What stands in each box."""
    if post is None:
        return {v: Box(shown(v), (Line(notes[v]),) if v in notes else ()) for v in graph.sizes}
    return {v: _box(v, post, seen.get(v), *asked) for v in graph.sizes}


def _box(name: str, post: Any, seen: Any, row: int, states: int) -> Box:
    title, marginals = shown(name), post.marginals
    if isinstance(seen, str):
        return Box(title, (Line(f"= {shown(seen, 18)}"),), observed=True)
    if name in post.refused:
        return Box(title, (Line("refused by the budget"),))
    if name not in marginals or not states:
        return Box(title, observed=seen is not None)
    found = post.certificates(name)
    many = found.value.ndim > 1
    lines = _boxes.beliefs(found, tuple(marginals[name]), row if many else None, states)
    return Box(title, lines, observed=seen is not None)


# ---------------------------------------------------------------- what is pointed at


def _pointed(graph: Graph, highlight: Any, seen: Collection[str]) -> Pointed:
    if hasattr(highlight, "blocked_by"):
        path = highlight.path or highlight.closed
        pairs = {frozenset(pair) for pair in pairwise(path)}
        names = graph.named((*path, *highlight.blocked_by))
        return Pointed(names, pairs, said=highlight.reason, given=highlight.given)
    if isinstance(highlight, str):
        if highlight not in ("moral", "clique"):
            raise ValueError(f"expected 'moral', 'clique', a list of names or a separation, got {highlight!r}")
        return _moral(graph) if highlight == "moral" else _clique(graph, seen)
    names = graph.named(highlight)
    return Pointed(names, {frozenset(pair) for pair in combinations(names, 2)})


def _moral(graph: Graph) -> Pointed:
    """The links that the moral graph adds."""
    there = {frozenset((a, b)) for a, b, _ in drawn_pairs(graph)}
    added = {frozenset(link) for link in graph.moral().links} - there
    n = f"{len(added):,} link{'' if len(added) == 1 else 's'}"
    return Pointed(added=added, said=f"moral graph: {n} added between parents of the same child", arrows=False)


def _clique(graph: Graph, seen: Collection[str]) -> Pointed:
    """The largest table of an elimination of what is not observed."""
    rest = graph.without([v for v in graph.sizes if v in seen])
    cliques = elimination_cliques(rest, elimination_order(rest))
    widest = max(cliques, key=lambda own: prod(rest.sizes[v] for v in own), default=frozenset())
    names = rest.ordered(widest)
    entries = prod(rest.sizes[v] for v in names)
    listed = ", ".join(shown(v) for v in names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
    said = f"widest clique of an elimination by min-fill: {listed}; a table of {entries:,} entries"
    return Pointed(names, {frozenset(pair) for pair in combinations(names, 2)}, said=said)


# ---------------------------------------------------------------- what is said below


def _part_said(part: Graph, graph: Graph, around: Any, steps: int) -> str:
    if part is graph:
        return ""
    names = ", ".join(shown(v) for v in graph.named(around)[:6])
    return f"{len(part.sizes):,} of {len(graph.sizes):,} variables: {names} and {steps} step{'s' * (steps != 1)} around"


def _certainty(graph: Graph, post: Any, row: int, seen: Mapping[str, Any]) -> list[str]:
    """What the evidence weighs, how sure the numbers are, and what the shade means."""
    if post is None:
        return []
    sure = {_kind(post.certificates(v)) for v in post.marginals}
    shade = "; shaded: observed" if seen else ""
    told = f"probabilities: {', '.join(sorted(sure))}{shade}" if sure else ""
    return [_weight(graph, post, row, seen), told]


def _weight(graph: Graph, post: Any, row: int, seen: Mapping[str, Any]) -> str:
    """log Z, which of a Bayesian network in which nothing is observed says nothing."""
    normalized = not graph.links and graph.sizes.keys() == graph.parents.keys()
    if normalized and not seen:
        return ""
    what = "log p(evidence)" if normalized else "log Z"
    try:
        found = post.log_partition
    except BudgetError:
        return f"{what}: refused by the budget"
    return f"{what} = {found[row] if np.ndim(found.value) else found}".replace("-", "−")


def _kind(found: Any) -> str:
    return found.kind if found.confidence is None else f"{found.kind} at {100 * found.confidence:.6g} %"


# ---------------------------------------------------------------- how


def _drawn(drawing: LayeredDrawing, boxes: Mapping[str, Box], pointed: Pointed, told: Sequence[str]) -> Figure:
    width = max(drawing.width, SMALL)
    lines = [line for own in told for line in _wrapped(own, width)]
    below = len(lines) * (CAPTION + 2.5) + (MARGIN if lines else 0.0)
    size = width + 2 * MARGIN, drawing.height + below + 2 * MARGIN
    fig = figure(size[0] / 72, size[1] / 72)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    left = (width - drawing.width) / 2 + MARGIN
    ax.set(xlim=(-left, size[0] - left), ylim=(size[1] - MARGIN, -MARGIN))
    ax.set_axis_off()
    _draw_lines(ax, drawing, pointed)
    border = {v: MARKED if v in pointed.names else SOFT for v in boxes}
    _boxes.draw(ax, [(boxes[v], place, border[v]) for v, place in drawing.places.items()])
    for i, line in enumerate(lines):
        y = drawing.height + MARGIN + (i + 0.5) * (CAPTION + 2.5)
        put(ax, MARGIN - left, y, line, size=CAPTION, color=SOFT, ha="left", va="center_baseline", zorder=4)
    return fig


def _wrapped(text: str, width: float) -> list[str]:
    """A sentence in lines that are no wider than the drawing."""
    letters = max(int(len(text) * width / max(width_of(text, CAPTION), 1.0)) - 2, LETTERS)
    return textwrap.wrap(text, letters)


def _draw_lines(ax: Any, drawing: LayeredDrawing, pointed: Pointed) -> None:
    """The lines that nothing points at, then those that something does, then those that were added."""
    kinds: dict[str, list[Any]] = {"usual": [], "marked": [], "added": []}
    for route in drawing.routes:
        pair = frozenset((route.tail, route.head))
        kind = "added" if pair in pointed.added else "marked" if pair in pointed.pairs else "usual"
        kinds[kind].append(route)
    style = {"capstyle": "round", "joinstyle": "round"}
    _lines.draw(ax, kinds["usual"], pointed.arrows, edgecolor="#8a94a6", linewidth=0.9, zorder=1, **style)
    _lines.draw(ax, kinds["marked"], pointed.arrows, edgecolor=MARKED, linewidth=2.0, zorder=1.2, **style)
    _lines.draw(ax, kinds["added"], edgecolor=MARKED, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1.1)
