"""One epoch of reweighted wake–sleep in plain torch or with pyro's own loss: run by rws_step.py in another environment.

    python benchmarks/_rws_peers.py torch DATA.npy LAYERS SAMPLES BATCH

reads the data (float32, rows of zeros and ones), prints ``ready``, and for each line that comes in trains once on every
batch in turn and prints how many steps that were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

RATE = 1e-3
Epoch = Callable[[], None]


def _each(step: Callable[[Tensor], None], batches: Sequence[Tensor]) -> None:
    for rows in batches:
        step(rows)


def parameters(sizes: list[int]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Weights and biases of the generative network, from the visible layer upward, and of the recognition network."""
    scale = [(2 / (a + b)) ** 0.5 for a, b in pairwise(sizes)]
    W = [torch.nn.Parameter(s * torch.randn(a, b)) for s, (a, b) in zip(scale, pairwise(sizes), strict=True)]
    R = [torch.nn.Parameter(s * torch.randn(a, b)) for s, (a, b) in zip(scale, pairwise(sizes), strict=True)]
    b = [torch.nn.Parameter(torch.zeros(n)) for n in sizes]
    c = [torch.nn.Parameter(torch.zeros(n)) for n in sizes[1:]]
    return W, b, R, c


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Σ x a − log(1 + e^a)."""
    return (x * logits - softplus(logits)).sum(-1)


def torch_epoch(x: Tensor, sizes: list[int], samples: int, batch: int) -> Epoch:
    """As one writes it: log-probabilities of sampled layers, a loss for each phase, autograd, Adam."""
    W, b, R, c = parameters(sizes)
    optimizer = torch.optim.Adam([*W, *b, *R, *c], lr=RATE, foreach=True)

    def recognized(rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """The first layer's logits are those of the row: they are made once, not for every sample."""
        logits = (rows @ R[0] + c[0])[:, None]
        h = torch.bernoulli(torch.sigmoid(logits.detach()).expand(-1, samples, -1))
        layers, log_q = [h], log_bernoulli(h, logits)
        for r, bias in zip(R[1:], c[1:], strict=True):
            logits = layers[-1] @ r + bias
            layers.append(torch.bernoulli(torch.sigmoid(logits.detach())))
            log_q = log_q + log_bernoulli(layers[-1], logits)
        return layers, log_q

    def explained(rows: Tensor, layers: list[Tensor]) -> Tensor:
        below = [rows[:, None], *layers[:-1]]
        terms = [log_bernoulli(v, h @ w.T + a) for v, h, w, a in zip(below, layers, W, b, strict=False)]
        return sum(terms, log_bernoulli(layers[-1], b[-1]))

    @torch.no_grad()
    def dream() -> list[Tensor]:
        layers = [torch.bernoulli(torch.sigmoid(b[-1]).expand(batch, -1))]
        for w, a in zip(reversed(W), reversed(b[:-1]), strict=True):
            layers.append(torch.bernoulli(torch.sigmoid(layers[-1] @ w.T + a)))
        return layers[::-1]

    def step(rows: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        layers, log_q = recognized(rows)
        log_p = explained(rows, layers)
        weights = torch.softmax(log_p.detach() - log_q.detach(), 1)
        loss = -(weights * (log_p + 0.5 * log_q)).sum() / batch
        dreamt = dream()
        pairs = zip(pairwise(dreamt), R, c, strict=True)
        log_q: Any = sum(log_bernoulli(h, v @ r + a) for (v, h), r, a in pairs)
        (loss - 0.5 * log_q.mean()).backward()
        optimizer.step()

    return partial(_each, step, x.split(batch))


def pyro_epoch(x: Tensor, sizes: list[int], samples: int, batch: int) -> Epoch:
    """pyro.infer.ReweightedWakeSleep with samples in a vectorized plate, insomnia 0.5: both phases of the guide."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import ReweightedWakeSleep

    W, b, R, c = (torch.nn.ParameterList(found) for found in parameters(sizes))
    model_net, guide_net = torch.nn.ModuleList([W, b]), torch.nn.ModuleList([R, c])
    top = len(sizes) - 1

    def model(observations: dict[str, Tensor]) -> None:
        pyro.module("model", model_net)
        with pyro.plate("rows", batch):
            h = pyro.sample(f"h{top}", dist.Bernoulli(logits=b[top].expand(batch, -1)).to_event(1))
            for at in reversed(range(1, top)):
                h = pyro.sample(f"h{at}", dist.Bernoulli(logits=h @ W[at].T + b[at]).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=h @ W[0].T + b[0]).to_event(1), obs=observations["x"])

    def guide(observations: dict[str, Tensor]) -> None:
        pyro.module("guide", guide_net)
        with pyro.plate("rows", batch):
            h = observations["x"]
            for at, (r, a) in enumerate(zip(R, c, strict=True), start=1):
                h = pyro.sample(f"h{at}", dist.Bernoulli(logits=h @ r + a).to_event(1))

    loss = ReweightedWakeSleep(
        num_particles=samples,
        insomnia=0.5,
        num_sleep_particles=1,
        vectorize_particles=True,
        max_plate_nesting=1,
    )
    optimizer = torch.optim.Adam([*W, *b, *R, *c], lr=RATE, foreach=True)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.loss_and_grads(model, guide, observations={"x": rows})
        optimizer.step()

    return partial(_each, step, x.split(batch))


def main() -> None:
    """Make both networks, then an epoch for each line that is read."""
    name, path, layers, samples, batch = sys.argv[1:6]
    x, sizes = torch.from_numpy(np.load(path)), [int(n) for n in layers.split(",")]
    epoch = {"torch": torch_epoch, "pyro": pyro_epoch}[name](x, [x.shape[1], *sizes], int(samples), int(batch))
    print("ready", flush=True)
    for _ in sys.stdin:
        epoch()
        print(len(x) // int(batch), flush=True)


if __name__ == "__main__":
    main()
