"""Tests of the image reader: formats, filters, and files that are broken or meant to harm."""

from __future__ import annotations

import re
import struct
import tracemalloc
import zlib
from pathlib import Path
from random import Random
from typing import Callable, List, Tuple

import pytest
from digits_image import KEPT_SIDE, PNG_SIGNATURE, BadImage, decode
from digits_samples import encode_png, png_chunk

IMAGES = sorted((Path(__file__).parent / "images").iterdir())

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def png(width: int, height: int, depth: int, colour: int, body: bytes, *more: Tuple[bytes, bytes]) -> bytes:
    """Return a PNG file; body is what its rows are, filter bytes included."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


def filtered(kind: int, rows: List[bytes], step: int) -> bytes:
    """Return rows as a PNG file has them under the filter, by the definition of each."""
    above, lines = bytes(len(rows[0])), b""
    for row in rows:
        left, corner = bytes(step) + row, bytes(step) + above
        guesses = [guess(kind, *three) for three in zip(left, above, corner)]
        lines += bytes([kind]) + bytes([value - guess & 255 for value, guess in zip(row, guesses)])
        above = row
    return lines


def guess(kind: int, left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    nearest = min((left, up, corner), key=lambda value: abs(estimate - value))
    return (0, left, up, (left + up) // 2, nearest)[kind]


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize(("depth", "colour", "step"), [(8, GREY, 1), (8, GREY_ALPHA, 2), (8, RGBA, 4), (16, RGB, 6)])
def test_png_filters_undo_what_the_standard_defines(kind: int, depth: int, colour: int, step: int) -> None:
    chance = Random(kind)
    rows = [bytes(chance.randrange(256) for _ in range(9 * step)) for _ in range(7)]
    plain = b"".join(b"\0" + row for row in rows)
    assert decode(png(9, 7, depth, colour, filtered(kind, rows, step))) == decode(png(9, 7, depth, colour, plain))


@pytest.mark.parametrize(
    ("depth", "colour", "row", "grey"),
    [
        (1, GREY, [0b10100000], [255, 0, 255]),
        (2, GREY, [0b00011000], [0, 85, 170]),
        (4, GREY, [0x0F, 0x80], [0, 255, 136]),
        (8, GREY, [0, 128, 255], [0, 128, 255]),
        (16, GREY, [0, 255, 128, 0, 255, 255], [0, 128, 255]),
        (8, RGB, [255, 0, 0, 0, 255, 0, 0, 0, 255], [76, 149, 29]),
        (8, GREY_ALPHA, [0, 0, 0, 255, 100, 51], [255, 0, 224]),
        (8, RGBA, [0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 9], [255, 0, 255]),
    ],
)
def test_png_colours_become_grey_on_white(depth: int, colour: int, row: List[int], grey: List[int]) -> None:
    decoded = decode(png(3, 1, depth, colour, bytes([0, *row])))
    assert [list(line) for line in decoded] == [pytest.approx(grey, abs=2)]


def test_png_palette_with_transparency() -> None:
    palette, alphas = (b"PLTE", bytes([0, 0, 0, 255, 255, 255])), (b"tRNS", bytes([255, 255]))
    assert decode(png(3, 1, 2, PALETTE, bytes([0, 0b00011000]), palette, alphas)) == [b"\x00\xfe\xff"]
    assert decode(png(1, 1, 8, PALETTE, b"\0\0", palette, (b"tRNS", b"\0"))) == [b"\xff"]


def test_png_written_here_is_read_back() -> None:
    rows = [bytes(range(start, start + 50)) for start in range(0, 200, 4)]
    assert decode(encode_png(rows)) == rows


def test_large_image_is_averaged_down() -> None:
    rows = [bytes([0, 200] * 300)] * 600
    assert decode(encode_png(rows)) == [bytes([200 // 3, 400 // 3] * 100)] * 200


BAD_IMAGES = {
    "nothing": (b"", "unsupported image format"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(50), "unsupported image format"),
    "signature alone": (PNG_SIGNATURE, "broken image"),
    "no pixels": (png(0, 5, 8, GREY, b"\0"), "no pixels"),
    "larger than any memory": (png(100_000, 100_000, 8, GREY, b"\0"), "too large"),
    "too wide": (png(16_385, 1, 8, GREY, b"\0"), "too large"),
    "no such depth": (png(1, 1, 3, GREY, b"\0\0"), "colour type 0 with 3 bits"),
    "no such colour": (png(1, 1, 8, 5, b"\0\0"), "colour type 5"),
    "no such filter": (png(1, 1, 8, GREY, b"\5\0"), "filter 5"),
    "rows missing": (png(2, 2, 8, GREY, b"\0ab"), "rows are missing"),
    "no palette": (png(1, 1, 8, PALETTE, b"\0\0"), "palette"),
    "not deflated": (encode_png([b"ab"]).replace(b"\x78\xda", b"\0\0"), "broken image"),
    "interlaced": (encode_png([b"ab"]).replace(b"\x08\0\0\0\0", b"\x08\0\0\0\1"), "interlaced"),
    "a line without height": (png(9_000, 1, 8, GREY, bytes(9_001)), "no digit found"),
    "PGM without size": (b"P5\n", "header"),
    "PGM of no level": (b"P5 1 1 0\n\0", "maximum 0"),
    "PGM cut off": (b"P5 2 2 255\nabc", "rows are missing"),
    "PGM larger than any memory": (b"P5 99999999 99999999 255\n", "too large"),
    "PGM with words": (b"P2 1 1 255\nwhite", "broken image"),
    "PGM with an endless number": (b"P2 1 1 255\n" + b"9" * 100_000, "sample is larger"),
    "PGM sample above its maximum": (b"P2 1 1 255\n400", "broken image"),
    "PGM of 16 bits, half a sample": (b"P5 1 1 999\n\1", "broken image"),
}


@pytest.mark.parametrize(("data", "text"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_is_refused_with_its_reason(data: bytes, text: str) -> None:
    with pytest.raises(BadImage, match=re.escape(text)):
        decode(data)


def peak(call: Callable[[], object]) -> int:
    """Return the most bytes that the call has allocated at one time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_large_png_is_read_in_little_memory() -> None:
    data = png(8_000, 2_000, 16, GREY, bytes(16_001) * 2_000)  # 32 MB
    assert peak(lambda: decode(data)) < 12 << 20


def test_png_that_inflates_to_more_than_it_says_is_left_alone() -> None:
    data = png(8, 8, 8, GREY, bytes(64 << 20))
    assert peak(lambda: decode(data)) < 12 << 20


def test_truncated_png_is_refused() -> None:
    data = IMAGES[0].read_bytes()
    whole, end_of_pixels = decode(data), len(data) - len(png_chunk(b"IEND", b"")) - 8  # of it, 8 bytes of checksums
    for size in range(len(data)):
        try:
            assert decode(data[:size]) == whole and size >= end_of_pixels - 4
        except BadImage:
            assert size < end_of_pixels


@pytest.mark.parametrize("seed", range(4))
def test_damaged_image_is_read_or_refused(seed: int) -> None:
    chance = Random(seed)
    pgm = b"P2 3 2 # made here\n15\n1 2 3 4 5 6\n"
    sources = [IMAGES[seed].read_bytes(), png(30, 20, 8, RGBA, bytes(121) * 20), pgm, b"P6 2 2 255\n" + bytes(12)]
    for _ in range(400):
        data = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(min(len(data), 60))] = chance.randrange(256)
        try:
            rows = decode(bytes(data))
        except BadImage:
            continue
        assert 1 <= len(rows) <= KEPT_SIDE and {len(row) for row in rows} == {len(rows[0])}


# PGM and PPM.


@pytest.mark.parametrize(
    ("data", "grey"),
    [
        (b"P2 3 1 15\n0 # black\n8 15", [0, 136, 255]),
        (b"P3\n# by hand\n2 1\n255\n255 0 0  0 0 255", [76, 29]),
        (b"P5 3 1 255\n\0\x80\xff", [0, 128, 255]),
        (b"P5 2 1 65535\n\x80\0\xff\xff", [127, 255]),
        (b"P6 1 1 255 \xff\xff\xff", [254]),
    ],
)
def test_pgm_and_ppm(data: bytes, grey: List[int]) -> None:
    assert decode(data) == [bytes(grey)]
