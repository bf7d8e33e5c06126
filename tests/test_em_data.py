"""EM on data that are awkward or large: documented behaviour or an error, never a NaN; rows on disk stay there."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_mixtures import KINDS_AND_MIXED, MIXED, K, rows_of

import tractable as tr
from tractable.learning.em import exact


def begun(kind: str, x: np.ndarray, n_components: int = K) -> tr.Mixture:
    return tr.mixture(x, n_components, MIXED if kind == "mixed" else kind)


def finite(model: tr.Mixture, x: np.ndarray) -> bool:
    found = (model.vector(), tr.log_likelihood(model, x).per_row.value, tr.transform(model, x), tr.impute(model, x))
    return all(np.isfinite(array).all() for array in found)


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_more_components_than_rows_and_clusters_without_rows(kind: str) -> None:
    x = rows_of(kind, 4, seed=1)
    run = tr.fit(begun(kind, x, 9), x, epochs=30)
    assert run.model.n_components == 9 and finite(run.model, x)
    weights = np.r_[1.0, np.zeros(8)]
    empty = tr.fit(tr.Mixture(weights, run.model.free), x, epochs=5).model
    assert finite(empty, x) and (empty.weights[1:] == 0).all()


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_rows_and_columns_without_entries(kind: str) -> None:
    """A row of which nothing is known says nothing; a column of which nothing is known cannot be learned."""
    x = rows_of(kind, 30, seed=1)
    more = np.concatenate([x, np.full((5, x.shape[1]), np.nan)])
    one, two = (tr.fit(begun(kind, x), rows, tr.EM(prior=0.1, tolerance=0), epochs=5) for rows in (x, more))
    assert finite(two.model, more) and tr.log_likelihood(two.model, more[-1:]).value == pytest.approx(0, abs=1e-12)
    assert one.history[0].train.value * 30 == pytest.approx(two.history[0].train.value * 35, rel=1e-9)
    x[:, 1] = np.nan
    with pytest.raises(tr.ModelError, match="column 1: every entry is missing; drop the column"):
        begun(kind, x)


def test_a_column_that_has_lost_its_entries_since_the_start_keeps_finite_numbers() -> None:
    x = rows_of("gaussian", 40)
    model = begun("gaussian", x)
    x[:, 1] = np.nan
    assert finite(tr.fit(model, x, epochs=10).model, x)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.array([["a", "b", "c"]]), "not numbers"),
        (np.array([[None, {}, 1]], object), "not numbers"),
        (np.ones((4, 3), complex), "not numbers"),
        (np.ones((2, 2, 3)), "shape"),
        (np.array([[0, 7, 1]]), "row 0, column 1: the value 7 is not a state"),
        (np.array([[0, 1, -1]]), "column 2"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_wrong_types_and_states_never_seen(rows: np.ndarray, words: str) -> None:
    model = begun("categorical", rows_of("categorical"))
    for verb in (tr.fit, tr.log_likelihood, tr.infer, tr.impute):
        with pytest.raises(tr.ModelError, match=words):
            verb(model, rows)


def test_restarts_do_not_depend_on_each_other_or_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows_of("mixed", 60, missing=0.1)
    model, learner = begun("mixed", x), tr.EM(start="k-means++", tolerance=1e-3)
    runs = {}
    for cores in (1, 4):
        monkeypatch.setattr(exact, "n_cores", lambda cores=cores: cores)
        monkeypatch.setattr(exact, "CANDIDATES", 2)
        for n in (1, 2, 5):
            runs[cores, n] = tr.fit(model, x, tr.EM(n_init=n, start=learner.start, tolerance=1e-3), key=7)
    for n in (1, 2, 5):
        assert runs[1, n].objectives == runs[4, n].objectives == runs[1, 5].objectives[:n]
        assert (runs[1, n].model.vector() == runs[4, n].model.vector()).all()


STORED = {"bernoulli": np.uint8, "diagonal": np.float64, "gaussian": np.float32, "categorical": np.uint8}
LEARNERS = [tr.IncrementalEM(n_blocks=3), tr.OnlineEM(), tr.EM()]


@pytest.mark.parametrize(("kind", "dtype"), STORED.items())
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
def test_rows_on_disk_are_never_held_as_a_whole(kind: str, dtype: Any, learner: tr.EM, tmp_path: Path) -> None:
    """What NumPy allocates at its peak is a small part of the rows in double precision."""
    n, d = 60_000, 24
    path = tmp_path / "rows.npy"
    on_disk = np.lib.format.open_memmap(path, "w+", dtype, (n, d))
    for start in range(0, n, 10_000):
        on_disk[start : start + 10_000] = np.random.default_rng(start).integers(0, 2, (10_000, d))
    on_disk.flush()
    rows = np.load(path, mmap_mode="r")
    model = tr.mixture(np.asarray(rows[:500]), 3, kind)
    tracemalloc.start()
    tr.fit(model, rows, learner, epochs=1, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * n * d * 8
