#!/usr/bin/env python3
"""As much of torchrun as a server sees of it: it starts ranks, each in a session of its own, and ends with them."""

import os
import signal
import subprocess
import sys
import time
from typing import Any, List


def main(arguments: List[str]) -> int:
    script = next(at for at, word in enumerate(arguments) if word.endswith(".py"))
    size = int(arguments[arguments.index("--nproc-per-node") + 1])
    ranks = [start(arguments[script:], rank, size) for rank in range(size)]

    def end(*_: Any) -> None:
        for rank in ranks:
            rank.terminate()

    signal.signal(signal.SIGTERM, end)
    status = 0
    while any(rank.poll() is None for rank in ranks):
        if any(rank.poll() for rank in ranks):
            status = 1
            end()
        time.sleep(0.02)
    return status


def start(command: List[str], rank: int, size: int) -> "subprocess.Popen[bytes]":
    numbers = {"LOCAL_RANK": rank, "RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    environ = {**os.environ, **{name: str(value) for name, value in numbers.items()}}
    return subprocess.Popen([sys.executable, "-u", *command], env=environ, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
