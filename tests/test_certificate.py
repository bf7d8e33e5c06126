"""Certificates are numbers: their intervals, kinds, confidences, errors and verdicts add up."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from itertools import product

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tractable as tr
from tractable.evaluate import LogLikelihood
from tractable.models import ModelError
from tractable.posterior import Certificate, ImpossibleEvidenceError
from tractable.posterior.certificate import KINDS, joined, weaker

FINITE = st.floats(-1e6, 1e6)
WIDTHS = st.one_of(st.just(np.inf), st.floats(0, 1e3))
FALLIBLE = ("probabilistic", "conditional")


@st.composite
def certificates(draw: st.DrawFn) -> Certificate:
    """One number of any kinds, each end finite or not."""
    value, kinds = draw(FINITE), (draw(st.sampled_from(KINDS[1:4])), draw(st.sampled_from(KINDS[1:4])))
    if draw(st.integers(0, 5)) == 0:
        return Certificate.exact(value)
    lower, upper = value - draw(WIDTHS), value + draw(WIDTHS)
    more = {"lower_kind": kinds[0], "upper_kind": kinds[1], "assumes": draw(st.sampled_from(["A", "B"]))}
    error, verdict = draw(st.one_of(st.none(), st.floats(0, 10))), draw(st.sampled_from([None, "reliable", "low"]))
    return Certificate(value, lower, upper, "estimate", draw(st.floats(0.5, 1)), error, verdict, **more)


def truths(c: Certificate) -> list[float]:
    """Numbers that the interval allows: its ends, or far out where there are none."""
    return [float(np.clip(end, -1e9, 1e9)) for end in (c.lower, c.value, c.upper)]


def near(x: float, low: float, high: float) -> bool:
    slack = 1e-9 * (1 + abs(x))
    return low - slack <= x <= high + slack


def order(kind: str) -> int:
    return KINDS.index(kind)


@given(certificates(), certificates())
def test_a_sum_contains_the_sums_of_all_that_its_parts_allow(c: Certificate, d: Certificate) -> None:
    for x, y in product(truths(c), truths(d)):
        assert near(x + y, (c + d).lower, (c + d).upper)
        assert near(x - y, (c - d).lower, (c - d).upper)
        assert near(-x, (-c).lower, (-c).upper)
        assert near(2.0 - x, (2.0 - c).lower, (2.0 - c).upper)
        assert near(-3 * x, (-3 * c).lower, (-3 * c).upper) and near(x / 4, (c / 4).lower, (c / 4).upper)


@given(certificates(), certificates())
def test_each_end_is_as_weak_as_the_ends_it_comes_from(c: Certificate, d: Certificate) -> None:
    difference, both = c - d, (c.lower_kind, d.upper_kind)
    open_ends = difference.lower == -np.inf, difference.upper == np.inf
    if all(open_ends):
        assert difference.kind == difference.lower_kind == difference.upper_kind == "estimate"
    else:
        assert difference.lower_kind == ("bound" if open_ends[0] else weaker(*both))
        assert difference.upper_kind == ("bound" if open_ends[1] else weaker(c.upper_kind, d.lower_kind))
        assert order(difference.kind) == max(order(difference.lower_kind), order(difference.upper_kind))
    assert (difference.assumes is not None) == (difference.kind == "conditional")


@given(certificates(), certificates())
def test_failures_add_and_what_cannot_fail_has_no_confidence(c: Certificate, d: Certificate) -> None:
    total = c + d
    if total.kind in FALLIBLE:
        fails = sum(1 - x.confidence for x in (c, d) if x.confidence is not None)
        assert total.confidence == pytest.approx(max(0.0, 1 - fails), abs=1e-9)
    else:
        assert total.confidence is None
    assert (-c).confidence == (3 * c).confidence == (c + 1.0).confidence == c.confidence


@given(certificates(), certificates())
def test_laws_of_sums(c: Certificate, d: Certificate) -> None:
    same = ("value", "lower", "upper", "kind", "lower_kind", "upper_kind", "confidence", "std_error", "verdict")
    for left, right in ((c + d, d + c), (c - d, c + -d), (-(c - d), d - c), (-1 * -c, c), (c + 0.0, c), (1 * c, c)):
        assert all(getattr(left, name) == getattr(right, name) for name in same), (left, right)
    assert (
        Certificate(**json.loads(json.dumps(c.to_json())))
        == c
        == Certificate(**vars(c))
        == pickle.loads(pickle.dumps(c))
        == replace(c)
    )


@given(FINITE, FINITE)
def test_exact_numbers_stay_exact(x: float, y: float) -> None:
    for found, value in (
        (Certificate.exact(x) - Certificate.exact(y), x - y),
        (Certificate.exact(x) + y, x + y),
        (y - Certificate.exact(x), y - x),
        (np.float64(y) - Certificate.exact(x), y - x),
        (-2.5 * Certificate.exact(x), -2.5 * x),
    ):
        assert found.lower == found.value == found.upper == value
        assert found.kind == found.lower_kind == found.upper_kind == "exact"
        assert found.confidence is None and found.std_error is None and found.verdict is None


@given(st.lists(FINITE, min_size=1, max_size=5), certificates())
def test_arrays_add_row_by_row(values: list[float], d: Certificate) -> None:
    rows = Certificate.bound(np.array(values), np.array(values) - 1, np.array(values) + 2)
    found, flipped = rows - d, np.array(values) - d
    for i, value in enumerate(values):
        one = Certificate.bound(value, value - 1, value + 2) - d
        assert (found[i].value, found[i].lower, found[i].upper, found[i].kind) == (
            one.value,
            one.lower,
            one.upper,
            one.kind,
        )
        assert flipped[i].value == value - d.value
    assert [c.value for c in found] == found.value.tolist()


def test_a_certificate_is_a_number() -> None:
    c = Certificate(-3.25, -3.5, -3.0, "bound")
    assert float(c) == -3.25 and f"{c:.3f}" == "-3.250" and f"{c:>8.1f}" == "    -3.2" and f"{c}" == str(c)
    assert float(Certificate.exact(np.array(2.0))) == 2.0 and np.asarray(c, float) == -3.25
    assert max([c, Certificate.exact(1.0)], key=float).value == 1.0
    assert float(sum([c, c])) == -6.5  # starts at 0


def test_many_numbers_are_not_one() -> None:
    rows = Certificate.exact(np.array([1.0, 2.0]))
    for use in (float, lambda c: f"{c:.3f}"):
        with pytest.raises(TypeError, match=r"a certificate of 2 numbers is not one: take \.value, one row c\[i\], or"):
            use(rows)
    with pytest.raises(TypeError, match="one number has no rows"):
        Certificate.exact(1.0)[0]
    with pytest.raises(IndexError):
        rows[2]
    with pytest.raises(TypeError):
        _ = rows - "a"
    with pytest.raises(TypeError):
        _ = rows * rows


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_a_row_of_an_array(shape: tuple[int, ...]) -> None:
    value = np.arange(np.prod(shape)).reshape(shape).astype(float)
    lower = np.where(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) == 1, -np.inf, value - 1)
    many = Certificate(value, lower, np.inf + value, "probabilistic", 0.9, 0.25, "reliable")
    assert np.array_equal(many[0].value, value[0]) and np.array_equal(many[0].lower, value[0] - 1)
    assert many[0].kind == "probabilistic" and many[0].confidence == 0.9 and many[0].verdict == "reliable"
    assert np.all(many[0].std_error == 0.25)
    assert many[1].kind == "estimate" and many[1].confidence is None  # no end is left


def test_the_kinds_of_the_ends_of_a_difference() -> None:
    assumes = "the chains have mixed"
    log_z = Certificate(
        5.0, 4.5, 5.5, "probabilistic", 0.95, 0.1, "reliable", upper_kind="conditional", assumes=assumes
    )
    assert (log_z.kind, log_z.lower_kind, log_z.upper_kind) == ("conditional", "probabilistic", "conditional")
    below = Certificate.bound(2.0, 2.0) - log_z
    assert (below.lower, below.upper) == (2.0 - 5.5, np.inf)
    assert (below.lower_kind, below.upper_kind, below.kind) == ("conditional", "bound", "conditional")
    assert below.assumes == assumes and below.confidence == 0.95 and below.std_error == 0.1
    above = Certificate.bound(2.0, upper=2.5) - log_z  # of which only the lower end of log Z is left
    assert (above.lower, above.upper, above.kind) == (-np.inf, -2.0, "probabilistic")
    assert above.assumes is None
    other = Certificate(1.0, 0.5, 1.5, "conditional", 0.95, assumes="the samples are independent")
    assert (log_z + other).assumes == "the chains have mixed; the samples are independent"
    assert (log_z + log_z).assumes == assumes


def test_confidence_is_what_is_left() -> None:
    two = [Certificate(1.0, 0.0, 2.0, "probabilistic", c) for c in (0.95, 0.95)]
    assert (two[0] - two[1]).confidence == 0.9
    split = [Certificate(1.0, 0.0, 2.0, "probabilistic", 1 - 0.05 / 2) for _ in range(2)]  # each takes half of δ
    assert (split[0] - split[1]).confidence == 0.95
    assert (two[0] - Certificate.bound(1.0, 0.5, 1.5)).confidence == 0.95
    assert sum([two[0]] * 30).confidence == 0.0


def test_errors_add_as_those_of_independent_parts() -> None:
    a, b = Certificate.estimate(1.0, 3.0), Certificate(2.0, 1.0, 3.0, "probabilistic", 0.9, 4.0)
    assert (a - b).std_error == 5.0 and (a - 1.0).std_error == 3.0 and (-2 * a).std_error == 6.0
    assert (a + Certificate.bound(1.0, 0.0)).std_error == 3.0  # a bound does not vary
    assert (a + Certificate.estimate(1.0)).std_error is None  # what is not known, together with what is
    assert (np.array([1.0, 2.0]) + Certificate.estimate(np.zeros(2), np.array([3.0, 1.0]))).std_error.tolist() == [3, 1]


def test_verdicts_are_joined_in_one_place() -> None:
    assert joined() is None and joined(None, None) is None and joined(None, "reliable", "reliable") == "reliable"
    assert joined("reliable", "low") == "low" == joined("low", None, "low")
    assert joined("low", "unreliable: far", "reliable") == "unreliable: far; low"
    assert joined("low", "unreliable: far; low") == "unreliable: far; low"
    z = Certificate(1.0, 0.0, 2.0, "probabilistic", 0.95, verdict="unreliable: far")
    assert (Certificate.bound(1.0, 1.0, None) - replace(z, verdict="reliable")).verdict == "reliable"
    assert (replace(Certificate.bound(1.0, 1.0), verdict="low") - z).verdict == "unreliable: far; low"


def test_minus_infinity() -> None:
    never = Certificate.exact(-np.inf)
    for finite in (Certificate.exact(3.0), 3.0, Certificate(3.0, 2.0, 4.0, "probabilistic", 0.95)):
        found = never - finite
        assert (found.lower, found.value, found.upper, found.kind) == (-np.inf, -np.inf, -np.inf, "exact")
        assert found.confidence is None
    rows = Certificate.exact(np.array([-np.inf, 1.0])) - Certificate(3.0, 2.0, 4.0, "probabilistic", 0.95)
    assert rows.upper.tolist() == [-np.inf, -1.0] and rows.kind == "probabilistic"
    for undefined in (
        lambda: never - never,
        lambda: never + np.inf,
        lambda: Certificate.exact(np.zeros(2) - np.inf) - never,
    ):
        with pytest.raises(ImpossibleEvidenceError, match="−∞ − −∞ is no number"):
            undefined()
    assert issubclass(ImpossibleEvidenceError, ModelError)


def test_where_an_end_is_infinite_nothing_is_assumed_there() -> None:
    assert Certificate.bound(1.0, 0.5).upper_kind == "bound"
    found = Certificate(1.0, 0.5, np.inf, "bound", 0.9, upper_kind="conditional", assumes="x")
    assert (found.kind, found.confidence, found.assumes) == ("bound", None, None)
    found = Certificate(1.0, -np.inf, np.inf, "probabilistic", 0.95, 0.5)
    assert (found.kind, found.confidence, found.std_error) == ("estimate", None, 0.5)


def test_named_constructors() -> None:
    assert Certificate.exact(2.0) == Certificate(2.0, 2.0, 2.0, "exact")
    assert Certificate.bound(1.0, 0.0, 3.0) == Certificate(1.0, 0.0, 3.0, "bound")
    assert Certificate.estimate(1.0, 0.5) == Certificate(1.0, -np.inf, np.inf, "estimate", None, 0.5)
    many = Certificate.bound(np.zeros((2, 3)), np.zeros((2, 3)))
    assert many.upper.shape == (2, 3) and many.kind == "bound"


def test_the_mean_over_rows() -> None:
    rows = Certificate.bound(np.array([1.0, 3.0]), np.array([0.0, 1.0]), np.array([2.0, 5.0]))
    assert (rows.mean().value, rows.mean().lower, rows.mean().upper, rows.mean().kind) == (2.0, 0.5, 3.5, "bound")
    drawn = Certificate(np.ones(4), np.zeros(4), np.full(4, 2.0), "probabilistic", 0.99, np.full(4, 2.0), "reliable")
    assert drawn.mean().confidence == 0.96 and drawn.mean().std_error == 1.0 and drawn.mean().verdict == "reliable"
    assert Certificate.exact(np.array([1.0, 2.0])).mean() == Certificate.exact(1.5)


def test_records_of_more_become_plain_in_sums() -> None:
    found = LogLikelihood.of(Certificate.exact(-2.0), per_row=Certificate.exact(np.array([-1.0, -3.0])))
    assert type(found) is LogLikelihood and found.per_row.value.tolist() == [-1.0, -3.0]
    assert type(found - 1.0) is Certificate and found - 1.0 == Certificate.exact(-3.0)
    assert Certificate.of(found) == Certificate.exact(-2.0)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Certificate.exact(-0.25), "-0.25, exact"),
        (Certificate.exact(-np.inf), "-inf, exact"),
        (Certificate.bound(-1.5, -1.5), "-1.5 [-1.5, inf], bound"),
        (Certificate.estimate(1 / 3, 0.0123), "0.333333 ± 0.012, estimate"),
        (Certificate.estimate(1.0), "1 ± ?, estimate"),
        (
            Certificate(1.0, 0.5, 2.0, "probabilistic", 0.95, 0.1, "reliable"),
            "1 [0.5, 2], probabilistic at 95 %, reliable",
        ),
        (
            Certificate(1.0, 0.5, 2.0, "conditional", 0.9, assumes="chains mix"),
            "1 [0.5, 2], conditional at 90 % if chains mix",
        ),
        (Certificate.exact(np.array([1.0, -2.0])), "2 numbers from -2 to 1, exact"),
        (Certificate.exact(np.ones((2, 3))), "2×3 numbers from 1 to 1, exact"),
        (Certificate.exact(np.zeros(0)), "0 numbers, exact"),
    ],
)
def test_how_it_is_printed(found: Certificate, shown: str) -> None:
    assert str(found) == shown and repr(found) == f"Certificate({shown})"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Certificate(1.0, 1.0, 1.0, "certain"), "unknown kind 'certain'; choose one of exact, bound"),
        (lambda: Certificate(1.0, 0.0, 2.0, "probabilistic"), "states its confidence"),
        (lambda: Certificate(1.0, 0.0, 2.0, "conditional", 0.9), "states in words what it assumes"),
    ],
)
def test_certificates_that_say_too_little(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_impossible_model_has_no_log_evidence() -> None:
    net = tr.MarkovNetwork({"a": "01"}, [("a", [0.0, 0.0])])
    with pytest.raises(ImpossibleEvidenceError, match="the model itself"):
        tr.log_evidence(net, {"a": "1"})


COIN = tr.BernoulliEmissions([[0.9], [0.2]])
CHAIN = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], COIN)
LAMPS = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]])
CHAINS = tr.FactorialHiddenMarkovModel([CHAIN.first] * 2, [CHAIN.transition] * 2, LAMPS)
NET = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]]})
RBM = tr.restricted(couplings=[[1.0], [-1.0]])
POSTERIORS = {
    "one case": (lambda: tr.infer(NET, {"b": "1"}), "a", (2,), "exact"),
    "many cases": (lambda: tr.infer(NET, {"b": ["1", "0", "1"]}), "a", (3, 2), "exact"),
    "machine": (lambda: tr.infer(RBM, [1, 0]), "hidden", (1,), "exact"),
    "mean field": (lambda: tr.infer(RBM, [1, np.nan], method="mean_field"), "hidden", (1,), "estimate"),
    "mixture": (lambda: tr.infer(tr.Mixture([0.5, 0.5], COIN), [1]), "component", (2,), "exact"),
    "chain": (lambda: tr.infer(CHAIN, [1, 1, 0]), "state", (3, 2), "exact"),
    "factorial": (lambda: tr.infer(CHAINS, [1.0, 0.0], method="structured"), "chain1", (2, 2), "estimate"),
    "layers": (lambda: tr.infer(tr.SigmoidBeliefNetwork([2, 3]), [1, 0]), "hidden1", (3,), "exact"),
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_marginals_have_certificates_in_every_family(name: str) -> None:
    make, variable, shape, kind = POSTERIORS[name]
    post = make()
    found = post.certificates(variable)
    assert found.value.shape == np.shape(found.lower) == np.shape(found.upper) == shape and found.kind == kind
    shown = post.marginals[variable]
    shown = np.stack(list(shown.values()), axis=-1) if isinstance(shown, dict) else shown
    np.testing.assert_array_equal(found.value, shown)
    if kind == "exact":
        np.testing.assert_array_equal(found.lower, found.upper)
    with pytest.raises(ModelError, match=f"unknown variable '{variable}x'; did you mean '{variable}'"):
        post.certificates(variable + "x")


def test_marginals_of_many_sequences_have_a_certificate_each() -> None:
    post = tr.infer(CHAIN, [np.ones((3, 1)), np.zeros((2, 1))])
    assert [c.value.shape for c in post.certificates("state")] == [(3, 2), (2, 2)]
    assert [a.shape for a in post.marginals["state"]] == [(3, 2), (2, 2)]


@pytest.mark.parametrize("name", ["one case", "machine", "mixture", "chain", "factorial", "layers"])
def test_samples_of_a_posterior_come_in_one_order(name: str) -> None:
    post = POSTERIORS[name][0]()
    drawn, again = post.sample(3, key=1), post.sample(3, key=jax.random.key(1))
    assert drawn.keys() == again.keys() and all(len(v) == 3 for v in drawn.values())
    for old in ((0, 3), (jax.random.key(0), 3), (np.random.default_rng(0), 3), (jax.random.key(0),)):
        with pytest.raises(
            TypeError, match=r"number of samples comes first, and the key by its name: posterior\.sample"
        ):
            post.sample(*old)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        post.sample(-1)
