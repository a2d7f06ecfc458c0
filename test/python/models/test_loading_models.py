"""Models of torch in each form that the base handler loads, through real workers."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any, Callable, Dict, List

import frontend
import numpy as np
import pytest
import torch
from conftest import StartWorker
from test_loading import TYPES
from ts.context import Context
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import get_yaml_config

NETWORK = """
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        def forward(self, x):
            return torch.relu(self.linear(x))
"""
HANDLER = """
    import torch
    from ts.torch_handler.base_handler import BaseHandler

    torch.set_num_threads(1)

    class Handler(BaseHandler):
        def preprocess(self, data):
            return torch.tensor([row.get("data") or row.get("body") for row in data], dtype=torch.float32)
"""
INPUTS = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]]

compiles = pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++, which is not here")

Save = Callable[[pathlib.Path, torch.nn.Module], None]


class Network(torch.nn.Module):
    """What NETWORK defines, where the test computes what is right."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return Network().eval()


def expected(network: Network) -> List[List[float]]:
    with torch.inference_mode():
        result: List[List[float]] = network(torch.tensor(INPUTS)).tolist()
    return result


def answers(worker: frontend.Worker) -> List[Any]:
    """Send INPUTS as one batch and return what comes."""
    response = worker.infer(*(frontend.body(each, at=at) for at, each in enumerate(INPUTS)))
    assert response.code == 200, worker.output()
    return [json.loads(item.body) for item in response.items]


def state_dict(path: pathlib.Path, network: torch.nn.Module) -> None:
    torch.save(network.state_dict(), path)


def script(path: pathlib.Path, network: torch.nn.Module) -> None:
    torch.jit.script(network).save(str(path))


def onnx(path: pathlib.Path, network: torch.nn.Module) -> None:
    torch.onnx.export(network, (torch.zeros(2, 3),), str(path), verbose=False)


def nonsense(path: pathlib.Path, _: torch.nn.Module) -> None:
    path.write_bytes(b"no model at all")


class Archive:
    """An unpacked archive with a serialized model."""

    def __init__(self, folder: pathlib.Path, save: Save, network: torch.nn.Module, name: str) -> None:
        self.serialized = folder / name
        save(self.serialized, network)
        self.named: Dict[str, Any] = {"modelName": "net", "serializedFile": name}
        self.files: Dict[str, str] = {}

    def with_model_file(self, source: str = NETWORK) -> Archive:
        self.named["modelFile"] = "network.py"
        self.files["network.py"] = source
        return self

    def configured(self, text: str) -> Archive:
        self.named["configFile"] = "model-config.yaml"
        self.files["model-config.yaml"] = text
        return self


@pytest.fixture
def archive(tmp_path: pathlib.Path, network: Network) -> Callable[[Save, str], Archive]:
    return lambda save, name: Archive(tmp_path, save, network, name)


@pytest.fixture
def load(start: StartWorker, tmp_path: pathlib.Path) -> Callable[..., frontend.Worker]:
    """Start a worker with an archive; its model is not loaded yet."""

    def start_with(archive: Archive, handler: str = HANDLER, **options: Any) -> frontend.Worker:
        import conftest

        folder = tmp_path / "model"
        conftest.write_model(folder, handler, archive.files, {"model": archive.named})
        shutil.copy(str(archive.serialized), str(folder))
        return start(folder, **options)

    return start_with


Load = Callable[..., frontend.Worker]
MakeArchive = Callable[[Save, str], Archive]


def test_PYB_058_an_eager_model(load: Load, archive: MakeArchive, network: Network) -> None:
    worker = load(archive(state_dict, "net.pt").with_model_file())
    assert worker.load("handler.py", batch_size=2).code == 200, worker.output()
    assert answers(worker) == expected(network)
    worker.wait_for("index_to_name.json' is missing. Inference output will not include class name.")


def test_PYB_058_a_model_of_TorchScript(load: Load, archive: MakeArchive, network: Network) -> None:
    worker = load(archive(script, "net.pt"))
    assert worker.load("handler.py").code == 200, worker.output()
    assert answers(worker) == expected(network)


ONNX_HANDLER = (
    HANDLER
    + """
        def inference(self, data):
            (name,) = (each.name for each in self.model.get_inputs())
            return self.model.run(None, {name: data.numpy()})[0]
"""
)


def test_PYB_058_a_model_of_ONNX(load: Load, archive: MakeArchive, network: Network) -> None:
    worker = load(archive(onnx, "net.onnx"), ONNX_HANDLER)
    assert worker.load("handler.py").code == 200, worker.output()
    worker.wait_for("Succesfully setup ort session")
    np.testing.assert_allclose(answers(worker), expected(network), rtol=1e-5)


def test_PYB_058_ONNX_without_its_runtime(load: Load, archive: MakeArchive, tmp_path: pathlib.Path) -> None:
    finder = "import sys\nsys.modules['onnxruntime'] = None\n"
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(finder)
    paths = "%s:%s:%s" % (tmp_path / "hidden", tmp_path / "model", frontend.HOME)
    worker = load(archive(onnx, "net.onnx"), ONNX_HANDLER, environment={"PYTHONPATH": paths})
    response = worker.load("handler.py")
    assert (response.code, response.message) == (500, "Unknown exception")
    worker.wait_for("onnxruntime is not installed: run `")
    worker.wait_for("RuntimeError: No model weights could be loaded")


@compiles
def test_PYB_058_a_model_compiled_ahead_of_time(load: Load, tmp_path: pathlib.Path, network: Network) -> None:
    def save(path: pathlib.Path, module: torch.nn.Module) -> None:
        made = torch._export.aot_compile(module, (torch.zeros(2, 3),), options={"aot_inductor.output_path": str(path)})
        assert made == str(path)

    archive = Archive(tmp_path, save, network, "net.so").configured("pt2: {export: {aot_compile: yes}}")
    worker = load(archive)
    assert worker.load("handler.py").code == 200, worker.output()
    np.testing.assert_allclose(answers(worker), expected(network), rtol=1e-5)
    worker.wait_for("torch._export is an experimental feature!")


@pytest.mark.parametrize(
    ("save", "name", "says"),
    [
        (nonsense, "net.bin", "RuntimeError: No model weights could be loaded"),
        (nonsense, "net.so", "RuntimeError: No model weights could be loaded"),
        (nonsense, "net.pt", "RuntimeError: PytorchStreamReader failed"),
    ],
)
def test_PYB_058_PYB_060_a_file_that_is_no_model(
    load: Load, archive: MakeArchive, save: Save, name: str, says: str
) -> None:
    worker = load(archive(save, name))
    response = worker.load("handler.py")
    assert (response.code, response.message) == (500, "Unknown exception")
    worker.wait_for(says)
    assert worker.exit_status() == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (NETWORK.replace("Linear(3, 2)", "Linear(4, 2)"), "RuntimeError: Error(s) in loading state_dict for Network"),
        (NETWORK + "\n    class Other:\n        pass\n", "ValueError: Expected only one class as model definition."),
    ],
    ids=["of other size", "with two classes"],
)
def test_PYB_059_a_model_file_that_does_not_fit(load: Load, archive: MakeArchive, source: str, says: str) -> None:
    worker = load(archive(state_dict, "net.pt").with_model_file(source))
    assert worker.load("handler.py").code == 500
    worker.wait_for(says)


@compiles
def test_PYB_062_a_compiled_model(load: Load, archive: MakeArchive, network: Network) -> None:
    config = "pt2: {compile: {enable: true, backend: inductor, mode: default}}"
    handler = HANDLER + (
        "        def describe_handle(self):\n"
        "            return [type(self.model).__name__, self.model_yaml_config['pt2']['compile']]\n"
    )
    worker = load(archive(state_dict, "net.pt").with_model_file().configured(config), handler)
    assert worker.load("handler.py").code == 200, worker.output()
    worker.wait_for("Compiled model with backend inductor, mode default")
    np.testing.assert_allclose(answers(worker), expected(network), rtol=1e-5)
    described = worker.answer(frontend.Request("r1", [("describe", "True")]))
    section = {"enable": True, "backend": "inductor", "mode": "default"}
    assert json.loads(described.body) == ["OptimizedModule", section]


@pytest.mark.parametrize(
    ("pt2", "says", "compiled"),
    [
        ("{compile: {enable: true, backend: nonsense}}", "nonsense is not a supported backend", False),
        ("{compile: {enable: true, nonsense: 1}}", "Compiling the model with {'nonsense': 1} has failed", False),
        ("{compile: {enable: false, backend: inductor}}", "", False),
        ("{compile: {enable: true, backend: cudagraphs}}", "Compiled model with backend cudagraphs", True),
        ("eager", "Compiled model with backend eager", True),
        ("{backend: aot_eager}", "Compiled model with backend aot_eager", True),
    ],
)
def test_PYB_062_PYB_063_PYB_064_backends(
    load: Load, archive: MakeArchive, network: Network, pt2: str, says: str, compiled: bool
) -> None:
    handler = HANDLER + "        def describe_handle(self):\n            return type(self.model).__name__\n"
    worker = load(archive(state_dict, "net.pt").with_model_file().configured("pt2: " + pt2), handler)
    assert worker.load("handler.py").code == 200, worker.output()
    worker.wait_for(says)
    described = worker.answer(frontend.Request("r1", [("describe", "True")])).body
    assert described == (b"OptimizedModule" if compiled else b"Network")
    if "cudagraphs" not in pt2:  # of no use without a GPU
        assert answers(worker) == expected(network)


def test_PYB_068_a_profile(load: Load, archive: MakeArchive, network: Network, tmp_path: pathlib.Path) -> None:
    folder = pathlib.Path("/tmp/pytorch_profiler", tmp_path.name)
    made = archive(script, "net.pt")
    made.named["modelName"] = tmp_path.name
    worker = load(made, environment={"ENABLE_TORCH_PROFILER": "true"})
    try:
        assert worker.load("handler.py").code == 200, worker.output()
        assert answers(worker) == expected(network)
        worker.wait_for("Saving chrome trace to : %s" % folder)
        worker.wait_for("Self CPU time total")
        (trace,) = folder.iterdir()
        names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
        assert names.issuperset({"preprocess", "inference", "postprocess"})
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


def test_PYB_068_what_the_handler_wants_of_the_profiler(
    load: Load, archive: MakeArchive, network: Network, tmp_path: pathlib.Path
) -> None:
    handler = HANDLER + (
        "        def __init__(self):\n"
        "            super().__init__()\n"
        "            trace = torch.profiler.tensorboard_trace_handler(%r)\n"
        "            cpu = torch.profiler.ProfilerActivity.CPU\n"
        "            self.profiler_args = {'activities': [cpu], 'on_trace_ready': trace}\n"
    ) % str(tmp_path / "traces")
    worker = load(archive(script, "net.pt"), handler, environment={"ENABLE_TORCH_PROFILER": "1"})
    assert worker.load("handler.py").code == 200, worker.output()
    assert answers(worker) == expected(network)
    assert len(list((tmp_path / "traces").iterdir())) == 1
    assert "Saving chrome trace" not in worker.output()


@pytest.mark.parametrize("off", ["", "0", "False", "no", "OFF"])
def test_PYB_068_no_profile(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    from ts.torch_handler import base_handler

    monkeypatch.setenv("ENABLE_TORCH_PROFILER", off)
    assert not base_handler.profiler_wanted()
    monkeypatch.setenv("ENABLE_TORCH_PROFILER", "True")
    assert base_handler.profiler_wanted()


def test_PYB_069_MET_083_the_times_of_the_steps(load: Load, archive: MakeArchive, network: Network) -> None:
    handler = HANDLER.replace("        def preprocess", "        @timed\n        def preprocess").replace(
        "    import torch\n", "    import torch\n    from ts.handler_utils.timer import timed\n"
    )
    worker = load(archive(script, "net.pt").configured("handler: {profile: true}"), handler)
    assert worker.load("handler.py").code == 200, worker.output()
    assert answers(worker) == expected(network)
    assert worker.disconnect() == 0
    names = [line.split(".")[0][len("[METRICS]") :] for line in worker.metrics()]
    assert names == [
        "ts_handler_preprocess",
        "ts_handler_inference",
        "ts_handler_postprocess",
        "HandlerTime",
        "PredictionTime",
    ]


@pytest.mark.parametrize("error", ["torch.OutOfMemoryError('HIP')", "torch.cuda.OutOfMemoryError('x')"])
def test_PYB_049_out_of_memory(load: Load, archive: MakeArchive, error: str) -> None:
    handler = HANDLER + "        def inference(self, data):\n            raise " + error + "\n"
    worker = load(archive(script, "net.pt"), handler)
    assert worker.load("handler.py").code == 200, worker.output()
    response = worker.infer(frontend.body(INPUTS[0]))
    assert (response.code, response.message) == (507, "Out of resources")


def test_PYB_060_in_process_a_model_without_weights(tmp_path: pathlib.Path) -> None:
    made = Context("m", str(tmp_path), {"model": {}}, 1, None, "0.12.0", model_yaml_config={})
    with pytest.raises(RuntimeError, match="No model weights could be loaded"):
        BaseHandler().initialize(made)


def test_PYB_101_the_types_of_yaml_with_PyYAML() -> None:
    path = frontend.ROOT / "test" / "vectors" / "yaml11" / "types.yaml"
    assert repr(get_yaml_config(str(path))) == repr(TYPES)
