"""Fits at their defaults learn; those that do not are noticed, turned back, or said: a model is never silently bad."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from sweep import some

import tractable as tr
from tractable.cli._run import run as command
from tractable.learning import LearningWarning, sizes
from tractable.learning.watch import RESCUES, Sight, Watch
from tractable.models import ModelError

ALONE = -11.09
"""Bars and stripes as independent columns: 16 log 2; the truth is −3.38."""


def bars(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    lines, upright = rng.integers(0, 2, (n, 4, 1)), rng.random(n) < 0.5
    images = np.tile(lines, (1, 1, 4))
    return np.where(upright[:, None, None], images.transpose(0, 2, 1), images).reshape(n, 16).astype(np.uint8)


ROWS = bars(500)
MACHINE = tr.restricted(16, 32, key=0)


def fitted(learner: Any = None, model: Any = None, rows: np.ndarray = ROWS, **options: Any) -> Any:
    model = MACHINE if model is None else model
    return tr.fit(model, rows, learner, **{"key": 0, "progress": False, "live": 0} | options)


def heard(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", LearningWarning)
        found = call()
    return found, [str(one.message) for one in told]


def same(first: Any, second: Any) -> bool:
    pairs = zip(jax.tree.leaves(first.model), jax.tree.leaves(second.model), strict=True)
    return all((np.asarray(a) == np.asarray(b)).all() for a, b in pairs)


# ---------------------------------------------------------------- settings by size


def test_a_small_table_gets_small_batches_and_many_passes() -> None:
    batches = [sizes.MACHINES.batch_size(n) for n in (2, 7, 50, 500, 1500, 5_000, 50_000)]
    assert batches == [2, 4, 4, 20, 60, 100, 100]
    passes = [sizes.MACHINES.epochs(n, sizes.MACHINES.batch_size(n)) for n in (2, 50, 500, 5_000, 50_000, 10**7)]
    assert passes == [200, 200, 200, 200, 20, 1]
    assert sizes.rate_of_adam(1_000) == 0.01 > sizes.rate_of_adam(10**6) == 0.001


@pytest.mark.verify
@pytest.mark.parametrize(
    ("learner", "share"),
    some([(None, 0.8), (tr.ContrastiveDivergence(), 0.5), (tr.FastPersistentCD(), 0.5)], 2),
    ids=lambda own: own if isinstance(own, float) else type(own).__name__,
)
def test_a_machine_learns_at_its_defaults(learner: Any, share: float) -> None:
    run, told = heard(lambda: fitted(learner, validation=bars(500, 1)))
    assert not told and run.yardstick.rows == "validation" and run.steps == 5000 == len(run.history) * 25
    assert run.yardstick.model > ALONE + share * (-4.3 - ALONE)
    assert float(tr.log_likelihood(run.model, bars(500, 1))) == pytest.approx(run.yardstick.model, abs=0.01)


def test_a_network_learns_at_its_defaults() -> None:
    run, told = heard(lambda: fitted(model=tr.SigmoidBeliefNetwork([16, 32], key=0)))
    assert not told and float(tr.log_likelihood(run.model, bars(100, 1), key=0)) > ALONE + 0.6 * (-4.3 - ALONE)


@pytest.mark.parametrize("model", [MACHINE, tr.SigmoidBeliefNetwork([16, 4], key=0)], ids=["machine", "network"])
def test_settings_that_followed_from_the_size_give_the_same_bits_when_they_are_given(model: Any) -> None:
    rows = ROWS[:20]
    run = fitted(model=model, rows=rows)
    assert run.learner.learning_rate and run.steps == 20 // run.learner.batch_size * len(run.history)
    assert run.history[0].learning_rate == pytest.approx(
        run.learner.learning_rate * (1 - (20 // run.learner.batch_size - 1) / run.steps)
    )
    assert same(run, fitted(run.learner, model, rows, epochs=len(run.history)))
    assert same(run, fitted(run.learner, model, rows, steps=run.steps))
    assert not same(run, fitted(run.learner, model, rows, steps=run.steps - 1))


def test_a_budget_of_time_ends_at_a_step_that_can_be_repeated() -> None:
    run = fitted(seconds=0.3)
    assert 0 < run.steps < 5000 and run.learner.decay == 0.3
    assert run.history[-1].learning_rate == pytest.approx(0.04 / (0.3 * run.steps), rel=1e-3)
    assert same(run, fitted(run.learner, steps=run.steps))
    enough = fitted(seconds=1e6, epochs=2)
    assert enough.steps == 50 and same(enough, fitted(enough.learner, epochs=2))


def test_only_one_thing_says_how_long_a_fit_is() -> None:
    with pytest.raises(ModelError, match="epochs and steps both say how long the fit is"):
        fitted(epochs=1, steps=5)
    with pytest.raises(ModelError, match="seconds must be a number, zero or more, got seconds=-1"):
        fitted(seconds=-1)
    with pytest.raises(ModelError, match="no seconds for all of them"):
        fitted(tr.Layerwise(), tr.deep([16, 4, 3]), seconds=1)
    with pytest.raises(ModelError, match="takes no option 'seconds': it is one of gradient learners"):
        tr.fit(tr.mixture(ROWS, 2, "bernoulli"), ROWS, tr.EM(), seconds=1)


# ---------------------------------------------------------------- watching


def test_a_rate_that_is_too_large_is_halved_until_the_fit_learns() -> None:
    run, told = heard(lambda: fitted(tr.PersistentCD(learning_rate=3.0)))
    assert told and "the fit goes on from step" in told[0] and "of the learning rate" in told[0]
    assert run.yardstick.model > ALONE + 2 and run.history[-1].learning_rate < 3 / 5000


def test_a_rate_that_is_far_too_large_ends_the_fit() -> None:
    with pytest.raises(
        ModelError, match=r"epoch \d+: the fit has diverged, rows have a log-likelihood of -\d+.*smaller"
    ):
        heard(lambda: fitted(tr.PersistentCD(learning_rate=1e5)))


FEW = tr.PersistentCD(n_chains=2, batch_size=10, learning_rate=0.1)


@pytest.mark.verify
@pytest.mark.parametrize("learner", some([FEW, tr.FastPersistentCD(n_chains=2, batch_size=10, learning_rate=0.1)], 1))
def test_too_few_chains_become_more(learner: Any) -> None:
    run, told = heard(lambda: fitted(learner))
    assert told[0].endswith("0.5 of the learning rate and 200 chains")
    assert float(tr.log_likelihood(run.model, ROWS)) > ALONE + 0.8 * (-4.3 - ALONE)


def test_a_fit_that_was_given_more_chains_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    path = str(tmp_path / "kept")
    whole, told = heard(lambda: fitted(FEW, epochs=40))
    assert len(told) == 1
    heard(lambda: fitted(FEW, epochs=40, checkpoint=path, callback=lambda record: record.epoch == 35))
    assert same(whole, fitted(FEW, epochs=40, checkpoint=path, resume=True))


def test_a_fit_that_turned_back_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    path, learner = str(tmp_path / "kept"), tr.PersistentCD(learning_rate=3.0)
    whole = fitted(learner, epochs=40)
    stop = {"checkpoint": path, "callback": lambda record: record.epoch == 18}
    fitted(learner, epochs=40, **stop)
    assert same(whole, fitted(learner, epochs=40, checkpoint=path, resume=True))


def test_what_is_astray() -> None:
    watch = Watch(lambda model: None, -11.0, 1000)
    state: Any = type("State", (), {"step": 0})()
    from tractable.learning.watch import Watched

    learned, begun = Watched(state, best=-5.0), Watched(state, best=-20.0)
    assert watch.is_astray(learned, -12.0) and watch.is_astray(learned, math.nan) and not watch.is_astray(learned, -6.0)
    assert watch.is_astray(begun, -30.0) and not watch.is_astray(begun, -21.0)  # a start may be worse than that
    assert [watch.next(step) for step in (0, 49, 50, 99, 400, 900)] == [50, 50, 100, 100, 800, 1000]
    with pytest.raises(ModelError, match="has diverged"):
        watch.lowered(begun._replace(rescues=RESCUES), 1, 50, Sight(-99.0))


def test_chains_of_a_learned_top_are_burned_in() -> None:
    new, learner = tr.stacked([tr.restricted(6, 4, key=0), tr.restricted(4, 3, key=1)]), tr.ReweightedWakeSleep()
    fields = {"visible_bias": [0.5] * 6, "hidden_bias": [0.0] * 4}
    learned = tr.stacked([tr.restricted(couplings=np.ones((6, 4)), **fields), tr.restricted(4, 3, key=1)])
    assert learner.settled(new, 50).top.burn_in == 0 and learner.settled(learned, 50).top.burn_in == 200
    assert tr.ReweightedWakeSleep(learning_rate=0.01).settled(learned, 50).top.burn_in == 0
    watch = Watch(lambda model: None, -11.0, 10_000, first=1600)
    assert [watch.next(step) for step in (0, 1600, 3200)] == [1600, 3200, 4800]


def test_a_model_that_is_learned_already_is_not_spoiled() -> None:
    run = fitted()
    before = float(tr.log_likelihood(run.model, ROWS))
    on = fitted(model=run.model, steps=20, yardstick=False)
    assert on.learner.learning_rate == run.learner.learning_rate / 4 and on.learner.burn_in == 200
    assert float(tr.log_likelihood(on.model, ROWS)) > before - 1.5


# ---------------------------------------------------------------- the yardstick


def test_a_fit_that_learned_nothing_says_so() -> None:
    run, told = heard(lambda: fitted(tr.PersistentCD(learning_rate=1e-6), epochs=60))
    assert told == [run.yardstick.sentence]
    assert told[0].startswith("no better than independent columns: train rows have a log-likelihood of -11.")
    assert run.yardstick.independent == pytest.approx(ALONE, abs=0.1)
    assert heard(lambda: fitted(tr.PersistentCD(learning_rate=1e-6), epochs=60, yardstick=False))[1] == []


def test_independent_columns_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    gaps = ROWS.astype(float)
    gaps[rng.random(gaps.shape) < 0.2] = np.nan
    for rows, model in ((ROWS, MACHINE), (2 * ROWS - 1.0, tr.restricted(tr.Spin(16), 3)), (gaps, MACHINE)):
        on = np.nan_to_num(rows > 0)
        seen = ~np.isnan(rows)
        p = (on * seen).sum(0) / seen.sum(0)
        expected = (seen * np.where(on, np.log(p), np.log1p(-p))).sum(1).mean()
        run = fitted(model=model, rows=rows, epochs=1)
        assert run.yardstick.independent == pytest.approx(expected, abs=0.01)
    reals = rng.normal(size=(300, 2)) + 3
    run = fitted(model=tr.restricted(tr.Gaussian(2), 2), rows=reals, epochs=1)
    normal = -0.5 * (np.log(2 * np.pi) + (reals - reals.mean(0)) ** 2).sum(1).mean()
    assert run.yardstick.independent == pytest.approx(normal, abs=0.01)


def test_looks_at_the_likelihood_and_the_yardstick_take_a_share_of_the_time(monkeypatch: Any) -> None:
    looked: list[str] = []
    monkeypatch.setattr(tr.PersistentCD, "live", lambda *_: looked.append("live"))
    rows = np.random.default_rng(0).integers(0, 2, (200, 40)).astype(np.uint8)
    run = fitted(model=tr.restricted(40, 30, key=0), rows=rows, epochs=2, live=0.1)
    assert not looked  # a fit of a moment cannot afford an annealed likelihood: a rough one says that it is one
    assert run.history[-1].train.kind == "estimate" and run.history[-1].train.upper == math.inf


def test_a_rough_likelihood_is_near_the_exact_one() -> None:
    model = fitted().model
    for key in range(3):
        rough = tr.evaluate.rough_log_likelihood(model, ROWS, jax.random.key(key))
        assert rough == pytest.approx(float(tr.log_likelihood(model, ROWS)), abs=1e-3)
    wide = tr.restricted(couplings=0.3 * np.random.default_rng(0).normal(size=(30, 25)))
    rows = np.asarray(tr.sample(wide, 300, key=1))
    exact = float(tr.log_likelihood(wide, rows, key=0))
    assert tr.evaluate.rough_log_likelihood(wide, rows, jax.random.key(0)) == pytest.approx(exact, abs=0.5)


# ---------------------------------------------------------------- tables that teach little


ODD = {
    "a constant column": np.column_stack([ROWS[:40], np.ones(40, np.uint8)]),
    "two rows": ROWS[:2],
    "one row": ROWS[:1],
    "one column": ROWS[:40, :1],
    "one constant column": np.ones((20, 1), np.uint8),
}


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "kind", [tr.restricted, lambda n, m: tr.SigmoidBeliefNetwork([n, m])], ids=["machine", "layers"]
)
def test_an_odd_table_is_learned(kind: Any, rows: np.ndarray) -> None:
    run, _ = heard(lambda: fitted(model=kind(rows.shape[1], 3), rows=rows))
    assert math.isfinite(float(tr.log_likelihood(run.model, rows)))


def test_rows_without_values_are_named() -> None:
    with pytest.raises(ModelError, match="row 0: every entry is missing; drop the row"):
        fitted(rows=np.full((5, 16), np.nan))


# ---------------------------------------------------------------- the command line


def test_commands_go_on_from_a_model_and_by_the_clock(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    fit = ["fit", "rbm", "rows.npy", "--hidden", "8", "-o"]
    assert command([*fit, "a.safetensors", "--steps", "60", "--decay", "0.3"]) == 0
    said = capsys.readouterr()
    assert "tractable: no better than independent columns" in said.err or "hardly better" in said.err
    assert (
        "for comparison, a train row: independent columns -11." in said.out and "60 steps of PersistentCD(" in said.out
    )
    assert command([*fit, "a.safetensors", "--resume"]) == 2
    assert "there is nothing to resume" in capsys.readouterr().err
    assert command([*fit, "b.safetensors", "--start", "a.safetensors", "--seconds", "0.2", "--no-yardstick"]) == 0
    assert capsys.readouterr().err == ""
    assert command([*fit, "c.safetensors", "--start", "b.safetensors", "--epochs", "2"]) == 0
    wide = ["fit", "rbm", "rows.npy", "--hidden", "9", "-o", "d.safetensors", "--start", "a.safetensors"]
    assert command(wide) == 2 and "--start a.safetensors: expected hidden units [9]" in capsys.readouterr().err
    sbn = ["fit", "sbn", "rows.npy", "--hidden", "8", "-o", "d.safetensors", "--start", "a.safetensors"]
    assert command(sbn) == 2 and "--start a.safetensors" in capsys.readouterr().err
    assert command([*fit, "e.safetensors", "--steps", "5", "--epochs", "2"]) == 2
    assert "epochs and steps both say" in capsys.readouterr().err
