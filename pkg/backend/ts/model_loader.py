"""From the handler string of a manifest to a service (reference: python-backend.md, section 7)."""

from __future__ import annotations

import abc
import importlib
import json
import os
import sys
import types
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple

from ts.context import Context
from ts.service import EntryPoint, Service, finished
from ts.utils.util import list_classes_from_module

Entry = Tuple[EntryPoint, Callable[[Context], Any]]
"""What is called with each batch, and what is called once before."""


class ModelLoaderFactory:
    """Makes loaders."""

    @staticmethod
    def get_model_loader() -> TsModelLoader:
        """Return a loader."""
        return TsModelLoader()


class ModelLoader(abc.ABC):
    """Makes a service of a model."""

    @abc.abstractmethod
    def load(
        self,
        model_name: str,
        model_dir: str,
        handler: Optional[str] = None,
        gpu_id: Optional[int] = None,
        batch_size: Optional[int] = None,
        envelope: Optional[str] = None,
        limit_max_image_pixels: bool = True,
        metrics_cache: Any = None,
    ) -> Service:
        """Return the service of a model that is ready for batches."""


class TsModelLoader(ModelLoader):
    """Makes a service of an unpacked archive."""

    def load(
        self,
        model_name: str,
        model_dir: str,
        handler: Optional[str] = None,
        gpu_id: Optional[int] = None,
        batch_size: Optional[int] = None,
        envelope: Optional[str] = None,
        limit_max_image_pixels: bool = True,
        metrics_cache: Any = None,
    ) -> Service:
        """Import the handler, call its initialize, and return the service.

        Raises:
            ValueError: there is no handler, or nothing in it to be called.
            Exception: whatever the handler raises.
        """
        if metrics_cache is not None:
            metrics_cache.set_request_ids(str(uuid.uuid4()))
        entry_point, initialize = self._entry(handler)
        if envelope:
            entry_point = self._load_default_envelope(envelope)(entry_point).handle
        service = Service(
            model_name,
            model_dir,
            _manifest(model_dir),
            entry_point,
            gpu_id,
            batch_size,
            limit_max_image_pixels,
            metrics_cache,
        )
        finished(initialize(service.context))
        return service

    def _entry(self, handler: Optional[str]) -> Entry:
        if not handler:
            raise ValueError("the model has no handler: neither its manifest nor the configuration names one")
        try:
            module, function_name = self._load_handler_file(handler)
        except ModuleNotFoundError as error:
            if not _is_missing(error, _module_name(handler)):
                raise
            module, function_name = self._load_default_handler(handler), "handle"
        _prepare_torch()
        member = getattr(module, function_name, None)
        if isinstance(member, type):
            return self._class_entry(member)
        if member is not None:
            return self._get_function_entry_point(module, function_name)
        return self._get_class_entry_point(module)

    def _load_handler_file(self, handler: str) -> Tuple[types.ModuleType, str]:
        """Import the module that a handler string names; return it and the function's name."""
        return importlib.import_module(_module_name(handler)), handler.partition(":")[2] or "handle"

    def _load_default_handler(self, handler: str) -> types.ModuleType:
        """Import a built-in handler."""
        return importlib.import_module("ts.torch_handler." + handler)

    def _load_default_envelope(self, envelope: str) -> Any:
        """Import a request envelope and return its class."""
        module = importlib.import_module("ts.torch_handler.request_envelope." + envelope)
        return list_classes_from_module(module)[0]

    def _get_function_entry_point(self, module: types.ModuleType, function_name: str) -> Entry:
        """Return a function of the module, which is called once without data before the first batch."""
        function = getattr(module, function_name)
        return function, lambda context: function(None, context)

    def _get_class_entry_point(self, module: types.ModuleType) -> Entry:
        """Return the methods of an instance of the one handler class of the module."""
        classes = list_classes_from_module(module)
        handlers = [each for each in classes if hasattr(each, "handle") and hasattr(each, "initialize")]
        if len(classes) == 1:
            return self._class_entry(classes[0])
        if len(handlers) == 1:
            return self._class_entry(handlers[0])
        raise ValueError(
            "Expected only one class in custom service code or a function entry point %s" % _listed(classes)
        )

    def _class_entry(self, handler_class: type) -> Entry:
        instance: Any = handler_class()
        if not hasattr(instance, "handle"):
            raise ValueError("Expect handle method in class %s" % handler_class)
        # Taken before initialize runs: 0.12 does not see what initialize puts in their place (PYB-008).
        return instance.handle, instance.initialize


def _prepare_torch() -> None:
    """Set torch up, if the handler has imported it together with the base handler."""
    torch, base_handler = sys.modules.get("torch"), sys.modules.get("ts.torch_handler.base_handler")
    if torch is not None and base_handler is not None:
        base_handler.prepare(torch)


def _module_name(handler: str) -> str:
    name = handler.partition(":")[0].rpartition("/")[2]
    return name[:-3] if name.endswith(".py") else name


def _is_missing(error: ModuleNotFoundError, module: str) -> bool:
    """Tell whether the handler's own module was not found, rather than one that it imports."""
    return error.name is not None and (module == error.name or module.startswith(error.name + "."))


def _listed(classes: List[type]) -> str:
    return "[%s]" % ", ".join(map(str, classes))


def _manifest(model_dir: str) -> Optional[Dict[str, Any]]:
    path = os.path.join(model_dir, "MAR-INF", "MANIFEST.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        manifest: Dict[str, Any] = json.load(file)
    return manifest
