"""Gates at which handlers and tests wait for each other, and journals that tests read."""

import json
import os
import pathlib
import time
from typing import Any


def gate(name: str) -> pathlib.Path:
    return pathlib.Path(os.environ["LAB"], name)


def is_open(name: str) -> bool:
    """Say who waits at a gate by a file; the test opens it by another one."""
    held = gate(name).with_suffix(".held")
    if not held.exists():
        held.write_text(str(os.getpid()))
    return gate(name).with_suffix(".open").exists()


def wait_at(name: str) -> None:
    while not is_open(name):
        time.sleep(0.005)


def note(name: str, entry: Any) -> None:
    with gate(name).with_suffix(".jsonl").open("a") as journal:
        journal.write(json.dumps(entry) + "\n")


def text(value: Any) -> str:
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)
