"""Options in groups: a parameter of a command that is a dataclass stands for its fields, each an option of its own.

In the help the options of a group stand together, below the first line of the docstring of their class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

LAST_TITLE = "Every command"
LAST = ("memory", "quiet", "json")
"""Options of every command, which come after its own."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as the argument parser has to see it: with the fields of its dataclasses as parameters.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Steps:
    ...     rate: float = 0.1
    >>> @spread
    ... def fit(data: str, steps: Steps) -> None:
    ...     print(data, steps)
    >>> inspect.signature(fit)
    <Signature (*, data: str, rate: float = 0.1)>
    >>> fit(data="a.npy", rate=1.0)
    a.npy Steps(rate=1.0)
    """
    hints = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {name: p.annotation for name, p in hints.items() if is_dataclass(p.annotation)}

    def gathered(**given: Any) -> None:
        own = {name: group(**{f.name: given.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        command(**own, **given)

    parts = [
        [p.replace(kind=p.KEYWORD_ONLY)] if name not in groups else _own(groups[name]) for name, p in hints.items()
    ]
    plain = sorted((p for part in parts for p in part), key=lambda p: p.name in LAST)
    gathered.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    gathered.__annotations__ = {p.name: p.annotation for p in plain}
    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    return gathered


@cache
def _own(group: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters."""
    hints = get_type_hints(group, include_extras=True)
    kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    return [
        inspect.Parameter(
            f.name,
            kind,
            default=empty if f.default is MISSING else f.default,
            annotation=_under(_title(group, f.name), hints[f.name]),
        )
        for f in fields(group)
    ]


def _title(group: Any, name: str) -> str:
    """What the help says above an option: what the class is about that declares it."""
    own = next(kind for kind in group.__mro__ if name in getattr(kind, "__annotations__", ()))
    return LAST_TITLE if name in LAST else (own.__doc__ or "").partition("\n")[0].rstrip(".")


def _under(title: str, hint: Any) -> Any:
    """The type of an option with the title above it."""
    if get_origin(hint) is not Annotated:
        return hint
    base, *more = get_args(hint)
    own = [copy(option) for option in more]
    for option in own:
        if hasattr(option, "rich_help_panel"):
            option.rich_help_panel = title
    return Annotated[(base, *own)]
