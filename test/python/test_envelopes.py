"""Request envelopes: what the handler gets and the client receives, through real workers and without."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker
from enveloped import ASYNC, B64, HANDLER, MANIFEST, asked, both, context, got
from ts.torch_handler.request_envelope.base import BaseEnvelope
from ts.torch_handler.request_envelope.json import JSONEnvelope
from ts.utils.util import PredictionException


@pytest.fixture
def envelope(request: pytest.FixtureRequest, serve: StartWorker) -> frontend.Worker:
    return serve(HANDLER, manifest=MANIFEST, load={"envelope": request.param})


def of(name: str) -> pytest.MarkDecorator:
    """Return the mark of a test with a worker that has this envelope."""
    return pytest.mark.parametrize("envelope", [name], indirect=True)


def describe(give: str = "[{'described': len(data)}]") -> frontend.Request:
    return frontend.Request("r1", [("describe", "True"), ("give", give)])


FORMS: Dict[str, Any] = {
    "body": {"anything": [1]},
    "json": {"instances": [1, 2]},
    "kserve": {"instances": [1, 2]},
    "kservev2": {"inputs": [{"name": "in", "shape": [1], "datatype": "INT64", "data": [5]}]},
}


def each(argument: str = "envelope") -> pytest.MarkDecorator:
    return pytest.mark.parametrize(argument, list(FORMS), indirect=True)


@each()
def test_PYB_085_a_description_passes_as_it_is(envelope: frontend.Worker) -> None:
    item = envelope.answer(describe())
    assert (got(item), json.loads(item.body)) == ([{}], {"described": 1})


@each()
def test_PYB_081_a_failure_of_the_handler_is_the_batch_s(envelope: frontend.Worker, request: Any) -> None:
    form = FORMS[request.node.callspec.params["envelope"]]
    response = envelope.infer(asked(form, "1 / 0"))
    assert (response.code, response.message) == (503, "Prediction failed")
    assert envelope.infer(asked(form, "[]")).message == "number of batch response mismatched"
    assert envelope.infer(asked(form, "None")).message == "Invalid model predict output"
    assert envelope.answer(asked(form, "[1]")).body


@pytest.mark.parametrize("envelope", ["json", "kserve", "kservev2"], indirect=True)
def test_a_request_in_another_form_is_the_client_s_mistake(envelope: frontend.Worker, request: Any) -> None:
    form = FORMS[request.node.callspec.params["envelope"]]
    (member,) = form
    values: List[Any] = [b"", b"{", b"\xff", {"other": []}, [1], "text", {member: 7} if member == "inputs" else {}]
    for value in values:
        response = envelope.infer(asked(value))
        assert response.code == 400, value
        assert repr(member) in response.message
        # Those with whom it shares a batch are told nothing that is not true of them.
        response = envelope.infer(asked(form), asked(value, at=2))
        assert (response.code, response.message) == (503, "Prediction failed")
    assert envelope.answer(asked(form, "[1]")).body


@of("body")
def test_PYB_081_body(envelope: frontend.Worker) -> None:
    response = envelope.infer(
        asked({"a": 1}, "[{'n': len(data)}, 'x', b'y']"),
        asked(b'{"not": "decoded"}', at=2, content_type=""),
        frontend.Request("r3", [], [("data", "text/plain", b"first"), ("body", "text/plain", b"second")]),
    )
    assert got(response.items[0]) == [{"a": 1}, b'{"not": "decoded"}', "first"]
    assert [item.body for item in response.items] == [b'{\n  "n": 3\n}', b"x", b"y"]


@of("json")
def test_PYB_081_PYB_082_json_of_several_requests(envelope: frontend.Worker) -> None:
    response = envelope.infer(
        asked({"instances": [1, "é"]}),
        asked({"instances": []}, at=2),
        asked({"instances": [{"x": 1.5}]}, at=3),
    )
    assert got(response.items[0]) == [1, "é", {"x": 1.5}]
    assert [item.body.decode() for item in response.items] == [
        '{"predictions": [1, "\\u00e9"]}',
        '{"predictions": []}',
        '{"predictions": [{"x": 1.5}]}',
    ]


@of("json")
def test_PYB_082_bytes_in_json(envelope: frontend.Worker) -> None:
    instances = [{"b64": B64}, {"image": {"b64": B64}, "kept": {"b64": B64, "more": 1}, "n": 1}, 5]
    assert got(envelope.answer(asked({"instances": instances}, "[1] * 3"))) == [
        b"image",
        {"image": b"image", "kept": {"b64": B64, "more": 1}, "n": 1},
        5,
    ]
    # compat(0.12): the first instance decides.
    assert got(envelope.answer(asked({"instances": [5, {"b64": B64}]}))) == [5, {"b64": B64}]
    for wrong in (7, "x", "ł"):
        response = envelope.infer(asked({"instances": [{"b64": wrong}]}))
        assert (response.code, response.message.partition(":")[0]) == (400, "'b64' is not base64")
    assert envelope.infer(asked({"instances": {"a": 1}})).message == "'instances' is no list"


@pytest.mark.parametrize("envelope", ["json", "kserve"], indirect=True)
def test_PYB_085_instances_in_every_place_and_undecoded(envelope: frontend.Worker) -> None:
    text = b'{"instances": [7]}'
    for parameters in (
        [("body", "application/json", text)],
        [("body", "", text)],
        [("body", "text/plain", text)],
        [("data", "", text), ("body", "", b"ignored")],
        [("data", "", b""), ("body", "", text)],
        [("instances", "", b"[7]")],
    ):
        item = envelope.answer(frontend.Request("r1", [], parameters))
        assert json.loads(item.body) == {"predictions": [7]}


def test_PYB_085_nothing_is_decoded_by_the_server(serve: StartWorker) -> None:
    worker = serve(HANDLER, load={"envelope": "json"}, environment={"TS_DECODE_INPUT_REQUEST": "false"})
    assert worker.answer(asked({"instances": [7]})).body == b'{"predictions": [7]}'


@of("json")
def test_PYB_085_no_instances_do_not_concern_the_handler(envelope: frontend.Worker) -> None:
    item = envelope.answer(asked({"instances": []}, "1 / 0"))
    assert (item.headers, item.body) == ([], b'{"predictions": []}')


@of("json")
def test_results_that_cannot_be_shared_out_reach_nobody(envelope: frontend.Worker) -> None:
    requests = [asked({"instances": [1, 2]}, "[1, 2]"), asked({"instances": [3]}, at=2)]
    response = envelope.infer(*requests)
    assert (response.code, response.message) == (503, "Prediction failed")
    envelope.wait_for("the handler has returned 2 results for 3 instances")
    # Alone it is clear whose they are; and what comes after the last, a padded batch has.
    assert envelope.answer(asked({"instances": [1, 2]}, "[1]")).body == b'{"predictions": [1]}'
    assert envelope.answer(asked({"instances": [1, 2]}, "data + [0]")).body == b'{"predictions": [1, 2]}'


@of("kserve")
def test_PYB_081_PYB_083_kserve(envelope: frontend.Worker) -> None:
    item = envelope.answer(asked({"instances": [1, {"b64": B64}]}, "(7, len(data))"))
    assert got(item) == [1, {"b64": B64}]
    assert item.body.decode() == json.dumps({"predictions": [7, 2]}, indent=2)
    explained = frontend.body({"instances": [1]}, explain="True")
    assert json.loads(envelope.answer(explained).body) == {"explanations": [1]}
    explained = frontend.body({"instances": [1]}, explain="False")
    assert json.loads(envelope.answer(explained).body) == {"predictions": [1]}


@of("kserve")
def test_kserve_takes_what_it_took_from_a_request_that_is_alone(envelope: frontend.Worker) -> None:
    for instances, give, expected in (
        ({"a": 1}, "{'b': data}", {"b": {"a": 1}}),
        ("text", "data", "text"),
        ([1, 2], "[9, 9, 9]", [9, 9, 9]),
        ([], "['x']", ["x"]),
        ([], "data", []),
    ):
        assert json.loads(envelope.answer(asked({"instances": instances}, give)).body) == {"predictions": expected}


@of("kserve")
def test_PYB_085_kserve_of_several_requests(envelope: frontend.Worker) -> None:
    requests = [asked({"instances": part}, at=at) for at, part in enumerate(([1, 2], [], [3]))]
    response = envelope.infer(*requests)
    assert got(response.items[0]) == [1, 2, 3]
    assert [json.loads(item.body) for item in response.items] == [
        {"predictions": [1, 2]},
        {"predictions": []},
        {"predictions": [3]},
    ]
    (item, _) = envelope.infer(frontend.body({"instances": [1]}, explain="True"), requests[2]).items
    assert json.loads(item.body) == {"explanations": [1]}
    response = envelope.infer(asked({"instances": {}}), asked({"instances": [1]}, at=2))
    assert (response.code, response.message) == (503, "Prediction failed")
    assert [json.loads(item.body) for item in envelope.infer(*[asked({"instances": []}, at=at) for at in (1, 2)]).items]


@pytest.fixture
def asynchronous(request: pytest.FixtureRequest, make_model: MakeModel, start: StartWorker) -> frontend.Worker:
    worker = start(make_model(ASYNC, manifest=MANIFEST), extra=["--async"])
    assert worker.load("handler.py", envelope=request.param).code == 200, worker.output()
    return worker


@pytest.mark.parametrize("asynchronous", ["json", "kserve"], indirect=True)
def test_batches_that_overlap_keep_their_instances(asynchronous: frontend.Worker) -> None:
    answers = both(asynchronous, {"instances": [1, 2]}, {"instances": [3]})
    assert answers == [{"predictions": [1, 2]}, {"predictions": [3]}]
    response = asynchronous.infer(*[frontend.body({"instances": [at]}, at=at) for at in (1, 2)])
    assert [json.loads(item.body) for item in response.items] == [{"predictions": [1]}, {"predictions": [2]}]
    assert json.loads(asynchronous.answer(frontend.body({"instances": []})).body) == {"predictions": []}
    assert asynchronous.infer(frontend.body({})).code == 400


@pytest.mark.parametrize("asynchronous", list(FORMS), indirect=True)
def test_descriptions_are_awaited(asynchronous: frontend.Worker) -> None:
    assert json.loads(asynchronous.answer(describe("['[1]']")).body) == [1]


# Without a worker.


class Own(BaseEnvelope):
    """An envelope as users write them: it keeps things on itself."""

    batches = 0

    def parse_input(self, data: Any) -> Any:
        self.batches += 1
        self.sizes = [len(row["body"]) for row in data]
        return [row["body"].upper() for row in data]

    def format_output(self, data: Any) -> Any:
        return ["%s of %s in %s" % (each, size, self.batches) for each, size in zip(data, self.sizes)]


def test_an_envelope_of_a_user() -> None:
    own, given = Own(lambda data, _: data), context()
    assert own.handle([{"body": "abc"}], given) == ["ABC of 3 in 1"]
    assert own.handle([{"body": "d"}], given) == ["D of 1 in 2"]
    assert own.context is given
    assert Own(lambda data, _: ["described", data]).handle([{}], context(describe="True")) == ["described", [{}]]
    assert Own(lambda data, _: data).handle([], context()) == []


class Handler:
    """What stands for a coroutine function."""

    async def __call__(self, data: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        return data


def test_an_envelope_of_a_user_with_an_asynchronous_handler() -> None:
    own = Own(Handler())

    async def overlapping() -> List[Any]:
        return await asyncio.gather(*[own.handle([{"body": text}], context()) for text in ("abc", "d")])

    assert asyncio.run(overlapping()) == [["ABC of 3 in 1"], ["D of 1 in 2"]]


def test_no_instances_for_an_asynchronous_handler() -> None:
    envelope = JSONEnvelope(Handler())
    nothing = envelope.handle([{"body": {"instances": []}}], context())
    assert asyncio.run(nothing) == ['{"predictions": []}']


def test_the_mistake_of_a_client_is_an_exception_of_the_handler_s_kind() -> None:
    envelope = JSONEnvelope(lambda *_: [])
    with pytest.raises(PredictionException) as raised:
        envelope.handle([{}], context())
    assert raised.value.error_code == 400


@pytest.mark.parametrize("name", ["base", "nonsense"])
def test_an_envelope_that_is_none(make_model: MakeModel, start: StartWorker, name: str) -> None:
    worker = start(make_model(HANDLER))
    assert worker.load("handler.py", envelope=name).code == 500
    worker.wait_for("abstract class BaseEnvelope" if name == "base" else "request_envelope.nonsense")


@each()
def test_a_large_batch(envelope: frontend.Worker, request: Any) -> None:
    form = FORMS[request.node.callspec.params["envelope"]]
    requests = [asked(form, "[7]" if "inputs" in form else "data", at) for at in range(300)]
    response = envelope.infer(*requests)
    assert response.code == 200, envelope.output()[-2000:]
    assert len({item.body for item in response.items}) == (300 if "inputs" in form else 1)
    assert [item.request_id for item in response.items] == ["r%d" % at for at in range(300)]
