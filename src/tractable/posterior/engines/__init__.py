"""One engine for each family: what the verbs ask for, see `_protocol`."""
