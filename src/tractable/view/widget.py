"""The explorer in a notebook, by anywidget."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from tractable.view._assets import module, style
from tractable.view._base import Session, replies, standard


class Explorer(anywidget.AnyWidget):
    """A widget that shows a model; messages of its page are answered here, by the verbs."""

    _esm = module("notebook")
    _css = style()
    description = traitlets.Dict().tag(sync=True)

    def __init__(self, session: Session):
        super().__init__(description=standard(session.describe()))
        self.session = session
        self.on_msg(self._answer)

    def _answer(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer what a page asks: an id of its own, by which it knows the replies, and a message."""
        if isinstance(content, dict) and "id" in content:
            for reply in replies(self.session, content.get("message")):
                self.send({"id": content["id"], "reply": reply})
            self.send({"id": content["id"], "done": True})
