"""Text that a model of transformers generates, in pieces, and micro-batching with a model of torch; real workers."""

from __future__ import annotations

import json
import textwrap
import threading
from typing import Any, Dict, Iterator, List

import frontend
import pytest
import torch
import transformers
from serving import Archive, close, eager, network
from ts.handler_utils.hf_batch_streamer import TextIteratorStreamerBatch

# Random weights, which are the same for each who makes the model.
LANGUAGE = """
    import torch
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    WORDS = ["<end>", *["w%d" % at for at in range(63)]]

    def tokenizer():
        made = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, "<end>"))
        made.pre_tokenizer = Whitespace()
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=made, unk_token="<end>", eos_token="<end>", pad_token="<end>"
        )

    def model():
        torch.manual_seed(1)
        config = transformers.GPT2Config(
            vocab_size=len(WORDS), n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        return transformers.GPT2LMHeadModel(config).eval()

    OPTIONS = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
"""
HANDLER = """
    import threading
    import torch
    import language
    from ts.handler_utils.hf_batch_streamer import TextIteratorStreamerBatch
    from ts.handler_utils.utils import send_intermediate_predict_response
    from ts.torch_handler.base_handler import BaseHandler

    torch.set_num_threads(1)

    class Handler(BaseHandler):
        def initialize(self, context):
            self.model, self.tokenizer = language.model(), language.tokenizer()

        def preprocess(self, data):
            return self.tokenizer([row["body"] for row in data], return_tensors="pt")

        def inference(self, inputs):
            streamer = TextIteratorStreamerBatch(self.tokenizer, len(inputs["input_ids"]), skip_prompt=True)
            arguments = dict(inputs, streamer=streamer, **language.OPTIONS)
            threading.Thread(target=self.model.generate, kwargs=arguments).start()
            for pieces in streamer:
                texts = [each["text"] for each in pieces]
                ids = self.context.request_ids
                send_intermediate_predict_response(texts, ids, "Intermediate Prediction success", 200, self.context)
            return [""] * len(pieces)

        def postprocess(self, texts):
            return texts
"""
PROMPTS = ["w1 w2 w3", "w9 w8 w7"]


@pytest.fixture(scope="module")
def language() -> Dict[str, Any]:
    names: Dict[str, Any] = {}
    exec(textwrap.dedent(LANGUAGE), names)
    return {"tokenizer": names["tokenizer"](), "model": names["model"](), "options": names["OPTIONS"]}


@pytest.fixture(scope="module")
def texts(language: Dict[str, Any]) -> List[str]:
    """What the model writes when nothing is streamed."""
    inputs = language["tokenizer"](PROMPTS, return_tensors="pt")
    tokens = language["model"].generate(**inputs, **language["options"])
    written: List[str] = language["tokenizer"].batch_decode(tokens[:, inputs["input_ids"].shape[1] :])
    return written


def generate(language: Dict[str, Any], streamer: Any) -> threading.Thread:
    inputs = language["tokenizer"](PROMPTS, return_tensors="pt")
    arguments = dict(inputs, streamer=streamer, **language["options"])
    thread = threading.Thread(target=language["model"].generate, kwargs=arguments)
    thread.start()
    return thread


def joined(pieces: List[List[Dict[str, str]]]) -> List[str]:
    return ["".join(each["text"] for each in row) for row in zip(*pieces)]


def test_the_pieces_make_the_texts(language: Dict[str, Any], texts: List[str]) -> None:
    streamer = TextIteratorStreamerBatch(language["tokenizer"], len(PROMPTS), skip_prompt=True, timeout=60)
    thread = generate(language, streamer)
    pieces = list(streamer)
    thread.join()
    assert len(pieces) > 4
    assert joined(pieces) == texts
    assert len(set(texts)) == 2


def test_the_prompts_come_first_unless_they_are_skipped(language: Dict[str, Any], texts: List[str]) -> None:
    streamer = TextIteratorStreamerBatch(language["tokenizer"], len(PROMPTS), timeout=60)
    thread = generate(language, streamer)
    pieces = list(streamer)
    thread.join()
    assert joined(pieces) == ["%s %s" % pair for pair in zip(PROMPTS, texts)]


def test_a_batch_of_another_size(language: Dict[str, Any]) -> None:
    assert issubclass(TextIteratorStreamerBatch, transformers.generation.streamers.BaseStreamer)
    streamer = TextIteratorStreamerBatch(language["tokenizer"], 2)
    text = "TextIteratorStreamerBatch batch size is set to 2 but got input tensor of shape torch.Size([3, 4])"
    with pytest.raises(ValueError) as raised:
        streamer.put(torch.zeros(3, 4))
    assert str(raised.value) == text


def test_the_first_text_that_ends_ends_all(language: Dict[str, Any]) -> None:
    streamer = TextIteratorStreamerBatch(language["tokenizer"], 2, timeout=60)
    streamer.put(torch.tensor([[1], [2]]))
    streamer.streamers[1].end()
    for token in (3, 4):
        streamer.streamers[0].put(torch.tensor([token]))
    pieces = list(streamer)  # does not wait for the end of the other
    assert len(pieces) == 2
    assert joined(pieces)[1] == "w1"


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[frontend.Worker]:
    archive = Archive(tmp_path_factory.mktemp("writer"), {"language.py": LANGUAGE}, HANDLER)
    with archive.served("handler.py") as worker:
        yield worker


def test_the_pieces_reach_the_clients(writer: frontend.Worker, texts: List[str]) -> None:
    requests = [frontend.body(prompt.encode(), "text/plain", at) for at, prompt in enumerate(PROMPTS)]
    responses = [writer.infer(*requests)]
    assert writer.peer is not None
    while ("ts_stream_next", "true") in responses[-1].items[0].headers:
        responses.append(writer.peer.response())
    assert [each.code for each in responses] == [200] * len(responses)
    assert len(responses) > 4
    pieces = [[item.body.decode() for item in each.items] for each in responses]
    assert ["".join(row) for row in zip(*pieces)] == texts


NETWORK = """
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        def forward(self, x):
            return torch.relu(self.linear(x))
"""
MICRO = """
    import torch
    from ts.handler_utils.micro_batching import MicroBatching
    from ts.torch_handler.base_handler import BaseHandler

    torch.set_num_threads(1)

    class Handler(BaseHandler):
        def __init__(self):
            super().__init__()
            self.sizes = []
            self.handle = MicroBatching(self)

        def initialize(self, context):
            super().initialize(context)
            section = context.model_yaml_config["micro_batching"]
            self.handle.parallelism = section["parallelism"]
            self.handle.micro_batch_size = section["micro_batch_size"]

        def preprocess(self, data):
            self.sizes.append(len(data))
            return torch.tensor([row["body"] for row in data], dtype=torch.float32)

        def describe_handle(self):
            return {"sizes": self.sizes}
"""
CONFIG = "micro_batching: {micro_batch_size: 3, parallelism: {preprocess: 2, inference: 2}}"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[frontend.Worker]:
    archive = eager(
        tmp_path_factory.mktemp("pipeline"), NETWORK, {"config.yaml": CONFIG}, MICRO, configFile="config.yaml"
    )
    with archive.with_weights(network(NETWORK)).served("handler.py") as worker:
        yield worker


def test_PYB_097_PYB_098_micro_batches_of_a_real_model(pipeline: frontend.Worker) -> None:
    rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(2))
    requests = [frontend.body(row, at=at) for at, row in enumerate(rows.tolist())]
    with torch.inference_mode():
        expected = network(NETWORK)(rows).tolist()
    for _ in range(2):
        response = pipeline.infer(*requests)
        assert response.code == 200, pipeline.output()
        assert [json.loads(item.body) for item in response.items] == list(map(close, expected))
        response = pipeline.infer(*requests[:4], frontend.body([1.0], at=4), *requests[5:])
        assert (response.code, response.message) == (503, "Prediction failed")
    sizes = pipeline.answer(frontend.Request("r1", [("describe", "True")])).body
    assert sorted(json.loads(sizes)["sizes"])[-4:] == [3] * 4
