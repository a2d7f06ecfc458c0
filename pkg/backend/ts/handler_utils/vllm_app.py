"""Starts vLLM and its OpenAI-compatible application, whichever version is installed.

Since 0.6.1, to which 0.12 is pinned, vLLM has built its HTTP application by functions of the same names, though they
move between modules and change their parameters: make_arg_parser for the options, build_app, and init_app_state, or
init_app that does both. Arguments are therefore passed by name, to those that want them.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from typing import Any, Callable, Dict, List

from ts.handler_utils.asgi import Application

logger = logging.getLogger(__name__)

_SERVER = "vllm.entrypoints.openai.api_server"
_PLACES = {
    "FlexibleArgumentParser": ["vllm.utils.argparse_utils", "vllm.utils"],
    "make_arg_parser": ["vllm.entrypoints.common.cli_args", "vllm.entrypoints.openai.cli_args"],
    "init_app": [_SERVER],
    "build_app": ["vllm.entrypoints.launchers.app", _SERVER],
    "init_app_state": ["vllm.entrypoints.launchers.api_server.app_state", _SERVER],
}
"""Where versions of vLLM have what is needed here, the newest first."""


async def start(engine_options: Dict[str, Any], adapters: Dict[str, str], chat_template: Any) -> Application:
    """Start an engine on the running event loop and return the application that serves it.

    Args:
        engine_options: arguments of vllm.AsyncEngineArgs, model among them; options of vLLM's server count, too
        adapters: name and path of each LoRA adapter
        chat_template: Jinja, or the path of a file with it; None: that of the tokenizer

    Raises:
        ImportError: vLLM is not installed, or has changed beyond recognition.
        Exception: the engine does not start.
    """
    vllm: Any = importlib.import_module("vllm")
    engine_options = {"disable_log_requests": True, **engine_options}  # where versions log prompts by default
    wanted = inspect.signature(vllm.AsyncEngineArgs).parameters
    engine_args = vllm.AsyncEngineArgs(**{name: value for name, value in engine_options.items() if name in wanted})
    args = _server_options(adapters)
    for name, value in vars(engine_args).items():
        if hasattr(args, name):
            setattr(args, name, value)
    for name in engine_options.keys() - wanted.keys():
        if hasattr(args, name):
            setattr(args, name, engine_options[name])
        elif name != "disable_log_requests":
            logger.warning("vllm_engine_config: vLLM %s has no option %s", getattr(vllm, "__version__", ""), name)
    args.served_model_name = served_names(engine_options)
    args.chat_template = chat_template
    engine = vllm.AsyncLLMEngine.from_engine_args(engine_args)
    return await _application(engine, args)


def served_names(engine_options: Dict[str, Any]) -> List[str]:
    """Return the names under which requests find the model; the first is that of responses."""
    names = engine_options.get("served_model_name") or engine_options["model"]
    return [names] if isinstance(names, str) else list(names)


def _server_options(adapters: Dict[str, str]) -> Any:
    """Return the options of vLLM's server, defaults but for the adapters, whose form is vLLM's affair."""
    parser = _find("make_arg_parser")(_find("FlexibleArgumentParser")())
    words = ["--lora-modules", *("%s=%s" % pair for pair in adapters.items())] if adapters else []
    return parser.parse_args(words)


async def _application(engine: Any, args: Any) -> Application:
    known = {
        "args": args,
        "engine_client": engine,
        "async_engine_client": engine,
        "model_config": await _property(engine, "model_config"),
        "vllm_config": await _property(engine, "vllm_config"),
        "supported_tasks": await _property(engine, "supported_tasks"),
    }
    init_app_state = _find("init_app_state", optional=True)
    if init_app_state is None:
        return await _call(_find("init_app"), known)
    application = await _call(_find("build_app"), known)
    await _call(init_app_state, {**known, "state": application.state})
    return application


async def _property(engine: Any, name: str) -> Any:
    """Return what new versions have as an attribute and older ones ask for; None if this one has neither."""
    if hasattr(engine, name):
        return getattr(engine, name)
    ask = getattr(engine, "get_" + name, None)
    return await ask() if ask is not None else None


async def _call(function: Callable[..., Any], known: Dict[str, Any]) -> Any:
    """Call a function, which may be async, with those arguments that it has."""
    wanted = inspect.signature(function).parameters
    result = function(**{name: value for name, value in known.items() if name in wanted})
    return await result if inspect.isawaitable(result) else result


def _find(name: str, optional: bool = False) -> Any:
    """Return a function or class of vLLM.

    Raises:
        ImportError: it is nowhere, and not optional.
    """
    for place in _PLACES[name]:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if not place.startswith(error.name or "?"):
                raise  # a package that vLLM needs is missing
            continue
        if hasattr(module, name):
            return getattr(module, name)
    if optional:
        return None
    raise ImportError("this version of vLLM is not supported: it has no %s in %s" % (name, ", ".join(_PLACES[name])))
