"""What the columns of data are: the units that hold them, and the scale on which they are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.learning._base import each_block
from tractable.learning.fitting import fit
from tractable.learning.learner import Learner
from tractable.learning.loop import Run
from tractable.learning.machines._base import checked_rows
from tractable.learning.records import Epoch, History
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.rows import is_named, select
from tractable.models.units import KINDS, Bernoulli, Categorical, Gaussian, Mixed, Spin, Units, units_for
from tractable.models.weights import counted


def visible_units(data: Any, kind: Any = "auto", categories: Any = None, **chosen: Any) -> Units:
    """Units that can hold the columns of the data.

    Parameters
    ----------
    data : [n_rows, n_columns], or a table with names, which the units take over (`units_for`).
    kind : ``"bernoulli"``, ``"spin"``, ``"categorical"``, ``"gaussian"`` (its precision is learned), ``"mixed"`` (of
        each column bernoulli or gaussian), or ``"auto"``: the first of bernoulli, spin and gaussian that can take every
        value; kind → columns; or units as they are.
    categories : states of categorical units; one more than the largest value by default, of a table those that occur.
    chosen : `columns`, `ignore` of a table.

    Examples
    --------
    >>> visible_units(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    Bernoulli(n=2)
    >>> visible_units({"a": [1, -1], "b": ["x", "y"]}).parts
    (Spin(n=1), Categorical(n=1, names=('x', 'y')))
    """
    if is_named(data) or isinstance(kind, Mapping) or not (categories is None or isinstance(categories, int)):
        return _of_table(data, kind, categories, chosen)
    return _of_array(data, kind, categories)


def _of_table(data: Any, kind: Any, categories: Any, chosen: dict[str, Any]) -> Units:
    """Units of columns by name, or by number where each is told apart."""
    how = {"categories": categories, **chosen}
    if kind != "auto":
        return units_for(data, "auto" if kind == "mixed" else kind, **how)
    found = [units_for(data, one, **how) for one in ("bernoulli", "spin", "gaussian")]
    own = data if found[0].columns is None else select(data, found[0].columns.names)
    return next((units for units in found if _takes(units, units.numbers(own))), found[-1])


def _of_array(rows: np.ndarray, kind: str | Units, categories: int | None) -> Units:
    """Units of an array of numbers, all of one kind."""
    n = rows.shape[1]
    if isinstance(kind, Units):
        return _of_width(kind, n)
    if kind == "mixed":
        return units_for(rows)
    if kind == "auto":
        kind = next((k for k in (Bernoulli(n), Spin(n)) if _takes(k, rows)), Gaussian(n)).__class__.__name__.lower()
    if kind == "gaussian":
        return Gaussian(n, learned=True)
    if kind == "categorical":
        return Categorical(n, categories or _n_states(rows))
    if kind not in KINDS:
        raise ModelError(
            f"unknown kind of units {kind!r}{nearest(kind, KINDS)}; there are {', '.join(KINDS)}, mixed and auto"
        )
    return KINDS[kind](n)


def _of_width(units: Units, n: int) -> Units:
    if units.n != n:
        raise ModelError(f"units are for {units.n} columns, the data have {n}")
    return units


def _takes(units: Units, rows: np.ndarray) -> bool:
    return all((units.allowed(block) | np.isnan(block)).all() for _, block in each_block(rows))


def _n_states(rows: np.ndarray) -> int:
    largest = max(float(np.nanmax(block, initial=0)) for _, block in each_block(rows))
    if not largest < 2**16:
        raise ModelError(f"categorical units count their states from 0, and the data have the value {largest:g}")
    return max(2, int(largest) + 1)


class Scale(NamedTuple):
    """Columns as z = (x − shift) / scale."""

    shift: np.ndarray
    scale: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return ((rows - self.shift) / self.scale).astype(np.float32)


def standard_scale(rows: np.ndarray, weights: np.ndarray | None = None) -> Scale:
    """The scale on which each column has mean 0 and variance 1; a column that does not vary is only shifted."""
    seen = ~np.isnan(rows)
    often = seen if weights is None else seen * weights[:, None]
    count = often.sum(axis=0)
    count = np.where(count > 0, count, 1)
    shift = (often * np.where(seen, rows, 0)).sum(axis=0, dtype=np.float64) / count
    deviation = np.sqrt((often * np.where(seen, rows - shift, 0) ** 2).sum(axis=0) / count)
    flat = deviation <= 1e-12 * np.maximum(np.abs(shift), 1e-300)
    return Scale(shift, np.where(flat, 1.0, deviation))


def in_data_units(model: Boltzmann, scale: Scale) -> Boltzmann:
    """The machine of x = shift + scale · z, given that of z: the same density, in the units of the data.

    b·z − γz²/2 + zᵀWh with z = (x − m)/s has the fields b/s + γm/s², the precisions γ/s² and the couplings W/s, and
    the hidden units' fields lose (m/s)ᵀW. A factor that does not depend on the state is left out. The parameters come
    in double precision: where the data are far from zero they are differences of large numbers.
    """
    units = model.units[VISIBLE]
    m, s = (column[units.unit_of_feature] for column in scale)
    fields = {name: np.asarray(b, np.float64) for name, b in model.fields.items()}
    couplings = {pair: np.asarray(w, np.float64) for pair, w in model.couplings.items()}
    own = _rescaled(units, scale)
    fields[VISIBLE] = fields[VISIBLE] / s + _precisions(own) * m
    for (a, b), w in couplings.items():
        if a == VISIBLE:
            couplings[a, b] = w / s[:, None]
            fields[b] = fields[b] - m @ couplings[a, b]
    return replace(model, units={**model.units, VISIBLE: own}, fields=fields, couplings=couplings)


def _rescaled(units: Units, scale: Scale) -> Units:
    """Units of z as units of x."""
    if isinstance(units, Gaussian):
        log_precision = np.asarray(units.log_precision, np.float64) - 2 * np.log(scale.scale)
        return Gaussian(units.n, log_precision, units.learned, columns=units.columns)
    if isinstance(units, Mixed):
        parts = [_rescaled(part, Scale(scale.shift[at], scale.scale[at])) for part, at, _ in units]
        return Mixed(*parts, columns=units.columns)
    return units


def _precisions(units: Units) -> np.ndarray:
    """The precision of each feature, zero of those that are not real-valued."""
    if isinstance(units, Mixed):
        return np.concatenate([_precisions(part) for part in units.parts])
    return np.exp(units.log_precision) if isinstance(units, Gaussian) else np.zeros(units.n_features)


def real_columns(units: Units) -> np.ndarray:
    """Which of the columns are real-valued [n]."""
    if isinstance(units, Mixed):
        return np.concatenate([real_columns(part) for part in units.parts])
    return np.full(units.n, isinstance(units, Gaussian))


def scale_of(units: Units, rows: np.ndarray, weights: np.ndarray | None = None) -> Scale | None:
    """The scale on which columns are learned: standard where they are real-valued, None where none is.

    Rows count as often as `weights` say.
    """
    real = real_columns(units)
    if not real.any():
        return None
    shift, deviation = np.zeros(units.n), np.ones(units.n)
    shift[real], deviation[real] = standard_scale(rows[:, real], weights)
    return Scale(shift, deviation)


def fit_columns(model: Boltzmann, data: Any, learner: Learner, *, validation: Any = None, **options: Any) -> Run:
    """`fit`, which learns real-valued columns on their standard scale and returns the machine in the data's own units.

    Parameters
    ----------
    model : where learning starts; its Gaussian units, if any, are those of standardized columns.
    options : of `fit`.

    Raises
    ------
    ModelError : as of `fit`; `binarize` of real-valued columns.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal([20.0, 5e3], [1.5, 800.0], (200, 2))
    >>> machine = tr.restricted(tr.Gaussian(2, learned=True), 2)
    >>> run = tr.fit_columns(machine, rows, tr.PersistentCD(batch_size=20), epochs=20)
    >>> bool((abs(tr.sample(run.model, 2000).mean(0) - [20, 5e3]) < [0.5, 300]).all())
    True
    """
    if not real_columns(model.units[VISIBLE]).any():
        return fit(model, data, learner, validation=validation, **options)
    if options.get("binarize") is not None:
        raise ModelError("binarize makes zeros and ones, which are no real numbers: leave it out, or Gaussian units")
    rows = checked_rows(model, data)
    held = None if validation is None else checked_rows(model, validation, "validation: ")
    rows, weights = counted(rows, options.pop("weights", None))
    scale = scale_of(model.units[VISIBLE], rows, weights)
    assert scale is not None
    options["weights"] = weights
    run = fit(model, scale(rows), learner, validation=None if held is None else scale(held), **options)
    shift = -float(np.log(scale.scale).sum())
    yard = run.yardstick and run.yardstick.moved(shift)
    return replace(
        run, model=in_data_units(run.model, scale), history=in_data_density(run.history, scale), yardstick=yard
    )


def in_data_density(history: History, scale: Scale) -> History:
    """Log-likelihoods of the data instead of the standardized data: p(x) = p(z) / ∏ s."""
    shift = -float(np.log(scale.scale).sum())
    return History(tuple(_moved(epoch, shift) for epoch in history))


def _moved(epoch: Epoch, by: float) -> Epoch:
    moved = {name: getattr(epoch, name) + by for name in ("train", "validation") if getattr(epoch, name) is not None}
    return replace(epoch, **moved)
