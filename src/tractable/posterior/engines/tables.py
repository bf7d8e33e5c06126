"""The engine of networks of tables: conditioning, one contraction tree, and what comes out of its sweeps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tractable import kernels
from tractable.kernels import Reduced
from tractable.models import BayesianNetwork, ModelError
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence, parse_evidence, parse_rows, with_likelihoods
from tractable.models.levels import numbers_in
from tractable.models.observations import Observations
from tractable.models.pruning import children, wanted_by
from tractable.models.rows import columns_of, is_named, like
from tractable.plan import (
    Ask,
    Budget,
    BudgetError,
    ByTarget,
    ContractionTree,
    Memory,
    Plan,
    adopted,
    allowed,
    check_method,
)
from tractable.plan.budget import AT_ONCE, STEP, sweeps, terms
from tractable.plan.budget import ask as asking
from tractable.plan.counting import in_the_dark
from tractable.plan.most_probable import SEARCHES
from tractable.plan.networks import ManyRows, answered, targets_of
from tractable.plan.reasons import ESTIMATES
from tractable.plan.search import GREEDY
from tractable.plan.searched_rows import by_search
from tractable.plan.tables import named, observed_names, plan_names, plan_samples
from tractable.posterior._base import MostProbable, Posterior
from tractable.posterior.certificate import Certificate
from tractable.posterior.engines import best_tables, network_cases
from tractable.posterior.engines._protocol import Solved, costliest
from tractable.posterior.engines.network_cases import Answer, Case, by_name, chosen, slices
from tractable.posterior.exact.elimination import scopes_of
from tractable.posterior.expected import UnderBound
from tractable.posterior.marginals import Marginals

METHODS = ("auto", "exact", "elimination", "counting", "mini_buckets", *ESTIMATES, *SEARCHES)
QUICK_GREEDY = *GREEDY[:-1], 0.5
"""How the order of an answer in a single call is found."""

HASTE = 0.1
"""Of its patience, the share that the search for an exact plan has where an interval may answer instead."""

MOST_AT_ONCE = int(AT_ONCE / STEP / sweeps("marginals"))
"""Free variables: more take longer than what is answered in a single call, whatever they hang on."""

ANYTIME = True
"""An interval answers where exact numbers are too expensive."""

OPTIONS = {"sample": ("codes",), "impute": ("codes", "expected"), "most_probable": ("k", "targets")}
ALL = slice(None)


def read(model: TableModel, evidence: Any) -> Case:
    """Evidence, checked."""
    given = parse_evidence(model.states, evidence)
    if given.many and given.likelihoods:
        from tractable.models.heard import as_heard  # a query of one case does not wait for it

        whole, heard = as_heard(model, given)
        return Case(whole, heard, asked_for=model)
    return Case(model, given)


def groups(case: Case, ask: Ask) -> Iterator[tuple[Any, Case]]:
    """All cases together: rows are an axis of the contraction. The most probable states by what cases observe."""
    whole, case = case, case.opened(ask) if case.model.sparse else case
    if not (case.many and ask.query == "map"):
        yield ALL, case
        return
    if ask.targets is not None:
        whole.targets = targets_of(case.asked_for or case.model, ask.targets)
        best_tables.check_rows(case, whole.targets or ())
    _, which = np.unique(case.given.states >= 0, axis=0, return_inverse=True)
    for k in range(int(which.max(initial=-1)) + 1):
        rows = np.flatnonzero(which.ravel() == k)
        given = Evidence(case.given.states[rows])
        yield rows, Case(case.model, given, asked_for=case.asked_for, source=case.source)


def normalized(model: TableModel) -> bool:
    """Whether all joint states together have the probability one."""
    return isinstance(model, BayesianNetwork)


def at_once(case: Case, ask: Ask) -> Solved | None:
    """The marginals of one case in a single call into the kernels, on the terms of the budget; None beyond them."""
    if ask.query != "marginals" or ask.method not in ("auto", "exact") or case.given.many:
        return None
    if (case.given.states < 0).sum() > MOST_AT_ONCE:
        return None
    targets, pruned = ask.targets, ()
    case = case.opened(ask) if case.model.sparse else case
    tables = with_likelihoods(case.model.packed, case.given.likelihoods)
    if targets is not None:
        targets = targets_of(case.model, targets)
        pruned = children(case.model, tables), wanted_by(case.model, case.given, targets or ())
    found = kernels.answer(tables, case.given.states, terms(*ask.budget), QUICK_GREEDY, *pruned)
    if found is None:
        return None
    case.budget, case.ran, case.targets = ask.budget, found.ran, targets
    marginals = found.marginals if targets is None else chosen(case.model, targets, found.marginals)
    return Solved(ALL, case, case, Answer(Certificate.exact(found.log_z), marginals))  # pyright: ignore


def plan(case: Case, ask: Ask) -> Plan:
    """The plan of a query: a contraction tree, and for many rows or samples how many at a time."""
    check_method(ask.method, METHODS)
    if ask.targets is not None:
        ask = ask._replace(targets=targets_of(case.asked_for or case.model, ask.targets))
    if ask.query == "map":
        return _best(case, ask)
    if isinstance(ask.method, Plan):
        return _adopted(case, ask)
    if ask.method in ("mini_buckets", *ESTIMATES):
        return _estimated(case, ask)
    if ask.method == "auto" and ask.anytime is not None:
        return _exact_or_interval(case, ask)
    return _exactly(case, ask)


def _best(case: Case, ask: Ask) -> Plan:
    """The plan of the most probable states."""
    if ask.method in ("mini_buckets", *ESTIMATES):
        raise ModelError(
            f"{ask.method} does not answer 'map': it sums, and finds no largest term; leave the method out"
        )
    every = math.prod(len(case.states[v]) for v in (case.states if ask.targets is None else ask.targets))
    ask = ask._replace(n=min(ask.n, max(every, 1)))  # there are no more
    plain = ask.n == 1 and ask.targets is None
    return _adopted(case, ask) if plain and isinstance(ask.method, Plan) else best_tables.plan(case, ask, _exactly)


def solve(plan: Plan, case: Case, key: Any) -> Any:
    """What was planned, run."""
    run = network_cases.solve
    return run(plan, case, key) if plan.query != "map" else best_tables.solve(plan, case, key, _best, run)


def _exactly(case: Case, ask: Ask) -> Plan:
    """The plan of exact answers, or their refusal."""
    if ask.method == "exact":
        ask = ask._replace(method="auto")
    found = _plan_rows(case, ask) if case.given.many else answered(case.asking(ask), ask, case.states)
    case.targets = found.targets
    return found


def _estimated(case: Case, ask: Ask) -> Plan:
    """The plan of an estimate that was asked for, whose modules no other question waits for."""
    from tractable.plan.estimates import plan_estimate
    from tractable.plan.mini_buckets import plan_interval

    if ask.query == "sample":
        case.one()
    case.targets = ask.targets
    if ask.method == "mini_buckets":
        return plan_interval(case.model, case.given, ask)
    return plan_estimate(case.model, case.given, ask)


def _exact_or_interval(case: Case, ask: Ask) -> Plan:
    """The plan of exact answers, within the patience; else what it refuses comes as intervals."""
    terms, since = ask.anytime, time.perf_counter()
    assert terms is not None
    budget = Budget(ask.budget.memory, min(ask.budget.seconds, terms.patience))
    found = _exactly(case, ask._replace(budget=budget, anytime=None, effort=HASTE))
    if found.method and _answers_all(found):
        return found
    from tractable.plan.mini_buckets import completed  # an exact answer does not wait for it

    return completed(case.model, case.given, ask._replace(anytime=terms._replace(since=since)), found)


def _answers_all(plan: Plan) -> bool:
    """Whether a plan that is not refused leaves nothing out, as far as is known."""
    program = plan.program
    if isinstance(program, ByTarget):
        return not program.refused and program.evidence.method is not None
    return not in_the_dark(plan)


def _plan_rows(case: Case, ask: Ask) -> Plan:
    """The plan for many rows: together, or by searches one after the other."""
    model, states, query = case.model, case.given.states, ask.query
    if query == "sample":
        case.one()
    found = None
    if ask.method != "counting" or not len(states):
        found = _plan_together(case, ask)
    return (by_search(model, states, ask, found) if len(states) else None) or found  # pyright: ignore


def _plan_together(case: Case, ask: Ask) -> Plan:
    model, states = case.model, case.given.states
    if ask.query != "map":
        return answered(ManyRows(model, states, ask), ask, case.states)
    seen = observed_names(model, states[0])
    found = plan_names(model, named(model, seen, ask.query), seen, ask)
    return found.for_rows(len(states), found.seconds * len(states))


def _adopted(case: Case, ask: Ask) -> Plan:
    """A plan made before, for what is observed here."""
    model, given = case.model, case.given
    case.one()
    names = np.array([*model.states, ""], object)[:-1]
    found = adopted(ask.method, model.graph, ask, set(names[given.states >= 0]))
    case.targets = found.targets
    for part in _parts(found):
        if isinstance(part.program, ContractionTree | None):
            _check_fits(case, part)
    if found.method in ("counting", *ESTIMATES):
        return found if found.n == ask.n else replace(found, n=ask.n)
    return plan_samples(found, len(model.states), ask) if ask.query == "sample" else found


def _check_fits(case: Case, part: Plan) -> None:
    tree = part.program
    if tree is not None and tree.leaves is not None and case.given.likelihoods:
        raise ModelError("the plan was made by names, and knows no soft evidence: make one for this evidence")
    if (tree is None or tree.leaves is None) and not _fits(tree, case.left(part.query, part.targets)):
        raise ModelError("the plan was made for other states of what is observed: make one by names, or for these")


def _fits(tree: ContractionTree | None, rest: Reduced) -> bool:
    """Whether a tree is one for these tables; where there is none, whether there are no tables."""
    if tree is None:
        return rest.impossible or not rest.tables.n_factors
    a, b = tree.scopes, scopes_of(rest.tables)
    return all(np.array_equal(getattr(a, x), getattr(b, x)) for x in ("sizes", "starts", "members"))


def _parts(plan: Plan) -> list[Plan]:
    """The plan, or what it is made of."""
    if not isinstance(plan.program, ByTarget):
        return [plan]
    evidence = [plan.program.evidence] if plan.program.evidence.method else []
    return [part for _, part in plan.program.parts] + evidence


# ---------------------------------------------------------------- records


def posterior(case: Case, solved: Sequence[Solved]) -> Posterior:
    """The record of the answer."""
    ((_, asked, plan, answer),) = solved
    if (names := asked.targets) is None:
        found = Marginals(case.states, (case.asked_for or case.model).graph.state_slices, answer.marginals)
    else:
        own = {v: case.states[v] for v in names}
        found = Marginals(own, slices(own, names), answer.marginals, case.states)
    plan = answer.plan or plan
    if isinstance(plan, Plan) and plan.refused:
        found = found.without(plan.refused)
    return Posterior(answer.log_partition, found, plan, asked)


def log_partition(case: Case, solved: Sequence[Solved]) -> Certificate:
    """log Z, of every row where there are many."""
    return solved[0].answer.log_partition


def most_probable(case: Case, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable assignments, by names; of many cases columns of them, None where a case is impossible."""
    if not solved:  # no cases
        plan = ManyRows(case.model, case.given.states[:0], asking("marginals", None, None)).price(
            "marginals", None, 1.0
        )
        return best_tables.records(case, [], plan, tuple(case.states) if case.targets is None else case.targets)
    plan, found = costliest(solved), solved[0].answer
    names = tuple(case.states) if plan.targets is None else plan.targets
    if case.given.many:
        found = [[]] * len(case.given.states)
        for rows, _, _, answers in solved:
            for row, own in zip(rows.tolist(), answers, strict=True):
                found[row] = own
    return best_tables.records(case, found, plan, names)


def sample(case: Case, solved: Sequence[Solved]) -> dict[str, np.ndarray]:
    """Variable → state indices [n]."""
    return solved[0].answer


def in_names(model: TableModel, found: dict[str, np.ndarray], data: Any, expected: bool = False) -> Any:
    """State indices as names of states, in the container that the data came in: its columns first."""
    first = [v for v in columns_of(data) if v in found] if is_named(data) else []
    named = by_name(model.states, {v: found[v] for v in dict.fromkeys([*first, *found])})
    named.verdict = getattr(found, "verdict", "exact")
    return named if data is None else like(data, named)


# ---------------------------------------------------------------- rows of data


def read_rows(model: TableModel, data: Any, missing: bool) -> Case:
    """Rows of data as cases of evidence."""
    states = model.check(data).states if isinstance(model, BayesianNetwork) else parse_rows(model.states, data)
    return Case(model, Evidence(states))


def gaps(case: Case) -> tuple[str, ...]:
    """The variables that some row does not observe."""
    return tuple(v for v, column in zip(case.model.states, case.given.states.T, strict=True) if (column < 0).any())


def impute(case: Case, solved: Sequence[Solved], expected: bool = False) -> dict[str, np.ndarray]:
    """Variable → state indices [n_rows], the most probable state of each missing value given what the row observes.

    With `expected` a variable whose states all read as numbers has these, and their mean where one is missing. Nothing
    is likely in a row that is impossible: there a gap stays one, −1, of numbers NaN.
    """
    found, states = posterior(case, solved).marginals, case.given.states
    for refused in found.refused.values():  # a gap must not stay one in silence
        raise BudgetError(refused)
    out = dict(zip(case.model.states, states.T, strict=True))
    for v in found:
        p = found.array(v)
        guess = np.where(np.isnan(p[:, 0]), -1, np.nan_to_num(p).argmax(1)).astype(np.int32)
        out[v] = np.where(out[v] < 0, guess, out[v])
    return out | (_expected(case, found) if expected else {})


def _expected(case: Case, found: Marginals) -> dict[str, np.ndarray]:
    """The variables whose states are numbers, as these: what is observed, else the mean."""
    out = {}
    for (v, names), states in zip(case.model.states.items(), case.given.states.T, strict=True):
        if (levels := numbers_in(names)) is not None:
            mean = found.array(v) @ levels if v in found else np.nan
            out[v] = np.where(states < 0, mean, levels[np.maximum(states, 0)])
    return out


def log_likelihoods(model: TableModel, data: Any, question: Ask) -> Certificate | None:
    """log p of what each row observes: by the cases of the E-step where tables are conditional; None elsewhere."""
    if not isinstance(model, BayesianNetwork) or model.sparse:
        return None
    from tractable.posterior.exact import expected_tables

    rows, memory = model.check(data), question.budget.memory
    if not len(rows):
        raise ModelError("there are no rows")
    expected_tables.affordable(model, rows, memory)
    return Certificate.of_cases(expected_tables.log_likelihood_rows(model, rows, memory))


def affordable(model: BayesianNetwork, data: Any, memory: Memory, q: Any = "exact") -> None:
    """Refuse E-steps that take more than `memory`, or in which a row does."""
    from tractable.posterior.exact import expected_tables

    expected_tables.affordable(model, data, memory, q)


def expected_statistics(
    model: BayesianNetwork, data: Any, weights: Any = None, q: Any = "exact", before: Any = None, memory: Memory = None
) -> Any:
    """The E-step, whose modules a query does not wait for; ``"hard"``: under the best completion of each row."""
    from tractable.posterior.exact import expected_tables

    if isinstance(q, UnderBound):
        from tractable.posterior.approximate import sampled_tables

        return sampled_tables.expected_statistics(model, data, weights, q, memory)

    if q != "hard":
        return expected_tables.expected_statistics(model, data, weights, q, before, memory)
    soft = expected_tables.expected_statistics(model, data, weights, "exact", before, memory)
    found = expected_tables.expected_statistics(model, _completed(model, data, memory), weights)
    return found._replace(log_likelihood=soft.log_likelihood, kl=soft.log_likelihood - found.elbo)


def _completed(model: BayesianNetwork, data: Any, memory: Memory) -> Any:
    """Rows with the most probable states in their gaps; an impossible row, which does not count, with any."""
    question, rows = asking("map", memory, np.inf), data.states.copy()
    parts = list(groups(Case(model, Evidence(data.states)), question))
    for some, case, how in [(some, case, allowed(_exactly(case, question))) for some, case in parts]:
        rows[some] = np.maximum(network_cases.solve(how, case, 0)[1][:, : rows.shape[1]], 0)
    return Observations(rows)


joint = Case.joint
