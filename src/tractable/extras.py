"""What is installed on request: which extra brings a package, and the one line that says so where it is missing."""

from __future__ import annotations

import importlib
from typing import Any

EXTRAS = {
    "anywidget": "view",
    "arviz_base": "arviz",
    "jax": "machines",
    "jaxlib": "machines",
    "jaxtyping": "machines",
    "equinox": "machines",
    "optax": "machines",
    "matplotlib": "plots",
    "pyarrow": "parquet",
    "pytoulbar2": "map",
    "sklearn": "sklearn",
    "starlette": "view",
    "uvicorn": "view",
}
"""Package → the extra that brings it."""

INSTALLED_AS = {"arviz_base": "arviz-base", "sklearn": "scikit-learn"}


def import_module(name: str, what: str) -> Any:
    """A module, imported because someone wants `what`, of which the error speaks where an extra is missing.

    Raises
    ------
    ModuleNotFoundError : the line with the command that installs what is missing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing(error, what) from None


def missing(error: ModuleNotFoundError, what: str) -> ModuleNotFoundError:
    """The error for a package of an extra that `what` needs; one that says this already, as it is.

    Raises
    ------
    ModuleNotFoundError : the error itself, where the package is of no extra.

    >>> missing(ModuleNotFoundError("No module named 'sklearn.base'", name="sklearn.base"), "a classifier")
    ModuleNotFoundError('a classifier needs scikit-learn: pip install "tractable[sklearn]"')
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise error
    command = f'pip install "tractable[{EXTRAS[package]}]"'
    if command in str(error):
        return error
    if EXTRAS[package] == "machines" and not is_there("jax"):
        package = "jax"  # which brings most of the others, and is what people know
    return ModuleNotFoundError(f"{what} needs {INSTALLED_AS.get(package, package)}: {command}", name=package)


def is_there(package: str) -> bool:
    """Whether a package is installed, without importing it."""
    from importlib.util import find_spec  # a query does not wait for it

    try:
        return find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):  # hidden by a finder; half imported
        return False
