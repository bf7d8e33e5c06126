"""The same networks in the peers: built from our tables, so that all compute with identical numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tractable import BayesianNetwork


def agrum_network(net: BayesianNetwork) -> Any:
    """A pyAgrum network whose node i is our variable i; states are numbered, for it cannot write all of their names."""
    import pyagrum as gum

    bn = gum.BayesNet()
    index = {v: i for i, v in enumerate(net.states)}
    for v, states in net.states.items():
        bn.add(gum.LabelizedVariable(f"v{index[v]}", "", [f"s{k}" for k in range(len(states))]))
    for v, parents in net.parents.items():
        for parent in parents:
            bn.addArc(index[parent], index[v])
    for v in net.states:
        _fill(bn.cpt(index[v]), net.tables[v], [index[u] for u in (*net.parents[v], v)])
    return bn


def _fill(cpt: Any, table: np.ndarray, family: list[int]) -> None:
    """Copy a table with axes `family`; pyAgrum keeps its own order of axes, the first name varying fastest."""
    axes = [family.index(int(name[1:])) for name in reversed(cpt.names)]
    cpt.fillWith(np.ascontiguousarray(np.transpose(table, axes)).ravel().tolist())
    corner = np.random.default_rng(0).integers(0, table.shape)
    if cpt[{f"v{i}": int(k) for i, k in zip(family, corner, strict=True)}] != table[tuple(corner)]:
        raise RuntimeError(f"the axes of {cpt.names} were misread")


def agrum_marginals(bn: Any, evidence: Mapping[int, int] | None = None, threads: int = 0) -> list[Any]:
    """Every posterior marginal by LazyPropagation, as its own tensors; by as many threads as it likes for 0."""
    import pyagrum as gum

    gum.setNumberOfThreads(threads or gum.getMaxNumberOfThreads())
    engine = gum.LazyPropagation(bn)
    if evidence:
        engine.setEvidence(dict(evidence))
    engine.makeInference()
    return [engine.posterior(v) for v in bn.nodes()]


def pgmpy_network(net: BayesianNetwork) -> Any:
    """A pgmpy network with numbered variables and states."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    index = {v: i for i, v in enumerate(net.states)}
    bn = DiscreteBayesianNetwork([(index[p], index[v]) for v, parents in net.parents.items() for p in parents])
    bn.add_nodes_from(index.values())
    for v, table in net.tables.items():
        parents = [index[p] for p in net.parents[v]]
        columns = np.moveaxis(table, -1, 0).reshape(table.shape[-1], -1)
        bn.add_cpds(TabularCPD(index[v], table.shape[-1], columns, parents or None, list(table.shape[:-1]) or None))
    return bn


def resident_peak(reset: bool = False) -> int:
    """Peak resident bytes of this process since the last reset (Linux; since its start elsewhere)."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(match[1]) * 1024 if match else 0
