"""Rows of evidence answered by searches, one after the other: what was probed for one row, times the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.plan import counting
from tractable.plan._base import Ask, Plan
from tractable.plan.networks import OneCase
from tractable.plan.tables import observed_names


def by_search(model: TableModel, states: np.ndarray, ask: Ask, found: Plan | None) -> Plan | None:
    """The plan of a search for each row [n_rows, n_variables]; None where `found`, the plan so far, is as good.

    The probe is for the row that observes least; rows that are alike are searched once.
    """
    if found is not None and not _worth_trying(model, ask, found):
        return None
    rows = np.unique(states, axis=0)
    least = rows[np.argmin((rows >= 0).sum(axis=1))]
    one = OneCase(model, Evidence(least), ask).price(ask.query, ask.targets, 1.0)
    if found is not None and one.method != "counting":
        return None
    whole = replace(counting.of_rows(one, len(rows), ask), observed=observed_names(model, states.max(axis=0)))
    better = found is None or found.method is None or found.refused or whole.seconds < found.seconds / 2
    return whole if better else None


def _worth_trying(model: TableModel, ask: Ask, found: Plan) -> bool:
    if ask.method != "auto" or ask.query not in counting.QUERIES or model.packed.zeros < counting.ZEROS:
        return False
    return found.method is None or bool(found.refused) or found.seconds > counting.SLOW
