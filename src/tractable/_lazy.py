"""Names of a package, listed at once and loaded when first used: written once for the front door and all rooms.

A type checker and an editor read the same names in the package's block for type checkers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tractable.extras import import_module, is_there


def attach(
    package: str, leaves: Mapping[str, Iterable[str]], packages: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package; names that miss an extra are not listed.

    Parameters
    ----------
    package : its name, ``__name__``.
    leaves : module inside it → the names that it has from there.
    packages : the packages inside it that are names of their own.

    Examples
    --------
    >>> import tractable.graph
    >>> get, names = attach("tractable.graph", {"elimination": ["width"]})
    >>> get("width") is tractable.graph.width, "width" in names()
    (True, True)
    """
    leaf_of = {name: leaf for leaf, names in leaves.items() for name in names}
    module, inside = sys.modules[package], frozenset(packages)

    def get(name: str) -> Any:
        if name in inside:
            return import_module(f"{package}.{name}", name)
        if name not in leaf_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        value = getattr(import_module(f"{package}.{leaf_of[name]}", name), name)
        setattr(module, name, value)
        return value

    def names() -> list[str]:
        found = sorted({*module.__all__, *(name for name in vars(module) if name.startswith("__"))})
        return found if is_there("jax") else [name for name in found if can_be_had(name)]

    def can_be_had(name: str) -> bool:
        try:
            return hasattr(module, name)
        except ModuleNotFoundError:
            return False

    return get, names
