#!/usr/bin/env python3
"""Trains the network of the example model, on the standard library alone, in two or three minutes.

usage: scripts/make-digits --train      (which packs the archive afterwards)

Writes digits.bin, the weights, and images/, a picture to send for each digit. One version of Python gives the same
weights each time, byte for byte; another may round sums differently.

How many hidden units, how much noise and so on was settled by training on the first eight sheets and looking at the
accuracy on the next three; the stated accuracy is that on the last three, which are not trained on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Iterator, List, Sequence

from digits_network import CELLS, FULL, Layer, Network, frame
from digits_samples import Look, Sample, draw, encode_png, read_samples

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "digits.bin"
IMAGES = FOLDER / "images"

HIDDEN = 64
PASSES = 20
RATE = 0.05
"""Length of a step in the first pass; it falls evenly towards 0."""
KEPT = 0.99
"""Share of each weight that is left after a pass: large ones must be worth it."""
NOISE = 0.15 * FULL
"""Standard deviation of what is added to each cell."""
REDRAWN = 2
"""Pictures with another look that are drawn of each sample in each pass."""
SEED = 1998


def train(samples: Sequence[Sample], chance: Random) -> Network:
    """Return a network that has learned from the samples."""
    network = _untrained([CELLS * CELLS, HIDDEN, 10], chance)
    upright = [Sample(frame(draw(cells, Look(side=32))), digit) for cells, digit in samples]
    for number in range(PASSES):
        lesson = [*samples, *upright, *_redrawn(samples, chance)]
        chance.shuffle(lesson)
        rate = RATE * (1 - number / PASSES)
        for cells, digit in lesson:
            noisy = [cell + chance.gauss(0, NOISE) for cell in cells]
            network = _stepped(network, Sample(noisy, digit), rate)
        network = Network([Layer([_scaled(row, KEPT) for row in rows], biases) for rows, biases in network.layers])
    return network


def _untrained(sizes: Sequence[int], chance: Random) -> Network:
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        spread = (2 / inputs) ** 0.5
        rows = [[chance.gauss(0, spread) for _ in range(inputs)] for _ in range(outputs)]
        layers.append(Layer(rows, [0.0] * outputs))
    return Network(layers)


def _redrawn(samples: Sequence[Sample], chance: Random) -> Iterator[Sample]:
    """Yield each sample as other hands and pens might have written it."""
    for cells, digit in samples:
        for _ in range(REDRAWN):
            look = Look(
                side=20,
                turn=chance.gauss(0, 6),
                slant=chance.gauss(0, 0.12),
                width=chance.uniform(0.75, 1.05),
                height=chance.uniform(0.85, 1.05),
                edge=chance.uniform(0.25, 0.7),
                blur=chance.uniform(0.4, 1.0),
            )
            yield Sample(frame(draw(cells, look)), digit)


def _stepped(network: Network, sample: Sample, rate: float) -> Network:
    """Return the network one step further down the gradient of the cross entropy."""
    *inputs, errors = network.activations(sample.cells)
    errors[sample.digit] -= 1
    layers: List[Layer] = []
    for layer, values in zip(reversed(network.layers), reversed(inputs)):
        steps = [rate * error for error in errors]
        layers.append(_moved(layer, values, steps))
        errors = _errors_before(layer, values, errors)
    return Network(layers[::-1])


def _moved(layer: Layer, values: Sequence[float], steps: Sequence[float]) -> Layer:
    rows = [
        [weight - step * value for weight, value in zip(row, values)] if step else row
        for row, step in zip(layer.weights, steps)
    ]
    return Layer(rows, [bias - step for bias, step in zip(layer.biases, steps)])


def _errors_before(layer: Layer, values: Sequence[float], errors: Sequence[float]) -> List[float]:
    """Return the share that each input of the layer has in the errors of its outputs; none where ReLU cut it off."""
    shares = [0.0] * len(values)
    for row, error in zip(layer.weights, errors):
        if error:
            shares = [share + error * weight for share, weight in zip(shares, row)]
    return [share if value > 0 else 0.0 for share, value in zip(shares, values)]


def _scaled(row: Sequence[float], factor: float) -> List[float]:
    return [weight * factor for weight in row]


def guess(network: Network, cells: Sequence[float]) -> int:
    """Return the digit that the network takes the frame for."""
    return max(range(10), key=network.probabilities(cells).__getitem__)


def accuracy(network: Network, samples: Sequence[Sample]) -> float:
    """Return the share of the samples that the network names rightly, 0 to 1."""
    return sum(guess(network, cells) == digit for cells, digit in samples) / len(samples)


def as_pictures(samples: Sequence[Sample]) -> List[Sample]:
    """Return what the network gets to see when pictures of the samples are sent."""
    return [Sample(frame(draw(cells, Look())), digit) for cells, digit in samples]


def main() -> int:
    """Train, write the weights and the images, print the accuracy."""
    samples, held_out = read_samples()
    print(f"training on {len(samples)} images of handwritten digits", flush=True)
    WEIGHTS.write_bytes(train(samples, Random(SEED)).to_bytes())
    network = Network.from_bytes(WEIGHTS.read_bytes())
    pictures = as_pictures(held_out)
    print(f"accuracy on {len(held_out)} images held out, sent as pictures: {accuracy(network, pictures):.1%}")
    print(f"accuracy on the same, sent as 8 x 8 pixels: {accuracy(network, held_out):.1%}")
    known = [sample for sample, seen in zip(held_out, pictures) if guess(network, seen.cells) == sample.digit]
    for digit in range(10):
        first = next(sample for sample in known if sample.digit == digit)
        (IMAGES / f"digit-{digit}.png").write_bytes(encode_png(draw(first.cells, Look())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
