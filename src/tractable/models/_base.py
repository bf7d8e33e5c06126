"""What every table model shares: named states, tables in one flat buffer, and the errors that name the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.graph._base import nearest, unknown
from tractable.kernels import Tables


class ModelError(ValueError):
    """A model, or evidence for it, that cannot be used as given; the message names the place and the remedy.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})
    >>> try:
    ...     tr.infer(net, {"rain": "yess"})
    ... except tr.ModelError as error:
    ...     print(error)
    variable 'rain' has no state 'yess' (it has no, yes); did you mean 'yes'?
    """


class OptionError(ModelError, TypeError):
    """An option that what was asked for does not have; the message says which it has."""


def check_options(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise for an option that `what` does not have: a typo must not pass for a setting, nor one for another family."""
    for name in given:
        if name not in (known := tuple(known)):
            own = f"its options are {', '.join(known)}" if known else "it has no options here"
            raise OptionError(f"{what} has no option {name!r}{nearest(name, known)}; {own}")


def unknown_variable(name: str, known: Iterable[str]) -> ModelError:
    """The error for a variable that the model does not have."""
    return ModelError(unknown(name, known))


def unknown_state(variable: str, state: object, states: Sequence[str]) -> ModelError:
    """The error for a state that the variable does not have."""
    listed = ", ".join(states[:8]) + (", …" if len(states) > 8 else "")
    return ModelError(
        f"variable {variable!r} has no state {state!r:.80} (it has {listed}){nearest(str(state)[:80], states)}"
    )


def pack(sizes: Sequence[int], scopes: Sequence[Sequence[int]], tables: Sequence[np.ndarray]) -> Tables:
    """Copy tables over integer scopes into one buffer, which nothing can write into."""
    return Tables(
        sizes=np.asarray(sizes, np.int32).reshape(-1),
        scope_starts=_starts([len(s) for s in scopes]),
        scopes=np.fromiter((v for s in scopes for v in s), np.int32),
        value_starts=_starts([t.size for t in tables]),
        values=read_only(np.concatenate([np.ravel(t) for t in tables] or [np.empty(0)]).astype(np.float64, copy=False)),
    )


class ReadOnly(dict[str, Any]):
    """A mapping that a model goes by, and that stays as it is."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("what a model holds stays as it is; `replace` makes a new one")

    if not TYPE_CHECKING:  # to a type checker these are what they are for any dictionary
        __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadOnly, (dict(self),)


def read_only(array: np.ndarray) -> np.ndarray:
    """The array itself, which can no longer be written into: two answers from one model would come of that."""
    array.setflags(write=False)
    return array


def _starts(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def check_known(names: Iterable[str], known: Mapping[str, object]) -> None:
    """Raise for the first name that is not known."""
    for name in names:
        if name not in known:
            raise unknown_variable(name, known)


KEPT = {"kept": True}
"""Of a field that learning never changes: it is no part of a checkpoint."""


def set_fields(model: object, **values: object) -> None:
    """Set fields of a frozen dataclass while it is being made."""
    for name, value in values.items():
        object.__setattr__(model, name, value)
