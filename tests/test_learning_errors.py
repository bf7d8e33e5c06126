"""What a fit refuses, and how: the place, what was expected, what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tractable.formats import FormatError
from tractable.learning import (
    ExactGradient,
    PersistentCD,
    PseudoLikelihood,
    TemperedPCD,
    TrajectoryTempering,
    fit,
    log_partition_of,
    pretrain,
)
from tractable.models import ModelError
from tractable.models.boltzmann_machine import boltzmann, deep, restricted
from tractable.models.units import Categorical, Gaussian, Spin
from tractable.plan import BudgetError, budget

ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10, np.float32)


def changed(row: int, column: Any, value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


def quietly(rows: Any, learner: Any = None, model: Any = None, **options: Any) -> Any:
    learner = learner or PersistentCD(batch_size=10)
    return fit(model or restricted(4, 2), rows, learner, epochs=2, progress=False, **{"live": 0} | options)


BAD_DATA = {
    "outside": (changed(7, 2, 2), r"row 7, column 2: the value 2\.0 is not one of this unit: 0 or 1"),
    "infinite": (changed(3, 1, np.inf), r"row 3, column 1: the value inf"),
    "all missing": (changed(5, slice(None), np.nan), r"row 5: every entry is missing; drop the row"),
    "too wide": (np.zeros((5, 6)), r"the model has 4 units, the data 6 columns"),
    "no rows": (np.zeros((0, 4)), r"there are no rows"),
    "one row": (np.zeros(4), r"data must have the shape \[n_rows, n_visible\], got \(4,\)"),
    "text": (np.array([["0", "1", "1", "no"]]), r"row 0, column .3.: .no. is no number"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_learned_from(name: str) -> None:
    rows, message = BAD_DATA[name]
    with pytest.raises(ModelError, match=message):
        quietly(rows)
    with pytest.raises(ModelError, match=f"validation: .*{message}" if "row" in name[-4:] else message):
        quietly(ROWS, validation=rows)


@pytest.mark.parametrize("units", [Spin(4), Categorical(4, 3), Gaussian(4)], ids=lambda units: type(units).__name__)
def test_every_kind_of_unit_names_the_place_of_a_bad_value(units: Any) -> None:
    bad = changed(2, 3, np.inf)
    bad[bad == 0] = 1
    with pytest.raises(ModelError, match="row 2, column 3: the value inf"):
        quietly(bad, model=restricted(units, 2))


def test_the_place_is_counted_over_all_rows() -> None:
    rows = np.zeros((10_000, 4), np.uint8)
    rows[9_000, 1] = 7
    with pytest.raises(ModelError, match="row 9000, column 1: the value 7"):
        quietly(rows)


def test_unknown_options_and_sizes_that_are_none() -> None:
    with pytest.raises(ModelError, match=r"unknown option 'checkpiont'.*checkpoint"):
        quietly(ROWS, checkpiont="here")
    with pytest.raises(ModelError, match="at least one row, got batch_size=0"):
        quietly(ROWS, PersistentCD(batch_size=0))
    with pytest.raises(ModelError, match="two temperatures, got n_temperatures=1"):
        quietly(ROWS, TemperedPCD(n_temperatures=1))
    with pytest.raises(ModelError, match="two checkpoints, got n_checkpoints=1"):
        quietly(ROWS, TrajectoryTempering(n_checkpoints=1))
    with pytest.raises(ModelError, match="from 1 to 4, got 5"):
        quietly(ROWS, PseudoLikelihood(n_units=5))


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize("kind", [PersistentCD, TemperedPCD, TrajectoryTempering])
def test_more_chains_than_memory_are_refused_with_their_bytes(kind: Any) -> None:
    with pytest.raises(ModelError, match=r"takes about [\d.e+]+ .iB of memory \(\d{13,} bytes\).*fewer chains"):
        quietly(ROWS, kind(n_chains=10**11))


def test_larger_batches_and_machines_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "physical_memory", lambda: 2.0**20)
    quietly(ROWS)
    with pytest.raises(ModelError, match=r"there are 1 MiB: take smaller batches \(batch_size=20000\)"):
        quietly(np.tile(ROWS, (1000, 1)), PersistentCD(batch_size=10**6))
    with pytest.raises(ModelError, match="fewer hidden units"):
        quietly(ROWS, model=restricted(4, 20_000))


def test_the_exact_gradient_has_a_price() -> None:
    with pytest.raises(BudgetError, match=r"2\^40"):
        quietly(np.zeros((3, 50)), ExactGradient(), restricted(50, 40))
    chain = boltzmann(60, [(i, i + 1) for i in range(59)])
    with pytest.raises((ModelError, BudgetError), match=r"too many states|refused"):
        quietly(np.zeros((3, 60)), ExactGradient(), chain)


def test_the_pseudo_likelihood_needs_a_closed_form() -> None:
    with pytest.raises(ModelError, match="here they interact; use PersistentCD"):
        quietly(ROWS, PseudoLikelihood(), deep([4, 3, 2]))
    with pytest.raises(ModelError, match="continuous visible units beside continuous hidden ones"):
        quietly(ROWS, PseudoLikelihood(), restricted(Gaussian(4), Gaussian(2)))


def test_only_layers_can_be_pretrained() -> None:
    with pytest.raises(ModelError, match=r"layers each coupled to the next, as in deep"):
        pretrain(boltzmann(4, hidden=2), ROWS)
    with pytest.raises(ModelError, match="hidden1 has real-valued units"):
        pretrain([4, Gaussian(3), 2], ROWS)
    with pytest.raises(ModelError, match="unknown option 'speed'"):
        pretrain([4, 3, 2], ROWS, speed=1)


def test_only_a_trajectory_has_a_partition_function() -> None:
    with pytest.raises(ModelError, match="there is no trajectory"):
        log_partition_of(quietly(ROWS).training)


# ---------------------------------------------------------------- checkpoints


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "fit.safetensors"
    quietly(ROWS, checkpoint=str(path))
    return path


def test_a_checkpoint_of_another_fit_is_refused(saved: Path) -> None:
    for settings, what in [
        ({"model": restricted(4, 3)}, "its model is Boltzmann"),
        ({"learner": PersistentCD(batch_size=5)}, "its method is PersistentCD"),
        ({"key": 1}, "its key is"),
        ({"rows": 1 - ROWS}, "its data is"),
    ]:
        with pytest.raises(FormatError, match=f"is of another fit: {what}.*start without --resume"):
            quietly(**{"rows": ROWS, "checkpoint": str(saved), "resume": True} | settings)


def edited(path: Path, tmp_path: Path, **changes: Any) -> str:
    """The checkpoint with other entries in its header."""
    header = path.read_bytes()
    length = int.from_bytes(header[:8], "little")
    ((name, text),) = json.loads(header[8 : 8 + length])["__metadata__"].items()
    target = str(tmp_path / "other.safetensors")
    save_file(load_file(path), target, {name: json.dumps(json.loads(text) | changes)})
    return target


def test_a_checkpoint_of_another_version_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"is of format version 99, which tractable"):
        quietly(ROWS, checkpoint=edited(saved, tmp_path, version=99), resume=True)


def test_a_damaged_checkpoint_is_refused(saved: Path, tmp_path: Path) -> None:
    whole, path = saved.read_bytes(), tmp_path / "cut.safetensors"
    for content in (b"", whole[: len(whole) // 2], b"\xff" * 100, whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="is not a checkpoint of a fit, or damaged"):
            quietly(ROWS, checkpoint=str(path), resume=True)


def test_a_checkpoint_that_cannot_be_written_is_found_out_before_the_first_step(tmp_path: Path) -> None:
    seen: list[Any] = []
    with pytest.raises(FormatError, match="cannot be written"):
        quietly(ROWS, checkpoint=str(tmp_path / "no" / "folder"), callback=seen.append)
    assert not seen


def test_a_disk_that_fills_up_costs_the_checkpoint_and_not_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fit.safetensors"

    def fill_up(epoch: Any) -> None:
        def full(_: Any) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", full)

    with pytest.warns(RuntimeWarning, match="goes on without a new checkpoint.*cannot be written: No space left"):
        run = quietly(ROWS, checkpoint=str(path), callback=fill_up)
    assert len(run.history) == 2
    assert os.listdir(tmp_path) == ["fit.safetensors"]
    monkeypatch.undo()
    assert len(quietly(ROWS, checkpoint=str(path), resume=True).history) == 2
