"""Token authorization, the CORS headers that are configured with it, and TLS."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from typing import Callable, Dict, List, Optional

from side import Seen, Side, read_answer
from suite import Suite

CORS = """\
cors_allowed_origin=http://a.example
cors_allowed_methods=GET, POST
cors_allowed_headers=X-A, Authorization
"""
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"

Credential = Callable[[Side, str], Optional[str]]

CREDENTIALS: Dict[str, Credential] = {
    "wrong key": lambda side, api: "Bearer wrong",
    "key of the other kind": lambda side, api: (
        "Bearer " + side.keys["management" if api == "inference" else "inference"]
    ),
    "token key": lambda side, api: "Bearer " + side.keys["token"],
    "no scheme": lambda side, api: side.keys[api],
    "scheme only": lambda side, api: "Bearer",
    "scheme and a blank": lambda side, api: "Bearer ",
    "empty": lambda side, api: "",
    "bearer in lower case": lambda side, api: "bearer " + side.keys[api],
    "two blanks": lambda side, api: "Bearer  " + side.keys[api],
    "tab": lambda side, api: "Bearer\t" + side.keys[api],
    "more behind": lambda side, api: "Bearer %s more" % side.keys[api],
    "blank at the end": lambda side, api: "Bearer %s " % side.keys[api],
    "half the key": lambda side, api: "Bearer " + side.keys[api][:-1],
    "key in capitals": lambda side, api: "Bearer " + side.keys[api].swapcase(),
    "Basic": lambda side, api: "Basic " + side.keys[api],
    "Token": lambda side, api: "Token " + side.keys[api],
    "quotes": lambda side, api: 'Bearer "%s"' % side.keys[api],
    "comma": lambda side, api: "Bearer %s, Bearer x" % side.keys[api],
}
PATHS = {
    "inference": (
        "/ping",
        "/predictions/answers",
        "/nothing",
        "/api-description",
        "/",
        "/v1/models/answers:predict",
        "/ping/",
        "/PING",
        "/ping%zz",
    ),
    "management": (
        "/models",
        "/models/answers",
        "/nothing",
        "/api-description",
        "/",
        "/v1/models/answers",
        "/models/",
        "/token",
    ),
    "metrics": ("/metrics", "/nothing", "/api-description", "/token"),
}
APIS = {"inference": "/ping", "management": "/models"}


def add(suite: Suite) -> None:
    """Add the requests of the round with tokens and CORS."""
    suite.section("without a key", "answers")
    for api, paths in PATHS.items():
        for path in paths:
            for method in ("GET", "POST", "OPTIONS"):
                suite.add("%s %s %s" % (method, api, path), _credential(api, method, path, _none))
    suite.section("credentials", "answers")
    for name, credential in CREDENTIALS.items():
        for api, path in APIS.items():
            suite.add("%s for %s" % (name, api), _credential(api, "GET", path, credential))
    suite.add("header twice", _twice)
    suite.add(
        "key in the query",
        lambda side: _request(side, "inference", "GET", "/ping?token=" + side.keys["inference"], None),
    )
    suite.section("with a key", "answers")
    for api, paths in PATHS.items():
        for path in paths:
            suite.request("GET %s %s" % (api, path), api, "GET", path)
    suite.section("CORS", "answers")
    _cors(suite)
    suite.section("token", "answers")
    _token(suite)


def _none(side: Side, api: str) -> None:
    """No credential."""


def _right(side: Side, api: str) -> str:
    return "Bearer " + side.keys.get(api, "")


def _credential(api: str, method: str, path: str, credential: Credential, more: str = "") -> Callable[[Side], Seen]:
    return lambda side: _request(side, api, method, path, credential(side, api), more)


def _request(side: Side, api: str, method: str, path: str, credential: Optional[str], more: str = "") -> Seen:
    """Send a request with exactly this credential, or none."""
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", "Content-Length: 0"]
    if credential is not None:
        lines.append("Authorization: " + credential)
    text = "\r\n".join(lines) + "\r\n" + more + "\r\n"
    with side.connect(api) as connection:
        connection.sendall(text.encode("latin-1"))
        seen = side.normal(read_answer(connection.makefile("rb"), method))
    return _hidden(side, seen)


def _hidden(side: Side, seen: Seen) -> Seen:
    """Hide keys, which differ between the servers, and what hangs on the clock."""
    body = seen.get("body")
    if isinstance(body, dict) and "key" in body:
        seen["body"] = sorted(body)
    return seen


def _twice(side: Side) -> Seen:
    key = side.keys["inference"]
    return _request(side, "inference", "GET", "/ping", "Bearer " + key, "Authorization: Bearer %s\r\n" % key)


def _cors(suite: Suite) -> None:
    asked = "Origin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n"
    for api, paths in PATHS.items():
        for path in paths[:3]:
            target = "%s %s" % (api, path)
            suite.add("preflight " + target, _credential(api, "OPTIONS", path, _none, asked))
            suite.add("preflight with key " + target, _credential(api, "OPTIONS", path, _right, asked))
    for path in ("/ping", "/predictions/none", "/predictions/answers", "/nothing"):
        suite.request("GET " + path, "inference", "GET", path, {"Origin": "http://b.example"})
    suite.request("handler's own origin", "inference", "POST", "/predictions/answers", {"X-Do": "cors"}, b"")
    suite.request("stream", "inference", "POST", "/predictions/answers", {"X-Do": "pieces"}, b"")
    suite.talk("malformed", "inference", b"rubbish\r\n\r\n", "GET")
    suite.talk("too large", "inference", b"POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 7000000\r\n\r\n", "POST")


def _token(suite: Suite) -> None:
    def token(name: str, target: str, key: str, method: str = "GET") -> None:
        suite.add(
            name, lambda side: _request(side, "management", method, target, "Bearer " + side.keys.get(key, "wrong"))
        )

    token("without type", "/token", "token")
    token("type unknown", "/token?type=other", "token")
    token("type empty", "/token?type=", "token")
    token("type in capitals", "/token?type=Inference", "token")
    token("wrong key", "/token?type=inference", "none")
    token("management key", "/token?type=inference", "management")
    token("inference key", "/token?type=inference", "inference")
    token("more path", "/token/x?type=inference", "token")
    token("slash at the end", "/token/?type=inference", "token")
    token("PUT", "/token?type=inference", "token", "PUT")
    token("HEAD", "/token?type=inference", "token", "HEAD")
    suite.add(
        "on inference",
        lambda side: _request(side, "inference", "GET", "/token?type=inference", "Bearer " + side.keys["token"]),
    )
    for kind in ("inference", "management", "token"):
        for method in ("GET", "POST"):
            token("renew %s by %s" % (kind, method), "/token?type=" + kind, "token", method)
            if kind != "token":
                suite.add(
                    "old key of %s after %s" % (kind, method),
                    functools.partial(Side.request, api=kind, method="GET", path=APIS[kind]),
                )
            suite.prepare(lambda side: side.read_keys())


def add_tls(suite: Suite) -> None:
    """Add the requests of the round with TLS."""
    suite.section("TLS", "answers")
    for name, version in (
        ("1.0", ssl.TLSVersion.TLSv1),
        ("1.1", ssl.TLSVersion.TLSv1_1),
        ("1.2", ssl.TLSVersion.TLSv1_2),
        ("1.3", ssl.TLSVersion.TLSv1_3),
    ):
        suite.add("version " + name, functools.partial(_handshake, lowest=version, highest=version))
    suite.add("any version", lambda side: _handshake(side))
    for cipher in (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA",
        "AES128-GCM-SHA256",
        "AES128-SHA",
    ):
        suite.add(
            "cipher " + cipher,
            functools.partial(_handshake, highest=ssl.TLSVersion.TLSv1_2, ciphers=cipher),
        )
    for protocols in (["http/1.1"], ["h2", "http/1.1"], ["h2"], ["spdy/3"]):
        suite.add("ALPN " + ", ".join(protocols), functools.partial(_handshake, protocols=protocols))
    suite.add("server name", lambda side: _handshake(side, name="elsewhere.example"))
    suite.add("management", lambda side: _handshake(side, api="management"))
    suite.add("TLS to the plain listener", lambda side: _handshake(side, api="metrics"))
    for api in APIS:
        suite.add("plain text to " + api, functools.partial(_plain, api=api, text=PING))
    suite.add(
        "plain POST",
        lambda side: _plain(
            side, "inference", b"POST /predictions/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
        ),
    )
    suite.add("plain rubbish", lambda side: _plain(side, "inference", b"\x00\x01\x02rubbish\r\n\r\n"))
    suite.add("plain HTTP/2", lambda side: _plain(side, "inference", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    suite.section("over TLS", "answers")
    for path in ("/ping", "/predictions/none", "/nothing", "/api-description", "/models/answers/invoke"):
        suite.request("GET " + path, "inference", "GET", path)
    suite.request("list", "management", "GET", "/models")
    suite.request(
        "predict", "inference", "POST", "/predictions/answers", {"Content-Type": "application/json"}, b'{"a": 1}'
    )
    suite.request("stream", "inference", "POST", "/predictions/answers", {"X-Do": "pieces"}, b"")
    suite.request("1 MiB", "inference", "POST", "/predictions/answers", {}, b"x" * (1 << 20))
    suite.request("metrics", "metrics", "GET", "/nothing")
    suite.talk("kept", "inference", PING, "GET", PING, "GET")
    suite.talk("pipelined", "inference", PING + PING, "GET", "GET")
    suite.talk("malformed", "inference", b"rubbish\r\n\r\n", "GET")
    suite.talk("no Host", "inference", b"GET /ping HTTP/1.1\r\n\r\n", "GET")
    suite.talk("too large", "inference", b"POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 7000000\r\n\r\n", "POST")


def _handshake(
    side: Side,
    lowest: ssl.TLSVersion = ssl.TLSVersion.MINIMUM_SUPPORTED,
    highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ciphers: str = "DEFAULT:@SECLEVEL=0",
    protocols: Optional[List[str]] = None,
    name: Optional[str] = None,
    api: str = "inference",
) -> Seen:
    """Shake hands; on success tell what was agreed on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version, context.maximum_version = lowest, highest
    context.set_ciphers(ciphers if "SECLEVEL" in ciphers else ciphers + ":@SECLEVEL=0")
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection(side.addresses[api], 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as connection:
                cipher = connection.cipher()
                return {
                    "version": connection.version(),
                    "cipher": cipher[0] if cipher else None,
                    "protocol": connection.selected_alpn_protocol(),
                    "certificates": len(connection.getpeercert(True) or b"") > 0,
                }
        except (ssl.SSLError, OSError):
            return {"version": "refused"}


def _plain(side: Side, api: str, text: bytes) -> Seen:
    """Speak plain text to a TLS listener."""
    with socket.create_connection(side.addresses[api], 10) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(text)
        return side.normal(read_answer(connection.makefile("rb"), "GET"))
