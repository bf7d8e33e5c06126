"""Every estimator of the gradient by the recognition network, on 8 to 16 hidden units: bias by a z-test, and variance.

10^5 draws of each, against the exact gradient by all states of the hidden units (all pairs of them for the bound of two
samples: four billion where there are 16). Claims: no estimate is biased, the largest of some hundred z-scores stays
below 4.5; baselines and antithetic pairs lower the variance of REINFORCE.

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
from tractable.learning._base import Minibatch, Seen, begin
from tractable.plots import gradient_variance

GROUPS, DRAWS, TOGETHER = 400, 250, 256
ROW = np.array([0, 1, 1, 0, 1, 0], np.float32)
HIDDEN = ((5, 3), (8, 4), (10, 6))
COLUMNS = {"hidden": "", "name": "", "samples": "d", "variance": ".4g", "of reinforce": ".3f", "largest z": ".2f"}
CASES = {
    "reinforce": ("reinforce", 1),
    "nvil": ("nvil", 1),
    "nvil, 1000 steps later": ("nvil", 1),
    "arm": ("arm", 1),
    "disarm": ("disarm", 1),
    "vimco, 2 samples": ("vimco", 2),
}


def machine(hidden: tuple[int, ...]) -> tr.HelmholtzMachine:
    """A model with couplings of size one, and a recognition network that has not learned anything."""
    rng, sizes = np.random.default_rng(3), (len(ROW), *hidden)
    weights = [rng.normal(size=pair).astype(np.float32) for pair in itertools.pairwise(sizes)]
    biases = [rng.normal(size=n).astype(np.float32) for n in sizes]
    return tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(weights=weights, biases=biases))


def exact_bound(model: tr.HelmholtzMachine, samples: int) -> Array:
    """The bound with one or two samples, over all states."""
    sizes = model.generative.sizes[1:]
    states = np.array(list(itertools.product([0, 1], repeat=sum(sizes))), np.float32)
    h = np.split(states, np.cumsum(sizes)[:-1], axis=1)
    layers = [np.broadcast_to(ROW, (len(states), len(ROW))), *h]
    log_p, log_q = model.log_joint(layers), model.recognition.log_prob(layers)
    log_w, q = log_p - log_q, jnp.exp(log_q)
    if samples == 1:
        return q @ log_w
    pairs = jax.checkpoint(lambda part: part[0] @ jnp.logaddexp(part[1][:, None], log_w) @ q)
    return jax.lax.map(pairs, (q.reshape(-1, TOGETHER), log_w.reshape(-1, TOGETHER))).sum() - jnp.log(2)


def by_recognition(gradient: Any) -> Array:
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(gradient.recognition)])


def estimator(model: tr.HelmholtzMachine, name: str, samples: int, steps: int) -> Callable[[Any], Array]:
    """The mean of some hundred draws, as a function of a key; baselines have learned for so many steps before."""
    learner = tr.VariationalGradient(estimator=name, samples=samples)
    training = begin(learner, None, model, jax.random.key(2), Seen(ROW, 1))
    x = Minibatch(jnp.asarray(np.tile(ROW, (DRAWS, 1))), jnp.arange(DRAWS))
    kept = jax.jit(lambda t, key: t._replace(learner=learner.gradient(t, key, x).kept))
    for key in jax.random.split(jax.random.key(7), steps):
        training = kept(training, key)
    if name == "nvil":  # its signal is not scaled here, so that variances compare
        ones = jnp.ones_like(training.learner.variance)
        training = training._replace(learner=training.learner._replace(variance=ones))
    return jax.jit(lambda key: by_recognition(learner.gradient(training, key, x).gradient))


def measured(case: str, hidden: tuple[int, ...]) -> Row:
    """One line of the table."""
    (name, samples), model = CASES[case], machine(hidden)
    one = estimator(model, name, samples, 1000 if "later" in case else 0)
    exact = by_recognition(jax.jit(jax.grad(lambda m: exact_bound(m, samples)))(model))
    found = np.stack([np.asarray(one(key)) for key in jax.random.split(jax.random.key(0), GROUPS)])
    moving = found.std(axis=0) > 0  # weights of columns that are zero in the row have no gradient
    error = found.std(axis=0, ddof=1)[moving] / np.sqrt(GROUPS)
    z = np.abs(found.mean(axis=0) - exact)[moving] / error
    variance = {"variance": DRAWS * float(found.var(axis=0).sum()), "largest z": z.max()}
    return {"hidden": "-".join(map(str, hidden)), "name": case, "samples": samples} | variance


def main() -> None:
    """Measure what was asked for."""
    options = arguments(__doc__, plot="draw the variances into benchmarks/out")
    asked = [case for case in CASES if not options.only or any(word in case for word in options.only)]
    rows = [measured(case, hidden) for hidden in HIDDEN for case in asked]
    for row in rows:
        first = next(other for other in rows if other["hidden"] == row["hidden"])
        row["of reinforce"] = row["variance"] / first["variance"] if first["name"] == "reinforce" else None
    title = f"Gradients by the recognition network, {len(ROW)} visible units, 10^5 draws each"
    report(title, COLUMNS, rows, ["variance of one draw, summed"])
    save(options.json, rows)
    if options.plot:
        last = {row["name"]: row["variance"] for row in rows if row["hidden"] == rows[-1]["hidden"]}
        gradient_variance(last).savefig(OUT / "gradient_variance.png")


if __name__ == "__main__":
    main()
