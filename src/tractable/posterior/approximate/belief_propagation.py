"""Loopy belief propagation: marginals from messages between tables and variables, and Bethe's estimate of log Z.

On a forest two sweeps, from the leaves to the roots and back, are exact. On loops messages go round until they change
no more, if ever; what they come to is a stationary point of Bethe's free energy, and no bound of anything. Zeros are
kept exactly: a state that messages rule out is impossible, and so are all where a variable has none left.

Sources: Pearl 1988; Yedidia, Freeman & Weiss 2005.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.kernels.propagation import Patience, propagate
from tractable.plan import Plan
from tractable.plan.estimates import MessageSweeps
from tractable.posterior.approximate.table_rows import Estimated, TableCases, of_targets, told_of
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import over_states

BOTH_WAYS = Patience(2, 0.0, 0.0, 0.0)
"""What a forest needs."""

LOOPY = "an estimate on loops, without a bound"


class Beliefs(NamedTuple):
    """Of one case: log Z of Bethe, the beliefs of all states, whether there were no loops, and how messages ended."""

    log_z: float
    marginals: np.ndarray
    exact: bool
    sweeps: int = 0
    change: float = 0.0
    zeros: bool = False


def solve(plan: Plan, case: Any, key: Any) -> Estimated:
    """What was planned, run: the cases one by one."""
    rows = TableCases.of(plan, case)
    found = rows.map(lambda reduced, _: believed(reduced, plan.program))
    log_z, exact = (rows.gathered([getattr(b, name) for b in found]) for name in ("log_z", "exact"))
    if not case.many and log_z == -np.inf:
        return Estimated(Certificate.exact(log_z), None)
    told = _verdict([found[i] for i in rows.which], plan.program)
    marginals = None
    if plan.query != "evidence":
        whole = of_targets(case, plan, rows.gathered([b.marginals for b in found]))
        marginals = Certificate.exact(whole) if np.all(exact) else Certificate.estimate(whole, verdict=told)
    return Estimated(Certificate.of_cases(log_z) if np.all(exact) else _estimate(log_z, told), marginals)


def _estimate(log_z: Any, told: str | None) -> Certificate:
    return Certificate.estimate(log_z if np.ndim(log_z) else float(log_z), verdict=told)


def believed(reduced: Reduced, program: MessageSweeps) -> Beliefs:
    """Beliefs of what one case leaves of a network."""
    if reduced.impossible:
        return Beliefs(-np.inf, np.full(len(reduced.kept), np.nan), True)
    tables = reduced.tables
    order, forest = from_the_leaves(tables)
    found = propagate(tables, order, BOTH_WAYS if forest else Patience(*program))
    if found.log_z == -np.inf:
        return Beliefs(-np.inf, np.full(len(reduced.kept), np.nan), True)
    own = over_states(reduced, found.beliefs)
    zeros = bool((tables.values == 0).any())
    return Beliefs(found.log_z + reduced.log_constant, own, forest, found.sweeps, found.change, zeros)


def from_the_leaves(tables: Tables) -> tuple[np.ndarray, bool]:
    """The tables by their distance from the first of each part, the furthest first; and whether there are no loops.

    >>> starts, members = np.array([0, 2, 4, 6]), np.array([0, 1, 1, 2, 2, 0], np.int32)
    >>> ring = Tables(np.full(3, 2, np.int32), starts, members, np.arange(0, 13, 4), np.ones(12))
    >>> order, forest = from_the_leaves(ring)
    >>> order.tolist(), forest
    ([1, 2, 0], False)
    """
    members = [scope.tolist() for scope in np.split(tables.scopes, tables.scope_starts[1:-1])][: tables.n_factors]
    of: dict[int, list[int]] = {}
    for j, v in ((j, v) for j, scope in enumerate(members) for v in scope):
        of.setdefault(v, []).append(j)
    order: list[int] = []
    reached, n_parts = np.zeros(len(members), bool), 0
    for root in range(len(members)):
        if not reached[root]:
            n_parts += 1
            order += _part(root, members, of, reached)
    n_edges, n_variables = len(tables.scopes), len(np.unique(tables.scopes))
    return np.array(order[::-1], np.int32), n_edges == len(members) + n_variables - n_parts


def _part(root: int, members: list[list[int]], of: dict[int, list[int]], reached: np.ndarray) -> list[int]:
    """The tables that are linked with one, by their distance; those of a variable are taken with the first of them."""
    order, reached[root] = [root], True
    for j in order:  # grows while it runs
        for v in members[j]:
            new = [i for i in of.pop(v, ()) if not reached[i]]
            reached[new] = True
            order += new
    return order


def _verdict(found: list[Beliefs], program: MessageSweeps) -> str | None:
    """How messages ended, of one case or in all rows; None where all is exact."""
    loopy = [b for b in found if not b.exact]
    if not loopy:
        return None
    lost = np.flatnonzero([not b.exact and not b.change <= program.tolerance for b in found])
    told = f"{LOOPY}; {_ended(loopy, lost, len(found) > 1)}"
    if any(b.zeros for b in loopy):
        told += "; zeros: that it is possible at all is not proved"
    return f"unreliable: {told}" if len(lost) else told


def _ended(loopy: list[Beliefs], lost: np.ndarray, many: bool) -> str:
    sweeps, change = max(b.sweeps for b in loopy), max(b.change for b in loopy)
    if not len(lost):
        return f"messages converged in {'at most ' if many else ''}{sweeps:,} sweep{'s' if sweeps != 1 else ''}"
    where = f" in {told_of(lost)}" if many else ""
    return f"messages did not converge{where} in {sweeps:,} sweeps (largest change {change:.2g})"
