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

import functools
import struct
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

LOAD = ord("L")
INFER = ord("I")
END = -1

MAX_TEXT = 1 << 24
"""Bytes of the longest text that is taken from the socket."""
MAX_VALUE = (1 << 31) - 1
"""Bytes of the longest value of a parameter, which is all that the wire can say: the server has limits of its own."""

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

    _SIZE = 1 << 14  # what is read here of a large field is copied once more

    def __init__(self, receive_into: Callable[[memoryview], int]) -> None:
        self._receive_into = receive_into
        self._buffer = bytearray(self._SIZE)
        self._at = 0  # up to here the buffer is read
        self._end = 0  # up to here it is filled
        self._received_times = 0
        self._known = b""  # headers as they came, with their END
        self._known_headers: Dict[str, str] = {}

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
            request_id = self._field(MAX_TEXT)
            if request_id is None:
                return found
            found.append(Request(request_id.decode("utf-8", "replace"), self._headers(), self._parameters()))

    def _headers(self) -> Dict[str, str]:
        """Read headers. Most often they are those of the request before, byte for byte, and need no reading."""
        start = self._at
        if self._known and self._buffer.startswith(self._known, start, self._end):
            self._at = start + len(self._known)
            return self._known_headers.copy()
        received = self._received_times
        texts = self._texts()
        if len(texts) % 2:
            raise ProtocolError("a header without a value")
        headers = dict(zip(texts[::2], texts[1::2]))
        if received == self._received_times:  # otherwise the buffer has moved
            self._known, self._known_headers = bytes(self._buffer[start : self._at]), headers.copy()
        return headers

    def _texts(self) -> List[str]:
        """Read str until END."""
        found: List[str] = []
        add = found.append
        buffer, at, end = self._buffer, self._at, self._end
        while True:
            start = at + 4
            if start <= end:
                size = _unpack(buffer, at)[0]
                if size == END:
                    self._at = start
                    return found
                stop = start + size
                if start <= stop <= end:
                    add(buffer[start:stop].decode("utf-8", "replace"))
                    at = stop
                    continue
            # It has not come completely, or is broken.
            self._at = at
            field = self._field(MAX_TEXT)
            at, end = self._at, self._end
            if field is None:
                return found
            add(field.decode("utf-8", "replace"))

    def _parameters(self) -> List[Parameter]:
        found: List[Parameter] = []
        field = self._field
        while True:
            name = field(MAX_TEXT)
            if name is None:
                return found
            content_type, value = field(MAX_TEXT), field(MAX_VALUE)
            if content_type is None or value is None:
                raise ProtocolError("a parameter without a value")
            found.append((name.decode("utf-8", "replace"), content_type.decode("utf-8", "replace"), value))

    def _text(self) -> str:
        field = self._field(MAX_TEXT)
        if field is None:
            raise ProtocolError("a text of -1 bytes")
        return field.decode("utf-8", "replace")

    def _int(self) -> int:
        at = self._at
        if at + 4 > self._end:
            at = self._more(at, 4)
        self._at = at + 4
        value: int = _unpack(self._buffer, at)[0]
        return value

    def _field(self, limit: int) -> Optional[bytearray]:
        """Read a length and so many bytes, limit at most; None for END."""
        at = self._at
        if at + 4 > self._end:
            at = self._more(at, 4)
        size = _unpack(self._buffer, at)[0]
        at += 4
        stop = at + size
        if at <= stop <= self._end:
            self._at = stop
            return self._buffer[at:stop]
        self._at = at
        if size == END:
            return None
        if not 0 <= size <= limit:
            raise ProtocolError("a field of %d bytes" % size)
        return self._rest_of(size)

    def _rest_of(self, size: int) -> bytearray:
        """Read bytes that have not all come yet; they are received where they stay."""
        field = self._unfilled(size) if size > self._SIZE else bytearray(size)
        done = self._end - self._at
        field[:done] = self._buffer[self._at : self._end]
        self._at = self._end
        with memoryview(field) as view:
            while done < size:
                done += self._received(view[done:])
        return field

    @functools.cached_property
    def _unfilled(self) -> Callable[[int], bytearray]:
        """What makes a bytearray of a size without zeroing its bytes, which bytearray does, for one who fills it."""
        try:
            import ctypes  # late: it is not loaded before a field is large
        except ImportError:  # a Python that was built without libffi
            return bytearray
        kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)
        return functools.partial(kind(("PyByteArray_FromStringAndSize", ctypes.pythonapi)), None)

    def _more(self, at: int, need: int) -> int:
        """Receive until need bytes, a few, from at on are there, and return where they begin now."""
        buffer = self._buffer
        have = self._end - at
        buffer[:have] = buffer[at : self._end]
        with memoryview(buffer) as view:
            while have < need:
                have += self._received(view[have:])
        self._at, self._end = 0, have
        return 0

    def _received(self, view: memoryview) -> int:
        got = self._receive_into(view)
        self._received_times += 1
        if not got:
            raise Disconnected
        return got


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
