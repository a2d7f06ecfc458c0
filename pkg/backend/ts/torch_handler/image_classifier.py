"""The handler image_classifier: which classes an image belongs to."""

from __future__ import annotations

import sys
from typing import Any, Dict, List

from ts import lazy
from ts.handler_utils.timer import timed
from ts.torch_handler.vision_handler import VisionHandler, as_imagenet
from ts.utils.util import map_class_to_label

__getattr__ = lazy.attributes(
    __name__, {"torch": "torch", "F": "torch.nn.functional", "transforms": "torchvision.transforms"}
)
_this: Any = sys.modules[__name__]


class ImageClassifier(VisionHandler):
    """Answers each image with its most likely classes and their probabilities."""

    topk = 5
    image_processing = lazy.ClassAttribute(lambda: as_imagenet(_this.transforms))

    def set_max_result_classes(self, topk: int) -> None:
        """Set how many classes an answer names."""
        self.topk = topk

    def get_max_result_classes(self) -> int:
        """Return how many classes an answer names; a model with fewer classes has all of them named."""
        return self.topk

    @timed
    def postprocess(self, data: Any) -> List[Dict[str, float]]:
        """Return for each image the labels of its classes with their probabilities, the likeliest first.

        Args:
            data: what the model makes of the batch: images × classes
        """
        probabilities, classes = data.softmax(dim=1).topk(min(self.topk, data.shape[1]), dim=1)
        return map_class_to_label(probabilities.tolist(), self.mapping, classes.tolist())
