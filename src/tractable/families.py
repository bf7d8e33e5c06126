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
    that exact answers do not give; `learner` is learning's default, a class, and `starts` makes starts for EM; `view`
    answers a page.
    """

    models: str
    formats: str
    plan: str
    posterior: str
    evaluate: str
    learner: str
    starts: str
    view: str = ""


_EM, _WAKE_SLEEP = "em.exact:EM", "layers.reweighted:ReweightedWakeSleep"
_LAYERS = Family("layers", "layers", "directed", "engines.layers", "directed", _WAKE_SLEEP, "", "machines")

FAMILIES = {
    "tables": Family("conditioning", "", "networks", "engines.tables", "", _EM, "starts.networks", "networks"),
    "boltzmann": Family(
        "clamping",
        "machines",
        "machines",
        "engines.machines",
        "likelihood",
        "machines.contrastive:PersistentCD",
        "",
        "machines",
    ),
    "sigmoid_belief": _LAYERS,
    "deep_belief": _LAYERS,
    "helmholtz": _LAYERS,
    "mixture": Family("mixture", "mixtures", "mixtures", "engines.mixtures", "", _EM, "starts.mixtures", "mixtures"),
    "hidden_markov": Family(
        "chain_network", "hidden_markov", "chains", "engines.chains", "", _EM, "starts.chains", "chains"
    ),
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
    'tractable.plan.networks'
    """
    if (own := getattr(model, "engine", None)) is not None:
        return own
    return served(family_of(model), room)


def family_of(model: Any) -> str:
    """The family of a model of the library."""
    family = getattr(model, "family", None)
    if not isinstance(family, str) or family not in FAMILIES:
        raise TypeError(f"expected a model, got {described(model)}")
    return family


CONVERTED = {
    "pgmpy": "convert it with tr.from_pgmpy(model)",
    "pyagrum": "convert it with tr.from_pyagrum(model)",
    "networkx": "tr.from_networkx(graph) has its structure, tr.bayesian_network(data, graph) learns its tables",
    "hmmlearn": "build tr.HiddenMarkovModel(model.startprob_, model.transmat_, emissions) of its parameters; for a "
    "GaussianHMM the emissions are tr.GaussianEmissions(model.means_, model.covars_)",
    "pomegranate": "build tr.BayesianNetwork, tr.Mixture or tr.HiddenMarkovModel of its parameters",
    "sklearn.GaussianMixture": "build tr.Mixture(model.weights_, tr.GaussianEmissions(model.means_, "
    'model.covariances_)) of one with covariance_type="full"',
    "sklearn.BernoulliRBM": "build tr.restricted(couplings=model.components_.T, "
    "visible_bias=model.intercept_visible_, hidden_bias=model.intercept_hidden_)",
}
"""Package of a model from outside, or package and class → the call that makes one of this library of it."""


def described(model: Any) -> str:
    """What was handed in instead of a model, and how to get to one.

    >>> described({})
    "a dict: see tractable.load and the models' classes"
    """
    return f"a {type(model).__name__}: see tractable.load and the models' classes" if not (to := _way(model)) else to


def check_own(model: Any) -> None:
    """Refuse what another library made, and what only has a model.

    Raises
    ------
    TypeError : the message says which call makes a model of it.
    """
    if way := _way(model):
        raise TypeError(f"expected a model, got {way}")


def _way(model: Any) -> str:
    """What this is, and how to get from it to a model; empty where nothing is known."""
    if getattr(model, "engine", None) is not None or getattr(model, "family", None) in FAMILIES:
        return ""
    name = type(model).__name__
    for attribute in ("model", "model_"):  # of a run, of an estimator
        if getattr(getattr(model, attribute, None), "family", None) in FAMILIES:
            return f"a {name}: its model is its attribute {attribute!r}"
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0].lower()
        for key in (f"{package}.{kind.__name__}", package):
            if key in CONVERTED:
                return f"a {package} {name}: {CONVERTED[key]}"
    return ""


@cache
def served(family: str, room: str) -> Any:
    """What serves a family in a room, or its learner (a class) or starts."""
    row = FAMILIES[family]
    where = "learning" if room in ("learner", "starts") else room
    module, _, name = getattr(row, room).partition(":")
    found = import_module(f"tractable.{where}.{module}", f"a {family} model") if module else None
    return getattr(found, name) if name else found
