"""A handler for sequenceBatching: it counts the requests of each sequence."""

from typing import Any, Dict, List


class Sequence:
    def initialize(self, context: Any) -> None:
        self.counts: Dict[Any, int] = {}

    def handle(self, data: Any, context: Any) -> List[str]:
        return [self.one(context, at) for at in range(len(data))]

    def one(self, context: Any, at: int) -> str:
        name = context.get_sequence_id(at)
        self.counts[name] = self.counts.get(name, 0) + 1
        start, end = (
            context.get_request_header(at, key)
            for key in (context.header_key_sequence_start, context.header_key_sequence_end)
        )
        context.set_response_header(at, context.header_key_sequence_id, str(name))
        return "request %d of %s, start %s, end %s" % (self.counts[name], name, start, end)
