"""The envelope kserve: version 1 of KServe's protocol."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from ts.torch_handler.request_envelope.base import BaseEnvelope, Malformed, member, shares


class KServeEnvelope(BaseEnvelope):
    """Gives the handler the instances of all requests in one list, which it answers with a list of as many results.

    Requests are {"instances": […]}, responses {"predictions": […]}, or {"explanations": […]} where that was asked for.
    A request that is alone in its batch may have other instances than a list, and any result.
    """

    _counts: Sequence[int] = ()  # of a request that is alone, they do not matter
    _empty = False

    def parse_input(self, data: List[Dict[str, Any]]) -> Any:
        """Return the instances of the batch."""
        parts = [member(row, "instances") for row in data]
        self._counts = ()
        self._empty = not any(parts)
        if len(parts) == 1:
            return parts[0]
        if not all(isinstance(part, list) for part in parts):
            raise Malformed("'instances' is no list")
        self._counts = [len(part) for part in parts]
        return [instance for part in parts for instance in part]

    def format_output(self, data: Any) -> List[Dict[str, Any]]:
        """Return the object with the results of each request."""
        # A batch is of one kind, which the handler, too, takes from the first request.
        explained = self.context.get_request_header(0, "explain") == "True"
        name = "explanations" if explained else "predictions"
        if not self._counts:
            return [{name: data}]
        return [{name: part} for part in shares(data, self._counts)]

    def _wrapped(self, results: Any) -> Any:
        nothing_for_nothing = self._empty and isinstance(results, list)
        return self.format_output(results) if nothing_for_nothing or results else results
