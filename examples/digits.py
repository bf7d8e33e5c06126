"""Handwritten digits: a restricted Boltzmann machine learned in seconds, with its exact log-likelihood.

The likelihood of such a machine needs a sum over all states of one side of it. With 64 pixels and 16 hidden units that
side has 2^16 states, so the sum is simply done, and the number below is the truth and not an estimate.
"""

import numpy as np
from sklearn.datasets import load_digits

import tractable as tr


def image(row: np.ndarray) -> list[str]:
    """A row of 64 pixels as eight lines of text."""
    return ["".join("#" if pixel else "." for pixel in line) for line in row.reshape(8, 8)]


pixels = (load_digits(return_X_y=True)[0] > 7).astype(np.uint8)  # 8 × 8 images of 16 greys, cut in the middle
rows = pixels[np.random.default_rng(0).permutation(len(pixels))]
train, held = rows[:1500], rows[1500:]

rbm = tr.restricted(64, 16, key=0)
print(tr.plan(rbm, query="evidence"), "\n")  # what log Z will cost, before anything runs

run = tr.fit(
    rbm,
    train,
    tr.PersistentCD(learning_rate=0.2, batch_size=100, n_chains=100),
    epochs=150,
    progress=False,
    key=0,
    live=0,
)
print(f"learned from {len(train)} images in {run.history[-1].seconds:.1f} s")

p = (train.sum(axis=0) + 0.5) / (len(train) + 1)
baseline = np.log(np.where(held, p, 1 - p)).sum(axis=1).mean()
found = tr.log_likelihood(run.model, held)
print(
    f"log-likelihood of an image never seen: {found.value:.2f} in [{found.lower:.2f}, {found.upper:.2f}], {found.kind}"
)
print(f"with independent pixels it would be:   {baseline:.2f}\n")

print("exact samples of the model:")
drawn = tr.sample(run.model, 8, key=0).astype(int)
print("\n".join("   ".join(line) for line in zip(*map(image, drawn), strict=True)))

half = held[:8].astype(float)
half[:, 32:] = np.nan
print("\nthe lower halves of images never seen, filled in with what is likelier than not:")
whole = tr.impute(run.model, half) > 0.5
print("\n".join("   ".join(line) for line in zip(*map(image, whole), strict=True)))
