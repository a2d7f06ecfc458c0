"""The envelope kservev2: version 2 of KServe's protocol, the Open Inference Protocol."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Sequence, Set, Tuple

from ts.torch_handler.request_envelope.base import BaseEnvelope, Malformed, decoded, member

Typed = Tuple[str, List[Any]]
"""A datatype of the protocol, and values of it."""

_BYTES = "BYTES"
_DATATYPES = {
    "bool": "BOOL",
    **{"int%d" % bits: "INT%d" % bits for bits in (8, 16, 32, 64)},
    **{"uint%d" % bits: "UINT%d" % bits for bits in (8, 16, 32, 64)},
    **{"float%d" % bits: "FP%d" % bits for bits in (16, 32, 64)},
    "bfloat16": "BF16",
    "object": _BYTES,
}
_NUMBERS = frozenset((bool, int, float))
_SCALARS = frozenset((*_NUMBERS, str, type(None)))


class KServev2Envelope(BaseEnvelope):
    """Gives the handler the inputs of one request after the other; each of its results is an output.

    The inputs are the arguments of one call of the model, so those of several requests do not go together. Meanwhile
    the context is that of a batch with nothing but this request in it.
    """

    def _answer(self, data: List[Dict[str, Any]], context: Any) -> Any:
        if not data or len(data) == 1:
            return super()._answer(data, context)
        if self._asynchronous:
            return self._one_by_one_later(data, context)
        results: List[Any] = []
        for at, row in enumerate(data):
            with _alone(context, at):
                result = super()._answer([row], context)
            if not result:
                return result
            results += result
        return results

    async def _one_by_one_later(self, data: List[Dict[str, Any]], context: Any) -> Any:
        results: List[Any] = []
        for at, row in enumerate(data):
            with _alone(context, at):
                result = await super()._answer([row], context)
            if not result:
                return result
            results += result
        return results

    def parse_input(self, data: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Return the inputs of the request; data is in lists nested as shape says, of BYTES it is the first element.

        context.input_names gets the names, and context.input_request_id the id that came, if one did.
        """
        (row,) = data
        inputs = member(row, "inputs")
        if not isinstance(inputs, list):
            raise Malformed("'inputs' is no list")
        parsed = [_input(each) for each in inputs]
        self.context.input_names = [each["name"] for each in parsed]
        request_id = _request_id(row)
        if request_id is not None:
            self.context.input_request_id = request_id
        elif hasattr(self.context, "input_request_id"):
            del self.context.input_request_id  # that of an earlier request
        return parsed

    def format_output(self, data: Any) -> List[Dict[str, Any]]:
        """Return the response to the request."""
        context = self.context
        model = (context.manifest or {}).get("model") or {}
        return [
            {
                "id": getattr(context, "input_request_id", None) or context.get_request_id(0),
                "model_name": model.get("modelName"),
                "model_version": model.get("modelVersion"),
                "outputs": [_output(context.input_names[at], result) for at, result in enumerate(data)],
            }
        ]


@contextlib.contextmanager
def _alone(context: Any, at: int) -> Iterator[None]:
    """Leave one request of the batch in its context, as its first."""
    ids, processors = context.request_ids, context.request_processor
    context.request_ids, context.request_processor = {0: ids[at]}, [processors[at]]
    try:
        yield
    finally:
        context.request_ids, context.request_processor = ids, processors


def _request_id(row: Dict[str, Any]) -> Any:
    """Return the id that a client gave its request; None if it gave none, or a blank one."""
    content = decoded(row.get("data") or row.get("body") or row)
    found = content.get("id")
    return found if found is not None and str(found).strip() else None


def _input(tensor: Any) -> Dict[str, Any]:
    try:
        _, datatype, data = tensor["name"], tensor["datatype"], tensor["data"]
        value = data[0] if datatype == _BYTES else _nested(data, tensor["shape"])
    except (KeyError, TypeError, IndexError) as error:
        text = "an input needs name, shape, datatype and data of a length that fits: %s: %s"
        raise Malformed(text % (type(error).__name__, error)) from error
    return {**tensor, "data": value}


def _nested(data: Any, shape: Any) -> Any:
    """Return data in lists nested as a shape says, in which one dimension may be -1."""
    _, values = _flat(data)
    sizes = [shape] if isinstance(shape, int) else list(shape)
    known = 1
    for size in sizes:
        known *= size if size != -1 else 1
    if sizes.count(-1) == 1 and known:
        sizes[sizes.index(-1)] = len(values) // known
        known *= len(values) // known
    if known != len(values) or min(sizes, default=0) < 0:
        raise IndexError("%d values do not fit into the shape %s" % (len(values), shape))
    if not sizes:
        return values[0]
    if not values:
        return []
    for size in reversed(sizes[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


def _output(name: str, result: Any) -> Dict[str, Any]:
    datatype, values = _flat(result)
    return {"name": name, "datatype": datatype, "data": values, "shape": [len(values)]}


def _flat(value: Any) -> Typed:
    """Return the values in nested lists, arrays and tensors, with the datatype that numpy would find for them.

    Raises:
        TypeError: the protocol has no datatype for them.
    """
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        listed = value.tolist()
        return _datatype(value.dtype), _leaves(listed) if isinstance(listed, list) else [listed]
    if not isinstance(value, (list, tuple)):
        return _plain([value])
    if _SCALARS.issuperset(map(type, value)):
        return _plain(list(value))
    parts = [_flat(each) for each in value]
    values = [each for _, part in parts for each in part]
    return _common({datatype for datatype, part in parts if part}, values)


def _datatype(dtype: Any) -> str:
    """Return the datatype for a dtype of numpy or torch."""
    name = getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]
    if name.startswith("str"):
        return _BYTES
    if name not in _DATATYPES:
        raise TypeError("no datatype for results of type %s" % name)
    return _DATATYPES[name]


def _leaves(listed: Sequence[Any]) -> List[Any]:
    """Return what is in the lists that an array has become."""
    while listed and isinstance(listed[0], list):
        listed = [each for part in listed for each in part]
    return list(listed)


def _plain(values: List[Any]) -> Typed:
    """Return plain values with their datatype."""
    datatypes: Set[str] = set()
    for kind in set(map(type, values)):
        if issubclass(kind, (bytes, bytearray, complex)):
            raise TypeError("no datatype for results of type %s" % kind.__name__)
        if kind is bool:
            datatypes.add("BOOL")
        elif kind is int:
            datatypes.add(_integers([each for each in values if type(each) is int]))
        else:
            datatypes.add("FP64" if kind is float else _BYTES)
    return _common(datatypes, values)


def _integers(values: List[int]) -> str:
    low, high = min(values), max(values)
    if low >= -(2**63) and high < 2**63:
        return "INT64"
    if low >= -(2**63) and high < 2**64:
        return "UINT64" if low >= 0 else "FP64"
    return _BYTES


def _common(datatypes: Set[str], values: List[Any]) -> Typed:
    """Return values of several datatypes as values of one that has room for them all."""
    if len(datatypes) == 1:
        return next(iter(datatypes)), values
    if _BYTES in datatypes:
        texts = any(isinstance(each, str) for each in values)
        plain = texts and (_NUMBERS | {str}).issuperset(map(type, values))
        return _BYTES, [str(each) for each in values] if plain else values
    if all("INT" in each or each == "BOOL" for each in datatypes) and datatypes:
        return "INT64", [int(each) for each in values]
    return "FP64", [float(each) for each in values]
