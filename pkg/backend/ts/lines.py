"""Lines that the server reads from the worker's standard output: markers and metrics (WRK section 12).

They are written past sys.stdout and logging, so that nothing a handler does to those loses them. While a batch is at
work its lines are held back and written at once after its answer: they cost no system call each, and the client does
not wait for them. A server that names a file for it finds there what is held when the process ends.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from typing import TYPE_CHECKING, Iterator, Union

if TYPE_CHECKING:
    import mmap

_METRIC = os.environ.get("TS_METRIC_MARK", "") + "[METRICS]"
"""Begins a metric line. A server that says by what mark it knows one finds it behind a text without a line end, too."""

MAX_HELD_SECONDS = 1.0
HELD_SIZE = 1 << 14
"""Bytes of what is held: where in it the lines end, as an unsigned number, and the lines."""
_head = struct.Struct("<I")
_write_head = _head.pack_into

# Among them are all the characters at which the server ends a line: names of models and metrics bring them along.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], " ")


def _visible(text: str) -> str:
    return text if text.isprintable() else text.translate(_CONTROLS)


class Output:
    """A descriptor to which whole lines are written. Threads may share it."""

    _held: Union[bytearray, mmap.mmap]
    _end: int  # of the lines in it

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.forget()

    def write(self, line: str) -> None:
        """Write a line, at once or when what holds it ends. Control characters become spaces."""
        self._put(_visible(line))

    def metric(self, text: str) -> None:
        """Write a metric line, as write does."""
        self._put(_METRIC + _visible(text))

    def keep_in(self, path: str) -> None:
        """Hold lines in a file from now on: what is held is not lost then, whatever ends the process.

        The file is memory that outlives the process: it costs no system call. If it cannot be made lines are held as
        before.
        """
        import mmap

        with contextlib.suppress(OSError, ValueError), open(path, "wb+", 0) as file:
            # Written, because a file that must grow on a full disk would kill the process.
            if file.write(bytes(HELD_SIZE)) == HELD_SIZE:
                with self._lock:
                    self._flush()
                    self._held = mmap.mmap(file.fileno(), HELD_SIZE)

    def hold(self) -> None:
        """Collect the lines that follow until release(); neither too many nor for too long."""
        self._holding = True
        self._since = time.monotonic()

    def release(self) -> None:
        """Write what was held."""
        self._holding = False
        if self._end > _head.size:
            with self._lock:
                self._flush()

    def forget(self) -> None:
        """Begin anew in a forked process: what is held belongs to its parent."""
        self._lock = threading.Lock()  # guards the fields below
        self._held = bytearray(HELD_SIZE)
        self._end = _head.size
        self._holding = False
        self._since = 0.0

    def _put(self, line: str) -> None:
        raw = (line + "\n").encode("utf-8", "replace")
        with self._lock:
            start = self._end
            end = start + len(raw)
            if self._holding and end <= HELD_SIZE and time.monotonic() - self._since <= MAX_HELD_SECONDS:
                self._held[start:end] = raw
                self._end = end
                _write_head(self._held, 0, end)
            else:
                self._flush(raw)

    def _flush(self, more: bytes = b"") -> None:
        rest = bytes(self._held[_head.size : self._end]) + more
        self._end = _head.size
        _write_head(self._held, 0, self._end)  # first: what is written twice would be counted twice
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
