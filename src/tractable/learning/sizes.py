"""Settings that follow from the size of a table where none are given: what is fixed is the number of steps.

A small table gets small batches and many passes, a large one the opposite: so many steps as couplings need to grow to
where they belong, however many rows there are. A table of very few is not gone through for ever, lest it is learned
by heart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

BATCHES = 25
"""Batches in a pass, where they have neither the smallest nor the largest size."""

LARGEST = 100
"""Rows in a batch, at most."""


class Sizes(NamedTuple):
    """How long a fit is: so many steps, so many passes over the rows at most, in batches of so many rows at least."""

    steps: int
    passes: int
    smallest_batch: int

    def batch_size(self, n_rows: int) -> int:
        """Rows in a step."""
        return min(n_rows, max(self.smallest_batch, min(LARGEST, n_rows // BATCHES)))

    def epochs(self, n_rows: int, batch_size: int) -> int:
        """Passes over the rows that make so many steps."""
        return min(self.passes, math.ceil(self.steps / max(1, n_rows // batch_size)))


MACHINES = Sizes(steps=10_000, passes=200, smallest_batch=4)

LAYERS = Sizes(steps=15_000, passes=500, smallest_batch=10)
"""There is a recognition network to be learned too."""

LABELS = Sizes(steps=10_000, passes=500, smallest_batch=10)
"""Labels of a small table take longer to tell apart than its rows to be described."""

CHAINS = 200
"""Persistent chains, at least: fewer sit in a few modes each, and the model forgets all others."""

CONDITIONALS = 16
"""Visible units of a step of pseudo-likelihood beside hidden units: more cost time, and learn no faster."""

RATE = 0.04
"""The learning rate of a machine."""

WARM = 0.25
"""What is left of the rate where learning goes on from a model that has been learned."""

BURN_IN = 200
"""Sweeps of chains before the first step there."""

ADAM, STEADY, WIDE = 0.01, 0.001, 10_000
"""The largest and the smallest rate of Adam; it falls with the root of the number of parameters above so many."""


FEWEST, MOST = 64, 256
"""Hidden units of a layer, where none are given."""


def hidden_of(n_columns: int, n_layers: int = 1) -> list[int]:
    """Hidden units for a table of so many columns: one for each column, between the fewest and the most.

    Fewer are no help to a small table: rates and passes see to it that this is not learned by heart.
    """
    return [max(FEWEST, min(MOST, n_columns))] * n_layers


def chains_of(batch_size: int) -> int:
    """Persistent chains beside batches of this size."""
    return max(batch_size, CHAINS)


def rate_of_adam(n_parameters: int) -> float:
    """The rate of Adam at the first step, of which many parameters bear less."""
    return min(ADAM, max(STEADY, float(f"{ADAM * math.sqrt(WIDE / max(1, n_parameters)):.2g}")))
