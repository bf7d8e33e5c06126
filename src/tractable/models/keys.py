"""Keys: an integer, a jax key, or a NumPy generator."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def generator(key: Any) -> np.random.Generator:
    """Random numbers from an integer, a jax key or a NumPy generator.

    Raises
    ------
    ValueError : a negative integer. TypeError : anything else.
    """
    if isinstance(key, np.random.Generator):
        return key
    if isinstance(key, int | np.integer):
        return np.random.default_rng(_number(key))
    jax = sys.modules.get("jax")  # whoever holds a jax key has imported jax
    if jax is None or not isinstance(key, jax.Array):
        raise TypeError(f"a key is an integer, a jax key or a NumPy generator, got {type(key).__name__}")
    data = jax.random.key_data(key) if jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return np.random.default_rng(np.asarray(data).ravel().tolist())


def as_key(key: Any) -> Any:
    """A jax key from an integer; what is none stays as it is.

    Raises
    ------
    ValueError : a negative integer.
    """
    if not isinstance(key, int | np.integer):
        return key
    return sys.modules["jax"].random.key(_number(key))  # whoever asks for such a key has imported jax


def _number(key: int | np.integer) -> int:
    if key < 0:
        raise ValueError(f"a key is an integer from 0 on, or a jax key; got {key}")
    return int(key)
