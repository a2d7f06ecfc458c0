"""What an envelope is, and what those of this package share (reference: python-backend.md, section 13.5)."""

from __future__ import annotations

import abc
import copy
import inspect
import json
from typing import Any, Awaitable, Callable, Dict, List, Sequence

from ts.utils.util import PredictionException


class Malformed(ValueError):
    """A request is not what the envelope takes."""


class BaseEnvelope(abc.ABC):
    """Stands between the server and a handler: unwraps the requests of a batch, and wraps the results.

    There is one for each worker. What parse_input notes on it is there for format_output, also where an asynchronous
    handler works on several batches at a time.

    Args:
        handle_fn: what answers a batch; a coroutine function makes handle one, too
    """

    context: Any = None
    """That of the batch at work."""

    def __init__(self, handle_fn: Callable[[Any, Any], Any]) -> None:
        self._handle_fn = handle_fn
        called = getattr(handle_fn, "__call__", None)  # noqa: B004 - it may be that which is asynchronous
        self._asynchronous = inspect.iscoroutinefunction(handle_fn) or inspect.iscoroutinefunction(called)

    def handle(self, data: List[Dict[str, Any]], context: Any) -> Any:
        """Answer a batch; a request to describe the model goes to the handler as it is.

        Raises:
            PredictionException: the request, the only one of its batch, is malformed.
            Malformed: one of several requests is; the others have to do with a failure that is not their fault.
        """
        try:
            return self._answer(data, context)
        except Malformed as error:
            if len(data) > 1:
                raise
            raise PredictionException(str(error), 400) from error

    def _answer(self, data: List[Dict[str, Any]], context: Any) -> Any:
        self.context = context
        if context is not None and context.get_request_header(0, "describe") == "True":
            return self._handle_fn(data, context)
        results = self._call(self.parse_input(data) if data else data)
        if inspect.isawaitable(results):
            # The next batch may come before this one is done.
            return copy.copy(self)._wrapped_later(results)
        return self._wrapped(results)

    def _call(self, parsed: Any) -> Any:
        return self._handle_fn(parsed, self.context)

    def _wrapped(self, results: Any) -> Any:
        return self.format_output(results) if results else results

    async def _wrapped_later(self, results: Awaitable[Any]) -> Any:
        return self._wrapped(await results)

    @abc.abstractmethod
    def parse_input(self, data: List[Dict[str, Any]]) -> Any:
        """Return what the handler gets.

        Raises:
            Malformed: a request is not what the envelope takes.
        """

    @abc.abstractmethod
    def format_output(self, data: Any) -> Any:
        """Return a list with one element for each request.

        Args:
            data: what the handler has returned, if that is anything
        """


def member(row: Dict[str, Any], name: str) -> Any:
    """Return a member of the JSON object that came as data, as body, or as the fields of a form.

    Raises:
        Malformed: there is no object, or it has no such member.
    """
    content = decoded(row.get("data") or row.get("body") or row)
    if not isinstance(content, dict) or name not in content:
        raise Malformed("the request is no JSON object with %r" % name)
    value = content[name]
    return value if isinstance(value, str) else decoded(value)


def decoded(value: Any) -> Any:
    """Return what a text in JSON says; everything else as it is."""
    if not isinstance(value, (str, bytes, bytearray)):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def shares(results: Any, counts: Sequence[int]) -> List[Any]:
    """Return what belongs to each request of the results for all of them.

    Args:
        results: the handler's; more than there are instances are cut off
        counts: how many instances each request has

    Raises:
        ValueError: there are too few results to tell whose they are.
    """
    if len(counts) > 1 and len(results) < sum(counts):
        raise ValueError("the handler has returned %d results for %d instances" % (len(results), sum(counts)))
    parts, at = [], 0
    for count in counts:
        parts.append(results[at : at + count])
        at += count
    return parts
