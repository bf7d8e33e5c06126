"""Sparse tables before a query is planned: what of them is made dense, priced before it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.sparse_networks import Left, cuts, dense_entries, opened
from tractable.plan._base import Ask, Plan

ALL_OF_IT = ("map", "sample")


def opened_for(model: Any, given: Evidence, ask: Ask, seen: Iterable[str] = ()) -> TableModel | Plan:
    """The network that is planned and run for a question: this one, with dense tables for its sparse ones.

    Observed variables are cut out first, those of one case; `seen` will be observed, in states that are not known. The
    plan, a refusal, where what is left is more than the memory that may be used.
    """
    if not model.sparse:
        return model
    names, single = np.array([*model.states, ""], object)[:-1], given.states.ndim == 1
    observed = {*seen, *names[given.states >= 0 if single else (given.states >= 0).any(axis=0)]}
    needed = _needed(model, {*observed, *names[[*given.likelihoods]]}, ask)
    found = cuts(model, given.states if single else np.full(len(names), -1), needed)
    if all(cut.table is model.sparse[j] for j, cut in found.items()) and model.opened is not None:
        return model.opened
    if 8.0 * dense_entries(found) > ask.budget.memory:
        return _refused(model, found, ask, tuple(v for v in model.states if v in observed))
    return opened(model, found)


def padded(given: Evidence, model: TableModel) -> Evidence:
    """Evidence about a network as evidence about one that has more variables, which come last."""
    more = len(model.states) - given.states.shape[-1]
    if not more:
        return given
    unseen = np.full((*given.states.shape[:-1], more), -1, np.int32)
    return Evidence(np.concatenate([given.states, unseen], axis=-1), given.likelihoods)


def _needed(model: Any, observed: set[str], ask: Ask) -> set[str] | None:
    """The variables whose conditional tables matter: the ancestors of what is observed or asked for; None for all."""
    about_all = ask.targets is None and ask.query != "evidence"
    if about_all or ask.query in ALL_OF_IT or not hasattr(model, "parents"):
        return None
    queue = [*observed, *(ask.targets or ())]
    needed = set(queue)
    for v in queue:  # grows while it runs
        new = [u for u in model.parents.get(v, ()) if u not in needed]
        needed |= {*new}
        queue += new
    return needed


def _refused(model: Any, found: dict[int, Left], ask: Ask, observed: tuple[str, ...]) -> Plan:
    largest = max(found.values(), key=lambda cut: cut.table.size)
    width, entries = math.log2(largest.table.size), dense_entries(found)
    reason = (
        f"the sparse table of {largest.scope[-1]!r} has 2^{width:.4g} entries over the {len(largest.scope)} variables "
        "that are not observed, and no smaller pieces"
    )
    common = {"query": ask.query, "observed": observed, "budget": ask.budget, "structure": model.graph}
    return Plan(None, width, float(entries), 8.0 * entries, entries * 1e-9, reason, targets=ask.targets, **common)
