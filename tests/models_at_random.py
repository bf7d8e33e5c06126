"""Hypothesis strategies for models with awkward names and asymmetric tables, and when two models are the same."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tractable.models import BayesianNetwork, MarkovNetwork

Model = BayesianNetwork | MarkovNetwork

AWKWARD = ["Asy/Patch", "<5", "5-12", ">=7.5", "Transp.", "a b", 'say "x"', "a\\b", "a//b", "/*", "|", "{}", "(,)", ";"]
AWKWARD += [
    "",
    " ",
    " x ",
    "\t",
    "\n",
    "\u2028",
    "\xa0",
    "\ufeff",
    "é",
    "東",
    "🙂",
    "&lt;",
    "<b>",
    "]]>",
    "table",
    "0",
    '"0"',
]
AWKWARD += ["network", "probability", "default", "DEFAULT", "property", "type", "discrete", "variable"]
AWKWARD += [
    "(0,1]",
    "[1, 2)",
    "high(1)",
    "#1",
    "%",
    "very high",
    "yes, no",
    "NA",
    "?",
    "a\rb",
    "c",
    "1e-3",
    "o'b",
    "//",
    "\x85",
]

names = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(codec="utf-8"), max_size=6))
xml_names = names.filter(lambda name: all(c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") for c in name))
entries = st.floats(0, 1e300) | st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 0.1, 1 / 3, 1.0])


@st.composite
def bayesian_networks(draw: st.DrawFn, names: st.SearchStrategy[str] = names) -> BayesianNetwork:
    """Up to four variables of different sizes, in any order, with parents in any order."""
    states = draw(_states(names, smallest=1))
    order = draw(st.permutations(list(states)))
    parents, tables = {}, {}
    for i, name in enumerate(order):
        parents[name] = tuple(draw(st.permutations(order[:i]))[: draw(st.integers(0, 2))])
        shape = [len(states[v]) for v in (*parents[name], name)]
        tables[name] = _rows(draw(st.integers(0, 2**32 - 1)), shape)
    return BayesianNetwork(states, parents, tables, draw(names))


@st.composite
def markov_networks(draw: st.DrawFn, names: st.SearchStrategy[str] = names) -> MarkovNetwork:
    """Up to four variables and three factors with any entries that a table may have."""
    states = draw(_states(names, smallest=0))
    scopes = draw(
        st.lists(
            st.lists(st.sampled_from(list(states)), unique=True, max_size=3) if states else st.just([]), max_size=3
        )
    )
    shapes = [[len(states[v]) for v in scope] for scope in scopes]
    tables = [np.reshape(draw(st.lists(entries, min_size=math.prod(s), max_size=math.prod(s))), s) for s in shapes]
    return MarkovNetwork(states, list(zip(scopes, tables, strict=True)), draw(names))


@st.composite
def _states(draw: st.DrawFn, names: st.SearchStrategy[str], smallest: int) -> dict[str, list[str]]:
    variables = draw(st.lists(names, min_size=smallest, max_size=4, unique=True))
    return {v: draw(st.lists(names, min_size=1, max_size=3, unique=True)) for v in variables}


def _rows(seed: int, shape: list[int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.gamma(0.3, size=shape) * (rng.random(shape) < 0.8)
    table[..., 0] += 1e-9
    return table / table.sum(axis=-1, keepdims=True)


def same(a: Model, b: Model, *, named: bool = True) -> bool:
    """Whether two models agree in all, every bit of every number; in the names only where the format keeps them."""
    return (
        type(a) is type(b)
        and a.packed.scope_starts.tolist() == b.packed.scope_starts.tolist()
        and a.packed.scopes.tolist() == b.packed.scopes.tolist()
        and a.packed.sizes.tolist() == b.packed.sizes.tolist()
        and a.packed.values.tobytes() == b.packed.values.tobytes()
        and (not named or (a.name == b.name and list(a.states.items()) == list(b.states.items())))
    )
