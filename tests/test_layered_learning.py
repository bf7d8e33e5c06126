"""Learning of layers: every estimator's gradient against all states summed, fits that go on bit for bit, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from sweep import some

from tractable.learning import (
    JointStochasticApproximation,
    ReweightedWakeSleep,
    VariationalGradient,
    WakeSleep,
    fit,
    loop,
)
from tractable.learning._base import Minibatch, Seen, begin
from tractable.learning.layers import score_function
from tractable.learning.layers._base import LayeredLearner
from tractable.learning.layers.wake import awake
from tractable.models import (
    DeepBeliefNetwork,
    HelmholtzMachine,
    ModelError,
    RecognitionNetwork,
    SigmoidBeliefNetwork,
    restricted,
)

ROWS = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 1]], np.uint8)
GROUPS, DRAWS = 80, 250


def machine(hidden: Any = None, within: Any = None) -> HelmholtzMachine:
    """Eight hidden units, and a recognition network that is far from the posterior."""
    rng, sizes = np.random.default_rng(3), (5, 5, 3)
    weights = [rng.normal(size=pair) for pair in itertools.pairwise(sizes)]
    p = SigmoidBeliefNetwork(weights=weights, biases=[rng.normal(size=n) for n in sizes]).astype(np.float32)
    q = RecognitionNetwork(sizes, hidden=hidden, within=within, key=1)
    return HelmholtzMachine(p, jax.tree.map(lambda a: 2 * a + np.float32(0.1), q))


def autoregressive() -> HelmholtzMachine:
    """The same, where recognized units depend on those before them."""
    return machine(within=[np.tril(np.random.default_rng(n).normal(size=(n, n)), -1) for n in (5, 3)])


def deep_belief() -> HelmholtzMachine:
    """The same with a machine of 4 and 3 units on top of 5 visible ones."""
    rng = np.random.default_rng(4)
    bias = {"visible_bias": rng.normal(size=4), "hidden_bias": rng.normal(size=3)}
    top = restricted(couplings=rng.normal(size=(4, 3)), **bias)
    p = DeepBeliefNetwork(top=top, weights=[rng.normal(size=(5, 4))], biases=[rng.normal(size=5)]).astype(np.float32)
    return HelmholtzMachine(p, jax.tree.map(lambda a: 2 * a + np.float32(0.1), RecognitionNetwork((5, 4), key=1)))


def log_bernoulli(x: Any, a: Any) -> Any:
    return (x * jax.nn.log_sigmoid(a) + (1 - x) * jax.nn.log_sigmoid(-a)).sum(-1)


def states(*sizes: int) -> list[np.ndarray]:
    every = np.array(list(itertools.product([0, 1], repeat=sum(sizes))), np.float32)
    return np.split(every, np.cumsum(sizes)[:-1], axis=1)


def log_top(top: Any, v: np.ndarray) -> Array:
    """log p(v) of a restricted machine, over all states of its visible units."""
    w, b, c = top.couplings["visible", "hidden"], top.fields["visible"], top.fields["hidden"]
    free = lambda v: v @ b + jnp.logaddexp(0, c + v @ w).sum(-1)  # noqa: E731
    return free(v) - jax.nn.logsumexp(free(states(len(b))[0]))


def logs(model: HelmholtzMachine, x: Any, h: list[np.ndarray]) -> tuple[Array, Array]:
    """log p(x, h) and log q(h | x), written out; the top layer of a deep belief network is summed out."""
    p, q = model.generative, model.recognition
    log_p = log_bernoulli(x, p.biases[0] + h[0] @ p.weights[0].T)
    if isinstance(p, DeepBeliefNetwork):
        log_p = log_p + log_top(p.top, h[0])
    else:
        log_p = log_p + log_bernoulli(h[0], p.biases[1] + h[1] @ p.weights[1].T) + log_bernoulli(h[1], p.biases[2])
    log_q = jnp.zeros(())
    for at, (below, above) in enumerate(itertools.pairwise([x, *h])):
        for w, b in zip(q.weights[at][:-1], q.biases[at][:-1], strict=True):
            below = jnp.tanh(below @ w + b)
        own = 0 if q.within[at] is None else above @ jnp.tril(q.within[at], -1).T
        log_q = log_q + log_bernoulli(above, below @ q.weights[at][-1] + q.biases[at][-1] + own)
    return log_p, log_q


def over_rows(one: Callable[[Array, Array], Array]) -> Callable[[HelmholtzMachine], Array]:
    """The mean over the rows of a function of log p(x, h) and log q(h | x) of all states h."""

    def mean(model: HelmholtzMachine) -> Array:
        h = states(*model.recognition.sizes[1:])
        return jnp.stack([one(*logs(model, row.astype(np.float32), h)) for row in ROWS]).mean()

    return mean


def elbo(log_p: Array, log_q: Array) -> Array:
    return jnp.exp(log_q) @ (log_p - log_q)


def two_samples(log_p: Array, log_q: Array) -> Array:
    """The bound with K = 2, over all pairs of states."""
    log_w, q = log_p - log_q, jnp.exp(log_q)
    return q @ (jnp.logaddexp(log_w[:, None], log_w) - jnp.log(2)) @ q


def reweighted(log_p: Array, log_q: Array) -> Array:
    """What two reweighted samples climb: E[Σ w̃ log p] in the model, half of E[Σ w̃ log q] in the recognition network."""
    log_w, q = log_p - log_q, jnp.exp(log_q)
    count = jax.lax.stop_gradient(2 * q * (jax.nn.sigmoid(log_w[:, None] - log_w) @ q))
    return count @ log_p + 0.5 * count @ log_q


def posterior(log_p: Array, log_q: Array) -> Array:
    """What exact samples of the posterior climb: E[log p] in the model, half of E[log q] in the recognition network."""
    count = jax.lax.stop_gradient(jax.nn.softmax(log_p))
    return count @ log_p + 0.5 * count @ log_q


def recognized_data(log_p: Array, log_q: Array) -> Array:
    return jax.lax.stop_gradient(jnp.exp(log_q)) @ log_p


def dreams(model: HelmholtzMachine) -> Array:
    """E_p[log q(h | x)], over all joint states (8192 with two hidden layers); the derivative is by q alone."""
    x, *h = states(*model.recognition.sizes)
    log_p, log_q = logs(model, x, h)
    return jax.lax.stop_gradient(jnp.exp(log_p)) @ log_q


def variational(estimator: str, samples: int = 1) -> VariationalGradient:
    return VariationalGradient(estimator=estimator, samples=samples)


BOUND, PAIRS = over_rows(elbo), over_rows(two_samples)
WEIGHTED = lambda m: over_rows(reweighted)(m) + 0.5 * dreams(m)  # noqa: E731
SETTLED = lambda m: over_rows(posterior)(m) + 0.5 * dreams(m)  # noqa: E731
LEARNERS: dict[str, tuple[LayeredLearner, Callable[[HelmholtzMachine], Array], Callable[[], HelmholtzMachine]]] = {
    "wake_sleep": (WakeSleep(), lambda m: over_rows(recognized_data)(m) + dreams(m), machine),
    "reweighted": (ReweightedWakeSleep(samples=2), WEIGHTED, machine),
    "reweighted_autoregressive": (ReweightedWakeSleep(samples=2), WEIGHTED, autoregressive),
    "joint": (JointStochasticApproximation(samples=2), SETTLED, machine),
    "joint_sweeps": (JointStochasticApproximation(samples=2, sweeps=0.6), SETTLED, machine),
    "joint_autoregressive": (JointStochasticApproximation(samples=2), SETTLED, autoregressive),
    "reinforce": (variational("reinforce"), BOUND, machine),
    "nvil": (variational("nvil"), BOUND, machine),
    "vimco": (variational("vimco", 2), PAIRS, machine),
    "vimco_tanh": (variational("vimco", 2), PAIRS, lambda: machine(4)),
    "vimco_autoregressive": (variational("vimco", 2), PAIRS, autoregressive),
    "arm": (variational("arm"), BOUND, machine),
    "disarm": (variational("disarm", 2), BOUND, machine),
    "reweighted_deep_belief": (ReweightedWakeSleep(samples=2), WEIGHTED, deep_belief),
    "vimco_deep_belief": (variational("vimco", 2), PAIRS, deep_belief),
}


def flat(gradient: HelmholtzMachine) -> Array:
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(gradient)])


def baselines_at_random(training: Any) -> Any:
    """Baselines that are not zero, so that they would show in the mean if they were wrong."""
    own = training.learner
    if not isinstance(own, score_function.Baselines):
        return training
    nets = jax.tree.map(lambda w: w + 0.5, own.networks)
    return training._replace(learner=own._replace(mean=jnp.array([-4.0, 1.0]), networks=nets))


@cache
def drawn(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The exact gradient, and the means of groups of draws of the estimate."""
    learner, objective, make = LEARNERS[name]
    model = make()
    exact = np.asarray(flat(jax.jit(jax.grad(objective))(model)))
    batch = batch_of(DRAWS)
    training = begin(learner, None, model, jax.random.key(2), Seen(ROWS.mean(0), len(batch.rows)))
    training = baselines_at_random(training)
    one = jax.jit(lambda t, key: flat(learner.gradient(t, key, batch).gradient))
    keys = enumerate(jax.random.split(jax.random.key(0), GROUPS))
    return exact, np.stack([np.asarray(one(in_equilibrium(learner, training, i), key)) for i, key in keys])


def batch_of(n: int) -> Minibatch:
    """All rows, `n` times."""
    return Minibatch(jnp.asarray(np.tile(ROWS, (n, 1)), jnp.float32), jnp.arange(n * len(ROWS)))


def in_equilibrium(learner: LayeredLearner, training: Any, i: int) -> Any:
    """The state of a learner whose chains have forgotten where they began."""
    if isinstance(learner, JointStochasticApproximation):
        training = training._replace(learner=exact_memory(training.model, i))
        return some_turns(learner, training, jax.random.key(1000 + i))
    return with_chains_of_the_model(training, i)


def exact_memory(model: HelmholtzMachine, i: int) -> Array:
    """For each row of a batch a state drawn from its posterior."""
    h, rng = states(*model.recognition.sizes[1:]), np.random.default_rng(i)
    memory = []
    for x in ROWS:
        log_p = np.asarray(logs(model, x.astype(np.float32), h)[0], np.float64)
        p = np.exp(log_p - log_p.max())
        drawn = rng.choice(len(p), DRAWS, p=p / p.sum())
        memory.append(np.column_stack([np.ones(DRAWS), *(a[drawn] for a in h)]))
    return jnp.asarray(np.packbits(np.stack(memory, 1).reshape(DRAWS * len(ROWS), -1).astype(bool), axis=1))


@partial(jax.jit, static_argnums=0)
def some_turns(learner: LayeredLearner, training: Any, key: Any) -> Any:
    """The state after each row had some turns at the same parameters, which must leave the posterior what it is."""
    turn = lambda i, t: t._replace(learner=learner.gradient(t, jax.random.fold_in(key, i), batch_of(DRAWS)).kept)  # noqa: E731
    return jax.lax.fori_loop(0, 10, turn, training)


def with_chains_of_the_model(training: Any, i: int) -> Any:
    """The state of a learner whose chains are exact samples of the machine on top."""
    p = training.model.generative
    if not isinstance(p, DeepBeliefNetwork):
        return training
    v, h = states(4, 3)
    top = {name: np.asarray(b) for name, b in p.top.fields.items()}
    log_p = v @ top["visible"] + h @ top["hidden"] + ((v @ p.top.couplings["visible", "hidden"]) * h).sum(1)
    share = np.exp(np.float64(log_p - np.max(log_p)))
    drawn = np.random.default_rng(i).choice(len(share), DRAWS * len(ROWS), p=share / share.sum())
    return training._replace(offsets=training.offsets._replace(chains={"visible": v[drawn], "hidden": h[drawn]}))


@pytest.mark.verify
@pytest.mark.parametrize("name", some(LEARNERS, 5))
def test_the_mean_of_many_gradients_is_that_of_all_states(name: str) -> None:
    exact, found = drawn(name)
    error = found.std(axis=0, ddof=1) / np.sqrt(GROUPS)
    assert error.max() < 0.2 * np.abs(exact).max()  # sharp enough to fail
    assert (np.abs(found.mean(axis=0) - exact) < 5 * error + 1e-5).all()


def test_baselines_and_antithetic_pairs_take_variance_away() -> None:
    n = sum(leaf.size for leaf in jax.tree.leaves(machine().generative))
    variance = {name: float(drawn(name)[1][:, n:].var(axis=0).sum()) for name in ("reinforce", "arm", "disarm")}
    assert variance["disarm"] < variance["arm"] < variance["reinforce"]


def test_nvil_learns_what_to_expect_of_its_signal() -> None:
    learner = VariationalGradient(estimator="nvil", batch_size=100, learning_rate=1e-2)
    training = begin(learner, None, machine(), jax.random.key(2), Seen(ROWS.mean(0), len(ROWS)))
    batch = batch_of(25)
    step = jax.jit(lambda t, key: t._replace(learner=learner.gradient(t, key, batch).kept))
    for key in jax.random.split(jax.random.key(1), 400):
        training = step(training, key)
    signal = score_function.local_signals(awake(training.model, jax.random.key(3), batch, 20))[..., 0]
    within = float(signal.reshape(25, 4, 20).var((0, 2)).mean())  # what no function of the row takes away
    assert within < 0.95 * float(signal.var())
    assert float(training.learner.variance[0]) == pytest.approx(within, rel=0.08)


# ---------------------------------------------------------------- fits

BARS = np.tile(np.kron(np.eye(3, dtype=np.uint8), np.ones((1, 3), np.uint8)), (40, 1))


def quietly(learner: LayeredLearner, epochs: int = 2, rows: Any = BARS, model: Any = None, **options: Any) -> loop.Run:
    model = SigmoidBeliefNetwork([9, 4, 3], key=2) if model is None else model
    return fit(model, rows, learner, epochs=epochs, progress=False, **{"live": 0} | options)


def test_one_state_of_each_row_is_kept_and_all_rows_have_their_own() -> None:
    learner = JointStochasticApproximation(samples=3)
    training = begin(learner, None, machine(), jax.random.key(2), Seen(ROWS.mean(0), 9))
    some = Minibatch(jnp.asarray(ROWS, jnp.float32), jnp.array([7, 2, 5, 0]))
    first = learner.gradient(training, jax.random.key(0), some)
    kept = np.unpackbits(np.asarray(first.kept), axis=1)
    assert kept.shape == (9, 16) and not kept[:, 9:].any()  # a bit more than there are units, in whole bytes
    assert kept[[7, 2, 5, 0], 0].all() and not kept[[1, 3, 4, 6, 8]].any()
    new = np.concatenate([np.asarray(h) for h in first.layers[1:]], axis=2)[:, 1:]
    for row, states in zip([7, 2, 5, 0], new, strict=True):
        assert (states == kept[row, 1:9]).all(1).any()
    second = learner.gradient(training._replace(learner=first.kept), jax.random.key(1), some)
    old = np.concatenate([np.asarray(h) for h in second.layers[1:]], axis=2)[:, 0]
    np.testing.assert_array_equal(old, kept[[7, 2, 5, 0], 1:9])


@pytest.mark.verify
@pytest.mark.parametrize(
    "learner",
    some(
        [ReweightedWakeSleep(samples=10), VariationalGradient(samples=10), JointStochasticApproximation(samples=3)], 2
    ),
    ids=lambda learner: type(learner).__name__,
)
def test_a_fit_comes_near_the_best_there_is(learner: LayeredLearner) -> None:
    run = quietly(replace(learner, batch_size=30, learning_rate=0.03), 400)
    h = states(4, 3)
    exact = [float(jax.nn.logsumexp(logs(run.model, x.astype(np.float32), h)[0])) for x in BARS[:3]]
    assert -np.log(3) - 0.3 < np.mean(exact) <= -np.log(3) + 1e-4
    last = run.history[-1]
    assert last.bound is not None and last.bound < np.mean(exact) + 0.05
    assert last.effective_sample_size is not None and 1 <= last.effective_sample_size <= 10


@pytest.mark.parametrize(
    "learner",
    [
        ReweightedWakeSleep(batch_size=30),
        JointStochasticApproximation(batch_size=25, sweeps=0.5),
        VariationalGradient(estimator="nvil", batch_size=30),
    ],
)
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(learner: LayeredLearner, tmp_path: Any) -> None:
    path = str(tmp_path / "fit.safetensors")
    whole = quietly(learner, 4)
    quietly(learner, 4, checkpoint=path, callback=lambda epoch: epoch.epoch == 2)
    resumed = quietly(learner, 4, checkpoint=path, resume=True)
    for a, b in zip(jax.tree.leaves(whole.training), jax.tree.leaves(resumed.training), strict=True):
        np.testing.assert_array_equal(a, b)
    numbers = [[(e.bound, e.gradient_variance, e.gradient_norm) for e in run.history] for run in (whole, resumed)]
    assert numbers[0] == numbers[1]


def test_the_record_prints_bound_samples_and_variance() -> None:
    text = str(quietly(WakeSleep(batch_size=30)).history)
    assert all(word in text for word in ("bound", "samples", "variance"))


# ---------------------------------------------------------------- refusals


OWN = HelmholtzMachine(SigmoidBeliefNetwork([9, 4]), RecognitionNetwork([9, 4], within=True))


def changed(value: float) -> np.ndarray:
    rows = BARS.astype(float)
    rows[7, 2] = value
    return rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": changed(2)}, r"row 7, column 2: the value 2\.0 is not one of this unit: 0 or 1"),
        ({"rows": changed(np.nan)}, r"row 7, column 2: the value nan is missing; impute it first"),
        ({"validation": changed(0.5)}, r"validation: row 7, column 2: the value 0\.5"),
        ({"rows": BARS[:, :8]}, "the model has 9 units, the data 8 columns"),
        ({"rows": BARS[:0]}, "there are no rows"),
        ({"rows": BARS[0]}, r"shape \[n_rows, n_visible\], got \(9,\)"),
        ({"learner": ReweightedWakeSleep(samples=0)}, "samples must be a whole number, at least one, got samples=0"),
        ({"learner": JointStochasticApproximation(sweeps=2.0)}, "sweeps must be a number from 0 to 1, got sweeps=2.0"),
        (
            {"learner": JointStochasticApproximation(sweeps=1.0), "model": DeepBeliefNetwork([9, 4, 3])},
            "take sweeps=0 for a deep belief network",
        ),
        ({"learner": VariationalGradient(samples=1)}, "two or more, got samples=1"),
        ({"learner": VariationalGradient(estimator="vimko")}, "unknown estimator 'vimko'.*vimco"),
        ({"learner": WakeSleep(batch_size=0)}, "at least one row, got batch_size=0"),
        ({"learner": variational("arm"), "model": OWN}, "arm flips whole layers.*another estimator"),
        ({"model": SigmoidBeliefNetwork([8, 3])}, "the model has 8 units, the data 9 columns"),
    ],
)
def test_what_cannot_be_learned_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        quietly(**{"learner": ReweightedWakeSleep()} | change)


def test_a_recognition_network_of_another_shape_is_refused() -> None:
    with pytest.raises(ModelError, match=r"layers of \(9, 4\), the model needs \(9, 4, 3\)"):
        HelmholtzMachine(SigmoidBeliefNetwork([9, 4, 3]), RecognitionNetwork([9, 4]))
