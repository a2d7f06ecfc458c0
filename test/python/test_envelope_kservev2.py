"""The envelope kservev2: tensors in JSON, through real workers and without."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker
from enveloped import ASYNC, B64, HANDLER, MANIFEST, asked, both, context, got
from ts.torch_handler.request_envelope.kservev2 import KServev2Envelope


@pytest.fixture
def envelope(serve: StartWorker) -> frontend.Worker:
    return serve(HANDLER, manifest=MANIFEST, load={"envelope": "kservev2"})


def tensor(data: Any, shape: Any, datatype: str = "INT64", name: str = "in", **more: Any) -> Dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def inputs(*tensors: Dict[str, Any], give: str = "[1]", at: int = 1, **more: Any) -> frontend.Request:
    return asked({"inputs": list(tensors), **more}, give, at)


SHAPES = [
    ([1, 2, 3, 4], [2, 2], [[1, 2], [3, 4]]),
    ([1, 2, 3, 4], [-1, 2], [[1, 2], [3, 4]]),
    ([[1, 2], [3, 4]], [4], [1, 2, 3, 4]),
    (list(range(8)), [2, 2, 2], [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
    ([1, 2], 2, [1, 2]),
    ([1], [], 1),
    ([], [0], []),
    ([], [0, 3], []),
    ([], [3, 0], []),
    ([1, 2.5], [1, 2], [[1.0, 2.5]]),
]


def test_PYB_081_inputs_of_kservev2_have_their_shape(envelope: frontend.Worker) -> None:
    for data, shape, expected in SHAPES:
        (value,) = got(envelope.answer(inputs(tensor(data, shape))))
        assert value == tensor(expected, shape), (data, shape)
    assert type(value["data"][0][0]) is float
    (value,) = got(envelope.answer(inputs(tensor([B64, "second"], [2], "BYTES", parameters={"a": 1}))))
    assert value == tensor(B64, [2], "BYTES", parameters={"a": 1})


def test_inputs_of_kservev2_that_make_no_sense(envelope: frontend.Worker) -> None:
    for odd in (
        tensor([1, 2], [3]),
        tensor([1, 2], [-2, -1]),
        tensor([1, 2], [-1, -1]),
        tensor([1, 2, 3], [-1, 2]),
        tensor([1], ["1"]),
        tensor([1], None),
        tensor([], [], "BYTES"),
        tensor([], [0, -1]),
        {"name": "in", "shape": [1], "data": [1]},
        {"shape": [1], "datatype": "INT64", "data": [1]},
        {"name": "in", "datatype": "INT64", "data": [1]},
    ):
        response = envelope.infer(inputs(odd))
        assert response.code == 400, odd
        assert response.message.startswith("an input needs name, shape, datatype and data of a length that fits: ")
    assert envelope.infer(inputs(tensor([1], [1]), give="[1, 2]")).message == "Prediction failed"


def test_PYB_081_PYB_084_outputs_of_kservev2(envelope: frontend.Worker) -> None:
    give = "[[[1, 2], [3, 4]], 'text']"
    item = envelope.answer(inputs(tensor([1], [1]), tensor([2], [1], name="second"), give=give, id="mine"))
    expected = {
        "id": "mine",
        "model_name": "named",
        "model_version": "2.0",
        "outputs": [
            {"name": "in", "datatype": "INT64", "data": [1, 2, 3, 4], "shape": [4]},
            {"name": "second", "datatype": "BYTES", "data": ["text"], "shape": [1]},
        ],
    }
    assert item.body.decode() == json.dumps(expected, indent=2)
    for more in ({}, {"id": ""}, {"id": " "}, {"id": None}):
        answer = json.loads(envelope.answer(inputs(tensor([1], [1]), at=9, **more)).body)
        assert (answer["id"], answer["outputs"][0]["name"]) == ("r9", "in")
    numbered = inputs(tensor([1], [1]), give="[context.input_request_id]", id=5)
    assert json.loads(envelope.answer(numbered).body)["id"] == 5
    names = json.loads(envelope.answer(inputs(tensor([1], [1]), give="[context.input_names]")).body)
    assert names["outputs"][0]["data"] == ["in"]


TYPES: List[Any] = [
    ("1", "INT64", [1]),
    ("True", "BOOL", [True]),
    ("1.5", "FP64", [1.5]),
    ("'text'", "BYTES", ["text"]),
    ("None", "BYTES", [None]),
    ("{'a': 1}", "BYTES", [{"a": 1}]),
    ("[]", "FP64", []),
    ("[1, 2.5]", "FP64", [1.0, 2.5]),
    ("[True, 1]", "INT64", [1, 1]),
    ("[True, 2.5]", "FP64", [1.0, 2.5]),
    ("['a', 1]", "BYTES", ["a", "1"]),
    ("['a', None, 1]", "BYTES", ["a", None, 1]),
    ("[{'a': 1}, [2]]", "BYTES", [{"a": 1}, 2]),
    ("[[1], [2.5]]", "FP64", [1.0, 2.5]),
    ("[[1], []]", "INT64", [1]),
    ("(1, 2)", "INT64", [1, 2]),
    ("2**63", "UINT64", [2**63]),
    ("[2**63, -1]", "FP64", [2**63, -1]),
    ("2**70", "BYTES", [2**70]),
]


def test_PYB_081_datatypes_of_kservev2(envelope: frontend.Worker) -> None:
    for give, datatype, data in TYPES:
        (output,) = json.loads(envelope.answer(inputs(tensor([1], [1]), give="[%s]" % give)).body)["outputs"]
        assert output == {"name": "in", "datatype": datatype, "data": data, "shape": [len(data)]}, give
        assert list(map(type, output["data"])) == list(map(type, data)), give
    for give in ("b'x'", "bytearray()", "1j", "['a', b'x']"):
        assert envelope.infer(inputs(tensor([1], [1]), give="[%s]" % give)).message == "Prediction failed"


ARRAYS = """
    class Dtype:
        def __init__(self, name):
            self.name = name

    class TorchDtype:
        def __init__(self, name):
            self.text = "torch." + name

        def __str__(self):
            return self.text

    class Array:
        def __init__(self, dtype, value):
            self.dtype, self.value = dtype, value

        def tolist(self):
            return self.value
"""


def test_PYB_081_arrays_and_tensors_keep_their_type(serve: StartWorker) -> None:
    worker = serve(HANDLER + ARRAYS, manifest=MANIFEST, load={"envelope": "kservev2"})
    for give, datatype, data in (
        ("Array(Dtype('float32'), [[1.0, 2.0], [3.0, 4.0]])", "FP32", [1.0, 2.0, 3.0, 4.0]),
        ("Array(TorchDtype('bfloat16'), 1.5)", "BF16", [1.5]),
        ("Array(Dtype('uint8'), [])", "UINT8", []),
        ("Array(Dtype('bool'), [[[True]]])", "BOOL", [True]),
        ("Array(Dtype('str32'), ['a'])", "BYTES", ["a"]),
        ("[Array(Dtype('int8'), [1]), Array(Dtype('int8'), [2])]", "INT8", [1, 2]),
        ("[Array(Dtype('float32'), 1.5), 2]", "FP64", [1.5, 2.0]),
    ):
        (output,) = json.loads(worker.answer(inputs(tensor([1], [1]), give="[%s]" % give)).body)["outputs"]
        assert output == {"name": "in", "datatype": datatype, "data": data, "shape": [len(data)]}, give
    response = worker.infer(inputs(tensor([1], [1]), give="[Array(Dtype('complex64'), [])]"))
    assert response.message == "Prediction failed"
    worker.wait_for("no datatype for results of type complex64")


def test_PYB_085_each_request_to_kservev2_is_answered_as_if_alone(envelope: frontend.Worker) -> None:
    give = "context.set_response_status(201 + data[0]['data']) or [[len(data), len(context.request_ids)]]"
    pair = [tensor([1], [], name="a"), tensor([2], [], name="b")]
    response = envelope.infer(
        inputs(*pair, give=give, id="first"), inputs(tensor([2], [], name="c"), give=give, at=2), inputs(*pair, at=3)
    )
    assert [item.status for item in response.items] == [202, 203, 200]
    assert [got(item)[0]["name"] for item in response.items] == ["a", "c", "a"]
    answers = [json.loads(item.body) for item in response.items]
    assert [each["id"] for each in answers] == ["first", "r2", "r3"]
    assert [each["outputs"][0]["data"] for each in answers] == [[2, 1], [1, 1], [1]]
    assert [each["outputs"][0]["name"] for each in answers] == ["a", "c", "a"]
    # A request without a result is the batch's failure, and the context is that of the batch again.
    response = envelope.infer(inputs(*pair), inputs(*pair, give="[]", at=2))
    assert response.message == "number of batch response mismatched"
    assert [item.request_id for item in response.items] == ["r1", "r2"]
    assert envelope.infer(inputs(*pair), inputs(*pair, give="1 / 0", at=2)).message == "Prediction failed"


def test_batches_that_overlap_keep_their_names(make_model: MakeModel, start: StartWorker) -> None:
    asynchronous = start(make_model(ASYNC, manifest=MANIFEST), extra=["--async"])
    assert asynchronous.load("handler.py", envelope="kservev2").code == 200, asynchronous.output()
    first, second = ({"inputs": [tensor([1], [1], name=name)], "id": name} for name in ("a", "b"))
    answers = both(asynchronous, first, second)
    assert [(each["id"], each["outputs"][0]["name"]) for each in answers] == [("a", "a"), ("b", "b")]
    response = asynchronous.infer(frontend.body(first, at=1), frontend.body(second, at=2))
    assert [json.loads(item.body)["id"] for item in response.items] == ["a", "b"]
    response = asynchronous.infer(frontend.body(first, at=1), frontend.body({}, at=2))
    assert (response.code, response.message) == (503, "Prediction failed")
    response = asynchronous.infer(frontend.body(first, at=1, give="[]"), frontend.body(second, at=2))
    assert response.message == "number of batch response mismatched"


def test_a_manifest_that_says_nothing() -> None:
    envelope = KServev2Envelope(lambda *_: [1])
    (answer,) = envelope.handle([{"body": {"inputs": [tensor([1], [1])]}}], context())
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("r0", None, None)
