"""The tables of a network as a page carries them, for kernels that run in it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

from tractable.models import ModelError
from tractable.models.sparse_networks import n_entries

MOST = 1 << 23
"""Entries of all tables together: a page carries 64 MiB of them."""


def tables(model: Any) -> dict[str, Any]:
    """Numbers of states, the variables of each table by number, and all entries, as float64 in base 64.

    Variables that come after the network's own stand between the pieces of sparse tables, and are in no answer.

    Raises
    ------
    ModelError : tables that are more than a page carries.
    """
    held = (model.opened or model) if model.sparse else model
    if n_entries(held) > MOST:
        raise ModelError(
            f"the tables have {n_entries(model):,} entries, a page that is a file carries up to {MOST:,}; "
            "leave -o out, and the page is served"
        )
    packed = held.packed
    return {
        "sizes": packed.sizes.tolist(),
        "scopes": [packed.scope(j).tolist() for j in range(packed.n_factors)],
        "values": b64encode(np.asarray(packed.values, "<f8").tobytes()).decode(),
    }
