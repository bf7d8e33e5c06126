"""Deep belief networks learned layer by layer and all at once: against enumeration, killed and resumed, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from test_layered_learning import BARS, changed, logs, states

import tractable as tr
from tractable.cli import _fitting
from tractable.cli._fit_layers import Top
from tractable.cli._run import run
from tractable.learning.layers._base import LayeredLearner
from tractable.learning.layers.stacks import stack_of
from tractable.learning.records import Epoch, History

SETTINGS: dict[str, Any] = {"batch_size": 30, "learning_rate": 0.03}
REWEIGHTED = tr.ReweightedWakeSleep(samples=10, **SETTINGS)
OWN = np.tril(np.ones((3, 3)), -1)
LAYERS = tr.Layerwise(machine=tr.PersistentCD(batch_size=30))


def network(*sizes: int) -> tr.DeepBeliefNetwork:
    return tr.DeepBeliefNetwork(sizes or [9, 4, 4], key=2)


def exact(model: Any, rows: np.ndarray) -> float:
    """The mean log-likelihood, all states of the first hidden layer summed by code the library has no part in."""
    h = states(*model.recognition.sizes[1:])
    return float(np.mean([jax.nn.logsumexp(logs(model, x.astype(np.float32), h)[0]) for x in rows]))


def quietly(model: Any, learner: Any, epochs: int = 2, rows: Any = BARS, **options: Any) -> tr.Run:
    return tr.fit(model, rows, learner, epochs=epochs, progress=False, **{"live": 0} | options)


@pytest.mark.parametrize(
    "learner",
    [
        REWEIGHTED,
        tr.WakeSleep(samples=2, top=tr.ContrastiveDivergence(k=3), **SETTINGS),
    ],
    ids=["reweighted", "up_down"],
)
def test_learning_all_layers_at_once_raises_the_exact_likelihood(learner: LayeredLearner) -> None:
    fresh = tr.HelmholtzMachine(network())
    before = exact(fresh, BARS[:3])
    run = quietly(fresh, learner, 300)
    assert exact(run.model, BARS[:3]) > before + 2.5
    last = run.history[-1]
    assert last.bound is None and last.effective_sample_size is not None and " 300" in str(run.history)


def test_layers_one_by_one_are_a_start() -> None:
    found = quietly(network(), LAYERS, 30)
    assert [e.epoch for e in found.history] == list(range(1, 61))
    key = jax.random.fold_in(jax.random.key(0), 0)
    first = quietly(tr.restricted(couplings=network().weights[0]), LAYERS.machine, 30, key=key).model
    np.testing.assert_array_equal(found.model.generative.weights[0], first.couplings["visible", "hidden"])
    np.testing.assert_array_equal(found.model.recognition.biases[0][0], first.fields["hidden"])
    assert exact(found.model, BARS[:3]) > exact(tr.HelmholtzMachine(network()), BARS[:3]) + 0.3


class Asked:
    """A learner that writes down what it was asked for."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def run(self, model: Any, data: Any, request: Any) -> tr.Run:
        self.seen.append((np.shape(data), request))
        return tr.Run(model, History((Epoch(1, 2.0, gradient_norm=len(self.seen)),)), None)  # type: ignore[arg-type]


def test_only_the_first_machine_hears_of_rows_that_are_held_back() -> None:
    machine = Asked()
    options = {"validation": BARS[:9], "checkpoint": "there", "live": 0.1}
    run = quietly(network(), tr.Layerwise(machine=machine), 3, **options)  # type: ignore[arg-type]
    (shape, first), (above, second) = machine.seen
    assert (shape, above) == ((120, 9), (120, 4)) and first.epochs == second.epochs == 3
    assert first.validation is not None and second.validation is None
    assert [r.options.live for r in (first, second)] == [0.1, 0]
    assert [r.options.checkpoint for r in (first, second)] == ["there.layer0", "there.layer1"]
    assert [(e.epoch, e.seconds, e.gradient_norm) for e in run.history] == [(1, 2.0, 1), (2, 4.0, 2)]


def test_a_sigmoid_belief_network_begins_as_the_machines_it_is_made_of() -> None:
    own = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([9, 4, 3]), tr.RecognitionNetwork([9, 4, 3], within=[None, OWN]))
    run = quietly(own, LAYERS, 30)
    p, q = run.model.generative, run.model.recognition
    assert isinstance(p, tr.SigmoidBeliefNetwork) and p.sizes == (9, 4, 3) and len(run.history) == 60
    for at in range(2):
        np.testing.assert_array_equal(p.weights[at], q.weights[at][0])
    assert q.within[0] is None and not q.within[1].any()
    machines = [
        tr.restricted(couplings=w, visible_bias=b, hidden_bias=c[0])
        for w, b, c in zip(p.weights, p.biases, q.biases, strict=False)
    ]
    below = np.asarray(q.sample(1, BARS, 200).layers[1]).reshape(-1, 4)  # as the second machine has seen them
    seen = 1 / (1 + np.exp(-np.asarray(machines[1].local_field("hidden", {"visible": below}))))
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(p.biases[2]))), seen.mean(0), atol=0.12)
    alone = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([9, 4, 3]))
    assert exact(run.model, BARS[:3]) > exact(alone, BARS[:3]) + 0.3
    assert quietly(tr.SigmoidBeliefNetwork([9, 4]), LAYERS, 1).model.sizes == (9, 4)


def test_a_transposed_machine_on_top_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rbm = tr.restricted(
        couplings=rng.normal(size=(5, 3)), visible_bias=rng.normal(size=5), hidden_bias=rng.normal(size=3)
    )
    wide = tr.DeepBeliefNetwork([5, 3, 7], top=tr.restricted(couplings=np.zeros((3, 7))))
    rows, means = rng.integers(0, 2, (6, 5)).astype(np.uint8), np.array([0.5, 0.1, 0.4, 1.0, 0.8])
    model = tr.stacked([rbm, stack_of(wide, True).start(1, [rbm], means)])
    assert exact(model, rows) == pytest.approx(tr.log_likelihood(rbm, rows).value, abs=1e-5)
    few = stack_of(network(5, 3, 2), True).start(1, [rbm], means)
    np.testing.assert_array_equal(few.couplings["visible", "hidden"].T, rbm.couplings["visible", "hidden"][[0, 2]])
    np.testing.assert_array_equal(few.fields["hidden"], rbm.fields["visible"][[0, 2]])


# ---------------------------------------------------------------- killed, and on


class KilledError(Exception):
    """The end of a process."""


def kill(at: int) -> Any:
    """A callback that ends the fit at the given call."""
    calls: list[Any] = []

    def callback(epoch: Any) -> None:
        calls.append(epoch)
        if len(calls) == at:
            raise KilledError

    return callback


def same(a: Any, b: Any) -> None:
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("learner", "at"),
    [(LAYERS, 2), (LAYERS, 5), (REWEIGHTED, 2)],
    ids=["first", "second", "whole"],
)
def test_a_fit_that_was_killed_goes_on_bit_for_bit(learner: Any, at: int, tmp_path: Path) -> None:
    path = str(tmp_path / "fit.safetensors")
    whole = quietly(network(), learner, 4)
    kept = {"checkpoint": path, "checkpoint_seconds": 0.0}
    with pytest.raises(KilledError):
        quietly(network(), learner, 4, callback=kill(at), **kept)
    resumed = quietly(network(), learner, 4, resume=True, **kept)
    same(whole.training, resumed.training)
    same(whole.model, resumed.model)
    assert [e.gradient_norm for e in whole.history] == [e.gradient_norm for e in resumed.history]


# ---------------------------------------------------------------- the command


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    np.save(tmp_path / "rows.npy", BARS)
    layers = "--hidden 4,4 --pretrain 4 --epochs 2 --no-live --batch-size 30 --samples 10 --learning-rate 0.03"
    command = ["fit", "dbn", str(tmp_path / "rows.npy"), *layers.split()]

    def ask(model: str, *options: str) -> tuple[int, str]:
        code = run([*command, "-o", str(tmp_path / model), *options])
        out = capsys.readouterr()
        return code, out.err or out.out

    return ask


def test_a_network_is_learned_written_and_answers(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out = ask("whole.safetensors", "--json", "--no-yardstick")
    assert code == 0 and len(json.loads(out)["history"]) == 2
    learned = tr.load(str(tmp_path / "whole.safetensors"))
    assert isinstance(learned, tr.HelmholtzMachine) and learned.sizes == (9, 4, 4)
    assert {p.name for p in tmp_path.iterdir()} == {"rows.npy", "whole.safetensors"}
    assert tr.log_likelihood(learned, BARS[:3]).value == pytest.approx(exact(learned, BARS[:3]), abs=1e-5)
    with monkeypatch.context() as patch:
        patch.setattr(_fitting, "fit_columns", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ask("again.safetensors")
    assert (tmp_path / "again.safetensors.checkpoint.layer1").exists()
    code, out = ask("again.safetensors")
    assert code == 2 and "a fit that did not end is kept here; go on with --resume" in out
    assert ask("again.safetensors", "--resume")[0] == 0
    same(learned, tr.load(str(tmp_path / "again.safetensors")))


def test_a_wrong_value_names_its_file_before_anything_is_learned(ask: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", changed(2))
    code, out = ask("wrong.safetensors")
    assert code == 2 and "rows.npy: row 7, column 2: the value 2.0 is not one of this unit" in out
    assert {p.name for p in tmp_path.iterdir()} == {"rows.npy"}


def test_options_become_the_chains_of_the_machine_on_top() -> None:
    assert Top(top="cd", k=3).learner() == tr.ContrastiveDivergence(k=3) and Top().learner() == tr.PersistentCD()


# ---------------------------------------------------------------- refusals

SPINS = tr.restricted(3, 2, units="spin")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": changed(2)}, r"row 7, column 2: the value 2\.0 is not one of this unit: 0 or 1"),
        ({"rows": changed(np.nan)}, r"row 7, column 2: the value nan is missing; impute it first"),
        ({"rows": BARS[:, :8]}, "the model has 9 units, the data 8 columns"),
        ({"learner": LAYERS, "rows": BARS[:, :8]}, "the model has 9 units, the data 8 columns"),
        ({"learner": LAYERS, "model": tr.mixture(BARS, 2, "bernoulli")}, "not a Mixture"),
        (
            {"learner": LAYERS, "model": tr.HelmholtzMachine(network(), tr.RecognitionNetwork([9, 4], hidden=3))},
            "linear logits, not tanh units",
        ),
        ({"learner": LAYERS, "model": tr.SigmoidBeliefNetwork([9, 4], within=True)}, "no weights within a layer"),
        ({"learner": tr.WakeSleep(top=tr.FastPersistentCD())}, "take PersistentCD, .* got FastPersistentCD"),
        ({"learner": tr.WakeSleep(top=tr.ExactGradient())}, "take PersistentCD, .* got ExactGradient"),
    ],
)
def test_what_cannot_be_learned_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        quietly(**{"model": network(), "learner": tr.ReweightedWakeSleep()} | change)


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ([tr.restricted(3, 2)], "at least two machines, a sigmoid"),
        ([], "at least two machines, a sigmoid"),
        ([SPINS, tr.restricted(2, 2)], "expected restricted machines of 0/1 units"),
        ([tr.restricted(3, 2), tr.restricted(4, 2)], "the shape|units"),
    ],
)
def test_machines_that_do_not_stack_are_refused(machines: list[tr.Boltzmann], words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        tr.stacked(machines)
