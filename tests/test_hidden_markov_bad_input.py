"""What data may do to a hidden Markov model: an error that says what is wrong, or numbers; never a NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from data import DATA, needs_data

import tractable as tr

CONTINUOUS = ("gaussian", "tied", "diagonal", "spherical")


def fitted(model: tr.HiddenMarkovModel, x: Any, **settings: Any) -> tr.HiddenMarkovModel:
    found: Any = tr.fit(model, x, tr.EM(**settings), epochs=8, progress=False).model
    assert np.isfinite(found.vector()).all()
    return found


def test_sequences_of_a_single_row_say_nothing_of_transitions() -> None:
    rows = [[[v]] for v in (0.0, 0.2, 4.0, 4.1, 4.2)]
    begin = tr.hidden_markov(rows, 2, "diagonal", key=0)
    found = fitted(begin, rows)
    assert found.transition.tolist() == begin.transition.tolist()
    np.testing.assert_allclose(sorted(found.first), [0.4, 0.6], atol=1e-6)
    assert tr.forecast(found, np.array(rows[0]), 2).states.shape == (2, 2)


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_a_constant_column_needs_a_prior(kind: str) -> None:
    x = np.column_stack([np.repeat([0.0, 3.0], 10) + np.tile([0.0, 0.5], 10), np.full(20, 7.0)])
    begin = tr.hidden_markov(x, 2, kind)
    assert fitted(begin, x).emissions.means[:, 1] == pytest.approx(7.0)
    if kind == "spherical":  # whose variance is that of both columns
        fitted(begin, x, prior=0)
        return
    with pytest.raises(tr.ModelError, match="collapsed"):
        fitted(begin, x, prior=0)


@pytest.mark.parametrize("kind", [*CONTINUOUS, "poisson", "bernoulli", "categorical"])
def test_a_column_without_a_value_is_refused_where_learning_begins_and_later_kept(kind: str) -> None:
    x = np.column_stack([np.tile([0.0, 1.0], 5), np.full(10, np.nan)])
    for begin in (tr.hidden_markov, tr.left_right):
        with pytest.raises(tr.ModelError, match="column 1: every entry is missing"):
            begin(x, 2, kind)
    whole = np.column_stack([x[:, 0], np.tile([0.0, 1.0, 1.0, 1.0, 0.0], 2)])
    before = tr.hidden_markov(whole, 2, kind)
    found = fitted(before, x, prior=None if kind in CONTINUOUS else 0)
    if kind not in ("gaussian", "tied"):  # there the column follows the other one
        np.testing.assert_allclose(found.emissions.means[:, 1], before.emissions.means[:, 1], rtol=1e-12)


def test_rows_of_which_nothing_is_known() -> None:
    begin = tr.hidden_markov(np.repeat([0.0, 3.0], 10) + np.tile([0.0, 0.5], 10), 2, "diagonal")
    blank = np.full(4, np.nan)
    assert tr.log_partition(begin, blank).value == pytest.approx(0, abs=1e-14)
    found = fitted(begin, [blank, [1.0, np.nan]], prior=0.1)
    assert np.isfinite(tr.impute(found, blank)).all()


def test_a_category_that_was_not_seen() -> None:
    begin = tr.hidden_markov([0, 1, 2, 1, 0, 2], 2, "categorical")
    with pytest.raises(tr.ModelError, match="row 1, column 0: the value 3 is not a state"):
        tr.infer(begin, [0, 3])
    wide = tr.HiddenMarkovModel(begin.first, begin.transition, tr.CategoricalEmissions([np.full((2, 4), 0.25)]))
    assert tr.log_partition(fitted(wide, [0, 1, 2, 1], prior=0), [3, 0]).value == -np.inf
    assert np.isfinite(tr.log_partition(fitted(wide, [0, 1, 2, 1]), [3, 0]).value)  # pseudo-rows keep it possible


def test_more_states_than_rows() -> None:
    for kind in ("diagonal", "gaussian"):
        assert np.isfinite(tr.log_partition(fitted(tr.hidden_markov([1.0, 2.0], 5, kind), [1.0, 2.0]), [1.5]).value)


@pytest.mark.parametrize("data", [np.array([1j, 2.0]), np.array(["2020-01-01"], "datetime64[D]")])
def test_what_are_no_numbers(data: Any) -> None:
    with pytest.raises(tr.ModelError, match="not numbers"):
        tr.hidden_markov(data, 2, "diagonal")
    with pytest.raises(tr.ModelError, match="not numbers"):
        tr.infer(tr.hidden_markov([0.0, 1.0], 2, "diagonal"), data)


@needs_data
@pytest.mark.parametrize(
    ("k", "log_likelihood", "rates", "bic"),
    [(2, -342.3183, [15.472, 26.125], 703.3), (3, -329.4603, [13.146, 19.721, 29.714], 701.0)],
)
def test_earthquakes_as_published(k: int, log_likelihood: float, rates: list, bic: float) -> None:
    """Zucchini & MacDonald, Hidden Markov Models for Time Series, 2009: stationary Poisson models of 1900-2006."""
    assert DATA is not None
    counts = tr.read_data(DATA / "sequences" / "earthquakes_1900_2006.csv")[:, 1:]
    start = tr.HiddenMarkovModel("stationary", 0.8 * np.eye(k) + 0.2 / k, tr.PoissonEmissions(np.round(rates)[:, None]))
    found: Any = tr.fit(start, counts, tr.EM(prior=0, tolerance=1e-9), epochs=400, progress=False).model
    assert tr.log_partition(found, counts).value == pytest.approx(log_likelihood, abs=6e-5)
    assert found.emissions.rates.ravel() == pytest.approx(rates, abs=2e-3)
    assert tr.bic(found, counts).value == pytest.approx(bic, abs=0.051)
