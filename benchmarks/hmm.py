"""Hidden Markov models: forward-backward, Viterbi and an iteration of EM, beside hmmlearn and dynamax.

All start from the same parameters and see the same sequences; an iteration of EM includes what each library does around
it (checks, log-likelihoods of rows, the M-step), and is the time of many iterations divided by their number. hmmlearn
runs with ``implementation="scaling"``, the faster of its two. dynamax runs ten iterations in one scan, as its own fit
does, compiled before (steady state), in single precision, its default. ``first`` is the first fit of the faster peer,
compiling included, beside ours; we compile nothing, so that a second fit is like the first. ``of peak`` compares the
multiply-adds of an iteration with what NumPy's matrix product reaches on this machine: exponentials and memory are the
rest. Times are medians of runs in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from _common import Row, alternate, arguments, geometric_mean, report, save
from hmmlearn import hmm

import tractable as tr

try:
    import dynamax.hidden_markov_model as _dynamax
    import jax
    import jax.numpy as jnp

    dynamax: Any = _dynamax
except ModuleNotFoundError:
    dynamax = None

ITERATIONS = 10
SYMBOLS = 10


class Case(NamedTuple):
    """The same model in all libraries, and data for it."""

    name: str
    kind: str
    ours: Any
    sequences: list[np.ndarray]

    @property
    def multiply_adds(self) -> float:
        """Of an iteration: recursions and counts, densities and statistics."""
        k, d = self.ours.n_states, self.ours.n_columns
        own = {"categorical": 2 * k, "diagonal": 4 * k * d, "gaussian": k * d * (d + 3)}[self.kind]
        return sum(map(len, self.sequences)) * (3.0 * k * k + own)


def case(kind: str, d: int, k: int, n: int, length: int) -> Case:
    """`n` sequences sampled from a model that learning then starts near."""
    rng = np.random.default_rng([k, n])
    transition, start = rng.dirichlet(np.full(k, 2.0), k), np.full(k, 1 / k)
    means = rng.normal(size=(k, d)) * 3 / np.sqrt(d)
    emissions: Any = {
        "categorical": lambda: tr.CategoricalEmissions([rng.dirichlet(np.ones(SYMBOLS), k)]),
        "diagonal": lambda: tr.DiagonalGaussianEmissions(means, np.ones((k, d))),
        "gaussian": lambda: tr.GaussianEmissions(means, np.tile(np.eye(d), (k, 1, 1))),
    }[kind]()
    ours: Any = tr.HiddenMarkovModel(start, transition, emissions)
    sequences = [tr.sample(ours, length, key=int(i)) for i in range(n)]
    if kind == "categorical":
        sequences = [x.astype(int) for x in sequences]
    return Case(f"{kind} d={d} K={k} {n}×{length}", kind, ours, sequences)


def peer(found: Case) -> Any:
    """hmmlearn's model with the same parameters, nothing but the likelihood to maximize."""
    common: dict[str, Any] = {"n_iter": ITERATIONS, "tol": -1e99, "init_params": "", "implementation": "scaling"}
    model, own = found.ours, found.ours.emissions
    if found.kind == "categorical":
        out: Any = hmm.CategoricalHMM(model.n_states, **common)
        out.emissionprob_, out.n_features = own.tables[0], SYMBOLS
    else:
        spread = "diag" if found.kind == "diagonal" else "full"
        out = hmm.GaussianHMM(model.n_states, spread, min_covar=0, covars_prior=0, covars_weight=0, **common)
        out.means_, out.covars_ = own.means, own.arrays()["variances" if spread == "diag" else "covariances"]
    out.startprob_, out.transmat_ = model.first, model.transition
    return out


def scan(found: Case) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """dynamax: ten iterations compiled once and called again, and its own fit from scratch."""
    k, d, own = found.ours.n_states, found.ours.n_columns, found.ours.emissions
    start = {"initial_probs": jnp.asarray(found.ours.first), "transition_matrix": jnp.asarray(found.ours.transition)}
    if found.kind == "categorical":
        model: Any = dynamax.CategoricalHMM(k, 1, SYMBOLS)
        start["emission_probs"] = jnp.asarray(own.tables[0])[:, None]
    else:
        model = dynamax.DiagonalGaussianHMM(k, d) if found.kind == "diagonal" else dynamax.GaussianHMM(k, d)
        start["emission_means"] = jnp.asarray(own.means)
        name = "emission_scale_diags" if found.kind == "diagonal" else "emission_covariances"
        start[name] = jnp.asarray(own.arrays()["variances" if found.kind == "diagonal" else "covariances"])
    params, props = model.initialize(jax.random.PRNGKey(0), **start)
    rows = jnp.asarray(np.stack(found.sequences))

    def step(carry: Any, _: Any) -> Any:
        now, state = carry
        statistics, log_p = jax.vmap(partial(model.e_step, now))(rows, None)
        return model.m_step(now, props, statistics, state), model.log_prior(now) + log_p.sum()

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=ITERATIONS))
    carry = (params, model.initialize_m_step_state(params, props))
    fit = partial(model.fit_em, params, props, rows, num_iters=ITERATIONS, verbose=False)
    return lambda: jax.block_until_ready(run(carry)), lambda: jax.block_until_ready(fit())


def measured(found: Case, peak: float) -> list[Row]:
    """A row for each task."""
    x, lengths = np.concatenate(found.sequences), [len(s) for s in found.sequences]
    ours, theirs = found.ours, peer(found)
    infer: Any = tr.infer
    em = tr.EM(prior=0, tolerance=0)
    tasks: dict[str, dict[str, Callable[[], Any]]] = {
        "forward–backward": {
            "ours": lambda: infer(ours, found.sequences),
            "hmmlearn": lambda: theirs.score_samples(x, lengths),
        },
        "Viterbi": {
            "ours": lambda: tr.most_probable(ours, found.sequences),
            "hmmlearn": lambda: theirs.decode(x, lengths),
        },
        "EM": {
            "ours": lambda: tr.fit(ours, found.sequences, em, epochs=ITERATIONS, progress=False),
            "hmmlearn": lambda: peer(found).fit(x, lengths),
        },
    }
    first = {}
    if dynamax and len(lengths) > 1:
        steady, whole = scan(found)
        start = time.perf_counter()
        whole()
        first["dynamax"] = time.perf_counter() - start
        steady()
        tasks["EM"]["dynamax"] = steady
    return [_row(found, task, calls, first, peak) for task, calls in tasks.items()]


def _row(found: Case, task: str, calls: dict[str, Callable[[], Any]], first: dict[str, float], peak: float) -> Row:
    times = alternate(calls, (3, 21), rest=0.1)
    # fit also takes the likelihood after its last iteration: one E-step more
    by = {"ours": ITERATIONS + 1} | dict.fromkeys(("hmmlearn", "dynamax"), ITERATIONS)
    ms = {name: 1e3 * times[name] / (by[name] if task == "EM" else 1) for name in calls}
    row: Row = {"name": found.name, "task": task, "tractable ms": ms["ours"], "off": difference(found, task)}
    for name in ("hmmlearn", "dynamax"):
        if name in ms:
            row |= {f"{name} ms": ms[name], f"× {name}": ms[name] / ms["ours"]}
    if task == "EM":
        ours = times["ours first"]
        slower = {"hmmlearn": times["hmmlearn first"], **first}
        row["first"] = min(seconds / ours for seconds in slower.values())
        row["of peak"] = found.multiply_adds / (1e-3 * ms["ours"]) / peak
    return row


def difference(found: Case, task: str) -> float:
    """How far the answers of hmmlearn are from ours."""
    x, lengths, infer = np.concatenate(found.sequences), [len(s) for s in found.sequences], tr.infer
    theirs = peer(found)
    if task == "forward–backward":
        marginals: Any = infer(found.ours, found.sequences).marginals
        return float(np.abs(np.concatenate(marginals["state"]) - theirs.score_samples(x, lengths)[1]).max())
    if task == "Viterbi":
        log_p = float(np.sum(tr.most_probable(found.ours, found.sequences).log_probability.value))
        return abs(log_p - theirs.decode(x, lengths)[0]) / abs(log_p)
    run: Any = tr.fit(found.ours, found.sequences, tr.EM(prior=0, tolerance=0), epochs=ITERATIONS, progress=False)
    other = theirs.fit(x, lengths)
    gap = float(np.abs(run.model.transition - other.transmat_).max())
    if found.kind == "categorical":
        return max(gap, float(np.abs(run.model.emissions.tables[0] - other.emissionprob_).max()))
    return max(gap, float(np.abs(run.model.emissions.means - other.means_).max()))


def matrix_peak() -> float:
    """Multiply-adds a second of NumPy's matrix product in double precision."""
    a = np.random.default_rng(0).normal(size=(1000, 1000))
    times = alternate({"product": lambda: a @ a}, (5, 21))
    return 1e9 / times["product"]


def linear() -> Row:
    """An iteration on one sequence of 10⁶ rows, beside ten times that on 10⁵."""
    calls = {}
    for length in (10**5, 10**6):
        own = case("gaussian", 2, 5, 1, length)
        data = own.ours.check(own.sequences)
        calls[f"{length}"] = partial(tr.fit, own.ours, data, tr.EM(prior=0, tolerance=0), epochs=2, progress=False)
    times = alternate(calls, (3, 5), rest=0.1)
    row = {"name": "gaussian d=2 K=5 1×1000000", "task": "EM", "tractable ms": 1e3 * times["1000000"] / 3}
    return row | {"ratio to 10 × 10⁵": times["1000000"] / (10 * times["100000"])}


def main() -> None:
    """Measure, and print a table."""
    args = arguments(__doc__)
    sizes = [(k, n, 200) for k in (5, 8) for n in (100, 500)]
    kinds = [("categorical", 1), ("diagonal", 2), ("gaussian", 2), ("gaussian", 10)]
    cases = [(*kind, *size) for kind in kinds for size in sizes]
    cases += [(*kind, *size) for kind in kinds[:2] for size in ((2, 100, 200), (32, 50, 200), (5, 1, 100_000))]
    chosen = [c for c in cases if not args.only or any(word in str(c) for word in args.only)]
    peak = matrix_peak()
    rows = [row for c in chosen for row in measured(case(*c), peak)]
    columns = {"name": "", "task": "", "tractable ms": ".2f", "hmmlearn ms": ".2f", "dynamax ms": ".2f"}
    columns |= {"× hmmlearn": ".1f", "× dynamax": ".1f", "first": ".1f", "of peak": ".3f", "off": ".0e"}
    tasks = {r["task"] for r in rows}
    means = {task: geometric_mean(r["× hmmlearn"] for r in rows if r["task"] == task) for task in tasks}
    notes = [f"{task}: {mean:.1f} times hmmlearn's speed (geometric mean)" for task, mean in sorted(means.items())]
    notes.append(f"matrix product: {peak / 1e9:.1f} G multiply-adds a second")
    if not args.only:
        long = linear()
        rows.append(long)
        notes.append(f"10⁶ rows take {long['ratio to 10 × 10⁵']:.2f} times ten times as long as 10⁵")
    report("Hidden Markov models: beside hmmlearn and dynamax", columns, rows, notes)
    save(args.json, rows, **means)


if __name__ == "__main__":
    main()
