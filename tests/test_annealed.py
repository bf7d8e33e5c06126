"""Annealing against exact log Z: identities of the work, certificates that hold, verdicts that tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from data import DATA, needs_data
from machines_oracle import joint
from machines_zoo import ZOO
from sweep import PIECE, many, seeds, some

from tractable.evaluate import Annealing, anneal, log_partition
from tractable.evaluate.certified import certified
from tractable.evaluate.starts import Starts
from tractable.models import restricted
from tractable.models.boltzmann_machine import Boltzmann
from tractable.posterior import Certificate
from tractable.posterior.tempering import bounds
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.ladders import Exchanged
from tractable.posterior.tempering.machines import base_log_partition, make_path
from tractable.posterior.tempering.temperatures import linear

MACHINES = {str(row): row for row in ZOO}
QUICK = Annealing(n_chains=1024, n_temperatures=25, schedule="linear")
KINDS = ["restricted_mixed", "deep_gaussian", "dense_hidden", "lattice"]
"""Every kind of unit and of sweep; each costs some seconds of compilation."""


def log_z(model: Boltzmann) -> float:
    return joint(model).log_z


def error_of(found: Certificate) -> float:
    assert found.std_error is not None
    return found.std_error


def sharp(model: Boltzmann) -> Boltzmann:
    """Couplings two times as strong: few temperatures are too few."""
    return replace(model, couplings={pair: 2 * w for pair, w in model.couplings.items()})


@pytest.mark.verify
@pytest.mark.parametrize("kind", some(KINDS, 1))
def test_every_kind_of_machine_at_few_temperatures(kind: str) -> None:
    """With three temperatures the work is far from Gaussian: only exact weights and an exact time reversal agree."""
    model, settings = MACHINES[kind].model(1), Annealing(n_chains=1024, n_temperatures=3, schedule="linear")
    found, truth = anneal(model, key=1, settings=settings), log_z(MACHINES[kind].model(1))
    assert abs(found.log_partition.value - truth) < 4 * error_of(found.log_partition) + 1e-5
    for w in (found.forward - truth, truth - found.reverse):
        assert abs(bounds.log_mean_exp(w)) < 5 / np.sqrt(bounds.effective_sample_size(w)) + 1e-5
    assert found.log_partition.lower < truth < found.log_partition.upper
    assert found.starts == "exact samples"


@pytest.mark.verify
@pytest.mark.parametrize("kind", some(["dense_hidden", "restricted_mixed"], 1))
def test_certificates_contain_the_truth(kind: str) -> None:
    """Over machines, keys, bases that are far off and temperatures that are too few; 5 % may miss."""
    missed, told, n = 0, 0, len(seeds(8))
    for seed in seeds(8):
        model = sharp(MACHINES[kind].model(seed))
        wrong = {name: 3 * np.random.default_rng(seed).normal(size=len(b)) for name, b in model.fields.items()}
        found = anneal(model, base=wrong, key=seed, settings=QUICK).log_partition
        missed += not found.lower <= log_z(model) <= found.upper
        off = abs(found.value - log_z(model)) > 5 * error_of(found) + 0.05
        told += found.verdict != "reliable" if off else 1
    assert missed <= 0.05 * n + 2 * np.sqrt(0.0475 * n)  # at 5 % more of 8 have 5.7 %, and the bounds are sharper
    assert told == n


def test_directions_that_disagree_are_unreliable_and_both_covered() -> None:
    rng = np.random.default_rng(0)
    w, back = 100 + 0.5 * rng.normal(size=128), -126 + 0.5 * rng.normal(size=128)
    for exact in (True, False):
        found, _ = certified((w, back), 10.0, 0.95, Starts({}, "", exact), None)
        assert found.verdict is not None
        assert found.verdict.startswith("unreliable: forward and reverse disagree by 25.7 nats; use more temperatures")
        assert found.lower < 110.5 < 135.5 < found.upper
        assert error_of(found) > 10
    found, _ = certified((126 + 0 * w, -100 + 0 * back), 10.0, 0.95, Starts({}, "", False), None)  # the wrong way round
    assert found.verdict is not None
    assert "longer chains" in found.verdict
    assert found.lower <= found.value < 136 < found.upper


@pytest.mark.parametrize(("third", "trips", "told"), [(0.5, 30.0, "differ by 0."), (0.0, 1.0, "hardly travel")])
def test_replica_exchange_that_contradicts_is_told(third: float, trips: float, told: str) -> None:
    """Both directions agree, as they do where both see one phase only."""
    w = 0.1 * np.random.default_rng(1).normal(size=256)
    exchanged = Exchanged(third + 0.01 * np.arange(8.0), trips, 8)
    found, checks = certified((w, w), 0.0, 0.95, Starts({}, "8 ladders", False, exchanged), None)
    assert checks["round_trips"] == trips
    assert found.verdict is not None
    assert found.verdict.startswith("unreliable")
    assert told in found.verdict
    assert found.upper > third
    assert found.value == pytest.approx(exchanged.value if trips > 3 else 0, abs=0.03)  # ladders that agree know better
    assert ("the value is that of replica exchange" in found.verdict) == (trips > 3)


def test_replica_exchange_that_is_uncertain_is_no_witness() -> None:
    """Its own error hides weight that is missing: an interval a nat wide was called reliable, and was wrong."""
    w = 0.1 * np.random.default_rng(1).normal(size=256)
    ladders = np.array([-1.0, 1.5, -0.8, 1.2, -1.4, 1.3, 0.2, -0.3])
    starts = Starts({}, "8 ladders", False, Exchanged(ladders, 30.0, 8))
    found, _ = certified((w, w), 0.0, 0.95, starts, None)
    assert found.verdict is not None and "replica exchange leaves log Z uncertain by 0.4" in found.verdict
    assert found.upper > starts.exchanged.value + 2 * starts.exchanged.error - 1e-9
    assert abs(found.value) < 0.05


def test_chains_of_weight_zero_leave_the_bounds_as_they_are() -> None:
    """Half of the chains end where they do not count, the others weigh twice as much."""
    rng = np.random.default_rng(2)
    w = np.where(np.arange(512) % 2, np.log(2), -np.inf)
    back = -np.log(2) + 0.01 * rng.normal(size=512)
    low, ratio = bounds.log_mean_lower(w, 0.025), bounds.acceptance_ratio(w, back)
    assert -0.3 < low < 0 < bounds.log_mean_exp(w) + 1e-9
    assert ratio.log_z == pytest.approx(0, abs=0.3)
    assert bounds.log_ratio_lower(w, back, 0.025) < 0.05
    assert bounds.log_mean_lower(np.full(5, -np.inf), 0.1) == -np.inf


def test_weights_that_are_easily_bounded_by_hand() -> None:
    assert bounds.log_mean_lower(np.zeros(100), 0.025) == pytest.approx(-np.log(40) / 100, abs=0.03)
    assert bounds.log_mean_lower(np.zeros(1), 0.025) == pytest.approx(-np.log(40), abs=1.5)  # Markov's inequality
    assert bounds.log_mean_exp(np.log([1.0, 3.0])) == pytest.approx(np.log(2))


@pytest.mark.verify
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_betting_bounds_fail_as_rarely_as_they_say(spread: float) -> None:
    """Lognormal weights with mean one, also such whose sample mean is far too low; at most 10 % of the bounds fail."""
    rng, n, delta = np.random.default_rng(PIECE), many(100), 0.1
    low = [bounds.log_mean_lower(spread * rng.normal(size=100) - spread**2 / 2, delta) for _ in range(n)]
    assert np.mean(np.array(low) > 0) <= delta + 3 * np.sqrt(delta * (1 - delta) / n)
    if spread == 0.1:
        assert np.median(low) > -0.06  # and are worth something


@pytest.mark.verify
@pytest.mark.parametrize("spread", [0.4, 1.6, 3.0])
def test_bounds_from_both_directions_fail_rarely_and_are_nearer(spread: float) -> None:
    """Gaussian work that satisfies Crooks' theorem, log Z = 7: pairs of runs say more than one direction alone."""
    rng, n, delta = np.random.default_rng(PIECE), many(100), 0.1
    forward, reverse = (side - spread**2 / 2 + spread * rng.normal(size=(n, 256)) for side in (7, -7))
    low = np.array([bounds.log_ratio_lower(f, r, delta) for f, r in zip(forward, reverse, strict=True)])
    high = np.array([-bounds.log_ratio_lower(r, f, delta) for f, r in zip(forward, reverse, strict=True)])
    alone = np.array([bounds.log_mean_lower(f, delta) for f in forward])
    for wrong in (low > 7, high < 7):
        assert np.mean(wrong) <= delta + 3 * np.sqrt(delta * (1 - delta) / n)
    for distance in (7 - low, high - 7):
        assert np.median(distance) < 0.8 * np.median(7 - alone)


def test_few_pairs_exclude_nothing() -> None:
    assert bounds.log_ratio_lower(np.zeros(3), np.zeros(3), 0.025) == -np.inf
    exact = Starts({}, "", True)
    assert np.isfinite(certified((np.zeros(3), np.zeros(3)), 0.0, 0.95, exact, None)[0].lower)
    wide, near = (certified((np.zeros(n), np.zeros(n)), 0.0, 0.95, exact, None)[0] for n in (256, 4096))
    assert 0 < near.upper < wide.upper < 0.05  # log(1/δ) over half the number of pairs


def test_the_lower_end_supposes_nothing_where_chains_start_from_chains() -> None:
    """Reverse work that is wrong by two nats cannot raise it."""
    rng = np.random.default_rng(2)
    w, back = -0.5 + rng.normal(size=256), -2.5 + rng.normal(size=256)
    found = certified((w, back), 0.0, 0.95, Starts({}, "", False), None)[0]
    assert found.lower == pytest.approx(bounds.log_mean_lower(w, 0.025))


def test_an_end_that_rests_on_mixing_is_conditional_on_it() -> None:
    """The upper end supposes that reverse runs start from the model, which only exact samples are sure to do."""
    w = 0.1 * np.random.default_rng(3).normal(size=128)
    mixed, drawn = (certified((w, w), 0.0, 0.95, Starts({}, "", exact), None)[0] for exact in (False, True))
    assert (drawn.kind, drawn.lower_kind, drawn.upper_kind, drawn.assumes) == ("probabilistic",) * 3 + (None,)
    assert (mixed.kind, mixed.lower_kind, mixed.upper_kind) == ("conditional", "probabilistic", "conditional")
    assert mixed.assumes == "the chains that reverse runs start from are samples of the model"
    assert mixed.confidence == drawn.confidence == 0.95
    below = Certificate.exact(np.zeros(3)) - mixed  # log p(v) has its lower end from the upper one of log Z
    assert (below.lower_kind, below.upper_kind, below.kind) == ("conditional", "probabilistic", "conditional")


def test_the_acceptance_ratio_of_gaussian_work() -> None:
    """Work that satisfies E[e^w] = Z in both directions: forward N(log Z − s²/2, s²), reverse N(−log Z − s²/2, s²)."""
    rng, truth, s = np.random.default_rng(1), 7.0, 1.5
    z = []
    for _ in range(100):
        f, r = truth - s**2 / 2 + s * rng.normal(size=300), -truth - s**2 / 2 + s * rng.normal(size=200)
        found = bounds.acceptance_ratio(f, r)
        z.append((found.log_z - truth) / found.std_error)
    assert abs(np.mean(z)) < 0.4
    assert np.std(z) == pytest.approx(1, abs=0.25)
    assert 0.2 < found.overlap < 0.8


@pytest.mark.parametrize("shape", [0.2, 0.5, 1.0])
def test_the_tail_shape_of_pareto_weights(shape: float) -> None:
    w = shape * np.random.default_rng(2).exponential(size=20_000)
    assert bounds.pareto_shape(w) == pytest.approx(shape, abs=0.15)


def test_weights_that_hardly_differ_have_no_tail() -> None:
    assert bounds.pareto_shape(np.zeros(100)) == -np.inf


def test_ten_thousand_steps_lose_nothing_to_rounding() -> None:
    """Without couplings and with the base's own hidden fields all chains have the same work: the rest is rounding."""
    rng = np.random.default_rng(3)
    b, c = 4 * rng.normal(size=784), rng.normal(size=3)
    model = restricted(couplings=np.zeros((784, 3)), visible_bias=b, hidden_bias=c)
    path = make_path(model, {"visible": rng.normal(size=784), "hidden": c})
    work = run(path, jax.random.key(0), linear(10_000), path.start(jax.random.key(1), 2)).work
    truth = np.logaddexp(0, b).sum() + np.logaddexp(0, c).sum()
    assert work + base_log_partition(path) == pytest.approx(truth, abs=0.005)


def test_the_same_key_gives_the_same_number_and_progress_is_told() -> None:
    model, steps = MACHINES["dense_hidden"].model(0), []
    more: dict[str, Any] = {"settings": QUICK, "data": np.zeros((10, 5))}
    a = anneal(model, key=3, progress=lambda done, total: steps.append((done, total)), **more)
    b, c = anneal(model, key=3, **more), anneal(model, key=4, **more)
    assert a.log_partition == b.log_partition != c.log_partition
    assert steps == [(25, 51), (50, 51), (51, 51)]  # a sweep at the model comes before the way back


def test_reverse_runs_from_chains_widen_the_interval_when_they_disagree() -> None:
    """Two modes far apart, data in the lighter one, chains that cannot cross."""
    w = 40.0 * np.ones((12, 1))
    model = restricted(couplings=w, visible_bias=-19.5 * np.ones(12), hidden_bias=[-240.0])
    stuck = np.zeros((100, 12))
    found = anneal(model, key=0, samples=stuck, base={"visible": np.zeros(12), "hidden": np.zeros(1)}, settings=QUICK)
    truth = log_z(model)
    assert found.log_partition.lower <= truth <= found.log_partition.upper


def test_methods_are_chosen_by_price() -> None:
    model = MACHINES["dense_hidden"].model(0)
    exact = log_partition(model)
    assert exact.kind == "exact"
    found = log_partition(model, method="annealing", settings=QUICK)
    assert found.kind == "probabilistic"
    assert found.verdict == "reliable"
    assert found.lower < exact.value < found.upper
    with pytest.raises(ValueError, match="unknown method 'anealing'; did you mean 'annealing'"):
        log_partition(model, method="anealing")


@pytest.mark.parametrize(("units", "backward"), [("bernoulli", False), ("spin", True)])
def test_the_kernel_for_narrow_machines_takes_the_same_steps_as_jax(units: str, backward: bool) -> None:
    """The same words, the same states; the work to rounding. 70 chains are three parts, 37 units no whole vector."""
    rng = np.random.default_rng(5)
    more: dict[str, Any] = {"visible_bias": rng.normal(size=37), "hidden_bias": rng.normal(size=5), "units": units}
    model = restricted(couplings=rng.normal(size=(37, 5)), **more)
    path = make_path(model, {"visible": np.ones(37), "hidden": -rng.random(5)})
    assert path.narrow is not None
    x, betas = path.start(jax.random.key(1), 70), linear(30)
    if backward:
        path, betas = path.reversed(), betas[::-1]
    fast, plain = (run(p, jax.random.key(0), betas, x) for p in (path, replace(path, narrow=None)))
    np.testing.assert_array_equal(fast.x["hidden"], plain.x["hidden"])
    np.testing.assert_allclose(fast.increments, plain.increments, atol=2e-5)
    assert (np.asarray(fast.x["hidden"]) != np.asarray(x["hidden"])).mean() > 0.1


def test_odds_that_single_precision_cannot_hold_are_left_to_jax() -> None:
    w = np.full((3, 2), 41.0)
    assert make_path(restricted(couplings=w), {"visible": np.zeros(3), "hidden": np.zeros(2)}).narrow is None
    assert make_path(restricted(couplings=0.9 * w), {"visible": np.zeros(3), "hidden": np.zeros(2)}).narrow is not None


def reference() -> Boltzmann:
    assert DATA is not None
    z = np.load(DATA / "reference" / "rbm_784x15.npz")
    return restricted(**{name: z[name] for name in z.files})


@needs_data
def test_a_customary_run_that_is_nats_off_says_so() -> None:
    """The model's own biases as the base, even temperatures, block Gibbs sampling."""
    model = reference()
    settings = Annealing(n_chains=100, n_temperatures=500, schedule="linear", flipping=False)
    found = anneal(model, base=model.fields, key=0, settings=replace(settings, phases=False))
    assert bounds.log_mean_exp(found.forward) < 215.138405525317 - 3
    assert found.log_partition.verdict is not None
    assert found.log_partition.verdict.startswith("unreliable: forward and reverse disagree by")
    assert "use more temperatures or" in found.log_partition.verdict
    assert found.log_partition.lower < 215.138405525317 < found.log_partition.upper


@needs_data
def test_a_reference_machine() -> None:
    """log Z of an RBM with 15 hidden units by 2¹⁵ terms, against 200 temperatures."""
    assert DATA is not None
    rows = np.unpackbits(np.load(DATA / "mnist" / "binarized_mnist_fixed.npz")["train"][:5000], axis=1)
    model = reference()
    found = anneal(model, data=rows, key=0, settings=Annealing(n_temperatures=200)).log_partition
    assert found.verdict == "reliable"
    assert found.lower < 215.138405525317 < found.upper
    assert abs(found.value - 215.138405525317) < 4 * error_of(found)
    assert error_of(found) < 0.05
