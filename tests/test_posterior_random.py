"""Random networks of up to eight variables, of any structure, with zeros and every form of evidence, by enumeration."""

from __future__ import annotations

import math
from typing import Any

import brute_force
import numpy as np
from agreement import Case, agrees, agrees_where_answered, close, enumerated
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep
from zoo import Model

import tractable as tr

MOST_STATES = 600
"""Joint states that the oracle can enumerate in no time."""


@st.composite
def state_counts(draw: st.DrawFn) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name in "abcdefgh"[: draw(st.integers(0, 8))]:
        room = MOST_STATES // max(1, math.prod(sizes.values()))
        sizes[name] = draw(st.integers(1, min(4, room)))
    return sizes


def values(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Entries of very different sizes; about a third of them zero where the seed says so."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = rng.gamma(0.5, size=shape) + 1e-9
    return np.asarray(table * (rng.random(shape) >= draw(st.sampled_from([0, 0, 0.35]))))


@st.composite
def models(draw: st.DrawFn) -> Model:
    sizes = draw(state_counts())
    states = {v: [f"{v}{k}" for k in range(n)] for v, n in sizes.items()}
    if draw(st.booleans()):
        scope = st.lists(st.sampled_from(list(sizes)), unique=True, max_size=4) if sizes else st.just([])
        scopes = draw(st.lists(scope, max_size=7))
        return tr.MarkovNetwork(states, [(s, values(draw, tuple(sizes[v] for v in s))) for s in scopes])
    order = draw(st.permutations(list(sizes)))
    parents, tables = {}, {}
    for i, v in enumerate(order):
        parents[v] = draw(st.lists(st.sampled_from(order[:i]), unique=True, max_size=3)) if i else []
        table = values(draw, tuple(sizes[u] for u in (*parents[v], v)))
        table[..., 0] += 1e-3
        tables[v] = table / table.sum(axis=-1, keepdims=True)
    return tr.BayesianNetwork(states, parents, tables)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    model = draw(models())
    evidence: dict[str, Any] = {}
    for v, states in model.states.items():
        state = draw(st.integers(0, len(states) - 1))
        vector = np.eye(len(states))[state] + draw(st.sampled_from([0.0, 0.3]))
        form = draw(st.sampled_from([None, None, None, states[state], state, tr.likelihood(vector)]))
        if form is not None:
            evidence[v] = form
    return enumerated(model, evidence)


@sweep(50)
@given(cases())
def test_answers_are_those_of_enumeration(truth: Case) -> None:
    agrees(tr.infer(truth.model, truth.evidence), truth)
    assert close(tr.log_partition(truth.model, truth.evidence).value, truth.log_z)
    if truth.possible:
        best = tr.most_probable(truth.model, truth.evidence)
        assert close(best.log_probability.value, brute_force.most_probable(truth.model, truth.evidence)[1])


@given(cases(), st.randoms(use_true_random=False))
def test_joint_tables_are_those_of_enumeration(truth: Case, random: Any) -> None:
    if truth.possible:
        names = random.sample(list(truth.model.states), random.randint(0, len(truth.model.states)))
        table = tr.infer(truth.model, truth.evidence).joint(names)
        np.testing.assert_allclose(table, truth.marginal(*names), rtol=0, atol=1e-10)


@given(cases(), st.sampled_from([0.9, 0.5, 0.25, 0.1]))
def test_little_memory_changes_no_answer(truth: Case, share: float) -> None:
    memory = max(1.0, share * tr.plan(truth.model, truth.evidence).bytes)
    try:
        found = tr.infer(truth.model, truth.evidence, method="exact", memory=memory)
    except tr.BudgetError as error:
        assert error.plan.bytes > memory
    else:
        assert found.plan.bytes <= memory or found.plan.method != "elimination"
        agrees_where_answered(found, truth)


@given(cases())
def test_samples_are_possible_and_respect_the_evidence(truth: Case) -> None:
    if not truth.possible:
        return
    drawn = tr.sample(truth.model, 20, evidence=truth.evidence, key=1, codes=True)
    assert list(drawn) == list(truth.model.states)
    for i in range(20):
        assert truth.joint[tuple(int(drawn[v][i]) for v in truth.model.states)] > 0


@given(cases())
def test_conditioning_leaves_the_weight_of_every_joint_state(truth: Case) -> None:
    conditioned = tr.condition(truth.model, truth.evidence)
    assert close(brute_force.log_partition(conditioned), truth.log_z)
    assert close(tr.log_partition(conditioned).value, truth.log_z)
