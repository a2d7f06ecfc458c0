"""Bytes on the worker's socket, as TorchServe 0.12 writes them (reference: worker-protocol.md, sections 2 to 5).

Pure: bytes in, values out. All integers are signed 32-bit big-endian; str is a length and UTF-8, bytes a length and
raw bytes, END the length -1, which closes a list in place of its next element's first length.

    load      := 'L' str(name) str(path) int(batch) str(handler) int(gpu) str(envelope) bool(limit pixels)
    infer     := 'I' request* END
    request   := str(id) ( str(header) str(value) )* END ( str(parameter) str(content type) bytes(value) )* END
    response  := int(code) str(message) item* END
    item      := str(id) str(content type) int(status) str(phrase) int(n) ( str(header) str(value) ){n} bytes(body)
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Union

LOAD = ord("L")
INFER = ord("I")
END = -1

MAX_TEXT = 1 << 24
"""Bytes of the longest text that is taken from the socket; parameters have no limit but that of the wire."""

Buffer = Union[bytes, bytearray, memoryview]

_int = struct.Struct(">i")
_unpack = _int.unpack_from
_pack = _int.pack
_END = _pack(END)
# Content type "", status 200, phrase "", no headers: what nearly every item says of itself.
_PLAIN = struct.pack(">4i", 0, 200, 0, 0)


class Disconnected(Exception):
    """The peer has closed the connection."""


class ProtocolError(ValueError):
    """What came is no command, or a broken one; nothing after it can be understood."""


class Load(NamedTuple):
    """The command that comes first."""

    model_name: str
    model_path: str
    batch_size: int
    handler: str
    gpu: int  # negative: none
    envelope: str
    limit_max_image_pixels: bool


Parameter = Tuple[str, str, bytearray]
"""Name, content type, value."""


class Request(NamedTuple):
    """One request of a batch. The value of a parameter belongs to the receiver, who may change it."""

    id: str
    headers: Dict[str, str]
    parameters: List[Parameter]


class Item(NamedTuple):
    """The answer to one request."""

    request_id: str
    body: Buffer
    status: int = 200
    content_type: str = ""
    phrase: str = ""
    headers: Sequence[Tuple[str, str]] = ()


class Reader:
    """Reads commands from a stream, a small one with one call.

    Args:
        receive_into: fills (a part of) the view that it gets and returns the number of bytes, 0 at the end of the
            stream, like socket.recv_into.
    """

    _SIZE = 1 << 16

    def __init__(self, receive_into: Callable[[memoryview], int]) -> None:
        self._receive_into = receive_into
        self._buffer = bytearray(self._SIZE)
        self._at = 0  # up to here the buffer is read
        self._end = 0  # up to here it is filled

    def command(self) -> int:
        """Wait for the next command and return its byte; load() or requests() read what follows it.

        Raises:
            Disconnected: the stream has ended.
        """
        at = self._at
        if at == self._end:
            at = self._more(at, 1)
        self._at = at + 1
        return self._buffer[at]

    def load(self) -> Load:
        """Read the rest of a load command.

        Raises:
            Disconnected: the stream has ended.
            ProtocolError: a length is impossible.
        """
        name, path = self._text(), self._text()
        batch_size, handler, gpu, envelope = self._int(), self._text(), self._int(), self._text()
        return Load(name, path, batch_size, handler, gpu, envelope, self.command() != 0)

    def requests(self) -> List[Request]:
        """Read the rest of an inference command.

        Raises:
            Disconnected: the stream has ended.
            ProtocolError: a length is impossible.
        """
        found: List[Request] = []
        while True:
            head = self._texts()
            if not head:
                return found
            if not len(head) % 2:
                raise ProtocolError("a header without a value")
            found.append(Request(head[0], dict(zip(head[1::2], head[2::2])), self._parameters()))

    def _texts(self) -> List[str]:
        """Read str until END: request id and headers are that, and most of what is read."""
        found: List[str] = []
        add = found.append
        buffer, at, end = self._buffer, self._at, self._end
        while True:
            if at + 4 > end:
                at = self._more(at, 4)
                buffer, end = self._buffer, self._end
            size = _unpack(buffer, at)[0]
            at += 4
            if size < 0:
                if size != END:
                    raise ProtocolError("a text of %d bytes" % size)
                self._at = at
                return found
            if at + size > end:
                at = self._more(at, _checked(size))
                buffer, end = self._buffer, self._end
            stop = at + size
            add(buffer[at:stop].decode("utf-8", "replace"))
            at = stop

    def _parameters(self) -> List[Parameter]:
        found: List[Parameter] = []
        while True:
            size = self._int()
            if size == END:
                return found
            name = self._text_of(size)
            content_type = self._text_of(self._int())
            found.append((name, content_type, self._value_of(self._int())))

    def _int(self) -> int:
        at = self._at
        if at + 4 > self._end:
            at = self._more(at, 4)
        self._at = at + 4
        value: int = _unpack(self._buffer, at)[0]
        return value

    def _text(self) -> str:
        return self._text_of(self._int())

    def _text_of(self, size: int) -> str:
        at = self._at
        if size < 0 or at + size > self._end:
            at = self._more(at, _checked(size))
        self._at = at + size
        return self._buffer[at : at + size].decode("utf-8", "replace")

    def _value_of(self, size: int) -> bytearray:
        """Read raw bytes; those that have not come yet are received where they stay."""
        at = self._at
        if size < 0:
            raise ProtocolError("a value of %d bytes" % size)
        if at + size <= self._end:
            self._at = at + size
            return self._buffer[at : at + size]
        value = bytearray(size)
        done = self._end - at
        value[:done] = self._buffer[at : self._end]
        self._at = self._end
        with memoryview(value) as view:
            while done < size:
                done += self._received(view[done:])
        return value

    def _more(self, at: int, need: int) -> int:
        """Receive until need bytes from at on are there and return where they begin now."""
        buffer = self._buffer
        have = self._end - at
        if at + need > len(buffer):
            moved = bytearray(max(need, self._SIZE)) if need > len(buffer) else buffer
            moved[:have] = buffer[at : self._end]
            self._buffer, at = moved, 0
        elif not have:
            at = 0
        with memoryview(self._buffer) as view:
            while have < need:
                have += self._received(view[at + have :])
        self._at, self._end = at, at + have
        return at

    def _received(self, view: memoryview) -> int:
        got = self._receive_into(view)
        if not got:
            raise Disconnected
        return got


def _checked(size: int) -> int:
    if not 0 <= size <= MAX_TEXT:
        raise ProtocolError("a text of %d bytes" % size)
    return size


def response(code: int, message: str, items: Iterable[Item]) -> List[Buffer]:
    """Return a response as pieces to be written one after the other; the bodies among them are not copied.

    Text that is not Unicode (a lone surrogate) is written as "?".
    """
    pieces: List[Buffer] = [_pack(code) + _text(message)]
    add = pieces.append
    for item in items:
        body = item.body
        add(_text(item.request_id))
        if item.status == 200 and not (item.content_type or item.phrase or item.headers):
            add(_PLAIN)
        else:
            add(_described(item))
        add(_pack(len(body)))
        add(body)
    add(_END)
    return pieces


def _described(item: Item) -> bytes:
    parts = [_text(item.content_type), _pack(item.status), _text(item.phrase), _pack(len(item.headers))]
    for name, value in item.headers:
        parts += (_text(name), _text(value))
    return b"".join(parts)


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "replace")
    return _pack(len(raw)) + raw
