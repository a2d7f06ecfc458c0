"""The archives that the requests of our own use, beside those of rest-diff."""

from __future__ import annotations

import pathlib
from typing import Dict, Optional

from side import tool

ANSWERS = '''
import os
import time


class Answers:
    """Does what the header X-Do says; without it, tells what reached it."""

    def __init__(self):
        self.context = None

    def initialize(self, context):
        self.context = context

    def show(self, value):
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value)
            return {"type": "bytes", "value": value.hex() if len(value) < 100 else len(value)}
        return {"type": type(value).__name__, "value": value}

    def handle(self, data, context):
        headers = {name.lower(): value for name, value in context.get_all_request_header(0).items()}
        do = headers.get("x-do")
        if do:
            return getattr(self, do)(context)
        shown = {name: self.show(value) for name, value in data[0].items()}
        types = {name: value for name, value in headers.items() if isinstance(value, dict)}
        return [{"fields": shown, "types": types, "explain": headers.get("explain"), "path": headers.get("url_path"),
                 "order": list(data[0])}]

    def send(self, context, piece, code=200):
        from ts.handler_utils.utils import send_intermediate_predict_response
        send_intermediate_predict_response([piece], context.request_ids, "said", code, context)

    # --- streams

    def pieces(self, context):
        for number in range(3):
            self.send(context, "piece %d;" % number)
        return ["end"]

    def slow_pieces(self, context):
        for number in range(3):
            self.send(context, "piece %d;" % number)
            time.sleep(0.2)
        return ["end"]

    def endless_pieces(self, context):
        for number in range(8):
            self.send(context, "x" * 100000)
            time.sleep(0.1)
        return ["end"]

    def empty_pieces(self, context):
        for piece in ("", "full;", ""):
            self.send(context, piece)
        return [""]

    def bytes_pieces(self, context):
        self.send(context, b"\\x00\\xff")
        return [b"\\x01"]

    def json_pieces(self, context):
        self.send(context, {"piece": 1})
        return [[1, 2]]

    def big_pieces(self, context):
        self.send(context, "a" * 1000000)
        self.send(context, "b" * 2000000)
        return ["c" * 500000]

    def typed_pieces(self, context):
        context.set_response_content_type(0, "text/event-stream")
        context.set_response_header(0, "X-First", "1")
        self.send(context, "data: 1\\n\\n")
        context.set_response_content_type(0, "text/other")
        context.set_response_header(0, "X-Later", "2")
        context.set_response_status(code=201, phrase="Later", idx=0)
        return ["data: 2\\n\\n"]

    def created_pieces(self, context):
        context.set_response_status(code=201, phrase="Made", idx=0)
        self.send(context, "made;")
        return ["end"]

    def refused_pieces(self, context):
        context.set_response_status(code=404, phrase="Gone", idx=0)
        self.send(context, "no;")
        return ["end"]

    def raise_after(self, context):
        self.send(context, "first;")
        raise ValueError("asked to")

    def predict_exception_after(self, context):
        from ts.utils.util import PredictionException
        self.send(context, "first;")
        raise PredictionException("not found", 404)

    def exit_after(self, context):
        self.send(context, "first;")
        time.sleep(0.2)
        os._exit(3)

    def short_after(self, context):
        self.send(context, "first;")
        return []

    def code_500(self, context):
        self.send(context, "first;", 500)
        return ["end"]

    def own_last(self, context):
        context.set_response_header(0, "ts_stream_next", "false")
        return ["only"]

    def old_import(self, context):
        from ts.protocol.otf_message_handler import send_intermediate_predict_response
        send_intermediate_predict_response(["old;"], context.request_ids, "said", 200, context)
        return ["end"]

    # --- values

    def tuple_of_one(self, context):
        return ("text",)

    def generator(self, context):
        return (text for text in ["text"])

    def dictionary(self, context):
        return {0: "text"}

    def not_a_number(self, context):
        return [float("nan")]

    def truth(self, context):
        return [True]

    def nested(self, context):
        return [{"a": [1, {"b": None}], "\\u00e9": "\\u4e2d"}]

    def unprintable(self, context):
        return [{"a": b"bytes"}]

    def a_set(self, context):
        return [{1, 2}]

    def an_object(self, context):
        return [object()]

    def byte_array(self, context):
        return [bytearray(b"abc")]

    def surrogate(self, context):
        return ["\\udc80"]

    def integer_keys(self, context):
        return [{1: "one", None: "none", True: "true"}]

    def no_answer(self, context):
        return None

    def empty_list(self, context):
        return [[]]

    def empty_object(self, context):
        return [{}]

    # --- heads

    def headers(self, names):
        for name, value in names.items():
            self.context.set_response_header(0, name, value)
        return ["body"]

    def hop_by_hop(self, context):
        return self.headers({"Connection": "close", "Keep-Alive": "timeout=5", "Upgrade": "h2c", "Trailer": "X"})

    def own_length(self, context):
        return self.headers({"Content-Length": "2"})

    def own_coding(self, context):
        return self.headers({"Transfer-Encoding": "chunked"})

    def own_cache(self, context):
        return self.headers({"Cache-Control": "max-age=60", "Pragma": "x", "Expires": "never"})

    def own_id(self, context):
        return self.headers({"x-request-id": "mine"})

    def own_server(self, context):
        return self.headers({"Server": "probe", "Date": "today", "Set-Cookie": "a=b", "Vary": "*", "Location": "/x"})

    def own_encoding(self, context):
        return self.headers({"Content-Encoding": "gzip"})

    def two_spellings(self, context):
        return self.headers({"X-Twice": "1", "x-twice": "1"})

    def latin_value(self, context):
        return self.headers({"X-Latin": "caf\\u00e9"})

    def wide_value(self, context):
        return self.headers({"X-Wide": "\\u4e2d"})

    def empty_value(self, context):
        return self.headers({"X-Empty": ""})

    def padded_value(self, context):
        return self.headers({"X-Padded": "  a  b  "})

    def odd_name(self, context):
        return self.headers({"X Odd": "1"})

    def number_value(self, context):
        return self.headers({"X-Number": 7})

    def long_value(self, context):
        return self.headers({"X-Long": "v" * 20000})

    def cors(self, context):
        return self.headers({"Access-Control-Allow-Origin": "http://handler"})

    def empty_type(self, context):
        context.set_response_content_type(0, "")
        return ["body"]

    def all_status(self, context):
        context.set_all_response_status(202, "Taken")
        return ["body"]

    def set_status(self, code):
        self.context.set_response_status(code=code, phrase="Phrase", idx=0)
        return ["body"]

    def exception(self, message, code):
        from ts.utils.util import PredictionException
        raise PredictionException(message, code)

    def cuda(self, context):
        raise RuntimeError("CUDA is exhausted")

    def system_exit(self, context):
        raise SystemExit(3)

    def keyboard(self, context):
        raise KeyboardInterrupt

    def __getattr__(self, name):
        word, _, code = name.partition("_")
        if word == "status":
            return lambda context: self.set_status(int(code))
        if word == "exception":
            return lambda context: self.exception("asked to", int(code))
        raise AttributeError(name)
'''

DESCRIBED = '''
import json


class Described:
    """Answers a description with what the header X-Describe of the last prediction asked for."""

    def __init__(self):
        self.kind = "object"

    def initialize(self, context):
        pass

    def handle(self, data, context):
        if context.get_request_header(0, "describe") == "True":
            return self.describe(context)
        self.kind = context.get_request_header(0, "X-Describe") or "object"
        return ["set"]

    def describe(self, context):
        if self.kind == "raise":
            raise ValueError("asked to")
        if self.kind == "two":
            return [{}, {}]
        if self.kind == "status":
            context.set_response_status(code=404, phrase="No", idx=0)
            return [{"a": 1}]
        if self.kind == "exception":
            from ts.utils.util import PredictionException
            raise PredictionException("no description", 404)
        if self.kind == "type":
            context.set_response_content_type(0, "text/plain")
            return [{"a": 1}]
        return [{"object": {"a": {"b": [1, 2]}}, "text": "words", "json_text": '{"a": 1}', "json_list": "[1]",
                 "bytes": b'{"a": 1}', "list": [1], "null": None, "number": 3, "empty": "", "broken": '{"a"',
                 "big": {"a": 12345678901234567890, "f": 1.0, "e": 1e300}}[self.kind]]
'''

# Tells what an envelope hands to it: one answer for each element.
ENVELOPED = """
def handle(data, context):
    if data is None:
        return None
    do = context.get_request_header(0, "x-do")
    if do == "raise":
        raise ValueError("asked to")
    if do == "none":
        return []
    if do == "same":
        return data
    if do == "numbers":
        return [1, 2.5, 3][:len(data)]
    if do == "lists":
        return [[1, 2]] * len(data)
    return [repr(bytes(row)) if isinstance(row, (bytes, bytearray)) else repr(row) for row in data]
"""

CONFIGURED = """\
minWorkers: 1
maxWorkers: 3
batchSize: 2
maxBatchDelay: 20
responseTimeout: 33
startupTimeout: 44
deviceType: cpu
parallelType: ""
handler:
  depth: 3
"""


def write(folder: pathlib.Path) -> None:
    """Add the archives to a model store that rest-diff has made."""
    _archive(folder, "answers", ANSWERS)
    _archive(folder, "described", DESCRIBED)
    _archive(folder, "enveloped", ENVELOPED)
    _archive(folder, "withconfig", ANSWERS, {"model-config.yaml": CONFIGURED})
    _archive(folder, "ticket", ANSWERS, {"model-config.yaml": "minWorkers: 1\nmaxWorkers: 1\nuseJobTicket: true\n"})
    _archive(folder, "emptyconfig", ANSWERS, {"model-config.yaml": "handler:\n  depth: 1\n"})


def _archive(folder: pathlib.Path, name: str, handler: str, files: Optional[Dict[str, str]] = None) -> None:
    more = {"model": {"configFile": "model-config.yaml"}} if files else None
    tool.mar(str(folder / (name + ".mar")), name, handler, manifest=more, extra=files)
