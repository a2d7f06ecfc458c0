"""Messages on the connection stay whole."""

from __future__ import annotations

import socket
import threading
from typing import Callable, Dict, List

import frontend
import pytest
from ts import connection, wire

SIZE = 1 << 20


def by_pieces(link: connection.Connection, name: str) -> None:
    link.send(wire.response(200, name, [wire.Item(name, name.encode() * SIZE)]))


def by_sendall(link: connection.Connection, name: str) -> None:
    link.sendall(b"".join(wire.response(200, name, [wire.Item(name, name.encode() * SIZE)])))


@pytest.mark.parametrize("send", [by_pieces, by_sendall])
def test_messages_of_several_threads_do_not_mix(send: Callable[[connection.Connection, str], None]) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(frontend.PATIENCE)
    link, peer = connection.Connection(ours), frontend.Peer(theirs)
    names = "abcdef"
    threads = [threading.Thread(target=send, args=(link, name), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    found: Dict[str, List[frontend.Item]] = {}
    for _ in names:
        response = peer.response()
        found[response.message] = response.items
    assert sorted(found) == list(names)
    for name, (item,) in found.items():
        assert item.body == name.encode() * SIZE
    for thread in threads:
        thread.join()
    link.close()
    assert peer.ended()
    theirs.close()


@pytest.mark.parametrize("sizes", [[0], [1, 0, 2], [connection.JOINED + 1], [70_000, 0, 1, 200_000], [9] * 70_000])
def test_pieces_arrive_in_order(sizes: List[int]) -> None:
    ours, theirs = socket.socketpair()
    pieces: List[wire.Buffer] = [bytes([at % 251]) * size for at, size in enumerate(sizes)]
    sender = threading.Thread(target=connection.Connection(ours).send, args=(pieces,))
    sender.start()
    expected = b"".join(pieces)
    received = b""
    while len(received) < len(expected):
        received += theirs.recv(1 << 16)
    assert received == expected
    sender.join()
    ours.close()
    theirs.close()
