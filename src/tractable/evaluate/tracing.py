"""Chains of a machine watched along their way: whether they can be told apart by where they started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.evaluate.diagnostics import Diagnosis, diagnose
from tractable.extras import import_module
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.keys import as_key
from tractable.models.normalizable import check_normalizable
from tractable.models.precision import in_working_precision, working_type
from tractable.plan import Memory, Plan, allowed, ask
from tractable.plan._base import within
from tractable.posterior.approximate import gibbs
from tractable.posterior.engines._protocol import unsupported
from tractable.posterior.tempering.spread import first_states

NAMES = ("log p̃(x)", "mean of the visible units")


@dataclass(frozen=True, eq=False)
class Traces:
    """Quantities along chains, and what their draws are worth.

    Attributes
    ----------
    names : of the quantities.
    draws : [n_chains, n_draws, n_quantities], one draw after each sweep, the first quarter of the sweeps left out.
    diagnosis : R-hat, effective sample sizes and a verdict, a number for each quantity.

    Examples
    --------
    >>> found = tr.evaluate.traces(tr.restricted(4, 3), n_chains=4, n_sweeps=40)
    >>> found.draws.shape, len(found.names)
    ((4, 30, 2), 2)
    """

    names: tuple[str, ...]
    draws: Float[np.ndarray, "c d q"]
    diagnosis: Diagnosis

    def to_arviz(self) -> Any:
        """The draws as ArviZ takes them: the group ``posterior`` of a tree of data sets, with axes `chain` and `draw`.

        Its plots and statistics follow, such as ``arviz_plots.plot_forest`` and ``plot_rank``; its R-hat and effective
        sample sizes are those of `diagnosis`.

        Raises
        ------
        ModuleNotFoundError : without ArviZ (the extra `arviz`).

        Examples
        --------
        >>> tree = tr.evaluate.traces(tr.restricted(4, 3), n_chains=4, n_sweeps=40).to_arviz()
        >>> dict(tree["posterior"].sizes)
        {'chain': 4, 'draw': 30}
        """
        base = import_module("arviz_base", "draws for ArviZ")
        return base.from_dict({"posterior": {name: self.draws[..., i] for i, name in enumerate(self.names)}})


def traces(model: Boltzmann, *, n_chains: int = 8, n_sweeps: int = 1000, key: Any = 0, memory: Memory = None) -> Traces:
    """Block Gibbs chains of a Boltzmann machine (general, restricted, deep) that start spread over its modes.

    Chains that started alike would agree on the one phase that they see. Modes are looked for by mean field, and chains
    are shared out in proportion to the square roots of their weights.

    Raises
    ------
    ModelError : fewer than two chains, or fewer than eight sweeps. UnsupportedError : no Boltzmann machine.
    BudgetError : model, chains and draws take more than `memory`.

    Examples
    --------
    >>> tr.evaluate.traces(tr.restricted(4, 3), n_sweeps=400).diagnosis.verdict
    'converged'
    """
    if not isinstance(model, Boltzmann):
        raise unsupported(model, "traces")
    if n_chains < 2 or n_sweeps < 8:
        raise ModelError(f"take at least 2 chains and 8 sweeps, got {n_chains} chains and {n_sweeps} sweeps")
    check_normalizable(model)
    allowed(_plan(model, n_chains, n_sweeps, memory))
    seen = _chains(model, n_chains, n_sweeps, key)
    draws = np.asarray(seen, np.float64).transpose(2, 0, 1)[:, n_sweeps // 4 :]
    return Traces(NAMES, draws, diagnose(draws))


@in_working_precision
def _chains(model: Boltzmann, n_chains: int, n_sweeps: int, key: Any) -> np.ndarray:
    """What is watched [n_sweeps, names, n_chains]."""
    key = as_key(key)
    model = model.astype(working_type(model))
    x = first_states(model, jax.random.fold_in(key, 0), n_chains)
    keys = jax.random.split(jax.random.fold_in(key, 1), n_sweeps)
    return np.asarray(_watched(gibbs.schedule(model.graph), model, keys, x))


def _plan(model: Boltzmann, n_chains: int, n_sweeps: int, memory: Memory) -> Plan:
    """What the chains hold: the model in single precision, their states with as many fields, and what is watched."""
    asked, steps = ask("sample", memory, np.inf, n=n_chains), float(n_chains) * n_sweeps
    units = sum(model.units[name].n_features for name in model.groups)
    n_bytes = 4.0 * (model.n_parameters + 3 * n_chains * units) + 16.0 * len(NAMES) * steps
    why = f"{n_chains:,} chains of {n_sweeps:,} sweeps are watched"
    flops = steps * model.n_parameters
    plan = Plan("gibbs", 0.0, flops, n_bytes, 0.0, why, query="sample", n=n_chains, budget=asked.budget)
    return within(plan, n_bytes)


@jax.jit
def _watched(plan: gibbs.Schedule, model: Boltzmann, keys: Any, x: gibbs.State) -> Float[Array, "t q c"]:
    rows = gibbs.numbers(x)

    def one(x: gibbs.State, key: Any) -> tuple[gibbs.State, Array]:
        x = gibbs.sweep(plan, model, key, rows, x)
        return x, jnp.stack([model.log_joint(x), x[VISIBLE].mean(-1)])

    return jax.lax.scan(one, x, keys)[1]
