"""The handler from which those with DeepSpeed derive."""

from __future__ import annotations

import abc
import os
from typing import Any

from ts.torch_handler.base_handler import BaseHandler


class BaseDeepSpeedHandler(BaseHandler, abc.ABC):
    """Knows the GPU of its process. Subclasses load the model; see ts.handler_utils.distributed.deepspeed."""

    def initialize(self, ctx: Any) -> None:  # noqa: ARG002 - subclasses need it
        """Set device to the number of the GPU."""
        self.device = int(os.environ.get("LOCAL_RANK", "0"))
