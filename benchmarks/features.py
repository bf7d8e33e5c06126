"""Features and labels at defaults: digits of scikit-learn, each model at its own settings, against scikit-learn's.

Claims: logistic regression on the features of `RestrictedBoltzmannMachine` is right at least as often as on those of
scikit-learn's `BernoulliRBM`, both with 32 hidden units; `RestrictedBoltzmannClassifier` at least as often as logistic
regression on the pixels themselves, gray as real numbers, cut as zeros and ones. A quarter of the rows is held out;
medians over three seeds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from tractable.estimators import RestrictedBoltzmannClassifier, RestrictedBoltzmannMachine

SEEDS = range(3)
HIDDEN = 32


def features(machine: Any) -> Any:
    """A machine, and logistic regression on its features."""
    return make_pipeline(machine, LogisticRegression(max_iter=2000))


MODELS: dict[str, Callable[[int], Any]] = {
    "features, scikit-learn, gray": lambda s: features(BernoulliRBM(HIDDEN, random_state=s)),
    "features, cut at 0.5": lambda s: features(RestrictedBoltzmannMachine(HIDDEN, binarize=0.5, random_state=s)),
    "features, drawn": lambda s: features(RestrictedBoltzmannMachine(HIDDEN, binarize="draw", random_state=s)),
    "pixels, logistic regression": lambda s: LogisticRegression(max_iter=2000),
    "the same, cut at 0.5": lambda s: make_pipeline(Binarizer(threshold=0.5), LogisticRegression(max_iter=2000)),
    "classifier, cut at 0.5": lambda s: RestrictedBoltzmannClassifier(binarize=0.5, random_state=s),
    "classifier, real": lambda s: RestrictedBoltzmannClassifier(units="gaussian", random_state=s),
}


def main() -> None:
    """Fit all models on the same rows and print how often they are right on the others."""
    rows, y = load_digits(return_X_y=True)
    train, test, own, held = train_test_split(np.asarray(rows) / 16, y, test_size=0.25, random_state=0)
    for name, make in MODELS.items():
        began = time.perf_counter()
        shares = [make(seed).fit(train, own).score(test, held) for seed in SEEDS]
        seconds = (time.perf_counter() - began) / len(SEEDS)
        print(f"{name:30s} {statistics.median(shares):.3f}   {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
