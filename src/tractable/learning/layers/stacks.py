"""Directed layers as stacks of restricted machines: taken apart to be learned, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable.learning._base import two_axes
from tractable.learning.layers._base import checked_rows
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, restricted
from tractable.models.clamping import checked_values
from tractable.models.deep_belief import TOP, DeepBeliefNetwork
from tractable.models.layers import free_of_evidence, listed
from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.models.units import Bernoulli


@dataclass(frozen=True)
class Stack:
    """The restricted machines of a belief network; the likelihood of the first one is that of data."""

    model: DeepBeliefNetwork | SigmoidBeliefNetwork
    recognition: RecognitionNetwork | None
    transposed: bool
    followed: bool = True
    scale: float = 1.0

    @property
    def n_machines(self) -> int:
        """How many machines there are."""
        return len(self.model.sizes) - 1

    def checked(self, data: Any) -> np.ndarray:
        """Rows of zeros and ones."""
        return checked_rows(self.model, data)

    def start(self, i: int, found: Sequence[Boltzmann], means: np.ndarray) -> Boltzmann:
        """Machine `i` before it is learned; those below it are found, the lower layer of the last has these means."""
        own = self._alone(i)
        return _transposed(own, found[-1], means) if i and self.transposed else own

    def _alone(self, i: int) -> Boltzmann:
        if isinstance(self.model, DeepBeliefNetwork) and i == len(self.model.weights):
            return self.model.top
        c = None if self.recognition is None else self.recognition.biases[i][0]
        return restricted(couplings=self.model.weights[i], visible_bias=self.model.biases[i], hidden_bias=c)

    def together(self, found: Sequence[Boltzmann], above: Callable[[], np.ndarray]) -> HelmholtzMachine:
        """The network that these machines are; `above` draws states of the last one's hidden units."""
        machine = stacked(found, None if self.model.family == "deep_belief" else above())
        if self.recognition is None or not self.recognition.is_autoregressive:
            return machine
        q, own = machine.recognition, [None if a is None else np.zeros_like(a) for a in self.recognition.within]
        q = RecognitionNetwork(weights=q.weights, biases=q.biases, within=own)
        return HelmholtzMachine(machine.generative, q)


def _transposed(own: Boltzmann, below: Boltzmann, means: np.ndarray) -> Boltzmann:
    """A machine whose hidden units are the visible units of the one below it, those that vary most first."""
    n = min(own.units["hidden"].n, len(means))
    taken = np.sort(np.argsort(-means * (1 - means), kind="stable")[:n])
    couplings = [np.asarray(below.couplings[TOP])[taken].T, np.asarray(own.couplings[TOP])[:, n:]]
    return restricted(
        couplings=np.concatenate(couplings, axis=1),
        visible_bias=below.fields["hidden"],
        hidden_bias=np.concatenate([np.asarray(below.fields[VISIBLE])[taken], np.asarray(own.fields["hidden"])[n:]]),
    )


def stack_of(model: Any, transposed: bool) -> Stack:
    """The machines of a belief network, alone or with its recognition network."""
    own = model.generative if isinstance(model, HelmholtzMachine) else model
    if not isinstance(own, DeepBeliefNetwork | SigmoidBeliefNetwork):
        raise ModelError(f"Layerwise learns deep machines and belief networks, not a {type(own).__name__}")
    free_of_evidence(own)
    if isinstance(own, SigmoidBeliefNetwork) and any(a is not None for a in own.within):
        raise ModelError("layers learned one by one are restricted machines, which have no weights within a layer")
    recognition = model.recognition if isinstance(model, HelmholtzMachine) else None
    if recognition is not None and any(len(level) > 1 for level in recognition.weights):
        raise ModelError("layers learned one by one have recognition networks with linear logits, not tanh units")
    return Stack(own, recognition, transposed)


def stacked(machines: Sequence[Boltzmann], states: Any = None) -> HelmholtzMachine:
    """The belief network of restricted machines on top of one another, and the recognition network that they are.

    The visible units of a machine are the hidden units of the one below it. Of each machine p(v | h) becomes a directed
    layer and p(h | v) a layer of the recognition network; only the last one stays as it is, on top of a deep belief
    network, unless `states` are given.

    Parameters
    ----------
    states : of the last machine's hidden units [n_states, n_hidden]. Then that machine becomes a directed layer too, of
        a sigmoid belief network, below independent units with the means of these.

    Raises
    ------
    ModelError : machines that do not chain, none or, without states, one; units or states other than zeros and ones.

    Examples
    --------
    >>> tr.stacked([tr.restricted(6, 4), tr.restricted(4, 3)])
    HelmholtzMachine(DeepBeliefNetwork 6 ← 4 – 3, RecognitionNetwork 6 → 4)
    >>> tr.stacked([tr.restricted(6, 4), tr.restricted(4, 3)], states=[[0, 1, 1], [0, 0, 1]])
    HelmholtzMachine(SigmoidBeliefNetwork 6 ← 4 ← 3, RecognitionNetwork 6 → 4 → 3)
    """
    machines = listed("machines", machines)
    below = _directed(machines[:-1] if states is None else machines)
    weights = [np.asarray(machine.couplings[TOP]) for machine in below]
    biases = {name: [np.asarray(machine.fields[name]) for machine in below] for name in TOP}
    recognition = RecognitionNetwork(weights=weights, biases=biases["hidden"])
    if states is None:
        generative = DeepBeliefNetwork(top=machines[-1], weights=weights, biases=biases[VISIBLE])
        return HelmholtzMachine(generative, recognition)
    own, units = two_axes(states, "states: "), machines[-1].units["hidden"]
    checked_values(machines[-1], "hidden", own, missing=False)
    alone = units.field_with_mean(own.mean(0, dtype=np.float64), len(own))
    return HelmholtzMachine(SigmoidBeliefNetwork(weights=weights, biases=[*biases[VISIBLE], alone]), recognition)


def _directed(machines: Sequence[Boltzmann]) -> list[Boltzmann]:
    """The machines that become directed layers: at least one, restricted and of zeros and ones."""
    if not machines:
        raise ModelError("a deep belief network is at least two machines, a sigmoid belief network one")
    for machine in machines:
        units = machine.units.values() if isinstance(machine, Boltzmann) else [None]
        if any(type(own) is not Bernoulli for own in units) or set(machine.couplings) != {TOP}:
            raise ModelError(f"expected restricted machines of 0/1 units, got {machine!r}")
    return list(machines)
