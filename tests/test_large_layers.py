"""Layers whose weights single precision cannot hold: refused by what runs in it, answered by what is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tractable as tr


def network(scale: float) -> Any:
    rng = np.random.default_rng(0)
    biases = [rng.normal(size=6), rng.normal(size=4)]
    return tr.SigmoidBeliefNetwork(weights=[scale * rng.normal(size=(6, 4))], biases=biases)


ROWS = (np.random.default_rng(1).random((3, 6)) < 0.5).astype(float)
GAPS = np.where(np.arange(6) < 3, np.nan, ROWS)


@pytest.mark.parametrize("method", ["gibbs", "annealing"])
def test_chains_refuse_large_weights(method: str) -> None:
    with pytest.raises(tr.ModelError, match=r"the weights of a unit add up to .* scale them down"):
        tr.infer(network(3e4), ROWS, method=method)
    assert np.isfinite(tr.infer(network(1.0), ROWS, method=method).log_partition.value).all()


def test_exact_answers_need_not() -> None:
    found = tr.infer(network(3e4), GAPS, method="enumeration")
    assert found.log_partition.kind == "exact" and np.isfinite(found.log_partition.value).all()


def test_no_number_is_refused() -> None:
    model = network(1.0)
    weights = (np.where(np.arange(4) == 1, np.nan, np.asarray(model.weights[0])),)
    with pytest.raises(tr.ModelError):
        tr.infer(tr.SigmoidBeliefNetwork(weights=weights, biases=model.biases), ROWS, method="gibbs")
