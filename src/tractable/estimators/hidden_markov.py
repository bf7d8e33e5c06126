"""Hidden Markov models as an estimator."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tractable import models
from tractable.estimators import sequences
from tractable.estimators.mixtures import COVARIANCES, covariance_kind, warned
from tractable.evaluate import aic, bic, log_likelihood
from tractable.learning import EM, fit, hidden_markov, left_right
from tractable.learning.starts.chains import first_chain
from tractable.models import ModelError, Sequences
from tractable.models._base import nearest
from tractable.models.emissions import Emissions, ProductEmissions
from tractable.models.kinds import EmissionKinds
from tractable.posterior import impute, most_probable, transform
from tractable.posterior.engines.chains import draw, in_names

TOPOLOGIES = ("ergodic", "left-right")
FLOOR = 0.01
"""The default scale of the prior on variances, in units of the columns' own: that of a state with a single row."""


@dataclass(eq=False, repr=False)
class HiddenMarkovModel(DensityMixin, BaseEstimator):
    """A hidden Markov model of rows in sequences; entries may be missing (NaN).

    p(x, z) = π(z_1) ∏_t A(z_t, z_{t+1}) ∏_t p(x_t | z_t).

    X holds one sequence, or several, one after another, of these `lengths`, which may also come second: ``fit(X, [60,
    60])``; or it is a list of sequences, or `Sequences`. Labels in the second place, one for each row, are ignored. A
    DataFrame is read by the names of its columns; those of text, of booleans and of categories are categorical, and
    come back as they were.

    Parameters
    ----------
    n_components : number of hidden states.
    emissions : what the columns hold given the state: a kind, or kind → columns, as for `hidden_markov`; or emissions
        such as ``tr.PoissonEmissions(rates)``, from which EM begins.
    covariance_type : ``"full"``, ``"tied"``, ``"diag"`` or ``"spherical"``: Gaussian emissions by hmmlearn's names.
    n_parts : each state emits from a mixture of so many.
    topology : ``"ergodic"``, or ``"left-right"``: states follow one another.
    tol : EM ends when the objective, a mean over rows, grows by less.
    max_iter, n_iter : iterations at most; the second, hmmlearn's name, counts where it is given.
    n_init : starts, of which the best is kept. init : ``"k-means++"`` or ``"rows"``, where they begin.
    prior : strength of the prior of the emissions; None for 0.01 of the columns' variances where all are Gaussian, so
        that a state with one row has a variance, else for the default of each kind.
    transmat_prior : pseudo-counts of each transition.
    learner : settings of `EM` in place of the four above, such as ``EM(n_init=5, tolerance=1e-6)``.
    startprob_init, transmat_init, means_init, covars_init : where EM begins; None is as `init` has it.
    warm_start : whether another fit goes on from the last one.
    random_state : an int makes everything repeatable.

    Attributes
    ----------
    startprob_, transmat_ : start and transitions.
    means_, covars_, lambdas_, emissionprob_ : of the emissions, those that their kind has.
    converged_, n_iter_ : how EM went. model_, history_ : the model and the record of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.repeat([[0.0], [5.0], [0.0]], 10, axis=0) + np.linspace(0, 1, 30)[:, None]
    >>> found = tr.estimators.HiddenMarkovModel(2, random_state=0).fit(rows, [15, 15])
    >>> states = found.predict(rows, [15, 15])
    >>> bool(states[0] == states[29] != states[15]), found.decode(rows)[1].shape
    (True, (30,))
    """

    n_components: int = 2
    _: KW_ONLY
    emissions: EmissionKinds | Emissions = "diagonal"
    covariance_type: str | None = None
    n_parts: int = 1
    topology: str = "ergodic"
    tol: float = 1e-4
    max_iter: int = 100
    n_iter: int | None = None
    n_init: int = 1
    init: str = "k-means++"
    prior: float | None = None
    transmat_prior: float = 0.0
    learner: EM | None = None
    startprob_init: Any = None
    transmat_init: Any = None
    means_init: Any = None
    covars_init: Any = None
    warm_start: bool = False
    random_state: Any = None

    def fit(self, X: Any, y: Any = None, lengths: Any = None, weights: Any = None) -> HiddenMarkovModel:
        """Learn from rows [n_rows, n_features] by EM; `weights`: how often each sequence counts."""
        data = self._sequences(X, sequences.lengths_of(X, y, lengths), reset=True)
        key = int(check_random_state(self.random_state).randint(2**31 - 1))
        begin = self._begin(data, key)
        epochs = self.max_iter if self.n_iter is None else self.n_iter
        how = {"epochs": epochs, "weights": sequences.weights_of(weights, data), "key": key, "progress": False}
        run = fit(begin, data, self._learner(begin), **how)
        self.model_, self.history_, self.converged_ = run.model, run.history, run.converged
        self.n_iter_, self._key = len(run.history) - 1, key
        warned(self, epochs)
        return self

    def _learner(self, begin: models.HiddenMarkovModel) -> EM:
        if self.learner is not None:
            return self.learner
        parts = begin.emissions.parts if isinstance(begin.emissions, ProductEmissions) else [begin.emissions]
        floor = FLOOR if all(part.kind in COVARIANCES.values() for part in parts) else None
        prior = floor if self.prior is None else self.prior
        start = "model" if self.init == "k-means++" or self._is_given() else self.init
        return EM(
            tolerance=self.tol, n_init=self.n_init, start=start, prior=prior, weight_prior=float(self.transmat_prior)
        )

    def _is_given(self) -> bool:
        """Whether something is said of where EM begins."""
        given = (self.startprob_init, self.transmat_init, self.means_init, self.covars_init)
        own = isinstance(self.emissions, Emissions) or (self.warm_start and hasattr(self, "model_"))
        return own or any(array is not None for array in given)

    def _begin(self, data: Sequences, key: int) -> models.HiddenMarkovModel:
        """Where EM begins: where an earlier fit ended (`warm_start`), at what is given, else as `init` has it."""
        if self.topology not in TOPOLOGIES:
            near = nearest(str(self.topology), TOPOLOGIES)
            raise ModelError(f"unknown topology {self.topology!r}{near}; choose {', '.join(TOPOLOGIES)}")
        if self.warm_start and hasattr(self, "model_") and self.model_.n_states == self.n_components:
            return self.model_
        begin = self._fresh(data, key)
        given = {"start": self.startprob_init, "transition": self.transmat_init}
        given = {name: array for name, array in given.items() if array is not None}
        return begin.replaced(emissions=self._placed(begin.emissions), **given)

    def _fresh(self, data: Sequences, key: int) -> models.HiddenMarkovModel:
        kind, left = self.emissions, self.topology == "left-right"
        if self.covariance_type is not None:
            kind = covariance_kind(self.covariance_type)
        if not isinstance(kind, Emissions):
            if left:
                return left_right(data, self.n_components, kind, n_parts=self.n_parts, key=key)
            return hidden_markov(data, self.n_components, kind, n_parts=self.n_parts, start=self.init, key=key)
        if kind.n_components != self.n_components:
            raise ModelError(f"the emissions have {kind.n_components} states, n_components is {self.n_components}")
        start, transition = first_chain(self.n_components)
        if left:
            onward = np.eye(self.n_components, k=1)
            onward[-1, -1] = 1.0
            start, transition = np.eye(self.n_components)[0], (np.eye(self.n_components) + onward) / 2
        return models.HiddenMarkovModel(start, transition, kind)

    def _placed(self, emissions: Emissions) -> Emissions:
        """The emissions with the means and covariances given."""
        wanted = {"means_init": self.means_init, "covars_init": self.covars_init}
        wanted = {name: array for name, array in wanted.items() if array is not None}
        if not wanted:
            return emissions
        if emissions.kind not in COVARIANCES.values():
            raise ModelError(
                f"{next(iter(wanted))} is for Gaussian emissions, these are {emissions.kind}: give emissions as such,"
                " emissions=tr.PoissonEmissions(rates)"
            )
        own = emissions.arrays()
        spread = "covariances" if "covariances" in own else "variances"
        names = {"means_init": "locations", "covars_init": spread}
        return type(emissions)(**own | {names[name]: np.asarray(array, float) for name, array in wanted.items()})

    def _sequences(self, X: Any, lengths: Any, reset: bool = False) -> Sequences:
        return sequences.read(self, X, sequences.lengths_of(X, None, lengths), reset)

    # ------------------------------------------------------------ parameters

    @property
    def startprob_(self) -> np.ndarray:
        """The distribution of the first state."""
        return self.model_.first

    @property
    def transmat_(self) -> np.ndarray:
        """The transitions [n_components, n_components]."""
        return self.model_.transition

    @property
    def means_(self) -> np.ndarray:
        """The mean row of each state [n_components, n_features]."""
        return self.model_.emissions.means

    @property
    def covars_(self) -> np.ndarray:
        """The covariances of Gaussian emissions as matrices [n_components, n_features, n_features]."""
        own = self._arrays("covars_", COVARIANCES.values())
        k, d = self.means_.shape
        if "covariances" in own:
            return np.broadcast_to(own["covariances"], (k, d, d)).copy()
        return np.reshape(own["variances"], (k, -1, 1)) * np.eye(d)

    @property
    def lambdas_(self) -> np.ndarray:
        """The rates of Poisson emissions [n_components, n_features]."""
        return self._arrays("lambdas_", ("poisson",))["rates"]

    @property
    def emissionprob_(self) -> Any:
        """The table of a categorical column [n_components, n_symbols]; of several columns a list."""
        tables = list(self._arrays("emissionprob_", ("categorical",)).values())
        return tables[0] if len(tables) == 1 else tables

    def _arrays(self, name: str, kinds: Any) -> dict[str, np.ndarray]:
        emissions = self.model_.emissions
        if emissions.kind not in kinds:
            raise AttributeError(f"there are no {name}: the emissions are {emissions.kind}, see model_.emissions")
        return emissions.arrays()

    # ------------------------------------------------------------ answers

    def decode(self, X: Any, lengths: Any = None) -> tuple[float, np.ndarray]:
        """log p(X, states) of the most probable states (Viterbi) of all sequences together, and the states [n_rows].

        The states of an impossible sequence among others are −1.
        """
        found: Any = most_probable(self.model_, self._sequences(X, lengths))
        return float(np.sum(found.log_probability.value)), np.concatenate(found.assignment["state"])

    def predict(self, X: Any, lengths: Any = None) -> np.ndarray:
        """The most probable path of states (Viterbi) [n_rows]."""
        check_is_fitted(self)
        return self.decode(X, lengths)[1]

    def predict_proba(self, X: Any, lengths: Any = None) -> np.ndarray:
        """p(state | sequence) of each row [n_rows, n_components]."""
        data = self._sequences(X, lengths)
        return np.concatenate(transform(self.model_, data))

    def score(self, X: Any, y: Any = None, lengths: Any = None) -> float:
        """log p(X), summed over the sequences; −∞ where one is impossible."""
        data = self._sequences(X, sequences.lengths_of(X, y, lengths))
        return float(log_likelihood(self.model_, data).per_row.value.sum())

    def bic(self, X: Any, lengths: Any = None) -> float:
        """The Bayesian information criterion: lower is better."""
        data = self._sequences(X, lengths)
        return bic(self.model_, data).value

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's information criterion: lower is better."""
        data = self._sequences(X, lengths)
        return aic(self.model_, data).value

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Any, np.ndarray]:
        """A sequence of rows [n_samples, n_features] and its states [n_samples]."""
        check_is_fitted(self)
        key = self._key if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        rows, states = draw(self.model_, n_samples, key)
        return in_names(self.model_, rows, None), states

    def impute(self, X: Any, lengths: Any = None) -> Any:
        """The rows with what is missing replaced by its mean given the sequence (of a category: the most probable)."""
        data = self._sequences(X, lengths)
        parts = impute(self.model_, data, codes=True)
        if sequences.is_list(X):
            return [in_names(self.model_, own, part) for own, part in zip(parts, X, strict=True)]
        return in_names(self.model_, np.concatenate(parts), X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
