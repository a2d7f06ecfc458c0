"""The handler object_detector: which things an image shows, and where."""

from __future__ import annotations

import sys
from typing import Any, Dict, List

from ts import lazy
from ts.handler_utils.timer import timed
from ts.torch_handler.vision_handler import VisionHandler
from ts.utils.util import map_class_to_label

__getattr__ = lazy.attributes(__name__, {"torch": "torch", "transforms": "torchvision.transforms"})
_this: Any = sys.modules[__name__]


class ObjectDetector(VisionHandler):
    """Answers each image with the things that the model finds in it, if it is sure enough of them."""

    threshold = 0.5
    """The score from which a thing counts, 0 to 1."""

    image_processing = lazy.ClassAttribute(lambda: _this.transforms.Compose([_this.transforms.ToTensor()]))

    @timed
    def postprocess(self, data: List[Dict[str, Any]]) -> List[List[Dict[str, Any]]]:
        """Return for each image its things: {label: [x1, y1, x2, y2], "score": score}, boxes in pixels.

        Args:
            data: what the model makes of the batch: for each image its boxes, labels and scores
        """
        return [self.__things(found) for found in data]

    def __things(self, found: Dict[str, Any]) -> List[Dict[str, Any]]:
        things = []
        for box, label, score in zip(found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist()):
            if score >= self.threshold:
                (thing,) = map_class_to_label([[box]], self.mapping, [[label]])
                things.append({**thing, "score": score})
        return things
