"""The price of estimates about networks of tables, which answer where no contraction is affordable: a row of `METHODS`.

A method is priced from the sizes of the tables that the evidence leaves. It does less where a budget of seconds asks
for that, and is refused where it could do nothing of use within it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced
from tractable.models._base import ModelError
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import left
from tractable.plan._base import Ask, Plan, within
from tractable.plan._units import duration
from tractable.plan.budget import speed
from tractable.plan.tables import named, observed_names


class MessageSweeps(NamedTuple):
    """A program: sweeps of messages, at most so many, until none changes by more than the tolerance.

    `damping` is the share of the old message, in logarithms, that stays after the first `undamped` sweeps.
    """

    sweeps: int = 2000
    tolerance: float = 1e-6
    damping: float = 0.5
    undamped: int = 50


class TableChains(NamedTuple):
    """A program: chains side by side, their sweeps after those that are left out, and the sweeps between two draws."""

    n_chains: int = 32
    burn_in: int = 250
    n_sweeps: int = 1000
    apart: int = 50


class ClusterSweeps(NamedTuple):
    """A program: starts, each swept for a trial, and the best of them, at most so many sweeps more, until its bound
    rises by no more than the tolerance.

    Clusters are as large as one sweep over all of them within so many seconds, of the reference machine, and the memory
    allow; so many partitions are made, and the finalists among them swept.
    """

    seconds: float
    memory: float
    partitions: int = 1
    finalists: int = 3
    starts: int = 4
    trial: int = 3
    sweeps: int = 100
    tolerance: float = 1e-6


class EstimatePrice(NamedTuple):
    """A program with what it takes for one case: multiply-adds, bytes and seconds."""

    program: Any
    flops: float
    bytes: float
    seconds: float
    told: str


class TableSizes(NamedTuple):
    """Of the tables that are left: entries in all, of the largest, states in all messages, states and variables."""

    entries: float
    widest: float
    messages: float
    states: float
    variables: float

    @classmethod
    def of(cls, reduced: Reduced) -> TableSizes:
        """The sizes of what evidence leaves of a network."""
        tables = reduced.tables
        largest = float(np.diff(tables.value_starts).max(initial=0))
        messages = float(tables.sizes[tables.scopes].sum())
        return cls(float(tables.values.size), largest, messages, float(len(reduced.kept)), float(len(tables.sizes)))


ENTRY, HEARD = 8e-9, 8e-8
"""Seconds for an entry of a table and for a state of a message, in one sweep of messages; measured."""

VISITED, DRAWN = 8e-9, 6e-8
"""Seconds for an entry that a variable is drawn from, and for drawing it; measured."""

FEWEST_SWEEPS, FEWEST_DRAWS = 10, 100
"""Sweeps of messages, and of chains, that are worth beginning."""


def propagation(sizes: TableSizes, ask: Ask, seconds: float) -> EstimatePrice:
    """Loopy belief propagation: the sweeps that fit in the seconds."""
    each = (ENTRY * sizes.entries + HEARD * sizes.messages + 1e-6) * speed()
    program = MessageSweeps()
    program = program._replace(sweeps=max(min(program.sweeps, int(seconds / each)), FEWEST_SWEEPS))
    size = 8.0 * (sizes.entries + 2 * sizes.messages + 3 * sizes.widest + 4 * sizes.states)
    told = f"messages between tables and variables, at most {program.sweeps:,} sweeps; on loops that is no bound"
    return EstimatePrice(program, 4 * sizes.entries * program.sweeps, size, each * program.sweeps, told)


def chains(sizes: TableSizes, ask: Ask, seconds: float) -> EstimatePrice:
    """Gibbs sampling: the sweeps that fit in the seconds."""
    program = TableChains()
    each = (VISITED * sizes.messages + DRAWN * sizes.variables + 1e-7) * program.n_chains
    program = program._replace(n_sweeps=int(np.clip(LONG / each, program.n_sweeps, 10 * program.n_sweeps)))
    each *= speed()
    draws = program.apart * (-(-ask.n // program.n_chains) if ask.query == "sample" else 0)
    most = seconds / each - draws - START
    sweeps = max(min(program.n_sweeps, int(0.8 * most)), FEWEST_DRAWS)
    program = program._replace(burn_in=sweeps // 4, n_sweeps=sweeps)
    all_sweeps = sweeps + program.burn_in + draws + START
    size = 8.0 * (program.n_chains * (4 * sizes.states + 2 * sizes.variables) + 2 * sizes.entries)
    size += 4.0 * ask.n * sizes.states if ask.query == "sample" else 0.0
    told = f"{program.n_chains} chains, {sweeps:,} sweeps of each after {program.burn_in:,} that are left out"
    return EstimatePrice(program, 2 * sizes.messages * program.n_chains * all_sweeps, size, each * all_sweeps, told)


START, LONG = 150, 0.3
"""Sweeps in which chains look for a start; and seconds, about, that short sweeps are repeated for."""


def cluster_sweeps(sizes: TableSizes, ask: Ask, seconds: float) -> EstimatePrice:
    """Structured mean field: clusters as large as the seconds allow, ten of them unless the budget has less."""
    left = min(seconds, WORTHWHILE * seconds / ask.budget.seconds) / speed()  # all rows share what is worthwhile
    left *= 1 - 1e-9  # what is predicted from it is within the budget in spite of rounding
    given = 8.0 * (6 * sizes.entries + 4 * sizes.states)
    split, least = SPLIT * sizes.variables + 1e-4, RUN * sizes.messages + 1e-6
    program = ClusterSweeps(0.0, 0.0, int(np.clip(PARTITIONED * left / split, 1, MOST_TRIES)))
    each, n = _each_sweep(program, left, split)
    if each < 4 * least:
        program = program._replace(partitions=1, starts=1)
        each, n = _each_sweep(program, left, split)
    joint = (max(sizes.states, 1) / max(sizes.variables, 1)) ** min(sizes.variables, 64)
    each = float(np.clip(each, least, 4 * least + VISITED * sizes.messages * joint))
    memory = min(max(ask.budget.memory - given, 0.0), BYTE_RATE * each)
    program = program._replace(seconds=each, memory=memory)
    seconds = (program.partitions * split + UP_AND_DOWN * each * n) * speed()
    told = f"clusters of variables, {duration(UP_AND_DOWN * each * speed())} for a sweep over all"
    return EstimatePrice(program, each * n / VISITED, given + memory, seconds, f"{told}; a lower bound of log Z")


def _each_sweep(program: ClusterSweeps, seconds: float, split: float) -> tuple[float, int]:
    """The seconds of a run up the trees of all clusters, and how many sweeps there will be, about."""
    n = min(program.partitions, program.finalists) * (program.starts + 1) * program.trial + TYPICAL
    return (seconds - program.partitions * split) / n / UP_AND_DOWN, n


WORTHWHILE, TYPICAL, UP_AND_DOWN = 10.0, 20, 1.5
"""Seconds in all that clusters are made for at most, sweeps of most ascents, and runs up that one up and down is worth:
three, of clusters that take half of what they may."""

SPLIT, RUN = 5e-4, 5e-7
"""Seconds that a partition takes for each variable, and a run up a tree for each state of a message; measured."""

PARTITIONED, MOST_TRIES = 0.3, 8
"""The share of the time for partitions, and the most of them."""

BYTE_RATE = 4e10
"""Bytes that a tree may hold for each second that it runs at least."""


class EstimateMethod(NamedTuple):
    """The queries that a method estimates, who answers the others, and its price."""

    queries: Mapping[str, str]
    price: Callable[[TableSizes, Ask, float], EstimatePrice]


LOG_Z = "chains say nothing of log Z: belief_propagation estimates it, mean_field bounds it from below"
NO_STATES = "of single variables alone: leave the method to the plan, or condition and ask for marginals"
METHODS: dict[str, EstimateMethod] = {
    "belief_propagation": EstimateMethod(
        {"map": f"its beliefs are {NO_STATES}", "sample": "messages draw nothing: gibbs does"}, propagation
    ),
    "gibbs": EstimateMethod(
        {
            "map": f"its averages are {NO_STATES}",
            "evidence": LOG_Z,
        },
        chains,
    ),
    "mean_field": EstimateMethod(
        {"map": f"its averages are {NO_STATES}", "sample": "clusters draw nothing: gibbs does"}, cluster_sweeps
    ),
}
"""Each estimate by its name; it is run by the module of `posterior/approximate` that `tables` there names."""


def plan_estimate(model: TableModel, given: Evidence, ask: Ask) -> Plan:
    """The plan of an estimate that was asked for by name.

    Raises
    ------
    ModelError : the method has no answer to the query; the message says who has.
    """
    method = METHODS[ask.method]
    if ask.query in method.queries:
        raise ModelError(f"{ask.method} does not answer {ask.query!r}: {method.queries[ask.query]}")
    rows, seen = np.atleast_2d(given.states), _observed(model, given)
    n_rows = len(rows)
    query = "marginals" if ask.query == "sample" else ask.query
    reduced = named(model, seen, query, ask.targets) if given.many else left(model, given, query, ask.targets)
    answers = 8.0 * n_rows * len(reduced.kept) * (2 if ask.method == "gibbs" else 1)
    room = ask._replace(budget=ask.budget._replace(memory=ask.budget.memory - answers))
    found = method.price(TableSizes.of(reduced), room, ask.budget.seconds / max(n_rows, 1))
    told = f"an estimate was asked for: {found.told}{f'; {n_rows:,} rows' if given.many else ''}"
    common = {"query": ask.query, "observed": seen, "targets": ask.targets, "n": ask.n, "program": found.program}
    common |= {"budget": ask.budget, "structure": model.graph}
    width = float(np.log2(max(np.diff(reduced.tables.value_starts).max(initial=1), 1)))
    seconds, flops = found.seconds * n_rows, found.flops * n_rows
    plan = Plan(ask.method, width, flops, found.bytes, seconds, told, **common)
    return within(plan, found.bytes + answers)


def _observed(model: TableModel, given: Evidence) -> tuple[str, ...]:
    """The names of what some case observes."""
    seen = given.states if not given.many else np.where((given.states >= 0).any(axis=0), 0, -1)
    return observed_names(model, seen)
