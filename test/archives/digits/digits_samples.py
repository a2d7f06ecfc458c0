"""The images of the data set, and pictures drawn after them. Not in the archive: for training and tests."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import cos, radians, sin
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

from digits_image import PNG_SIGNATURE, Rows
from digits_network import CELLS, FULL

DATA = Path(__file__).parent / "data" / "digits.csv.gz"
FIRST_HELD_OUT = 1417
"""The file holds 14 sheets, one after the other, each in one hand: here the last three begin."""
MARGIN = 1
"""Cells of paper around a picture that is drawn in full size."""
STEPS = 16
"""Levels of ink that a picture tells apart within one of the data set."""


class Sample(NamedTuple):
    """One image of the data set: 64 cells of 0..16, top row first, and the digit that it shows."""

    cells: Sequence[float]
    digit: int


def read_samples(path: Path = DATA) -> Tuple[List[Sample], List[Sample]]:
    """Return the samples to train on and those held out, which are the last three sheets."""
    with gzip.open(path, "rt", encoding="ascii") as lines:
        rows = [[int(value) for value in line.split(",")] for line in lines]
    samples = [Sample(row[:-1], row[-1]) for row in rows]
    return samples[:FIRST_HELD_OUT], samples[FIRST_HELD_OUT:]


class Look(NamedTuple):
    """How a picture is drawn."""

    side: int = 96
    """Pixels a side."""
    turn: float = 0.0
    """Degrees."""
    slant: float = 0.0
    """Cells that a stroke leans per cell of height."""
    width: float = 1.0
    height: float = 1.0
    """Shares of the full size."""
    edge: float = 0.5
    """Share of ink at which a stroke ends: the lower, the thicker the strokes."""
    blur: float = 0.6
    """Range of shares over which it fades."""


def draw(cells: Sequence[float], look: Look) -> Rows:
    """Return a picture of the sample, black on white, as digits_image.decode() returns one."""
    field = _with_border(cells)
    shades = bytes(_shade(level / FULL / STEPS, look) for level in range(FULL * STEPS + 1))
    scale = (CELLS + 2 * MARGIN) / look.side
    along, across = cos(radians(look.turn)) * scale, sin(radians(look.turn)) * scale
    offsets = [at - (look.side - 1) / 2 for at in range(look.side)]
    centre = (CELLS + 1) / 2
    rows = []
    for y in offsets:
        row = bytearray()
        for x in offsets:
            down = (y * along + x * across) / look.height
            right = (x * along - y * across) / look.width + look.slant * down
            row.append(shades[int(STEPS * _ink_at(field, centre + right, centre + down))])
        rows.append(bytes(row))
    return rows


_WIDE = CELLS + 3


def _with_border(cells: Sequence[float]) -> List[float]:
    """Return the cells with an empty row and column before and two after them."""
    field = [0.0] * (_WIDE * _WIDE)
    for row in range(CELLS):
        start = (row + 1) * _WIDE + 1
        field[start : start + CELLS] = cells[row * CELLS : (row + 1) * CELLS]
    return field


def _ink_at(field: Sequence[float], right: float, down: float) -> float:
    """Return the ink between four neighbouring cells, 0..16."""
    right, down = min(max(right, 0.0), CELLS + 1.0), min(max(down, 0.0), CELLS + 1.0)
    column, line = int(right), int(down)
    at, part = line * _WIDE + column, right - column
    above = field[at] + (field[at + 1] - field[at]) * part
    at += _WIDE
    below = field[at] + (field[at + 1] - field[at]) * part
    return above + (below - above) * (down - line)


def _shade(ink: float, look: Look) -> int:
    share = (ink - look.edge) / look.blur + 0.5
    return 255 - round(255 * min(max(share, 0.0), 1.0))


def encode_png(rows: Rows) -> bytes:
    """Return the picture as a PNG file, 8 bits of grey."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + row for row in rows)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
