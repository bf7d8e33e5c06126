"""Training of an RBM by rbms or by learnergy, in an environment of its own: run by rbm_step.py, time_to_likelihood.py.

    python benchmarks/_rbm_peers.py rbms DATA.npy HIDDEN [BATCH RATE OUT.npz]

reads the data (float32, rows of zeros and ones), prints ``ready``, and for each line that comes in trains once on every
batch of rows in turn and prints how many steps that were. With a batch size and a learning rate (rbms only) the
gradients are centred, the rows come in a new order each time, what is printed are seconds, and the parameters go to
OUT.npz.
"""

from __future__ import annotations

import logging
import sys
import time
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


def rbms_run(x: torch.Tensor, n_hidden: int, batch: int, rate: float, out: str) -> Callable[[], float]:
    """Epochs of the library's own step, one Gibbs step and centred gradients, from biases that match the data."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    p = x.mean(0).clamp(1e-4, 1 - 1e-4)
    machine = BBRBM(torch.randn(x.shape[1], n_hidden) * 0.01, torch.log(p / (1 - p)), torch.zeros(n_hidden))
    machine.init_grad()
    optimizer = torch.optim.SGD(machine.parameters(), lr=rate, maximize=True)
    chains, weights = machine.init_chains(100), torch.ones(batch)

    def epoch() -> float:
        nonlocal chains
        order, began = torch.randperm(len(x)), time.perf_counter()
        with torch.no_grad():
            for rows in order[: len(x) // batch * batch].split(batch):
                optimizer.zero_grad(set_to_none=False)
                chains, _ = fit_batch_pcd((x[rows], weights), chains, machine, 1, 1.0, centered=True)
                optimizer.step()
        seconds = time.perf_counter() - began
        W, b, c = (np.asarray(p) for p in (machine.weight_matrix, machine.vbias, machine.hbias))
        np.savez(out, couplings=W, visible_bias=b, hidden_bias=c)
        return seconds

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
    name, path, n_hidden, *how = sys.argv[1:]
    x = torch.from_numpy(np.load(path))
    if how:
        epoch = rbms_run(x, int(n_hidden), int(how[0]), float(how[1]), how[2])
    else:
        epoch = {"rbms": rbms_epoch, "learnergy": learnergy_epoch}[name](x, int(n_hidden))
    said, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=said, flush=True)
    for _ in sys.stdin:
        seconds = epoch()
        print(len(x) // BATCH if seconds is None else seconds, file=said, flush=True)


if __name__ == "__main__":
    main()
