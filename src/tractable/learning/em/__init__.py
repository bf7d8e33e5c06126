"""Learning by expectation maximization: its loop over starts, its variants, its records and checkpoints."""
