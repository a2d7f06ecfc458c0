"""The worker's codec, against the vectors that Go and Python share."""

from __future__ import annotations

import json
import pathlib
import random
import sys
from typing import Any, Callable, Dict, Iterator, List, Tuple

import frontend
import pytest
from ts import wire
from ts.protocol import otf_message_handler
from ts.service import Service

VECTORS = [json.loads(path.read_text()) for path in sorted((frontend.ROOT / "test" / "vectors").glob("*.json"))]


def vectors(kind: str) -> List[Any]:
    return [pytest.param(each, id=each["name"].split()[0]) for each in VECTORS if each["kind"] == kind]


def stream(content: bytes, piece: int = 1 << 20) -> Callable[[memoryview], int]:
    """Return a recv_into that gives at most piece bytes at a time."""
    at = 0

    def receive_into(view: memoryview) -> int:
        nonlocal at
        got = content[at : at + min(piece, len(view))]
        view[: len(got)] = got
        at += len(got)
        return len(got)

    return receive_into


def reader(content: bytes, piece: int = 1 << 20) -> wire.Reader:
    return wire.Reader(stream(content, piece))


def described(requests: List[wire.Request]) -> List[Dict[str, Any]]:
    return [
        {
            "id": each.id,
            "headers": [list(header) for header in each.headers.items()],
            "parameters": [
                {"name": name, "content_type": kind, "value_hex": value.hex()} for name, kind, value in each.parameters
            ],
        }
        for each in requests
    ]


@pytest.mark.parametrize("piece", [1 << 20, 1, 7], ids=["whole", "bytewise_WRK_031", "by_sevens"])
@pytest.mark.parametrize("vector", vectors("infer"))
def test_WRK_001_inference_commands_are_decoded(vector: Any, piece: int) -> None:
    source = reader(bytes.fromhex(vector["hex"]), piece)
    assert source.command() == wire.INFER
    assert described(source.requests()) == vector["value"]["requests"]
    with pytest.raises(wire.Disconnected):
        source.command()


@pytest.mark.parametrize("piece", [1 << 20, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("vector", vectors("load"))
def test_load_commands_are_decoded(vector: Any, piece: int) -> None:
    source = reader(bytes.fromhex(vector["hex"]), piece)
    assert source.command() == wire.LOAD
    assert source.load()._asdict() == vector["value"]


@pytest.mark.parametrize("vector", vectors("response"))
def test_WRK_017_WRK_021_WRK_027_responses_are_encoded(vector: Any) -> None:
    value = vector["value"]
    items = [
        wire.Item(
            each["request_id"],
            bytes.fromhex(each["body_hex"]),
            each["status"],
            each["content_type"],
            each["phrase"],
            [(name, text) for name, text in each["headers"]],
        )
        for each in value["items"]
    ]
    assert b"".join(wire.response(value["code"], value["message"], items)).hex() == vector["hex"]


def unwrapped(value: Any) -> Any:
    """Return a value of value.data as the handler gets it."""
    if isinstance(value, dict) and set(value) == {"$bytes"}:
        return bytearray.fromhex(value["$bytes"])
    return {name: unwrapped(each) for name, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("vector", vectors("infer"))
def test_WRK_006_WRK_007_the_handler_gets_what_the_vectors_say(vector: Any, tmp_path: pathlib.Path) -> None:
    source = reader(bytes.fromhex(vector["hex"]))
    source.command()
    processors, data, ids = Service("m", str(tmp_path), None, None, None, 1).inputs(source.requests())
    assert data == [unwrapped(row) for row in vector["value"]["data"]]
    assert [each.get_request_properties() for each in processors] == vector["value"]["properties"]
    assert ids == {at: each["id"] for at, each in enumerate(vector["value"]["requests"])}
    for row, expected in zip(data, vector["value"]["data"]):
        for name, value in expected.items():
            assert type(row[name]) is type(unwrapped(value))


def test_PYB_105_a_small_command_costs_one_read() -> None:
    commands = [frontend.infer_command(frontend.body({"a": 1}, explain="False")) for _ in range(3)]
    reads = []
    receive: Iterator[bytes] = iter(commands)

    def receive_into(view: memoryview) -> int:
        content = next(receive)
        view[: len(content)] = content
        reads.append(len(content))
        return len(content)

    source = wire.Reader(receive_into)
    for count in (1, 2, 3):
        source.command()
        assert len(source.requests()) == 1
        assert len(reads) == count


def test_two_commands_in_one_read_are_two_commands() -> None:
    source = reader(frontend.infer_command(frontend.body(b"1")) + frontend.infer_command(frontend.body(b"2")))
    for expected in (b"1", b"2"):
        assert source.command() == wire.INFER
        assert source.requests()[0].parameters[0][2] == expected


@pytest.mark.parametrize("piece", [1 << 20, 60_001])
@pytest.mark.parametrize("size", [16_000, 16_384, 16_385, 65_000, 65_536, 65_537, 1 << 20])
@pytest.mark.parametrize("python", ["usual", "without ctypes"])
def test_large_values_arrive_whole_and_belong_to_the_receiver(
    size: int, piece: int, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if python == "without ctypes":
        monkeypatch.setitem(sys.modules, "ctypes", None)
    value = bytes(random.Random(size).getrandbits(8) for _ in range(1000)) * (size // 1000 + 1)
    batch = [frontend.body(value[:size], at=at, name="x" * 70_000) for at in (1, 2)]
    source = reader(frontend.infer_command(*batch) + frontend.infer_command(), piece)
    source.command()
    for request in source.requests():
        assert request.headers == {"name": "x" * 70_000}
        received = request.parameters[0][2]
        assert type(received) is bytearray
        assert received == value[:size]
        received[0] = 1
    assert (source.command(), source.requests()) == (wire.INFER, [])


@pytest.mark.parametrize("seed", range(5))
def test_headers_that_repeat_are_read_right_however_they_come(seed: int) -> None:
    chance = random.Random(seed)
    some = [[("a", "b"), ("c", "")], [("a", "b")], [], [("a", "b"), ("c", ""), ("d", "e" * 300)]]
    sent = [
        frontend.Request("r%d" % at, chance.choice(some), [("body", "", b"x" * chance.choice((0, 5, 400)))])
        for at in range(300)
    ]
    content = b"".join(frontend.infer_command(*sent[at : at + 3]) for at in range(0, 300, 3))
    at = 0

    def receive_into(view: memoryview) -> int:
        nonlocal at
        got = content[at : at + min(chance.choice((1, 3, 40, 1000)), len(view))]
        view[: len(got)] = got
        at += len(got)
        return len(got)

    source = wire.Reader(receive_into)
    found: List[wire.Request] = []
    while len(found) < 300:
        assert source.command() == wire.INFER
        found += source.requests()
    for request, expected in zip(found, sent):
        assert request == (expected.id, dict(expected.headers), [("body", "", expected.parameters[0][2])])
        request.headers["changed"] = "by the handler"


def test_headers_that_came_in_parts_are_not_taken_for_others() -> None:
    headers = [("h%d" % at, "v%d" % at) for at in range(5)]
    first = frontend.infer_command(frontend.Request("request", headers))
    # The parts meet where the bytes of the second request begin like the rest of the first.
    cut = 1 + 4 + len("request") + 12
    parts = [first[:cut], first[cut:], frontend.infer_command(frontend.Request("request", headers[2:]))]

    def receive_into(view: memoryview) -> int:
        part = parts.pop(0)
        view[: len(part)] = part
        return len(part)

    source = wire.Reader(receive_into)
    for expected in (headers, headers[2:]):
        source.command()
        assert source.requests()[0].headers == dict(expected)


BROKEN: Dict[str, Tuple[bytes, type]] = {
    "negative text": (b"I" + frontend.number(-2), wire.ProtocolError),
    "negative header value": (
        b"I" + frontend.text("r") + frontend.text("h") + frontend.number(-1) + frontend.END,
        wire.ProtocolError,
    ),
    "negative value": (
        b"I" + frontend.text("r") + frontend.END + frontend.text("p") + frontend.text("") + frontend.number(-7),
        wire.ProtocolError,
    ),
    "text beyond the limit": (b"I" + frontend.number(wire.MAX_TEXT + 1), wire.ProtocolError),
    "model name beyond the limit": (b"L" + frontend.number(1 << 30), wire.ProtocolError),
    "negative model name": (b"L" + frontend.number(-1), wire.ProtocolError),
    "end within a length": (b"I\0\0", wire.Disconnected),
    "end within a text": (b"I" + frontend.number(9) + b"abc", wire.Disconnected),
    "end within a value": (frontend.infer_command(frontend.body(b"abcdef"))[:-11], wire.Disconnected),
    "end within a load command": (frontend.load_command("m", "/m", "h")[:-1], wire.Disconnected),
}


def read_command(content: bytes) -> None:
    source = reader(content)
    if source.command() == wire.LOAD:
        source.load()
    else:
        source.requests()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_commands_are_refused(name: str) -> None:
    content, error = BROKEN[name]
    with pytest.raises(error):
        read_command(content)


def test_any_bytes_are_refused_or_understood() -> None:
    """Mutations of valid commands raise nothing but the two documented errors."""
    chance = random.Random(1)
    valid = [bytes.fromhex(each["hex"]) for each in VECTORS if each["kind"] != "response"]
    for _ in range(3000):
        content = bytearray(chance.choice(valid))
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.choice((0, 1, 4, 127, 255, chance.randrange(256)))
        try:
            read_command(bytes(content[: chance.randint(1, len(content))]))
        except (wire.Disconnected, wire.ProtocolError):
            continue


def test_headers_that_are_no_utf8_do_no_harm() -> None:
    source = reader(b"I" + frontend.text("r") + frontend.text("x") + frontend.data(b"\xe9") + frontend.END * 3)
    source.command()
    assert source.requests()[0].headers == {"x": "\ufffd"}


class Fields:
    """Has recv alone, and wants to be asked for one field at a time."""

    def __init__(self, content: bytes) -> None:
        self.rest = content
        self.asked: List[int] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        got, self.rest = self.rest[: max(1, size // 2)], self.rest[max(1, size // 2) :]
        return got


def test_PYB_103_retrieve_msg_reads_by_fields_and_not_beyond() -> None:
    source = Fields(frontend.load_command("m", "/m", "h.py", 4, 1, "json", limit=False) + b"I rest")
    assert otf_message_handler.retrieve_msg(source) == (
        bytearray(b"L"),
        {
            "modelName": b"m",
            "modelPath": b"/m",
            "batchSize": 4,
            "handler": b"h.py",
            "gpu": 1,
            "envelope": b"json",
            "limitMaxImagePixels": False,
        },
    )
    assert source.rest == b"I rest"
    assert source.asked[:4] == [1, 4, 2, 1]

    source = Fields(frontend.infer_command(frontend.body({"a": 1}, explain="False")) + b"rest")
    command, batch = otf_message_handler.retrieve_msg(source)
    assert command == b"I"
    assert batch == [
        {
            "requestId": b"r1",
            "headers": [{"name": b"explain", "value": b"False"}],
            "parameters": [{"name": "body", "contentType": "application/json", "value": {"a": 1}}],
        }
    ]
    assert source.rest == b"rest"

    with pytest.raises(ValueError, match=r"^Invalid command: bytearray\(b'U'\)$"):
        otf_message_handler.retrieve_msg(Fields(b"U"))
