"""What goes wrong with metrics."""

import importlib
from typing import Any


class MetricsCacheValueError(ValueError):
    """An argument has a value that is not allowed."""


class MetricsCacheTypeError(TypeError):
    """An argument has a type that is not allowed."""


class MetricsCacheKeyError(KeyError):
    """There is no such metric."""


class MetricsCacheIOError(IOError):
    """The configuration file cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__("Error reading file: %s" % message)


class GeneralMetricsCacheError(Exception):
    """Anything else about the configuration file."""

    def __init__(self, message: str) -> None:
        super().__init__("Generic error: %s" % message)


def __getattr__(name: str) -> Any:
    """Make MetricsCachePyYamlError, an error of PyYAML where that is installed, when someone asks for it."""
    if name != "MetricsCachePyYamlError":
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    try:
        base: Any = importlib.import_module("yaml").YAMLError
    except ImportError:
        base = Exception
    made = globals()[name] = type(name, (_ParseError, base), {"__module__": __name__})
    return made


class _ParseError(Exception):
    """The configuration file is no YAML."""

    def __init__(self, message: str) -> None:
        super().__init__("Error parsing file: %s" % message)
