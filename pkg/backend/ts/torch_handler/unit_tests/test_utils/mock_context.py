"""A context for handlers that someone tries without a server."""

from __future__ import annotations

import importlib
import uuid
from typing import Any, Dict, Optional

from ts.metrics.metrics_store import MetricsStore
from ts.utils.util import get_yaml_config


class MockContext:
    """Has what a handler's initialize needs to load a model, and a metrics store.

    Args:
        model_pt_file: the weights in model_dir; None: the manifest names none
        model_dir: where the model is
        model_file: the model's source in model_dir; None: the manifest names none
        gpu_id: the device, unless CUDA is not available; None or empty: the CPU
        model_name: for metrics
        model_yaml_config_file: path of a model's configuration; None: an empty one

    Raises:
        OSError: the configuration cannot be read.
        Exception: it is no YAML.
    """

    def __init__(
        self,
        model_pt_file: Optional[str] = "model.pt",
        model_dir: str = "ts/torch_handler/unit_tests/models/tmp",
        model_file: Optional[str] = "model.py",
        gpu_id: Any = "0",
        model_name: str = "mnist",
        model_yaml_config_file: Optional[str] = None,
    ) -> None:
        files = {"serializedFile": model_pt_file, "modelFile": model_file}
        self.manifest = {"model": {kind: name for kind, name in files.items() if name}}
        self.system_properties: Dict[str, Any] = {"model_dir": model_dir}
        if gpu_id and _has_cuda():
            self.system_properties["gpu_id"] = int(gpu_id)  # as the server says it
        self.explain = False
        self.metrics = MetricsStore(uuid.uuid4(), model_name)
        self.model_yaml_config = get_yaml_config(model_yaml_config_file) if model_yaml_config_file else {}

    def get_request_header(self, idx: Any, exp: Any) -> bool:
        """Tell whether an explanation is asked for: explain is set, and neither argument is zero or empty."""
        return bool(idx and exp and self.explain)


def _has_cuda() -> bool:
    try:
        return bool(importlib.import_module("torch").cuda.is_available())
    except ImportError:
        return False
