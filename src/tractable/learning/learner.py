"""What is asked of a learner by gradient: its settings, and the steps that the loop of `fit` takes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import optax

from tractable.learning import sizes
from tractable.learning._base import Info, Minibatch, Pace, Seen, Training
from tractable.learning.loop import Run, prepared
from tractable.learning.records import Request, learner_name
from tractable.models import ModelError


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Settings of gradient ascent, and what the loop of `fit` asks of a family of models.

    Parameters
    ----------
    batch_size : rows in a step; None: it follows from the number of rows, as the number of passes does where `epochs`
        is not given, so that a fit has some ten thousand steps (see `learning.sizes`).
    learning_rate : of the first step; None: it follows from the model.
    decay : share of the run over which the rate falls linearly to zero, at its end; True is all of it, False none.
    optimizer : any optax transformation in place of learning rate and momentum (pass the same object again to reuse
        the compiled step).
    averaging : share of the run, counted from its end, over which parameters are averaged; 0 takes the last ones.

    Examples
    --------
    >>> learner = tr.PersistentCD(learning_rate=0.05, averaging=0.5)
    >>> isinstance(learner, tr.learning.Learner), learner.batch_size
    (True, None)
    >>> learner.settled(tr.restricted(4, 2), n_rows=2000).batch_size
    80
    """

    family: ClassVar[str]
    remembers: ClassVar[bool] = False
    """Whether something is kept of every row, by its number."""

    defaults: ClassVar[sizes.Sizes] = sizes.MACHINES
    """How long a fit is, and its batches, where nothing says so."""

    live_rows: ClassVar[int] = 2000
    glimpsed_rows: ClassVar[int] = 500

    batch_size: int | None = None
    learning_rate: float | None = None
    decay: bool | float = True
    optimizer: optax.GradientTransformation | None = None
    averaging: float = 0.0

    def run(self, model: Any, data: Any, request: Request) -> Run:
        """The fit that was asked for; see `fit`."""
        return prepared(model, data, self, request).run()

    def settled(self, model: Any, n_rows: int, version: int = 2) -> Self:
        """The same learner with what follows from the model and the number of rows; `version` is a checkpoint's."""
        batch_size = min(self.batch_size or self.defaults.batch_size(n_rows), n_rows)
        rate = self.learning_rate
        if rate is None:
            rate = self.rate(model) * (sizes.WARM if self.is_learned(model) else 1)
        return replace(self, batch_size=batch_size, learning_rate=rate)

    def rate(self, model: Any) -> float:
        """The learning rate of a model where none is given."""
        return sizes.RATE

    def is_learned(self, model: Any) -> bool:
        """Whether learning goes on from a model that knows the columns already."""
        return False

    @property
    def batch(self) -> int:
        """Rows in a step, of a learner that is settled; of others the most that follow from any number of rows."""
        return self.batch_size or sizes.LARGEST

    def adopted(self, model: Any, key: Any) -> Any:
        """The model that is learned; refuses one of another family."""
        if getattr(model, "family", None) != self.family:
            raise ModelError(f"{type(self).__name__} learns no {type(model).__name__}: take {learner_name(model)}()")
        return model

    @abstractmethod
    def transformation(self) -> optax.GradientTransformation:
        """The optimizer of this learner."""

    @abstractmethod
    def checked(self, model: Any, data: Any, name: str = "") -> np.ndarray:
        """Rows of data for a model, every value looked at."""

    @abstractmethod
    def means(self, model: Any, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """The means of the data's columns, each row counting as often as `weights` say."""

    @abstractmethod
    def plan(self, model: Any) -> Any:
        """What of a model's structure is compiled into a step."""

    @abstractmethod
    def started(self, model: Any, seen: Seen) -> Any:
        """The model at the first step, its zero biases set to match the means."""

    def offsets(self, model: Any, seen: Seen, key: Any) -> Any:
        """Running means at the first step; `key` where more is kept that is drawn."""
        return ()

    def init(self, plan: Any, model: Any, key: Any, seen: Seen) -> Any:
        """What the learner keeps from step to step (persistent chains, …); refuses a model it cannot learn."""
        return ()

    def with_more_chains(self) -> Self | None:
        """The same learner with persistent chains enough; None where it has these, or none at all."""
        return None

    def visible(self, model: Any) -> Any:
        """The units of the columns of data."""
        return model.units[model.groups[0]]

    def glimpse(self, model: Any, rows: np.ndarray, key: Any) -> float | None:
        """The mean log-likelihood of some rows, roughly and in no time; None where nothing can be said so cheaply."""
        return None

    def is_quick(self, model: Any) -> bool:
        """Whether `live` takes no time."""
        return False

    @abstractmethod
    def width(self, model: Any) -> int:
        """Numbers that a step holds for each row of its batch."""

    @abstractmethod
    def step(self, plan: Any, training: Training, key: Any, batch: Minibatch, pace: Pace) -> tuple[Training, Info]:
        """One update from a batch."""

    @abstractmethod
    def live(self, model: Any, rows: np.ndarray, held: np.ndarray | None, key: Any, last: Any) -> Any:
        """Certified likelihoods, `train` and `validation`, of some rows; `last` is what the last call returned."""
