"""The loop of an async worker: batches come and answers go in any order (reference: worker-protocol.md, section 8)."""

from __future__ import annotations

import asyncio
import threading
from typing import Callable, List, NoReturn, Set

from ts import lines, reply, wire
from ts.async_service import AsyncService
from ts.connection import Connection
from ts.service import Service, event_loop

CLEAN_UP = 1.0
"""Seconds that handlers have to clean up when the server has left."""


def serve(reader: wire.Reader, connection: Connection, load: Callable[[wire.Load, Connection], Service]) -> NoReturn:
    """Load the model, then answer batches concurrently.

    Everything of the handler runs on the event loop of the calling thread, which initialize may use before, or replace
    by one of its own; a thread reads commands.

    Raises:
        ts.wire.Disconnected: the server has closed the connection.
        ts.wire.ProtocolError: what the server sent is no command.
    """
    lines.OUTPUT.write("handle_connection_async")
    first = event_loop()
    if reader.command() != wire.LOAD:
        raise wire.ProtocolError("the first command is not to load a model")
    service = AsyncService(load(reader.load(), connection))
    loop = event_loop(first)  # asyncio.run leaves none
    end: asyncio.Future[NoReturn] = loop.create_future()
    batches = _Batches(service, connection, loop)
    threading.Thread(target=_read, args=(reader, batches, end), name="receiver", daemon=True).start()
    try:
        loop.run_until_complete(end)
    finally:
        batches.abandon()
    raise wire.Disconnected


class _Batches:
    """The batches at work."""

    def __init__(self, service: AsyncService, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._connection = connection
        self._tasks: Set[asyncio.Task[None]] = set()  # the loop itself holds them weakly
        self._abandoned = False
        self.loop = loop

    def start(self, requests: List[wire.Request]) -> None:
        """Begin with a batch; runs on the loop."""
        task = self.loop.create_task(self._answer(requests))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, requests: List[wire.Request]) -> None:
        if not requests:
            self._connection.send(wire.response(200, reply.SUCCESS, ()))
            return
        try:
            pieces = await self._service.answer(self._service.service.inputs(requests))
        except asyncio.CancelledError as error:
            if self._abandoned:
                raise
            pieces = reply.failure(_ids(requests), reply.refusal(error))
        self._connection.send(pieces)

    def abandon(self) -> None:
        """Cancel what is at work, so that the handler can clean up: there is nobody to be answered."""
        self._abandoned = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=CLEAN_UP))


def _ids(requests: List[wire.Request]) -> reply.Ids:
    return {at: request.id for at, request in enumerate(requests)}


def _read(reader: wire.Reader, batches: _Batches, end: asyncio.Future[NoReturn]) -> None:
    """Hand batches to the loop until the stream ends."""
    try:
        while True:
            command = reader.command()
            if command != wire.INFER:
                raise wire.ProtocolError("Invalid command: %s" % bytearray([command]))
            batches.loop.call_soon_threadsafe(batches.start, reader.requests())
    except Exception as error:  # noqa: BLE001 - it ends the loop, where it is raised
        batches.loop.call_soon_threadsafe(end.set_exception, error)
