"""What networks of all libraries have: variables and states that become text, and tables over them in some order."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tractable.families import check_own
from tractable.kernels import MAX_AXES
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.markov_network import MarkovNetwork
from tractable.models.values import text_of

Network = BayesianNetwork | MarkovNetwork
Table = tuple[Sequence[str], np.ndarray]


def library(*names: str, needs: str) -> Any:
    """The first of these packages that is installed.

    Raises
    ------
    ModuleNotFoundError : the line with the command that installs it.
    """
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0] and error.name != name:
                raise
    package = names[0].partition(".")[0]
    raise ModuleNotFoundError(f"{needs} needs {package}: pip install {package}", name=package)


def network(model: Any, verb: str) -> Network:
    """The model itself where it is a network of tables.

    Raises
    ------
    TypeError : another one.
    """
    if not isinstance(model, BayesianNetwork | MarkovNetwork):
        check_own(model)
        raise TypeError(f"{verb} takes a BayesianNetwork or a MarkovNetwork, not a {type(model).__name__}")
    return model


def as_text(names: Iterable[Any], what: str) -> dict[Any, str]:
    """Names as text.

    Raises
    ------
    ModelError : two that are the same text.
    """
    found = {name: text_of(name) for name in names}
    if len({*found.values()}) < len(found):
        texts = list(found.values())
        twice = next(text for text in texts if texts.count(text) > 1)
        raise ModelError(f"two {what} have the name {twice!r} as text; rename one")
    return found


def by_name(
    where: str, table: np.ndarray, labels: Mapping[str, Sequence[str]], states: Mapping[str, Any]
) -> np.ndarray:
    """A table whose axes have these labels, with the states of each variable in their order.

    Raises
    ------
    ModelError : states that the variable does not have.
    """
    for axis, (name, own) in enumerate(labels.items()):
        if tuple(own) != tuple(states[name]):
            if sorted(own) != sorted(states[name]):
                there, here = ", ".join(states[name]), ", ".join(own)
                raise ModelError(f"{where}: {name!r} has the states {here} here, but {there} in its own table")
            table = np.take(table, [list(own).index(s) for s in states[name]], axis)
    return table


def check_axes(where: str, n: int) -> None:
    """Refuse a table over more variables than an array has axes."""
    if n > MAX_AXES:
        raise ModelError(f"{where}: a table over {n} variables has more axes than an array may have, {MAX_AXES}")


def merged(net: MarkovNetwork) -> list[Table]:
    """The factors as libraries take them that have one for each scope, and none over no variables.

    Those over the same variables are multiplied, constants go into the first, variables without a factor get ones.
    """
    check_axes("a factor", max((len(scope) for scope, _ in net.factors), default=0))
    found: dict[frozenset[str], Table] = {}
    for scope, table in net.factors:
        order, before = found.get(key := frozenset(scope), (scope, np.ones(())))
        found[key] = (order, before * np.transpose(np.asarray(table), [scope.index(v) for v in order]))
    _, constant = found.pop(frozenset(), ((), np.ones(())))
    there = frozenset().union(*found)
    factors = [*found.values(), *(((v,), np.ones(len(own))) for v, own in net.states.items() if v not in there)]
    if factors:
        factors[0] = (factors[0][0], factors[0][1] * constant)
    if not all(np.isfinite(table).all() for _, table in factors):
        raise ModelError("the product of factors over the same variables is beyond a double")
    return factors
