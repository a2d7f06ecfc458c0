"""Sets up inference with DeepSpeed."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
from typing import Any


def get_ds_engine(model: Any, ctx: Any) -> Any:
    """Return DeepSpeed's engine for a model, as section deepspeed of its configuration describes it.

    Args:
        model: without weights if there is a checkpoint to be loaded
        ctx: its section deepspeed has config, DeepSpeed's own configuration in the model directory, and may have
            checkpoint: a file that is written there and lists the weights. handler.model_path is where those are.

    Raises:
        ValueError: there is no such section, or no such file.
        KeyError: there is no handler.model_path.
    """
    configuration = ctx.model_yaml_config or {}
    section = configuration.get("deepspeed")
    if section is None:
        raise ValueError("%s has no deepspeed config in model config yaml file" % ctx.model_name)
    model_path = configuration["handler"]["model_path"]
    model_dir = ctx.system_properties["model_dir"]
    config = checkpoint = None
    if "config" in section:
        config = os.path.join(model_dir, section["config"])
        if not os.path.isfile(config):
            raise ValueError("%s has no deepspeed config file %s" % (ctx.model_name, config))
    if "checkpoint" in section:
        checkpoint = os.path.join(model_dir, section["checkpoint"])
        create_checkpoints_json(model_path, checkpoint)
    deepspeed: Any = importlib.import_module("deepspeed")
    return deepspeed.init_inference(model, config=config, base_dir=model_path, checkpoint=checkpoint)


def create_checkpoints_json(model_path: str, checkpoints_json: str) -> None:
    """Write the file that tells DeepSpeed where the weights are.

    Args:
        model_path: the folder with the weights: files *.bin and their like, at any depth
        checkpoints_json: the file to be written
    """
    found = sorted(path for path in pathlib.Path(model_path).rglob("*.[bp][it][n]") if path.is_file())
    # DeepSpeed puts base_dir before a path that is relative.
    files = [str(path.absolute()) for path in found]
    with open(checkpoints_json, "w", encoding="utf-8") as file:
        json.dump({"type": "ds_model", "checkpoints": files, "version": 1.0}, file)
