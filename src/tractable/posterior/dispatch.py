"""Which engine has a verb for a model, and what it is asked: where the verbs set out on the way of `engines._protocol`.

The engines do not see this module: it is the one that reads the table of families.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.families import FAMILIES, leaf, served
from tractable.models._base import check_options
from tractable.models.rows import framed
from tractable.plan._base import Ask
from tractable.plan.budget import PATIENCE, Memory, anytime, ask
from tractable.posterior.engines._protocol import answered, unsupported


def engine_of(model: Any, verb: str) -> Any:
    """The engine that has a verb for a model.

    Raises
    ------
    UnsupportedError : the model's family has no such verb. TypeError : not a model.
    """
    engine = leaf(model, "posterior")
    if not hasattr(engine, verb):
        raise unsupported(model, verb, [name for name in FAMILIES if _has(name, verb)])
    return engine


def _has(family: str, verb: str) -> bool:
    """Whether a family has a verb; one whose extra is not there can answer to none."""
    try:
        return hasattr(served(family, "posterior"), verb)
    except ModuleNotFoundError:
        return False


def check_targets(engine: Any, model: Any) -> None:
    """Refuse targets where all marginals have one price: only an engine that leaves out what does not matter has them.

    Raises
    ------
    UnsupportedError : targets of a model that is no network.
    """
    if not hasattr(engine, "gaps"):
        raise unsupported(model, "targets")


BUDGET = {"memory", "seconds"}
ALLOWANCE = BUDGET | {"confidence", "draws"}
"""The terms of a question, of a family without and with intervals."""


def terms_of(
    engine: Any, model: Any, terms: Mapping[str, Any], verb: str = "infer and log_partition"
) -> dict[str, Any]:
    """The budget of a question, and the terms on which an interval may answer it: None where the family has none.

    Raises
    ------
    ModelError : a confidence, or draws, of a family that has none; what is no term. ValueError : see `anytime`.
    """
    own = hasattr(engine, "ANYTIME")
    known = ALLOWANCE if own else BUDGET
    if not terms.keys() <= known:
        check_options(terms, sorted(known), f"{verb} of a {type(model).__name__}")
    seconds = terms.get("seconds")
    given = anytime(seconds, terms.get("confidence"), terms.get("draws")) if own else None
    return {"memory": terms.get("memory"), "seconds": seconds, "anytime": given}


def best_of(engine: Any, model: Any, targets: Any, k: int) -> dict[str, Any]:
    """Which of the most probable states are asked for, as fields of a question.

    Raises
    ------
    OptionError : targets, or more than one, of a family that has none. TypeError, ValueError : no such number.
    """
    if not isinstance(k, int | np.integer) or k is True:
        raise TypeError(f"k is a whole number of the best, got {k!r:.80}")
    if k < 1:
        raise ValueError(f"k is the number of the best that are wanted, 1 or more, got {k}")
    asked = ({"targets": targets} if targets is not None else {}) | ({"k": int(k)} if k != 1 else {})
    check_options(
        asked, getattr(engine, "OPTIONS", {}).get("most_probable", ()), f"most_probable of a {type(model).__name__}"
    )
    return {"n": int(k), "targets": targets}


def halved(question: Ask) -> Ask:
    """The question about one of two numbers that an interval of their difference is made of, asked now."""
    terms = question.anytime
    if terms is None:
        return question
    own = {"confidence": (1 + terms.confidence) / 2, "seconds": terms.seconds / 2, "since": time.perf_counter()}
    return question._replace(anytime=terms._replace(**own))


def asked_of(
    model: Any, verb: str, query: Any, memory: Memory, seconds: float | None, options: dict[str, Any]
) -> tuple[Any, Ask]:
    """The engine for a verb, and the question: what it may cost, and how it is to be answered."""
    engine = engine_of(model, verb)
    known = getattr(engine, "OPTIONS", {}).get(verb, ())
    given = {name: options.pop(name) for name in ("method", "n") if name in options}
    check_options(options, known, f"{verb} of a {type(model).__name__}")
    renamed = {"sweeps": options["n_sweeps"]} if options.get("n_sweeps") is not None else {}
    more = {"patience": PATIENCE[query]} if query in PATIENCE else {}
    return engine, ask(query, memory, seconds, **given, **renamed, **more)


def walk_of(verb: str, asked: Any, walk: tuple[Any, Ask], key: Any = 0, **how: Any) -> Any:
    """The way of a verb from what was asked to its record; `how` is for the last step."""
    engine, question = walk
    if verb == "impute" and hasattr(engine, "gaps"):
        question = question._replace(query="marginals", targets=engine.gaps(asked))
    return getattr(engine, verb)(asked, answered(engine, asked, question, key), **how)


def rows_of(engine: Any, model: Any, data: Any, missing: bool) -> Any:
    """Rows of data as an engine reads them: `missing` says whether they may have gaps."""
    return engine.read_rows(model, data, missing) if hasattr(engine, "read_rows") else engine.read(model, data)


def in_names(engine: Any, model: Any, found: Any, data: Any, codes: bool, **how: Any) -> Any:
    """What was found in the names that the model has for states and columns, in the container that the data came in."""
    if codes:
        return found
    return engine.in_names(model, found, data, **how) if hasattr(engine, "in_names") else framed(found, data)
