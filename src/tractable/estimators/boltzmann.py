"""Boltzmann machines as estimators: restricted and deep."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from tractable import learning
from tractable.estimators._base import (
    InScikitLearnsNames,
    LearnedByGradient,
    OnRows,
    check_is_fitted,
    learner_of,
)
from tractable.evaluate import LogLikelihood, log_likelihood, log_partition
from tractable.learning import History, Learner
from tractable.learning._base import Training
from tractable.learning.machines.columns import Scale, in_data_density, in_data_units, scale_of, visible_units
from tractable.learning.records import LearningWarning
from tractable.models import Boltzmann, Gaussian, ModelError, Spin, deep, restricted
from tractable.models.binarizing import DRAW
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.layers import checked_sizes
from tractable.models.units import Units
from tractable.plan.training import check_training
from tractable.posterior import infer, reconstruct, transform
from tractable.posterior.approximate.mean_field import layer_means

REAL = (
    "the columns hold real numbers: they are learned as Gaussian units, standardized, and scores are densities; "
    "units='gaussian' says so, binarize=0.5 or 'draw' makes zeros and ones of gray values, whole numbers are states of "
    "units='categorical'"
)

SWEEPS = 50

ALGORITHMS: dict[str, Learner] = {
    "pcd": learning.PersistentCD(),
    "cd": learning.ContrastiveDivergence(),
    "fpcd": learning.FastPersistentCD(),
    "tempered": learning.TemperedPCD(),
    "trajectory": learning.TrajectoryTempering(),
    "exact": learning.ExactGradient(),
}


class OnColumns(OnRows):
    """A machine over columns of the kinds that `units` says, real ones on their standard scale."""

    algorithm: str | Learner
    learning_rate: float | None
    batch_size: int | None
    scale_: Scale | None

    _algorithms: ClassVar[Mapping[str, Learner]] = ALGORITHMS

    def _learner(self) -> Learner:
        how = {"learning_rate": self.learning_rate, "batch_size": self.batch_size}
        return learner_of(self.algorithm, self._algorithms, **how)

    def _read(self, rows: np.ndarray, weights: np.ndarray | None) -> Units:
        """Units for the columns of the data, whose scale is kept."""
        units = visible_units(rows, self.units)
        if isinstance(units, Gaussian) and isinstance(self.units, str) and self.units == "auto":
            warnings.warn(REAL, LearningWarning, stacklevel=4)
        self.scale_ = scale_of(units, rows, weights)
        return units

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.scale_ is None else (rows - self.scale_.shift) / self.scale_.scale


@dataclass(eq=False, repr=False)
class MachineEstimator(OnColumns, LearnedByGradient):
    """What all machines share: features, a density, samples and imputation from one model.

    Rows may have missing entries (NaN), but not only these.

    Unlike `sklearn.neural_network.BernoulliRBM`, whose inputs between 0 and 1 are taken for probabilities, this is a
    density: a binary unit holds 0 or 1 and nothing between. Gray values are cut with `binarize`, drawn with
    ``binarize="draw"``, or learned as real numbers; that ``units="auto"`` does this is said in a warning.

    Parameters
    ----------
    n_hidden : number of hidden units; of a deep machine one for each layer.
    algorithm : ``"pcd"``, ``"cd"``, ``"fpcd"``, ``"tempered"``, ``"trajectory"``, ``"exact"`` (few hidden units), or
        a learner such as ``tr.PersistentCD(k=5)``.
    learning_rate, batch_size : of the algorithm; where None they follow from the rows and the model.
    epochs : passes over the data in `fit`; None: as many as make some ten thousand steps.
    units : ``"bernoulli"`` (0, 1), ``"spin"`` (−1, 1), ``"gaussian"`` (real numbers, standardized column by column
        before they are learned), ``"categorical"`` (0, 1, …), ``"mixed"`` (Bernoulli columns of 0 and 1 beside
        Gaussian ones), ``"auto"``: the first of the first three that fits; or units such as
        ``tr.Mixed(tr.Bernoulli(3), tr.Categorical(1, 5))``.
    binarize : values above it count as 1, others as 0; ``"draw"``: values are probabilities of a 1, drawn anew in each
        epoch, and once for each row that is scored; None takes the data as they are.
    random_state : of the random start and of the chains; an int makes everything repeatable.
    verbose : whether to show a bar.

    Attributes
    ----------
    model_ : the fitted machine. With Gaussian units it is that of the standardized columns, see `scale_`.
    history_ : the record of the epochs of the last `fit`.
    learner_ : the settings that it had in the end.
    yardstick_ : the same rows as independent columns and under a mixture, see `tractable.learning.Yardstick`.
    scale_ : mean and standard deviation of each column with Gaussian units, else None.
    n_features_in_, feature_names_in_ : as in every estimator.
    """

    n_hidden: Any = 64
    _: KW_ONLY
    algorithm: str | Learner = "pcd"
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    units: str | Units = "auto"
    binarize: float | str | None = None
    random_state: Any = None
    verbose: bool = False

    @property
    @abstractmethod
    def _layers(self) -> tuple[int, ...]:
        """Numbers of hidden units, layer by layer."""

    @abstractmethod
    def _new(self, visible: Units, kind: str) -> Boltzmann:
        """A machine over these visible units, with hidden units of this kind."""

    # ------------------------------------------------------------ learning

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, seconds: float | None = None) -> Self:
        super().fit(X, None, sample_weight, seconds=seconds)
        if self.scale_:
            self.history_ = in_data_density(self.history_, self.scale_)
            self.yardstick_ = self.yardstick_ and self.yardstick_.moved(-float(np.log(self.scale_.scale).sum()))
        return self

    def _take(self, model: Any, training: Training) -> None:
        super()._take(model, training)
        self.__dict__.pop("_log_z", None)

    def _begin(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        units, layers = self._read(rows, weights), self._layers
        check_training([units.n_features, *layers], self._learner().batch)
        self._key = self._new_key()
        self.model_: Boltzmann = self._new(units, "spin" if isinstance(units, Spin) else "bernoulli")
        self.history_ = History()

    # ------------------------------------------------------------ rows in and out

    def _outer(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.scale_ is None else self.scale_.shift + self.scale_.scale * rows

    # ------------------------------------------------------------ features

    def transform(self, X: Any) -> np.ndarray:
        """The probabilities that the hidden units are on given each row [n_rows, n_hidden] (means of spins).

        Of several layers all of them, side by side, by mean field; with ``binarize="draw"`` at the probabilities.
        """
        rows = self._inner(X)
        if self.binarize == DRAW and not np.isnan(rows).any():
            return self._of_probabilities(self._scaled(self._numbers(X)))
        if np.isnan(rows).any():
            method = "auto" if self.model_.graph.without([VISIBLE]).is_free else "mean_field"
            found = infer(self._double, rows, method=method).marginals
            return np.concatenate([np.asarray(found[name]) for name in self.model_.hidden], axis=1)
        with jax.enable_x64(True):
            return np.asarray(transform(self._double, rows))

    def _of_probabilities(self, rows: np.ndarray) -> np.ndarray:
        """The means of the hidden units at the means of the visible ones."""
        with jax.enable_x64(True):
            found = layer_means(self._double, jnp.asarray(rows, jnp.float64), SWEEPS)
            return np.concatenate([np.asarray(found[name]) for name in self.model_.hidden], axis=1)

    # ------------------------------------------------------------ density

    def log_likelihood(self, X: Any) -> LogLikelihood:
        """The mean of log p(x) with its certificate, and that of each row."""
        rows = self._inner(X)
        if "_log_z" not in self.__dict__:
            self._log_z = log_partition(self._double, key=self._key)
        found = log_likelihood(self._double, rows, key=self._key, log_partition=self._log_z)
        if self.scale_ is None:
            return found
        volumes = ~np.isnan(rows) @ np.log(self.scale_.scale)  # of what is observed: p(x) = p(z) / ∏ s
        more = {"per_row": found.per_row - volumes, "log_partition": found.log_partition}
        return LogLikelihood.of(found - volumes.mean(), **more)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class LayeredEstimator(MachineEstimator):
    """A machine whose visible units are independent given the first hidden layer."""

    def inverse_transform(self, H: Any) -> np.ndarray:
        """The means of the columns given values of the hidden units [n_rows, n_hidden] -> [n_rows, n_features]."""
        check_is_fitted(self)
        first = self.model_.hidden[0]
        with jax.enable_x64(True):
            model, units = self._double, self.model_.units[VISIBLE]
            h = _features(H, self._n_features_out)[:, : model.units[first].n]
            theta = np.asarray(model.local_field(VISIBLE, {first: h}))
            return self._outer(np.asarray(units.decode(model.units[VISIBLE].mean(jnp.asarray(theta)))))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Rows as the hidden units see them: ``inverse_transform(transform(X))``."""
        with jax.enable_x64(True):
            return self._outer(np.asarray(reconstruct(self._double, self._inner(X))))


@dataclass(eq=False, repr=False)
class RestrictedBoltzmannMachine(InScikitLearnsNames, LayeredEstimator):
    """A restricted Boltzmann machine: p(v) = (1/Z) Σ_h exp(bᵀv + cᵀh + vᵀWh); see `MachineEstimator`.

    It has the names of `sklearn.neural_network.BernoulliRBM` too, and stands in its place; `score_samples` is log p(v).

    Parameters
    ----------
    n_components, n_iter : scikit-learn's names of `n_hidden` and `epochs`, which count where they are given.

    Attributes
    ----------
    components_ : W as [n_hidden, n_features], and intercept_hidden_, intercept_visible_ : c and b; of Gaussian columns
        in the units of the data. Of rows without gaps `transform` is the sigmoid of X Wᵀ + c.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> rbm = tr.estimators.RestrictedBoltzmannMachine(2, algorithm="exact", epochs=5, random_state=0).fit(rows)
    >>> rbm.transform(rows).shape
    (100, 2)
    >>> rbm.log_likelihood(rows).kind
    'exact'
    >>> rbm = tr.estimators.RestrictedBoltzmannMachine(n_components=2, n_iter=5, random_state=0).fit(rows)
    >>> rbm.components_.shape, rbm.gibbs(rows[:3]).shape
    ((2, 4), (3, 4))
    """

    @property
    def _layers(self) -> tuple[int, ...]:
        return checked_sizes(self._n_hidden, 1)

    @property
    def components_(self) -> np.ndarray:
        """The couplings [n_hidden, n_features]."""
        return np.asarray(self._in_data_units.couplings[VISIBLE, "hidden"]).T

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """The fields of the hidden units [n_hidden]."""
        return np.asarray(self._in_data_units.fields["hidden"])

    @property
    def intercept_visible_(self) -> np.ndarray:
        """The fields of the visible units [n_features]."""
        return np.asarray(self._in_data_units.fields[VISIBLE])

    @property
    def _in_data_units(self) -> Boltzmann:
        return self._double if self.scale_ is None else in_data_units(self._double, self.scale_)

    def gibbs(self, v: Any) -> np.ndarray:
        """Rows after a step of Gibbs sampling, hidden units given `v` and then rows given these; `random_state_` draws.

        Raises
        ------
        ModelError : an entry is missing.
        """
        rows = self._inner(v)
        if np.isnan(rows).any():
            raise ModelError("a step of Gibbs sampling is from rows without NaN: fill the gaps with impute(X)")
        key, numbers = jax.random.key(int(self.random_state_.randint(2**31 - 1))), np.arange(len(rows), dtype=np.uint32)
        with jax.enable_x64(True):
            model = self._double
            x = {VISIBLE: model.encode({VISIBLE: rows})[VISIBLE]}
            for i, name in enumerate(("hidden", VISIBLE)):
                theta = jnp.asarray(model.local_field(name, x))
                x[name] = model.units[name].sample(jax.random.fold_in(key, i), numbers, theta)
            drawn = self._outer(np.asarray(model.decode(x)[VISIBLE]))
        return np.asarray(self.model_.units[VISIBLE].named(drawn))

    def _new(self, visible: Units, kind: str) -> Boltzmann:
        return restricted(visible, *self._layers, units=kind, key=self._key)


def _features(H: Any, n: int) -> np.ndarray:
    """Values of all hidden units."""
    h = np.asarray(H, np.float64)
    if h.ndim != 2 or h.shape[1] != n:
        raise ModelError(f"expected values of the hidden units [n_rows, {n}], got an array of shape {h.shape}")
    return h


class DeepBoltzmannMachine(LayeredEstimator):
    """A deep Boltzmann machine, `n_hidden` units in each hidden layer; one number makes two layers of that many.

    See `MachineEstimator`.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> dbm = tr.estimators.DeepBoltzmannMachine([3, 2], epochs=1, random_state=0).fit(rows)
    >>> dbm.transform(rows).shape
    (100, 5)
    """

    @property
    def _layers(self) -> tuple[int, ...]:
        found = checked_sizes(self.n_hidden, 1)
        return found if np.ndim(self.n_hidden) else found * 2

    def _new(self, visible: Units, kind: str) -> Boltzmann:
        return deep([visible, *self._layers], units=kind, key=self._key)
