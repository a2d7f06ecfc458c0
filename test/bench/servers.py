"""Starts and stops the servers that are compared, each alone on the machine, and reads their memory."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import subprocess
import time
import zipfile
from typing import Iterator, List, NamedTuple

import beside

START_LIMIT = 120.0  # seconds

HANDLERS = {
    "noop": "def handle(data, context):\n    return ['OK'] * len(data) if data else None\n",
    "echo": "def handle(data, context):\n    return [row['body'] for row in data] if data else None\n",
}
# Name of the model -> its handler. All run with one worker; batches are asked for by CONFIGURATION.
MODELS = {"noop": "noop", "noop8": "noop", "echo": "echo"}

CONFIGURATION = """\
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
metrics_address=http://127.0.0.1:{metrics}
grpc_inference_port={grpc}
grpc_management_port={grpc_management}
default_workers_per_model=1
models={batches}
"""
BATCHES = {
    "noop8": {
        "1.0": {
            "defaultVersion": True,
            "marName": "noop8.mar",
            "minWorkers": 1,
            "maxWorkers": 1,
            "batchSize": 8,
            "maxBatchDelay": 2,
            "responseTimeout": 120,
        }
    }
}


class Error(Exception):
    """A server did not do its part; the text says which and what."""


class Server(NamedTuple):
    """One way to serve the same archives."""

    name: str
    binary: pathlib.Path
    port: int  # of inference; the others follow from it


class Running(NamedTuple):
    """A server all of whose models have answered."""

    base: str
    frontend: int  # process id of what speaks HTTP
    ping_seconds: float  # from the command to the first 200 on /ping
    prediction_seconds: float  # from the command to the first answer of a model


def write_archives(folder: pathlib.Path) -> None:
    """Write the models of MODELS as archives."""
    for name, handler in MODELS.items():
        files = {
            "MAR-INF/MANIFEST.json": json.dumps(
                {
                    "createdOn": "01/01/2024 00:00:00",
                    "runtime": "python",
                    "model": {"modelName": name, "handler": "handler.py:handle", "modelVersion": "1.0"},
                    "archiverVersion": "0.12.0",
                }
            ),
            "handler.py": HANDLERS[handler],
        }
        with zipfile.ZipFile(folder / (name + ".mar"), "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)


def unpacked(store: pathlib.Path, name: str) -> pathlib.Path:
    """Unpack one of the archives beside it and return the folder."""
    folder = store / name
    with zipfile.ZipFile(store / (name + ".mar")) as archive:
        archive.extractall(folder)
    return folder


@contextlib.contextmanager
def running(server: Server, store: pathlib.Path, folder: pathlib.Path, python: pathlib.Path) -> Iterator[Running]:
    """Start a server in an empty folder, wait until all its models answer, and stop it at the end.

    Its workers run on the given Python.

    Raises:
        Error: it ended or was not ready within START_LIMIT.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        _command(server, store, folder),
        cwd=folder,
        env=beside.variables(folder, python),
        stdin=subprocess.DEVNULL,
        stdout=(folder / "out.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        times: List[float] = []
        for path in ("/ping", *("/predictions/" + name for name in MODELS)):
            while not _answers(server.port, path):
                if process.poll() is not None or time.monotonic() - began > START_LIMIT:
                    log = (folder / "out.log").read_text(errors="replace").splitlines()
                    raise Error("\n".join(["%s is not ready; its last words:" % server.name, *log[-20:]]))
                time.sleep(0.002)
            times.append(time.monotonic() - began)
        yield Running("http://127.0.0.1:%d" % server.port, _frontend(process.pid), times[0], times[1])
    finally:
        beside.stop(process)


def memory(process_id: int) -> float:
    """Return the resident memory of a process, in MiB."""
    for line in pathlib.Path("/proc/%d/status" % process_id).read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Error("process %d has ended" % process_id)


def _command(server: Server, store: pathlib.Path, folder: pathlib.Path) -> List[str]:
    configuration = folder / "config.properties"
    configuration.write_text(
        CONFIGURATION.format(
            port=server.port,
            management=server.port + 1,
            metrics=server.port + 2,
            grpc=server.port + 3,
            grpc_management=server.port + 4,
            batches=json.dumps(BATCHES),
        )
    )
    models = ["%s=%s.mar" % (name, name) for name in MODELS]
    options = ["--start", "--foreground", "--ncs", "--disable-token-auth", "--ts-config", str(configuration)]
    return [str(server.binary), *options, "--model-store", str(store), "--models", *models]


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
    try:
        if path == "/ping":
            connection.request("GET", path)
        else:
            connection.request("POST", path, b"x", {"Content-Type": "application/octet-stream"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _frontend(process_id: int) -> int:
    """Return the process that speaks HTTP: TorchServe's launcher has it as a child, torchserve-go is it."""
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            child, rest = status.read_text().split(" (", 1)
            command, _, fields = rest.rpartition(") ")
            if command == "java" and int(fields.split()[1]) == process_id:
                return int(child)
    return process_id
