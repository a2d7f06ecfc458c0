"""From what a handler returns, or raises, to the response on the wire (reference: python-backend.md, section 8)."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ts import json_text, missing, wire
from ts.utils.util import PredictionException

logger = logging.getLogger(__name__)

STREAM_NEXT = "ts_stream_next"
SUCCESS = "Prediction success"
OUT_OF_RESOURCES = 507, "Out of resources"
FAILED = 503, "Prediction failed"
UNSERIALIZABLE = 503, "Unsupported model output data type."

Refusal = Tuple[int, str]
"""Status and message with which a whole batch is refused."""
Ids = Mapping[int, str]
"""Request ids by their place in the batch."""


class Unserializable(Exception):
    """An element that the handler returned cannot be written."""


def failure(ids: Ids, refusal: Refusal) -> List[wire.Buffer]:
    """Return the response that refuses each request of a batch."""
    code, message = refusal
    return wire.response(code, message, [wire.Item(each, b"error", code) for each in ids.values()])


def success(
    results: Any, ids: Ids, message: str, code: int, context: Any, intermediate: bool = False
) -> List[wire.Buffer]:
    """Return the response that gives each request of a batch its result.

    Args:
        results: list or dict of the results by their place in the batch
        ids: the requests to be answered
        message: for the server's log
        code: of the batch
        context: with the records of the requests; None: there is nothing to say but the results
        intermediate: more of each result follows

    Raises:
        Unserializable: a result cannot be written.
    """
    if context is None:
        return wire.response(code, message, [wire.Item(each, body(results[at]), code) for at, each in ids.items()])
    processors = context.request_processor
    criteria = context.stopping_criteria
    items = []
    for at, request_id in ids.items():
        result = results[at]
        record = processors[at]
        headers = record.get_response_headers()
        if intermediate or criteria or headers:
            _mark_stream(headers, result, intermediate, criteria[at] if criteria else None)
        status = record.get_response_status_code()
        phrase = record.get_response_status_phrase()
        if status == 200 and not (headers or phrase):
            items.append(wire.Item(request_id, body(result)))
            continue
        pairs = [(_line(name), _line(value)) for name, value in headers.items()]
        content_type = _line(headers.get("content-type") or "")
        items.append(wire.Item(request_id, body(result), _status(status), content_type, _line(phrase or ""), pairs))
    return wire.response(code, message, items)


def _mark_stream(headers: Dict[str, Any], result: Any, intermediate: bool, criterion: Any) -> None:
    """Say in the headers whether more of the result follows (WRK section 6)."""
    if intermediate:
        headers[STREAM_NEXT] = "true"
    elif criterion is not None:
        stopped = criterion(result)
        if stopped is not None:
            headers[STREAM_NEXT] = "false" if stopped else "true"
    elif headers.get(STREAM_NEXT) == "true":
        headers[STREAM_NEXT] = "false"


def body(value: Any) -> wire.Buffer:
    """Return an element of the handler's list as bytes.

    Raises:
        Unserializable: there is no way to.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, (bytes, bytearray)):
        return value
    else:
        try:
            tensor = _tensor(value)
            if tensor is not None:
                return tensor
            text = json_text.encode(value)
        except Exception as error:
            raise Unserializable from error
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Unserializable from error


def _tensor(value: Any) -> Optional[bytes]:
    """Return what torch.save makes of a tensor; None if it is none. Without torch loaded nothing is one."""
    torch: Any = sys.modules.get("torch")
    if not isinstance(value, getattr(torch, "Tensor", ())):
        return None
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def refusal(error: BaseException) -> Refusal:
    """Log what the handler raised and return how its batch is refused."""
    missing.explain(error)
    if isinstance(error, MemoryError):
        logger.error("System out of memory", exc_info=error)
        return OUT_OF_RESOURCES
    if isinstance(error, PredictionException):
        logger.error("Prediction error", exc_info=error)
        code = _status(error.error_code)
        # A code that means no failure would be taken for an answer (INF-D21).
        return code if 400 <= code <= 599 else 500, str(error.message)
    if is_out_of_memory(error):
        logger.error("CUDA out of memory", exc_info=error)
        return OUT_OF_RESOURCES
    logger.warning("Invoking custom service failed.", exc_info=error)
    return FAILED


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an accelerator has run out of memory, or an error speaks of CUDA at all, as 0.12 does."""
    torch = sys.modules.get("torch")
    if isinstance(error, getattr(torch, "OutOfMemoryError", ())):
        return True
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is the handler's own method
        return False
    return "CUDA" in text or "out of memory" in text


def _status(code: Any) -> int:
    """Return the status that a handler has chosen, 500 if it is none."""
    try:
        code = int(code)
    except (TypeError, ValueError, OverflowError):
        return 500
    return code if 200 <= code <= 999 else 500


def _line(value: Any) -> str:
    """Return a header's name or value as text of one line."""
    text = value if isinstance(value, str) else str(value)
    if "\n" in text or "\r" in text:
        text = text.replace("\r", " ").replace("\n", " ")
    return text
