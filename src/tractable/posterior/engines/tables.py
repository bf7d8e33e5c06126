"""The engine of networks of tables: conditioning, one contraction tree, and what comes out of its sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tractable import kernels
from tractable._cached import cached_property
from tractable.kernels import Reduced, TreeThatRan
from tractable.models import BayesianNetwork, MarkovNetwork, ModelError
from tractable.models.conditioning import TableModel, reduce_model
from tractable.models.evidence import Evidence, parse_evidence, parse_rows, with_likelihoods
from tractable.models.keys import generator
from tractable.models.levels import numbers_in
from tractable.models.observations import Observations
from tractable.models.rows import Rows, columns_of, is_named, like
from tractable.plan import Ask, Budget, ContractionTree, Memory, Plan, adopted, allowed, check_method
from tractable.plan.budget import ask as asking
from tractable.plan.budget import terms
from tractable.plan.search import GREEDY
from tractable.plan.tables import named, plan_case, plan_names, plan_rows, plan_samples, priced
from tractable.posterior._base import Marginals, MostProbable, Posterior
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.engines._protocol import Solved, costliest
from tractable.posterior.exact.elimination import conditioned, fitted, scopes_of, sum_product
from tractable.posterior.exact.joint import joint_table
from tractable.posterior.exact.walk import most_probable_states, sample_states

METHODS = ("auto", "elimination")
OPTIONS = {"sample": ("codes",), "impute": ("codes", "expected")}
ALL = slice(None)


class Answer(NamedTuple):
    """log Z, and the marginals over all states of all variables; of many cases with an axis of rows in front."""

    log_partition: Certificate
    marginals: np.ndarray | None


@dataclass(eq=False)
class Case:
    """One case of evidence about a network, or many; `ran` is the tree of an answer that was planned on the way."""

    model: TableModel
    given: Evidence
    budget: Budget | None = None
    ran: TreeThatRan | None = None
    asked_for: TableModel | None = None
    """The network that was asked about, where `model` has variables besides."""

    @property
    def states(self) -> Mapping[str, Sequence[str]]:
        """The states of the variables that were asked about."""
        return (self.asked_for or self.model).states

    @property
    def many(self) -> bool:
        """Whether there are many cases."""
        return self.given.many

    @cached_property
    def reduced(self) -> Reduced:
        """What the evidence leaves of the network; of many cases, what nothing observed leaves."""
        return named(self.model, (), False) if self.many else reduce_model(self.model, self.given)

    @cached_property
    def pruned(self) -> Reduced:
        """The same less what matters to no observation."""
        if not self.many:
            return reduce_model(self.model, self.given, prune=True)
        names, seen = list(self.model.states), np.flatnonzero((self.given.states >= 0).any(axis=0))
        return named(self.model, [names[v] for v in seen], True)

    def under(self, query: str) -> Reduced:
        """The network that a query is about."""
        return self.pruned if query == "evidence" else self.reduced

    @cached_property
    def plan(self) -> Plan:
        """The plan of a question that was planned and answered in one call: the tree that ran."""
        assert self.ran is not None and self.budget is not None
        scopes = scopes_of(self.reduced.tables)
        tree = ContractionTree(scopes, self.ran.pairs(scopes.m), self.ran.cost)
        names, states = list(self.model.states), self.given.states
        seen = tuple(names[v] for v in np.flatnonzero(states >= 0))
        free = [v for v, i in zip(names, self.reduced.index.tolist(), strict=True) if i >= 0]
        return priced(tree, lambda: free, self.model.graph, seen, Ask("marginals", self.budget))

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables."""
        self.one()
        assert plan.budget is not None
        return joint_table(self.model, self.reduced, variables, Ask("joint", plan.budget))

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, np.ndarray]:
        """`n` exact samples of all variables."""
        self.one()
        assert plan.budget is not None
        return _drawn(self, plan_samples(plan, len(self.model.states), Ask("sample", plan.budget, n=n)), key)

    def in_names(self, found: dict[str, np.ndarray]) -> Rows:
        """State indices as names of states."""
        return by_name(self.states, found)

    def one(self) -> None:
        """Raise where there are many cases."""
        if self.many:
            raise ModelError("this needs one case, the evidence holds many; pick a row of it")

    def __getstate__(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in ("model", "given", "budget", "ran", "asked_for")}


def read(model: TableModel, evidence: Any) -> Case:
    """Evidence, checked."""
    given = parse_evidence(model.states, evidence)
    return _softly(model, given) if given.many and given.likelihoods else Case(model, given)


def _softly(model: TableModel, given: Evidence) -> Case:
    """Soft evidence of many cases as hard: what was observed of a variable becomes one that hangs on it.

    Each different row of weights is a state of it, and where nothing was observed its weights are one. The new
    variables come last, so that places of the others stay as they are.
    """
    names, states, columns = list(model.states), dict(model.states), [given.states]
    factors = list(model.factors) if isinstance(model, MarkovNetwork) else _families(model)
    for v, weights in given.likelihoods.items():
        rows, which = np.unique(weights, axis=0, return_inverse=True)
        heard = _unused(f"what was heard of {names[v]}", states)
        states[heard] = tuple(map(str, range(len(rows))))
        factors.append(((names[v], heard), rows.T))
        columns.append(which.reshape(-1, 1))
    whole = MarkovNetwork(states, factors, name=model.name)
    return Case(whole, Evidence(np.concatenate(columns, axis=1).astype(np.int32)), asked_for=model)


def _families(model: BayesianNetwork) -> list[Any]:
    return [((*model.parents[v], v), table) for v, table in model.tables.items()]


def _unused(name: str, known: Mapping[str, Any]) -> str:
    return name if name not in known else _unused(f"{name}'", known)


def groups(case: Case, ask: Ask) -> Iterator[tuple[Any, Case]]:
    """All cases together: rows are an axis of the contraction. The most probable states by what cases observe."""
    if not (case.many and ask.query == "map"):
        yield ALL, case
        return
    _, which = np.unique(case.given.states >= 0, axis=0, return_inverse=True)
    for k in range(int(which.max(initial=-1)) + 1):
        rows = np.flatnonzero(which.ravel() == k)
        yield rows, Case(case.model, Evidence(case.given.states[rows]), asked_for=case.asked_for)


def normalized(model: TableModel) -> bool:
    """Whether all joint states together have the probability one."""
    return isinstance(model, BayesianNetwork)


def at_once(case: Case, ask: Ask) -> Solved | None:
    """The marginals of one case in a single call into the kernels, on the terms of the budget; None beyond them."""
    if ask.query != "marginals" or ask.method != "auto" or case.given.many:
        return None
    tables = with_likelihoods(case.model.packed, case.given.likelihoods)
    found = kernels.answer(tables, case.given.states, terms(*ask.budget), GREEDY)
    if found is None:
        return None
    case.budget, case.ran = ask.budget, found.ran
    return Solved(ALL, case, case, Answer(Certificate.exact(found.log_z), found.marginals))  # pyright: ignore


def plan(case: Case, ask: Ask) -> Plan:
    """The plan of a query: a contraction tree, and for many rows or samples how many at a time."""
    model, given, query = case.model, case.given, ask.query
    check_method(ask.method, METHODS)
    if isinstance(ask.method, Plan):
        return _adopted(case, ask)
    if given.many and query == "map":
        seen = [v for v, i in zip(model.states, given.states[0] >= 0, strict=True) if i]
        found = plan_names(model, named(model, seen, False), seen, ask)
        return found.for_rows(len(given.states), found.seconds * len(given.states))
    if given.many:
        if query == "sample":
            case.one()
        return plan_rows(model, case.under(query), given.states, ask)
    return plan_case(model, case.under(query), given, ask)


def _adopted(case: Case, ask: Ask) -> Plan:
    """A plan made before, for what is observed here."""
    model, given = case.model, case.given
    case.one()
    names = np.array([*model.states, ""], object)[:-1]
    found = adopted(ask.method, model.graph, ask, set(names[given.states >= 0]))
    tree = found.program
    if tree is not None and tree.leaves is not None and given.likelihoods:
        raise ModelError("the plan was made by names, and knows no soft evidence: make one for this evidence")
    if (tree is None or tree.leaves is None) and not _fits(tree, case.under(ask.query)):
        raise ModelError("the plan was made for other states of what is observed: make one by names, or for these")
    return plan_samples(found, len(model.states), ask) if ask.query == "sample" else found


def _fits(tree: ContractionTree | None, rest: Reduced) -> bool:
    """Whether a tree is one for these tables; where there is none, whether there are no tables."""
    if tree is None:
        return rest.impossible or not rest.tables.n_factors
    a, b = tree.scopes, scopes_of(rest.tables)
    return all(np.array_equal(getattr(a, x), getattr(b, x)) for x in ("sizes", "starts", "members"))


def _ready(case: Case, plan: Plan) -> tuple[Reduced, ContractionTree | None]:
    """The conditioned network and the tree that runs on it."""
    tree = plan.program
    if tree is None or tree.leaves is None:
        return case.under(plan.query), tree
    base = named(case.model, plan.observed, plan.query == "evidence")
    rest = conditioned(base, case.given.states)
    return rest, fitted(tree, rest)


def solve(plan: Plan, case: Case, key: Any) -> Any:
    """What was planned, run: marginals, log Z, the most probable states or samples."""
    if case.given.many and plan.query == "map":
        return _most_probable_rows(case, plan)
    if case.given.many:
        from tractable.posterior.exact.batch import solve_rows  # a query of one case does not wait for it

        rows = solve_rows(case.model, case.under(plan.query), case.given.states, plan)
        return Answer(Certificate.of_cases(rows.log_z), rows.marginals)
    if plan.query == "sample":
        return _drawn(case, plan, key)
    reduced, tree = _ready(case, plan)
    if plan.query == "map":
        return most_probable_states(reduced, tree)
    found = sum_product(reduced, tree, plan.query == "marginals")
    return Answer(Certificate.exact(found.log_z), found.marginals)


def _most_probable_rows(case: Case, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """log p and the most probable states of each row [n_rows, n_variables]; those that are alike once."""
    base = named(case.model, plan.observed, False)
    rows, which = np.unique(case.given.states, axis=0, return_inverse=True)
    values, states = np.full(len(rows), -np.inf), rows.copy()
    for k, row in enumerate(rows):
        rest = conditioned(base, row)
        values[k], found = most_probable_states(rest, fitted(plan.program, rest))
        if values[k] > -np.inf:
            states[k] = found
    return values[which.ravel()], states[which.ravel()]


def _drawn(case: Case, plan: Plan, key: Any) -> dict[str, np.ndarray]:
    """Exact samples of all variables, as state indices."""
    reduced, tree = _ready(case, allowed(plan))
    states = sample_states(reduced, tree, generator(key), plan.n)
    return {name: states[:, v] for v, name in enumerate(case.model.states)}


# ---------------------------------------------------------------- records


def posterior(case: Case, solved: Sequence[Solved]) -> Posterior:
    """The record of the answer."""
    ((_, asked, plan, answer),) = solved
    places = Marginals(case.states, (case.asked_for or case.model).graph.state_slices, answer.marginals)
    return Posterior(answer.log_partition, places, plan, asked)


def log_partition(case: Case, solved: Sequence[Solved]) -> Certificate:
    """log Z, of every row where there are many."""
    return solved[0].answer.log_partition


def most_probable(case: Case, solved: Sequence[Solved]) -> MostProbable:
    """The most probable assignment, by names; of many cases columns of them, None where a case is impossible."""
    if case.many:
        return _many_most_probable(case, solved)
    value, states = solved[0].answer
    if value == -np.inf:
        raise ImpossibleEvidenceError("the evidence has probability zero under the model: no state is possible")
    names = case.states
    assignment = {v: str(names[v][s]) for v, s in zip(names, states.tolist(), strict=False)}
    return MostProbable(assignment, Certificate.exact(value), solved[0].plan)


def _many_most_probable(case: Case, solved: Sequence[Solved]) -> MostProbable:
    values = np.full(len(case.given.states), -np.inf)
    states = np.full((len(values), len(case.states)), -1, np.int32)
    for rows, _, _, (own, found) in solved:
        values[rows], states[rows] = own, found[:, : states.shape[1]]
    states[values == -np.inf] = -1
    names = by_name(case.states, dict(zip(case.states, states.T, strict=True)))
    plan = (
        costliest(solved)
        if solved
        else plan_rows(case.model, case.reduced, states[:0], asking("marginals", None, None))
    )
    return MostProbable(names, Certificate.of_cases(values), plan)


def sample(case: Case, solved: Sequence[Solved]) -> dict[str, np.ndarray]:
    """Variable → state indices [n]."""
    return solved[0].answer


def by_name(states: Mapping[str, Sequence[str]], codes: Mapping[str, np.ndarray]) -> Rows:
    """State indices as names, −1 as None; what is no index is a number already."""
    of = {v: np.array([*states[v], None], object) for v in codes}
    return Rows({v: of[v][own] if own.dtype.kind in "iu" else own for v, own in codes.items()})


def in_names(model: TableModel, found: dict[str, np.ndarray], data: Any, expected: bool = False) -> Any:
    """State indices as names of states, in the container that the data came in: its columns first."""
    first = [v for v in columns_of(data) if v in found] if is_named(data) else []
    return like(data, by_name(model.states, {v: found[v] for v in dict.fromkeys([*first, *found])}))


# ---------------------------------------------------------------- rows of data


def read_rows(model: TableModel, data: Any, missing: bool) -> Case:
    """Rows of data as cases of evidence."""
    states = model.check(data).states if isinstance(model, BayesianNetwork) else parse_rows(model.states, data)
    return Case(model, Evidence(states))


def impute(case: Case, solved: Sequence[Solved], expected: bool = False) -> dict[str, np.ndarray]:
    """Variable → state indices [n_rows], the most probable state of each missing value given what the row observes.

    With `expected` a variable whose states all read as numbers has these, and their mean where one is missing. Nothing
    is likely in a row that is impossible: there a gap stays one, −1, of numbers NaN.
    """
    post, states = posterior(case, solved), case.given.states
    found, possible = post.marginals, post.possible
    guess = {v: np.where(possible, np.nan_to_num(found.array(v)).argmax(1), -1) for v in case.model.states}
    guess = {v: own.astype(np.int32) for v, own in guess.items()}
    whole = {v: np.where(states[:, i] < 0, guess[v], states[:, i]) for i, v in enumerate(case.model.states)}
    return whole | (_expected(case, found, np.asarray(possible)) if expected else {})


def _expected(case: Case, found: Any, possible: np.ndarray) -> dict[str, np.ndarray]:
    """The variables whose states are numbers, as these: what is observed, else the mean."""
    out = {}
    for (v, names), states in zip(case.model.states.items(), case.given.states.T, strict=True):
        if (levels := numbers_in(names)) is not None:
            mean = np.where(possible, np.nan_to_num(found.array(v)) @ levels, np.nan)
            out[v] = np.where(states < 0, mean, levels[np.maximum(states, 0)])
    return out


def log_likelihoods(model: TableModel, data: Any, question: Ask) -> Certificate | None:
    """log p of what each row observes: by the cases of the E-step where tables are conditional; None elsewhere."""
    if not isinstance(model, BayesianNetwork):
        return None
    from tractable.posterior.exact import expected_tables

    rows, memory = model.check(data), question.budget.memory
    if not len(rows):
        raise ModelError("there are no rows")
    expected_tables.affordable(model, rows, memory)
    return Certificate.of_cases(expected_tables.log_likelihood_rows(model, rows, memory))


def affordable(model: BayesianNetwork, data: Any, memory: Memory) -> None:
    """Refuse E-steps that take more than `memory`, or in which a row does."""
    from tractable.posterior.exact import expected_tables

    expected_tables.affordable(model, data, memory)


def expected_statistics(
    model: BayesianNetwork, data: Any, weights: Any = None, q: Any = "exact", before: Any = None, memory: Memory = None
) -> Any:
    """The E-step, whose modules a query does not wait for; ``"hard"``: under the best completion of each row."""
    from tractable.posterior.exact import expected_tables

    if q != "hard":
        return expected_tables.expected_statistics(model, data, weights, q, before, memory)
    soft = expected_tables.expected_statistics(model, data, weights, "exact", before, memory)
    found = expected_tables.expected_statistics(model, _completed(model, data, memory), weights)
    return found._replace(log_likelihood=soft.log_likelihood, kl=soft.log_likelihood - found.elbo)


def _completed(model: BayesianNetwork, data: Any, memory: Memory) -> Any:
    """Rows with the most probable states in their gaps; an impossible row, which does not count, with any."""
    question, rows = asking("map", memory, np.inf), data.states.copy()
    parts = list(groups(Case(model, Evidence(data.states)), question))
    for some, case, how in [(some, case, allowed(plan(case, question))) for some, case in parts]:
        rows[some] = np.maximum(solve(how, case, 0)[1], 0)
    return Observations(rows)


joint = Case.joint
