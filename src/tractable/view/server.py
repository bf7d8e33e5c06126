"""The explorer on the loopback address: one model, one page, a token in the address; nothing else is served."""

from __future__ import annotations

import asyncio
import ctypes
import json
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tractable.view._assets import module, style
from tractable.view._base import Session, replies, standard

LOOPBACK = "127.0.0.1"

LONGEST = 1 << 22
"""Bytes of the longest message."""

GRACE = 0.5
"""Seconds that a question has when nobody waits any more: what is short, and loads modules, ends by itself."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tractable</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="explorer.css">
<body class="tractable-page">
<div id="explorer"></div>
<noscript>This page needs JavaScript.</noscript>
<script type="module" src="explorer.js"></script>
</html>
"""


class Served:
    """A model as it is in its file: read anew when a page is loaded after the file has changed."""

    def __init__(self, read: Callable[[], Session], path: Path | None = None):
        self.read, self.path = read, path
        self.session, self.seen = read(), self._stamp()

    def _stamp(self) -> Any:
        """What tells one state of the file from another; None where it is gone."""
        with suppress(OSError):
            if self.path is not None:
                found = self.path.stat()
                return found.st_mtime_ns, found.st_size, found.st_ino
        return None

    @property
    def notice(self) -> str | None:
        """What to say where the file is no longer what is shown."""
        now = self._stamp()
        if now == self.seen:
            return None
        return f"{self.path} {'has changed: load the page again' if now else 'is gone: the page shows what it was'}"

    def reopen(self) -> None:
        """Read the file again where it has changed; what cannot be read leaves what there was."""
        now = self._stamp()
        if now not in (None, self.seen):
            self.session, self.seen = self.read(), now


class Guarded:
    """Lets through what was sent to this address by its own page with the token; 403 for all else."""

    def __init__(self, app: ASGIApp, token: str, port: int):
        self.app, self.prefix = app, f"/{token}"
        self.hosts = {f"{host}:{port}" for host in (LOOPBACK, "localhost")}

    def allows(self, scope: Scope) -> bool:
        """Whether host, origin and token are ours."""
        given = Headers(scope=scope)
        origins = {f"http://{host}" for host in self.hosts}
        begins = scope["path"][: len(self.prefix) + 1].encode()
        known = secrets.compare_digest(begins, f"{self.prefix}/".encode())
        return known and given.get("host") in self.hosts and given.get("origin", min(origins)) in origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if not self.allows(scope):
            await PlainTextResponse("403: open the address that the command printed", 403, HEADERS)(
                scope, receive, send
            )
            return
        await self.app({**scope, "path": scope["path"][len(self.prefix) :]}, receive, send)


def application(opened: Served, token: str, port: int) -> ASGIApp:
    """The page, its two files, the model, and the address that messages are posted to."""

    def fixed(content: str, kind: str) -> Callable[[Request], Response]:
        return lambda _: Response(content, headers=HEADERS, media_type=kind)

    def described(_: Request) -> Response:
        with suppress(Exception):  # of a file that is being written; the notice says so
            opened.reopen()
        return JSONResponse(standard(opened.session.describe()), headers=HEADERS)

    async def asked(request: Request) -> Response:
        body = b""
        with suppress(ClientDisconnect):
            async for piece in request.stream():
                if len(body := body + piece) > LONGEST:
                    return PlainTextResponse("413: the message is too long", 413, HEADERS)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return PlainTextResponse("400: a message is JSON", 400, HEADERS)
        return StreamingResponse(_lines(opened, message), headers=HEADERS, media_type="application/x-ndjson")

    routes = [
        Route("/", fixed(PAGE, "text/html")),
        Route("/explorer.js", fixed(module("page"), "text/javascript")),
        Route("/explorer.css", fixed(style(), "text/css")),
        Route("/model.json", described),
        Route("/ask", asked, methods=["POST"]),
    ]
    return Guarded(Starlette(routes=routes), token, port)


async def _lines(opened: Served, message: Any) -> AsyncIterator[str]:
    """Replies as lines of JSON, each when it is there; a page that goes away, or asks anew, interrupts its question."""
    come: asyncio.Queue[Any] = asyncio.Queue()
    loop, gone = asyncio.get_running_loop(), threading.Event()

    def send(reply: Any) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(come.put_nowait, reply)

    def answer() -> None:
        with suppress(KeyboardInterrupt):
            try:
                for reply in replies(opened.session, message):
                    if gone.is_set():
                        return
                    send(reply)
            except Exception as error:  # the page says it, and asks the next question
                send({"error": f"{type(error).__name__}: {error}"})
            finally:
                send(None)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        while (reply := await come.get()) is not None:
            notice = {"notice": opened.notice} if opened.notice else {}
            yield json.dumps({**reply, **notice}, allow_nan=False) + "\n"
    finally:
        gone.set()
        later = threading.Timer(GRACE, _interrupt, [thread])
        later.daemon = True
        later.start()


def _interrupt(thread: threading.Thread) -> None:
    """As Ctrl-C would: the kernels look up every few hundredths of a second."""
    if thread.is_alive():
        ident, what = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, what)


def bound(port: int) -> socket.socket:
    """A socket on the loopback address.

    Raises
    ------
    OSError : the port is taken, or not allowed.
    """
    stream = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP  # named, for asyncio to send small lines at once
    found = socket.socket(*stream)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
    except OSError as error:
        found.close()
        raise OSError(f"port {port}: {error.strerror}; choose another, or leave it out for one that is free") from None
    return found


def serve(opened: Served, at: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until someone ends it; `ready` is told the address."""
    token, port = secrets.token_urlsafe(24), at.getsockname()[1]
    app = application(opened, token, port)
    how: dict[str, Any] = {"log_level": "error", "lifespan": "off", "server_header": False}
    config = uvicorn.Config(app, timeout_graceful_shutdown=1, **how)
    server = uvicorn.Server(config)
    at.listen()
    ready(f"http://{LOOPBACK}:{port}/{token}/")
    with suppress(KeyboardInterrupt):  # which is how it ends
        server.run(sockets=[at])
