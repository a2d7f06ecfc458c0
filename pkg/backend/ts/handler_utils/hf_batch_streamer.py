"""Streams the texts that a model of transformers generates for a batch; importing it imports transformers."""

from __future__ import annotations

import importlib
from typing import Any, Dict, List, Optional

_transformers: Any = importlib.import_module("transformers")
_streamers: Any = importlib.import_module("transformers.generation.streamers")


class TextIteratorStreamerBatch(_streamers.BaseStreamer):
    """The streamer of generate for several prompts: iterating over it waits for the next piece of each text.

    generate runs on another thread than the iteration.

    Args:
        tokenizer: of the model
        batch_size: number of prompts
        skip_prompt: the prompts are not pieces
        timeout: seconds to wait for a piece before queue.Empty is raised; None: for ever
        decode_kwargs: for the tokenizer's decode
    """

    def __init__(
        self,
        tokenizer: Any,
        batch_size: int,
        skip_prompt: bool = False,
        timeout: Optional[float] = None,
        **decode_kwargs: Any,
    ) -> None:
        self.batch_size = batch_size
        self.streamers = [
            _transformers.TextIteratorStreamer(tokenizer, skip_prompt, timeout, **decode_kwargs)
            for _ in range(batch_size)
        ]

    def put(self, value: Any) -> None:
        """Take tokens.

        Args:
            value: tensor of shape (batch_size,) or (batch_size, tokens)

        Raises:
            ValueError: it has another first dimension.
        """
        if value.shape[0] != self.batch_size:
            text = "TextIteratorStreamerBatch batch size is set to %d but got input tensor of shape %s"
            raise ValueError(text % (self.batch_size, value.shape))
        for at, streamer in enumerate(self.streamers):
            streamer.put(value[at : at + 1])

    def end(self) -> None:
        """Take note that no tokens follow."""
        for streamer in self.streamers:
            streamer.end()

    def __iter__(self) -> TextIteratorStreamerBatch:
        return self

    def __next__(self) -> List[Dict[str, str]]:
        # The first text that has ended ends the iteration: next passes its StopIteration on.
        return [{"text": next(streamer)} for streamer in self.streamers]
