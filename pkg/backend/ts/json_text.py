"""json.dumps(value, indent=2), byte for byte, at the speed of the encoder in C.

Python's own indents in Python. Here every container that holds no other goes to the encoder in C, with a separator
that carries the line end and the indentation; only what nests is walked.
"""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Any, Callable

_SCALARS = frozenset((str, int, float, bool, type(None)))
_MAX_DEPTH = 64


class _Uncommon(Exception):
    """Something that the short way does not know."""


def encode(value: Any) -> str:
    """Return value as JSON with an indentation of 2 spaces.

    Raises:
        TypeError, ValueError, RecursionError: as json.dumps does.
    """
    if type(value) in _SCALARS:
        return json.dumps(value)
    with contextlib.suppress(_Uncommon):
        return _nested(value, 1)
    return json.dumps(value, indent=2)


@functools.lru_cache(maxsize=_MAX_DEPTH)
def _flat(depth: int) -> Callable[[Any], str]:
    """Return an encoder that separates the members of a container at this depth."""
    return json.JSONEncoder(separators=(",\n" + "  " * depth, ": ")).encode


def _nested(value: Any, depth: int) -> str:
    kind = type(value)
    if depth > _MAX_DEPTH:
        raise _Uncommon
    if kind is dict:
        members, opening, closing = value.values(), "{", "}"
    elif kind is list or kind is tuple:
        members, opening, closing = value, "[", "]"
    else:
        raise _Uncommon
    if not value:
        return opening + closing
    margin = "\n" + "  " * depth
    if _SCALARS.issuperset(map(type, members)):
        inner = _flat(depth)(value)[1:-1]
    elif kind is dict:
        inner = ("," + margin).join([_key(name) + ": " + _member(each, depth) for name, each in value.items()])
    else:
        inner = ("," + margin).join([_member(each, depth) for each in value])
    return opening + margin + inner + margin[:-2] + closing


def _member(value: Any, depth: int) -> str:
    return json.dumps(value) if type(value) in _SCALARS else _nested(value, depth + 1)


def _key(name: Any) -> str:
    if type(name) is not str:
        raise _Uncommon
    return json.dumps(name)
