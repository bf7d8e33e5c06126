"""Answers for people: why it is tractable, what it cost, the answer with its certificate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from rich.bar import Bar

import tractable as tr
from tractable.cli import _best_tables
from tractable.cli._answers import Between, Network, ShownAnswer, ShownQuery, cells, with_ends
from tractable.cli._printed import MAX_COLUMNS, MAX_ROWS, certified, console, new_table, tell_rest
from tractable.plan._text import prices
from tractable.plan._units import duration

BAR, WIDE = 24, 64
"""Characters of a bar, and of a terminal that is wide enough for it."""

ShownRow = tuple[tuple[str, ...], float, Between]
"""Names, a probability, its interval."""


def show_model(path: str, net: Any) -> None:
    """One line on what was loaded."""
    console.print(f"{path}: {net!r}", soft_wrap=True)


def show_plans(plans: tr.Explanation) -> None:
    """The prices of several plans as a table with the reasons under it; a single or a refused plan in full."""
    if len(plans) > 1:
        table = new_table("query", "method", "width", "multiply-adds", "memory", "time")
        for plan in plans:
            table.add_row(plan.query, plan.method or "refused", *prices(plan))
        console.print(table)
        _show_reasons([plan for plan in plans if plan.method])
    for plan in plans:
        if len(plans) == 1 or plan.method is None:
            console.print(plan)


def _show_reasons(plans: Sequence[Any]) -> None:
    """Each reason once; where there are several, with the queries it is for."""
    queries: dict[str, dict[str, None]] = {}
    for plan in plans:
        queries.setdefault(plan.why, {})[plan.query] = None
    for why, names in queries.items():
        console.print(why if len(queries) == 1 else f"{', '.join(names)}: {why}")


def show_answers(net: Network, asked: ShownQuery, answers: Sequence[ShownAnswer], quiet: bool = False) -> None:
    """One case in full, unless `quiet` with how it was found; of several a row each."""
    if len(answers) != 1:
        return _show_cases(net, asked, answers)
    answer = answers[0]
    _show_found(net, answer, quiet)
    if answer.marginals:
        _show(["variable", "state"], _marginals(net, answer))
    if answer.estimates:
        console.print(_estimated(answer.estimates))
    if answer.joint is not None:
        _show(asked.targets, (((*states.values(),), p, ends) for states, p, ends in cells(net, asked, answer)))
    if isinstance(answer.most_probable, list) and answer.most_probable:
        _best_tables.show(_of_best(net, asked), answer.most_probable, asked.best)
    _show_refused(answer.refused)
    if isinstance(answer.most_probable, tr.Plan):
        console.print(answer.most_probable)


def _show_found(net: Network, answer: ShownAnswer, quiet: bool) -> None:
    """What it cost, and log P, where that is asked for."""
    if not quiet and answer.plan is not None:
        _show_price(answer.plan)
    if answer.log_evidence is not None:
        console.print(_evidence(net, answer, answer.log_evidence))


def _of_best(net: Network, asked: ShownQuery) -> str:
    """What the number of a most probable assignment is."""
    if isinstance(net, tr.MarkovNetwork):
        return "log of the sum over all else" if asked.chosen else "log of the product of the factors"
    return "log P(these and what is observed)" if asked.chosen else "log P(all of it)"


def _show_refused(refused: Mapping[str, tr.Plan]) -> None:
    """The price of each variable that the budget refuses."""
    if len({id(plan) for plan in refused.values()}) < 2:
        return console.print(*dict.fromkeys(refused.values()))
    table = new_table("refused", "width", "multiply-adds", "memory", "time", left=1)
    for variable, plan in islice(refused.items(), MAX_ROWS):
        table.add_row(variable, *prices(plan))
    console.print(table)
    tell_rest(len(refused) - MAX_ROWS)


def _show_price(plan: tr.Plan) -> None:
    width, flops, memory, seconds = prices(plan)
    console.print(f"{plan.method}: {plan.why}")
    console.print(f"cost: width {width}, {flops} multiply-adds, {memory}, {seconds} predicted\n")


def _evidence(net: Network, answer: ShownAnswer, certificate: tr.Certificate | tr.Plan) -> str:
    given = _listed(answer.evidence)
    name = f"log P({given or 'nothing observed'})"
    if isinstance(net, tr.MarkovNetwork):
        name = f"log Z with {given}" if given else "log Z"
    if isinstance(certificate, tr.Plan) and not certificate.bytes:
        return f"{name} is not estimated: {certificate.why}"
    if isinstance(certificate, tr.Plan):
        return f"{name} is refused by the budget: {', '.join(prices(certificate)[2:])} predicted"
    impossible = "; the evidence is impossible" if certificate.upper == -math.inf else ""
    told = f"{name} = {certified(certificate)}{impossible}"
    if certificate.kind in ("exact", "estimate"):
        return told
    return f"{told}\n{certificate.verdict}; took {duration(answer.seconds)}"


def _estimated(estimates: Mapping[str, tr.Certificate]) -> str:
    """What marginals are that are not exact: their verdict, and the largest standard error."""
    verdicts = dict.fromkeys(c.verdict for c in estimates.values() if c.verdict)
    errors = [float(np.max(c.std_error)) for c in estimates.values() if c.std_error is not None]
    told = [f"standard errors up to {max(errors):.2g}"] if errors else []
    sure = {c.confidence for c in estimates.values() if c.confidence is not None}
    told += [f"all intervals hold together at {100 * p:.6g} % confidence" for p in sorted(sure)]
    return f"probabilities: {'; '.join([*verdicts, *told])}"


def _listed(states: Mapping[str, Any]) -> str:
    """States of variables; of soft evidence the weights of states."""
    told = {v: x if isinstance(x, str) else ", ".join(f"{s}:{w:g}" for s, w in x.items()) for v, x in states.items()}
    return ", ".join(f"{v} = {x}" if isinstance(states[v], str) else f"{v} ~ ({x})" for v, x in told.items())


def _marginals(net: Network, answer: ShownAnswer) -> Iterator[ShownRow]:
    for variable, table in answer.marginals.items():
        found = answer.estimates.get(variable, tr.Certificate.exact(table))
        for state, (p, ends) in zip(net.states[variable], with_ends(found), strict=True):
            yield (variable, state), p, ends


def _show(columns: Sequence[str], rows: Iterable[ShownRow]) -> None:
    """Probabilities with their intervals, as numbers and bars; what a row has in common with that above is left out."""
    rows = iter(rows)
    shown, above = [*islice(rows, MAX_ROWS)], ()
    bounded = any(ends for _, _, ends in shown)
    table = new_table(*columns, "probability", *(["interval"] if bounded else []), "", left=len(columns))
    for names, p, ends in shown:
        own = [name if names[: i + 1] != above[: i + 1] else "" for i, name in enumerate(names)]
        interval = [f"[{ends[0]:.6g}, {ends[1]:.6g}]" if ends else "exact"] if bounded else []
        table.add_row(*own, f"{p:.6g}", *interval, _bar(p, ends))
        above = names
    console.print(table)
    tell_rest(sum(1 for _ in rows))


def _bar(p: float, ends: Between) -> Bar | str:
    """A probability as a bar; of an interval what is sure of it, and in a lighter shade what is not."""
    width = BAR if console.width >= WIDE else console.width // 8
    if math.isnan(p):
        return ""
    if ends is None:
        return Bar(1.0, 0.0, p, width=width)
    low, high = (round(end * width) for end in ends)
    return ("█" * low + "▒" * (high - low)).ljust(width)


def _show_cases(net: Network, asked: ShownQuery, answers: Sequence[ShownAnswer]) -> None:
    """A row for each case."""
    if asked.marginals:
        _show_logs(net, asked, answers)
    if asked.best:
        told = [a.most_probable for a in answers if a.most_probable is not None]
        _best_tables.show_cases(told, asked.shown(net))
    if asked.joint:
        console.print("the joint distributions of several cases: with --json")


def _show_logs(net: Network, asked: ShownQuery, answers: Sequence[ShownAnswer]) -> None:
    """The log evidence of every case, and of the first variables the most probable state."""
    variables = asked.targets[:MAX_COLUMNS]
    table = new_table("case", "log evidence", "kind", *variables, left=0)
    for number, answer in enumerate(answers[:MAX_ROWS], 1):
        tops = (_top(net.states[v], answer.marginals[v].tolist()) for v in variables if v in answer.marginals)
        table.add_row(str(number), *_log_and_kind(answer), *tops)
    console.print(table)
    _show_verdicts(answers)
    tell_rest(len(answers) - MAX_ROWS)
    _show_refused(answers[0].refused if answers else {})


def _show_verdicts(answers: Sequence[ShownAnswer]) -> None:
    """What numbers are worth that are not exact, each verdict once."""
    told = [a.log_evidence.verdict for a in answers if isinstance(a.log_evidence, tr.Certificate) and a.estimates]
    for verdict in [*dict.fromkeys(filter(None, told))][:MAX_ROWS]:
        console.print(verdict)


def _log_and_kind(answer: ShownAnswer) -> tuple[str, str]:
    log = answer.log_evidence
    if not isinstance(log, tr.Certificate):
        return f"{answer.log_value:.10g}", "refused"
    bounded = log.kind not in ("exact", "estimate")
    ends = f" [{log.lower:.6g}, {log.upper:.6g}]" if bounded else ""
    return f"{log.value:.{6 if bounded else 10}g}{ends}", log.kind


def _top(states: Sequence[str], table: list[float]) -> str:
    p, state = max(zip(table, states, strict=True))
    return f"{state} {p:.4f}"
