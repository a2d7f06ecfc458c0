"""The handler from which those with PiPPy derive."""

from __future__ import annotations

import abc
import importlib
import os
from typing import Any

from ts.handler_utils.distributed.pt_pippy import initialize_rpc_workers
from ts.torch_handler.base_handler import BaseHandler


class BasePippyHandler(BaseHandler, abc.ABC):
    """Joins its process to the others. Subclasses load the model; see ts.handler_utils.distributed.pt_pippy."""

    local_rank: int
    world_size: int

    def initialize(self, ctx: Any) -> None:
        """Set local_rank, world_size and device, and wait for the other processes.

        Raises:
            KeyError: torchrun has not started this process.
        """
        torch: Any = importlib.import_module("torch")
        self.local_rank = int(os.environ["LOCAL_RANK"])
        self.world_size = int(os.environ["WORLD_SIZE"])
        gpus = torch.cuda.device_count()
        self.device = self.local_rank % gpus if gpus else torch.device("cpu")
        initialize_rpc_workers(self.local_rank, self.world_size, ctx)
