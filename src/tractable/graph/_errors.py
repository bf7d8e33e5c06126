"""What the whole room says of a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice


class GraphError(ValueError):
    """A question that the graph cannot answer as asked; the message names the variable and the remedy.

    Examples
    --------
    >>> try:
    ...     tr.is_separated(tr.Graph({"rain": 2, "wet": 2}, {"wet": ("rain",)}), "rain", "wett")
    ... except tr.GraphError as error:
    ...     print(error)
    unknown variable 'wett'; did you mean 'wet'?
    """


def nearest(name: object, known: Iterable[str]) -> str:
    """A suffix ``; did you mean 'x'?`` when some known name resembles `name`, else an empty string.

    >>> nearest("smoek", ["smoke", "asia"])
    "; did you mean 'smoke'?"
    """
    import difflib  # only errors need it, and importing it costs more than this whole room

    candidates = [k for k in islice(map(str, known), 2048) if len(k) <= 48]  # comparing takes quadratic time
    found = difflib.get_close_matches(str(name)[:48], candidates, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown_variable(name: object, known: Iterable[str]) -> GraphError:
    """The error for a variable that the graph does not have, with the nearest name that it has."""
    return GraphError(f"unknown variable {name!r}{nearest(name, known)}")
