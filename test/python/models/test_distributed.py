"""Handlers whose model several processes share: torch's own part is real, PiPPy is not installed."""

from __future__ import annotations

import pathlib
import socket
import sys
import types
from typing import Any, Dict, List

import frontend
import pytest
import torch
from conftest import MakeModel, StartWorker
from torch.distributed import rpc
from ts.context import Context
from ts.handler_utils.distributed import pt_pippy

HANDLER = """
    import operator
    from torch.distributed import rpc
    from ts.torch_handler.distributed.base_pippy_handler import BasePippyHandler

    class Handler(BasePippyHandler):
        def handle(self, data, context):
            name = rpc.get_worker_info().name
            called = rpc.rpc_sync(name, operator.add, args=(1, 2))
            return [[name, called, str(self.device), self.local_rank, self.world_size]] * len(data)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_processes_call_each_other(serve: StartWorker) -> None:
    ranks = {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    worker = serve(
        HANDLER,
        files={"config.yaml": "pippy: {num_worker_threads: 4, rpc_timeout: 20}"},
        manifest={"model": {"configFile": "config.yaml"}},
        environment={**ranks, **where, "OMP_NUM_THREADS": "1"},
    )
    assert worker.answer(frontend.body(1)).body.split() == b'[ "worker0", 3, "cpu", 0, 1 ]'.split()


def context(config: Any) -> Context:
    return Context("m", "/m", None, 1, None, "0.12.0", model_yaml_config=config)


def test_each_process_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: List[Any] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(rpc, "init_rpc", lambda *args, **kwargs: begun.append((args, kwargs)))
    pt_pippy.initialize_rpc_workers(1, 4, context({"pippy": {"num_worker_threads": 4, "rpc_timeout": 20}}))
    ((args, kwargs),) = begun
    options = kwargs.pop("rpc_backend_options")
    assert (args, kwargs) == (("worker1",), {"rank": 1, "world_size": 4})
    assert (options.num_worker_threads, options.rpc_timeout) == (4, 20)
    devices = [torch.device("cuda", at) for at in range(2)]
    assert options.device_maps == {"worker%d" % rank: {devices[1]: devices[rank % 2]} for rank in range(4)}


class PiPPy(types.ModuleType):
    """Stands for PiPPy 0.1; it notes what it is asked to compile."""

    PiPPyHFTracer = type("PiPPyHFTracer", (), {})

    def __init__(self) -> None:
        super().__init__("pippy")
        self.compiled: List[Any] = []

    def split_into_equal_size(self, parts: int) -> str:
        return "in %d" % parts

    def all_compile(self, model: Any, num_ranks: int, num_chunks: int, **options: Any) -> Any:
        self.compiled.append((model, num_ranks, num_chunks, options))
        return "driver", "stage"

    def inject_pipeline_forward(self, model: Any, driver: str) -> None:
        model.injected = driver


@pytest.fixture
def pippy(monkeypatch: pytest.MonkeyPatch) -> PiPPy:
    made = PiPPy()
    monkeypatch.setitem(sys.modules, "pippy", made)
    monkeypatch.setitem(sys.modules, "pippy.hf", made)
    return made


class Network(torch.nn.Module):
    def forward(self, tokens: Any, mask: Any = None, cache: bool = True) -> Any:
        return tokens


def config(**changes: Any) -> Dict[str, Any]:
    made = {"input_names": ["tokens", "mask"], "model_type": "HF", "chunks": 3, "model_path": "/no", **changes}
    paths = {name: made.pop(name) for name in ("model_path", "index_filename") if name in made}
    return {"pippy": {name: value for name, value in made.items() if value is not None}, "handler": paths}


def test_a_model_of_transformers(pippy: PiPPy, tmp_path: pathlib.Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    given = context(config(model_path=str(tmp_path), index_filename="index.json"))
    model: Any = Network()
    assert pt_pippy.get_pipeline_driver(model, 2, given) is model
    assert (model.injected, model.training) == ("driver", False)
    ((compiled, ranks, chunks, options),) = pippy.compiled
    assert (compiled, ranks, chunks) == (model, 2, 3)
    assert isinstance(options.pop("tracer"), PiPPy.PiPPyHFTracer)
    assert options == {
        "split_policy": "in 2",
        "schedule": "FillDrain",
        "concrete_args": {"cache": True},
        "index_filename": str(tmp_path / "index.json"),
    }


def test_another_model(pippy: PiPPy) -> None:
    assert pt_pippy.get_pipline_driver(Network(), 1, context(config(model_type="other", chunks=None))) == "driver"
    ((_, _, chunks, options),) = pippy.compiled
    assert chunks == 1
    assert set(options) == {"split_policy", "schedule", "concrete_args"}


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (config(input_names=None), AssertionError, "Missing 'input_names' key in YAML config"),
        (config(model_type=None), AssertionError, "Missing 'model_type' key in YAML config"),
        ({**config(), "handler": None}, AssertionError, "Missing 'model_path' key in YAML config"),
        ({}, AssertionError, "Missing 'input_names' key in YAML config"),
        (config(index_filename="index.json"), FileNotFoundError, "there is no index file /no/index.json"),
    ],
)
def test_a_configuration_that_lacks_something(pippy: PiPPy, given: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as raised:
        pt_pippy.get_pipeline_driver(Network(), 1, context(given))
    assert str(raised.value) == text


def test_a_handler_that_torchrun_has_not_started(start: StartWorker, make_model: MakeModel) -> None:
    worker = start(make_model(HANDLER), environment={"OMP_NUM_THREADS": "1"})
    assert worker.load("handler.py").code == 500
    worker.wait_for("KeyError: 'LOCAL_RANK'")
