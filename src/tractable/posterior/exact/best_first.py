"""The n best of many sequences of choices, where it is known of each next choice what the best is that it leads to.

A path that is found leaves, at each of its choices, one way to every other choice; all these ways from all paths found
lead to all other paths, each to the best of its own, so that the best way not yet taken leads to the next best path
(Lawler 1972). The kernel chain_best.c does the same along hidden Markov chains.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

Scores = Callable[[array], np.ndarray | None]
Departure = tuple[float, int, int, int]
"""What a way loses to the best path, the path that it leaves, where, and for which choice."""


def best_first(scores: Scores, n: int) -> tuple[list[array], np.ndarray]:
    """The `n` best paths, or all where there are fewer, and what each loses to the first.

    `scores` has for the choices so far, up to a constant, the best that each next choice leads to [choices], or each of
    several that do not depend on each other [several, choices]; None where the path ends. Not all are −∞.

    >>> table = np.array([[0.0, -3.0], [-1.0, -5.0]])
    >>> paths, losses = best_first(lambda path: [table.max(1), table[path[0] if path else 0], None][len(path)], 3)
    >>> [path.tolist() for path in paths], losses.tolist()
    ([[0, 0], [1, 0], [0, 1]], [0.0, 1.0, 3.0])
    """
    paths, losses, ways = [array("q")], [0.0], []
    _follow(scores, paths, losses, ways, n - 1)
    while ways and len(paths) < n:
        loss, parent, at, choice = ways.pop(0)
        paths.append(paths[parent][:at])
        paths[-1].append(choice)
        losses.append(loss)
        _follow(scores, paths, losses, ways, n - len(paths))
    return paths, np.array(losses)


def _follow(scores: Scores, paths: list[array], losses: list[float], ways: list[Departure], wanted: int) -> None:
    """The best choices to the end of the last path, and the ways to leave it, of which `wanted` are still of use."""
    path = paths[-1]
    while (own := scores(path)) is not None:
        own = np.atleast_2d(own)
        best = own.argmax(1)[:, None]
        if wanted:
            lost = losses[-1] + (np.take_along_axis(own, best, 1) - own)
            np.put_along_axis(lost, best, np.inf, 1)
            ways[:] = _kept(ways, lost, (len(paths) - 1, len(path)), wanted)
        path.extend(best[:, 0].tolist())


def _kept(ways: list[Departure], lost: np.ndarray, where: tuple[int, int], wanted: int) -> list[Departure]:
    """The best of the ways that there are and of new ones [several, choices] at this place of this path."""
    (number, at), flat, n = where, lost.ravel(), lost.shape[1]
    there = np.flatnonzero(flat < (ways[-1][0] if len(ways) >= wanted else np.inf))
    if len(there) > wanted:
        there = there[np.argpartition(flat[there], wanted - 1)[:wanted]]
    if not len(there):
        return ways
    return sorted([*ways, *((float(flat[i]), number, at + i // n, i % n) for i in there.tolist())])[:wanted]
