"""The pictures of the explorer in these pages, by a Chromium: ``python docs/screenshots.py``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from pages import browser, looked, served  # noqa: E402

ASIA = HERE.parent / "src" / "tractable" / "examples" / "asia.bif"
SMOKE, LUNG, DYSP = 2, 3, 7


def main() -> None:
    """Two hypotheses about why somebody is short of breath, with the pointer on a state that is not observed."""
    window = {"width": 1180, "height": 760}
    with served(ASIA) as address, browser() as running, looked(running, viewport=window) as page:
        page.open(address)
        page.click(DYSP, 0)
        page.page.get_by_text("compare two").click()
        page.click(SMOKE, 1)
        page.row(LUNG, 0).hover()
        page.page.wait_for_selector("[data-price]:has-text('exact in')")
        page.page.screenshot(path=HERE / "explorer.png")


if __name__ == "__main__":
    main()
