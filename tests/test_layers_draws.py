"""Chains of layers where posteriors have several modes: right, or said to be unreliable."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from layers_oracle import log_joint, table
from layers_zoo import ZOO, network, random_evidence
from sweep import some

import tractable as tr
from tractable.posterior.approximate import layer_annealed, layer_chains, layer_modes
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate.layers import started
from tractable.posterior.engines.layers import cases_of
from tractable.posterior.tempering._base import PathRun


def pairs(k: int, w: float, tilt: float = 0.7) -> tr.SigmoidBeliefNetwork:
    """Units in pairs: two visible ones that are on say that exactly one of a pair is, the first one the likelier."""
    own = np.array([[w, w], [-w, -w]])
    biases = [np.tile([-w / 2, 1.5 * w], k), np.tile([tilt, 0.0], k)]
    return tr.SigmoidBeliefNetwork(weights=[np.kron(np.eye(k), own) + 1e-3], biases=biases)


def needle(n: int, w: float, tilt: float) -> tr.SigmoidBeliefNetwork:
    """A switch that is on only where n others are on, and which leaves them free where it is off."""
    return tr.SigmoidBeliefNetwork(
        weights=[np.hstack([np.full((n, 1), -w), w * np.eye(n)])],
        biases=[np.full(n, w / 2), np.concatenate([[n * np.log(2) + tilt], np.zeros(n)])],
    )


def two_phases(w: float) -> tr.DeepBeliefNetwork:
    """Six by six units on top that are on or off together."""
    own = np.full((6, 6), w)
    top = tr.restricted(couplings=own, visible_bias=-own.sum(1) / 2 + 0.05, hidden_bias=-own.sum(0) / 2)
    weights = [0.2 * np.random.default_rng(0).normal(size=(4, 6))]
    return tr.DeepBeliefNetwork(top=top, weights=weights, biases=[np.zeros(4)])


BIMODAL: dict[str, tuple[Any, Any]] = {
    "a pair that chains cross": (pairs(1, 6.0), [1, 1]),
    "a pair": (pairs(1, 14.0), [1, 1]),
    "a pair, 60": (pairs(1, 60.0), [1, 1]),
    "three pairs": (pairs(3, 25.0), [1] * 6),
    "a light mode": (pairs(1, 25.0, 4.0), [1, 1]),
    "two phases": (two_phases(1.5), [1, 0, 1, 1]),
    "two phases, 4": (two_phases(4.0), [0, 0, 1, 1]),
    "a needle": (needle(6, 14.0, 0.0), [1] * 6),
}


def ends(model: Any, x: Any, key: int, n: int = 300) -> layer_chains.Ends:
    return layer_chains.chain_ends(model, None, cases_of(model, x), key, (n, 200))


@pytest.mark.verify
@pytest.mark.parametrize("name", some(BIMODAL, 2))
def test_shares_of_modes_that_no_chain_crosses_are_those_of_the_table(name: str) -> None:
    model, x = BIMODAL[name]
    truth = table(model, {"visible": np.asarray(x, float)})
    post, drawn = tr.infer(model, x, method="gibbs", key=1), ends(model, x, 2)
    for group, mean in zip(model.groups, truth.means, strict=True):
        found = post.certificates(group)
        assert found.verdict.startswith("reliable given the phases found")
        assert (np.abs(found.value - mean) <= 4 * found.std_error + 0.02).all(), (group, found.value, mean)
        assert (found.std_error < 0.12).all()
        if drawn.verdict.startswith("reliable"):
            error = np.sqrt(mean * np.maximum(1 - mean, 0) / 300)
            assert (np.abs(drawn.values[group].mean(0) - mean) <= 4 * error + 0.02).all(), (group, drawn.verdict)
    assert drawn.verdict.startswith("reliable")
    assert name == "a needle" or ("annealed" in drawn.verdict) == (name != "a pair that chains cross")


def test_what_annealed_chains_cannot_answer_is_unreliable() -> None:
    model = network(np.random.default_rng(1), [100, 60], 3.0)
    x = np.asarray(model.sample(3, 1)[0])[0]
    post = tr.infer(model, x, method="gibbs", key=1)
    found = post.certificates("hidden1")
    assert found.verdict.startswith("unreliable: chains do not cross (R-hat ")
    assert "; the weights of annealed ones are worth " in found.verdict
    assert found.std_error.max() > 0.1
    drawn = post.sample(50)["hidden1"]
    assert drawn.shape == (50, 60) and drawn.verdict.startswith(("reliable", "unreliable"))


def test_the_rows_that_chains_do_not_answer_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = pairs(1, 14.0), np.array([[1, 1], [0, 0], [1, 1], [1, 0]])
    post = tr.infer(model, x, method="gibbs", key=1)
    found = post.certificates("hidden1")
    assert "chains do not cross in 3 of 4 rows, annealed ones" in found.verdict
    for r, values in enumerate(x):
        mean = table(model, {"visible": values.astype(float)}).means[1]
        assert (np.abs(found.value[r] - mean) <= 4 * found.std_error[r] + 0.02).all()
    monkeypatch.setattr(layer_chains, "AGAIN", 1)
    left = tr.infer(model, x, method="gibbs", key=1).certificates("hidden1")
    assert left.verdict.startswith("unreliable: chains do not cross in 2 of 4 rows (R-hat")
    assert left.std_error[2].min() > 0.2 > left.std_error[0].max()


def test_a_row_has_the_numbers_that_it_has_alone() -> None:
    model, x = pairs(3, 6.0), np.array([[1] * 6, [1, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 1]])
    all_rows, first = (tr.infer(model, rows, method="gibbs", key=3).marginals["hidden1"] for rows in (x, x[:1]))
    np.testing.assert_allclose(all_rows[0], first[0], atol=1e-6)


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("row", [row for row in ZOO if min(row.model().sizes) > 1], ids=str)
def test_log_odds_are_differences_of_the_log_joint(row: Any) -> None:
    model = row.model().astype(np.float32)
    evidence = random_evidence(model, np.random.default_rng(1), 1.0)
    chains, x = started(model, cases_of(model, evidence), [0], 2, 0)
    found, states = gibbs.log_odds(model, chains, x), [np.array(h, float) for h in x]
    for at, layer in enumerate(found):
        for unit in range(layer.shape[1]):
            pair = []
            for value in (0.0, 1.0):
                own = [h[1].copy() for h in states]
                own[at][unit] = value
                pair.append(log_joint(model, own))
            if at or model.within[0] is None:  # children that are free and independent say nothing
                assert layer[1, unit] == pytest.approx(pair[1] - pair[0], abs=1e-3)


def test_averages_of_squares_lie_between_the_square_of_the_mean_and_the_mean() -> None:
    model = pairs(1, 6.0).astype(np.float32)
    chains, x = started(model, cases_of(model, [1, np.nan]), [0], 8, 0)
    end, whole = gibbs.averages(model, chains, jax.random.key(0), x, range(60))
    middle, first = gibbs.averages(model, chains, jax.random.key(0), x, range(40))
    again, second = gibbs.averages(model, chains, jax.random.key(0), middle, range(40, 60))
    for at in range(2):
        np.testing.assert_array_equal(end[at], again[at])
        both = (2 * np.asarray(first.means[at]) + np.asarray(second.means[at])) / 3
        np.testing.assert_allclose(whole.means[at], both, atol=1e-5)
        mean, square = np.asarray(whole.means[at]), np.asarray(whole.squares[at])
        assert (square <= mean + 1e-6).all() and (square >= mean**2 - 1e-6).all()
    np.testing.assert_allclose(whole.squares[1], whole.means[1], atol=1e-6)  # zeros and ones
    assert (np.asarray(whole.means[0])[:, 0] == 1).all()


def test_chains_are_shared_out_by_the_root_of_the_weight() -> None:
    modes = layer_modes.find(pairs(1, 40.0, 2.0).astype(np.float32), None, cases_of(pairs(1, 40.0), [1, 1]), [0], 0)
    heavy, light = sorted(modes.row(0), key=lambda mode: -mode[0])
    assert heavy[0] - light[0] == pytest.approx(2.0, abs=0.01)
    assert (np.sign(heavy[1][1]) == [1, -1]).all() and (np.sign(light[1][1]) == [-1, 1]).all()
    odds = modes.shared_out(100)[1]
    share = 1 / (1 + np.exp(-1.0))
    assert (odds[:, 0] > 0).sum() == pytest.approx(100 * share, abs=1)
    assert (odds[:20, 0] > 0).sum() == pytest.approx(20 * share, abs=1.5)  # so are any that stand together


def test_an_end_is_found_once_and_the_heavier_is_kept() -> None:
    means = np.array([[0.9, 0.1], [0.1, 0.9], [0.7, 0.2], [0.9, 0.1]])
    weights = np.array([-3.0, -1.0, -2.0, -3.0])
    assert layer_modes._seen_before(means, weights).tolist() == [True, False, False, True]


def test_what_one_set_of_annealed_chains_lacks_is_doubted() -> None:
    model, cases = pairs(1, 14.0).astype(np.float32), cases_of(pairs(1, 14.0), [1, 1])
    modes = layer_modes.find(model, None, cases, [0], 0).row(0)
    strata = layer_annealed._strata(modes, 128)
    first = np.abs(strata.odds[1][:, 0] - 7) < 2  # the mode in which the first unit is on
    x = [np.ones((256, 2)), np.tile([[1.0, 0.0], [0.0, 1.0]], (128, 1))]
    x[1][:128] = strata.odds[1][strata.origin] > 0
    chains, _ = started(model, cases, [0], 256, 0)
    where = first[strata.nearest(x, chains.held.known)]

    def judged(work: np.ndarray) -> layer_annealed.Weighed:
        return layer_annealed._judged(strata, PathRun(work[None], x), chains, 0.0)

    even = np.log(np.concatenate([np.full(128, 0.5), np.linspace(0.5, 1.5, 128)]))  # of either mode one half
    sure = judged(even)
    assert sure.doubt is None and sure.worth > 100 and sure.share[where[:128]].sum() == pytest.approx(0.5)
    for_coins = np.where(np.arange(128) < 50, np.log(128 / 50), -50.0)  # worth less than one mode of the others
    lacking = judged(np.concatenate([np.where(where[:128], -50.0, even[:128]), for_coins]))
    assert str(lacking.doubt).startswith("annealed ones from other bases find ")
    few = judged(np.where(np.arange(256) % 128 < 5, 40.0, even))
    assert str(few.doubt).startswith("the weights of annealed ones are worth 5.0 of 128")
    assert judged(np.full(256, np.nan)).doubt is not None and judged(np.full(256, -np.inf)).doubt is not None


# ---------------------------------------------------------------- verbs


def test_the_verdict_travels_with_what_verbs_return() -> None:
    large = network(np.random.default_rng(0), [20, 40], 0.7)
    x = np.random.default_rng(0).integers(2, size=20).astype(float)
    x[:5] = np.nan
    drawn = tr.sample(large, 5, evidence=x, key=1)
    assert drawn.shape == (5, 20) and drawn.verdict.startswith("reliable given the phases found")
    assert drawn[:2].verdict == drawn.verdict
    rows = np.stack([x, np.where(np.arange(20) < 15, 1 - x, np.nan), np.nan_to_num(x)])  # with gaps in other places
    whole = tr.impute(large, rows, key=1)
    assert whole.shape == (3, 20) and whole.verdict.startswith("reliable given the phases found")
    np.testing.assert_array_equal(np.where(np.isnan(rows), np.nan, whole), rows)
    assert np.abs(whole[0, :5] - whole[1, :5]).max() > 0.1
    np.testing.assert_allclose(whole[0, :5], tr.impute(large, x, key=1)[:5], atol=0.03)
    small = pairs(1, 14.0)
    assert tr.sample(small, 5, evidence=[1, 1]).verdict == tr.sample(small, 5).verdict == "exact"
    assert tr.impute(small, [1, np.nan]).verdict == "exact"


def test_layers_without_anything_hidden_have_one_mode() -> None:
    alone = tr.SigmoidBeliefNetwork(biases=[np.array([0.0, 2.0, -1.0])])
    found = tr.infer(alone, [1, np.nan, np.nan], method="gibbs").certificates("visible")
    np.testing.assert_allclose(found.value, [1, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1))], atol=1e-5)
    assert found.verdict.startswith("reliable")


def test_draws_are_as_reliable_as_those_of_the_machine_on_top() -> None:
    top = tr.restricted(couplings=np.full((40, 40), 0.4), visible_bias=np.full(40, -8.0), hidden_bias=np.full(40, -8.0))
    model = tr.DeepBeliefNetwork(top=top, weights=[np.eye(6, 40)], biases=[np.zeros(6)])
    drawn, above = tr.sample(model, 40, key=1), tr.sample(top, 40, key=1)
    assert drawn.verdict == above.verdict and drawn.shape == (40, 6)
