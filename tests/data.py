"""Where the real networks are: in the folder ``TRACTABLE_DATA``, else in ``../shared/data`` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("TRACTABLE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")

DATA: Path | None = _FOLDER if _FOLDER.is_dir() else None

needs_data = pytest.mark.skipif(DATA is None, reason=f"no data at {_FOLDER}; set TRACTABLE_DATA to the folder")


def real_files(pattern: str) -> list[Path]:
    """The files that match, in order of size; none where the data are absent."""
    return sorted(DATA.glob(pattern), key=lambda path: (path.stat().st_size, path.name)) if DATA else []
