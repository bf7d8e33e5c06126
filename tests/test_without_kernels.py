"""The roads of jax with TRACTABLE_KERNELS=off, which is what other devices than CPUs run: against exact numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.evaluate import Annealing
from tractable.kernels import xla
from tractable.learning import loop
from tractable.learning._base import Pace
from tractable.learning.records import GradientOptions
from tractable.posterior.certificate import Certificate

ROWS = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0, 1, 1, 1, 0]] * 30)
EVIDENCE = [1, np.nan, 0, 1, np.nan]
LEARNERS = {
    "cd": tr.ContrastiveDivergence(k=2, batch_size=20, learning_rate=0.5),
    "pcd": tr.PersistentCD(batch_size=20, learning_rate=0.5, n_chains=40),
    "exact": tr.ExactGradient(batch_size=20, learning_rate=0.5),
}
ANNEALING = {"method": "annealing", "settings": Annealing(n_temperatures=200, n_chains=64), "key": 3}


def weights(*sizes: int) -> list[np.ndarray]:
    return [2 * np.sin(1.0 + np.arange(a * b)).reshape(a, b) for a, b in pairwise(sizes)]


def models() -> dict[str, Any]:
    """A machine that is annealed one unit after another, one that is annealed layer by layer, and layers of causes."""
    deep = tr.deep([5, 4, 3], key=1)
    biases = [np.linspace(-1, 1, n) for n in (5, 4, 3)]
    return {
        "restricted": tr.restricted(couplings=weights(5, 3)[0], visible_bias=biases[0], hidden_bias=biases[2]),
        "deep": replace(deep, couplings=dict(zip(deep.couplings, weights(5, 4, 3), strict=True))),
        "layers": tr.SigmoidBeliefNetwork(weights=weights(5, 4, 3), biases=biases),
    }


def n_kernels(learner: Any) -> int:
    """Calls of C handlers in the program of two steps of a learner."""
    fit = loop.Fitting(tr.restricted(5, 3, key=1), ROWS, None, learner, 10, GradientOptions(key=0))
    block = fit._block(np.arange(len(ROWS)), 0, 2)
    lowered = loop.run_block.lower(learner, fit.plan, fit._begun(), fit.key, block, (2, Pace(20)))
    return lowered.as_text().count("@tractable_")


def learned(model: Any, learner: Any) -> float:
    run = tr.fit(model, ROWS, learner, epochs=30, key=0, live=0.0, progress=False)
    return tr.log_likelihood(run.model, ROWS).value


def averages(model: Any) -> dict[str, Any]:
    """Means and standard errors of Gibbs sampling, group → pairs."""
    post = tr.infer(model, EVIDENCE, method="gibbs", key=2)
    found = {name: post.certificates(name) for name in post.marginals}
    return {name: np.array([c.value, c.std_error]).tolist() for name, c in found.items()}


def numbers() -> dict[str, Any]:
    """What the roads of jax find, in single precision, as plain values."""
    single = {name: model.astype(np.float32) for name, model in models().items()}
    fits = {name: learned(tr.restricted(5, 3, key=1), learner) for name, learner in LEARNERS.items()}
    causes = tr.ReweightedWakeSleep(batch_size=20, learning_rate=0.2)
    return {
        "available": xla.available(),
        "kernels": n_kernels(LEARNERS["pcd"]),
        "fits": fits | {"layers": learned(tr.SigmoidBeliefNetwork([5, 3], key=1), causes)},
        "anneals": {name: tr.log_partition(single[name], **ANNEALING).to_json() for name in ("restricted", "deep")},
        "gibbs": {name: averages(single[name]) for name in ("deep", "layers")},
        "sampled": np.asarray(tr.sample(single["restricted"], 4000, key=1)).mean(0).tolist(),
    }


@pytest.fixture(scope="module")
def off() -> dict[str, Any]:
    """The numbers of a process with the variable set, which imports this file."""
    code = "import json, test_without_kernels as t; print(json.dumps(t.numbers()))"
    paths = os.pathsep.join([os.path.dirname(__file__), os.path.dirname(os.path.dirname(tr.__file__))])
    environment = {**os.environ, "TRACTABLE_KERNELS": "off", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_no_program_calls_a_kernel(off: dict[str, Any]) -> None:
    assert (off["available"], off["kernels"]) == (False, 0)
    assert xla.available() and n_kernels(LEARNERS["pcd"])  # so that the count counts


@pytest.mark.parametrize("name", ["cd", "pcd", "layers"])
def test_learning_gets_about_as_far_as_along_the_exact_gradient(name: str, off: dict[str, Any]) -> None:
    start = tr.log_likelihood(tr.restricted(5, 3, key=1), ROWS).value
    assert off["fits"][name] > off["fits"]["exact"] - 0.25 and off["fits"][name] > start + 0.5


@pytest.mark.parametrize("name", ["restricted", "deep"])
def test_annealing_holds_the_exact_number(name: str, off: dict[str, Any]) -> None:
    truth, found = tr.log_partition(models()[name], method="exact"), Certificate(**off["anneals"][name])
    assert truth.kind == "exact" and found.kind != "exact"
    assert found.lower <= truth.value <= found.upper and abs(found.value - truth.value) < 0.1


@pytest.mark.parametrize("name", ["deep", "layers"])
def test_gibbs_averages_are_the_exact_means(name: str, off: dict[str, Any]) -> None:
    truth = tr.infer(models()[name], EVIDENCE)
    assert truth.log_partition.kind == "exact"
    for group, (value, error) in off["gibbs"][name].items():
        far = np.abs(np.array(value) - truth.certificates(group).value)
        assert (far <= 5.5 * np.array(error) + 3e-3).all(), group


def test_samples_have_the_exact_means(off: dict[str, Any]) -> None:
    truth = np.asarray(tr.infer(models()["restricted"]).certificates("visible").value)
    np.testing.assert_allclose(off["sampled"], truth, atol=5.5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize(("value", "expected"), [("off", False), (" OFF", False), ("on", True), ("", True)])
def test_what_the_variable_says(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACTABLE_KERNELS", value)
    assert xla._registered.__wrapped__() is expected
