"""Which session shows a model."""

from __future__ import annotations

from typing import Any

from tractable.families import check_own, family_of, served
from tractable.posterior import UnsupportedError
from tractable.view._base import Session

NAMELESS = "unknown"
"""The name that files give to networks without one."""


def session(model: Any, data: Any = None, name: str = "") -> Session:
    """The session of a model, with data that it is shown with, under a name.

    Raises
    ------
    TypeError : what is no model. UnsupportedError : a family that has no page.
    """
    model, run = (model.model, model) if hasattr(model, "history") and hasattr(model, "model") else (model, None)
    check_own(model)
    if (module := served(family_of(model), "view")) is None:
        raise UnsupportedError(f"there is no page for a {type(model).__name__}")
    own = getattr(model, "name", None)
    return module.session(model, data, run, name or (own if own not in (None, "", NAMELESS) else type(model).__name__))
