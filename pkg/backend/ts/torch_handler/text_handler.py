"""What the handlers of texts have in common; importing it does not import torch."""

from __future__ import annotations

import abc
import functools
import logging
import os
import re
import string
import sys
import unicodedata
from typing import Any, List, Optional

from ts import lazy
from ts.handler_utils.text_utils import get_tokenizer
from ts.torch_handler.base_handler import BaseHandler
from ts.torch_handler.contractions import CONTRACTION_MAP
from ts.utils.util import CLEANUP_REGEX

__getattr__ = lazy.attributes(
    __name__,
    {
        "torch": "torch",
        "F": "torch.nn.functional",
        "LayerIntegratedGradients": "captum.attr:LayerIntegratedGradients",
    },
)
_this: Any = sys.modules[__name__]
logger = logging.getLogger(__name__)

# compat(0.12): a contraction comes before those that it begins, which are therefore never found (PYB-076).
CONTRACTIONS_PATTERN = re.compile("(%s)" % "|".join(sorted(CONTRACTION_MAP, key=len)), re.IGNORECASE | re.DOTALL)

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextHandler(BaseHandler, abc.ABC):
    """Cleans texts, and has the vocabulary that makes numbers of their tokens."""

    source_vocab: Any = None
    tokenizer: Any = staticmethod(get_tokenizer("basic_english"))
    input_text: Optional[str] = None
    initialized: Any = None

    def initialize(self, context: Any) -> None:
        """Load the model as the base handler does, and the vocabulary.

        Raises:
            RuntimeError: there is no model, or its file is missing.
            ValueError: the model file has not exactly one class, or the configuration makes no sense.
            Exception: there is no vocabulary, or torch does not read it.
        """
        super().initialize(context)
        self.__dict__.pop("lig", None)  # that of a model before
        self.source_vocab = _this.torch.load(self.get_source_vocab_path(context))

    @functools.cached_property
    def lig(self) -> Any:
        """The integrated gradients of the model's layer embedding, made when first read: only explanations need captum.

        None without a model.
        """
        if self.model is None:
            return None
        return _this.LayerIntegratedGradients(self.model, self.model.embedding)

    def get_source_vocab_path(self, ctx: Any) -> str:
        """Return the path of the vocabulary: the file that the manifest names, else source_vocab.pt.

        Raises:
            Exception: there is no such file.
        """
        named = ctx.manifest["model"].get("sourceVocab") or "source_vocab.pt"
        path = os.path.join(ctx.system_properties.get("model_dir"), named)
        if not os.path.isfile(path):
            raise Exception(
                "Missing the source_vocab file. Refer default handler documentation for details on using text_handler."
            )
        return path

    def _expand_contractions(self, text: str) -> str:
        return CONTRACTIONS_PATTERN.sub(_expanded, text).replace("'", "")

    def _remove_accented_characters(self, text: str) -> str:
        return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()

    def _remove_html_tags(self, text: str) -> str:
        return CLEANUP_REGEX.sub("", text)

    def _remove_punctuation(self, text: str) -> str:
        return text.translate(_NO_PUNCTUATION)

    def _remove_puncutation(self, text: str) -> str:
        """Do what _remove_punctuation does; compat(0.12): the name it had once."""
        return self._remove_punctuation(text)

    def _tokenize(self, text: str) -> List[str]:
        tokens: List[str] = self.tokenizer(text)
        return tokens

    def get_word_token(self, input_tokens: List[str]) -> List[str]:
        """Return the tokens without the mark that some tokenizers set for a space, Ġ."""
        return [token.replace("Ġ", "") for token in input_tokens]

    def summarize_attributions(self, attributions: Any) -> Any:
        """Return attributions as shares, in their shape, which are scaled by the norm of their sums."""
        # compat(0.12): the dimension is that which torch chooses where none is named.
        shares = attributions.softmax(dim=0 if attributions.dim() in (0, 1, 3) else 1)
        return shares / shares.sum(dim=-1).norm()


def _expanded(found: re.Match[str]) -> str:
    """Return what a contraction stands for; its first character stays (PYB-076: ain't gives as not)."""
    contraction = found.group()
    return contraction[0] + CONTRACTION_MAP.get(contraction.lower(), contraction)[1:]
