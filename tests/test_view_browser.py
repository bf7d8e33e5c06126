"""The explorer in a real browser: what is clicked is observed, what is shown is what the verbs say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep
from data import DATA, needs_data, real_files
from pages import ANSWERED, Looked, browser, looked, served

import tractable as tr
from tractable.view import networks
from tractable.view.page import page
from tractable.view.sessions import session

ASIA = Path(tr.__file__).parent / "examples" / "asia.bif"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def asia_address() -> Iterator[str]:
    with served(ASIA) as address:
        yield address


@pytest.fixture
def asia(chromium: Any, asia_address: str) -> Iterator[Looked]:
    with looked(chromium) as page:
        yield page.open(asia_address)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network beyond exact answers."""
    rng, side = np.random.default_rng(0), 24
    names = [f"x{i}.{j}" for i in range(side) for j in range(side)]
    pairs = [(f"x{i}.{j}", f"x{i + a}.{j + b}") for i in range(side) for j in range(side) for a, b in ((0, 1), (1, 0))]
    factors = [(pair, np.exp(0.4 * rng.normal(size=(2, 2)))) for pair in pairs if pair[1] in names]
    path = tmp_path_factory.mktemp("grid") / "grid.safetensors"
    tr.save(tr.MarkovNetwork(dict.fromkeys(names, "01"), factors), path)
    return path


def numbered(net: Any, evidence: dict[str, str]) -> list[tuple[int, int]]:
    names = list(net.states)
    return [(names.index(v), net.states[v].index(state)) for v, state in evidence.items()]


def agrees(page: Looked, net: Any, evidence: dict[str, str]) -> None:
    """All beliefs of the page are those of the verb."""
    expected = tr.infer(net, evidence).marginals
    for name, found in zip(net.states, page.marginals(), strict=True):
        assert np.abs(np.array(found) - expected.array(name)).max() < 1e-6


@pytest.mark.parametrize(
    "name", ["asia", pytest.param("alarm", marks=needs_data), pytest.param("munin", marks=needs_data)]
)
def test_clicked_evidence_gives_the_beliefs_of_infer(chromium: Any, name: str) -> None:
    path = ASIA if name == "asia" or DATA is None else DATA / "bif" / f"{name}.bif.gz"
    net = tr.load(path)
    drawn = tr.sample(net, 1, key=3)
    evidence = {v: str(drawn[v][0]) for v in list(net.states)[2 :: max(len(net.states) // 3, 1)]}
    with served(path) as address, looked(chromium) as page:
        page.open(address)
        agrees(page, net, {})
        for variable, state in numbered(net, evidence):
            page.page.evaluate(f"document.querySelector('.tractable-explorer').page.go({variable})")
            if state < 6:
                page.click(variable, state)
            else:
                page.page.locator(f'.te-panel [data-state="{state}"]').click()
                page.settled()
        agrees(page, net, evidence)
        shown = int(page.page.locator(".te-card").first.get_attribute("data-variable"))
        exact = tr.infer(net, evidence).marginals.array([*net.states][shown])
        assert np.abs(np.array(page.belief(shown)) - exact[:6]).max() < 1e-6
        variable, state = numbered(net, evidence)[-1]
        page.page.locator(f'.te-panel [data-state="{state}"]').click()
        page.settled()
        agrees(page, net, dict([*evidence.items()][:-1]))


def test_the_price_is_said_before_the_click(asia: Looked) -> None:
    asia.row(7, 0).hover()
    asia.page.wait_for_selector("[data-price='7']:has-text('dysp = yes: exact in')")
    assert "0 observed" not in asia.page.inner_text(".te-said") and "nothing observed" in asia.page.inner_text(
        ".te-said"
    )


def test_a_ghost_shows_what_a_belief_was(asia: Looked) -> None:
    asia.click(7, 0)
    ghost = asia.row(2, 0).locator(".te-ghost")
    assert ghost.is_visible() and ghost.evaluate("(g) => g.style.width") == "50%"


def test_two_hypotheses_side_by_side(asia: Looked) -> None:
    net = tr.load(ASIA)
    names = list(net.states)
    asia.click(*numbered(net, {"dysp": "yes"})[0])
    asia.page.get_by_text("compare two").click()
    asia.click(*numbered(net, {"smoke": "no"})[0])
    lung = names.index("lung")
    a, b = tr.infer(net, {"dysp": "yes"}), tr.infer(net, {"dysp": "yes", "smoke": "no"})
    assert asia.belief(lung) == pytest.approx(a.marginals.array("lung"), abs=1e-6)
    assert asia.belief(lung, "data-belief-b") == pytest.approx(b.marginals.array("lung"), abs=1e-6)
    ratio = np.exp(a.log_partition.value - b.log_partition.value)
    assert f"P(A) / P(B) = {ratio:.4g}" in asia.page.inner_text("[data-log-evidence]")
    asia.page.get_by_text("end comparing").click()
    assert "P(A)" not in asia.page.inner_text("[data-log-evidence]")


def test_by_the_keyboard_alone(asia: Looked) -> None:
    net, keys = tr.load(ASIA), asia.page.keyboard
    keys.press("/")
    keys.type("xr")
    keys.press("Tab")
    keys.press("Enter")
    keys.press("ArrowDown")
    keys.press("Space")
    asia.settled()
    agrees(asia, net, {"xray": "no"})
    keys.press("ArrowUp")
    keys.press("ArrowUp")  # to the card above, its last state
    keys.press("Enter")
    asia.settled()
    agrees(asia, net, {"xray": "no", "either": "no"})
    keys.press("Delete")
    asia.settled()
    keys.press("Control+z")
    asia.settled()
    agrees(asia, net, {"xray": "no", "either": "no"})


def test_evidence_that_becomes_impossible_is_said_and_undone(asia: Looked) -> None:
    net = tr.load(ASIA)
    for pair in numbered(net, {"lung": "yes", "either": "no"}):
        asia.click(*pair)
    assert "either = no cannot be" in asia.page.inner_text("[role=alert]")
    agrees(asia, net, {"lung": "yes"})
    asia.click(*numbered(net, {"dysp": "yes"})[0])
    assert not asia.page.inner_text("[role=alert]")
    agrees(asia, net, {"lung": "yes", "dysp": "yes"})


def test_soft_evidence_by_dragging_along_a_bar(asia: Looked) -> None:
    net = tr.load(ASIA)
    box = asia.row(2, 0).locator(".te-track").bounding_box()
    x, y, w = box["x"], box["y"] + box["height"] / 2, box["width"]
    asia.page.mouse.move(x + 2, y)
    asia.page.mouse.down()
    asia.page.mouse.move(x + 0.5 * w, y)
    asia.page.mouse.move(x + 0.75 * w, y)
    asia.page.mouse.up()
    asia.settled()
    name = [*net.states][2]
    agrees(asia, net, {name: tr.likelihood([0.75, 0.25])})


def test_what_connects_two_variables_is_said(asia: Looked) -> None:
    net = tr.load(ASIA)
    names = list(net.states)
    asia.click(*numbered(net, {"dysp": "yes"})[0])
    asia.page.locator(f'.te-cards [data-variable="{names.index("bronc")}"] .te-head').click()
    asia.row(names.index("either"), 0).hover()
    asia.page.wait_for_selector(".te-reason:has-text('explaining away')")
    assert asia.page.locator(".te-onpath").count() == 3


def test_the_most_probable_states(asia: Looked) -> None:
    net = tr.load(ASIA)
    asia.click(*numbered(net, {"xray": "yes"})[0])
    asia.page.get_by_text("most probable states").click()
    asia.page.wait_for_selector(".te-best li:nth-child(3)")
    best = tr.most_probable(net, {"xray": "yes"})
    asia.page.get_by_text("show in the graph").click()
    for v, state in numbered(net, {v: s for v, s in best.assignment.items() if v != "xray"}):
        assert "te-marked" in asia.row(v, state).get_attribute("class")


@pytest.mark.parametrize("path", [ASIA, *sweep.some(real_files("bif/*.bif.gz"), 1)], ids=lambda path: path.name)
def test_a_file_answers_from_disk_as_the_verbs_do(chromium: Any, tmp_path: Path, path: Path) -> None:
    net = tr.load(path)
    if tr.plan(net).width > 16:
        pytest.skip("wider than what is asked of a page")
    drawn = tr.sample(net, 1, key=1)
    evidence = {v: str(drawn[v][0]) for v in list(net.states)[1 :: max(len(net.states) // 4, 1)]}
    (tmp_path / "net.html").write_text(page(session(net)))
    with looked(chromium) as shown:
        shown.open(tmp_path / "net.html")
        agrees(shown, net, {})
        pairs = [[v, s] for v, s in numbered(net, evidence)]
        shown.page.evaluate(
            """(pairs) => {
                const { store } = document.querySelector(".tractable-explorer");
                store.current.evidence = new Map(pairs);
                return store.refresh(store.current);
            }""",
            pairs,
        )
        agrees(shown, net, evidence)
        found = shown.page.evaluate("document.querySelector('.tractable-explorer').store.current.found.log_evidence")
        assert found["value"] == pytest.approx(tr.log_evidence(net, evidence).value, abs=1e-6)


def test_a_file_of_a_network_too_wide_says_so(chromium: Any, grid: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.html").write_text(page(session(tr.load(grid))))
    with looked(chromium) as shown:
        shown.page.goto((tmp_path / "grid.html").as_uri())
        shown.page.wait_for_selector(".te-ladder h2:has-text('too')")
        assert "tractable view" in shown.page.inner_text(".te-ladder")


def test_too_many_variables_to_draw_are_listed(chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "LIST_FROM", 5)
    net = tr.load(ASIA)
    (tmp_path / "net.html").write_text(page(session(net)))
    with looked(chromium) as shown:
        shown.open(tmp_path / "net.html")
        assert "8 variables are too many" in shown.page.inner_text(".te-ground")
        shown.page.keyboard.press("/")
        shown.page.keyboard.type("xray")
        shown.page.keyboard.press("Tab")
        shown.page.keyboard.press("Enter")
        shown.page.locator('.te-panel [data-state="0"]').click()
        shown.settled()
        agrees(shown, net, {"xray": "yes"})


def test_a_widget_asks_its_kernel(chromium: Any) -> None:
    pytest.importorskip("anywidget")
    net = tr.load(ASIA)
    widget = tr.view(net)

    def asked(content: dict[str, Any]) -> list[Any]:
        sent: list[Any] = []
        widget.send = sent.append
        widget._answer(widget, content, [])
        return sent

    with looked(chromium) as shown:
        shown.page.goto("data:text/html,<!doctype html>")
        shown.page.expose_function("kernel", asked)
        shown.page.evaluate(
            """async ([code, description]) => {
                const at = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
                const { render } = (await import(at)).default;
                const heard = [];
                const send = async (content) => {
                    for (const reply of await kernel(content)) heard.forEach((one) => one(reply));
                };
                const model = { get: () => description, on: (_, one) => heard.push(one), send };
                render({ model, el: document.body.appendChild(document.createElement("div")) });
            }""",
            [widget._esm, dict(widget.description)],
        )
        shown.page.wait_for_selector(ANSWERED)
        shown.page.evaluate("document.querySelector('.tractable-explorer').store.toggle(7, 0)")
        shown.settled()
        agrees(shown, net, {[*net.states][7]: "yes"})


def test_names_that_are_markup_stay_text(chromium: Any, tmp_path: Path) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    net = tr.BayesianNetwork({bad: [bad, "__proto__"], "__proto__": ["", "b"]}, {"__proto__": [bad]}, {
        bad: [0.3, 0.7], "__proto__": [[0.9, 0.1], [0.2, 0.8]],
    })  # fmt: skip
    tr.save(net, tmp_path / "net.safetensors")
    with served(tmp_path / "net.safetensors") as address, looked(chromium) as page:
        page.open(address)
        page.click(1, 1)
        assert page.page.locator(".te-head").first.inner_text() == bad
        assert page.page.locator(".tractable-explorer script, .tractable-explorer img").count() == 0
        assert page.marginals()[0] == pytest.approx(tr.infer(net, {"__proto__": "b"}).marginals.array(bad))


def test_a_narrow_page_shows_all_of_it(chromium: Any, asia_address: str) -> None:
    with looked(chromium, viewport={"width": 390, "height": 844}, color_scheme="dark") as page:
        page.open(asia_address)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.page.locator(".te-card").count() in (0, 8)


def test_intervals_narrow_where_exact_answers_take_long(chromium: Any, grid: Path) -> None:
    with served(grid) as address, looked(chromium) as page:
        page.open(address)
        assert "probabilistic" in page.page.inner_text("[data-log-evidence]")
        store = "document.querySelector('.tractable-explorer').store"
        page.page.get_by_text("in 10 s (probabilistic)").click()
        page.page.wait_for_selector("[data-log-evidence]:has-text('97.5 %')")
        page.page.get_by_text("stop here").click()
        page.settled()
        assert page.page.locator(".te-ladder").is_visible()
        ends = page.page.evaluate(f"{store}.current.found.ends")
        assert all(low[0] < high[0] for low, high in zip(ends["lower"], ends["upper"], strict=True))


ROWS = np.random.default_rng(0).normal(size=(60, 2)) + 4 * (np.arange(60) // 30)[:, None]


def test_a_mixture_says_to_which_component_a_row_belongs(chromium: Any, tmp_path: Path) -> None:
    model = tr.fit(tr.mixture(ROWS, 2, "diagonal", key=0), ROWS, tr.EM()).model
    tr.save(model, tmp_path / "mixture.safetensors")
    with served(tmp_path / "mixture.safetensors") as address, looked(chromium) as page:
        page.page.goto(address)
        page.page.locator(".te-row input").first.fill("1.9")
        expected = [*tr.infer(model, [1.9, np.nan]).marginals["component"].values()]
        page.page.wait_for_selector(f'[data-component="0"]:has-text("{100 * expected[0]:.1f}")')
        found = page.page.locator("[data-component]").evaluate_all("(all) => all.map((one) => one.dataset.belief)")
        assert [float(p) for p in found] == pytest.approx(expected, abs=1e-6)


def test_a_chain_shows_its_path_served_and_from_disk(chromium: Any, tmp_path: Path) -> None:
    model = tr.fit(tr.hidden_markov(ROWS, 2, "diagonal", key=0), ROWS, tr.EM()).model
    tr.save(model, tmp_path / "chain.safetensors")
    tr.write_data(tmp_path / "rows.csv", ROWS)
    (tmp_path / "chain.html").write_text(page(session(model, ROWS)))
    with served(tmp_path / "chain.safetensors", str(tmp_path / "rows.csv")) as address, looked(chromium) as shown:
        for place in (address, (tmp_path / "chain.html").as_uri()):
            shown.page.goto(place)
            shown.page.wait_for_selector(".te-charts svg")
            assert shown.page.locator(".te-charts svg").count() == 3
            assert shown.page.locator(".te-charts figure").first.locator("rect").count() == 2  # two pieces of the path
            value = tr.log_evidence(model, ROWS).value
            assert f"{value:.5g}".replace("-", "\u2212") in shown.page.inner_text("[data-log-evidence]")


def test_a_machine_shows_filters_and_prices(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    tr.save(tr.restricted(16, 5, key=0), tmp_path / "machine.safetensors")
    with served(tmp_path / "machine.safetensors") as address, looked(chromium) as page:
        page.page.goto(address)
        page.page.wait_for_selector(".te-images canvas")
        assert page.page.locator(".te-images canvas").count() == 5
        assert "exact in" in page.page.inner_text(".te-table")
