"""A TCP proxy that misbehaves on request: real cut connections, lost answers and damaged bytes."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

BLOCK = 16 * 1024


class Wire:
    """Forwards connections to a server until told otherwise.

    :ivar cut_download_after: bytes of answers after which a connection is reset; used up by ``cuts`` connections.
    :ivar cut_answer_to: a request that begins with this reaches the server, but its answer does not come back; once.
    :ivar replace: bytes of a request to be replaced by as many others.
    :ivar replace_answer: the same in answers.
    """

    def __init__(self, endpoint: str) -> None:
        target = urlsplit(endpoint)
        self._target = (target.hostname or "", target.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_download_after: int | None = None
        self.cuts = 0
        self.cut_answer_to: bytes | None = None
        self.replace: tuple[bytes, bytes] | None = None
        self.replace_answer: tuple[bytes, bytes] | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                lose_answer = threading.Event()
                for way in (self._requests, self._answers):
                    threading.Thread(target=way, args=(client, server, lose_answer), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, lose_answer: threading.Event) -> None:
        with suppress(OSError):
            while block := client.recv(BLOCK):
                if self.cut_answer_to and self.cut_answer_to in block:
                    self.cut_answer_to = None
                    lose_answer.set()
                if self.replace:
                    block = block.replace(*self.replace)
                server.sendall(block)
        _reset(server)

    def _answers(self, client: socket.socket, server: socket.socket, lose_answer: threading.Event) -> None:
        passed = 0
        with suppress(OSError):
            while block := server.recv(BLOCK):
                if lose_answer.is_set():
                    if block.startswith(b"HTTP/1.1 100"):
                        client.sendall(block)
                        continue
                    break
                if self.replace_answer:
                    block = block.replace(*self.replace_answer)
                client.sendall(block)
                passed += len(block)
                if self.cut_download_after is not None and passed >= self.cut_download_after and self.cuts > 0:
                    self.cuts -= 1
                    while _unsent(client):  # the reset would take back what has not arrived
                        time.sleep(0.001)
                    break
        _reset(client)


def _unsent(connection: socket.socket) -> int:
    """Bytes that the other end's kernel has not acknowledged (tcp(7), SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
