"""A loaded model that works on any number of batches at a time: its handler is a coroutine function."""

from __future__ import annotations

import copy
import time
from typing import Any, Dict, List, Optional

from ts import reply, wire
from ts.service import Inputs, Service, conclude


class AsyncService:
    """Calls the handler of a service on the event loop of the thread that awaits it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def predict(self, batch: List[Dict[str, Any]]) -> Optional[bytearray]:
        """Return the encoded response to a batch as ts.protocol reads it."""
        return bytearray().join(await self.answer(self.service.retrieve_data_for_inference(batch)))

    async def answer(self, inputs: Inputs) -> List[wire.Buffer]:
        """Await the handler and return the response in pieces."""
        processors, data, ids = inputs
        # Each batch has a context with its own requests; everything else is shared with the one that initialize got.
        context = copy.copy(self.service.context)
        context.metrics = copy.copy(context.metrics)
        context.metrics.set_request_ids(ids)
        context.request_ids = ids
        context.request_processor = processors
        started = time.perf_counter()
        try:
            results = await self.service.entry_point(data, context)
            return conclude(results, context, time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return reply.failure(ids, reply.refusal(error))
