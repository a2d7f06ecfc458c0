"""The worker's socket: where it listens, and the one connection that it accepts."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from typing import List, Optional, Tuple

from ts.wire import Buffer

JOINED = 1 << 16
"""Bytes up to which a response is joined to be sent; longer ones are sent from where their pieces are."""
_SEND_BUFFER = 1 << 20
"""Bytes of a response that the kernel may hold, as far as it allows: for a large one the server is woken less often."""
_MAX_PIECES = 512  # of one system call; Linux allows 1024


class Listener:
    """Listens for the server and accepts it once.

    Args:
        path: of a unix socket; None: TCP
        host: for TCP
        port: for TCP

    Raises:
        RuntimeError: something that is no socket, or cannot be removed, has the name.
        OSError: the address cannot be had.
    """

    def __init__(self, path: Optional[str], host: str = "127.0.0.1", port: int = 0) -> None:
        self._path = path
        if path is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
        else:
            _remove_stale(path)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(path)
        self._socket.listen(1)

    def accept(self, seconds: float) -> Tuple[Connection, str]:
        """Wait for the server; return the connection, and the address for the log.

        Raises:
            socket.timeout: nobody came.
        """
        self._socket.settimeout(seconds)
        peer, _ = self._socket.accept()
        peer.settimeout(None)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if self._path is None:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(peer), str(peer.getsockname())

    def close(self) -> None:
        """Stop listening and remove the socket's file, which nobody needs once the server is connected."""
        self._socket.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self._path = None


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise RuntimeError("socket already in use: %s." % path)
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RuntimeError("socket already in use: %s." % path) from error


class Connection:
    """The connection to the server; handlers know it as context.cl_socket. Each message is written as a whole."""

    def __init__(self, peer: socket.socket) -> None:
        self._socket = peer
        self._writing = threading.Lock()
        self.receive_into = peer.recv_into

    def sendall(self, data: Buffer) -> None:
        """Write one whole message. Threads may call this."""
        with self._writing:
            self._socket.sendall(data)

    def send(self, pieces: List[Buffer]) -> None:
        """Write one whole message that is in pieces. Threads may call this."""
        if sum(map(len, pieces)) <= JOINED:
            self.sendall(b"".join(pieces))
            return
        views = [memoryview(piece) for piece in pieces if piece]
        with self._writing:
            while views:
                _drop(views, self._socket.sendmsg(views[:_MAX_PIECES]))

    def let_go(self) -> None:
        """Close the connection for this process; another one that shares it goes on."""
        self._socket.close()

    def close(self) -> None:
        """Close the connection for all processes that share it; the server notices at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _drop(views: List[memoryview], sent: int) -> None:
    """Remove the first bytes of the views."""
    whole = 0
    while whole < len(views) and sent >= len(views[whole]):
        sent -= len(views[whole])
        whole += 1
    del views[:whole]
    if sent:
        views[0] = views[0][sent:]
