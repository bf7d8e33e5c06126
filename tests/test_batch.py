"""Many cases at once: every row is what it would be alone, whatever the rows and however they are given."""

from __future__ import annotations

from typing import Any

import brute_force
import numpy as np
import pandas as pd
import pytest
from agreement import close, enumerated, gaps
from hypothesis import given
from hypothesis import strategies as st
from zoo import ZOO, Model

import tractable as tr
from tractable.plan import search
from tractable.plan import tables as prices

ROWS = {row.name: row for row in ZOO}


def asia() -> tr.BayesianNetwork:
    """Eight variables, an exclusive or among them, so that some evidence is impossible."""
    yes = dict.fromkeys(("asia", "smoke", "tub", "lung", "either", "bronc", "xray", "dysp"), ("no", "yes"))
    parents = {"tub": ["asia"], "lung": ["smoke"], "bronc": ["smoke"], "either": ["tub", "lung"], "xray": ["either"]}
    tables: dict[str, Any] = {
        "asia": [0.99, 0.01],
        "smoke": [0.5, 0.5],
        "tub": [[0.99, 0.01], [0.95, 0.05]],
        "lung": [[0.99, 0.01], [0.9, 0.1]],
        "bronc": [[0.7, 0.3], [0.4, 0.6]],
        "either": [[[1, 0], [0, 1]], [[0, 1], [0, 1]]],
        "xray": [[0.95, 0.05], [0.02, 0.98]],
        "dysp": [[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.1, 0.9]]],
    }
    return tr.BayesianNetwork(yes, {**parents, "dysp": ["either", "bronc"]}, tables)


def random_rows(model: Model, n_rows: int, seed: int, share: float = 0.4) -> np.ndarray:
    """State indices with −1 for what is unobserved."""
    rng = np.random.default_rng(seed)
    sizes = np.array([len(s) for s in model.states.values()])
    return np.where(rng.random((n_rows, len(sizes))) < share, rng.integers(sizes, size=(n_rows, len(sizes))), -1)


def check(model: Model, posterior: tr.Posterior, rows: np.ndarray) -> None:
    """Each row of the posterior against enumeration; rows that occur twice are enumerated once."""
    known: dict[tuple, Any] = {}
    assert posterior.log_partition.kind == "exact"
    assert posterior.log_partition.value.shape == (len(rows),)
    assert list(posterior.marginals) == list(model.states)
    for r, row in enumerate(map(tuple, rows.tolist())):
        if row not in known:
            known[row] = enumerated(model, {v: s for v, s in zip(model.states, row, strict=True) if s >= 0})
        truth = known[row]
        assert close(posterior.log_partition.value[r], truth.log_z)
        assert posterior.possible[r] == truth.possible
        for name, names in model.states.items():
            expected = truth.marginal(name) if truth.possible else np.full(len(names), np.nan)
            found = posterior.marginals.array(name)
            assert found.shape == (len(rows), len(names))
            np.testing.assert_allclose(found[r], expected, rtol=0, atol=1e-10, err_msg=f"row {r}, {name}")


def test_rows_of_every_kind_at_once() -> None:
    """Unobserved, fully observed, impossible and repeated rows in one batch."""
    model = asia()
    rows = random_rows(model, 60, 0)
    rows[3] = -1
    rows[7] = 0
    rows[9] = [-1, -1, 1, -1, 0, -1, -1, -1]  # tuberculosis, but neither tuberculosis nor cancer
    rows[11] = rows[10]
    posterior = tr.infer(model, gaps(rows))
    assert posterior.log_partition.value[9] == -np.inf
    assert posterior.log_partition.value[3] == pytest.approx(0, abs=1e-12)
    check(model, posterior, rows)


@pytest.mark.parametrize(
    "name", ["markov_grid", "markov_zeros", "markov_unused_variables", "bayesian_zeros", "bayesian_rare"]
)
def test_rows_are_those_of_enumeration(name: str) -> None:
    model = ROWS[name].model(3)
    rows = random_rows(model, 25, 1)
    check(model, tr.infer(model, gaps(rows)), rows)


@pytest.mark.parametrize("n_rows", range(1, 10))
def test_a_few_rows_of_wide_tables(n_rows: int) -> None:
    """The axis of rows is shorter than the others, which must not change where it stands."""
    for name in ("markov_bipartite", "markov_grid", "markov_random", "bayesian_two_layers"):
        model = ROWS[name].model(45)
        rows = random_rows(model, n_rows, n_rows)
        check(model, tr.infer(model, gaps(rows)), rows)


def forms(model: Model, rows: np.ndarray) -> dict[str, Any]:
    """The same rows in every form that a user may have them in."""
    names = {
        v: [states[s] if s >= 0 else None for s in rows[:, i]] for i, (v, states) in enumerate(model.states.items())
    }
    seen = [v for i, v in enumerate(model.states) if (rows[:, i] >= 0).any()]
    floats = np.where(rows < 0, np.nan, rows)
    return {
        "names": names,
        "names of what is observed, in another order": {v: names[v] for v in reversed(seen)},
        "indices": {v: floats[:, i] for i, v in enumerate(model.states)},
        "lists of indices": {v: floats[:, i].tolist() for i, v in enumerate(model.states)},
        "list of cases": [
            {v: x for v, x in zip(names, row, strict=True) if x} for row in zip(*names.values(), strict=True)
        ],
        "frame of names": pd.DataFrame(names),
        "frame of numbers": pd.DataFrame(floats, columns=list(model.states)),
        "array with NaN": floats,
        "list of lists": floats.tolist(),
        "array in column order": np.asfortranarray(floats),
    }


@pytest.mark.parametrize("form", forms(asia(), random_rows(asia(), 3, 0)))
def test_every_form_gives_the_same_answers(form: str) -> None:
    model = asia()
    rows = random_rows(model, 40, 2)
    rows[:, 3] = -1
    expected, found = tr.infer(model, gaps(rows)), tr.infer(model, forms(model, rows)[form])
    np.testing.assert_allclose(found.log_partition.value, expected.log_partition.value, atol=1e-12)
    for name in model.states:
        np.testing.assert_allclose(found.marginals.array(name), expected.marginals.array(name), atol=1e-12)


def test_marginals_by_name_are_columns() -> None:
    posterior = tr.infer(asia(), {"xray": ["yes", "no", None]})
    column = posterior.marginals["lung"]["yes"]
    assert column.shape == (3,)
    assert np.array_equal(column, posterior.marginals.array("lung")[:, 1])
    assert posterior.marginals["xray"]["yes"][:2].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", [row.name for row in ZOO])
def test_one_row_is_one_case(name: str) -> None:
    model = ROWS[name].model(1)
    rows = random_rows(model, 1, 5)
    check(model, tr.infer(model, gaps(rows)), rows)


@pytest.mark.parametrize("name", [row.name for row in ZOO])
def test_rows_that_observe_nothing(name: str) -> None:
    model = ROWS[name].model(2)
    rows = np.full((3, len(model.states)), -1)
    check(model, tr.infer(model, gaps(rows)), rows)


@pytest.mark.parametrize("name", [row.name for row in ZOO])
def test_no_rows_give_empty_answers(name: str) -> None:
    model = ROWS[name].model(0)
    posterior = tr.infer(model, np.zeros((0, len(model.states))))
    assert posterior.log_partition.value.shape == (0,)
    for v, states in model.states.items():
        assert posterior.marginals.array(v).shape == (0, len(states))
    assert tr.log_partition(model, np.zeros((0, len(model.states)))).value.shape == (0,)


def test_no_rows_of_named_columns() -> None:
    for empty in ({"xray": []}, pd.DataFrame({"xray": []}), {"xray": np.zeros(0, int)}):
        assert tr.infer(asia(), empty).log_partition.value.shape == (0,)


def test_rows_that_are_all_impossible() -> None:
    posterior = tr.infer(asia(), {"tub": ["yes"] * 4, "either": ["no"] * 4})
    assert posterior.log_partition.value.tolist() == [-np.inf] * 4
    assert not posterior.possible.any()
    assert np.isnan(posterior.marginals.array("lung")).all()


def test_a_state_that_zeros_rule_out_for_everyone() -> None:
    """The first factor forbids state 1 of b; rows that observe it are impossible."""
    model = ROWS["markov_zero_slice"].model()
    rows = np.array([[-1, b, c] for b in (-1, 0, 1, 2) for c in (-1, 0, 1)])
    check(model, tr.infer(model, gaps(rows)), rows)


def test_log_evidence_of_rows() -> None:
    model = ROWS["markov_cycle"].model()
    rows = random_rows(model, 12, 4)
    free = brute_force.log_partition(model)
    found = tr.log_evidence(model, gaps(rows))
    assert found.kind == "exact"
    for r, row in enumerate(rows):
        clamped = brute_force.log_partition(
            model, {v: int(s) for v, s in zip(model.states, row, strict=True) if s >= 0}
        )
        assert found.value[r] == pytest.approx(clamped - free, abs=1e-10)
        assert found.lower[r] - 1e-10 <= clamped - free <= found.upper[r] + 1e-10


def test_complete_rows_sum_to_the_partition_function() -> None:
    """All joint states as rows: their weights add up to Z."""
    for name in ("markov_grid", "bayesian_two_layers", "markov_zeros"):
        model = ROWS[name].model(5)
        sizes = [len(s) for s in model.states.values()]
        rows = np.array(list(np.ndindex(*sizes)))
        found = tr.log_partition(model, gaps(rows)).value
        assert np.logaddexp.reduce(found) == pytest.approx(tr.log_partition(model).value, abs=1e-10)


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_answers_do_not_depend_on_how_rows_are_cut(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = asia()
    rows = random_rows(model, 50, 6)
    expected = tr.infer(model, gaps(rows))
    monkeypatch.setattr(prices, "MIN_CHUNK", chunk)
    monkeypatch.setattr(prices, "MAX_CHUNK", chunk)
    found = tr.infer(model, gaps(rows))
    np.testing.assert_allclose(found.log_partition.value, expected.log_partition.value, atol=1e-12)
    for name in model.states:
        np.testing.assert_allclose(found.marginals.array(name), expected.marginals.array(name), atol=1e-12)


def test_answers_do_not_depend_on_the_order_of_rows() -> None:
    model = asia()
    rows = random_rows(model, 3000, 7)
    order = np.random.default_rng(0).permutation(3000)
    a, b = tr.infer(model, gaps(rows)), tr.infer(model, gaps(rows[order]))
    np.testing.assert_allclose(a.log_partition.value[order], b.log_partition.value, atol=1e-12)
    np.testing.assert_allclose(a.marginals.array("lung")[order], b.marginals.array("lung"), atol=1e-12)


@pytest.mark.parametrize("memory", [500, 2000, 10_000])
def test_short_memory_changes_no_answer(memory: int) -> None:
    model = ROWS["markov_grid"].model()
    rows = random_rows(model, 12, 8)
    try:
        posterior = tr.infer(model, gaps(rows), memory=memory)
    except tr.BudgetError as error:
        assert error.plan.method is None
        return
    check(model, posterior, rows)


def test_a_batch_over_the_budget_is_refused_with_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PATIENCE", 0.2)
    side = range(60)
    pairs = [((f"a{i}", f"b{j}"), np.array([[1.0, 2.0], [3.0, 1.0]])) for i in side for j in side]
    model = tr.MarkovNetwork({f"{v}{i}": "01" for i in side for v in "ab"}, pairs)
    with pytest.raises(tr.BudgetError) as caught:
        tr.infer(model, {"a0": [0, 1]}, method="exact", memory="1MiB")
    assert caught.value.plan.method is None
    assert caught.value.plan.bytes > 2**20 or caught.value.plan.seconds > 3600


def test_what_a_batch_does_not_give_is_said() -> None:
    posterior = tr.infer(asia(), {"xray": ["yes", "no"]})
    for question in (lambda: posterior.joint(["lung", "tub"]), lambda: posterior.sample(2, key=0)):
        with pytest.raises(tr.ModelError, match="one case"):
            question()


def test_the_plan_is_for_all_rows() -> None:
    model = asia()
    one, many = tr.infer(model, {"xray": ["yes"]}).plan, tr.infer(model, {"xray": ["yes"] * 1000}).plan
    assert many.flops > 100 * one.flops
    assert many.seconds > one.seconds
    assert many.query == "marginals"
    assert many.observed == ("xray",)
    assert many.method == "elimination"


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_random_rows_of_random_models(seed: int, n_rows: int) -> None:
    row = ZOO[seed % len(ZOO)]
    model = row.model(seed % 100)
    rows = random_rows(model, n_rows, seed)
    found = tr.infer(model, gaps(rows))
    for r, states in enumerate(rows):
        alone = tr.infer(model, {v: int(s) for v, s in zip(model.states, states, strict=True) if s >= 0})
        assert close(found.log_partition.value[r], alone.log_partition.value)
        for name in model.states if alone.possible else ():
            np.testing.assert_allclose(found.marginals.array(name)[r], alone.marginals.array(name), atol=1e-10)
