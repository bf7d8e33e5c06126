"""The conformance table: one tiny model of every family and every awkward shape, for laws that must hold for all.

A law is one test over ``ZOO``; a new kind of model is one more row::

    @pytest.mark.parametrize("row", ZOO, ids=str)
    def test_law(row): model = row.model(seed=0); ...
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import tractable as tr
from tractable.models import BayesianNetwork, MarkovNetwork

Model = BayesianNetwork | MarkovNetwork
Scope = Sequence[str]


@dataclass(frozen=True)
class Row:
    """A named family of models: one for each seed."""

    name: str
    build: Callable[[np.random.Generator], Model]

    def model(self, seed: int = 0) -> Model:
        return self.build(np.random.default_rng([seed, zlib.crc32(self.name.encode())]))

    def __str__(self) -> str:
        return self.name


def random_evidence(model: Model, rng: np.random.Generator) -> dict[str, Any]:
    """Evidence on about half of the variables, in each of its forms: a state's name, its index, a likelihood."""
    out: dict[str, Any] = {}
    for name, states in model.states.items():
        state = int(rng.integers(len(states)))
        likelihood = rng.random(len(states)) * (rng.random(len(states)) < 0.8)
        likelihood[state] = 1.0
        forms = (states[state], state, tr.likelihood(likelihood), None, None, None)
        if (form := forms[rng.integers(len(forms))]) is not None:
            out[name] = form
    return out


# Bayesian networks, written as "a2 b3|a": a with two states, b with three and the parent a


def network(rng: np.random.Generator, families: str, zeros: float = 0) -> BayesianNetwork:
    """Random tables for the given families, about `zeros` of the entries zero."""
    sizes = {family[0]: int(family[1]) for family in families.split()}
    parents = {family[0]: tuple(family[3:]) for family in families.split()}
    tables = {v: _rows(rng, [sizes[u] for u in (*own, v)], zeros) for v, own in parents.items()}
    return BayesianNetwork({v: [f"{v}{k}" for k in range(n)] for v, n in sizes.items()}, parents, tables)


def _rows(rng: np.random.Generator, shape: Sequence[int], zeros: float) -> np.ndarray:
    table = rng.gamma(0.7, size=shape) + 1e-6
    keep = rng.random(shape) >= zeros
    keep |= np.arange(shape[-1]) == rng.integers(shape[-1], size=(*shape[:-1], 1))  # no row is all zero
    table *= keep
    return table / table.sum(axis=-1, keepdims=True)


def random_network(rng: np.random.Generator, zeros: float = 0, smallest: int = 2) -> BayesianNetwork:
    """Six variables, each with up to three parents; the order of their names hides the order of the arrows."""
    hidden = "".join(rng.permutation(list("abcdef")))
    parents = {v: rng.permutation(list(hidden[:i]))[: rng.integers(4)] for i, v in enumerate(hidden)}
    families = (f"{v}{rng.integers(smallest, 4)}|{''.join(parents[v])}" for v in "abcdef")
    return network(rng, " ".join(families), zeros)


def deterministic(rng: np.random.Generator) -> BayesianNetwork:
    """c is the exclusive or of a and b, and d copies it."""
    net = network(rng, "a2 b2 c2|ab d2|c")
    xor = np.eye(2)[np.array([[0, 1], [1, 0]])]
    return BayesianNetwork(net.states, net.parents, {**net.tables, "c": xor, "d": np.eye(2)})


def rare(rng: np.random.Generator) -> BayesianNetwork:
    """Four variables, each in its last state with probability near 1e-150: all of them together, below any float."""
    net = network(rng, "a2 b2|a c2|b d2|c")
    tables = {v: np.stack([1 - 1e-150 * t[..., 1], 1e-150 * t[..., 1]], axis=-1) for v, t in net.tables.items()}
    return BayesianNetwork(net.states, net.parents, tables)


# Markov networks, written as "a2 b3" (the variables with their numbers of states) and their scopes


def field(rng: np.random.Generator, variables: str, scopes: Iterable[Scope], zeros: float = 0) -> MarkovNetwork:
    """Random tables over the given scopes, about `zeros` of the entries zero, but not the first of any table."""
    sizes = {variable[:-1]: int(variable[-1]) for variable in variables.split()}
    factors = []
    for scope in scopes:
        shape = [sizes[v] for v in scope]
        table = np.asarray((rng.gamma(0.7, size=shape) + 1e-6) * (rng.random(shape) >= zeros))
        table.flat[0] += 0.1  # the joint state of first states is possible
        factors.append((tuple(scope), table))
    return MarkovNetwork({v: [str(k) for k in range(n)] for v, n in sizes.items()}, factors)


def pairwise_field(rng: np.random.Generator, pairs: Iterable[Scope], size: int = 2) -> MarkovNetwork:
    """A unary factor for each variable and a table for each pair."""
    pairs = list(pairs)
    names = sorted({v for pair in pairs for v in pair})
    return field(rng, " ".join(f"{v}{size}" for v in names), [*((v,) for v in names), *pairs])


def grid(rng: np.random.Generator) -> MarkovNetwork:
    """Three rows of three."""
    rows = [[f"{r}{c}" for c in "xyz"] for r in "abc"]
    lines = [*rows, *zip(*rows, strict=True)]
    return pairwise_field(rng, [pair for line in lines for pair in pairwise(line)])


def zero_slice(rng: np.random.Generator) -> MarkovNetwork:
    """The first factor forbids state 1 of b with a whole slice of zeros; the second knows nothing of it."""
    net = field(rng, "a2 b3 c2", ["ab", "bc"])
    (scope, table), second = net.factors
    return MarkovNetwork(net.states, [(scope, table * np.array([1.0, 0.0, 1.0])), second])


def scaled(rng: np.random.Generator) -> MarkovNetwork:
    """Tables whose products leave the range of floats on either side, and come back."""
    net = pairwise_field(rng, pairwise("abcd"))
    scales = [1e200, 1e250, 1e-300, 1e-300, 1e-200, 1e280, 1e-90]
    return MarkovNetwork(net.states, [(s, t * scale) for (s, t), scale in zip(net.factors, scales, strict=True)])


ZOO = (
    Row("bayesian_random", random_network),
    Row("bayesian_zeros", lambda rng: random_network(rng, zeros=0.4)),
    Row("bayesian_one_state", lambda rng: random_network(rng, smallest=1)),
    Row("bayesian_single", lambda rng: network(rng, "a3")),
    Row("bayesian_disconnected", lambda rng: network(rng, "a2 b3|a c2 d2|ce e3")),
    Row("bayesian_v_structure", lambda rng: network(rng, "a2 b3 c2|ab d2|c")),
    Row("bayesian_chain", lambda rng: network(rng, "a3 b3|a c3|b d3|c e3|d f3|e")),
    Row("bayesian_diamond", lambda rng: network(rng, "a2 b3|a c4|a d2|cb")),
    Row("bayesian_naive", lambda rng: network(rng, "a3 b2|a c3|a d2|a e3|a f2|a")),
    Row("bayesian_two_layers", lambda rng: network(rng, "a2 b2 c2 d2 e2|abcd f2|abcd g2|dcba")),
    Row("bayesian_deterministic", deterministic),
    Row("bayesian_rare", rare),
    Row("markov_random", lambda rng: field(rng, "a2 b3 c2 d4 e2 f3", ["abc", "cd", "be", "fa", "d"])),
    Row("markov_zeros", lambda rng: field(rng, "a3 b3 c3 d3 e3", ["abc", "cd", "de", "ea"], zeros=0.4)),
    Row("markov_no_variables", lambda rng: field(rng, "", ["", ""])),
    Row("markov_no_factors", lambda rng: field(rng, "a2 b3", [])),
    Row("markov_empty_scope", lambda rng: field(rng, "a2 b3", ["ab", "", "b"])),
    Row("markov_duplicate_scopes", lambda rng: field(rng, "a2 b3 c2", ["ab", "ab", "ba", "bc", "b", "b"])),
    Row("markov_zero_slice", zero_slice),
    Row("markov_unused_variables", lambda rng: field(rng, "a2 b3 c2 d4", ["ac"])),
    Row("markov_one_state", lambda rng: field(rng, "a1 b3 c1 d2", ["ab", "bcd", "a", "ca"])),
    Row("markov_cycle", lambda rng: pairwise_field(rng, [*pairwise("abcdef"), "fa"])),
    Row("markov_chain", lambda rng: pairwise_field(rng, pairwise("abcde"), size=3)),
    Row("markov_grid", grid),
    Row("markov_bipartite", lambda rng: pairwise_field(rng, [(v, h) for v in "abcd" for h in "wxyz"])),
    Row("markov_clique", lambda rng: field(rng, "a3 b3 c3 d3", ["abcd"])),
    Row("markov_scaled", scaled),
)
