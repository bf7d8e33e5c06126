"""What of a network matters to a question: barren variables are dropped, what is not linked with it is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tractable.kernels import Reduced, Tables, reduce
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.evidence import Evidence, with_likelihoods
from tractable.models.markov_network import MarkovNetwork

ALL_OF_IT = ("marginals", "map")
"""Queries that all variables matter to, unless the first is about some of them."""

APART = ("targets", "joint")
"""Queries about some variables that leave log Z alone: what is not linked with these is left out."""


def children(model: BayesianNetwork | MarkovNetwork, tables: Tables) -> np.ndarray:
    """The variable over which each factor sums to one, −1 where there is none."""
    own = model.conditional
    more = tables.n_factors - len(own)  # of likelihoods
    return np.concatenate([own, np.full(more, -1, np.int32)]) if more else own


def tables_of(model: BayesianNetwork | MarkovNetwork) -> dict[int, int]:
    """The number of the table that sums to one over a variable, for each that has one."""
    return {v: j for j, v in enumerate(children(model, model.packed).tolist()) if v >= 0}


def wanted_by(model: BayesianNetwork | MarkovNetwork, evidence: Evidence, names: Iterable[str]) -> np.ndarray:
    """The variables that are observed, or named, as 0/1 [n_variables]."""
    wanted, places = (evidence.states >= 0).view(np.uint8), model.graph.places
    for name in names:
        wanted[places[name]] = 1
    return wanted


def left(
    model: BayesianNetwork | MarkovNetwork,
    evidence: Evidence,
    query: str,
    targets: Sequence[str] | None = None,
    seen: Iterable[str] = (),
    merge: bool = True,
) -> Reduced:
    """What evidence about one case leaves of the network for a query, about `targets` if these are given.

    `seen` are names of what will be observed, whose states are not known yet: nothing is cut out for these. With
    `merge` tables are multiplied into those that hold their variables.
    """
    tables = with_likelihoods(model.packed, evidence.likelihoods)
    if query in ALL_OF_IT and (targets is None or query == "map"):
        return reduce(tables, evidence.states, merge=merge)
    asked = targets if targets is not None and query not in ("evidence", "sample") else ()
    wanted = wanted_by(model, evidence, (*asked, *seen))
    found = reduce(tables, evidence.states, children(model, tables), wanted, merge)
    return found if query not in APART or seen else _connected(model, found, asked)


def barren(model: BayesianNetwork | MarkovNetwork, evidence: Evidence, names: Iterable[str] = ()) -> list[int]:
    """The variables that matter neither to what is observed nor to those named, each before its parents.

    Such a variable is in one table alone, its own, which sums to one; then so are those that only this one hangs on.
    """
    tables, wanted = with_likelihoods(model.packed, evidence.likelihoods), wanted_by(model, evidence, names).tolist()
    degree = np.bincount(tables.scopes, minlength=len(tables.sizes)).tolist()
    starts, scopes = tables.scope_starts.tolist(), tables.scopes.tolist()
    own = {v: scopes[starts[j] : starts[j + 1]] for v, j in tables_of(model).items() if not wanted[v]}
    found = [v for v in own if degree[v] == 1]
    for v in found:  # grows while it runs
        for u in own[v]:
            degree[u] -= 1
        found += [u for u in own[v] if degree[u] == 1 and u in own]
    return found


def linked(starts: np.ndarray, members: np.ndarray, places: Iterable[int]) -> np.ndarray:
    """Whether each scope is linked with variables at these places by others, as a mask [n_scopes]."""
    ends, scopes = starts.tolist(), members.tolist()
    of: dict[int, list[int]] = {}
    for j, v in zip(np.repeat(np.arange(len(ends) - 1), np.diff(starts)).tolist(), scopes, strict=True):
        of.setdefault(v, []).append(j)
    found, known, queue = np.zeros(len(ends) - 1, bool), set(places), list(places)
    for v in queue:  # grows while it runs
        for j in of.get(v, ()):
            if not found[j]:
                found[j] = True
                queue += (new := {*scopes[ends[j] : ends[j + 1]]} - known)
                known |= new
    return found


def only(reduced: Reduced, chosen: np.ndarray) -> Reduced:
    """The conditioned network with the chosen tables alone, a mask; its log Z is no longer that of the network."""
    tables, lengths = reduced.tables, np.diff(reduced.tables.value_starts)
    arity = np.diff(tables.scope_starts)
    kept = Tables(
        tables.sizes,
        np.concatenate([[0], np.cumsum(arity[chosen])]).astype(np.int64),
        tables.scopes[np.repeat(chosen, arity)],
        np.concatenate([[0], np.cumsum(lengths[chosen])]).astype(np.int64),
        tables.values[np.repeat(chosen, lengths)],
    )
    number = np.append(np.where(chosen, np.cumsum(chosen) - 1, -1), -1).astype(np.int32)
    return reduced._replace(tables=kept, factor=number[reduced.factor])


def apart(tables: Tables, chosen: np.ndarray) -> tuple[np.ndarray, Tables]:
    """The chosen tables by themselves, by their numbers: the variables that they have, and tables over these alone."""
    arity, lengths = np.diff(tables.scope_starts), np.diff(tables.value_starts)
    variables, scopes = np.unique(_taken(tables.scopes, tables.scope_starts, chosen), return_inverse=True)
    values = _taken(tables.values, tables.value_starts, chosen)
    starts, ends = (np.concatenate([[0], np.cumsum(n[chosen])]).astype(np.int64) for n in (arity, lengths))
    return variables, Tables(tables.sizes[variables], starts, scopes.ravel().astype(np.int32), ends, values)


def _taken(array: np.ndarray, starts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Some of the runs of an array, one after the other."""
    return np.concatenate([array[:0], *(array[starts[j] : starts[j + 1]] for j in chosen.tolist())])


def _connected(model: BayesianNetwork | MarkovNetwork, reduced: Reduced, names: Iterable[str]) -> Reduced:
    own = {int(reduced.index[model.graph.places[name]]) for name in names}
    mask = linked(reduced.tables.scope_starts, reduced.tables.scopes, own - {-1})
    return reduced if mask.all() else only(reduced, mask)
