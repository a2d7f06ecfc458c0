"""torch.compile and its kind, as the section pt2 of a model's configuration asks for (python-backend.md, 6.3)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
from typing import Any, Dict, Optional

from ts.utils.util import check_valid_pt2_backend

logger = logging.getLogger(__name__)


def compiled(torch: Any, model: Any, device: Any, config: Optional[Dict[str, Any]]) -> Any:
    """Return the model, compiled if the configuration asks for it and it is possible.

    Raises:
        ValueError: the section is neither text nor a mapping.
    """
    options = _options((config or {}).get("pt2"))
    if options is not None and _is_backend(torch, options.get("backend")):
        return _compile(torch, model, options)
    if os.environ.get("TS_IPEX_ENABLE") == "true":
        return _optimized_by_ipex(torch, model, device)
    return model


def import_if_present(module: str) -> None:
    """Import a module for what it registers; do nothing if it is not installed."""
    if importlib.util.find_spec(module.partition(".")[0]) is not None:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _options(pt2: Any) -> Optional[Dict[str, Any]]:
    """Return the arguments of torch.compile; None: it is not asked for."""
    if pt2 is None:
        return None
    if isinstance(pt2, str):
        logger.warning("pt2: <backend> is deprecated, write pt2: {compile: {enable: true, backend: <backend>}}")
        return {"backend": pt2}
    if not isinstance(pt2, dict):
        raise ValueError("pt2 should be str or dict")
    if "compile" in pt2:
        return _enabled(pt2["compile"])
    if "export" in pt2:
        return None
    logger.warning("pt2: {<arguments>} is deprecated, write pt2: {compile: {enable: true, <arguments>}}")
    return dict(pt2)


def _enabled(section: Any) -> Optional[Dict[str, Any]]:
    if not isinstance(section, dict) or "enable" not in section:
        logger.warning("pt2: compile has no enable: the model is not compiled")
        return None
    return {name: value for name, value in section.items() if name != "enable"} if section["enable"] else None


def _is_backend(torch: Any, backend: Optional[str]) -> bool:
    if backend is None:
        return True
    try:
        known = torch._dynamo.list_backends(None)
    except Exception:  # noqa: BLE001 - private, and not in every version
        known = []
    return backend in known or check_valid_pt2_backend(backend)


def _compile(torch: Any, model: Any, options: Dict[str, Any]) -> Any:
    try:
        result = torch.compile(model, **options)
    except Exception as error:
        logger.warning("Compiling the model with %s has failed: %s", options, error, exc_info=True)
        return model
    logger.info("Compiled model with %s", ", ".join("%s %s" % option for option in options.items()))
    return result


def _optimized_by_ipex(torch: Any, model: Any, device: Any) -> Any:
    try:
        ipex: Any = importlib.import_module("intel_extension_for_pytorch")
    except ImportError:
        return model
    model = model.to(memory_format=torch.channels_last).to(device)
    model = ipex.optimize(model)
    logger.info("Compiled model with ipex")
    return model
