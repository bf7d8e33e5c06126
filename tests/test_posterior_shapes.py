"""Networks of awkward shapes, and large ones whose answers have another derivation: recursions and closed forms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

import tractable as tr


def log_sum_exp(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    top = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=axis)) + np.squeeze(top, axis=axis)


def binary(n: int) -> dict[str, str]:
    return {f"v{i}": "01" for i in range(n)}


def pairwise(n: int, tables: Sequence[tuple[int, int, np.ndarray]]) -> tr.MarkovNetwork:
    return tr.MarkovNetwork(binary(n), [((f"v{a}", f"v{b}"), t) for a, b, t in tables])


# Chains


@pytest.fixture(scope="module")
def long_chain() -> tuple[tr.MarkovNetwork, np.ndarray]:
    """20,000 variables of three states, and the tables between neighbours, of many orders of magnitude."""
    rng = np.random.default_rng(0)
    n = 20_000
    tables = rng.gamma(1.0, size=(n - 1, 3, 3)) * 10.0 ** rng.integers(-5, 5, size=(n - 1, 1, 1))
    factors = [((f"x{i}", f"x{i + 1}"), t) for i, t in enumerate(tables)]
    return tr.MarkovNetwork({f"x{i}": "abc" for i in range(n)}, factors), np.log(tables)


def forward(logs: np.ndarray) -> np.ndarray:
    """Row i: the log of the sum over x_0 … x_{i−1} of the product of the tables up to i, for each state of x_i."""
    messages = np.zeros((len(logs) + 1, 3))
    for i, table in enumerate(logs):
        messages[i + 1] = log_sum_exp(messages[i][:, None] + table, axis=0)
    return messages


def test_log_partition_of_a_long_chain_is_the_forward_recursion(long_chain) -> None:
    net, logs = long_chain
    expected = float(log_sum_exp(forward(logs)[-1]))
    assert tr.log_partition(net).value == pytest.approx(expected, rel=1e-12)


def test_marginals_of_a_long_chain_are_forward_times_backward(long_chain) -> None:
    net, logs = long_chain
    backward = forward(np.transpose(logs, (0, 2, 1))[::-1])[::-1]
    expected = forward(logs) + backward
    expected = np.exp(expected - log_sum_exp(expected, axis=1)[:, None])
    marginals = tr.infer(net).marginals
    found = np.array([marginals.array(v) for v in net.states])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_best_state_of_a_long_chain_is_that_of_viterbi(long_chain) -> None:
    net, logs = long_chain
    best = np.zeros(3)
    for table in logs:
        best = (best[:, None] + table).max(axis=0)
    found = tr.most_probable(net)
    states = np.array(["abc".index(s) for s in found.assignment.values()])
    attained = logs[np.arange(len(logs)), states[:-1], states[1:]].sum()
    assert found.log_probability.value == pytest.approx(best.max(), rel=1e-12)
    assert attained == pytest.approx(best.max(), rel=1e-12)


def test_samples_of_a_long_chain_follow_its_pairs(long_chain) -> None:
    net, _ = long_chain
    posterior = tr.infer(net)
    drawn = np.array(list(posterior.sample(40, key=0, codes=True).values()))
    marginals = np.array([posterior.marginals.array(v) for v in net.states])
    counts = np.array([(drawn == k).sum(axis=1) for k in range(3)]).T
    variance = 40 * (marginals * (1 - marginals)).sum()
    assert abs((counts - 40 * marginals)[:, 0].sum()) < 6 * math.sqrt(variance)
    scores = (counts - 40 * marginals) ** 2 / np.maximum(40 * marginals * (1 - marginals), 1e-3)
    assert scores[marginals > 0.05].mean() == pytest.approx(1.0, abs=0.1)


def test_a_long_directed_chain_has_log_evidence_of_the_forward_recursion() -> None:
    rng = np.random.default_rng(1)
    n = 3000
    move, emit = rng.dirichlet(np.ones(4), size=4), rng.dirichlet(np.ones(5), size=4)
    states = {f"z{i}": "abcd" for i in range(n)} | {f"x{i}": "01234" for i in range(n)}
    parents = {f"z{i}": [f"z{i - 1}"] for i in range(1, n)} | {f"x{i}": [f"z{i}"] for i in range(n)}
    tables = {v: move if v[0] == "z" else emit for v in states} | {"z0": np.full(4, 0.25)}
    net = tr.BayesianNetwork(states, parents, tables)
    seen = rng.integers(5, size=n)
    message = np.log(np.full(4, 0.25)) + np.log(emit[:, seen[0]])
    for x in seen[1:]:
        message = log_sum_exp(message[:, None] + np.log(move), axis=0) + np.log(emit[:, x])
    evidence = {f"x{i}": int(x) for i, x in enumerate(seen)}
    assert tr.log_evidence(net, evidence).value == pytest.approx(float(log_sum_exp(message)), rel=1e-12)
    assert tr.log_evidence(net).value == pytest.approx(0, abs=1e-10)
    last = np.exp(message - log_sum_exp(message))
    np.testing.assert_allclose(tr.infer(net, evidence).marginals.array(f"z{n - 1}"), last, atol=1e-10)


# Trees and lattices


def test_a_star_of_two_thousand_leaves() -> None:
    rng = np.random.default_rng(2)
    tables = rng.gamma(0.5, size=(2000, 2, 2)) + 1e-3
    net = pairwise(2001, [(0, i + 1, t) for i, t in enumerate(tables)])
    logs = np.log(tables.sum(axis=2)).sum(axis=0)
    expected = float(log_sum_exp(logs))
    posterior = tr.infer(net)
    centre = np.exp(logs - expected)
    assert tr.log_partition(net).value == pytest.approx(expected, rel=1e-12)
    assert posterior.log_partition.value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(posterior.marginals.array("v0"), centre, atol=1e-9)
    leaf = centre @ (tables[77] / tables[77].sum(axis=1, keepdims=True))
    np.testing.assert_allclose(posterior.marginals.array("v78"), leaf, atol=1e-9)


def test_a_common_child_of_many_leaves_given_what_they_show() -> None:
    """A naive Bayes model of 1,500 features: the posterior is a product beyond the range of floats."""
    rng = np.random.default_rng(3)
    tables = rng.dirichlet(np.ones(3), size=(1500, 2))
    states = {"class": "ab"} | {f"f{i}": "xyz" for i in range(1500)}
    net = tr.BayesianNetwork(
        states,
        {f"f{i}": ["class"] for i in range(1500)},
        {"class": [0.3, 0.7]} | {f"f{i}": t for i, t in enumerate(tables)},
    )
    seen = rng.integers(3, size=1500)
    logs = np.log([0.3, 0.7]) + np.log(tables[np.arange(1500), :, seen]).sum(axis=0)
    posterior = tr.infer(net, {f"f{i}": int(s) for i, s in enumerate(seen)})
    assert posterior.log_partition.value == pytest.approx(float(log_sum_exp(logs)), rel=1e-12)
    np.testing.assert_allclose(posterior.marginals.array("class"), np.exp(logs - log_sum_exp(logs)), atol=1e-9)


def lattice(width: int, length: int, rng: np.random.Generator) -> tuple[tr.MarkovNetwork, np.ndarray, np.ndarray]:
    """A grid with random tables: `down[y, x]` within column x, `across[y, x]` from column x to the next."""
    down = rng.normal(size=(width - 1, length, 2, 2))
    across = rng.normal(size=(width, length - 1, 2, 2))
    name = {(y, x): f"y{y}x{x}" for y in range(width) for x in range(length)}
    factors = [((name[y, x], name[y + 1, x]), np.exp(down[y, x])) for y in range(width - 1) for x in range(length)]
    factors += [((name[y, x], name[y, x + 1]), np.exp(across[y, x])) for y in range(width) for x in range(length - 1)]
    order = rng.permutation(len(factors))
    return tr.MarkovNetwork(dict.fromkeys(name.values(), "01"), [factors[i] for i in order]), down, across


def transfer(down: np.ndarray, across: np.ndarray) -> float:
    """log Z of the grid, column by column."""
    width, length = across.shape[0], down.shape[1]
    columns = np.array(list(itertools.product([0, 1], repeat=width)))

    def within(x: int) -> np.ndarray:
        return sum((down[y, x][columns[:, y], columns[:, y + 1]] for y in range(width - 1)), np.zeros(len(columns)))

    message = within(0)
    for x in range(1, length):
        joined = message[:, None] + sum(
            across[y, x - 1][columns[:, None, y], columns[None, :, y]] for y in range(width)
        )
        message = log_sum_exp(joined, axis=0) + within(x)
    return float(log_sum_exp(message))


@pytest.mark.parametrize(("width", "length"), [(2, 1500), (5, 60), (9, 9)])
def test_lattices_against_their_transfer_matrices(width: int, length: int) -> None:
    net, down, across = lattice(width, length, np.random.default_rng(width))
    expected = transfer(down, across)
    assert tr.log_partition(net).value == pytest.approx(expected, rel=1e-11)
    assert tr.infer(net).log_partition.value == pytest.approx(expected, rel=1e-11)


def test_a_grid_of_ten_by_ten() -> None:
    net, down, across = lattice(10, 10, np.random.default_rng(10))
    posterior = tr.infer(net)
    assert posterior.log_partition.value == pytest.approx(transfer(down, across), rel=1e-11)
    joint = posterior.joint(["y0x0", "y9x9"])
    np.testing.assert_allclose(joint.sum(axis=1), posterior.marginals.array("y0x0"), atol=1e-10)
    np.testing.assert_allclose(joint.sum(axis=0), posterior.marginals.array("y9x9"), atol=1e-10)
    best = tr.most_probable(net)
    at = {v: int(s) for v, s in best.assignment.items()}
    weight = sum(math.log(t[tuple(at[v] for v in scope)]) for scope, t in net.factors)
    assert best.log_probability.value == pytest.approx(weight, rel=1e-12)
    drawn = posterior.sample(200, key=0, codes=True)
    weights = sum(np.log(t)[tuple(drawn[v] for v in scope)] for scope, t in net.factors)
    assert weights.max() <= weight + 1e-9


def test_a_complete_bipartite_graph_is_summed_over_its_smaller_side() -> None:
    rng = np.random.default_rng(4)
    W, a, b = rng.normal(size=(16, 16)), rng.normal(size=16), rng.normal(size=16)
    on = np.array([0.0, 1.0])
    factors = [((f"h{i}", f"v{j}"), np.exp(W[i, j] * np.outer(on, on))) for i in range(16) for j in range(16)]
    factors += [((f"h{i}",), np.exp(a[i] * on)) for i in range(16)] + [
        ((f"v{j}",), np.exp(b[j] * on)) for j in range(16)
    ]
    net = tr.MarkovNetwork({f"{side}{i}": "01" for side in "hv" for i in range(16)}, factors)
    hidden = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    activity = hidden @ W + b
    logs = hidden @ a + np.logaddexp(0, activity).sum(axis=1)
    expected = float(log_sum_exp(logs))
    posterior = tr.infer(net)
    weights = np.exp(logs - expected)
    assert posterior.plan.method == "elimination"
    assert posterior.plan.width <= 17
    assert posterior.log_partition.value == pytest.approx(expected, rel=1e-12)
    visible = weights @ (1 / (1 + np.exp(-activity)))
    np.testing.assert_allclose([posterior.marginals.array(f"h{i}")[1] for i in range(16)], weights @ hidden, atol=1e-9)
    np.testing.assert_allclose([posterior.marginals.array(f"v{j}")[1] for j in range(16)], visible, atol=1e-9)


# Awkward shapes


def test_a_table_over_seventy_variables_most_of_one_state() -> None:
    rng = np.random.default_rng(5)
    names = [f"v{i}" for i in range(70)]
    wide = {3: 3, 40: 2, 66: 4}
    sizes = [wide.get(i, 1) for i in range(70)]
    table = rng.gamma(1.0, size=(3, 2, 4))
    states = {v: [str(k) for k in range(n)] for v, n in zip(names, sizes, strict=True)}
    net = tr.MarkovNetwork(states, [(names, table.ravel()), (("v3", "v5"), rng.gamma(1.0, size=(3, 1)))])
    full = table * net.factors[1].table.reshape(3, 1, 1)
    posterior = tr.infer(net)
    assert posterior.log_partition.value == pytest.approx(math.log(full.sum()), rel=1e-12)
    np.testing.assert_allclose(posterior.marginals.array("v66"), full.sum(axis=(0, 1)) / full.sum(), atol=1e-12)
    assert posterior.marginals["v0"] == {"0": 1.0}
    np.testing.assert_allclose(posterior.joint(["v66", "v0", "v3"])[:, 0], full.sum(axis=1).T / full.sum(), atol=1e-12)
    given = tr.infer(net, {"v40": 1, "v9": "0"})
    np.testing.assert_allclose(given.marginals.array("v3"), full[:, 1].sum(axis=1) / full[:, 1].sum(), atol=1e-12)
    rows = tr.infer(net, {"v40": [1, 0, None]})
    assert rows.log_partition.value[0] == pytest.approx(math.log(full[:, 1].sum()), rel=1e-12)
    best = tr.most_probable(net)
    assert best.log_probability.value == pytest.approx(math.log(full.max()), rel=1e-12)
    assert tr.sample(net, 5)["v69"].tolist() == ["0"] * 5


def test_a_scope_of_two_thousand_variables_of_one_state() -> None:
    names = [f"v{i}" for i in range(2000)]
    states = {v: ["only"] for v in names} | {"x": "ab"}
    net = tr.MarkovNetwork(states, [([*names, "x"], [1.0, 3.0]), (names, [2.0])])
    posterior = tr.infer(net)
    assert posterior.log_partition.value == pytest.approx(math.log(8))
    assert posterior.marginals["x"]["b"] == pytest.approx(0.75)
    assert tr.most_probable(net).assignment["x"] == "b"


def test_what_is_observed_leaves_a_wide_scope() -> None:
    rng = np.random.default_rng(6)
    table = rng.gamma(1.0, size=2**18).reshape((2,) * 18)
    names = [f"v{i}" for i in range(18)]
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(names, table)])
    posterior = tr.infer(net, dict.fromkeys(names[1:], "1"))
    np.testing.assert_allclose(
        posterior.marginals.array("v0"), table[(slice(None), *(1,) * 17)] / np.sum(table[(slice(None), *(1,) * 17)])
    )
    assert posterior.plan.width <= 1


def test_thousands_of_factors_over_one_variable() -> None:
    rng = np.random.default_rng(7)
    tables = rng.gamma(1.0, size=(5000, 3))
    net = tr.MarkovNetwork({"a": "xyz", "b": "01"}, [("a", t) for t in tables] + [("", 1e-9)] * 500)
    logs = np.log(tables).sum(axis=0)
    posterior = tr.infer(net)
    expected = float(log_sum_exp(logs)) + 500 * math.log(1e-9) + math.log(2)
    assert posterior.log_partition.value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(posterior.marginals.array("a"), np.exp(logs - log_sum_exp(logs)), atol=1e-9)
    assert posterior.marginals["b"] == {"0": 0.5, "1": 0.5}


def test_models_of_nothing() -> None:
    empty = tr.MarkovNetwork({}, [])
    posterior = tr.infer(empty)
    assert posterior.log_partition.value == 0
    assert dict(posterior.marginals) == {}
    assert posterior.joint([]).shape == ()
    assert tr.most_probable(empty).assignment == {}
    assert tr.sample(empty, 3) == {}
    assert tr.plan(empty).method == "independent"
    assert tr.condition(empty, {}).states == {}
    assert tr.log_evidence(tr.BayesianNetwork({}, {}, {})).value == 0


def test_a_model_that_is_impossible_by_itself() -> None:
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1, 2], [3, 4]]), ("", 0.0)])
    assert tr.log_partition(net).value == -math.inf
    assert tr.infer(net).log_partition.value == -math.inf
    assert tr.plan(net).method == "constant"
    assert "impossible" in tr.plan(net).why
    with pytest.raises(tr.ModelError):
        tr.most_probable(net)
    with pytest.raises(tr.ModelError):
        tr.sample(net, 1)
    for evidence in ({"a": "0"}, {"a": [0, 1]}):
        with pytest.raises(tr.ModelError, match="the model itself"):
            tr.log_evidence(net, evidence)


def test_many_variables_that_touch_nobody() -> None:
    n = 30_000
    net = tr.MarkovNetwork(binary(n), [(("v7",), [1.0, 3.0])])
    posterior = tr.infer(net)
    assert posterior.log_partition.value == pytest.approx((n - 1) * math.log(2) + math.log(4), rel=1e-12)
    assert posterior.marginals["v7"]["1"] == 0.75
    assert posterior.marginals["v8"]["1"] == 0.5
    assert abs(np.mean(list(tr.sample(net, 10, codes=True).values())) - 0.5) < 0.01


def test_components_multiply() -> None:
    rng = np.random.default_rng(8)
    tables = rng.gamma(1.0, size=(300, 2, 2, 2))
    states = {f"{v}{i}": "01" for i in range(300) for v in "abc"}
    net = tr.MarkovNetwork(states, [((f"a{i}", f"b{i}", f"c{i}"), t) for i, t in enumerate(tables)])
    posterior = tr.infer(net, {"a5": 1})
    sums = tables.sum(axis=(1, 2, 3))
    expected = np.log(sums).sum() - np.log(sums[5]) + np.log(tables[5, 1].sum())
    assert posterior.log_partition.value == pytest.approx(expected, rel=1e-12)
    apart = posterior.joint(["b1", "c5"])
    np.testing.assert_allclose(
        apart, np.outer(posterior.marginals.array("b1"), posterior.marginals.array("c5")), atol=1e-12
    )
