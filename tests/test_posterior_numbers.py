"""Numbers outside the range of floats: answers are those of exact fractions, however small what matters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tractable as tr
from tractable.posterior import ImpossibleEvidenceError

Table = tuple[str, np.ndarray]


def network(tables: Iterable[tuple[str, object]], sizes: Mapping[str, int] | None = None) -> tr.MarkovNetwork:
    """Tables over variables of one letter, two states each unless `sizes` says otherwise."""
    scopes = [(scope, np.asarray(table, float)) for scope, table in tables]
    names = sorted({v for scope, _ in scopes for v in scope})
    return tr.MarkovNetwork({v: [str(k) for k in range((sizes or {}).get(v, 2))] for v in names}, scopes)


def exact_weights(model: tr.MarkovNetwork, evidence: Mapping[str, int] | None = None) -> dict[tuple, Fraction]:
    """Each possible joint state with its weight, as a fraction."""
    names = list(model.states)
    ranges = [[evidence[v]] if evidence and v in evidence else range(len(model.states[v])) for v in names]
    out = {}
    for states in itertools.product(*ranges):
        at = dict(zip(names, states, strict=True))
        weight = Fraction(1)
        for scope, table in model.factors:
            weight *= Fraction(float(table[tuple(at[v] for v in scope)]))
        if weight:
            out[states] = weight
    return out


def log_of(x: Fraction) -> float:
    """The logarithm of a positive fraction of any magnitude."""
    return math.log(x.numerator) - math.log(x.denominator)


def check(model: tr.MarkovNetwork, evidence: dict[str, int] | None = None) -> None:
    """Every answer about the model against exact enumeration."""
    weights = exact_weights(model, evidence)
    if not weights:
        check_impossible(model, evidence)
        return
    total = sum(weights.values())
    names = list(model.states)
    posterior = tr.infer(model, evidence)
    assert posterior.log_partition.value == pytest.approx(log_of(total), rel=1e-12, abs=1e-10)
    assert tr.log_partition(model, evidence).value == pytest.approx(log_of(total), rel=1e-12, abs=1e-10)
    joint = np.zeros([len(model.states[v]) for v in names])
    for states, weight in weights.items():
        joint[states] = float(weight / total)
    for i, name in enumerate(names):
        expected = joint.sum(axis=tuple(set(range(len(names))) - {i}))
        np.testing.assert_allclose(posterior.marginals.array(name), expected, rtol=0, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(posterior.joint(names), joint, rtol=0, atol=1e-10)
    check_best(model, evidence, weights)
    drawn = np.array(list(posterior.sample(200, key=0, codes=True).values())).T
    assert {tuple(x) for x in drawn.tolist()} <= {s for s in weights if joint[s] > 1e-6}
    for states in itertools.product(*(range(n) for n in joint.shape)):
        if joint[states] > 0.2:
            assert (drawn == states).all(axis=1).mean() == pytest.approx(joint[states], abs=0.2)


def check_best(model: tr.MarkovNetwork, evidence: dict[str, int] | None, weights: dict[tuple, Fraction]) -> None:
    best = tr.most_probable(model, evidence)
    top = log_of(max(weights.values()))
    assert best.log_probability.value == pytest.approx(top, rel=1e-12, abs=1e-10)
    found = tuple(int(best.assignment[v]) for v in model.states)
    assert log_of(weights[found]) == pytest.approx(top, rel=1e-12, abs=1e-10)


def check_impossible(model: tr.MarkovNetwork, evidence: dict[str, int] | None) -> None:
    assert tr.infer(model, evidence).log_partition.value == -math.inf
    assert tr.log_partition(model, evidence).value == -math.inf
    with pytest.raises(ImpossibleEvidenceError):
        tr.most_probable(model, evidence)
    with pytest.raises(ImpossibleEvidenceError):
        tr.sample(model, 2, evidence=evidence)


def check_rows(model: tr.MarkovNetwork) -> None:
    """The batch of all joint states of the first two variables, one unobserved or both, row by row."""
    names = list(model.states)
    choices = [range(-1, len(model.states[v])) for v in names[:2]]
    rows = np.array(list(itertools.product(*choices)))
    cases = np.full((len(rows), len(names)), -1)
    cases[:, : rows.shape[1]] = rows
    batch = tr.infer(model, np.where(cases < 0, np.nan, cases))
    for r, row in enumerate(cases):
        weights = exact_weights(model, {v: int(s) for v, s in zip(names, row, strict=True) if s >= 0})
        if not weights:
            assert batch.log_partition.value[r] == -math.inf
            assert all(np.isnan(batch.marginals.array(name)[r]).all() for name in names)
            continue
        total = sum(weights.values())
        assert batch.log_partition.value[r] == pytest.approx(log_of(total), rel=1e-12, abs=1e-10)
        for i, name in enumerate(names):
            expected = np.zeros(len(model.states[name]))
            for states, weight in weights.items():
                expected[states[i]] += float(weight / total)
            np.testing.assert_allclose(batch.marginals.array(name)[r], expected, rtol=0, atol=1e-10)


TINY = 1e-200
COPY = [[1, 0], [0, TINY]]
"""Both variables in state 1 is possible, but hopeless beside both in state 0."""

NEARLY = [[1, TINY], [TINY, TINY]]
EQUAL, UNEQUAL = [[1, 0], [0, 1]], [[0, 1], [1, 0]]
FORBID = [[0, 1], [1, 1]]
"""Not both in state 0."""


def chain(names: str, table: object) -> list[tuple[str, object]]:
    return [(a + b, table) for a, b in itertools.pairwise(names)]


ADVERSARIAL = {
    "one table over the whole range of floats": [("ab", [[1e-300, 1e300], [1e300, 1e-300]]), ("ab", EQUAL)],
    "the same beside another variable": [
        ("abc", np.array([[[1e-300] * 2, [1e300] * 2]] * 2)),
        ("abd", np.eye(2)[:, :, None] * [1, 2]),
        ("acd", np.ones((2, 2, 2))),
    ],
    "a chain of copies whose likely end is forbidden": [*chain("abcdef", COPY), ("af", FORBID)],
    "a chain of near copies whose likely end is forbidden": [*chain("abcdef", NEARLY), ("af", FORBID)],
    "the same, forbidden in the middle": [*chain("abcdef", COPY), ("cd", [[0, 1], [0, 1]])],
    "two tables that lose each other's best": [("a", [1, TINY]), ("ab", [[0, TINY], [1, TINY]]), ("b", [TINY, 1])],
    "four factors around a cycle": [("ab", COPY), ("bc", NEARLY), ("cd", COPY), ("da", UNEQUAL)],
    "opposed unary factors": [(v, [1, TINY]) for v in "aaabbb"]
    + [(v, [TINY, 1]) for v in "aaabbb"]
    + [("ab", [[1, 2], [3, 4]])],
    "opposed on the way down": [
        ("abu", [[[0] * 2, [1, 3]], [[2, 1], [0] * 2]]),
        ("abv", [[[1, 2], [TINY] * 2], [[TINY] * 2, [1, 2]]]),
        ("abw", [[[1, 2], [TINY] * 2], [[TINY] * 2, [1, 2]]]),
    ],
    "a star that squeezes its centre": [(f"a{leaf}", [[1, TINY], [TINY, 1]]) for leaf in "bcdefg"] + [("bg", UNEQUAL)],
    "a grid of near copies with corners unequal": [
        (p, NEARLY) for p in ("ab", "bc", "de", "ef", "gh", "hi", "ad", "be", "cf", "dg", "eh", "fi")
    ]
    + [("ai", FORBID), ("cg", UNEQUAL)],
    "growing and shrinking": [
        ("ab", np.full((2, 2), 1e300)),
        ("bc", np.full((2, 2), 1e300)),
        ("cd", np.full((2, 2), 1e-300)),
        ("de", np.full((2, 2), 1e-300)),
        ("ae", [[1e300, 1e-300], [1e-300, 1e300]]),
    ],
    "subnormal entries": [("ab", [[5e-324, 0], [1e-310, 5e-324]]), ("bc", [[5e-324, 1e-320], [0, 1e-315]])],
    "the largest floats": [
        ("ab", np.full((2, 2), 1.7e308)),
        ("bc", np.full((2, 2), 1.7e308)),
        ("ca", [[1.7e308, 1], [1, 1.7e308]]),
    ],
    "an odd cycle of inequalities": [("ab", UNEQUAL), ("bc", UNEQUAL), ("ca", UNEQUAL)],
    "an odd cycle that is nearly impossible": [("ab", UNEQUAL), ("bc", UNEQUAL), ("ca", [[1e-300, 1], [1, 1e-300]])],
    "small entries that are left when the large ones meet zeros": [
        ("ca", [[1, 0], [TINY, 1e-100]]),
        ("abd", [[[0, 0], [1, 0]], [[0, 0], [0, 1]]]),
        ("a", [1, 1e-155]),
        ("ab", [[0, 1], [0, 1e120]]),
        ("cdb", [[[0, 0], [0, 1]], [[0, 1], [0, 0]]]),
    ],
    "constants": [("", 1e-300), ("", 1e-300), ("ab", COPY), ("", 1e200)],
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_factors_that_hide_what_matters(name: str) -> None:
    check(network(ADVERSARIAL[name]))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_factors_that_hide_what_matters_in_a_batch(name: str) -> None:
    check_rows(network(ADVERSARIAL[name]))


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_factors_that_hide_what_matters_in_slices(name: str, share: float) -> None:
    model = network(ADVERSARIAL[name])
    weights = exact_weights(model)
    for query in ("marginals", "map"):
        plan = tr.plan(model, {}, query)
        if plan.method != "elimination" or tr.plan(model, {}, query, share * plan.bytes).method is None:
            continue
        if query == "map" and weights:
            value = tr.most_probable(model, memory=share * plan.bytes).log_probability.value
            assert value == pytest.approx(log_of(max(weights.values())), rel=1e-12, abs=1e-10)
        if query == "marginals" and tr.plan(model, {}, "evidence", share * plan.bytes).method:
            value = tr.infer(model, memory=share * plan.bytes).log_partition.value
            expected = log_of(sum(weights.values())) if weights else -math.inf
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-10)


magnitudes = st.sampled_from([0.0, 1.0, 1.0, 3.0, 1e-30, 1e-100, 1e-155, 1e-200, 1e-290, 1e-307, 1e120, 1e300])


@st.composite
def extreme_networks(draw: st.DrawFn) -> tr.MarkovNetwork:
    names = "abcde"
    scopes = draw(
        st.lists(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True), min_size=1, max_size=6)
    )
    tables = [
        np.reshape(draw(st.lists(magnitudes, min_size=2 ** len(s), max_size=2 ** len(s))), (2,) * len(s))
        for s in scopes
    ]
    return network([("".join(s), t) for s, t in zip(scopes, tables, strict=True)])


@given(extreme_networks())
def test_random_networks_of_extreme_entries(model: tr.MarkovNetwork) -> None:
    check(model)


@given(extreme_networks())
def test_random_batches_of_extreme_entries(model: tr.MarkovNetwork) -> None:
    check_rows(model)


def hidden_chain(emission: np.ndarray, length: int) -> tr.BayesianNetwork:
    """z0 → z1 → …, and x_i below z_i, each with two states."""
    move = np.array([[0.7, 0.3], [0.4, 0.6]])
    states = {f"{kind}{i}": ["0", "1"] for i in range(length) for kind in "zx"}
    parents = {f"x{i}": [f"z{i}"] for i in range(length)} | {f"z{i}": [f"z{i - 1}"] for i in range(1, length)}
    tables = {f"x{i}": emission for i in range(length)} | {f"z{i}": move for i in range(1, length)}
    return tr.BayesianNetwork(states, parents, {**tables, "z0": [0.5, 0.5]})


def exact_forward(emission: np.ndarray, length: int) -> tuple[Fraction, Fraction]:
    """p(all x are 1), and p(the last z is 1 | that)."""
    move = [[Fraction(0.7), Fraction(0.3)], [Fraction(0.4), Fraction(0.6)]]
    seen = [Fraction(float(emission[z, 1])) for z in range(2)]
    message = [Fraction(1, 2) * seen[z] for z in range(2)]
    for _ in range(length - 1):
        message = [sum(message[y] * move[y][z] for y in range(2)) * seen[z] for z in range(2)]
    return sum(message, Fraction(0)), message[1] / sum(message)


@pytest.mark.parametrize("rare", [1e-20, 1e-150, 1e-300])
def test_evidence_of_vanishing_probability(rare: float) -> None:
    emission = np.array([[1 - rare, rare], [1 - 3 * rare, 3 * rare]])
    model = hidden_chain(emission, 50)
    evidence = {f"x{i}": "1" for i in range(50)}
    truth, last = exact_forward(emission, 50)
    assert log_of(truth) < -2000
    assert tr.log_evidence(model, evidence).value == pytest.approx(log_of(truth), rel=1e-13)
    posterior = tr.infer(model, evidence)
    assert posterior.log_partition.value == pytest.approx(log_of(truth), rel=1e-13)
    assert posterior.marginals["z49"]["1"] == pytest.approx(float(last), abs=1e-12)
    rows = tr.infer(model, {f"x{i}": ["1", "0"] for i in range(50)})
    assert rows.log_partition.value[0] == pytest.approx(log_of(truth), rel=1e-13)
    assert rows.marginals.array("z49")[0, 1] == pytest.approx(float(last), abs=1e-12)
    drawn = tr.sample(model, 2000, evidence=evidence, codes=True)["z49"]
    assert drawn.mean() == pytest.approx(float(last), abs=0.06)


@pytest.mark.parametrize("power", [-300, -100, 100, 300])
def test_likelihoods_of_any_scale(power: int) -> None:
    model = hidden_chain(np.array([[0.9, 0.1], [0.2, 0.8]]), 50)
    plain = {f"z{i}": np.array([0.3, 0.6]) for i in range(50)}
    scaled = {v: vector * 10.0**power for v, vector in plain.items()}
    plain, scaled = ({v: tr.likelihood(x) for v, x in own.items()} for own in (plain, scaled))
    a, b = tr.infer(model, plain), tr.infer(model, scaled)
    expected = a.log_partition.value + 50 * power * math.log(10)
    assert b.log_partition.value == pytest.approx(expected, rel=1e-13)
    assert tr.log_evidence(model, scaled).value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(a.marginals.array("z7"), b.marginals.array("z7"), rtol=1e-12)


def test_a_posterior_below_the_range_of_floats_is_zero_and_not_an_error() -> None:
    model = network([("a", [1, 1e-300]), ("a", [1, 1e-300]), ("ab", EQUAL)])
    posterior = tr.infer(model)
    assert posterior.marginals.array("b").tolist() == [1.0, 0.0]
    assert tr.most_probable(model, {"b": "1"}).log_probability.value == pytest.approx(-600 * math.log(10))
