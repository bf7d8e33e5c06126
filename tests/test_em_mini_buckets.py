"""EM of networks whose E-step is too wide: draws under bounds, and intervals of log p(x), ELBO and KL that hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_em_checkpoints import Killed, killed_after, same
from test_network_em import expected_by_brute_force

import tractable as tr
from tractable.kernels.mini_buckets import MiniBuckets
from tractable.models.observations import Observations
from tractable.posterior.approximate import joint_bets, sampled_tables, weighted_cases
from tractable.posterior.exact import components
from tractable.posterior.expected import UnderBound

BINARY = "01"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is summed over exactly, and parts are as small as they can be."""
    monkeypatch.setattr(sampled_tables, "WORK", 0.0)
    monkeypatch.setattr(components, "ENUMERATED", 0)
    monkeypatch.setattr(weighted_cases, "largest", lambda tables, order, seed, *_: MiniBuckets(tables, order, 2, seed))


def network(rng: np.random.Generator, n: int = 9, k: int = 3, zeros: float = 0.3) -> tr.BayesianNetwork:
    """Of at most k parents each, some with zeros in their tables."""
    parents = {f"v{i}": [f"v{j}" for j in rng.choice(i, min(k, i), replace=False)] for i in range(n)}
    spread = rng.choice([0.1, 0.3, 1.0])

    def table(n_parents: int) -> np.ndarray:
        found = rng.dirichlet([spread] * 2, size=(2,) * n_parents)
        if rng.random() < zeros:
            found = np.where(rng.random(found.shape) < 0.2, 0.0, found)
            found = np.where(found.sum(-1, keepdims=True) == 0, 0.5, found)
        return found / found.sum(-1, keepdims=True)

    return tr.BayesianNetwork(dict.fromkeys(parents, BINARY), parents, {v: table(len(p)) for v, p in parents.items()})


def rows_of(net: tr.BayesianNetwork, n: int, rng: np.random.Generator, missing: float) -> np.ndarray:
    """Rows that the network has drawn, with gaps."""
    drawn = tr.sample(net, n, key=int(rng.integers(1000)))
    states = np.stack([np.array(drawn[v]).astype(np.int32) for v in net.states], 1)
    return np.where(rng.random(states.shape) < missing, np.int32(-1), states)


def enumerated(net: tr.BayesianNetwork, states: np.ndarray) -> float:
    """log p of all rows, by the joint table."""
    joint = np.ones((2,) * len(net.states))
    for v in net.states:
        joint = joint * _spread(net, v, np.asarray(net.tables[v]))
    return sum(float(np.log(joint[tuple(slice(None) if s < 0 else s for s in row)].sum())) for row in states)


def _spread(net: tr.BayesianNetwork, v: str, table: np.ndarray) -> np.ndarray:
    """A table with an axis for each variable of the network."""
    names = list(net.states)
    own = [*(names.index(p) for p in net.parents[v]), names.index(v)]
    shape = [2 if i in own else 1 for i in range(len(names))]
    return table.transpose(np.argsort(own)).reshape(shape)


def expected(net: tr.BayesianNetwork, states: np.ndarray, how: UnderBound, **more: Any) -> Any:
    return sampled_tables.expected_statistics(net, Observations(states), None, how, **more)


def test_intervals_hold_as_often_as_they_say(narrow: None) -> None:
    missed, n, widths = 0, 0, []
    for case in range(25):
        rng = np.random.default_rng(case)
        net = network(rng)
        states, draws = rows_of(net, 6, rng, 0.8), int(rng.choice([64, 512, 2048]))
        log_p = enumerated(net, states)
        for seed in range(2):
            train, elbo, kl = expected(net, states, UnderBound(draws, 0.9, (case, seed))).told
            assert train.value == pytest.approx(elbo.value + kl.value, abs=1e-9)
            assert all(c.lower <= c.value <= c.upper for c in (train, elbo, kl)) and kl.lower == 0
            if train.kind == "exact":
                assert train.value == pytest.approx(log_p, abs=1e-9)
                continue
            missed, n = missed + (not train.lower <= log_p <= train.upper), n + 1
            widths.append(train.upper - train.lower)
    assert n > 30 and np.median(widths) < 1.0
    assert missed <= 0.1 * n


@pytest.mark.parametrize("draws", [16, 128])
def test_the_divergence_is_that_of_the_mean_over_draws(narrow: None, draws: int) -> None:
    rng = np.random.default_rng(5)
    net = network(rng, zeros=1.0)
    rows = Observations(rows_of(net, 2, rng, 0.9))
    counts, log_p = expected_by_brute_force(net, np.where(rows.states < 0, np.nan, rows.states))
    found = [sampled_tables.expected_statistics(net, rows, None, UnderBound(draws, 0.95, (k,))) for k in range(80)]
    kl = log_p.sum() - np.mean([f.elbo for f in found])
    error = np.std([f.elbo for f in found]) / np.sqrt(len(found))
    ends = np.array([f.told.kl.upper for f in found])
    assert -4 * error < kl
    assert (ends > kl - 4 * error).mean() >= 0.95
    assert np.mean([f.told.elbo.lower for f in found]) < log_p.sum() - kl
    each = np.array([f.statistics["count"] for f in found])
    allowed = 5 * each.std(0) / np.sqrt(len(found)) + 2 * np.sqrt(2 * max(kl, 0) + 8 * error)  # Pinsker
    assert (np.abs(each.mean(0) - counts) < allowed + 1e-9).all()


def test_more_draws_narrow_all_ends(narrow: None) -> None:
    rng = np.random.default_rng(7)
    net = network(rng, 10, zeros=0.0)
    states = rows_of(net, 8, rng, 0.8)
    few, many = (expected(net, states, UnderBound(n, 0.95, (1,))).told for n in (256, 16384))
    assert many.kl.upper < few.kl.upper / 8
    wide, slim = (t.log_likelihood.upper - t.log_likelihood.lower for t in (few, many))
    assert slim < wide / 4


def test_one_bet_on_all_rows_is_narrower_than_one_on_each() -> None:
    rng, n, k = np.random.default_rng(0), 200, 1000
    means = rng.uniform(0.05, 0.5, n)
    points = np.log(np.concatenate([[1e-300], np.linspace(0.02, 1, 63)]))
    missed = 0
    for _ in range(10):
        chosen = rng.binomial(k, means)  # of two points: nearly nothing, or one
        mass = np.zeros((n, 64))
        mass[:, -1], mass[:, 0] = chosen, k - chosen
        f, c = np.full(n, 0.001), rng.uniform(0.5, 2, n)
        truth = c @ np.log(means + f)
        draws = joint_bets.CaseDraws(
            c, k, np.tile(points, (n, 1)), mass, np.log(f), np.log(8 * f), means, (1 - means) / means
        )
        low, high = joint_bets.ends(draws, 0.025)
        ideal = np.sqrt(2 * np.log(40) * (c**2 @ ((1 - means) / means)) / k)
        missed += not low <= truth <= high
        assert high - low < 3 * ideal
    assert missed <= 1


def causes(seed: int, n: int = 10, of: int = 16) -> tuple[tr.BayesianNetwork, tr.BayesianNetwork]:
    """Hidden causes of what is seen, three of each: the truth, and where learning begins."""
    rng = np.random.default_rng(seed)
    parents = {f"s{i}": [f"h{j}" for j in np.sort(rng.choice(n, 3, replace=False))] for i in range(of)}
    states = dict.fromkeys([*(f"h{j}" for j in range(n)), *parents], BINARY)

    def tables(spread: float) -> dict[str, Any]:
        own = {f"h{j}": [p := rng.uniform(0.3, 0.7), 1 - p] for j in range(n)}
        return own | {s: rng.dirichlet([spread] * 2, size=(2, 2, 2)) for s in parents}

    return tr.BayesianNetwork(states, parents, tables(0.5)), tr.BayesianNetwork(states, parents, tables(3.0))


def seen(net: tr.BayesianNetwork, n: int, key: int) -> dict[str, np.ndarray]:
    return {v: np.array(column) for v, column in tr.sample(net, n, key=key).items() if v.startswith("s")}


def test_a_fit_comes_as_high_as_exact_em(narrow: None) -> None:
    truth, start = causes(0)
    x = seen(truth, 30, 1)
    exact = tr.fit(start, x, tr.EM(prior=0), epochs=6, progress=False)
    learner = tr.GeneralizedEM(posterior=tr.MiniBucketsEStep(2048), prior=0)
    run = tr.fit(start, x, learner, epochs=6, key=3, progress=False)
    gained = exact.history[-1].train.value - exact.history[0].train.value
    assert gained > 1
    assert tr.log_likelihood(run.model, x).value == pytest.approx(exact.history[-1].train.value, abs=0.02 * gained)
    before = replace(run.history[0], seconds=0)
    assert before.train.lower <= exact.history[0].train.value <= before.train.upper
    for record in run.history:
        assert record.train.kind == record.kl.kind == "probabilistic" and record.kl.upper < 0.1
        assert record.train.value == pytest.approx(record.elbo.value + record.kl.value, abs=1e-12)


def test_what_exact_em_refuses_is_learned_within_the_memory() -> None:
    truth, start = causes(1, 18, 30)
    x, held, memory = seen(truth, 20, 1), seen(truth, 20, 2), "32kB"
    with pytest.raises(tr.BudgetError):
        tr.fit(start, x, tr.EM(), memory=memory)
    learner = tr.GeneralizedEM(posterior=tr.MiniBucketsEStep(1024))
    run = tr.fit(start, x, learner, epochs=3, memory=memory, validation=held, progress=False)
    first, last = run.history[0], run.history[-1]
    assert last.validation.lower > first.validation.upper
    for model, record in ((start, first), (run.model, last)):
        for rows, told in ((x, record.train), (held, record.validation)):
            assert told.lower <= tr.log_likelihood(model, rows).value <= told.upper
    with pytest.raises(tr.BudgetError, match="smallest bound"):
        tr.fit(start, x, learner, memory="9kB")


@pytest.mark.parametrize("n", [0, 2])
def test_a_key_repeats_a_fit_and_a_checkpoint_goes_on_to_the_bit(narrow: None, n: int, tmp_path: Path) -> None:
    truth, start = causes(2, 6, 8)
    x = seen(truth, 5, 1)
    learner = tr.GeneralizedEM(posterior=tr.MiniBucketsEStep(512), rate=0.5, n_init=1 + n // 2, tolerance=0)
    options: dict[str, Any] = {"epochs": 3, "key": 4, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tractable.learning.em.exact.CANDIDATES", 2)
        patch.setattr("tractable.learning.em.exact.TRIED", 0)
        whole = tr.fit(start, x, learner, **options)
        assert same(whole, tr.fit(start, x, learner, **options))
        assert not same(whole, tr.fit(start, x, learner, **options | {"key": 5}))
        options |= {"checkpoint": str(tmp_path / "fit"), "checkpoint_seconds": 0}
        with pytest.raises(Killed):
            tr.fit(start, x, learner, callback=killed_after(n), **options)
        assert same(whole, tr.fit(start, x, learner, resume=True, **options))


def test_each_iteration_has_draws_of_its_own(narrow: None) -> None:
    truth, start = causes(2, 6, 8)
    data = start.check(seen(truth, 12, 1)).states
    one, other = (expected(start, data, UnderBound(512, 0.95, (1, step, 0))) for step in (0, 1))
    assert one.elbo != other.elbo
    assert np.abs(one.statistics["count"] - other.statistics["count"]).max() > 0


def test_weights_are_copies_of_rows(narrow: None) -> None:
    truth, start = causes(3, 6, 8)
    data = np.unique(start.check(seen(truth, 8, 1)).states, axis=0)
    how, weights = UnderBound(512, 0.95, (1,)), np.array([2.0, 0.0, *[1.0] * (len(data) - 2)])
    found = sampled_tables.expected_statistics(start, Observations(data), weights, how)
    copies = np.repeat(data, weights.astype(int), axis=0)
    same_rows = sampled_tables.expected_statistics(start, Observations(copies), None, how)
    assert found.statistics["count"].sum() == pytest.approx(same_rows.statistics["count"].sum())
    assert found.log_likelihood == pytest.approx(same_rows.log_likelihood, abs=0.5)


def test_it_ends_where_nothing_is_gained_any_more(narrow: None) -> None:
    truth, start = causes(4, 4, 6)
    run = tr.fit(start, seen(truth, 10, 1), tr.GeneralizedEM(posterior=tr.MiniBucketsEStep(256), tolerance=0.02))
    assert run.converged and 10 <= len(run.history) < 60


def test_what_cannot_be_is_said(narrow: None) -> None:
    tables = {"a": [1.0, 0.0], "b": [0.5, 0.5], "c": [[[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]]}
    net = tr.BayesianNetwork(dict.fromkeys("abc", BINARY), {"c": ["a", "b"]}, tables)
    for learner in (tr.EM(), tr.GeneralizedEM(posterior="mini_buckets")):
        with pytest.raises(tr.ModelError, match="row 1 has probability zero under the network"):
            tr.fit(net, {"c": ["0", "1"]}, learner)
    run = tr.fit(net, {"c": ["0", "0"]}, tr.GeneralizedEM(posterior="mini_buckets"), epochs=0, validation={"c": ["1"]})
    assert run.history[-1].validation.value == -np.inf


def test_rows_without_a_draw_of_positive_weight_are_named(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, start = causes(2, 6, 8)
    draw = MiniBuckets.draw

    def dead(self: Any, *given: Any) -> tuple[np.ndarray, np.ndarray]:
        log_w, states = draw(self, *given)
        return np.full_like(log_w, -np.inf), states

    monkeypatch.setattr(MiniBuckets, "draw", dead)
    with pytest.raises(tr.ModelError, match=r"row 0: none of 4,096 draws .* log p <= .*MiniBucketsEStep\(draws=…\)"):
        tr.fit(start, seen(truth, 3, 1), tr.GeneralizedEM(posterior="mini_buckets"), progress=False)


def test_settings_that_are_none_and_models_that_have_no_such_posterior() -> None:
    learner = tr.GeneralizedEM(posterior="mini_buckets")
    assert learner == tr.GeneralizedEM(posterior=tr.MiniBucketsEStep()) and "draws=4096" in repr(learner)
    for wrong in ({"draws": 0}, {"draws": 2.5}, {"draws": True}, {"confidence": 1.0}):
        with pytest.raises(tr.ModelError, match=r"draws|confidence"):
            tr.MiniBucketsEStep(**wrong)
    rows = np.array([[0.0], [0.4], [3.0]])
    with pytest.raises(tr.ModelError, match="stands for the posterior of a BayesianNetwork, got a Mixture"):
        tr.fit(tr.mixture(rows, 2, "diagonal"), rows, learner)
    chain = tr.hidden_markov([[0.0, 1.0, 5.0]], 2, "diagonal")
    with pytest.raises(tr.ModelError, match="got a HiddenMarkovModel"):
        tr.fit(chain, [[0.0, 1.0, 5.0]], learner)
