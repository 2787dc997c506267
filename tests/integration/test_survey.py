"""What a plan says about its target, on servers that are as targets should not be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.mysql.census import take_census
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.records import Chain, Consistency, StoredObject, StreamFacts, Timings
from include.backup_engine.survey import Place, Survey
from include.backup_engine.verify import Verification
from tests.demo.stack import create_account
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL
from tests.servers.processes import wait_until

DATABASE = "surveyed"
SCHEMA = """
    CREATE TABLE Wards (id INT PRIMARY KEY, name TEXT) COLLATE utf8mb4_unicode_520_ci;
    CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(99) CHARACTER SET latin1 COLLATE latin1_german2_ci);
    CREATE EVENT tick ON SCHEDULE EVERY 1 DAY DO DELETE FROM notes WHERE id < 0;
"""


def _root(server: MariaDB | MySQL) -> Endpoint:
    return Endpoint(user="root", unix_socket=str(server.endpoint.socket))


def _facts(server: MariaDB | MySQL, schema: str) -> BackupFacts:
    """What a backup of a database of that schema would record."""
    server.sql(f"CREATE DATABASE {DATABASE}")
    try:
        server.sql(schema, database=DATABASE)
        with _root(server).connect(DATABASE) as root:
            identity = identify(root)
            census = take_census(root, identity.flavour, DATABASE)
    finally:
        server.sql(f"DROP DATABASE {DATABASE}")
    return BackupFacts(
        backup_id="b", object_name="db_backup_20261124_020000.sql.gz.encrypted", source=DATABASE, database=DATABASE,
        server=identity, census=census, tools={}, timings=Timings(total=1.0), chain=Chain(sequence=1), attempt=1,
        airflow={}, consistency=Consistency(method="none", verdict="exact", snapshot_at=datetime.now(UTC)),
        stream=StreamFacts(
            sql_bytes=1, compressed_bytes=1, sections=[], views=[], routines=0, triggers=0, events=1
        ),
    )  # fmt: skip


def _survey(
    target: Endpoint, facts: BackupFacts, *, overwrite: bool = False, longest: int = 1000, sql_bytes: int = 1000
) -> Survey:
    verified = Verification(
        name="b", stored=StoredObject(bucket="b", key="k", size=1), kms_key_id="k", sql_bytes=sql_bytes, tables=2,
        longest_statement=longest, seconds=1, bytes_per_second=1, peak_memory_bytes=1,
    )  # fmt: skip
    place = Place(
        conn_id="target", database=f"{DATABASE}_x", databases=[f"{DATABASE}_x"], overwrite=overwrite, tables=[],
        run_at=datetime.now(UTC),
    )  # fmt: skip
    with target.connect() as connection:
        survey = Survey(connection, facts, place, identify(connection))
        survey.look(verified)
    return survey


@pytest.fixture(scope="module")
def facts(mariadb_source: MariaDB) -> BackupFacts:
    return _facts(mariadb_source, SCHEMA)


@pytest.fixture(scope="module")
def odd(mariadb_source: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A read-only replica of the other server with settings of its own."""
    options = [
        "--read-only=ON", "--lower-case-table-names=1", "--default-time-zone=+02:00", "--sql-mode=ANSI_QUOTES",
        "--max-allowed-packet=1M",
    ]  # fmt: skip
    master = mariadb_source.endpoint
    mariadb_source.sql("CREATE USER follower@'%' IDENTIFIED BY 'f'; GRANT REPLICATION SLAVE ON *.* TO follower@'%'")
    with MariaDB(tmp_path_factory.mktemp("odd"), options=options, events=True) as server:
        file, position, *_ = mariadb_source.sql("SHOW MASTER STATUS")[0]
        create_account(server, "recovery_account.sql", "recovery", "recovery-secret", database=DATABASE)
        server.sql("ALTER USER recovery@'%' REQUIRE NONE; SET GLOBAL log_bin_trust_function_creators = 1")
        server.sql(
            f"CHANGE MASTER TO MASTER_HOST = '{master.host}', MASTER_PORT = {master.port}, MASTER_USER = 'follower',"
            f" MASTER_PASSWORD = 'f', MASTER_LOG_FILE = '{file}', MASTER_LOG_POS = {position}; START SLAVE"
        )
        wait_until(lambda: _status(mariadb_source, "Slaves_connected") == "1", 20, "the replica does not connect")
        yield server
    mariadb_source.sql("DROP USER follower@'%'")
    wait_until(lambda: _status(mariadb_source, "Slaves_connected") == "0", 60, "the replica stays connected")


def _status(server: MariaDB, name: str) -> Any:
    return server.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1]


def test_the_census_lists_the_collations_of_tables_columns_and_code(facts: BackupFacts) -> None:
    assert {"utf8mb4_unicode_520_ci", "latin1_german2_ci", facts.census.collation} <= set(facts.census.collations)


def test_a_server_like_the_source_fits(mariadb_scratch: MariaDB, facts: BackupFacts) -> None:
    survey = _survey(_root(mariadb_scratch), facts)
    assert (survey.blockers, survey.warnings) == ([], [])
    for said in (
        "both servers are mariadb", "sql_mode is the same", "all storage engines are there",
        f"all {len(facts.census.collations)} collations in use are known there", "table names stay as they are",
        f"all {len(facts.census.data_types)} data types in use are known there",
        "time_zone is SYSTEM on both", "1 events will be disabled, whatever they were",
        "the restore is written to the binary log there, about as large as the SQL",
    ):  # fmt: skip
        assert said in survey.notes


def test_p22_p23_a_target_that_cannot_take_the_backup_is_told_why(odd: MariaDB, facts: BackupFacts) -> None:
    census = facts.census
    tables = [
        table.model_copy(update={"engine": "ROCKSDB"}) if table.name == "notes" else table for table in census.tables
    ]
    census = census.model_copy(update={"tables": tables, "collations": [*census.collations, "utf8mb4_0900_ai_ci"]})
    zone = facts.server.model_copy(update={"time_zone": "Europe/Berlin"})
    facts = facts.model_copy(update={"census": census, "server": zone})
    where = odd.endpoint
    account = Endpoint(host=where.host, port=where.port, user="recovery", password="recovery-secret")
    survey = _survey(account, facts, longest=2_000_000)
    for said in (
        "the target does not know the collation utf8mb4_0900_ai_ci",
        "the target has no storage engine ROCKSDB",
        "lower_case_table_names there would change or merge the names of Wards",
        "max_allowed_packet is 1.0 MB, the longest statement has 2.0 MB",
        "the target is read_only, and this account may not write there nevertheless",
        "the target does not know the time zone Europe/Berlin: load its tables (mariadb-tzinfo-to-sql)",
    ):
        assert said in survey.blockers


def test_what_a_target_would_do_by_itself_is_a_warning(odd: MariaDB, facts: BackupFacts) -> None:
    survey = _survey(_root(odd), facts, overwrite=True)
    for said in (
        "the target is read_only: is it a replica, or switched off on purpose?",
        "the target is a replica: what its source sends may contradict what is restored",
        "the target's time_zone is +02:00; it was SYSTEM: NOW() and events follow it",
        f"the target's sql_mode is ANSI_QUOTES; it was {facts.server.sql_mode}",
    ):
        assert said in survey.warnings
    assert "this account may write to it nevertheless" in survey.notes
    assert "the event scheduler runs there: after the swap 1 events run again" in survey.notes


def test_replicas_of_the_target_and_a_scheduler_that_is_off_are_warnings(
    odd: MariaDB, mariadb_source: MariaDB, facts: BackupFacts
) -> None:
    survey = _survey(_root(mariadb_source), facts, overwrite=True)
    assert "1 replicas follow the target and will get everything, the rename included" in survey.warnings
    assert "the event scheduler is off there: 1 events will be enabled, and not run" in survey.warnings


def test_a_backup_of_mariadb_does_not_go_into_mysql(mysql_scratch: MySQL, facts: BackupFacts) -> None:
    assert "the backup is of mariadb, the target is mysql" in _survey(_root(mysql_scratch), facts).blockers


def test_mysql_s_own_collations_and_its_replication_are_seen(mysql_source: MySQL, mariadb_scratch: MariaDB) -> None:
    facts = _facts(mysql_source, "CREATE TABLE wards (id INT PRIMARY KEY, name TEXT)")
    survey = _survey(_root(mysql_source), facts)
    assert (survey.blockers, survey.warnings) == ([], [])
    assert not any("cannot be seen" in note for note in survey.notes if "replication" in note)
    survey = _survey(_root(mariadb_scratch), facts)
    assert "the target does not know the collation utf8mb4_0900_ai_ci" in survey.blockers
    assert "the backup is of mysql, the target is mariadb" in survey.blockers
