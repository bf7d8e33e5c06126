"""Estimates about networks of tables: exact on trees, stationary on loops, averages within errors, doubts said."""

from __future__ import annotations

import itertools
import math
import re
from itertools import pairwise

import brute_force as oracle
import numpy as np
import pytest
from sweep import seeds
from zoo import ZOO, Model, Row, pairwise_field, random_evidence

import tractable as tr
from tractable.kernels import Tables
from tractable.kernels.propagation import Patience, propagate
from tractable.models.evidence import parse_evidence
from tractable.models.pruning import left
from tractable.posterior.approximate.belief_propagation import from_the_leaves
from tractable.posterior.approximate.table_starts import Support, starts

CASES = [(row, seed) for row in ZOO for seed in seeds(2)]


def ring(n: int = 4, coupling: float = 1.0, field: float = 0.3) -> tr.MarkovNetwork:
    """Spins in a circle."""
    names = [f"s{i}" for i in range(n)]
    pair = np.exp(coupling * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    factors = [((a, b), pair) for a, b in pairwise([*names, names[0]])]
    return tr.MarkovNetwork(dict.fromkeys(names, "01"), [*factors, ((names[0],), np.exp([0.0, field]))])


def square(n: int, coupling: float) -> tr.MarkovNetwork:
    """Spins on a square of n by n, which like to be alike."""
    pair = np.exp(coupling * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    at = {(r, c): f"s{r}.{c}" for r in range(n) for c in range(n)}
    near = [((r, c), (r + i, c + j)) for r, c in at for i, j in ((0, 1), (1, 0)) if (r + i, c + j) in at]
    return tr.MarkovNetwork(dict.fromkeys(at.values(), "01"), [((at[a], at[b]), pair) for a, b in near])


# ---------------------------------------------------------------- belief propagation


@pytest.mark.parametrize(("row", "seed"), CASES, ids=str)
def test_what_is_called_exact_is(row: Row, seed: int) -> None:
    model = row.model(seed)
    for given in ({}, random_evidence(model, np.random.default_rng(seed))):
        log_z = oracle.log_partition(model, given)
        post = tr.infer(model, given, method="belief_propagation")
        if post.log_partition.value == -math.inf:
            assert log_z == -math.inf
            continue
        if post.log_partition.kind != "exact":
            assert post.log_partition.kind == "estimate" and "on loops" in (post.log_partition.verdict or "")
            continue
        assert post.log_partition.value == pytest.approx(log_z, abs=1e-9)
        for v, p in oracle.marginals(model, given).items():
            assert post.certificates(v).kind == "exact"
            np.testing.assert_allclose(post.marginals.array(v), p, atol=1e-9)


def test_a_tree_is_exact_in_two_sweeps_whatever_its_tables() -> None:
    rng = np.random.default_rng(0)
    for n in range(2, 30):
        parents = {f"v{i}": [f"v{rng.integers(i)}"] for i in range(1, n)}
        sizes = {f"v{i}": int(rng.integers(1, 4)) for i in range(n)}
        tables = {v: rng.dirichlet(np.ones(k), [sizes[u] for u in parents.get(v, [])]) for v, k in sizes.items()}
        net = tr.BayesianNetwork(sizes, parents, tables)
        given = {f"v{i}": 0 for i in range(n) if rng.random() < 0.3}
        found, exact = tr.infer(net, given, method="belief_propagation"), tr.infer(net, given)
        assert found.log_partition.kind == "exact"
        assert found.log_partition.value == pytest.approx(exact.log_partition.value, abs=1e-10)
        for v in sizes:
            np.testing.assert_allclose(found.marginals.array(v), exact.marginals.array(v), atol=1e-10)


def messages_of(model: Model, sweeps: int = 2000) -> tuple[Tables, dict[tuple[int, int], np.ndarray], float]:
    """Messages that have converged, from tables to variables, and log Z that came with them."""
    reduced = left(model, parse_evidence(model.states, None), "marginals")
    tables = reduced.tables
    found = propagate(tables, from_the_leaves(tables)[0], Patience(sweeps, 1e-12, 0.5, 50))
    assert found.change <= 1e-12
    edges = [(j, v) for j in range(tables.n_factors) for v in tables.scope(j).tolist()]
    parts = np.split(found.messages, np.cumsum(tables.sizes[tables.scopes])[:-1])
    return tables, dict(zip(edges, map(np.exp, parts), strict=True)), found.log_z


def beliefs(tables: Tables, messages: dict[tuple[int, int], np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Those of tables and of variables, from messages as they are written in books."""
    to: list[list[int]] = [[j for j, v in messages if v == u] for u in range(len(tables.sizes))]

    def said(v: int, but: int) -> np.ndarray:
        return np.prod([messages[j, v] for j in to[v] if j != but] or [np.ones(tables.sizes[v])], axis=0)

    of_tables = []
    for j in range(tables.n_factors):
        b = tables.table(j).copy()
        for axis, v in enumerate(tables.scope(j).tolist()):
            b *= said(v, j).reshape([-1 if i == axis else 1 for i in range(b.ndim)])
        of_tables.append(b / b.sum())
    of_variables = [said(v, -1) / said(v, -1).sum() for v in range(len(tables.sizes))]
    return of_tables, of_variables


LOOPY = [
    ring(),
    ring(5, -0.8),
    square(3, 0.3),
    pairwise_field(np.random.default_rng(1), itertools.combinations("abcd", 2)),
]


@pytest.mark.parametrize("model", LOOPY, ids=lambda model: f"{len(model.states)} variables")
def test_on_loops_beliefs_agree_and_log_z_is_that_of_bethe(model: Model) -> None:
    tables, messages, log_z = messages_of(model)
    of_tables, of_variables = beliefs(tables, messages)
    degree = np.bincount(tables.scopes, minlength=len(tables.sizes))
    bethe = sum(float((b * np.log(tables.table(j) / b)).sum()) for j, b in enumerate(of_tables))
    bethe += sum((d - 1) * float((b * np.log(b)).sum()) for d, b in zip(degree, of_variables, strict=True))
    for j, b in enumerate(of_tables):
        for axis, v in enumerate(tables.scope(j).tolist()):
            own = b.sum(axis=tuple(i for i in range(b.ndim) if i != axis))
            np.testing.assert_allclose(own, of_variables[v], atol=1e-9)
    assert log_z == pytest.approx(bethe, abs=1e-9)
    post = tr.infer(model, method="belief_propagation")
    reduced = left(model, parse_evidence(model.states, None), "marginals")
    assert post.log_partition.value == pytest.approx(bethe + reduced.log_constant, abs=1e-6)
    assert re.search(r"on loops, without a bound; messages converged in \d+ sweep", post.log_partition.verdict or "")
    first = next(iter(model.states))
    np.testing.assert_allclose(post.marginals.array(first), of_variables[0], atol=1e-5)


def test_messages_that_do_not_converge_say_so() -> None:
    rng = np.random.default_rng(3)
    names = [f"s{i}" for i in range(20)]
    spins = np.array([[1.0, -1.0], [-1.0, 1.0]])
    factors = [(pair, np.exp(4 * rng.normal() * spins)) for pair in itertools.combinations(names, 2)]
    factors += [((v,), rng.random(2)) for v in names]
    post = tr.infer(tr.MarkovNetwork(dict.fromkeys(names, "01"), factors), method="belief_propagation")
    for found in (post.log_partition, post.certificates("s0")):
        assert found.kind == "estimate" and (found.verdict or "").startswith("unreliable")
        assert "did not converge in 2,000 sweeps" in (found.verdict or "")


def test_contradictions_are_proved_or_not_claimed() -> None:
    apart = [[0, 1], [1, 0]]
    triangle = tr.MarkovNetwork(dict.fromkeys("abc", "01"), [("ab", apart), ("bc", apart), ("ca", apart)])
    found = tr.infer(triangle, method="belief_propagation").log_partition  # every table has room for every state
    assert found.kind == "estimate" and found.value > -math.inf and "not proved" in (found.verdict or "")
    assert tr.infer(triangle, {"a": "0"}, method="belief_propagation").log_partition.value == -math.inf
    post = tr.infer(
        tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", apart)]), {"a": 0, "b": 0}, method="belief_propagation"
    )
    assert post.log_partition == tr.Certificate.exact(-math.inf) and not post.possible
    with pytest.raises(tr.ImpossibleEvidenceError, match="'a' = '0' cannot be with 'b' = '0'"):
        _ = post.marginals


def test_weights_that_no_double_holds() -> None:
    rare = [[1.0, 1e-300], [1e-300, 1e-300]]
    names = [f"v{i}" for i in range(8)]
    factors = [((a, b), rare) for a, b in pairwise(names)] + [((v,), [1e-250, 1.0]) for v in names]
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), factors)
    found, exact = tr.infer(net, method="belief_propagation"), tr.infer(net)
    assert found.log_partition.value == pytest.approx(exact.log_partition.value, rel=1e-12)
    for v in names:
        np.testing.assert_allclose(found.marginals.array(v), exact.marginals.array(v), atol=1e-9)


def test_a_hub_of_thousands_is_exact() -> None:
    n = 3000
    likely = [[0.6, 0.4], [0.4, 0.6]]
    net = tr.BayesianNetwork(
        {"h": "01", **{f"x{i}": "01" for i in range(n)}},
        {f"x{i}": ["h"] for i in range(n)},
        {"h": [0.5, 0.5], **{f"x{i}": likely for i in range(n)}},
    )
    given = {f"x{i}": i % 2 for i in range(n - 10)}
    found = tr.infer(net, given, method="belief_propagation")
    assert found.log_partition.value == pytest.approx(tr.infer(net, given).log_partition.value, rel=1e-12)
    assert found.marginals["h"]["0"] == pytest.approx(0.5)


# ---------------------------------------------------------------- chains


@pytest.mark.parametrize(("row", "seed"), CASES, ids=str)
def test_chains_are_within_their_errors_or_in_doubt(row: Row, seed: int) -> None:
    model = row.model(seed)
    given = random_evidence(model, np.random.default_rng(seed))
    if oracle.log_partition(model, given) == -math.inf:
        given = {}
    post = tr.infer(model, given, method="gibbs", key=seed)
    for v, p in oracle.marginals(model, given).items():
        found = post.certificates(v)
        assert found.kind == "estimate" and found.value.sum() == pytest.approx(1)
        if (found.verdict or "").startswith("reliable"):
            assert (np.abs(found.value - p) <= 6 * found.std_error + 1e-9).all()


def test_errors_are_as_large_as_they_say() -> None:
    model, found = ring(5, 0.4), []
    truth = oracle.marginals(model)["s2"][0]
    for key in range(40):
        c = tr.infer(model, method="gibbs", key=key, seconds=1).certificates("s2")
        found.append((c.value[0] - truth) / c.std_error[0])
    assert 0.6 < np.sqrt(np.mean(np.square(found))) < 1.5
    assert abs(np.mean(found)) < 4 / np.sqrt(len(found))


@pytest.mark.parametrize("key", range(3))
def test_two_phases_are_not_called_reliable(key: int) -> None:
    model = square(8, 1.0)
    found = tr.infer(model, method="gibbs", key=key).certificates("s3.3")
    assert (found.verdict or "").startswith("unreliable: chains do not cross (R-hat")


def test_variables_that_zeros_tie_together_are_in_doubt() -> None:
    same = np.eye(2)
    net = tr.MarkovNetwork(dict.fromkeys("abc", "01"), [("a", [0.3, 0.7]), ("ab", same), ("bc", [[1, 2], [3, 4]])])
    found = tr.infer(net, method="gibbs").certificates("a")
    assert "2 variables never move, such as a, as zeros tie them together" in (found.verdict or "")
    assert np.isinf(found.std_error).all()


def test_a_start_is_found_where_states_are_few() -> None:
    """Colourings of a ring with three colours, and a chain of exclusive ors whose end is observed."""
    apart = 1 - np.eye(3)
    names = [f"n{i}" for i in range(30)]
    net = tr.MarkovNetwork(dict.fromkeys(names, "rgb"), [((a, b), apart) for a, b in pairwise([*names, names[0]])])
    reduced = left(net, parse_evidence(net.states, {"n0": "r"}), "marginals")
    found = starts(reduced.tables, 16, 0)
    assert found is not None and Support.of(reduced.tables).positive(found).all()
    drawn = tr.sample(net, 50, method="gibbs", evidence={"n0": "r"}, codes=True, key=2)
    rows = np.array([drawn[v] for v in names])
    assert (rows[0] == 0).all() and (rows != np.roll(rows, 1, axis=0)).all()


def test_no_start_is_said() -> None:
    """Pigeons in too few holes: no table rules anything out, and all of them together everything."""
    apart = 1 - np.eye(4)
    net = tr.MarkovNetwork(dict.fromkeys("abcde", 4), [(pair, apart) for pair in itertools.combinations("abcde", 2)])
    assert tr.log_partition(net).value == -math.inf
    with pytest.raises(tr.ModelError, match="no state of positive weight was found"):
        tr.infer(net, method="gibbs")
    with pytest.raises(tr.ModelError, match="no state of positive weight was found"):
        tr.sample(net, 3, method="gibbs")


def test_impossible_evidence_is_found() -> None:
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", np.eye(2))])
    post = tr.infer(net, {"a": 0, "b": 1}, method="gibbs")
    assert post.log_partition.value == -math.inf
    with pytest.raises(tr.ImpossibleEvidenceError):
        _ = post.marginals
    with pytest.raises(tr.ImpossibleEvidenceError):
        tr.sample(net, 2, evidence={"a": 0, "b": 1}, method="gibbs")


def test_draws_have_the_frequencies_of_the_model_and_a_verdict() -> None:
    net = pairwise_field(np.random.default_rng(5), itertools.combinations("abcd", 2))
    drawn = tr.sample(net, 4000, method="gibbs", key=1)
    assert drawn.verdict.startswith("reliable") and len(drawn["a"]) == 4000
    joint = oracle.joint_marginal(net, "ab")
    for (i, j), p in np.ndenumerate(joint):
        share = np.mean((drawn["a"] == str(i)) & (drawn["b"] == str(j)))
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / 4000) + 0.01
    again = tr.infer(net, method="gibbs").sample(70, key=3)
    assert len(again["b"]) == 70 and again.verdict.startswith("reliable")
    assert tr.sample(net, 0, method="gibbs")["a"].tolist() == []


# ---------------------------------------------------------------- the road


@pytest.mark.parametrize("method", ["belief_propagation", "gibbs", "mean_field"])
def test_rows_are_as_each_by_itself(method: str) -> None:
    net = ring(4, 0.5)
    cases = [{"s0": "0"}, {"s1": "1", "s2": "0"}, {}, {"s0": "0"}]
    whole = tr.infer(net, cases, method=method)
    for row, case in enumerate(cases):
        one = tr.infer(net, case, method=method)
        tolerance = 0.02 if method == "gibbs" else 1e-5
        np.testing.assert_allclose(whole.marginals.array("s3")[row], one.marginals.array("s3"), atol=tolerance)
        if method != "gibbs":
            assert whole.log_partition.value[row] == pytest.approx(one.log_partition.value, abs=1e-6)


def test_an_impossible_row_spoils_no_other() -> None:
    net = tr.MarkovNetwork({"a": "01", "b": "01", "c": "01"}, [("ab", np.eye(2)), ("bc", [[1, 2], [3, 4]])])
    given = {"a": ["0", "0"], "b": ["0", "1"]}
    found = tr.infer(net, given, method="belief_propagation")
    assert found.possible.tolist() == [True, False] and found.log_partition.verdict == "impossible: row 1"
    np.testing.assert_allclose(found.marginals.array("c"), [[1 / 3, 2 / 3], [np.nan, np.nan]])
    np.testing.assert_allclose(tr.infer(net, given, method="gibbs").marginals.array("c")[0], [1 / 3, 2 / 3])


@pytest.mark.parametrize("method", ["belief_propagation", "gibbs", "mean_field"])
def test_targets_soft_evidence_and_pruning(method: str) -> None:
    net = tr.BayesianNetwork(
        dict.fromkeys("abcd", "01"),
        "a -> b -> c; b -> d",
        {"a": [0.3, 0.7], "b": [[0.9, 0.1], [0.2, 0.8]]} | {v: [[0.6, 0.4], [0.1, 0.9]] for v in "cd"},
    )
    soft = {"c": tr.likelihood([0.2, 0.9])}
    found = tr.infer(net, soft, method=method, targets=["b"])
    assert list(found.marginals) == ["b"]
    np.testing.assert_allclose(found.marginals.array("b"), oracle.marginals(net, soft)["b"], atol=0.02)
    both = tr.infer(net, {"c": [tr.likelihood([0.2, 0.9]), tr.likelihood([1.0, 1.0])]}, method=method)
    np.testing.assert_allclose(both.marginals.array("b")[0], oracle.marginals(net, soft)["b"], atol=0.02)


def test_log_evidence_is_a_difference_of_estimates() -> None:
    net = square(3, 0.3)
    given = {"s0.0": "1", "s1.1": "0"}
    found = tr.log_evidence(net, given, method="belief_propagation")
    assert found.kind == "estimate"
    assert found.value == pytest.approx(oracle.log_partition(net, given) - oracle.log_partition(net), abs=0.1)


def test_what_an_estimate_does_not_answer_names_who_does() -> None:
    net = ring()
    with pytest.raises(tr.ModelError, match="chains say nothing of log Z: belief_propagation estimates it"):
        tr.log_partition(net, method="gibbs")
    with pytest.raises(tr.BudgetError, match="refused: chains say nothing of log Z: belief_propagation"):
        _ = tr.infer(net, method="gibbs").log_partition
    with pytest.raises(tr.ModelError, match="messages draw nothing: gibbs does"):
        tr.sample(net, 3, method="belief_propagation")
    with pytest.raises(tr.ModelError, match="clusters draw nothing: gibbs does"):
        tr.sample(net, 3, method="mean_field")
    for method in ("belief_propagation", "gibbs", "mean_field"):
        with pytest.raises(tr.ModelError, match=f"{method} does not answer 'map'"):
            tr.most_probable(net, method=method)
    with pytest.raises(tr.ModelError, match="did you mean 'gibbs'"):
        tr.infer(net, method="gibs")


@pytest.mark.parametrize("method", ["belief_propagation", "gibbs", "mean_field"])
def test_estimates_are_priced_refused_and_repeated(method: str) -> None:
    net = square(4, 0.4)
    post = tr.infer(net, method=method, key=7)
    plan = post.plan
    assert plan.method == method and plan.seconds > 0 and plan.bytes > 0 and "was asked for" in plan.why
    again = tr.infer(net, method=plan, key=7)
    assert again.plan is plan
    np.testing.assert_array_equal(again.marginals.array("s1.1"), post.marginals.array("s1.1"))
    with pytest.raises(tr.BudgetError):
        tr.infer(net, method=method, memory=100)
    with pytest.raises(tr.BudgetError):
        tr.infer(net, method=method, seconds=1e-9)
    with pytest.raises(tr.ModelError, match="made for other evidence"):
        tr.infer(net, {"s0.0": "1"}, method=plan)


def test_less_time_is_fewer_sweeps() -> None:
    net = square(30, 0.4)
    whole = tr.infer(net, method="gibbs").plan
    short = tr.infer(net, method="gibbs", seconds=whole.seconds / 2).plan
    assert short.program.n_sweeps < whole.program.n_sweeps and short.seconds <= whole.seconds / 2


def test_a_refusal_names_the_estimates() -> None:
    net = pairwise_field(np.random.default_rng(0), itertools.combinations("abcdefghijkl", 2))
    with pytest.raises(tr.BudgetError) as refused:
        tr.infer(net, memory="256B")
    found = {a.method: a.certificate for a in refused.value.plan.alternatives}
    assert found["belief_propagation"] == found["gibbs"] == found["mean_field"] == "estimate"
