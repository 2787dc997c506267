"""Known ways to lose data with dumps, each provoked on every server; docs/pitfalls.md has the whole list."""

from __future__ import annotations

import gzip
import os
import re
import signal
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from include.backup_engine import source as source_module
from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import BackupError, DumpFailed, LoadFailed, PreflightError, RestoreRefused, SourceBusy
from include.backup_engine.mysql import snapshot as snapshot_module
from include.backup_engine.mysql.client import ClientProcess, find_dump_program
from include.backup_engine.mysql.dump import dump_arguments
from include.backup_engine.mysql.health import bound_code
from include.backup_engine.mysql.load import Loader
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, own_id, rows
from include.backup_engine.mysql.snapshot import open_snapshot
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from tests.demo.stack import create_account
from tests.faults.processes import dump_programs
from tests.integration.mysql.conftest import PASSWORD, NewAccount, Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take
from tests.integration.mysql.test_matrix import survey
from tests.servers.database import Database, Tree
from tests.servers.processes import find_program, wait_until

COPY = "mirror_copy"
WARD = [
    "CREATE TABLE beds (id INT PRIMARY KEY, note VARCHAR(40))",
    "INSERT INTO beds VALUES (1, 'by the window'), (2, 'by the door')",
    "CREATE VIEW notes AS SELECT note FROM beds",
    "CREATE FUNCTION beds_with(letter CHAR(1)) RETURNS INT READS SQL DATA"
    " RETURN (SELECT COUNT(*) FROM beds WHERE note LIKE CONCAT('%', letter, '%'))",
    "CREATE PROCEDURE count_beds() SELECT COUNT(*) FROM beds",
]
SANDBOX = [b"/*!999999\\- enable the sandbox mode */ \n", b"/*M!999999\\- enable the sandbox mode */ \n"]


def fill(source: Endpoint, database: str, *statements: str) -> None:
    with closing(source.connect(database)) as connection:
        for statement in statements:
            rows(connection, statement)


@pytest.fixture
def ward(source: Endpoint, database: str) -> str:
    """A small database with code."""
    fill(source, database, *WARD)
    return database


def with_text(taken: Taken, sql: bytes) -> Taken:
    """The same backup with another dump in it."""
    return replace(taken, chunks=[gzip.compress(sql, 1)], compression="gzip")


def _shell(folder: Path) -> Path:
    """A folder of what the unpacked programs need to start, and of no other dump program."""
    for name in ("dirname", "basename", "readlink"):
        (folder / name).symlink_to(find_program(name))
    return folder


@contextmanager
def set_globally(server: Database, **values: object) -> Iterator[None]:
    """Global variables of a server, for new connections, and what they were afterwards."""
    before = {name: server.sql(f"SELECT @@GLOBAL.{name}")[0][0] for name in values}
    for name, value in values.items():
        server.sql(f"SET GLOBAL {name} = %s", value)
    try:
        yield
    finally:
        for name, value in before.items():
            server.sql(f"SET GLOBAL {name} = %s", value)


# The dump --------------------------------------------------------------------------------------------------------


def test_p01_the_sandbox_line_of_a_dump_is_no_statement(
    ward: str, source: Endpoint, scratch: Endpoint, pair: Pair
) -> None:
    taken = take(source, source_policy(ward))
    first, rest = taken.sql.split(b"\n", 1)
    dumped = first + b"\n" in SANDBOX
    assert dumped == (pair.flavour == "mariadb")
    for line in [*SANDBOX, b""]:
        restore_into(scratch, COPY, with_text(taken, line + (rest if dumped else taken.sql)))
        assert compare(taken, scratch, COPY).equal


def test_p02_p11_another_flavour_s_program_is_never_used(
    ward: str, source: Endpoint, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL's would ask MariaDB for column statistics, MariaDB's would write generated columns that MySQL refuses."""
    version = str(pair.source.sql("SELECT VERSION()")[0][0])
    program = find_dump_program(pair.flavour, version)
    assert (program.flavour, program.series) == (pair.flavour, tuple(map(int, version.split(".")[:2])))
    others = Tree.of("mysql" if pair.flavour == "mariadb" else "mariadb").clients
    monkeypatch.setenv("PATH", os.pathsep.join([str(others), str(_shell(tmp_path))]))
    find_dump_program.cache_clear()
    try:
        with pytest.raises(PreflightError, match=f"No dump program for {pair.flavour} servers"):
            take(source, source_policy(ward))
        monkeypatch.setenv("PATH", str(others))  # where none of them can even run
        find_dump_program.cache_clear()
        with pytest.raises(PreflightError, match=f"No dump program for {pair.flavour} servers"):
            take(source, source_policy(ward))
    finally:
        monkeypatch.undo()
        find_dump_program.cache_clear()


def test_p05_a_restore_leaves_the_target_s_gtids_alone(
    ward: str, source: Endpoint, scratch: Endpoint, pair: Pair
) -> None:
    received = "@@GLOBAL.gtid_slave_pos" if pair.flavour == "mariadb" else "@@GLOBAL.gtid_purged"
    taken = take(source, source_policy(ward))
    assert taken.facts.consistency.coordinates.gtid  # for whoever makes a replica of the copy
    assert not re.search(rb"^SET [^;]*gtid", taken.sql, re.MULTILINE | re.IGNORECASE)
    before = pair.scratch.sql(f"SELECT {received}")
    restore_into(scratch, COPY, taken)
    assert pair.scratch.sql(f"SELECT {received}") == before
    if pair.flavour == "mysql":
        [(executed, own)] = pair.scratch.sql("SELECT @@GLOBAL.gtid_executed, @@server_uuid")
        assert set(re.findall(r"[0-9a-f-]{36}", executed)) == {own}


def test_p13_a_dump_that_is_killed_is_no_backup(demo: str, source: Endpoint) -> None:
    with read_source(source, source_policy(demo), Reporter(), Cancellation()) as reader:
        blocks = reader.compressed()
        next(blocks)
        [dump] = dump_programs(os.getpid())
        os.kill(dump, signal.SIGKILL)
        with pytest.raises(DumpFailed, match="killed by signal 9"):
            list(blocks)


def test_p13_what_is_cut_between_two_statements_loads_and_is_found_to_be_short(
    ward: str, source: Endpoint, scratch: Endpoint
) -> None:
    """What a pipe into gzip makes of a killed dump: sound gzip, sound SQL."""
    taken = take(source, source_policy(ward))
    sql = taken.sql
    short = with_text(taken, sql[: sql.index(b"INSERT INTO `beds`")])
    with pytest.raises(LoadFailed, match="table beds has taken 0 rows; the backup holds 2"):
        restore_into(scratch, COPY, short)  # it knows how many rows it is to send as data
    restore_into(scratch, COPY, short, as_data=False)
    findings = compare(taken, scratch, COPY).findings
    assert "table beds has 0 rows, the source had 2" in findings
    assert "procedure count_beds is missing" in findings


def test_p29_a_backup_that_keeps_the_server_from_purging_says_so(
    ward: str, source: Endpoint, pair: Pair, new_account: NewAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = "SELECT ON mysql.proc" if pair.flavour == "mariadb" else "SHOW_ROUTINE ON *.*"
    grants = f"SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON {ward}.*", bodies
    told: list[str] = []
    reporter = Reporter()
    monkeypatch.setattr(reporter, "warn", lambda text, **_: told.append(text))
    monkeypatch.setattr(source_module, "MUCH_HISTORY", 200)
    for account, sees in (
        (new_account(*grants, "PROCESS ON *.*"), True),
        (new_account(*grants), pair.flavour != "mysql"),
    ):
        told.clear()
        with read_source(account, source_policy(ward), reporter, Cancellation()) as reader:
            for number in range(300):
                pair.source.sql("UPDATE beds SET note = %s", f"new {number}", database=ward)
            list(reader.compressed())
        assert [re.sub("[0-9]", "", text) for text in told] == [
            "The server keeps the old rows of  transactions for snapshots such as this backup's;"
            " take it of a replica, or at a quieter hour"
        ] * sees


def test_p30_somebody_else_s_long_query_is_not_waited_for_and_nobody_queues_behind_us(
    ward: str, source: Endpoint, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL's global lock would wait for it, and given up, keep the query's tables closed to all until it ends."""
    monkeypatch.setattr(snapshot_module, "LOCK_WAIT_SECONDS", 1)
    with closing(source.connect(ward)) as busy, closing(source.connect()) as connection, ThreadPoolExecutor(1) as pool:
        number = own_id(busy)
        query = pool.submit(rows, busy, "SELECT SLEEP(20) FROM beds")
        running = (
            f"SELECT 1 FROM information_schema.processlist WHERE id = {number} AND time > 2 AND info LIKE '%SLEEP%'"
        )
        wait_until(lambda: bool(pair.source.sql(running)), 10, "the query does not run")
        server, grants = identify(connection), Grants.of(connection)
        started = time.monotonic()
        if pair.flavour == "mysql":
            with (
                pytest.raises(SourceBusy, match=rf"Statements run for long on the source \(connections {number}\)"),
                open_snapshot(source, server, grants, ward, ["global_read_lock"]),
            ):
                raise AssertionError
        with open_snapshot(source, server, grants, ward, ["global_read_lock", "table_read_locks"]) as snapshot:
            assert snapshot.method == ("table_read_locks" if pair.flavour == "mysql" else "global_read_lock")
            snapshot.release_lock()
        pair.source.sql("INSERT INTO beds VALUES (3, 'new')", database=ward)
        assert time.monotonic() - started < 30  # the query takes 40
        assert not query.done()
        pair.source.sql(f"KILL {number}")
        with pytest.raises(BackupError):
            query.result()


def test_p33_the_password_is_on_no_command_line_and_in_no_environment(
    demo: str, new_account: NewAccount, pair: Pair
) -> None:
    bodies = "SELECT ON mysql.proc" if pair.flavour == "mariadb" else "SHOW_ROUTINE ON *.*"
    account = new_account(f"SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON {demo}.*", bodies)
    with read_source(account, source_policy(demo), Reporter(), Cancellation()) as reader:
        next(reader.compressed())
        [dump] = dump_programs(os.getpid())
        seen = b"".join(Path(f"/proc/{dump}/{file}").read_bytes() for file in ("cmdline", "environ"))
    assert b"--defaults-file=/proc/self/fd/" in seen
    assert PASSWORD.encode() not in seen


# The load --------------------------------------------------------------------------------------------------------


def test_p06_code_of_an_account_that_is_missing_works_in_the_copy(
    ward: str, source: Endpoint, scratch: Endpoint, pair: Pair
) -> None:
    pair.source.sql(f"CREATE USER ghost@'%' ACCOUNT LOCK; GRANT ALL ON {ward}.* TO ghost@'%'")
    try:
        fill(
            source,
            ward,
            "CREATE DEFINER = ghost@'%' VIEW of_ghost AS SELECT note FROM beds",
            "CREATE DEFINER = ghost@'%' PROCEDURE by_ghost() SELECT note FROM of_ghost",
            "CREATE DEFINER = ghost@'%' TRIGGER ghostly BEFORE INSERT ON beds FOR EACH ROW SET NEW.note = 'x'",
        )
        taken = take(source, source_policy(ward))
    finally:
        pair.source.sql("DROP USER ghost@'%'")
    assert any("whose code will belong to this one: ghost@%" in line for line in survey(taken, scratch).warnings)
    assert restore_into(scratch, COPY, taken).definers_mapped == 6
    assert compare(taken, scratch, COPY).equal
    with closing(scratch.connect(COPY)) as connection:
        rows(connection, "INSERT INTO beds VALUES (3, 'y')")
        assert rows(connection, "CALL by_ghost()") == [("by the window",), ("by the door",), ("x",)]


def test_p08_a_dump_that_names_its_schema_is_refused_before_it_leaves_the_target(
    ward: str, source: Endpoint, pair: Pair
) -> None:
    """``--databases`` would make a restore beside the source write into the source."""
    taken = take(source, source_policy(ward))
    assert not re.search(rb"^(/\*!\d+ )?(USE|(CREATE|DROP|ALTER) DATABASE)", taken.sql, re.MULTILINE | re.IGNORECASE)
    program = find_dump_program(pair.flavour, str(pair.source.sql("SELECT VERSION()")[0][0]))
    arguments = dump_arguments(program, ward, binary_log=False, versioned_tables=False)
    process = ClientProcess(program, source, ["--databases", *arguments])
    dump = process.stdout.read()
    assert process.wait() == 0
    assert f"USE `{ward}`".encode() in dump
    pair.source.sql("INSERT INTO beds VALUES (3, 'since then')", database=ward)
    with pytest.raises(RestoreRefused, match="is not one that a dump of a single schema needs"):
        restore_into(source, COPY, with_text(taken, dump))
    assert pair.source.sql("SELECT COUNT(*) FROM beds", database=ward) == [(3,)]
    assert pair.source.sql(f"SHOW TABLES FROM {COPY}") == []


def test_p09_a_view_in_the_copy_never_reads_production(ward: str, source: Endpoint, pair: Pair) -> None:
    taken = take(source, source_policy(ward))
    restore_into(source, COPY, taken)  # beside its source
    pair.source.sql("UPDATE beds SET note = 'production'", database=ward)
    assert pair.source.sql(f"SELECT * FROM {COPY}.notes") == [("by the window",), ("by the door",)]
    # As older programs dump it, with the schema's name:
    named, count = re.subn(rb"(AS select `)(beds`\.`note`)", rb"\1" + ward.encode() + rb"`.`\2", taken.sql, flags=re.I)
    assert count == 1
    with pytest.raises(RestoreRefused, match=f"names the schema {ward} that it was taken from"):
        restore_into(source, COPY, with_text(taken, named))
    # A view of another schema is told before the night, and refused where there is such a schema.
    fill(source, ward, "CREATE DATABASE mirror_elsewhere", "CREATE TABLE mirror_elsewhere.t (a INT)")
    fill(source, ward, "CREATE VIEW foreign_view AS SELECT a FROM mirror_elsewhere.t")
    with closing(source.connect(ward)) as connection:
        [told] = bound_code(connection, ward)
    assert "The view foreign_view reaches into the schema mirror_elsewhere" in told
    with pytest.raises(RestoreRefused, match="reaches into the schema mirror_elsewhere"):
        restore_into(source, COPY, take(source, source_policy(ward)))
    pair.source.sql("DROP DATABASE mirror_elsewhere")


def test_p10_events_of_a_copy_do_not_run(ward: str, source: Endpoint, scratch: Endpoint, pair: Pair) -> None:
    fill(source, ward, "CREATE EVENT bill ON SCHEDULE EVERY 1 SECOND DO INSERT INTO beds VALUES (NULL, 'billed')")
    fill(source, ward, "ALTER TABLE beds MODIFY id INT AUTO_INCREMENT")
    taken = take(source, source_policy(ward))
    pair.source.sql("DROP EVENT bill", database=ward)
    with set_globally(pair.scratch, event_scheduler="ON"):
        assert restore_into(scratch, COPY, taken).events_disabled == 1
        time.sleep(2.2)
        comparison = compare(taken, scratch, COPY)
        # It would have: the event is due, and the scheduler runs.
        pair.scratch.sql("ALTER EVENT bill ENABLE", database=COPY)
        ran = "SELECT COUNT(*) > 2 FROM beds"
        wait_until(lambda: pair.scratch.sql(ran, database=COPY) == [(1,)], 30, "the event does not run")
    assert comparison.equal, comparison.summary()
    assert taken.facts.census.count("event") == comparison.objects - 3 == 1


def test_p22_a_target_with_small_packets_is_told_before_and_named_after(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    fill(source, database, "CREATE TABLE scans (id INT PRIMARY KEY, scan LONGBLOB)")
    fill(source, database, "INSERT INTO scans VALUES (1, REPEAT('x', 20000000))")
    taken = take(source, source_policy(database))
    with set_globally(pair.scratch, max_allowed_packet=2 << 20):
        blockers = survey(taken, scratch).blockers
        assert "max_allowed_packet is 2.1 MB, the longest statement has 40.0 MB" in blockers
        with pytest.raises(LoadFailed) as caught:
            restore_into(scratch, COPY, taken, as_data=False)
    assert "max_allowed_packet" in caught.value.remedy, caught.value
    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY).equal


def test_p25_p35_a_target_of_another_mode_and_zone_takes_zero_dates_and_moments_as_they_are(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    fill(
        source,
        database,
        "SET time_zone = '+02:00'",
        "CREATE TABLE visits (d DATE NOT NULL DEFAULT '0000-00-00', t TIMESTAMP NULL,"
        " x DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00')",
        "INSERT INTO visits VALUES (DEFAULT, '2026-10-25 02:30:00', DEFAULT), ('2026-00-00', NULL, '0000-01-01')",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-03-29 02:30:00' DISABLE DO DO 1",
    )
    taken = take(source, source_policy(database))
    with set_globally(pair.scratch, sql_mode="TRADITIONAL", time_zone="-09:30"):
        restore_into(scratch, COPY, taken)
        comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()
    assert pair.scratch.sql("SELECT UNIX_TIMESTAMP(t) FROM visits WHERE t IS NOT NULL", database=COPY) == [
        (1792888200,)
    ]


def test_p31_p39_the_documented_account_restores_what_a_server_with_a_binary_log_lets_it(
    ward: str, source: Endpoint, pair: Pair
) -> None:
    """A drill by an administrator would show nothing about the account that recovers."""
    fill(source, ward, "CREATE TRIGGER upper BEFORE INSERT ON beds FOR EACH ROW SET NEW.note = UPPER(NEW.note)")
    fill(source, ward, "CREATE EVENT clean ON SCHEDULE EVERY 1 DAY DO DELETE FROM beds WHERE id < 0")
    taken = take(source, source_policy(ward))
    create_account(pair.scratch, "drill_account.sql", "drill", "drill-secret")
    pair.scratch.sql("ALTER USER drill@'%' REQUIRE NONE")
    where = pair.scratch.endpoint
    drill = Endpoint(host=where.host, port=where.port, user="drill", password="drill-secret")
    needed = "the target writes a binary log: it needs log_bin_trust_function_creators = 1 to take functions"
    try:
        assert needed not in survey(taken, drill).blockers
        with set_globally(pair.scratch, log_bin_trust_function_creators=0):
            assert needed in survey(taken, drill).blockers
            with pytest.raises(LoadFailed, match="with error 1419"):
                restore_into(drill, "drill_copy", taken)
        restore_into(drill, "drill_copy", taken)
        comparison = compare(taken, drill, "drill_copy")
        assert comparison.equal, comparison.summary()
        with pytest.raises(PreflightError, match="denied access"):
            restore_into(drill, COPY, taken)  # not one of its own databases
    finally:
        pair.scratch.sql("DROP DATABASE IF EXISTS drill_copy; DROP USER drill@'%'")


def test_p32_an_error_of_the_server_is_told_without_the_row_that_it_quotes(scratch: Endpoint, pair: Pair) -> None:
    dump = (
        b"CREATE TABLE `patients` (\n  `ssn` varchar(11) NOT NULL,\n  PRIMARY KEY (`ssn`)\n) ENGINE=InnoDB;\n"
        b"INSERT INTO `patients` VALUES ('900-12-3456'),('900-12-3456');\n"
    )
    pair.scratch.sql("CREATE DATABASE mirror_ssn")
    with closing(scratch.connect("mirror_ssn")) as connection:
        loader = Loader(
            [connection], "mirror_ssn", server=identify(connection), source_database="s", other_schemas=[],
            powerful=True,
        )  # fmt: skip
        with pytest.raises(LoadFailed, match=r"\(INSERT INTO `patients`\) with error 1062") as caught:
            loader.load([dump])
    assert "900-12" not in "".join(traceback.format_exception(caught.value))


def test_p37_the_copy_is_compared_with_the_snapshot_and_not_with_what_lives_on(
    ward: str, source: Endpoint, scratch: Endpoint, pair: Pair
) -> None:
    with read_source(source, source_policy(ward), Reporter(), Cancellation()) as reader:
        pair.source.sql("DELETE FROM beds WHERE id = 1; INSERT INTO beds VALUES (7, 'late')", database=ward)
        taken = Taken(list(reader.compressed()), reader.facts(), "gzip")
    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY).equal
    assert pair.scratch.sql("SELECT id FROM beds", database=COPY) == [(1,), (2,)]
