"""Columns of several kinds in one layer, and states with names, against sums written as plainly as can be."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

import tractable as tr
from tractable.learning.machines.columns import fit_columns

Z = 4.7
"""Standard errors allowed."""
NAN = float("nan")
LEVELS = [1.0, 2.0, 5.0]
STARS = tr.Categorical(1, names=[1, 2, 5])
UNITS = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, [0.25]), tr.Categorical(1, 3), tr.Spin(1), STARS)
DISCRETE: list[list[float]] = [[0, 1], [0, 1], [], [0, 1, 2], [-1, 1], LEVELS]


def machine(seed: int = 0) -> tr.Boltzmann:
    rng = np.random.default_rng(seed)
    bias = {"visible_bias": rng.normal(size=10), "hidden_bias": rng.normal(size=3)}
    return tr.restricted(UNITS, 3, couplings=rng.normal(size=(10, 3)), **bias).astype(np.float64)


def features(v: tuple[float, ...]) -> np.ndarray:
    """Of all columns but the real one, whose feature is left zero."""
    return np.array([v[0], v[1], 0, *(v[2] == k for k in range(3)), v[3], *(v[4] == x for x in LEVELS)], float)


def sums(model: tr.Boltzmann, given: list[float]) -> tuple[float, np.ndarray, np.ndarray]:
    """log Z given some columns, and the mean and second moment of each: over all states, the real column integrated."""
    b, c = (np.asarray(model.fields[g]) for g in ("visible", "hidden"))
    w, gamma = np.asarray(model.couplings["visible", "hidden"]), np.exp(0.25)
    free = [[x] if x == x else states for x, states in zip(given, DISCRETE, strict=True) if states]
    total, first, second = 0.0, np.zeros(6), np.zeros(6)
    for v in itertools.product(*free):
        for h in itertools.product([0, 1], repeat=3):
            theta = b[2] + w[2] @ np.array(h)
            weight = np.exp(features(v) @ b + c @ np.array(h) + features(v) @ w @ np.array(h))
            if given[2] == given[2]:
                weight *= np.exp(theta * given[2] - gamma * given[2] ** 2 / 2)
                real, square = given[2], given[2] ** 2
            else:
                weight *= np.exp(theta**2 / (2 * gamma)) * np.sqrt(2 * np.pi / gamma)
                real, square = theta / gamma, (theta / gamma) ** 2 + 1 / gamma
            x = np.array([v[0], v[1], real, *v[2:]])
            total += weight
            first += weight * x
            second += weight * np.array([v[0], v[1], square, *np.square(v[2:])])
    return float(np.log(total)), first / total, second / total


NONE = [NAN] * 6
SOME = [NAN, 1.0, NAN, NAN, -1.0, NAN]
REAL = [0.0, NAN, 0.7, 2.0, NAN, NAN]


@pytest.mark.parametrize("given", [NONE, SOME, REAL, [1.0, 0.0, -0.4, 0.0, 1.0, 5.0]])
def test_everything_is_exact(given: list[float]) -> None:
    model = machine()
    log_z, means, _ = sums(model, given)
    found = tr.infer(model, np.array(given))
    assert found.log_partition.kind == "exact" and float(found.log_partition) == pytest.approx(log_z, abs=1e-9)
    x = np.asarray(found.marginals["visible"])
    assert x[:3] == pytest.approx(means[:3], abs=1e-9) and x[6] == pytest.approx(means[4], abs=1e-9)
    assert [x[3:6] @ [0, 1, 2], x[7:] @ LEVELS] == pytest.approx(means[[3, 5]], abs=1e-9)
    value = float(tr.log_likelihood(model, np.array([given]))) if given != NONE else 0.0
    assert value == pytest.approx(log_z - sums(model, NONE)[0], abs=1e-9)


def test_gaps_get_the_mean_the_likeliest_state_or_what_is_expected() -> None:
    model, row = machine(), np.array([SOME])
    means = sums(model, SOME)[1]
    p = np.asarray(tr.infer(model, row).marginals["visible"])[0]
    found, expected = tr.impute(model, row)[0], tr.impute(model, row, expected=True)[0]
    assert expected == pytest.approx(means, abs=1e-9)
    assert found[[0, 2]] == pytest.approx(means[[0, 2]], abs=1e-9) and found[[1, 4]].tolist() == [1, -1]
    assert found[3] == p[3:6].argmax() and found[5] == LEVELS[int(p[7:].argmax())]


@pytest.mark.parametrize("given", [NONE, SOME])
def test_draws_have_the_moments(given: list[float]) -> None:
    model, n = machine(), 20000
    _, first, second = sums(model, given)
    found = tr.sample(model, n, evidence=np.array(given), key=1)
    error = np.sqrt(np.maximum(second - first**2, 0) / n)
    assert (abs(found.mean(0) - first) <= Z * error + 1e-6).all()
    assert all(np.isin(found[:, j], states).all() for j, states in enumerate(DISCRETE) if states)


def test_chains_have_them_too() -> None:
    first = sums(machine(), SOME)[1]
    found = tr.infer(machine(), np.array(SOME), method="gibbs", key=2)
    x, error = found.certificates("visible").value, found.certificates("visible").std_error
    means = np.array([x[0], x[1], x[2], x[3:6] @ [0, 1, 2], x[6], x[7:] @ LEVELS])
    assert error is not None and (abs(means - first) < Z * 4 * error.max() + 1e-6).all()


def test_log_z_by_annealing_is_right() -> None:
    found = tr.log_partition(machine(), method="annealing", key=0)
    assert float(found) == pytest.approx(sums(machine(), NONE)[0], abs=0.1)


def test_the_gradient_is_that_of_the_likelihood_precisions_too() -> None:
    units = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, [0.25], learned=True), *UNITS.parts[2:])
    whole = machine()
    bias = {"visible_bias": whole.fields["visible"], "hidden_bias": whole.fields["hidden"]}
    model = tr.restricted(units, 3, couplings=whole.couplings["visible", "hidden"], **bias)
    rows, rate = tr.sample(whole, 5, key=3), 1e-2
    learner = tr.ExactGradient(batch_size=5, learning_rate=rate, momentum=0.0, centred=False, decay=False)
    step = tr.fit(model, rows, learner, epochs=1, live=0.0).model

    def at(move: tuple[str, int], eps: float) -> float:
        fields = {name: np.array(b, np.float64) for name, b in model.fields.items()}
        precision = np.array([0.25])
        (precision if move[0] == "precision" else fields[move[0]])[move[1]] += eps
        moved = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, precision), *UNITS.parts[2:])
        own = {"visible_bias": fields["visible"], "hidden_bias": fields["hidden"]}
        other = tr.restricted(moved, 3, couplings=model.couplings["visible", "hidden"], **own).astype(np.float64)
        return float(tr.log_likelihood(other, rows))

    for move in (("visible", 0), ("visible", 2), ("visible", 4), ("visible", 9), ("hidden", 1), ("precision", 0)):
        slope = (at(move, 1e-5) - at(move, -1e-5)) / 2e-5
        if move[0] == "precision":
            taken = float(step.units["visible"].parts[1].log_precision[0] - np.float32(0.25)) / rate  # type: ignore
        else:
            taken = float(step.fields[move[0]][move[1]] - model.fields[move[0]][move[1]]) / rate
        assert taken == pytest.approx(slope, abs=2e-3 * max(1, abs(slope))), move


def test_each_column_given_the_others() -> None:
    model = machine(2)
    rows = tr.sample(model, 4, key=5)
    found = tr.pseudo_log_likelihood(model, rows)
    for row, value in zip(rows, found.per_row, strict=True):
        without = (np.where(np.arange(6) == i, NAN, row) for i in range(6))
        own = sums(model, list(row))[0]
        assert value == pytest.approx(sum(own - sums(model, list(rest))[0] for rest in without), abs=1e-9)
    assert found.kind == "exact"


def test_its_gradient_is_that_of_the_pseudo_likelihood() -> None:
    units = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, [0.25], learned=True), *UNITS.parts[2:])
    whole, rate = machine(), 1e-2
    bias = {"visible_bias": whole.fields["visible"], "hidden_bias": whole.fields["hidden"]}
    model = tr.restricted(units, 3, couplings=whole.couplings["visible", "hidden"], **bias)
    rows = tr.sample(whole, 5, key=3)
    learner = tr.PseudoLikelihood(batch_size=5, learning_rate=rate, momentum=0.0, centred=False, decay=False)
    step = tr.fit(model, rows, learner, epochs=1, live=0.0, yardstick=False).model

    def at(field: int | None, eps: float) -> float:
        b, precision = np.array(model.fields["visible"], np.float64), np.array([0.25])
        (precision if field is None else b)[field or 0] += eps
        moved = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, precision), *UNITS.parts[2:])
        own = {"visible_bias": b, "hidden_bias": model.fields["hidden"]}
        other = tr.restricted(moved, 3, couplings=model.couplings["visible", "hidden"], **own)
        return float(tr.pseudo_log_likelihood(other.astype(np.float64), rows))

    moves = {i: float(step.fields["visible"][i] - model.fields["visible"][i]) for i in (0, 2, 4, 6, 9)}
    learned: Any = step.units["visible"]
    for field, taken in {**moves, None: float(learned.parts[1].log_precision[0] - np.float32(0.25))}.items():
        slope = (at(field, 1e-5) - at(field, -1e-5)) / 2e-5
        assert taken / rate == pytest.approx(slope, abs=2e-3 * max(1, abs(slope))), field


def test_the_pseudo_likelihood_learns_columns_of_several_kinds() -> None:
    """Rows from a machine: what is learned is nearer to it than independent columns are."""
    model = machine(1)
    rows = np.array(tr.sample(model, 2000, key=5), np.float64)
    units = tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1, learned=True), *UNITS.parts[2:])
    learner = tr.PseudoLikelihood(batch_size=20, learning_rate=0.05)
    run = fit_columns(tr.restricted(units, 3), rows, learner, epochs=15)
    assert run.yardstick is not None
    truth = float(tr.log_likelihood(model, rows))
    found = float(tr.log_likelihood(run.model, rows))
    assert truth - found < 0.25 * (truth - run.yardstick.independent)


class TestYardstick:
    """Of columns of several kinds: independent columns, and a mixture with emissions by column."""

    h: ClassVar[Any] = np.random.default_rng(0).random(400) < 0.5
    rng: ClassVar[Any] = np.random.default_rng(1)
    bit: ClassVar[Any] = (rng.random(400) < np.where(h, 0.9, 0.1)).astype(float)
    rows: ClassVar[Any] = np.column_stack(
        [np.where(h, 2.0, -2.0) + rng.normal(size=400), bit, np.where(h, 5.0, rng.choice([1, 2], 400)), 1 - 2 * bit]
    )
    units = tr.Mixed(tr.Gaussian(1, learned=True), tr.Bernoulli(1), STARS, tr.Spin(1))

    def fitted(self, units: tr.Mixed, rows: np.ndarray) -> Any:
        return fit_columns(tr.restricted(units, 3), rows, tr.PersistentCD(), validation=rows[::2]).yardstick

    def test_it_is_what_columns_and_a_mixture_by_hand_say(self) -> None:
        rows = self.rows.copy()
        rows[::5, 1] = rows[::7, 3] = NAN
        found, held = self.fitted(self.units, rows), rows[::2]
        p = [np.nanmean(rows[:, 1]), (np.nanmean(rows[:, 3]) + 1) / 2]
        real = (
            -0.5 * np.log(2 * np.pi * rows[:, 0].var()) - (held[:, 0] - rows[:, 0].mean()) ** 2 / 2 / rows[:, 0].var()
        )
        bits = [
            np.nan_to_num(np.log(np.where(held[:, j] > 0, q, 1 - q)) + 0 * held[:, j])
            for j, q in zip((1, 3), p, strict=True)
        ]
        stars = np.log([(rows[:, 2] == x).mean() for x in held[:, 2]])
        assert found.independent == pytest.approx((real + bits[0] + bits[1] + stars).mean(), abs=0.02)
        codes = np.column_stack([rows[:, 0], rows[:, 1], np.searchsorted(LEVELS, rows[:, 2]), (rows[:, 3] + 1) / 2])
        kinds = {"diagonal": [0], "bernoulli": [1, 3], "categorical": [2]}
        best = tr.fit(tr.mixture(codes, 3, kinds), codes, tr.EM(n_init=5), progress=False).model
        assert found.mixture == pytest.approx(float(tr.log_likelihood(best, codes[::2])), abs=0.1)
        assert found.share > 0.8 and found.sentence is None

    def test_columns_that_do_not_vary_add_to_all_alike(self) -> None:
        without = self.fitted(self.units, self.rows)
        units = tr.Mixed(tr.Gaussian(2, learned=True), *self.units.parts[1:])
        found = self.fitted(units, np.insert(self.rows, 1, 3.0, axis=1))
        assert found.mixture - found.independent == pytest.approx(without.mixture - without.independent, abs=0.1)
        assert found.share == pytest.approx(without.share, abs=0.1) and found.sentence is None


class TestDiscrete:
    units = tr.Mixed(tr.Bernoulli(2), tr.Categorical(1, 3), tr.Spin(1), STARS)
    states: ClassVar[Any] = np.array(list(itertools.product([0, 1], [0, 1], [0, 1, 2], [-1, 1], LEVELS)), float)

    def machine(self, n: int = 30) -> tr.Boltzmann:
        rng = np.random.default_rng(0)
        bias = {"visible_bias": rng.normal(size=9), "hidden_bias": rng.normal(size=n)}
        return tr.restricted(self.units, n, couplings=0.7 * rng.normal(size=(9, n)), **bias).astype(np.float64)

    @pytest.mark.parametrize("given", [[NAN] * 5, [NAN, 1.0, NAN, -1.0, 5.0], [0.0, NAN, 2.0, NAN, NAN]])
    def test_few_states_are_enumerated_beside_many_hidden_units(self, given: list[float]) -> None:
        model, known = self.machine(), ~np.isnan(given)
        each = -tr.free_energy(model, self.states).value
        there = (self.states[:, known] == np.array(given)[known]).all(1)
        log_z = np.logaddexp.reduce(each[there])
        post = tr.infer(model, np.array(given))
        assert post.plan.method == "enumeration" and f"{there.sum()} terms" in post.plan.why
        assert float(post.log_partition) == pytest.approx(log_z, abs=1e-9)
        p, states = np.exp(each[there] - log_z), self.states[there]
        x = np.asarray(post.marginals["visible"])
        means = [*x[:2], x[2:5] @ [0, 1, 2], x[5], x[6:] @ LEVELS]
        assert means == pytest.approx(p @ states, abs=1e-9)
        drawn = tr.sample(model, 4000, evidence=np.array(given), key=1)
        error = np.sqrt(np.maximum(p @ states**2 - (p @ states) ** 2, 0) / 4000)
        assert (abs(drawn.mean(0) - p @ states) <= Z * error + 1e-6).all()

    def test_likelihoods_and_gradients_of_many_hidden_units_are_exact(self) -> None:
        model = self.machine()
        assert np.exp(tr.log_likelihood(model, self.states).per_row.value).sum() == pytest.approx(1, abs=1e-9)
        assert model.graph.states_of("visible") == (2, 2, 3, 2, 3)
        model, rows, rate = model.astype(np.float32), tr.sample(model, 5, key=2), 1e-2
        learner = tr.ExactGradient(batch_size=5, learning_rate=rate, momentum=0.0, centred=False, decay=False)
        step = tr.fit(model, rows, learner, epochs=1, live=0.0, yardstick=False).model
        bias = {"visible_bias": model.fields["visible"], "hidden_bias": model.fields["hidden"]}

        def at(eps: float) -> float:
            w = np.array(model.couplings["visible", "hidden"], np.float64)
            w[3, 7] += eps
            return float(tr.log_likelihood(tr.restricted(self.units, 30, couplings=w, **bias).astype(float), rows))

        taken = float(step.couplings["visible", "hidden"][3, 7] - model.couplings["visible", "hidden"][3, 7]) / rate
        assert taken == pytest.approx((at(1e-5) - at(-1e-5)) / 2e-5, abs=2e-3)


def test_learning_from_gaps_finds_the_moments() -> None:
    """PCD with gaps at random from a machine's own rows: the means of the columns come out."""
    model = machine(1)
    rows = np.array(tr.sample(model, 2000, key=5), np.float64)
    rows[np.random.default_rng(0).random(rows.shape) < 0.1] = NAN
    learner = tr.PersistentCD(batch_size=20, learning_rate=0.05, averaging=0.5)
    run = fit_columns(tr.restricted(UNITS, 3), rows, learner, epochs=15, live=0.0)
    drawn = tr.sample(run.model, 4000, key=6)
    spread = np.nanstd(rows, axis=0)
    assert (abs(drawn.mean(0) - np.nanmean(rows, axis=0)) < 0.15 * spread).all()


def test_it_is_saved_and_read(tmp_path: Path) -> None:
    named = tr.units_for({"sex": ["f", "m"], "age": [1.0, 2.0], "stars": [1, 5]}, categories={"stars": LEVELS})
    for model in (machine(), tr.restricted(named, 2), tr.restricted(tr.Categorical(4, names="ACGT"), 2)):
        tr.save(model, tmp_path / "m.safetensors")
        again: Any = tr.load(tmp_path / "m.safetensors")
        assert jax.tree.structure(again) == jax.tree.structure(model)
        assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(model), strict=True))


class TestNames:
    table: ClassVar[dict[str, Any]] = {
        "sex": ["f", "m", None, "m"],
        "stars": [1, 5, 2, None],
        "age": [31.0, NAN, 44.0, 25.5],
        "fit": [0, 1, 1, 0],
    }
    units = tr.units_for(table, categories={"stars": [1, 2, 3, 4, 5]})

    def test_columns_are_read_by_name_wherever_they_stand(self) -> None:
        model = tr.restricted(self.units, 2, key=3)
        other = {name: self.table[name] for name in ("fit", "age", "stars", "sex")}
        assert np.array_equal(tr.free_energy(model, self.table).value, tr.free_energy(model, other).value)
        rows = np.array([[0, 1, 31.0, 0], [1, 5, NAN, 1], [NAN, 2, 44.0, 1], [1, NAN, 25.5, 0]])
        assert np.array_equal(tr.free_energy(model, self.table).value, tr.free_energy(model, rows).value)

    def test_they_come_back_by_name(self) -> None:
        pandas = pytest.importorskip("pandas")
        model = tr.restricted(self.units, 2, key=3)
        drawn = tr.sample(model, 20)
        assert [*drawn] == [*self.table] and {*drawn["sex"]} <= {"f", "m"} and {*drawn["stars"]} <= {*"12345"}
        whole = tr.impute(model, pandas.DataFrame(self.table))
        assert list(whole.columns) == [*self.table] and whole["sex"].tolist()[:2] == ["f", "m"]
        assert not whole.isna().any().any() and whole["stars"].isin([1, 2, 3, 4, 5]).all()

    def test_a_fit_takes_a_table(self) -> None:
        run = fit_columns(tr.restricted(self.units, 2), self.table, tr.PersistentCD(batch_size=2), epochs=2)
        assert np.isfinite(float(run.history[-1].train))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"sex": ["f", "x", "m", "m"]}, "'sex'.*'x'"),
            ({"stars": [1, 7, 2, 3]}, "no state is 7"),
            ({"age": ["old", 1, 2, 3]}, "column 'age': 'old' is no number"),
            ({"fit": [0, 1, 0.5, 1]}, "row 2, column 'fit': the value 0.5 is not one of this unit: 0 or 1; gray"),
            ({"id": [1, 2, 3, 4]}, "knows no column 'id'"),
        ],
    )
    def test_what_does_not_fit_is_said(self, change: dict[str, Any], words: str) -> None:
        with pytest.raises(tr.ModelError, match=words):
            tr.fit(tr.restricted(self.units, 2), self.table | change, epochs=1)


class TestLetters:
    rows = np.array([list("ACGT"), list("ACGA"), list("TTGA")])
    units = tr.Categorical(4, names="ACGT")

    def test_letters_are_states(self) -> None:
        model = tr.restricted(self.units, 2, couplings=np.random.default_rng(0).normal(size=(16, 2)))
        codes = np.array([["ACGT".index(c) for c in row] for row in self.rows])
        plain = tr.restricted(tr.Categorical(4, 4), 2, couplings=model.couplings["visible", "hidden"])
        assert np.array_equal(tr.free_energy(model, self.rows).value, tr.free_energy(plain, codes).value)
        assert np.array_equal(tr.free_energy(model, codes).value, tr.free_energy(plain, codes).value)
        assert {*tr.sample(model, 5).ravel()} <= {*"ACGT"}
        gaps = [[None if c == "T" else c for c in row] for row in self.rows]
        whole = tr.impute(model, np.array(gaps, object))
        assert whole[1].tolist() == list("ACGA") and {*whole.ravel()} <= {*"ACGT"}

    def test_a_fit_takes_letters(self) -> None:
        run = tr.fit(tr.restricted(self.units, 2), self.rows, tr.ExactGradient(learning_rate=0.5), epochs=50)
        assert float(run.history[-1].train) > -4 * np.log(4)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: tr.Categorical(2, 3, "ab"), "expected 3 different names of states, got a, b"),
            (lambda: tr.Categorical(2, names="aa"), "different names"),
            (lambda: tr.Categorical(2, names=["1", "2", "more"]), "all numbers, or none is: 'more' beside '1'"),
            (lambda: tr.infer(tr.restricted(tr.Categorical(2, names="ab"), 1), ["a", "c"]), "'c'"),
            (lambda: tr.infer(tr.restricted(tr.Categorical(2, names="ab"), 1), [[0, 2]]), "the value 2 is not one of"),
        ],
    )
    def test_what_does_not_fit_is_said(self, call: Any, words: str) -> None:
        with pytest.raises(tr.ModelError, match=words):
            call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tr.Mixed(), "Mixed takes units of each kind of columns"),
        (lambda: tr.Mixed(3), "Mixed takes units of each kind of columns"),  # pyright: ignore
        (lambda: tr.Mixed(UNITS), "Mixed takes units of each kind"),
        (lambda: tr.Mixed(tr.Bernoulli(2), columns=["a"]), "1 names of columns, the model has 2 columns"),
        (lambda: tr.boltzmann(units=UNITS), "are not coupled to one another"),
        (lambda: tr.infer(tr.restricted(UNITS, tr.Gaussian(2)), NONE), "both have real-valued units"),
        (lambda: tr.units_for([[0.5]], "poisson"), "no units are 'poisson'; there are bernoulli"),
        (lambda: tr.infer(machine(), [0, 0, 0, 3, 1, 1]), "column 3: the value 3 is not one of this unit"),
        (
            lambda: tr.infer(machine(), [0, 0, 0, 2, 1, 3]),
            "column 5: the value 3 is not one .* one of 1, 2, 5",
        ),
        (lambda: tr.infer(machine(), [0, 2, 0, 2, 1, 1]), "column 1: the value 2 is not one of this unit: 0 or 1"),
        (
            lambda: tr.pseudo_log_likelihood(tr.restricted(UNITS, tr.Gaussian(1)), [[0, 0, 0, 2, 1, 1]]),
            "no closed form",
        ),
    ],
)
def test_what_cannot_be_is_said(call: Any, words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        call()


def test_expected_ratings_and_one_case_by_name() -> None:
    table = {"stars": [1, 5, None, 5], "sex": ["f", "m", "f", None]}
    units = tr.units_for(table, categories={"stars": [1, 2, 3, 4, 5]})
    model = tr.restricted(units, 2, couplings=np.random.default_rng(0).normal(size=(7, 2)))
    found = tr.impute(model, table, expected=True)
    p = np.asarray(tr.infer(model, {"sex": "f"}).marginals["visible"])[:5]
    assert found["stars"][2] == pytest.approx(p @ [1, 2, 3, 4, 5]) and found["stars"][:2].tolist() == [1, 5]
    assert found["sex"].tolist()[:3] == ["f", "m", "f"] and tr.impute(model, table)["stars"][2] in range(1, 6)
    rows = np.array([[1.0, 0.0], [np.nan, 0.0]])
    assert tr.impute(model, rows, expected=True)[1, 0] == pytest.approx(p @ [1, 2, 3, 4, 5])


class TestColumnsOfOneKind:
    """Units of any kind have names, and are otherwise what they are without."""

    kinds: ClassVar[list[Any]] = [
        lambda **names: tr.Bernoulli(3, **names),
        lambda **names: tr.Spin(3, **names),
        lambda **names: tr.Gaussian(3, [0.1, 0.2, 0.3], **names),
        lambda **names: tr.Categorical(3, 2, **names),
    ]

    @pytest.mark.parametrize("kind", kinds)
    def test_names_change_no_number_and_are_kept(self, kind: Any, tmp_path: Path) -> None:
        named, plain = kind(columns=["a", "b", "c"]), kind()
        w = np.random.default_rng(0).normal(size=(plain.n_features, 2))
        one, two = (tr.restricted(units, 2, couplings=w) for units in (named, plain))
        tr.save(one, tmp_path / "m.safetensors")
        again: Any = tr.load(tmp_path / "m.safetensors")
        assert jax.tree.structure(again) == jax.tree.structure(one)
        assert float(tr.log_partition(one)) == float(tr.log_partition(two))
        rows = np.asarray(tr.sample(two, 4, key=0), float)
        table = {name: rows[:, j] for j, name in reversed([*enumerate("abc")])}
        for data in (table, rows):
            assert np.array_equal(tr.free_energy(one, data).value, tr.free_energy(two, rows).value)
        drawn = tr.sample(one, 4, key=0)
        assert [*drawn] == ["a", "b", "c"] and np.array_equal(np.stack([*drawn.values()], 1).astype(float), rows)

    def test_draws_by_name_have_their_verdict(self) -> None:
        w = np.random.default_rng(0).normal(size=(30, 30)) * 0.1
        names = [f"x{j}" for j in range(30)]
        found = tr.sample(tr.restricted(tr.Bernoulli(30, columns=names), 30, couplings=w), 3, key=0)
        assert found.verdict != "exact" and [*found] == names

    def test_they_are_as_many_as_the_columns(self) -> None:
        with pytest.raises(tr.ModelError, match="2 names of columns, the model has 3 columns"):
            tr.Bernoulli(3, columns=["a", "b"])
        with pytest.raises(tr.ModelError, match="belong to Mixed as a whole"):
            tr.Mixed(tr.Bernoulli(1, columns=["a"]), tr.Gaussian(1))

    def test_real_columns_keep_them_through_a_fit(self) -> None:
        table = {"x": [1.0, 2.0, 4.0, 5.0], "y": [10.0, -3.0, 2.0, 0.0]}
        run = fit_columns(
            tr.restricted(tr.units_for(table), 2), table, tr.PersistentCD(batch_size=4), steps=5, live=0.0
        )
        assert isinstance(run.model.units["visible"], tr.Gaussian) and [*tr.sample(run.model, 2)] == ["x", "y"]
