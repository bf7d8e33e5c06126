"""Explaining away in time: how far mean field and its structured kin are from the truth as chains are added.

Run with `python examples/factorial.py`.
"""

from typing import Any

import numpy as np

import tractable as tr


def model(n_chains: int) -> tr.FactorialHiddenMarkovModel:
    """Chains of three states, each of which adds its part to the mean of four columns."""
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(3, 4)) for _ in range(n_chains)]
    steps = [rng.dirichlet(np.ones(3), 3) for _ in range(n_chains)]
    emissions = tr.AdditiveGaussianEmissions(parts, np.eye(4))
    return tr.FactorialHiddenMarkovModel([np.ones(3) / 3] * n_chains, steps, emissions)


infer: Any = tr.infer  # what it returns depends on the family of the model
print("chains  joint states   log p(x)    KL structured   KL mean field")
for m in range(1, 6):
    chains = model(m)
    rows = tr.sample(chains, 100, key=0)
    truth = tr.log_partition(chains, rows).value
    gaps = [max(infer(chains, rows, method=q).kl.value, 0.0) for q in ("structured", "mean_field")]  # rounding apart
    print(f"{m:6d} {3**m:13d} {truth:10.3f} {gaps[0]:16.3f} {gaps[1]:15.3f}")

print(tr.plan(model(20)))  # of a sequence of 1,000 rows
