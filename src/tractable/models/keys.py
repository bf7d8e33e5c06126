"""Keys: an integer, a jax key, or a NumPy generator."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def generator(key: Any) -> np.random.Generator:
    """Random numbers from an integer, a jax key or a NumPy generator."""
    if isinstance(key, np.random.Generator):
        return key
    if isinstance(key, int | np.integer):
        return np.random.default_rng(int(key))
    jax = sys.modules.get("jax")  # whoever holds a jax key has imported jax
    if jax is None:
        raise TypeError(f"a key is an integer, a jax key or a NumPy generator, got {type(key).__name__}")
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
