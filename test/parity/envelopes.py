"""Predictions of a model behind a request envelope."""

from __future__ import annotations

from suite import Suite

NAMES = ("kserve", "kservev2", "json", "body")
JSON = "application/json"
TENSOR = b'{"id": "i", "inputs": [{"name": "n", "shape": [%s], "datatype": "%s", "data": %s}]}'
BODIES = (
    ("instances", JSON, b'{"instances": [1, "two", {"data": [3]}]}'),
    ("one instance", JSON, b'{"instances": [[1, 2]]}'),
    ("no instances", JSON, b'{"instances": []}'),
    ("base64", JSON, b'{"instances": [{"b64": "YWJj"}, {"b64": "ZGVm"}]}'),
    ("base64 in columns", JSON, b'{"instances": [{"data": {"b64": "YWJj"}, "k": 1}]}'),
    ("data", JSON, b'{"data": [1]}'),
    ("other members", JSON, b'{"instances": [1], "parameters": {"a": 1}}'),
    ("list", JSON, b"[1, 2]"),
    ("string", JSON, b'"s"'),
    ("null", JSON, b"null"),
    ("broken", JSON, b'{"instances": ['),
    ("empty", JSON, b""),
    ("text", "text/plain", b"words"),
    ("JSON without type", "", b'{"instances": [1]}'),
    ("bytes", "application/octet-stream", b"\x00\x01"),
    ("form", "application/x-www-form-urlencoded", b"data=1"),
    (
        "multipart",
        "multipart/form-data; boundary=B",
        b'--B\r\nContent-Disposition: form-data; name="data"\r\n\r\n1\r\n--B--\r\n',
    ),
    ("integers", JSON, TENSOR % (b"2", b"INT64", b"[1, 2]")),
    ("floats", JSON, TENSOR % (b"2, 2", b"FP32", b"[1, 2.5, 3, 4]")),
    ("nested floats", JSON, TENSOR % (b"2, 2", b"FP32", b"[[1, 2], [3, 4]]")),
    ("bools", JSON, TENSOR % (b"2", b"BOOL", b"[true, false]")),
    ("texts", JSON, TENSOR % (b"1", b"BYTES", b'["words"]')),
    ("wrong shape", JSON, TENSOR % (b"3", b"INT64", b"[1, 2]")),
    ("no inputs", JSON, b'{"id": "i", "inputs": []}'),
    ("no id", JSON, b'{"inputs": [{"name": "n", "shape": [1], "datatype": "INT32", "data": [1]}]}'),
    ("blank id", JSON, b'{"id": " ", "inputs": [{"name": "n", "shape": [1], "datatype": "INT32", "data": [1]}]}'),
    (
        "two tensors",
        JSON,
        b'{"inputs": [{"name": "n", "shape": [1], "datatype": "INT32", "data": [1]},'
        b' {"name": "m", "shape": [1], "datatype": "FP64", "data": [2]}]}',
    ),
    ("unknown datatype", JSON, TENSOR % (b"1", b"XYZ", b"[1]")),
    ("tensor without data", JSON, b'{"inputs": [{"name": "n", "shape": [1], "datatype": "INT32"}]}'),
)


def add(suite: Suite) -> None:
    """Add the requests that are sent once for each of NAMES."""
    suite.section("enveloped", "enveloped")
    for name, kind, body in BODIES:
        suite.request(name, "inference", "POST", "/predictions/enveloped", {"Content-Type": kind} if kind else {}, body)
    instances, tensor = b'{"instances": [1, 2]}', TENSOR % (b"2", b"INT64", b"[1, 2]")
    for path in (
        "/v1/models/enveloped:predict",
        "/v1/models/enveloped:explain",
        "/v2/models/enveloped/infer",
        "/v2/models/enveloped/explain",
        "/explanations/enveloped",
        "/invocations?model_name=enveloped",
        "/enveloped/predict",
    ):
        suite.request("instances to " + path, "inference", "POST", path, {"Content-Type": JSON}, instances)
        suite.request("tensor to " + path, "inference", "POST", path, {"Content-Type": JSON}, tensor)
    for do in ("raise", "none", "same", "numbers", "lists"):
        suite.request(
            "instances, handler: " + do,
            "inference",
            "POST",
            "/predictions/enveloped",
            {"Content-Type": JSON, "x-do": do},
            instances,
        )
        suite.request(
            "tensor, handler: " + do,
            "inference",
            "POST",
            "/predictions/enveloped",
            {"Content-Type": JSON, "x-do": do},
            tensor,
        )
    suite.request("description", "management", "GET", "/models/enveloped?customized=true")
