"""The handler densenet_handler: from tensor to tensor, both as torch.save writes them."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from typing import Any, Dict, List

from ts import lazy
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import list_classes_from_module

__all__ = ["DenseNetHandler", "list_classes_from_module"]

__getattr__ = lazy.attributes(__name__, {"torch": "torch"})
_this: Any = sys.modules[__name__]
logger = logging.getLogger(__name__)


class DenseNetHandler:
    """Answers each tensor with what the model makes of it. No subclass of the base handler, but it loads like it."""

    model: Any = None
    device: Any = None
    initialized = False
    context: Any = None
    manifest: Any = None
    map_location: Any = None

    _load_torchscript_model: Any = BaseHandler._load_torchscript_model
    _load_pickled_model: Any = BaseHandler._load_pickled_model

    def initialize(self, context: Any) -> None:
        """Load the model that the manifest names, onto the GPU of this worker or else the CPU.

        Raises:
            RuntimeError: the file of the model or of its weights is missing.
            ValueError: the model file has not exactly one class.
        """
        torch = _this.torch
        properties = context.system_properties
        gpu = properties.get("gpu_id") if torch.cuda.is_available() else None
        self.map_location = "cpu" if gpu is None else "cuda"
        self.device = torch.device("cpu" if gpu is None else "cuda:%s" % gpu)
        self.manifest = context.manifest
        self.model = self.__load_model(properties.get("model_dir"), self.manifest["model"])
        self.initialized = True

    def __load_model(self, model_dir: str, named: Dict[str, str]) -> Any:
        path = os.path.join(model_dir, named.get("serializedFile") or "")
        if not os.path.isfile(path):
            raise RuntimeError("Missing the model.pt file")
        if not named.get("modelFile"):
            logger.debug("Loading torchscript model")
            model = self._load_torchscript_model(path)
        else:
            logger.debug("Loading eager model")
            model = self._load_pickled_model(model_dir, named["modelFile"], path)
            model.to(self.device)
        model.eval()
        return model

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the model makes of the tensor."""
        with _this.torch.no_grad():
            return self.model(data.to(self.device), *args, **kwargs)

    def handle(self, data: List[Dict[str, Any]], context: Any) -> List[Any]:
        """Return for each tensor that torch.save has written a tensor of one row.

        Raises:
            pickle.UnpicklingError: what came is no tensor, but something that could run code here.
        """
        started = time.perf_counter()
        self.context = context
        rows = _this.torch.stack([self.__tensor(row) for row in data])
        output = self.inference(rows)
        # Copies: torch.save writes the whole of the memory that a part of a tensor shares.
        results = [output] if len(data) == 1 else [each.clone() for each in output.split(1)]
        context.metrics.add_time("HandlerTime", round((time.perf_counter() - started) * 1000, 2), None, "ms")
        return results

    def __tensor(self, row: Dict[str, Any]) -> Any:
        file = io.BytesIO(row.get("data") or row.get("body") or b"")
        return _this.torch.load(file, map_location=self.device, weights_only=True)
