"""The networks of the bnlearn repository: priced, answered, and held against an elimination of the test's own."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from data import needs_data, real_files

import tractable as tr

NETWORKS = {path.name.removesuffix(".bif.gz"): path for path in real_files("bif/*.bif.gz")}

pytestmark = needs_data


@cache
def network(name: str) -> tr.BayesianNetwork:
    net = tr.load(NETWORKS[name])
    assert isinstance(net, tr.BayesianNetwork)
    return net


def observed(net: tr.BayesianNetwork, seed: int, share: float = 0.1) -> dict[str, int]:
    """Some variables in the states of one sample, drawn along the arrows: evidence that is possible."""
    rng = np.random.default_rng(seed)
    at: dict[str, int] = {}
    waiting = list(net.states)
    while waiting:
        name = waiting.pop(0)
        if not all(p in at for p in net.parents[name]):
            waiting.append(name)
            continue
        row = net.tables[name][tuple(at[p] for p in net.parents[name])]
        at[name] = int(rng.choice(len(row), p=row / row.sum()))
    chosen = rng.permutation(list(at))[: max(1, round(share * len(at)))]
    return {str(v): at[str(v)] for v in chosen}


def named(net: tr.BayesianNetwork, evidence: dict[str, int]) -> dict[str, str]:
    """State indices as names."""
    return {v: net.states[v][s] for v, s in evidence.items()}


def eliminated(net: tr.BayesianNetwork, target: str, evidence: dict[str, int]) -> tuple[np.ndarray, float]:
    """p(target | evidence) and log p(evidence): tables of ancestors, one variable summed out at a time."""
    relevant, stack = set(), [target, *evidence]
    while stack:
        if (name := stack.pop()) not in relevant:
            relevant.add(name)
            stack += net.parents[name]
    factors: list[tuple[tuple[str, ...], np.ndarray]] = []
    for name in sorted(relevant):
        scope = (*net.parents[name], name)
        place = tuple(evidence.get(v, slice(None)) for v in scope)
        factors.append((tuple(v for v in scope if v not in evidence), np.asarray(net.tables[name][place])))
    log_scale = 0.0
    left = relevant - set(evidence) - {target}
    while left:
        neighbours = {v: set().union(*(s for s, _ in factors if v in s)) for v in left}
        v = min(left, key=lambda v: (math.prod(len(net.states[u]) for u in neighbours[v]), v))
        scope, table = product([f for f in factors if v in f[0]])
        table = table.sum(axis=scope.index(v))
        top = table.max()
        log_scale += math.log(top)
        factors = [f for f in factors if v not in f[0]] + [(tuple(u for u in scope if u != v), table / top)]
        left.remove(v)
    scope, table = product(factors)
    assert set(scope) <= {target}
    return table / table.sum(), math.log(table.sum()) + log_scale


def product(factors: list[tuple[tuple[str, ...], np.ndarray]]) -> tuple[tuple[str, ...], np.ndarray]:
    scope = tuple(sorted(set().union(*(s for s, _ in factors))))
    number = {v: i for i, v in enumerate(scope)}
    operands = [x for s, table in factors for x in (table, [number[v] for v in s])]
    return scope, np.einsum(*operands, list(range(len(scope))), optimize=False)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_evidence_of_nothing_is_one(name: str) -> None:
    assert tr.log_evidence(network(name)).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_planned_within_four_gigabytes(name: str) -> None:
    for plan in tr.explain(network(name), memory="4GiB"):
        assert plan.method is not None
        assert plan.bytes <= 4 * 2**30


@pytest.mark.parametrize("name", NETWORKS)
def test_prior_marginals_are_distributions(name: str) -> None:
    net = network(name)
    posterior = tr.infer(net)
    assert posterior.log_partition.value == pytest.approx(0, abs=1e-9)
    for v in net.states:
        marginal = posterior.marginals.array(v)
        assert marginal.min() >= 0
        assert marginal.sum() == pytest.approx(1, abs=1e-12)
        if not net.parents[v]:
            np.testing.assert_allclose(marginal, net.tables[v], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_marginals_are_consistent_along_the_arrows(name: str) -> None:
    """p(child) is the table of the child averaged over the joint posterior of its parents."""
    net = network(name)
    posterior = tr.infer(net)
    rng = np.random.default_rng(0)
    children = [v for v in net.states if 0 < len(net.parents[v]) < 5]
    for v in rng.choice(children, size=min(4, len(children)), replace=False):
        parents = posterior.joint(net.parents[v])
        found = np.tensordot(parents, net.tables[v], axes=parents.ndim)
        np.testing.assert_allclose(found, posterior.marginals.array(v), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_posterior_marginals_under_evidence(name: str) -> None:
    net = network(name)
    for seed in range(3):
        evidence = observed(net, seed)
        posterior = tr.infer(net, named(net, evidence))
        assert posterior.log_partition.value <= 1e-9
        assert tr.log_evidence(net, named(net, evidence)).value == pytest.approx(
            posterior.log_partition.value, abs=1e-9
        )
        for v in net.states:
            assert posterior.marginals.array(v).sum() == pytest.approx(1, abs=1e-12)
        for v, state in evidence.items():
            assert posterior.marginals.array(v)[state] == 1


@pytest.mark.parametrize(
    "name", [n for n in ("asia", "alarm", "insurance", "child", "sachs", "win95pts", "hepar2") if n in NETWORKS]
)
def test_marginals_are_those_of_plain_elimination(name: str) -> None:
    net = network(name)
    rng = np.random.default_rng(1)
    for seed in range(3):
        evidence = observed(net, seed)
        posterior = tr.infer(net, named(net, evidence))
        for target in rng.permutation([v for v in net.states if v not in evidence])[:3]:
            marginal, log_evidence = eliminated(net, str(target), evidence)
            np.testing.assert_allclose(posterior.marginals.array(str(target)), marginal, rtol=0, atol=1e-10)
            assert posterior.log_partition.value == pytest.approx(log_evidence, abs=1e-9)


@pytest.mark.parametrize("name", [n for n in ("asia", "cancer", "earthquake", "survey", "sachs") if n in NETWORKS])
def test_the_most_probable_state_beats_samples(name: str) -> None:
    net = network(name)
    best = tr.most_probable(net)
    drawn = tr.sample(net, 2000, codes=True)
    logs = np.zeros(2000)
    with np.errstate(divide="ignore"):
        for v in net.states:
            logs += np.log(net.tables[v][tuple(drawn[u] for u in (*net.parents[v], v))])
    assert np.isfinite(logs).all()
    assert logs.max() <= best.log_probability.value + 1e-9
    at = {v: net.states[v].index(state) for v, state in best.assignment.items()}
    own = sum(math.log(net.tables[v][tuple(at[u] for u in (*net.parents[v], v))]) for v in net.states)
    assert own == pytest.approx(best.log_probability.value, abs=1e-9)


@pytest.mark.parametrize("name", [n for n in ("alarm", "child", "hailfinder", "insurance") if n in NETWORKS])
def test_a_batch_of_cases_is_its_cases(name: str) -> None:
    net = network(name)
    for n_rows in (1, 2, 5, 20):
        cases = [observed(net, 100 * n_rows + seed, 0.2) for seed in range(n_rows)]
        batch = tr.infer(net, [named(net, case) for case in cases])
        for r, case in enumerate(cases):
            alone = tr.infer(net, named(net, case))
            assert batch.log_partition.value[r] == pytest.approx(alone.log_partition.value, abs=1e-9)
            for v in net.states:
                found, expected = batch.marginals.array(v)[r], alone.marginals.array(v)
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=v)


@pytest.mark.parametrize("name", [n for n in ("alarm", "insurance") if n in NETWORKS])
def test_samples_have_the_posterior_marginals(name: str) -> None:
    net = network(name)
    posterior = tr.infer(net, named(net, observed(net, 5)))
    drawn = posterior.sample(4000, key=0, codes=True)
    for v in net.states:
        share = np.bincount(drawn[v], minlength=len(net.states[v])) / 4000
        slack = 5 * np.sqrt(posterior.marginals.array(v) * (1 - posterior.marginals.array(v)) / 4000) + 1e-12
        assert (np.abs(share - posterior.marginals.array(v)) <= slack).all()


@pytest.mark.parametrize("name", [n for n in ("water", "barley", "insurance") if n in NETWORKS])
def test_slices_change_no_answer(name: str) -> None:
    net = network(name)
    whole = tr.infer(net)
    part = tr.infer(net, memory=whole.plan.bytes / 3)
    assert part.plan.slices > 1
    assert part.log_partition.value == pytest.approx(0, abs=1e-9)
    for v in net.states:
        np.testing.assert_allclose(part.marginals.array(v), whole.marginals.array(v), rtol=0, atol=1e-10)
