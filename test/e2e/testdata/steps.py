"""Continuous batching: the path of a request says what each of its steps is.

POST /predictions/MODEL/1.0/STEP/STEP... Each iteration takes one step of every live request. A step is a piece of the
answer, or one of these words, some of which take the next word:

at/GATE      waits there, within the iteration, and goes on with the step behind
on           a piece again and again, for ever
alone        the last piece, and not said to be one: there is no stopping criterion for it
end/IDS      a piece with the header that ends sequences
status/CODE  a piece with a status
fail, die    the handler raises, the process ends
criterion    the stopping criterion raises
short        too few results for the iteration
twice        an intermediate response within the iteration
unasked      an answer too many, a moment later; then it is noted in the journal unasked

The first piece begins with the body of the request. Every iteration is noted in the journal steps-MODEL.
"""

import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from gates import note, text, wait_at
from ts.handler_utils.utils import send_intermediate_predict_response
from ts.utils.util import PredictionException

PACE = 0.005


class Work:
    """One live request."""

    def __init__(self, words: List[str], body: str) -> None:
        self.words = words
        self.body = body

    def first(self) -> str:
        body, self.body = self.body, ""
        return body


class Steps:
    def __init__(self) -> None:
        self.live: Dict[str, Work] = {}

    def handle(self, data: List[Dict[str, Any]], context: Any) -> List[Any]:
        if context.get_request_header(0, "describe"):
            note("steps-" + context.model_name, [{"path": "describe"}] * len(data))
            return [{"model": context.model_name}]
        ids = context.request_ids
        note("steps-" + context.model_name, [self.seen(context, at, row) for at, row in enumerate(data)])
        for at, row in enumerate(data):
            if ids[at] not in self.live or row:
                words = [word for word in context.get_request_header(at, "url_path").split("/") if word]
                self.live[ids[at]] = Work(words, text(row.get("body", "")))
        self.live = {live: work for live, work in self.live.items() if live in ids.values()}
        self.criteria: List[Any] = [None] * len(data)
        results = [self.step(self.live[ids[at]], context, at) for at in range(len(data))]
        context.stopping_criteria = self.criteria
        time.sleep(PACE)
        return results if None not in results else [result for result in results if result is not None]

    @staticmethod
    def seen(context: Any, at: int, row: Dict[str, Any]) -> Dict[str, Any]:
        return {
            "id": context.request_ids[at],
            "inputs": sorted(row),
            "sequence": context.get_sequence_id(at),
            "start": context.get_request_header(at, context.header_key_sequence_start),
            "path": context.get_request_header(at, "url_path"),
        }

    def step(self, work: Work, context: Any, at: int) -> Any:
        word = work.words.pop(0) if work.words else ""
        if word == "at":
            wait_at(work.words.pop(0))
            return self.step(work, context, at)
        if word == "on":
            work.words.insert(0, "on")
        elif word == "end":
            context.set_response_header(at, context.header_key_sequence_end, work.words.pop(0))
        elif word == "status":
            context.set_response_status(int(work.words.pop(0)), idx=at)
        elif word == "short":
            return None
        elif word in ODD:
            ODD[word](context)
        over = None if word == "alone" else not work.words
        self.criteria[at] = broken if word == "criterion" else criterion(over)
        return work.first() + word


def fail(_context: Any) -> None:
    raise PredictionException("in the middle", 422)


def die(_context: Any) -> None:
    os._exit(3)


def criterion(over: Optional[bool]) -> Callable[[Any], Optional[bool]]:
    return lambda _result: over


def broken(_result: Any) -> bool:
    raise ValueError("no criterion")


def twice(context: Any) -> None:
    ids = context.request_ids
    send_intermediate_predict_response(["between"] * len(ids), ids, "part", 200, context)


def unasked(context: Any) -> None:
    ids = dict(context.request_ids)

    def later() -> None:
        send_intermediate_predict_response(["late"] * len(ids), ids, "part", 200, context)
        note("unasked", list(ids.values()))

    threading.Timer(PACE * 20, later).start()


ODD = {"fail": fail, "die": die, "twice": twice, "unasked": unasked}

SERVICE = Steps()


def handle(data: Any, context: Any) -> Any:
    return None if data is None else SERVICE.handle(data, context)
