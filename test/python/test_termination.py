"""SIGTERM: a worker ends as quietly as it does when the server disconnects, whatever it is at."""

from __future__ import annotations

import os
import signal
from typing import Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker

OK = """
    def handle(data, context):
        return ["OK"] * len(data) if data else None
"""

BUSY = """
    import asyncio, ctypes, threading, time

    def code():
        print("busy")
        while True:
            time.sleep(0.001)

    def call():
        print("busy")
        time.sleep(100)

    def native():
        print("busy")
        ctypes.CDLL(None).sleep(100)

    def thread():
        print("busy")
        threading.Event().wait()

    async def coroutine():
        print("busy")
        await asyncio.sleep(100)

    async def blocking_coroutine():
        call()
"""

LOADING = """
    class Handler:
        %s initialize(self, context):
            %s

        def handle(self, data, context):
            return ["OK"]
"""

PREDICTING = """
    class Handler:
        def initialize(self, context):
            pass

        %s handle(self, data, context):
            %s
"""

PLACES: Dict[str, List[str]] = {
    "code": ["def", "code()"],
    "call": ["def", "call()"],
    "native call": ["def", "native()"],
    "lock": ["def", "thread()"],
    "coroutine": ["async def", "await coroutine()"],
    "blocking coroutine": ["async def", "await blocking_coroutine()"],
}


def ends_quietly(worker: frontend.Worker) -> None:
    worker.wait_for("busy")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.peer is not None
    assert worker.peer.ended()
    assert worker.exit_status() == 0
    assert worker.lines[worker.lines.index("busy") :] == ["busy", "Terminated."]


@pytest.mark.parametrize("kind", [[], ["--async"]])
@pytest.mark.parametrize("place", PLACES)
def test_WRK_D29_sigterm_while_the_model_loads(
    make_model: MakeModel, start: StartWorker, place: str, kind: List[str]
) -> None:
    """It is no failure of the model: neither a traceback nor an answer."""
    worker = start(make_model(BUSY + LOADING % tuple(PLACES[place])), extra=kind)
    worker.connect().socket.sendall(frontend.load_command("m", str(worker.model), "handler.py"))
    ends_quietly(worker)


def test_WRK_D29_sigterm_while_the_handler_is_imported(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(BUSY + "\n    call()\n"))
    worker.connect().socket.sendall(frontend.load_command("m", str(worker.model), "handler.py"))
    ends_quietly(worker)


@pytest.mark.parametrize("place", PLACES)
def test_WRK_D29_sigterm_during_a_prediction(serve: StartWorker, place: str) -> None:
    worker = serve(BUSY + PREDICTING % tuple(PLACES[place]))
    assert worker.peer is not None
    worker.peer.socket.sendall(frontend.infer_command(frontend.body(b"")))
    ends_quietly(worker)


@pytest.mark.parametrize("place", ["coroutine", "blocking coroutine"])
def test_WRK_D29_sigterm_during_a_prediction_of_an_asynchronous_worker(serve: StartWorker, place: str) -> None:
    worker = serve(BUSY + PREDICTING % tuple(PLACES[place]), extra=["--async"])
    assert worker.peer is not None
    worker.peer.socket.sendall(frontend.infer_command(frontend.body(b"")))
    ends_quietly(worker)


@pytest.mark.parametrize("kind", [[], ["--async"]])
def test_WRK_D29_sigterm_ends_an_idle_worker(serve: StartWorker, kind: List[str]) -> None:
    source = BUSY + PREDICTING % ("async def", "return ['OK']")
    worker = serve(source.replace("pass", "print('busy')"), extra=kind)
    ends_quietly(worker)


def test_WRK_D29_sigterm_before_the_server_connects(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(OK))
    worker.wait_for("Python runtime: ")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.exit_status() == 0
    assert worker.lines[-1].startswith("Python runtime: ")
    assert not os.path.exists(worker.socket_name)
