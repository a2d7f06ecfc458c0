"""Helpers that handlers import: label mappings, configuration files, the exception with a status."""

from __future__ import annotations

import enum
import functools
import json
import logging
import os
import re
import types
import warnings
from typing import Any, Callable, Dict, List, Optional, Sequence, Type, TypeVar, cast

from ts import yaml_file

logger = logging.getLogger(__name__)

CLEANUP_REGEX = re.compile("<.*?>|&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});")

_Function = TypeVar("_Function", bound=Callable[..., Any])


class PT2Backend(str, enum.Enum):
    """Backends of torch.compile that 0.12 knows."""

    EAGER = "eager"
    AOT_EAGER = "aot_eager"
    INDUCTOR = "inductor"
    NVFUSER = "nvfuser"
    AOT_NVFUSER = "aot_nvfuser"
    AOT_CUDAGRAPHS = "aot_cudagraphs"
    OFI = "ofi"
    FX2TRT = "fx2trt"
    ONNXRT = "onnxrt"
    IPEX = "ipex"
    TORCHXLA_TRACE_ONCE = "torchxla_trace_once"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    HPU_BACKEND = "hpu_backend"


class PredictionException(Exception):
    """Raised by a handler to choose message and status of the answer to its batch."""

    def __init__(self, message: Any, error_code: Any = 500) -> None:
        self.message = message
        self.error_code = error_code
        super().__init__(message)

    def __str__(self) -> str:
        return "%s : %s" % (self.message, self.error_code)


def list_classes_from_module(module: types.ModuleType, parent_class: Optional[type] = None) -> List[type]:
    """Return the classes that a module defines, in alphabetical order.

    Args:
        module: imported classes do not count
        parent_class: only its subclasses are wanted
    """
    found: List[type] = []
    for _, member in sorted(vars(module).items()):
        if not isinstance(member, type) or member.__module__ != module.__name__ or member in found:
            continue
        if parent_class is None or issubclass(member, parent_class):
            found.append(member)
    return found


def check_valid_pt2_backend(backend: str) -> bool:
    """Tell whether torch.compile may be called with a backend; log a warning if not."""
    if any(backend == each.value for each in PT2Backend):
        return True
    logger.warning("%s is not a supported backend", backend)
    return False


def load_label_mapping(mapping_file_path: str) -> Optional[Dict[str, str]]:
    """Return the class names of a file index_to_name.json; None, and a warning, if there is no such file.

    Raises:
        Exception: the file has another form.
        IndexError: a class has an empty list of names.
    """
    if not os.path.isfile(mapping_file_path):
        logger.warning("'%s' is missing. Inference output will not include class name.", mapping_file_path)
        return None
    with open(mapping_file_path, encoding="utf-8") as file:
        mapping = json.load(file)
    if not isinstance(mapping, dict):
        raise Exception('index->name JSON mapping should be in "class": "label" format.')
    names = mapping.get("object_type_names")
    if isinstance(names, list):
        mapping = {str(index): name for index, name in enumerate(names)}
    labels = {index: name[-1] if isinstance(name, list) else name for index, name in mapping.items()}
    if not all(isinstance(label, str) for label in labels.values()):
        raise Exception("labels in index->name mapping must be either str or List[str]")
    return labels


def map_class_to_label(
    probs: Sequence[Sequence[Any]],
    mapping: Optional[Dict[str, str]] = None,
    lbl_classes: Optional[Sequence[Sequence[Any]]] = None,
) -> List[Dict[str, Any]]:
    """Return a dict of label and probability for each row.

    Args:
        probs: rows of probabilities
        mapping: class to label; None: the class itself, as text
        lbl_classes: rows of the classes the probabilities are of; None: 0, 1, 2, …

    Raises:
        Exception: an argument has another form.
        KeyError: a class has no label.
    """
    if not isinstance(probs, list):
        raise Exception("Convert classes to list before doing mapping")
    if mapping is not None and not isinstance(mapping, dict):
        raise Exception("Mapping must be a dict")
    if lbl_classes is None:
        lbl_classes = [range(len(probs[0])) for _ in probs] if probs else []
    return [
        {str(each) if mapping is None else mapping[str(each)]: prob for each, prob in zip(classes, row)}
        for classes, row in zip(lbl_classes, probs)
    ]


def get_yaml_config(yaml_file_path: str) -> Dict[str, Any]:
    """Return the content of a YAML file, an empty dict for an empty one.

    Raises:
        OSError: the file cannot be read.
        Exception: it is no YAML.
    """
    config: Dict[str, Any] = yaml_file.read(yaml_file_path) or {}
    return config


def deprecated(
    version: str, replacement: str = "", klass: Type[Warning] = PendingDeprecationWarning
) -> Callable[[_Function], _Function]:
    """Return a decorator that warns where the function is called: it has moved."""

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def warn(*args: Any, **kwargs: Any) -> Any:
            text = "%s is deprecated in %s and moved to %s" % (function.__name__, version, replacement)
            warnings.warn(text, klass, stacklevel=2)
            return function(*args, **kwargs)

        return cast(_Function, warn)

    return decorate
