"""Prepares images on the GPU with NVIDIA DALI."""

from __future__ import annotations

import importlib
import os
from typing import Any, Dict

_MEAN = [0.485, 0.456, 0.406]
_DEVIATION = [0.229, 0.224, 0.225]  # both are those of ImageNet, per channel, of values from 0 to 1
_SHORTER_SIDE = 256
_CROP = 224, 224


def get_dali_pipeline(ctx: Any) -> Any:
    """Return a pipeline that is ready to run, as section dali of the model's configuration describes it.

    Args:
        ctx: its section dali has batch_size, num_threads, device_id and seed. pipeline_file names a serialized
            pipeline in the model directory; without one images are decoded, resized, cropped and normalized as models
            of ImageNet want them. The input of either is called source.

    Raises:
        ValueError: there is no such section.
        RuntimeError: the file is missing.
        KeyError: an entry is.
    """
    section = (ctx.model_yaml_config or {}).get("dali")
    if section is None:
        raise ValueError("%s has no dali config in model config yaml file" % ctx.model_name)
    options = {name: section[name] for name in ("batch_size", "num_threads", "device_id", "seed")}
    if "pipeline_file" not in section:
        return _image_pipeline(options)
    path = os.path.join(ctx.system_properties["model_dir"], section["pipeline_file"])
    if not os.path.isfile(path):
        raise RuntimeError("Missing dali pipeline file.")
    return importlib.import_module("nvidia.dali.pipeline").Pipeline.deserialize(filename=path, **options)


def _image_pipeline(options: Dict[str, Any]) -> Any:
    dali: Any = importlib.import_module("nvidia.dali")
    fn: Any = importlib.import_module("nvidia.dali.fn")
    types: Any = importlib.import_module("nvidia.dali.types")
    pipeline = dali.Pipeline(**options)
    with pipeline:
        files = fn.external_source(name="source", dtype=types.UINT8, ndim=1)
        images = fn.decoders.image(files, device="mixed", output_type=types.RGB)
        images = fn.resize(images, resize_shorter=_SHORTER_SIDE, interp_type=types.INTERP_LINEAR, antialias=True)
        images = fn.crop_mirror_normalize(
            images,
            dtype=types.FLOAT,
            output_layout="CHW",
            crop=_CROP,
            mean=[255 * each for each in _MEAN],
            std=[255 * each for each in _DEVIATION],
        )
        pipeline.set_outputs(images)
    pipeline.build()
    return pipeline
