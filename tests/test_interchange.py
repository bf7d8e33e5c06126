"""Networks of pgmpy, pyAgrum and networkx, in and out: the same numbers, the same names, the same marginals."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from models_at_random import same
from sweep import seeds

import tractable as tr

AWKWARD = ["yes", "a state", "1", "1.5", "", "x|y", "ä", "True", "{z}", 'say "no"', "a,b", "[0;1[", "NA"]
NAMES = ["smoke", "a name", "2", "ü", "x->y", "A", "a.b", "p(x)", "x,y", "c'", "for", "e-5"]


def random_network(seed: int) -> tr.BayesianNetwork:
    """A few variables of one to four states, with awkward names; parents in any order."""
    rng = np.random.default_rng(seed)
    names = [str(v) for v in rng.permutation(NAMES)[: rng.integers(1, 8)]]
    states = {v: [str(s) for s in rng.permutation(AWKWARD)[: rng.integers(1, 5)]] for v in names}
    order = [str(v) for v in rng.permutation(names)]
    parents = {v: [str(p) for p in rng.permutation(order[:i])[: rng.integers(0, 4)]] for i, v in enumerate(order)}
    tables = {v: rng.dirichlet(np.ones(len(states[v])), [len(states[p]) for p in parents[v]]) for v in names}
    return tr.BayesianNetwork(states, parents, tables, name="a network")


def random_field(seed: int) -> tr.MarkovNetwork:
    """Factors over up to three variables; some scopes twice, in another order, some empty, some variables in none."""
    rng = np.random.default_rng(seed)
    names = [str(v) for v in rng.permutation(NAMES)[: rng.integers(1, 7)]]
    states = {v: [str(s) for s in rng.permutation(AWKWARD)[: rng.integers(1, 4)]] for v in names}
    scopes = [[str(v) for v in rng.permutation(names)[: rng.integers(0, 4)]] for _ in range(rng.integers(0, 6))]
    scopes += [scope[::-1] for scope in scopes[:2]]
    return tr.MarkovNetwork(states, [(s, rng.gamma(1.0, size=[len(states[v]) for v in s])) for s in scopes])


Marginals = Mapping[str, Mapping[str, float]]


def pgmpy_marginals(peer: Any) -> Marginals:
    from pgmpy.inference import VariableElimination

    engine = VariableElimination(peer)
    found = {v: engine.query([v], show_progress=False) for v in peer.nodes}
    return {str(v): dict(zip(map(str, f.state_names[v]), f.values.tolist(), strict=True)) for v, f in found.items()}


def pyagrum_marginals(peer: Any) -> Marginals:
    import pyagrum as gum

    engine = (gum.LazyPropagation if isinstance(peer, gum.BayesNet) else gum.ShaferShenoyMRFInference)(peer)
    engine.makeInference()
    found = {peer.variable(n): engine.posterior(n).toarray().ravel().tolist() for n in peer.nodes()}
    return {v.name(): dict(zip(v.labels(), p, strict=True)) for v, p in found.items()}


def agree(ours: Any, theirs: Marginals) -> None:
    found = tr.infer(ours).marginals
    assert set(ours.states) == set(theirs)
    for v, states in ours.states.items():
        assert set(states) == set(theirs[v])
        for s in states:
            assert abs(found[v][s] - theirs[v][s]) < 1e-9


@pytest.fixture
def pgmpy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("pgmpy.models")


@pytest.fixture
def gum() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("pyagrum")


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_go_to_pgmpy_and_come_back(seed: int, pgmpy: Any) -> None:
    net = random_network(seed)
    peer = tr.to_pgmpy(net)
    assert peer.check_model()
    agree(net, pgmpy_marginals(peer))
    back = tr.from_pgmpy(peer)
    assert same(back.replace(name=net.name), net)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_fields_go_to_pgmpy_and_come_back(seed: int, pgmpy: Any) -> None:
    field = random_field(seed)
    peer = tr.to_pgmpy(field)
    assert peer.check_model()
    assert peer.get_partition_function() == pytest.approx(np.exp(tr.log_partition(field).value), rel=1e-9)
    back = tr.from_pgmpy(peer)
    assert tr.log_partition(back).value == pytest.approx(tr.log_partition(field).value, abs=1e-9)
    agree(field, {v: dict(m) for v, m in tr.infer(back).marginals.items()})


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_go_to_pyagrum_and_come_back(seed: int, gum: Any) -> None:
    net = random_network(seed)
    peer = tr.to_pyagrum(net)
    agree(net, pyagrum_marginals(peer))
    assert same(tr.from_pyagrum(peer), net)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_fields_go_to_pyagrum_and_come_back(seed: int, gum: Any) -> None:
    field = random_field(seed)
    peer = tr.to_pyagrum(field)
    agree(field, pyagrum_marginals(peer))
    back = tr.from_pyagrum(peer)
    assert tr.log_partition(back).value == pytest.approx(tr.log_partition(field).value, abs=1e-9)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_and_fields_go_to_networkx_and_come_back(seed: int) -> None:
    for net in (random_network(seed), random_field(seed)):
        peer = pickle.loads(pickle.dumps(tr.to_networkx(net)))
        assert same(tr.from_networkx(peer), net)
