"""The worker process: what it prints, where it listens, how it ends."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import signal
import socket
import stat
import sys
from typing import Any

import frontend
import pytest
from conftest import MakeModel, StartWorker

OK = """
    def handle(data, context):
        return ["OK"] * len(data) if data else None
"""


def in_process(changes: str) -> Any:
    """Return the command of a worker in whose module something is changed first."""
    code = "import sys, ts.model_service_worker as worker; %s; sys.exit(worker.main(sys.argv[1:]))" % changes
    return [sys.executable, "-c", code]


def test_output_of_a_normal_start_and_end(make_model: MakeModel, start: StartWorker) -> None:
    metrics = str(frontend.HOME / "ts" / "configs" / "metrics.yaml")
    worker = start(make_model(OK), extra=["--metrics-config", metrics])
    name = worker.socket_name
    assert worker.load("handler.py:handle", batch_size=3).code == 200
    assert worker.disconnect() == 0
    unread = [line for line in worker.lines if line.startswith("PyYAML is not installed: ")]
    assert [line for line in worker.lines if line not in unread] == [
        "s_name_part0=%s, s_name_part1=9000, pid=%d" % (name[: -len(".9000")], worker.process.pid),
        "Listening on port: " + name,
        "Successfully loaded %s." % metrics,
        "[PID]%d" % worker.process.pid,
        "Torch worker started.",
        "Python runtime: " + platform.python_version(),
        "Connection accepted: %s." % name,
        "model_name: m, batchSize: 3",
        "Frontend disconnected.",
    ]


def test_tcp(make_model: MakeModel, start: StartWorker) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = start(make_model(OK), arguments=["--sock-type", "tcp", "--port", str(port)])
    worker.wait_for("Torch worker started.")
    assert worker.lines[0] == "Listening on addr:port: 127.0.0.1:%d" % port
    client = socket.create_connection(("127.0.0.1", port), frontend.PATIENCE)
    worker.peer = frontend.Peer(client)
    assert worker.load("handler.py:handle").code == 200
    assert worker.answer(frontend.body(b"")).body == b"OK"
    worker.wait_for("Connection accepted: ('127.0.0.1', %d)." % port)


def test_the_marker_comes_when_the_socket_listens(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(OK))
    worker.wait_for("Torch worker started.")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(worker.socket_name)
    assert worker.exit_status() == 0


@pytest.mark.parametrize("arguments", [[], ["--sock-type", "pipe"], ["--sock-type", "unix"], ["--sock-type", "tcp"]])
def test_argument_errors(make_model: MakeModel, start: StartWorker, arguments: Any) -> None:
    worker = start(make_model(OK), command=[sys.executable, str(frontend.SCRIPT), *arguments], arguments=["--"])
    assert worker.exit_status() == 2
    assert "model-server-worker: error: " in worker.output()


def test_a_stale_socket_is_replaced(make_model: MakeModel, start: StartWorker) -> None:
    model = make_model(OK)
    worker = start(model)
    worker.wait_for("Torch worker started.")
    worker.kill()
    assert stat.S_ISSOCK(os.stat(worker.socket_name).st_mode)
    worker = start(model)
    assert worker.load("handler.py:handle").code == 200


def test_what_is_no_socket_is_left_alone(make_model: MakeModel, start: StartWorker) -> None:
    model = make_model(OK)
    worker = start(model)
    worker.wait_for("Torch worker started.")
    worker.kill()
    path = pathlib.Path(worker.socket_name)
    path.unlink()
    path.write_text("precious")
    worker = start(model)
    assert worker.exit_status() == 1
    assert "Backend worker process died." in worker.lines
    assert worker.lines[-1] == "RuntimeError: socket already in use: %s." % path
    assert path.read_text() == "precious"


def test_a_socket_name_without_number_is_refused(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(OK), arguments=["--sock-type", "unix", "--sock-name", "/tmp/name"])
    assert worker.exit_status() == 1
    assert worker.lines[-1].startswith("ValueError: ")


def test_WRK_055_nobody_connects(make_model: MakeModel, start: StartWorker) -> None:
    from ts import model_service_worker

    assert model_service_worker.SOCKET_ACCEPT_TIMEOUT == 30
    worker = start(make_model(OK), command=in_process("worker.SOCKET_ACCEPT_TIMEOUT = 0.3"))
    assert worker.exit_status() == 1
    assert worker.lines[-1] == "Backend worker did not receive connection in: 0.3"
    assert not os.path.exists(worker.socket_name)


@pytest.mark.parametrize("command", [b"", b"I\0\0", frontend.load_command("m", "/m", "h")[:9]])
def test_WRK_032_the_end_of_the_stream_ends_the_worker(
    make_model: MakeModel, start: StartWorker, command: bytes
) -> None:
    worker = start(make_model(OK))
    worker.connect().socket.sendall(command)
    assert worker.disconnect() == 0
    assert worker.lines[-1] == "Frontend disconnected."
    assert not os.path.exists(worker.socket_name)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (b"X", r"Invalid command: bytearray\(b'X'\)"),
        (frontend.infer_command(), r"Received command: bytearray\(b'I'\), but service is not loaded"),
        (b"I" + frontend.number(-5), "a field of -5 bytes"),
    ],
)
def test_WRK_033_what_is_no_command_ends_the_worker(
    make_model: MakeModel, start: StartWorker, command: bytes, reason: str
) -> None:
    worker = start(make_model(OK))
    peer = worker.connect()
    peer.socket.sendall(command)
    assert peer.ended()
    assert worker.exit_status() == 1
    assert "Backend worker process died." in worker.lines
    assert re.search("ProtocolError: %s$" % reason, worker.lines[-1])


def test_WRK_031_commands_may_come_byte_by_byte(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(OK))
    peer = worker.connect()
    commands = frontend.load_command("m", str(worker.model), "handler.py:handle")
    commands += frontend.infer_command(frontend.body({"a": 1}, explain="False"))
    for at in range(len(commands)):
        peer.socket.sendall(commands[at : at + 1])
    assert [peer.response().message for _ in range(2)] == ["loaded model m", "Prediction success"]


def test_WRK_067_an_empty_batch_is_answered_without_the_handler(serve: StartWorker) -> None:
    worker = serve("def handle(data, context):\n    assert data is None\n")
    response = worker.infer()
    assert (response.code, response.message, response.items) == (200, "Prediction success", [])


def test_a_second_load_command_loads_again(serve: StartWorker) -> None:
    worker = serve(OK)
    assert worker.load("handler.py:handle").message == "loaded model m"
    assert worker.answer(frontend.body(b"")).body == b"OK"


def test_a_handler_that_forks(serve: StartWorker) -> None:
    worker = serve(
        """
        import os

        def handle(data, context):
            if data:
                context.metrics.add_counter("Forks", 1)
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                return ["parent" if child else "child"]
        """
    )
    for _ in range(2):
        assert worker.answer(frontend.body(b"")).body == b"parent"
    worker.wait_for("OSError: [Errno 9] Bad file descriptor")
    assert worker.disconnect() == 0
    assert len([line for line in worker.metrics() if "Forks" in line]) == 2


@pytest.mark.parametrize(("handlers", "status"), [("", -signal.SIGTERM), ("signal.signal(15, leave)", 7)])
def test_a_forked_process_ends_at_once_when_terminated(serve: StartWorker, handlers: str, status: int) -> None:
    source = """
        import multiprocessing, os, signal

        def leave(*_):
            os._exit(7)

        def wait(ready):
            ready.set()
            signal.pause()

        def handle(data, context):
            if data is None:
                return
            %s
            kind = multiprocessing.get_context("fork")
            ready = kind.Event()
            process = kind.Process(target=wait, args=(ready,))
            process.start()
            ready.wait()
            process.terminate()
            process.join()
            return [process.exitcode]
    """
    assert serve(source % handlers).answer(frontend.body(b"")).body == b"%d" % status


def test_what_the_model_has_made_is_finalized_at_the_end(serve: StartWorker) -> None:
    worker = serve(
        """
        class Resource:
            def __init__(self):
                self.cycle = self

            def __del__(self, write=print):
                write("released")

        class Handler:
            def initialize(self, context):
                self.resource = Resource()

            def handle(self, data, context):
                return ["OK"]
        """
    )
    assert "released" not in worker.output()
    assert worker.disconnect() == 0
    assert worker.lines[-1] == "released"


def test_WRK_044_each_rank_has_its_own_socket(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(OK), environment={"LOCAL_RANK": "2"})
    worker.connect(rank=2)
    assert "Listening on port: %s" % worker.socket_name.replace("9000", "9002") in worker.lines
    assert not os.path.exists(worker.socket_name)
    assert worker.disconnect() == 0


def test_WRK_043_PYB_090_other_ranks_answer_the_load_alone(make_model: MakeModel, start: StartWorker) -> None:
    source = """
        from ts.handler_utils.utils import send_intermediate_predict_response

        def handle(data, context):
            if data:
                send_intermediate_predict_response(["A"], context.request_ids, "Result", 200, context)
                return ["OK"]
    """
    worker = start(make_model(source), environment={"LOCAL_RANK": "1"})
    peer = worker.connect(rank=1)
    assert worker.load("handler.py:handle").code == 200
    peer.socket.sendall(frontend.infer_command(frontend.body(b"")))
    worker.wait_for("skip sending response at rank 1")
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.ended()
    assert worker.exit_status() == 0


def test_threads_of_the_handler_do_not_keep_the_process(serve: StartWorker) -> None:
    worker = serve(
        """
        import threading

        def handle(data, context):
            if data is None:
                threading.Thread(target=threading.Event().wait).start()
        """
    )
    assert worker.disconnect() == 0


def test_exit_functions_of_the_handler_run(serve: StartWorker) -> None:
    worker = serve("import atexit\n\ndef handle(data, context):\n    atexit.register(print, 'goodbye')\n")
    assert worker.disconnect() == 0
    assert worker.lines[-1] == "goodbye"


def test_the_listener_is_gone_once_the_server_is_connected(serve: StartWorker) -> None:
    worker = serve(OK)
    assert not os.path.exists(worker.socket_name)


def test_PYB_104_prints_appear_at_once(serve: StartWorker) -> None:
    worker = serve("def handle(data, context):\n    print('printed: ł')\n    return [''] if data else None\n")
    worker.wait_for("printed: ł")
    assert worker.process.poll() is None


def test_a_handler_that_closes_standard_output_is_served_on(serve: StartWorker) -> None:
    worker = serve(
        """
        import os, sys

        def handle(data, context):
            if data is None:
                sys.stdout.close()
                return
            return ["OK"]
        """
    )
    assert worker.answer(frontend.body(b"")).body == b"OK"
    worker.wait_for("[METRICS]PredictionTime")


def test_binary_output_does_no_harm(serve: StartWorker) -> None:
    worker = serve(
        """
        import sys

        def handle(data, context):
            sys.stdout.buffer.write(bytes(range(256)) * 4)
            print("\\ud800")
            return ["OK"] * len(data or [])
        """
    )
    for _ in range(3):
        assert worker.answer(frontend.body(b"")).body == b"OK"


def test_PYB_015_the_package_does_not_hide_the_models_modules(serve: StartWorker) -> None:
    files = {"utils.py": "NAME = 'mine'", "context.py": "NAME = 'mine'", "metrics.py": "NAME = 'mine'", "f.txt": "file"}
    worker = serve(
        """
        import context, metrics, utils

        def handle(data, _):
            if data:
                return [",".join([context.NAME, metrics.NAME, utils.NAME, open("f.txt").read()])]
        """,
        files=files,
    )
    assert worker.answer(frontend.body(b"")).body == b"mine,mine,mine,file"


def test_PYB_001_a_plain_handler_needs_the_standard_library_alone(make_model: MakeModel, start: StartWorker) -> None:
    handler = """
        import sys
        from ts.torch_handler.base_handler import BaseHandler

        def handle(data, context):
            found = [name for name in ("torch", "yaml", "numpy", "psutil", "packaging") if name in sys.modules]
            return [found] if data else None
    """
    metrics = str(frontend.HOME / "ts" / "configs" / "metrics.yaml")
    # -I -S: neither the environment's nor the user's packages can be imported.
    code = "import sys, runpy; sys.path[:0] = %r; sys.argv = %r + sys.argv[1:]; runpy.run_path(%r, run_name='__main__')"
    model = make_model(handler)
    bare = code % ([str(model), str(frontend.HOME)], [str(frontend.SCRIPT)], str(frontend.SCRIPT))
    worker = start(model, command=[sys.executable, "-I", "-S", "-c", bare], extra=["--metrics-config", metrics])
    assert worker.load("handler.py:handle").code == 200
    assert worker.answer(frontend.body(b"")).body == b"[]"


def test_TS_BENCHMARK_writes_a_profile(make_model: MakeModel, start: StartWorker, tmp_path: pathlib.Path) -> None:
    profile = tmp_path / "profile"
    worker = start(
        make_model(OK),
        command=in_process("worker.PROFILE = %r" % str(profile)),
        environment={"TS_BENCHMARK": "true"},
    )
    assert worker.load("handler.py:handle").code == 200
    assert worker.disconnect() == 0
    assert profile.stat().st_size > 0
