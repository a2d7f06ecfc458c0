"""A handler for continuousBatching: it answers in as many steps as the body says."""

from typing import Any, List


class Continuous:
    def initialize(self, context: Any) -> None:
        context.cache = {}

    def handle(self, data: Any, context: Any) -> List[str]:
        steps, ends = [], []
        for at, row in enumerate(data):
            state = context.cache.setdefault(context.get_request_id(at), {"step": 0})
            state["left"] = int(row.get("body") or state["left"]) - 1
            state["step"] += 1
            header = context.get_request_header(at, "X-Mine")
            steps.append("step %d, given %s, header %s;" % (state["step"], sorted(row), header))
            ends.append(state["left"] == 0)
        context.stopping_criteria = [lambda _, end=end: end for end in ends]
        return steps
