"""Calls an ASGI application, such as one of FastAPI, in its own process: without server, socket or client."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List, Tuple

Message = Dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Dict[str, str]
"""Names are in lower case; a repeated header has its last value."""


class Response:
    """Gets the response of an application as it comes; subclasses replace what they want to know."""

    status = 0
    headers: Headers

    def begin(self) -> None:
        """Status and headers are known."""

    def piece(self, content: bytes) -> None:
        """Take a part of the body, which is not empty."""


async def call(application: Application, method: str, path: str, body: bytes, response: Response) -> None:
    """Let an application answer a request; return when it has.

    For the application the client never disconnects. It runs in the task that awaits this: what it raises comes out
    here, and cancelling the task cancels it.

    Args:
        application: of ASGI 3
        method: of HTTP
        path: begins with a slash; without query
        body: JSON
        response: its methods are called on the event loop
    """
    headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", b"application/json"))
    scope = _scope(method, path, headers)
    unread: List[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not unread:
            await asyncio.Event().wait()  # until it is cancelled
        return unread.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            pairs = message.get("headers", ())
            response.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
            response.begin()
        elif message["type"] == "http.response.body" and message.get("body"):
            response.piece(bytes(message["body"]))

    try:
        await application(scope, receive, send)
    except Exception as error:
        cause = _cause(error)
        if cause is error:
            raise
        raise cause from error


def _cause(error: Exception) -> Exception:
    """Return the one error of a group of one, in which versions of Starlette wrap what a stream raises."""
    errors = getattr(error, "exceptions", None)
    return _cause(errors[0]) if isinstance(errors, tuple) and len(errors) == 1 else error


def _scope(method: str, path: str, headers: List[Tuple[bytes, bytes]]) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
