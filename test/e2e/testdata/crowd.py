"""An asynchronous worker: each request is a coroutine that does what its path asks for.

POST /predictions/MODEL/1.0/WORD/WORD... Each word is a piece of the answer, but for at/GATE, never, fail, refuse, die,
block and short, which do that, stranger, which answers somebody else, and fork, which leaves a child; nap is a piece
and a moment. The last piece is the body. A describe job tells who is here.
"""

import asyncio
import os
import time
from typing import Any, Dict, List

from gates import is_open, text
from ts.handler_utils.utils import send_intermediate_predict_response
from ts.utils.util import PredictionException

HERE: Dict[str, int] = {}


async def pass_gate(name: str) -> None:
    while not is_open(name):
        await asyncio.sleep(0.005)


async def handle(data: Any, context: Any) -> Any:
    if data is None:
        return None
    if context.get_request_header(0, "describe"):
        return [{"here": sorted(HERE), "size": len(data)}]
    identity = context.get_request_id(0)
    HERE[identity] = len(data)
    try:
        return await answer(data, context)
    finally:
        del HERE[identity]


async def answer(data: List[Dict[str, Any]], context: Any) -> Any:
    words = iter([word for word in (context.get_request_header(0, "url_path") or "").split("/") if word])
    for word in words:
        if word == "at":
            await pass_gate(next(words))
        elif word == "never":
            await asyncio.Event().wait()
        elif word == "fail":
            raise ValueError("secret detail")
        elif word == "refuse":
            raise PredictionException("refused by the model", 422)
        elif word == "die":
            os._exit(3)
        elif word == "block":
            time.sleep(3600)
        elif word == "short":
            return []
        elif word == "nap":
            send_intermediate_predict_response([word] * len(data), context.request_ids, "part", 200, context)
            await asyncio.sleep(0.3)
        elif word == "stranger":
            send_intermediate_predict_response(["to nobody"], {0: "nobody"}, "part", 200, context)
        elif word == "fork":
            if os.fork() == 0:
                time.sleep(3600)
        else:
            send_intermediate_predict_response([word] * len(data), context.request_ids, "part", 200, context)
        await asyncio.sleep(0)
    return ["%s (%d)" % (text(row.get("body", "")), len(data)) for row in data]
