"""Bodies: multipart, forms, content types and codings."""

from __future__ import annotations

import gzip
import zlib
from typing import Dict, Optional

from suite import Suite

PATH = "/predictions/answers"
TYPE = "multipart/form-data; boundary=B"
FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
FILE = b'Content-Disposition: form-data; name="f"; filename="x.bin"\r\n'


def parts(*each: bytes, boundary: bytes = b"B", line: bytes = b"\r\n", end: bytes = b"--") -> bytes:
    """Put parts, heads included, into one multipart body."""
    return b"".join(b"--" + boundary + line + part + line for part in each) + b"--" + boundary + end + line


def disposition(parameters: bytes, more: bytes = b"", content: bytes = b"1") -> bytes:
    """Return a part whose disposition has these parameters, then more headers."""
    return b"Content-Disposition: form-data" + parameters + b"\r\n" + more + b"\r\n" + content


def add(suite: Suite) -> None:
    """Add all sections of this module."""
    suite.section("multipart", "answers")
    _multipart_heads(suite)
    _multipart_parts(suite)
    _multipart_names(suite)
    _multipart_cut(suite)
    suite.section("forms", "answers")
    _forms(suite)
    suite.section("bodies", "answers")
    _bodies(suite)


def _post(suite: Suite, name: str, kind: Optional[str], body: bytes, path: str = PATH, method: str = "POST") -> None:
    suite.request(name, "inference", method, path, {} if kind is None else {"Content-Type": kind}, body)


def _multipart_heads(suite: Suite) -> None:
    body = parts(FIELD)
    for name, kind in (
        ("boundary in quotes", 'multipart/form-data; boundary="B"'),
        ("boundary without value", "multipart/form-data; boundary"),
        ("empty boundary", "multipart/form-data; boundary="),
        ("boundary after charset", "multipart/form-data; charset=utf-8; boundary=B"),
        ("boundary as third parameter", "multipart/form-data; a=b; c=d; boundary=B"),
        ("charset after boundary", "multipart/form-data; boundary=B; charset=utf-8"),
        ("charset latin-1", "multipart/form-data; boundary=B; charset=iso-8859-1"),
        ("charset unknown", "multipart/form-data; boundary=B; charset=klingon"),
        ("type in capitals", "MULTIPART/FORM-DATA; boundary=B"),
        ("BOUNDARY in capitals", "multipart/form-data; BOUNDARY=B"),
        ("no blank before the boundary", "multipart/form-data;boundary=B"),
        ("two boundaries", "multipart/form-data; boundary=B; boundary=C"),
        ("semicolon at the end", "multipart/form-data; boundary=B;"),
        ("another boundary than the body's", "multipart/form-data; boundary=C"),
        ("multipart/mixed", "multipart/mixed; boundary=B"),
        ("multipart/related", "multipart/related; boundary=B"),
    ):
        _post(suite, name, kind, body)
    _post(
        suite,
        "boundary of 70 characters",
        "multipart/form-data; boundary=" + "b" * 70,
        parts(FIELD, boundary=b"b" * 70),
    )
    _post(
        suite,
        "boundary of 300 characters",
        "multipart/form-data; boundary=" + "b" * 300,
        parts(FIELD, boundary=b"b" * 300),
    )
    _post(suite, "boundary with blanks", 'multipart/form-data; boundary="a b"', parts(FIELD, boundary=b"a b"))
    _post(
        suite,
        "boundary with signs",
        "multipart/form-data; boundary=--=_'()+,./:?",
        parts(FIELD, boundary=b"--=_'()+,./:?"),
    )
    _post(suite, "PUT", TYPE, body, method="PUT")
    _post(suite, "GET", TYPE, body, method="GET")
    _post(suite, "to explanations", TYPE, body, "/explanations/answers")
    _post(suite, "to the KServe route", TYPE, body, "/v1/models/answers:predict")
    _post(suite, "to invocations with a query", TYPE, body, "/invocations?model_name=answers&q=1&a=2")
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    suite.talk("in chunks", "inference", head % (PATH.encode(), TYPE.encode()) + chunked, "POST")


def _multipart_parts(suite: Suite) -> None:
    kind = b"Content-Type: %s\r\n"
    for name, body in (
        ("two files of one name", parts(FILE + b"\r\n1", FILE + b"\r\n2")),
        ("a file and a field of one name", parts(FILE + b"\r\n1", disposition(b'; name="f"', content=b"2"))),
        ("many fields", parts(*(disposition(b'; name="n%d"' % number) for number in range(300)))),
        ("empty field", parts(disposition(b'; name="a"', content=b""))),
        ("empty file", parts(FILE + b"\r\n")),
        ("empty file name", parts(disposition(b'; name="f"; filename=""'))),
        ("file name with a path", parts(disposition(b'; name="f"; filename="../../etc/passwd"'))),
        ("file name in RFC 5987", parts(disposition(b"; name=\"f\"; filename*=UTF-8''%C3%A9.txt"))),
        ("both forms of the file name", parts(disposition(b'; name="f"; filename="e"; filename*=UTF-8\'\'%C3%A9'))),
        ("file without quotes", parts(disposition(b"; name=f; filename=x.bin"))),
        ("text file", parts(FILE + kind % b"text/plain" + b"\r\ncaf\xc3\xa9")),
        ("text file with charset", parts(FILE + kind % b"text/plain; charset=iso-8859-1" + b"\r\ncaf\xe9")),
        ("text file, unknown charset", parts(FILE + kind % b"text/plain; charset=klingon" + b"\r\nx")),
        ("text file that is no UTF-8", parts(FILE + kind % b"text/plain" + b"\r\n\xff\xfe")),
        ("JSON file with charset", parts(FILE + kind % b"application/json; charset=utf-8" + b'\r\n{"a": 1}')),
        ("JSON file that is broken", parts(FILE + kind % b"application/json" + b'\r\n{"a":')),
        ("JSON file in capitals", parts(FILE + kind % b"Application/JSON" + b'\r\n{"a": 1}')),
        ("file of an empty type", parts(FILE + kind % b"" + b"\r\nx")),
        ("base64", parts(FILE + b"Content-Transfer-Encoding: base64\r\n\r\nYWJj")),
        ("base64 of a field", parts(disposition(b'; name="a"', b"Content-Transfer-Encoding: base64\r\n", b"YWJj"))),
        ("quoted-printable", parts(FILE + b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db")),
        ("7bit", parts(FILE + b"Content-Transfer-Encoding: 7bit\r\n\r\nabc")),
        ("8bit", parts(FILE + b"Content-Transfer-Encoding: 8bit\r\n\r\nabc")),
        ("binary", parts(FILE + b"Content-Transfer-Encoding: binary\r\n\r\nabc")),
        ("BINARY", parts(FILE + b"Content-Transfer-Encoding: BINARY\r\n\r\nabc")),
        ("length of a part", parts(FILE + b"Content-Length: 3\r\n\r\nabc")),
        ("wrong length of a part", parts(FILE + b"Content-Length: 30\r\n\r\nabc")),
        ("other headers of a part", parts(FILE + b"X-Other: 1\r\nContent-ID: <a>\r\n\r\nabc")),
        ("header of 9 KiB in a part", parts(FILE + b"X-Big: " + b"h" * 9000 + b"\r\n\r\nabc")),
        ("100 headers in a part", parts(FILE + b"".join(b"X-%d: 1\r\n" % n for n in range(100)) + b"\r\nabc")),
        ("line ends in the content", parts(FILE + b"\r\n\r\n\r\na\r\nb\n\r\n")),
        ("content like the boundary", parts(FILE + b"\r\n--\r\n--Bx\r\n-B\r\n --B")),
        (
            "nested",
            parts(
                b'Content-Disposition: form-data; name="n"\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n'
                + parts(b'Content-Disposition: attachment; filename="1"\r\n\r\none', boundary=b"C")[:-2]
            ),
        ),
        ("1 MiB", parts(FILE + b"\r\n" + b"\0" * (1 << 20))),
    ):
        _post(suite, name, TYPE, body)


def _multipart_names(suite: Suite) -> None:
    for name, parameters in (
        ("empty name", b'; name=""'),
        ("name without quotes", b"; name=a"),
        ("name of blanks", b'; name="  "'),
        ("name with blanks around", b'; name=" a "'),
        ("name with a colon", b'; name="a:b"'),
        ("name with a semicolon", b'; name="a;b"'),
        ("name with an equals sign", b'; name="a=b"'),
        ("name with a comma", b'; name="a,b"'),
        ("name with quotes", b'; name="a\\"b"'),
        ("name with a backslash", b'; name="a\\\\b"'),
        ("name with brackets", b'; name="a[]"'),
        ("name in UTF-8", b'; name="\xc3\xa9"'),
        ("name in latin-1", b'; name="\xe9"'),
        ("name in RFC 5987", b"; name*=UTF-8''%C3%A9"),
        ("name in capitals", b'; NAME="a"'),
        ("no blank before the name", b';name="a"'),
        ("name after the file name", b'; filename="x"; name="a"'),
        ("body", b'; name="body"'),
        ("data", b'; name="data"'),
    ):
        _post(suite, name, TYPE, parts(disposition(parameters)))
    for charset in ("iso-8859-1", "utf-8"):
        _post(
            suite,
            "latin-1 name, charset " + charset,
            TYPE + "; charset=" + charset,
            parts(disposition(b'; name="\xe9"')),
        )
    _post(suite, "no disposition", TYPE, parts(b"Content-Type: text/plain\r\n\r\n1"))
    _post(suite, "no disposition, then a field", TYPE, parts(b"X-Y: z\r\n\r\n1", FIELD))
    _post(suite, "disposition attachment", TYPE, parts(b'Content-Disposition: attachment; name="a"\r\n\r\n1'))
    _post(suite, "disposition in capitals", TYPE, parts(b'CONTENT-DISPOSITION: FORM-DATA; name="a"\r\n\r\n1'))
    _post(
        suite,
        "disposition twice",
        TYPE,
        parts(disposition(b'; name="a"', b'Content-Disposition: form-data; name="b"\r\n')),
    )


def _multipart_cut(suite: Suite) -> None:
    whole = parts(FIELD, FILE + b"\r\n22")
    for name, body in (
        ("preamble", b"preamble\r\n" + whole),
        ("blank lines first", b"\r\n\r\n" + whole),
        ("epilogue", whole + b"epilogue"),
        ("line feeds only", parts(b'Content-Disposition: form-data; name="a"\n\n1', line=b"\n")),
        ("cut in the second head", whole[: whole.index(b"filename")]),
        ("cut in the second content", whole[: whole.index(b"22") + 1]),
        ("cut before the end", whole[:-7]),
        ("no dashes at the end", parts(FIELD, end=b"")),
        ("one dash at the end", parts(FIELD, end=b"-")),
        ("no line end at the end", parts(FIELD)[:-2]),
        ("blanks after the boundary", parts(FIELD).replace(b"--B\r\n", b"--B  \r\n", 1)),
        ("no blank line after the head", parts(b'Content-Disposition: form-data; name="a"\r\n1')),
        ("no empty line, no content", parts(b'Content-Disposition: form-data; name="a"\r\n')),
        ("JSON instead", b'{"a": 1}'),
        ("a blank", b" "),
    ):
        _post(suite, name, TYPE, body)


def _forms(suite: Suite) -> None:
    kind = "application/x-www-form-urlencoded"
    for name, body in (
        ("curl -d text", b"hello"),
        ("curl -d JSON", b'{"a": 1}'),
        ("curl -d JSON with signs", b'{"a": "b=c&d"}'),
        ("empty value", b"a="),
        ("name only, then a field", b"a&b=1"),
        ("no name", b"=x"),
        ("no name, then a field", b"=x&a=1"),
        ("empty pairs", b"a=1&&b=2&"),
        ("semicolons", b"a=1;b=2"),
        ("equals signs in the value", b"a=b=c"),
        ("plus signs", b"a+b=c+d"),
        ("percent at the end", b"a=1%"),
        ("percent in the name", b"%zz=1"),
        ("percent of UTF-8", b"%C3%A9=%E4%B8%AD"),
        ("percent of latin-1", b"a=%E9"),
        ("raw UTF-8", "é=ü".encode()),
        ("raw latin-1", b"a=\xe9"),
        ("line end in the value", b"a=1\r\nb=2"),
        ("line feed in the value", b"a=1\nb"),
        ("carriage return in the value", b"a=1\rb"),
        ("blanks around the name", b" a =1"),
        ("NUL", b"a=%00b"),
        ("1500 fields", b"&".join(b"n%d=%d" % (n, n) for n in range(1500))),
        ("a value of 1 MiB", b"a=" + b"v" * (1 << 20)),
    ):
        _post(suite, name, kind, body)
    _post(suite, "type in capitals", "Application/X-WWW-Form-URLEncoded", b"a=1")
    _post(suite, "blank before the semicolon", kind + " ; charset=utf-8", b"a=1")
    _post(suite, "charset latin-1", kind + "; charset=iso-8859-1", b"a=%E9")
    _post(suite, "PUT", kind, b"a=1", method="PUT")
    _post(suite, "GET with a body", kind, b"a=1", method="GET")
    _post(suite, "legacy path, field in both", kind, b"a=1", "/answers/predict?a=2&b=3")
    for query in (
        "a=1;b=2",
        "a",
        "=x",
        "a==b",
        "&&a=1&",
        "a=%C3%A9&b=%E9",
        "a=1+2",
        "a=%zz",
        "a=1%",
        "a=1#b=2",
        "a=1?b=2",
    ):
        _post(suite, "query " + query, "text/plain", b"x", "/answers/predict?" + query)
    _post(
        suite, "query of 1100 fields", "text/plain", b"x", "/answers/predict?" + "&".join("n%d" % n for n in range(900))
    )


def _bodies(suite: Suite) -> None:
    text = b'{"a": 1}'
    packed: Dict[str, bytes] = {"gzip": gzip.compress(text, mtime=0), "deflate": zlib.compress(text)}
    for coding, body in packed.items():
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        suite.request("body in " + coding, "inference", "POST", PATH, headers, body)
        suite.request("registration in " + coding, "management", "POST", "/models", headers, body)
        suite.request("form in " + coding, "inference", "POST", PATH, {**headers, "Content-Type": TYPE}, body)
    for accepted in ("gzip, deflate, br", "identity;q=0", "*;q=0", "deflate", ""):
        suite.request("Accept-Encoding " + accepted, "inference", "POST", PATH, {"Accept-Encoding": accepted}, b"x")
    suite.request("Accept-Encoding of a list", "management", "GET", "/models", {"Accept-Encoding": "gzip"})
    suite.request("Accept-Encoding of the API", "inference", "GET", "/api-description", {"Accept-Encoding": "gzip"})
    for accepted in ("text/html", "application/*", "*/*;q=0", ""):
        suite.request("Accept " + accepted, "management", "GET", "/models/none", {"Accept": accepted})
    for kind in (
        " text/plain",
        "text/plain ",
        "text/plain,application/json",
        "application/json;",
        ";",
        "application/json; charset=latin-1",
        "application/json ; charset=utf-8",
        "text",
        "text/",
        "TEXT/PLAIN",
        "application/octet-stream; a=b",
        "multipart/form-data",
    ):
        _post(suite, "type [%s]" % kind, kind, text)
    suite.talk(
        "two types",
        "inference",
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Type: application/json\r\n"
        b"Content-Length: 8\r\n\r\n" % PATH.encode() + text,
        "POST",
    )
    _post(suite, "range", "text/plain", text)
    suite.request(
        "conditional",
        "inference",
        "GET",
        "/ping",
        {"If-None-Match": "*", "If-Modified-Since": "Thu, 01 Jan 2100 00:00:00 GMT"},
    )
    suite.request("range of a list", "management", "GET", "/models", {"Range": "bytes=0-3"})
