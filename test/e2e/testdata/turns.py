"""Each sequence has a history: POST /predictions/MODEL/1.0/VERB/ARGUMENT adds the body, and does what VERB says."""

import os
from typing import Any, Dict, List

from gates import text, wait_at
from ts.utils.util import PredictionException


class Sequence:
    def __init__(self) -> None:
        self.history: Dict[str, List[str]] = {}

    def handle(self, data: Any, context: Any) -> Any:
        if context.get_request_header(0, "describe"):
            return [{"sequences": sorted(self.history), "size": len(data)}]
        return [self.one(context, at, row, len(data)) for at, row in enumerate(data)]

    def one(self, context: Any, at: int, row: Dict[str, Any], size: int) -> Any:
        verb, _, argument = (context.get_request_header(at, "url_path") or "").partition("/")
        sequence = context.get_sequence_id(at)
        if verb == "hold":
            wait_at(argument)
        elif verb == "fail":
            raise PredictionException("refused by the model", 422)
        elif verb == "die":
            os._exit(3)
        elif verb == "end":
            context.set_response_header(at, context.header_key_sequence_end, argument)
        history = self.history.setdefault(sequence, [])
        history.append(text(row.get("body", "")))
        context.set_response_header(at, context.header_key_sequence_id, sequence)
        return {
            "sequence": sequence,
            "start": context.get_request_header(at, context.header_key_sequence_start),
            "headers": context.get_all_request_header(at),
            "history": list(history),
            "pid": os.getpid(),
            "size": size,
            "batch": [context.get_sequence_id(other) for other in range(size)],
        }


SERVICE = Sequence()


def handle(data: Any, context: Any) -> Any:
    return None if data is None else SERVICE.handle(data, context)
