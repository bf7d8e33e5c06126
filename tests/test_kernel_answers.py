"""What the kernels hand out belongs to whoever holds it, or a part of it: no later call writes there."""

from __future__ import annotations

import gc
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tractable as tr

NAMES = [f"v{i}" for i in range(10)]


def chain(seed: int) -> tuple[tr.MarkovNetwork, np.ndarray]:
    """A chain of ten variables with three states each, and their marginals, shape [10, 3], by passing messages."""
    tables = np.random.default_rng(seed).gamma(1.0, size=(len(NAMES) - 1, 3, 3))
    factors = list(zip(map(list, itertools.pairwise(NAMES)), tables, strict=True))
    left, right = [np.ones(3)], [np.ones(3)]
    for before, after in zip(tables, tables[::-1], strict=True):
        left.append(left[-1] @ before)
        right.append(after @ right[-1])
    belief = np.array(left) * np.array(right[::-1])
    return tr.MarkovNetwork(dict.fromkeys(NAMES, "abc"), factors), belief / belief.sum(1, keepdims=True)


def part(seed: int) -> np.ndarray:
    """Of an answer nothing but one view; of its arrays that view alone is held."""
    return tr.infer(chain(seed)[0]).marginals.array(NAMES[seed % len(NAMES)])


@pytest.mark.parametrize("references", [None, 1, 2], ids=["as it is", "borrowed: 1", "borrowed: 2"])
def test_a_live_answer_is_never_written_over(references: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where the interpreter counts fewer references than there are, as those do whose calls borrow arguments."""
    if references is not None:
        monkeypatch.setattr(sys, "getrefcount", lambda _: references)
    held = [part(seed) for seed in range(20)]
    gc.collect()
    with ThreadPoolExecutor(4) as pool:
        held += pool.map(part, range(20, 100))
    for seed, array in enumerate(held):
        np.testing.assert_allclose(array, chain(seed)[1][seed % len(NAMES)], rtol=1e-12, err_msg=f"answer {seed}")
