"""Tests of the parts of the comparison that need no server."""

from __future__ import annotations

import io
import pathlib
import re
import time
from typing import Dict, List

import guarded
import judge
import parity
import pytest
import servers
from judge import Known, Malformed
from side import Answer, Side, read_answer
from suite import Pair, Suite, compared

ANSWER: Dict[str, object] = {"status": 200, "content-type": "", "headers": {"a": ["1"]}, "body": {"code": 1, "x": 2}}


def pair(name: str, **changes: object) -> Pair:
    return Pair("plain", name, ANSWER, {**ANSWER, **changes})


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, ""),
        ({"status": 400, "body": {"code": 2, "y": 2}}, "200→400 body(+y -x ~code)"),
        ({"content-type": "text/plain"}, "type"),
        ({"headers": {"a": ["2"], "b": ["1"]}}, "+b ~a"),
        ({"headers": {}}, "-a"),
        ({"body": "text"}, "body"),
        ({"pieces": ["1"]}, "pieces: None→['1']"),
    ],
)
def test_a_signature_says_what_differs(changes: Dict[str, object], seen: str) -> None:
    assert judge.signature(ANSWER, {**ANSWER, **changes}) == seen


def test_signatures_of_several_answers_lists_and_metrics() -> None:
    assert judge.signature({"answer 1": ANSWER}, {"answer 1": {**ANSWER, "status": 404}}) == "answer 1: (200→404)"
    assert judge.signature({"body": [{"a": 1}, {"a": 1}]}, {"body": [{"a": 2}, {"a": 3}]}) == "body(~a)"
    assert judge.signature({"body": [{"a": 1}]}, {"body": []}) == "body"
    theirs = {"body": ["# HELP CPU of it", "CPU{} float", "ts_a{} integer"]}
    assert judge.signature(theirs, {"body": ["ts_a{} integer", "ts_b{} float"]}) == "body(+ts_ -CPU)"


def test_the_layout_counts_where_the_body_is_the_same() -> None:
    theirs = {"body": {"a": 1}, "layout": '{"a": 0}'}
    assert judge.signature(theirs, {"body": {"a": 1}, "layout": '{"a":0}'}) == "layout"
    assert judge.signature(theirs, {"body": {"a": 2}, "layout": '{"a":0}'}) == "body(~a)"
    assert side("A").normal(Answer(200, [], b'{"a":  12}'))["layout"] == '{"a":  0}'


def test_the_list_is_read_and_its_faults_are_named() -> None:
    text = "# note\nX-1: why\n    200→404 | a / b | c\n    ? | d\n\nX-2: other\n    body | e…\n"
    assert judge.parse(text) == [
        Known("a / b | c", "200→404", "X-1: why"),
        Known("d", "?", "X-1: why"),
        Known("e…", "body", "X-2: other"),
    ]
    for text in ("    body | a\n", "X-1\n    body a\n", "X-1\n    body | a\n    type | a\n"):
        with pytest.raises(Malformed):
            judge.parse(text)


@pytest.mark.parametrize(
    ("known", "pairs", "faults"),
    [
        ([], [pair("a")], []),
        ([], [pair("a", status=404)], ["NEW    plain: a"]),
        ([Known("a", "200→404", "X")], [pair("a", status=404)], []),
        ([Known("plain: a", "200→404", "X")], [pair("a", status=404)], []),
        ([Known("tokens: a", "200→404", "X")], [pair("a", status=404)], ["NEW    plain: a"]),
        ([Known("a", "200→400", "X")], [pair("a", status=404)], ["NEW    plain: a", "STALE  a"]),
        ([Known("a", "200→404", "X")], [pair("a")], ["STALE  a"]),
        ([Known("a", "200→404", "X")], [pair("b")], []),
        ([Known("a", "?", "X")], [pair("a")], []),
        ([Known("a", "?", "X")], [pair("a", status=404)], []),
        ([Known("a…", "200→404", "X")], [pair("ab", status=404), pair("ac")], []),
        ([Known("a…", "200→404", "X")], [pair("ab", status=405), pair("b")], ["NEW    plain: ab", "STALE  a…"]),
        (
            [Known("a…", "200→404", "X"), Known("ab", "type", "Y")],
            [pair("ab", status=404)],
            ["NEW    plain: ab", "STALE  ab"],
        ),
    ],
)
def test_differences_and_list_must_agree(known: List[Known], pairs: List[Pair], faults: List[str]) -> None:
    verdict = judge.judge(pairs, known)
    assert [fault.splitlines()[0] for fault in verdict.faults] == faults
    assert verdict.same == sum(each.theirs == each.ours for each in pairs)


def test_requests_of_one_name_are_told_apart() -> None:
    assert [each.name for each in judge.numbered([pair("a"), pair("b"), pair("a"), pair("a")])] == [
        "a",
        "b",
        "a #2",
        "a #3",
    ]


def test_the_list_of_the_repository_gives_a_reason_for_each_line() -> None:
    known = judge.parse(parity.KNOWN.read_text(encoding="utf-8"))
    reasons = {entry.reason for entry in known}
    area = r'(HTTP|Management|Models and archives|Python|Metrics and logs), "[^"]+"'
    assert [each for each in reasons if not re.match(r"until |(D-)?[A-Z]{3}[- ][D§]?[0-9]|%s" % area, each)] == []


def answer(text: bytes, method: str = "POST") -> Answer:
    return read_answer(io.BufferedReader(io.BytesIO(text)), method)  # type: ignore[arg-type]


def test_answers_are_read_as_they_were_on_the_wire() -> None:
    head = b"HTTP/1.1 200 OK\r\nA: 1\r\n"
    assert answer(head + b"Content-Length: 2\r\n\r\nabc") == (200, [("a", "1"), ("content-length", "2")], b"ab", None)
    assert answer(head + b"Content-Length: 3\r\n\r\nab").body == b"ab(cut short)"
    assert answer(head + b"Content-Length: 3\r\n\r\n", "HEAD").body == b""
    chunked = answer(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n")
    assert (chunked.body, chunked.pieces) == (b"abc", [b"a", b"bc"])
    assert answer(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n").pieces == [b"a", b"(broken off)"]
    assert answer(b"").status == "no answer"
    assert answer(b"rubbish\r\n").status == "no answer"


def side(name: str) -> Side:
    return Side(name, servers.Running(name, {"inference": ("127.0.0.1", 1)}, {}, pathlib.Path("none"), False))


def test_cases_go_to_both_sides_and_set_up_is_not_compared() -> None:
    suite = Suite()
    suite.section("s")
    suite.cases.clear()
    suite.prepare(lambda _: time.time())
    suite.add("a", lambda each: {"status": each.name})
    suite.section("t")
    suite.add("b", lambda each: {"status": 1})
    pairs = list(compared("plain", suite.holding("s / a"), [side("A"), side("B")]))
    assert pairs == [Pair("plain", "s / a", {"status": "A"}, {"status": "B"})]


def test_a_server_that_is_gone_is_named() -> None:
    suite = Suite()
    suite.request("ping", "inference", "GET", "/ping")
    with pytest.raises(servers.Error, match=r"ping.*not reached: A, B"):
        list(compared("plain", suite, [side("A"), side("B")]))


@pytest.mark.parametrize("name", list(parity.ROUNDS))
def test_names_of_requests_are_unique_in_a_round(name: str) -> None:
    suite = Suite()
    for add in parity.ROUNDS[name].cases:
        add(suite)
    names = [case.name for case in suite.cases if not case.setup]
    assert sorted({each for each in names if names.count(each) > 1}) == []


def test_keys_do_not_reach_the_report() -> None:
    one = side("A")
    assert guarded._hidden(one, {"body": {"token": "secret", "key": "secret"}}) == {"body": ["key", "token"]}
