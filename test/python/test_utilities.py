"""Helpers that handlers import."""

from __future__ import annotations

import json
import pathlib
import sys
import types
import warnings
from typing import Any, Dict, List

import frontend
import pytest
import ts
from ts.context import Context
from ts.handler_utils.timer import timed
from ts.handler_utils.utils import import_class
from ts.protocol import otf_message_handler
from ts.service import PredictionException as ReExported
from ts.service import Service
from ts.utils import util


def test_version() -> None:
    from ts import version

    assert (ts.__version__, version.__version__) == ("0.12.0", "0.12.0")


def test_PYB_096_PredictionException() -> None:
    error = util.PredictionException("m", 404)
    assert (str(error), error.message, error.error_code) == ("m : 404", "m", 404)
    assert util.PredictionException("m").error_code == 500
    assert ReExported is util.PredictionException


MAPPINGS = [
    ({"0": "a", "1": ["n01", "b"]}, {"0": "a", "1": "b"}),
    ({"object_type_names": ["a", "b"], "0": "c"}, {"0": "a", "1": "b"}),
    ({}, {}),
]


@pytest.mark.parametrize(("content", "expected"), MAPPINGS)
def test_PYB_095_load_label_mapping(tmp_path: pathlib.Path, content: Any, expected: Any) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_text(json.dumps(content))
    assert util.load_label_mapping(str(path)) == expected


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ([], 'index->name JSON mapping should be in "class": "label" format.'),
        ({"0": 1}, "labels in index->name mapping must be either str or List[str]"),
    ],
)
def test_PYB_095_load_label_mapping_of_another_form(tmp_path: pathlib.Path, content: Any, error: str) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_text(json.dumps(content))
    with pytest.raises(Exception) as raised:
        util.load_label_mapping(str(path))
    assert str(raised.value) == error


def test_PYB_095_load_label_mapping_without_file(caplog: pytest.LogCaptureFixture) -> None:
    assert util.load_label_mapping("/no/file") is None
    assert "'/no/file' is missing. Inference output will not include class name." in caplog.text


def test_PYB_095_map_class_to_label() -> None:
    assert util.map_class_to_label([[0.5, 0.25]]) == [{"0": 0.5, "1": 0.25}]
    assert util.map_class_to_label([[0.5], [1]], {"7": "a", "8": "b"}, [[7], [8]]) == [{"a": 0.5}, {"b": 1}]
    assert util.map_class_to_label([]) == []
    with pytest.raises(KeyError):
        util.map_class_to_label([[0.5]], {"1": "a"})
    rows: Any = ((0.5,),)
    with pytest.raises(Exception, match=r"^Convert classes to list before doing mapping$"):
        util.map_class_to_label(rows)
    mapping: Any = ["a"]
    with pytest.raises(Exception, match=r"^Mapping must be a dict$"):
        util.map_class_to_label([[0.5]], mapping)


def test_PYB_095_list_classes_from_module() -> None:
    module = types.ModuleType("module")
    code = "import json\nclass B: pass\nclass A(B): pass\nC = A\nfrom json import JSONEncoder\nx = 1"
    exec(code, module.__dict__)
    assert [each.__name__ for each in util.list_classes_from_module(module)] == ["A", "B"]
    assert [each.__name__ for each in util.list_classes_from_module(module, module.__dict__["A"])] == ["A"]


def test_PYB_095_check_valid_pt2_backend(caplog: pytest.LogCaptureFixture) -> None:
    assert util.check_valid_pt2_backend("inductor")
    assert not util.check_valid_pt2_backend("nonsense")
    assert "nonsense is not a supported backend" in caplog.text
    assert util.PT2Backend.HPU_BACKEND == "hpu_backend"
    assert len(util.PT2Backend) == 14


def test_PYB_095_import_class() -> None:
    assert import_class("json.JSONEncoder") is json.JSONEncoder
    assert import_class("JSONEncoder", "json") is json.JSONEncoder
    assert import_class("encoder.JSONEncoder", "json") is json.JSONEncoder
    for arguments, error in (
        (("",), "class name is not defined"),
        (("C",), "module name is not defined."),
        (("C", "json"), "class:C not found in module:json."),
    ):
        with pytest.raises(ImportError) as raised:
            import_class(*arguments)
        assert str(raised.value) == error


def test_cleanup_regex() -> None:
    assert util.CLEANUP_REGEX.sub("", "a<b>c&amp;d&#12;e&#x1f;f") == "acdef"


def test_deprecated() -> None:
    @util.deprecated("1.0", "b", DeprecationWarning)
    def a(value: int) -> int:
        return value + 1

    with pytest.warns(DeprecationWarning, match=r"^a is deprecated in 1.0 and moved to b$") as caught:
        assert a(1) == 2
    assert caught[0].filename == __file__


class Socket:
    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, content: bytes) -> None:
        self.sent += content


def test_PYB_087_the_old_place_of_intermediate_responses() -> None:
    context: Any = Context("m", "/m", None, 1, None, "0.12.0")
    processors, _, ids = Service.retrieve_data_for_inference(
        [{"requestId": bytearray(b"r1"), "headers": [], "parameters": []}]
    )
    context.request_processor, context.cl_socket = processors, Socket()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        otf_message_handler.send_intermediate_predict_response(["A"], ids, "Result", 200, context)
    (warning,) = caught
    assert warning.category is PendingDeprecationWarning
    assert str(warning.message) == (
        "send_intermediate_predict_response is deprecated in 1.0 and moved to "
        "ts.handler_utils.utils.send_intermediate_predict_response"
    )
    vectors = frontend.ROOT / "test" / "vectors"
    assert context.cl_socket.sent.hex() == json.loads((vectors / "R6.json").read_text())["hex"]


def test_create_predict_response(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = frontend.ROOT / "test" / "vectors"
    expected = {name: json.loads((vectors / (name + ".json")).read_text())["hex"] for name in ("R3", "R5", "R9")}
    create = otf_message_handler.create_predict_response
    for arguments, name in (
        ((["ok"], {0: "r1"}, "Prediction success", 200), "R3"),
        ((None, {0: "r1"}, "Prediction failed", 503), "R5"),
        (([{1}], {0: "r1"}, "Prediction success", 200), "R9"),
    ):
        response = create(*arguments)
        assert type(response) is bytearray
        assert response.hex() == expected[name]
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert create(["ok"], {0: "r1"}, "Prediction success", 200) is None


def test_create_load_model_response_and_headers() -> None:
    raw = otf_message_handler.create_load_model_response(200, "loaded model mnist")
    assert raw.hex() == json.loads((frontend.ROOT / "test" / "vectors" / "R1.json").read_text())["hex"]
    encoded = otf_message_handler.encode_response_headers({"a": "ł", "b": 1})
    assert encoded == frontend.number(2) + b"".join(map(frontend.text, ("a", "ł", "b", "1")))


def test_a_service_predicts_batches_of_the_old_form(tmp_path: pathlib.Path) -> None:
    from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

    def handle(data: Any, context: Any) -> List[Any]:
        return [[row["p"], context.get_request_header(at, "h")] for at, row in enumerate(data)]

    service = Service("m", str(tmp_path), None, handle, None, 1, True, MetricsCacheYamlImpl())
    request = {
        "requestId": bytearray(b"r1"),
        "headers": [{"name": bytearray(b"H"), "value": bytearray(b"v")}],
        "parameters": [{"name": "p", "contentType": "", "value": "x"}],
    }
    response = service.predict([request])
    assert response is not None
    assert b'[\n  "x",\n  "v"\n]' in response
    with pytest.raises(ValueError, match=r"^Received invalid inputs$"):
        Service.retrieve_data_for_inference(None)


class Recorder:
    def __init__(self) -> None:
        self.names: List[str] = []

    def add_time(self, name: str, value: float) -> None:
        assert value >= 0
        self.names.append(name)


CONFIGURATIONS: List[Any] = [
    ({"handler": {"profile": True}}, ["ts_handler_step"]),
    ({"handler": {"profile": False}}, []),
    ({"handler": None}, []),
    ({}, []),
    (None, []),
]


class Step:
    context: Any = None

    @timed
    def step(self, value: int, more: int = 0) -> int:
        """Say what it does."""
        return value + more


@pytest.mark.parametrize(("configuration", "reported"), CONFIGURATIONS)
def test_timed(configuration: Any, reported: List[str]) -> None:
    step, metrics = Step(), Recorder()
    assert step.step(1, more=1) == 2
    step.context = types.SimpleNamespace(model_yaml_config=configuration, metrics=metrics)
    assert step.step(1, more=2) == 3
    assert metrics.names == reported
    assert (step.step.__name__, step.step.__doc__) == ("step", "Say what it does.")


def test_timed_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: List[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            calls.append("record")

        def elapsed_time(self, other: Event) -> float:
            return 1.5

    torch: Any = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(
        is_available=lambda: True, Event=Event, synchronize=lambda: calls.append("synchronize")
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    step, metrics = Step(), Recorder()
    step.context = types.SimpleNamespace(model_yaml_config=CONFIGURATIONS[0][0], metrics=metrics)
    assert step.step(1) == 1
    assert (calls, metrics.names) == (["record", "record", "synchronize"], ["ts_handler_step"])


def test_get_yaml_config(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: 1")
    loaded: Dict[str, Any] = {"a": 1}
    yaml: Any = types.ModuleType("yaml")
    yaml.safe_load = lambda file: loaded if file.read() else None
    monkeypatch.setitem(sys.modules, "yaml", yaml)
    assert util.get_yaml_config(str(path)) == loaded
    path.write_text("")
    assert util.get_yaml_config(str(path)) == {}
    with pytest.raises(FileNotFoundError):
        util.get_yaml_config(str(tmp_path / "missing"))
