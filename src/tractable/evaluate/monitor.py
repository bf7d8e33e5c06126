"""The likelihood of a machine while it is trained: certificates in about a second, again and again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable.evaluate.annealed import Annealing, anneal
from tractable.evaluate.likelihood import LogLikelihood, log_likelihood
from tractable.models.boltzmann_machine import Boltzmann
from tractable.plan.machines import plan_live
from tractable.posterior import Certificate
from tractable.posterior.engines import machines
from tractable.posterior.engines._protocol import Solved
from tractable.posterior.tempering.temperatures import Pilot

MAX_ROWS = 2000
CHAINS = 128
BUDGET = 100


class Live(NamedTuple):
    """Certificates of the mean log-likelihood of some train and validation rows, and what the next call starts from.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> live = tr.evaluate.live_log_likelihood(tr.restricted(4, 2), rows, None, key=0)
    >>> live.train.kind, live.validation
    ('exact', None)
    """

    train: LogLikelihood
    validation: LogLikelihood | None
    log_partition: Certificate
    pilot: Pilot | None


def live_log_likelihood(
    model: Boltzmann,
    train_rows: Any,
    validation_rows: Any,
    key: Any,
    budget: int = BUDGET,
    previous: Live | None = None,
) -> Live:
    """The mean log-likelihood of train and validation rows, cheaply: for a look at every epoch.

    log Z is exact up to 2¹⁶ enumerated states; else 128 chains are annealed from the factorized machine with the means
    of the data, and back from chains that start there.

    Parameters
    ----------
    train_rows, validation_rows : data; of more than 2,000 rows every so many are taken. `validation_rows` may be None.
    budget : temperatures between base and model; the time is in proportion.
    previous : the last result: it says where temperatures are needed, which saves the pilot runs.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> machine = tr.restricted(4, 2)
    >>> live = tr.evaluate.live_log_likelihood(machine, rows, rows[:10], key=0)
    >>> abs(live.validation.value - tr.log_likelihood(machine, rows[:10]).value) < 1e-5
    True
    """
    train = thinned(train_rows)
    log_z, pilot = live_log_partition(model, train, key, budget, previous.pilot if previous else None)
    validation = None if validation_rows is None else thinned(validation_rows)
    found = [None if rows is None else log_likelihood(model, rows, log_partition=log_z) for rows in (train, validation)]
    assert found[0] is not None
    return Live(found[0], found[1], log_z, pilot)


def thinned(rows: Any) -> np.ndarray:
    """At most 2,000 rows, evenly spaced."""
    values = np.asarray(rows)
    return values[np.linspace(0, len(values) - 1, min(MAX_ROWS, len(values))).astype(int)]


def live_log_partition(
    model: Boltzmann, rows: np.ndarray, key: Any, budget: int = BUDGET, pilot: Pilot | None = None
) -> tuple[Certificate, Pilot | None]:
    """log Z, cheaply, and what says where temperatures are needed the next time."""
    plan = plan_live(model.graph)
    if plan.method != "annealing":
        asked = machines.read(model, None)
        return machines.log_partition(asked, [Solved(slice(None), asked, plan, machines.solve(plan, asked, key))]), None
    settings = Annealing(n_chains=CHAINS, n_temperatures=budget, phases=False)
    temperatures = None if pilot is None else pilot.temperatures(budget)
    found = anneal(model, data=_complete(rows), key=key, settings=settings, temperatures=temperatures)
    return found.log_partition, found.pilot


def _complete(rows: np.ndarray) -> np.ndarray | None:
    """The rows that miss nothing; None where there are none."""
    whole = rows[~np.isnan(rows).any(axis=1)] if rows.dtype.kind == "f" else rows
    return whole if len(whole) else None
