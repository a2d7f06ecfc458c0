"""What handlers answer: streams, values, heads, explanations, descriptions."""

from __future__ import annotations

import socket
import struct
from typing import Callable, List

from side import Answer, Seen, Side, read_answer
from suite import Suite

PATH = "/predictions/answers"
STREAMS = [
    "pieces",
    "slow_pieces",
    "empty_pieces",
    "bytes_pieces",
    "json_pieces",
    "big_pieces",
    "typed_pieces",
    "created_pieces",
    "refused_pieces",
    "raise_after",
    "predict_exception_after",
    "short_after",
    "code_500",
    "old_import",
]
VALUES = [
    "tuple_of_one",
    "generator",
    "dictionary",
    "not_a_number",
    "truth",
    "nested",
    "unprintable",
    "a_set",
    "an_object",
    "byte_array",
    "surrogate",
    "integer_keys",
    "no_answer",
    "empty_list",
    "empty_object",
    "cuda",
]
HEADS = [
    "hop_by_hop",
    "own_length",
    "own_cache",
    "own_id",
    "own_server",
    "own_encoding",
    "two_spellings",
    "latin_value",
    "wide_value",
    "empty_value",
    "padded_value",
    "odd_name",
    "number_value",
    "long_value",
    "cors",
    "empty_type",
    "all_status",
]
STATUSES = [
    "100",
    "101",
    "202",
    "205",
    "206",
    "299",
    "301",
    "304",
    "399",
    "400",
    "401",
    "405",
    "413",
    "422",
    "429",
    "499",
    "501",
    "502",
    "504",
    "507",
    "599",
    "600",
    "999",
    "0",
    "-1",
]
EXCEPTIONS = ["100", "200", "204", "302", "400", "404", "413", "418", "500", "503", "599", "600", "-1"]
DESCRIPTIONS = [
    "object",
    "text",
    "json_text",
    "json_list",
    "bytes",
    "list",
    "null",
    "number",
    "empty",
    "broken",
    "big",
    "raise",
    "two",
    "status",
    "exception",
    "type",
]


def add(suite: Suite) -> None:
    """Add all sections of this module."""
    suite.section("streams", "answers")
    _streams(suite)
    suite.section("values", "answers")
    for do in VALUES:
        _do(suite, do)
    suite.section("heads of answers", "answers")
    for do in (*HEADS, *("status_" + status for status in STATUSES), *("exception_" + code for code in EXCEPTIONS)):
        _do(suite, do)
    suite.section("workers that end", "answers")
    for do in ("system_exit", "keyboard", "exit_after"):
        _do(suite, do)
        suite.await_worker("answers")
        suite.request("after " + do, "inference", "POST", PATH, {}, b"x")
    suite.section("explanations", "answers")
    _explanations(suite)
    suite.section("descriptions", "described")
    _descriptions(suite)


def _do(suite: Suite, do: str, path: str = PATH, method: str = "POST") -> None:
    suite.request(do if path == PATH else "%s %s" % (do, path), "inference", method, path, {"X-Do": do}, b"")


def _streams(suite: Suite) -> None:
    for do in STREAMS:
        _do(suite, do)
    for path in (
        "/explanations/answers",
        "/answers/predict",
        "/v1/models/answers:predict",
        "/invocations?model_name=answers",
    ):
        _do(suite, "pieces", path)
    suite.request("GET", "inference", "GET", PATH, {"X-Do": "pieces"})
    suite.request("PUT", "inference", "PUT", PATH, {"X-Do": "pieces"}, b"")
    suite.talk("HEAD", "inference", _stream("pieces", b"HEAD"), "HEAD")
    suite.talk("kept open", "inference", _stream("pieces"), "POST")
    suite.talk("kept open after a failure", "inference", _stream("raise_after"), "POST")
    suite.talk("kept open after 404", "inference", _stream("refused_pieces"), "POST")
    suite.talk("HTTP/1.0", "inference", _stream("pieces", version=b"1.0"), "POST")
    suite.add("client leaves", _leave("slow_pieces"))
    suite.add("client leaves a long one", _leave("endless_pieces"))
    suite.add("two at once", _two_streams)


def _stream(do: str, method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    text = b"%s %s HTTP/%s\r\nHost: x\r\nX-Do: %s\r\nContent-Length: 0\r\n\r\n"
    return text % (method, PATH.encode(), version, do.encode())


def _leave(do: str) -> Callable[[Side], Seen]:
    """A client resets its connection in the middle; the next one is answered as if nothing had happened."""

    def probe(side: Side) -> Seen:
        with side.connect("inference") as connection:
            connection.sendall(_stream(do))
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return {
            "next": side.request("inference", "POST", PATH, {"X-Do": "pieces"}, b""),
            "health": side.request("inference", "GET", "/ping"),
        }

    return probe


def _two_streams(side: Side) -> Seen:
    """Two clients ask one worker at the same time."""
    connections = [side.connect("inference") for _ in range(2)]
    for connection in connections:
        connection.sendall(_stream("slow_pieces"))
    answers: List[Answer] = []
    for connection in connections:
        with connection:
            answers.append(read_answer(connection.makefile("rb"), "POST"))
    return {"first": side.normal(answers[0]), "second": side.normal(answers[1])}


def _explanations(suite: Suite) -> None:
    for path in (
        "/explanations/answers",
        "/explanations/answers/1.0",
        "/explanations/answers/2.0",
        "/explanations/answers/1.0/a/b",
        "/explanations",
        "/explanations/answers/",
        "/explanations/none",
        "/v1/models/answers:explain",
        "/v1/models/none:explain",
        "/v2/models/answers/explain",
    ):
        suite.request("POST " + path, "inference", "POST", path, {"Content-Type": "application/json"}, b'{"a": 1}')
        suite.request("GET " + path, "inference", "GET", path)
    suite.request(
        "explain header on invocations",
        "inference",
        "POST",
        "/invocations?model_name=answers",
        {"explain": "True"},
        b"x",
    )
    suite.request("OPTIONS", "inference", "OPTIONS", "/explanations/answers/1.0")
    for do in ("no_answer", "cuda", "exception_404"):
        _do(suite, do, "/explanations/answers")


def _descriptions(suite: Suite) -> None:
    for kind in DESCRIPTIONS:
        suite.ask("inference", "POST", "/predictions/described", {"X-Describe": kind})
        suite.request(kind, "management", "GET", "/models/described?customized=true")
    for query in (
        "customized",
        "customized=",
        "customized=1",
        "customized=True",
        "customized=true&customized=false",
        "Customized=true",
    ):
        suite.request(query, "management", "GET", "/models/described/1.0?" + query)
    suite.request("of all versions", "management", "GET", "/models/described/all?customized=true")
    suite.request("of an unknown version", "management", "GET", "/models/described/2.0?customized=true")
    suite.request(
        "with a body",
        "management",
        "GET",
        "/models/described?customized=true",
        {"Content-Type": "application/json"},
        b"{}",
    )
