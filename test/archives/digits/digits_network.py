"""Turns rows of grey into the 8x8 frame of the data set, and a frame into digit probabilities.

Standard library alone. Training (train.py) uses the same frame(), so the network sees what it was trained on.
"""

from __future__ import annotations

import struct
import sys
from array import array
from itertools import accumulate
from math import exp
from operator import add, mul
from typing import List, NamedTuple, Sequence, Tuple

from digits_image import BadImage, Rows

CELLS = 8
"""Cells a side of a frame."""
FULL = 16
"""Value of a cell full of ink; a cell without ink is 0."""
MIN_CONTRAST = 32
"""Grey levels, of 255, between the darkest and the lightest pixel of an image with something on it."""
NOISE = 0.2
"""Share of the contrast that paper may differ from its own median before it counts as ink."""
SPECK = 0.04
"""Share of the fullest row (column) below which an outer row (column) counts as empty."""


def frame(rows: Rows) -> List[float]:
    """Return the digit on the image as 64 cells of 0..16, top row first, as the data set has them.

    The ink may be darker or lighter than the paper. It is cropped, its longer side is scaled to 8 cells, and
    along the other it is centred by mass.

    Raises:
        BadImage: the image shows nothing that could be a digit.
    """
    ink = _ink(rows)
    across = _Axis.of(_sums(ink))
    down = _Axis.of([sum(row) for row in ink])
    side = max(across.size, down.size)
    marks = across.marks(side)
    narrow = [_areas(row, marks) for row in ink]
    marks = down.marks(side)
    columns = [_areas(column, marks) for column in zip(*narrow)]
    fullest = max(map(max, columns))
    return [cell * FULL / fullest for row in zip(*columns) for cell in row]


def _ink(rows: Rows) -> Rows:
    """Return the amount of ink of each pixel, 0..255."""
    darkest, lightest = min(map(min, rows)), max(map(max, rows))
    if lightest - darkest < MIN_CONTRAST:
        raise BadImage("no digit found: the image is of one shade")
    # The median, since ink may touch the border, as it does in the data set.
    border = sorted(rows[0] + rows[-1] + bytes(row[0] for row in rows) + bytes(row[-1] for row in rows))
    paper = border[len(border) // 2]
    ink = darkest if 2 * paper > darkest + lightest else lightest
    table = bytes([_amount((value - paper) / (ink - paper)) for value in range(256)])
    return [row.translate(table) for row in rows]


def _amount(share: float) -> int:
    return 0 if share < NOISE else min(255, round(share * 255))


def _sums(rows: Rows) -> List[int]:
    sums = [0] * len(rows[0])
    for row in rows:
        sums = list(map(add, sums, row))
    return sums


class _Axis(NamedTuple):
    """Where the ink lies along one axis, in pixels: from first up to, not including, end."""

    first: int
    end: int
    centre: float

    @classmethod
    def of(cls, sums: Sequence[int]) -> _Axis:
        least = max(sums) * SPECK
        inked = [at for at, amount in enumerate(sums) if amount > least]
        first, end = inked[0], inked[-1] + 1
        kept = sums[first:end]
        centre = first + 0.5 + sum(map(mul, kept, range(len(kept)))) / sum(kept)
        return cls(first, end, centre)

    @property
    def size(self) -> int:
        return self.end - self.first

    def marks(self, side: int) -> List[Tuple[int, float]]:
        """Return where the 9 edges of 8 cells over side pixels fall: whole pixels and the part of the next one."""
        start = min(max(self.centre - side / 2, self.end - side), self.first)
        edges = [min(max(start + side * cell / CELLS, self.first), self.end) for cell in range(CELLS + 1)]
        return [(int(edge), edge - int(edge)) for edge in edges]


def _areas(values: Sequence[float], marks: Sequence[Tuple[int, float]]) -> List[float]:
    """Return the sums of values between neighbouring marks, pixels on a mark in proportion."""
    before = [0, *accumulate(values)]
    padded = [*values, 0]
    at = [before[whole] + part * padded[whole] for whole, part in marks]
    return [end - start for start, end in zip(at, at[1:])]


# The network: dense layers with ReLU between them and softmax at the end.

_MAGIC = b"DIG1"


class Layer(NamedTuple):
    """One dense layer: a row of weights and a bias for each of its outputs."""

    weights: Sequence[Sequence[float]]
    biases: Sequence[float]


class Network:
    """The trained network. It never changes after it was made, so threads may share it."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    @classmethod
    def from_bytes(cls, data: bytes) -> Network:
        """Read weights as to_bytes writes them.

        Raises:
            ValueError: data is not such a file, or cut off.
        """
        count = int.from_bytes(data[4:6], "little")
        if data[:4] != _MAGIC or count < 2 or len(data) < 6 + 2 * count:
            raise ValueError("not a file of digit weights")
        sizes = struct.unpack_from(f"<{count}H", data, 6)
        numbers = array("f", data[6 + 2 * count :])
        if sys.byteorder == "big":
            numbers.byteswap()
        if len(numbers) != sum((inputs + 1) * outputs for inputs, outputs in zip(sizes, sizes[1:])):
            raise ValueError("digit weights of a wrong length")
        layers, at = [], 0
        for inputs, outputs in zip(sizes, sizes[1:]):
            biases_at = at + inputs * outputs
            weights = [numbers[start : start + inputs] for start in range(at, biases_at, inputs)]
            at = biases_at + outputs
            layers.append(Layer(weights, numbers[biases_at:at]))
        return cls(layers)

    def probabilities(self, cells: Sequence[float]) -> List[float]:
        """Return the probability of each digit, 0 to 9, for the 64 cells of a frame (0..16)."""
        return self.activations(cells)[-1]

    def activations(self, cells: Sequence[float]) -> List[List[float]]:
        """Return what goes into each layer in turn, and at the end the probabilities."""
        values = [cell / FULL for cell in cells]
        passed = []
        for weights, biases in self.layers:
            passed.append(values)
            sums = [sum(map(mul, row, values), bias) for row, bias in zip(weights, biases)]
            values = [value if value > 0 else 0.0 for value in sums]
        highest = max(sums)
        shares = [exp(value - highest) for value in sums]
        total = sum(shares)
        return [*passed, [share / total for share in shares]]

    def to_bytes(self) -> bytes:
        """Return the weights as a file, little-endian.

        4 bytes "DIG1"; uint16 n; n x uint16 sizes, from the inputs to the outputs; then for each layer its weights,
        output by output, and its biases, all float32.
        """
        sizes = [len(self.layers[0].weights[0]), *(len(layer.biases) for layer in self.layers)]
        head = _MAGIC + struct.pack(f"<H{len(sizes)}H", len(sizes), *sizes)
        rows = [row for layer in self.layers for row in (*layer.weights, layer.biases)]
        return head + b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
