"""Records and arrays -> figures of matplotlib (the extra `plots`), imported when one is drawn."""

from tractable.plots.chains import state_path, transition_graph
from tractable.plots.curves import chain_traces, learning_curve
from tractable.plots.images import filters, samples

__all__ = ["chain_traces", "filters", "learning_curve", "samples", "state_path", "transition_graph"]
