"""Fits by EM that were stopped: they go on bit for bit, whatever the learner, the model and the moment."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_hidden_markov_em import data_of
from test_mixtures import MIXED, rows_of

import tractable as tr
from tractable.learning.em import exact
from tractable.learning.em.leaves import filled, fingerprint, leaves

LEARNERS = [
    tr.EM(n_init=3, tolerance=1e-3, weight_prior=0.5),
    tr.GeneralizedEM(posterior=2, rate=0.5, tolerance=0),
    tr.IncrementalEM(n_blocks=3, tolerance=0),
    tr.OnlineEM(batch_size=7, tolerance=0),
]


def mixture() -> tuple[tr.Mixture, np.ndarray]:
    x = rows_of("mixed", 60, missing=0.1)
    return tr.mixture(x, 3, MIXED), x


def chain() -> tuple[tr.HiddenMarkovModel, list[np.ndarray]]:
    data = data_of("categorical", np.random.default_rng(3))
    model = tr.hidden_markov(data, 3, "categorical")
    return tr.HiddenMarkovModel("stationary", model.transition, model.emissions), data


def same(a: tr.EMRun, b: tr.EMRun) -> bool:
    """Models to the last bit, records but for the time they took."""
    one, two = (dict(leaves(run.model)) for run in (a, b))
    plain = [[replace(r, seconds=0.0) for r in run.history] for run in (a, b)]
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one) and plain[0] == plain[1]


class Killed(BaseException):
    """Ends a fit at once, as a signal would."""


def killed_after(n: int) -> Any:
    """A callback that lets so many records pass."""
    left = [n]

    def callback(record: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return callback


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which start is the best of many is nothing to these tests."""
    monkeypatch.setattr(exact, "CANDIDATES", 2)


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
@pytest.mark.parametrize("make", [mixture, chain])
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(make: Any, learner: tr.EM, n: int, tmp_path: Path) -> None:
    model, data = make()
    if make is chain and isinstance(learner, tr.GeneralizedEM):
        learner = replace(learner, posterior="exact")
    path, options = str(tmp_path / "fit.checkpoint"), {"epochs": 6, "key": 4, "progress": False}
    whole = tr.fit(model, data, learner, **options)
    options |= {"checkpoint": path, "checkpoint_seconds": 0}
    with pytest.raises(Killed):
        tr.fit(model, data, learner, callback=killed_after(n), **options)
    resumed = tr.fit(model, data, learner, resume=True, **options)
    assert same(resumed, whole) and resumed.objectives == whole.objectives
    assert same(tr.fit(model, data, learner, resume=True, **options), whole)  # what has ended stays as it is


@pytest.mark.parametrize("learner", LEARNERS[2:], ids=lambda learner: type(learner).__name__)
def test_a_pass_that_was_stopped_between_blocks_goes_on_bit_for_bit(
    learner: tr.EM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop each time the model has been maximized once, so that no pass is ever run as a whole."""
    model, x = mixture()
    path, options = str(tmp_path / "fit.checkpoint"), {"epochs": 2, "progress": False}
    whole = tr.fit(model, x, learner, **options)
    before, allowed = tr.Mixture.maximized, [0]

    def counted(self: Any, *given: Any) -> Any:
        allowed[0] -= 1
        if allowed[0] < 0:
            raise Killed
        return before(self, *given)

    times, run = 0, None
    while run is None:
        allowed[0], times = 1, times + 1
        with monkeypatch.context() as patch:
            patch.setattr(tr.Mixture, "maximized", counted)
            try:
                run = tr.fit(model, x, learner, checkpoint=path, checkpoint_seconds=0, resume=True, **options)
            except Killed:
                continue
    assert times > 4 and same(run, whole)


def test_more_iterations_go_on_from_where_fewer_ended(tmp_path: Path) -> None:
    model, x = mixture()
    options = {"checkpoint": str(tmp_path / "fit"), "progress": False}
    tr.fit(model, x, tr.EM(tolerance=0), epochs=3, **options)
    more = tr.fit(model, x, tr.EM(tolerance=0), epochs=7, resume=True, **options)
    assert same(more, tr.fit(model, x, tr.EM(tolerance=0), epochs=7))


@pytest.fixture
def saved(tmp_path: Path) -> str:
    model, x = mixture()
    path = str(tmp_path / "fit")
    tr.fit(model, x, epochs=2, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, x, o: (m, x, tr.EM(prior=0.3), o), "its method is ExpectationMaximization"),
        (lambda m, x, o: (m, x, tr.IncrementalEM(), o), "its method is"),
        (lambda m, x, o: (m, x, tr.EM(), o | {"key": 1}), "its key is"),
        (lambda m, x, o: (m, x[1:], tr.EM(), o), "its data is"),
        (lambda m, x, o: (m, x, tr.EM(), o | {"weights": np.full(60, 2.0)}), "its data is"),
        (lambda m, x, o: (tr.mixture(x, 3, MIXED, key=1), x, tr.EM(), o), "its start is"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(change: Any, words: str, saved: str) -> None:
    model, data, learner, options = change(*mixture(), {"checkpoint": saved, "resume": True})
    with pytest.raises(tr.FormatError, match=f"of another fit: {words}.*start without --resume"):
        tr.fit(model, data, learner, **options)


def test_a_damaged_checkpoint_is_refused(saved: str) -> None:
    model, x = mixture()
    whole = Path(saved).read_bytes()
    for cut in (0, 7, 100, len(whole) - 1):
        Path(saved).write_bytes(whole[:cut])
        with pytest.raises(tr.FormatError, match="not a checkpoint of a fit, or damaged"):
            tr.fit(model, x, checkpoint=saved, resume=True)
    Path(saved).write_bytes(whole.replace(b'\\"records\\"', b'\\"rocords\\"'))
    with pytest.raises(tr.FormatError, match="damaged"):
        tr.fit(model, x, checkpoint=saved, resume=True)


def test_a_place_that_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    model, x = mixture()
    with pytest.raises(tr.FormatError, match="cannot be written"):
        tr.fit(model, x, checkpoint=str(tmp_path / "nowhere" / "fit"), callback=killed_after(0))


def test_a_disk_that_fills_up_costs_the_checkpoint_and_not_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = mixture()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def fill_up(_: Any) -> None:
        monkeypatch.setattr(os, "fsync", full)

    with pytest.warns(RuntimeWarning, match="goes on without a new checkpoint.*No space left"):
        run = tr.fit(
            model, x, checkpoint=str(tmp_path / "fit"), callback=lambda _: monkeypatch.setattr(os, "fsync", full)
        )
    assert same(run, tr.fit(model, x))


def test_a_record_is_made_again_from_its_arrays() -> None:
    model, _ = mixture()
    arrays = dict(leaves(model))
    again = filled(model, {name: 2 * array for name, array in arrays.items()})
    assert (again.weights == 2 * model.weights).all() and again.free.columns == model.free.columns
    assert fingerprint(model) != fingerprint(again) and fingerprint(model) == fingerprint(filled(model, arrays))
    with pytest.raises(tr.ModelError, match="other shapes"):
        filled(model, {name: array[:1] for name, array in arrays.items() if array.ndim})
