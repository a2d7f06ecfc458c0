"""Handlers of images that NVIDIA DALI prepares on the GPU."""

from __future__ import annotations

import abc
import base64
import importlib
from typing import Any, Dict, List

from ts.handler_utils.preprocess.dali import get_dali_pipeline
from ts.handler_utils.timer import timed
from ts.torch_handler.vision_handler import VisionHandler


class DALIHandler(VisionHandler, abc.ABC):
    """A handler of images with a pipeline of DALI in place of image_processing."""

    pipeline: Any = None

    def initialize(self, context: Any) -> None:
        """Load the model and make the pipeline; see get_dali_pipeline for the configuration.

        Raises:
            ValueError, RuntimeError, KeyError: there is no model, or the pipeline is not configured.
        """
        super().initialize(context)
        self.pipeline = get_dali_pipeline(context)

    @timed
    def preprocess(self, data: List[Dict[str, Any]]) -> Any:
        """Return the images, which are bytes or base64, as one tensor.

        Raises:
            TypeError: something else came.
        """
        numpy: Any = importlib.import_module("numpy")
        files = [numpy.frombuffer(_file(row), dtype=numpy.uint8) for row in data]
        (images,) = self.pipeline.run(source=files)
        return self.__tensor(images.as_tensor())

    def __tensor(self, images: Any) -> Any:
        """Return what DALI has made as a tensor of torch: copied, as DALI uses its memory again."""
        torch: Any = importlib.import_module("torch")
        tensor = torch.empty(images.shape(), dtype=torch.float32, device=self.device)
        importlib.import_module("nvidia.dali.plugin.pytorch").feed_ndarray(images, tensor)
        return tensor


def _file(row: Dict[str, Any]) -> bytes:
    image = row.get("data") or row.get("body")
    if isinstance(image, str):
        return base64.b64decode(image)
    if not isinstance(image, (bytes, bytearray)):
        raise TypeError("DALI takes the bytes of an image, or base64 of them, not %s" % type(image).__name__)
    return image
