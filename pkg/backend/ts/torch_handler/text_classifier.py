"""The handler text_classifier: which classes a text belongs to."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Tuple

from ts import lazy
from ts.handler_utils.text_utils import ngrams_iterator
from ts.handler_utils.timer import timed
from ts.torch_handler.text_handler import TextHandler
from ts.utils.util import map_class_to_label

__getattr__ = lazy.attributes(__name__, {"torch": "torch", "F": "torch.nn.functional"})
_this: Any = sys.modules[__name__]


class TextClassifier(TextHandler):
    """Answers a text with the classes of the model and their probabilities. A batch has one text.

    The model is called with the numbers of the tokens and [0], the offsets of an EmbeddingBag.
    """

    ngrams = 2
    """So many neighbouring tokens, at most, are looked up in the vocabulary together."""

    @timed
    def preprocess(self, data: List[Dict[str, Any]]) -> Tuple[Any, List[str]]:
        """Return the numbers of the tokens and of their n-grams as a tensor of one dimension, and the tokens.

        Args:
            data: one row with a text under data or body; bytes are UTF-8

        Raises:
            UnicodeDecodeError: the bytes are not.
            KeyError: the vocabulary lacks a token; its own type may raise something else, or nothing.
        """
        text: Any = data[0].get("data") or data[0].get("body")
        if isinstance(text, (bytes, bytearray)):
            text = text.decode()
        text = self._remove_html_tags(text).lower()
        text = self._expand_contractions(text)
        text = self._remove_accented_characters(text)
        text = self._remove_punctuation(text)
        tokens = self._tokenize(text)
        numbers = [self.source_vocab[each] for each in ngrams_iterator(tokens, self.ngrams)]
        return _this.torch.as_tensor(numbers, device=self.device), tokens

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the model makes of the text that preprocess returns: 1 × classes."""
        numbers, _ = data
        return super().inference(numbers, self.__offsets(), *args, **kwargs)

    @timed
    def postprocess(self, data: Any) -> List[Dict[str, float]]:
        """Return the labels of all classes with their probabilities."""
        return map_class_to_label(data.softmax(dim=1).tolist(), self.mapping)

    def get_insights(self, text_preprocess: Any, _: Any, target: Any = 0) -> List[Dict[str, Any]]:
        """Return how much the parts of the text's embedding speak for a class.

        Args:
            text_preprocess: what preprocess returns
            target: the class

        Returns:
            One dict: under importances the shares of the embedding in its shape, under words the tokens.

        Raises:
            ImportError: captum is not installed.
        """
        numbers, tokens = text_preprocess
        attributions = self.lig.attribute(
            numbers,
            _this.torch.zeros_like(numbers),
            additional_forward_args=self.__offsets(),
            target=target,
        )
        importances = self.summarize_attributions(attributions).tolist()
        return [{"importances": importances, "words": self.get_word_token(tokens)}]

    def __offsets(self) -> Any:
        return _this.torch.as_tensor([0], device=self.device)
