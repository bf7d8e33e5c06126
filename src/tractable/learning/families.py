"""What learning has for each family of models: names alone, so that nothing is loaded before it is needed."""

from __future__ import annotations

from typing import Any, NamedTuple

from tractable.models._base import ModelError


class Row(NamedTuple):
    """The learner of a family where none is given, and the module that makes starts of it, if EM does."""

    learner: str
    starts: str | None = None


_EM, _STARTS = "tractable.learning.em.exact:EM", "tractable.learning.starts"
_WAKE_SLEEP = Row("tractable.learning.layers.reweighted:ReweightedWakeSleep")

FAMILIES = {
    "boltzmann": Row("tractable.learning.machines.contrastive:PersistentCD"),
    "deep_belief": _WAKE_SLEEP,
    "factorial_hidden_markov": Row(_EM, f"{_STARTS}.factorial"),
    "helmholtz": _WAKE_SLEEP,
    "hidden_markov": Row(_EM, f"{_STARTS}.chains"),
    "mixture": Row(_EM, f"{_STARTS}.mixtures"),
    "sigmoid_belief": _WAKE_SLEEP,
    "tables": Row(_EM, f"{_STARTS}.networks"),
}


def row_of(model: Any) -> Row:
    """The row of a model's family.

    Raises
    ------
    ModelError : a model that nothing learns.
    """
    if (family := getattr(model, "family", None)) not in FAMILIES:
        raise ModelError(f"nothing learns a {type(model).__name__} yet")
    return FAMILIES[family]
