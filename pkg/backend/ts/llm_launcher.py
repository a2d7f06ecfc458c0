"""Serves a large language model by one command: python -m ts.llm_launcher --model_id ….

Writes a model directory for one of the bundled handlers, vllm_handler or trt_llm_handler, starts the server with it,
and stops it when interrupted (reference: llm.md, section 2).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import queue
import shutil
import signal
import sys
import time
from typing import Any, Dict, List, NoReturn, Optional

from ts import __version__, launcher, trt_llm_build

CONFIG = "model-config.yaml"
MARK = "# Written by ts.llm_launcher, anew at each start.\n"
"""The first line of a configuration that is not a person's."""

Config = Dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the launcher's arguments."""
    made = argparse.ArgumentParser(prog="python -m ts.llm_launcher", description="Serve a large language model.")
    made.add_argument("--model_name", default="model", help="under which the model is served")
    made.add_argument("--model_store", default="model_store", help="folder of the model, made if missing")
    identity = "id of the model at Hugging Face, or its folder"
    made.add_argument("--model_id", default="meta-llama/Meta-Llama-3.1-8B-Instruct", help=identity)
    made.add_argument("--disable_token_auth", action="store_true", help="serve without keys")
    made.add_argument("--engine", default="vllm", help="vllm or trt_llm")
    made.add_argument("--dtype", default="bfloat16", help="data type, for the conversion of trt_llm")
    made.add_argument("--startup_timeout", type=int, default=1200, help="seconds the model has to load")
    vllm = made.add_argument_group("vllm")
    vllm.add_argument("--vllm_engine.max_num_seqs", type=int, default=256, help="sequences at a time")
    vllm.add_argument("--vllm_engine.max_model_len", type=int, help="tokens of prompt and completion")
    vllm.add_argument("--vllm_engine.download_dir", help="folder of downloaded models")
    trt = made.add_argument_group("trt_llm")
    trt.add_argument("--trt_llm_engine.max_batch_size", type=int, default=4, help="sequences at a time")
    share = "share of the free GPU memory for the key-value cache, 0 to 1"
    trt.add_argument("--trt_llm_engine.kv_cache_free_gpu_memory_fraction", type=float, default=0.1, help=share)
    return made


def main(argv: Optional[List[str]] = None) -> int:
    """Serve until interrupted; SIGTERM counts as an interruption.

    Args:
        argv: arguments, those of the process if None

    Returns:
        The exit status: 0 after an interruption, 1 if the server has ended by itself.

    Raises:
        RuntimeError: there is no such engine, or the model cannot be prepared for it.
        OSError: a file cannot be written, or the program torchserve not be found.
    """
    args = parser().parse_args(argv)
    if args.engine not in ("vllm", "trt_llm"):
        raise RuntimeError("Unsupported LLM Engine")
    if args.model_name in ("", ".", "..") or os.path.basename(args.model_name) != args.model_name:
        parser().error("argument --model_name: not a name: %r" % args.model_name)
    signal.signal(signal.SIGTERM, _interrupt)
    model = pathlib.Path(args.model_store, args.model_name)
    created = not model.exists()
    try:
        _prepare(args, model)
        return _serve(args)
    except KeyboardInterrupt:
        return 0
    finally:
        # The engine of trt_llm takes long to build: it stays for the next start.
        if created and args.engine == "vllm":
            shutil.rmtree(model, ignore_errors=True)


def _interrupt(*_: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows is clean-up
    raise KeyboardInterrupt


def _prepare(args: argparse.Namespace, model: pathlib.Path) -> None:
    """Write the model's directory, and for trt_llm build its engine."""
    model.parent.mkdir(parents=True, exist_ok=True)
    if args.engine == "vllm":
        write_model(model, args.engine, vllm_config(args))
        return
    snapshot = trt_llm_build.download(args.model_id)
    write_model(model, args.engine, trt_llm_config(args, snapshot))
    batch_size = getattr(args, "trt_llm_engine.max_batch_size")
    trt_llm_build.build(model, snapshot, args.dtype, batch_size)


def _serve(args: argparse.Namespace) -> int:
    _say("A TorchServe server of this user that runs already is stopped first.")
    try:
        lines = launcher.start(
            model_store=args.model_store,
            no_config_snapshots=True,
            disable_token=args.disable_token_auth,
            models=args.model_name,
        )
        _drain(lines)
    finally:
        launcher.stop()
    _say("TorchServe has ended.")
    return 1


def _drain(lines: queue.Queue[Optional[str]]) -> None:
    """Return when the server has ended. Its lines are printed already."""
    while lines.get() is not None:
        pass


def vllm_config(args: argparse.Namespace) -> Config:
    """Return the configuration of a model that vLLM serves."""
    devices = device_count()
    folder = getattr(args, "vllm_engine.download_dir")
    engine = {
        "max_num_seqs": getattr(args, "vllm_engine.max_num_seqs"),
        "max_model_len": getattr(args, "vllm_engine.max_model_len"),
        "download_dir": os.path.abspath(folder) if folder else None,
        "tensor_parallel_size": devices,
    }
    handler = {"model_path": args.model_id, "vllm_engine_config": engine}
    return {**_frontend_config(args), "parallelLevel": devices, "handler": handler}


def trt_llm_config(args: argparse.Namespace, snapshot: str) -> Config:
    """Return the configuration of a model that TensorRT-LLM serves; snapshot is the model's folder."""
    fraction = getattr(args, "trt_llm_engine.kv_cache_free_gpu_memory_fraction")
    handler = {
        "tokenizer_dir": os.path.abspath(snapshot),
        "engine_dir": trt_llm_build.engine_folder(args.model_name),
        "kv_cache_config": {"free_gpu_memory_fraction": fraction},
    }
    return {**_frontend_config(args), "handler": handler}


def _frontend_config(args: argparse.Namespace) -> Config:
    return {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 1,
        "maxBatchDelay": 100,
        "responseTimeout": 1200,
        "startupTimeout": args.startup_timeout,
        "deviceType": "gpu",
        "asyncCommunication": True,
    }


def device_count() -> int:
    """Return over how many devices a model is spread: the GPUs that torch sees, 1 without any."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return 1  # then the engine is not installed here either
    return max(1, torch.cuda.device_count())


def write_model(model: pathlib.Path, engine: str, config: Config) -> None:
    """Write a model directory, of which the server makes an archive's use.

    One that is there stays as it is, but for a configuration that an earlier start has written. Those for trt_llm are
    always taken for such: 0.12 left them behind without a mark.
    """
    path = model / CONFIG
    if model.exists() and engine == "vllm" and not (path.is_file() and path.read_text("utf-8").startswith(MARK)):
        _say("%s is served as it is: this launcher has not made it." % model)
        return
    (model / "MAR-INF").mkdir(parents=True, exist_ok=True)
    path.write_text(MARK + _yaml(config), "utf-8")
    named = {"modelName": model.name, "modelVersion": "1.0", "handler": engine + "_handler", "configFile": CONFIG}
    manifest = {
        "createdOn": time.strftime("%d/%m/%Y %H:%M:%S"),
        "runtime": "python",
        "model": named,
        "archiverVersion": __version__,
    }
    (model / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest, indent=2), "utf-8")


def _yaml(config: Config, indent: str = "") -> str:
    """Return a mapping as YAML, whose scalars may be written as in JSON."""
    lines = []
    for key, value in config.items():
        if isinstance(value, dict):
            lines.append("%s%s:\n%s" % (indent, key, _yaml(value, indent + "  ")))
        else:
            lines.append("%s%s: %s\n" % (indent, key, json.dumps(value, ensure_ascii=False)))
    return "".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
