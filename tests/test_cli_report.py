"""One page about a model: every family, light and closed, bounded in size and time, and right in its numbers."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._limited import OutOfTimeError, within
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
EVIL = ("<script>alert(1)</script>", "x" * 200, "שלום עולם", '"><img src=x onerror=alert(2)>')
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """What stands on a page: its tags, whether they are balanced, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.text = ""
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def closed(page: Page) -> None:
    """No script, nothing from elsewhere: links lead within the page, pictures stand in it."""
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    for tag, own in page.tags:
        assert not any(name.startswith("on") for name in own)
        if "href" in own:
            assert own["href"].startswith("#")
        if "src" in own:
            assert tag == "img" and re.match(r"data:image/(svg\+xml|png);base64,", own["src"]) and own["alt"]
    style = "".join(re.findall(r"<style>(.*?)</style>", page.source, re.S))
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme:dark" in style
    assert page.source.count("<style>") == 1 and "default-src 'none'" in page.source


@pytest.fixture
def reported(tmp_path, capsys):
    """A report as a page and as plain values."""

    def reported(*argv: Any) -> tuple[Page, dict[str, Any]]:
        out = tmp_path / "report.html"
        assert run(["report", *map(str, argv), "-o", str(out), "--json"]) == 0
        page = Page(out)
        closed(page)
        return page, json.loads(capsys.readouterr().out)

    return reported


def test_a_network_and_rows(reported, tmp_path):
    pytest.importorskip("matplotlib")
    data = tmp_path / "cases.csv"
    cases = tr.sample(tr.load(ASIA), 60, key=0)
    tr.write_data(data, cases)
    page, found = reported(ASIA, data)
    for title in ("What it is", "Why it is tractable, or not", "What was learned", "How likely the data are"):
        assert title in page.text
    exact = tr.log_likelihood(tr.load(ASIA), cases)
    assert found["log_likelihood"]["value"] == pytest.approx(exact.value, rel=1e-12)
    assert f"{exact.value:.6g} nats" in page.text and found["left_out"] == []
    worst = int(np.argmin(exact.per_row.value))
    assert found["worst"][0]["row"] == worst
    assert found["worst"][0]["log_p"] == pytest.approx(exact.per_row.value[worst], rel=1e-12)
    assert found["yardsticks"]["independent columns"]["value"] < found["yardsticks"]["mixture of 2"]["value"]
    assert sum(tag == "img" for tag, _ in page.tags) == 3 and "either joins its parents lung, tub" in page.text


def weather() -> tr.HiddenMarkovModel:
    parts = [
        tr.CategoricalEmissions([[[0.2, 0.8], [0.5, 0.5]]]),
        tr.GaussianEmissions([[0.0, 1.0], [9.0, 2.0]], [np.eye(2)] * 2),
    ]
    columns = tr.Columns(["temp", "sky", "wind"], {"sky": ["sun", "rain"]})
    emissions = tr.ProductEmissions(parts, [[1], [0, 2]])
    return tr.HiddenMarkovModel([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], emissions, columns=columns)


MODELS: dict[str, Any] = {
    "markov": lambda: tr.MarkovNetwork({"a": "01", "b": "xyz"}, [("ab", [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])]),
    "mixture": lambda: tr.Mixture([0.3, 0.7], weather().emissions, columns=weather().columns),
    "hmm": weather,
    "factorial": lambda: tr.FactorialHiddenMarkovModel(
        [[0.5, 0.5]] * 2,
        [[[0.9, 0.1], [0.2, 0.8]]] * 2,
        tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]]),
    ),
    "dbn": lambda: tr.DeepBeliefNetwork([3, 2, 2], key=1),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_family_has_a_report_with_data_and_without(name, reported, tmp_path):
    model, path, data = MODELS[name](), tmp_path / f"{name}.safetensors", str(tmp_path / "rows.csv")
    tr.save(model, path)
    assert run(["sample", str(path), "-n", "25", "-o", data, "-q"]) == 0
    page, found = reported(path, data)
    rows = tr.read_sequences(data) if "h" in name or name == "factorial" else None
    if rows is not None and name != "markov":
        assert found["log_likelihood"]["value"] == pytest.approx(tr.log_likelihood(model, rows).value, rel=1e-9)
    assert found["rows"] == (1 if name in ("hmm", "factorial") else 25) and found["log_likelihood"]["kind"] == "exact"
    assert "independent columns" in page.text and type(model).__name__ in page.text
    page, found = reported(path)
    assert "log_likelihood" not in found and found["plans"]


def test_a_machine_has_its_interval_its_chains_and_its_filters(reported, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4, 50, 2)) + np.arange(4)[:, None, None]  # chains that disagree
    known = tr.evaluate.Traces(("log p̃(x)", "mean of the visible units"), draws, tr.evaluate.diagnose(draws))
    monkeypatch.setattr(tr.evaluate, "traces", lambda *_, **__: known)  # which are tested elsewhere
    tr.save(tr.restricted(couplings=rng.normal(size=(16, 3))), tmp_path / "m.safetensors")
    tr.write_data(tmp_path / "x.npy", rng.integers(0, 2, (40, 16)).astype(np.uint8))
    page, found = reported(tmp_path / "m.safetensors", tmp_path / "x.npy")
    assert found["chains"]["verdict"] == known.diagnosis.verdict != "converged"
    assert found["chains"]["traces"][1]["r_hat"] == pytest.approx(known.diagnosis.r_hat[1])
    assert "R-hat" in page.text and "log Z" in page.text and 'class="warn"' in page.source
    titles = [own["alt"] for tag, own in page.tags if tag == "img"]
    assert any("hidden unit" in title for title in titles) and any("samples" in title for title in titles)


def test_names_from_files_stay_text_and_what_is_large_is_cut(reported, tmp_path):
    states = {v: ["a", "<b>c</b>"] for v in EVIL} | {"many": [f"s{i}" for i in range(1000)]}
    states |= {f"v{i}": "01" for i in range(70)}
    tables = [(v, np.full(len(own), 1.0)) for v, own in states.items()]
    tr.save(tr.MarkovNetwork(states, tables, name=EVIL[0]), path := tmp_path / "evil.safetensors")
    page, found = reported(path)
    assert EVIL[0] in page.text and "<script" not in page.source and "x" * 60 not in page.text
    assert "… and 51 more tables" in page.text and "… and 984 more entries" in page.text
    assert any("room for 60" in told for told in found["left_out"]) and len(page.source) < 1_000_000


def test_without_matplotlib_there_are_tables(reported, monkeypatch):
    from tractable.cli import _report

    def no(path: Any) -> Any:
        raise ModuleNotFoundError("a figure needs matplotlib: pip install tractable[plots]", name="matplotlib")

    monkeypatch.setattr(_report, "pictures", lambda told: [("What it is", "x", "y", lambda: no(told))])
    page, found = reported(ASIA)
    assert "pip install tractable[plots]" in page.text and found["left_out"] and "dysp given" in page.text


def test_what_takes_too_long_is_interrupted():
    def slow() -> None:
        while True:
            time.sleep(0.01)

    began = time.perf_counter()
    with pytest.raises(OutOfTimeError):
        within(0.1, slow)
    assert time.perf_counter() - began < 2 and within(5.0, lambda: 3) == 3
    with pytest.raises(OutOfTimeError):
        within(0.0, lambda: 3)
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 / 0)


def test_a_part_without_time_is_left_out_and_the_page_says_so(reported, monkeypatch):
    from tractable.cli import _report, _report_model

    def slow(report: Any) -> None:
        time.sleep(30)

    parts = [
        (what, 0.001 if work is _report_model.tables else share, slow if work is _report_model.tables else work)
        for what, share, work in _report.PARTS
    ]
    monkeypatch.setattr(_report, "PARTS", tuple(parts))
    page, found = reported(ASIA)
    assert found["left_out"][0].startswith("tables: it takes longer") and "What is left out" in page.text


def test_an_interrupt_of_the_user_ends_it_and_writes_nothing(tmp_path, monkeypatch, capsys):
    from tractable.cli import _report

    def interrupted(report: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_report, "PARTS", (("x", 1.0, interrupted),))
    assert run(["report", ASIA, "-o", str(tmp_path / "r.html")]) == 130
    assert not (tmp_path / "r.html").exists() and "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "told"),
    [("asia,tub\n", "no rows"), ("asia,foo\nyes,1\n", "unknown variable 'foo'"), ("asia\nmaybe\n", "no state 'maybe'")],
)
def test_data_that_do_not_fit_are_one_line(cells, told, tmp_path, capsys):
    (tmp_path / "x.csv").write_text(cells)
    assert run(["report", ASIA, str(tmp_path / "x.csv"), "-o", str(tmp_path / "r.html")]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("argv", [(ASIA, "-o", "r.pdf"), (ASIA, ASIA, "-o", "r.html"), (ASIA, "-o", "nodir/r.html")])
def test_places_are_looked_at_first(argv, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["report", *argv]) == 2
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err.count("\n") == 1
