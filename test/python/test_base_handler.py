"""The base handler: without torch, and with something that stands for it."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types
from typing import Any, Callable, Dict, List, Optional

import frontend
import pytest
from conftest import StartWorker
from ts.context import Context, RequestProcessor, RequestProperties
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.torch_handler import base_handler
from ts.torch_handler.base_handler import BaseHandler

SKIPPING = """
    from ts.torch_handler.base_handler import BaseHandler

    class Handler(BaseHandler):
        def __init__(self):
            pass

        def initialize(self, context):
            self.initialized = True

        def preprocess(self, data):
            return [row.get("body") for row in data]

        def inference(self, data):
            return [value * 2 for value in data]

        def postprocess(self, data):
            return data

        def get_insights(self, prepared, inputs, target):
            return [[prepared, inputs, target]]

        def describe_handle(self):
            return {"described": True}
"""


def test_PYB_019_MET_069_a_subclass_that_skips_init(serve: StartWorker) -> None:
    worker = serve(SKIPPING)
    assert [item.body for item in worker.infer(frontend.body(1), frontend.body(2, at=2)).items] == [b"2", b"4"]
    assert worker.disconnect() == 0
    assert [line.split(":")[0] for line in worker.metrics()] == [
        "[METRICS]HandlerTime.Milliseconds",
        "[METRICS]PredictionTime.Milliseconds",
    ]


def test_PYB_056_a_batch_that_fails_has_no_times(serve: StartWorker) -> None:
    worker = serve(SKIPPING.replace("value * 2", "value / 0"))
    assert worker.infer(frontend.body(1)).code == 503
    assert worker.infer(frontend.body(0)).code == 503
    assert worker.disconnect() == 0
    assert worker.metrics() == []


def test_MET_083_the_steps_are_timed_if_asked_for(serve: StartWorker) -> None:
    source = SKIPPING.replace("        def p", "        @timed\n        def p").replace(
        "        def inf", "        @timed\n        def inf"
    )
    worker = serve(
        "    from ts.handler_utils.timer import timed\n" + source,
        manifest={"model": {"configFile": "config.yaml"}},
        files={"config.yaml": '{"handler": {"profile": true}}'},
    )
    worker.answer(frontend.body(1))
    assert worker.disconnect() == 0
    names = [line.split(".")[0][len("[METRICS]") :] for line in worker.metrics()]
    assert names[:3] == ["ts_handler_preprocess", "ts_handler_inference", "ts_handler_postprocess"]


def test_PYB_066_describe_and_explain(serve: StartWorker) -> None:
    worker = serve(SKIPPING)
    assert worker.answer(frontend.Request("r1", [("describe", "True")])).body == b'{\n  "described": true\n}'
    parameters = [("body", "application/json", b"5"), ("target", "", b"3")]
    item = worker.answer(frontend.Request("r1", [("explain", "True")], parameters))
    assert item.body.split() == b"[ [ 5 ], 5, 3 ]".split()
    assert worker.answer(frontend.body(5, explain="True")).body.split() == b"[ [ 5 ], 5, 0 ]".split()
    assert worker.answer(frontend.body(5, explain="False")).body == b"10"


def test_PYB_065_the_order_of_the_steps() -> None:
    made = context(pathlib.Path("/"), {})
    record = RequestProcessor(RequestProperties({"describe": "True"}))
    made.request_processor = [record]
    handler: Any = BaseHandler()
    calls: List[str] = []

    def record_call(name: str) -> Callable[..., Any]:
        def step(data: Any, *_: Any) -> Any:
            calls.append(name)
            return data

        return step

    for name in ("preprocess", "inference", "postprocess", "explain_handle"):
        setattr(handler, name, record_call(name))
    handler.describe_handle = lambda: "described"

    assert (handler.handle([1], made), calls) == (["described"], [])
    del record.get_request_properties()["describe"]
    assert (handler.handle([1], made), calls) == ([1], ["preprocess", "inference", "postprocess"])

    def preprocess(data: Any) -> Any:
        record.get_request_properties()["explain"] = "True"
        return data

    calls.clear()
    handler.preprocess = preprocess
    assert (handler.handle([1], made), calls) == ([1], ["explain_handle"])
    assert handler.explain


TORCH_OF_A_HANDLER = """
    class cuda:
        is_available = staticmethod(lambda: False)

    class backends:
        class mps:
            is_available = staticmethod(lambda: False)

    def device(name):
        return name
"""
NET = """
    class Net:
        def to(self, device):
            pass

        def eval(self):
            pass
"""
FAKE_TORCH = """
    class cuda:
        is_available = staticmethod(lambda: True)
        get_device_capability = staticmethod(lambda: (8, 6))

    def set_float32_matmul_precision(precision):
        print("precision", precision)
"""


def test_PYB_070_a_handler_with_an_initialize_of_its_own(serve: StartWorker) -> None:
    worker = serve("    import torch\n" + SKIPPING, files={"torch.py": FAKE_TORCH})
    worker.wait_for("precision high")


def test_PYB_065_subclasses_have_helpers_of_their_own(serve: StartWorker) -> None:
    worker = serve(
        """
        from ts.torch_handler.base_handler import BaseHandler

        class Handler(BaseHandler):
            def initialize(self, context):
                super().initialize(context)
                self._load_model()

            def _load_model(self):
                self.factor = 3

            def _choose_device(self):
                raise AssertionError

            def preprocess(self, data):
                return [row["body"] for row in data]

            def inference(self, data):
                return self._infer(data)

            def _infer(self, data):
                return [value * self.factor for value in data]

            def postprocess(self, data):
                return data
        """,
        files={"torch.py": TORCH_OF_A_HANDLER, "net.py": NET},
        manifest={"model": {"modelFile": "net.py"}},
    )
    assert worker.answer(frontend.body(5)).body == b"15"


def test_PYB_057_attributes() -> None:
    expected: Dict[str, Any] = {
        "model": None,
        "mapping": None,
        "device": None,
        "initialized": False,
        "context": None,
        "model_pt_path": None,
        "manifest": None,
        "map_location": None,
        "explain": False,
        "target": 0,
        "profiler_args": {},
    }
    handler = BaseHandler()
    assert {name: getattr(handler, name) for name in expected} == expected
    assert not hasattr(handler, "model_yaml_config")
    assert handler.profiler_args is not BaseHandler().profiler_args


def test_names_of_the_module_resolve_when_used() -> None:
    module: Any = base_handler
    assert module.PROFILER_AVAILABLE is True
    torch_is_here = importlib.util.find_spec("torch") is not None
    assert module.PT2_AVAILABLE is module.PT230_AVAILABLE is torch_is_here
    assert module.ONNX_AVAILABLE is (importlib.util.find_spec("onnxruntime") is not None)
    with pytest.raises(AttributeError):
        getattr(module, "nonsense")  # noqa: B009 - that it raises is the point


# What follows stands for torch; it records what is done to it.


class Model:
    def __init__(self) -> None:
        self.calls: List[str] = []

    def to(self, device: str) -> Model:
        self.calls.append("to %s" % device)
        return self

    def eval(self) -> None:
        self.calls.append("eval")

    def load_state_dict(self, state: str) -> None:
        self.calls.append("state %s" % state)


class Torch(types.ModuleType):
    def __init__(self) -> None:
        super().__init__("torch")
        self.gpus = 0
        self.compiled: List[Any] = []
        self.cuda = types.SimpleNamespace(
            is_available=lambda: self.gpus > 0,
            device_count=lambda: self.gpus,
            get_device_capability=lambda: (8, 0),
        )
        self.backends = types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: False))
        self.precision: Optional[str] = None
        self.jit = types.SimpleNamespace(load=lambda path, map_location: Model())
        self._dynamo = types.SimpleNamespace(list_backends=lambda tags: ["cudagraphs"])

    def device(self, name: str) -> str:
        return name

    def set_float32_matmul_precision(self, precision: str) -> None:
        self.precision = precision

    def load(self, path: str, map_location: str) -> str:
        return "%s on %s" % (pathlib.Path(path).name, map_location)

    def compile(self, model: Any, **options: Any) -> Any:
        if options.get("mode") == "broken":
            raise RuntimeError("broken")
        self.compiled.append(options)
        return model


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Torch:
    made = Torch()
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


def context(folder: pathlib.Path, named: Dict[str, str], config: Any = None, gpu: Optional[int] = None) -> Context:
    return Context("m", str(folder), {"model": named}, 1, gpu, "0.12.0", True, MetricsCacheYamlImpl(), config or {})


def initialized(made: Context) -> BaseHandler:
    handler = BaseHandler()
    handler.initialize(made)
    assert handler.initialized
    return handler


@pytest.mark.parametrize(
    ("gpus", "gpu", "device"), [(0, None, "cpu"), (2, None, "cpu"), (0, 1, "cpu"), (2, 1, "cuda:1")]
)
def test_PYB_061_PYB_070_the_device(torch: Torch, tmp_path: pathlib.Path, gpus: int, gpu: Any, device: str) -> None:
    torch.gpus = gpus
    handler = initialized(context(tmp_path, {"serializedFile": "m.pt"}, gpu=gpu))
    assert (handler.device, handler.map_location) == (device, device.partition(":")[0])
    assert torch.precision == ("high" if gpus else None)


def test_a_gpu_that_the_process_does_not_see(
    torch: Torch, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.gpus = 2
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert initialized(context(tmp_path, {"serializedFile": "m.pt"}, gpu=4)).device == "cuda:1"


def test_a_torchscript_model(torch: Torch, tmp_path: pathlib.Path) -> None:
    handler = initialized(context(tmp_path, {"serializedFile": "m.pt"}))
    assert handler.model.calls == ["eval"]
    assert handler.model_pt_path == str(tmp_path / "m.pt")
    assert handler.mapping is None


def test_an_eager_model(torch: Torch, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_of_test.py").write_text("from test_base_handler import Model\nclass Net(Model): pass\n")
    (tmp_path / "index_to_name.json").write_text('{"0": "zero"}')
    monkeypatch.syspath_prepend(tmp_path)
    handler = initialized(context(tmp_path, {"modelFile": "net_of_test.py", "serializedFile": "m.pt"}))
    assert handler.model.calls == ["state m.pt on cpu", "to cpu", "eval"]
    assert handler.mapping == {"0": "zero"}


def test_PYB_059_faults_of_the_model_file(
    torch: Torch, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=r"^Missing the model.py file$"):
        initialized(context(tmp_path, {"modelFile": "model.py"}))
    (tmp_path / "two_of_test.py").write_text("class A: pass\nclass B: pass\n")
    with pytest.raises(ValueError, match=r"^Expected only one class as model definition. "):
        initialized(context(tmp_path, {"modelFile": "two_of_test.py"}))


@pytest.mark.parametrize("named", [{}, {"serializedFile": "m.bin"}, {"serializedFile": "m.so"}])
def test_PYB_060_no_model(torch: Torch, tmp_path: pathlib.Path, named: Dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match=r"^No model weights could be loaded$"):
        initialized(context(tmp_path, named, {"pt2": "eager"}))


COMPILED: Dict[str, List[Any]] = {
    "PYB-062 enabled": [
        {"compile": {"enable": True, "backend": "inductor", "mode": "x"}},
        [{"backend": "inductor", "mode": "x"}],
    ],
    "PYB-062 disabled": [{"compile": {"enable": False, "backend": "inductor"}}, []],
    "without enable": [{"compile": {"backend": "inductor"}}, []],
    "PYB-063 unknown backend": [{"compile": {"enable": True, "backend": "nonsense"}}, []],
    "PYB-063 torch.compile fails": [{"compile": {"enable": True, "mode": "broken"}}, []],
    "a backend that torch knows": [{"compile": {"enable": True, "backend": "cudagraphs"}}, [{"backend": "cudagraphs"}]],
    "export": [{"export": {"aot_compile": True}}, []],
    "PYB-064 text": ["inductor", [{"backend": "inductor"}]],
    "PYB-064 mapping": [{"backend": "inductor", "mode": "x"}, [{"backend": "inductor", "mode": "x"}]],
    "null": [None, []],
}


@pytest.mark.parametrize("name", COMPILED)
def test_the_compiler(torch: Torch, tmp_path: pathlib.Path, name: str) -> None:
    pt2, compiled = COMPILED[name]
    config = {"pt2": pt2}
    before = repr(config)
    made = context(tmp_path, {"serializedFile": "m.pt"}, config)
    assert initialized(made).model_yaml_config is config
    assert torch.compiled == compiled
    assert repr(config) == before


def test_the_compiler_section_of_another_type(torch: Torch, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"^pt2 should be str or dict$"):
        initialized(context(tmp_path, {"serializedFile": "m.pt"}, {"pt2": 7}))


@pytest.mark.parametrize(
    ("setting", "profiled"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_the_profiler_is_asked_for(monkeypatch: pytest.MonkeyPatch, setting: str, profiled: bool) -> None:
    class Handler(BaseHandler):
        def preprocess(self, data: Any) -> Any:
            return data

        inference = postprocess = preprocess

        def _infer_with_profiler(self, data: Any) -> Any:
            return ["profiled"], None

    monkeypatch.setenv("ENABLE_TORCH_PROFILER", setting)
    made = context(pathlib.Path("/"), {})
    made.request_processor = [RequestProcessor(RequestProperties())]
    assert Handler().handle(["plain"], made) == (["profiled"] if profiled else ["plain"])
