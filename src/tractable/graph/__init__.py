"""Who touches whom: variables, factors, directed and undirected links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach
from tractable.graph._base import Graph, GraphError

if TYPE_CHECKING:
    from tractable.graph.cutsets import loop_cutset
    from tractable.graph.drawing import LayeredDrawing, Route, layout
    from tractable.graph.dsatur import colouring
    from tractable.graph.elimination import elimination_cliques, elimination_order, induced_width, width
    from tractable.graph.interchange import from_networkx, to_networkx
    from tractable.graph.separation import Separation, is_separated

__all__ = [
    "Graph",
    "GraphError",
    "LayeredDrawing",
    "Route",
    "Separation",
    "colouring",
    "elimination_cliques",
    "elimination_order",
    "from_networkx",
    "induced_width",
    "is_separated",
    "layout",
    "loop_cutset",
    "to_networkx",
    "width",
]

_LEAVES = {
    "dsatur": ("colouring",),
    "cutsets": ("loop_cutset",),
    "elimination": ("elimination_cliques", "elimination_order", "induced_width", "width"),
    "interchange": ("from_networkx", "to_networkx"),
    "drawing": ("LayeredDrawing", "Route", "layout"),
    "separation": ("Separation", "is_separated"),
}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES)
