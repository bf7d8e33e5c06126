"""log Z by annealed importance sampling in both directions, with a certificate and a verdict.

Forward: chains start from exact draws of a factorized base and are taken to the model through intermediate machines;
the product of the ratios on the way is an unbiased estimate of Z/Z_base. Reverse: chains start from samples of the
model and come back: an unbiased estimate of Z_base/Z. Neal 2001; Salakhutdinov & Murray 2008; Burda, Grosse &
Salakhutdinov 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from tractable.evaluate.certified import Found, certified
from tractable.evaluate.sampled import checked_samples
from tractable.evaluate.starts import Starts, chained_states, exact_states, exchanged_states, given_states
from tractable.kernels.enumeration import Progress
from tractable.models._base import check_options
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.keys import as_key
from tractable.models.normalizable import check_normalizable
from tractable.models.precision import in_working_precision
from tractable.posterior import Certificate
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.tempering import bases, modes, strata
from tractable.posterior.tempering._base import PathRun, run, whole
from tractable.posterior.tempering.ladders import Exchanged
from tractable.posterior.tempering.modes import Modes
from tractable.posterior.tempering.strata import Piloted, Strata, forward_runs
from tractable.posterior.tempering.temperatures import Pilot, linear, measured


@dataclass(frozen=True)
class Annealing:
    """How to anneal.

    Attributes
    ----------
    accuracy : the width of the interval that the number of temperatures is chosen for, in nats.
    n_chains : chains in each direction.
    n_temperatures : steps between base and model; None chooses them from pilot runs and the accuracy.
    max_temperatures : never more than this.
    schedule : ``"adaptive"`` places the temperatures by pilot runs, ``"linear"`` evenly.
    confidence : of the interval.
    flipping : whether machines of which one side has at most 64 two-state units draw these one by one with the other
        side summed out, in place of block Gibbs sampling, which gets stuck where one unit holds many.
    burn_in : rounds of replica exchange that the reverse runs start from, where exact samples are out of reach; None
        takes 700, or 25 for every eight chains if those are more. Without a search for phases it is sweeps of chains
        at the model, by default one for each temperature.
    phases : whether modes are looked for, each of which may get a path of its own, before anything is called reliable.

    Examples
    --------
    >>> settings = tr.evaluate.Annealing(n_chains=32, n_temperatures=50)
    >>> found = tr.log_partition(tr.restricted(4, 3), method="annealing", settings=settings)
    >>> found.lower_kind, found.upper_kind
    ('probabilistic', 'probabilistic')
    """

    accuracy: float = 0.1
    n_chains: int = 256
    n_temperatures: int | None = None
    max_temperatures: int = 5_000
    schedule: str = "adaptive"
    confidence: float = 0.95
    flipping: bool = True
    burn_in: int | None = None
    phases: bool = True

    def __post_init__(self) -> None:
        for name, what in (("n_chains", "chains"), ("n_temperatures", "temperatures")):
            if getattr(self, name) is not None:
                checked_samples(getattr(self, name), what)


OPTIONS = ("base", "samples", "temperatures", "progress")
"""What `anneal` takes besides data, key and settings."""


@dataclass(frozen=True, eq=False)
class Annealed:
    """log Z from annealed chains.

    Attributes
    ----------
    log_partition : the certificate. Its value is Bennett's acceptance ratio; its lower end comes from the forward runs
        and holds without any assumption, its upper end from both directions and supposes samples of the model (where
        these are exact, so does the lower end, which is then nearer).
    forward, reverse : log Z as each chain has it, [n_chains] for each direction.
    temperatures : β of the machines on the way, 0 and 1 included.
    checks : what the verdict rests on: gap, overlap, effective sample sizes, tail shapes.
    starts : where the reverse runs started.
    pilot : what the forward runs tell about where temperatures are needed, for a next time.
    states : the kept groups of the forward chains at the end; weighted by e^forward they are samples of the model.
    exchanged : what replica exchange says of log Z, where reverse runs start from it.

    Examples
    --------
    >>> machine = tr.restricted(4, 3)
    >>> found = tr.evaluate.anneal(machine, settings=tr.evaluate.Annealing(n_chains=32, n_temperatures=50))
    >>> found.forward.shape, len(found.temperatures), found.starts
    ((32,), 51, 'exact samples')
    """

    log_partition: Certificate
    forward: Float[np.ndarray, " c"]
    reverse: Float[np.ndarray, " c"]
    temperatures: Float[np.ndarray, " t"]
    checks: Mapping[str, float]
    starts: str
    pilot: Pilot = field(repr=False)
    states: State = field(repr=False)
    exchanged: Exchanged | None = field(repr=False, default=None)


@in_working_precision
def anneal(
    model: Boltzmann,
    *,
    data: Any = None,
    base: Mapping[str, Any] | None = None,
    key: Any = 0,
    settings: Annealing | None = None,
    **more: Any,
) -> Annealed:
    """log Z of a Boltzmann machine by annealing from a factorized base and back.

    Parameters
    ----------
    data : rows of the visible units. They choose the base and start chains of the model, and cannot make the lower end
        of the interval wrong. None takes samples of a short Gibbs run.
    base : group → fields of the base, instead of one that is matched to the data.
    key : int or jax key.
    settings : an `Annealing`.
    more : ``samples``, states of the visible units drawn from the model by other means, to start the reverse runs;
        ``temperatures``, a schedule to use as it is; ``progress``, called with (steps done, all steps).

    Raises
    ------
    ModelError : data that do not fit the model.

    Examples
    --------
    >>> machine = tr.restricted(4, 3)
    >>> found = tr.evaluate.anneal(machine, settings=tr.evaluate.Annealing(n_chains=32, n_temperatures=50))
    >>> bool(abs(found.log_partition.value - tr.log_partition(machine).value) < 0.1)
    True
    """
    settings = settings or Annealing()
    check_options(more, OPTIONS[1:], "anneal")
    check_normalizable(model)
    keys = jax.random.split(as_key(key), 6)
    rows = None if data is None else bases.rows_of(model, data)
    known, first = _explored(model, rows, keys[0], base, settings.phases)
    size, given = (settings.n_chains, settings.flipping), more.get("temperatures")
    if settings.phases:
        found = strata.piloted(model, first, known, keys[1], strata.Piloting(*size))
    else:
        found = strata.single(model, first[0], known, keys[1], (*size, given is not None))
    betas = _temperatures(found.pilot, settings, given)
    progress = _Progress(more.get("progress"), 2 * len(betas) - 1)
    forward, weight = forward_runs(found.strata, keys[2], betas, settings.n_chains, progress.part(0))
    asked = (keys[3], more.get("samples"), rows)
    starts = _starts(model, found, known, forward, asked, settings)
    back = _backward(found.strata, keys[4], betas, starts.x, progress.part(len(betas) - 1))
    offset = float(np.median(weight[np.isfinite(weight)])) if np.isfinite(weight).any() else 0.0
    seen = Found(found.strata.region(forward.x), known) if settings.phases else None
    shift = offset + float(model.offset)
    certificate, checks = certified((weight - offset, back + offset), shift, settings.confidence, starts, seen)
    both = (float(model.offset) + weight, float(model.offset) - back)
    told = measured(betas, forward.increments)
    return Annealed(certificate, *both, betas, checks, starts.origin, told, forward.x, starts.exchanged)


def _explored(model: Boltzmann, rows: Any, key: Any, base: Any, phases: bool) -> tuple[Modes, list[Any]]:
    """The modes, and broad bases: matched to data or to free chains (or the one given), none, and that of the modes."""
    ends = bases.free_run(model, key) if phases or rows is None else {}
    seen = model.decode({VISIBLE: ends[VISIBLE]})[VISIBLE] if rows is None else rows
    own = bases.matched(model, seen, key) if base is None else base
    if not phases:
        return modes.only(model, own), [own]
    found = modes.find(model, rows, ends)
    return found, bases.broad(model, own, found)


def _backward(paths: Strata, key: Any, betas: np.ndarray, x: State, progress: Progress) -> np.ndarray:
    """−log W of chains from samples of the model back to the bases; a sweep at the model comes first."""
    which = paths.table[paths.region(x)]
    path = paths.path(which)
    down = np.concatenate([[1.0], betas[::-1]])
    return run(path.reversed(), key, down, path.mirrored(x), progress).work - paths.offset(which)


def _starts(
    model: Boltzmann, found: Piloted, known: Modes, forward: PathRun, asked: tuple[Any, Any, Any], how: Annealing
) -> Starts:
    """Exact samples where they are cheap, or given ones, or those of replica exchange; `asked`: key, samples, rows."""
    (key, samples, rows), kept = asked, tuple(forward.x)
    if samples is not None:
        return given_states(model, kept, samples, key, how.n_chains)
    exact = exact_states(model, kept, key, how.n_chains)
    if exact is not None:
        return exact
    if how.phases:
        return exchanged_states(model, known, key, (how.n_chains, how.burn_in), found.ladders)
    path = found.strata.path(np.zeros(how.n_chains, int))
    sweeps = len(forward.increments) if how.burn_in is None else how.burn_in
    return chained_states(model, path, forward, key, (rows, sweeps))


@dataclass(frozen=True)
class _Progress:
    """One count of steps over several runs."""

    tell: Progress
    total: int

    def part(self, before: int) -> Progress:
        tell = self.tell
        return (lambda done, _: tell(before + done, self.total)) if tell else None


def _temperatures(found: Pilot, settings: Annealing, given: Any) -> np.ndarray:
    if given is not None:
        return np.asarray(given, np.float64)
    if settings.schedule == "linear":
        return linear(settings.n_temperatures or 1000)
    n = settings.n_temperatures or whole(needed(found, settings))
    return found.temperatures(min(n, settings.max_temperatures))


def needed(found: Pilot, settings: Annealing) -> int:
    """The temperatures at which the interval is expected to be as wide as the accuracy.

    With n chains whose work has the variance v/T, the betting bound stands about √(2 v log(B/δ)/(T n)) below the mean,
    B standing for the stakes that share its level, and the bound from both directions 1/√2 of that above it.
    """
    delta = (1 - settings.confidence) / 2
    side = settings.accuracy / (1 + 1 / np.sqrt(2))
    n = 2 * found.variance * np.log(3 / delta) / (settings.n_chains * side**2)
    return int(np.clip(n, 100, 10**9)) if np.isfinite(n) else 10**9
