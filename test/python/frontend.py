"""The server's side of a worker: starts the process as the server does, speaks its protocol, reads its output.

The codec here is written from the reference alone and shares nothing with the package ts.
"""

from __future__ import annotations

import json
import os
import pathlib
import queue
import socket
import struct
import subprocess
import sys
import threading
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "pkg" / "backend"
SCRIPT = HOME / "ts" / "model_service_worker.py"
PATIENCE = 20.0  # seconds; nothing here takes long

END = struct.pack(">i", -1)
Headers = Dict[str, str]
# Name, content type, value.
Parameter = Tuple[str, str, bytes]


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def data(value: bytes) -> bytes:
    return number(len(value)) + value


def text(value: str) -> bytes:
    return data(value.encode())


class Request(NamedTuple):
    id: str = "r1"
    headers: Sequence[Tuple[str, str]] = ()
    parameters: Sequence[Parameter] = ()


def body(value: Union[bytes, Any], content_type: str = "application/json", at: int = 1, **headers: str) -> Request:
    """Return a REST request; what is no bytes is sent as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Request("r%d" % at, list(headers.items()), [("body", content_type, raw)])


def load_command(
    model: str, path: str, handler: str, batch_size: int = 1, gpu: int = -1, envelope: str = "", limit: bool = True
) -> bytes:
    head = b"L" + text(model) + text(path) + number(batch_size) + text(handler)
    return head + number(gpu) + text(envelope) + (b"\1" if limit else b"\0")


def infer_command(*requests: Request) -> bytes:
    return b"I" + b"".join(map(_request, requests)) + END


def _request(request: Request) -> bytes:
    headers = b"".join(text(name) + text(value) for name, value in request.headers)
    parameters = b"".join(text(name) + text(kind) + data(value) for name, kind, value in request.parameters)
    return text(request.id) + headers + END + parameters + END


class Item(NamedTuple):
    request_id: str
    content_type: str
    status: int
    phrase: str
    headers: List[Tuple[str, str]]
    body: bytes


class Response(NamedTuple):
    code: int
    message: str
    items: List[Item]
    raw: bytes


class Peer:
    """Reads responses from a socket."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self._raw = b""

    def response(self) -> Response:
        self._raw = b""
        code, message = self._int(), self._text()
        items: List[Item] = []
        while True:
            size = self._int()
            if size == -1:
                return Response(code, message, items, self._raw)
            request_id = self._exactly(size).decode()
            content_type, status, phrase = self._text(), self._int(), self._text()
            headers = [(self._text(), self._text()) for _ in range(self._int())]
            items.append(Item(request_id, content_type, status, phrase, headers, self._exactly(self._int())))

    def ended(self) -> bool:
        """Wait for the end of the stream; nothing may come before it."""
        return self.socket.recv(1) == b""

    def _int(self) -> int:
        return int(struct.unpack(">i", self._exactly(4))[0])

    def _text(self) -> str:
        return self._exactly(self._int()).decode()

    def _exactly(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            part = self.socket.recv(size - len(read))
            if not part:
                raise EOFError("the worker has closed the connection")
            read += part
        self._raw += read
        return read


class Worker:
    """A worker process. Its output is collected line by line, standard error too."""

    def __init__(
        self,
        model: pathlib.Path,
        sockets: pathlib.Path,
        arguments: Sequence[str] = (),
        extra: Sequence[str] = (),
        environment: Optional[Dict[str, str]] = None,
        command: Optional[Sequence[str]] = None,
    ) -> None:
        self.model = model
        self.socket_name = str(sockets / ".ts.sock.9000")
        path = os.pathsep.join((os.path.realpath(model), str(HOME)))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TS_", "PYTHON"))}
        self.process = subprocess.Popen(
            [*(command or [sys.executable, str(SCRIPT)]), *(arguments or self.unix_arguments()), *extra],
            cwd=model,
            env={**inherited, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: List[str] = []
        self._new: queue.Queue[Optional[str]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.peer: Optional[Peer] = None

    def unix_arguments(self) -> List[str]:
        return ["--sock-type", "unix", "--sock-name", self.socket_name]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._new.put(line.decode(errors="backslashreplace").rstrip("\n"))
        self._new.put(None)

    def wait_for(self, part: str) -> str:
        """Return the first line, old or new, that contains part."""
        for line in self.lines:
            if part in line:
                return line
        while True:
            line_or_end = self._new.get(timeout=PATIENCE)
            assert line_or_end is not None, "no %r in:\n%s" % (part, "\n".join(self.lines))
            self.lines.append(line_or_end)
            if part in line_or_end:
                return line_or_end

    def connect(self, rank: int = 0) -> Peer:
        self.wait_for("Torch worker started.")
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(self.socket_name[: -len("9000")] + str(9000 + rank))
        self.peer = Peer(client)
        return self.peer

    def load(self, handler: str, **options: Any) -> Response:
        """Connect unless connected, and load the model."""
        peer = self.peer or self.connect()
        peer.socket.sendall(load_command("m", str(self.model), handler, **options))
        return peer.response()

    def infer(self, *requests: Request) -> Response:
        assert self.peer is not None
        self.peer.socket.sendall(infer_command(*requests))
        return self.peer.response()

    def answer(self, request: Request) -> Item:
        """Return the answer to a batch of one, which must succeed."""
        response = self.infer(request)
        assert response.code == 200, (response, self.output())
        (item,) = response.items
        return item

    def exit_status(self) -> int:
        """Wait for the end of the process and of its output."""
        status = self.process.wait(PATIENCE)
        while True:
            line = self._new.get(timeout=PATIENCE)
            if line is None:
                return status
            self.lines.append(line)

    def disconnect(self) -> int:
        assert self.peer is not None
        self.peer.socket.close()
        return self.exit_status()

    def output(self) -> str:
        """Return the output so far."""
        while not self._new.empty():
            line = self._new.get()
            if line is not None:
                self.lines.append(line)
        return "\n".join(self.lines)

    def metrics(self) -> List[str]:
        self.output()
        return [line for line in self.lines if line.startswith("[METRICS]")]

    def kill(self) -> None:
        if self.peer is not None:
            self.peer.socket.close()
        self.process.kill()
        self.process.wait()
        self._reader.join()
