"""The handler image_segmenter: which class each pixel of an image belongs to."""

from __future__ import annotations

import sys
from typing import Any, Dict, List

from ts import lazy
from ts.handler_utils.timer import timed
from ts.torch_handler.vision_handler import VisionHandler, as_imagenet

__getattr__ = lazy.attributes(__name__, {"torch": "torch", "T": "torchvision.transforms"})
_this: Any = sys.modules[__name__]


class ImageSegmenter(VisionHandler):
    """Answers each image with the most likely class of each pixel and its probability."""

    image_processing = lazy.ClassAttribute(lambda: as_imagenet(_this.T))

    @timed
    def postprocess(self, data: Dict[str, Any]) -> List[Any]:
        """Return for each image nested lists: height × width × 2, the class as a float and its probability.

        Args:
            data: what the model makes of the batch; its out is images × classes × height × width
        """
        probabilities, classes = data["out"].softmax(dim=1).max(dim=1)
        pixels: List[Any] = _this.torch.stack([classes.type(probabilities.dtype), probabilities], dim=3).tolist()
        return pixels
