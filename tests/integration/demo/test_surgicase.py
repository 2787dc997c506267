"""The demo database holds what the other tests rely on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tests.demo.surgicase import CANARY, Connect, connector, generate, writer
from tests.servers.mariadb import MariaDB

NAME = "surgicase_demo"


@pytest.fixture(scope="module")
def connect(mariadb_source: MariaDB) -> Connect:
    return connector(str(mariadb_source.endpoint.socket))


@pytest.fixture(scope="module")
def demo(mariadb_source: MariaDB, connect: Connect) -> Iterator[MariaDB]:
    generate(connect, NAME, size_mb=5)
    yield mariadb_source
    mariadb_source.sql(f"DROP DATABASE {NAME}")


def count(demo: MariaDB, query: str) -> int:
    [[number]] = demo.sql(query, database=NAME)
    return int(number)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ("tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema = DATABASE()", 45),
        ("tables WHERE table_type = 'SYSTEM VERSIONED' AND table_schema = DATABASE()", 1),
        ("tables WHERE table_type = 'SEQUENCE' AND table_schema = DATABASE()", 1),
        ("tables WHERE engine = 'MyISAM' AND table_schema = DATABASE()", 1),
        ("views WHERE table_schema = DATABASE()", 7),
        ("triggers WHERE trigger_schema = DATABASE()", 7),
        ("routines WHERE routine_type = 'PROCEDURE' AND routine_schema = DATABASE()", 2),
        ("routines WHERE routine_type = 'FUNCTION' AND routine_schema = DATABASE()", 6),
        ("events WHERE status = 'ENABLED' AND event_schema = DATABASE()", 2),
        ("events WHERE status = 'DISABLED' AND event_schema = DATABASE()", 1),
        ("columns WHERE extra LIKE '%VIRTUAL GENERATED%' AND table_schema = DATABASE()", 3),
        ("columns WHERE extra LIKE '%STORED GENERATED%' AND table_schema = DATABASE()", 2),
        ("columns WHERE extra LIKE '%INVISIBLE%' AND table_schema = DATABASE()", 1),
        ("partitions WHERE partition_method IN ('RANGE', 'HASH') AND table_schema = DATABASE()", 8),
        ("referential_constraints WHERE constraint_schema = DATABASE()", 46),
    ],
)
def test_has_every_kind_of_object(demo: MariaDB, objects: str, expected: int) -> None:
    assert count(demo, f"SELECT COUNT(*) FROM information_schema.{objects}") == expected


def test_all_tables_but_one_have_rows(demo: MariaDB) -> None:
    tables = demo.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND engine > ''", NAME)
    empty = [
        name for (name,) in tables if not count(demo, f"SELECT EXISTS (SELECT 1 FROM `{name.replace('`', '``')}`)")
    ]
    assert empty == ["waiting_list_2031"]


def test_history_is_kept(demo: MariaDB) -> None:
    now = count(demo, "SELECT COUNT(*) FROM case_status_audit")
    ever = count(demo, "SELECT COUNT(*) FROM case_status_audit FOR SYSTEM_TIME ALL")
    deleted = count(
        demo,
        "SELECT COUNT(DISTINCT case_id) FROM case_status_audit FOR SYSTEM_TIME ALL "
        "WHERE case_id NOT IN (SELECT case_id FROM case_status_audit)",
    )
    assert ever > 2 * now
    assert deleted


def test_canary_is_in_patients_and_notes(demo: MariaDB) -> None:
    assert count(demo, f"SELECT COUNT(*) FROM patients WHERE address LIKE '%{CANARY}%'")
    assert count(demo, f"SELECT COUNT(*) FROM clinical_notes WHERE body LIKE '%{CANARY}%'")


def orphans(demo: MariaDB) -> list[str]:
    """Foreign keys that lead nowhere for some row."""
    keys = demo.sql(
        "SELECT table_name, column_name, referenced_table_name, referenced_column_name "
        "FROM information_schema.key_column_usage WHERE table_schema = %s AND referenced_table_name > ''",
        NAME,
    )
    return [
        f"{table}.{column}"
        for table, column, parent, key in keys
        if count(
            demo,
            f"SELECT COUNT(*) FROM `{table}` c LEFT JOIN `{parent}` p ON c.`{column}` = p.`{key}` "
            f"WHERE c.`{column}` IS NOT NULL AND p.`{key}` IS NULL",
        )
    ]


def test_writers_keep_the_invariants(demo: MariaDB, connect: Connect) -> None:
    money = count(demo, "SELECT SUM(balance_cents) FROM insurers")
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(writer, connect, NAME, stop) for _ in range(2)]
        stop.wait(2)
        stop.set()
    assert all(done.result() > 20 for done in writers)
    assert count(demo, "SELECT SUM(balance_cents) FROM insurers") == money
    assert demo.sql("SELECT * FROM v_invoice_mismatch", database=NAME) == []
    assert orphans(demo) == []


def test_refuses_to_fill_a_database_that_exists(demo: MariaDB, connect: Connect) -> None:
    with pytest.raises(Exception, match="exists"):
        generate(connect, NAME, size_mb=5)
