"""Files of earlier versions are read, their fits go on; those of later ones, and damaged checkpoints, are refused."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from shutil import copy
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from earlier import FIXTURES, fits, models, run
from files_zoo import difference
from safetensors.numpy import load, save

import tractable as tr
from tractable.learning.em.leaves import leaves

VERSIONS = sorted(path.name for path in FIXTURES.iterdir())
BOTH = ["fit_exact", "fit_em"]
"""A fit by gradients, and one by EM."""

LATER = (
    rf"is of format version 99, which tractable 7\.0\.0 reads; this is {re.escape(tr.__version__)}: update tractable"
)


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that this version writes."""
    folder = tmp_path_factory.mktemp("own")
    for name, model in models().items():
        tr.save(model, folder / f"{name}.safetensors")
    for name in BOTH:
        run(fits()[name](), folder / f"{name}.checkpoint", stop=3)
    return folder


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_of_an_earlier_version_is_what_it_was(version: str, name: str) -> None:
    assert difference(models()[name], tr.load(FIXTURES / version / f"{name}.safetensors")) is None


def arrays(model: Any) -> list[np.ndarray]:
    """All parameters, of a model of arrays or of records."""
    found = jax.tree.leaves(model) if isinstance(model, eqx.Module) else [a for _, a in leaves(model)]
    return [np.asarray(a) for a in found]


@pytest.mark.parametrize("name", fits())
@pytest.mark.parametrize("version", VERSIONS)
def test_a_fit_of_an_earlier_version_goes_on_to_the_same_end(version: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "fit"
    copy(FIXTURES / version / f"{name}.checkpoint", path)
    found = arrays(run(fits()[name](), path, resume=True))
    for a, b in zip(found, arrays(tr.load(FIXTURES / version / f"{name}.safetensors")), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)  # other processors round in another way
    assert written(path)["written_by"] == tr.__version__  # what goes on is kept as this version keeps it


def test_each_file_has_its_test() -> None:
    for version in VERSIONS:
        there = {path.stem for path in (FIXTURES / version).iterdir()}
        assert there == {*models(), *fits()}


def written(path: Path) -> dict[str, Any]:
    """What a file says of itself."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    return json.loads(*header.values())


def changed(path: Path, name: str, **about: Any) -> None:
    """The file with other words about itself."""
    path.write_bytes(save(load(path.read_bytes()), {name: json.dumps(written(path) | about)}))


@pytest.mark.parametrize("name", models())
def test_a_file_says_who_wrote_it_and_who_reads_it(name: str, own: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    copy(own / path.with_stem(name).name, path)
    about = written(path)
    assert (about["version"], about["written_by"], about["read_since"]) == (2, tr.__version__, "0.2.0")
    changed(path, "tractable", version=99, written_by="7.1.0", read_since="7.0.0")
    with pytest.raises(tr.FormatError, match=rf"m\.safetensors: {LATER}$"):
        tr.load(path)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"version": 3, "read_since": 4}, "format version 3, which a later tractable reads; this is"),
        ({"version": 3, "read_since": "x" * 999}, f"format version 3, which tractable {'x' * 20} reads"),
        ({"version": None}, "expected a format version from 1 to 2, found 'None'"),
        ({"version": True}, "found 'True'"),
        ({"version": 0}, "found '0'"),
        ({"version": "2"}, "found '2'"),
        ({"version": 1.5}, "found '1.5'"),
    ],
)
@pytest.mark.parametrize("name", ["bayesian", "deep", "offset"])
def test_a_version_that_is_none_is_refused(
    name: str, about: dict[str, Any], said: str, own: Path, tmp_path: Any
) -> None:
    path = tmp_path / "m.safetensors"
    copy(own / f"{name}.safetensors", path)
    changed(path, "tractable", **about)
    with pytest.raises(tr.FormatError) as caught:
        tr.load(path)
    assert said in str(caught.value)


# ---------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("name", BOTH)
def test_a_checkpoint_of_a_later_version_is_refused(name: str, own: Path, tmp_path: Path) -> None:
    path = tmp_path / "fit"
    copy(own / f"{name}.checkpoint", path)
    changed(path, "tractable checkpoint", version=99, read_since="7.0.0")
    with pytest.raises(tr.FormatError, match=rf"fit: {LATER}, or start without --resume$"):
        run(fits()[name](), path, resume=True)


@pytest.mark.parametrize(("name", "times"), [(BOTH[0], 10), (BOTH[1], 400)])
def test_a_checkpoint_with_a_flipped_bit_is_refused_and_left(name: str, times: int, own: Path, tmp_path: Path) -> None:
    """Any bit: of the arrays, of their names and shapes, of the record of epochs, of the checksum."""
    whole, path, fit = (own / f"{name}.checkpoint").read_bytes(), tmp_path / "fit", fits()[name]()
    for bit in np.random.default_rng(0).choice(8 * len(whole), times, replace=False).tolist():
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(tr.FormatError, match=r"fit: (is not a checkpoint of a fit, or damaged|is of|expected)"):
            run(fit, path, resume=True)
        assert path.read_bytes() == flipped


@pytest.mark.parametrize(("name", "step"), [(BOTH[0], 997), (BOTH[1], 97)])
def test_a_checkpoint_that_is_cut_short_is_refused(name: str, step: int, own: Path, tmp_path: Path) -> None:
    whole, path, fit = (own / f"{name}.checkpoint").read_bytes(), tmp_path / "fit", fits()[name]()
    for size in [*range(0, len(whole), step), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(tr.FormatError, match="is not a checkpoint of a fit, or damaged"):
            run(fit, path, resume=True)


def _may_change_places(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether nothing but a checksum tells; which starts a killed fit has come to is left to chance."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() != b.tobytes()


def test_arrays_in_each_others_place_are_refused(own: Path, tmp_path: Path) -> None:
    """Whole as a file, with the right header, and of the right shapes."""
    path = tmp_path / "fit"
    copy(own / "fit_em.checkpoint", path)
    found = load(path.read_bytes())
    one, two = next(pair for pair in combinations(found, 2) if _may_change_places(*(found[name] for name in pair)))
    found[one], found[two] = found[two], found[one]
    path.write_bytes(save(found, {"tractable checkpoint": json.dumps(written(path))}))
    with pytest.raises(tr.FormatError, match=r"damaged \(its checksum does not fit what it holds\); start without"):
        run(fits()["fit_em"](), path, resume=True)
