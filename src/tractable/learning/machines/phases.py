"""The two phases of every likelihood gradient, and what turns their difference into a step."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.graph.groups import GroupGraph
from tractable.models import products
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior.approximate.gibbs import Schedule, State
from tractable.posterior.approximate.mean_field import layer_means

GroupMeans = dict[str, Float[Array, " f"]]
MEAN_FIELD_ITERATIONS = 25


def positive(model: Boltzmann, v: Float[Array, "b f"]) -> State:
    """Data with the posterior means of the hidden units: exact where they are independent given it, else mean field."""
    if group_graph(model).without([VISIBLE]).is_free:
        hidden = {g: model.units[g].mean(model.local_field(g, {VISIBLE: v})) for g in model.hidden}
        return {VISIBLE: v, **{g: jnp.broadcast_to(h, (len(v), h.shape[-1])) for g, h in hidden.items()}}
    return {VISIBLE: v, **layer_means(model, v, MEAN_FIELD_ITERATIONS)}


def group_graph(model: Boltzmann) -> GroupGraph:
    """Which groups touch, sparse ones taken as dense: no value is read, so it can be had of a traced model."""
    sizes = {name: model.units[name].n for name in model.groups}
    states = {name: model.units[name].n_states for name in sizes}
    return GroupGraph(sizes, states, tuple(model.couplings), several=model.several)


def summable_groups(model: Boltzmann) -> tuple[str, ...]:
    """Groups that are independent given the others, so that they can be summed out of a state: as many as possible."""
    graph = group_graph(model)
    first = graph.independent_groups()[-1] if len(graph.sizes) > 1 else ()
    return tuple(g for g in first if not graph.coupled_within(g))


def starting_with(plan: Schedule, groups: tuple[str, ...]) -> Schedule:
    """The same sweep in an order that begins with these groups: it needs nothing of their old states."""
    return replace(plan, order=(*groups, *(name for name in plan.order if name not in groups)))


def ending_with(plan: Schedule, groups: tuple[str, ...]) -> Schedule:
    """The same sweep in an order that ends with these groups: their fields are those of the new state."""
    return replace(plan, order=(*(name for name in plan.order if name not in groups), *groups))


def rao_blackwell(plan: Schedule, model: Boltzmann, x: State) -> State:
    """Samples with some groups replaced by their means given the others: the same expectation, with less noise."""
    return x | {g: model.units[g].mean(model.local_field(g, x)) for g in summable_groups(model)}


def contrast(model: Boltzmann, data: State, free: State, weights: Array | None = None) -> Boltzmann:
    """Expected sufficient statistics under the data minus those under the model: ∂ of the mean log-likelihood.

    The log-joint is linear in the parameters, so both phases are its derivative at the (mean) states. With weights w it
    is the gradient of the mean of w log p(v).
    """
    data, free = jax.lax.stop_gradient((data, free))
    each = lambda x: x if weights is None else weights[:, None] * x  # noqa: E731
    whole = 1.0 if weights is None else weights.mean()
    between = {
        (a, b): products.contrasted(model.units[a], (data[a], each(data[b])), (free[a], whole * free[b]))
        for a, b in model.couplings
        if a != b
    }
    rest = replace(model, couplings={pair: w for pair, w in model.couplings.items() if pair not in between})
    own = lambda m: weighted_mean(m.log_joint(data), weights) - whole * m.log_joint(free).mean()  # noqa: E731
    gradient = eqx.filter_grad(own)(rest)
    return replace(gradient, couplings=gradient.couplings | between)


def centred(gradient: Boltzmann, model: Boltzmann, offsets: GroupMeans) -> Boltzmann:
    """The gradient of the machine written in x − offset, for parameters in the usual form.

    With μ the offset of each group, ∇W becomes ⟨(x_a − μ_a)(x_b − μ_b)ᵀ⟩ contrasted, and ∇b_a what is left of it at
    the offsets: ∇b_a − Σ_b ∇W_ab μ_b. Flipping every bit of the data flips the solution with it.

    Montavon & Müller, "Deep Boltzmann machines and the centering trick" (2012); Melchior, Fischer & Wiskott, "How to
    center deep Boltzmann machines", JMLR 17 (2016), equations 16–18.
    """
    fields, couplings = dict(gradient.fields), dict(gradient.couplings)
    for (a, b), dw in gradient.couplings.items():
        db_a, db_b, at_a, at_b = gradient.fields[a], gradient.fields[b], offsets[a], offsets[b]
        if a == b and a in model.edges:
            i, j = model.edges[a].T
            dw = dw - at_a[i] * db_a[j] - db_a[i] * at_a[j]
            fields[a] = fields[a].at[i].add(-dw * at_a[j]).at[j].add(-dw * at_a[i])
        else:
            dw = dw - jnp.outer(at_a, db_b) - jnp.outer(db_a, at_b)
            if a == b:
                unit = model.units[a].unit_of_feature
                dw = jnp.where(unit[:, None] < unit[None, :], dw, 0)
                fields[a] = fields[a] - dw @ at_a - dw.T @ at_a
            else:
                fields[a] = fields[a] - dw @ at_b
                fields[b] = fields[b] - dw.T @ at_a
        couplings[a, b] = dw
    return eqx.tree_at(lambda g: (g.fields, g.couplings), gradient, (fields, couplings))


def weighted_mean(values: Float[Array, " b"], weights: Array | None) -> Float[Array, ""]:
    """The mean of the values, each times its weight."""
    return values.mean() if weights is None else (weights * values).mean()


def means(x: State, weights: Array | None = None) -> GroupMeans:
    """The average of each feature over the rows, each as often as it counts."""
    if weights is None:
        return {name: features.mean(axis=0) for name, features in x.items()}
    share = weights / jnp.maximum(weights.sum(), 1e-30)
    return {name: share @ features for name, features in x.items()}


def started_at(model: Boltzmann, data_means: np.ndarray, n_rows: float) -> Boltzmann:
    """The machine with visible fields that match the data's means and hidden units that are balanced at them.

    Only fields that are all zero are set: what a user has chosen stays.
    """
    units = model.units[VISIBLE]
    fields = {name: jnp.asarray(b) for name, b in model.fields.items()}
    if not np.any(np.asarray(model.fields[VISIBLE])):
        fields[VISIBLE] = jnp.asarray(units.field_with_mean(data_means, n_rows), fields[VISIBLE].dtype)
    for name in model.hidden:
        if not np.any(np.asarray(model.fields[name])) and (VISIBLE, name) in model.couplings:
            fields[name] = -jnp.asarray(data_means, fields[name].dtype) @ model.couplings[VISIBLE, name]
    return eqx.tree_at(lambda m: m.fields, model, fields)
