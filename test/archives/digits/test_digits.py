"""Tests of the example model: what it sees, what it answers, how it learns, and what the archive holds."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any, Callable, Dict, List, Optional

import pytest
import train
from digits_handler import DESCRIPTION, DigitsHandler
from digits_image import BadImage, Rows, decode
from digits_network import CELLS, FULL, Layer, Network, frame
from digits_samples import Look, Sample, draw, encode_png, read_samples

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
ARCHIVE = ROOT / "model_store" / "digits.mar"
IMAGES = sorted((FOLDER / "images").iterdir())
STATED_ACCURACY = 0.96


class Context:
    """The part of a worker's context that the handler uses."""

    def __init__(self, model_dir: Path) -> None:
        self.system_properties = {"model_dir": str(model_dir)}
        self.manifest = json.loads((model_dir / "MAR-INF" / "MANIFEST.json").read_text())
        self.statuses: Dict[int, int] = {}
        self.types: Dict[int, str] = {}
        self.headers: Dict[str, str] = {}

    def get_request_header(self, index: int, key: str) -> Optional[str]:
        return self.headers.get(key)

    def set_response_status(self, code: int, phrase: str, index: int) -> None:
        self.statuses[index] = code

    def set_response_content_type(self, index: int, value: str) -> None:
        self.types[index] = value


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def context(unpacked: Path) -> Context:
    return Context(unpacked)


@pytest.fixture
def handler(context: Context) -> DigitsHandler:
    handler = DigitsHandler()
    handler.initialize(context)
    return handler


# What the network sees.


def negative(rows: Rows) -> Rows:
    return [bytes([255 - value for value in row]) for row in rows]


def on_wide_paper(rows: Rows) -> Rows:
    return [b"\xff" * 400] * 50 + [b"\xff" * 250 + row + b"\xff" * 54 for row in rows] + [b"\xff" * 400] * 3


def on_grey_noisy_paper(rows: Rows) -> Rows:
    chance = Random(1)
    return [bytes([60 + value // 2 + chance.randrange(-9, 10) for value in row]) for row in rows]


def test_frame_of_a_bar_fills_its_height_and_is_centred() -> None:
    rows = [b"\xff" * 40] * 4 + [b"\xff" * 30 + b"\0" * 4 + b"\xff" * 6] * 32 + [b"\xff" * 40] * 4
    cells = frame(rows)
    for row in (cells[at : at + CELLS] for at in range(0, CELLS * CELLS, CELLS)):
        assert row == pytest.approx([0, 0, 0, 8, 8, 0, 0, 0]) or row == pytest.approx([0, 0, 0, FULL, FULL, 0, 0, 0])
    assert max(cells) == pytest.approx(FULL)


@pytest.mark.parametrize("change", [negative, on_wide_paper, on_grey_noisy_paper])
def test_frame_does_not_depend_on_the_paper(change: Callable[[Rows], Rows]) -> None:
    rows = decode(IMAGES[3].read_bytes())
    assert frame(change(rows)) == pytest.approx(frame(rows), abs=FULL / 8)


@pytest.mark.parametrize("rows", [[b"\x80" * 9] * 9, [b"\x80\x90" * 5] * 9], ids=["one shade", "no contrast"])
def test_frame_of_an_empty_paper_is_refused(rows: Rows) -> None:
    with pytest.raises(BadImage, match="no digit found"):
        frame(rows)


# The network.


def small_network() -> Network:
    first = Layer([[1.0, -1.0], [0.0, 2.0], [-4.0, 0.5]], [0.0, 0.5, 0.0])
    return Network([first, Layer([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [0.0, 0.25])])


def test_network_is_dense_layers_with_relu_and_softmax() -> None:
    # 16 and 8 of 16 are 1 and 0.5; the hidden values 0.5, 1.5 and none; the sums 0.5 and 1.75.
    assert small_network().probabilities([16, 8]) == pytest.approx([0.222700, 0.777300], abs=1e-6)


def test_weights_survive_writing_and_reading() -> None:
    data = small_network().to_bytes()
    assert data.startswith(b"DIG1\3\0\2\0\3\0\2\0")
    again = Network.from_bytes(data)
    assert again.to_bytes() == data
    assert again.probabilities([3, 4]) == small_network().probabilities([3, 4])


@pytest.mark.parametrize("size", [0, 3, 5, 7, 11, 40, -4, -1])
def test_damaged_weights_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        Network.from_bytes(small_network().to_bytes()[:size])


def test_training_learns() -> None:
    network = train._untrained([64, 8, 10], Random(1))
    samples = [sample for sample in read_samples()[0][:20] if sample.digit in (0, 1)]
    for _ in range(100):
        for sample in samples:
            network = train._stepped(network, sample, 0.05)
    assert train.accuracy(network, samples) == 1


def test_a_step_follows_the_gradient() -> None:
    def loss(network: Network) -> float:
        return -network.probabilities(sample.cells)[sample.digit]

    sample, before = Sample([16, 8], 0), small_network()
    after = train._stepped(before, sample, 1e-3)
    assert loss(after) < loss(before)
    # The hidden unit that ReLU has cut off learns nothing.
    assert after.layers[0].weights[2] == before.layers[0].weights[2]
    assert after.layers[0].weights[1] != before.layers[0].weights[1]


# The archive and its handler.


def test_archive_is_what_make_digits_packs(tmp_path: Path) -> None:
    loader = importlib.machinery.SourceFileLoader("make_digits", str(ROOT / "scripts" / "make-digits"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    make_digits = importlib.util.module_from_spec(spec)
    loader.exec_module(make_digits)
    make_digits.pack(tmp_path / "digits.mar")
    assert ARCHIVE.read_bytes() == (tmp_path / "digits.mar").read_bytes()


def test_archive_has_the_sources_and_nothing_else(unpacked: Path) -> None:
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    manifest = json.loads((unpacked / "MAR-INF" / "MANIFEST.json").read_text())
    model = manifest["model"]
    assert {model["handler"], model["serializedFile"], model["configFile"]} < names
    for name in names - {"MAR-INF/MANIFEST.json"}:
        assert (unpacked / name).read_bytes() == (FOLDER / name).read_bytes()


def test_held_out_images_are_recognised_as_stated(handler: DigitsHandler, context: Context) -> None:
    _, held_out = read_samples()
    answers = handler.handle([{"body": bytearray(encode_png(draw(cells, Look())))} for cells, _ in held_out], context)
    right = [json.loads(answer)["digit"] == sample.digit for answer, sample in zip(answers, held_out)]
    assert len(right) == 380
    assert sum(right) / len(right) >= STATED_ACCURACY
    assert f"{STATED_ACCURACY:.0%}" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    "look",
    [
        Look(side=28),
        Look(side=40, edge=0.7, blur=0.3),
        Look(side=40, edge=0.3),
        Look(side=40, turn=8),
        Look(side=40, slant=0.2),
        Look(side=40, width=0.7),
    ],
    ids=["tiny", "thin pen", "thick pen", "turned", "slanted", "narrow"],
)
def test_other_hands_and_pens_are_recognised(look: Look, handler: DigitsHandler) -> None:
    held_out = read_samples()[1][::2]
    seen = [Sample(frame(draw(cells, look)), digit) for cells, digit in held_out]
    assert train.accuracy(handler.network, seen) > 0.88


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_images_to_send_are_recognised(image: Path, handler: DigitsHandler, context: Context) -> None:
    answer = json.loads(handler.handle([{"body": bytearray(image.read_bytes())}], context)[0])
    assert image.name == f"digit-{answer['digit']}.png"
    assert answer["probability"] == max(answer["probabilities"].values()) > 0.5
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert (context.types, context.statuses) == ({0: "application/json"}, {})


def test_images_are_of_held_out_samples() -> None:
    drawn = [draw(cells, Look()) for cells, _ in read_samples()[1][:100]]
    assert len(IMAGES) == 10
    assert all(decode(image.read_bytes()) in drawn for image in IMAGES)


def test_each_way_to_send_gives_the_same_digit(handler: DigitsHandler, context: Context) -> None:
    cells, digit = read_samples()[1][0]
    rows = draw(cells, Look())
    pixels = {"pixels": [cells[at : at + CELLS] for at in range(0, CELLS * CELLS, CELLS)]}
    pgm = "P2 96 96 255\n" + "\n".join(" ".join(map(str, row)) for row in rows)
    batch: List[Dict[str, Any]] = [
        {"body": bytearray(encode_png(rows))},
        {"data": bytearray(encode_png(rows))},
        {"body": pgm},
        {"body": pixels},
        {"data": bytearray(json.dumps(pixels).encode())},
    ]
    assert [json.loads(answer)["digit"] for answer in handler.handle(batch, context)] == [digit] * 5


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"body": bytearray()},
        {"body": bytearray(b"GIF89a")},
        {"body": bytearray(b"{")},
        {"body": bytearray(b"[" * 100_000)},
        {"body": bytearray(b'{"pixels": ' + b"[" * 100_000)},
        {"body": ["a", "list"]},
        {"body": {"pixels": [[17] * 8] * 8}},
        {"body": {"pixels": [[float("nan")] * 8] * 8}},
        {"body": {"pixels": [[True] * 8] * 8}},
        {"body": {"pixels": [[0] * 64]}},
    ],
)
def test_bad_request_spares_the_rest_of_its_batch(
    row: Dict[str, Any], handler: DigitsHandler, context: Context
) -> None:
    good = {"body": bytearray(IMAGES[5].read_bytes())}
    first, refused, last = map(json.loads, handler.handle([good, row, good], context))
    assert first == last and first["digit"] == 5
    assert (refused["code"], refused["type"]) == (400, "BadRequestException")
    assert context.statuses == {1: 400}


def test_customized_describe_says_what_to_send(handler: DigitsHandler, context: Context) -> None:
    context.headers["describe"] = "True"
    assert [json.loads(answer) for answer in handler.handle([{}], context)] == [DESCRIPTION]


def test_missing_or_damaged_weights_stop_the_load(tmp_path: Path) -> None:
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / "MAR-INF" / "MANIFEST.json").write_text('{"model": {"serializedFile": "digits.bin"}}')
    with pytest.raises(OSError):
        DigitsHandler().initialize(Context(tmp_path))
    (tmp_path / "digits.bin").write_bytes(b"DIG1")
    with pytest.raises(ValueError):
        DigitsHandler().initialize(Context(tmp_path))
