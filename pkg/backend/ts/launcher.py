"""Starts and stops the server from Python, and registers models with it, as notebooks and tests do.

The program torchserve is found as ts.model_server says.
"""

from __future__ import annotations

import importlib
import json
import queue
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any, Iterator, Mapping, Optional, Sequence, Tuple, Union

from ts import model_server

READY = "Model server started"
"""What the line contains with which the server says that it is ready."""
MAX_LINES = 1000
"""Lines that wait in the queue of start; more are printed, but dropped."""
MANAGEMENT = "http://localhost:8081"
"""Where the server's management API answers by default."""

Params = Union[Mapping[str, Any], Sequence[Tuple[str, Any]]]


def start(
    model_store: Optional[str] = None,
    snapshot_file: Optional[str] = None,
    no_config_snapshots: bool = False,
    plugin_folder: Optional[str] = None,
    disable_token: bool = False,
    models: Optional[str] = None,
    enable_model_api: bool = False,
) -> queue.Queue[Optional[str]]:
    """Stop the server that runs, if any, and start one; return when it is ready, or has ended.

    The server runs in the background, beyond the end of this process. What it writes is printed, by a thread once it
    is ready.

    Args:
        model_store: folder of the model archives
        snapshot_file: configuration file, a snapshot or any other
        no_config_snapshots: neither write nor restore snapshots
        plugin_folder: folder of the plugins
        disable_token: serve without keys
        models: what to load, "[name=]location" or "all"
        enable_model_api: let clients register models

    Returns:
        The lines that the server writes after it is ready, as they are; None when it has ended. At most MAX_LINES
        wait, newer ones are dropped. Without a ready line the queue holds None at once.

    Raises:
        OSError: the program torchserve is not found or cannot be executed.
    """
    stop()
    options = [
        ("--model-store", model_store),
        ("--plugins-path", plugin_folder),
        ("--ts-config", snapshot_file),
        ("--no-config-snapshots", no_config_snapshots),
        ("--disable-token-auth", disable_token),
        ("--models", models),
        ("--enable-model-api", enable_model_api),
    ]
    words = ["--start"]
    for option, value in options:
        if value:
            words += [option] if value is True else [option, str(value)]
    process = subprocess.Popen(
        model_server.command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in _texts(process.stdout):
        _show(line)
        if READY in line:
            break
    lines: queue.Queue[Optional[str]] = queue.Queue(MAX_LINES + 1)  # one for the end
    threading.Thread(target=_pass_on, args=(process, lines), name="server output", daemon=True).start()
    return lines


def stop(wait: bool = True) -> None:
    """Stop the server of this user.

    Args:
        wait: until it has ended, at most 60 s; otherwise return when it has been told

    Raises:
        OSError: the program torchserve is not found or cannot be executed.
    """
    subprocess.run([model_server.program(), "--stop", *(["--foreground"] if wait else [])], check=False)


def register_model(model_name: str, url: str, *, management: str = MANAGEMENT, token: Optional[str] = None) -> Any:
    """Register a model and wait until one worker has loaded it.

    Args:
        model_name: under which it is served
        url: of its archive, or the archive's name in the model store
        management: see register_model_with_params
        token: see register_model_with_params

    Returns:
        The response, see register_model_with_params.
    """
    params = {"model_name": model_name, "url": url, "initial_workers": "1", "synchronous": "true"}
    return register_model_with_params(params, management=management, token=token)


def register_model_with_params(params: Params, *, management: str = MANAGEMENT, token: Optional[str] = None) -> Any:
    """Register a model.

    Args:
        params: those of the management API, such as url and initial_workers
        management: where that API answers, scheme, host and port
        token: the management key; needed unless token authorization is disabled

    Returns:
        What requests returns if it is installed, otherwise a Response.

    Raises:
        OSError: there is no answer.
    """
    url = management.rstrip("/") + "/models"
    headers = {"Authorization": "Bearer " + token} if token else {}
    try:
        requests: Any = importlib.import_module("requests")
    except ImportError:
        return _post(url + "?" + urllib.parse.urlencode(params), headers)
    return requests.post(url, params=params, headers=headers)


class Response:
    """What the server has answered."""

    def __init__(self, status_code: int, content: bytes) -> None:
        self.status_code = status_code
        self.content = content

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return what the body, JSON, says.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.content)


def _post(url: str, headers: Mapping[str, str]) -> Response:
    request = urllib.request.Request(url, data=b"", headers=dict(headers), method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server is on this machine
    try:
        with opener.open(request) as answer:
            return Response(answer.status, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Response(refusal.code, refusal.read())


def _texts(output: IO[bytes]) -> Iterator[str]:
    """Yield the lines of the server as text."""
    for line in output:
        yield line.decode("utf-8", "replace")


def _pass_on(process: subprocess.Popen[bytes], lines: queue.Queue[Optional[str]]) -> None:
    """Print and queue lines until the server has closed its output."""
    assert process.stdout is not None
    with process.stdout:
        for line in _texts(process.stdout):
            _show(line)
            if lines.qsize() < MAX_LINES:
                lines.put(line)
    lines.put(None)
    process.wait()


def _show(line: str) -> None:
    """Print a line of the server; that it appears here is the purpose of this module."""
    print(line.rstrip(), flush=True)  # noqa: T201
