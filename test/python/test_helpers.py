"""What else handlers import: texts, environments, the helpers for packages that are not installed here."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import subprocess
import sys
import types
from typing import Any, Dict, List

import frontend
import pytest
from conftest import StartWorker
from ts.context import Context
from ts.handler_utils.distributed import deepspeed as ts_deepspeed
from ts.handler_utils.preprocess import dali as ts_dali
from ts.handler_utils.text_utils import get_tokenizer, ngrams_iterator
from ts.model_service.model_service import ModelService, SingleNodeService
from ts.torch_handler.distributed.base_deepspeed_handler import BaseDeepSpeedHandler
from ts.utils import hf_utils, setup_model_venv
from ts.utils.timeit_decorator import timeit

TEXTS = [
    ("", []),
    ("  A b\tC\n", ["a", "b", "c"]),
    ("You can't, can you?", ["you", "can", "'", "t", ",", "can", "you", "?"]),
    ('He said: "No."', ["he", "said", "no", "."]),
    ("3.5 (or so); yes!<br />end", ["3", ".", "5", "(", "or", "so", ")", "yes", "!", "end"]),
    ("<br>É", ["<br>é"]),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_PYB_100_basic_english(text: str, tokens: List[str]) -> None:
    assert get_tokenizer("basic_english")(text) == tokens


def test_PYB_100_other_tokenizers() -> None:
    assert get_tokenizer(None)(" A, b\n") == ["A,", "b"]
    assert get_tokenizer(None, "de")("a") == ["a"]
    assert get_tokenizer(list) is list
    with pytest.raises(ValueError, match=r"^Basic normalization is only available for Enlish\(en\)$"):
        get_tokenizer("basic_english", "de")
    with pytest.raises(ValueError, match="spacy"):
        get_tokenizer("spacy")


def test_PYB_100_ngrams() -> None:
    tokens = ["a", "b", "c"]
    assert list(ngrams_iterator(tokens, 1)) == tokens
    assert list(ngrams_iterator(tokens, 2)) == ["a", "b", "c", "a b", "b c"]
    assert list(ngrams_iterator(iter(tokens), 9)) == ["a", "b", "c", "a b", "b c", "a b c"]
    assert list(ngrams_iterator([], 2)) == []


def test_PYB_067_a_handler_that_describes_nothing(serve: StartWorker) -> None:
    worker = serve(
        """
        from ts.torch_handler.base_handler import BaseHandler

        class Handler(BaseHandler):
            def initialize(self, context):
                pass
        """
    )
    assert worker.answer(frontend.Request("r1", [("describe", "True")])).body == b"null"


def test_timeit(caplog: pytest.LogCaptureFixture) -> None:
    @timeit
    def double(value: int) -> int:
        """Say what it does."""
        return 2 * value

    with caplog.at_level(logging.INFO):
        assert double(value=2) == 4
    assert (double.__name__, double.__doc__) == ("double", "Say what it does.")
    (record,) = caplog.records
    assert record.message.startswith("double took 0.0")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return an environment that was made where another was, by a user who has packages of her own."""
    folder = tmp_path_factory.mktemp("venv")
    version = "python%d.%d" % sys.version_info[:2]
    users = folder / "user" / "lib" / version / "site-packages"
    users.mkdir(parents=True)
    (users / "of_the_user.py").write_text("")
    path = folder / "venv"
    packages = path / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "of_the_past.py").write_text("")
    done = subprocess.run(
        [sys.executable, setup_model_venv.__file__, str(path)],
        env={**os.environ, "PYTHONUSERBASE": str(folder / "user")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (packages / "inherited-site-packages.pth").is_file()
    (packages / "pluggy.py").write_text("of_the_model = True")
    return path


@pytest.mark.parametrize(
    ("code", "works"),
    [
        ("import pip", True),
        ("import iniconfig", True),
        ("import of_the_user", True),
        ("import pluggy; pluggy.of_the_model", True),
        ("import sys; assert sys.prefix == sys.argv[1]", True),
        ("import of_the_past", False),
    ],
)
def test_the_environment_of_a_model(environment: pathlib.Path, code: str, works: bool) -> None:
    python = environment / "bin" / "python"
    done = subprocess.run([python, "-B", "-c", code, environment], stderr=subprocess.PIPE, text=True)
    assert (done.returncode == 0) is works, done.stderr


def test_an_environment_that_cannot_be_made(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert setup_model_venv.main([str(tmp_path / "file" / "venv")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def context(folder: pathlib.Path, config: Any) -> Context:
    return Context("m", str(folder), None, 1, None, "0.12.0", model_yaml_config=config)


class Calls:
    """Stands for a package that is not installed: any function of it notes its call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
        self.made: List[Any] = []
        for name in modules:
            module: Any = types.ModuleType(name)
            module.__getattr__ = lambda function: self._noting(function)
            monkeypatch.setitem(sys.modules, name, module)

    def _noting(self, function: str) -> Any:
        if function.startswith("__"):
            raise AttributeError(function)

        def call(*args: Any, **kwargs: Any) -> str:
            self.made.append((function, args, kwargs))
            return "made by " + function

        return call


def test_get_ds_engine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, "deepspeed")
    weights = tmp_path / "weights"
    (weights / "deep").mkdir(parents=True)
    for name in ("b.bin", "deep/a.bin", "c.json", "d.pt"):
        (weights / name).write_text("")
    (tmp_path / "ds.json").write_text("{}")
    config = {
        "deepspeed": {"config": "ds.json", "checkpoint": "files.json"},
        "handler": {"model_path": str(weights)},
    }
    assert ts_deepspeed.get_ds_engine("model", context(tmp_path, config)) == "made by init_inference"
    files = str(tmp_path / "files.json")
    options: Dict[str, Any] = {"config": str(tmp_path / "ds.json"), "base_dir": str(weights), "checkpoint": files}
    assert calls.made == [("init_inference", ("model",), options)]
    with open(files) as file:
        assert json.load(file) == {
            "type": "ds_model",
            "checkpoints": [str(weights / name) for name in ("b.bin", "deep/a.bin")],
            "version": 1.0,
        }
    config["deepspeed"] = {}
    ts_deepspeed.get_ds_engine("model", context(tmp_path, config))
    assert calls.made[1][2] == {"config": None, "base_dir": str(weights), "checkpoint": None}


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        ({}, ValueError, "m has no deepspeed config in model config yaml file"),
        (None, ValueError, "m has no deepspeed config in model config yaml file"),
        (
            {"deepspeed": {"config": "ds.json"}, "handler": {"model_path": "w"}},
            ValueError,
            "m has no deepspeed config file /no/ds.json",
        ),
        ({"deepspeed": {}, "handler": {}}, KeyError, "'model_path'"),
    ],
)
def test_get_ds_engine_without_configuration(config: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as raised:
        ts_deepspeed.get_ds_engine("model", context(pathlib.Path("/no"), config))
    assert str(raised.value) == text


def test_a_package_that_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    config = {"deepspeed": {}, "handler": {"model_path": "w"}}
    with pytest.raises(ImportError, match="deepspeed"):
        ts_deepspeed.get_ds_engine("model", context(tmp_path, config))


def test_the_base_of_deepspeed_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, device in ((None, 0), ("3", 3)):
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        if rank:
            monkeypatch.setenv("LOCAL_RANK", rank)
        handler = BaseDeepSpeedHandler()
        handler.initialize(None)
        assert handler.device == device


DALI = {"batch_size": 4, "num_threads": 2, "device_id": 0, "seed": 7}


def test_a_pipeline_of_dali_from_a_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[Any] = []

    def deserialize(**options: Any) -> str:
        made.append(options)
        return "pipeline"

    module: Any = types.ModuleType("nvidia.dali.pipeline")
    module.Pipeline = types.SimpleNamespace(deserialize=deserialize)
    monkeypatch.setitem(sys.modules, "nvidia.dali.pipeline", module)
    given = context(tmp_path, {"dali": {**DALI, "pipeline_file": "model.dali"}})
    with pytest.raises(RuntimeError, match=r"^Missing dali pipeline file.$"):
        ts_dali.get_dali_pipeline(given)
    (tmp_path / "model.dali").write_text("")
    assert ts_dali.get_dali_pipeline(given) == "pipeline"
    assert made == [{**DALI, "filename": str(tmp_path / "model.dali")}]
    configs: List[Any] = [{}, None]
    for config in configs:
        with pytest.raises(ValueError, match=r"^m has no dali config in model config yaml file$"):
            ts_dali.get_dali_pipeline(context(tmp_path, config))
    with pytest.raises(KeyError, match="seed"):
        ts_dali.get_dali_pipeline(context(tmp_path, {"dali": {"batch_size": 1, "num_threads": 1, "device_id": 0}}))


def test_the_pipeline_of_dali_for_images(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, "nvidia.dali.fn", "nvidia.dali.fn.decoders")
    fn = sys.modules["nvidia.dali.fn"]
    monkeypatch.setattr(fn, "decoders", sys.modules["nvidia.dali.fn.decoders"], raising=False)
    types_of_dali: Any = types.ModuleType("nvidia.dali.types")
    for name in ("UINT8", "RGB", "FLOAT", "INTERP_LINEAR"):
        setattr(types_of_dali, name, name)
    monkeypatch.setitem(sys.modules, "nvidia.dali.types", types_of_dali)

    class Pipeline:
        def __init__(self, **options: Any) -> None:
            self.done: List[Any] = [options]

        def __enter__(self) -> None:
            self.done.append("entered")

        def __exit__(self, *_: Any) -> None:
            self.done.append("left")

        def set_outputs(self, *outputs: Any) -> None:
            self.done.append(outputs)

        def build(self) -> None:
            self.done.append("built")

    dali: Any = types.ModuleType("nvidia.dali")
    dali.Pipeline = Pipeline
    monkeypatch.setitem(sys.modules, "nvidia.dali", dali)

    pipeline = ts_dali.get_dali_pipeline(context(tmp_path, {"dali": {**DALI, "other": 1}}))
    assert pipeline.done == [DALI, "entered", ("made by crop_mirror_normalize",), "left", "built"]
    names = ["external_source", "image", "resize", "crop_mirror_normalize"]
    assert [name for name, _, _ in calls.made] == names
    assert [args for _, args, _ in calls.made] == [(), *[("made by " + name,) for name in names[:-1]]]
    source, image, resize, crop = (kwargs for _, _, kwargs in calls.made)
    assert source["name"] == "source"
    assert (image["device"], image["output_type"]) == ("mixed", "RGB")
    assert resize == {"resize_shorter": 256, "interp_type": "INTERP_LINEAR", "antialias": True}
    assert (crop["crop"], crop["output_layout"]) == ((224, 224), "CHW")
    assert crop["mean"] == pytest.approx([123.675, 116.28, 103.53])
    assert crop["std"] == pytest.approx([58.395, 57.12, 57.375])


def test_download_model(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, "huggingface_hub")
    assert hf_utils.download_model() == "made by snapshot_download"
    hf_utils.download_model("owner/name", "v1", "models", use_auth_token=False)
    assert calls.made == [
        (
            "snapshot_download",
            ("meta-llama/Meta-Llama-3.1-8B-Instruct",),
            {"revision": "main", "cache_dir": ".cache", "token": True},
        ),
        ("snapshot_download", ("owner/name",), {"revision": "v1", "cache_dir": "models", "token": False}),
    ]


class Doubling(SingleNodeService):
    def _preprocess(self, data: Any) -> Any:
        return [each for each in data if each is not None]

    def _inference(self, data: Any) -> Any:
        return [each * 2 for each in data]

    def _postprocess(self, data: Any) -> Any:
        return data[0] if len(data) == 1 else data


SIGNATURE = {"inputs": [{"data_name": "x", "data_shape": [1]}], "input_type": "application/json"}


def signed(folder: pathlib.Path, signature: Any) -> Context:
    (folder / "signature.json").write_text(json.dumps(signature))
    manifest = {"Model": {"Signature": "signature.json"}}
    return Context("m", str(folder), manifest, 1, None, "0.12.0")


@pytest.mark.parametrize(
    ("row", "result"),
    [
        ({"x": bytearray(b"[1, 2]")}, [1, 2, 1, 2]),
        ({"body": bytearray(b"4"), "data": b"5"}, [8]),
        ({"data": b"5"}, [10]),
        ({"body": bytearray(b'["\\u00e9", true]')}, ["é", True] * 2),
        ({"body": 3}, [6]),
        ({}, []),
    ],
)
def test_a_service_of_the_old_form(tmp_path: pathlib.Path, row: Dict[str, Any], result: Any) -> None:
    service, given = Doubling("m", str(tmp_path), None, 1), signed(tmp_path, SIGNATURE)
    service.initialize(given)
    assert (service.signature(), service.context, service.gpu) == (SIGNATURE, given, 1)
    assert service.handle([row, {"x": b"the second is not looked at"}], given) == result


def test_a_service_of_the_old_form_evaluates_literals_only(tmp_path: pathlib.Path) -> None:
    service, given = Doubling("m", str(tmp_path), None), signed(tmp_path, SIGNATURE)
    service.initialize(given)
    with pytest.raises(ValueError):
        service.handle([{"x": b"{'a': 1}['a']"}], given)


def test_a_service_of_the_old_form_with_images(tmp_path: pathlib.Path) -> None:
    service, given = Doubling("m", str(tmp_path), None), signed(tmp_path, {**SIGNATURE, "input_type": "image/jpeg"})
    service.initialize(given)
    assert service.handle([{"body": b"[1]"}], given) == [b"[1][1]"]
    assert service.ping() is None


def test_a_service_of_the_old_form_needs_its_signature(tmp_path: pathlib.Path) -> None:
    given = signed(tmp_path, SIGNATURE)
    (tmp_path / "signature.json").unlink()
    with pytest.raises(ValueError, match=r"^Signature file is not found.$"):
        Doubling("m", str(tmp_path), None).initialize(given)
    with pytest.raises(TypeError):
        ModelService("m", str(tmp_path), None)
