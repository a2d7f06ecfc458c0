"""A handler made from BaseHandler whose steps need no torch. It describes itself as the header X-Describe says."""

import json
from typing import Any, List

from ts.torch_handler.base_handler import BaseHandler


class Basic(BaseHandler):
    """Tells of each step what it was given."""

    def initialize(self, context: Any) -> None:
        self.manifest = context.manifest
        self.initialized = True

    def preprocess(self, data: Any) -> List[Any]:
        return [plain(row.get("data") or row.get("body")) for row in data]

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> List[Any]:
        return [{"inferred": value} for value in data]

    def postprocess(self, data: Any) -> List[Any]:
        return [{"processed": value} for value in data]

    def get_insights(self, prepared: Any, inputs: Any, target: Any) -> List[Any]:
        return [{"prepared": prepared, "inputs": plain(inputs), "target": plain(target)}]

    def describe_handle(self) -> Any:
        said = self.context.get_request_header(0, "X-Describe")
        return json.loads(said) if said else super().describe_handle()


def plain(value: Any) -> Any:
    return value.decode() if isinstance(value, (bytes, bytearray)) else value
