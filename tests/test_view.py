"""What pages ask and are told, and who may ask: sessions without a browser, and the server on its address."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import layers_zoo
import machines_zoo
import numpy as np
import pytest
from pages import served
from sweep import some

import tractable as tr
from tractable.view import _assets, networks
from tractable.view._base import replies, standard
from tractable.view.networks import NetworkSession
from tractable.view.page import page
from tractable.view.server import Served, _lines
from tractable.view.sessions import session

ASIA = Path(tr.__file__).parent / "examples" / "asia.bif"


def ask(own: Any, **message: Any) -> list[dict[str, Any]]:
    """All replies, through JSON as a page gets them."""
    return [json.loads(json.dumps(reply, allow_nan=False)) for reply in replies(own, message)]


@pytest.fixture
def asia() -> Any:
    return session(tr.load(ASIA))


def test_a_description_says_all_that_is_drawn(asia: Any) -> None:
    told, net = asia.describe(), tr.load(ASIA)
    names = [own["name"] for own in told["variables"]]
    assert names == list(net.states)
    assert {(names[p], own["name"]) for own in told["variables"] for p in own["parents"]} == {
        (p, v) for v, parents in net.graph.parents.items() for p in parents
    }
    assert len(told["layout"]["boxes"]) == 8 and len(told["layout"]["routes"]) == 8


def test_beliefs_are_those_of_infer_with_states_weights_and_both(asia: Any) -> None:
    net = tr.load(ASIA)
    names = list(net.states)
    for evidence, named in (
        ([], {}),
        ([[7, 0]], {names[7]: "yes"}),
        ([[7, [0.2, 0.9]], [0, 1]], {names[7]: tr.likelihood([0.2, 0.9]), names[0]: "no"}),
    ):
        (found,) = ask(asia, verb="infer", evidence=evidence)
        expected = tr.infer(net, named)
        assert found["log_evidence"]["value"] == pytest.approx(expected.log_partition.value)
        for name, own in zip(names, found["marginals"], strict=True):
            assert own == pytest.approx(expected.marginals.array(name), abs=1e-12)


def test_a_markov_network_has_log_evidence_and_not_log_z() -> None:
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1.0, 2.0], [3.0, 4.0]])])
    (found,) = ask(session(net), verb="infer", evidence=[[0, 1]])
    assert found["normalized"] and found["log_evidence"]["value"] == pytest.approx(math.log(0.7))


def test_impossible_evidence_is_said(asia: Any) -> None:
    names = list(tr.load(ASIA).states)
    (found,) = ask(asia, verb="infer", evidence=[[names.index("lung"), 0], [names.index("either"), 1]])
    assert found["impossible"] and found["log_evidence"]["value"] == "-inf"


def test_what_takes_long_is_offered_and_narrows(asia: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = tr.load(ASIA)
    price = networks._ladder(asia._planned({"asia": "yes"}, 1e-9))
    assert price[0]["words"].startswith("exact in") and price[0]["seconds"] > 0
    ahead = [rung for rung in price if rung["certificate"] == "probabilistic" and rung["seconds"]]
    assert [rung["seconds"] for rung in ahead] == [10.0, 60.0] and "±" in ahead[0]["words"]

    infer = partial(tr.infer, method="mini_buckets", draws=4096)
    monkeypatch.setattr(
        networks, "infer", lambda model, given, **how: infer(model, given, confidence=how["confidence"])
    )
    monkeypatch.setattr(NetworkSession, "_planned", lambda self, given, seconds=0.0: tr.plan(net, given, seconds=1e-9))
    found = ask(asia, verb="infer", evidence=[[7, 0]], seconds=10.0)
    truth = tr.infer(net, {[*net.states][7]: "yes"}).marginals
    assert len(found) == 2 and {told["ends"]["confidence"] for told in found} == {0.975}
    for told in found:
        for name, low, high in zip(net.states, told["ends"]["lower"], told["ends"]["upper"], strict=True):
            assert (low <= truth.array(name) + 1e-12).all() and (truth.array(name) - 1e-12 <= high).all()


def test_pieces_share_the_chance_to_fail() -> None:
    assert networks._pieces(10.0) == [2.0, 8.0] and networks._pieces(0.7) == [0.7]
    assert sum(networks._pieces(60.0)) == pytest.approx(60.0)


def test_the_price_before_a_click_is_that_of_plan(asia: Any) -> None:
    net = tr.load(ASIA)
    (found,) = ask(asia, verb="plan", evidence=[[1, 0]], variable=7)
    expected = tr.plan(net, observed={[*net.states][1]: "yes", [*net.states][7]: "yes"})
    assert found["plan"]["seconds"] == expected.seconds and found["plan"]["words"].startswith("exact in")
    assert found["ladder"] == []


def test_the_most_probable_states_and_separation(asia: Any) -> None:
    net = tr.load(ASIA)
    names = list(net.states)
    (found,) = ask(asia, verb="most_probable", evidence=[[names.index("xray"), 0]], k=2)
    for one, best in zip(found["found"], tr.most_probable(net, {"xray": "yes"}, k=2), strict=True):
        assert {v: net.states[v][s] for v, s in zip(names, one["states"], strict=True)} == best.assignment
        assert one["log_probability"]["value"] == float(best.log_probability)
    a, b, given = (names.index(v) for v in ("tub", "lung", "either"))
    (found,) = ask(asia, verb="separation", a=a, b=b, given=[given])
    assert not found["separated"] and found["path"] == [a, given, b] and "explaining away" in found["reason"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"verb": "eval"},
        {"verb": ["infer"]},
        {"verb": "infer", "evidence": 3},
        {"verb": "infer", "evidence": [[0]]},
        {"verb": "infer", "evidence": [[99, 0]]},
        {"verb": "infer", "evidence": [[0, -1]]},
        {"verb": "infer", "evidence": [[0, True]]},
        {"verb": "infer", "evidence": [["asia", "yes"]]},
        {"verb": "infer", "evidence": [[0, [1.0]]]},
        {"verb": "infer", "evidence": [[0, [0.0, 0.0]]]},
        {"verb": "infer", "evidence": [[0, ["x", None]]]},
        {"verb": "infer", "evidence": [], "seconds": "1"},
        {"verb": "infer", "evidence": [], "seconds": -1},
        {"verb": "plan", "evidence": [], "variable": 1.5},
        {"verb": "most_probable", "evidence": [], "k": 0},
        {"verb": "separation", "a": 0, "b": 0},
        {"verb": "separation", "a": 0, "b": 1, "given": 7},
    ],
)
def test_a_message_that_makes_no_sense_is_answered_by_one_line(asia: Any, message: dict[str, Any]) -> None:
    (found,) = replies(asia, message)
    assert found["error"] and "\n" not in found["error"]


def test_who_has_no_page_is_told() -> None:
    with pytest.raises(TypeError, match="expected a model"):
        session({})
    with pytest.raises(tr.ModelError, match="shown by itself"):
        session(tr.load(ASIA), np.zeros((2, 2)))


@pytest.mark.verify
@pytest.mark.parametrize("row", some([*machines_zoo.ZOO, *layers_zoo.ZOO], 8), ids=str)
def test_every_machine_and_all_layers_have_a_page(row: Any) -> None:
    own = session(row.model(0))
    told = json.loads(json.dumps(standard(own.describe()), allow_nan=False))
    assert sum(group["n"] for group in told["groups"]) and told["prices"]
    assert "error" in ask(own, verb="infer")[0]
    assert "content" in page(own)


def test_columns_with_names_counts_and_gaps_have_pages() -> None:
    rng = np.random.default_rng(0)
    table = {"sky": ["sun", "rain", "sun", None] * 20, "wind": rng.normal(size=80), "n": rng.poisson(3, 80)}
    how = {"categorical": "sky", "diagonal": "wind", "poisson": "n"}
    mixture, chain = tr.mixture(table, 2, how, key=0), tr.hidden_markov(table, 2, how, key=0)
    shown = session(mixture, table)
    names = [own["name"] for own in shown.describe()["columns"]]
    row = [{"sky": 0, "wind": 0.5, "n": None}[name] for name in names]
    (found,) = ask(shown, verb="infer", row=row)
    state = shown.describe()["columns"][names.index("sky")]["states"][0]
    truth = tr.infer(mixture, {"sky": [state], "wind": [0.5], "n": [None]})
    assert found["components"] == pytest.approx(np.ravel([*truth.marginals["component"].values()]))
    (found,) = ask(session(chain, table), verb="window", begin=0, end=80, ahead=5)
    assert np.allclose(found["probabilities"], tr.infer(chain, table).marginals["state"])
    assert len(found["ahead"]["probabilities"]) == 5 and found["values"][names.index("sky")][3] is None


def test_a_notebook_asks_and_is_answered_by_its_number() -> None:
    pytest.importorskip("anywidget")
    widget, sent = tr.view(tr.load(ASIA)), []
    widget.send = sent.append
    widget._answer(widget, {"id": "1.5", "message": {"verb": "infer", "evidence": []}}, [])
    assert [content["id"] for content in sent] == ["1.5", "1.5"] and sent[-1]["done"]
    assert len(sent[0]["reply"]["marginals"]) == 8
    json.dumps(widget.description, allow_nan=False)


def test_the_module_has_no_import_left_and_one_shell() -> None:
    for shell in (("page",), ("notebook",)):
        module = _assets.module(*shell)
        assert "import {" not in module and "import(" not in module
        assert "innerHTML" not in module and "eval(" not in module
    assert module.count("export ") == 1  # what a notebook asks for


# ---------------------------------------------------------------- the server


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(ASIA) as found:
        yield found


def send(address: str, method: str = "GET", path: str = "", body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """Status, headers and content of a request, whose Host header may be another."""
    at = urlsplit(address)
    with closing(http.client.HTTPConnection(at.hostname or "", at.port or 0, timeout=20)) as line:
        target = path if path.startswith("/") else at.path + path
        line.putrequest(method, target, skip_host="Host" in headers)
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        for name, value in headers.items():
            line.putheader(name, value)
        line.putheader("Content-Length", str(len(content)))
        line.endheaders(content)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def test_the_page_answers_its_own(address: str) -> None:
    status, headers, content = send(address)
    assert status == 200 and '<script type="module" src="explorer.js">' in content
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    at = urlsplit(address)
    own = f"http://{at.hostname}:{at.port}"
    status, _, content = send(address, "POST", "ask", {"verb": "infer", "evidence": []}, Origin=own)
    assert status == 200 and len(json.loads(content)["marginals"]) == 8
    assert json.loads(send(address, path="model.json")[2])["name"] == "asia"


def test_strangers_are_refused(address: str) -> None:
    at = urlsplit(address)
    question = {"verb": "infer", "evidence": []}
    assert send(address, "POST", "ask", question, Origin="https://evil.example")[0] == 403
    assert send(address, "POST", "ask", question, Origin="null")[0] == 403
    assert send(address, "POST", "ask", question, Host=f"evil.example:{at.port}")[0] == 403
    assert send(address, Host="127.0.0.1")[0] == 403
    for path in ("/", "/ask", "/wrong/", at.path[:-2] + "/", "/model.json", at.path[:-1]):
        status, headers, content = send(address, path=path)
        assert (status, "asia" in content) == (403, False) and "default-src 'none'" in headers[
            "Content-Security-Policy"
        ]


def test_nothing_else_is_served(address: str) -> None:
    for path in ("../asia.bif", "%2e%2e/asia.bif", "asia.bif", "static/base.js", "explorer.js/..", "//etc/passwd"):
        assert send(address, path=path)[0] in (403, 404)
    assert send(address, "GET", "ask")[0] == 405
    assert send(address, "POST", "ask", b"{")[0] == 400
    assert send(address, "POST", "ask", b"[" * 100_000)[0] == 400
    status, _, content = send(address, "POST", "ask", [1, 2])
    assert status == 200 and "error" in json.loads(content)


def test_a_message_that_never_ends_is_cut_off(address: str) -> None:
    at = urlsplit(address)
    with socket.create_connection((at.hostname, at.port), timeout=20) as line:
        line.sendall(f"POST {at.path}ask HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 9999999999\r\n\r\n".encode())
        try:
            for _ in range(100):
                line.sendall(b" " * 100_000)
        except OSError:
            return
        assert b" 413 " in line.recv(100)


def test_a_page_that_goes_away_interrupts_its_question() -> None:
    ended = threading.Event()

    class Endless:
        def answers(self, _: Any) -> Iterator[dict[str, Any]]:
            try:
                yield {"first": True}
                while True:
                    time.sleep(0.001)
            finally:
                ended.set()

    async def left() -> None:
        lines = _lines(Served(Endless), {})
        assert json.loads(await anext(lines)) == {"first": True}
        await lines.aclose()
        assert ended.wait(20)

    asyncio.run(left())


def test_a_taken_port_is_said(address: str) -> None:
    port = str(urlsplit(address).port)
    command = [sys.executable, "-m", "tractable", "view", str(ASIA), "--port", port, "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"port {port}" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_file_that_changes_is_said_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "net.bif"
    path.write_text(ASIA.read_text())
    question = {"verb": "infer", "evidence": []}
    with served(path) as own:
        assert "notice" not in json.loads(send(own, "POST", "ask", question)[2])
        path.write_text(ASIA.read_text().replace("0.01, 0.99", "0.5, 0.5", 1))
        assert "has changed" in json.loads(send(own, "POST", "ask", question)[2])["notice"]
        send(own, path="model.json")
        found = json.loads(send(own, "POST", "ask", question)[2])
        assert "notice" not in found and found["marginals"][0] == pytest.approx([0.5, 0.5])
        path.write_text("network {")  # half written: what there was stays
        assert json.loads(send(own, path="model.json")[2])["name"] == "net"
        path.unlink()
        assert "is gone" in json.loads(send(own, "POST", "ask", question)[2])["notice"]
