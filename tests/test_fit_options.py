"""What `fit` is told: no option is swallowed, whoever learns; what it returns is of the type that is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest

import tractable as tr
from tractable.families import FAMILIES
from tractable.learning.em.records import Iteration
from tractable.learning.records import Epoch

ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]] * 4, np.uint8)
REALS = ROWS[:, :1] + 0.1 * np.arange(12)[:, None]


def network() -> tr.BayesianNetwork:
    return tr.bayesian_network({"a": [0, 1] * 6, "b": [1, 0, 0] * 4}, {"b": ["a"]})


CASES: dict[str, tuple[Any, Any, Any]] = {
    "boltzmann": (tr.restricted(4, 2), ROWS, tr.PersistentCD()),
    "deep_belief": (tr.DeepBeliefNetwork([4, 3, 2]), ROWS, tr.ReweightedWakeSleep()),
    "factorial_hidden_markov": (tr.factorial_hidden_markov(REALS, [2, 2]), REALS, tr.EM()),
    "helmholtz": (tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3])), ROWS, tr.WakeSleep()),
    "hidden_markov": (tr.hidden_markov(REALS, 2, "diagonal"), REALS, tr.EM()),
    "mixture": (tr.mixture(REALS, 2, "diagonal"), REALS, tr.GeneralizedEM()),
    "sigmoid_belief": (tr.SigmoidBeliefNetwork([4, 3]), ROWS, tr.VariationalGradient()),
    "tables": (network(), {"a": [0, 1] * 6, "b": [1, 0, 0] * 4}, tr.EM()),
}
"""A model of each family, data for it, and a learner."""

LAYERWISE = (tr.deep([4, 3, 2]), ROWS, tr.Layerwise())


def fitted(case: tuple[Any, Any, Any], **options: Any) -> Any:
    model, data, learner = case
    return tr.fit(model, data, learner, **{"epochs": 1, "progress": False} | options)


def test_every_family_has_a_case() -> None:
    assert CASES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", CASES)
def test_what_all_learners_take_counts_for_each(family: str, tmp_path: Path) -> None:
    seen, path = [], tmp_path / "kept"
    options = {"callback": seen.append, "checkpoint": str(path), "checkpoint_seconds": 0.0, "key": 3}
    run = fitted(CASES[family], validation=CASES[family][1], **options)
    assert len(seen) == len(run.history) and path.exists()
    assert run.history[-1].validation is not None
    more = fitted(CASES[family], resume=True, epochs=1, **options)
    assert len(seen) == len(run.history) == len(more.history)  # nothing is left to do


def test_a_true_answer_ends_each_fit() -> None:
    for case in CASES.values():
        assert fitted(case, epochs=30, callback=lambda record: record.epoch == 1).history[-1].epoch == 1


@pytest.mark.parametrize("family", CASES)
def test_an_option_of_others_says_who_takes_it(family: str) -> None:
    case = CASES[family]
    own = type(case[2]).__name__
    em = hasattr(case[0], "maximized")
    for option in ({"live": 0.1}, {"binarize": 0.5}) if em else ():
        told = f"^{own} takes no option '{next(iter(option))}': it is one of gradient learners"
        with pytest.raises(tr.ModelError, match=told):
            fitted(case, **option)
    setting = "n_init" if em else "batch_size"
    with pytest.raises(tr.ModelError, match=rf"{setting} is a setting of the learner.*take {own}\({setting}=…\)"):
        fitted(case, **{setting: 5})
    with pytest.raises(tr.ModelError, match=rf"^unknown option 'restarts'; .*{own} takes epochs, validation,"):
        fitted(case, restarts=3)
    with pytest.raises(tr.ModelError, match=r"^resume is about a checkpoint: give checkpoint=…"):
        fitted(case, resume=True)


@pytest.mark.parametrize("options", [{"live": 0.1}, {"validation": ROWS}])
def test_layers_that_have_no_likelihood_follow_none(options: dict[str, Any]) -> None:
    with pytest.raises(tr.ModelError, match="have no likelihood: leave out live and validation"):
        fitted(LAYERWISE, **options)


@pytest.mark.parametrize("top", [tr.PersistentCD(k=5), tr.TemperedPCD()])
def test_settings_of_a_machine_that_is_not_there_are_refused(top: Any) -> None:
    with pytest.raises(tr.ModelError, match="top is about the machine on top of a deep belief network, here is none"):
        fitted((tr.SigmoidBeliefNetwork([4, 3]), ROWS, tr.WakeSleep(top=top)))


@pytest.mark.parametrize("learner", [tr.EM, "EM", 3])
def test_what_is_no_learner_is_refused(learner: Any) -> None:
    with pytest.raises(tr.ModelError, match=r"a learner is an object such as EM\(\) or PersistentCD\(k=5\), got "):
        tr.fit(network(), {"a": [0], "b": [1]}, learner)


def test_types_are_those_of_the_learner() -> None:
    mixed = tr.fit(tr.mixture(REALS, 2, "diagonal"), REALS, tr.GeneralizedEM(), epochs=1, progress=False)
    assert_type(mixed, tr.EMRun[tr.Mixture])
    assert_type(mixed.history[0], Iteration)
    assert_type(tr.fit(network(), {"a": [0], "b": [1]}, epochs=1), tr.EMRun[tr.BayesianNetwork])
    machine = tr.fit(tr.restricted(4, 2), ROWS, tr.PersistentCD(), epochs=1, progress=False, live=0)
    assert_type(machine, tr.Run[tr.Boltzmann])
    assert_type(machine.history[0], Epoch)
    assert_type(tr.fit(tr.restricted(4, 2), ROWS, epochs=1, live=0), tr.Run[tr.Boltzmann])
    layers = tr.fit(tr.SigmoidBeliefNetwork([4, 3]), ROWS, tr.WakeSleep(), epochs=1, progress=False, live=0)
    assert_type(layers, tr.Run[tr.HelmholtzMachine])
    deep = tr.fit(tr.DeepBeliefNetwork([4, 3, 2]), ROWS, tr.Layerwise(), epochs=1, progress=False, live=0)
    assert_type(deep.model, tr.HelmholtzMachine)
    assert isinstance(mixed, tr.EMRun) and isinstance(mixed.model, tr.Mixture)
    assert isinstance(machine, tr.Run) and isinstance(machine.model, tr.Boltzmann)
    assert all(isinstance(run.model, tr.HelmholtzMachine) for run in (layers, deep))
