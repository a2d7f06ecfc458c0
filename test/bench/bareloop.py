#!/usr/bin/env python3
"""Measures the Python worker alone: a process on a unix socket, one client that sends batch after batch.

usage: bareloop.py --worker .../ts/model_service_worker.py --model-dir DIR [--seconds N] [--batch N] [--body BYTES]

The requests are those that the server makes of wrk's. Prints one line of JSON: requests_per_second, and
cpu_microseconds, which the worker spends on each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Dict, Iterator, List, Tuple

START_LIMIT = 30.0  # seconds
HEADERS = {
    "Host": "127.0.0.1:8080",
    "Content-Type": "application/octet-stream",
    "Content-Length": "2",
    "url_path": "",
    "explain": "False",
}


def text(value: str) -> bytes:
    return data(value.encode())


def data(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


END = struct.pack(">i", -1)


def load_command(model: pathlib.Path) -> bytes:
    manifest = json.loads((model / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
    head = text(manifest["modelName"]) + text(str(model)) + struct.pack(">i", 1)
    return b"L" + head + text(manifest["handler"]) + END + text("") + b"\1"


def batch_command(size: int, body: int) -> bytes:
    headers = b"".join(text(name) + text(value) for name, value in HEADERS.items())
    parameter = text("body") + text("application/octet-stream") + data(b"x" * body)
    requests = [text("0b6f7e0e-5b1f-4d0e-8a51-%012d" % at) + headers + END + parameter + END for at in range(size)]
    return b"I" + b"".join(requests) + END


def environment(worker: pathlib.Path, model: pathlib.Path) -> Dict[str, str]:
    home = worker.parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(model), str(home)))}


def connect(path: str, worker: subprocess.Popen[bytes]) -> socket.socket:
    """Connect as soon as the worker listens.

    Raises:
        RuntimeError: it has ended, or does not begin.
    """
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit and worker.poll() is None:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
        except OSError:
            client.close()
            time.sleep(0.01)
        else:
            return client
    raise RuntimeError("the worker does not listen")


def exchange(client: socket.socket, command: bytes, reply: memoryview) -> None:
    """Send a command and read so many bytes."""
    client.sendall(command)
    got = 0
    while got < len(reply):
        got += client.recv_into(reply[got:]) or sys.exit("the worker has left")


def first_reply(client: socket.socket, command: bytes) -> bytes:
    """Send a command and read the whole reply, of a length not known yet."""
    client.sendall(command)
    reply = client.recv(1 << 20)
    while reply[-4:] != END:
        reply += client.recv(1 << 20)
    code = struct.unpack_from(">i", reply)[0]
    if code != 200:
        sys.exit("the worker answered %d: %r" % (code, reply[:200]))
    return reply


def rounds(client: socket.socket, command: bytes, count: int, seconds: float) -> Iterator[float]:
    """Send a command again and again; yield the time after each count of replies."""
    reply = memoryview(bytearray(len(first_reply(client, command))))
    end = time.perf_counter() + seconds
    now = time.perf_counter()
    while now < end:
        for _ in range(count):
            exchange(client, command, reply)
        now = time.perf_counter()
        yield now


def measure(arguments: argparse.Namespace) -> Tuple[float, float]:
    """Return requests a second, and the seconds that the worker spends on one."""
    with tempfile.TemporaryDirectory(prefix="bareloop-") as folder:
        path = os.path.join(folder, ".ts.sock.9000")
        metrics = str(arguments.worker.with_name("configs") / "metrics.yaml")
        worker = subprocess.Popen(
            [
                arguments.python,
                str(arguments.worker),
                "--sock-type",
                "unix",
                "--sock-name",
                path,
                "--metrics-config",
                metrics,
            ],
            cwd=arguments.model_dir,
            env=environment(arguments.worker, arguments.model_dir),
            stdout=subprocess.DEVNULL,
        )
        try:
            with connect(path, worker) as client:
                first_reply(client, load_command(arguments.model_dir))
                command = batch_command(arguments.batch, arguments.body)
                at_once = 16 if len(command) < 1 << 20 else 1
                list(rounds(client, command, at_once, min(1.0, arguments.seconds)))
                before = cpu_seconds(worker.pid)
                started = time.perf_counter()
                times: List[float] = list(rounds(client, command, at_once, arguments.seconds))
                used = cpu_seconds(worker.pid) - before
        finally:
            worker.terminate()
            worker.wait()
    count = len(times) * at_once * arguments.batch
    return count / (times[-1] - started), used / count


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a running process has used; 0 where nobody says."""
    try:
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def existing(path: str) -> pathlib.Path:
    """Return an absolute path: the worker runs in the folder of the model."""
    return pathlib.Path(path).resolve(strict=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--worker", type=existing, required=True)
    parser.add_argument("--model-dir", type=existing, required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--body", type=int, default=2, help="bytes")
    parser.add_argument("--python", default=sys.executable)
    rate, cpu = measure(parser.parse_args())
    print(json.dumps({"requests_per_second": round(rate, 1), "cpu_microseconds": round(cpu * 1e6, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
