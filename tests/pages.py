"""Pages that are served, and a browser that looks at them, for the tests of the explorer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ANSWERED = '.tractable-explorer[data-busy="false"] [data-log-evidence]:has-text("=")'
"""What there is on a page that has its first answer."""


@contextmanager
def served(path: Any, *more: str) -> Iterator[str]:
    """The address at which the command shows a file."""
    command = [sys.executable, "-m", "tractable", "view", str(path), "--no-browser", "--json", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        try:
            yield json.loads(running.stdout.readline())["address"]
        finally:
            running.send_signal(signal.SIGINT)
            assert running.wait(20) in (0, 130)


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("TRACTABLE_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium here: `make browser` installs it")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


class Looked:
    """A page that is looked at; what it logs as an error, or throws, fails the test at its end."""

    def __init__(self, page: Any):
        self.page, self.errors = page, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def open(self, address: str | Path) -> Looked:
        """Go there, and wait for the first answer."""
        self.page.goto(address.as_uri() if isinstance(address, Path) else address)
        self.page.wait_for_selector(ANSWERED)
        return self

    def row(self, variable: int, state: int) -> Any:
        """The row of a state in the graph."""
        return self.page.locator(f'.te-cards [data-variable="{variable}"] [data-state="{state}"]')

    def settled(self) -> None:
        """Wait until nothing is asked any more, and what was answered is drawn."""
        self.page.wait_for_selector('.tractable-explorer[data-busy="false"]')
        self.page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
        self.page.wait_for_selector('.tractable-explorer[data-busy="false"]')

    def click(self, variable: int, state: int) -> None:
        """Click a state wherever it lies just now, and wait for what comes of it."""
        self.row(variable, state).dispatch_event("click")
        self.settled()

    def belief(self, variable: int, which: str = "data-belief") -> list[float]:
        """The beliefs on a card, to all their digits."""
        rows = self.page.locator(f'.te-cards [data-variable="{variable}"] [data-state]')
        return [float(text) for text in rows.evaluate_all(f"(all) => all.map((row) => row.getAttribute('{which}'))")]

    def marginals(self) -> list[list[float]]:
        """All beliefs that the page has."""
        return self.page.evaluate("document.querySelector('.tractable-explorer').store.current.found.marginals")


@contextmanager
def looked(running: Any, **how: Any) -> Iterator[Looked]:
    """A new page; whatever went wrong in it is told."""
    page = running.new_page(**({"viewport": {"width": 1280, "height": 900}} | how))
    page.set_default_timeout(20_000)
    found = Looked(page)
    yield found
    page.close()
    assert not found.errors
