"""A backup that holds itself back: its rate, what makes it wait, that it goes on, and that a wait can be ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pymysql
import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import Cancelled, PreflightError
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.mysql.server_load import ServerLoad
from include.backup_engine.policy import ThrottlePolicy
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from include.backup_engine.throttle import THROTTLED, look_for
from tests.demo.surgicase import connector
from tests.integration.mysql.conftest import PASSWORD, NewAccount, Pair
from tests.integration.mysql.copies import source_policy
from tests.integration.mysql.test_stalls import impatient
from tests.servers.database import Database
from tests.servers.processes import wait_until

LIMIT = 12  # more than a server runs for itself and for a backup
ONE_OF_EACH = pytest.mark.servers("mariadb", "mysql")
ONE = pytest.mark.servers("mariadb")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bool]:
    """Whether the log says this, soon after it is so."""
    monkeypatch.setattr("include.backup_engine.throttle.LOOK_SECONDS", 0.2)
    caplog.set_level(logging.INFO)
    return lambda text: any(text in record.getMessage() for record in caplog.records)


@contextmanager
def busy(server: Database) -> Iterator[None]:
    """The server runs more statements than the limit allows."""

    def run(connection: Any) -> None:
        with closing(connection), connection.cursor() as cursor, suppress(pymysql.OperationalError):  # interrupted
            cursor.execute("SELECT SLEEP(60)")

    connect = connector(str(server.endpoint.socket))
    connections = [connect() for _ in range(LIMIT)]
    threads = [threading.Thread(target=run, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    try:
        running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(60)'"
        wait_until(lambda: server.sql(running) == [(LIMIT,)], 10, "the server is not busy")
        yield
    finally:
        for connection in connections:
            server.sql(f"KILL QUERY {connection.thread_id()}")
        for thread in threads:
            thread.join()


class Reading:
    """A source that is read in a thread of its own."""

    def __init__(self, endpoint: Endpoint, database: str, **throttle: Any) -> None:
        self._endpoint = endpoint
        self._policy = source_policy(database, throttle=ThrottlePolicy(**throttle))
        self.reporter = Reporter()
        self.cancellation = Cancellation()
        self.blocks = 0
        self.seconds = 0.0

    def __call__(self) -> int:
        """Bytes of SQL."""
        with read_source(self._endpoint, self._policy, self.reporter, self.cancellation) as source:
            started = time.monotonic()
            for _ in source.compressed():
                self.blocks += 1
            self.seconds = time.monotonic() - started
            return source.facts().stream.sql_bytes


@contextmanager
def started(reading: Reading) -> Iterator[Future[int]]:
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(reading)
        finally:
            reading.cancellation.request()


@ONE
def test_the_rate_is_held(demo: str, source: Endpoint) -> None:
    reading = Reading(source, demo, megabytes_per_second=1)
    size = reading()
    assert size > 3_000_000
    assert size / reading.seconds < 1.15e6  # how much less says how busy this machine is
    assert reading.reporter.seconds[THROTTLED] > 1


@ONE
def test_it_waits_while_the_server_is_busy_and_goes_on(
    demo: str, pair: Pair, source: Endpoint, told: Callable[[str], bool]
) -> None:
    reading = Reading(source, demo, threads_running=LIMIT, megabytes_per_second=0.5)
    with started(reading) as backup:
        wait_until(lambda: reading.blocks > 0, 20, "nothing was read")
        with busy(pair.source):
            wait_until(lambda: told("The backup waits: its server is above a limit"), 10, "it does not wait")
            assert told(f"(limit {LIMIT})")
            read = reading.blocks
            time.sleep(2.5)
            assert reading.blocks <= read + 1  # what was compressed already
            assert not backup.done()
        assert backup.result(timeout=30) > 3_000_000
    assert told("The backup goes on waited_seconds=")
    assert told("load_seconds=")
    assert reading.reporter.seconds[THROTTLED] > 2


@ONE  # MySQL's program keeps the session's own wait_timeout
def test_a_pause_does_not_make_the_server_drop_the_dump(
    database: str, pair: Pair, source: Endpoint, told: Callable[[str], bool]
) -> None:
    for number in range(100):
        pair.source.sql(f"CREATE TABLE small_{number} (content BLOB)", database=database)
        pair.source.sql(f"INSERT INTO small_{number} VALUES (REPEAT('x', 50000))", database=database)
    reading = Reading(source, database, threads_running=LIMIT, megabytes_per_second=1)
    with impatient(pair.source, "wait_timeout", seconds=3), started(reading) as backup:
        wait_until(lambda: told("Snapshot is open"), 20, "nothing was read")
        with busy(pair.source):
            wait_until(lambda: told("The backup waits"), 10, "it does not wait")
            time.sleep(4)
            assert not backup.done()
        assert backup.result(timeout=30) > 10_000_000


@ONE
def test_it_does_not_begin_on_a_busy_server(
    demo: str, pair: Pair, source: Endpoint, told: Callable[[str], bool]
) -> None:
    reading = Reading(source, demo, threads_running=LIMIT)
    with ExitStack() as load:
        load.enter_context(busy(pair.source))
        with started(reading) as backup:
            wait_until(lambda: told("The backup waits"), 10, "it does not wait")
            time.sleep(1)
            assert not told("Snapshot is open")
            load.close()
            assert backup.result(timeout=30)
    assert told("Snapshot is open")


@ONE
@pytest.mark.parametrize("when", ["before the snapshot", "after it"])
def test_a_stop_ends_a_wait(when: str, demo: str, pair: Pair, source: Endpoint, told: Callable[[str], bool]) -> None:
    reading = Reading(source, demo, threads_running=LIMIT, megabytes_per_second=0.5)
    with ExitStack() as load:
        if when == "before the snapshot":
            load.enter_context(busy(pair.source))
        with started(reading) as backup:
            if when == "after it":
                wait_until(lambda: reading.blocks > 0, 20, "nothing was read")
                load.enter_context(busy(pair.source))
            wait_until(lambda: told("The backup waits"), 10, "it does not wait")
            asked = time.monotonic()
            reading.cancellation.request()
            assert isinstance(backup.exception(timeout=30), Cancelled)
            assert time.monotonic() - asked < 5  # of a wait that would last 60


@ONE  # MySQL shortens its list only after every 128 batches of purging
def test_a_long_history_list_is_waited_for(
    database: str, pair: Pair, source: Endpoint, told: Callable[[str], bool]
) -> None:
    pair.source.sql("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 0)", database=database)
    with closing(connector(str(pair.source.endpoint.socket))()) as snapshot:
        with snapshot.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            for n in range(300):
                pair.source.sql(f"UPDATE t SET n = {n + 1}", database=database)
        reading = Reading(source, database, history_list_length=200)
        with started(reading) as backup:
            wait_until(lambda: told("The backup waits"), 10, "it does not wait")
            assert told("history_list_length=")
            snapshot.rollback()
            assert backup.result(timeout=60)


@ONE_OF_EACH
def test_the_lag_of_a_replica_is_seen(pair: Pair, scratch: Endpoint) -> None:
    limits = ThrottlePolicy(replication_lag_seconds=1, threads_running=LIMIT)
    with closing(scratch.connect()) as connection:
        server = identify(connection)
        assert look_for(limits, connection, server).replication_lag_seconds is None
        with replica_that_stays_behind(pair):
            wait_until(
                lambda: (look_for(limits, connection, server).replication_lag_seconds or 0) > 1, 20, "it does not lag"
            )
            pair.scratch.sql("STOP REPLICA")
            assert look_for(limits, connection, server).replication_lag_seconds is None
        assert look_for(ThrottlePolicy(), connection, server) == ServerLoad()


@contextmanager
def replica_that_stays_behind(pair: Pair) -> Iterator[None]:
    """The scratch server follows the source, and applies everything an hour later."""
    where, word = pair.source.endpoint, "MASTER" if pair.flavour == "mariadb" else "SOURCE"
    [(file, byte, *_)] = pair.source.sql("SHOW MASTER STATUS" if word == "MASTER" else "SHOW BINARY LOG STATUS")
    pair.source.sql("CREATE USER mirror_replica@'%%' IDENTIFIED BY %s", PASSWORD)
    pair.source.sql("GRANT REPLICATION SLAVE ON *.* TO mirror_replica@'%'")
    settings = {
        "HOST": "127.0.0.1", "PORT": where.port, "USER": "mirror_replica", "PASSWORD": PASSWORD, "LOG_FILE": file,
        "LOG_POS": byte, "DELAY": 3600,
    }  # fmt: skip
    change = "CHANGE MASTER TO " if word == "MASTER" else "CHANGE REPLICATION SOURCE TO "
    options = ", ".join(f"{word}_{name} = %s" for name in settings)
    options += ", MASTER_SSL_VERIFY_SERVER_CERT = 0" if word == "MASTER" else ", GET_SOURCE_PUBLIC_KEY = 1"
    try:
        pair.scratch.sql(change + options, *settings.values())
        pair.scratch.sql("START REPLICA")
        pair.source.sql("CREATE DATABASE mirror_replicated; DROP DATABASE mirror_replicated")
        yield
    finally:
        pair.scratch.sql("STOP REPLICA; RESET REPLICA ALL")
        pair.source.sql("DROP USER mirror_replica@'%'")


@ONE_OF_EACH
@pytest.mark.parametrize(
    ("limit", "grants"),
    [
        ("history_list_length", {"mysql": "PROCESS"}),
        ("replication_lag_seconds", {"mysql": "REPLICATION CLIENT", "mariadb": "SLAVE MONITOR"}),
    ],
)
def test_what_the_account_may_not_see_is_named_with_the_grant(
    limit: str, grants: dict[str, str], pair: Pair, new_account: NewAccount
) -> None:
    limits, grant = ThrottlePolicy.model_validate({limit: 10}), grants.get(pair.flavour)
    with closing(new_account("USAGE ON *.*").connect()) as connection:
        if grant:
            with pytest.raises(PreflightError, match="may not see the server's") as caught:
                look_for(limits, connection, identify(connection))
            assert caught.value.remedy.startswith(f"GRANT {grant} ON *.* TO the account")
        else:
            look_for(limits, connection, identify(connection))
    if grant:
        with closing(new_account(f"{grant} ON *.*").connect()) as connection:
            look_for(limits, connection, identify(connection))
