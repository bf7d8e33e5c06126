"""Files of rows whose columns are the variables of a network."""

from __future__ import annotations

from typing import Any

import tractable as tr
from tractable.formats import write_evidence
from tractable.models.rows import columns_of, like

WRITTEN = (".bif", ".safetensors", ".uai", ".xml", ".xmlbif")
"""The extensions of networks."""


def table_of(net: Any, path: str) -> Any:
    """The rows in a file: names of states in a .csv, .evid or .parquet, their indices in an array."""
    plain = path.lower().removesuffix(".gz")
    if plain.endswith(".parquet"):
        from tractable.formats.data.parquet import columns  # brings narwhals

        return columns(path)
    is_array = plain.endswith(".npy") or ".npz" in plain
    return tr.read_data(path) if is_array else tr.read_evidence(path, net)


def write_table(net: Any, rows: Any, path: str) -> int:
    """Write rows of names of states under names of variables; returns the number of rows."""
    cases = like([{}], columns_of(rows))
    write_evidence(cases, path, net)
    return len(cases)
