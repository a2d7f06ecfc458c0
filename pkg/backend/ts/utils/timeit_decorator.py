"""Says how much processor time functions take."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any, Callable, TypeVar, cast

logger = logging.getLogger(__name__)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def timeit(function: _Function) -> _Function:
    """Log the processor time of each call, in seconds."""

    @functools.wraps(function)
    def timing(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        result = function(*args, **kwargs)
        logger.info("%s took %.4f s of processor time", function.__name__, time.process_time() - started)
        return result

    return cast(_Function, timing)
