"""From the parameters of a request to the values that the handler gets (reference: python-backend.md, section 4.4)."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

logger = logging.getLogger(__name__)


def enabled() -> bool:
    """Tell whether values are decoded by their content type; TS_DECODE_INPUT_REQUEST can switch it off."""
    return os.environ.get("TS_DECODE_INPUT_REQUEST", "true").lower() == "true"


def decoded(value: bytearray, content_type: str) -> Any:
    """Return JSON and text as what they say, all else as bytes; what is broken too, as the handler may know more."""
    if content_type == "application/json":
        try:
            return json.loads(value.decode())
        except Exception:
            logger.warning("Failed json decoding of input data. Forwarding encoded payload", exc_info=True)
    elif content_type.startswith("text"):
        try:
            return value.decode()
        except UnicodeDecodeError:
            logger.warning("Failed utf-8 decoding of input data. Forwarding encoded payload", exc_info=True)
    return value
