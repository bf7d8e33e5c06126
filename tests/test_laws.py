"""Laws that hold for every model of the zoo, with every kind of evidence: answers are those of enumeration."""

from __future__ import annotations

import math

import brute_force
import numpy as np
import pytest
from agreement import SEEDS, Case, agrees, agrees_where_answered, case, close, gaps
from zoo import ZOO, Row

import tractable as tr
from tractable import kernels
from tractable.models import ModelError
from tractable.models.evidence import parse_evidence
from tractable.models.pruning import left
from tractable.plan import ask
from tractable.plan.networks import OneCase
from tractable.posterior import ImpossibleEvidenceError
from tractable.posterior.exact.elimination import scopes_of, sum_product

pytestmark = [pytest.mark.parametrize("row", ZOO, ids=str), pytest.mark.parametrize("seed", SEEDS)]


@pytest.fixture
def truth(row: Row, seed: int) -> Case:
    return case(row, seed)


def test_the_posterior_is_that_of_enumeration(truth: Case) -> None:
    agrees(tr.infer(truth.model, truth.evidence), truth)


def test_log_partition_is_that_of_enumeration(truth: Case) -> None:
    found = tr.log_partition(truth.model, truth.evidence)
    assert found.kind == "exact"
    assert close(found.value, truth.log_z)


def test_log_evidence_is_a_difference_of_log_partitions(row: Row, seed: int, truth: Case) -> None:
    free = brute_force.log_partition(truth.model)
    found = tr.log_evidence(truth.model, truth.evidence)
    expected = truth.log_z - free if truth.possible else -math.inf
    slack = 1e-10 * max(1.0, abs(free), abs(truth.log_z) if truth.possible else 0.0)
    assert found.kind == "exact"
    assert found.value == expected or abs(found.value - expected) < slack
    assert not truth.possible or found.lower - slack <= expected <= found.upper + slack


def test_joint_marginals_over_any_variables_in_any_order(seed: int, truth: Case) -> None:
    names = list(truth.model.states)
    rng = np.random.default_rng([7, seed])
    if not truth.possible:
        return
    posterior = tr.infer(truth.model, truth.evidence)
    subsets = [list(rng.permutation(names)[: rng.integers(len(names) + 1)]) for _ in range(4)]
    for chosen in [[], [str(v) for v in rng.permutation(names)], *subsets]:
        table = posterior.joint(chosen)
        assert table.shape == tuple(len(truth.model.states[v]) for v in chosen)
        np.testing.assert_allclose(table, truth.marginal(*chosen), rtol=0, atol=1e-10)


def test_conditioning_composes(seed: int, truth: Case) -> None:
    first, second = {}, {}
    rng = np.random.default_rng([8, seed])
    for name, value in truth.evidence.items():
        (first if rng.random() < 0.5 else second)[name] = value
    stepwise = tr.condition(tr.condition(truth.model, first), second)
    at_once = tr.condition(truth.model, {**first, **second})
    assert stepwise.states == at_once.states
    assert [f.scope for f in stepwise.factors] == [f.scope for f in at_once.factors]
    assert all(np.array_equal(a.table, b.table) for a, b in zip(stepwise.factors, at_once.factors, strict=True))


def test_inference_in_the_conditioned_model_is_inference_given_the_evidence(truth: Case) -> None:
    conditioned = tr.condition(truth.model, truth.evidence)
    hard = {v for v, given in truth.evidence.items() if isinstance(given, str | int)}
    assert set(conditioned.states) == set(truth.model.states) - hard
    posterior = tr.infer(conditioned)
    assert close(posterior.log_partition.value, truth.log_z)
    for name in conditioned.states if truth.possible else ():
        np.testing.assert_allclose(posterior.marginals.array(name), truth.marginal(name), rtol=0, atol=1e-10)


def test_the_most_probable_state_attains_the_maximum(truth: Case) -> None:
    if not truth.possible:
        with pytest.raises(ImpossibleEvidenceError):
            tr.most_probable(truth.model, truth.evidence)
        return
    found = tr.most_probable(truth.model, truth.evidence)
    _, best = brute_force.most_probable(truth.model, truth.evidence)
    assert found.log_probability.kind == "exact"
    assert close(found.log_probability.value, best)
    index = {name: truth.model.states[name].index(state) for name, state in found.assignment.items()}
    likelihoods = {name: np.eye(len(truth.model.states[name]))[state] for name, state in index.items()}
    attained = brute_force.log_weight(truth.model, found.assignment)
    for name, given in truth.evidence.items():
        vector = brute_force._likelihood(truth.model, name, given)
        with np.errstate(divide="ignore"):
            attained += float(np.log(vector @ likelihoods[name]))
    assert close(attained, best)


def test_the_best_states_are_those_of_enumeration_in_order(truth: Case) -> None:
    if not truth.possible:
        return
    log_p = {tuple(at.values()): w for at, w in brute_force.log_weights(truth.model, truth.evidence) if w > -math.inf}
    found = tr.most_probable(truth.model, truth.evidence, k=12)
    values = np.array([best.log_probability.value for best in found])
    np.testing.assert_allclose(values, sorted(log_p.values(), reverse=True)[:12], rtol=1e-12, atol=1e-9)
    assert all(best.optimum.kind == "exact" for best in found) and (np.diff(values) <= 0).all()
    states = [tuple(truth.model.states[v].index(s) for v, s in best.assignment.items()) for best in found]
    assert len({*states}) == len(found)
    np.testing.assert_allclose([log_p[own] for own in states], values, rtol=1e-12, atol=1e-9)


def test_samples_follow_the_posterior(seed: int, truth: Case) -> None:
    if not truth.possible:
        with pytest.raises(ImpossibleEvidenceError):
            tr.sample(truth.model, 3, evidence=truth.evidence)
        return
    drawn = tr.sample(truth.model, 4000, evidence=truth.evidence, key=seed, codes=True)
    assert list(drawn) == list(truth.model.states)
    counts = np.zeros(truth.joint.shape)
    np.add.at(counts, tuple(drawn.values()), 1)
    assert drawn_by_chance(counts.ravel() if drawn else np.full(1, 4000.0), truth.joint.ravel())


def drawn_by_chance(counts: np.ndarray, probabilities: np.ndarray) -> bool:
    """Pearson's chi-square within six standard deviations of its mean, rare cells pooled; impossible cells empty."""
    expected = counts.sum() * probabilities
    common = expected >= 5
    pooled = np.append(expected[common], expected[~common].sum()), np.append(counts[common], counts[~common].sum())
    statistic = sum((c - e) ** 2 / e for e, c in zip(*pooled, strict=True) if e > 0.01)
    freedom = len(pooled[0]) - 1
    return bool(statistic <= freedom + 6 * math.sqrt(2 * freedom) + 20 and not counts[probabilities == 0].any())


def test_the_same_key_gives_the_same_samples(truth: Case) -> None:
    if not truth.possible:
        return
    posterior = tr.infer(truth.model, truth.evidence)
    first, again, other = posterior.sample(50, key=3), posterior.sample(50, key=3), posterior.sample(50, key=4)
    generator = tr.sample(truth.model, 50, evidence=truth.evidence, key=np.random.default_rng(3))
    for name in truth.model.states:
        assert np.array_equal(first[name], again[name])
        assert np.array_equal(first[name], generator[name])
    if -np.sum(truth.joint * np.log(np.maximum(truth.joint, 1e-300))) > 0.5:
        assert any(not np.array_equal(first[name], other[name]) for name in truth.model.states)


def test_what_impossible_evidence_leaves(truth: Case) -> None:
    if truth.possible:
        return
    posterior = tr.infer(truth.model, truth.evidence)
    assert posterior.log_partition.value == -math.inf
    for question in (
        lambda: posterior.marginals,
        lambda: posterior.joint(list(truth.model.states)),
        lambda: posterior.sample(1, key=0),
    ):
        with pytest.raises(ImpossibleEvidenceError, match="probability zero"):
            question()


@pytest.mark.parametrize("query", ["marginals", "evidence", "map"])
def test_predicted_bytes_are_enough(truth: Case, query: str) -> None:
    given = parse_evidence(truth.model.states, truth.evidence)
    reduced = left(truth.model, given, query)
    plan = OneCase(truth.model, given, ask(query)).price(query, None, 1.0)
    if query == "map":
        if plan.program is None:
            return
        scopes = scopes_of(reduced.tables)
        run = kernels.run(reduced.tables, scopes, plan.program.pairs, kernels.Job(kernels.WALK, kernels.MAX_PLUS))
        assert run.peak_bytes <= plan.bytes
        return
    assert sum_product(reduced, plan.program, marginals=query == "marginals").peak_bytes <= plan.bytes


@pytest.mark.parametrize("share", [0.99, 0.7, 0.4, 0.2])
def test_slices_change_the_price_and_not_the_answers(truth: Case, share: float) -> None:
    """With less memory than the plan wants, the query is cut into slices or refused: never answered differently."""
    for query in ("marginals", "evidence", "map"):
        plan = tr.plan(truth.model, truth.evidence, query)
        if plan.method != "elimination":
            continue
        memory = share * plan.bytes
        tight = tr.plan(truth.model, truth.evidence, query, memory)
        assert tight.bytes <= memory or tight.method is None
        if tight.method is None:
            continue
        if query == "marginals":
            agrees_where_answered(tr.infer(truth.model, truth.evidence, method="exact", memory=memory), truth)
        elif query == "evidence":
            found = tr.log_partition(truth.model, truth.evidence, method="exact", memory=memory)
            assert close(found.value, truth.log_z)
        elif truth.possible:
            found = tr.most_probable(truth.model, truth.evidence, memory=memory)
            assert close(found.log_probability.value, brute_force.most_probable(truth.model, truth.evidence)[1])


def test_a_batch_is_its_rows_one_by_one(truth: Case, seed: int) -> None:
    rng = np.random.default_rng([9, seed])
    sizes = [len(s) for s in truth.model.states.values()]
    rows = np.array([[rng.integers(-1, n) if rng.random() < 0.5 else -1 for n in sizes] for _ in range(7)])
    rows = rows.reshape(7, len(sizes))
    batch = tr.infer(truth.model, gaps(rows))
    assert batch.log_partition.value.shape == (7,)
    assert np.array_equal(batch.possible, batch.log_partition.value > -np.inf)
    totals = tr.log_partition(truth.model, gaps(rows)).value
    for r, row in enumerate(rows):
        alone = tr.infer(truth.model, {v: int(s) for v, s in zip(truth.model.states, row, strict=True) if s >= 0})
        assert close(batch.log_partition.value[r], alone.log_partition.value)
        assert close(totals[r], alone.log_partition.value)
        for name in truth.model.states:
            found = batch.marginals.array(name)[r]
            expected = alone.marginals.array(name) if alone.possible else np.full(len(truth.model.states[name]), np.nan)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_unknown_names_are_refused(truth: Case) -> None:
    posterior = tr.infer(truth.model)
    for question in (
        lambda: tr.infer(truth.model, {"nobody": 0}),
        lambda: tr.plan(truth.model, ["nobody"]),
        lambda: tr.condition(truth.model, {"nobody": 0}),
        lambda: posterior.joint(["nobody"]),
        lambda: posterior.marginals["nobody"],
    ):
        with pytest.raises(ModelError, match="unknown variable 'nobody'"):
            question()
