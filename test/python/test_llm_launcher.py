"""Serving a large language model by one command, with the real program; fake packages stand for engines and tools."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
from typing import Any, Dict, Iterator, List

import engines
import frontend
import pytest
from conftest import StartWorker
from site_of_server import Site

FRONTEND_CONFIG = {
    "minWorkers": 1,
    "maxWorkers": 1,
    "batchSize": 1,
    "maxBatchDelay": 100,
    "responseTimeout": 1200,
    "startupTimeout": 1200,
    "deviceType": "gpu",
    "asyncCommunication": True,
}


class Launcher:
    """A running launcher; its output is collected until it has ended."""

    def __init__(self, site: Site, fakes: pathlib.Path, *arguments: str, **changes: str) -> None:
        path = os.pathsep.join([str(fakes), str(frontend.HOME)])
        environment = {**site.environment(), "TS_CONFIG_FILE": str(site.config), "PYTHONPATH": path, **changes}
        words = [sys.executable, "-m", "ts.llm_launcher", "--model_store", str(site.store), *arguments]
        self.lines: List[str] = []
        self.process = subprocess.Popen(
            words, cwd=site.work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait_for(self, part: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if part in line:
                return line
        raise AssertionError("no %r in:\n%s" % (part, "\n".join(self.lines)))

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.status()

    def status(self) -> int:
        rest = self.process.communicate(timeout=frontend.PATIENCE)[0]
        self.lines += rest.splitlines()
        return self.process.returncode

    def stop(self) -> None:
        if self.process.poll() is None:
            self.end()


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Site(pathlib.Path(os.path.realpath(folder)))


@pytest.fixture
def fakes(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a folder with vllm, for the PYTHONPATH of the launcher, which its workers get, too."""
    write(tmp_path / "fakes", engines.CURRENT)
    return tmp_path / "fakes"


@pytest.fixture
def launch(site: Site, fakes: pathlib.Path) -> Iterator[Any]:
    launchers: List[Launcher] = []

    def start(*arguments: str, **changes: str) -> Launcher:
        launchers.append(Launcher(site, fakes, *arguments, **changes))
        return launchers[-1]

    yield start
    for launcher in launchers:
        launcher.stop()


def write(folder: pathlib.Path, files: Dict[str, str], mode: int = 0o644) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
        path.chmod(mode)


def loaded(launcher: Launcher) -> None:
    """Wait for the server; its models load in the background, and requests wait for them."""
    launcher.wait_for("Model server started")
    if any("does not support asyncCommunication yet" in line for line in launcher.lines):
        pytest.skip("the server does not run async workers yet")


def arguments(*words: str) -> Any:
    from ts import llm_launcher

    return llm_launcher.parser().parse_args(words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_LLM_005_LLM_006_LLM_007_from_start_to_end(launch: Any, site: Site, number: int) -> None:
    launcher = launch("--model_name", "llm", "--model_id", "org/tiny", "--disable_token_auth")
    launcher.wait_for("Loading initial models: llm")
    launcher.wait_for("Model server started")
    # Without keys, and without snapshots.
    assert site.get("inference", "/ping")[0] == 200
    assert not (site.work / "key_file.json").exists()
    manifest = json.loads((site.store / "llm" / "MAR-INF" / "MANIFEST.json").read_text())
    assert manifest["model"] == {
        "modelName": "llm",
        "modelVersion": "1.0",
        "handler": "vllm_handler",
        "configFile": "model-config.yaml",
    }
    assert launcher.end(number) == 0
    assert not site.runs()
    assert list(site.store.iterdir()) == []
    assert not (site.work / "logs" / "config").exists()
    assert "A TorchServe server of this user that runs already is stopped first." in launcher.lines
    assert not any("Traceback" in line for line in launcher.lines)


def test_a_completion_through_the_server(launch: Any, site: Site) -> None:
    launcher = launch("--model_name", "llm", "--model_id", "org/tiny", "--disable_token_auth")
    loaded(launcher)
    request = b'{"model": "org/tiny", "prompt": "a b"}'
    status, body = site.get("inference", "/predictions/llm/1.0/v1/completions", request)
    assert status == 200, body
    assert json.loads(body)["choices"][0]["text"] == "a b"
    (described,) = json.loads(site.get("management", "/models/llm")[1])
    assert (described["minWorkers"], described["maxWorkers"], described["batchSize"]) == (1, 1, 1)


def test_LLM_005_the_handler_understands_the_configuration(site: Site, fakes: pathlib.Path, start: StartWorker) -> None:
    from ts import llm_launcher

    config = llm_launcher.vllm_config(arguments("--model_id", "org/tiny"))
    llm_launcher.write_model(site.store / "llm", "vllm", config)
    path = os.pathsep.join([str(site.store / "llm"), str(fakes), str(frontend.HOME)])
    environment = {"PYTHONPATH": path, "TS_MODEL_CONFIG_JSON": json.dumps(config)}
    worker = start(site.store / "llm", extra=["--async"], environment=environment)
    assert worker.load("vllm_handler").code == 200, worker.output()
    models = worker.answer(frontend.body(b"", url_path="v1/models"))
    assert [each["id"] for each in json.loads(models.body)["data"]] == ["org/tiny"]
    assert "max_num_seqs=256" in worker.wait_for("engine: ")


def test_LLM_006_with_keys(launch: Any, site: Site) -> None:
    launcher = launch()
    launcher.wait_for("Model server started")
    keys = site.keys()
    assert site.get("inference", "/ping")[0] == 400
    assert launcher.end() == 0
    shown = "\n".join(launcher.lines)
    assert [kind for kind, key in keys.items() if key in shown] == []


def test_LLM_007_what_was_there_stays(launch: Any, site: Site) -> None:
    site.add_folder("mine")
    before = (site.store / "mine" / "MAR-INF" / "MANIFEST.json").read_text()
    launcher = launch("--model_name", "mine", "--disable_token_auth")
    launcher.wait_for("%s is served as it is" % (site.store / "mine"))
    launcher.wait_for("Model server started")
    assert site.get("inference", "/predictions/mine", b"[1]")[0] == 200
    assert launcher.end() == 0
    assert (site.store / "mine" / "MAR-INF" / "MANIFEST.json").read_text() == before
    assert sorted(each.name for each in (site.store / "mine").iterdir()) == ["MAR-INF", "handler.py"]


def test_the_launcher_ends_with_its_server(launch: Any, site: Site) -> None:
    launcher = launch("--disable_token_auth")
    launcher.wait_for("Model server started")
    os.kill(int((site.temp / ".model_server.pid").read_text()), signal.SIGTERM)
    assert launcher.status() == 1
    assert "TorchServe has ended." in launcher.lines
    assert list(site.store.iterdir()) == []


def test_LLM_002_arguments_and_their_defaults() -> None:
    defaults = {
        "model_name": "model",
        "model_store": "model_store",
        "model_id": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "disable_token_auth": False,
        "engine": "vllm",
        "dtype": "bfloat16",
        "startup_timeout": 1200,
        "vllm_engine.max_num_seqs": 256,
        "vllm_engine.max_model_len": None,
        "vllm_engine.download_dir": None,
        "trt_llm_engine.max_batch_size": 4,
        "trt_llm_engine.kv_cache_free_gpu_memory_fraction": 0.1,
    }
    assert vars(arguments()) == defaults
    words = [word for name, value in defaults.items() if value is not False for word in ("--" + name, str(value or 1))]
    assert vars(arguments(*words, "--disable_token_auth")).keys() == defaults.keys()


def test_LLM_003_a_fraction() -> None:
    from ts import llm_launcher

    args = arguments("--trt_llm_engine.kv_cache_free_gpu_memory_fraction", "0.5")
    handler = llm_launcher.trt_llm_config(args, "/snapshot")["handler"]
    assert handler["kv_cache_config"] == {"free_gpu_memory_fraction": 0.5}


@pytest.mark.parametrize(
    ("words", "status", "last"),
    [
        (["--engine", "llama"], 1, "RuntimeError: Unsupported LLM Engine"),
        (["--model_name", "../m"], 2, "argument --model_name: not a name: '../m'"),
    ],
)
def test_LLM_004_what_is_refused(launch: Any, site: Site, words: List[str], status: int, last: str) -> None:
    launcher = launch(*words)
    assert launcher.status() == status
    assert launcher.lines[-1].endswith(last)
    assert list(site.store.iterdir()) == []


@pytest.mark.parametrize(("seen", "expected"), [(None, 1), (0, 1), (4, 4)])
def test_LLM_008_devices(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, seen: Any, expected: int) -> None:
    from ts import llm_launcher

    monkeypatch.setitem(sys.modules, "torch", None)
    if seen is not None:
        source = "class cuda:\n    @staticmethod\n    def device_count():\n        return %d\n" % seen
        write(tmp_path, {"torch.py": source})
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "torch")
    config = llm_launcher.vllm_config(arguments("--vllm_engine.download_dir", "data"))
    engine = {
        "max_num_seqs": 256,
        "max_model_len": None,
        "download_dir": os.path.abspath("data"),
        "tensor_parallel_size": expected,
    }
    handler = {"model_path": "meta-llama/Meta-Llama-3.1-8B-Instruct", "vllm_engine_config": engine}
    assert config == {**FRONTEND_CONFIG, "parallelLevel": expected, "handler": handler}


def test_LLM_005_the_configuration_is_written_anew(tmp_path: pathlib.Path) -> None:
    from ts import llm_launcher

    model = tmp_path / "m"
    llm_launcher.write_model(model, "vllm", {"startupTimeout": 1, "handler": {"model_path": 'a "b"', "x": None}})
    text = (model / "model-config.yaml").read_text("utf-8")
    assert text.startswith("# Written by ts.llm_launcher")
    assert text.endswith('\nstartupTimeout: 1\nhandler:\n  model_path: "a \\"b\\""\n  x: null\n')
    llm_launcher.write_model(model, "vllm", {"startupTimeout": 2})
    assert (model / "model-config.yaml").read_text("utf-8").endswith("\nstartupTimeout: 2\n")
    (model / "model-config.yaml").write_text("startupTimeout: 3\n")
    llm_launcher.write_model(model, "vllm", {"startupTimeout": 4})
    assert (model / "model-config.yaml").read_text("utf-8") == "startupTimeout: 3\n"
    llm_launcher.write_model(model, "trt_llm", {"startupTimeout": 5})
    assert (model / "model-config.yaml").read_text("utf-8").endswith("\nstartupTimeout: 5\n")


# What a tool was asked for goes to the log; the folder that follows an option is made.
TOOL = """\
#!/bin/sh
echo "${0##*/} $*" >> "$TOOL_LOG"
[ "${0##*/}" != "$BROKEN_TOOL" ] || { mkdir -p "$half"; exit 3; }
for word; do
    case "$last" in --output_dir | --model_dir) mkdir -p "$word";; esac
    last=$word
done
"""
GIT = (
    TOOL
    + """
mkdir -p "$last/examples/llama"
printf '%s\\n' 'import os, subprocess, sys' 'sys.exit(subprocess.call(["convert"] + sys.argv[1:]))' \\
    > "$last/examples/llama/convert_checkpoint.py"
"""
)
HUB = """
    import os

    def snapshot_download(repository, revision, cache_dir, **options):
        folder = os.path.join(cache_dir, repository.replace("/", "--"))
        os.makedirs(folder, exist_ok=True)
        with open(os.environ["TOOL_LOG"], "a") as log:
            print("download", repository, revision, folder, file=log)
        return folder
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path, fakes: pathlib.Path) -> Dict[str, str]:
    """Return the environment in which TensorRT-LLM and its tools seem to be installed."""
    write(fakes, {**engines.TRT_PINNED, "huggingface_hub.py": HUB})
    write(tmp_path / "bin", {"git": GIT, "convert": TOOL, "trtllm-build": TOOL}, 0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    cache = str(tmp_path / "cache")
    return {"PATH": path, "TOOL_LOG": str(tmp_path / "log"), "XDG_CACHE_HOME": cache}


def test_LLM_005_trt_llm(launch: Any, site: Site, tools: Dict[str, str], tmp_path: pathlib.Path) -> None:
    log = pathlib.Path(tools["TOOL_LOG"])
    words = ["--engine", "trt_llm", "--model_id", "org/tiny", "--model_name", "llm", "--disable_token_auth"]
    launcher = launch(*words, **tools)
    launcher.wait_for("Loading initial models: llm")
    launcher.wait_for("Model server started")
    assert launcher.end() == 0
    model, snapshot = site.store / "llm", site.work / ".cache" / "org--tiny"
    clone = tmp_path / "cache" / "torchserve" / "TensorRT-LLM-v0.12.0"
    checkpoint, engine = model / "tllm_checkpoint_1gpu_bf16", model / "llm-engine"
    plugins = "--gemm_plugin bfloat16 --gpt_attention_plugin bfloat16 --max_batch_size 4"
    download = "download org/tiny main .cache/org--tiny"
    assert log.read_text().splitlines() == [
        download,
        "git clone --quiet --depth 1 --branch v0.12.0 https://github.com/NVIDIA/TensorRT-LLM.git %s" % clone,
        "convert --model_dir %s --output_dir %s --dtype bfloat16" % (snapshot, checkpoint),
        "trtllm-build --checkpoint_dir %s --output_dir %s %s" % (checkpoint, engine, plugins),
    ]
    assert clone.parent.stat().st_mode & 0o077 == 0
    assert engine.is_dir()
    config = (model / "model-config.yaml").read_text()
    assert "\nasyncCommunication: true\nhandler:\n" in config
    assert '\n  tokenizer_dir: "%s"\n  engine_dir: "llm-engine"\n' % snapshot in config
    # What is built stays, and is not built again.
    log.unlink()
    launcher = launch(*words, **tools)
    launcher.wait_for("Model server started")
    assert launcher.end() == 0
    assert log.read_text().splitlines() == [download]


def test_trt_llm_through_the_server(launch: Any, site: Site, tools: Dict[str, str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "snapshot").mkdir()
    words = ["--engine", "trt_llm", "--model_id", str(tmp_path / "snapshot"), "--disable_token_auth"]
    loaded(launch(*words, **tools))
    assert site.get("inference", "/predictions/model", b'{"prompt": "a b c", "max_tokens": 2}') == (200, b"a b")


def test_a_tool_of_trt_llm_that_fails(launch: Any, site: Site, tools: Dict[str, str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "snapshot").mkdir()
    half = str(site.store / "llm" / "llm-engine")
    words = ["--engine", "trt_llm", "--model_id", str(tmp_path / "snapshot"), "--model_name", "llm"]
    launcher = launch(*words, **tools, BROKEN_TOOL="trtllm-build", half=half)
    assert launcher.status() == 1
    assert launcher.lines[-1].startswith("RuntimeError: trtllm-build has failed with status 3: trtllm-build ")
    assert not os.path.exists(half)
    assert not site.runs()
    launcher = launch(*words, **{**tools, "PATH": "/nowhere"})
    assert launcher.status() == 1
    assert launcher.lines[-1] == "RuntimeError: trtllm-build is not installed; it is needed to make %s" % half
