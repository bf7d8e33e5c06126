"""Gibbs sampling: unit updates a second on sparse and dense machines, beside thrml and hamon.

Every library makes the same number of sweeps on the same spin machine with the same number of chains, in turn, in one
process; the clock runs from the start of a compiled call to its finished result. The correlation of neighbours, which
does not depend on the library, is printed beside the times. Both peers are on PyPI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
from _common import alternate, arguments, geometric_mean, machine, report, save

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, boltzmann, restricted
from tractable.posterior.approximate import gibbs

PEERS = ("thrml", "hamon")


@dataclass(frozen=True)
class Case:
    """A machine of spins, as edges with weights and as the library has it."""

    name: str
    model: Boltzmann
    edges: np.ndarray
    weights: np.ndarray
    blocks: list[np.ndarray]  # sets of units without edges inside, which the peers draw at once
    chains: int
    sweeps: int

    @property
    def n(self) -> int:
        return self.model.graph.n_units


def sparse(name: str, graph: nx.Graph, chains: int, sweeps: int) -> Case:
    """Weights of a spin glass, one temperature; the peers get the colour classes that the library finds."""
    edges = np.sort(np.array(graph.edges, np.int32), axis=1)
    weights = (0.4 * np.random.default_rng(0).normal(size=len(edges))).astype(np.float32)
    model = boltzmann(len(graph), edges.tolist(), couplings=weights, units="spin")
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    blocks = [np.asarray(part.units) for part in gibbs.schedule(model.graph).colours[VISIBLE]]
    model = Boltzmann(
        model.units, model.fields, {(VISIBLE, VISIBLE): weights[order]}, {VISIBLE: edges[order]}, model.offset
    )
    return Case(name, model, edges, weights, blocks, chains, sweeps)


def bipartite(n: int, m: int, chains: int, sweeps: int) -> Case:
    """Every one of n units meets every one of m others."""
    weights = (0.02 * np.random.default_rng(0).normal(size=(n, m))).astype(np.float32)
    model = restricted(couplings=weights, units="spin")
    i, j = np.indices((n, m)).reshape(2, -1)
    edges = np.stack([i, n + j], axis=1).astype(np.int32)
    return Case(f"dense {n} x {m}", model, edges, weights.ravel(), [np.arange(n), n + np.arange(m)], chains, sweeps)


def cases() -> list[Case]:
    """A torus and a random graph with some chains and with many, and two dense layers."""
    torus = nx.convert_node_labels_to_integers(nx.grid_2d_graph(64, 64, periodic=True))
    random = nx.random_regular_graph(6, 4096, seed=0)
    return [
        sparse("torus 64 x 64, 16 chains", torus, 16, 200),
        sparse("torus 64 x 64, 128 chains", torus, 128, 25),
        sparse("random degree 6, 16 chains", random, 16, 200),
        sparse("random degree 6, 128 chains", random, 128, 25),
        bipartite(784, 500, 128, 3),
    ]


# ---------------------------------------------------------------- the libraries


def with_tractable(case: Case) -> Callable[[], np.ndarray]:
    plan, key = gibbs.schedule(case.model.graph), jax.random.key(0)
    x = gibbs.start(case.model, key, jnp.arange(case.chains, dtype=jnp.uint32))

    def call() -> np.ndarray:
        found = gibbs.run(plan, case.model, key, x, case.sweeps)
        return np.concatenate([np.asarray(found[name]) for name in case.model.groups], axis=1)

    return call


def with_peer(name: str, case: Case) -> Callable[[], np.ndarray]:
    """thrml, and hamon, which began as a copy of it, are called alike."""
    import equinox as eqx

    if name == "thrml":
        from thrml import Block, SamplingSchedule, SpinNode, sample_states
        from thrml.models import IsingEBM, IsingSamplingProgram
    else:
        from hamon import Block, SamplingSchedule, SpinNode, sample_states
        from hamon.models import IsingEBM, IsingSamplingProgram
    nodes = [SpinNode() for _ in range(case.n)]
    pairs = [(nodes[i], nodes[j]) for i, j in case.edges.tolist()]
    energy = IsingEBM(nodes, pairs, jnp.zeros(case.n), jnp.asarray(case.weights), jnp.array(1.0))
    blocks = [Block([nodes[i] for i in block]) for block in case.blocks]
    program, schedule = IsingSamplingProgram(energy, blocks, clamped_blocks=[]), SamplingSchedule(case.sweeps, 1, 1)
    keys = jax.random.split(jax.random.key(0), case.chains)
    start = [jax.random.bernoulli(jax.random.key(1), shape=(case.chains, len(b))) for b in case.blocks]
    everything, here = [Block(nodes)], {} if name == "thrml" else {"device": None}

    @eqx.filter_jit
    def run(program: Any, keys: Any, start: Any) -> Any:
        one = lambda key, x: sample_states(key, program, schedule, x, [], everything, **here)[0][0]  # noqa: E731
        return jax.vmap(one)(keys, start)

    return lambda: 2.0 * np.asarray(run(program, keys, start)) - 1.0


def correlation(case: Case, x: np.ndarray) -> float:
    """The mean of weight times product over edges and chains, which the libraries must agree on."""
    i, j = case.edges.T
    return float((case.weights * (x[:, i] * x[:, j]).mean(axis=0)).mean() / np.abs(case.weights).mean())


def random_numbers(case: Case) -> float:
    """Draws a second with nothing to compute them from: what bounds any sampler with this generator."""
    units, rows = case.model.units[VISIBLE], jnp.arange(case.chains, dtype=jnp.uint32)
    theta = jnp.zeros((case.chains, units.n))

    @jax.jit
    def draw(key: Any) -> Any:
        step = lambda t, x: units.sample(jax.random.fold_in(key, t), rows, 0.1 * x.T).T  # noqa: E731
        return jax.lax.fori_loop(0, case.sweeps, step, theta.T)

    seconds = alternate({"draw": lambda: draw(jax.random.key(0)).block_until_ready()})["draw"]
    return case.sweeps * theta.size / seconds


def row(case: Case) -> dict[str, Any]:
    calls = {"tractable": with_tractable(case)} | {name: with_peer(name, case) for name in PEERS}
    found = {name: correlation(case, call()) for name, call in calls.items()}
    seconds = alternate(calls, rounds=(5, 21), budget=20.0, rest=0.2)
    updates = {name: case.n * case.chains * case.sweeps / seconds[name] / 1e6 for name in calls}
    limit = random_numbers(case) / 1e6
    out: dict[str, Any] = {"name": case.name} | updates | {"limit": limit, "share": updates["tractable"] / limit}
    for name in PEERS:
        out |= {f"over {name}": seconds[name] / seconds["tractable"], f"agree {name}": found[name] - found["tractable"]}
    return out | {"correlation": found["tractable"]}


def main() -> None:
    args = arguments(__doc__)
    rows = [row(case) for case in cases() if not args.only or any(part in case.name for part in args.only)]
    columns = {
        "name": "",
        "tractable": ",.1f",
        "thrml": ",.1f",
        "hamon": ",.1f",
        "over thrml": ".1f",
        "over hamon": ".1f",
    }
    columns |= {"limit": ",.0f", "share": ".0%", "correlation": ".4f", "agree thrml": "+.4f", "agree hamon": "+.4f"}
    notes = ["million unit updates a second; medians of alternating runs in one process"]
    notes += ["limit: draws a second of the generator alone; agree: difference of the correlation of neighbours"]
    ratios = {name: geometric_mean(r[f"over {name}"] for r in rows) for name in PEERS}
    notes += [f"geometric mean of the ratios: {', '.join(f'{v:.1f} over {k}' for k, v in ratios.items())}; {machine()}"]
    report("Gibbs sampling", columns, rows, notes)
    save(args.json, rows, **ratios)


if __name__ == "__main__":
    main()
