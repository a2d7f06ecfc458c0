"""What the benchmark and the comparison of answers need to run TorchServe 0.12 and this server beside each other."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
from typing import Dict

STOP_LIMIT = 30.0  # seconds
JAVA = 17


class Missing(Exception):
    """Something that is needed is not on this machine; the text says what."""


def torchserve(environment: pathlib.Path) -> pathlib.Path:
    """Return the command of TorchServe 0.12 in a Python environment.

    Raises:
        Missing: there is no Java for it.
    """
    try:
        version = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        version = ""
    found = re.search(r'version "([0-9]+)', version)
    if not found or int(found.group(1)) < JAVA:
        raise Missing("TorchServe 0.12 needs Java %d on PATH (Debian: openjdk-17-jre-headless)" % JAVA)
    return environment / "bin" / "torchserve"


def variables(folder: pathlib.Path, python: pathlib.Path) -> Dict[str, str]:
    """Return the environment variables of a server that keeps its files in a folder and has this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TS_", "PYTHON", "JAVA_TOOL"))}
    temporary = folder / "tmp"
    temporary.mkdir()
    return {**kept, "PATH": "%s:%s" % (python.parent, kept["PATH"]), "TMPDIR": str(temporary), "TEMP": str(temporary)}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server's whole session, first politely, and wait for the last of its processes."""
    deadline = time.monotonic() + STOP_LIMIT
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # reaps
            os.killpg(process.pid, 0)  # raises once all are gone
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
