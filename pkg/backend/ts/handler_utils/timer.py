"""Times the steps of a handler."""

from __future__ import annotations

import functools
import sys
import time
from typing import Any, Callable, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


def timed(method: _Method) -> _Method:
    """Report how long each call of a handler's method takes, as metric ts_handler_<method>.

    Only if the model's configuration has handler: {profile: true}. Where a GPU is in use, its work is waited for.
    """

    @functools.wraps(method)
    def timing(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = getattr(self, "context", None)
        section = (getattr(context, "model_yaml_config", None) or {}).get("handler")
        if not (section and section.get("profile")):
            return method(self, *args, **kwargs)
        result, milliseconds = _timed_call(method, self, *args, **kwargs)
        context.metrics.add_time("ts_handler_" + method.__name__, milliseconds)  # type: ignore[union-attr]
        return result

    return cast(_Method, timing)


def _timed_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the function's result, and the milliseconds that it took."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        started = time.perf_counter()
        result = function(*args, **kwargs)
        return result, (time.perf_counter() - started) * 1000
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    result = function(*args, **kwargs)
    end.record()
    torch.cuda.synchronize()
    return result, start.elapsed_time(end)
