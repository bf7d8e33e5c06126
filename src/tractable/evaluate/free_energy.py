"""The free energy of rows: what a machine's score of them is before it is normalized."""

from __future__ import annotations

from typing import Any

from tractable.evaluate.likelihood import unnormalized
from tractable.kernels.interrupts import heard
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.plan.budget import Memory
from tractable.posterior import Certificate
from tractable.posterior.engines._protocol import unsupported


@heard
def free_energy(
    model: Boltzmann, data: Any, *, key: Any = 0, memory: Memory = None, seconds: float | None = None
) -> Certificate:
    """F(v) = −log p̃(v) = −log Σ_h p̃(v, h) of each row [n_rows], so that log p(v) = −F(v) − log Z.

    Of Boltzmann machines: exact where that is affordable, in closed form where the hidden units are independent given
    the data; elsewhere the bound of mean field, from above. What is missing (NaN) is summed out as hidden units are.

    Parameters
    ----------
    data : [n_rows, n_visible].

    Raises
    ------
    ModelError : no Boltzmann machine; data that do not fit the model.

    Examples
    --------
    >>> import math
    >>> machine = tr.restricted(couplings=[[2.0]], visible_bias=[0.5])
    >>> found = tr.free_energy(machine, [[0], [1]])
    >>> found.value.round(6).tolist(), found.kind
    ([-0.693147, -2.626928], 'exact')
    >>> float(round(-found.value[1] - (0.5 + math.log(1 + math.exp(2))), 9))
    0.0
    """
    if not isinstance(model, Boltzmann):
        raise unsupported(model, "free_energy")
    values = checked_values(model, VISIBLE, data)
    if values.ndim != 2 or not len(values):
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    return -unnormalized(model, values, key, memory=memory, seconds=seconds).rows
