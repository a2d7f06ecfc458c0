"""The envelope json: lists of instances, as TensorFlow Serving has them."""

from __future__ import annotations

import base64
import json
from typing import Any, Dict, List, Sequence

from ts.torch_handler.request_envelope.base import BaseEnvelope, Malformed, member, shares


class JSONEnvelope(BaseEnvelope):
    """Gives the handler the instances of all requests in one list, which it answers with a list of as many results.

    Requests are {"instances": […]}, responses {"predictions": […]} on one line. In a request whose first instance is
    an object {"b64": "…"} stands for bytes, as an instance or as a member of one.
    """

    _counts: Sequence[int] = ()

    def parse_input(self, data: List[Dict[str, Any]]) -> List[Any]:
        """Return the instances of the batch."""
        parts = [_instances(row) for row in data]
        self._counts = [len(part) for part in parts]
        return [instance for part in parts for instance in part]

    def format_output(self, data: Any) -> List[str]:
        """Return the predictions for each request as text."""
        return [json.dumps({"predictions": part}) for part in shares(data, self._counts)]

    def _call(self, parsed: Any) -> Any:
        if parsed:
            return super()._call(parsed)
        return _nothing() if self._asynchronous else []

    def _wrapped(self, results: Any) -> Any:
        return self.format_output(results) if results or not any(self._counts) else results


async def _nothing() -> List[Any]:
    return []


def _instances(row: Dict[str, Any]) -> List[Any]:
    instances = member(row, "instances")
    if not isinstance(instances, (list, str)):
        raise Malformed("'instances' is no list")
    if instances and isinstance(instances[0], dict):
        return [_with_bytes(instance) for instance in instances]
    return list(instances)


def _with_bytes(instance: Any) -> Any:
    if not isinstance(instance, dict):
        return instance
    if list(instance) == ["b64"]:
        return _bytes(instance)
    return {name: _bytes(value) for name, value in instance.items()}


def _bytes(value: Any) -> Any:
    """Return {"b64": "…"} as bytes, and everything else as it is."""
    if not isinstance(value, dict) or list(value) != ["b64"]:
        return value
    try:
        return base64.b64decode(value["b64"])
    except (TypeError, ValueError) as error:
        raise Malformed("'b64' is not base64: %s" % error) from error
