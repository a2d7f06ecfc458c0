"""A handler for asyncCommunication: it does what the body asks for, VERB:PIECE..."""

import asyncio
import os
import pathlib
import time
from typing import Any

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.utils.util import PredictionException


class Asynchronous:
    def initialize(self, context: Any) -> None:
        self.sleeping = asyncio.Event()
        time.sleep(0.5)  # as models do: the frontend of 0.12 loses a worker that has loaded before it looks

    async def handle(self, data: Any, context: Any) -> Any:
        verb, *pieces = bytes(data[0].get("body", b"")).decode().split(":")
        if verb == "wait":
            pathlib.Path(os.environ["LAB"], "asynchronous.held").write_text(str(os.getpid()))
            await self.sleeping.wait()
        elif verb == "wake":
            self.sleeping.set()
        elif verb == "refuse":
            raise PredictionException("refused by the model", 422)
        elif verb == "fail":
            raise ValueError("secret detail")
        elif verb == "status":
            context.set_response_status(404, "Phrase", 0)
            context.set_response_header(0, "x-mine", context.get_request_header(0, "X-Mine") or "none")
        elif verb == "none":
            return None
        for piece in pieces:
            send_intermediate_predict_response([piece], context.request_ids, "part", 200, context)
        return [{"verb": verb, "id": bool(context.get_request_id(0))}]
