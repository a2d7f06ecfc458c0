"""The envelope body: the handler gets the bodies alone."""

from __future__ import annotations

from typing import Any, Dict, List

from ts.torch_handler.request_envelope.base import BaseEnvelope


class BodyEnvelope(BaseEnvelope):
    """Gives the handler the data, or else the body, of each request. Results are not changed."""

    def parse_input(self, data: List[Dict[str, Any]]) -> List[Any]:
        """Return the value of each request."""
        return [row.get("data") or row.get("body") for row in data]

    def format_output(self, data: Any) -> Any:
        """Return the results."""
        return data
