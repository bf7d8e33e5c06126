"""What a report says of data under a model: how likely rows are, beside simple models, and which fit worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import tractable as tr
from tractable._blocks import card, facts, left_out, name, note, number, sure, table, text
from tractable.cli._report_base import Report, certified, shown_number
from tractable.models.rows import columns_of, is_named, take

LIKELY, CHAINS = "How likely the data are", "Diagnostics"
"""Sections."""

WORST, CELLS = 10, 8
"""So many rows are shown, and columns of each."""


def likelihood(report: Report) -> None:
    """The mean log p of a row with its certificate; of a machine without data log Z."""
    if report.rows is None:
        if report.model.family == "boltzmann":
            log_z = tr.log_partition(report.model, **report.how)
            report.record["log_partition"] = log_z.to_json()
            report.add(CHAINS, card("log Z", facts(certified("log Z", log_z))))
        return
    found = tr.log_likelihood(report.model, report.rows, **report.how)
    report.found["likelihood"] = found
    report.record["log_likelihood"] = found.to_json()
    report.record["rows"] = report.n_seen
    pairs = certified(f"mean log p of a {report.unit}", found)
    if np.ndim(found.log_partition.value) == 0 and report.model.family == "boltzmann":
        pairs += certified("log Z", found.log_partition)
    report.add(LIKELY, card("Likelihood", facts(pairs)))


def yardsticks(report: Report) -> None:
    """The same rows as independent columns and under a mixture."""
    if report.rows is None:
        return
    terms = {"seconds": 0.3 * report.time.left, "key": report.how["key"]}
    try:
        found = tr.learning.yardsticks(report.model, report.rows, **terms)
    except tr.ModelError as error:  # rows that the model takes, and of which nothing can be learned
        return report.left.append(f"simple models beside it: {error}")
    report.found["yardsticks"] = found
    report.record["yardsticks"] = {key: own.to_json() for key, own in found.items()}
    own = report.found.get("likelihood")
    rows = [["this model", shown_number(own), text(own.kind)]] if own is not None else []
    rows += [[text(key), shown_number(c), text(c.kind)] for key, c in found.items()]
    told = "learned from these very rows, which favours them over a model that was learned from others"
    if not found:
        return report.add(LIKELY, card("Beside simple models", note("no mixture holds such units")))
    shown = table(["", f"mean log p of a {report.unit}", "certificate"], rows)
    report.add(LIKELY, card("Beside simple models", shown, note(f"independent columns and mixtures are {told}")))


def worst(report: Report) -> None:
    """The rows that the model finds least likely."""
    found = report.found.get("likelihood")
    if found is None:
        return
    values = np.asarray(found.per_row.value, float)
    order = np.argsort(values, kind="stable")[:WORST]
    numbers = report.numbers
    report.record["worst"] = [{report.unit: int(numbers[i]), "log_p": float(values[i])} for i in order.tolist()]
    impossible = int(np.isneginf(values).sum())
    told = f"{impossible:,} are impossible under the model" if impossible else ""
    head, cells, more = _cells(report, order)
    rows = [[str(int(numbers[i])), number(values[i]), *own] for i, own in zip(order.tolist(), cells, strict=True)]
    shown = table([report.unit, "log p", *head], rows)
    mean = note(f"the mean is {number(float(found.value))}; numbers of {report.unit}s are from 0")
    report.add(
        LIKELY, card(f"The {report.unit}s that fit worst", note(told, "warn") if told else "", shown, more, mean)
    )


def _cells(report: Report, order: np.ndarray) -> tuple[list[str], list[list[str]], str]:
    """What stands in these rows, the first columns of them; of sequences how long they are."""
    if report.sequential:
        sizes = report.rows.sizes[order].tolist()
        return ["rows"], [[f"{n:,}"] for n in sizes], ""
    some = take(report.rows, order)
    if is_named(some):
        columns: Mapping[str, Any] = columns_of(some)
        head = [*columns][:CELLS]
        rows = [[_cell(columns[key][i]) for key in head] for i in range(len(order))]
        return [name(key, 16) for key in head], rows, left_out(len(head), len(columns), "columns")
    array = np.asarray(some)
    array = array.reshape(len(array), -1)
    rows = [[_cell(x) for x in row] for row in array[:, :CELLS].tolist()]
    n = array.shape[1]
    return [str(j) for j in range(min(n, CELLS))], rows, left_out(CELLS, n, "columns")


def _cell(given: Any) -> str:
    """A value as text; a dash where it is missing."""
    if given is None or given != given:
        return "–"
    return number(given) if isinstance(given, float) else name(given, 16)


def chains(report: Report) -> None:
    """Gibbs chains of a machine, and whether they agree."""
    if report.model.family != "boltzmann":
        return
    found = tr.evaluate.traces(report.model, **report.how)
    report.found["traces"] = found
    d = found.diagnosis
    told = {"R-hat": d.r_hat, "effective draws": d.effective, "mean": d.mean, "± s.e.": d.std_error}
    rows = [[text(own), *(number(float(x[i])) for x in told.values())] for i, own in enumerate(found.names)]
    report.record["chains"] = {
        "verdict": d.verdict,
        "traces": [{"name": own, "r_hat": float(d.r_hat[i])} for i, own in enumerate(found.names)],
    }
    verdict = note(f"Gibbs chains from all modes that are found: {text(d.verdict)}", "soft" if d.converged else "warn")
    report.add(CHAINS, card("Chains", verdict, table(["", *told], rows)))


def exactness(report: Report) -> None:
    """What there is to diagnose where nothing is drawn."""
    if CHAINS in report.sections or report.model.family == "boltzmann":
        return
    own = report.found.get("likelihood")
    if own is None:
        return report.add(CHAINS, card("Nothing was drawn", note("plans above say how each number would be found")))
    kind = f"the likelihood is {sure(own)}"
    no = (
        "no chain and no sample stands behind it"
        if own.kind in ("exact", "bound")
        else "its certificate says how far off"
    )
    report.add(CHAINS, card("Likelihood", note(text(f"{kind}: {no}"))))
