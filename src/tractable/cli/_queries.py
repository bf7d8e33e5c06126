"""`query` of what is no network: components of mixtures, states along sequences, units of machines and layers."""

from __future__ import annotations

from tractable.cli import _json
from tractable.cli._query_base import OtherQuery


def answer(question: OtherQuery) -> None:
    """Answer, and print it: as JSON a line for each case."""
    question.check()
    family = question.model.family
    if hasattr(question.model, "groups"):
        from tractable.cli._unit_queries import unit_cases as cases  # brings jax
    else:
        from tractable.cli._query_rows import chain_cases, mixture_cases

        cases = mixture_cases if family == "mixture" else chain_cases
    found = cases(question)
    if question.common.json:
        for case in found:
            _json.write(case.record)
        return
    from tractable.cli import _query_tables  # brings rich

    _query_tables.show(question, list(found))
