"""What the tests of the envelopes share: handlers that do as requests say, and requests."""

from __future__ import annotations

import ast
import base64
import json
from typing import Any, List

import frontend
from ts.context import Context, RequestProcessor, RequestProperties

# The header give is an expression for what the handler returns; the header got of the response is what it has got.
HANDLER = """
    def handle(data, context):
        if data is not None:
            context.set_response_header(0, "got", repr(data))
            return eval(context.get_request_header(0, "give") or "data")
"""
MANIFEST = {"model": {"modelName": "named", "modelVersion": "2.0"}}
B64 = base64.b64encode(b"image").decode()

# The same, asynchronous: a request with the header wait waits for one without.
ASYNC = """
    import asyncio

    gates = {}

    async def handle(data, context):
        if data is None:
            return
        context.set_response_header(0, "got", repr(data))
        gate = gates.setdefault("gate", asyncio.Event())
        if context.get_request_header(0, "wait"):
            await gate.wait()
        else:
            gate.set()
        return eval(context.get_request_header(0, "give") or "data")
"""


def asked(value: Any, give: str = "data", at: int = 1, content_type: str = "application/json") -> frontend.Request:
    return frontend.body(value, content_type, at, give=give)


def got(item: frontend.Item) -> Any:
    """Return what the handler has got."""
    return ast.literal_eval(dict(item.headers)["got"].replace("bytearray", ""))


def both(worker: frontend.Worker, first: Any, second: Any) -> List[Any]:
    """Send a request that waits, and one that lets it go on; return the answers."""
    assert worker.peer is not None
    for request in (frontend.body(first, at=1, wait="1"), frontend.body(second, at=2)):
        worker.peer.socket.sendall(frontend.infer_command(request))
    responses = [worker.peer.response() for _ in range(2)]
    assert [each.code for each in responses] == [200, 200], responses
    answers = {each.items[0].request_id: each.items[0].body for each in responses}
    return [json.loads(answers["r1"]), json.loads(answers["r2"])]


def context(count: int = 1, **headers: str) -> Context:
    made = Context("m", "/m", None, 1, None, "0.12.0")
    made.request_processor = [RequestProcessor(RequestProperties(headers)) for _ in range(count)]
    made.request_ids = {at: "r%d" % at for at in range(count)}
    return made
