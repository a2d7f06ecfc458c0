"""One of the two servers as a client sees it: what it says on its sockets, made comparable."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import re
import socket
import ssl
import time
import types
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import servers

LIMIT = 60.0  # seconds for each answer
QUIET = 0.4  # seconds of silence after which a connection counts as kept open
LONG = 1000  # bytes of a stream whose pieces are compared by their lengths
LOAD_LIMIT = 60.0  # seconds for a worker to load

Seen = Dict[str, object]  # what is compared: parts of an answer, by name
Step = Union[bytes, float, str]


def _load(name: str) -> types.ModuleType:
    """Import a file of this folder that has no suffix."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(pathlib.Path(__file__).with_name(name)))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


tool = _load("rest-diff")


class Answer(NamedTuple):
    """A response as it was on the wire, its transfer coding undone."""

    status: Union[int, str]
    headers: List[Tuple[str, str]]
    body: bytes
    pieces: Optional[List[bytes]] = None  # of a chunked body


class Side:
    """Talks to one server.

    The attributes name, files and addresses are what rest-diff asks of its own sides.
    """

    def __init__(self, name: str, server: servers.Running) -> None:
        self.name = name
        self.files = "http://no.files"
        self.server = server
        self.addresses = server.addresses
        self.keys = dict(server.keys)

    def head(self, api: str, method: str, path: str, headers: Optional[Dict[str, str]] = None) -> bytes:
        """Return the head of a request with the key that it needs, if there are keys."""
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: %s:%d" % self.addresses[api]]
        if api in self.keys and "Authorization" not in (headers or {}):
            lines.append("Authorization: Bearer " + self.keys[api])
        lines += ["%s: %s" % pair for pair in (headers or {}).items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def request(
        self, api: str, method: str, path: str, headers: Optional[Dict[str, str]] = None, body: Optional[bytes] = None
    ) -> Seen:
        """Send one request and return what is to be compared of its answer."""
        return self.normal(self.ask(api, method, path, headers, body))

    def ask(
        self, api: str, method: str, path: str, headers: Optional[Dict[str, str]] = None, body: Optional[bytes] = None
    ) -> Answer:
        """Send one request and return its answer."""
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
        with self.connect(api) as connection:
            with contextlib.suppress(OSError):  # it may answer before it has read everything
                connection.sendall(self.head(api, method, path, headers) + (body or b""))
            return read_answer(connection.makefile("rb"), method)

    def talk(self, api: str, *steps: Step) -> Seen:
        """Hold a conversation on one connection.

        A step that is bytes is sent, a number is waited for (seconds), a text is the method of a request whose
        answer is read. At the end it is seen whether the server keeps the connection open.
        """
        seen: Seen = {}
        with self.connect(api) as connection:
            stream = connection.makefile("rb")
            for step in steps:
                if isinstance(step, bytes):
                    with contextlib.suppress(OSError):
                        connection.sendall(step)
                elif isinstance(step, float):
                    time.sleep(step)
                else:
                    seen["answer %d" % (len(seen) + 1)] = self.normal(read_answer(stream, step))
            seen["end"] = _end(connection, stream)
        return seen

    def connect(self, api: str) -> socket.socket:
        """Return a connection to a listener; over TLS, whatever certificate it has, if it wants that."""
        connection = socket.create_connection(self.addresses[api], LIMIT)
        if not self.server.tls or api == "metrics":
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(connection)

    def normal(self, answer: Answer) -> Seen:
        """Return the parts of an answer that are compared, without what differs from call to call."""
        seen: Seen = tool.normal(self, answer[:3], False)
        if _is_json(answer.body):
            seen["layout"] = re.sub(r"\d+", "0", tool.clean_text(self, answer.body.decode()))
        if answer.pieces is not None:
            short = len(answer.body) < LONG
            texts = [piece.decode("utf-8", "backslashreplace") for piece in answer.pieces]
            seen["pieces"] = texts if short else [str(len(text)) for text in texts]
        return seen

    def serve_only(self, models: Sequence[str]) -> None:
        """Have these models of the store registered, each with one worker, and no other.

        Raises:
            servers.Error: one cannot be.
        """
        listed = json.loads(self.ask("management", "GET", "/models").body)["models"]
        if sorted(model["modelName"] for model in listed) == sorted(models):
            return
        tool.Side.reset(self)
        for model in models:
            path = "/models?url=%s.mar&initial_workers=1&synchronous=true" % model
            answer = self.ask("management", "POST", path, body=b"")
            if answer.status != 200:
                raise servers.Error("%s: cannot register %s: %s" % (self.server.name, model, answer.body.decode()))

    def read_keys(self) -> None:
        """Read the keys again, after a renewal."""
        self.keys = servers.keys(self.server.key_file)

    def management(self, method: str, path: str) -> Tuple[Union[int, str], bytes]:
        """Send a request to the management listener, as rest-diff does it."""
        answer = self.ask("management", method, path)
        return answer.status, answer.body

    def await_worker(self, model: str) -> None:
        """Wait until all workers of a model are loaded; without such a model there is nothing to wait for."""
        deadline = time.monotonic() + LOAD_LIMIT
        while time.monotonic() < deadline:
            answer = self.ask("management", "GET", "/models/" + model)
            if answer.status != 200:
                return
            described = json.loads(answer.body)[0]
            ready = [worker["status"] == "READY" for worker in described["workers"]]
            if all(ready) and len(ready) >= described["minWorkers"]:
                return
            time.sleep(0.1)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def read_answer(stream: io.BufferedIOBase, method: str) -> Answer:
    """Read one response to a request with the given method; a failure to is an answer, too."""
    try:
        line = stream.readline()
        if not line:
            return Answer("no answer", [], b"")
        status = int(line.split()[1])
        headers = list(_headers(stream))
        return _with_body(stream, method, Answer(status, headers, b""))
    except socket.timeout:
        return Answer("timeout", [], b"")
    except (OSError, ValueError, IndexError):
        return Answer("no answer", [], b"")


def _headers(stream: io.BufferedIOBase) -> Sequence[Tuple[str, str]]:
    headers: List[Tuple[str, str]] = []
    for line in iter(stream.readline, b""):
        if not line.strip():
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    return headers


def _with_body(stream: io.BufferedIOBase, method: str, answer: Answer) -> Answer:
    lengths = [value for name, value in answer.headers if name == "content-length"]
    if method == "HEAD" or answer.status in (100, 204, 304):
        return answer
    if ("transfer-encoding", "chunked") in answer.headers:
        return _chunked(stream, answer)
    try:
        body = stream.read(int(lengths[0])) if lengths else stream.read()
    except ConnectionResetError:
        body = b""
    if lengths and len(body) < int(lengths[0]):
        body += b"(cut short)"
    return answer._replace(body=body)


def _chunked(stream: io.BufferedIOBase, answer: Answer) -> Answer:
    pieces: List[bytes] = []
    try:
        while True:
            size = int(stream.readline().split(b";")[0], 16)
            if not size:
                break
            pieces.append(stream.read(size))
            stream.readline()
        list(_headers(stream))  # trailers
    except (OSError, ValueError):
        pieces.append(b"(broken off)")
    return answer._replace(body=b"".join(pieces), pieces=pieces)


def _end(connection: socket.socket, stream: io.BufferedIOBase) -> str:
    connection.settimeout(QUIET)
    try:
        return "more" if stream.read(1) else "closed"
    except socket.timeout:
        return "open"
    except OSError:
        return "closed"
