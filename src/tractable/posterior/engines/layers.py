"""The engine of models of layers: sigmoid belief networks, deep belief networks, Helmholtz machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models import layers as models
from tractable.models._base import ModelError
from tractable.models.as_tables import SPAN, is_steep
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.emissions import Statistics
from tractable.models.keys import generator
from tractable.models.layers import merged
from tractable.models.recognition import RecognitionNetwork
from tractable.plan import Ask, Memory, Plan, adopted, allowed, ask
from tractable.plan._base import n_ranks
from tractable.plan.budget import COMPARED
from tractable.plan.directed import EXACT, plan_layers
from tractable.plan.most_probable import SearchRun
from tractable.posterior._base import Drawn, MostProbable, Posterior
from tractable.posterior.approximate import layer_chains
from tractable.posterior.approximate import layers as approximate
from tractable.posterior.best import RankedModes, modes_first
from tractable.posterior.cases import CaseAnswer, Cases, exact_answer, one, read_cases, unbatched
from tractable.posterior.certificate import Certificate
from tractable.posterior.engines import machines
from tractable.posterior.engines._protocol import Solved, costliest, gathered, in_order, scattered, unsupported
from tractable.posterior.exact import layer_maxima, sparse_layers
from tractable.posterior.exact import layers as exact
from tractable.posterior.expected import Expected
from tractable.posterior.marginals import Means

OPTIONS = {"impute": ("n_sweeps",), "most_probable": ("k",)}
APPROXIMATE: dict[str, Callable[..., CaseAnswer]] = {
    "mean_field": approximate.by_mean_field,
    "gibbs": layer_chains.by_gibbs,
    "importance": approximate.by_importance,
    "annealing": approximate.by_annealing,
}


class Parts(NamedTuple):
    """The generative model, and the recognition network where there is one."""

    model: Any
    recognition: RecognitionNetwork | None


def parts(model: Any) -> Parts:
    """A Helmholtz machine as its two networks; a generative model alone has no recognition network."""
    if model.family == "helmholtz":
        return Parts(model.generative, model.recognition)
    return Parts(model, None)


def cases_of(model: Any, evidence: Any) -> Cases:
    """Evidence as cases, with what the model has been conditioned on."""
    own = parts(model).model
    cases = read_cases(own, evidence)
    if not cases.n_rows:
        raise ModelError("there are no rows")
    if own.known is None:
        return cases
    values = merged(own.known, cases.values)
    return Cases({name: np.broadcast_to(values[name], cases.values[name].shape) for name in own.groups}, cases.many)


@dataclass(frozen=True, eq=False)
class Asked:
    """A generative model, the recognition network that goes with it, and cases of what is observed."""

    model: Any
    recognition: RecognitionNetwork | None
    cases: Cases

    @property
    def many(self) -> bool:
        """Whether there are many cases."""
        return self.cases.many

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """Not tabulated."""
        raise unsupported(self.model, "joint")

    def draw(self, plan: Plan, n: int, key: Any) -> Mapping[str, np.ndarray]:
        """`n` samples of all units: exact ones where the plan is, else the ends of chains."""
        assert plan.budget is not None
        one(self.cases)
        method = "auto" if plan.method in EXACT else "gibbs"
        own = allowed(globals()["plan"](self, Ask("sample", plan.budget, method, n)))
        drawn = _drawn(self, own, key)
        return {name: drawn.of(name) for name in drawn.values}


def read(model: Any, evidence: Any) -> Asked:
    """Evidence as cases."""
    own = parts(model)
    return Asked(own.model, own.recognition, cases_of(model, evidence))


def read_rows(model: Any, data: Any, missing: bool) -> Asked:
    """Rows of the visible units."""
    return read(model, data if missing else rows_of(model, data))


def rows_of(model: Any, data: Any, missing: bool = False) -> np.ndarray:
    """Rows of the visible units, checked."""
    return models.rows_of(parts(model).model, data, missing)


def groups(asked: Asked, ask: Ask) -> Iterator[tuple[np.ndarray, Asked]]:
    """The cases that share all sums but the last; an approximation takes all together."""
    if ask.method in APPROXIMATE:
        yield np.arange(asked.cases.n_rows), asked
        return
    for rows, part in alike(asked.cases):
        yield rows, Asked(asked.model, asked.recognition, part)


def take(asked: Asked, rows: np.ndarray) -> Asked:
    """Some of the cases."""
    return Asked(asked.model, asked.recognition, asked.cases.take(rows))


def alike(cases: Cases) -> Iterator[tuple[np.ndarray, Cases]]:
    """The rows with the same units observed, and the same values of hidden ones: they share all sums but the last."""
    hidden = [v for name, v in cases.values.items() if name != VISIBLE]
    words = [np.isnan(cases.values[VISIBLE]), *(np.nan_to_num(v, nan=2.0) for v in hidden)]
    keys = np.concatenate(words, axis=1).astype(np.int8)
    if (keys == keys[0]).all():
        yield np.arange(len(keys)), cases
        return
    _, group = np.unique(keys, axis=0, return_inverse=True)
    for g in range(int(group.max()) + 1):
        rows = np.flatnonzero(group.ravel() == g)
        yield rows, cases.take(rows)


def plan(asked: Asked, ask: Ask) -> Plan:
    """The plan for cases with the same units observed."""
    if isinstance(ask.method, Plan):
        graph = asked.model.graph
        return adopted(ask.method, graph, ask, graph.observed(asked.cases.observed()))
    if ask.query == "sample":
        one(asked.cases)
    ask = _within_tables(asked, ask)
    proposed = asked.recognition is not None and approximate.is_proposable(asked.model, asked.cases)
    found = plan_layers(asked.model.graph, asked.cases.observed(), ask, asked.cases.n_rows, proposed)
    if found.method == "elimination" and ask.query != "map" and asked.cases.n_rows >= sparse_layers.MANY:
        return sparse_layers.plan_together(asked.model, asked.cases, found, ask)
    return found


def _within_tables(asked: Asked, ask: Ask) -> Ask:
    """The question, about enumeration where tables would hold zeros; a maximum is looked at when it is found."""
    if ask.method not in ("auto", "elimination") or ask.query == "map" or not is_steep(asked.model):
        return ask
    if ask.method == "elimination":
        sparse_layers.check_tables(asked.model)
    return ask._replace(method="enumeration")


def solve(plan: Plan, asked: Asked, key: Any) -> Any:
    """What was planned, run."""
    model, cases = asked.model, asked.cases
    if plan.query == "map":
        return _modes(model, cases, plan, key)
    if plan.query == "sample":
        return _drawn(asked, plan, key)
    if plan.method == "recognition":
        means = approximate.recognized(model, asked.recognition, cases.values[VISIBLE])  # pyright: ignore
        return CaseAnswer(Certificate.exact(0.0), {name: Certificate.estimate(m) for name, m in means.items()})
    if plan.method in APPROXIMATE:
        return APPROXIMATE[plan.method](model, asked.recognition, cases, key, plan.program)
    if isinstance(plan.program, Plan):
        return _top_only(model, cases, plan.program)
    solver = sparse_layers.solve if plan.method == "elimination" else _enumerate
    return exact_answer(*solver(model, cases, plan))


def _modes(model: Any, cases: Cases, plan: Plan, key: Any) -> list[RankedModes]:
    """The best joint states of every case."""
    if isinstance(plan.program, SearchRun):
        return [_searched(model, cases.row(r), plan, key) for r in range(cases.n_rows)]
    if plan.method == "elimination":
        return [sparse_layers.most_probable(model, cases.row(r), plan.program) for r in range(cases.n_rows)]
    return layer_maxima.most_probable(model, cases.values, n_ranks(plan.n, float(cases.n_free)))


def _searched(model: Any, values: Mapping[str, np.ndarray], plan: Plan, key: Any) -> RankedModes:
    """The best joint states of a case that a search of its tables finds, and bounds of the others."""
    reduced = sparse_layers.tables_of(model, values)
    found = machines.searched(reduced, plan, key)
    if len(found.values) < plan.n or found.values.min() < -SPAN:
        sparse_layers.check_tables(model)
    return RankedModes(found.values, sparse_layers.by_layer(model, found.states), found.upper, found.tied)


def _enumerate(model: Any, part: Cases, plan: Plan) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    problem = exact.Problem(model, list(part.values.values()), plan.query)
    log_z = problem.log_z()
    if not problem.by_row:  # visible units that are free depend on each other: one row at a time
        rest = [exact.Problem(model, list(part.take([r]).values.values()), plan.query) for r in range(1, part.n_rows)]
        problems = [problem, *rest]
        log_z = np.concatenate([p.log_z() for p in problems])
        means = [p.means(slice(None)) for p in problems] if plan.query != "evidence" else []
    else:
        means = [problem.means(rows) for rows in problem.chunks(0)] if plan.query != "evidence" else []
    columns = [np.concatenate(layer) for layer in zip(*means, strict=True)]
    return log_z, dict(zip(model.groups, columns, strict=False))


def _top_only(model: Any, part: Cases, plan: Plan) -> CaseAnswer:
    """log Z of the machine on top, on the plan made for it."""
    lower, upper = (part.values[name][:1] for name in model.groups[-2:])
    asked = machines.read(model.top, {"visible": lower[0], "hidden": upper[0]})
    value = machines.solve(plan, asked, 0).log_partition.value
    return exact_answer(np.full(part.n_rows, float(value[0])), {})


def _drawn(asked: Asked, plan: Plan, key: Any) -> machines.DrawnStates:
    """Samples of all layers: from the top downward, exact given evidence, or by chains."""
    model, cases, n, method = asked.model, asked.cases, plan.n, str(plan.method)
    if method == "ancestral":
        return _from_the_top(model, key, n, plan.program)
    if method == "elimination":
        return machines.DrawnStates(sparse_layers.draw(model, cases.row(0), plan, generator(key)), method)
    if method in EXACT:
        drawn = exact.Problem(model, list(cases.values.values()), "marginals").draw(generator(key), n)
        return machines.DrawnStates(dict(zip(model.groups, drawn, strict=True)), method)
    found = layer_chains.chain_ends(model, asked.recognition, cases, key, (n, plan.program.n_sweeps))
    return machines.DrawnStates(found.values, method, found.verdict)


def _from_the_top(model: Any, key: Any, n: int, top: Plan | None) -> machines.DrawnStates:
    """Nothing is observed: as good as what is drawn of the machine on top, exact where there is none."""
    if top is None:
        return machines.DrawnStates(dict(zip(model.groups, ancestral(model, key, n), strict=True)), "ancestral")
    drawn = machines.solve(top, machines.read(model.top, None), key)
    below = approximate.below(model, key, np.asarray(drawn.values[VISIBLE], np.float32))
    layers = [*map(np.asarray, below), *(np.asarray(drawn.values[name]) for name in model.top.hidden)]
    return drawn._replace(values=dict(zip(model.groups, layers, strict=True)))


def ancestral(model: Any, key: Any, n: int) -> list[np.ndarray]:
    """`n` states of all layers of a directed network, the visible one first."""
    return [np.asarray(h) for h in model.sample(key, n)]


# ---------------------------------------------------------------- records


def posterior(asked: Asked, solved: Sequence[Solved]) -> Posterior[Means]:
    """The means of all units, those observed included."""
    n, cases = asked.cases.n_rows, asked.cases
    means = {g: gathered(n, [(s.rows, s.answer.means[g]) for s in solved]) for g in asked.model.groups}
    record = Means({name: unbatched(cases, c) for name, c in means.items()})
    return Posterior(log_partition(asked, solved), record, costliest(solved), asked)


def log_partition(asked: Asked, solved: Sequence[Solved]) -> Certificate:
    """log p(x) of every case; of a deep belief network log p̃(x), and log Z where nothing is observed."""
    found = gathered(asked.cases.n_rows, [(s.rows, s.answer.log_partition) for s in solved])
    return unbatched(asked.cases, found)


def normalized(model: Any) -> bool:
    """Whether all states of the visible layer together have the probability one."""
    own = parts(model).model
    return own.family == "sigmoid_belief" and own.known is None


def most_probable(asked: Asked, solved: Sequence[Solved]) -> list[MostProbable]:
    """The most probable joint states of all units, layer → states; of many cases states [n_rows, n_units]."""
    return modes_first(costliest(solved), in_order(solved), asked.many)


def sample(asked: Asked, solved: Sequence[Solved]) -> Drawn:
    """The visible units [n, n_visible]."""
    drawn = solved[0].answer
    return Drawn.of(np.asarray(drawn.values[VISIBLE], np.float64), drawn.verdict)


def _means(asked: Asked, solved: Sequence[Solved]) -> dict[str, np.ndarray]:
    """The means of the hidden layers of all rows."""
    n = asked.cases.n_rows
    return {g: scattered(n, [(s.rows, s.answer.means[g].value) for s in solved]) for g in asked.model.hidden}


def transform(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The means of the hidden units given each row [n_rows, n_hidden units], all hidden layers side by side.

    Exact where that is affordable; else those of the recognition network, or of mean field where there is none or where
    the model has been conditioned on hidden units, of which such a network knows nothing.
    """
    means = _means(asked, solved)
    return np.concatenate([np.zeros((asked.cases.n_rows, 0)), *means.values()], axis=1)


def reconstruct(asked: Asked, solved: Sequence[Solved]) -> np.ndarray:
    """The means of the visible units given the means of the hidden ones [n_rows, n_visible].

    With weights within the visible layer each unit sees the means of those before it.
    """
    own, means = asked.model, _means(asked, solved)
    a = np.tile(np.asarray(own.biases[0], float), (asked.cases.n_rows, 1))
    if own.hidden:
        a = a + means[own.hidden[0]] @ np.asarray(own.weights[0], float).T
    with jax.enable_x64(True):
        return np.asarray(models.means_within(jnp.asarray(a), own.within[0]))


def impute(asked: Asked, solved: Sequence[Solved]) -> Drawn:
    """The data with its missing entries (NaN) replaced by their posterior means [n_rows, n_visible].

    Exact where that is affordable, else averages over Gibbs chains, with their verdict. A recognition network has
    learned from complete rows, and its weighted samples are far off where much is missing.
    """
    values = asked.cases.values[VISIBLE]
    means = gathered(len(values), [(s.rows, s.answer.means[VISIBLE]) for s in solved])
    out = Drawn.of(np.where(np.isnan(values), means.value, values), means.verdict)
    return out if asked.many else out[0]


# ---------------------------------------------------------------- for learning


def expected_statistics(
    model: Any,
    x: np.ndarray,
    weights: np.ndarray | None = None,
    q: str | int = "exact",
    before: Any = None,
    memory: Memory = None,
) -> Expected:
    """The E-step of mean field: the means of q for every row, and the bound of Saul, Jaakkola & Jordan as the ELBO.

    log p(x) is exact where that takes no more than a second, else between the bound and zero.

    Raises
    ------
    ModelError : another q than ``"mean_field"``.
    """
    if q != "mean_field":
        raise ModelError(f"what stands for the posterior of a {type(model).__name__} is 'mean_field', got {q!r}")
    cases, count = cases_of(model, x), np.ones(len(x)) if weights is None else weights
    found = approximate.factorized(model, cases, None if before is None else before.q)
    means = {f"mean{at}": mean for at, mean in enumerate(found.means)}
    statistics = Statistics({"weight": count, "known": ~np.isnan(cases.values[VISIBLE]), **means})
    elbo, exactly = float(found.bound @ count), _compared(model, cases, memory)
    if exactly is None:
        return Expected(statistics, elbo, elbo, 0.0, 0.0, found.logits)
    log_p = np.asarray(exactly.value)
    return Expected(statistics, float(log_p @ count), elbo, float((log_p - found.bound) @ count), None, found.logits)


def _compared(model: Any, cases: Cases, memory: Memory) -> Certificate | None:
    """log p(x) of every row, where that takes no more than a moment."""
    question = ask("evidence", memory, COMPARED)
    parts = groups(Asked(model, None, cases), question)
    planned = [(rows, part, plan(part, question)) for rows, part in parts]
    if any(p.method is None for *_, p in planned) or sum(p.seconds for *_, p in planned) > COMPARED:
        return None
    return gathered(cases.n_rows, [(rows, solve(p, part, 0).log_partition) for rows, part, p in planned])
