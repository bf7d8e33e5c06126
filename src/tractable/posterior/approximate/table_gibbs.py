"""Gibbs chains in networks of tables: averages with standard errors, and whether chains that start apart have met.

Each variable in turn is drawn given its neighbours. What is averaged are the probabilities that it is drawn with: these
have the same expectation as its states and less variance (Rao–Blackwell). Chains say nothing of log Z.

Zeros tie variables to one another, and what none of them can leave alone stays as it began: that a variable moves in no
chain is said, and that chains disagree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.kernels.table_gibbs import TableScan
from tractable.models import ModelError
from tractable.models.keys import generator
from tractable.models.rows import Rows as Drawn
from tractable.plan import Plan
from tractable.plan.estimates import LOG_Z, TableChains
from tractable.plan.tables import free_names
from tractable.posterior.approximate import over_chains
from tractable.posterior.approximate.over_chains import CROSS, CROSSING, Halves
from tractable.posterior.approximate.table_rows import Estimated, TableCases, of_targets, told_of
from tractable.posterior.approximate.table_starts import UNFOUND, starts
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import over_states
from tractable.posterior.exact.walk import original

SURE = 1e-12
"""A variable whose probabilities are together this near to zero and one has never moved."""


class TableAverages(NamedTuple):
    """Of one case: means and standard errors of all states, and in words what speaks against them."""

    value: np.ndarray
    error: np.ndarray
    doubt: str
    possible: bool = True


def solve(plan: Plan, case: Any, key: Any) -> Any:
    """What was planned, run: averages of the cases one by one, or draws."""
    rows, rng = TableCases.of(plan, case), generator(key)
    if plan.query == "sample":
        return _drawn(plan, case, rows.base, rng)
    seeds = rng.integers(2**63, size=rows.n).tolist()
    found = rows.map(lambda reduced, i: averaged(reduced, plan.program, seeds[i], case.model))
    if not case.many and not found[0].possible:
        return Estimated(Certificate.exact(-np.inf), None)
    if not case.many and found[0].doubt == UNFOUND:
        raise _unfound()
    own = [of_targets(case, plan, rows.gathered([getattr(a, n) for a in found])) for n in ("value", "error")]
    told = _verdict([found[i] for i in rows.which])
    return Estimated(_without_log_z(plan), Certificate.estimate(*own, verdict=told))


def _without_log_z(plan: Plan) -> Plan:
    return replace(plan, method=None, query="evidence", reason=LOG_Z, bytes=0, seconds=0, flops=0)


def averaged(reduced: Reduced, program: TableChains, seed: int, model: Any) -> TableAverages:
    """Averages over chains in what one case leaves of a network."""
    nothing = np.full(len(reduced.kept), np.nan)
    if reduced.impossible:
        return TableAverages(nothing, nothing, "", possible=False)
    begun = starts(reduced.tables, program.n_chains, seed)
    if begun is None:
        return TableAverages(nothing, nothing, UNFOUND)
    return _averages(reduced, TableScan(begun, seed), program, model)


def _averages(reduced: Reduced, chains: TableScan, program: TableChains, model: Any) -> TableAverages:
    """What chains that have begun give, and their doubts."""
    if not len(reduced.tables.sizes):
        return TableAverages(over_states(reduced, np.ones(0)), np.zeros(len(reduced.kept)), "")
    halves = _halves(reduced, chains, program)
    value, r_hat = over_chains.averaged(halves)
    stuck = _stuck(halves, reduced.tables)
    error = np.where(np.repeat(stuck, reduced.tables.sizes), np.inf, value.std_error[0])
    doubt = _doubt(r_hat[0], stuck, free_names(model, reduced), reduced.tables.sizes)
    certain = over_states(reduced, np.zeros(len(error)))  # errors are zero where a variable is fixed
    return TableAverages(over_states(reduced, value.value[0]), over_states(reduced, error) - certain, doubt)


def _halves(reduced: Reduced, chains: TableScan, program: TableChains) -> Halves:
    """The sweeps of a program, and the averages over both halves of what is not left out."""
    chains.run(reduced.tables, program.burn_in)
    parts = [chains.run(reduced.tables, n, averaged=True) for n in _split(program.n_sweeps)]
    means, squares = zip(*(part for part in parts if part is not None), strict=True)
    return Halves(np.stack(means)[:, None], np.stack(squares)[:, None])


def _split(n: int) -> tuple[int, int]:
    return max(n // 2, 1), max(n - n // 2, 1)


def _stuck(halves: Halves, tables: Tables) -> np.ndarray:
    """Which variables with zeros had no choice in any chain."""
    starts = np.cumsum(tables.sizes) - tables.sizes
    moved = np.add.reduceat((halves.means - halves.squares).sum(axis=(0, 1, 2)), starts)  # Σ p (1 − p)
    return (moved < SURE) & with_zeros(tables)


def _doubt(r_hat: np.ndarray, stuck: np.ndarray, names: list[str], sizes: np.ndarray) -> str:
    """What speaks against averages: chains that disagree, and variables that never move."""
    said, lost = [], ~(r_hat <= CROSSING)
    if lost.any():
        worst = int(np.argmax(np.nan_to_num(r_hat, nan=np.inf)))
        at = names[int(np.searchsorted(np.cumsum(sizes), worst, side="right"))]
        said.append(f"chains do not cross (R-hat {r_hat[worst]:.3g} at {at})")
    if stuck.any():
        who, n = names[int(stuck.argmax())], int(stuck.sum())
        told = f"{who} never moves" if n == 1 else f"{n:,} variables never move, such as {who}"
        said.append(f"{told}, as zeros tie them together" if n > 1 else f"{told}, as zeros tie it to others")
    return "; ".join(said)


def with_zeros(tables: Tables) -> np.ndarray:
    """Which variables are in a table that has zeros."""
    zeros = np.minimum.reduceat(tables.values, tables.value_starts[:-1]) == 0 if tables.n_factors else np.zeros(0, bool)
    found = np.zeros(len(tables.sizes), bool)
    found[tables.scopes[np.repeat(zeros, np.diff(tables.scope_starts))]] = True
    return found


def _verdict(found: list[TableAverages]) -> str:
    """Of one case or of all rows."""
    against = [a.doubt for a in found]
    if not any(against):
        return CROSS
    lost = np.flatnonzero([bool(doubt) for doubt in against])
    where = f" in {told_of(lost)} of {len(found)}" if len(found) > 1 else ""
    return f"unreliable{where}: {against[int(lost[0])]}"


def _drawn(plan: Plan, case: Any, reduced: Reduced, rng: np.random.Generator) -> Drawn:
    """Ends of chains, and where there are not so many what these come to after some sweeps more, as state indices."""
    if reduced.impossible:
        raise case.impossible("there is nothing to sample")
    program, tables, seed = plan.program, reduced.tables, int(rng.integers(2**63))
    begun = starts(tables, program.n_chains, seed)
    if begun is None:
        raise _unfound()
    chains = TableScan(begun, seed)
    found = _averages(reduced, chains, program, case.model)
    parts = [chains.states.copy()]
    for _ in range(program.n_chains, plan.n, program.n_chains):
        chains.run(tables, program.apart)
        parts.append(chains.states.copy())
    states = original(reduced, np.concatenate(parts)[: plan.n])
    out = Drawn({name: states[:, v] for v, name in enumerate(case.model.states)})
    out.verdict = _verdict([found])
    return out


def _unfound() -> ModelError:
    return ModelError(f'{UNFOUND}; method="counting" searches for one, "auto" answers exactly where that is affordable')
