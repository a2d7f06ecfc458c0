"""Serves a large language model with vLLM behind OpenAI's API (reference: llm.md, section 5)."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Dict, List, Optional, Union

from ts.handler_utils import asgi, vllm_app
from ts.handler_utils.utils import send_intermediate_predict_response
from ts.service import PredictionException, event_loop
from ts.torch_handler.base_handler import BaseHandler

logger = logging.getLogger(__name__)

_METHODS = {"v1/models": "GET", "v1/completions": "POST", "v1/chat/completions": "POST"}
"""What is served below /predictions/{model}/{version}/, and how vLLM wants to be asked for it."""
_DONE = b"data: [DONE]\n\n"


class VLLMHandler(BaseHandler):
    """Hands each request to the application of vLLM, and what that answers to the client.

    For workers with asyncCommunication: requests run concurrently on one engine.
    """

    application: asgi.Application
    served_models: List[str]
    adapters: Dict[str, str]

    def initialize(self, context: Any) -> None:
        """Start the engine on the event loop of this thread, on which handle runs later.

        Raises:
            AssertionError: the configuration names no model.
            ImportError: vLLM is not installed, or not supported.
            Exception: the engine does not start.
        """
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
        os.environ.pop("VLLM_API_KEY", None)  # the server has let the request in
        section = (context.model_yaml_config or {}).get("handler") or {}
        options = self.get_vllm_engine_config(section, context.system_properties["model_dir"])
        self.adapters = section.get("adapters") or {}
        self.served_models = vllm_app.served_names(options)
        started = vllm_app.start(options, self.adapters, section.get("chat_template"))
        self.application = event_loop().run_until_complete(started)
        self.initialized = True

    def get_vllm_engine_config(self, section: Dict[str, Any], model_dir: str) -> Dict[str, Any]:
        """Return the arguments of the engine.

        Args:
            section: handler of the model's configuration
            model_dir: where a relative model_path is looked for first

        Raises:
            AssertionError: no model is named.
        """
        options = dict(section.get("vllm_engine_config") or {})
        if options.get("model"):
            return options
        path = section.get("model_path")
        if not path:
            raise AssertionError("please define model in vllm_engine_config or model_path in handler")
        below = os.path.join(model_dir, path)
        options["model"] = below if os.path.exists(below) else path
        # It may be asked for as the configuration calls it; by default vLLM knows it by the path alone.
        options.setdefault("served_model_name", list(dict.fromkeys([options["model"], path])))
        return options

    async def handle(self, data: List[Dict[str, Any]], context: Any) -> List[Any]:
        """Answer a batch of one request.

        Raises:
            AssertionError: the batch is larger.
            PredictionException: there is no such endpoint.
            Exception: the engine has failed.
        """
        if len(data) != 1:
            raise AssertionError("Expecting batch_size = 1")
        started = time.perf_counter()
        if context.get_request_header(0, "describe") == "True":
            answer: Any = {"engine": "vllm", "served_models": self.served_models, "adapters": list(self.adapters)}
        else:
            answer = await self.__answer(data[0], context)
        context.metrics.add_time("HandlerTime", round((time.perf_counter() - started) * 1000, 2), None, "ms")
        return [answer]

    async def __answer(self, row: Dict[str, Any], context: Any) -> Any:
        path = context.get_request_header(0, "url_path")
        if not isinstance(path, str):
            path = _text(row.get("url_path"))  # gRPC has no such header
        method = _METHODS.get(path or "")
        if method is None:
            raise PredictionException("Unknown API endpoint: %s" % path, 404)
        body = b"" if method == "GET" else _json(row.get("data") or row.get("body"))
        response = _Response(context)
        await asgi.call(self.application, method, "/%s" % path, body, response)
        return response.last()


class _Response(asgi.Response):
    """Sends an event stream on piece by piece, and keeps everything else to the end."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._streams = False
        self._kept: List[bytes] = []

    def begin(self) -> None:
        kind = self.headers.get("content-type", "").partition(";")[0]
        self._streams = kind == "text/event-stream"
        if self.status != 200:
            self._context.set_response_status(self.status, "", 0)
        if kind:
            self._context.set_response_content_type(0, kind)

    def piece(self, content: bytes) -> None:
        # The end mark is the last part; which of the others is the last one cannot be known when it comes.
        if not self._streams or content.endswith(_DONE):
            self._kept.append(content)
            return
        context = self._context
        send_intermediate_predict_response([content], context.request_ids, "Result", 200, context)

    def last(self) -> Any:
        """Return what the handler returns: the end of a stream, or the whole response."""
        body = b"".join(self._kept)
        if self._streams:
            return body
        try:
            return json.loads(body)
        except ValueError:
            return body


def _json(value: Any) -> bytes:
    """Return the body of a request, decoded or not, as JSON; the engine refuses what is none."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _text(value: Union[str, bytes, bytearray, None]) -> Optional[str]:
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else value
