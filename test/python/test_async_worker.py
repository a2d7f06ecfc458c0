"""The async worker: batches overlap, answers come in any order."""

from __future__ import annotations

import signal
from typing import Any, Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker

# A request names the gate that it waits for, or opens one.
GATES = """
    import asyncio, os
    from ts.handler_utils.utils import send_intermediate_predict_response
    from ts.utils.util import PredictionException

    class Handler:
        def initialize(self, context):
            self.loop = asyncio.get_event_loop()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.gates = {}
            context.shared = {}

        async def handle(self, data, context):
            assert asyncio.get_running_loop() is self.loop
            name, action = data[0]["body"].split()
            context.shared[name] = context.get_request_id()
            gate = self.gates.setdefault(name, asyncio.Event())
            await getattr(self, action)(gate, context, len(data))
            if action == "odd":
                return [object()]
            context.set_response_header(0, "seen", ",".join(sorted(context.shared)))
            return [name] * len(data)

        async def wait(self, gate, context, count):
            await gate.wait()

        async def open(self, gate, context, count):
            gate.set()

        async def stream(self, gate, context, count):
            for part in ("x" * 100000, "y" * 100000):
                arguments = [part], context.request_ids, "Result", 200, context
                await self.loop.run_in_executor(None, send_intermediate_predict_response, *arguments)

        async def refuse(self, gate, context, count):
            raise PredictionException("refused", 418)

        async def cancel(self, gate, context, count):
            raise asyncio.CancelledError

        async def odd(self, gate, context, count):
            pass

        async def exit(self, gate, context, count):
            raise SystemExit(3)

        async def block(self, gate, context, count):
            print("busy")
            await asyncio.Event().wait()
"""


@pytest.fixture
def gates(make_model: MakeModel, start: StartWorker) -> frontend.Worker:
    worker = start(make_model(GATES), extra=["--async"])
    assert worker.load("handler.py").code == 200, worker.output()
    return worker


def send(worker: frontend.Worker, action: str, at: int) -> None:
    assert worker.peer is not None
    worker.peer.socket.sendall(frontend.infer_command(frontend.body(action.encode(), "text/plain", at)))


def receive(worker: frontend.Worker) -> frontend.Response:
    assert worker.peer is not None
    return worker.peer.response()


def test_WRK_060_WRK_069_PYB_092_answers_come_as_they_are_ready(gates: frontend.Worker) -> None:
    send(gates, "a wait", 1)
    send(gates, "b wait", 2)
    send(gates, "b open", 3)
    ready = {receive(gates).items[0].request_id for _ in range(2)}
    assert ready == {"r2", "r3"}
    send(gates, "a open", 4)
    assert {receive(gates).items[0].request_id for _ in range(2)} == {"r1", "r4"}
    assert "handle_connection_async" in gates.output()


def test_batches_have_their_own_requests_and_share_the_rest(gates: frontend.Worker) -> None:
    send(gates, "a wait", 1)
    send(gates, "b refuse", 2)
    assert receive(gates).message == "refused"
    send(gates, "a open", 3)
    items: Dict[str, frontend.Item] = {}
    for _ in range(2):
        (item,) = receive(gates).items
        items[item.request_id] = item
    assert items["r1"].headers == [("seen", "a,b")]
    assert set(items) == {"r1", "r3"}


def test_PYB_091_a_refusal_reaches_its_own_client(gates: frontend.Worker) -> None:
    send(gates, "a wait", 1)
    send(gates, "b refuse", 2)
    response = receive(gates)
    assert (response.code, response.message) == (418, "refused")
    assert [item.request_id for item in response.items] == ["r2"]
    send(gates, "a open", 3)
    assert [receive(gates).code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("x cancel", "Prediction failed"),
        ("nonsense", "Prediction failed"),
        ("x odd", "Unsupported model output data type."),
    ],
)
def test_PYB_093_whatever_fails_is_answered(gates: frontend.Worker, action: str, message: str) -> None:
    send(gates, action, 1)
    response = receive(gates)
    assert (response.code, response.message) == (503, message)


def test_WRK_061_messages_do_not_mix(gates: frontend.Worker) -> None:
    for at in range(4):
        send(gates, "g%d stream" % at, at)
    parts: Dict[str, List[bytes]] = {}
    for _ in range(12):
        for item in receive(gates).items:
            parts.setdefault(item.request_id, []).append(item.body[:1])
    assert parts == {"r%d" % at: [b"x", b"y", b"g"] for at in range(4)}


def test_metrics_carry_the_ids_of_their_own_batch(gates: frontend.Worker) -> None:
    for at, action in enumerate(["a wait", "b wait", "b open", "a open"]):
        send(gates, action, at)
    for _ in range(4):
        receive(gates)
    assert gates.disconnect() == 0
    ids = [line.rpartition(",")[2] for line in gates.metrics() if "PredictionTime" in line]
    assert sorted(ids) == ["r0", "r1", "r2", "r3"]


def test_WRK_062_the_worker_leaves_with_the_server(gates: frontend.Worker) -> None:
    send(gates, "a block", 1)
    gates.wait_for("busy")
    assert gates.disconnect() == 0
    assert gates.lines[-1] == "Frontend disconnected."


def test_a_handler_that_ends_the_process(gates: frontend.Worker) -> None:
    send(gates, "a block", 1)
    send(gates, "b exit", 2)
    assert gates.peer is not None
    assert gates.peer.ended()
    assert gates.exit_status() == 3


def test_sigterm(gates: frontend.Worker) -> None:
    send(gates, "a block", 1)
    gates.wait_for("busy")
    gates.process.send_signal(signal.SIGTERM)
    assert gates.exit_status() == 0


@pytest.mark.parametrize("command", [b"X", frontend.load_command("m", "/", "handler.py")])
def test_WRK_033_what_is_no_batch_ends_the_worker(gates: frontend.Worker, command: bytes) -> None:
    assert gates.peer is not None
    gates.peer.socket.sendall(command)
    assert gates.exit_status() == 1
    assert "ts.wire.ProtocolError: Invalid command: bytearray(b'%s')" % command[:1].decode() in gates.lines


@pytest.mark.parametrize(
    ("initialize", "same"),
    [
        ("self.loop = asyncio.new_event_loop(); asyncio.set_event_loop(self.loop)", b"true"),
        ("self.loop = asyncio.get_event_loop(); asyncio.run(asyncio.sleep(0))", b"true"),
        ("self.loop = None; asyncio.run(asyncio.sleep(0))", b"false"),
    ],
    ids=["a loop of its own", "one that leaves none", "one of which nothing is kept"],
)
def test_WRK_069_loops_of_initialize(make_model: MakeModel, start: StartWorker, initialize: str, same: bytes) -> None:
    source = """
        import asyncio

        class Handler:
            def initialize(self, context):
                %s

            async def handle(self, data, context):
                return [asyncio.get_running_loop() is self.loop]
    """
    worker = start(make_model(source % initialize), extra=["--async"])
    assert worker.load("handler.py").code == 200, worker.output()
    assert worker.answer(frontend.body(b"")).body == same


@pytest.mark.parametrize("commands", [b"X", b"I" + frontend.END])
def test_what_is_no_load_command_ends_the_worker(make_model: MakeModel, start: StartWorker, commands: Any) -> None:
    worker = start(make_model(GATES), extra=["--async"])
    worker.connect().socket.sendall(commands)
    assert worker.exit_status() == 1


def test_an_empty_batch(gates: frontend.Worker) -> None:
    assert gates.infer().items == []


def test_a_plain_handler_is_refused(make_model: MakeModel, start: StartWorker) -> None:
    model = make_model("def handle(data, context):\n    return ['x'] if data else None\n")
    worker = start(model, extra=["--async"])
    assert worker.load("handler.py").code == 200
    response = worker.infer(frontend.body(b""))
    assert (response.code, response.message) == (503, "Prediction failed")
