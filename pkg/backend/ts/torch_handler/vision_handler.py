"""What the handlers of images have in common; importing it imports neither torch nor Pillow."""

from __future__ import annotations

import abc
import base64
import functools
import io
import logging
import sys
from typing import Any, Dict, List

from ts import lazy
from ts.handler_utils.timer import timed
from ts.torch_handler.base_handler import BaseHandler

__getattr__ = lazy.attributes(
    __name__,
    {
        "torch": "torch",
        "Image": "PIL.Image",
        "IntegratedGradients": "captum.attr:IntegratedGradients",
    },
)
_this: Any = sys.modules[__name__]
logger = logging.getLogger(__name__)


class VisionHandler(BaseHandler, abc.ABC):
    """Makes tensors of images, and explains what the model sees in them.

    Subclasses say in image_processing how an image becomes a tensor.
    """

    image_processing: Any
    """Called with an image of Pillow, returns its tensor: channels × height × width."""

    def initialize(self, context: Any) -> None:
        """Load the model as the base handler does, and lift Pillow's limit if the server is told to.

        Raises:
            RuntimeError: there is no model, or its file is missing.
            ValueError: the model file has not exactly one class, or the configuration makes no sense.
        """
        super().initialize(context)
        self.__dict__.pop("ig", None)  # that of a model before
        if not context.system_properties.get("limit_max_image_pixels"):
            _this.Image.MAX_IMAGE_PIXELS = None

    @functools.cached_property
    def ig(self) -> Any:
        """The integrated gradients of the model, made when first read: only explanations need captum."""
        return _this.IntegratedGradients(self.model)

    @timed
    def preprocess(self, data: List[Dict[str, Any]]) -> Any:
        """Return the batch as one tensor.

        Args:
            data: each row has under data or body a file of an image, the same in base64 as text, or nested lists of
                numbers; once processed they must have one shape

        Raises:
            Exception: an image cannot be read, or the shapes differ.
        """
        return _this.torch.stack([self.__tensor(row) for row in data]).to(self.device)

    def __tensor(self, row: Dict[str, Any]) -> Any:
        value = row.get("data") or row.get("body")
        if isinstance(value, str):
            value = base64.b64decode(value)
        if isinstance(value, (bytes, bytearray)):
            return self.image_processing(_this.Image.open(io.BytesIO(value)))
        return _this.torch.FloatTensor(value)

    def get_insights(self, tensor_data: Any, _: Any, target: Any = 0) -> List[Any]:
        """Return for each image how much each of its numbers speaks for a class, in the tensor's shape.

        Args:
            tensor_data: what preprocess has made of the batch
            target: the class

        Raises:
            ImportError: captum is not installed.
        """
        logger.info("input shape %s", tensor_data.shape)
        insights: List[Any] = self.ig.attribute(tensor_data, target=target, n_steps=15).tolist()
        return insights


def as_imagenet(transforms: Any) -> Any:
    """Return the processing that models trained on ImageNet expect: a square of 224 pixels, normalized.

    Args:
        transforms: torchvision's module
    """
    return transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
