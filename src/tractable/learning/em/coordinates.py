"""Parameters without constraints for gradient M-steps: coordinates that are all zero at the model they belong to.

A kind of emissions has a row: which constants and coordinates describe it, its expected log density as a function of
coordinates and expected statistics, and the emissions at given coordinates. Means are measured in the present
standard deviations and covariances against the present ones, so that no step depends on the units of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.learning.em import table_coordinates as tables
from tractable.learning.em.charts import NEVER, TINY, Chart, Coordinates
from tractable.learning.em.charts import logs as _logs
from tractable.models import ModelError
from tractable.models.emissions import Emissions, ProductEmissions
from tractable.models.hidden_markov import STATIONARY
from tractable.posterior.approximate import saul_jaakkola


class EmissionCoordinates(NamedTuple):
    """What a kind of emissions has to say; without names of `coordinates` each constant has one."""

    constants: Callable[[Any], Coordinates]
    coordinates: tuple[str, ...]
    density: Callable[[Coordinates, Coordinates, Mapping[str, Any]], Any]
    emissions: Callable[[Any, Coordinates, Coordinates], Emissions]


def chart_of(model: Any) -> Chart:
    """The coordinates of a mixture, a hidden Markov model, a network or a sigmoid belief network, all zero.

    Raises
    ------
    ModelError : a model that has none.
    """
    family = getattr(model, "family", None)
    if family == "mixture":
        logits = {"weights": _logs(model.weights)}
        return _joined((family,), model.free, logits, logits)
    if family == "sigmoid_belief":
        return Chart((family,), {"model": model}, {"model": jax.tree.map(np.zeros_like, model)})
    if family == "tables" and hasattr(model, "maximized"):
        return tables.chart_of(model)
    if family != "hidden_markov":
        raise ModelError(f"there is no gradient M-step for a {type(model).__name__}: take m_step='closed form'")
    if model.ties is not None:
        raise ModelError("there is no gradient M-step for tied transitions: take m_step='closed form'")
    chain = {name: _logs(a) for name, a in (("start", model.first), ("transition", model.transition))}
    free = {"transition": chain["transition"]} if model.is_stationary else chain
    return _joined((family, model.is_stationary), model.emissions, chain, free)


def density(shape: Any, constants: Coordinates, free: Coordinates, statistics: Mapping[str, Any]) -> Any:
    """E[log p(x, z)] under expected statistics, up to what does not depend on the parameters."""
    if shape[0] == "sigmoid_belief":
        return _layers(jax.tree.map(jnp.add, constants["model"], free["model"]), statistics)
    if shape[0] == "tables":
        return tables.density(shape[1], constants, free, statistics["count"])
    own = _emission_density(shape[-1], constants["emissions"], free["emissions"], _part(statistics, "emissions."))
    if shape[0] == "mixture":
        return own + _expected(statistics["mixture.count"], constants["weights"] + free["weights"])
    transition = _shifted(constants["transition"], free["transition"])
    own += jnp.sum(statistics["chain.transition"] * jax.nn.log_softmax(transition, axis=-1))
    if not shape[1]:
        return own + _expected(statistics["chain.start"], _shifted(constants["start"], free["start"]))
    first = _stationary(jax.nn.softmax(transition, axis=-1))
    return own + jnp.sum(statistics["chain.start"] * jnp.log(jnp.maximum(first, TINY)))


def model_at(model: Any, constants: Coordinates, free: Coordinates) -> Any:
    """The model at these coordinates."""
    if model.family == "sigmoid_belief":
        return jax.tree.map(np.add, model, free["model"])
    if model.family == "tables":
        return tables.model_at(model, constants, free)
    if model.family == "mixture":
        weights = _softmax(constants["weights"] + free["weights"])
        emissions = _emissions_at(model.free, constants["emissions"], free["emissions"])
        return replace(model, weights=weights, emissions=emissions)
    emissions = _emissions_at(model.emissions, constants["emissions"], free["emissions"])
    transition = _softmax(_shifted(constants["transition"], free["transition"]))
    start = STATIONARY if model.is_stationary else _softmax(_shifted(constants["start"], free["start"]))
    return replace(model, start=start, transition=transition, emissions=emissions).allowing(model.possible)


def _joined(shape: tuple[Any, ...], emissions: Emissions, constants: Coordinates, free: Coordinates) -> Chart:
    kind, own, coordinates = _of_emissions(emissions)
    zeros = {name: np.zeros_like(array) for name, array in free.items()}
    return Chart((*shape, kind), {**constants, "emissions": own}, {**zeros, "emissions": coordinates})


def _of_emissions(emissions: Emissions) -> tuple[Any, Coordinates, Coordinates]:
    if isinstance(emissions, ProductEmissions):
        kinds, own, free = zip(*map(_of_emissions, emissions.parts), strict=True)
        return kinds, dict(_numbered(own)), dict(_numbered(free))
    if emissions.kind not in KINDS:
        raise ModelError(f"there is no gradient M-step for {emissions.kind} emissions: take m_step='closed form'")
    row = KINDS[emissions.kind]
    own = row.constants(emissions)
    return emissions.kind, own, {name: np.zeros_like(own[name]) for name in row.coordinates or own}


def _numbered(parts: Any) -> list[tuple[str, Any]]:
    """Parts by their numbers, as keys."""
    return [(str(i), part) for i, part in enumerate(parts)]


def _emission_density(kind: Any, constants: Coordinates, free: Coordinates, statistics: Mapping[str, Any]) -> Any:
    if isinstance(kind, str):
        return KINDS[kind].density(constants, free, statistics)
    parts = [_emission_density(k, constants[i], free[i], _part(statistics, f"{i}.")) for i, k in _numbered(kind)]
    return sum(parts)


def _emissions_at(emissions: Any, constants: Coordinates, free: Coordinates) -> Emissions:
    if isinstance(emissions, ProductEmissions):
        parts = [_emissions_at(part, constants[i], free[i]) for i, part in _numbered(emissions.parts)]
        return ProductEmissions(parts, emissions.columns)
    return KINDS[emissions.kind].emissions(emissions, constants, free)


def _part(statistics: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): a for n, a in statistics.items() if n.startswith(prefix)}


def _layers(model: Any, statistics: Mapping[str, Any]) -> Any:
    """The bound on E_q[log p(x, h)] below it, summed over rows that come with the means of q."""

    def one(row: tuple[Any, list[Any], Any]) -> Any:
        known, means, weight = row
        return weight * saul_jaakkola.expected_log_joint(model, saul_jaakkola.KnownLayers([known], []), means)

    means = [statistics[f"mean{at}"] for at in range(len(model.sizes))]
    rows = (statistics["known"], means, statistics["weight"])
    return jax.lax.map(jax.checkpoint(one), rows, batch_size=saul_jaakkola.TOGETHER).sum()


# ---------------------------------------------------------------- distributions over states


def _shifted(logits: Any, by: Any) -> Any:
    """Logits moved, where they are possible."""
    lib: Any = np if isinstance(by, np.ndarray) else jnp
    return lib.where(logits > NEVER, logits + by, NEVER)


def _softmax(logits: np.ndarray) -> np.ndarray:
    p = np.where(logits > NEVER, np.exp(logits - logits.max(-1, keepdims=True)), 0.0)
    return p / p.sum(-1, keepdims=True)


def _expected(counts: Any, logits: Any) -> Any:
    return jnp.sum(counts * jax.nn.log_softmax(logits, axis=-1))


def _stationary(transition: Any) -> Any:
    """π with π A = π: of (I − Aᵀ + 1 1ᵀ) π = 1."""
    k = transition.shape[0]
    return jnp.linalg.solve(jnp.eye(k) - transition.T + 1.0, jnp.ones(k))


# ---------------------------------------------------------------- the kinds


def _bernoulli(c: Coordinates, free: Coordinates, s: Mapping[str, Any]) -> Any:
    logit = c["logit"] + free["logit"]
    return jnp.sum(s["sum"] * jax.nn.log_sigmoid(logit) + (s["count"] - s["sum"]) * jax.nn.log_sigmoid(-logit))


def _poisson(c: Coordinates, free: Coordinates, s: Mapping[str, Any]) -> Any:
    log_rate = c["log_rate"] + free["log_rate"]
    return jnp.sum(s["sum"] * log_rate - s["count"] * jnp.exp(log_rate))


def _categorical(c: Coordinates, free: Coordinates, s: Mapping[str, Any]) -> Any:
    return sum(_expected(s[f"count{j}"], _shifted(c[j], free[j])) for j in c)


def _diagonal(c: Coordinates, free: Coordinates, s: Mapping[str, Any]) -> Any:
    mean, scale = c["mean"] + c["scale"] * free["mean"], c["scale"] * jnp.exp(free["scale"])
    squares = s["square"] - 2 * mean * s["sum"] + s["count"] * mean**2
    return -jnp.sum(s["count"] * jnp.log(scale) + 0.5 * squares / scale**2)


def _gaussian(c: Coordinates, free: Coordinates, s: Mapping[str, Any]) -> Any:
    mean = c["mean"] + jnp.einsum("...ij,...j->...i", c["root"], free["mean"])
    cross = mean[:, :, None] * s["sum"][:, None, :]
    around = s["count"][:, None, None] * mean[:, :, None] * mean[:, None, :] - cross - jnp.swapaxes(cross, 1, 2)
    tied = c["root"].ndim == 2
    squares = s["square"] + (around.sum(0) if tied else around)
    lower, count = _triangle(free["white"]), s["count"].sum() if tied else s["count"]
    white = lower @ c["white"]
    log_det = jnp.log(jnp.abs(jnp.diagonal(white, axis1=-2, axis2=-1))).sum(-1)
    return jnp.sum(count * log_det) - 0.5 * jnp.sum((white @ squares) * white)


def _triangle(free: Any) -> Any:
    """A lower triangle with a positive diagonal; the identity at zero."""
    lib: Any = np if isinstance(free, np.ndarray) else jnp
    eye = np.eye(free.shape[-1])
    return lib.tril(free, -1) + eye * lib.exp(lib.where(eye > 0, free, 0.0))


def _gaussian_constants(e: Any) -> Coordinates:
    root = np.linalg.cholesky(e.covariances)
    return {"mean": e.locations - e.shift, "root": root, "white": np.linalg.inv(root)}


def _gaussian_at(e: Any, c: Coordinates, free: Coordinates) -> Emissions:
    mean = c["mean"] + np.einsum("...ij,...j->...i", c["root"], free["mean"])
    root = c["root"] @ np.linalg.inv(_triangle(free["white"]))
    return type(e)(mean + e.shift, root @ np.swapaxes(root, -1, -2), e.shift)


def _diagonal_at(e: Any, c: Coordinates, free: Coordinates) -> Emissions:
    scale = (c["scale"] * np.exp(free["scale"])).reshape(e.variances.shape)
    return type(e)(c["mean"] + c["scale"] * free["mean"] + e.shift, scale**2, e.shift)


def _diagonal_constants(e: Any) -> Coordinates:
    scale = np.sqrt(e.variances)
    return {"mean": e.locations - e.shift, "scale": scale[:, None] if scale.ndim == 1 else scale}


def _logits(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, TINY)) - np.log(np.maximum(1 - p, TINY))


def _expit(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


DIAGONAL = EmissionCoordinates(_diagonal_constants, ("mean", "scale"), _diagonal, _diagonal_at)
GAUSSIAN = EmissionCoordinates(_gaussian_constants, ("mean", "white"), _gaussian, _gaussian_at)
KINDS: dict[str, EmissionCoordinates] = {
    "bernoulli": EmissionCoordinates(
        lambda e: {"logit": _logits(e.probabilities)},
        ("logit",),
        _bernoulli,
        lambda e, c, free: type(e)(_expit(c["logit"] + free["logit"])),
    ),
    "categorical": EmissionCoordinates(
        lambda e: {str(j): _logs(t) for j, t in enumerate(e.tables)},
        (),
        _categorical,
        lambda e, c, free: type(e)([_softmax(_shifted(c[j], free[j])) for j in c]),
    ),
    "poisson": EmissionCoordinates(
        lambda e: {"log_rate": np.log(np.maximum(e.rates, TINY))},
        ("log_rate",),
        _poisson,
        lambda e, c, free: type(e)(np.exp(c["log_rate"] + free["log_rate"])),
    ),
    "diagonal": DIAGONAL,
    "spherical": DIAGONAL,
    "gaussian": GAUSSIAN,
    "tied": GAUSSIAN,
}
