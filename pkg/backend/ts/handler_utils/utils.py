"""Helpers for handlers: streaming, and classes by name."""

from __future__ import annotations

import importlib
from typing import Any, Dict, Optional

from ts.protocol.otf_message_handler import create_predict_response

__all__ = ["create_predict_response", "import_class", "send_intermediate_predict_response"]


def send_intermediate_predict_response(
    ret: Any, req_id_map: Dict[int, str], message: str, code: int, context: Any
) -> None:
    """Send a part of each result to its client; the list that the handler returns is the last part.

    Threads may call this.

    Args:
        ret: list or dict of the parts by place in the batch
        req_id_map: the requests, normally context.request_ids
        message: for the server
        code: 200; with any other the requests fail with message
        context: that of the batch
    """
    response = create_predict_response(ret, req_id_map, message, code, context, True)
    if response is not None:
        context.cl_socket.sendall(response)


def import_class(class_name: str, module_prefix: Optional[str] = None) -> Any:
    """Return a class by its dotted name.

    Args:
        class_name: "module.Class", or "Class" with a prefix
        module_prefix: the package in which the module is, or the module itself

    Raises:
        ImportError: there is none.
    """
    if not class_name:
        raise ImportError("class name is not defined")
    module_name, _, name = class_name.rpartition(".")
    module_name = ".".join(part for part in (module_prefix, module_name) if part)
    if not module_name:
        raise ImportError("module name is not defined.")
    module = importlib.import_module(module_name)
    if not hasattr(module, name):
        raise ImportError("class:%s not found in module:%s." % (name, module_name))
    return getattr(module, name)
