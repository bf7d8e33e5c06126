"""What a browser asks of a model and what it is told: messages and replies of plain values, the same in every shell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from tractable.models import ModelError
from tractable.plan import BudgetError, Plan
from tractable.plan._units import duration, memory_size
from tractable.posterior import Certificate, ImpossibleEvidenceError, UnsupportedError

Message = Mapping[str, Any]
Reply = dict[str, Any]

PROMPT = 1.0
"""Seconds that an answer to a click may take without being asked for."""

REFUSED = (ModelError, BudgetError, ImpossibleEvidenceError, UnsupportedError, ValueError, TypeError)
"""What a message may be answered with instead of an answer: it is said, and the page goes on."""


class Session(Protocol):
    """A model that is looked at: what it is, and its answers, which come from the verbs."""

    def describe(self) -> Reply:
        """All that a page shows before anything is asked."""
        ...

    def answers(self, message: Message) -> Iterator[Reply]:
        """The answers to a message, each better than the one before."""
        ...

    def carried(self) -> Reply:
        """What a page that is a file takes along to answer by itself: nothing, answers, or tables and kernels."""
        ...


def replies(own: Session, message: Any) -> Iterator[Reply]:
    """The replies to a message as they go to a page: plain values, each as it comes; errors are replies too."""
    try:
        if not isinstance(message, Mapping):
            raise ModelError("a message is an object with a verb")
        yield from map(standard, own.answers(message))
    except REFUSED as error:
        yield {"error": " ".join(str(error).split())}


def standard(value: Any) -> Any:
    """As plain values: an infinite number is the text "-inf" or "inf", an undefined one None."""
    if isinstance(value, Mapping):
        return {str(k): standard(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [standard(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _plain(array: Any) -> Any:
    """Numbers of an array; where all are finite none is looked at by itself."""
    return array.tolist() if array.dtype.kind in "biu" or np.isfinite(array).all() else standard(array.tolist())


def certificate(found: Certificate) -> Reply:
    """A certificate in full: pages read every field."""
    names = ("value", "lower", "upper", "kind", "confidence", "verdict")
    return {name: getattr(found, name) for name in names}


def in_words(found: Plan) -> str:
    """What an answer costs, in a few words."""
    if found.method is None:
        return f"exact would take {duration(found.seconds)} and {memory_size(found.bytes)}"
    return f"{'exact' if found.method != 'mini_buckets' else 'an interval'} in {duration(found.seconds)}"
