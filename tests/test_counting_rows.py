"""Searches over zeros for many rows of evidence, what they show while they run, and what plans by names say of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sweep import seeds
from test_counting import asia, circuit, gates, network, packed, random_clauses

import tractable as tr
from tractable.kernels.counting import SOLVED, SearchLimits, count


def random_network(rng: np.random.Generator) -> tr.MarkovNetwork:
    """Variables of two and three states, tables with zeros in most."""
    states = {f"v{i}": [str(s) for s in range(rng.integers(2, 4))] for i in range(6)}
    factors = []
    for _ in range(7):
        scope = [f"v{i}" for i in rng.choice(6, rng.integers(1, 4), replace=False)]
        shape = tuple(len(states[v]) for v in scope)
        factors.append((scope, rng.random(shape) * (rng.random(shape) > 0.4 * (len(scope) > 1))))
    return tr.MarkovNetwork(states, factors)


@pytest.mark.verify
def test_rows_by_search_are_rows_by_elimination() -> None:
    for seed in seeds(25):
        rng = np.random.default_rng(seed)
        model = random_network(rng)
        rows = np.array([[float(rng.integers(len(s))) for s in model.states.values()] for _ in range(6)])
        rows[rng.random(rows.shape) < 0.6] = np.nan
        rows = rows[rng.integers(6, size=9)]  # some are alike
        one, other = (tr.infer(model, rows, method=how) for how in ("counting", "elimination"))
        assert one.plan.method == "counting"
        np.testing.assert_allclose(one.log_partition.value, other.log_partition.value, rtol=1e-10, err_msg=str(seed))
        for v in model.states:
            np.testing.assert_allclose(one.marginals.array(v), other.marginals.array(v), atol=1e-10, err_msg=str(seed))
        best = [tr.most_probable(model, rows, method=how).log_probability.value for how in ("counting", "elimination")]
        np.testing.assert_allclose(*best, rtol=1e-10, err_msg=str(seed))


def test_soft_evidence_and_targets_of_rows() -> None:
    heard = {"xray": ["yes", "no", "yes"], "dysp": tr.likelihood([[0.3, 0.9], [1.0, 0.0], [0.3, 0.9]])}
    one, other = (tr.infer(asia(), heard, targets=["lung"], method=how) for how in ("counting", "elimination"))
    np.testing.assert_allclose(one.marginals.array("lung"), other.marginals.array("lung"), rtol=1e-12)
    np.testing.assert_allclose(one.log_partition.value, other.log_partition.value, rtol=1e-12)


def test_rows_too_wide_for_elimination_are_searched() -> None:
    model = gates()
    drawn = tr.sample(model, n=3, key=0)
    rows = {f"x{v}": [str(s) for s in drawn[f"x{v}"]] for v in range(640, 660)}
    found = tr.infer(model, rows, memory="64MiB")
    assert found.plan.method == "counting"
    assert "rows, one after the other" in found.plan.why
    for i in range(3):
        alone = tr.infer(model, {v: s[i] for v, s in rows.items()}, memory="64MiB")
        assert found.log_partition.value[i] == pytest.approx(alone.log_partition.value, abs=1e-10)
        np.testing.assert_allclose(found.marginals.array("x0")[i], alone.marginals.array("x0"), atol=1e-9)


def test_a_row_that_takes_too_long_is_named() -> None:
    model = network(200, random_clauses(np.random.default_rng(0), 200, 3.0))
    with pytest.raises(tr.BudgetError, match="row 0: a search did not come to an end"):
        tr.infer(model, {"x0": ["0", "1"]}, seconds=0.5, method="counting")


def test_a_plan_by_names_says_that_states_may_do() -> None:
    model = gates()
    plan = tr.plan(model, [f"x{v}" for v in range(640, 660)], query="evidence", memory="8MiB", seconds=0.002)
    assert plan.method is None
    assert "counting" in [other.method for other in plan.alternatives]
    assert tr.plan(model, {f"x{v}": "0" for v in range(640, 660)}, query="evidence", memory="8MiB", seconds=0.5).method


def test_what_a_search_has_done_grows() -> None:
    told: list[tuple[float, float]] = []
    found = count(
        packed(np.full(120, 2), random_clauses(np.random.default_rng(1), 120, 3.2)),
        SearchLimits(1e8, limit=0.5),
        watch=lambda *so_far: told.append(so_far),
    )
    decisions, done = np.array(told).T
    assert found.status != SOLVED or found.took.decisions >= decisions[-1]
    assert (np.diff(decisions) >= 0).all() and (np.diff(done) >= -1e-12).all()
    assert 0 < done[-1] <= 1


def test_who_watches_may_end_a_search() -> None:
    def stop(decisions: float, done: float) -> None:
        raise RuntimeError(f"seen after {decisions:.0f}")

    with pytest.raises(RuntimeError, match="seen after"):
        count(
            packed(np.full(300, 2), random_clauses(np.random.default_rng(0), 300, 3.0)), SearchLimits(1e8), watch=stop
        )
    assert count(packed(np.full(90, 2), circuit(np.random.default_rng(0), 30, 60)), SearchLimits(1e8)).log_z == (
        pytest.approx(30 * math.log(2))  # nobody watches the next one
    )


def test_a_bar_at_a_terminal_unless_silenced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from tractable.posterior import waiting

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    monkeypatch.setenv("COLUMNS", "120")
    model = network(200, random_clauses(np.random.default_rng(0), 200, 3.0))

    def shown() -> str:
        with pytest.raises(tr.BudgetError):
            tr.infer(model, seconds=0.2, method="counting")
        return capsys.readouterr().err

    assert "of all ways, at most 200 ms" in shown()
    with waiting.silence():
        assert shown() == ""
