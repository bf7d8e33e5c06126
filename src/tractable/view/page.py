"""The explorer as one file: page, model and the kernels as WebAssembly; it works from disk and loads nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

from tractable.view._assets import ENGINE, module, style
from tractable.view._base import Session, standard

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
<body class="tractable-page">
<div id="explorer"></div>
<noscript>This page needs JavaScript.</noscript>
<script type="application/json" id="content">{content}</script>
<script type="module">{script}</script>
</html>
"""


def page(session: Session) -> str:
    """The page of a session as HTML.

    Raises
    ------
    FileNotFoundError : a network, where the kernels were not compiled for browsers; the message says what to do.
    """
    model, carried = standard(session.describe()), standard(session.carried())
    content: dict[str, Any] = {"model": model | {"live": bool(carried)}, **carried}
    look, script = style(), f"\n{module(*ENGINE, 'file')}"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' 'wasm-unsafe-eval'; worker-src blob:; "
        f"style-src '{_hash(look)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return PAGE.format(
        policy=policy,
        title=escape(f"{model.get('name') or 'a model'} — tractable"),
        style=look,
        script=script,
        content=_inert(json.dumps(content, allow_nan=False)),
    )


def _hash(content: str) -> str:
    """What names a script or a style in a policy."""
    return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"


def _inert(content: str) -> str:
    """JSON that ends no element whatever it says."""
    return content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
