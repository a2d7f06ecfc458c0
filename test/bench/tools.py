"""What the benchmark drives: TorchServe 0.12 as published, the load generator wrk, and a loop over a bare socket.

wrk goes to a cache folder outside the clone, once; BENCH_WRK=/path/to/wrk names another one.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import List, NamedTuple

import beside

# Prints what wrk measured as one line of JSON; times are in microseconds.
SCRIPT = """\
wrk.method = "%(method)s"
wrk.headers["Content-Type"] = "application/octet-stream"
if %(body)d > 0 then wrk.body = string.rep("x", %(body)d) end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "errors": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Load(NamedTuple):
    """What a client measured."""

    rate: float  # requests a second
    p50: float  # milliseconds
    p99: float  # milliseconds
    errors: int


def cache() -> pathlib.Path:
    """Return the folder where make keeps what it downloads."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home, "torchserve-go")


def original_worker(environment: pathlib.Path) -> pathlib.Path:
    """Return the script of the Python worker of TorchServe 0.12 in a Python environment."""
    return next(environment.glob("lib/python3*/site-packages/ts/model_service_worker.py"))


def wrk() -> List[str]:
    """Return the command line that starts wrk, unpacking Debian's package if it is not installed.

    Raises:
        beside.Missing: there is none to be had.
    """
    installed = os.environ.get("BENCH_WRK") or shutil.which("wrk")
    if installed:
        return [installed]
    folder = cache() / "wrk"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "-q", "wrk", "libluajit-5.1-2"], cwd=folder, check=True)
            for package in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise beside.Missing("install wrk (Debian: apt-get update && apt-get install wrk): %s" % error) from error
        (folder / "ready").touch()
    libraries = next(folder.glob("usr/lib/*/libluajit-5.1.so.2")).parent
    return ["env", "LD_LIBRARY_PATH=%s" % libraries, str(folder / "usr" / "bin" / "wrk")]


def load(command: List[str], url: str, connections: int, seconds: int, body: int) -> Load:
    """Send requests for some seconds and return what the client saw; body is in bytes, 0 for a GET."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % {"method": "POST" if body else "GET", "body": body})
        script.flush()
        options = ["-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "30s", "-s", script.name]
        output = subprocess.run([*command, *options, url], stdout=subprocess.PIPE, text=True, check=True).stdout
    return parsed(output)


def parsed(output: str) -> Load:
    """Read the line of SCRIPT."""
    said = json.loads(output.splitlines()[-1])
    rate = said["requests"] / (said["microseconds"] / 1e6)
    return Load(rate, said["p50"] / 1000, said["p99"] / 1000, said["errors"])


def bare_loop(
    worker: pathlib.Path, python: pathlib.Path, model: pathlib.Path, seconds: int, batch: int, body: int
) -> float:
    """Return the requests a second that a Python worker answers on a bare socket, without any server."""
    loop = pathlib.Path(__file__).with_name("bareloop.py")
    options = {"worker": worker, "model-dir": model, "seconds": seconds, "batch": batch, "body": body, "python": python}
    arguments = [text for name, value in options.items() for text in ("--" + name, str(value))]
    output = subprocess.run([sys.executable, str(loop), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(output.stdout.splitlines()[-1])["requests_per_second"])
