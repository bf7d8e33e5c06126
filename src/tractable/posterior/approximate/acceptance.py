"""Samples under a bound: as no weight exceeds e^U, a draw that is kept with probability w/e^U is an exact sample.

One in e^(U − log Z) is kept. Where the time does not suffice for as many as were asked for, samples are draws chosen by
their weights instead, which is as good as their effective number is large, and says so.

Sources: von Neumann 1951 (rejection); Efraimidis & Spirakis 2006 (choice by weight in one pass).
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.models import ModelError
from tractable.models.rows import Rows as Drawn
from tractable.plan import BudgetError, Plan
from tractable.plan.interval_memory import room_for
from tractable.plan.mini_buckets import IntervalRun
from tractable.posterior.approximate.mini_buckets import TOO_LITTLE, lower_and_lower, pieces
from tractable.posterior.exact.ancestral import draw_given_parents
from tractable.posterior.exact.walk import original

UNFOUND = "no state of positive weight found"

FOREVER = 1 << 40

ENOUGH = 10.0
"""Draws of effective weight for each sample that make the choice among them reliable."""


class DrawsToKeep:
    """Draws [n_variables, ·] that were accepted, and as many others as are wanted, those of the largest keys."""

    def __init__(self, n: int, n_variables: int):
        self.n, self.n_draws = n, 0
        self.accepted, self.others = (np.empty((n_variables, 0), np.uint8) for _ in range(2))
        self.keys, self.top, self.sums = np.empty(0), -math.inf, np.zeros(2)

    def add(self, log_w: np.ndarray, states: np.ndarray, rng: np.random.Generator) -> None:
        """Look at draws with log w − U."""
        self.n_draws += len(log_w)
        exact = np.log(rng.random(len(log_w))) < log_w
        self.accepted = np.concatenate([self.accepted, states[:, exact]], 1)[:, : self.n]
        keys = np.concatenate([self.keys, log_w + rng.gumbel(size=len(log_w))])
        best = np.argsort(-keys, kind="stable")[: self.n]
        self.keys, self.others = keys[best], np.concatenate([self.others, states], 1)[:, best]
        self._weigh(log_w)

    def _weigh(self, log_w: np.ndarray) -> None:
        top = max(self.top, float(log_w.max(initial=-math.inf)))
        if top > -math.inf:
            w = np.exp(log_w - top)
            self.sums = self.sums * np.exp(self.top - top) ** [1, 2] + [w.sum(), (w**2).sum()]
        self.top = top

    @property
    def effective(self) -> float:
        """The number of draws that would do as well if all weighed the same."""
        return float(self.sums[0] ** 2 / self.sums[1]) if self.sums[1] > 0 else 0.0

    def chosen(self) -> tuple[np.ndarray | None, str]:
        """States [n_variables, n] and what is to be said of them; None where no draw had a positive weight."""
        if self.accepted.shape[1] == self.n:
            return self.accepted, "exact"
        possible = self.keys > -math.inf
        if not possible.any():
            return None, f"{UNFOUND} in {self.n_draws:,} draws" if self.n_draws else ""
        told = f"chosen by weight from {self.n_draws:,} draws that are worth {self.effective:,.0f}"
        sure = possible.all() and self.effective > ENOUGH * self.n
        which = np.resize(np.flatnonzero(possible), self.n)
        return self.others[:, which], f"reliable: {told}" if sure else f"unreliable: {told}; allow more seconds"


def sampled(plan: Plan, case: Any, reduced: Reduced, rng: np.random.Generator) -> Drawn:
    """Samples of all variables as state indices [n], with the verdict on them."""
    states, told = None, ""
    if not reduced.impossible:
        states, told = _kept(plan, reduced.tables, rng).chosen()
    if states is None:
        raise case.impossible("there is nothing to sample") if not told else ModelError(told)
    whole = original(reduced, states.T)
    draw_given_parents(case.model, case.given, whole, rng)
    out = Drawn({name: whole[:, v] for v, name in enumerate(case.states)})
    out.verdict = told
    return out


def _kept(plan: Plan, tables: Tables, rng: np.random.Generator) -> DrawsToKeep:
    program: IntervalRun = plan.program
    end, kept = time.perf_counter() + program.seconds - program.spent, DrawsToKeep(plan.n, len(tables.sizes))
    wanted, seed = np.ones(len(tables.sizes), np.uint8), int(rng.integers(2**62))
    room = room_for(program.memory, tables.sizes, len(wanted), ())
    bounds = deque(lower_and_lower(tables, program._replace(memory=room.tables), end), 1)
    if not bounds:
        raise BudgetError(replace(plan, method=None, reason=TOO_LITTLE))
    best = bounds[0]
    if best.state.bound == -math.inf:
        return kept
    for log_w, states in pieces(best, wanted, (program, room), (seed, FOREVER)):
        kept.add(log_w, states, rng)
        if kept.accepted.shape[1] == plan.n or time.perf_counter() > end:
            break
    return kept
