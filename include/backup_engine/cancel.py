"""Stopping a run from outside: a flag that long loops look at, and actions that unblock what cannot look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from include.backup_engine.errors import Cancelled


class Cancellation:
    """Set once, from a signal handler or another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._actions: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask to stop, and run the registered actions, newest first."""
        self._event.set()
        for action in reversed(self._actions):
            action()

    @contextmanager
    def action(self, action: Callable[[], object]) -> Iterator[None]:
        """Have ``action`` run when the stop is requested while the block runs."""
        self._actions.append(action)
        try:
            yield
        finally:
            self._actions.remove(action)

    def check(self) -> None:
        """Raise :class:`Cancelled` when the stop was requested."""
        if self.requested:
            raise Cancelled("The run was asked to stop.", "Start it again when it should go on.")
