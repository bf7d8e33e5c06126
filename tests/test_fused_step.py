"""The step of a restricted machine in one pass: the same numbers as gradient, centring and optimizer one by one."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import tractable as tr
from tractable.kernels import xla
from tractable.learning import loop
from tractable.learning.machines import fused
from tractable.learning.records import GradientOptions
from tractable.models import boltzmann, deep, restricted

ROWS = (np.random.default_rng(0).random((60, 37)) < 0.3).astype(np.uint8)


def trained(learner: Any, steps: int = 4) -> tuple[Any, Any]:
    """The state after some steps, and what the last one reports."""
    fit = loop.Fitting(restricted(37, 70, key=1), ROWS, None, learner, 10, GradientOptions(key=0))
    block = fit._block(np.arange(60), 0, steps)
    run = jax.jit(loop.run_block.__wrapped__, static_argnums=0)  # compiled for each call: it may be patched
    return run(learner, fit.plan, fit._begun(), fit.key, block, (steps, 40))


@pytest.mark.parametrize(
    "learner",
    [
        tr.PersistentCD(batch_size=15, learning_rate=0.5, momentum=0.0, n_chains=20),
        tr.PersistentCD(batch_size=15, learning_rate=0.5, momentum=0.9, weight_decay=0.1, sparsity=0.2, averaging=1.0),
        tr.ContrastiveDivergence(batch_size=15, learning_rate=0.5, centred=False, k=2),
    ],
    ids=["plain", "everything", "not centred"],
)
def test_one_pass_does_what_many_do(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """37 × 70 is no whole number of tiles. Samples are the same as long as rounding decides none of them."""
    fast = trained(learner)
    monkeypatch.setattr(fused, "applies", lambda model: False)
    plain = trained(learner)
    for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)
    assert float(fast[1].gradient_norm) > 0.01


def test_the_kernel_and_jax_agree_on_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    shapes = [(9, 130), (9, 70), (11, 130), (11, 70)]
    pairs: Any = tuple(np.float32(rng.random(s) < 0.4) if s[1] == 130 else np.float32(rng.random(s)) for s in shapes)
    left, right, w, trace = (np.float32(rng.normal(size=s)) for s in ((2, 130), (2, 70), (130, 70), (130, 70)))
    scalars: Any = np.float32([0.3, 0.1, 0.5])

    def steps() -> list[Any]:
        found = [xla.outer_step(pairs, (left, right), scalars, w, *t) for t in ((), (trace,))]
        return [(new, squares.sum(), *moved) for new, squares, *moved in found]

    found = steps()
    monkeypatch.setattr(xla, "available", lambda: False)
    plain = steps()
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


def test_which_machines_are_stepped_in_one_pass() -> None:
    assert fused.applies(restricted(4, 3))
    others = [restricted(4, 3, units="spin"), boltzmann(4), boltzmann(4, hidden=2), deep([4, 3, 2])]
    others += [boltzmann(4, edges=[(0, 1)]), restricted(4, 3).astype(np.float64), restricted(tr.Gaussian(4), 3)]
    assert not any(fused.applies(model) for model in others)
