"""Holding a backup back for its server's sake: by rate, and while the server has more to do than the policy allows.

What waits is the reading of the dump's output. Its pipe fills, the dump program stops reading, and the server, which
sends rows as they are read (``--quick``), stops reading them from its tables. The census waits between two tables.

A pause is not quite still: so that the server does not take the dump's connection for an idle one (``wait_timeout``,
which MariaDB's dump program sets back to the server's own), a little is read whenever a third of that time is over.

A pause is no cure for a long history list: the backup's own snapshot is what keeps it, and a pause keeps it longer. So
that limit is waited for before the snapshot is opened; above it afterwards, nothing holds the backup back.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Literal, Self

import pymysql
from pymysql.connections import Connection

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.server import Endpoint, scalar
from include.backup_engine.mysql.server_load import ServerLoad, look_at
from include.backup_engine.policy import ThrottlePolicy
from include.backup_engine.records import ServerIdentity
from include.backup_engine.report import Reporter

LOOK_SECONDS = 2.0
_TELL_SECONDS = 60.0
_ANSWER_SECONDS = 10
_STOP_SECONDS = 0.5
_BURST_SECONDS = 0.1
_NAP_SECONDS = 0.2
_SIP_BYTES = 1 << 20  # more than the pipe holds, so that the program comes to its next statement
_HISTORY = "history_list_length"
THROTTLED = "Throttled"
"""The name under which a reporter keeps the seconds that a backup has waited."""


class Bucket:
    """A token bucket as one point in time: when all that was taken may have been taken.

    :param bytes_per_second: the rate. It is caught up with after a delay of ours for a tenth of a second's worth, no
        more, so that no burst follows a pause.
    """

    def __init__(self, bytes_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._due = clock()

    def took(self, size: int) -> None:
        """So many bytes were taken."""
        self._due = max(self._due, self._clock() - _BURST_SECONDS) + size / self._rate

    def delay(self) -> float:
        """Seconds until more may be taken."""
        return max(0.0, self._due - self._clock())


class Throttle:
    """The pace of one backup (``Pace`` in mysql/dump.py). As a context, it looks at the server every two seconds.

    :param clock: seconds, never going back.
    """

    def __init__(
        self, limits: ThrottlePolicy, endpoint: Endpoint, server: ServerIdentity, reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._policy = limits
        self._endpoint = endpoint
        self._server = server
        self._reporter = reporter
        self._clock = clock
        rate = limits.megabytes_per_second
        self._bucket = Bucket(rate * 1e6, clock) if rate else None
        self._rate = rate
        self._limits: dict[str, int] = {
            name: limit for name in asdict(ServerLoad()) if (limit := getattr(limits, name)) is not None
        }
        self._patience = limits.longest_wait_minutes * 60
        self._load: ServerLoad | None = ServerLoad()
        self._unseen: BackupError | None = None
        self._connection: Connection[Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="throttle", daemon=True)
        self._snapshot_is_open = False
        self._read_at, self._sip, self._sip_seconds = clock(), 0, math.inf
        self._waiting: Literal["", "rate", "load"] = ""
        self._asked_at = self._told_at = clock()
        self._pause_began = 0.0
        self._told: set[str] = set()
        self.waited = {"rate": 0.0, "load": 0.0}
        """Seconds that the dump was held back, by what."""

    def __enter__(self) -> Self:
        """Look for the first time.

        :raises PreflightError: the account may not see what the policy has limits for.
        :raises SourceUnavailable: see there.
        """
        if self._limits:
            try:
                self.saw(self._look())
            except BaseException:
                self._disconnect()
                raise
            self._thread.start()
        if self._limits or self._rate:
            seen = {name: f"{getattr(self._load, name)} of {limit}" for name, limit in self._limits.items()}
            self._reporter.line("The backup is throttled", megabytes_per_second=self._rate, **seen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._limits:
            self._thread.join(_STOP_SECONDS)  # if it waits for an answer, it ends with that
        if self._limits or self._rate:
            total = round(sum(self.waited.values()), 1)
            self._reporter.seconds[THROTTLED] = total
            parts = {f"{cause}_seconds": round(seconds, 1) for cause, seconds in self.waited.items()}
            self._reporter.line(f"Throttled for {total} s in all", **parts)

    def wait_until_calm(self, cancellation: Cancellation) -> None:
        """Wait for the server before the snapshot is opened, when that burdens nobody.

        :raises Cancelled: when asked to stop.
        """
        while seconds := self.delay():
            cancellation.check()
            time.sleep(min(seconds, _NAP_SECONDS))
        self._snapshot_is_open = True

    # The pace -----------------------------------------------------------------------------------------------

    @property
    def pausing(self) -> bool:
        """Whether it is for the server's sake that nothing is read."""
        return self._waiting == "load"

    def took(self, size: int) -> None:
        """So many bytes of the dump were read."""
        if self._bucket:
            self._bucket.took(size)
        self._sip -= size
        if self._sip <= 0:
            self._read_at = self._clock()

    def saw(self, load: ServerLoad) -> None:
        """The server has so much to do."""
        self._load, self._unseen = load, None

    def idle_limit(self, seconds: float) -> None:
        """The server ends connections that send it no statement for so long."""
        self._sip_seconds = seconds / 3

    def delay(self) -> float:
        """Seconds after which to ask again; 0: read on now."""
        now = self._clock()
        if self._waiting:
            self.waited[self._waiting] += now - self._asked_at
        self._asked_at = now
        over = self._over()
        hurried = self._snapshot_is_open and _HISTORY in over
        pausing = bool(over) and not hurried and self.waited["load"] < self._patience
        self._tell(over, now, pausing, hurried)
        if pausing:
            seconds = 0.0 if self._sips(now) else LOOK_SECONDS
        else:
            seconds = self._bucket.delay() if self._bucket and not hurried else 0.0
        self._waiting = "load" if pausing else "rate" if seconds else ""
        return seconds

    def _sips(self, now: float) -> bool:
        """Whether a little is to be read in the middle of a pause."""
        if self._sip <= 0 and self._snapshot_is_open and now - self._read_at >= self._sip_seconds:
            self._sip = _SIP_BYTES
        return self._sip > 0

    def _over(self) -> dict[str, int]:
        """What is above its limit."""
        load = self._load
        return {
            name: value for name, limit in self._limits.items() if (value := getattr(load, name, None) or 0) > limit
        }

    def _tell(self, over: dict[str, int], now: float, pausing: bool, hurried: bool) -> None:
        values = {name: f"{value} (limit {self._limits[name]})" for name, value in over.items()}
        if pausing and not self.pausing:
            self._pause_began = self._told_at = now
            self._reporter.warn("The backup waits: its server is above a limit of the policy", **values)
        elif pausing and now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._reporter.warn(f"The backup still waits, for {now - self._pause_began:.0f} s now", **values)
        elif self.pausing and not pausing:
            self._reporter.line("The backup goes on", waited_seconds=round(now - self._pause_began, 1))
        if hurried:
            self._warn_once(
                "The backup is not held back while its own snapshot keeps the server from purging: only its end helps",
                **values,
            )
        elif over and not pausing:
            self._warn_once(
                f"The backup goes on above the limit: it has waited {self._patience / 60:g} minutes in all, as long"
                " as the policy allows",
                **values,
            )
        if (unseen := self._unseen) is not None:
            self._warn_once(f"The backup does not wait for its server, which it cannot look at: {unseen.cause}")

    def _warn_once(self, text: str, **values: object) -> None:
        if text not in self._told:
            self._told.add(text)
            self._reporter.warn(text, **values)

    # The server ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self.saw(self._look())
            except BackupError as error:  # it may be back the next time; if not, the dump will say so
                self._disconnect()
                self._load, self._unseen = None, error
        self._disconnect()

    def _look(self) -> ServerLoad:
        if self._connection is None:
            self._connection = self._endpoint.connect(read_timeout=_ANSWER_SECONDS)
            self.idle_limit(int(scalar(self._connection, "SELECT @@GLOBAL.wait_timeout")))
        return look_for(self._policy, self._connection, self._server)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.err.MySQLError, OSError):
                connection.close()


def look_for(limits: ThrottlePolicy, connection: Connection[Any], server: ServerIdentity) -> ServerLoad:
    """What the server says of that for which there are limits.

    :raises PreflightError: the account may not see it.
    :raises SourceUnavailable: the server does not answer.
    """
    return look_at(
        connection,
        server,
        threads=limits.threads_running is not None,
        history=limits.history_list_length is not None,
        lag=limits.replication_lag_seconds is not None,
    )
