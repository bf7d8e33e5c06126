"""The k best states of chains and mixtures: those of enumeration, in order, none twice, with what is tied."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from chains_oracle import enumerate_paths, random_chain
from factorial_oracle import enumerate_joint, gappy, random_model

import tractable as tr
from tractable.posterior import ImpossibleEvidenceError

most_probable: Any = tr.most_probable
SHAPES = [(2,), (2, 2), (3, 2), (2, 1, 2), (2, 2, 2)]


def weather(zeros: float = 0.0, seed: int = 0) -> tr.HiddenMarkovModel:
    rng = np.random.default_rng(seed)
    start, transition, _ = random_chain(rng, 3, 1, zeros)
    return tr.HiddenMarkovModel(start, transition, tr.CategoricalEmissions([rng.dirichlet(np.ones(3), 3)]))


def joint(number: int, zeros: bool = False) -> tuple[tr.FactorialHiddenMarkovModel, np.ndarray]:
    model = random_model(number, SHAPES[number], zeros=zeros)
    return model, gappy(tr.sample(model, 4 if np.prod(SHAPES[number]) < 8 else 3, key=number), number)


def values(found: list[tr.MostProbable]) -> np.ndarray:
    return np.array([best.log_probability.value for best in found])


@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 4, 300])
def test_the_best_paths_of_a_chain(zeros: float, seed: int, k: int) -> None:
    model = weather(zeros, seed)
    rows = np.where(np.arange(5) == 2, np.nan, tr.sample(model, 5, key=seed)[:, 0])
    truth = enumerate_paths(model.first, model.transition, model.log_likelihoods(rows[:, None]))
    assert truth is not None
    best = np.sort(truth.log_joint[truth.log_joint > -np.inf])[::-1]
    found = most_probable(model, rows, k=k)
    found = found if k > 1 else [found]
    np.testing.assert_allclose(values(found), best[:k], rtol=1e-12)
    assert (np.diff(values(found)) <= 0).all()
    paths = [tuple(f.assignment["state"].tolist()) for f in found]
    assert len({*paths}) == len(found) == min(k, len(best))
    where = {tuple(path): log_p for path, log_p in zip(truth.paths.tolist(), truth.log_joint, strict=True)}
    np.testing.assert_allclose([where[path] for path in paths], values(found), rtol=1e-12)
    near = np.abs(np.diff(best)) < 1e-13
    assert [f.tied for f in found] == [*(np.r_[False, near] | np.r_[near, False])[: len(found)]]
    assert all(f.log_probability.kind == f.optimum.kind == "exact" and f.plan.n == k for f in found)


def test_many_sequences_have_as_many_paths_as_they_have() -> None:
    left_right = tr.HiddenMarkovModel(
        [1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]], tr.CategoricalEmissions([[[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]]])
    )
    sequences = [[0], [0, 1, 1], [2, 0], [1, 0, 0, 1, 0]]
    found = most_probable(left_right, sequences, k=4)
    assert len(found) == 4 and found[0].log_probability.verdict == "impossible: sequence 2 from row 0 on"
    for s, n in enumerate([1, 3, 0, 4]):
        own = [best.log_probability.value[s] for best in found]
        assert (np.array(own[:n]) > -np.inf).all() and own[n:] == [-np.inf] * (4 - n)
        assert all((best.assignment["state"][s] == -1).all() for best in found[n:])
        if n:
            alone = most_probable(left_right, sequences[s], k=4)
            assert len(alone) == n
            assert [f.assignment["state"].tolist() for f in alone] == [
                best.assignment["state"][s].tolist() for best in found[:n]
            ]
    with pytest.raises(ImpossibleEvidenceError):
        most_probable(left_right, [2], k=3)


def test_paths_that_are_as_probable_are_said_to_be() -> None:
    even = tr.HiddenMarkovModel(np.full(2, 0.5), np.full((2, 2), 0.5), tr.CategoricalEmissions([np.full((2, 2), 0.5)]))
    assert most_probable(even, [0, 1, 0]).tied is True
    found = most_probable(even, [0, 1, 0], k=10)
    assert len(found) == 8 and all(best.tied for best in found)
    assert most_probable(weather(), [0, 1, 0]).tied is False
    assert most_probable(even, [[0], [0, 1]]).tied.tolist() == [True, True]


def test_one_state_has_one_path() -> None:
    alone = tr.HiddenMarkovModel([1.0], [[1.0]], tr.CategoricalEmissions([[[0.5, 0.5]]]))
    (found,) = most_probable(alone, [0, 1], k=7)
    assert found.assignment["state"].tolist() == [0, 0] and found.tied is False


def test_so_many_paths_that_they_do_not_fit_are_refused() -> None:
    with pytest.raises(tr.BudgetError):
        most_probable(weather(), np.zeros(1000), k=10**9)
    assert len(most_probable(weather(), [0, 1], k=10**9)) == 9


def test_a_plan_for_another_number_is_refused() -> None:
    found = most_probable(weather(), [0, 1, 2], k=3)
    again = most_probable(weather(), [0, 1, 2], k=3, method=found[0].plan)
    assert values(again).tolist() == values(found).tolist()
    with pytest.raises(tr.ModelError, match="k=3"):
        most_probable(weather(), [0, 1, 2], method=found[0].plan)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("k", [2, 9, 500])
def test_the_best_joint_paths_of_chains_that_meet(number: int, zeros: bool, k: int) -> None:
    model, rows = joint(number, zeros)
    truth = enumerate_joint(model, rows)
    best = np.sort(truth.log_joint[truth.log_joint > -np.inf])[::-1]
    found = most_probable(model, rows, k=k)
    np.testing.assert_allclose(values(found), best[:k], rtol=0, atol=1e-9)
    assert (np.diff(values(found)) <= 0).all()
    where = {path.tobytes(): log_p for path, log_p in zip(truth.paths, truth.log_joint, strict=True)}
    paths = [np.stack(list(f.assignment.values()), axis=1).astype(truth.paths.dtype).tobytes() for f in found]
    assert len({*paths}) == len(found)
    np.testing.assert_allclose([where[path] for path in paths], values(found), rtol=0, atol=1e-9)


def test_the_best_joint_paths_of_many_sequences_are_those_of_each() -> None:
    model, rows = joint(1)
    together = most_probable(model, [rows, rows[:1], rows[:2]], k=6)
    for s, part in enumerate([rows, rows[:1], rows[:2]]):
        alone = most_probable(model, part, k=6)
        for one, many in zip(alone, together, strict=False):
            assert many.log_probability.value[s] == pytest.approx(one.log_probability.value, abs=1e-12)
            for name in model.chains:
                assert many.assignment[name][s].tolist() == one.assignment[name].tolist()


def test_the_best_components_of_rows() -> None:
    model = tr.Mixture(
        [0.5, 0.25, 0.25], tr.CategoricalEmissions([[[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
    )
    found = most_probable(model, [[1], [0], [2]], k=5)
    assert [list(best.assignment["component"]) for best in found] == [
        ["1", "0", None],
        ["2", None, None],
        ["0", None, None],
    ]
    assert [best.tied.tolist() for best in found] == [[True, False, False], [True, False, False], [False] * 3]
    assert found[0].log_probability.verdict == "impossible: row 2"
    assert all(a.log_probability.value[0] >= b.log_probability.value[0] for a, b in pairwise(found))
    alone = most_probable(model, [0], k=3)
    assert [best.assignment for best in alone] == [{"component": "0"}]
    assert alone[0].log_probability.value == pytest.approx(np.log(0.3))
    with pytest.raises(ImpossibleEvidenceError):
        most_probable(model, [2], k=2)
