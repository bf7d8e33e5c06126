"""Networks in coordinates without constraints: a logit for each entry of each table, all tables one after the other.

Tied tables share their coordinates, those of fixed ones move nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.learning.em.charts import NEVER, Chart, Coordinates, logs
from tractable.models import BayesianNetwork


def chart_of(model: BayesianNetwork) -> Chart:
    """The coordinates of a network, all zero."""
    sizes = [(table.size, table.shape[-1]) for table in model.tables.values()]
    lengths = np.concatenate([np.full(size // n, n) for size, n in sizes])
    starts = np.cumsum([0] + [size for size, _ in sizes])
    places = {v: np.arange(a, a + size) for v, a, (size, _) in zip(model.tables, starts, sizes, strict=False)}
    owner, learned = np.arange(starts[-1]), np.ones(starts[-1], bool)
    for tie in model.ties:
        for v in tie:
            owner[places[v]] = places[tie[0]]
    for v in model.fixed:
        learned[places[v]] = False
    logits = logs(model.packed.values)
    row = np.repeat(np.arange(len(lengths)), lengths)
    constants = {"logits": logits, "moves": learned & (logits > NEVER), "owner": owner, "row": row}
    return Chart(("tables", len(lengths)), constants, {"logits": np.zeros(len(logits))})


def density(n_rows: int, constants: Coordinates, free: Coordinates, counts: Any) -> Any:
    """E[log p(x, z)] under expected counts of the entries."""
    logits, row = _logits(constants, free), constants["row"]
    top = jax.ops.segment_max(logits, row, n_rows)
    sums = top + jnp.log(jax.ops.segment_sum(jnp.exp(logits - top[row]), row, n_rows))
    return jnp.sum(counts * (logits - sums[row]))


def model_at(model: BayesianNetwork, constants: Coordinates, free: Coordinates) -> BayesianNetwork:
    """The network at these coordinates."""
    logits, row, old = np.asarray(_logits(constants, free)), constants["row"], model.packed.values
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    p = np.where(logits > NEVER, np.exp(logits - np.maximum.reduceat(logits, starts)[row]), 0.0)
    p = np.where(constants["moves"] | (logits == NEVER), p / np.add.reduceat(p, starts)[row], old)
    ends = np.cumsum([table.size for table in model.tables.values()])
    parts = np.split(p, ends[:-1])
    shaped = {v: own.reshape(table.shape) for own, (v, table) in zip(parts, model.tables.items(), strict=True)}
    return model.replace(shaped)


def _logits(constants: Coordinates, free: Coordinates) -> Any:
    """Logits moved, where they are possible and learned."""
    lib: Any = np if isinstance(free["logits"], np.ndarray) else jnp
    return lib.where(constants["moves"], constants["logits"] + free["logits"][constants["owner"]], constants["logits"])
