"""Lines that the server reads from the worker's standard output: markers and metrics (WRK section 12).

They are written past sys.stdout and logging, so that nothing a handler does to those loses them. While a batch is at
work its lines are held back and written at once after its answer: they cost no system call each, and the client does
not wait for them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Iterator, List

METRIC = os.environ.get("TS_METRIC_MARK", "") + "[METRICS]"
"""Begins a metric line. A server that says by what mark it knows one finds it behind a text without a line end, too."""

MAX_HELD_LINES = 64
MAX_HELD_SECONDS = 1.0

# Among them are all the characters at which the server ends a line: names of models and metrics bring them along.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], " ")


class Output:
    """A descriptor to which whole lines are written. Threads may share it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()  # guards the fields below
        self._held: List[str] = []
        self._holding = False
        self._since = 0.0

    def write(self, line: str) -> None:
        """Write a line, at once or when what holds it ends. Control characters become spaces."""
        if not line.isprintable():  # which few lines are not
            line = line.translate(_CONTROLS)
        with self._lock:
            held = self._held
            held.append(line)
            if not self._holding or len(held) >= MAX_HELD_LINES or time.monotonic() - self._since > MAX_HELD_SECONDS:
                self._flush()

    def hold(self) -> None:
        """Collect the lines that follow until release(); neither too many nor for too long."""
        self._holding = True
        self._since = time.monotonic()

    def release(self) -> None:
        """Write what was held."""
        self._holding = False
        if self._held:
            with self._lock:
                self._flush()

    def forget(self) -> None:
        """Begin anew in a forked process: what is held belongs to its parent."""
        self._lock = threading.Lock()
        self._held = []
        self._holding = False

    def _flush(self) -> None:
        rest = ("\n".join(self._held) + "\n").encode("utf-8", "replace")
        self._held = []
        # Without a reader there is no server, and the end of the socket will say so.
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


OUTPUT = Output(1)
"""Standard output of this process."""


@contextlib.contextmanager
def own_output() -> Iterator[None]:
    """Give OUTPUT a descriptor of its own meanwhile, so that a handler may close or redirect standard output."""
    shared, OUTPUT._descriptor = OUTPUT._descriptor, os.dup(OUTPUT._descriptor)
    try:
        yield
    finally:
        own, OUTPUT._descriptor = OUTPUT._descriptor, shared
        os.close(own)
