"""Bayesian and Markov networks in a browser: evidence by clicks, each priced before it is made."""

from __future__ import annotations

import math
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from tractable.families import leaf
from tractable.graph import is_separated, layout
from tractable.models import BayesianNetwork, ModelError, likelihood
from tractable.models.sparse_networks import n_entries
from tractable.plan import BudgetError, Plan, ask
from tractable.plan._units import duration
from tractable.posterior import Certificate, infer, log_partition, most_probable
from tractable.view._base import PROMPT, Message, Reply, certificate, in_words

ByName = dict[str, Any]

BOX = {"letter": 7.0, "bar": 114.0, "least": 134.0, "most": 220.0, "head": 24.0, "row": 17.0, "foot": 5.0}
ROWS = 6
"""Pixels of a card: a letter, a bar with its number, the least and the most wide, head, row, foot; and its rows."""

PIECES = 2.0 * PROMPT, 2.0
"""Seconds of the first interval that narrows what was there at once, and how many times as long the next takes."""

HASTE = 0.02
"""The share of its patience that the search for a price has."""

LONGEST = 600.0
"""Seconds of an exact answer that a page still offers."""

LIST_FROM = 5_000
"""Variables that are no longer drawn, but listed."""

CONFIDENCE = 0.95


def session(model: Any, data: Any, run: Any, name: str) -> NetworkSession:
    """A network, by itself.

    Raises
    ------
    ModelError : data, which a network is not shown with.
    """
    if data is not None:
        raise ModelError("a network is shown by itself: leave the data out, and click what is observed")
    return NetworkSession(model, name)


class NetworkSession:
    """A network that is looked at; messages and replies number variables and states as the model has them."""

    def __init__(self, model: Any, name: str):
        self.model, self.name = model, name
        self.names = tuple(model.states)
        self.states = tuple(tuple(own) for own in model.states.values())

    def describe(self) -> Reply:
        """Variables with their states and parents, and where they are drawn."""
        place = {name: i for i, name in enumerate(self.names)}
        graph = self.model.graph
        variables = [
            {"name": name, "states": list(states), "parents": [place[parent] for parent in graph.parents.get(name, ())]}
            for name, states in zip(self.names, self.states, strict=True)
        ]
        return {
            "family": "network",
            "kind": type(self.model).__name__,
            "name": self.name,
            "live": True,
            "variables": variables,
            "links": [[place[name] for name in link] for link in graph.links],
            "table_entries": n_entries(self.model),
            "layout": _drawing(self.model, place) if len(place) <= LIST_FROM else None,
        }

    def carried(self) -> Reply:
        """Tables and kernels: a page that is a file asks them as we ask the verbs."""
        from tractable.kernels.wasm import library
        from tractable.view._tables import tables

        return {"tables": tables(self.model), "kernels": b64encode(library()).decode()}

    def answers(self, message: Message) -> Iterator[Reply]:
        """The answers to one of the verbs."""
        verbs = {
            "infer": self._beliefs,
            "plan": self._price,
            "most_probable": self._most_probable,
            "separation": self._separation,
        }
        if message.get("verb") not in verbs:
            raise ModelError(f"a verb is one of {', '.join(verbs)}, got {message.get('verb')!r:.80}")
        yield from verbs[message["verb"]](message)

    def _beliefs(self, message: Message) -> Iterator[Reply]:
        """Beliefs at once, exact or as intervals; with seconds exact within them, or intervals that narrow so long."""
        given, start = self._evidence(message), time.perf_counter()
        seconds = _positive(message.get("seconds"))
        quick = None if seconds is None else self._planned(given, seconds)
        try:
            if quick is not None and quick.method:
                yield self._told(infer(self.model, given, method="exact", seconds=seconds), start)
                return
            pieces = _pieces(seconds or PROMPT)
            confidence = 1 - (1 - CONFIDENCE) / len(pieces)  # so that all that are shown hold together
            ladder = None
            for own in pieces:
                found = infer(self.model, given, seconds=own, confidence=confidence)
                told = self._told(found, start)
                if "ends" not in told:
                    yield told
                    return
                ladder = _ladder(quick or self._planned(given)) if ladder is None else ladder
                yield {**told, "ladder": ladder}
        except BudgetError as error:
            yield {"too_long": True, "plan": self._plan(error.plan), "ladder": _ladder(error.plan)}

    def _told(self, found: Any, start: float) -> Reply:
        log_z: Certificate = found.log_partition
        told: Reply = {"plan": self._plan(found.plan), "elapsed": time.perf_counter() - start}
        if log_z.value == -math.inf and log_z.kind == "exact":
            return {"impossible": True, "log_evidence": certificate(log_z), **told}
        told["log_evidence"] = certificate(log_z if self._log_z is None else log_z - self._log_z)
        told["normalized"] = self._log_z is not None or _is_normalized(self.model)
        refused = found.marginals.refused
        own = [None if name in refused else found.marginals.certificates(name) for name in self.names]
        return {**told, "marginals": _side(own, "value"), **_ends(own)}

    @cached_property
    def _log_z(self) -> Certificate | None:
        """log Z of a network that is not normalized, where it is to be had; None where nothing has to be taken off."""
        if _is_normalized(self.model):
            return None
        try:
            return log_partition(self.model, method="exact", seconds=PROMPT)
        except BudgetError:
            return None

    def _price(self, message: Message) -> Iterator[Reply]:
        """What beliefs would cost if a state were observed as well."""
        given = self._evidence(message)
        if message.get("variable") is not None:
            given |= self._evidence({"evidence": [[message["variable"], message.get("state", 0)]]})
        found = self._planned(given)
        yield {"plan": self._plan(found), "ladder": [] if found.method else _ladder(found)}

    def _planned(self, given: ByName, seconds: float = PROMPT) -> Plan:
        """The plan of beliefs, found in haste: somebody waits with the pointer on a state."""
        question = ask("marginals", None, seconds)._replace(effort=HASTE)
        return leaf(self.model, "plan").plan_model(self.model, given, question)

    def _most_probable(self, message: Message) -> Iterator[Reply]:
        k = message.get("k", 1)
        try:
            found = most_probable(self.model, self._evidence(message), k=k, method="exact", seconds=PROMPT)
        except BudgetError as error:
            yield {"too_long": True, "plan": self._plan(error.plan), "ladder": []}
            return
        best = found if isinstance(found, list) else [found]
        yield {"found": [self._state(one) for one in best], "plan": self._plan(best[0].plan)}

    def _state(self, found: Any) -> Reply:
        states = [own.index(found.assignment[name]) for name, own in zip(self.names, self.states, strict=True)]
        return {"states": states, "log_probability": certificate(found.log_probability), "tied": bool(found.tied)}

    def _separation(self, message: Message) -> Iterator[Reply]:
        place = {name: i for i, name in enumerate(self.names)}
        given = [self._name(v) for v in message.get("given", ())]
        found = is_separated(self.model.graph, self._name(message.get("a")), self._name(message.get("b")), given)
        path, closed = ([place[name] for name in own] for own in (found.path, found.closed))
        yield {"separated": found.separated, "path": path, "closed": closed, "reason": found.reason}

    def _plan(self, found: Plan) -> Reply:
        place = {name: i for i, name in enumerate(self.names)}
        numbers = {name: getattr(found, name) for name in ("method", "width", "flops", "bytes", "seconds", "why")}
        return {**numbers, "words": in_words(found), "advice": [place[name] for name in found.advice if name in place]}

    def _evidence(self, message: Message) -> ByName:
        """Evidence by name, of a list of [variable, state] or [variable, weights]."""
        given: ByName = {}
        pairs = message.get("evidence", ())
        if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
            raise ModelError(
                "evidence is a list of pairs: a variable and its state, or a weight for each of its states"
            )
        for variable, state in pairs:
            name = self._name(variable)
            soft = isinstance(state, list | tuple)
            given[name] = (
                likelihood(state) if soft else self.states[variable][_index(state, len(self.states[variable]))]
            )
        return given

    def _name(self, variable: Any) -> str:
        return self.names[_index(variable, len(self.names))]


def _is_normalized(model: Any) -> bool:
    return isinstance(model, BayesianNetwork)


def _side(own: Sequence[Certificate | None], side: str) -> list[Any]:
    """The values, or one of the ends, of all variables."""
    return [None if one is None else getattr(one, side) for one in own]


def _ends(own: Sequence[Certificate | None]) -> Reply:
    """The ends of beliefs that are not exact, and what they rest on."""
    some = next((one for one in own if one is not None and one.kind != "exact"), None)
    if some is None:
        return {}
    told = {name: getattr(some, name) for name in ("kind", "confidence", "verdict")}
    return {"ends": {"lower": _side(own, "lower"), "upper": _side(own, "upper"), **told}}


def _index(given: Any, n: int) -> int:
    """A number of a variable or a state, checked."""
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < n:
        raise ModelError(f"expected a number from 0 to {n - 1}, got {given!r:.80}")
    return given


def _positive(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ModelError(f"seconds are a positive number, got {seconds!r:.80}")
    return float(seconds)


def _pieces(seconds: float) -> list[float]:
    """Seconds of intervals one after the other, together those that were asked for.

    >>> _pieces(10.0)
    [2.0, 8.0]
    """
    first, growth = PIECES
    found, left = [], seconds
    while left > 3 * first:
        found.append(first)
        left -= first
        first *= growth
    return [*found, left]


def _ladder(found: Plan) -> list[Reply]:
    """What remains where exact answers do not come at once: each rung with the seconds that it takes."""
    rungs: list[Reply] = []
    if found.budget is None or found.bytes <= found.budget.memory:
        within = 2 * found.seconds if found.seconds < LONGEST else None
        told = {"words": f"exact in {duration(found.seconds)}", "seconds": within}
        rungs.append({**told, "certificate": "exact", "note": found.why})
    for other in found.alternatives:
        for ahead in other.foreseen:
            words = f"±{ahead.share_width / 2:.2g} in {duration(ahead.seconds)}"
            rungs.append(
                {"words": words, "seconds": ahead.seconds, "certificate": other.certificate, "note": other.note}
            )
        if not other.foreseen and other.method != "more memory":
            rungs.append(
                {
                    "words": other.method.replace("_", " "),
                    "seconds": None,
                    "certificate": other.certificate,
                    "note": other.note,
                }
            )
    return rungs


def _drawing(model: Any, place: Mapping[str, int]) -> Reply:
    """Where the cards lie and the lines run, in pixels."""
    boxes = {name: _box(name, states) for name, states in model.states.items()}
    drawn = layout(model.graph, boxes)
    return {
        "width": drawn.width,
        "height": drawn.height,
        "boxes": [[*drawn.places[name], *boxes[name]] for name in place],
        "routes": [
            [place[r.tail], place[r.head], r.directed, [[round(x, 1), round(y, 1)] for x, y in r.points]]
            for r in drawn.routes
        ],
    }


def _box(name: str, states: Sequence[str]) -> tuple[float, float]:
    """The width and the height of a card."""
    wanted = max(BOX["letter"] * (len(name) + 2), BOX["letter"] * max(map(len, states)) + BOX["bar"])
    width = min(max(wanted, BOX["least"]), BOX["most"])
    rows = min(len(states), ROWS) + (len(states) > ROWS)
    return width, BOX["head"] + BOX["row"] * rows + BOX["foot"]
