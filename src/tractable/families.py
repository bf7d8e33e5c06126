"""One table: what serves a family of models, room by room. Names alone, so that nothing is loaded before it is needed.

A model says which family it is of by its attribute ``family``. A family from outside the library needs no row: its
models carry an attribute ``engine``, an object with those functions of these modules that it has (what each verb asks
for stands in `posterior.engines._protocol`), and each room asks that object instead.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from tractable.extras import import_module


class Family(NamedTuple):
    """The module that serves a family in each room, empty where it needs none of its own.

    `models` conditions; `formats` describes and reads; `plan` prices; `posterior` solves; `evaluate` finds likelihoods
    that exact answers do not give; `learner` is learning's default, a class, and `starts` makes starts for EM.
    """

    models: str
    formats: str
    plan: str
    posterior: str
    evaluate: str
    learner: str
    starts: str


_EM, _WAKE_SLEEP = "em.exact:EM", "layers.reweighted:ReweightedWakeSleep"
_LAYERS = Family("layers", "layers", "directed", "engines.layers", "directed", _WAKE_SLEEP, "")

FAMILIES = {
    "tables": Family("conditioning", "", "tables", "engines.tables", "", _EM, "starts.networks"),
    "boltzmann": Family(
        "clamping", "machines", "machines", "engines.machines", "likelihood", "machines.contrastive:PersistentCD", ""
    ),
    "sigmoid_belief": _LAYERS,
    "deep_belief": _LAYERS,
    "helmholtz": _LAYERS,
    "mixture": Family("mixture", "mixtures", "mixtures", "engines.mixtures", "", _EM, "starts.mixtures"),
    "hidden_markov": Family("chain_network", "hidden_markov", "chains", "engines.chains", "", _EM, "starts.chains"),
    "factorial_hidden_markov": Family(
        "factorial_hidden_markov", "factorial", "factorial", "engines.factorial", "", _EM, "starts.factorial"
    ),
}


def leaf(model: Any, room: str) -> Any:
    """What serves a model in a room: the module of its family, or the engine that the model brings along; None if none.

    Raises
    ------
    TypeError : what is no model.

    Examples
    --------
    >>> from tractable.models import MarkovNetwork
    >>> leaf(MarkovNetwork({"a": "01"}, []), "plan").__name__
    'tractable.plan.tables'
    """
    if (own := getattr(model, "engine", None)) is not None:
        return own
    return served(family_of(model), room)


def family_of(model: Any) -> str:
    """The family of a model of the library."""
    family = getattr(model, "family", None)
    if family not in FAMILIES:
        raise TypeError(f"expected a model, got a {type(model).__name__}: see tractable.load and the models' classes")
    return family


@cache
def served(family: str, room: str) -> Any:
    """What serves a family in a room, or its learner (a class) or starts."""
    row = FAMILIES[family]
    where = "learning" if room in ("learner", "starts") else room
    module, _, name = getattr(row, room).partition(":")
    found = import_module(f"tractable.{where}.{module}", f"a {family} model") if module else None
    return getattr(found, name) if name else found
