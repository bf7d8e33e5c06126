"""Hidden Markov models on real sequences: counts of earthquakes, chorales, parts of speech.

Earthquakes: stationary Poisson models by EM, beside the maxima in Zucchini & MacDonald (2009). Chorales (JSB, a row for
each sixteenth, which keys sound): Bernoulli models by EM, log-likelihood of a row of held-out pieces. Parts of speech
(English Web Treebank): tags and words counted in the training part, rare words by their ends, Viterbi on the test part.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _common import Row, arguments, data, report, save

import tractable as tr

PUBLISHED = {1: 391.9189, 2: 342.3183, 3: 329.4603, 4: 327.8316}
"""−log L of stationary Poisson models with so many states."""

KEYS = range(36, 82)
RARE = 2
"""A word that is seen so often or less counts as its ending."""


def earthquakes(folder: Path) -> list[Row]:
    """−log L of the best of several starts, beside the published one."""
    counts = tr.read_data(folder / "earthquakes_1900_2006.csv")[:, 1:]
    rows = []
    for k, published in PUBLISHED.items():
        begin = tr.hidden_markov(counts, k, "poisson", key=0)
        start: Any = "stationary" if k > 1 else [1.0]
        model = tr.HiddenMarkovModel(start, begin.transition, begin.emissions)
        seconds = time.perf_counter()
        run = tr.fit(model, counts, tr.EM(prior=0, tolerance=1e-7, n_init=10), epochs=3000, progress=False)
        found = -tr.log_partition(run.model, counts).value
        row = {"name": f"earthquakes, {k} states", "what": "−log L", "found": found, "published": published}
        rows.append(row | {"s": time.perf_counter() - seconds})
    return rows


def chorales(folder: Path) -> list[Row]:
    """The log-likelihood of a row of the test pieces, for several numbers of states."""
    with gzip.open(folder / "jsb-chorales-16th.json.gz") as file:
        told = json.load(file)
    parts = {name: [_keys(piece) for piece in told[name]] for name in ("train", "test")}
    n_rows = sum(map(len, parts["test"]))
    rows = []
    for k in (8, 32, 64):
        seconds = time.perf_counter()
        begin = tr.hidden_markov(parts["train"], k, "bernoulli", start="rows", key=0)
        run = tr.fit(begin, parts["train"], tr.EM(tolerance=1e-2), epochs=60, progress=False)
        found = float(np.sum(tr.log_partition(run.model, parts["test"]).value)) / n_rows
        row = {"name": f"JSB chorales, {k} states", "what": "log p of a test row", "found": found}
        rows.append(row | {"s": time.perf_counter() - seconds})
    return rows


def _keys(piece: list[list[int]]) -> np.ndarray:
    return np.array([[key in chord for key in KEYS] for chord in piece], np.uint8)


def tags(folder: Path) -> list[Row]:
    """The share of words of the test part that get their tag."""
    train, test = (_sentences(folder / f"en_ewt-ud-{part}.conllu.gz") for part in ("train", "test"))
    seconds = time.perf_counter()
    often = Counter(word for sentence in train for word, _ in sentence)
    names = sorted({tag for sentence in train for _, tag in sentence})
    words = {w: i for i, w in enumerate(sorted({_known(w, often) for s in train for w, _ in s}))}
    start, follow, emit = (
        np.full(len(names), 0.1),
        np.full((len(names),) * 2, 0.1),
        np.full((len(names), len(words) + 1), 1e-3),
    )
    for sentence in train:
        path = [names.index(tag) for _, tag in sentence]
        start[path[0]] += 1
        np.add.at(follow, (path[:-1], path[1:]), 1)
        np.add.at(emit, (path, [words[_known(w, often)] for w, _ in sentence]), 1)
    table = emit / emit.sum(1, keepdims=True)
    model = tr.HiddenMarkovModel(
        start / start.sum(), follow / follow.sum(1, keepdims=True), tr.CategoricalEmissions([table])
    )
    coded = [np.array([words.get(_known(w, often), len(words)) for w, _ in s]) for s in test]
    best: Any = tr.most_probable(model, coded)
    found = np.concatenate(best.assignment["state"])
    truth = np.array([names.index(tag) for s in test for _, tag in s])
    row = {"name": f"parts of speech, {len(names)} tags", "what": "accuracy on test words"}
    return [row | {"found": float((found == truth).mean()), "s": time.perf_counter() - seconds}]


def _sentences(path: Path) -> list[list[tuple[str, str]]]:
    """Words with their tags."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        blocks = file.read().split("\n\n")
    cells = ([line.split("\t") for line in block.splitlines() if line[:1].isdigit()] for block in blocks)
    sentences = [[(c[1], c[3]) for c in block if c[0].isdigit()] for block in cells]
    return [s for s in sentences if s]


def _known(word: str, often: Counter) -> str:
    """The word, or of a rare one its shape and last letters."""
    if often[word] > RARE:
        return word
    shape = "9" if any(map(str.isdigit, word)) else "A" if word.isupper() else "Aa" if word[:1].isupper() else "a"
    return f"<{shape} {word[-3:].lower() if word.isalpha() else ''}>"


def main() -> None:
    """Fit, and print a table."""
    args = arguments(__doc__)
    folder = data("sequences")
    parts = {"earthquakes": earthquakes, "chorales": chorales, "tags": tags}
    chosen = [part for name, part in parts.items() if not args.only or any(word in name for word in args.only)]
    rows = [row for part in chosen for row in part(folder)]
    report("Real sequences", {"name": "", "what": "", "found": ".4f", "published": ".4f", "s": ".1f"}, rows, [])
    save(args.json, rows)


if __name__ == "__main__":
    main()
