"""What the settings of a fit may be: one table for all learners, looked at before they begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np

from tractable.models import ModelError


class Rule(NamedTuple):
    """What is expected of a setting, in words and as a test."""

    expected: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def _is_between(value: Any, least: float, most: float) -> bool:
    """Whether it is a number from `least` to `most`; NaN is not."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and bool(least <= value <= most)


def _whole(expected: str, least: int = 1) -> Rule:
    return Rule(f"a whole number, {expected}", lambda value: _is_whole(value, least))


def _or_none(rule: Rule) -> Rule:
    return Rule(f"{rule.expected}, or None", lambda value: value is None or rule.holds(value))


def _optional(rule: Rule) -> Rule:
    """Of what follows from the data where it is not given."""
    return Rule(rule.expected, lambda value: value is None or rule.holds(value))


LARGEST = float(np.finfo(np.float32).max)
"""Of finite numbers: steps are taken in single precision."""

FINITE = Rule("a finite number", lambda value: _is_between(value, -LARGEST, LARGEST))
NOT_NEGATIVE = Rule("a finite number, zero or more", lambda value: _is_between(value, 0, LARGEST))
SECONDS = Rule("a number, zero or more", lambda value: _is_between(value, 0, np.inf))
SHARE = Rule("a number from 0 to 1", lambda value: _is_between(value, 0, 1))
AT_LEAST_ONE = _whole("at least one")

RULES = {
    "averaging": SHARE,
    "batch_size": _optional(_whole("at least one row")),
    "decay": Rule("a share from 0 to 1, True or False", lambda value: isinstance(value, bool) or SHARE.holds(value)),
    "burn_in": _whole("zero or more", 0),
    "checkpoint_seconds": SECONDS,
    "epochs": _optional(_whole("zero or more", 0)),
    "every": AT_LEAST_ONE,
    "fast_decay": SHARE,
    "fast_rate": NOT_NEGATIVE,
    "k": AT_LEAST_ONE,
    "learning_rate": _optional(NOT_NEGATIVE),
    "live": SECONDS,
    "momentum": SHARE,
    "n_chains": _or_none(AT_LEAST_ONE),
    "n_checkpoints": _whole("at least two checkpoints", 2),
    "n_temperatures": _whole("at least two temperatures", 2),
    "n_units": _or_none(AT_LEAST_ONE),
    "optimizer": Rule(
        "a transformation of optax, or None",
        lambda value: value is None or (hasattr(value, "init") and hasattr(value, "update")),
    ),
    "pretrain": _optional(_whole("zero or more", 0)),
    "pretrain_rate": _optional(NOT_NEGATIVE),
    "prior": Rule(
        "a strength in pseudo-rows, zero or more, or None; of a network also variable → pseudo-counts",
        lambda value: value is None or isinstance(value, Mapping) or NOT_NEGATIVE.holds(value),
    ),
    "samples": AT_LEAST_ONE,
    "seconds": _optional(SECONDS),
    "steps": _optional(_whole("zero or more", 0)),
    "sleep": NOT_NEGATIVE,
    "sparsity": _or_none(FINITE),
    "sparsity_cost": NOT_NEGATIVE,
    "sweeps": SHARE,
    "target": SHARE,
    "wake": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "weight_prior": Rule("one finite number, zero or more, for all", NOT_NEGATIVE.holds),
}
"""What each setting has to be, by its name; one that is not here may be anything."""


def check_settings(given: Any) -> None:
    """Refuse a setting that makes no sense, by its name: of a learner, of the learner within it, of options."""
    for name, value in (given if isinstance(given, dict) else vars(given)).items():
        if is_dataclass(value):
            check_settings(value)
        if name in RULES and not RULES[name].holds(value):
            raise ModelError(f"{name} must be {RULES[name].expected}, got {name}={value!r}")
