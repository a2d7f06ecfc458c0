"""The worker process: loads one model and answers batches until the server closes the connection.

Runs as a script with the arguments of TorchServe 0.12 (reference: worker-protocol.md, sections 9, 12 and 13). What it
prints on the way is protocol too; see ts.lines.
"""

# ruff: noqa: E402 - the path comes first

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
if __name__ == "__main__":
    # As a script it has its own folder on the path, where context, metrics, utils… would hide the model's modules.
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != _HERE]
    if os.path.dirname(_HERE) not in map(os.path.realpath, sys.path):
        sys.path.append(os.path.dirname(_HERE))

import contextlib
import gc
import logging
import platform
import signal
import socket
import threading
from typing import Any, Callable, Iterator, List, NoReturn, Optional

from ts import lines, missing, reply, wire
from ts.arg_parser import ArgParser
from ts.connection import Connection, Listener
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.model_loader import ModelLoaderFactory
from ts.service import Service

MAX_FAILURE_THRESHOLD = 5
SOCKET_ACCEPT_TIMEOUT = 30.0
"""Seconds that the server has to connect."""
EXIT_GRACE = 2.0
"""Seconds that threads and exit functions of the handler have at the end."""
DEBUG = False
BENCHMARK = os.environ.get("TS_BENCHMARK") in ("True", "true", "TRUE")
LOCAL_RANK = int(os.environ.get("LOCAL_RANK", "0"))
WORLD_SIZE = int(os.environ.get("WORLD_SIZE", "0"))
WORLD_RANK = int(os.environ.get("RANK", "0"))
LOCAL_WORLD_SIZE = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
HELD_LINES = os.environ.get("TS_HELD_LINES", "")
"""Path of the file, without the rank, where the server looks for lines that are held when the process ends."""

PROFILE = "/tmp/tsPythonProfile.prof"

logger = logging.getLogger(__name__)


class LoadFailed(Exception):
    """The model did not load; the server knows."""


class Terminated(SystemExit):
    """SIGTERM has come: the worker ends as it does when the server disconnects."""


class TorchModelServiceWorker:
    """One worker: a socket, then a connection, then a model.

    Args:
        s_type: "unix" or "tcp"
        s_name: path of a unix socket, ending with a dot and a number, to which the local rank is added
        host_addr: where to listen with TCP
        port_num: where to listen with TCP; the local rank is added
        metrics_config: path of a YAML file
        async_comm: work on batches concurrently
    """

    def __init__(
        self,
        s_type: str,
        s_name: Optional[str] = None,
        host_addr: str = "127.0.0.1",
        port_num: Optional[int] = None,
        metrics_config: Optional[str] = None,
        async_comm: bool = False,
    ) -> None:
        if s_type == "unix":
            self._listener = Listener(_rank_socket(s_name or ""))
        else:
            port = (port_num or 0) + LOCAL_RANK
            self._listener = Listener(None, host_addr, port)
            lines.OUTPUT.write("Listening on addr:port: %s:%d" % (host_addr, port))
        self._metrics = MetricsCacheYamlImpl(metrics_config)
        self._async = async_comm
        self._read_metrics()

    def _read_metrics(self) -> None:
        if not self._metrics.config_file_path:
            return
        try:
            self._metrics.initialize_cache()
        except Exception:
            # Without definitions metrics are defined when they are first used.
            logger.warning("Failed to load metrics configuration", exc_info=True)
        else:
            lines.OUTPUT.write("Successfully loaded %s." % self._metrics.config_file_path)

    def run_server(self) -> None:
        """Say that the worker is ready, accept the server, and serve it until it disconnects.

        Raises:
            socket.timeout: the server did not connect.
            LoadFailed: the model did not load.
            Terminated: SIGTERM came.
            ts.wire.ProtocolError: what the server sent is no command.
        """
        runtime = platform.python_version()
        try:
            for line in ("[PID]%d" % os.getpid(), "Torch worker started.", "Python runtime: " + runtime):
                lines.OUTPUT.write(line)
            connection, address = self._listener.accept(SOCKET_ACCEPT_TIMEOUT)
        finally:
            self._listener.close()
        lines.OUTPUT.write("Connection accepted: %s." % address)
        # A process that the handler forks must neither answer its batch again nor hold the connection open.
        os.register_at_fork(after_in_child=connection.let_go)
        os.register_at_fork(after_in_child=lines.OUTPUT.forget)
        try:
            with _profiled():
                self._serve(connection)
        except (wire.Disconnected, BrokenPipeError, ConnectionResetError):
            lines.OUTPUT.write("Frontend disconnected.")
        except Terminated:
            lines.OUTPUT.write("Terminated.")
            raise
        finally:
            connection.close()
            gc.unfreeze()  # at the end it shall find what the model has made, and finalize it

    def _serve(self, connection: Connection) -> NoReturn:
        """Answer commands for ever.

        Raises:
            ts.wire.Disconnected: the server has closed the connection.
        """
        reader = wire.Reader(connection.receive_into)
        if self._async:
            from ts.async_worker import serve

            serve(reader, connection, self.load_model)
        answer: Optional[Callable[[List[wire.Request]], None]] = None
        while True:
            command = reader.command()
            if command == wire.INFER:
                requests = reader.requests()
                if answer is None:
                    raise wire.ProtocolError("Received command: %s, but service is not loaded" % bytearray(b"I"))
                answer(requests)
            elif command == wire.LOAD:
                answer = _answering(self.load_model(reader.load(), connection), connection)
            else:
                raise wire.ProtocolError("Invalid command: %s" % bytearray([command]))

    def load_model(self, load: wire.Load, connection: Connection) -> Service:
        """Load the model and answer the command.

        Raises:
            LoadFailed: it does not load; the server and the log know why.
            Terminated: nothing is wrong, so neither has to.
        """
        lines.OUTPUT.write("model_name: %s, batchSize: %d" % (load.model_name, load.batch_size))
        self._metrics.model_name = load.model_name
        try:
            service = ModelLoaderFactory.get_model_loader().load(
                load.model_name,
                load.model_path,
                load.handler,
                load.gpu if load.gpu >= 0 else None,
                load.batch_size,
                load.envelope or None,
                load.limit_max_image_pixels,
                self._metrics,
            )
        except Terminated:
            raise
        except BaseException as error:
            refusal = _load_refusal(load.model_name, error)
            connection.send(wire.response(*refusal, items=()))
            if isinstance(error, Exception):
                raise LoadFailed("%d - %s" % refusal) from error
            raise
        service.set_cl_socket(connection)
        # What the model has made stays; the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        connection.send(wire.response(200, "loaded model %s" % load.model_name, ()))
        return service


def _rank_socket(name: str) -> str:
    """Return the name of this rank's unix socket."""
    prefix, _, number = name.rpartition(".")
    lines.OUTPUT.write("s_name_part0=%s, s_name_part1=%s, pid=%d" % (prefix, number, os.getpid()))
    path = "%s.%d" % (prefix, int(number) + LOCAL_RANK)
    lines.OUTPUT.write("Listening on port: %s" % path)
    return path


def _answering(service: Service, connection: Connection) -> Callable[[List[wire.Request]], None]:
    """Return a function that has a batch answered."""
    inputs, reply_to, send = service.inputs, service.answer, connection.send
    hold, release = lines.OUTPUT.hold, lines.OUTPUT.release

    def answer(requests: List[wire.Request]) -> None:
        hold()
        try:
            pieces = reply_to(inputs(requests)) if requests else wire.response(200, reply.SUCCESS, ())
            if LOCAL_RANK == 0:
                send(pieces)
            else:
                logger.info("skip sending response at rank %d", LOCAL_RANK)
        finally:
            # A handler that ends the process answers nobody: the server would take the worker for a free one.
            release()

    return answer


def _load_refusal(model_name: str, error: BaseException) -> reply.Refusal:
    """Log why a model does not load and return how the command is answered."""
    missing.explain(error)
    if isinstance(error, MemoryError):
        logger.error("Load model %s cpu OOM, exception %s", model_name, error, exc_info=error)
        return 507, "System out of memory"
    if isinstance(error, RuntimeError) and reply.is_out_of_memory(error):
        logger.error("Load model %s cuda OOM, exception %s", model_name, error, exc_info=error)
        return 507, "System out of memory"
    logger.error("Failed to load model %s, exception %s", model_name, error, exc_info=error)
    return 500, "Unknown exception"


@contextlib.contextmanager
def _profiled() -> Iterator[None]:
    """Write a profile of what is done meanwhile, if TS_BENCHMARK asks for it."""
    if not BENCHMARK:
        yield
        return
    import cProfile

    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(PROFILE)


def _terminate(*_: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _leave_within(EXIT_GRACE, 0)
    raise Terminated(0)


def _unterminate() -> None:
    """Let SIGTERM end a process that the handler forks as it ends any other; pools and their kind count on it."""
    if signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main(argv: Optional[List[str]] = None) -> int:
    """Run a worker until it ends and return its exit status.

    Args:
        argv: arguments, those of the process if None
    """
    args = ArgParser.extract_args(argv)
    with lines.own_output():
        if HELD_LINES:
            lines.OUTPUT.keep_in("%s.%d" % (HELD_LINES, LOCAL_RANK))
        try:
            worker = TorchModelServiceWorker(
                args.sock_type, args.sock_name, args.host, args.port, args.metrics_config, args.async_comm
            )
            worker.run_server()
        except socket.timeout:
            logger.error("Backend worker did not receive connection in: %g", SOCKET_ACCEPT_TIMEOUT)
            return 1
        except LoadFailed as error:
            # Its traceback stays the last one in the log: the server quotes it.
            logger.error("Backend worker process died.\nRuntimeError: %s", error)
            return 1
        except Exception:
            logger.exception("Backend worker process died.")
            return 1
    return 0


def _as_process() -> NoReturn:
    """Do what only a process of its own may do, run a worker, and exit."""
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, _terminate)
    os.register_at_fork(after_in_child=_unterminate)
    status = 1
    try:
        status = main()
    finally:
        _leave_within(EXIT_GRACE, status)
    sys.exit(status)


def _leave_within(seconds: float, status: int) -> None:
    """End the process when the time is over, if it has not ended.

    Neither a thread of the handler nor its exit functions keep a worker alive that has no server any more.
    """

    def leave() -> None:
        threading.Event().wait(seconds)
        os._exit(status)

    threading.Thread(target=leave, daemon=True).start()


if __name__ == "__main__":
    _as_process()
