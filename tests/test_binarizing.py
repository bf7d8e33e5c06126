"""Gray values, spins and categories: what an error says of them, and what `binarize` makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run
from tractable.models.binarizing import drawn_by_content

GRAY = np.random.default_rng(0).random((60, 4))
BITS = (GRAY > 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("units", "rows", "words"),
    [
        ("bernoulli", GRAY, "gray values are cut with binarize=0.5 (--binarize 0.5"),
        ("bernoulli", GRAY, "binarize='draw' (--binarize draw)"),
        ("bernoulli", 2.0 * BITS - 1, "−1 and 1 are values of Spin(n) (units='spin', --units spin)"),
        ("bernoulli", 3 * BITS, "whole numbers are categories of Categorical(n, q) (units='categorical'"),
        ("bernoulli", 3 * BITS, "cut with binarize=1.5"),
        ("bernoulli", 10 * GRAY - 5, "real numbers are values of Gaussian(n) (units='gaussian', --units gaussian)"),
        ("spin", BITS, "0 and 1 are values of Bernoulli(n)"),
        ("spin", 3 * BITS, "whole numbers are categories"),
        ("spin", GRAY, "real numbers are values of Gaussian(n)"),
        ("categorical", 3 * BITS, "so many states are categories=4 (--categories 4)"),
        ("categorical", 2 * BITS.astype(int) - 1, "−1 and 1 are values of Spin(n)"),
        ("categorical", GRAY, "real numbers are values of Gaussian(n)"),
    ],
)
def test_what_is_outside_the_domain_is_said_with_the_remedy(units: str, rows: np.ndarray, words: str) -> None:
    with pytest.raises(tr.ModelError, match=r"row \d+, column \d: the value .* is not one of this unit") as caught:
        tr.fit(tr.restricted(4, 2, units=units), rows, epochs=1)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_same_in_models_of_layers_and_in_evidence() -> None:
    for call in (
        lambda: tr.fit(tr.SigmoidBeliefNetwork([4, 2]), GRAY, epochs=1),
        lambda: tr.infer(tr.restricted(4, 2), GRAY),
        lambda: tr.log_likelihood(tr.SigmoidBeliefNetwork([4, 2]), GRAY),
    ):
        with pytest.raises(tr.ModelError, match=r"gray values are cut with binarize=0\.5"):
            call()


class TestBinarized:
    def test_values_above_the_threshold_are_one(self) -> None:
        assert tr.binarized([[0, 127, 128, 255]], 127).tolist() == [[0, 0, 1, 1]]
        assert tr.binarized({"a": [0.2, 0.7]}, 0.5).tolist() == [[0], [1]]

    def test_what_is_missing_stays_missing(self) -> None:
        for how in (0.5, "draw"):
            found = tr.binarized([[0.0, np.nan, 1.0]], how)
            assert np.array_equal(found, [[0, np.nan, 1]], equal_nan=True)

    def test_draws_have_these_probabilities_and_hang_on_the_key(self) -> None:
        p = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
        found = tr.binarized(np.tile(p, (20000, 1)), "draw", key=3)
        assert found.mean(0) == pytest.approx(p, abs=4 * 0.5 / 20000**0.5) and set(found[:, [0, 4]].sum(0)) == {
            0,
            20000,
        }
        assert np.array_equal(found, tr.binarized(np.tile(p, (20000, 1)), "draw", key=3))
        assert not np.array_equal(found, tr.binarized(np.tile(p, (20000, 1)), "draw", key=4))

    def test_draws_by_content_have_these_probabilities_whatever_rows_stand_beside(self) -> None:
        rows = np.random.default_rng(1).random((20000, 3))
        found = drawn_by_content(rows, 5)
        for low, high in ((0, 0.1), (0.4, 0.5), (0.9, 1)):
            of = (rows >= low) & (rows < high)
            assert found[of].mean() == pytest.approx(rows[of].mean(), abs=4 * 0.5 / of.sum() ** 0.5)
        assert np.abs(np.asarray(np.corrcoef((found - rows).T))[np.triu_indices(3, 1)]).max() < 4 / 20000**0.5
        assert np.array_equal(found[7:9], drawn_by_content(rows[7:9], 5))

    @pytest.mark.parametrize(
        ("rows", "how", "words"),
        [
            ([[0.5, 2.0]], "draw", "row 0, column 1: the value 2.0 is no probability"),
            ([[0.5]], "drawn", "expected a threshold such as 0.5, or 'draw', got 'drawn'"),
            ([[0.5]], float("nan"), "expected a threshold"),
            ([[0.5]], True, "expected a threshold"),
            ([["x"]], 0.5, "row 0, column '0': 'x' is no number"),
        ],
    )
    def test_what_cannot_be_is_said(self, rows: object, how: object, words: str) -> None:
        with pytest.raises(tr.ModelError, match=words):
            tr.binarized(rows, how)  # pyright: ignore


class TestFit:
    learner = tr.ExactGradient(batch_size=100, learning_rate=0.5)

    def test_a_threshold_is_the_same_as_cutting_before(self) -> None:
        one = tr.fit(tr.restricted(4, 2), GRAY, self.learner, binarize=0.5, validation=GRAY, epochs=5)
        two = tr.fit(tr.restricted(4, 2), BITS, self.learner, validation=BITS, epochs=5)
        assert np.array_equal(one.model.couplings["visible", "hidden"], two.model.couplings["visible", "hidden"])
        assert one.history[-1].validation == two.history[-1].validation

    def test_what_is_drawn_anew_in_each_epoch_has_the_means_of_the_gray_values(self) -> None:
        """Without couplings the likelihood of all draws is highest at the logits of the means of the data."""
        gray = np.tile(GRAY[:1], (50, 1))
        free = tr.boltzmann(4, edges=[])
        run = tr.fit(free, gray, tr.ExactGradient(batch_size=50, learning_rate=2.0), binarize="draw", epochs=400)
        found = 1 / (1 + np.exp(-np.asarray(run.model.fields["visible"])))
        once = tr.binarized(gray, "draw").mean(0)
        # the rate falls from 2 to 0 over 400 epochs of 50 draws: as many as some thousand rows
        assert found == pytest.approx(GRAY[0], abs=4 * 0.5 / 2000**0.5)
        assert abs(once - GRAY[0]).max() > 4 * 0.5 / 2000**0.5  # one draw of 50 rows is further off

    def test_a_fit_that_is_killed_goes_on_to_the_same_bits(self, tmp_path: Path) -> None:
        how = {"binarize": "draw", "checkpoint": str(tmp_path / "c"), "live": 0.0}
        learner = tr.PersistentCD(batch_size=10)
        whole = tr.fit(tr.restricted(4, 2), GRAY, learner, epochs=4, binarize="draw", live=0.0)
        stop = {"callback": lambda record: record.epoch == 2}
        tr.fit(tr.restricted(4, 2), GRAY, learner, epochs=4, **how, **stop)
        found = tr.fit(tr.restricted(4, 2), GRAY, learner, epochs=4, **how, resume=True)
        assert np.array_equal(found.model.couplings["visible", "hidden"], whole.model.couplings["visible", "hidden"])

    @pytest.mark.parametrize("how", [0.5, "draw"])
    def test_layers_take_it_too(self, how: float | str) -> None:
        learner = tr.ReweightedWakeSleep(batch_size=20)
        run = tr.fit(tr.SigmoidBeliefNetwork([4, 2]), GRAY, learner, binarize=how, epochs=2, validation=GRAY)
        assert run.history[-1].validation is not None and np.isfinite(run.history[-1].validation.value)
        machine = tr.PersistentCD(batch_size=20)
        stack = tr.fit(tr.DeepBeliefNetwork([4, 3, 2]), GRAY, tr.Layerwise(machine=machine), binarize=how, epochs=1)
        assert len(stack.history) == 2

    def test_em_says_who_takes_it(self) -> None:
        with pytest.raises(tr.ModelError, match=r"takes no option 'binarize'.*tr\.binarized"):
            tr.fit(tr.mixture(BITS, 2, "bernoulli"), BITS, binarize=0.5)


class TestCommand:
    def fitted(self, tmp_path: Path, *more: str, command: str = "rbm", rows: np.ndarray = GRAY) -> int:
        np.save(tmp_path / "rows.npy", rows)
        model, options = str(tmp_path / "m.safetensors"), ["--epochs", "1", "--batch-size", "20", "--json"]
        return run(["fit", command, str(tmp_path / "rows.npy"), "--hidden", "2", "-o", model, *options, *more])

    @pytest.mark.parametrize("command", ["rbm", "sbn"])
    @pytest.mark.parametrize("how", ["0.5", "draw"])
    def test_gray_rows_are_cut_or_drawn(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, command: str
    ) -> None:
        assert self.fitted(tmp_path, "--binarize", how, command=command) == 0
        found = json.loads(capsys.readouterr().out)["log_likelihood"]["train"]
        bits = tr.binarized(GRAY, how if how == "draw" else float(how))
        assert found["value"] == pytest.approx(tr.log_likelihood(tr.load(tmp_path / "m.safetensors"), bits).value)

    @pytest.mark.parametrize(
        ("rows", "more", "words"),
        [
            (GRAY, (), "gray values are cut with binarize=0.5 (--binarize 0.5"),
            (2.0 * BITS - 1, (), "--units spin"),
            (GRAY, ("--binarize", "half"), "--binarize: expected a threshold such as 0.5, or draw, got 'half'"),
            (GRAY, ("--binarize", "nan"), "--binarize: expected a threshold"),
            (9 * GRAY, ("--binarize", "draw"), "is no probability: to be drawn they are from 0 to 1; divide"),
            (GRAY, ("--binarize", "0.5", "--units", "gaussian"), "none of these columns holds any: leave it out"),
        ],
    )
    def test_what_cannot_be_is_said_in_a_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: np.ndarray, more: tuple[str, ...], words: str
    ) -> None:
        assert self.fitted(tmp_path, *more, rows=rows) == 2
        assert words in capsys.readouterr().err
