"""Where the learning of a Bayesian network begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from tractable.graph import GraphError
from tractable.graph.structure import read_structure
from tractable.models import BayesianNetwork, ModelError
from tractable.models._base import check_options, nearest
from tractable.models.frames import declared
from tractable.models.keys import generator
from tractable.models.rows import columns_of, select, values_of
from tractable.models.tables import checked_states, text_keys
from tractable.models.values import number_of, text_of
from tractable.models.weights import WeightedRows, counted
from tractable.plan.budget import Memory
from tractable.plan.training import check_tables
from tractable.posterior.exact.expected_tables import COUNT, shown

STARTS = ("random",)
MAX_NUMBERS = 100
"""A column of so many different numbers that are not whole holds measurements, not states."""

NamesOrNumber = Sequence[str] | int


class OfVariables(TypedDict, total=False):
    """Which columns become variables, and what their tables may take."""

    columns: Any
    ignore: Any
    weights: Any
    memory: Memory


def bayesian_network(
    data: Any,
    parents: Any,
    *,
    states: Mapping[str, NamesOrNumber] | None = None,
    ties: Sequence[Sequence[str]] = (),
    key: Any = 0,
    **chosen: Unpack[OfVariables],
) -> BayesianNetwork:
    """A network for these data, where learning may begin: states from the columns, tables from the rows that show them.

    Parameters
    ----------
    data : rows with named columns: a DataFrame, variable → column, or a list of cases; None or NaN is missing. None
        instead of data: all tables are random, and `states` or `parents` say the states.
    parents : variable → its parents; a column left out has none. Or all edges, as of a `BayesianNetwork`: pairs
        (parent, child), a ``networkx.DiGraph``, or text such as ``"smoke->lung; smoke->bronc"``.
    states : variable → names of its states, or their number. A variable that is no column is hidden and needs them; a
        column may have more states than turn up. Else a column has the categories that it declares, in their order (a
        categorical column of pandas or arrow, an ``Enum`` of polars), or the values in it: numbers by size, then text.
    columns, ignore : the columns that become variables, or those to leave out, by name.
    weights : how often each row counts, as for `fit`; a row of weight zero takes part in nothing.
    ties : groups of variables that share one table.
    key : of what no row shows: those rows of tables are random.
    memory : what the tables may take while they are learned, such as ``"4GiB"``; half of this machine's if None.

    Raises
    ------
    ModelError : a column without a value or of measurements, a hidden variable without states, no rows; a structure
        that makes no sense.
    BudgetError : tables that are too large, before any of them is made; the message says which, and how large.

    Examples
    --------
    >>> table = {"rain": ["no", "yes", None, "no"], "wet": ["no", "yes", "yes", "no"]}
    >>> net = tr.bayesian_network(table, {"wet": ["rain"]})
    >>> net.states["rain"]
    ('no', 'yes')
    >>> run = tr.fit(net, table, tr.EM(prior=0, tolerance=1e-9))
    >>> run.model.tables["rain"].round(3).tolist()
    [0.5, 0.5]
    >>> tr.bayesian_network(None, "smoke{no|yes} -> lung[3] <- age[4]").tables["lung"].shape
    (2, 4, 3)
    """
    check_options(chosen, OfVariables.__annotations__, "a start of a network")
    if "columns" in chosen or "ignore" in chosen:
        data = select(data, chosen.get("columns"), chosen.get("ignore", ()))
    data, weights = counted(data, chosen.get("weights"))
    parents, said = _structure(parents)
    found = _states(data, parents, said | text_keys(states or {}))
    families = {v: [(p, len(found[p])) for p in (*parents.get(v, ()), v)] for v in found}
    check_tables(families, chosen.get("memory"))
    net = BayesianNetwork(found, parents, {v: _uniform([n for _, n in own]) for v, own in families.items()}, ties=ties)
    if data is None:
        return _random(net, generator(key))
    rows = net.check(data)
    if not len(rows):
        raise ModelError("there are no rows")
    return started(net, WeightedRows(rows, weights), "random", generator(key))


def _states(data: Any, parents: Mapping[str, Sequence[str]], said: dict[str, Any]) -> dict[str, Sequence[str]]:
    """The states of all variables: those that are said, those that a column declares, or its values."""
    columns, own = ({}, {}) if data is None else (columns_of(data), declared(data))
    given: dict[str, Any] = {**own, **said}
    names = dict.fromkeys([*columns, *given, *(v for child, own in parents.items() for v in (*own, child))])
    if not names:
        raise ModelError("there are no columns, so no variables")
    return {v: _names(v, given[v]) if v in given else _values(v, columns) for v in names}


def _structure(given: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """Who is whose parent, and the states that are said with it."""
    try:
        parents, said = read_structure(given)
    except GraphError as error:
        raise ModelError(str(error)) from None
    return parents, checked_states(said)


def _names(variable: str, given: NamesOrNumber) -> Sequence[str]:
    if isinstance(given, int | np.integer):
        if given < 1:
            raise ModelError(f"variable {variable!r} needs at least one state, got {given}")
        return [str(k) for k in range(given)]
    return [text_of(x) for x in given]


def _values(variable: str, columns: Mapping[str, Any]) -> list[str]:
    """The values of a column as names of states: numbers by size, the rest by the alphabet."""
    if variable not in columns:
        raise ModelError(f"variable {variable!r} is no column of the data: say which states it has, or how many")
    try:
        values = values_of(columns[variable])
    except ModelError as error:
        raise ModelError(f"column {variable!r} {error}") from None
    if not values:
        raise ModelError(f"column {variable!r}: every entry is missing; say which states it has, or drop it")
    numbers = [x for x in map(number_of, values) if x is not None]
    if len(numbers) > MAX_NUMBERS and any(x != int(x) for x in numbers):
        raise ModelError(
            f"column {variable!r} holds {len(numbers)} different numbers: a table needs states; cut it into bins, "
            f"or leave it out: ignore={variable!r}"
        )
    return values


def _uniform(shape: list[int]) -> np.ndarray:
    return np.full(math.prod(shape), 1 / shape[-1])  # flat: arrays have no more than 64 axes


def _random(model: BayesianNetwork, rng: np.random.Generator) -> BayesianNetwork:
    """Tables whose rows are uniform over all that sum to one."""
    zero = model.prior(0.0)
    return model.maximized(type(zero)({COUNT: rng.gamma(1.0, size=zero[COUNT].size)}))


def started(model: BayesianNetwork, data: WeightedRows, start: str, rng: np.random.Generator) -> BayesianNetwork:
    """New tables of the same shape: how often rows show each entry, and a random number between zero and a few more."""
    if start not in STARTS:
        raise ModelError(f"unknown start {start!r}{nearest(start, STARTS)}; choose one of {', '.join(STARTS)}")
    own = shown(model, data.rows, data.each)
    noise = rng.gamma(1.0, size=own[COUNT].size)
    return model.maximized(own + type(own)({COUNT: noise}))


def repooled(model: BayesianNetwork, data: WeightedRows) -> BayesianNetwork:
    """The network that a prior is made for: priors of tables depend on their shapes alone."""
    return model
