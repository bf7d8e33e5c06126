"""The libraries for the levels of x86-64: which is taken, what is said without one, and that all answer alike."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tractable as tr
from tractable.kernels import levels

ASIA = Path(tr.__file__).parent / "examples" / "asia.bif"

ANSWERS = """
import json, sys
import jax, jax.numpy as jnp
import numpy as np
import tractable as tr
from tractable.kernels import enumeration, rows, xla

rng = np.random.default_rng(0)
net = tr.load(sys.argv[1])
post = tr.infer(net, {"asia": "yes"})
hmm = tr.HiddenMarkovModel(rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5), 5),
                           tr.CategoricalEmissions([rng.dirichlet(np.ones(4), 5)]))
n = 6
grid = tr.MarkovNetwork(
    {f"{i},{j}": tuple("abc") for i in range(n) for j in range(n)},
    [((f"{i},{j}", f"{i + a},{j + b}"), rng.random((3, 3)))
     for i in range(n) for j in range(n) for a, b in ((0, 1), (1, 0)) if i + a < n and j + b < n],
)
W, c, b = (rng.normal(size=shape) for shape in ((14, 9), 14, 9))
sums = enumeration.expectations(W, c, b)
gaussians = rows.gaussians(rng.normal(size=(3, 4)), np.tile(np.eye(4), (3, 1, 1)), np.zeros(3))
x = (rng.random((20, 70)) < 0.3).astype(np.float32)
numbers = jnp.arange(20, dtype=jnp.uint32)
assert xla.available()
found = {
    "network": [post.log_partition.value, *np.concatenate([post.marginals.array(v) for v in net.states])],
    "grid": float(tr.log_partition(grid)),
    "sequence": tr.infer(hmm, [rng.integers(0, 4, 300) for _ in range(9)]).log_partition.value,
    "enumeration": [sums.log_z, *sums.h, *np.ravel(sums.hx), *np.ravel(sums.hh)],
    "rows": rows.densities(rng.normal(size=(50, 4)), gaussians).ravel(),
    "product": np.ravel(jax.jit(xla.binary_dot)(x, rng.normal(size=(70, 33)).astype(np.float32))),
    "bits": np.ravel(xla.counter_bits(jnp.arange(2, dtype=jnp.uint32), numbers, 37)),
}
print(json.dumps({name: np.ravel(value).tolist() for name, value in found.items()}))
"""


def run(code: str, *argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, which loads its own library."""
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code, *argv], env=environment, capture_output=True, text=True)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder with a library for each level, on a processor of the level that the test sets."""
    monkeypatch.delenv("TRACTABLE_KERNELS", raising=False)
    for name in ("v2", "v3", "v4", "processor"):
        (tmp_path / f"_kernels.{name}{levels.SUFFIX}").touch()

    def on(level: int) -> Path:
        monkeypatch.setattr(ctypes, "CDLL", lambda path: SimpleNamespace(x86_64_level=lambda: level))
        return tmp_path

    return on


@pytest.mark.parametrize(("level", "name"), [(2, "v2"), (3, "v3"), (4, "v4")])
def test_the_highest_that_the_processor_runs_is_taken(installed, level: int, name: str) -> None:
    assert levels.library_path(installed(level)).name == f"_kernels.{name}{levels.SUFFIX}"


def test_one_that_is_not_there_is_done_without(installed) -> None:
    folder = installed(4)
    (folder / f"_kernels.v4{levels.SUFFIX}").unlink()
    assert levels.library_path(folder).name == f"_kernels.v3{levels.SUFFIX}"


def test_one_for_this_machine_comes_first(installed) -> None:
    folder = installed(1)
    (folder / f"_kernels{levels.SUFFIX}").touch()
    assert levels.library_path(folder).name == f"_kernels{levels.SUFFIX}"


def test_a_level_can_be_asked_for(installed, monkeypatch) -> None:
    monkeypatch.setenv("TRACTABLE_KERNELS", " V2 ")
    assert levels.library_path(installed(4)).name == f"_kernels.v2{levels.SUFFIX}"
    monkeypatch.setenv("TRACTABLE_KERNELS", "off")  # of the roads that have another
    assert levels.library_path(installed(3)).name == f"_kernels.v3{levels.SUFFIX}"


@pytest.mark.parametrize("asked", ["v4", "v9", "native"])
def test_one_that_the_processor_lacks_is_refused_in_a_line(installed, monkeypatch, asked: str) -> None:
    monkeypatch.setenv("TRACTABLE_KERNELS", asked)
    with pytest.raises(
        ImportError, match=rf"^TRACTABLE_KERNELS is '{asked}', and this machine has v2, v3, off; [^\n]*$"
    ):
        levels.library_path(installed(3))


def test_a_processor_below_the_baseline_is_told_so_in_a_line(installed) -> None:
    with pytest.raises(ImportError, match=r"^[^\n]*x86-64-v2[^\n]*TRACTABLE_MARCH=native pip install \.$"):
        levels.library_path(installed(1))


def test_without_any_the_line_says_how_to_build_them(tmp_path) -> None:
    with pytest.raises(ImportError, match=r"^[^\n]*missing from [^\n]*pip install \.$"):
        levels.library_path(tmp_path)


def test_the_command_line_says_it_in_a_line() -> None:
    code = "from tractable.cli import main; main()"
    done = run(code, "query", ASIA, "--evidence", "asia=yes", TRACTABLE_KERNELS="v9")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("tractable: TRACTABLE_KERNELS is 'v9'") and done.stderr.count("\n") == 1


def test_all_levels_give_the_same_answers() -> None:
    """Up to rounding: a product and a sum in one instruction are rounded once. Random bits are the same."""
    if len(names := list(levels.available())) < 2:
        pytest.skip("there is one library on this machine")
    found = {}
    for name in names:
        done = run(ANSWERS, ASIA, TRACTABLE_KERNELS=name)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
    first = found[names[0]]
    for name in names[1:]:
        assert found[name].keys() == first.keys()
        assert found[name].pop("bits") == first["bits"]
        for quantity, value in found[name].items():
            tolerance = 1e-5 if quantity == "product" else 1e-11  # in single precision
            np.testing.assert_allclose(value, first[quantity], rtol=tolerance, atol=tolerance, err_msg=quantity)
