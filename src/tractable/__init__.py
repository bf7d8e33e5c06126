"""Inference in models with hidden variables, priced before it runs and certified when it returns.

The public names are loaded on first use: importing the package imports nothing else.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tractable.formats import FormatError, load, read_evidence, save
    from tractable.graph import Graph, GraphError, Separation, is_separated
    from tractable.models import BayesianNetwork, Factor, MarkovNetwork, ModelError, condition
    from tractable.plan import BudgetError, Explanation, Plan, explain, plan
    from tractable.posterior import (
        Certificate,
        MostProbable,
        Posterior,
        infer,
        log_evidence,
        log_partition,
        most_probable,
        sample,
    )

__version__ = "0.1.0"

__all__ = [
    "BayesianNetwork",
    "BudgetError",
    "Certificate",
    "Explanation",
    "Factor",
    "FormatError",
    "Graph",
    "GraphError",
    "MarkovNetwork",
    "ModelError",
    "MostProbable",
    "Plan",
    "Posterior",
    "Separation",
    "condition",
    "explain",
    "infer",
    "is_separated",
    "load",
    "log_evidence",
    "log_partition",
    "most_probable",
    "plan",
    "read_evidence",
    "sample",
    "save",
]

_NAMES = {
    "formats": ["FormatError", "load", "read_evidence", "save"],
    "graph": ["Graph", "GraphError", "Separation", "is_separated"],
    "models": ["BayesianNetwork", "Factor", "MarkovNetwork", "ModelError", "condition"],
    "plan": ["BudgetError", "Explanation", "Plan", "explain"],
    "posterior": [
        "Certificate",
        "MostProbable",
        "Posterior",
        "infer",
        "log_evidence",
        "log_partition",
        "most_probable",
        "sample",
    ],
}
_ROOM = {name: room for room, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM:
        raise AttributeError(f"module 'tractable' has no attribute {name!r}")
    value = getattr(import_module(f"tractable.{_ROOM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package, on which `plan` is the verb: importing the room of that name would otherwise put it in its place."""

    @property
    def plan(self) -> object:
        return import_module("tractable.plan").plan

    @plan.setter
    def plan(self, room: ModuleType) -> None:
        """Called by the import system, which binds every submodule to its package."""


sys.modules[__name__].__class__ = _Package
