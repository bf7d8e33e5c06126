"""Structured mean field: a lower bound on log Z from the best product of distributions over clusters of variables.

With q = ∏_C q_C and clusters C within which everything is summed exactly,

    q_C ∝ ∏_{tables within C} f · ∏_{tables across} exp E_{q of the others}[log f],
    ELBO = E_q[log ∏ f] + Σ_C H(q_C) ≤ log Z,

and setting one q_C so never lowers the bound. Each update is a run of a contraction tree, whose posteriors of the
entries are what neighbours need. E[log 0] = −∞ unless q has no mass there, so that where tables with zeros lie across
clusters q starts from a state of positive weight; a later q_C then has that state still.

Sources: Saul & Jordan 1996; Xing, Jordan & Russell 2003.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tractable import kernels
from tractable._cached import cached_property
from tractable.kernels import Job, Reduced, Tables
from tractable.kernels.propagation import propagate
from tractable.models.keys import generator
from tractable.plan import Plan
from tractable.plan.estimates import ClusterSweeps
from tractable.posterior.approximate.clusters import Afford, Cluster, partitions
from tractable.posterior.approximate.table_rows import Estimated, TableCases, of_targets, told_of
from tractable.posterior.approximate.table_starts import GUIDE, UNFOUND, starts
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import over_states, run_safely

EPSILON = 8 * float(np.finfo(np.float64).eps)
"""What each step of a sum may cost by rounding, as a share of the terms' sizes."""


class ClusterSide(NamedTuple):
    """What a cluster has of a table across: its number, the axes, and where its entries are among the cluster's."""

    cluster: int
    axes: list[int]
    place: slice
    shape: tuple[int, ...]


class Across(NamedTuple):
    """A table across clusters: logarithms, zeros in place of −∞; where there are zeros; its sides."""

    log: np.ndarray
    zeros: np.ndarray | None
    sides: list[ClusterSide]


class Field(NamedTuple):
    """The distribution of one cluster: its tables, the posteriors of their entries, and log Z of these tables."""

    values: np.ndarray
    entries: np.ndarray
    log_z: float


class LowerBound(NamedTuple):
    """Of one case: the ELBO and what rounding may have added to it, the marginals, and how it was found."""

    elbo: float
    charge: float
    marginals: np.ndarray
    n_clusters: int = 1
    exact: bool = True
    sweeps: int = 0
    change: float = 0.0


def solve(plan: Plan, case: Any, key: Any) -> Estimated:
    """What was planned, run: the different cases one after the other."""
    rows, seed = TableCases.of(plan, case), int(generator(key).integers(2**62))
    wanted = plan.query != "evidence"
    found = [bounded(reduced, plan.program, seed, wanted) for reduced in rows.one_by_one()]
    told = _verdict([found[i] for i in rows.which], plan.program)
    if not case.many and told is None and found[0].elbo == -math.inf:
        return Estimated(Certificate.exact(-math.inf), None)
    log_z = _log_partition(rows, found, told)
    if not wanted:
        return Estimated(log_z, None)
    marginals = of_targets(case, plan, rows.gathered([b.marginals for b in found]))
    whole = Certificate.exact(marginals) if told is None else Certificate.estimate(marginals, verdict=told)
    return Estimated(log_z, whole)


def _log_partition(rows: TableCases, found: list[LowerBound], told: str | None) -> Certificate:
    value = rows.gathered([b.elbo for b in found])
    if told is None:
        return Certificate.of_cases(value if value.ndim else float(value))
    lower = rows.gathered([b.elbo - b.charge for b in found])
    upper = rows.gathered([b.elbo if b.exact else math.inf for b in found])
    value, lower, upper = (end if end.ndim else float(end) for end in (value, lower, upper))
    return Certificate(value, lower, upper, "bound", verdict=told)


def _verdict(found: list[LowerBound], program: ClusterSweeps) -> str | None:
    """How the bound came about, of one case or in all rows; None where all is exact."""
    cut = [b for b in found if not b.exact]
    if not cut:
        return None
    lost = np.flatnonzero([b.elbo == -math.inf and not b.exact for b in found])
    if len(lost):
        return f"unreliable: {UNFOUND}{_where(lost, found)}"
    most, n = "at most " if len(found) > 1 else "", max(b.n_clusters for b in cut)
    told = f"a lower bound of log Z by {most}{n:,} clusters that know only each other's averages"
    return f"{told}; {_ended(found, most, program)}"


def _ended(found: list[LowerBound], most: str, program: ClusterSweeps) -> str:
    slow = np.flatnonzero([b.change > program.tolerance for b in found])
    sweeps, rise = max(b.sweeps for b in found), max(b.change for b in found)
    if not len(slow):
        return f"converged in {most}{sweeps:,} sweeps"
    return f"not converged{_where(slow, found)} in {sweeps:,} sweeps (the bound still rose by {rise:.2g})"


def _where(lost: np.ndarray, found: list[LowerBound]) -> str:
    return f" in {told_of(lost)}" if len(found) > 1 else ""


def bounded(reduced: Reduced, program: ClusterSweeps, seed: int, wanted: bool = True) -> LowerBound:
    """The bound of what one case leaves of a network."""
    nothing = np.full(len(reduced.kept), np.nan)
    if reduced.impossible:
        return LowerBound(-math.inf, 0.0, nothing)
    best = best_of(reduced.tables, program, seed)
    network, exact = best.network, not best.network.across
    if best.fields is None:  # where nothing lies across, a cluster by itself is impossible
        return LowerBound(-math.inf, 0.0, nothing, len(network.clusters), exact)
    elbo, charge = network.elbo(best.fields)
    marginals = over_states(reduced, network.marginals(best.fields)) if wanted else nothing
    alone = np.setdiff1d(np.arange(len(reduced.tables.sizes)), reduced.tables.scopes)
    constant = reduced.log_constant + float(np.log(reduced.tables.sizes[alone].astype(np.float64)).sum())
    charge += EPSILON * abs(constant)
    return LowerBound(elbo + constant, charge, marginals, len(network.clusters), exact, best.sweeps, best.change)


class Ascending(NamedTuple):
    """Where an ascent stands, None where nothing is possible; its sweeps, and by how much the last one rose."""

    network: CutTables
    fields: list[Field] | None
    elbo: float = -math.inf
    sweeps: int = 0
    change: float = math.inf


def best_of(tables: Tables, program: ClusterSweeps, seed: int) -> Ascending:
    """Of partitions and starts, each swept for a little, the best, swept until it settles."""
    seeds, afford = range(seed, seed + program.partitions), Afford(program.seconds, program.memory)
    points, best = Points(tables, program.starts, seed), None
    for parts in islice(partitions(tables, afford, seeds), program.finalists):
        network = CutTables.of(tables, parts)
        if not network.across:
            fields = network.swept([None] * len(parts))
            return Ascending(network, fields, sweeps=1, change=0.0)
        for point in points.of(network):
            trial = network.ascent(Ascending(network, network.independent(point)), program.trial, 0.0)
            if best is None or trial.elbo > best.elbo:
                best = trial
        best = best or Ascending(network, None)
    assert best is not None
    return best if best.fields is None else best.network.ascent(best, program.sweeps, program.tolerance)


class Points:
    """Where ascents start, as probabilities of all states of independent variables."""

    def __init__(self, tables: Tables, n: int, seed: int):
        self.tables, self.n, self.seed = tables, n, seed

    def of(self, network: CutTables) -> list[np.ndarray]:
        """Beliefs of messages, unless zeros lie across the clusters, and states of positive weight."""
        free = all(one.zeros is None for one in network.across)
        return [self.beliefs, *self.states] if free else self.states

    @cached_property
    def beliefs(self) -> np.ndarray:
        """What messages come to."""
        return propagate(self.tables, np.arange(self.tables.n_factors), GUIDE).beliefs

    @cached_property
    def states(self) -> list[np.ndarray]:
        """States of positive weight, as many as are found."""
        tables, firsts = self.tables, np.cumsum(self.tables.sizes) - self.tables.sizes
        found = starts(tables, self.n, self.seed)
        each = [] if found is None else np.unique(found, axis=0)
        return [np.bincount(firsts + state, minlength=tables.n_states).astype(np.float64) for state in each]


class CutTables(NamedTuple):
    """Tables, the clusters of their variables, the tables across, and of each cluster its own tables and its sides."""

    tables: Tables
    clusters: list[Cluster]
    across: list[Across]
    own: list[Tables]
    towards: list[list[tuple[Across, ClusterSide]]]

    @classmethod
    def of(cls, tables: Tables, parts: list[Cluster]) -> CutTables:
        """The network cut into clusters."""
        own = [_own(tables, part) for part in parts]
        sides: dict[int, list[ClusterSide]] = {}
        for c, (part, mine) in enumerate(zip(parts, own, strict=True)):
            starts, within = mine.value_starts, np.isin(np.arange(len(tables.sizes)), part.members)
            for k in _crossing(tables, part):
                scope = tables.scope(j := int(part.touched[k]))
                axes = np.flatnonzero(within[scope])
                shape = tuple(tables.sizes[scope[axes]].tolist())
                sides.setdefault(j, []).append(ClusterSide(c, axes.tolist(), slice(starts[k], starts[k + 1]), shape))
        across, of = [_across(tables, j, found) for j, found in sorted(sides.items())], [[] for _ in parts]
        for one in across:
            for side in one.sides:
                of[side.cluster].append((one, side))
        return cls(tables, parts, across, own, of)

    def ascent(self, of: Ascending, sweeps: int, tolerance: float) -> Ascending:
        """So many sweeps more, or until they raise the bound by no more than the tolerance."""
        for _ in range(sweeps):
            assert of.fields is not None
            new = self.swept(of.fields)
            elbo = -math.inf if new is None else self.elbo(new)[0]
            if of.elbo > -math.inf and elbo <= of.elbo:  # it has settled, up to rounding
                return of._replace(sweeps=of.sweeps + 1, change=0.0)
            if new is None:
                return of._replace(fields=None)
            of = Ascending(self, new, elbo, of.sweeps + 1, elbo - of.elbo)
            if of.change <= tolerance:
                break
        return of

    def independent(self, point: np.ndarray) -> list[Field]:
        """What clusters hear of each other where all variables are independent."""
        firsts = np.cumsum(self.tables.sizes) - self.tables.sizes
        return [Field(np.empty(0), self._entries(c, point, firsts), 0.0) for c in range(len(self.clusters))]

    def _entries(self, c: int, point: np.ndarray, firsts: np.ndarray) -> np.ndarray:
        own, members = self.own[c], self.clusters[c].members
        entries = np.empty(len(own.values))
        for k in _crossing(self.tables, self.clusters[c]):
            p = np.ones(1)
            for v in members[own.scope(k)].tolist():
                p = np.outer(p, point[firsts[v] : firsts[v] + self.tables.sizes[v]]).ravel()
            entries[own.value_starts[k] : own.value_starts[k + 1]] = p
        return entries

    def swept(self, fields: list[Any]) -> list[Field] | None:
        """Each cluster set to the best given all others, in turn; None where nothing is possible."""
        fields = list(fields)
        for c, mine in enumerate(self.towards):
            values = self.own[c].values.copy()
            for one, side in mine:
                values[side.place] = _averaged(one, side, fields)
            found = self._run(c, values)
            if found is None:
                return None
            for _, side in mine:  # what is zero up to underflow q has no mass on, by definition of q
                values[side.place][found.entries[side.place] == 0] = 0.0
            fields[c] = found
        return fields

    def _run(self, c: int, values: np.ndarray) -> Field | None:
        part, own = self.clusters[c], self.own[c]
        tables = Tables(own.sizes, own.scope_starts, own.scopes, own.value_starts, values)
        run = kernels.run(tables, part.scopes, part.tree.pairs, Job(kernels.ENTRIES))
        if run.status == kernels.UNSAFE:
            job = Job(kernels.ENTRIES, kernels.LOG_SUM_EXP)
            run = kernels.run(tables, part.scopes, part.tree.pairs, job)
        if run.status == kernels.ZERO or run.marginals is None:
            return None
        return Field(values, run.marginals, float(run.log_z[0]))

    def elbo(self, fields: list[Field]) -> tuple[float, float]:
        """The bound from what stands, and what rounding may have added to it."""
        value = sum(field.log_z for field in fields)
        scale = sum(abs(field.log_z) for field in fields)
        for one in self.across:
            if one.zeros is not None and _mean(one.zeros, one.sides, fields):
                return -math.inf, 0.0
            for side in one.sides:
                p, g = (a[side.place] for a in (fields[side.cluster].entries, fields[side.cluster].values))
                told = p[p > 0] * np.log(g[p > 0])
                value, scale = value - float(told.sum()), scale + float(np.abs(told).sum())
            value += float(_mean(one.log, one.sides, fields))
            scale += float(_mean(np.abs(one.log), one.sides, fields))
        steps = self.tables.n_factors + len(self.tables.sizes)
        return value, EPSILON * steps * (1.0 + scale)

    def marginals(self, fields: list[Field]) -> np.ndarray:
        """Of all states, in the distributions of the clusters."""
        sizes = self.tables.sizes
        out, firsts = np.repeat(1.0 / sizes, sizes), np.cumsum(sizes) - sizes
        for part, own, field in zip(self.clusters, self.own, fields, strict=True):
            tables = Tables(own.sizes, own.scope_starts, own.scopes, own.value_starts, field.values)
            run = run_safely(tables, part.scopes, part.tree.pairs, Job(kernels.MARGINALS))
            if run.marginals is not None:
                each = np.split(run.marginals, np.cumsum(own.sizes)[:-1])
                for v, p in zip(part.members.tolist(), each, strict=True):
                    out[firsts[v] : firsts[v] + len(p)] = p
        return out


def _crossing(tables: Tables, part: Cluster) -> list[int]:
    """Which of the tables that touch a cluster reach beyond it."""
    whole = np.diff(tables.scope_starts)[part.touched]
    return np.flatnonzero(np.diff(part.scopes.starts) < whole).tolist()


def _own(tables: Tables, part: Cluster) -> Tables:
    """The tables of a cluster: what lies within as it is, and ones over what it has of those across."""
    scopes, crossing = part.scopes, set(_crossing(tables, part))
    values = []
    for k, j in enumerate(part.touched.tolist()):
        size = int(np.prod(scopes.sizes[scopes.members[scopes.starts[k] : scopes.starts[k + 1]]]))
        values.append(np.ones(size) if k in crossing else tables.table(j).ravel())
    starts = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64)
    return Tables(scopes.sizes, scopes.starts, scopes.members, starts, np.concatenate(values))


def _across(tables: Tables, j: int, sides: list[ClusterSide]) -> Across:
    table = tables.table(j)
    zeros = table == 0
    log = np.log(np.where(zeros, 1.0, table))
    return Across(log, zeros.astype(np.float64) if zeros.any() else None, sides)


def _averaged(one: Across, side: ClusterSide, fields: list[Field]) -> np.ndarray:
    """exp E[log f] over what a cluster has of a table, up to a factor."""
    others = [other for other in one.sides if other.cluster != side.cluster]
    log = _mean(one.log, others, fields, side.axes).ravel()
    if one.zeros is not None:
        log = np.where(_mean(one.zeros, others, fields, side.axes).ravel() > 0, -math.inf, log)
    top = log.max()
    return np.exp(log - top) if top > -math.inf else np.zeros_like(log)


def _mean(
    values: np.ndarray, sides: list[ClusterSide], fields: list[Field], left: list[int] | None = None
) -> np.ndarray:
    """The mean of a table over the distributions of some sides, a table over the axes that are left."""
    with_axes: list[Any] = [values, list(range(values.ndim))]
    for side in sides:
        with_axes += [fields[side.cluster].entries[side.place].reshape(side.shape), side.axes]
    return np.einsum(*with_axes, left or [])
