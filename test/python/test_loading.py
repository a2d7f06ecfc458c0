"""From the handler string to a loaded model, or to the reason why not."""

from __future__ import annotations

import datetime
import json
import pathlib
import shutil
from typing import Any, Dict, List

import frontend
import pytest
from conftest import MakeModel, StartWorker

FUNCTION = """
    calls = []

    def handle(data, context):
        calls.append(data is None)
        return [{"function": "handle", "calls": calls}] if data else "ignored"

    def fn(data, context):
        return ["fn"] if data else None
"""
CLASS = """
    from json import JSONEncoder  # imported classes do not count

    class Handler:
        def initialize(self, context):
            self.name = context.model_name

        def handle(self, data, context):
            return ["class " + self.name]
"""


def answer(worker: frontend.Worker) -> bytes:
    return worker.answer(frontend.body(b"")).body


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("handler", b'"function": "handle"'),
        ("handler.py", b'"function": "handle"'),
        ("/x/y/handler.py", b'"function": "handle"'),
        ("package/dir/handler.py:handle", b'"function": "handle"'),
        ("handler.py:fn", b"fn"),
        ("handler:fn", b"fn"),
    ],
)
def test_PYB_003_forms_of_the_handler_string(serve: StartWorker, handler: str, expected: bytes) -> None:
    assert expected in answer(serve(FUNCTION, handler))


def test_PYB_005_a_function_is_called_once_without_data(serve: StartWorker) -> None:
    worker = serve(FUNCTION)
    assert json.loads(answer(worker))["calls"] == [True, False]
    assert json.loads(answer(worker))["calls"] == [True, False, False]


def test_PYB_006_a_class(serve: StartWorker) -> None:
    assert answer(serve(CLASS)) == b"class m"


def test_PYB_007_a_function_that_is_missing_means_the_class(serve: StartWorker) -> None:
    assert answer(serve(CLASS, "handler.py:missing")) == b"class m"


def test_a_class_named_as_function_is_the_handler(serve: StartWorker) -> None:
    assert answer(serve(CLASS + "\n    class Other:\n        pass\n", "handler.py:Handler")) == b"class m"


def test_PYB_014_helper_classes_do_not_matter(serve: StartWorker) -> None:
    assert answer(serve(CLASS + "\n    class Helper:\n        pass\n")) == b"class m"


def test_PYB_008_when_handle_is_replaced(serve: StartWorker) -> None:
    worker = serve(
        """
        class Handler:
            def __init__(self):
                self.handle = lambda data, context: ["init"]

            def initialize(self, context):
                self.handle = lambda data, context: ["initialize"]

            def handle(self, data, context):
                return ["class"]
        """
    )
    assert answer(worker) == b"init"


def test_PYB_004_a_file_of_the_model_wins_over_a_built_in_handler(serve: StartWorker) -> None:
    worker = serve("", "base_handler", files={"base_handler.py": FUNCTION})
    assert b"function" in answer(worker)


FAILURES: Dict[str, List[Any]] = {
    "no class": [
        "x = 1",
        "handler.py",
        "ValueError: Expected only one class in custom service code or a function entry point []",
    ],
    "two classes": [
        "class A: pass\nclass B: pass",
        "handler.py",
        "ValueError: Expected only one class in custom "
        "service code or a function entry point [<class 'handler.A'>, <class 'handler.B'>]",
    ],
    "PYB-009 no handle": [
        "class A:\n    def initialize(self, context): pass",
        "handler.py",
        "ValueError: Expect handle method in class <class 'handler.A'>",
    ],
    "no initialize": [
        "class A:\n    def handle(self, data, context): pass",
        "handler.py",
        "AttributeError: 'A' object has no attribute 'initialize'",
    ],
    "PYB-013 missing dependency": [
        "import no_such_package",
        "handler.py",
        "ModuleNotFoundError: No module named 'no_such_package'",
    ],
    "no such module": [
        "",
        "no_such_handler.py:handle",
        "ModuleNotFoundError: No module named 'ts.torch_handler.no_such_handler",
    ],
    "syntax error": ["def", "handler.py", "SyntaxError: invalid syntax"],
    "no handler": [
        "",
        "",
        "ValueError: the model has no handler: neither its manifest nor the configuration names one",
    ],
    "WRK-018 RuntimeError": ["def handle(d, c): raise RuntimeError('boom')", "handler.py", "RuntimeError: boom"],
    "KeyError": ["def handle(d, c): raise KeyError('boom')", "handler.py", "KeyError: 'boom'"],
    "CUDA, but no RuntimeError": ["def handle(d, c): raise ValueError('CUDA')", "handler.py", "ValueError: CUDA"],
    "unknown envelope": [
        "def handle(d, c): pass",
        "handler.py",
        "ModuleNotFoundError: No module named 'ts.torch_handler.request_envelope",
    ],
}


@pytest.mark.parametrize("name", FAILURES)
def test_WRK_019_WRK_020_failures_are_answered(make_model: MakeModel, start: StartWorker, name: str) -> None:
    source, handler, reason = FAILURES[name]
    worker = start(make_model(source))
    response = worker.load(handler, envelope="nonsense" if "envelope" in name else "")
    assert (response.code, response.message, response.items) == (500, "Unknown exception", [])
    assert worker.peer is not None
    assert worker.peer.ended()
    assert worker.exit_status() == 1
    log = worker.output()
    assert "Failed to load model m, exception " in log
    # The server quotes the last traceback: it must be that of the model.
    traceback = log.rpartition("Traceback (most recent call last):")[2]
    assert reason in traceback
    assert worker.lines[-2:] == ["Backend worker process died.", "RuntimeError: 500 - Unknown exception"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("MemoryError()", "cpu"),
        ("RuntimeError('CUDA error: device busy')", "cuda"),
        ("RuntimeError('HIP out of memory')", "cuda"),
    ],
)
def test_PYB_011_WRK_018_no_memory(make_model: MakeModel, start: StartWorker, error: str, kind: str) -> None:
    worker = start(
        make_model(
            "class Handler:\n    def handle(self, d, c): pass\n    def initialize(self, context):"
            "\n        raise %s\n" % error
        )
    )
    response = worker.load("handler.py")
    assert (response.code, response.message) == (507, "System out of memory")
    assert worker.exit_status() == 1
    worker.wait_for("Load model m %s OOM, exception " % kind)
    assert worker.lines[-1] == "RuntimeError: 507 - System out of memory"


def test_exit_while_loading_is_answered(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model("import sys\nsys.exit(3)\n"))
    assert worker.load("handler.py").code == 500
    assert worker.exit_status() == 3


def test_PYB_016_PYB_017_what_initialize_is_told(serve: StartWorker) -> None:
    manifest = {"model": {"modelName": "other", "handler": "x"}, "runtime": "python", "more": [1]}
    worker = serve(
        """
        def handle(data, context):
            if data:
                told = {"manifest": context.manifest, "properties": context.system_properties}
                return [{**told, "name": context.model_name}]
        """,
        manifest=manifest,
        load={"batch_size": 4, "limit": False},
    )
    told = json.loads(answer(worker))
    assert told["manifest"] == manifest
    assert told["name"] == "m"
    assert told["properties"] == {
        "model_dir": str(worker.model),
        "gpu_id": None,
        "batch_size": 4,
        "server_name": "MMS",
        "server_version": "0.12.0",
        "limit_max_image_pixels": False,
    }


def test_a_model_without_manifest_has_none(serve: StartWorker) -> None:
    worker = serve("def handle(data, context):\n    return [context.manifest] if data else None\n")
    assert answer(worker) == b"null"


@pytest.mark.parametrize(("gpu", "expected"), [(-1, b"null"), (-7, b"null"), (0, b"0"), (3, b"3")])
def test_WRK_005_the_gpu(serve: StartWorker, gpu: int, expected: bytes) -> None:
    source = "def handle(data, context):\n    return [context.system_properties['gpu_id']] if data else None\n"
    assert answer(serve(source, load={"gpu": gpu})) == expected


def test_PYB_018_one_context_for_all(serve: StartWorker) -> None:
    worker = serve(
        """
        class Handler:
            def initialize(self, context):
                self.first = context
                context.cache = []
                assert context.request_ids is None and context.get_request_id() is None
                assert context.request_processor is None and not hasattr(context, "cl_socket")

            def handle(self, data, context):
                assert context is self.first
                context.cache.append(context.get_request_id())
                return [context.cache]
        """
    )
    answer(worker)
    assert json.loads(worker.answer(frontend.Request("r2")).body) == ["r1", "r2"]


CONFIG = "def handle(data, context):\n    return [context.model_yaml_config] if data else None\n"
CONFIGURED = {"model": {"configFile": "model-config.yaml"}}


def without_yaml(model: pathlib.Path) -> Dict[str, str]:
    """Return an environment in which PyYAML cannot be imported."""
    hidden = model.parent / "hidden"
    hidden.mkdir()
    (hidden / "yaml.py").write_text("raise ImportError('hidden')")
    return {"PYTHONPATH": "%s:%s:%s" % (hidden, model, frontend.HOME)}


@pytest.mark.parametrize("form", ["text", "file"])
def test_the_servers_parse_of_the_configuration(make_model: MakeModel, start: StartWorker, form: str) -> None:
    model = make_model(CONFIG, {"model-config.yaml": "handler: {profile: yes}"}, CONFIGURED)
    content = '{"handler": {"profile": true}}'
    if form == "file":
        (model.parent / "config.json").write_text(content)
        content = str(model.parent / "config.json")
    worker = start(model, environment={**without_yaml(model), "TS_MODEL_CONFIG_JSON": content})
    assert worker.load("handler.py").code == 200
    assert json.loads(answer(worker)) == {"handler": {"profile": True}}


def test_PYB_101_the_types_of_yaml(make_model: MakeModel, start: StartWorker) -> None:
    vectors = frontend.ROOT / "test" / "vectors" / "yaml11"
    source = """
        import os
        from ts.utils.util import get_yaml_config

        def handle(data, context):
            again = get_yaml_config(os.path.join(context.system_properties["model_dir"], "model-config.yaml"))
            return [repr((context.model_yaml_config, again))] if data else None
    """
    model = make_model(source, {"model-config.yaml": (vectors / "types.yaml").read_text()}, CONFIGURED)
    hidden = without_yaml(model)
    worker = start(model, environment={**hidden, "TS_MODEL_CONFIG_JSON": str(vectors / "types.json")})
    assert worker.load("handler.py").code == 200
    assert answer(worker).decode() == repr((TYPES, TYPES))


zone = datetime.timezone
TYPES = {
    "switches": [True, False, True, False, True, "y", "n"],
    "integers": [8, "0o10", 1000, 31, 5, -7, 90, 99999999999999999999],
    "floats": [1.5, 1000.0, "1e3", 0.5, 90.5],
    "nothing": [None, None],
    "infinite": [float("inf"), -float("inf")],
    "texts": ["plain text", "quoted: yes", "it's", "é"],
    "day": datetime.date(2020, 1, 1),
    "moments": [
        datetime.datetime(2001, 12, 14, 21, 59, 43, 100000, zone(datetime.timedelta(hours=-5))),
        datetime.datetime(2001, 12, 14, 21, 59, 43),
        datetime.datetime(2001, 12, 15, 2, 59, 43, 100000, zone.utc),
    ],
    "no_day": "2020-1-1",
    "bytes": b"hello",
    1: "a boolean key",  # which equals the integer before it
    None: "no key",
    2.5: "a float key",
    datetime.date(2020, 2, 29): "a day as key",
    "twice": "second",
    "base": {"a": 1, "b": 2},
    "merged": {"a": 1, "b": 3},
    "looks_like_a_mark": {"!!binary": "aGVsbG8="},
    "folded": "one line\n",
    "literal": "two\nlines\n",
}


def test_a_configuration_that_nobody_can_read(make_model: MakeModel, start: StartWorker) -> None:
    model = make_model(CONFIG, {"model-config.yaml": "handler: {profile: yes}"}, CONFIGURED)
    worker = start(model, environment=without_yaml(model))
    assert worker.load("handler.py").code == 200
    assert json.loads(answer(worker)) == {}
    worker.wait_for("PyYAML is not installed: %s is not read" % (model / "model-config.yaml"))


def test_a_configuration_that_is_json(make_model: MakeModel, start: StartWorker) -> None:
    model = make_model(CONFIG, {"model-config.yaml": '{"a": 1}'}, CONFIGURED)
    worker = start(model, environment=without_yaml(model))
    assert worker.load("handler.py").code == 200
    assert json.loads(answer(worker)) == {"a": 1}


def test_a_configuration_that_is_missing(make_model: MakeModel, start: StartWorker) -> None:
    worker = start(make_model(CONFIG, {}, CONFIGURED))
    assert worker.load("handler.py").code == 500
    worker.wait_for("FileNotFoundError: ")


def test_the_digits_example(start: StartWorker, tmp_path: pathlib.Path) -> None:
    model = tmp_path / "digits"
    shutil.copytree(str(frontend.ROOT / "test" / "archives" / "digits"), str(model))
    (model / "MAR-INF").mkdir()
    manifest = {"model": {"modelName": "digits", "serializedFile": "digits.bin"}}
    (model / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    worker = start(model)
    assert worker.load("digits_handler.py").code == 200, worker.output()
    pixels = [[16 if 2 < column < 5 else 0 for column in range(8)] for _ in range(8)]
    item = worker.answer(frontend.body({"pixels": pixels}))
    assert (item.status, item.content_type, json.loads(item.body)["digit"]) == (200, "application/json", 1)
    item = worker.answer(frontend.body(b"no image", ""))
    assert (item.status, item.phrase) == (400, "Bad Request")
