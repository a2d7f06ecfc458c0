"""HTTP itself: expectations, pipelining, methods, framing, and how connections end."""

from __future__ import annotations

from suite import Suite

PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /predictions/answers HTTP/1.1\r\nHost: x\r\n"
NONE = b"GET /predictions/none HTTP/1.1\r\nHost: x\r\n\r\n"


def add(suite: Suite) -> None:
    """Add all sections of this module."""
    suite.section("expectations", "answers")
    _expectations(suite)
    suite.section("connections", "answers")
    _connections(suite)
    suite.section("framing", "answers")
    _framing(suite)
    suite.section("heads", "answers")
    _heads(suite)
    suite.section("methods", "answers")
    _methods(suite)
    suite.section("preflights", "answers")
    _preflights(suite)


def _expectations(suite: Suite) -> None:
    small, large = b"Content-Length: 1\r\n", b"Content-Length: 7000000\r\n"
    expect = b"Expect: 100-continue\r\n"
    suite.talk("continue, then the body", "inference", POST + expect + small + b"\r\n", "POST", b"x", "POST")
    suite.talk(
        "Continue in capitals", "inference", POST + b"EXPECT: 100-CONTINUE\r\n" + small + b"\r\n", "POST", b"x", "POST"
    )
    suite.talk("body sent at once", "inference", POST + expect + small + b"\r\nx", "POST", "POST")
    suite.talk("too large", "inference", POST + expect + large + b"\r\n", "POST")
    suite.talk("no body", "inference", POST + expect + b"Content-Length: 0\r\n\r\n", "POST")
    suite.talk("GET", "inference", b"GET /ping HTTP/1.1\r\nHost: x\r\n" + expect + b"\r\n", "GET")
    suite.talk(
        "in chunks",
        "inference",
        POST + expect + b"Transfer-Encoding: chunked\r\n\r\n",
        "POST",
        b"1\r\nx\r\n0\r\n\r\n",
        "POST",
    )
    suite.talk("HTTP/1.0", "inference", POST.replace(b"1.1", b"1.0") + expect + small + b"\r\nx", "POST")
    suite.talk("something else, body kept back", "inference", POST + b"Expect: magic\r\n" + small + b"\r\n", "POST")
    suite.talk("two expectations", "inference", POST + b"Expect: 100-continue, magic\r\n" + small + b"\r\n", "POST")
    suite.talk(
        "unknown model", "inference", POST.replace(b"answers", b"none") + expect + small + b"\r\n", "POST", b"x", "POST"
    )
    suite.talk(
        "unknown route",
        "inference",
        b"POST /x/y/z HTTP/1.1\r\nHost: x\r\n" + expect + small + b"\r\n",
        "POST",
        b"x",
        "POST",
    )
    suite.talk(
        "management",
        "management",
        b"POST /models HTTP/1.1\r\nHost: x\r\n" + expect + small + b"\r\n",
        "POST",
        b"x",
        "POST",
    )
    suite.talk("too large without expectation", "inference", POST + large + b"\r\n" + b"x" * 7000000, "POST")
    suite.talk("too large, then another", "inference", POST + large + b"\r\n" + b"x" * 7000000 + PING, "POST", "GET")
    suite.talk(
        "too large in chunks",
        "inference",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 7 + b"0\r\n\r\n",
        "POST",
    )
    suite.talk("as large as allowed", "inference", POST + b"Content-Length: 6553500\r\n\r\n" + b"x" * 6553500, "POST")
    suite.talk("one byte more", "inference", POST + b"Content-Length: 6553501\r\n\r\n" + b"x" * 6553501, "POST")


def _connections(suite: Suite) -> None:
    slow = POST + b"X-Do: pieces\r\nContent-Length: 0\r\n\r\n"
    plain = POST + b"Content-Length: 1\r\n\r\nx"
    suite.talk("kept after 200", "inference", PING, "GET", PING, "GET")
    suite.talk("closed after 404", "inference", NONE, "GET")
    suite.talk("404, then another", "inference", NONE + PING, "GET", "GET")
    suite.talk("two at once", "inference", PING + PING, "GET", "GET")
    suite.talk("five at once", "inference", PING * 5, *["GET"] * 5)
    suite.talk("prediction, then ping", "inference", plain + PING, "POST", "GET")
    suite.talk("two predictions", "inference", plain + plain, "POST", "POST")
    suite.talk("stream, then ping", "inference", slow + PING, "POST", "GET")
    suite.talk("close asked for", "inference", PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), "GET")
    suite.talk("close of several", "inference", PING.replace(b"\r\n\r\n", b"\r\nConnection: a, close\r\n\r\n"), "GET")
    suite.talk(
        "keep-alive asked for", "inference", PING.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), "GET"
    )
    suite.talk("HTTP/1.0", "inference", b"GET /ping HTTP/1.0\r\nHost: x\r\n\r\n", "GET")
    suite.talk("HTTP/1.0, kept", "inference", b"GET /ping HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", "GET")
    suite.talk("HTTP/1.0 stream", "inference", slow.replace(b"HTTP/1.1", b"HTTP/1.0"), "POST")
    suite.talk("HTTP/1.0 prediction", "inference", plain.replace(b"HTTP/1.1", b"HTTP/1.0"), "POST")
    suite.talk("management kept", "management", b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n", "GET")
    suite.talk("metrics kept", "metrics", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "GET")
    suite.talk(
        "in small pieces", "inference", b"GET /pi", 0.1, b"ng HTTP/1.1\r\nHo", 0.1, b"st: x\r\n", 0.1, b"\r\n", "GET"
    )
    suite.talk(
        "body in small pieces",
        "inference",
        POST + b"Content-Length: 3\r\n\r\n",
        0.1,
        b"a",
        0.1,
        b"b",
        0.1,
        b"c",
        "POST",
    )


def _framing(suite: Suite) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    for name, text in (
        ("chunks of one byte", chunked + b"1\r\na\r\n" * 20 + b"0\r\n\r\n"),
        ("size in capitals", chunked + b"A\r\n0123456789\r\n0\r\n\r\n"),
        ("size with zeros", chunked + b"0003\r\nabc\r\n000\r\n\r\n"),
        ("size with blanks", chunked + b"3 \r\nabc\r\n0\r\n\r\n"),
        ("extension", chunked + b'3;a="b c"\r\nabc\r\n0\r\n\r\n'),
        ("trailers", chunked + b"3\r\nabc\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"),
        ("no chunk", chunked + b"0\r\n\r\n"),
        ("size in 0x", chunked + b"0x3\r\nabc\r\n0\r\n\r\n"),
        ("negative size", chunked + b"-3\r\nabc\r\n0\r\n\r\n"),
        ("size beyond all", chunked + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("line feeds", chunked + b"3\nabc\n0\n\n"),
        ("Chunked in capitals", POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ("identity", POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"),
        ("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (
            "chunked twice",
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        ("length with plus", POST + b"Content-Length: +3\r\n\r\nabc"),
        ("length with blanks", POST + b"Content-Length:  3 \r\n\r\nabc"),
        ("length with zeros", POST + b"Content-Length: 003\r\n\r\nabc"),
        ("length twice the same", POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        ("length list", POST + b"Content-Length: 3, 3\r\n\r\nabc"),
        ("length empty", POST + b"Content-Length:\r\n\r\n"),
        ("length beyond all", POST + b"Content-Length: 99999999999999999999\r\n\r\n"),
        ("no length", POST + b"\r\n"),
        ("length of GET", b"GET /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"),
        ("chunks of GET", b"GET /ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ):
        suite.talk(name, "inference", text, "POST")


def _heads(suite: Suite) -> None:
    def head(line: bytes = b"GET /ping HTTP/1.1", *headers: bytes) -> bytes:
        return b"\r\n".join((line, b"Host: x", *headers)) + b"\r\n\r\n"

    for name, text in (
        ("no Host", b"GET /ping HTTP/1.1\r\n\r\n"),
        ("no Host, other headers", b"GET /ping HTTP/1.1\r\nAccept: */*\r\n\r\n"),
        ("no Host, body", b"POST /predictions/answers HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),
        (
            "no Host, chunks",
            b"POST /predictions/answers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        ("empty Host", b"GET /ping HTTP/1.1\r\nHost:\r\n\r\n"),
        ("odd Host", b"GET /ping HTTP/1.1\r\nHost: a b/c\r\n\r\n"),
        ("Host in capitals", b"GET /ping HTTP/1.1\r\nHOST: x\r\n\r\n"),
        ("blank lines first", b"\r\n\r\n" + head()),
        ("line feeds first", b"\n\n" + head()),
        ("lower-case version", head(b"GET /ping http/1.1")),
        ("HTTP/1.2", head(b"GET /ping HTTP/1.2")),
        ("HTTP/0.9", head(b"GET /ping HTTP/0.9")),
        ("FOO/1.1", head(b"GET /ping FOO/1.1")),
        ("two blanks", head(b"GET  /ping  HTTP/1.1")),
        ("tab", head(b"GET\t/ping\tHTTP/1.1")),
        ("blank at the end", head(b"GET /ping HTTP/1.1 ")),
        ("no leading slash", head(b"GET ping HTTP/1.1")),
        ("absolute form of a model", head(b"GET http://x:1/predictions/none HTTP/1.1")),
        ("absolute form without a path", head(b"OPTIONS http://x HTTP/1.1")),
        ("absolute form of https", head(b"GET https://x/ping HTTP/1.1")),
        ("question mark only", head(b"GET /ping? HTTP/1.1")),
        ("two question marks", head(b"GET /ping??a HTTP/1.1")),
        ("fragment", head(b"GET /ping#a HTTP/1.1")),
        ("semicolon in the path", head(b"GET /ping;a=1 HTTP/1.1")),
        ("plus in the path", head(b"GET /predictions/a+b HTTP/1.1")),
        ("backslash", head(b"GET /predictions\\none HTTP/1.1")),
        ("percent of a slash", head(b"GET %2Fping HTTP/1.1")),
        ("percent at the end", head(b"GET /predictions/a% HTTP/1.1")),
        ("percent of half a character", head(b"GET /predictions/%C3 HTTP/1.1")),
        ("percent of a newline", head(b"GET /predictions/a%0Ab HTTP/1.1")),
        ("quotes in the path", head(b'GET /predictions/a"b<c> HTTP/1.1')),
        ("150 headers", head(b"GET /ping HTTP/1.1", *(b"X-%d: 1" % n for n in range(150)))),
        ("empty value", head(b"GET /ping HTTP/1.1", b"X-Empty:")),
        ("underscores and dots", head(b"GET /ping HTTP/1.1", b"x_y.z~: 1")),
        ("illegal name", head(b"GET /ping HTTP/1.1", b"x(y): 1")),
        ("no name", head(b"GET /ping HTTP/1.1", b": 1")),
        ("control character in a value", head(b"GET /ping HTTP/1.1", b"X-A: a\x01b")),
        ("tab in a value", head(b"GET /ping HTTP/1.1", b"X-A: a\tb")),
        ("NUL in a value", head(b"GET /ping HTTP/1.1", b"X-A: a\x00b")),
    ):
        suite.talk(name, "inference", text, "GET")
    suite.talk(
        "headers to the handler",
        "inference",
        POST + b"Content-Length: 0\r\nX-Request-Id: 1\r\nexplain: True\r\n\r\n",
        "POST",
    )
    suite.talk(
        "method override", "inference", POST + b"X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n", "POST"
    )


def _methods(suite: Suite) -> None:
    targets = (
        ("inference", "/ping"),
        ("inference", "/predictions/answers"),
        ("inference", "/explanations/answers"),
        ("inference", "/answers/predict"),
        ("inference", "/v1/models/answers:predict"),
        ("inference", "/invocations?model_name=answers"),
        ("inference", "/models/answers/invoke"),
        ("inference", "/api-description"),
        ("management", "/models"),
        ("management", "/models/answers"),
        ("management", "/models/answers/1.0/set-default"),
        ("management", "/v1/models/answers"),
        ("metrics", "/api-description"),
    )
    for api, path in targets:
        for method in ("PROPFIND", "PATCH", "HEAD"):
            suite.request("%s %s %s" % (method, api, path), api, method, path)
    for method in ("TRACE", "post", "M-SEARCH", "get", "PURGE", "X" * 100):
        suite.request("%s a prediction" % method, "inference", method, "/predictions/answers")
        suite.request("%s a list" % method, "management", method, "/models")


def _preflights(suite: Suite) -> None:
    asked = {
        "Origin": "http://elsewhere",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-a",
    }
    for api, path in (
        ("inference", "/ping"),
        ("inference", "/predictions/answers"),
        ("inference", "/predictions/none"),
        ("inference", "/v1/models/answers:predict"),
        ("inference", "/nothing/at/all"),
        ("management", "/models"),
        ("management", "/models/answers"),
        ("management", "/nothing"),
        ("metrics", "/metrics"),
        ("metrics", "/nothing"),
    ):
        suite.request("%s %s" % (api, path), api, "OPTIONS", path, asked)
    suite.request("origin of an error", "inference", "GET", "/predictions/none", {"Origin": "http://elsewhere"})
    suite.request("origin null", "management", "GET", "/models", {"Origin": "null"})
