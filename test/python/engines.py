"""Files that stand for the engines of large language models: as much of their packages as the handlers use.

The application of vllm is an ASGI one like the real one. It completes a prompt with its own words, one a token. Prompts
that begin with "!" do something else.
"""

from __future__ import annotations

from typing import Dict

Files = Dict[str, str]

_ENGINE = """
    import asyncio, dataclasses, os
    from typing import Any

    __version__ = "0.0.fake"

    @dataclasses.dataclass
    class AsyncEngineArgs:
        model: str = "facebook/opt-125m"
        served_model_name: Any = None
        max_num_seqs: int = 256
        download_dir: Any = None
        enable_lora: bool = False

    class AsyncLLMEngine:
        def __init__(self, args):
            self.args, self.loop, self.gates = args, asyncio.get_running_loop(), {}
            print("engine: %s, %s" % (os.environ["VLLM_WORKER_MULTIPROC_METHOD"], args))

        @classmethod
        def from_engine_args(cls, args):
            return cls(args)

        async def get_model_config(self):
            return {"max_model_len": 99}

        async def get_vllm_config(self):
            return {"model_config": await self.get_model_config()}

        async def get_supported_tasks(self):
            return ("generate",)

        async def generate(self, prompt):
            assert asyncio.get_running_loop() is self.loop
            action, _, name = prompt.partition(" ")
            if action == "!fail":
                raise RuntimeError("CUDA is exhausted")
            if action == "!open":
                self.gates.setdefault(name, asyncio.Event()).set()
            for word in prompt.split():
                yield word
                if action == "!wait":
                    await self.gates.setdefault(name, asyncio.Event()).wait()
                if action == "!break":
                    raise RuntimeError("broken")
"""

_APPLICATION = """
    import asyncio, json, types

    class Refusal(Exception):
        pass

    class App:
        def __init__(self):
            self.state = types.SimpleNamespace()

        async def __call__(self, scope, receive, send):
            message = await receive()
            assert scope["type"] == "http" and message["type"] == "http.request" and not message["more_body"]
            disconnect = asyncio.ensure_future(receive())
            try:
                await self.respond(scope, message["body"], send)
            except Refusal as refusal:
                text, kind, code = refusal.args
                error = {"object": "error", "message": text, "type": kind, "param": None, "code": code}
                await self.send_json(send, error, code)
            await asyncio.sleep(0)
            assert not disconnect.done()
            disconnect.cancel()

        async def respond(self, scope, body, send):
            state, route = self.state, (scope["method"], scope["path"])
            if route == ("GET", "/v1/models"):
                names = state.args.served_model_name + [adapter.split("=")[0] for adapter in state.args.lora_modules]
                await self.send_json(send, {"object": "list", "data": [{"id": name} for name in names]})
                return
            assert (b"content-type", b"application/json") in scope["headers"] or not body
            try:
                request = json.loads(body)
                model = request["model"]
                if route == ("POST", "/v1/completions"):
                    prompt = request["prompt"]
                else:
                    assert route == ("POST", "/v1/chat/completions")
                    prompt = request["messages"][0]["content"]
            except (ValueError, LookupError) as error:
                raise Refusal(repr(error), "BadRequestError", 400)
            adapters = dict(adapter.split("=") for adapter in state.args.lora_modules)
            if model not in state.args.served_model_name and model not in adapters:
                raise Refusal("The model `%s` does not exist." % model, "NotFoundError", 404)
            if request.get("stream"):
                await self.stream(send, prompt)
                return
            text = " ".join([word async for word in state.engine.generate(prompt)])
            choice = {"text": text, "logprobs": None}
            if model in adapters:
                choice["adapter"] = adapters[model]
            if "chat" in scope["path"]:
                choice = {"message": {"role": "assistant", "content": text}, "template": state.args.chat_template}
            await self.send_json(send, {"model": state.args.served_model_name[0], "choices": [choice]})

        async def stream(self, send, prompt):
            await self.start(send, b"text/event-stream; charset=utf-8", 200)
            async for word in self.state.engine.generate(prompt):
                await self.send(send, b"data: " + json.dumps({"text": word}).encode() + b"\\n\\n")
            await self.send(send, b"data: [DONE]\\n\\n")
            await self.send(send, b"", more=False)

        async def send_json(self, send, value, status=200):
            await self.start(send, b"application/json", status)
            await self.send(send, json.dumps(value).encode(), more=False)

        async def start(self, send, kind, status):
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})

        async def send(self, send, body, more=True):
            await send({"type": "http.response.body", "body": body, "more_body": more})
"""

_PARSER = """
    import argparse

    class FlexibleArgumentParser(argparse.ArgumentParser):
        pass
"""

_OPTIONS = """
    def make_arg_parser(parser):
        for option in ("--model", "--served-model-name", "--chat-template", "--download-dir"):
            parser.add_argument(option)
        parser.add_argument("--lora-modules", nargs="+", default=[])
        parser.add_argument("--response-role", default="assistant")
        return parser
"""

_COMMON: Files = {
    "vllm/__init__.py": _ENGINE,
    "vllm/fake.py": _APPLICATION,
    "vllm/entrypoints/__init__.py": "",
    "vllm/entrypoints/openai/__init__.py": "",
}

_OLD: Files = {**_COMMON, "vllm/utils.py": _PARSER, "vllm/entrypoints/openai/cli_args.py": _OPTIONS}

PINNED: Files = {
    **_OLD,
    "vllm/entrypoints/openai/api_server.py": """
        from vllm.fake import App

        def build_app(args):
            return App()

        async def init_app(async_engine_client, args):
            app = build_app(args)
            assert (await async_engine_client.get_model_config())["max_model_len"] == 99
            app.state.engine, app.state.args = async_engine_client, args
            return app
    """,
}
"""vLLM 0.6.1, to which TorchServe 0.12 is pinned."""

LATER: Files = {
    **_OLD,
    "vllm/entrypoints/openai/api_server.py": """
        from vllm.fake import App

        def build_app(args):
            return App()

        def init_app_state(engine_client, model_config, state, args):
            assert model_config["max_model_len"] == 99
            state.engine, state.args = engine_client, args
    """,
}
"""vLLM 0.6.2 and the following."""

CURRENT: Files = {
    **_COMMON,
    "vllm/utils/__init__.py": "",
    "vllm/utils/argparse_utils.py": _PARSER,
    "vllm/entrypoints/common/__init__.py": "",
    "vllm/entrypoints/common/cli_args.py": _OPTIONS,
    "vllm/entrypoints/launchers/__init__.py": "",
    "vllm/entrypoints/launchers/app.py": """
        from vllm.fake import App

        def build_app(args, supported_tasks=None, model_config=None):
            assert supported_tasks == ("generate",) and model_config["max_model_len"] == 99
            return App()
    """,
    "vllm/entrypoints/launchers/api_server/__init__.py": "",
    "vllm/entrypoints/launchers/api_server/app_state.py": """
        async def init_app_state(engine_client, state, args, supported_tasks=None):
            assert supported_tasks == ("generate",)
            state.engine, state.args = engine_client, args
    """,
}
"""vLLM 0.33."""

UNKNOWN: Files = {**CURRENT, "vllm/entrypoints/launchers/app.py": ""}
"""A version that does not exist yet."""

_TRANSFORMERS = """
    class Tokenizer:
        pad_token, eos_token = None, "</s>"

    class AutoTokenizer:
        @classmethod
        def from_pretrained(cls, path, **options):
            print("tokenizer: %s %s" % (path, sorted(options.items())))
            return Tokenizer()
"""

_TRT_LLM = """
    import asyncio, types

    class KvCacheConfig:
        def __init__(self, free_gpu_memory_fraction=0.9):
            self.free_gpu_memory_fraction = free_gpu_memory_fraction

    class SamplingParams:
        def __init__(self, %s=32, temperature=1.0):
            self.limit, self.temperature = %s, temperature

    class Generation:
        def __init__(self, words):
            self.words, self.at = words, 0

        def output(self):
            return types.SimpleNamespace(outputs=[types.SimpleNamespace(text=" ".join(self.words[:self.at]))])

        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            self.at = len(self.words)
            return self.output()

        def __aiter__(self):
            return self

        async def __anext__(self):
            if self.at == len(self.words):
                raise StopAsyncIteration
            await asyncio.sleep(0)
            self.at += 1
            return self.output()

    class LLM:
        def __init__(self, model, tokenizer, kv_cache_config):
            text = "engine: %%s %%s %%s"
            print(text %% (model, tokenizer.pad_token, kv_cache_config.free_gpu_memory_fraction))

        def generate_async(self, inputs, sampling_params, streaming=False):
            if inputs == "!fail":
                raise RuntimeError("CUDA is exhausted")
            if not isinstance(inputs, str):
                raise TypeError("inputs must be text")
            return Generation(inputs.split(" ")[:sampling_params.limit])
"""

TRT_PINNED: Files = {
    "transformers.py": _TRANSFORMERS,
    "tensorrt_llm/__init__.py": "",
    "tensorrt_llm/hlapi.py": _TRT_LLM % ("max_new_tokens", "max_new_tokens"),
}
"""TensorRT-LLM 0.12."""

TRT_CURRENT: Files = {
    "transformers.py": _TRANSFORMERS,
    "tensorrt_llm/__init__.py": "class LLM:\n    pass\n",
    "tensorrt_llm/_tensorrt_engine.py": "from tensorrt_llm.llmapi import LLM\n",
    "tensorrt_llm/llmapi.py": _TRT_LLM % ("max_tokens", "max_tokens"),
}
"""TensorRT-LLM 1."""
