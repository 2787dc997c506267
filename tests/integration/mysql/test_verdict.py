"""What a backup may say of its consistency: with which grants, and with what going on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from pymysql.connections import Connection

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import DumpFailed, SchemaChanged, SourceBusy
from include.backup_engine.mysql import client
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, rows
from include.backup_engine.mysql.snapshot import ladder, open_snapshot
from include.backup_engine.policy import SourcePolicy
from include.backup_engine.records import Consistency, Verdict
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from tests.integration.mysql.conftest import NewAccount, Pair, root_of
from tests.integration.mysql.copies import Taken, compare, restore_into, take

DATABASE = "mirror_test"
SCHEMA = [
    "CREATE TABLE visits (id INT PRIMARY KEY, note TEXT)",
    "INSERT INTO visits VALUES (1, 'one'), (2, 'two')",
    "CREATE TABLE legacy (id INT) ENGINE=MyISAM",
    "CREATE TABLE sessions (id INT) ENGINE=MEMORY",
    "INSERT INTO sessions VALUES (1)",
    "CREATE VIEW notes AS SELECT note FROM visits",
    "CREATE PROCEDURE count_visits() SELECT COUNT(*) FROM visits",
    "CREATE TRIGGER stamp BEFORE INSERT ON visits FOR EACH ROW SET NEW.note = UPPER(NEW.note)",
    "CREATE EVENT tick ON SCHEDULE EVERY 1 DAY DO DELETE FROM visits WHERE id < 0",
]
Meanwhile = Callable[[], object]


def reading(pair: Pair) -> tuple[str, str]:
    """What a backup needs to see everything; neither SUPER nor RELOAD."""
    bodies = "SELECT ON mysql.proc" if pair.flavour == "mariadb" else "SHOW_ROUTINE ON *.*"
    return f"SELECT, SHOW VIEW, TRIGGER, EVENT ON {DATABASE}.*", bodies


LOCK = f"LOCK TABLES ON {DATABASE}.*"


def policy(consistency: Verdict = "ddl-checked", exclude: tuple[str, ...] = ()) -> SourcePolicy:
    return SourcePolicy(conn_id="s", database=DATABASE, consistency=consistency, exclude_tables=list(exclude))


@pytest.fixture
def filled(database: str, source: Endpoint) -> str:
    with closing(source.connect(database)) as connection:
        for statement in SCHEMA:
            rows(connection, statement)
    return database


def take_while(endpoint: Endpoint, wanted: SourcePolicy, meanwhile: Meanwhile) -> Taken:
    """Read the whole source; something happens as soon as the snapshot is open."""
    with read_source(endpoint, wanted, Reporter(), Cancellation()) as source:
        meanwhile()
        chunks = list(source.compressed())
        return Taken(chunks, source.facts(), wanted.compression)


def said(consistency: Consistency) -> tuple[str, str, str | None]:
    return consistency.method, consistency.verdict, consistency.definitions


def test_p03_p04_an_account_as_managed_servers_give_it(
    filled: str, pair: Pair, new_account: NewAccount, scratch: Endpoint
) -> None:
    """LOCK TABLES, but neither SUPER nor RELOAD: everything is proved, and the position in MySQL's log is not known."""
    taken = take(new_account(*reading(pair), LOCK), policy("exact"))
    consistency = taken.facts.consistency
    assert said(consistency) == ("table_read_locks", "exact", "quiet")
    assert bool(consistency.coordinates.binlog_file) == (pair.flavour == "mariadb")
    assert consistency.written_tables == []
    restore_into(scratch, "mirror_copy", taken)
    comparison = compare(taken, scratch, "mirror_copy")
    assert (comparison.findings, comparison.not_compared) == ([], [])


def test_with_no_lock_at_all_mysql_s_backup_is_unproven(
    filled: str, pair: Pair, new_account: NewAccount, scratch: Endpoint
) -> None:
    taken = take(new_account(*reading(pair)), policy("unproven"))
    if pair.flavour == "mariadb":
        assert said(taken.facts.consistency) == ("equal_coordinates", "exact", "quiet")
        return
    assert said(taken.facts.consistency) == ("none", "unproven", "quiet")
    assert {table.fingerprint for table in taken.facts.census.tables} == {None}
    restore_into(scratch, "mirror_copy", taken)
    comparison = compare(taken, scratch, "mirror_copy")
    assert comparison.findings == []
    assert len(comparison.not_compared) == 3
    assert all("no common snapshot is proved" in item for item in comparison.not_compared)


def test_p03_a_lock_that_the_server_denies_in_spite_of_its_grants_gives_way_to_the_next(
    filled: str, pair: Pair, new_account: NewAccount
) -> None:
    """As on managed servers, which list RELOAD and deny FLUSH TABLES WITH READ LOCK."""
    account = new_account(*reading(pair), LOCK, "RELOAD ON *.*")
    with closing(account.connect(filled)) as connection:
        server, grants = identify(connection), Grants.of(connection)
    pair.source.sql(f"REVOKE RELOAD ON *.* FROM {account.user}@'%'")
    methods = ladder(server, grants, filled, True, "exact")
    assert methods[0] == "global_read_lock"
    with open_snapshot(account, server, grants, filled, methods) as snapshot:
        assert snapshot.method == "table_read_locks"


@pytest.mark.servers("mysql")
def test_p28_mysql_s_backup_lock_keeps_definitions_as_they_are_and_lets_rows_go_on(
    filled: str, pair: Pair, new_account: NewAccount
) -> None:
    account = new_account(*reading(pair), LOCK, "BACKUP_ADMIN ON *.*")

    def meanwhile() -> None:
        blocked = [
            "ALTER TABLE visits ADD b INT",
            "DROP VIEW notes",
            "CREATE TABLE t (a INT)",
            "DROP PROCEDURE count_visits",
        ]
        with closing(root_of(pair.source).connect()) as other, other.cursor() as cursor:
            cursor.execute(f"USE {filled}")
            cursor.execute("SET lock_wait_timeout = 1")
            cursor.execute(f"INSERT INTO {filled}.visits VALUES (3, 'three')")
            for statement in blocked:
                with pytest.raises(Exception, match="1205"):
                    cursor.execute(statement)

    taken = take_while(account, policy("exact"), meanwhile)
    assert said(taken.facts.consistency) == ("table_read_locks", "exact", "locked")
    assert taken.facts.census.rows == 3


@contextmanager
def dump_before_visits(
    pair: Pair, filled: str, new_account: NewAccount
) -> Iterator[tuple[Connection[Any], Iterator[bytes]]]:
    """An administrator, and a dump that has not come to `visits`: a large table before it fills its pipe."""
    account = new_account(*reading(pair), LOCK)
    with closing(root_of(pair.source).connect(filled)) as other:
        rows(other, "CREATE TABLE archive (id INT AUTO_INCREMENT PRIMARY KEY, scan MEDIUMBLOB)")
        for _ in range(16):
            rows(other, "INSERT INTO archive (scan) VALUES (RANDOM_BYTES(1000))")
            rows(other, "UPDATE archive SET scan = REPEAT(scan, 1000) WHERE id = LAST_INSERT_ID()")
        with read_source(account, policy(), Reporter(), Cancellation()) as source:
            stream = source.compressed()
            next(stream)
            yield other, stream


def test_p28_who_alters_a_table_waits_for_the_census_and_not_for_the_backup(
    filled: str, pair: Pair, new_account: NewAccount
) -> None:
    """Else they wait for the backup, the dump behind them, and the backup for its dump: for ever."""
    with dump_before_visits(pair, filled, new_account) as (other, stream):
        rows(other, "SET lock_wait_timeout = 30")
        rows(other, "ALTER TABLE visits ADD b INT")
        with pytest.raises(DumpFailed, match="visits"):
            list(stream)


def test_p30_a_table_that_somebody_holds_ends_the_dump_by_name(
    filled: str, pair: Pair, new_account: NewAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_SESSION", "SET SESSION lock_wait_timeout = 1")
    with dump_before_visits(pair, filled, new_account) as (other, stream):
        rows(other, "LOCK TABLES visits WRITE")
        with pytest.raises(SourceBusy, match=r"not to be had in time.*visits"):
            list(stream)


CHANGES = {
    "ALTER TABLE visits ADD b INT": "visits|notes",  # the view reads it
    "RENAME TABLE visits TO calls": "visits|calls|notes",
    "CREATE TABLE surprise (id INT)": "surprise",
    "ALTER VIEW notes AS SELECT id FROM visits": "notes",
    "DROP PROCEDURE count_visits": "count_visits",
    "DROP TRIGGER stamp": "stamp|visits|notes|no error number",  # MariaDB's program does not say it
    "ALTER EVENT tick ON SCHEDULE EVERY 2 DAY": "tick",
    "TRUNCATE TABLE visits": "visits|notes",
}


@pytest.mark.parametrize("statement", CHANGES)
def test_p28_a_definition_that_changes_meanwhile_is_found_and_named(
    statement: str, filled: str, pair: Pair, new_account: NewAccount
) -> None:
    account = new_account(*reading(pair), LOCK)
    with pytest.raises((DumpFailed, SourceBusy), match=CHANGES[statement]) as caught:
        take_while(account, policy("unproven"), lambda: pair.source.sql(statement, database=filled))
    assert caught.value.retryable


def test_a_view_that_is_changed_and_changed_back_costs_the_verdict(
    filled: str, pair: Pair, new_account: NewAccount
) -> None:
    account = new_account(*reading(pair), LOCK)

    def meanwhile() -> None:
        for column in ("id", "note"):
            pair.source.sql(f"ALTER VIEW notes AS SELECT {column} FROM visits", database=filled)

    def take_at_last(wanted: SourcePolicy) -> Taken:
        for _ in range(4):
            try:
                return take_while(account, wanted, meanwhile)
            except SchemaChanged:
                raise
            except DumpFailed:  # the program met the view in the middle of its change
                continue
        return take_while(account, wanted, meanwhile)

    taken = take_at_last(policy())
    assert said(taken.facts.consistency) == ("table_read_locks", "ddl-checked", "compared")
    with pytest.raises(SchemaChanged, match="statements that change definitions") as caught:
        take_at_last(policy("exact"))
    assert "create view" in caught.value.cause or "alter view" in caught.value.cause


def test_a_table_without_transactions_that_is_written_meanwhile_costs_the_proof(
    filled: str, pair: Pair, new_account: NewAccount, scratch: Endpoint
) -> None:
    account = new_account(*reading(pair), LOCK)
    for number, table in enumerate(("legacy", "sessions")):

        def meanwhile(number: int = number, table: str = table) -> None:
            pair.source.sql(f"INSERT INTO {table} VALUES ({number})", database=filled)

        with pytest.raises(DumpFailed, match=f"without transactions were written .* {table}"):
            take_while(account, policy(), meanwhile)
        taken = take_while(account, policy("unproven"), meanwhile)
        consistency = taken.facts.consistency
        assert (consistency.verdict, consistency.written_tables) == ("unproven", [table])
        assert take_while(account, policy("exact", (table,)), meanwhile).facts.consistency.verdict == "exact"
    assert consistency.non_transactional_tables == ["legacy", "sessions"]
