"""One snapshot for dump and census, by each way that grants allow, while an application goes on writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pymysql.connections import Connection

from include.backup_engine.errors import SnapshotUnproven, SourceBusy
from include.backup_engine.mysql import snapshot as snapshot_module
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.client import find_dump_program
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, kill_connection, row, rows, scalar
from include.backup_engine.mysql.snapshot import Snapshot, ladder, open_snapshot
from include.backup_engine.records import ServerIdentity
from tests.demo.surgicase import connector, writer
from tests.integration.mysql.conftest import DEMO, MARIADB, NewAccount, Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take
from tests.servers.database import Database
from tests.servers.mariadb import MariaDB
from tests.servers.processes import find_program, wait_until

GRANTS = {"global_read_lock": "RELOAD ON *.*", "table_read_locks": f"LOCK TABLES ON {DEMO}.*"}
LOCKS = pytest.mark.parametrize("method", GRANTS)
Changes = Callable[[int], Callable[[], int]]


def reading(pair: Pair, *more: str) -> tuple[str, ...]:
    """What a backup's account needs, without any lock."""
    bodies = "SELECT ON mysql.proc" if pair.flavour == "mariadb" else "SHOW_ROUTINE, REPLICATION CLIENT ON *.*"
    function = f"EXECUTE ON FUNCTION {DEMO}.open_cases_of"
    return (f"SELECT, SHOW VIEW, TRIGGER, EVENT ON {DEMO}.*", bodies, function, *more)


def position(server: Database) -> tuple[str, int]:
    """The end of the binary log."""
    statement = "SHOW BINLOG STATUS" if isinstance(server, MariaDB) else "SHOW BINARY LOG STATUS"
    [(file, byte, *_)] = server.sql(statement)
    return file, byte


@contextmanager
def writing(server: Database) -> Iterator[list[int]]:
    """A writer at work; the number of its transactions is known afterwards."""
    stop, done = Event(), list[int]()
    before = position(server)
    with ThreadPoolExecutor(1) as pool:
        at_work = pool.submit(writer, connector(str(server.endpoint.socket)), DEMO, stop)
        try:
            wait_until(lambda: position(server) != before, 30, "Nothing was written")
            yield done
        finally:
            stop.set()
            done.append(at_work.result())


@contextmanager
def opened(endpoint: Endpoint, database: str = DEMO, readers: int = 1) -> Iterator[Snapshot]:
    with closing(endpoint.connect()) as connection:
        server, grants = identify(connection), Grants.of(connection)
    methods = ladder(server, grants, database, True, "exact")
    with open_snapshot(endpoint, server, grants, database, methods, readers=readers) as snapshot:
        yield snapshot


@LOCKS
def test_dump_and_census_read_the_same_state_of_a_busy_source(
    method: str, demo: str, new_account: NewAccount, pair: Pair, source: Endpoint, scratch: Endpoint
) -> None:
    account = new_account(*reading(pair, GRANTS[method]))
    with writing(pair.source) as transactions:
        taken = take(account, source_policy(demo))
    consistency = taken.facts.consistency
    assert (consistency.method, consistency.verdict) == (method, "exact")
    assert 0 < consistency.lock_seconds < 2
    assert consistency.coordinates.binlog_file
    assert consistency.coordinates.gtid
    assert consistency.non_transactional_tables == ["legacy_tariffs"]

    restore_into(scratch, "mirror_copy", taken)
    comparison = compare(taken, scratch, "mirror_copy")
    assert comparison.equal, comparison.summary()
    assert comparison.not_compared == []
    # Had they read the source without a snapshot, they could not have agreed:
    assert transactions[0] > 1
    with closing(source.connect(demo)) as connection:
        now = add_fingerprints([connection], demo, take_census(connection, pair.flavour, demo))
    assert now != taken.facts.census


@MARIADB
def test_a_quiet_source_needs_no_lock(demo: str, new_account: NewAccount, pair: Pair, scratch: Endpoint) -> None:
    taken = take(new_account(*reading(pair)), source_policy(demo))
    consistency = taken.facts.consistency
    assert (consistency.method, consistency.verdict, consistency.lock_seconds) == ("equal_coordinates", "exact", 0)
    assert consistency.coordinates.binlog_position
    restore_into(scratch, "mirror_copy", taken)
    assert compare(taken, scratch, "mirror_copy").equal


@pytest.fixture
def change_before_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: Pair) -> Iterator[Changes]:
    """Has something written between the opening of the snapshot and that of the dump, so many times."""
    left = tmp_path / "left"
    real = find_dump_program("mariadb", str(pair.source.sql("SELECT VERSION()")[0][0])).path
    client = find_program("mariadb")
    program = tmp_path / "mariadb-dump"
    program.write_text(f"""#!/bin/sh
left=$(cat {left})
case "$*" in *--single-transaction*)
    if [ "$left" -gt 0 ]; then
        echo $((left - 1)) >{left}
        {client} --no-defaults -uroot -S {pair.source.endpoint.socket} {DEMO} \
            -e "INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)"
    fi
esac
exec {real} "$@"
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    find_dump_program.cache_clear()

    def change(times: int) -> Callable[[], int]:
        left.write_text(str(times))
        return lambda: int(left.read_text())

    yield change
    find_dump_program.cache_clear()


@pytest.mark.servers("mariadb")
def test_without_locks_a_busy_source_is_never_taken_for_quiet(
    demo: str, new_account: NewAccount, pair: Pair, change_before_dump: Changes
) -> None:
    change_before_dump(100)
    with pytest.raises(SnapshotUnproven, match="In 5 attempts the source never stood still") as caught:
        take(new_account(*reading(pair)), source_policy(demo))
    assert f"LOCK TABLES ON `{demo}`.*" in caught.value.remedy


@pytest.mark.servers("mariadb")
def test_the_opening_is_repeated_until_the_source_stands_still(
    demo: str, new_account: NewAccount, pair: Pair, change_before_dump: Changes
) -> None:
    left = change_before_dump(3)
    assert take(new_account(*reading(pair)), source_policy(demo)).facts.consistency.method == "equal_coordinates"
    assert left() == 0


def test_under_a_lock_the_recorded_position_is_the_server_s(demo: str, new_account: NewAccount, pair: Pair) -> None:
    numbers = "gtid_binlog_pos" if pair.flavour == "mariadb" else "GLOBAL.gtid_executed"
    for grant in GRANTS.values():
        with opened(new_account(*reading(pair, grant))) as snapshot:
            found = snapshot.coordinates
            assert (found.binlog_file, found.binlog_position) == position(pair.source)
            assert [(found.gtid,)] == pair.source.sql(f"SELECT @@{numbers}")


@MARIADB
def test_without_a_lock_what_comes_after_the_snapshot_is_not_in_it(
    demo: str, new_account: NewAccount, pair: Pair
) -> None:
    nothing_later_is_seen(new_account(*reading(pair)), "equal_coordinates", pair)


@LOCKS
def test_what_comes_after_the_snapshot_is_not_in_it(
    method: str, demo: str, new_account: NewAccount, pair: Pair
) -> None:
    nothing_later_is_seen(new_account(*reading(pair, GRANTS[method])), method, pair)


@pytest.mark.servers("mysql")
def test_mysql_without_a_lock_is_refused(demo: str, new_account: NewAccount, pair: Pair) -> None:
    with pytest.raises(SnapshotUnproven, match="the account may lock nothing") as caught:
        take(new_account(*reading(pair)), source_policy(demo))
    assert f"GRANT LOCK TABLES ON `{demo}`.*" in caught.value.remedy


def nothing_later_is_seen(account: Endpoint, method: str, pair: Pair) -> None:
    count = "SELECT COUNT(*) FROM alarm_events"
    with opened(account) as snapshot:
        assert snapshot.method == method
        before = scalar(snapshot.connection, count)
        snapshot.release_lock()
        pair.source.sql("INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)", database=DEMO)
        assert scalar(snapshot.connection, count) == before
    assert pair.source.sql(count, database=DEMO) == [(before + 1,)]


def test_writers_wait_while_the_lock_is_held_and_no_longer(
    demo: str, source: Endpoint, new_account: NewAccount, pair: Pair
) -> None:
    insert = "INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)"
    for grant in GRANTS.values():
        with opened(new_account(*reading(pair, grant))) as snapshot, closing(source.connect(demo)) as other:
            rows(other, "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
            with pytest.raises(SourceBusy):
                rows(other, insert)
            snapshot.release_lock()
            assert snapshot.lock_seconds >= 1
            rows(other, insert)


def test_the_lock_falls_when_the_backup_fails(demo: str, source: Endpoint, pair: Pair) -> None:
    with pytest.raises(ZeroDivisionError), opened(source):
        raise ZeroDivisionError
    pair.source.sql("INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)", database=demo)


def test_a_second_backup_of_the_same_database_is_kept_out(
    demo: str, database: str, source: Endpoint, new_account: NewAccount, pair: Pair
) -> None:
    # Made now: MySQL's backup lock, which the first will hold, makes CREATE USER wait.
    account = new_account(*reading(pair, GRANTS["table_read_locks"]))
    with opened(source) as first:
        first.release_lock()
        for endpoint in (source, account):
            with pytest.raises(SourceBusy, match=f"Another backup of {demo} is running") as caught, opened(endpoint):
                raise AssertionError
            assert f"connection {first.connection_id})" in caught.value.cause
            assert f"KILL {first.connection_id}" in caught.value.remedy
        with opened(source, database) as other:  # of another database, a backup may run
            other.release_lock()
    with opened(source) as second:
        second.release_lock()


def test_a_dead_backup_keeps_nobody_out(demo: str, source: Endpoint) -> None:
    with opened(source) as dead:
        dead.release_lock()
        assert kill_connection(source, dead.connection_id)
        with opened(source) as second:
            second.release_lock()


@LOCKS
def test_p30_a_lock_that_is_not_to_be_had_is_given_up(
    method: str, demo: str, source: Endpoint, new_account: NewAccount, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "LOCK_WAIT_SECONDS", 1)
    account = new_account(*reading(pair, GRANTS[method]))
    with closing(source.connect(demo)) as other:
        rows(other, "LOCK TABLES alarm_events WRITE")
        with pytest.raises(SourceBusy, match="lock could not be had in time"), opened(account):
            raise AssertionError
        waiting = row(other, "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for%lock'")
        assert waiting is not None
        assert waiting[0] == 0  # so nobody queues behind us


def test_all_connections_read_one_snapshot(demo: str, new_account: NewAccount, pair: Pair) -> None:
    count, insert = "SELECT COUNT(*) FROM alarm_events", "INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)"
    account = new_account(*reading(pair, GRANTS["table_read_locks"]))
    with opened(account, readers=3) as snapshot:
        assert (len(snapshot.others), len(set(snapshot.other_ids))) == (2, 2)
        assert snapshot.together
        snapshot.release_lock()
        pair.source.sql(insert, database=demo)
        connections = [snapshot.connection, *snapshot.others]
        assert len({scalar(connection, count) for connection in connections}) == 1
        assert scalar(snapshot.connection, count) + 1 == pair.source.sql(count, database=demo)[0][0]


@pytest.mark.servers("mysql")
def test_no_connection_holds_up_a_change_of_what_it_has_read(
    demo: str, source: Endpoint, new_account: NewAccount, pair: Pair
) -> None:
    pair.source.sql("CREATE TABLE changed SELECT * FROM alarm_events", database=demo)
    account = new_account(*reading(pair, GRANTS["table_read_locks"]))
    with opened(account, readers=3) as snapshot, closing(source.connect(demo)) as other:
        snapshot.release_lock()
        for connection in [snapshot.connection, *snapshot.others]:
            scalar(connection, "SELECT COUNT(*) FROM changed")
            snapshot.let_schema_change(connection)
        rows(other, "SET SESSION lock_wait_timeout = 5")
        rows(other, "ALTER TABLE changed COMMENT 'another'")
    pair.source.sql("DROP TABLE changed", database=demo)


@MARIADB
def test_connections_that_do_not_read_one_snapshot_are_found(
    demo: str, new_account: NewAccount, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = snapshot_module._begin

    def begin_late(connection: Connection[Any], server: ServerIdentity) -> None:
        pair.source.sql("INSERT INTO alarm_events VALUES (1, NOW(), 'x', 1, NULL)", database=demo)
        begin(connection, server)

    monkeypatch.setattr(snapshot_module, "_begin", begin_late)
    with opened(new_account(*reading(pair)), readers=2) as snapshot:
        assert not snapshot.together
        assert not snapshot.same_as(snapshot.coordinates)


def test_an_account_with_a_limit_gets_fewer_connections(demo: str, new_account: NewAccount, pair: Pair) -> None:
    account = new_account(*reading(pair, GRANTS["table_read_locks"]))
    for limit, others in ((6, 0), (8, 1), (30, 2)):
        pair.source.sql(f"ALTER USER {account.user}@'%' WITH MAX_USER_CONNECTIONS {limit}")
        with opened(account, readers=3) as snapshot:
            assert len(snapshot.others) == others
    pair.source.sql(f"ALTER USER {account.user}@'%' WITH MAX_USER_CONNECTIONS 6")
    assert take(account, source_policy(demo, parallel=4)).facts.consistency.verdict == "exact"
