"""What a handler returns or raises, and what the server reads of it. One worker process answers all of it."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any, Iterator, List

import frontend
import pytest
from conftest import StartWorker
from ts import json_text, reply

# The body is Python that the handler runs: an expression that it returns, or a statement.
LAB = """
    import sys
    from ts.utils.util import PredictionException
    from ts.handler_utils.utils import send_intermediate_predict_response
    from ts.protocol import otf_message_handler

    class Odd:
        pass

    class Loud(Exception):
        def __str__(self):
            raise ValueError("no text")

    def handle(data, context):
        if data is None:
            return
        code = data[0]["body"]
        names = {**globals(), "data": data, "context": context}
        if code.startswith("return "):
            return eval(code[len("return "):], names)
        exec(code, names)
        return ["OK"] * len(data)
"""


def run(code: str, at: int = 1) -> frontend.Request:
    return frontend.body(textwrap.dedent(code).encode(), "text/plain", at)


@pytest.fixture
def lab(serve: StartWorker) -> frontend.Worker:
    return serve(LAB)


def items(response: frontend.Response) -> List[Any]:
    return [
        (item.request_id, item.content_type, item.status, item.phrase, item.headers, item.body)
        for item in response.items
    ]


REFUSALS = {
    "PYB-046 WRK-022 exception": ("raise ValueError('x')", 503, "Prediction failed", "Invoking custom service failed."),
    "PYB-046 AssertionError": ("assert False", 503, "Prediction failed", "Invoking custom service failed."),
    "exception without text": ("raise Loud", 503, "Prediction failed", "Invoking custom service failed."),
    "PYB-048 WRK-022 MemoryError": ("raise MemoryError", 507, "Out of resources", "System out of memory"),
    "PYB-048 WRK-022 CUDA": ("raise ValueError('no CUDA here')", 507, "Out of resources", "CUDA out of memory"),
    "other accelerators": ("raise RuntimeError('HIP out of memory')", 507, "Out of resources", "CUDA out of memory"),
    "WRK-023 PredictionException": ("raise PredictionException('x', 404)", 404, "x", "Prediction error"),
    "default code": ("raise PredictionException('x')", 500, "x", "Prediction error"),
    "PYB-050 code is text": ("raise PredictionException('x', '418')", 418, "x", "Prediction error"),
    "PYB-050 code is nonsense": ("raise PredictionException('x', 'teapot')", 500, "x", "Prediction error"),
    "PYB-050 code is None": ("raise PredictionException('x', None)", 500, "x", "Prediction error"),
    "PYB-050 code is negative": ("raise PredictionException('x', -1)", 500, "x", "Prediction error"),
    "PYB-050 code is huge": ("raise PredictionException('x', 1 << 40)", 500, "x", "Prediction error"),
    "code means success": ("raise PredictionException('x', 200)", 500, "x", "Prediction error"),
    "code means no failure": ("raise PredictionException('x', 304)", 500, "x", "Prediction error"),
    "code that HTTP does not know": ("raise PredictionException('x', 999)", 500, "x", "Prediction error"),
    "PYB-050 message is no text": ("raise PredictionException(7, 400)", 400, "7", "Prediction error"),
    "PYB-050 message with a surrogate": ("raise PredictionException('\\ud800', 400)", 400, "?", "Prediction error"),
    "PYB-043 WRK-024 tuple": (
        "return ('x', 'y')",
        503,
        "Invalid model predict output",
        "model: m, Invalid return type: <class 'tuple'>.",
    ),
    "PYB-043 WRK-024 dict": ("return {}", 503, "Invalid model predict output", "Invalid return type: <class 'dict'>."),
    "PYB-043 WRK-024 str": ("return 'xy'", 503, "Invalid model predict output", "Invalid return type: <class 'str'>."),
    "PYB-043 WRK-024 None": (
        "return None",
        503,
        "Invalid model predict output",
        "Invalid return type: <class 'NoneType'>.",
    ),
    "PYB-044 WRK-024 too few": (
        "return ['x']",
        503,
        "number of batch response mismatched",
        "model: m, number of batch response mismatched, expect: 2, got: 1.",
    ),
    "PYB-044 WRK-024 too many": ("return ['x'] * 3", 503, "number of batch response mismatched", "expect: 2, got: 3."),
    "PYB-045 object": (
        "return ['x', Odd()]",
        503,
        "Unsupported model output data type.",
        "Unable to serialize model output.",
    ),
    "PYB-045 set": (
        "return [{1}, 'x']",
        503,
        "Unsupported model output data type.",
        "Unable to serialize model output.",
    ),
    "PYB-045 tuple keys": (
        "return [{(1, 2): 3}, 'x']",
        503,
        "Unsupported model output data type.",
        "Unable to serialize model output.",
    ),
    "PYB-050 lone surrogate": (
        "return ['\\ud800', 'x']",
        503,
        "Unsupported model output data type.",
        "Unable to serialize model output.",
    ),
    "PYB-050 criterion raises": (
        "context.stopping_criteria = [lambda each: 1 / 0] * 2",
        503,
        "Prediction failed",
        "ZeroDivisionError",
    ),
    "PYB-050 criteria too short": (
        "context.stopping_criteria = [lambda each: None]",
        503,
        "Prediction failed",
        "IndexError",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(lab: frontend.Worker, name: str) -> None:
    code, status, message, logged = REFUSALS[name]
    response = lab.infer(run(code, 1), run("", 2))
    assert (response.code, response.message) == (status, message)
    assert items(response) == [("r%d" % at, "", status, "", [], b"error") for at in (1, 2)]
    lab.wait_for(logged)
    assert (lab.infer(run("context.stopping_criteria = None")).code, lab.process.poll()) == (200, None)
    # The traceback is that of the error and of nothing else.
    assert not re.search("During handling of|direct cause of", lab.output())


def test_WRK_025_the_refusal_is_that_of_the_reference(lab: frontend.Worker) -> None:
    raw = lab.infer(run("return [Odd()]")).raw
    assert raw.hex() == next(
        json.loads(path.read_text())["hex"] for path in (frontend.ROOT / "test" / "vectors").glob("R9.json")
    )


@pytest.mark.parametrize(
    "code",
    [
        "x = []; x.append(x); result = x",
        "x = {}; x['x'] = x; result = x",
        "x = []\nfor _ in range(100000): x = [x]\nresult = x",
    ],
    ids=["PYB-050 circular list", "PYB-050 circular dict", "endless nesting"],
)
def test_results_without_end(lab: frontend.Worker, code: str) -> None:
    response = lab.infer(run("%s\nsys.modules['__main__'].kept = result" % code))
    assert response.code == 200
    response = lab.infer(run("return [sys.modules['__main__'].kept]"))
    assert (response.code, response.message) == (503, "Unsupported model output data type.")
    assert lab.infer(run("")).code == 200


@pytest.mark.parametrize("statement", ["sys.exit(4)", "raise KeyboardInterrupt", "raise BaseException"])
def test_what_is_no_exception_ends_the_worker(lab: frontend.Worker, statement: str) -> None:
    assert lab.peer is not None
    lab.peer.socket.sendall(frontend.infer_command(run(statement), run("", 2)))
    assert lab.peer.ended()  # without an answer, after which the server would think that the worker is free
    assert lab.exit_status() != 0


BODIES = [
    ("b'\\x00\\xff'", b"\x00\xff"),
    ("bytearray(b'\\x01')", b"\x01"),
    ("'zażółć'", "zażółć".encode()),
    ("''", b""),
    ("None", b"null"),
    ("True", b"true"),
    ("3", b"3"),
    ("1.5", b"1.5"),
    ("float('nan')", b"NaN"),
    ("['\\u00e9']", b'[\n  "\\u00e9"\n]'),
    ("(1, 2)", b"[\n  1,\n  2\n]"),
    ("{'k': None}", b'{\n  "k": null\n}'),
    ("{}", b"{}"),
    ("[]", b"[]"),
]


@pytest.mark.parametrize(("expression", "expected"), BODIES)
def test_PYB_040_WRK_026_bodies(lab: frontend.Worker, expression: str, expected: bytes) -> None:
    item = lab.answer(run("return [%s]" % expression))
    assert (item.body, item.content_type, item.headers, item.status, item.phrase) == (expected, "", [], 200, "")


class Text(str):
    pass


JSON: List[Any] = [
    [1, [2, [3.5, None], {}], []],
    {"a": {"b": [1, 2, {"c": "d, e: [f]"}], "": ()}, 'é"\n': True},
    {1: 2, None: [3], False: {4.5: 6}, "x": {}},
    [[0.1, 1e300, float("inf"), -float("inf")], (1, (2,)), "\ud83d\ude00"],
    [{"box": [1, 2, 3, 4], "score": 0.5}] * 3,
    [Text("sub"), {Text("key"): Text("value")}],
    [[[[[[[[]]]]]]]],
    [0] * 1000,
    {"deep": json.loads("[" * 80 + "1" + "]" * 80)},
    [[True, False], [None, 10**30]],
]


@pytest.mark.parametrize("value", JSON, ids=range(len(JSON)))
def test_PYB_041_json_is_that_of_the_standard_library(value: Any) -> None:
    assert reply.body(value) == json.dumps(value, indent=2).encode()


@pytest.mark.parametrize("value", [[object()], {"a": [{1}]}, {(1,): [2]}, [[b"x"]]])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        json_text.encode(value)


def test_WRK_021_items_are_those_of_the_reference(lab: frontend.Worker) -> None:
    code = "return (%s) and [b'\\1\\2', {'a': 1}]" % ", ".join(
        [
            "context.set_response_content_type(0, 'text/plain')",
            "context.set_response_status(404, 'Nope', 1)",
            "context.set_response_header(1, 'x-k', 'v')",
        ]
    )
    raw = lab.infer(run(code, 1), run("", 2)).raw
    assert raw.hex() == json.loads((frontend.ROOT / "test" / "vectors" / "R4.json").read_text())["hex"]


def test_what_was_set_is_gone_with_the_batch(lab: frontend.Worker) -> None:
    item = lab.answer(run("context.set_response_header(0, 'a', 'b'); context.set_response_content_type(0, 'c/d')"))
    assert (item.content_type, item.headers) == ("c/d", [("a", "b"), ("content-type", "c/d")])
    assert items(lab.infer(run(""))) == [("r1", "", 200, "", [], b"OK")]


def test_PYB_055_status(lab: frontend.Worker) -> None:
    code = """
        assert context.get_response_status(0) == (200, None)
        context.set_all_response_status(202, "Later")
        context.set_response_status(404, idx=1)
        assert context.get_response_status(0) == (202, "Later")
        assert context.get_response_status(1) == (404, "")
    """
    response = lab.infer(run(code, 1), run("", 2))
    assert response.code == 200, lab.output()
    assert [(item.status, item.phrase, item.body) for item in response.items] == [
        (202, "Later", b"OK"),
        (404, "", b"OK"),
    ]


@pytest.mark.parametrize(
    ("statement", "status", "phrase", "headers"),
    [
        ("context.set_response_header(0, 'n', 1)", 200, "", [("n", "1")]),
        ("context.set_response_header(0, 2, None)", 200, "", [("2", "None")]),
        ("context.set_response_header(0, 'a', 'b\\r\\nc')", 200, "", [("a", "b  c")]),
        ("context.set_response_header(0, 'ł', '\\ud800')", 200, "", [("ł", "?")]),
        ("context.set_response_status('404', 'x\\ny')", 404, "x y", []),
        ("context.set_response_status(1 << 40, 5)", 500, "5", []),
    ],
)
def test_WRK_028_PYB_050_odd_values_are_made_to_fit(
    lab: frontend.Worker, statement: str, status: int, phrase: str, headers: Any
) -> None:
    item = lab.answer(run(statement))
    assert (item.status, item.phrase, item.headers) == (status, phrase, headers)


def test_WRK_027_PYB_054_lengths_are_in_bytes(lab: frontend.Worker) -> None:
    item = lab.answer(run("context.set_response_content_type(0, 'ł'); context.set_response_status(200, 'żó')"))
    assert (item.content_type, item.phrase, item.headers) == ("ł", "żó", [("content-type", "ł")])


def test_large_results_arrive_whole(lab: frontend.Worker) -> None:
    response = lab.infer(*[run("return ['x' * 300000] * len(data)", at) for at in range(9)])
    assert [item.body for item in response.items] == [b"x" * 300000] * 9
    response = lab.infer(*[run("return ['x' * 100] * len(data)", at) for at in range(2000)])
    assert [item.body for item in response.items] == [b"x" * 100] * 2000


STREAM = """
for part in ("A", "B", "C"):
    {send}([part] * len(data), context.request_ids, "Result", 200, context)
"""


def stream(worker: frontend.Worker, *requests: frontend.Request) -> Iterator[frontend.Response]:
    """Yield the responses to one batch, up to the one that is followed by no other."""
    response = worker.infer(*requests)
    yield response
    while any(("ts_stream_next", "true") in item.headers for item in response.items):
        assert worker.peer is not None
        response = worker.peer.response()
        yield response


@pytest.mark.parametrize(
    "send", ["send_intermediate_predict_response", "otf_message_handler.send_intermediate_predict_response"]
)
def test_WRK_035_pieces_come_in_order(lab: frontend.Worker, send: str) -> None:
    responses = list(stream(lab, run(STREAM.format(send=send)), run("", 2)))
    assert [each.message for each in responses] == ["Result"] * 3 + ["Prediction success"]
    for response, part, following in zip(responses, (b"A", b"B", b"C", b"OK"), ["true"] * 3 + ["false"]):
        assert items(response) == [("r%d" % at, "", 200, "", [("ts_stream_next", following)], part) for at in (1, 2)]
    assert items(lab.infer(run(""))) == [("r1", "", 200, "", [], b"OK")]


def test_WRK_035_bytes_of_the_reference(lab: frontend.Worker) -> None:
    code = "send_intermediate_predict_response(['A'], context.request_ids, 'Result', 200, context)"
    raw = [each.raw.hex() for each in stream(lab, run("return %s or ['B']" % code))]
    vectors = frontend.ROOT / "test" / "vectors"
    assert raw == [json.loads((vectors / name).read_text())["hex"] for name in ("R6.json", "R7.json")]


def test_an_exception_after_the_first_piece_refuses_the_batch(lab: frontend.Worker) -> None:
    first, last = stream(
        lab,
        run(
            STREAM.format(send="send_intermediate_predict_response")
            .replace("\nfor", "\nimport itertools\nfor")
            .replace('"A", "B", "C"', '"A",')
            + "raise ValueError"
        ),
    )
    assert (first.code, last.code, last.message) == (200, 503, "Prediction failed")


def test_WRK_036_stopping_criteria(lab: frontend.Worker) -> None:
    criteria = "context.stopping_criteria = [lambda e: None, lambda e: True, lambda e: False, lambda e: e == 'OK']"
    response = lab.infer(run(criteria), *[run("", at) for at in (2, 3, 4)])
    assert [item.headers for item in response.items] == [
        [],
        [("ts_stream_next", "false")],
        [("ts_stream_next", "true")],
        [("ts_stream_next", "false")],
    ]
    # The list stays on the context, as 0.12 keeps it.
    assert lab.infer(run("return ['OK']")).items[0].headers == []


def test_WRK_036_bytes_of_the_reference(lab: frontend.Worker) -> None:
    code = "return setattr(context, 'stopping_criteria', [lambda e: False, lambda e: None]) or ['A', 'B']"
    raw = lab.infer(run(code), run("", 2)).raw.hex()
    assert raw == json.loads((frontend.ROOT / "test" / "vectors" / "R8.json").read_text())["hex"]


def test_PYB_094_an_async_handle_is_awaited(serve: StartWorker) -> None:
    worker = serve(
        """
        import asyncio

        async def handle(data, context):
            await asyncio.sleep(0)
            if data is None:
                context.loaded = True
            else:
                return [str(context.loaded)]
        """
    )
    assert worker.answer(frontend.body(b"")).body == b"True"


def test_a_tensor_is_saved_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    torch: Any = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    torch.save = lambda tensor, file: file.write(b"saved")
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert reply.body(torch.Tensor()) == b"saved"
    assert reply.body([1]) == b"[\n  1\n]"


def test_PYB_049_the_class_of_torch_tells_that_memory_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    torch: Any = types.ModuleType("torch")
    torch.OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert reply.refusal(torch.OutOfMemoryError("full")) == (507, "Out of resources")
    assert reply.refusal(RuntimeError("full")) == (503, "Prediction failed")
