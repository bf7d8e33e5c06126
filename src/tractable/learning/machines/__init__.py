"""Learning machines by gradient: where the negative phase comes from is all that its leaves differ in."""
