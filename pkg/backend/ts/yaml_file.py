"""YAML files without PyYAML: the server hands over what it has parsed, as JSON.

PyYAML is used where it can be imported. Otherwise an environment variable gives the content, either the JSON text
itself, which begins with "{", or the path of a file with it:

    TS_MODEL_CONFIG_JSON     the model's configFile
    TS_METRICS_CONFIG_JSON   the file of --metrics-config

A file that happens to be JSON, which is YAML too, needs neither.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
from typing import Any

logger = logging.getLogger(__name__)

MODEL_CONFIG = "TS_MODEL_CONFIG_JSON"
METRICS_CONFIG = "TS_METRICS_CONFIG_JSON"


def handed_over(variable: str) -> Any:
    """Return what the server has parsed; None if it has handed over nothing.

    Raises:
        OSError: the file with it cannot be read.
        ValueError: it is no JSON.
    """
    given = os.environ.get(variable, "")
    if not given or given.lstrip().startswith("{"):
        return json.loads(given) if given else None
    with open(given, encoding="utf-8") as file:
        return json.load(file)


def read(path: str, variable: str = "") -> Any:
    """Return the content of a YAML file; None, and a warning, if nobody here can read it.

    Args:
        path: of the YAML file
        variable: the environment variable that may hand over its content

    Raises:
        OSError: the file cannot be read.
        Exception: it is no YAML, or what was handed over is no JSON.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        return _read_without_yaml(path, variable)
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def _read_without_yaml(path: str, variable: str) -> Any:
    content = handed_over(variable)
    if content is not None:
        return content
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except ValueError:
        logger.warning("PyYAML is not installed: %s is not read", path)
        return None
