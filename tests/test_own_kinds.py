"""Kinds from outside the library: units that are saved, loaded and inferred; what `load` could not read is refused."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from files_zoo import difference
from safetensors.numpy import load, save

import tractable as tr
from tractable.learning.layers.layerwise import Twice
from tractable.models.units import Bernoulli, Units


class Binomial(Units):
    """x ∈ {0, …, trials}, so many successes: q(x) = C(trials, x), Γ(θ) = trials log(1 + e^θ)."""

    n: int = eqx.field(static=True)
    trials: int = eqx.field(static=True)

    @property
    def n_states(self) -> float:
        return self.trials + 1

    def cumulant(self, theta: Any) -> Any:
        return self.trials * jax.nn.softplus(theta)

    def log_base(self, features: Any) -> Any:
        lgamma, m = jax.scipy.special.gammaln, jnp.asarray(self.trials, features.dtype)
        return (lgamma(m + 1) - lgamma(features + 1) - lgamma(m - features + 1)).sum(-1)

    def sample(self, key: Any, rows: Any, theta: Any) -> Any:
        keys = jax.random.split(key, self.trials)
        return sum(Bernoulli(self.n).sample(own, rows, theta) for own in keys)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        p = (np.asarray(mean) * n_rows + 0.5) / (self.trials * n_rows + 1)
        return np.log(p) - np.log1p(-p)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return (values >= 0) & (values <= self.trials) & (values == np.floor(values))

    @property
    def domain(self) -> str:
        return f"a whole number from 0 to {self.trials}"

    def take(self, units: np.ndarray) -> Binomial:
        return Binomial(len(units), self.trials)

    def states(self) -> np.ndarray:
        return np.arange(self.trials + 1.0)[:, None]


class Marked(Bernoulli):
    """Units that carry something of every kind that a file holds."""

    marks: Any = eqx.field(default=None)
    counts: Any = eqx.field(default=None)
    words: Any = eqx.field(static=True, default=())


MACHINE = tr.restricted(
    Binomial(3, 2),
    2,
    couplings=np.array([[0.5, -1.0], [0.25, 0.125], [-0.75, 1.0]]),
    visible_bias=np.array([0.25, 0.5, -0.25]),
    hidden_bias=np.array([0.5, -0.5]),
)


def binomial_by_enumeration(model: tr.Boltzmann) -> tuple[float, np.ndarray]:
    """log Z and the means of the visible units, over every state, with C(2, x) = 1, 2, 1."""
    w, b, c = (
        np.asarray(a) for a in (model.couplings["visible", "hidden"], *map(model.fields.get, model.groups[::-1]))
    )
    b, c = (c, b) if len(b) == 2 else (b, c)
    total, means = 0.0, np.zeros(3)
    for v in itertools.product(range(3), repeat=3):
        for h in itertools.product(range(2), repeat=2):
            p = np.exp(b @ v + c @ h + v @ w @ h) * np.prod(np.array([1, 2, 1])[list(v)])
            total, means = total + p, means + p * np.array(v)
    return float(np.log(total)), means / total


def test_units_of_your_own_are_saved_loaded_and_inferred(tmp_path: Path) -> None:
    tr.save(MACHINE, tmp_path / "m.safetensors.gz")
    again = tr.load(tmp_path / "m.safetensors.gz", units=[Binomial])
    assert difference(MACHINE, again) is None and type(again.units["visible"]) is Binomial
    log_z, means = binomial_by_enumeration(again)
    found = tr.infer(again)
    assert found.log_partition.value == pytest.approx(log_z, abs=1e-9)
    np.testing.assert_allclose(np.asarray(found.marginals["visible"]).ravel(), means, atol=1e-9)
    rows = tr.sample(again, 4000, key=0)
    assert set(np.unique(rows)) == {0, 1, 2}
    np.testing.assert_allclose(rows.mean(0), means, atol=0.06)  # 4.7 standard errors of a mean of numbers up to 2


def test_arrays_numbers_and_text_of_units_come_back(tmp_path: Path) -> None:
    marked = Marked(3, np.array([0.5, -1.0, 2.0], np.float32), np.arange(4).reshape(2, 2), ("a", (1, 2.5), True, None))
    model = tr.restricted(tr.Spin(2), marked)
    tr.save(model, tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors", units=(Binomial, Marked))
    assert difference(model, again) is None and again.units["hidden"].words == ("a", (1, 2.5), True, None)


def test_a_kind_that_is_called_like_one_of_the_library_stays_its_own(tmp_path: Path) -> None:
    own = type("Bernoulli", (Bernoulli,), {})
    tr.save(tr.restricted(own(3), 2), tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors", units=[own])
    assert type(again.units["visible"]) is own and type(again.units["hidden"]) is Bernoulli


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(tr.FormatError) as caught:
        tr.load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path}: ", "")


def test_a_kind_that_load_is_not_given_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tr.save(MACHINE, path)
    assert refused(path) == "visible: units of the kind 'Binomial' are not the library's: load(path, units=[Binomial])"
    assert "units=[Binomial]" in refused(path, units=[Marked])
    other: Any = type("Binomial", (Bernoulli,), {})
    assert "the field 'trials' of Binomial units has no place" in refused(path, units=[other])
    assert "two kinds of units called Binomial" in refused(path, units=[Binomial, other])
    assert "two kinds of units called bernoulli" in refused(path, units=[type("bernoulli", (Bernoulli,), {})])
    for wrong in (Binomial(3, 2), dict, "Binomial"):
        assert "units: expected subclasses of Units, got" in refused(path, units=[wrong])


def changed(path: Path, **visible: Any) -> None:
    """The file with another description of its visible units."""
    data = path.read_bytes()
    about = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["tractable"])
    about["groups"][0] |= visible
    about["groups"][0] = {key: value for key, value in about["groups"][0].items() if value is not ...}
    path.write_bytes(save(load(data), {"tractable": json.dumps(about)}))


@pytest.mark.parametrize("word", ["antigravity.Binomial", "antigravity", "__import__('antigravity')", "x" * 500])
def test_nothing_is_imported_because_a_file_names_it(word: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tr.save(MACHINE, path)
    changed(path, kind=word)
    said = refused(path, units=[Binomial])
    assert "are not the library's" in said and len(said) < 200 and "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("visible", "said"),
    [
        ({"trials": ...}, "the field 'trials' of Binomial units is missing"),
        ({"more": 1}, "the field 'more' of Binomial units has no place"),
        ({"n": 0}, "the group 'visible' is not described as it should be"),
        ({"n": 2.0}, "the group 'visible' is not described as it should be"),
        ({"kind": 3}, "the group 'visible' is not described as it should be"),
        ({"n": 4}, "has the shape (3, 2), expected (4, 2)"),
        ({"kind": "categorical", "q": "2", "trials": ...}, "the group 'visible' is not described as it should be"),
        ({"kind": "gaussian"}, "the field 'learned' of gaussian units is missing"),
    ],
)
def test_units_that_are_described_badly_are_refused(visible: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tr.save(MACHINE, path)
    changed(path, **visible)
    assert said in refused(path, units=[Binomial])


def test_what_a_constructor_says_is_said(tmp_path: Path) -> None:
    class Odd(Marked):
        def __check_init__(self) -> None:
            if self.n % 2 == 0:
                raise ValueError("an odd number,\nplease")

    path = tmp_path / "m.safetensors"
    tr.save(tr.restricted(Odd(3), 2), path)
    changed(path, n=4)
    assert refused(path, units=[Odd]) == "visible: Odd does not take its fields (ValueError: an odd number, please)"


# ---------------------------------------------------------------- what save refuses


class Renamed(Bernoulli):
    """Takes its field by another name."""

    rate: float = eqx.field(static=True)

    def __init__(self, n: int, speed: float = 1.0):
        self.n, self.rate = n, speed


class Growing(Marked):
    """Makes another field of what it is given."""

    def __post_init__(self) -> None:
        self.words = (*self.words, "more")


class Labelled(Bernoulli):
    name: str = eqx.field(static=True, default="x")


@dataclass(frozen=True, eq=False, repr=False)
class OwnEmissions(tr.BernoulliEmissions):
    pass


@dataclass(frozen=True, eq=False, repr=False)
class OtherEmissions(tr.BernoulliEmissions):
    kind = "other"


class OwnNetwork(tr.BayesianNetwork):
    pass


class OwnMixture(tr.Mixture):
    pass


class Toy:
    family = "toy"
    states = MappingProxyType({"a": ("0", "1")})


HALF = [[0.5], [0.25]]
LIKE_BERNOULLI: Any = type("bernoulli", (Bernoulli,), {})
ONE, OTHER = (type("Same", (Bernoulli,), {}) for _ in range(2))
NET = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.75, 0.25]})
DOTTED = tr.Boltzmann({"visible": Bernoulli(1), "a.b": Bernoulli(1)}, {"visible": np.ones(1), "a.b": np.ones(1)},
                      {("visible", "a.b"): np.ones((1, 1))}, {}, np.float32(0))  # fmt: skip
REFUSED: dict[str, tuple[Any, str]] = {
    "a function": (tr.restricted(Marked(2, words=print), 1), "the field 'words' of Marked is a builtin_function_or"),
    "units in units": (tr.restricted(Twice(Bernoulli(2)), 1), "the field 'one' of Twice is a Bernoulli; a file holds"),
    "a word of the file": (tr.restricted(Labelled(2), 1), "the field 'name' of Labelled has a name that files use"),
    "a constructor": (tr.restricted(Renamed(2), 1), "Renamed does not take its fields (TypeError"),
    "a field that changes": (tr.restricted(Growing(2), 1), "Boltzmann.units.visible.words would not come back"),
    "not a number": (
        tr.restricted(Marked(2, np.array([np.nan])), 1),
        "'marks.visible' has entries that are not finite",
    ),
    "a type of arrays": (tr.restricted(Marked(2, np.ones(1, np.float16)), 1), "'marks.visible' has type F16"),
    "a name of the library": (tr.restricted(LIKE_BERNOULLI(2), 1), "two kinds of units called bernoulli"),
    "two of one name": (tr.restricted(ONE(2), OTHER(1)), "two kinds of units called Same"),
    "a dot": (DOTTED, "does not join two groups"),
    "emissions": (tr.Mixture([0.5, 0.5], OtherEmissions(HALF)), "unknown kind of emissions 'other'"),
    "derived emissions": (tr.Mixture([0.5, 0.5], OwnEmissions(HALF)), "Mixture.emissions, a OwnEmissions, would not"),
    "a derived mixture": (OwnMixture([0.5, 0.5], tr.BernoulliEmissions(HALF)), "OwnMixture, a OwnMixture, would not"),
    "a derived network": (OwnNetwork(NET.states, {}, NET.tables), "a OwnNetwork is no model that can be saved"),
    "a toy": (Toy(), "a Toy is no model that can be saved"),
    "names": (replace(NET, name=3), "no good name"),
    "arrays": (np.ones(3), "a ndarray is no model that can be saved"),
    "nothing": (None, "a NoneType is no model that can be saved"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_load_could_not_read_is_not_written(name: str, tmp_path: Path) -> None:
    (model, said), path = REFUSED[name], tmp_path / "m.safetensors"
    tr.save(NET, path)
    before = path.read_bytes()
    with pytest.raises(tr.FormatError) as caught:
        tr.save(model, path)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_base_measure_counts_in_every_exact_method() -> None:
    w, rng = np.zeros((4, 4)), np.random.default_rng(0)
    w[0, 1] = w[1, 0] = 0.5
    w[1, 2] = w[2, 1] = -0.7
    chain = tr.boltzmann(4, units=Binomial(4, 3), couplings=w, visible_bias=[0.1, -0.2, 0.3, 0.0])
    pair = tr.restricted(Binomial(3, 2), tr.Categorical(2, 3), couplings=rng.normal(size=(3, 6)))
    for machine, sizes in ((chain, {"visible": [4] * 4}), (pair, {"hidden": [3] * 2, "visible": [3] * 3})):
        states = np.array([*itertools.product(*map(range, [n for own in sizes.values() for n in own]))], float)
        parts = dict(zip(sizes, np.split(states, [len(next(iter(sizes.values())))], axis=1), strict=False))
        with jax.enable_x64(True):
            log_p = np.asarray(machine.astype(np.float64).log_joint(machine.encode(parts)))
        best: Any = tr.most_probable(machine, k=5)
        np.testing.assert_allclose([one.log_probability.value for one in best], np.sort(log_p)[::-1][:5], atol=1e-9)
        for method in ("enumeration", "elimination"):
            found = tr.infer(machine, method=method).log_partition.value
            assert found == pytest.approx(np.logaddexp.reduce(log_p), abs=1e-9)
            assert tr.most_probable(machine, method=method).log_probability.value == pytest.approx(
                log_p.max(), abs=1e-9
            )
