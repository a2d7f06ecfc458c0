"""Answers with what the package greet says, and with where it is."""

import json
import os
import sys
from typing import Any

import greet


def handle(data: Any, context: Any) -> Any:
    if data is None:
        return None
    said = {"word": greet.WORD, "file": greet.__file__, "prefix": sys.prefix, "pid": os.getpid()}
    return [json.dumps({**said, "model": context.system_properties["model_dir"]}) for _ in data]
