"""Generalized EM with mean field for sigmoid belief networks, against all states of the hidden units summed."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pytest
from layers_oracle import table

import tractable as tr

ROWS = np.repeat(np.kron(np.eye(3), np.ones((1, 2))), 2, axis=0)[:5]
SGD = tr.GradientMStep(optax.sgd(0.5, momentum=0.5), steps=5)


def network(within: bool = False) -> tr.SigmoidBeliefNetwork:
    rng = np.random.default_rng(4)
    own = [np.tril(rng.normal(size=(6, 6)), -1), None, None] if within else None
    return tr.SigmoidBeliefNetwork([6, 3, 2], within=own, key=4)


def exactly(model: Any, rows: np.ndarray = ROWS) -> float:
    """The mean of log p(x), by enumeration, sharing nothing with the library."""
    return float(np.mean([table(model, {"visible": row}).log_z for row in rows]))


def learned(model: Any, rows: np.ndarray = ROWS, epochs: int = 12, m_step: Any = SGD, **options: Any) -> Any:
    learner = tr.GeneralizedEM(posterior="mean_field", m_step=m_step, tolerance=0.0)
    return tr.fit(model, rows, learner, epochs=epochs, progress=False, **options)


@pytest.mark.parametrize("case", ["sgd", "gaps", "within and adam"])
def test_the_bound_never_falls_is_below_and_raises_the_likelihood(case: str) -> None:
    rows, start = ROWS.copy(), network("within" in case)
    if case == "gaps":
        rows[1, 0] = rows[3, 4] = np.nan
    run = learned(start, rows, m_step=tr.GradientMStep(steps=5) if "adam" in case else SGD)
    elbo = np.array([record.elbo.value for record in run.history])
    assert (np.diff(elbo) > -1e-10).all() and elbo[-1] > elbo[0] + 0.3
    assert run.history[-1].train.value == pytest.approx(exactly(run.model, rows), abs=1e-8)
    assert run.history[0].train.value == pytest.approx(exactly(start, rows), abs=1e-5)
    assert all(r.kl.value == pytest.approx(r.train.value - r.elbo.value, abs=1e-9) for r in run.history)
    assert all(r.kl.value > 0 for r in run.history)
    assert exactly(run.model, rows) > exactly(start, rows) + 0.3


def test_the_elbo_is_the_bound_of_mean_field() -> None:
    run = learned(network(), epochs=0)
    bounds = tr.infer(network(), ROWS, method="mean_field").log_partition
    assert run.history[0].elbo.value == pytest.approx(np.mean(bounds.value), abs=1e-6)


def test_rows_count_as_often_as_their_weights_say() -> None:
    weighted = learned(network(), ROWS[:5], epochs=3, weights=np.array([2.0, 1, 1, 1, 0]))
    repeated = learned(network(), ROWS[[0, 0, 1, 2, 3]], epochs=3)
    assert weighted.history[-1].elbo.value == pytest.approx(repeated.history[-1].elbo.value, abs=1e-9)


def test_a_fit_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path: Any) -> None:
    path = str(tmp_path / "em.safetensors")
    whole = learned(network(), epochs=4)
    learned(network(), epochs=2, checkpoint=path)
    resumed = learned(network(), epochs=4, checkpoint=path, resume=True)
    assert np.array_equal(whole.model.vector(), resumed.model.vector())
    assert [r.elbo.value for r in whole.history] == [r.elbo.value for r in resumed.history]


def test_where_enumeration_takes_too_long_the_likelihood_is_between_bound_and_zero(monkeypatch: Any) -> None:
    monkeypatch.setattr("tractable.posterior.engines.layers.COMPARED", 1e-300)
    first = learned(network(), epochs=0).history[0]
    assert (first.train.lower, first.train.upper) == (first.elbo.value, 0.0) and first.train.kind == "bound"


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (tr.EM(), "EM does not learn a SigmoidBeliefNetwork"),
        (tr.GeneralizedEM(posterior="mean_field"), r"no M-step in closed form: take .*GradientMStep\(\)"),
        (tr.GeneralizedEM(m_step=SGD), "take posterior='mean_field'.*got 'exact'"),
        (tr.GeneralizedEM(posterior="mean_field", m_step=SGD, n_init=2), "without a prior: n_init=1"),
        (tr.GeneralizedEM(posterior="mean_field", m_step=SGD, prior=1.0), "without a prior"),
    ],
)
def test_what_does_not_go_together_is_refused(learner: Any, words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        tr.fit(network(), ROWS, learner, progress=False)


def test_data_that_do_not_fit_are_refused_by_their_place() -> None:
    with pytest.raises(tr.ModelError, match=r"row 1, column 2.* 0 or 1"):
        learned(network(), np.array([[0, 1, 0, 1, 1, 1], [0, 0, 2, 0, 0, 0]]))
    with pytest.raises(tr.ModelError, match="validation: visible: the model has 6 units, the data 5 columns"):
        learned(network(), validation=ROWS[:, :5])
