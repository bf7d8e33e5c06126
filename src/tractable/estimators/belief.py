"""Sigmoid belief networks as estimators, with the recognition network that they are learned with."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import jax
import numpy as np

from tractable import learning, models
from tractable.estimators._base import LearnedByGradient, learner_of
from tractable.evaluate import LogLikelihood, log_likelihood, log_partition
from tractable.learning import History, Learner
from tractable.learning._base import Training
from tractable.learning.loop import check_fit
from tractable.learning.settings import check_settings
from tractable.models import ModelError, RecognitionNetwork
from tractable.models.layers import checked_sizes
from tractable.plan.training import check_training
from tractable.posterior import reconstruct, transform

BOUNDS = ("vimco", "nvil", "disarm", "arm", "reinforce")
ALGORITHMS: dict[str, Learner] = {
    "rws": learning.ReweightedWakeSleep(),
    "jsa": learning.JointStochasticApproximation(),
    "wake-sleep": learning.WakeSleep(),
    **{name: learning.VariationalGradient(estimator=name) for name in BOUNDS},
}


@dataclass(eq=False, repr=False)
class SigmoidBeliefNetwork(LearnedByGradient):
    """A sigmoid belief network: p(x, h¹, …) = p(x | h¹) p(h¹ | h²) …, Bernoulli units with logits b + W h.

    Rows that are learned from have no gaps; those that are scored and imputed may have (NaN). log p(x) and features are
    exact where that is affordable, some 20 hidden units in a layer; else log p(x) is a bound from weighted samples of
    the recognition network, whose random numbers are those of the fit, and features are what this network says.

    Parameters
    ----------
    n_hidden : number of hidden units, or one for each layer, from the bottom upward.
    algorithm : ``"rws"`` (reweighted wake–sleep), ``"jsa"`` (the same with a memory of every row, for `fit` alone),
        ``"wake-sleep"``, ``"vimco"``, ``"nvil"``, ``"disarm"``, ``"arm"``, ``"reinforce"``, or a learner, say
        ``tr.ReweightedWakeSleep(samples=20, batch_size=50)``.
    learning_rate : of the algorithm; it follows from the model where None.
    epochs : passes over the data in `fit`; None: as many as make some ten thousand steps.
    pretrain : passes before that for each layer on its own, as a restricted machine (not in `partial_fit`; None: as
        for epochs), and pretrain_rate : the learning rate of the first of these, which falls to zero.
    samples : weighted samples for each row, where log p(x) is a bound.
    binarize : values above it count as 1, others as 0; ``"draw"``: values are probabilities of a 1, drawn anew in each
        epoch, and once for each row that is scored; None takes the data as they are, zeros and ones.
    random_state : of the random start and of the samples; an int makes everything repeatable.

    Attributes
    ----------
    model_ : the `HelmholtzMachine` of the network and its recognition network.
    history_, learner_, yardstick_ : epochs and settings of the last `fit`, and what it is compared with.
    n_features_in_, feature_names_in_ : as in every estimator.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> network = tr.estimators.SigmoidBeliefNetwork([3, 2], epochs=5, random_state=0).fit(rows)
    >>> network.transform(rows).shape
    (100, 5)
    >>> network.log_likelihood(rows).kind
    'exact'
    """

    n_hidden: Any = 64
    _: KW_ONLY
    algorithm: str | Learner = "rws"
    learning_rate: float | None = None
    epochs: int | None = None
    pretrain: int | None = 0
    pretrain_rate: float | None = None
    samples: int = 1000
    binarize: float | str | None = None
    random_state: Any = None
    verbose: bool = False
    _gaps = False

    def _learner(self) -> Learner:
        return learner_of(self.algorithm, ALGORITHMS, learning_rate=self.learning_rate)

    def _begin(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        sizes = [rows.shape[1], *checked_sizes(self.n_hidden, 1)]
        check_training([2 * n for n in sizes], self._learner().batch)
        self._key = self._new_key()
        self.model_ = self._new(sizes)
        self.history_ = History()

    def _new(self, sizes: list[int]) -> models.HelmholtzMachine:
        return models.HelmholtzMachine(models.SigmoidBeliefNetwork(sizes, key=self._key), key=self._key)

    def _prepare(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        check_settings({"pretrain": self.pretrain, "pretrain_rate": self.pretrain_rate})
        if self.pretrain == 0:
            return
        check_fit(self.model_, rows, self._learner(), epochs=self.epochs, key=self._key)
        machine = learning.PersistentCD(batch_size=self._learner().batch_size, learning_rate=self.pretrain_rate)
        how = {"progress": bool(self.verbose), "live": 0.0, "yardstick": False, "weights": weights}
        layers = learning.Layerwise(machine=machine)
        self.model_ = learning.fit(self.model_, rows, layers, epochs=self.pretrain, key=self._key, **how).model

    def transform(self, X: Any) -> np.ndarray:
        """The posterior means of the hidden units given each row, all layers side by side [n_rows, n_hidden units]."""
        return transform(self._double, self._whole(X))

    def reconstruct(self, X: Any) -> np.ndarray:
        """The means of the columns given the means of the first hidden layer [n_rows, n_features]."""
        return reconstruct(self._double, self._whole(X))

    def _whole(self, X: Any) -> np.ndarray:
        """Rows without gaps."""
        rows = self._inner(X)
        if np.isnan(rows).any():
            raise ModelError("features need rows without NaN: fill the gaps with impute(X)")
        return rows

    def log_likelihood(self, X: Any) -> LogLikelihood:
        """The mean of log p(x) with its certificate, and that of each row."""
        return log_likelihood(self._double, self._inner(X), samples=self.samples, key=self._key)


@dataclass(eq=False, repr=False)
class HelmholtzMachine(SigmoidBeliefNetwork):
    """A Helmholtz machine: a sigmoid belief network whose features are always those of its recognition network.

    See `SigmoidBeliefNetwork`; log p(x), samples and imputation are those of the generative network.

    Parameters
    ----------
    n_tanh : tanh units in the recognition network below each layer, a number or several; None for linear logits.
    autoregressive : whether units of this network also depend on those before them in their layer.
    algorithm : by default ``"wake-sleep"``.
    n_hidden, learning_rate, epochs, samples, binarize, random_state : see `SigmoidBeliefNetwork`.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> tr.estimators.HelmholtzMachine(3, n_tanh=4, epochs=2, random_state=0).fit(rows).transform(rows).shape
    (100, 3)
    """

    algorithm: str | Learner = "wake-sleep"
    n_tanh: Any = None
    autoregressive: bool = False

    def _new(self, sizes: list[int]) -> models.HelmholtzMachine:
        q = RecognitionNetwork(sizes, hidden=self.n_tanh, within=self.autoregressive or None, key=self._key)
        return models.HelmholtzMachine(models.SigmoidBeliefNetwork(sizes, key=self._key), q)

    def transform(self, X: Any) -> np.ndarray:
        """The means of the hidden units that the recognition network guesses from each row, layers side by side."""
        rows = self._whole(X)
        with jax.enable_x64(True):
            return np.concatenate([np.asarray(h) for h in self._double.recognition.means(rows)], axis=1)


@dataclass(eq=False, repr=False)
class DeepBeliefNetwork(SigmoidBeliefNetwork):
    """A deep belief network: a restricted machine on top, directed layers below it, learned layer by layer at first.

    See `SigmoidBeliefNetwork`; log p(x) is a bound less the top's log Z, whose certificate it carries. `partial_fit`
    learns all layers at once, from the first rows on.

    Parameters
    ----------
    n_hidden : numbers of hidden units, from the bottom upward; one number makes two layers of that many.
    pretrain, pretrain_rate, epochs, algorithm, learning_rate, samples, binarize, random_state : see
        `SigmoidBeliefNetwork`.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> network = tr.estimators.DeepBeliefNetwork([3, 2], pretrain=2, epochs=2, random_state=0).fit(rows)
    >>> network.transform(rows).shape
    (100, 5)
    >>> network.log_likelihood(rows).kind
    'exact'
    """

    pretrain: int | None = None

    def _new(self, sizes: list[int]) -> models.HelmholtzMachine:
        layers = sizes if len(sizes) > 2 else [*sizes, sizes[-1]]
        return models.HelmholtzMachine(models.DeepBeliefNetwork(layers, key=self._key), key=self._key)

    def _take(self, model: Any, training: Training) -> None:
        super()._take(model, training)
        self.__dict__.pop("_log_z", None)

    def log_likelihood(self, X: Any) -> LogLikelihood:
        """The mean of log p(x) with its certificate, and that of each row."""
        rows = self._inner(X)
        if "_log_z" not in self.__dict__:
            self._log_z = log_partition(self._double, key=self._key)
        how = {"samples": self.samples, "key": self._key, "log_partition": self._log_z}
        return log_likelihood(self._double, rows, **how)
