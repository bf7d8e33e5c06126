"""Loopy belief propagation on tables: the kernel in C of `posterior/approximate/belief_propagation.py`."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import Tables, kernel

_int, _pointer = ctypes.c_int, ctypes.c_void_p


class Patience(NamedTuple):
    """When messages are done, and how they are damped.

    Sweeps at most; the largest change of a message, whose largest entry is one, that is none; the share of the
    logarithms of the old message that is kept, and the number of sweeps after which that begins.
    """

    sweeps: float
    tolerance: float
    damping: float
    undamped: float


class Propagated(NamedTuple):
    """What messages came to: Bethe's log Z, −∞ where all states are ruled out, and how far the last sweep moved them.

    `beliefs` of all states, variable after variable. `messages` as logarithms, the largest of each zero: from each
    table to each variable of its scope, in this order.
    """

    log_z: float
    beliefs: np.ndarray
    messages: np.ndarray
    sweeps: int
    change: float


@cache
def _propagate() -> Any:
    return kernel("propagate_beliefs", [_int, _int, *[_pointer] * 10])


def propagate(tables: Tables, order: np.ndarray, how: Patience) -> Propagated:
    """Messages from all tables to their variables, table after table in this order, and back in the next sweep.

    >>> ends, both = np.array([0, 2]), np.array([0, 1], np.int32)
    >>> pair = Tables(np.array([2, 2], np.int32), ends, both, 2 * ends, np.array([1.0, 2.0, 3.0, 4.0]))
    >>> found = propagate(pair, np.zeros(1, np.int32), Patience(2, 0, 0, 0))
    >>> round(float(np.exp(found.log_z)), 6), found.beliefs.round(6).tolist()
    (10.0, [0.3, 0.7, 0.4, 0.6])
    """
    n_messages = int(tables.sizes[tables.scopes].sum())
    order = np.ascontiguousarray(order, np.int32)
    messages, beliefs, told = np.empty(n_messages), np.zeros(tables.n_states), np.empty(3)
    outs = (order, np.array(how, np.float64), messages, beliefs, told)
    _propagate()(len(tables.sizes), tables.n_factors, *tables.addresses, *(a.ctypes.data for a in outs))
    return Propagated(float(told[0]), beliefs, messages, int(told[1]), float(told[2]))
