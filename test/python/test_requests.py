"""What a handler learns of its requests."""

from __future__ import annotations

import ast
import copy
import json
import pickle
from typing import Any, Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker
from ts.context import Context, RequestProcessor, RequestProperties

# Returns what it got; a value is shown with its type.
SHOW = """
    def shown(value):
        return {"type": type(value).__name__, "value": list(value) if isinstance(value, bytearray) else value}

    def handle(data, context):
        if data is None:
            return
        assert type(data) is list and all(type(row) is dict for row in data)
        return [
            {
                "row": {name: shown(value) for name, value in row.items()},
                "headers": context.get_all_request_header(at),
                "id": context.get_request_id(at),
                "ids": list(context.request_ids),
            }
            for at, row in enumerate(data)
        ]
"""


@pytest.fixture
def show(serve: StartWorker) -> frontend.Worker:
    return serve(SHOW)


def value(worker: frontend.Worker, raw: bytes, content_type: str) -> Any:
    shown = json.loads(worker.answer(frontend.body(raw, content_type)).body)["row"]["body"]
    return (shown["type"], bytes(shown["value"]) if shown["type"] == "bytearray" else shown["value"])


DECODED: Dict[str, List[Any]] = {
    "PYB-021 object": [b'{"a": [1]}', "application/json", ("dict", {"a": [1]})],
    "PYB-021 list": [b"[]", "application/json", ("list", [])],
    "PYB-021 string": [b'"x"', "application/json", ("str", "x")],
    "PYB-021 number": [b"0", "application/json", ("int", 0)],
    "PYB-021 null": [b"null", "application/json", ("NoneType", None)],
    "duplicate keys": [b'{"a": 1, "a": 2}', "application/json", ("dict", {"a": 2})],
    "PYB-022 WRK-008 invalid JSON": [b"{", "application/json", ("bytearray", b"{")],
    "PYB-022 empty JSON": [b"", "application/json", ("bytearray", b"")],
    "PYB-022 JSON that is no UTF-8": [b'"\xff"', "application/json", ("bytearray", b'"\xff"')],
    "PYB-022 JSON without end": [b"[" * 100000, "application/json", ("bytearray", b"[" * 100000)],
    "PYB-023 text": ["zażółć".encode(), "text/plain", ("str", "zażółć")],
    "PYB-023 CSV": [b"1,2", "text/csv", ("str", "1,2")],
    "PYB-023 text that is no UTF-8": [b"\xff", "text/plain", ("bytearray", b"\xff")],
    "PYB-024 none": [b"{}", "", ("bytearray", b"{}")],
    "PYB-024 other": [b"{}", "application/octet-stream", ("bytearray", b"{}")],
    "case matters": [b"{}", "Application/JSON", ("bytearray", b"{}")],
}


@pytest.mark.parametrize("name", DECODED)
def test_PYB_020_values(show: frontend.Worker, name: str) -> None:
    raw, content_type, expected = DECODED[name]
    assert value(show, raw, content_type) == expected


def test_PYB_022_WRK_008_what_cannot_be_decoded_is_logged(show: frontend.Worker) -> None:
    value(show, b"{", "application/json")
    show.wait_for("Failed json decoding of input data. Forwarding encoded payload")
    show.wait_for("Traceback ")
    value(show, b"\xff", "text/plain")
    show.wait_for("Failed utf-8 decoding of input data. Forwarding encoded payload")


@pytest.mark.parametrize(
    ("setting", "kind"), [("false", "bytearray"), ("0", "bytearray"), ("true", "dict"), ("TRUE", "dict")]
)
def test_PYB_025_WRK_009_decoding_can_be_switched_off(
    make_model: MakeModel, start: StartWorker, setting: str, kind: str
) -> None:
    worker = start(make_model(SHOW), environment={"TS_DECODE_INPUT_REQUEST": setting})
    assert worker.load("handler.py").code == 200
    assert value(worker, b"{}", "application/json")[0] == kind
    assert value(worker, b"x", "text/plain")[0] == ("str" if kind == "dict" else "bytearray")


def test_the_last_of_several_values_of_one_name_counts(show: frontend.Worker) -> None:
    request = frontend.Request("r1", [], [("data", "", b"a"), ("data", "text/plain", b"b"), ("n", "", b"1")])
    told = json.loads(show.answer(request).body)
    assert told["row"] == {"data": {"type": "str", "value": "b"}, "n": {"type": "bytearray", "value": [49]}}
    assert told["headers"] == {"data": {"content-type": "text/plain"}, "n": {"content-type": ""}}


def test_PYB_020_rows_are_in_the_order_of_the_requests(show: frontend.Worker) -> None:
    response = show.infer(*[frontend.body({"at": at}, at=at) for at in range(5)])
    for at, item in enumerate(response.items):
        told = json.loads(item.body)
        assert told["row"]["body"]["value"] == {"at": at}
        assert (told["id"], item.request_id, told["ids"]) == ("r%d" % at, "r%d" % at, [0, 1, 2, 3, 4])


def test_PYB_031_a_known_request_comes_without_data(show: frontend.Worker) -> None:
    told = json.loads(show.answer(frontend.Request("r7", [("a", "b")])).body)
    assert (told["row"], told["id"], told["headers"]) == ({}, "r7", {"a": "b"})


def test_headers_come_after_parameters_of_the_same_name(show: frontend.Worker) -> None:
    told = json.loads(show.answer(frontend.Request("r1", [("body", "header")], [("body", "", b"")])).body)
    assert told["headers"] == {"body": "header"}


def test_rows_may_be_changed(serve: StartWorker) -> None:
    worker = serve(
        """
        def handle(data, context):
            if data:
                value = data[0].pop("body")
                value += b"!"
                data[0]["more"] = value
                return [bytes(data[0]["more"])]
        """
    )
    assert worker.answer(frontend.body(b"x", "")).body == b"x!"
    assert worker.answer(frontend.body(b"x" * 100000, "")).body == b"x" * 100000 + b"!"


def batch(*requests: Dict[str, Any]) -> Context:
    context = Context("m", "/m", None, 1, None, "0.12.0")
    context.request_processor = [RequestProcessor(RequestProperties(each)) for each in requests]
    context.request_ids = {at: "id%d" % at for at in range(len(requests))}
    return context


def test_PYB_032_the_content_type_of_a_parameter() -> None:
    assert batch({"body": {"content-type": "application/json"}}).get_request_header(0, "body") == {
        "content-type": "application/json"
    }


def test_PYB_033_headers_under_any_case() -> None:
    context = batch({"X-Foo": "1", "x-bar": "2", "X-BAR": "3"})
    for name in ("X-Foo", "x-foo", "X-FOO"):
        assert context.get_request_header(0, name) == "1"
        assert context.get_all_request_header(0)[name] == "1"
        assert context.get_all_request_header(0).get(name) == "1"
        assert name in context.get_all_request_header(0)
    assert context.get_request_header(0, "x-bar") == "2"
    assert context.get_request_header(0, "X-BAR") == "3"
    assert context.get_request_header(0, "absent") is None
    headers: Any = context.get_all_request_header(0)
    assert isinstance(headers, dict)
    assert headers.get(7) is None
    assert 7 not in headers
    with pytest.raises(KeyError):
        headers["absent"]


def test_PYB_033_headers_are_changed_under_any_case() -> None:
    headers: Any = RequestProperties({"X-Foo": "1", "X-Bar": "2", "X-Baz": "3"})
    assert headers.setdefault("x-foo", "new") == "1"
    assert headers.pop("x-bar") == "2"
    del headers["x-baz"]
    assert headers == {"X-Foo": "1"}
    assert headers.setdefault("x-new", "new") == "new"
    headers[7] = "no text"
    assert "absent" not in headers
    assert headers.pop("absent", None) is None
    for remove in (headers.pop, headers.__delitem__):
        with pytest.raises(KeyError):
            remove("absent")


COPIES: Dict[str, Any] = {"copy.copy": copy.copy, "copy.deepcopy": copy.deepcopy, "copy()": lambda them: them.copy()}
DICTS: Dict[str, Any] = {
    "**": lambda them: (lambda **named: named)(**them),
    "{**}": lambda them: {**them},
    "dict": dict,
    "JSON": lambda them: json.loads(json.dumps(them)),
    "pickle": lambda them: pickle.loads(pickle.dumps(them)),
    "old pickle": lambda them: pickle.loads(pickle.dumps(them, 0)),
    "repr": lambda them: ast.literal_eval(repr(them)),
}


@pytest.mark.parametrize("name", [*COPIES, *DICTS])
def test_headers_pass_for_a_dict(name: str) -> None:
    content = {"X-Foo": "1", "body": {"content-type": "a/b"}}
    headers = RequestProperties(content)
    assert isinstance(headers, dict)
    assert headers == content
    assert content == headers
    made = {**COPIES, **DICTS}[name](headers)
    assert made == content
    if name in DICTS:
        assert type(made) is dict
        return
    assert made["x-foo"] == "1"
    assert made is not headers
    assert (made["body"] is headers["body"]) == (name != "copy.deepcopy")


def test_the_context_before_the_first_batch() -> None:
    context: Any = Context("m", "/m", None, 1, None, "0.12.0")
    assert (context.get_request_id(), context.request_ids, context.request_processor) == (None, None, None)
    context.set_response_status(404)
    context.set_all_response_status(404)
    with pytest.raises(TypeError):
        context.get_request_header(0, "x")


def test_the_context_of_a_batch() -> None:
    context = batch({"ts_request_sequence_id": "s1"}, {})
    assert [context.get_request_id(at) for at in (0, 1, 2)] == ["id0", "id1", None]
    assert [context.get_sequence_id(at) for at in (0, 1)] == ["s1", None]
    context.set_response_content_type(0, "a/b")
    assert (context.get_response_content_type(0), context.get_response_content_type(1)) == ("a/b", None)
    assert context.get_response_headers(0) == {"content-type": "a/b"}
    assert context.request_processor[0].get_response_header("content-type") == "a/b"
    with pytest.raises(IndexError):
        context.get_request_header(2, "x")


def test_contexts_are_equal_by_their_content() -> None:
    context = batch()
    other: Any = copy.copy(context)
    assert context == other
    other.more = 1
    assert context != other
    with pytest.raises(TypeError):
        hash(context)


def test_sequence_headers_are_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TS_REQUEST_SEQUENCE_ID", "x-seq")
    context = batch({"X-Seq": "s1"})
    assert context.get_sequence_id(0) == "s1"
    assert (context.header_key_sequence_start, context.header_key_sequence_end) == (
        "ts_request_sequence_start",
        "ts_request_sequence_end",
    )
