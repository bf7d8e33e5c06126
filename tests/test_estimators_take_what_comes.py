"""Every estimator on every kind of columns: the right measure, or an error that names the place and what helps."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import numpy as np
import pytest
from sweep import some

import tractable as tr

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from tractable import estimators
from tractable.learning.records import LearningWarning

pytestmark = pytest.mark.usefixtures("no_yardstick")
RNG = np.random.default_rng(0)
BITS = (RNG.random((40, 4)) < 0.5).astype(float)
GRAY = RNG.random((40, 4))
Y = np.array(["no", "yes"])[(BITS[:, 0] != BITS[:, 1]).astype(int)]
EVERY = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(float)
QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 20, "random_state": 0}
LAYERS: dict[str, Any] = {"epochs": 2, "random_state": 0}

COLUMNS: dict[str, Any] = {
    "bits": BITS,
    "booleans": BITS.astype(bool),
    "one-hot": np.eye(4)[RNG.integers(0, 4, 40)],
    "gaps": np.where(RNG.random((40, 4)) < 0.2, np.nan, BITS),
    "gray": GRAY,
    "spins": 2 * BITS - 1,
    "counts": RNG.integers(0, 5, (40, 4)),
    "letters": np.array(list("ACGT"))[RNG.integers(0, 4, (40, 4))],
    "constant": np.column_stack([BITS[:, :3], np.ones(40)]),
    "two rows": BITS[:2],
    "one row": BITS[:1],
    "one column": BITS[:, :1],
    "empty row": np.where(np.arange(40)[:, None] == 3, np.nan, BITS),
}


def machine(**more: Any) -> Any:
    return estimators.RestrictedBoltzmannMachine(2, **{**QUICK, **more})


def bits_refuse(data: str) -> str | None:
    """What an estimator of zeros and ones says of columns that hold none."""
    return {
        "gray": r"row 0, column 0: the value 0\.\d+ is not .*0 or 1.*binarize=0\.5",
        "spins": r"row \d, column \d: the value -1\.0 is not .*0 or 1",
        "counts": r"row \d, column \d: the value \d is not .*0 or 1",
        "letters": r"row 0, column 0: '[ACGT]' is text: .*letters|row 0, column 0: '[ACGT]' is text: columns of text",
    }.get(data)


REFUSED: dict[str, tuple[Any, Any]] = {
    "bernoulli machine": (lambda: machine(units="bernoulli"), bits_refuse),
    "belief network": (lambda: estimators.SigmoidBeliefNetwork(2, **LAYERS), bits_refuse),
    "helmholtz": (lambda: estimators.HelmholtzMachine(2, **LAYERS), bits_refuse),
    "deep belief": (lambda: estimators.DeepBeliefNetwork(2, pretrain=1, **LAYERS), bits_refuse),
    "bernoulli mixture": (lambda: estimators.BernoulliMixture(2, max_iter=3, random_state=0), bits_refuse),
}
GAPS = r"row \d+, column \d: the value is missing \(NaN\): layers learn from whole rows; fill the gaps"


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning", "ignore:.*EM has not converged")
@pytest.mark.verify
@pytest.mark.parametrize(("name", "data"), some(product(REFUSED, COLUMNS), 30))
def test_bits_are_a_distribution_over_bits_and_all_else_is_refused(name: str, data: str) -> None:
    make, refuses = REFUSED[name]
    rows, words = COLUMNS[data], refuses(data)
    if data in ("gaps", "empty row") and name in ("belief network", "helmholtz", "deep belief"):
        words = GAPS
    if data == "empty row" and name == "bernoulli machine":
        words = "row 3: every entry is missing; drop the row"
    if words:
        with pytest.raises(ValueError, match=words) as caught:
            make().fit(rows)
        assert "\n" not in str(caught.value)
        return
    found = make().fit(rows)
    every = EVERY if rows.shape[1] == 4 else EVERY[:2, :1]
    assert np.exp(found.score_samples(every)).sum() == pytest.approx(1, abs=1e-4)
    assert np.isin(np.asarray(found.sample(9)[0] if "mixture" in name else found.sample(9)), (0, 1)).all()


@pytest.mark.parametrize("data", COLUMNS)
def test_a_machine_learns_columns_as_what_they_are_and_says_where_these_are_real(data: str) -> None:
    rows = COLUMNS[data]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if data in ("letters", "empty row"):
            with pytest.raises(tr.ModelError, match=r"is text: letters and words are states|every entry is missing"):
                machine().fit(rows)
            return
        found = machine().fit(rows)
    kind = {"gray": "Gaussian", "counts": "Gaussian", "spins": "Spin"}.get(data, "Bernoulli")
    assert type(found.model_.units["visible"]).__name__ == kind
    assert any("real numbers" in str(one.message) for one in told) == (kind == "Gaussian")
    every = {"Bernoulli": EVERY, "Spin": 2 * EVERY - 1}.get(kind)
    if every is not None:
        every = every if rows.shape[1] == 4 else every[:2, :1]
        assert np.exp(found.score_samples(every)).sum() == pytest.approx(1, abs=1e-6)
    else:  # the density of the first column, in the units of the data
        grid = np.full((400, 4), np.nan)
        grid[:, 0] = np.linspace(-10, 20, 400)
        assert np.exp(found.score_samples(grid)).sum() * (30 / 399) == pytest.approx(1, abs=1e-3)


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning")
def test_letters_and_tables_by_name_are_states() -> None:
    pandas = pytest.importorskip("pandas")
    letters = COLUMNS["letters"]
    found = machine(units=tr.Categorical(4, names="ACGT")).fit(letters)
    codes = machine(units="categorical").fit(np.vectorize("ACGT".index)(letters))
    assert found.score(letters) == pytest.approx(codes.score(np.vectorize("ACGT".index)(letters)), abs=1e-6)
    assert {*found.sample(5).ravel()} | {*found.gibbs(letters).ravel()} <= {*"ACGT"}
    gaps = letters.astype(object)
    gaps[0, 0] = None
    assert {*found.impute(gaps).ravel()} <= {*"ACGT"}
    with pytest.raises(tr.ModelError, match="no state 'X'"):
        found.score(np.where(letters == "A", "X", letters))
    table = pandas.DataFrame({"sex": ["f", "m"] * 20, "age": GRAY[:, 0] * 50, "fit": BITS[:, 0]})
    units = tr.units_for(table)
    whole = machine(units=units).fit(table)
    assert whole.transform(table).shape == (40, 2) and list(whole.feature_names_in_) == ["sex", "age", "fit"]
    labels = estimators.RestrictedBoltzmannClassifier(2, units=units, **QUICK).fit(table, Y)
    assert labels.predict_proba(table).shape == (40, 2)


def test_only_bits_are_binarized_beside_other_columns() -> None:
    rows = np.column_stack([GRAY[:, 0], 100 + 10 * GRAY[:, 1], GRAY[:, 2]])
    units = tr.Mixed(tr.Bernoulli(1), tr.Gaussian(1, learned=True), tr.Bernoulli(1))
    for how in (0.5, "draw"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LearningWarning)
            found = machine(units=units, binarize=how).fit(rows)
        drawn = found.sample(50)
        assert np.isin(drawn[:, [0, 2]], (0, 1)).all() and abs(drawn[:, 1].mean() - 105) < 5
        grid = [[a, x, b] for a in (0, 1) for b in (0, 1) for x in np.linspace(60, 150, 900)]
        assert np.exp(found.score_samples(grid)).sum() * (90 / 899) == pytest.approx(1, abs=1e-3)
    with pytest.raises(tr.ModelError, match="binarize makes zeros and ones, and none of these columns holds any"):
        machine(units=tr.Gaussian(3), binarize=0.5).fit(rows)


# ---------------------------------------------------------------- scikit-learn's names


def test_a_machine_stands_in_the_place_of_scikit_learns() -> None:
    pipe = Pipeline([("rbm", machine(epochs=None, n_components=3, n_iter=2)), ("label", LogisticRegression())])
    assert pipe.fit(BITS, Y).predict(BITS).shape == (40,)
    rbm = pipe[0]
    assert rbm.components_.shape == (3, 4) and len(rbm.history_) == 2
    theta = BITS @ rbm.components_.T + rbm.intercept_hidden_
    assert rbm.transform(BITS) == pytest.approx(1 / (1 + np.exp(-theta)), abs=1e-9)
    assert rbm.intercept_visible_.shape == (4,)
    again = clone(rbm).set_params(n_components=2)
    assert again.get_params()["n_components"] == 2 and again.fit(BITS).components_.shape == (2, 4)
    found = GridSearchCV(clone(rbm), {"n_components": [1, 2]}, cv=2).fit(BITS)
    assert found.best_estimator_.components_.shape[0] == found.best_params_["n_components"]
    for bad in (0, 2.5, "8"):
        with pytest.raises(tr.ModelError, match="whole number of units, at least one"):
            machine(n_components=bad).fit(BITS)


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning")
def test_features_of_real_columns_are_those_of_the_data() -> None:
    rows = 1000 + 50 * GRAY
    found = machine(units="gaussian").fit(rows)
    theta = rows @ found.components_.T + found.intercept_hidden_
    assert found.transform(rows) == pytest.approx(1 / (1 + np.exp(-theta)), abs=1e-6)


def test_a_step_of_gibbs_sampling_leaves_the_distribution_as_it_is() -> None:
    found = machine(algorithm="exact", epochs=100, learning_rate=0.5).fit(BITS)
    rows = found.sample(8000, random_state=1)
    after = found.gibbs(rows)
    assert not np.array_equal(after, found.gibbs(rows))  # other numbers each time
    p = np.exp(found.score_samples(EVERY))
    counts = np.bincount((after @ (1 << np.arange(4))).astype(int), minlength=16) / len(after)
    assert (np.abs(counts - p) < 5 * np.sqrt(p * (1 - p) / len(after)) + 1e-6).all()
    w, c = found.components_, found.intercept_hidden_
    h = ((np.arange(4)[:, None] >> np.arange(2)) & 1).astype(float)
    on = 1 / (1 + np.exp(-(w @ EVERY[5] + c)))
    weight = np.where(h, on, 1 - on).prod(1)
    mean = weight @ (1 / (1 + np.exp(-(h @ w + found.intercept_visible_))))
    many = found.gibbs(np.repeat(EVERY[5:6], 8000, axis=0))
    assert many.mean(0) == pytest.approx(mean, abs=5 * 0.5 / np.sqrt(8000))
    with pytest.raises(tr.ModelError, match="rows without NaN: fill the gaps"):
        found.gibbs(COLUMNS["gaps"])


# ---------------------------------------------------------------- weights

EXACT = {"algorithm": tr.ExactGradient(batch_size=400, learning_rate=0.3), "epochs": 5, "random_state": 0}
WEIGHTS = RNG.integers(0, 3, 40)
WEIGHED: dict[str, Any] = {
    "machine": lambda: estimators.RestrictedBoltzmannMachine(2, **EXACT),
    "real machine": lambda: estimators.RestrictedBoltzmannMachine(2, units="gaussian", **EXACT),
    "deep": lambda: estimators.DeepBoltzmannMachine(2, **EXACT),
    "classifier": lambda: estimators.RestrictedBoltzmannClassifier(
        2, algorithm=tr.Discriminative(batch_size=400), epochs=5, random_state=0
    ),
    "gaussian mixture": lambda: estimators.GaussianMixture(2, random_state=0),
    "bernoulli mixture": lambda: estimators.BernoulliMixture(2, random_state=0),
    "mixed mixture": lambda: estimators.MixedMixture(2, kinds={"bernoulli": range(4)}, random_state=0),
    "network": lambda: estimators.BayesianNetworkClassifier(),
}


def scored(found: Any) -> np.ndarray:
    return found.predict_proba(EVERY) if hasattr(found, "classes_") else found.score_samples(EVERY)


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning")
@pytest.mark.parametrize("name", WEIGHED)
def test_weights_are_rows_that_are_there_so_often(name: str) -> None:
    one = WEIGHED[name]().fit(BITS, Y, sample_weight=WEIGHTS)
    two = WEIGHED[name]().fit(np.repeat(BITS, WEIGHTS, axis=0), np.repeat(Y, WEIGHTS))
    assert scored(one) == pytest.approx(scored(two), abs=2e-3)


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning", "ignore:.*EM has not converged")
@pytest.mark.parametrize("name", [*WEIGHED, "belief network", "helmholtz", "deep belief"])
def test_rows_of_weight_zero_are_as_if_they_were_not_there(name: str) -> None:
    make = WEIGHED.get(name) or REFUSED[name][0]
    rows, weights = BITS.copy(), np.ones(40)
    weights[::3] = 0
    if name in ("real machine", "gaussian mixture"):
        rows[::3] = 1e6
    one = make().fit(rows, Y, sample_weight=weights)
    two = make().fit(rows[weights > 0], Y[weights > 0], sample_weight=np.ones(int(weights.sum())))
    assert scored(one) == pytest.approx(scored(two), abs=1e-6)
    for bad in (np.where(np.arange(40) == 1, -1.0, 1.0), np.zeros(40), np.ones(39)):
        with pytest.raises(ValueError, match=r"[Nn]egative|≥ 0|non-zero|all zero|one for each row|shape|inconsistent"):
            make().fit(BITS, Y, sample_weight=bad)


@pytest.mark.filterwarnings("ignore::tractable.learning.LearningWarning")
def test_pieces_have_weights_too() -> None:
    """A step on rows with weights is one on as many rows, as long as these are more."""

    def learned(rows: np.ndarray, weights: Any, rate: float) -> np.ndarray:
        learner = tr.ExactGradient(batch_size=400, momentum=0.0)
        found = machine(algorithm=learner, learning_rate=0.1, batch_size=None)
        found.partial_fit(BITS).set_params(learning_rate=rate).partial_fit(rows, sample_weight=weights)
        return found.score_samples(EVERY)

    many = np.repeat(BITS, WEIGHTS, axis=0)
    longer = len(many) / (WEIGHTS > 0).sum()
    assert learned(BITS, WEIGHTS, 0.5) == pytest.approx(learned(many, None, 0.5 * longer), abs=1e-5)
    assert learned(BITS, WEIGHTS, 0.5) != pytest.approx(learned(many, None, 0.5), abs=1e-3)
    with pytest.raises(tr.ModelError, match=r"row 0: weights must be .* got -1"):
        machine().partial_fit(BITS, sample_weight=-np.ones(40))


# ---------------------------------------------------------------- labels


def classifier(**more: Any) -> Any:
    return estimators.RestrictedBoltzmannClassifier(4, **{**QUICK, **more})


def test_labels_are_learned_from_pieces() -> None:
    found, y = classifier(batch_size=10, learning_rate=0.05, epochs=None), np.where(BITS[:, 0] > 0, "yes", "no")
    for _ in range(60):
        found.partial_fit(BITS[:20], y[:20], classes=["no", "yes", "perhaps"])
        found.partial_fit(sparse.csr_matrix(BITS[20:]), y[20:])
    assert list(found.classes_) == ["no", "perhaps", "yes"] and found.score(BITS, y) == 1
    assert found.predict_proba(BITS)[:, 1].max() < 0.2
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(BITS, Y)
    with pytest.raises(tr.ModelError, match="row 2: the label who is not among the classes, which are no, perhaps"):
        found.partial_fit(BITS[:3], ["no", "yes", "who"])
    with pytest.raises(tr.ModelError, match="'balanced' needs all rows"):
        classifier(class_weight="balanced").partial_fit(BITS, Y, classes=["no", "yes"])


def test_what_is_said_of_a_label_agrees() -> None:
    found = classifier().fit(BITS, Y)
    p = found.predict_proba(BITS)
    assert found.predict_log_proba(BITS) == pytest.approx(np.log(p)) and p.sum(1) == pytest.approx(1)
    assert found.decision_function(BITS) == pytest.approx(np.log(p[:, 1] / p[:, 0]))
    assert ((found.decision_function(BITS) > 0) == (found.predict(BITS) == "yes")).all()
    three = classifier().fit(BITS, BITS[:, 0] + BITS[:, 1])
    assert three.decision_function(BITS).shape == (40, 3)
    heavy = classifier(class_weight={"no": 100.0, "yes": 1e-4}, epochs=20).fit(BITS, Y)
    assert (heavy.predict(BITS) == "no").all()


def test_labels_of_gray_rows_are_told_at_the_probabilities() -> None:
    found = classifier(binarize="draw").fit(GRAY, Y)
    w = np.asarray(found.model_.couplings["visible", "hidden"], float)
    b, c = (np.asarray(found.model_.fields[name], float) for name in ("visible", "hidden"))
    theta = GRAY @ w[:4] + c
    scores = np.stack([b[4 + k] + np.logaddexp(0, theta + w[4 + k]).sum(1) for k in (0, 1)], axis=1)
    assert found.predict_log_proba(GRAY) == pytest.approx(scores - np.logaddexp.reduce(scores, 1, keepdims=True))
    again = classifier(binarize="draw").fit(GRAY, Y)
    assert np.array_equal(found.predict_proba(GRAY), again.predict_proba(GRAY))
    pieces = classifier(binarize="draw").partial_fit(GRAY, Y, classes=["no", "yes"])
    assert np.isfinite(pieces.predict_log_proba(np.where(GRAY < 0.1, np.nan, GRAY))).all()
    with pytest.raises(tr.ModelError, match="is no probability"):
        classifier(binarize="draw").fit(2 * GRAY, Y)


@pytest.mark.parametrize("data", ["constant", "two rows", "one row", "one column", "empty row", "gaps"])
def test_labels_of_little(data: str) -> None:
    rows = COLUMNS[data]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = classifier().fit(rows, Y[: len(rows)])
    assert found.predict_proba(rows).sum(1) == pytest.approx(1)
    assert any("all rows have the label" in str(one.message) for one in told) == (len({*Y[: len(rows)]}) == 1)
