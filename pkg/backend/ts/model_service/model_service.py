"""Services in the form of MXNet Model Server; kept for handlers that still derive from them."""

from __future__ import annotations

import abc
import ast
import json
import os
from typing import Any, Dict, List, Optional


class ModelService(abc.ABC):
    """A model with a signature: a file that says what its inputs are called.

    Args:
        model_name: of the model
        model_dir: where its files are
        manifest: what MANIFEST.json says
        gpu: number of the GPU; None: there is none
    """

    def __init__(
        self, model_name: str, model_dir: str, manifest: Optional[Dict[str, Any]], gpu: Optional[int] = None
    ) -> None:
        self.model_name = model_name
        self.model_dir = model_dir
        self.manifest = manifest
        self.gpu = gpu
        self.context: Any = None
        self._signature: Dict[str, Any] = {}

    def initialize(self, context: Any) -> None:
        """Read the signature.

        Raises:
            ValueError: its file is not there.
            KeyError: the manifest names none.
        """
        self.context = context
        manifest = context.manifest or self.manifest or {}
        path = os.path.join(context.system_properties["model_dir"], manifest["Model"]["Signature"])
        if not os.path.isfile(path):
            raise ValueError("Signature file is not found.")
        with open(path, encoding="utf-8") as file:
            self._signature = json.load(file)

    @abc.abstractmethod
    def inference(self, data: List[Any]) -> Any:
        """Return the result for the values of the inputs, in the order of the signature."""

    def ping(self) -> Any:
        """Return nothing: the service is healthy."""
        return None

    def signature(self) -> Dict[str, Any]:
        """Return what initialize has read."""
        return self._signature

    def handle(self, data: List[Dict[str, Any]], context: Any) -> List[Any]:
        """Return the result for the first request of a batch; there should be no other.

        Args:
            data: the inputs by name, or a single one as body or data
            context: that of the batch

        Raises:
            ValueError, SyntaxError: an input is neither JSON nor a literal of Python, though the signature says so.
        """
        self.context = context
        signature = self.signature()
        row = data[0]
        values = [_input(row, each["data_name"]) for each in signature["inputs"]]
        if signature.get("input_type") == "application/json":
            values = [_literal(value) for value in values]
        result = self.inference(values)
        return result if isinstance(result, list) else [result]


def _input(row: Dict[str, Any], name: str) -> Any:
    for key in (name, "body", "data"):
        if row.get(key) is not None:
            return row[key]
    return None


def _literal(value: Any) -> Any:
    if not isinstance(value, (bytes, bytearray)):
        return value
    text = value.decode()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return json.loads(text)


class SingleNodeService(ModelService):
    """A service in three steps."""

    def inference(self, data: List[Any]) -> Any:
        """Return what the steps make of the inputs."""
        return self._postprocess(self._inference(self._preprocess(data)))

    @abc.abstractmethod
    def _preprocess(self, data: List[Any]) -> Any:
        """Return what the model takes."""

    @abc.abstractmethod
    def _inference(self, data: Any) -> Any:
        """Return what the model makes of it."""

    @abc.abstractmethod
    def _postprocess(self, data: Any) -> Any:
        """Return the result."""
