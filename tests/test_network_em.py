"""EM on Bayesian networks: against sums over all joint states, mixtures, counting; its laws; bad input."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import brute_force
import numpy as np
import pytest
import zoo

import tractable as tr
from tractable.evaluate import kl_divergence
from tractable.learning.starts.networks import started
from tractable.models.weights import WeightedRows
from tractable.posterior.exact import components
from tractable.posterior.exact.expected_tables import expected_statistics, log_likelihood_rows

NETWORKS = [row for row in zoo.ZOO if row.name.startswith("bayesian")]
WAYS = {"enumerated": (1 << 13, 8), "contracted": (0, 0), "whole": (0, 10**6)}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Every way in which a row can be answered."""
    enumerated, shared = WAYS[request.param]
    monkeypatch.setattr(components, "ENUMERATED", enumerated)
    monkeypatch.setattr(components, "SHARED", shared)
    if request.param == "whole":
        monkeypatch.setattr(components, "_rare_rows", lambda layout, found, n: np.ones(n, bool))


def rows_of(net: tr.BayesianNetwork, n: int, missing: float = 0.4, seed: int = 0) -> np.ndarray:
    """Samples with some values missing, state indices and NaN."""
    drawn = tr.sample(net, n, key=seed, codes=True)
    states = np.column_stack([drawn[v] for v in net.states])
    return np.where(np.random.default_rng(seed).random(states.shape) < missing, np.nan, states)


def evidence(net: tr.BayesianNetwork, row: np.ndarray) -> dict[str, int]:
    return {v: int(s) for v, s in zip(net.states, row, strict=True) if s >= 0}


def counted(net: tr.BayesianNetwork, row: np.ndarray) -> list[str]:
    """The variables of a row that are observed, or have children: the rest of a row says nothing of its table."""
    inner = {p for own in net.parents.values() for p in own}
    return [v for v, s in zip(net.states, row, strict=True) if s >= 0 or v in inner]


def expected_by_brute_force(net: tr.BayesianNetwork, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected counts of all table entries, and log p of each row; what is missing and has no children is left out."""
    totals = {v: np.zeros(t.shape) for v, t in net.tables.items()}
    for row in rows:
        for v in counted(net, row):
            parents = net.parents[v]
            totals[v] += brute_force.joint_marginal(net, [*parents, v], evidence(net, row))
    log_p = [brute_force.log_partition(net, evidence(net, row)) for row in rows]
    return np.concatenate([t.ravel() for t in totals.values()]), np.array(log_p)


@pytest.mark.parametrize("row", NETWORKS, ids=str)
def test_expected_counts_are_sums_over_all_joint_states(row, way):
    net = row.model(3)
    x = rows_of(net, 5)
    counts, log_p = expected_by_brute_force(net, x)
    rows = net.check(x)
    found = expected_statistics(net, rows)
    np.testing.assert_allclose(found.statistics["count"], counts, atol=1e-10)
    assert found.log_likelihood == pytest.approx(log_p.sum(), abs=1e-9)
    np.testing.assert_allclose(log_likelihood_rows(net, rows), log_p, atol=1e-10)
    np.testing.assert_allclose(tr.log_likelihood(net, x).per_row.value, log_p, atol=1e-10)


def test_blocks_of_rows_add_up(way):
    net = zoo.random_network(np.random.default_rng(0))
    rows, weights = net.check(rows_of(net, 40)), np.arange(40.0)
    whole = expected_statistics(net, rows, weights)
    parts = [expected_statistics(net, rows[i::3], weights[i::3]) for i in range(3)]
    np.testing.assert_allclose(sum(p.statistics["count"] for p in parts), whole.statistics["count"], rtol=1e-10)
    assert sum(p.log_likelihood for p in parts) == pytest.approx(whole.log_likelihood, rel=1e-12)
    some = rows[10:30][[3, 4, 7]]
    np.testing.assert_allclose(log_likelihood_rows(net, some), log_likelihood_rows(net, rows)[[13, 14, 17]])


def test_elbo_and_kl_make_up_the_likelihood():
    """q is the posterior under other tables: the ELBO from expected counts, the KL from sums over joint states."""
    old, new = (zoo.network(np.random.default_rng(s), "a2 b3|a c2|ab d2|c") for s in (1, 2))
    x = rows_of(old, 8)
    found, log_p = expected_statistics(old, old.check(x)), tr.log_likelihood(new, x).per_row.value.sum()
    counts = found.statistics["count"]
    entropy = found.log_likelihood - counts @ np.log(old.vector())
    elbo, kl = counts @ np.log(new.vector()) + entropy, 0.0
    for row in x:
        q, p = (brute_force.joint_marginal(net, counted(old, row), evidence(net, row)) for net in (old, new))
        kl += float((q[q > 0] * np.log(q[q > 0] / p[q > 0])).sum())
    assert elbo + kl == pytest.approx(log_p, abs=1e-8)
    assert kl > 0.1


@pytest.mark.parametrize("prior", [None, 0, 3.0])
@pytest.mark.parametrize("row", NETWORKS, ids=str)
def test_em_never_decreases_what_it_climbs(row, prior):
    net = row.model(5)
    x = rows_of(net, 60)
    begin = started(net, WeightedRows(net.check(x)), "random", np.random.default_rng(0))
    run = tr.fit(begin, x, tr.EM(tolerance=0, prior=prior), epochs=25)
    objective = np.array([step.objective for step in run.history])
    assert (np.diff(objective) > -1e-12 * np.abs(objective[1:]).clip(1)).all()
    assert all(step.kl.value == 0 and step.elbo.value == step.train.value for step in run.history)
    assert run.history[-1].train.value == pytest.approx(tr.log_likelihood(run.model, x).value, rel=1e-10)


def test_iterates_are_those_of_em_by_brute_force():
    net = zoo.network(np.random.default_rng(4), "a2 b3|a c2|ab d2|c")
    x = rows_of(net, 25)
    step = zoo.network(np.random.default_rng(9), "a2 b3|a c2|ab d2|c")
    run = tr.fit(step, x, tr.EM(prior=0, tolerance=0), epochs=4)
    for _ in range(4):
        counts = expected_by_brute_force(step, x)[0]
        cuts = np.split(counts, np.cumsum([t.size for t in step.tables.values()])[:-1])
        tables = {v: c.reshape(t.shape) for (v, t), c in zip(step.tables.items(), cuts, strict=True)}
        step = tr.BayesianNetwork(
            step.states, step.parents, {v: c / c.sum(-1, keepdims=True) for v, c in tables.items()}
        )
    np.testing.assert_allclose(run.model.vector(), step.vector(), atol=1e-10)


def test_complete_data_are_counted_at_once():
    net = zoo.network(np.random.default_rng(4), "a2 b3|a c2|ab")
    x = rows_of(net, 500, missing=0)
    run = tr.fit(net, x, tr.EM(prior=0, tolerance=1e-9))
    seen = np.array([[np.mean(x[(x[:, 0] == a)][:, 1] == b) for b in range(3)] for a in range(2)])
    np.testing.assert_allclose(run.model.tables["b"], seen, atol=1e-12)
    assert run.history[-1].iteration == 2 and run.converged
    assert tr.bic(run.model, x).value == pytest.approx(
        -2 * 500 * run.history[-1].train.value + np.log(500) * (1 + 4 + 6)
    )
    assert tr.aic(run.model, {v: x[:, i] for i, v in enumerate(net.states)}).value < tr.bic(run.model, x).value


def test_a_hidden_variable_makes_a_mixture_of_categoricals_with_its_iterates():
    rng, k, sizes = np.random.default_rng(0), 3, (2, 4, 3)
    weights, tables = rng.dirichlet(np.ones(k)), [rng.dirichlet(np.ones(q), size=k) for q in sizes]
    x = np.column_stack([rng.integers(q, size=80) for q in sizes]).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    columns = [f"x{j}" for j in range(3)]
    net = tr.BayesianNetwork(
        {
            "class": "012",
            **{c: list(map(str, range(q))) for c, q in zip(columns, sizes, strict=True)},
        },
        {c: ["class"] for c in columns},
        {"class": weights, **dict(zip(columns, tables, strict=True))},
    )
    found = tr.fit(net, dict(zip(columns, x.T, strict=True)), tr.EM(prior=0, tolerance=0), epochs=10)
    mixture = tr.Mixture(weights, tr.CategoricalEmissions(tables))
    peer = tr.fit(mixture, x, tr.EM(prior=0, tolerance=0), epochs=10)
    np.testing.assert_allclose(found.model.vector(), peer.model.vector(), atol=1e-10)
    for one, other in zip(found.history, peer.history, strict=True):
        assert one.train.value == pytest.approx(other.train.value, abs=1e-12)


def test_the_divergence_is_a_sum_over_all_joint_states():
    p, q = (zoo.network(np.random.default_rng(s), "a2 b3|a c2|ab d2|c") for s in (1, 2))
    one, other = (brute_force.joint_marginal(net, list(net.states)) for net in (p, q))
    assert kl_divergence(p, q).value == pytest.approx(float((one * np.log(one / other)).sum()), rel=1e-12)
    certain = tr.BayesianNetwork({"a": "01"}, {}, {"a": [1.0, 0.0]})
    fair = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.5, 0.5]})
    assert kl_divergence(fair, certain).value == np.inf and kl_divergence(certain, fair).value == pytest.approx(
        np.log(2)
    )
    with pytest.raises(tr.ModelError, match="same variables"):
        kl_divergence(p, fair)


def test_rows_that_count_twice_are_rows_there_twice():
    net = zoo.random_network(np.random.default_rng(7))
    x = rows_of(net, 30)
    weights = np.r_[np.full(10, 2.0), np.zeros(5), np.ones(15)]
    one = tr.fit(net, x, tr.EM(tolerance=0), epochs=5, weights=weights)
    two = tr.fit(net, np.concatenate([x[:10], x[:10], x[15:]]), tr.EM(tolerance=0), epochs=5)
    np.testing.assert_allclose(one.model.vector(), two.model.vector(), atol=1e-12)


def test_tied_tables_stay_tied_and_fixed_ones_stay():
    """Of a chain with one transition, counts of both links make the table; the first variable is not learned."""
    net = zoo.network(np.random.default_rng(1), "a2 b2|a c2|b")
    tables = {**net.tables, "c": net.tables["b"]}
    tied = tr.BayesianNetwork(net.states, net.parents, tables, ties=[["b", "c"]], fixed=["a"])
    x = rows_of(net, 200, missing=0)
    run = tr.fit(tied, x, tr.EM(prior=0, tolerance=1e-12))
    pairs = np.concatenate([x[:, :2], x[:, 1:]])
    seen = np.array([[np.mean(pairs[pairs[:, 0] == a][:, 1] == b) for b in range(2)] for a in range(2)])
    np.testing.assert_allclose(run.model.tables["b"], seen, atol=1e-12)
    assert (run.model.tables["c"] == run.model.tables["b"]).all()
    assert (run.model.tables["a"] == net.tables["a"]).all()
    assert run.model.n_parameters == 2
    gaps = rows_of(net, 200)
    objective = [s.objective for s in tr.fit(tied, gaps, tr.EM(prior=2.0, tolerance=0), epochs=20).history]
    assert (np.diff(objective) > -1e-12).all()


def test_priors_are_pseudo_rows():
    net = zoo.network(np.random.default_rng(1), "a2 b2|a")
    x = np.array([[0, 0], [0, 1], [0, 1]])
    bdeu = tr.fit(net, x, tr.EM(prior=4.0)).model
    np.testing.assert_allclose(bdeu.tables["a"], [5 / 7, 2 / 7])
    np.testing.assert_allclose(bdeu.tables["b"], [[2 / 5, 3 / 5], [0.5, 0.5]])
    laplace = tr.fit(net, x, tr.EM(prior=0, weight_prior=1.0)).model
    np.testing.assert_allclose(laplace.tables["a"], [4 / 5, 1 / 5])
    own = tr.fit(net, x, tr.EM(prior={"b": [[1.0, 0.0], [3.0, 1.0]]})).model
    np.testing.assert_allclose(own.tables["b"], [[0.5, 0.5], [0.75, 0.25]])
    np.testing.assert_allclose(own.tables["a"], [1.0, 0.0])


LEARNERS = [
    tr.IncrementalEM(n_blocks=4, tolerance=1e-9),
    tr.OnlineEM(batch_size=50, tolerance=0),
    tr.GeneralizedEM(rate=0.5),
]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
def test_other_ways_lead_where_em_leads(learner):
    net = zoo.network(np.random.default_rng(2), "a2 b3|a c2|b d2|c")
    x = rows_of(net, 400, missing=0.2)
    begin = started(net, WeightedRows(net.check(x)), "random", np.random.default_rng(1))
    best = tr.fit(begin, x, tr.EM(tolerance=1e-10), epochs=300).history[-1].train.value
    run = tr.fit(begin, x, learner, epochs=60)
    assert run.history[-1].train.value == pytest.approx(best, abs=1e-2)


def test_the_best_of_several_starts_is_kept_and_a_key_repeats_it():
    net = zoo.network(np.random.default_rng(2), "a3 b3|a c2|a d2|a")
    x = rows_of(net, 100, missing=0)
    x[:, 0] = np.nan
    runs = [tr.fit(net, x, tr.EM(n_init=4, start="random"), key=3, epochs=30) for _ in range(2)]
    assert runs[0].objectives == runs[1].objectives and len(set(runs[0].objectives)) > 1
    assert runs[0].history[-1].objective == max(runs[0].objectives)
    np.testing.assert_array_equal(runs[0].model.vector(), runs[1].model.vector())


def test_evidence_below_every_float_is_answered(way):
    net = zoo.rare(np.random.default_rng(0))
    x = np.array([[1, np.nan, 1, 1], [1, 1, np.nan, 1], [np.nan, 1, 1, 1]])
    counts, log_p = expected_by_brute_force(net, x)
    np.testing.assert_allclose(expected_statistics(net, net.check(x)).statistics["count"], counts, atol=1e-9)
    np.testing.assert_allclose(log_likelihood_rows(net, net.check(x)), log_p, rtol=1e-12)


def test_a_class_with_thousands_of_features_is_no_underflow():
    rng, d = np.random.default_rng(0), 1500
    p = rng.uniform(0.01, 0.99, (2, d))
    names = [f"x{j}" for j in range(d)]
    net = tr.BayesianNetwork(
        {"class": "01", **dict.fromkeys(names, "01")},
        {v: ["class"] for v in names},
        {"class": [0.5, 0.5], **{v: np.stack([1 - p[:, j], p[:, j]], 1) for j, v in enumerate(names)}},
    )
    x = (rng.random((5, d)) < p[0]).astype(int)
    peer = tr.Mixture([0.5, 0.5], tr.BernoulliEmissions(p))
    np.testing.assert_allclose(
        tr.log_likelihood(net, np.column_stack([np.full(5, np.nan), x])).per_row.value,
        tr.log_likelihood(peer, x).per_row.value,
        rtol=1e-12,
    )


# ---------------------------------------------------------------- tables of data

TABLE = {
    "size": ["small", "large", None, "large", "small"],
    "grade": [1, 3, 3, None, 1],
    "ok": [True, None, False, True, True],
}
PARENTS = {"grade": ["size"], "ok": ["grade", "size"]}


def form_of(name: str) -> object:
    """The table in another form."""
    if name == "cases":
        return [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]
    if name == "polars":
        return pytest.importorskip("polars").DataFrame(TABLE)
    frame = pytest.importorskip("pandas").DataFrame(TABLE)
    return {"pandas": frame, "NaN": frame.astype({"grade": float}), "categories": frame.astype("category")}[name]


@pytest.mark.parametrize("form", ["cases", "pandas", "NaN", "categories", "polars"])
def test_the_form_of_a_table_does_not_matter(form):
    table = form_of(form)
    net = tr.bayesian_network(table, PARENTS)
    assert dict(net.states) == {"size": ("large", "small"), "grade": ("1", "3"), "ok": ("False", "True")}
    np.testing.assert_array_equal(net.check(table).states[:, 1], [0, 1, 1, -1, 0])  # names, though they are numbers
    run = tr.fit(net, table, epochs=20)
    texts = {v: [None if x is None else str(x) for x in column] for v, column in TABLE.items()}
    np.testing.assert_allclose(run.model.vector(), tr.fit(net, texts, epochs=20).model.vector(), rtol=1e-12)


def test_arrays_of_numbers_are_values_like_any_others():
    net = tr.bayesian_network({"a": np.array([1, 3, 4]), "b": np.array([np.nan, 1.0, 0.0])}, {})
    assert net.states == {"a": ("1", "3", "4"), "b": ("0", "1")}
    drawn = tr.sample(net, 9)
    np.testing.assert_array_equal(net.check(drawn).states, np.column_stack([*tr.sample(net, 9, codes=True).values()]))


def test_a_hidden_variable_gets_its_states_by_number_and_rows_that_show_a_family_make_its_table():
    x = {"a": ["x", "y"] * 40, "b": ["u", "v"] * 40}
    net = tr.bayesian_network(x, {"a": ["h"], "b": ["a"]}, states={"h": 2}, key=1)
    assert net.states["h"] == ("0", "1")
    assert net.tables["b"][0, 0] > 0.85 and net.tables["b"][1, 1] > 0.85
    assert np.abs(net.tables["a"][0] - net.tables["a"][1]).max() > 1e-3
    run = tr.fit(net, x, validation=x)
    assert run.history[-1].validation.value == pytest.approx(run.history[-1].train.value)


def test_rows_are_filled_in_with_the_most_probable_states():
    net = zoo.network(np.random.default_rng(3), "a2 b3|a c2|b")
    x = rows_of(net, 20)
    whole = tr.impute(net, x, codes=True)
    names = tr.impute(net, x)
    for i, row in enumerate(x):
        best = {v: int(p.argmax()) for v, p in brute_force.marginals(net, evidence(net, row)).items()}
        assert {v: int(whole[v][i]) for v in net.states} == best
        assert names[i].tolist() == [net.states[v][s] for v, s in best.items()]


def test_validation_rows_are_followed():
    net = zoo.network(np.random.default_rng(3), "a2 b3|a c2|b")
    held = rows_of(net, 30, seed=9)
    run = tr.fit(net, rows_of(net, 30), validation=held, epochs=3)
    assert run.history[-1].validation.value == pytest.approx(tr.log_likelihood(run.model, held).value)


def test_a_markov_network_is_scored_and_not_learned():
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1.0, 2.0], [3.0, 4.0]])])
    found = tr.log_likelihood(net, [[0, 1], [1, None]])
    np.testing.assert_allclose(np.exp(found.per_row.value), [0.2, 0.7])
    with pytest.raises(tr.ModelError, match="EM does not learn a MarkovNetwork"):
        tr.fit(net, [[0, 1]])


# ---------------------------------------------------------------- what cannot be learned from

NET = zoo.network(np.random.default_rng(0), "a2 b2|a")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tr.fit(NET, {"a": ["a0", "a7"], "b": ["b0", "b1"]}), "row 1: variable 'a' has no state 'a7'"),
        (lambda: tr.fit(NET, {"a": ["a0"], "z": ["b0"]}), "the column 'z' is no variable of the network"),
        (lambda: tr.fit(NET, {"a": ["a0"], "b": ["b0", "b1"]}), "the column 'b' has 2 rows"),
        (lambda: tr.fit(NET, np.array([[0, 5]])), "row 0: variable 'b': there is no state number 5"),
        (lambda: tr.fit(NET, np.array([[0.5, 1.0]])), "row 0: variable 'a': 0.5 is none of its states"),
        (lambda: tr.fit(NET, np.zeros((3, 5))), "5 columns"),
        (lambda: tr.fit(NET, np.zeros(3)), "shape"),
        (lambda: tr.fit(NET, {"a": [], "b": []}), "no rows"),
        (lambda: tr.fit(NET, [[0, 1]], validation={"a": ["x"]}), "validation: row 0"),
        (lambda: tr.fit(NET, [[0, 1]], tr.EM(prior=-1.0)), "pseudo-rows"),
        (lambda: tr.fit(NET, [[0, 1]], tr.EM(prior={"b": [1.0]})), "the prior of 'b'"),
        (lambda: tr.fit(NET, [[0, 1]], tr.EM(prior={"c": [1.0]})), "unknown variable 'c'"),
        (lambda: tr.fit(NET, [[0, 1]], tr.EM(start="k-means++")), "unknown start"),
        (lambda: tr.fit(NET, [[0, 1]], tr.GeneralizedEM(posterior=2)), "exact"),
        (lambda: tr.bayesian_network({"a": [None, None]}, {}), "column 'a': every entry is missing"),
        (lambda: tr.bayesian_network({"a": ["x"]}, {"a": ["h"]}), "'h' is no column"),
        (lambda: tr.bayesian_network({"a": ["x"]}, {"a": ["h"]}, states={"h": 0}), "at least one state"),
        (lambda: tr.bayesian_network({"a": np.random.default_rng(0).random(200)}, {}), "cut it into bins"),
        (lambda: tr.bayesian_network({"a": []}, {}, states={"a": "01"}), "no rows"),
        (lambda: tr.BayesianNetwork(NET.states, NET.parents, NET.tables, ties=[["a", "b"]]), "tables differ"),
        (lambda: tr.BayesianNetwork(NET.states, NET.parents, NET.tables, ties=["ab", "ba"]), "tied twice"),
        (lambda: tr.BayesianNetwork(NET.states, NET.parents, NET.tables, fixed=["c"]), "unknown variable 'c'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(make, words):
    with pytest.raises(tr.ModelError, match=words):
        make()


def test_an_impossible_row_is_named():
    net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": np.eye(2)})
    for x in ([[0, 0], [1, 0]], [[0, 0], [0, 1], [None, 1]]):
        with pytest.raises(tr.ModelError, match="row 1 has probability zero"):
            tr.fit(net, x, tr.EM(prior=0))
    tr.fit(net, [[0, 0], [1, 0]], weights=[1.0, 0.0])
    assert tr.log_likelihood(net, [[1, 0]]).value == -np.inf


@pytest.mark.parametrize(
    "x",
    [[[0, 0]], [[None, None]], [[0, 0]] * 5, [[0, None], [1, None]]],
    ids=["one row", "nothing", "constant", "a column"],
)
@pytest.mark.parametrize("prior", [0, None])
def test_awkward_tables_give_finite_numbers(x, prior):
    run = tr.fit(NET, x, tr.EM(prior=prior), epochs=10)
    assert np.isfinite(run.model.vector()).all()
    np.testing.assert_allclose([t.sum() for t in run.model.tables.values()], [1, 2])


def test_em_of_networks_needs_no_jax():
    code = """
import sys, tractable as tr
table = {"a": ["x", "y", None], "b": ["u", None, "v"]}
net = tr.bayesian_network(table, {"b": ["a"]})
run = tr.fit(net, table)
tr.log_likelihood(run.model, table), tr.bic(run.model, table), tr.impute(run.model, table)
print({"jax", "sklearn", "pandas"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("criterion", [tr.aic, tr.bic])
def test_where_parameters_are_not_counted_there_is_no_criterion(criterion: Any) -> None:
    with pytest.raises(tr.UnsupportedError, match="compare log_likelihood"):
        criterion(tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])]), {"a": ["0"]})
