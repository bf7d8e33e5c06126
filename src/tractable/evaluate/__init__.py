"""Model and data -> certified numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable._lazy import attach

if TYPE_CHECKING:
    from tractable.evaluate.annealed import Annealed, Annealing, anneal
    from tractable.evaluate.annealed_rows import RowAnnealing
    from tractable.evaluate.criteria import aic, bic
    from tractable.evaluate.diagnostics import (
        Diagnosis,
        autocorrelation_time,
        diagnose,
        effective_sample_size,
        split_r_hat,
    )
    from tractable.evaluate.directed import Gap, simulated_gap
    from tractable.evaluate.divergence import kl_divergence
    from tractable.evaluate.free_energy import free_energy
    from tractable.evaluate.monitor import Live, live_log_likelihood
    from tractable.evaluate.pseudo import PseudoLogLikelihood, pseudo_log_likelihood
    from tractable.evaluate.records import LogLikelihood
    from tractable.evaluate.rough import rough_log_likelihood
    from tractable.evaluate.sampled import SampleBounds, SampledLogLikelihood
    from tractable.evaluate.tracing import Traces, traces
    from tractable.evaluate.verbs import log_likelihood, log_partition

__all__ = [
    "Annealed",
    "Annealing",
    "Diagnosis",
    "Gap",
    "Live",
    "LogLikelihood",
    "PseudoLogLikelihood",
    "RowAnnealing",
    "SampleBounds",
    "SampledLogLikelihood",
    "Traces",
    "aic",
    "anneal",
    "autocorrelation_time",
    "bic",
    "diagnose",
    "effective_sample_size",
    "free_energy",
    "kl_divergence",
    "live_log_likelihood",
    "log_likelihood",
    "log_partition",
    "pseudo_log_likelihood",
    "rough_log_likelihood",
    "simulated_gap",
    "split_r_hat",
    "traces",
]

_LEAVES = {
    "criteria": ("aic", "bic"),
    "annealed": ("Annealed", "Annealing", "anneal"),
    "annealed_rows": ("RowAnnealing",),
    "diagnostics": ("Diagnosis", "autocorrelation_time", "diagnose", "effective_sample_size", "split_r_hat"),
    "divergence": ("kl_divergence",),
    "free_energy": ("free_energy",),
    "monitor": ("Live", "live_log_likelihood"),
    "rough": ("rough_log_likelihood",),
    "pseudo": ("PseudoLogLikelihood", "pseudo_log_likelihood"),
    "records": ("LogLikelihood",),
    "directed": ("Gap", "simulated_gap"),
    "sampled": ("SampleBounds", "SampledLogLikelihood"),
    "tracing": ("Traces", "traces"),
    "verbs": ("log_likelihood", "log_partition"),
}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES)
