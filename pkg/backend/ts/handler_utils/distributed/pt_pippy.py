"""Sets up pipelines of PiPPy, whose stages run in several processes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from typing import Any, Dict

pippy_installed = importlib.util.find_spec("pippy") is not None

_OPTIONS = ("num_worker_threads", "rpc_timeout")


def initialize_rpc_workers(local_rank: int, world_size: int, ctx: Any) -> None:
    """Join the group of processes that call each other; waits for the others.

    Args:
        local_rank: of this process
        world_size: number of processes
        ctx: its section pippy may have num_worker_threads and rpc_timeout, in seconds
    """
    torch: Any = importlib.import_module("torch")
    rpc: Any = importlib.import_module("torch.distributed.rpc")
    section = (ctx.model_yaml_config or {}).get("pippy") or {}
    options = rpc.TensorPipeRpcBackendOptions(**{name: section[name] for name in _OPTIONS if name in section})
    gpus = torch.cuda.device_count()
    for rank in range(world_size) if gpus else ():
        options.set_device_map(_worker(rank), {local_rank % gpus: rank % gpus})
    rpc.init_rpc(_worker(local_rank), rank=local_rank, world_size=world_size, rpc_backend_options=options)


def _worker(rank: int) -> str:
    return "worker%d" % rank


def get_pipeline_driver(model: Any, world_size: int, ctx: Any) -> Any:
    """Cut a model into a stage for each process, and return what runs them; every process calls this.

    Args:
        model: a module of torch
        world_size: number of processes
        ctx: its section pippy must have input_names, the names of the model's arguments, and model_type; chunks, the
            number of parts into which an input is cut, is 1 unless given. handler.model_path is where the weights are,
            handler.index_filename may be the index of them there.

    Returns:
        The model itself, with a forward that goes through the pipeline, if model_type is "HF"; else the driver, which
        is None where the rank is not 0.

    Raises:
        AssertionError: an entry is missing.
        FileNotFoundError: the index is.
    """
    configuration = ctx.model_yaml_config or {}
    section, handler = configuration.get("pippy") or {}, configuration.get("handler") or {}
    input_names = _entry(section, "input_names")
    of_transformers = _entry(section, "model_type") == "HF"
    options = {"num_chunks": section.get("chunks", 1), **_weights(_entry(handler, "model_path"), handler)}
    pippy: Any = importlib.import_module("pippy")
    arguments = inspect.signature(model.forward).parameters.values()
    # What is not an input has a fixed value while PiPPy looks at the model.
    options["concrete_args"] = {
        each.name: each.default
        for each in arguments
        if each.name not in input_names and each.default is not inspect.Parameter.empty
    }
    hugging_face: Any = importlib.import_module("pippy.hf") if of_transformers else None
    if hugging_face is not None:
        options["tracer"] = hugging_face.PiPPyHFTracer()
    model.eval()
    driver, _ = pippy.all_compile(
        model, world_size, split_policy=pippy.split_into_equal_size(world_size), schedule="FillDrain", **options
    )
    if hugging_face is None:
        return driver
    hugging_face.inject_pipeline_forward(model, driver)
    return model


get_pipline_driver = get_pipeline_driver
"""compat(0.12): its documentation spells it so."""


def _entry(section: Dict[str, Any], key: str) -> Any:
    if key not in section:
        raise AssertionError("Missing '%s' key in YAML config" % key)
    return section[key]


def _weights(model_path: str, handler: Dict[str, Any]) -> Dict[str, Any]:
    """Return what PiPPy is told about where the weights are."""
    if "index_filename" not in handler:
        return {}
    path = os.path.join(model_path, handler["index_filename"])
    if not os.path.exists(path):
        raise FileNotFoundError("there is no index file %s" % path)
    return {"index_filename": path}
