"""Records and arrays -> figures of matplotlib (the extra `plots`), imported when one is drawn."""

from tractable._lazy import attach
from tractable.plots.chains import state_path, transition_graph
from tractable.plots.choices import choice
from tractable.plots.components import components
from tractable.plots.curves import chain_traces, em_curves, intervals, learning_curve
from tractable.plots.emissions import emissions
from tractable.plots.images import filters, samples
from tractable.plots.layers import bound_against_samples, explaining_away, gradient_variance
from tractable.plots.network import network
from tractable.plots.plans import plan
from tractable.plots.rows import row_likelihoods
from tractable.plots.tables import beliefs, conditional_table

__all__ = [
    "beliefs",
    "bound_against_samples",
    "chain_traces",
    "choice",
    "components",
    "conditional_table",
    "em_curves",
    "emissions",
    "explaining_away",
    "filters",
    "gradient_variance",
    "intervals",
    "learning_curve",
    "network",
    "plan",
    "row_likelihoods",
    "samples",
    "state_path",
    "transition_graph",
]

_, __dir__ = attach(__name__, {})
