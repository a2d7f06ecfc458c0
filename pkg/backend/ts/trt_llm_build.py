"""Builds an engine of TensorRT-LLM for a model, with the tools that come with TensorRT-LLM 0.12.0."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from typing import List

TAG = "v0.12.0"
SOURCES = "https://github.com/NVIDIA/TensorRT-LLM.git"


def engine_folder(model_name: str) -> str:
    """Return the name of the engine's folder in the model directory."""
    return model_name + "-engine"


def download(model_id: str) -> str:
    """Return the folder of a model; it is downloaded to .cache in the working directory unless it is there.

    Args:
        model_id: id of the model at Hugging Face, or its folder

    Raises:
        ImportError: huggingface_hub is not installed.
        Exception: it cannot be downloaded.
    """
    if os.path.isdir(model_id):
        return model_id
    from ts.utils.hf_utils import download_model

    return str(download_model(model_id=model_id, revision="main", model_path=".cache"))


def build(model: pathlib.Path, snapshot: str, dtype: str, max_batch_size: int) -> None:
    """Build the engine in the model directory. What is there already is not built again.

    Args:
        model: the model directory
        snapshot: the folder of the model's weights
        dtype: the data type of the engine
        max_batch_size: sequences that the engine works on at a time

    Raises:
        RuntimeError: a tool is missing or has failed; nothing half-built stays behind.
    """
    model = model.resolve()
    checkpoint, engine = model / "tllm_checkpoint_1gpu_bf16", model / engine_folder(model.name)
    if not engine.exists() and not checkpoint.exists():
        script = sources() / "examples" / "llama" / "convert_checkpoint.py"
        folders = ["--model_dir", os.path.abspath(snapshot), "--output_dir", str(checkpoint)]
        _make(checkpoint, [sys.executable, str(script), *folders, "--dtype", dtype])
    folders = ["--checkpoint_dir", str(checkpoint), "--output_dir", str(engine)]
    plugins = ["--gemm_plugin", dtype, "--gpt_attention_plugin", dtype]
    _make(engine, ["trtllm-build", *folders, *plugins, "--max_batch_size", str(max_batch_size)])


def sources() -> pathlib.Path:
    """Return the folder of TensorRT-LLM's sources; they are fetched unless they are there.

    The folder is below the user's cache, where nobody else can put programs.

    Raises:
        RuntimeError: they cannot be fetched.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "torchserve")
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = cache / ("TensorRT-LLM-" + TAG)
    _make(folder, ["git", "clone", "--quiet", "--depth", "1", "--branch", TAG, SOURCES, str(folder)])
    return folder


def _make(folder: pathlib.Path, command: List[str]) -> None:
    """Run the command that makes a folder, unless it is there."""
    if folder.exists():
        return
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError as error:
        raise RuntimeError("%s is not installed; it is needed to make %s" % (command[0], folder)) from error
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, subprocess.CalledProcessError):
            text = "%s has failed with status %d: %s"
            raise RuntimeError(text % (command[0], error.returncode, " ".join(command))) from error
        raise
