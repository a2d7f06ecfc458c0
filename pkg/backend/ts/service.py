"""A loaded model at work: from a batch of requests to the response."""

from __future__ import annotations

import collections.abc
import logging
import os
import time
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Tuple

from ts import __version__, decoding, reply, wire, yaml_file
from ts.context import Context, RequestProcessor, RequestProperties
from ts.lines import OUTPUT
from ts.protocol.otf_message_handler import create_predict_response
from ts.utils.util import PredictionException, get_yaml_config

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "PREDICTION_METRIC",
    "Context",
    "PredictionException",
    "RequestProcessor",
    "Service",
    "create_predict_response",
    "emit_metrics",
    "get_yaml_config",
]

logger = logging.getLogger(__name__)

PREDICTION_METRIC = "PredictionTime"

EntryPoint = Callable[[Any, Context], Any]
Inputs = Tuple[List[RequestProcessor], List[Dict[str, Any]], Dict[int, str]]
"""The records of the requests, their data, and their ids by place in the batch."""


class Service:
    """Calls the handler of one model, one batch at a time.

    Raises:
        OSError, Exception: the model's configFile cannot be read.
    """

    def __init__(
        self,
        model_name: str,
        model_dir: str,
        manifest: Optional[Dict[str, Any]],
        entry_point: Optional[EntryPoint],
        gpu: Optional[int],
        batch_size: Optional[int],
        limit_max_image_pixels: bool = True,
        metrics_cache: Any = None,
    ) -> None:
        self._context = Context(
            model_name,
            model_dir,
            manifest,
            batch_size,
            gpu,
            __version__,
            limit_max_image_pixels,
            metrics_cache,
            _model_config(model_dir, manifest),
        )
        self._entry_point = entry_point
        self._decode = decoding.enabled()

    @property
    def context(self) -> Context:
        """What the handler gets with each batch."""
        return self._context

    @property
    def entry_point(self) -> Any:
        """What is called with each batch."""
        return self._entry_point

    def set_cl_socket(self, cl_socket: Any) -> None:
        """Set where the handler may write intermediate responses."""
        self._context.cl_socket = cl_socket

    def inputs(self, requests: Iterable[wire.Request]) -> Inputs:
        """Return what the handler gets for the requests of a batch."""
        processors, data, ids = [], [], {}
        for at, (request_id, headers, parameters) in enumerate(requests):
            row: Dict[str, Any] = {}
            properties = RequestProperties()
            for name, content_type, value in parameters:
                properties[name] = {"content-type": content_type}
                row[name] = decoding.decoded(value, content_type) if content_type and self._decode else value
            properties.update(headers)
            processors.append(RequestProcessor(properties))
            data.append(row)
            ids[at] = request_id
        return processors, data, ids

    @staticmethod
    def retrieve_data_for_inference(batch: Optional[List[Dict[str, Any]]]) -> Inputs:
        """Return what the handler gets for a batch as ts.protocol reads it.

        Raises:
            ValueError: there is no batch.
        """
        if batch is None:
            raise ValueError("Received invalid inputs")
        processors, data, ids = [], [], {}
        for at, request in enumerate(batch):
            properties = RequestProperties()
            row = {}
            for parameter in request["parameters"]:
                properties[parameter["name"]] = {"content-type": parameter["contentType"]}
                row[parameter["name"]] = parameter["value"]
            for header in request["headers"]:
                properties[header["name"].decode()] = header["value"].decode()
            processors.append(RequestProcessor(properties))
            data.append(row)
            ids[at] = request["requestId"].decode()
        return processors, data, ids

    def predict(self, batch: List[Dict[str, Any]]) -> Optional[bytearray]:
        """Return the encoded response to a batch as ts.protocol reads it; None at ranks that do not answer."""
        pieces = self.answer(self.retrieve_data_for_inference(batch))
        return bytearray().join(pieces) if os.environ.get("LOCAL_RANK", "0") == "0" else None

    def answer(self, inputs: Inputs) -> List[wire.Buffer]:
        """Call the handler and return the response in pieces."""
        processors, data, ids = inputs
        context = self._context
        context.request_ids = ids
        context.request_processor = processors
        context.metrics.set_request_ids(ids)
        started = time.perf_counter()
        try:
            results = self._entry_point(data, context)  # type: ignore[misc] # set before the first batch
            if type(results) is not list:
                results = finished(results)
            return conclude(results, context, time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return reply.failure(ids, reply.refusal(error))


def conclude(results: Any, context: Context, seconds: float) -> List[wire.Buffer]:
    """Return the response with what the handler has returned for the batch of context after so many seconds."""
    ids: Dict[int, str] = context.request_ids or {}
    if not isinstance(results, list):
        logger.warning("model: %s, Invalid return type: %s.", context.model_name, type(results))
        return reply.failure(ids, (503, "Invalid model predict output"))
    if len(results) != len(ids):
        text = "model: %s, number of batch response mismatched, expect: %d, got: %d."
        logger.warning(text, context.model_name, len(ids), len(results))
        return reply.failure(ids, (503, "number of batch response mismatched"))
    context.metrics.add_time(PREDICTION_METRIC, round(seconds * 1000, 2))
    try:
        return reply.success(results, ids, reply.SUCCESS, 200, context)
    except reply.Unserializable as error:
        logger.warning("Unable to serialize model output.", exc_info=error.__cause__)
        return reply.failure(ids, reply.UNSERIALIZABLE)


def finished(value: Any) -> Any:
    """Return value, or what comes of it if it is a coroutine: a handler may be async without an async worker."""
    if not isinstance(value, collections.abc.Coroutine):
        return value
    return event_loop().run_until_complete(value)


def event_loop(otherwise: Optional[asyncio.AbstractEventLoop] = None) -> asyncio.AbstractEventLoop:
    """Return the event loop of this thread. If there is none it is otherwise, or else made."""
    import asyncio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and 3.13 warn that 3.14 makes none
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            loop = otherwise or asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            return loop


def _model_config(model_dir: str, manifest: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    name = ((manifest or {}).get("model") or {}).get("configFile")
    if not name:
        return {}
    config: Dict[str, Any] = yaml_file.read(os.path.join(model_dir, name), yaml_file.MODEL_CONFIG) or {}
    return config


def emit_metrics(metrics: Optional[Iterable[Any]]) -> None:
    """Write a metric line for each ts.metrics.metric.Metric."""
    for metric in metrics or ():
        OUTPUT.metric(str(metric))
