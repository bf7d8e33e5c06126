"""A figure that a notebook shows by itself: matplotlib's own ask for `pyplot`, which keeps a list of all figures."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

SHARP = 2
"""Dots for each that is shown, so that text is sharp on fine screens."""


class NotebookFigure(Figure):
    """A figure with a picture for notebooks."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        page, dots = BytesIO(), self.get_dpi()
        self.savefig(page, format="png", dpi=SHARP * dots)
        width, height = (round(own * dots) for own in self.get_size_inches())
        return page.getvalue(), {"width": width, "height": height}
