"""The records of this room: what is known given the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from tractable._cached import cached_property
from tractable.models.frames import frame_of
from tractable.models.rows import columns_of, is_column
from tractable.plan import BudgetError, Plan
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError, joined
from tractable.posterior.marginals import Means

M = TypeVar("M", bound=Means)


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(Generic[M]):
    """What is known of the free variables given the evidence; it pickles.

    Attributes
    ----------
    marginals : variable → state → probability; of machines and layers, group → means. Where they are not exact,
        ``certificates(name)`` has lower and upper ends, which hold for all marginals together.
    log_partition : log Z of the conditioned model: log p(evidence) for a Bayesian network.
    plan : the plan that ran. Of an interval (``plan.method == "mini_buckets"``) it holds what was drawn: run again, it
        gives the same numbers, whatever the clock says.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> post = tr.infer(net, {"b": "1"})
    >>> {state: round(p, 6) for state, p in post.marginals["a"].items()}
    {'0': 0.076923, '1': 0.923077}
    >>> post.log_partition, post.plan.method
    (Certificate(-0.653926, exact), 'elimination')
    """

    _log_partition: Certificate | Plan
    _marginals: M
    _planned: Any
    _asked: Any

    @property
    def log_partition(self) -> Certificate:
        """log Z of the conditioned model, log p(evidence) for a Bayesian network.

        Raises
        ------
        BudgetError : the budget refuses it, while it allows marginals that hang on a part of the network alone.

        Examples
        --------
        >>> tr.infer(tr.MarkovNetwork({"a": "01"}, [("a", [0.25, 0.75])])).log_partition
        Certificate(0, exact)
        """
        if isinstance(self._log_partition, Plan):
            raise BudgetError(self._log_partition)
        return self._log_partition

    @property
    def plan(self) -> Plan:
        """The plan that ran; where planning and running were one call, put into words when first read.

        Examples
        --------
        >>> net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.25, 0.75]})
        >>> tr.infer(net).plan.query
        'marginals'
        """
        return self._planned if isinstance(self._planned, Plan) else self._planned.plan

    @property
    def graph(self) -> Any:
        """The graph of the model that was asked, variables that are observed included; None where a model has none.

        Examples
        --------
        >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[1, 0], [0, 1]]})
        >>> tr.infer(net, {"b": "1"}).graph
        Graph(2 variables, 1 arrows, 0 links)
        """
        return getattr(getattr(self._asked, "asked_for", None) or self._asked.model, "graph", None)

    @property
    def evidence(self) -> Mapping[str, Any]:
        """What was observed of a network: variable → state, or soft evidence; of many cases → a column of states.

        None stands for what a case does not observe. Empty for models that are no networks of tables.

        Examples
        --------
        >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[1, 0], [0, 1]]})
        >>> tr.infer(net, {"b": 1}).evidence
        {'b': '1'}
        """
        return getattr(self._asked, "evidence", {})

    @cached_property
    def marginals(self) -> M:
        """Posterior marginals; an error where the one case is impossible, of many NaN for those that are."""
        self._check_possible()
        return self._marginals

    @property
    def refused(self) -> Mapping[str, Plan]:
        """The variables of a network whose marginals the budget refuses while it allows others, each with its plan.

        Examples
        --------
        >>> tr.infer(tr.MarkovNetwork({"a": "01"}, [("a", [0.25, 0.75])])).refused
        {}
        """
        return getattr(self._marginals, "refused", {})

    @property
    def possible(self) -> Any:
        """Whether the evidence has positive probability (one answer for each row).

        Examples
        --------
        >>> coin = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1, 0], [0, 1]])])
        >>> tr.infer(coin, {"a": ["0", "1"], "b": ["0", "0"]}).possible.tolist()
        [True, False]
        """
        return np.asarray(self.log_partition.upper) > -np.inf

    def certificates(self, name: str | Sequence[str]) -> Any:
        """The marginals of one variable, or the means of a group of units, as an array with lower and upper ends.

        Of several variables of a network their joint marginal, an axis for each.

        Examples
        --------
        >>> net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.25, 0.75]})
        >>> found = tr.infer(net).certificates("a")
        >>> found[1]
        Certificate(0.75, exact)
        """
        if isinstance(name, list | tuple) and hasattr(self._asked, "joint_certificate"):
            self._check_possible()
            return self._asked.joint_certificate(self.plan, name)
        return self.marginals.certificates(name)  # pyright: ignore[reportArgumentType]

    def mean(self, values: Any, variables: Sequence[str]) -> Certificate:
        """The posterior mean of a function of several variables of a network: its values, with an axis for each.

        Raises
        ------
        UnsupportedError : a model that is no network. ModelError : values that do not fit the states. BudgetError : the
            joint marginal is too large.

        Examples
        --------
        >>> tables = {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]}
        >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, tables)
        >>> tr.infer(net).mean([[0, 1], [1, 2]], ["a", "b"])
        Certificate(1.12, exact)
        """
        self._check_possible()
        if not hasattr(self._asked, "mean"):
            return self._asked.joint(self.plan, variables)  # which says whose it is
        return self._asked.mean(self.plan, variables, values)

    def joint(self, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables, one axis for each, in the order given.

        Of Bayesian networks, Markov networks and mixtures.

        Raises
        ------
        UnsupportedError : only networks and mixtures have one. BudgetError : the table is too large.

        Examples
        --------
        >>> tables = {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]}
        >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, tables)
        >>> tr.infer(net).joint(["b", "a"]).round(6).tolist()
        [[0.36, 0.12], [0.04, 0.48]]
        """
        self._check_possible()
        return self._asked.joint(self.plan, variables)

    def sample(self, n: int, *old: Any, key: Any = 0, codes: bool = False) -> dict[str, Any]:
        """`n` samples of all variables jointly; the same key gives the same samples.

        Names of states [n] of Bayesian networks and Markov networks (indices with ``codes=True``), and of the component
        of mixtures, beside the columns [n, d]; values [n, n_units] of the groups of Boltzmann machines (general,
        restricted, deep), sigmoid belief networks, deep belief networks and Helmholtz machines; paths [n, t] of hidden
        Markov models and, for each chain, of factorial hidden Markov models.

        Examples
        --------
        >>> sure = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[1, 0], [0, 1]]})
        >>> drawn = tr.infer(sure).sample(100, key=1)
        >>> bool((drawn["a"] == drawn["b"]).all()), sorted(set(drawn["a"]))
        (True, ['0', '1'])
        """
        if old or not isinstance(n, int | np.integer):
            raise TypeError("the number of samples comes first, and the key by its name: posterior.sample(100, key=0)")
        self._check_possible()
        found = self._asked.draw(self.plan, n_samples(n), key)
        return found if codes or not hasattr(self._asked, "in_names") else self._asked.in_names(found)

    def __repr__(self) -> str:
        known = self._log_partition
        return f"{type(self).__name__}(log_partition={'refused' if isinstance(known, Plan) else repr(known)})"

    def _repr_html_(self) -> str:
        from tractable import _html

        own = type(self).__name__
        try:
            found = self.marginals
        except ImpossibleEvidenceError as error:
            return _html.card(own, _html.note(_html.text(error), "warn"))
        return _html.posterior(own, self._log_partition, found, self.plan)

    def _check_possible(self) -> None:
        """Raise where the one case is impossible; among many it spoils no other."""
        known = self._log_partition
        if isinstance(known, Plan):
            return
        if (isinstance(known.upper, float) or not np.ndim(known.upper)) and known.upper == -np.inf:
            told = getattr(self._asked, "contradiction", lambda: "")()
            raise ImpossibleEvidenceError(
                f"the evidence has probability zero under the model{told}: there is no posterior"
            )


class Drawn(np.ndarray):
    """Numbers that were drawn, or averaged over draws, with the verdict on them; slices keep it, sums join theirs.

    Attributes
    ----------
    verdict : ``"exact"``, or whether these can be relied on, in words.

    Examples
    --------
    >>> drawn = tr.sample(tr.restricted(4, 3), 5)
    >>> drawn.shape, drawn.verdict, drawn[:2].verdict
    ((5, 4), 'exact', 'exact')
    """

    verdict: str

    @classmethod
    def of(cls, numbers: Any, verdict: str | None) -> Drawn:
        """Numbers with their verdict; None stands for exact ones."""
        found = np.asarray(numbers).view(cls)
        found.verdict = verdict or "exact"
        return found

    def __array_finalize__(self, other: Any) -> None:
        self.verdict = getattr(other, "verdict", "exact")

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What NumPy makes of some of these is no surer than the least sure of them."""
        found = super().__array_wrap__(array, context, return_scalar)
        if isinstance(found, Drawn) and context is not None:
            said = (other.verdict for other in context[1] if isinstance(other, Drawn))
            found.verdict = joined(*(verdict for verdict in said if verdict != "exact")) or "exact"
        return found

    def __reduce__(self) -> Any:
        return Drawn.of, (np.asarray(self), self.verdict)

    @property
    def reliable(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verdict.startswith(("exact", "reliable"))


def n_samples(n: Any) -> int:
    """A number of samples, checked."""
    if not isinstance(n, int | np.integer):
        raise TypeError(f"the number of samples is a whole number, got {n!r:.80}")
    if n < 0:
        raise ValueError(f"the number of samples must not be negative, got {n}")
    return int(n)


@dataclass(frozen=True, repr=False)
class MostProbable:
    """The most probable joint state of what was asked for, given the evidence.

    Attributes
    ----------
    assignment : variable → name of its state; of many cases columns of them, in the container that these came in, with
        None where a case is impossible.
    log_probability : log p(assignment, evidence) for a Bayesian network, all that was not asked for summed out; the log
        of the unnormalized product of the factors for a Markov network.
    optimum : what the best has: at least what was found, at most the bound that was proven; ``exact`` where they meet.
        Of the k-th best the k-th largest.
    plan : the plan that ran.
    tied : whether another assignment is known to be as probable, up to rounding.
    by_name : of many cases the columns by themselves.

    Examples
    --------
    >>> import math
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> best = tr.most_probable(net, {"b": "1"})
    >>> best.assignment, round(math.exp(best.log_probability), 6), best.optimum.kind
    ({'a': '1', 'b': '1'}, 0.48, 'exact')
    """

    assignment: Any
    log_probability: Certificate
    plan: Plan
    by_name: Any = field(default=None, repr=False)
    optimum: Certificate = field(default=None)  # pyright: ignore[reportAssignmentType]
    tied: Any = False

    def __post_init__(self) -> None:
        if self.optimum is None:
            object.__setattr__(self, "optimum", self.log_probability)

    def __repr__(self) -> str:
        found = self._assigned()
        told = "" if self.optimum is self.log_probability else f", optimum={self.optimum!r}"
        return f"MostProbable({found}, log_probability={self.log_probability!r}{told})"

    def _assigned(self) -> str:
        """The assignment, of an array its first values alone."""
        if not isinstance(self.assignment, dict):
            return f"{self.assignment!r:.400}"
        arrays = {v: x for v, x in self.assignment.items() if isinstance(x, np.ndarray) and x.ndim == 1 and len(x) > 20}
        first = (f"{v!r}: [{', '.join(map(str, x[:20].tolist()))}, … {len(x):,} in all]" for v, x in arrays.items())
        others = {v: x for v, x in self.assignment.items() if v not in arrays}
        told = [*first, *([f"{others!r}"[1:-1]] if others else [])]
        return f"{{{', '.join(told):.400}}}"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.most_probable(self)

    def to_frame(self, library: str | None = None) -> Any:
        """A row for each case, a column for each variable; of ``"pandas"``, ``"polars"`` or ``"pyarrow"``.

        Of hidden Markov models a row for each row of the sequence; of many a column ``sequence`` with their numbers.
        """
        found = self.assignment if self.by_name is None else self.by_name
        many = {v: x for v, x in found.items() if isinstance(x, list)} if isinstance(found, dict) else {}
        if many:  # of sequences
            sizes = list(map(len, next(iter(many.values()))))
            columns = {"sequence": np.repeat(np.arange(len(sizes)), sizes)}
            return frame_of(columns | {v: np.concatenate(x) for v, x in many.items()}, library)
        columns = columns_of(found) if np.ndim(self.log_probability.value) else found
        return frame_of({v: x if is_column(x) else [x] for v, x in columns.items()}, library)
