"""Settings that make no sense, networks with evidence, fits that diverge: refused in words, and nothing is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import tractable as tr
from tractable.learning import online
from tractable.models import ModelError

ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10, np.uint8)
NAN, INF = float("nan"), float("inf")


def quietly(learner: Any, model: Any = None, **options: Any) -> Any:
    model = tr.SigmoidBeliefNetwork([4, 3]) if model is None else model
    return tr.fit(model, ROWS, learner, **{"epochs": 2, "progress": False, "live": 0} | options)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (
        tr.WakeSleep,
        {"learning_rate": NAN},
        "learning_rate must be a finite number, zero or more, got learning_rate=nan",
    ),
    (tr.WakeSleep, {"learning_rate": INF}, "learning_rate must be a finite number"),
    (tr.WakeSleep, {"learning_rate": -0.1}, "got learning_rate=-0.1"),
    (tr.WakeSleep, {"averaging": NAN}, "averaging must be a number from 0 to 1, got averaging=nan"),
    (tr.WakeSleep, {"averaging": 1.5}, "averaging must be a number from 0 to 1"),
    (tr.WakeSleep, {"samples": 2.7}, "samples must be a whole number, at least one, got samples=2.7"),
    (tr.WakeSleep, {"batch_size": 2.5}, "batch_size must be a whole number"),
    (tr.WakeSleep, {"optimizer": "adam"}, "optimizer must be a transformation of optax, or None"),
    (tr.WakeSleep, {"top": tr.PersistentCD(k=0)}, "k must be a whole number, at least one, got k=0"),
    (tr.ReweightedWakeSleep, {"wake": NAN}, "wake must be a finite number"),
    (tr.PersistentCD, {"momentum": NAN}, "momentum must be a number from 0 to 1"),
    (tr.PersistentCD, {"n_chains": 1.5}, "n_chains must be a whole number, at least one, or None"),
    (tr.PersistentCD, {"weight_decay": -1.0}, "weight_decay must be a finite number, zero or more"),
]


@pytest.mark.parametrize(("learner", "settings", "words"), BAD, ids=[words for *_, words in BAD])
def test_a_setting_that_makes_no_sense_is_named(learner: Any, settings: dict[str, Any], words: str) -> None:
    model = tr.restricted(4, 3) if learner is tr.PersistentCD else None
    with pytest.raises(ModelError, match=words):
        quietly(learner(**settings), model)
    with pytest.raises(ModelError, match=words):
        online.begin(model or tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3])), ROWS, learner(**settings), 0)


@pytest.mark.parametrize("epochs", [-1, 2.5])
def test_epochs_are_counted(epochs: Any) -> None:
    for model in (tr.SigmoidBeliefNetwork([4, 3]), tr.mixture(ROWS, 2, "bernoulli")):
        with pytest.raises(ModelError, match=f"epochs must be a whole number, zero or more, got epochs={epochs}"):
            tr.fit(model, ROWS, epochs=epochs, progress=False)
    with pytest.raises(ModelError, match="checkpoint_seconds must be a number"):
        quietly(tr.WakeSleep(), checkpoint="kept", checkpoint_seconds=NAN)


def test_a_learning_rate_of_zero_stays_where_it_is() -> None:
    start = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3]))
    found = quietly(tr.WakeSleep(learning_rate=0), start, epochs=1).model
    assert (np.asarray(found.generative.weights[0]) == np.asarray(start.generative.weights[0])).all()


GRADIENT_EM = tr.GeneralizedEM(posterior="mean_field", m_step=tr.GradientMStep())


@pytest.mark.parametrize(
    "learner", [tr.VariationalGradient(), GRADIENT_EM, tr.Layerwise()], ids=lambda x: type(x).__name__
)
def test_a_network_with_evidence_is_not_learned(learner: Any) -> None:
    known = tr.condition(tr.SigmoidBeliefNetwork([4, 3]), {"hidden1": [1, np.nan, np.nan]})
    machine = tr.condition(tr.HelmholtzMachine(tr.DeepBeliefNetwork([4, 3, 2])), {"hidden2": [1, np.nan]})
    for model in (known,) if learner is GRADIENT_EM else (known, machine):
        with pytest.raises(ModelError, match=r"units of hidden. are clamped: fit the network without evidence"):
            quietly(learner, model)


@pytest.mark.parametrize(("make", "learner"), [(tr.SigmoidBeliefNetwork, tr.WakeSleep), (tr.deep, tr.PersistentCD)])
def test_a_fit_that_diverges_stops_and_keeps_the_last_good_checkpoint(make: Any, learner: Any, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    with pytest.raises(ModelError, match=r"epoch \d: the fit has diverged, .* not finite any more: take a smaller"):
        quietly(learner(optimizer=optax.sgd(np.inf)), make([4, 3]), checkpoint=str(path), epochs=4, live=1)
    from safetensors.numpy import load_file

    assert all(np.isfinite(leaf).all() for leaf in load_file(path).values() if leaf.dtype.kind == "f")


def test_a_pass_over_more_rows_that_diverges_is_refused() -> None:
    learner = tr.WakeSleep(optimizer=optax.sgd(np.inf), batch_size=5)
    training = online.begin(tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3])), ROWS, learner, 0)
    with pytest.raises(ModelError, match="the fit has diverged"):
        for _ in range(3):
            training = online.go_on(training, ROWS, learner, 0)
