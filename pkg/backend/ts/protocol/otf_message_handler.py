"""Messages of the worker's socket under the names that 0.12 has for them.

Kept for code that imports or patches them. The worker itself reads and writes with ts.wire, which needs far fewer
system calls.
"""

from __future__ import annotations

import logging
import os
import struct
from typing import Any, Dict, List, Optional, Tuple

from ts import decoding, reply, wire
from ts.utils.util import deprecated

logger = logging.getLogger(__name__)

bool_size = 1
int_size = 4
END_OF_LIST = -1
LOAD_MSG = b"L"
PREDICT_MSG = b"I"
RESPONSE = 3


def retrieve_msg(conn: Any) -> Tuple[bytearray, Any]:
    """Read one command from anything that has recv(n); nothing after it is read.

    Returns:
        The command byte, and a dict for a load command or a list of requests for an inference command.

    Raises:
        ValueError: there is no such command.
        ts.wire.Disconnected: the peer has closed the connection.
    """
    cmd = _retrieve_buffer(conn, 1)
    if cmd == LOAD_MSG:
        return cmd, _retrieve_load_msg(conn)
    if cmd == PREDICT_MSG:
        return cmd, _retrieve_inference_msg(conn)
    raise ValueError("Invalid command: %s" % cmd)


def create_predict_response(
    ret: Any, req_id_map: Dict[int, str], message: str, code: int, context: Any = None, ts_stream_next: bool = False
) -> Optional[bytearray]:
    """Return an inference response; None at ranks other than 0, which do not answer.

    Args:
        ret: results by place in the batch; not looked at unless code is 200
        req_id_map: place in the batch to request id
        message: for the server; what clients read if code is not 200
        code: of the whole batch
        context: with what the handler has set for each response
        ts_stream_next: whether more of each result follows
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return None
    if code != 200:
        return bytearray().join(reply.failure(req_id_map, (code, message)))
    try:
        return bytearray().join(reply.success(ret, req_id_map, message, code, context, ts_stream_next))
    except reply.Unserializable as error:
        logger.warning("Unable to serialize model output.", exc_info=error.__cause__)
        return bytearray().join(reply.failure(req_id_map, reply.UNSERIALIZABLE))


def create_load_model_response(code: int, message: str) -> bytearray:
    """Return the response to a load command."""
    return bytearray().join(wire.response(code, message, ()))


def encode_response_headers(resp_hdr_map: Dict[str, Any]) -> bytes:
    """Return headers as they stand in an item: their count, then name and value of each."""
    texts = [str(text).encode() for pair in resp_hdr_map.items() for text in pair]
    parts = [part for text in texts for part in (struct.pack("!i", len(text)), text)]
    return struct.pack("!i", len(resp_hdr_map)) + b"".join(parts)


@deprecated("1.0", "ts.handler_utils.utils.send_intermediate_predict_response")
def send_intermediate_predict_response(
    ret: Any, req_id_map: Dict[int, str], message: str, code: int, context: Any = None
) -> None:
    """Send a part of each result; more follows."""
    message_bytes = create_predict_response(ret, req_id_map, message, code, context, True)
    if message_bytes is not None:
        context.cl_socket.sendall(message_bytes)


def _retrieve_buffer(conn: Any, length: int) -> bytearray:
    data = bytearray()
    while length > 0:
        part = conn.recv(length)
        if len(part) == 0:
            raise wire.Disconnected
        data += part
        length -= len(part)
    return data


def _retrieve_int(conn: Any) -> int:
    value: int = struct.unpack("!i", _retrieve_buffer(conn, int_size))[0]
    return value


def _retrieve_bool(conn: Any) -> bool:
    return _retrieve_buffer(conn, bool_size) != b"\x00"


def _retrieve_field(conn: Any) -> bytearray:
    return _retrieve_buffer(conn, _retrieve_int(conn))


def _retrieve_load_msg(conn: Any) -> Dict[str, Any]:
    msg: Dict[str, Any] = {
        "modelName": _retrieve_field(conn),
        "modelPath": _retrieve_field(conn),
        "batchSize": _retrieve_int(conn),
        "handler": _retrieve_field(conn),
    }
    gpu = _retrieve_int(conn)
    msg["gpu"] = gpu if gpu >= 0 else None
    msg["envelope"] = _retrieve_field(conn)
    msg["limitMaxImagePixels"] = _retrieve_bool(conn)
    return msg


def _retrieve_inference_msg(conn: Any) -> List[Dict[str, Any]]:
    msg: List[Dict[str, Any]] = []
    while True:
        request = _retrieve_request(conn)
        if request is None:
            return msg
        msg.append(request)


def _retrieve_request(conn: Any) -> Optional[Dict[str, Any]]:
    length = _retrieve_int(conn)
    if length == END_OF_LIST:
        return None
    request: Dict[str, Any] = {"requestId": _retrieve_buffer(conn, length), "headers": [], "parameters": []}
    for name, retrieve in (("headers", _retrieve_reqest_header), ("parameters", _retrieve_input_data)):
        while True:
            element = retrieve(conn)
            if element is None:
                break
            request[name].append(element)
    return request


def _retrieve_reqest_header(conn: Any) -> Optional[Dict[str, bytearray]]:
    length = _retrieve_int(conn)
    if length == END_OF_LIST:
        return None
    return {"name": _retrieve_buffer(conn, length), "value": _retrieve_field(conn)}


def _retrieve_input_data(conn: Any) -> Optional[Dict[str, Any]]:
    length = _retrieve_int(conn)
    if length == END_OF_LIST:
        return None
    name = _retrieve_buffer(conn, length).decode()
    content_type = _retrieve_field(conn).decode()
    value = _retrieve_field(conn)
    if decoding.enabled():
        return {"name": name, "contentType": content_type, "value": decoding.decoded(value, content_type)}
    return {"name": name, "contentType": content_type, "value": value}
