"""Kinds of units: each supplies its cumulant function, and everything else is a derivative of it."""

# ruff: noqa: E402
from tractable.extras import import_module

import_module("jax", "tractable.models.units")  # whoever makes units of their own begins here
from tractable.models.units._base import Units
from tractable.models.units.bernoulli import Bernoulli
from tractable.models.units.categorical import Categorical
from tractable.models.units.gaussian import Gaussian
from tractable.models.units.mixed import Mixed, units_for
from tractable.models.units.spin import Spin

KINDS: dict[str, type[Units]] = {kind.__name__.lower(): kind for kind in (Bernoulli, Spin, Categorical, Gaussian)}

__all__ = ["KINDS", "Bernoulli", "Categorical", "Gaussian", "Mixed", "Spin", "Units", "units_for"]
