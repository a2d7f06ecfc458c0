"""The handlers of large language models in a real async worker; fake packages stand for their engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Callable, Dict, List

import engines
import frontend
import pytest
from conftest import MakeModel, StartWorker

ServeEngine = Callable[..., frontend.Worker]

COMPLETION = {"model": "tiny", "prompt": "a b c"}
OPTIONS = {"model": "tiny", "max_num_seqs": 4}


def manifest(handler: str) -> Dict[str, Any]:
    return {"model": {"modelName": "m", "handler": handler, "configFile": "model-config.yaml"}}


@pytest.fixture
def start_engine(make_model: MakeModel, start: StartWorker) -> ServeEngine:
    """Start an async worker with the files of an engine and a handler section; it has not loaded the model."""

    def start_worker(handler: str, files: engines.Files, section: Any) -> frontend.Worker:
        config = json.dumps({"handler": section})
        model = make_model(files={**files, "model-config.yaml": config}, manifest=manifest(handler))
        return start(model, extra=["--async"])

    return start_worker


@pytest.fixture
def serve_vllm(start_engine: ServeEngine) -> ServeEngine:
    """Start a worker with vLLM and load its handler."""

    def serve(files: engines.Files = engines.CURRENT, **section: Any) -> frontend.Worker:
        worker = start_engine("vllm_handler", files, {"vllm_engine_config": OPTIONS, **section})
        assert worker.load("vllm_handler").code == 200, worker.output()
        return worker

    return serve


@pytest.fixture
def serve_trt(start_engine: ServeEngine) -> ServeEngine:
    """Start a worker with TensorRT-LLM and load its handler."""

    def serve(files: engines.Files = engines.TRT_CURRENT, **section: Any) -> frontend.Worker:
        section = {"tokenizer_dir": "hub/id", "engine_dir": "m-engine", **section}
        worker = start_engine("trt_llm_handler", {**files, "m-engine/config.json": ""}, section)
        assert worker.load("trt_llm_handler").code == 200, worker.output()
        return worker

    return serve


def request(path: str, value: Any = COMPLETION, at: int = 1) -> frontend.Request:
    return frontend.body(value, at=at, url_path=path)


def frames(worker: frontend.Worker, *requests: frontend.Request) -> List[frontend.Item]:
    """Return what comes for one request, up to its last frame."""
    assert worker.peer is not None
    worker.peer.socket.sendall(frontend.infer_command(*requests))
    items: List[frontend.Item] = []
    while not items or ("ts_stream_next", "true") in items[-1].headers:
        response = worker.peer.response()
        assert response.code == 200, worker.output()
        items += response.items
    return items


@pytest.mark.parametrize("files", [engines.PINNED, engines.LATER, engines.CURRENT], ids=["0.6.1", "0.6.2", "0.33"])
def test_LLM_043_versions_of_vllm(serve_vllm: ServeEngine, files: engines.Files) -> None:
    worker = serve_vllm(files)
    answer = worker.answer(request("v1/completions"))
    assert json.loads(answer.body) == {"model": "tiny", "choices": [{"text": "a b c", "logprobs": None}]}
    assert worker.wait_for("engine: ").startswith("engine: spawn, AsyncEngineArgs(model='tiny', ")


def test_LLM_035_LLM_040_endpoints(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm(chat_template="{{ template }}")
    models = worker.answer(frontend.Request(headers=[("url_path", "v1/models")], parameters=[("body", "", b"")]))
    assert json.loads(models.body) == {"object": "list", "data": [{"id": "tiny"}]}
    chat = worker.answer(request("v1/chat/completions", {"model": "tiny", "messages": [{"content": "hi you"}]}))
    choice = {"message": {"role": "assistant", "content": "hi you"}, "template": "{{ template }}"}
    assert chat.body.decode() == json.dumps({"model": "tiny", "choices": [choice]}, indent=2)
    completion = worker.answer(request("v1/completions"))
    assert b'"logprobs": null' in completion.body
    assert [each.content_type for each in (models, chat, completion)] == ["application/json"] * 3


def test_LLM_038_LLM_040_a_stream(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    items = frames(worker, request("v1/completions", {**COMPLETION, "stream": True}))
    assert [item.body for item in items] == [
        b'data: {"text": "a"}\n\n',
        b'data: {"text": "b"}\n\n',
        b'data: {"text": "c"}\n\n',
        b"data: [DONE]\n\n",
    ]
    assert {item.content_type for item in items} == {"text/event-stream"}
    assert [dict(item.headers)["ts_stream_next"] for item in items] == ["true", "true", "true", "false"]


def test_LLM_010_PYB_091_requests_overlap_and_pieces_do_not_wait(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    peer = worker.peer
    assert peer is not None
    waits = request("v1/completions", {"model": "tiny", "prompt": "!wait x", "stream": True}, at=1)
    peer.socket.sendall(frontend.infer_command(waits))
    (first,) = peer.response().items
    assert (first.request_id, first.body) == ("r1", b'data: {"text": "!wait"}\n\n')
    # The first cannot go on before the second is at work.
    opens = request("v1/completions", {"model": "tiny", "prompt": "!open x"}, at=2)
    peer.socket.sendall(frontend.infer_command(opens))
    bodies: Dict[str, List[bytes]] = {"r1": [], "r2": []}
    for item in (peer.response().items[0] for _ in range(3)):
        bodies[item.request_id].append(item.body)
    assert bodies["r1"] == [b'data: {"text": "x"}\n\n', b"data: [DONE]\n\n"]
    assert json.loads(bodies["r2"][0])["choices"][0]["text"] == "!open x"


@pytest.mark.parametrize("path", ["", "v1/embeddings", "v1/completions/"])
def test_LLM_037_an_unknown_path(serve_vllm: ServeEngine, path: str) -> None:
    response = serve_vllm().infer(request(path))
    assert (response.code, response.message) == (404, "Unknown API endpoint: " + path)


def test_LLM_037_without_a_path_the_request_may_name_one(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    body = ("data", "", json.dumps(COMPLETION).encode())
    response = worker.infer(frontend.Request(parameters=[body]))
    assert (response.code, response.message) == (404, "Unknown API endpoint: None")
    answer = worker.answer(frontend.Request(parameters=[body, ("url_path", "", b"v1/completions")]))
    assert json.loads(answer.body)["choices"][0]["text"] == "a b c"


@pytest.mark.parametrize(
    ("value", "status", "kind"),
    [
        ({"model": "huge", "prompt": "a"}, 404, "NotFoundError"),
        ({"model": "tiny"}, 400, "BadRequestError"),
        (b"no json", 400, "BadRequestError"),
        (b"", 400, "BadRequestError"),
    ],
)
def test_LLM_039_refusals_of_the_engine(serve_vllm: ServeEngine, value: Any, status: int, kind: str) -> None:
    worker = serve_vllm()
    answer = worker.answer(request("v1/completions", value))
    error = json.loads(answer.body)
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert (error["object"], error["type"], error["code"]) == ("error", kind, status)
    assert worker.answer(request("v1/completions")).status == 200


def test_LLM_039_failures_of_the_engine(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    response = worker.infer(request("v1/completions", {"model": "tiny", "prompt": "!fail"}))
    assert (response.code, response.message) == (507, "Out of resources")
    piece = worker.infer(request("v1/completions", {"model": "tiny", "prompt": "!break", "stream": True}))
    assert piece.items[0].body == b'data: {"text": "!break"}\n\n'
    assert worker.peer is not None
    end = worker.peer.response()
    assert (end.code, end.message) == (503, "Prediction failed")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream"])
def test_undecoded_json_is_understood(serve_vllm: ServeEngine, kind: str) -> None:
    raw = json.dumps(COMPLETION).encode()
    asked = frontend.Request(headers=[("url_path", "v1/completions")], parameters=[("data", kind, raw)])
    assert json.loads(serve_vllm().answer(asked).body)["choices"][0]["text"] == "a b c"


def test_LLM_041_adapters_and_served_names(serve_vllm: ServeEngine) -> None:
    options = {**OPTIONS, "served_model_name": ["first", "second"], "enable_lora": True}
    worker = serve_vllm(vllm_engine_config=options, adapters={"poet": "adapters/poet"})
    models = json.loads(worker.answer(request("v1/models")).body)
    assert [each["id"] for each in models["data"]] == ["first", "second", "poet"]
    answer = json.loads(worker.answer(request("v1/completions", {"model": "poet", "prompt": "a"})).body)
    assert (answer["model"], answer["choices"][0]["adapter"]) == ("first", "adapters/poet")
    assert worker.answer(request("v1/completions", COMPLETION)).status == 404
    described = worker.answer(frontend.Request(headers=[("describe", "True")]))
    expected = {"engine": "vllm", "served_models": ["first", "second"], "adapters": ["poet"]}
    assert json.loads(described.body) == expected


def test_LLM_042_the_model_of_the_directory(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm({**engines.CURRENT, "weights/config.json": ""}, vllm_engine_config={}, model_path="weights")
    path = str(worker.model / "weights")
    assert "AsyncEngineArgs(model=%r, " % path in worker.wait_for("engine: ")
    models = json.loads(worker.answer(request("v1/models")).body)
    assert [each["id"] for each in models["data"]] == [path, "weights"]


def test_LLM_042_a_model_that_is_not_in_the_directory(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm(vllm_engine_config={}, model_path="org/model")
    models = json.loads(worker.answer(request("v1/models")).body)
    assert [each["id"] for each in models["data"]] == ["org/model"]


def test_LLM_042_the_model_of_the_engine_options_comes_first(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm({**engines.CURRENT, "weights/config.json": ""}, model_path="weights")
    assert "AsyncEngineArgs(model='tiny', " in worker.wait_for("engine: ")


@pytest.mark.parametrize("section", [{}, {"vllm_engine_config": {"max_num_seqs": 4}}, None])
def test_LLM_042_no_model(start_engine: ServeEngine, section: Any) -> None:
    worker = start_engine("vllm_handler", engines.CURRENT, section)
    assert worker.load("vllm_handler").code == 500
    worker.wait_for("AssertionError: please define model in vllm_engine_config or model_path in handler")


def test_options_that_vllm_does_not_have(serve_vllm: ServeEngine) -> None:
    options = {**OPTIONS, "max_num_sequences": 1, "response_role": "poet"}
    worker = serve_vllm(vllm_engine_config=options)
    worker.wait_for("vllm_engine_config: vLLM 0.0.fake has no option max_num_sequences")
    assert "response_role" not in worker.output()


def test_a_batch_of_several_requests_is_refused(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    response = worker.infer(request("v1/completions"), request("v1/completions", at=2))
    assert (response.code, response.message) == (503, "Prediction failed")
    worker.wait_for("AssertionError: Expecting batch_size = 1")


def test_metrics_of_a_request(serve_vllm: ServeEngine) -> None:
    worker = serve_vllm()
    frames(worker, request("v1/completions", {**COMPLETION, "stream": True}))
    assert worker.disconnect() == 0
    names = {line.partition(".")[0].replace("[METRICS]", "") for line in worker.metrics()}
    assert names == {"HandlerTime", "PredictionTime"}


@pytest.mark.parametrize(
    ("handler", "package", "section"),
    [
        ("vllm_handler", "vllm", {"model_path": "m"}),
        ("trt_llm_handler", "transformers", {"tokenizer_dir": "t", "engine_dir": "e"}),
    ],
)
def test_PYB_002_without_the_engine(start_engine: ServeEngine, handler: str, package: str, section: Any) -> None:
    worker = start_engine(handler, {}, section)
    assert worker.load(handler).code == 500
    advice = "%s is not installed: run `%s -m pip install %s`" % (package, sys.executable, package)
    assert advice in worker.wait_for("ModuleNotFoundError: ")


def test_a_version_of_vllm_that_is_too_new(start_engine: ServeEngine) -> None:
    worker = start_engine("vllm_handler", engines.UNKNOWN, {"model_path": "m"})
    assert worker.load("vllm_handler").code == 500
    worker.wait_for("ImportError: this version of vLLM is not supported: it has no build_app in ")


@pytest.mark.parametrize("files", [engines.TRT_PINNED, engines.TRT_CURRENT], ids=["0.12", "1"])
@pytest.mark.parametrize("limit", ["max_tokens", "max_new_tokens"])
def test_LLM_044_whole_completions(serve_trt: ServeEngine, files: engines.Files, limit: str) -> None:
    worker = serve_trt(files, kv_cache_config={"free_gpu_memory_fraction": 0.5})
    answer = worker.answer(frontend.body({"prompt": "a b c", limit: 2, "temperature": 0.5}))
    assert (answer.body, answer.status, answer.headers) == (b"a b", 200, [])
    assert worker.wait_for("engine: ") == "engine: %s </s> 0.5" % (worker.model / "m-engine")
    options = "[('padding_side', 'left'), ('truncation_side', 'left'), ('trust_remote_code', False)]"
    assert worker.wait_for("tokenizer: ") == "tokenizer: hub/id " + options


def test_LLM_044_streams(serve_trt: ServeEngine) -> None:
    worker = serve_trt()
    items = frames(worker, frontend.body({"prompt": "a \ufffd b", "streaming": True}))
    assert [item.body for item in items] == [b'{"text": "a"}', b'{"text": " \\ufffd b"}', b""]
    assert dict(items[-1].headers)["ts_stream_next"] == "false"
    broken = frames(worker, frontend.body({"prompt": "a \ufffd", "streaming": True}))
    assert [item.body for item in broken] == [b'{"text": "a"}', b'{"text": " \\ufffd"}', b""]


def test_trt_llm_trusts_a_repository_when_told_to(serve_trt: ServeEngine) -> None:
    worker = serve_trt(trust_remote_code=True)
    assert "('trust_remote_code', True)" in worker.wait_for("tokenizer: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"no json", "the request is no JSON: "),
        ([1], 'the request is no JSON object with a "prompt"'),
        ({"streaming": True}, 'the request is no JSON object with a "prompt"'),
        ({"prompt": "a", "colour": 1}, "unexpected keyword argument 'colour'"),
        ({"prompt": 7}, "inputs must be text"),
    ],
)
def test_requests_that_trt_llm_cannot_answer(serve_trt: ServeEngine, value: Any, message: str) -> None:
    worker = serve_trt()
    response = worker.infer(frontend.body(value))
    assert response.code == 400
    assert message in response.message
    undecoded = frontend.Request(parameters=[("data", "", b'{"prompt": "a b"}')])
    assert worker.answer(undecoded).body == b"a b"


def test_failures_of_trt_llm(serve_trt: ServeEngine) -> None:
    worker = serve_trt()
    response = worker.infer(frontend.body({"prompt": "!fail"}))
    assert (response.code, response.message) == (507, "Out of resources")
    response = worker.infer(frontend.body({"prompt": "a"}), frontend.body({"prompt": "b"}, at=2))
    assert (response.code, response.message) == (503, "Prediction failed")


NAMES = [
    ("ts.llm_launcher", ["main"]),
    ("ts.launcher", ["start", "stop", "register_model", "register_model_with_params"]),
    ("ts.model_server", ["start"]),
    ("ts.arg_parser", ["ArgParser"]),
    ("ts.torch_handler.vllm_handler", ["VLLMHandler"]),
    ("ts.torch_handler.trt_llm_handler", ["TRTLLMHandler"]),
    ("ts.async_service", ["AsyncService"]),
    ("ts.handler_utils.utils", ["send_intermediate_predict_response"]),
    ("ts.protocol.otf_message_handler", ["send_intermediate_predict_response"]),
    ("ts.handler_utils.micro_batching", ["MicroBatching"]),
    ("ts.torch_handler.distributed.base_pippy_handler", ["BasePippyHandler"]),
    ("ts.torch_handler.distributed.base_deepspeed_handler", ["BaseDeepSpeedHandler"]),
    ("ts.handler_utils.distributed.pt_pippy", ["initialize_rpc_workers", "get_pipeline_driver"]),
    ("ts.handler_utils.distributed.deepspeed", ["get_ds_engine"]),
    ("ts.utils.hf_utils", ["download_model"]),
    ("ts.service", ["PredictionException"]),
    ("ts.utils.util", ["PredictionException"]),
]


def test_LLM_001_PYB_002_names_need_no_engine() -> None:
    """All but ts.handler_utils.hf_batch_streamer, which derives from a class of transformers."""
    code = """if True:
        import importlib, sys
        for module, names in %r:
            for name in names:
                getattr(importlib.import_module(module), name)
        third = {"torch", "vllm", "tensorrt_llm", "transformers", "huggingface_hub", "requests", "yaml", "psutil"}
        assert not third & set(sys.modules), third & set(sys.modules)
    """
    environment = {**os.environ, "PYTHONPATH": str(frontend.HOME)}
    subprocess.run([sys.executable, "-c", code % NAMES], env=environment, check=True, timeout=frontend.PATIENCE)
