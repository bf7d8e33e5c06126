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
    >>> nearest("yes", ["NO", "YES"])
    "; did you mean 'YES'?"
    """
    import difflib  # only errors need it, and importing it costs more than this whole room

    candidates = [k for k in islice(map(str, known), 2048) if len(k) <= 48]  # comparing takes quadratic time
    asked = str(name)[:48]
    alike = [k for k in candidates if k.casefold() == asked.casefold()]  # the usual slip, which letters do not resemble
    found = alike or difflib.get_close_matches(asked, candidates, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown(name: object, known: Iterable[str]) -> str:
    """What is said of a variable that is not there, with the nearest name that is.

    >>> unknown("s0", ["0", "1", "2"])
    "unknown variable 's0'; the variables are called by their numbers, 0 to 2"
    """
    own = [*map(str, known)]
    if len(own) > 1 and own == [*map(str, range(len(own)))]:  # as of a UAI file, which has no names
        return f"unknown variable {name!r}; the variables are called by their numbers, 0 to {len(own) - 1}"
    return f"unknown variable {name!r}{nearest(name, own)}"


def unknown_variable(name: object, known: Iterable[str]) -> GraphError:
    """The error for a variable that the graph does not have."""
    return GraphError(unknown(name, known))
