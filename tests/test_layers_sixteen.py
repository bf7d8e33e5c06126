"""Sigmoid belief networks of 8 to 16 hidden units against all states of these: every bound on its side of log p(x)."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from layers_zoo import network

import tractable as tr

SIZES = ((9, 8), (10, 7, 5), (8, 16))
each = pytest.mark.parametrize("sizes", SIZES, ids=str)


class Known(NamedTuple):
    """A model, rows of its own and others, and their log p(x) and hidden means, summed state by state."""

    model: Any
    rows: np.ndarray
    log_p: np.ndarray
    means: np.ndarray


def log_bernoulli(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """log p(x) given logits: −log(1 + e^a) for a zero, −log(1 + e^−a) for a one."""
    return -(np.where(x == 1, np.logaddexp(0, -a), np.logaddexp(0, a))).sum(-1)


def joint(model: Any, x: np.ndarray, hidden: list[np.ndarray]) -> np.ndarray:
    """log p(x, h) of one row and every state."""
    layers = [np.broadcast_to(x, (len(hidden[0]), len(x))), *hidden]
    total = log_bernoulli(layers[-1], model.biases[-1])
    for w, b, (below, above) in zip(model.weights, model.biases, itertools.pairwise(layers), strict=False):
        total = total + log_bernoulli(below, b + above @ np.asarray(w, float).T)
    return total


@cache
def known(sizes: tuple[int, ...]) -> Known:
    model = network(np.random.default_rng(sum(sizes)), list(sizes)).astype(np.float64)
    n = sum(sizes[1:])
    states = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(float)
    hidden = np.split(states, np.cumsum(sizes[1:-1]), axis=1)
    other = np.random.default_rng(1).integers(2, size=(3, sizes[0]))
    rows = np.concatenate([tr.sample(model, 3, key=2), other])
    logs = np.stack([joint(model, x, hidden) for x in rows])
    log_p = np.logaddexp.reduce(logs, axis=1)
    return Known(model, rows, log_p, np.exp(logs - log_p[:, None]) @ states)


@each
def test_exact_answers_are_the_sums_over_all_states(sizes: tuple[int, ...]) -> None:
    given = known(sizes)
    assert tr.log_likelihood(given.model, given.rows).kind == "exact"
    assert tr.log_likelihood(given.model, given.rows).per_row.value == pytest.approx(given.log_p, abs=1e-9)
    assert tr.transform(given.model, given.rows) == pytest.approx(given.means, abs=1e-9)


def test_mean_field_is_below_row_by_row() -> None:
    given = known(SIZES[-1])
    found = tr.log_likelihood(given.model, given.rows, method="mean_field").per_row
    gap = given.log_p - found.value
    assert (gap > 0).all() and gap.max() < 0.35 * 24
    assert np.array_equal(found.lower, found.value)


def test_k_sample_bounds_grow_towards_the_sum_from_below() -> None:
    """The mean of the bound over draws is below for every K, and less so for a larger one."""
    given = known(SIZES[-1])
    machine = tr.HelmholtzMachine(given.model.astype(np.float32))
    many = np.repeat(given.rows, 80, axis=0)
    bounds = tr.log_likelihood(machine, many, samples=200, method="importance", key=3).by_samples
    truth, spread = given.log_p.mean(), np.nan_to_num(bounds.std_errors)
    assert (bounds.values < truth + 4 * spread + 1e-3).all()
    assert bounds.values[0] < bounds.values[3] - 1 < bounds.values[-1] - 1 and truth - bounds.values[-1] < 1
    found = tr.log_likelihood(machine, given.rows, samples=200, method="importance", key=4)
    assert found.lower < truth
