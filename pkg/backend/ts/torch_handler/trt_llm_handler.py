"""Serves a large language model with TensorRT-LLM (reference: llm.md, section 6)."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import time
from typing import Any, Dict, List

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.service import PredictionException
from ts.torch_handler.base_handler import BaseHandler

_PLACES = {
    # tensorrt_llm.LLM does not read engines any more in versions that have another one which does.
    "LLM": ["tensorrt_llm._tensorrt_engine", "tensorrt_llm.llmapi", "tensorrt_llm.hlapi", "tensorrt_llm"],
    "SamplingParams": ["tensorrt_llm.llmapi", "tensorrt_llm.hlapi", "tensorrt_llm"],
    "KvCacheConfig": ["tensorrt_llm.llmapi", "tensorrt_llm.hlapi", "tensorrt_llm"],
}
"""Where versions of TensorRT-LLM have what is needed here, in the order of preference."""

_RENAMED = {"max_tokens": "max_new_tokens", "max_new_tokens": "max_tokens"}
"""What a sampling parameter is called in other versions of TensorRT-LLM."""


class TRTLLMHandler(BaseHandler):
    """Completes the prompt of each request, whole or token by token.

    For workers with asyncCommunication: requests run concurrently on one engine.
    """

    tokenizer: Any = None
    sampling_params: Any = None

    def initialize(self, context: Any) -> None:
        """Load the tokenizer and the engine that the configuration names.

        Raises:
            ImportError: transformers or TensorRT-LLM is not installed, or not supported.
            KeyError: the configuration lacks tokenizer_dir or engine_dir.
            Exception: one of them does not load.
        """
        section = (context.model_yaml_config or {}).get("handler") or {}
        model_dir = context.system_properties["model_dir"]
        transformers: Any = importlib.import_module("transformers")
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(
            _resolved(model_dir, section["tokenizer_dir"]),
            padding_side="left",
            truncation_side="left",
            trust_remote_code=bool(section.get("trust_remote_code")),
        )
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        importlib.import_module("tensorrt_llm")
        cache = _find("KvCacheConfig")(**(section.get("kv_cache_config") or {}))
        engine = _resolved(model_dir, section["engine_dir"])
        self.model = _find("LLM")(model=engine, tokenizer=self.tokenizer, kv_cache_config=cache)
        self.sampling_params = _find("SamplingParams")
        self.initialized = True

    async def handle(self, data: List[Dict[str, Any]], context: Any) -> List[str]:
        """Answer a batch of one request: {"prompt": …, "streaming": false, and any sampling parameters}.

        Returns:
            The completion; nothing if it was streamed, as {"text": …} for each part.

        Raises:
            AssertionError: the batch is larger.
            PredictionException: the request makes no sense.
            Exception: the engine has failed.
        """
        if len(data) != 1:
            raise AssertionError("Expecting batch_size = 1")
        started = time.perf_counter()
        request = _request(data[0])
        prompt, streaming = request.pop("prompt"), request.pop("streaming", False)
        params = self.__sampling(request)
        try:
            generation = self.model.generate_async(prompt, sampling_params=params, streaming=bool(streaming))
        except (TypeError, ValueError) as error:
            raise PredictionException(str(error), 400) from error
        text = await (_stream(generation, context) if streaming else _whole(generation))
        context.metrics.add_time("HandlerTime", round((time.perf_counter() - started) * 1000, 2), None, "ms")
        return [text]

    def __sampling(self, given: Dict[str, Any]) -> Any:
        wanted = inspect.signature(self.sampling_params).parameters
        renamed = {name if name in wanted else _RENAMED.get(name, name): value for name, value in given.items()}
        try:
            return self.sampling_params(**renamed)
        except (TypeError, ValueError) as error:
            raise PredictionException(str(error), 400) from error


async def _whole(generation: Any) -> str:
    output = await generation
    text: str = output.outputs[0].text
    return text


async def _stream(generation: Any, context: Any) -> str:
    """Send the text as it grows, and return what is left to be said: nothing."""
    text, sent = "", 0
    async for output in generation:
        text = output.outputs[0].text
        # A character of several tokens is not complete before its last one.
        if not text.endswith("\ufffd"):
            _send(text[sent:], context)
            sent = len(text)
    _send(text[sent:], context)
    return ""


def _send(text: str, context: Any) -> None:
    if text:
        send_intermediate_predict_response([json.dumps({"text": text})], context.request_ids, "Result", 200, context)


def _request(row: Dict[str, Any]) -> Dict[str, Any]:
    """Return the request, decoded or not.

    Raises:
        PredictionException: it is no JSON object, or has no prompt.
    """
    value = row.get("data") or row.get("body")
    if isinstance(value, (str, bytes, bytearray)):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise PredictionException("the request is no JSON: %s" % error, 400) from error
    if not isinstance(value, dict) or "prompt" not in value:
        raise PredictionException('the request is no JSON object with a "prompt"', 400)
    return dict(value)


def _resolved(model_dir: str, path: str) -> str:
    """Return a path of the configuration, which may be below the model directory; an id of a hub stays as it is."""
    below = os.path.join(model_dir, path)
    return below if os.path.exists(below) else path


def _find(name: str) -> Any:
    """Return a class of TensorRT-LLM.

    Raises:
        ImportError: it is nowhere.
    """
    for place in _PLACES[name]:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name != place:
                raise  # a package that TensorRT-LLM needs is missing
            continue
        if hasattr(module, name):
            return getattr(module, name)
    text = "this version of TensorRT-LLM is not supported: it has no %s in %s"
    raise ImportError(text % (name, ", ".join(_PLACES[name])))
