"""One training step of an RBM by rbms or by learnergy, in an environment of its own: run by rbm_step.py.

    python benchmarks/_rbm_peers.py rbms DATA.npy HIDDEN

reads the data (float32, rows of zeros and ones), prints ``ready``, and for each line that comes in trains once on every
100 rows in turn and prints how many steps that were.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import numpy as np
import torch

BATCH, RATE = 100, 0.05


def rbms_epoch(x: torch.Tensor, n_hidden: int) -> Callable[[], None]:
    """The library's own step of persistent contrastive divergence, one Gibbs step, gradients not centred."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    W = torch.randn(x.shape[1], n_hidden) * 0.01
    machine = BBRBM(W, torch.zeros(x.shape[1]), torch.zeros(n_hidden))
    machine.init_grad()
    optimizer = torch.optim.SGD(machine.parameters(), lr=RATE, maximize=True)
    chains, weights = machine.init_chains(BATCH), torch.ones(BATCH)

    def epoch() -> None:
        nonlocal chains
        with torch.no_grad():
            for batch in x.split(BATCH):
                optimizer.zero_grad(set_to_none=False)
                chains, _ = fit_batch_pcd((batch, weights), chains, machine, 1, 1.0, centered=False)
                optimizer.step()

    return epoch


def learnergy_epoch(x: torch.Tensor, n_hidden: int) -> Callable[[], None]:
    """The library's own fit: contrastive divergence from the data, it has no persistent chains."""
    from learnergy.models.bernoulli import RBM

    logging.disable(logging.CRITICAL)
    machine = RBM(x.shape[1], n_hidden, steps=1, learning_rate=RATE)
    data = torch.utils.data.TensorDataset(x, torch.zeros(len(x)))

    def epoch() -> None:
        machine.fit(data, batch_size=BATCH, epochs=1)

    return epoch


def main() -> None:
    """Make the machine, then an epoch for each line that is read."""
    name, path, n_hidden = sys.argv[1:4]
    x = torch.from_numpy(np.load(path))
    epoch = {"rbms": rbms_epoch, "learnergy": learnergy_epoch}[name](x, int(n_hidden))
    said, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=said, flush=True)
    for _ in sys.stdin:
        epoch()
        print(len(x) // BATCH, file=said, flush=True)


if __name__ == "__main__":
    main()
