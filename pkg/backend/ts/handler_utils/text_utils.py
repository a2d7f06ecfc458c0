"""Tokenizers and n-grams, as torchtext had them."""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, List, Union

Tokenizer = Callable[[str], List[str]]

# Applied one after the other.
_REPLACEMENTS = [
    ("'", " '  "),
    ('"', ""),
    (".", " . "),
    ("<br />", " "),
    *((mark, " %s " % mark) for mark in ",()!?"),
    (";", " "),
    (":", " "),
]


def ngrams_iterator(tokens: Iterable[str], n: int) -> Iterator[str]:
    """Yield the tokens, then all pairs of neighbours, and so on up to n neighbours, joined by one space.

    Args:
        tokens: in their order
        n: the longest n-gram, at least 1
    """
    words = list(tokens)
    yield from words
    for size in range(2, n + 1):
        for at in range(len(words) - size + 1):
            yield " ".join(words[at : at + size])


def get_tokenizer(tokenizer: Union[str, Tokenizer, None], language: str = "en") -> Tokenizer:
    """Return a function that cuts a text into tokens.

    Args:
        tokenizer: None: cut at white space; "basic_english": in lower case, with punctuation as tokens of its own;
            a function: itself
        language: "en", the only one that "basic_english" knows

    Raises:
        ValueError: there is no such tokenizer, or it does not know the language.
    """
    if tokenizer is None:
        return _split
    if callable(tokenizer):
        return tokenizer
    if tokenizer != "basic_english":
        raise ValueError("there is no tokenizer %r, only 'basic_english'" % tokenizer)
    if language != "en":
        raise ValueError("Basic normalization is only available for Enlish(en)")
    return _basic_english


def _split(text: str) -> List[str]:
    return text.split()


def _basic_english(text: str) -> List[str]:
    text = text.lower()
    for found, replacement in _REPLACEMENTS:
        text = text.replace(found, replacement)
    return text.split()
