"""What helps where data hold values that units do not have: which units have them, or how to get to what there is."""

from __future__ import annotations

import numpy as np

BERNOULLI = "Bernoulli(n) (units='bernoulli', --units bernoulli)"
SPIN = "Spin(n) (units='spin', --units spin)"
CATEGORICAL = "Categorical(n, q) (units='categorical', --units categorical)"
GAUSSIAN = "Gaussian(n) (units='gaussian', --units gaussian)"
MIXED = "Mixed (units_for(table), --units mixed)"
CUT = "cut with binarize={0} (--binarize {0}, 1 above {0})"


def of_bits(values: np.ndarray) -> str:
    """Of data for units that are 0 or 1."""
    if not np.isfinite(values).all():
        return "numbers are finite, and NaN where they are missing"
    if np.isin(values, (-1, 1)).all():
        return f"−1 and 1 are values of {SPIN}"
    if ((values >= 0) & (values <= 1)).all():
        return (
            f"gray values are {CUT.format(0.5)}, drawn anew in each epoch as probabilities with binarize='draw' "
            f"(--binarize draw), or learned as real numbers of {GAUSSIAN}"
        )
    least, most = values.min(), values.max()
    middle = f"{(least + most) / 2:.3g}"
    if are_whole(values) and least >= 0:
        return f"whole numbers are categories of {CATEGORICAL}, or {CUT.format(middle)}"
    return f"real numbers are values of {GAUSSIAN}, beside others of {MIXED}, or {CUT.format(middle)}"


def of_spins(values: np.ndarray) -> str:
    """Of data for units that are −1 or 1."""
    if np.isin(values, (0, 1)).all():
        return f"0 and 1 are values of {BERNOULLI}"
    if are_whole(values) and values.min() >= 0:
        return f"whole numbers are categories of {CATEGORICAL}"
    return f"real numbers are values of {GAUSSIAN}"


def of_categories(values: np.ndarray) -> str:
    """Of data for units that are 0, 1, …, q − 1."""
    if not are_whole(values):
        return f"real numbers are values of {GAUSSIAN}"
    if values.min() < 0:
        return f"−1 and 1 are values of {SPIN}" if np.isin(values, (-1, 1)).all() else "states are counted from 0"
    return f"so many states are categories={int(values.max()) + 1} (--categories {int(values.max()) + 1})"


def are_whole(values: np.ndarray) -> bool:
    """Whether all of them are whole numbers."""
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())
