"""One table: which modules serve a family of models, room by room.

A model says which family it is of by its attribute ``family``. A family from outside the library needs no row: its
models carry an attribute ``engine``, an object with whatever of these modules' functions it has (see
`posterior.engines` for what each verb asks for), and each room asks that object instead.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple


class Family(NamedTuple):
    """The module in each room; in `models` the one that conditions, in `evaluate` none where exact answers are all."""

    models: str
    formats: str
    plan: str
    posterior: str
    evaluate: str = ""


FAMILIES = {
    "tables": Family("conditioning", "networks", "tables", "engines.tables"),
    "boltzmann": Family("clamping", "machines", "machines", "engines.machines", "likelihood"),
    "sigmoid_belief": Family("layers", "layers", "directed", "engines.layers", "directed"),
    "deep_belief": Family("layers", "layers", "directed", "engines.layers", "directed"),
    "helmholtz": Family("layers", "layers", "directed", "engines.layers", "directed"),
    "mixture": Family("mixture", "mixtures", "mixtures", "engines.mixtures"),
    "hidden_markov": Family("chain_network", "hidden_markov", "chains", "engines.chains"),
    "factorial_hidden_markov": Family("factorial_hidden_markov", "factorial", "factorial", "engines.factorial"),
}


def leaf(model: Any, room: str) -> Any:
    """What serves a model in a room: the module of its family, or the engine that the model brings along; None if none.

    >>> from tractable.models import MarkovNetwork
    >>> leaf(MarkovNetwork({"a": "01"}, []), "plan").__name__
    'tractable.plan.tables'
    """
    if (own := getattr(model, "engine", None)) is not None:
        return own
    return _module(model.family, room)


@cache
def _module(family: str, room: str) -> Any:
    name = getattr(FAMILIES[family], room)
    return import_module(f"tractable.{room}.{name}") if name else None
