"""A TCP proxy that stands still on request, so that a test can act in the middle of a transfer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from tests.servers.processes import wait_until

_BLOCK = 64 * 1024


class Gate:
    """Forwards connections to a port of this machine.

    :ivar port: where to connect to instead.
    :ivar before: called once, before a block that holds these bytes is forwarded.
    :ivar observe: called with every block.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.before: tuple[bytes, Callable[[], object]] | None = None
        self.observe: Callable[[bytes], object] = lambda block: None
        self._limit: int | None = None
        self._is_cut = False
        self._held = threading.Event()
        self._go_on = threading.Event()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
        _close(self._listener)
        self.cut()

    def hold(self, after: int) -> None:
        """From now on, whatever connection has passed more bytes than this in one direction stands still there."""
        self._held.clear()
        self._go_on.clear()
        self._limit = after

    def wait_until_held(self, seconds: float = 60) -> None:
        """Wait until a connection stands still."""
        wait_until(self._held.is_set, seconds, "nothing was held")

    def release(self) -> None:
        """Let everything pass again."""
        self._limit, self._is_cut = None, False
        self._go_on.set()

    def cut(self) -> None:
        """From now on, and until :meth:`release`, the server cannot be reached: every connection breaks off."""
        self._is_cut = True
        for connection in self._sockets:
            _close(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_cut:
                    _close(client)
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # it does not run at the moment
                    _close(client)
                    continue
                self._sockets += client, server
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        with _closing(source, sink), suppress(OSError):
            while block := source.recv(_BLOCK):
                passed += len(block)
                self.observe(block)
                if self._limit is not None and passed > self._limit:
                    self._held.set()
                    self._go_on.wait()
                if self.before and self.before[0] in block:
                    act, self.before = self.before[1], None
                    act()
                sink.sendall(block)


@contextmanager
def _closing(*connections: socket.socket) -> Iterator[None]:
    try:
        yield
    finally:
        for connection in connections:
            _close(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):  # wakes whoever waits in it, which close() alone does not
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
