"""The verbs: a model and evidence in, certified numbers out. Each walks the way that `engines._protocol` describes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np

from tractable.kernels.interrupts import heard
from tractable.models.rows import Rows, like
from tractable.plan import Memory, Plan, ask
from tractable.posterior._base import MostProbable, n_samples
from tractable.posterior.certificate import Certificate
from tractable.posterior.dispatch import (
    asked_of,
    best_of,
    check_targets,
    engine_of,
    halved,
    in_names,
    terms_of,
    walk_of,
)
from tractable.posterior.engines._protocol import answered


class Budgeted(TypedDict, total=False):
    """The budget of every verb."""

    memory: Memory
    seconds: float | None


class Allowance(Budgeted, total=False):
    """The budget, and of a network the terms of an interval that answers where exact numbers are beyond it."""

    confidence: float | None
    draws: int | None


class SoughtFor(Allowance, total=False):
    """The same, and the key of a search."""

    key: Any


if TYPE_CHECKING:
    from tractable.models import (
        Boltzmann,
        DeepBeliefNetwork,
        FactorialHiddenMarkovModel,
        HelmholtzMachine,
        HiddenMarkovModel,
        Mixture,
        SigmoidBeliefNetwork,
    )
    from tractable.models.conditioning import TableModel
    from tractable.posterior._base import Posterior
    from tractable.posterior.engines.chains import ChainPosterior
    from tractable.posterior.engines.factorial import FactorialPosterior
    from tractable.posterior.marginals import Marginals, Means

    class Sought(SoughtFor, total=False):
        """What is asked for, and how it is found."""

        targets: Any
        method: str | Plan

    class Sampled(Budgeted, total=False):
        """How to sample."""

        method: str | Plan
        evidence: Any
        key: Any
        codes: bool

    MachineOrLayers = Boltzmann | SigmoidBeliefNetwork | DeepBeliefNetwork | HelmholtzMachine
    RowModel = MachineOrLayers | Mixture | HiddenMarkovModel | FactorialHiddenMarkovModel


@overload
def infer(model: TableModel | Mixture, evidence: Any = ..., **how: Unpack[Sought]) -> Posterior[Marginals]: ...
@overload
def infer(model: MachineOrLayers, evidence: Any = ..., **how: Unpack[Sought]) -> Posterior[Means]: ...
@overload
def infer(model: HiddenMarkovModel, evidence: Any = ..., **how: Unpack[Sought]) -> ChainPosterior: ...
@overload
def infer(model: FactorialHiddenMarkovModel, evidence: Any = ..., **how: Unpack[Sought]) -> FactorialPosterior: ...
@overload
def infer(model: Any, evidence: Any = ..., **how: Unpack[Sought]) -> Any: ...


@heard
def infer(
    model: Any,
    evidence: Any = None,
    *,
    targets: Any = None,
    method: str | Plan = "auto",
    key: Any = 0,
    **terms: Unpack[Allowance],
) -> Any:
    """The posterior of every variable given the evidence, or of those asked for: p(z | x) = p(z, x) / p(x).

    Of Bayesian networks and Markov networks it holds variable → state → probability. Of Boltzmann machines (general,
    restricted, deep), sigmoid belief networks, deep belief networks and Helmholtz machines group → means of its units
    [n]. Of mixtures ``"component"`` → probabilities, of hidden Markov models ``"state"`` → those of each row [t, K], of
    factorial hidden Markov models the same for each chain, ``"chain0"``, …. For many cases arrays have an axis of rows
    in front; of many sequences there are lists.

    Parameters
    ----------
    model : of any of these families.
    evidence : of a network one case (variable → state, or soft evidence: state → weight, `likelihood`) or many
        (variable → column of states, a list of cases, a DataFrame, an array [n_rows, n_variables] with NaN for
        unobserved); of machines
        and layers values of the visible units [n_visible] or [n_rows, n_visible], or group → values; of a mixture rows,
        of a chain sequences. NaN is unobserved.
    targets : of a network the variables whose marginals are asked for, each once; none for log Z alone. What does not
        matter to these and to the evidence is left out. One that is observed has its state for certain.
    method : ``"auto"`` takes what the plan chooses; the families' other methods are named in `plan`. Of a network that
        is exact where at most 30 seconds are predicted, or `seconds`, else ``"mini_buckets"``: intervals that hold with
        a stated confidence, from draws under an upper bound. ``"exact"`` never falls back on these.
        ``"belief_propagation"``, ``"gibbs"`` and ``"mean_field"`` are estimates, and say in a verdict what they are
        worth; log Z of the last is a lower bound.
        A `Plan` made before is run as it is; that of an interval, as `plan` of the posterior, is repeated to the bit.
    key : of methods that draw random numbers.
    memory, seconds : the budget, see `plan`. Of a network `seconds` are also those of an interval, 10 if absent, of all
        cases together; Ctrl-C ends it sooner with what it has by then.
    confidence : of the intervals of a network, 0.95 if absent: all its marginals together, and log Z, each at that.
    draws : so many for an interval, whatever the clock says: the same key gives the same numbers.

    Returns
    -------
    Posterior : ``marginals``, ``log_partition`` (a Certificate), ``joint``, ``sample``, ``plan``. Impossible evidence
        has log evidence −∞; one case among many spoils no other: its marginals are NaN, and the verdict names it.
        Marginals that are intervals have their ends in ``certificates(name)``, and the certificate of log Z says how
        much was drawn and what more time would give. Variables of a network that the budget refuses while it allows
        others, with ``method="exact"``, are in ``refused``, with their plans.

    Raises
    ------
    ModelError : evidence that does not fit the model, an unknown target, a method that does not apply, a plan for
        another question. UnsupportedError : targets of a model that is no network.
    BudgetError : the budget refuses all that is asked for, and there is no interval: with ``method="exact"``, of other
        models than networks, or where the memory does not suffice for one; its ``plan`` says why.
    ValueError : a confidence outside of (0, 1), no draws, no seconds.

    Examples
    --------
    >>> import numpy as np
    >>> net = tr.BayesianNetwork(
    ...     {"rain": ["no", "yes"], "wet": ["no", "yes"]},
    ...     {"wet": ["rain"]},
    ...     {"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]},
    ... )
    >>> post = tr.infer(net, {"wet": "yes"})
    >>> round(post.marginals["rain"]["yes"], 6)
    0.666667
    >>> round(float(np.exp(post.log_partition.value)), 6), post.log_partition.kind
    (0.24, 'exact')
    >>> tr.infer(net, {"wet": "yes"}, targets=["rain"]).marginals
    Marginals of 1 variable: rain (no 0.3333, yes 0.6667)
    >>> found = tr.infer(net, {"wet": "yes"}, method="mini_buckets", draws=4096).certificates("rain")
    >>> bool(found.lower[1] < 2 / 3 < found.upper[1]), found.confidence
    (True, 0.95)
    """
    engine = engine_of(model, "posterior")
    if targets is not None:
        check_targets(engine, model)
    asked = engine.read(model, evidence)
    question = ask("marginals", method=method, targets=targets, **terms_of(engine, model, terms))
    return engine.posterior(asked, answered(engine, asked, question, key))


@heard
def log_evidence(
    model: Any, evidence: Any = None, *, method: str = "auto", key: Any = 0, **terms: Unpack[Allowance]
) -> Certificate:
    """log p(x) of the evidence x: log Z(condition(m, x)) − log Z(m); for many cases an array.

    The second term is zero for Bayesian networks, sigmoid belief networks, Helmholtz machines over these, mixtures,
    hidden Markov models and factorial hidden Markov models. Markov networks, Boltzmann machines (general, restricted,
    deep) and deep belief networks need it. What is not observed is summed out. `method` as of `infer`, for both: of
    networks an interval answers where exact numbers take too long, and ``"belief_propagation"`` estimates
    them, and ``"mean_field"`` bounds log Z from below.

    Parameters
    ----------
    confidence, draws, key : of a network, see `infer`. Where both terms are intervals each has half of the time and of
        the probability to fail, so that the difference holds with the confidence asked for.
    memory, seconds : the budget, see `plan`.

    Raises
    ------
    ModelError : evidence that does not fit the model. ImpossibleEvidenceError : a Markov network that allows nothing.
    BudgetError, ValueError : as for `infer`.

    Examples
    --------
    >>> import numpy as np
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(float(np.exp(tr.log_evidence(net, {"a": "1"}).value)), 6)
    0.75
    """
    engine = engine_of(model, "log_partition")
    asked = engine.read(model, evidence)
    question = ask("evidence", method=method, **terms_of(engine, model, terms))
    if getattr(engine, "normalized", lambda _: False)(model):
        return engine.log_partition(asked, answered(engine, asked, question, key))
    whole = engine.read(model, None)
    log_z = engine.log_partition(whole, answered(engine, whole, halved(question), key))
    question = question if log_z.kind == "exact" else halved(question)
    return engine.log_partition(asked, answered(engine, asked, question, key)) - log_z


@heard
def log_partition(
    model: Any, evidence: Any = None, *, method: str | Plan = "auto", key: Any = 0, **terms: Unpack[Allowance]
) -> Certificate:
    """log Z = log Σ_z p̃(z, x): exact, of a network too expensive for that an interval; an array for many cases.

    Of Bayesian networks, sigmoid belief networks, mixtures, hidden Markov models and factorial hidden Markov models it
    is log p(x), zero without evidence. Of Markov networks, Boltzmann machines (general, restricted, deep) and deep
    belief networks it is not normalized. A Helmholtz machine has that of its generative model. `method`, `key`,
    `memory`, `seconds`, `confidence` and `draws` as for `infer`.

    Raises
    ------
    ModelError : evidence that does not fit the model. BudgetError, ValueError : as for `infer`.

    Examples
    --------
    >>> import numpy as np
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(float(np.exp(tr.log_partition(net).value)), 6)
    4.0
    """
    engine = engine_of(model, "log_partition")
    asked = engine.read(model, evidence)
    question = ask("evidence", method=method, **terms_of(engine, model, terms))
    return engine.log_partition(asked, answered(engine, asked, question, key))


@overload
def most_probable(model: Any, evidence: Any = ..., *, k: Literal[1] = ..., **how: Unpack[Sought]) -> MostProbable: ...
@overload
def most_probable(model: Any, evidence: Any = ..., *, k: int, **how: Unpack[Sought]) -> list[MostProbable]: ...


@heard
def most_probable(
    model: Any,
    evidence: Any = None,
    *,
    targets: Any = None,
    k: int = 1,
    method: str | Plan = "auto",
    **terms: Unpack[SoughtFor],
) -> Any:
    """The most probable joint state given the evidence: argmax_z p(z | x), of all variables or of some; the k best.

    Of Bayesian networks and Markov networks variable → name of its state, of many cases columns of them in the
    container that these came in; of mixtures the component of a row. Of hidden Markov models the path of states [t]
    (Viterbi), of factorial hidden Markov models a path for each chain. Of Boltzmann machines (general, restricted,
    deep), sigmoid belief networks, deep belief networks and Helmholtz machines group → values of its units, which are
    discrete where they are free. A case among many that is impossible, or has fewer than k, has None, a sequence the
    states −1, units NaN, and log probability −∞.

    Parameters
    ----------
    targets : of a network the variables asked for; all others are summed out: argmax_y Σ_z p(y, z, x).
    k : so many of the best, a list with the best first; fewer where there are fewer of positive probability. All are
        distinct; ``tied`` says where another one is as probable.
    method : ``"auto"`` is exact where that is predicted to take at most 30 seconds, or `seconds`; else of a network of
        tables, and of machines and layers with few links, what a search finds under a bound, whose `optimum` has both
        ends. ``"exact"`` refuses instead. The plan of what a search has found in one case, ``found.plan``, repeats it
        to the bit: it has noted how far the clock let it go.
    key, confidence : of searches, and of sums under which others are exact by intervals alone.
    memory, seconds : the budget, see `plan`; a search takes 10 seconds where none are given.

    Raises
    ------
    ImpossibleEvidenceError : the evidence has probability zero. ModelError : a target that is observed, or that the
        model does not have. BudgetError : as for `infer`.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1.0, 2.0], [3.0, 4.0]])])
    >>> tr.most_probable(net, {"a": "0"}).assignment
    {'a': '0', 'b': '1'}
    >>> tr.most_probable(net, targets=["b"]).assignment
    {'b': '1'}
    >>> [best.assignment for best in tr.most_probable(net, k=2)]
    [{'a': '1', 'b': '1'}, {'a': '1', 'b': '0'}]
    """
    engine, key = engine_of(model, "most_probable"), terms.pop("key", 0)
    asked = engine.read(model, evidence)
    more = best_of(engine, model, targets, k)
    question = ask("map", method=method, **more, **terms_of(engine, model, terms, "most_probable"))
    found = [_as_given(evidence, one) for one in engine.most_probable(asked, answered(engine, asked, question, key))]
    return found[0] if k == 1 else found


def _as_given(evidence: Any, found: MostProbable) -> MostProbable:
    """Of many cases columns in the container that these came in."""
    many = isinstance(found.assignment, Rows)
    return replace(found, assignment=like(evidence, found.assignment), by_name=found.assignment) if many else found


@overload
def sample(model: TableModel, n: int, **how: Unpack[Sampled]) -> Rows: ...
@overload
def sample(model: RowModel, n: int, **how: Unpack[Sampled]) -> np.ndarray: ...
@overload
def sample(model: Any, n: int, **how: Unpack[Sampled]) -> Any: ...


@heard
def sample(
    model: Any,
    n: int,
    *,
    evidence: Any = None,
    key: Any = 0,
    codes: bool = False,
    **how: Any,
) -> Any:
    """`n` samples given the evidence: x ~ p(x | evidence).

    Of Bayesian networks and Markov networks variable → names of states [n] (`Rows`, of which any library makes a table;
    state indices with ``codes=True``), exact and independent, or with ``method="gibbs"`` from chains, with a
    ``verdict``. Of Boltzmann machines (general, restricted, deep),
    sigmoid belief networks, deep belief networks and Helmholtz machines the values of the visible units [n, n_visible]
    with a ``verdict``, exact where that is affordable (of ferromagnets up to flips by random clusters), else annealed
    along all modes that are found, or ends of chains. Of mixtures rows [n, d]. Of hidden Markov models and factorial
    hidden Markov models a sequence of `n` rows [n, d], or `n` completions of the evidence [n, t, d]; these are exact.

    Raises
    ------
    ImpossibleEvidenceError : the evidence has probability zero. ModelError, BudgetError : as for `infer`.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [0.0, 3.0])])
    >>> tr.sample(net, 3)["a"].tolist(), tr.sample(net, 3, codes=True)["a"].tolist()
    (['1', '1', '1'], [1, 1, 1])
    """
    budget = {name: how.pop(name, None) for name in ("memory", "seconds")}
    options = how | {"n": n_samples(n)} | ({"codes": True} if codes else {})
    engine, question = asked_of(model, "sample", "sample", budget["memory"], budget["seconds"], options)
    walk = engine, question._replace(anytime=terms_of(engine, model, budget)["anytime"])
    found = walk_of("sample", walk[0].read(model, evidence), walk, key)
    return in_names(walk[0], model, found, None, codes)


@heard
def expected_statistics(
    model: Any, data: Any, weights: Any = None, q: Any = "exact", before: Any = None, memory: Memory = None
) -> Any:
    """The E-step: expected sufficient statistics of checked data, Σ log p(x), Σ ELBO and Σ KL, by field name.

    Of Bayesian networks counts for each table; of mixtures, hidden Markov models and factorial hidden Markov models
    those of weights or transitions and of emissions; of sigmoid belief networks means under mean field.
    `weights`: how often each row counts; `q`: what stands for the posterior, which every family reads for itself;
    `before`: the E-step before this one, where a search for q begins.
    """
    how = (q, before, memory)[: 2 if memory is None else 3]
    return engine_of(model, "expected_statistics").expected_statistics(model, data, weights, *how)
