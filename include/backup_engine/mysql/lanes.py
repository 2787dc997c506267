"""Several connections that load one dump: rows go to whichever is free, definitions keep their order.

The first connection runs all but tables of InnoDB, their rows and indexes, in the dump's order. These the others take,
the lanes: to create a table is to wait for the server's disk, and several can wait together. A lane first catches up
with the settings that the dump has made so far, so that a statement means there what it means on the first. Memory is
bounded: a few statements wait, never more.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any

from pymysql.connections import Connection

_BYTES_PER_LANE = 3 << 20
"""Bytes of statements in hand per lane, so that it has its next one when it needs it; a dump's INSERT has 1 MB. A
longer one than all of that waits until it is alone."""


_MAX_LANES = 8


def lane_count() -> int:
    """Connections that work side by side on a restored copy: as many as this machine has cores, whose number on the
    server is not known.
    """
    return max(2, min(os.cpu_count() or 1, _MAX_LANES))


class _Lane(threading.local):
    """A thread's own connection, and how many of the dump's settings it has made."""

    connection: Connection[Any]
    settings = 0


class Lanes:
    """Runs statements; with a single connection one after the other, with more of them side by side.

    :param connections: open, with the same default database; the first for definitions, the others for rows.
    :param execute: runs one statement, which is the dump's n-th, on a connection, or raises.
    :param interrupt: ends what runs on the connections, when a statement has failed: an index build may take hours.
    """

    def __init__(
        self,
        connections: Sequence[Connection[Any]],
        execute: Callable[[Connection[Any], bytes, int], object],
        interrupt: Callable[[], object],
    ) -> None:
        self._first, *others = connections
        self._execute = execute
        self._interrupt = interrupt
        self._settings: list[bytes] = []
        self._rows: deque[Future[None]] = deque()
        self._builds: deque[Future[None]] = deque()
        self._failure: BaseException | None = None
        """The first on a lane."""
        self._lane = _Lane()
        self._most = len(others) * _BYTES_PER_LANE
        self._in_hand = 0
        self._less_in_hand = threading.Condition()
        self._pool: ThreadPoolExecutor | None = None
        if others:
            waiting: SimpleQueue[Connection[Any]] = SimpleQueue()
            for connection in others:
                waiting.put(connection)

            def take_a_connection() -> None:
                self._lane.connection = waiting.get()

            self._pool = ThreadPoolExecutor(len(others), "load", initializer=take_a_connection)

    def run(self, statement: bytes, number: int) -> None:
        """Run on the first connection, now.

        Raises what this statement has raised, or an earlier one on a lane.
        """
        self._check()
        self._execute(self._first, statement, number)

    def setting(self, statement: bytes, number: int) -> None:
        """Run on the first connection now, and on each lane before its next statement."""
        self.run(statement, number)
        self._settings.append(statement)

    def insert(
        self, size: int, number: int, load: Callable[[Connection[Any]], object], after: Future[None] | None = None
    ) -> Future[None] | None:
        """Load rows, or create what they go into, on a lane; waits while all lanes are busy and have their next rows.

        Raises what an earlier statement has raised.

        :param size: bytes that ``load`` holds.
        :param number: of the statement of the dump that they come from.
        :param after: what must have been done before; if that has failed, nothing happens.
        :return: for ``after``; ``None``: it is done.
        """
        self._check()
        if self._pool is None:
            load(self._first)
            return None
        with self._less_in_hand:
            self._less_in_hand.wait_for(lambda: not self._in_hand or self._in_hand + size <= self._most)
            self._in_hand += size
        made = len(self._settings)

        def work() -> None:
            try:
                # It began earlier, or is on this very thread's past: waiting for it cannot block it.
                if after is None or not after.exception():
                    load(self._lane_with_settings(number, made))
            finally:
                with self._less_in_hand:
                    self._in_hand -= size
                    self._less_in_hand.notify()

        future = self._submit(self._pool, work)
        self._rows.append(future)
        return future

    def build(self, statement: bytes, number: int) -> None:
        """Run on a lane once all rows are in that were given so far."""
        if self._pool is None:
            self.run(statement, number)
            return
        rows, made = list(self._rows), len(self._settings)

        def work() -> None:
            # As above.
            if not any(row.exception() for row in rows):
                self._execute(self._lane_with_settings(number, made), statement, number)

        self._builds.append(self._submit(self._pool, work))

    def drain(self) -> None:
        """Wait until all rows are in.

        Raises what one of them has raised.
        """
        wait(self._rows)
        self._check()

    def finish(self) -> None:
        """Wait until all rows are in and all indexes are built.

        Raises what one of them has raised.
        """
        wait([*self._rows, *self._builds])
        self._check()

    def close(self) -> None:
        """End what still runs, and the threads."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        if not all(future.done() for future in [*self._rows, *self._builds]):
            self._interrupt()
        self._pool.shutdown(wait=True)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> Future[None]:
        def noted() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = self._failure or error
                raise

        return pool.submit(noted)

    def _check(self) -> None:
        """Forget what is done, which for the most part is in the order of its start; raise what has failed on a lane.

        Of many small tables hundreds wait at a time: to go through them all for each statement took half of a restore.
        """
        for futures in (self._rows, self._builds):
            while futures and futures[0].done():
                futures.popleft()
        if self._failure:  # looked at afterwards, so that nothing failed is forgotten in silence
            raise self._failure

    def _lane_with_settings(self, number: int, made: int) -> Connection[Any]:
        """The connection of a lane's thread, once it has made as many of the dump's settings.

        Statements come to a thread in the dump's order, so its lane never is ahead of one.
        """
        for setting in self._settings[self._lane.settings : made]:
            self._execute(self._lane.connection, setting, number)
        self._lane.settings = made
        return self._lane.connection
