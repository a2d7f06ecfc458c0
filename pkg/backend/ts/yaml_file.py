"""YAML files without PyYAML: the server hands over what it has parsed, as JSON.

PyYAML is used where it can be imported. Otherwise an environment variable gives the content, either the JSON text
itself, which begins with "{", or the path of a file with it:

    TS_MODEL_CONFIG_JSON     the model's configFile
    TS_METRICS_CONFIG_JSON   the file of --metrics-config

What JSON has no form for is an object with one member: "!!timestamp" and "!!binary" with a text, "!!map" with the pairs
of a mapping whose keys are not all texts. A file that happens to be JSON, which is YAML too, needs neither.
"""

from __future__ import annotations

import base64
import datetime
import importlib
import json
import logging
import os
import re
from typing import Any, Dict, List

logger = logging.getLogger(__name__)

MODEL_CONFIG = "TS_MODEL_CONFIG_JSON"
METRICS_CONFIG = "TS_METRICS_CONFIG_JSON"

_handed_over_as: Dict[str, str] = {}
"""The variables that hand over files that have been read, by the paths of these."""

_MOMENT = re.compile(
    r"(\d{4})-(\d+)-(\d+)[Tt \t]+(\d+):(\d+):(\d+)(?:\.(\d*))?[ \t]*(?:(Z)|([-+])(\d+)(?::(\d+))?)?", re.ASCII
)


def handed_over(variable: str) -> Any:
    """Return what the server has parsed; None if it has handed over nothing.

    Raises:
        OSError: the file with it cannot be read.
        ValueError: it is no JSON.
    """
    given = os.environ.get(variable, "")
    if not given or given.lstrip().startswith("{"):
        return json.loads(given, object_hook=_typed) if given else None
    with open(given, encoding="utf-8") as file:
        return json.load(file, object_hook=_typed)


def _typed(members: Dict[str, Any]) -> Any:
    """Return the value that an object stands for."""
    if "!!timestamp" in members:
        return _timestamp(members["!!timestamp"])
    if "!!binary" in members:
        return base64.b64decode(members["!!binary"])
    pairs: List[Any] = members.get("!!map", [])
    return dict(pairs) if pairs else members


def _timestamp(text: str) -> datetime.date:
    """Return a date, or a date with a time: aware of its zone if it has one.

    Raises:
        ValueError: there is no such day or time.
    """
    moment = _MOMENT.fullmatch(text)
    if moment is None:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    fraction, utc, sign, hours, minutes = moment.groups()[6:]
    zone = datetime.timezone.utc if utc else None
    if sign:
        offset = datetime.timedelta(hours=int(hours), minutes=int(minutes or 0))
        zone = datetime.timezone(offset if sign == "+" else -offset)
    microseconds = int((fraction or "")[:6].ljust(6, "0"))
    year, month, day, hour, minute, second = map(int, moment.groups()[:6])
    return datetime.datetime(year, month, day, hour, minute, second, microseconds, zone)


def read(path: str, variable: str = "") -> Any:
    """Return the content of a YAML file; None, and a warning, if nobody here can read it.

    Args:
        path: of the YAML file
        variable: the environment variable that may hand over its content; a file that has been read with one is
            known by it

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
    known = os.path.realpath(path)
    if variable:
        _handed_over_as[known] = variable
    content = handed_over(_handed_over_as.get(known, ""))
    if content is not None:
        return content
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except ValueError:
        logger.warning("PyYAML is not installed: %s is not read", path)
        return None
