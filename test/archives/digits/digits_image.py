"""Reads PNG and PGM/PPM images into rows of grey, with the standard library alone.

The bytes come from clients: sizes are checked before anything is allocated, rows are inflated a few at a time,
and whatever is wrong with a file ends in BadImage. Nothing here keeps state, so threads may share it.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from array import array
from itertools import accumulate, islice
from operator import add
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence

Rows = List[bytes]
"""A grey image, top row first, one byte a pixel: 0 is black, 255 white."""

MAX_PIXELS = 16_000_000
MAX_SIDE = 16_384
"""Pixels. It bounds a row, and with it the memory and time that reading by rows takes."""
KEPT_SIDE = 256
"""Pixels a side that are kept: 32 for each of the 8 cells that the network sees."""


class BadImage(ValueError):
    """An image that cannot be used; the text is meant for the client that sent it."""


def decode(data: bytes) -> Rows:
    """Return the image as rows of grey, averaged down to at most 256 pixels a side.

    Transparent pixels count as white paper.

    Raises:
        BadImage: the format is not supported, the file is broken, or the image has more than 16 million pixels
            or 16384 pixels a side.
    """
    try:
        if data.startswith(PNG_SIGNATURE):
            return _decode_png(data)
        if data[:2] in (b"P2", b"P3", b"P5", b"P6"):
            return _decode_pnm(data)
    except BadImage:
        raise
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise BadImage(f"broken image: {error}") from error
    raise BadImage("unsupported image format: send PNG, PGM or PPM")


# Common to both formats.


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise BadImage("broken image: it has no pixels")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise BadImage(
            f"image too large: {width} x {height} pixels; "
            f"the limit is {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE} pixels a side"
        )


def _shrink(rows: Iterable[bytes], width: int, height: int) -> Rows:
    """Average blocks of k x k pixels, with the smallest k that leaves at most 256 pixels a side.

    An incomplete block at the right or bottom edge is dropped.
    """
    k = -(-max(width, height) // KEPT_SIDE)
    columns, lines, area = width // k, height // k, k * k
    if columns == 0 or lines == 0:
        raise BadImage(f"no digit found: the image is {width} x {height} pixels")
    source = iter(rows)
    shrunk = []
    for _ in range(lines):
        block = list(islice(source, k))
        if len(block) < k:
            raise BadImage("broken image: rows are missing at its end")
        if k > 1:
            sums = [0] * columns
            for row in block:
                for offset in range(k):
                    sums = list(map(add, sums, row[offset : columns * k : k]))
            block = [bytes([value // area for value in sums])]
        shrunk += block
    return shrunk


_LUMA = tuple(bytes(value * share // 1000 for value in range(256)) for share in (299, 587, 114))


def _grey(row: bytes, channels: int) -> bytes:
    """Return the luminance of a row of 1 to 4 interleaved channels, over white where the last one is alpha."""
    planes = [row[channel::channels] for channel in range(channels)]
    grey = planes[0]
    if channels >= 3:
        # The shares are rounded down: their sum fits a byte and is too dark by 2 at most.
        red, green, blue = (plane.translate(share) for plane, share in zip(planes, _LUMA))
        grey = bytes(map(add, map(add, red, green), blue))
    if channels in (2, 4):
        grey = bytes([_over_white(value, alpha) for value, alpha in zip(grey, planes[-1])])
    return grey


def _over_white(value: int, alpha: int) -> int:
    return 255 - (255 - value) * alpha // 255


# PNG. Checksums are not looked at: a damaged file does not inflate, or shows its damage.

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGBA: (8, 16)}


class _Layout(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int

    @property
    def channels(self) -> int:
        return _CHANNELS[self.colour]

    @property
    def row_bytes(self) -> int:
        return (self.width * self.channels * self.depth + 7) // 8

    @property
    def step(self) -> int:
        """Bytes from a byte back to its left neighbour in the sense of the filters."""
        return max(1, self.channels * self.depth // 8)


def _decode_png(data: bytes) -> Rows:
    chunks = _png_chunks(data)
    layout = _png_layout(chunks.get(b"IHDR", b""))
    lines = islice(_inflate(chunks.get(b"IDAT", b""), layout.row_bytes + 1), layout.height)
    grey = _png_grey(_unfilter(lines, layout), layout, chunks)
    return _shrink(grey, layout.width, layout.height)


def _png_chunks(data: bytes) -> Dict[bytes, bytes]:
    """Return the content by chunk type; chunks of one type are joined, as IDAT needs."""
    parts: Dict[bytes, List[bytes]] = {}
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            break
        parts.setdefault(kind, []).append(data[at + 8 : at + 8 + size])
        at += size + 12
    return {kind: b"".join(found) for kind, found in parts.items()}


def _png_layout(header: bytes) -> _Layout:
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering:
        raise BadImage(f"broken image: PNG colour type {colour} with {depth} bits")
    if interlace:
        raise BadImage("unsupported image format: this PNG is interlaced, save it without")
    _check_size(width, height)
    return _Layout(width, height, depth, colour)


def _inflate(packed: bytes, line_bytes: int) -> Iterator[bytes]:
    """Yield the whole lines in packed. At most 4 MiB are inflated before they are asked for."""
    inflater = zlib.decompressobj()
    rest = b""
    for at in range(0, len(packed), 4096):
        rest += inflater.decompress(packed[at : at + 4096])
        whole = len(rest) - len(rest) % line_bytes
        for start in range(0, whole, line_bytes):
            yield rest[start : start + line_bytes]
        rest = rest[whole:]


def _unfilter(lines: Iterable[bytes], layout: _Layout) -> Iterator[bytes]:
    above = bytes(layout.row_bytes)
    for line in lines:
        above = _unfilter_line(line[0], bytearray(line[1:]), above, layout.step)
        yield above


def _unfilter_line(kind: int, line: bytearray, above: bytes, step: int) -> bytes:
    if kind == 1:
        for first in range(step):
            line[first::step] = bytes([value & 255 for value in accumulate(line[first::step])])
    elif kind == 2:
        line[:] = bytes([value & 255 for value in map(add, line, above)])
    elif kind in (3, 4):
        restore = _average if kind == 3 else _paeth
        for first in range(step):
            line[first::step] = restore(line[first::step], above[first::step])
    elif kind != 0:
        raise BadImage(f"broken image: PNG filter {kind}")
    return bytes(line)


def _average(line: bytes, above: bytes) -> bytes:
    left, restored = 0, bytearray()
    for value, up in zip(line, above):
        left = (value + (left + up) // 2) & 255
        restored.append(left)
    return restored


def _paeth(line: bytes, above: bytes) -> bytes:
    left, corner, restored = 0, 0, bytearray()
    for value, up in zip(line, above):
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        if to_left <= to_up and to_left <= to_corner:
            guess = left
        else:
            guess = up if to_up <= to_corner else corner
        left, corner = (value + guess) & 255, up
        restored.append(left)
    return restored


def _png_grey(rows: Iterable[bytes], layout: _Layout, chunks: Dict[bytes, bytes]) -> Iterator[bytes]:
    if layout.depth == 16:
        # The high byte of each sample is all that is needed.
        return (_grey(row[::2], layout.channels) for row in rows)
    if layout.depth == 8 and layout.colour != _PALETTE:
        return (_grey(row, layout.channels) for row in rows)
    levels = _palette_levels(chunks) if layout.colour == _PALETTE else _even_levels(layout.depth)
    samples = _packed_samples(layout.depth)
    return (b"".join(map(samples.__getitem__, row))[: layout.width].translate(levels) for row in rows)


def _packed_samples(depth: int) -> Sequence[bytes]:
    """Return, for each byte value, the samples of depth bits that it holds, one a byte."""
    mask = (1 << depth) - 1
    return [bytes([packed >> shift & mask for shift in range(8 - depth, -1, -depth)]) for packed in range(256)]


def _even_levels(depth: int) -> bytes:
    top = (1 << depth) - 1
    return bytes([min(sample, top) * 255 // top for sample in range(256)])


def _palette_levels(chunks: Dict[bytes, bytes]) -> bytes:
    """Return the grey level of each palette index; indices without an entry are white."""
    palette = chunks.get(b"PLTE", b"")
    if not palette or len(palette) % 3 or len(palette) > 768:
        raise BadImage("broken image: PNG palette missing or of a wrong size")
    levels = _grey(palette, 3)
    alphas = chunks.get(b"tRNS", b"").ljust(256, b"\xff")
    return bytes(map(_over_white, levels, alphas)).ljust(256, b"\xff")


# PGM and PPM, as text (P2, P3) or binary (P5, P6).

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM_HEADER = re.compile(rb"P([2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")
_PNM_COMMENT = re.compile(rb"#[^\r\n]*")


def _decode_pnm(data: bytes) -> Rows:
    header = _PNM_HEADER.match(data)
    if header is None:
        raise BadImage("broken image: the PGM/PPM header is not complete")
    kind, width, height, top = map(int, header.groups())
    _check_size(width, height)
    if not 0 < top < 65536:
        raise BadImage(f"broken image: PGM/PPM maximum {top}")
    channels = 1 if kind in (2, 5) else 3
    row_samples = width * channels
    read = _text_samples if kind in (2, 3) else _binary_samples
    samples = read(data[header.end() :], row_samples * height, top)
    rows = (
        _grey(bytes([value * 255 // top for value in samples[start : start + row_samples]]), channels)
        for start in range(0, len(samples) - row_samples + 1, row_samples)
    )
    return _shrink(rows, width, height)


def _text_samples(body: bytes, count: int, top: int) -> Sequence[int]:
    words = _PNM_COMMENT.sub(b"", body).split(None, count)[:count]
    # int() takes time that grows with the square of the digits.
    if any(len(word) > 5 for word in words):
        raise BadImage(f"broken image: a PGM/PPM sample is larger than {top}")
    return list(map(int, words))


def _binary_samples(body: bytes, count: int, top: int) -> Sequence[int]:
    if top < 256:
        return body[:count]
    samples = array("H", body[: 2 * count])
    if sys.byteorder == "little":
        samples.byteswap()
    return samples
