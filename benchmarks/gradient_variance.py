"""Every estimator of the gradient by the recognition network, on eight hidden units: bias by a z-test, and variance.

10^5 draws of each, against the exact gradient by all 256 states of the hidden units (all pairs of them for the bound of
two samples). Claims: no estimate is biased, the largest of some hundred z-scores stays below 4.5; baselines and
antithetic pairs lower the variance of REINFORCE.

    python benchmarks/gradient_variance.py [--only vimco] [--json FILE] [--plot]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import OUT, Row, arguments, report, save
from jax import Array

import tractable as tr
from tractable.learning._base import Batch, Seen, begin
from tractable.plots import gradient_variance

SIZES, GROUPS, DRAWS = (6, 5, 3), 400, 250
ROW = np.array([0, 1, 1, 0, 1, 0], np.float32)
STATES = np.array(list(itertools.product([0, 1], repeat=sum(SIZES[1:]))), np.float32)
COLUMNS = {"name": "", "samples": "d", "variance": ".4g", "of reinforce": ".3f", "largest z": ".2f"}
CASES = {
    "reinforce": ("reinforce", 1),
    "nvil": ("nvil", 1),
    "nvil, 1000 steps later": ("nvil", 1),
    "arm": ("arm", 1),
    "disarm": ("disarm", 1),
    "vimco, 2 samples": ("vimco", 2),
}


def machine() -> tr.HelmholtzMachine:
    """A model with couplings of size one, and a recognition network that has not learned anything."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=pair).astype(np.float32) for pair in itertools.pairwise(SIZES)]
    biases = [rng.normal(size=n).astype(np.float32) for n in SIZES]
    return tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(weights=weights, biases=biases))


def exact_bound(model: tr.HelmholtzMachine, samples: int) -> Array:
    """The bound with one or two samples, over all states."""
    h = np.split(STATES, [SIZES[1]], axis=1)
    layers = [np.broadcast_to(ROW, (len(STATES), len(ROW))), *h]
    log_p, log_q = model.log_joint(layers), model.recognition.log_prob(layers)
    log_w, q = log_p - log_q, jnp.exp(log_q)
    return q @ log_w if samples == 1 else q @ (jnp.logaddexp(log_w[:, None], log_w) - jnp.log(2)) @ q


def by_recognition(gradient: Any) -> Array:
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(gradient.recognition)])


def estimator(name: str, samples: int, steps: int) -> tuple[tr.HelmholtzMachine, Callable[[Any], Array]]:
    """The mean of some hundred draws, as a function of a key; baselines have learned for so many steps before."""
    learner, model = tr.VariationalGradient(estimator=name, samples=samples), machine()
    training = begin(learner, None, model, jax.random.key(2), Seen(ROW, 1))
    x = Batch(jnp.asarray(np.tile(ROW, (DRAWS, 1))), jnp.arange(DRAWS))
    kept = jax.jit(lambda t, key: t._replace(learner=learner.gradient(t, key, x).kept))
    for key in jax.random.split(jax.random.key(7), steps):
        training = kept(training, key)
    if name == "nvil":  # its signal is not scaled here, so that variances compare
        ones = jnp.ones_like(training.learner.variance)
        training = training._replace(learner=training.learner._replace(variance=ones))
    return model, jax.jit(lambda key: by_recognition(learner.gradient(training, key, x).gradient))


def measured(case: str) -> Row:
    """One line of the table."""
    name, samples = CASES[case]
    model, one = estimator(name, samples, 1000 if "later" in case else 0)
    exact = by_recognition(jax.grad(exact_bound)(model, samples))
    found = np.stack([np.asarray(one(key)) for key in jax.random.split(jax.random.key(0), GROUPS)])
    moving = found.std(axis=0) > 0  # weights of columns that are zero in the row have no gradient
    error = found.std(axis=0, ddof=1)[moving] / np.sqrt(GROUPS)
    z = np.abs(found.mean(axis=0) - exact)[moving] / error
    return {"name": case, "samples": samples, "variance": DRAWS * float(found.var(axis=0).sum()), "largest z": z.max()}


def main() -> None:
    """Measure what was asked for."""
    options = arguments(__doc__, plot="draw the variances into benchmarks/out")
    rows = [measured(case) for case in CASES if not options.only or any(word in case for word in options.only)]
    for row in rows:
        row["of reinforce"] = row["variance"] / rows[0]["variance"]
    report(
        "Gradients by the recognition network, 6-5-3 units, 10^5 draws each",
        COLUMNS,
        rows,
        ["variance of one draw, summed"],
    )
    save(options.json, rows)
    if options.plot:
        gradient_variance({row["name"]: row["variance"] for row in rows}).savefig(OUT / "gradient_variance.png")


if __name__ == "__main__":
    main()
