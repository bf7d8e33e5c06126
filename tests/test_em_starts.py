"""Where EM begins and what it then finds: kinds of starts, weights, scales, what is a parameter, when it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run as command
from tractable.learning.starts import chains, mixtures
from tractable.models.weights import WeightedRows

ROLLS = (  # of a fair and a loaded die: Durbin, Eddy, Krogh & Mitchison, Biological sequence analysis, 1998
    "3151162464466442453113216311641521336251445436316566265666666511664531326512456366646316366631623264"
    "5523626666662515163122255544166656656356432436413151346514635341112641462625335636616366646623253441"
    "3661661163252562462255265252266435353336233121625364414432335163243633665562466662632666612355245242"
)
EARTHQUAKES = [  # of magnitude 7 and more, 1900 to 2006: Zucchini & MacDonald, 2009
    13,
    14,
    8,
    10,
    16,
    26,
    32,
    27,
    18,
    32,
    36,
    24,
    22,
    23,
    22,
    18,
    25,
    21,
    21,
    14,
    8,
    11,
    14,
    23,
    18,
    17,
    19,
    20,
    22,
    19,
    13,
    26,
    13,
    14,
    22,
    24,
    21,
    22,
    26,
    21,
    23,
    24,
    27,
    41,
    31,
    27,
    35,
    26,
    28,
    36,
    39,
    21,
    17,
    22,
    17,
    19,
    15,
    34,
    10,
    15,
    22,
    18,
    15,
    20,
    15,
    22,
    19,
    16,
    30,
    27,
    29,
    23,
    20,
    16,
    21,
    21,
    25,
    16,
    18,
    15,
    18,
    14,
    10,
    15,
    8,
    15,
    6,
    11,
    8,
    7,
    18,
    16,
    13,
    12,
    13,
    20,
    15,
    16,
    12,
    18,
    15,
    16,
    13,
    15,
    16,
    11,
    11,
]
GAUSSIANS = ("gaussian", "diagonal", "tied", "spherical")
SENTINEL = 999999.0


def rolls() -> np.ndarray:
    return np.array([int(roll) - 1 for roll in ROLLS])


def two_groups() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0.13, 1, (50, 1)), rng.normal(8.03, 1, (50, 1))])


# ---------------------------------------------------------------- starts differ


@pytest.mark.parametrize("key", range(4))
def test_ten_starts_find_the_best_casino(key: int) -> None:
    """−513.72 is the best that any of thousands of starts has found; groups by value all end at −520.25."""
    x = rolls()
    run = tr.fit(tr.hidden_markov(x, 2, "categorical", key=key), x, tr.EM(n_init=10, prior=0), key=key)
    assert tr.log_likelihood(run.model, x).value == pytest.approx(-513.72, abs=0.01)


@pytest.mark.parametrize("start", chains.STARTS)
@pytest.mark.parametrize(("kind", "values"), [("categorical", 6), ("bernoulli", 2)])
def test_codes_and_bits_are_not_grouped_by_value(start: str, kind: str, values: int) -> None:
    """Every start of a chain of one such column is another one, and no state has a value for itself."""
    x = np.random.default_rng(0).integers(0, values, (300, 1)).astype(float)
    begun = [tr.hidden_markov(x, 2, kind, start=start, key=key) for key in range(6)]
    found = {np.sort(next(iter(m.emissions.arrays().values()))[:, 0]).round(9).tobytes() for m in begun}
    assert len(found) > 1
    for model in begun:
        table = model.emissions.tables[0] if kind == "categorical" else model.emissions.probabilities
        assert (table > 0).all() and (kind == "categorical" or (table < 1).all())


@pytest.mark.parametrize("start", mixtures.STARTS)
def test_bits_of_a_mixture_are_not_grouped_by_value(start: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, (200, 2)).astype(float)
    found = {tr.mixture(x, 2, "bernoulli", start=start, key=key).free.means.round(6).tobytes() for key in range(5)}
    assert len(found) > 1


def test_one_column_of_two_regimes_is_found_from_pieces() -> None:
    """Calm and restless about the same mean: groups by value are another optimum, or lead there slowly."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 1 + 4 * (i % 2), 100) for i in range(6)])
    run = tr.fit(tr.hidden_markov(x, 2, "diagonal"), x, tr.EM(n_init=5))
    spread = np.sort(np.sqrt(run.model.emissions.variances.ravel()))
    assert spread == pytest.approx([1, 5], rel=0.15)
    label = {tuple(chains._segments(tr.Sequences(x), 2, np.random.default_rng(key)).tolist()) for key in range(5)}
    assert len(label) == 5


def test_what_became_of_the_starts_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    x = two_groups()
    run = tr.fit(tr.mixture(x, 2), x, tr.EM(n_init=3))
    assert run.n_alike == 3 and "all 3 starts ended alike" in run.said() and run.said() in repr(run)
    assert tr.fit(tr.mixture(x, 2), x).said() == ""
    casino = tr.fit(tr.hidden_markov(rolls(), 2, "categorical"), rolls(), tr.EM(n_init=10, prior=0))
    assert 1 <= casino.n_alike < 10 and f"{casino.n_alike} of 10 starts" in repr(casino)
    table = tmp_path / "rows.csv"
    table.write_text("x\n" + "".join(f"{value}\n" for value in x[:, 0].tolist()))
    fit = ["fit", "mixture", str(table), "--components", "2", "--n-init", "3", "-o", str(tmp_path / "m.safetensors")]
    assert command(fit) == 0
    assert "all 3 starts ended alike" in capsys.readouterr().out


# ---------------------------------------------------------------- weights and scales


@pytest.mark.parametrize("kind", GAUSSIANS)
@pytest.mark.parametrize("knows", [True, False])
def test_a_row_of_weight_zero_takes_part_in_nothing(kind: str, knows: bool) -> None:
    clean = two_groups()
    x, weights = np.vstack([clean, [[SENTINEL]]]), np.r_[np.ones(100), 0.0]
    begin = tr.mixture(x, 2, kind, **({"weights": weights} if knows else {}))
    found, right = tr.fit(begin, x, weights=weights), tr.fit(tr.mixture(clean, 2, kind), clean)
    for name, array in right.model.free.arrays().items():
        assert np.sort(found.model.free.arrays()[name].ravel()) == pytest.approx(np.sort(array.ravel()), abs=1e-2)


def test_a_category_of_weight_zero_is_none() -> None:
    x, weights = {"a": ["u", "v", "w", "u"], "b": [0.0, 1.0, SENTINEL, 2.0]}, [1, 1, 0, 1]
    model = tr.mixture(x, 2, weights=weights)
    assert model.named is not None and model.named.categories["a"] == ("u", "v")
    assert np.isfinite(tr.fit(model, x, weights=weights).model.vector()).all()
    net = tr.bayesian_network({"a": x["a"]}, {}, weights=weights)
    assert net.states["a"] == ("u", "v") and tr.fit(net, {"a": x["a"]}, weights=weights).converged


@pytest.mark.parametrize("kind", ("gaussian", "diagonal", "spherical"))
@pytest.mark.parametrize("key", range(3))
def test_one_sentinel_is_a_component_and_moves_no_scale(kind: str, key: int) -> None:
    x = np.vstack([two_groups(), [[SENTINEL]]])
    model = tr.fit(tr.mixture(x, 3, kind, key=key), x).model
    clean = tr.fit(tr.mixture(x[:-1], 2, kind), x[:-1]).model
    right = [*np.sort(clean.free.means.ravel()), SENTINEL]
    assert np.sort(model.free.means.ravel()) == pytest.approx(right, abs=1e-2)


@pytest.mark.parametrize("kind", (*GAUSSIANS, "poisson", "bernoulli", "categorical"))
@pytest.mark.parametrize("of_sequences", [False, True])
def test_priors_and_scales_of_weighted_rows_are_those_of_duplicates(kind: str, of_sequences: bool) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, (12, 2)) if kind == "bernoulli" else rng.integers(0, 5, (12, 2)).astype(float)
    weights = rng.integers(1, 4, 4 if of_sequences else 12)
    if of_sequences:
        parts = [x[i : i + 3] for i in range(0, 12, 3)]
        data, twice = parts, [part for part, n in zip(parts, weights, strict=True) for _ in range(n)]
        begin: Any = tr.hidden_markov(parts, 2, kind)
    else:
        data, twice, begin = x, np.repeat(x, weights, axis=0), tr.mixture(x, 2, kind)
    a = tr.fit(begin, data, tr.EM(tolerance=0), weights=weights, epochs=8)
    b = tr.fit(begin, twice, tr.EM(tolerance=0), epochs=8)
    assert a.model.vector() == pytest.approx(b.model.vector(), rel=1e-9)
    assert a.objectives == pytest.approx(b.objectives, rel=1e-9)


def test_scales_of_clean_and_of_mostly_constant_columns_are_as_they_are() -> None:
    """Nothing is drawn in but what is far outside; a constant column has the variance one that it always had."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(5, 2, 200), np.full(200, 3.0), np.r_[np.zeros(190), rng.normal(10, 1, 10)]])
    own = tr.DiagonalGaussianEmissions.pooled(x, 1)
    assert own.locations[0] == pytest.approx(x.mean(0)) and own.variances[0, [0, 2]] == pytest.approx(
        x[:, [0, 2]].var(0)
    )
    assert own.variances[0, 1] == 1.0
    x[7] = SENTINEL
    far = tr.DiagonalGaussianEmissions.pooled(x, 1)
    assert (far.variances[0, [0, 2]] < 100 * own.variances[0, [0, 2]]).all()
    counts = tr.PoissonEmissions.pooled(np.r_[rng.poisson(5, 199), SENTINEL][:, None], 1)
    assert counts.rates[0, 0] < 6


# ---------------------------------------------------------------- what counts


@pytest.mark.parametrize("epochs", [100, 800])
def test_a_transition_that_vanished_is_a_parameter(epochs: int) -> None:
    x = np.array(EARTHQUAKES)
    run = tr.fit(tr.hidden_markov(x, 5, "poisson"), x, tr.EM(prior=0, tolerance=0), epochs=epochs)
    assert run.model.n_parameters == 5 + 20 + 4
    assert tr.bic(run.model, x).value == pytest.approx(785.9, abs=0.1)


def test_structure_is_remembered_and_saved(tmp_path: Path) -> None:
    """Zeros of a left–right model are its structure; zeros that learning makes are not, in memory and in a file."""
    x = np.repeat([0.0, 1.0, 1.0, 0.0], 3)
    begin = tr.hidden_markov(x, 3, "bernoulli")
    learned = tr.fit(begin, x, tr.EM(prior=0, tolerance=0), epochs=300).model
    vanished = learned.allowing(learned.possible).replaced(transition=np.eye(3)).allowing(learned.possible)
    assert begin.n_parameters == learned.n_parameters == vanished.n_parameters == 3 + 6 + 2
    tr.save(vanished, tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors")
    assert again.n_parameters == 11 and (again.possible == vanished.possible).all()
    assert again.replaced(transition=np.eye(3)).n_parameters == 3 + 0 + 2  # given anew, zeros are structure
    assert again.replaced(emissions=begin.emissions).n_parameters == 11
    assert tr.left_right(x, 3, "bernoulli").n_parameters == 3 + 2
    assert tr.fit(tr.left_right(x, 3, "bernoulli"), x, epochs=50).model.n_parameters == 3 + 2


def test_structure_of_factorial_chains(tmp_path: Path) -> None:
    emissions = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]])
    full = tr.FactorialHiddenMarkovModel([[0.5, 0.5]] * 2, [[[0.9, 0.1], [0.1, 0.9]]] * 2, emissions)
    vanished = tr.FactorialHiddenMarkovModel([[1.0, 0.0]] * 2, [np.eye(2)] * 2, emissions)
    assert vanished.n_parameters == full.n_parameters - 6
    kept = vanished.allowing(full.possible)
    tr.save(kept, tmp_path / "m.safetensors")
    assert kept.n_parameters == tr.load(tmp_path / "m.safetensors").n_parameters == full.n_parameters
    assert tr.fit(full, [0.0, 3.0, 1.0, 2.0], epochs=30).model.n_parameters == full.n_parameters


def test_who_shares_a_fixed_table_has_a_fixed_one() -> None:
    tables = {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    net = tr.BayesianNetwork(dict.fromkeys("ab", 2), {}, tables, ties=[("a", "b")], fixed=["b"])
    assert net.n_parameters == 0
    assert tr.fit(net, {"a": [0, 0], "b": [1, 0]}).model.tables["a"].tolist() == [0.5, 0.5]


# ---------------------------------------------------------------- when it ends, and bad input


def test_tolerance_is_of_a_row_however_rows_are_cut() -> None:
    """The objective of sequences is a mean over their rows: one of many rows, or many of it, end at once."""
    x = np.random.default_rng(0).normal(size=(60, 1))
    begin = tr.hidden_markov(x, 2, "diagonal")
    one = tr.fit(begin, [x], tr.EM(prior=0, tolerance=1e-4))
    many = tr.fit(begin, [x] * 7, tr.EM(prior=0, tolerance=1e-4))
    assert len(one.history) == len(many.history)
    assert one.objectives[0] == pytest.approx(many.objectives[0]) == pytest.approx(one.history[-1].train.value / 60)
    independent = tr.HiddenMarkovModel([0.5, 0.5], np.full((2, 2), 0.5), begin.emissions)
    cut = [tr.fit(independent, np.split(x, n), tr.EM(prior=0), epochs=0).objectives[0] for n in (1, 3, 60)]
    assert cut == pytest.approx([cut[0]] * 3)


@pytest.mark.parametrize("given", [np.ones(3), [1.0, 2.0], -1.0, np.nan, "much"])
@pytest.mark.parametrize("learner", [tr.EM, tr.GeneralizedEM, tr.IncrementalEM, tr.OnlineEM])
def test_a_prior_of_the_wrong_shape_is_a_sentence(learner: Callable[..., Any], given: Any) -> None:
    x = two_groups()
    models = [
        (tr.mixture(x, 2), x),
        (tr.hidden_markov(x, 2), [x]),
        (tr.bayesian_network({"a": [0, 1]}, {}), {"a": [0, 1]}),
    ]
    for model, data in models:
        for name in ("weight_prior", "prior"):
            with pytest.raises(tr.ModelError, match=f"^{name} must be "):
                tr.fit(model, data, learner(**{name: given}))
    for model, _ in models:
        with pytest.raises(tr.ModelError, match="must be one finite number of pseudo-counts"):
            model.prior(1.0, given)


def test_weights_that_are_all_zero_are_refused() -> None:
    x = two_groups()
    calls: list[Callable[[], Any]] = [
        lambda: tr.fit(tr.mixture(x, 2), x, weights=np.zeros(100)),
        lambda: tr.mixture(x, 2, weights=np.zeros(100)),
        lambda: tr.hidden_markov([x, x], 2, weights=[0, 0]),
        lambda: tr.factorial_hidden_markov([x, x], [2], weights=[0, 0]),
        lambda: tr.bayesian_network({"a": [0, 1]}, {}, weights=[0, 0]),
    ]
    for call in calls:
        with pytest.raises(tr.ModelError, match="not all zero"):
            call()


def test_starts_of_weighted_rows_are_drawn_by_their_weights() -> None:
    """Of two groups the one of hardly any weight is hardly ever where components begin."""
    x = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 100.0)]) + np.random.default_rng(0).normal(size=(100, 1))
    weights = np.r_[np.ones(50), np.full(50, 1e-9)]
    model = tr.mixture(x[:50], 1)
    began = mixtures.started(model, WeightedRows(x, weights), "k-means++", np.random.default_rng(0))
    assert abs(began.free.means[0, 0]) < 1
