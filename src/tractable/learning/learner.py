"""What is asked of a learner by gradient: its settings, and the steps that the loop of `fit` takes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import optax

from tractable.learning._base import Info, Minibatch, Seen, Training
from tractable.learning.loop import Run, prepared
from tractable.learning.records import Request, learner_name
from tractable.models import ModelError


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Settings of gradient ascent, and what the loop of `fit` asks of a family of models.

    Parameters
    ----------
    batch_size : rows in a step.
    learning_rate : of the first step; it falls linearly to zero over the run unless `decay` is False.
    optimizer : any optax transformation in place of learning rate and momentum (pass the same object again to reuse
        the compiled step).
    averaging : share of the run, counted from its end, over which parameters are averaged; 0 takes the last ones.

    Examples
    --------
    >>> learner = tr.PersistentCD(learning_rate=0.05, averaging=0.5)
    >>> isinstance(learner, tr.learning.Learner), learner.batch_size
    (True, 100)
    """

    family: ClassVar[str]
    remembers: ClassVar[bool] = False
    """Whether something is kept of every row, by its number."""

    batch_size: int = 100
    learning_rate: float = 0.1
    decay: bool = True
    optimizer: optax.GradientTransformation | None = None
    averaging: float = 0.0

    def run(self, model: Any, data: Any, request: Request) -> Run:
        """The fit that was asked for; see `fit`."""
        return prepared(model, data, self, request).run()

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

    @abstractmethod
    def width(self, model: Any) -> int:
        """Numbers that a step holds for each row of its batch."""

    @abstractmethod
    def step(self, plan: Any, training: Training, key: Any, batch: Minibatch, total: Any) -> tuple[Training, Info]:
        """One update from a batch, of `total` in the whole fit."""

    @abstractmethod
    def live(self, model: Any, rows: np.ndarray, held: np.ndarray | None, key: Any, last: Any) -> Any:
        """Certified likelihoods, `train` and `validation`, of some rows; `last` is what the last call returned."""
