"""Strictness for all tests: warnings are errors, and hypothesis draws the same examples in every run."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# The tests compile far more than they compute.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

settings.register_profile(
    "ci", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; some tests send one
        signal.signal(signal.SIGINT, signal.default_int_handler)
