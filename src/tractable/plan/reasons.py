"""Why a query costs what it costs, in one sentence about the structure; and what observing would change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tractable.graph import Graph
from tractable.kernels import Reduced, Scopes
from tractable.models.pruning import linked
from tractable.plan._base import Alternative, ContractionTree
from tractable.plan._units import listed


def why(scopes: Scopes, names: Sequence[str], tree: ContractionTree, graph: Graph, observed: Sequence[str]) -> str:
    """The structural reason for the width of the tree found, naming the variables that meet in the largest table."""
    legs, _ = scopes.widest(tree.pairs)
    members = [names[int(v)] for v in legs]
    given = f" given {listed(observed)}" if observed else ""
    block = _bipartite(scopes)
    if block and len(legs) >= block[0]:
        a, b = block
        return f"a dense {a}×{b} bipartite block{given}: its smaller side, {a} variables, has to be held jointly"
    if _is_forest(scopes):
        return f"what is free{given} is a tree of pairs: messages over single variables suffice"
    if not members:
        return f"no two tables have to be joined{given}"
    joined = _explaining_away(graph, set(members), observed)
    reason = f"; {joined}" if joined else ""
    most = _counted(len(members), "variable")
    return f"the best order found{given} never joins more than {most}: {listed(members)}{reason}"


def narrowed(reduced: Reduced, n_observed: int, n_barren: int) -> str:
    """What made a network narrower before its width mattered: pruning, zeros, independence; empty if nothing did."""
    tables, free = reduced.tables, reduced.index >= 0
    settled = int((~free & (reduced.sizes > 1)).sum()) - n_observed - n_barren
    ruled_out = int((reduced.sizes - reduced.n_kept)[free].sum())
    apart = int(free.sum()) - len(np.unique(tables.scopes)) if tables.n_factors else 0
    n_parts = _n_parts(reduced)
    told = {
        left_out(n_barren, len(free)): n_barren,
        f"zeros settle {_counted(settled, 'variable')}": settled,
        f"zeros rule out {_counted(ruled_out, 'state')}": ruled_out,
        f"{_counted(apart, 'variable')} left out, independent of what is asked": apart,
        f"what is free is in {n_parts} parts that know nothing of each other": n_parts - 1,
    }
    return "; ".join(words for words, number in told.items() if number > 0)


def left_out(n: int, of: int) -> str:
    """That some variables are pruned, in words; empty if none are."""
    return f"pruning leaves out {n:,} of {of:,} variables, on which nothing asked hangs" if n else ""


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _n_parts(reduced: Reduced) -> int:
    """In how many parts that share no table the tables are."""
    tables, n = reduced.tables, 0
    rest = np.ones(tables.n_factors, bool)
    while rest.any():
        first = tables.scope(int(rest.argmax()))
        rest &= ~linked(tables.scope_starts, tables.scopes, first.tolist())
        n += 1
    return n


def _is_forest(scopes: Scopes) -> bool:
    """Whether no scope has more than two variables and their pairs close no cycle."""
    if np.diff(scopes.starts).max(initial=0) > 2:
        return False
    first = scopes.starts[:-1][np.diff(scopes.starts) == 2]
    pairs = np.sort(np.column_stack([scopes.members[first], scopes.members[first + 1]]), axis=1)
    root = list(range(scopes.n))

    def find(v: int) -> int:
        while root[v] != v:
            root[v] = v = root[root[v]]
        return v

    for pair in np.unique(pairs, axis=0).tolist():
        a, b = map(find, pair)
        if a == b:
            return False
        root[a] = b
    return True


def _bipartite(scopes: Scopes) -> tuple[int, int] | None:
    """The sides of a complete bipartite graph of pairs, smaller first; None if the scopes are not one."""
    lengths = np.diff(scopes.starts)
    if scopes.m < 9 or not (lengths == 2).all():
        return None
    neighbours: dict[int, set[int]] = {}
    for a, b in scopes.members.reshape(-1, 2).tolist():
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    right = next(iter(neighbours.values()))
    left = neighbours[next(iter(right))]
    sides = [(left, right), (right, left)]
    dense = all(neighbours[v] == other for side, other in sides for v in side)
    if not dense or left & right or len(left) + len(right) != scopes.n:
        return None
    return min(len(left), len(right)), max(len(left), len(right))


def _explaining_away(graph: Graph, members: set[str], observed: Sequence[str]) -> str:
    """Which child joins its parents within the largest table, an observed one if there is any."""
    for child in (*observed, *sorted(members)):
        parents = [p for p in graph.parents.get(child, ()) if p in members]
        if len(parents) > 1:
            seen = child in observed
            return f"{'observing ' if seen else ''}{child} joins its parents {listed(parents)} " + (
                "(explaining away)" if seen else "(a v-structure)"
            )
    return ""


ALTERNATIVES = (
    Alternative("condition", "exact", "observe the advised variables, or ask for fewer targets"),
    Alternative("more memory", "exact", "the same plan with a larger --memory budget"),
    Alternative("mini_buckets", "probabilistic", "an interval of log Z and of every marginal, narrower with time"),
    Alternative("belief_propagation", "estimate", "messages round the loops: marginals and log Z, without a bound"),
    Alternative("gibbs", "estimate", "marginals from chains, with standard errors and a verdict; no log Z"),
    Alternative(
        "mean_field", "estimate", "clusters summed exactly: marginals, and a lower bound of log Z that holds always"
    ),
)

INSTEAD_OF_THE_BEST = (
    *(found for found in ALTERNATIVES if found.certificate == "exact"),
    Alternative("branch_and_bound", "bound", "the best that a search finds, and a bound of all others"),
)
"""Of the most probable states, which no sum or sample gives."""

SEARCHES = ("branch_and_bound", "toulbar2")
"""The methods that search for the most probable states under a bound: see `plan.most_probable`."""

ESTIMATES = tuple(found.method for found in ALTERNATIVES if found.certificate == "estimate")
"""The methods that estimate where no contraction is affordable: see `plan.estimates`."""
