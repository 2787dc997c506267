"""A dump leaves out what its account may not see. That is noticed before it starts, and named with the GRANT."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError, PreflightError
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.client import ClientProcess, find_dump_program
from include.backup_engine.mysql.dump import dump_arguments
from include.backup_engine.mysql.server import Endpoint, rows
from include.backup_engine.mysql.stream import StreamScanner
from include.backup_engine.policy import Policy, VaultPolicy
from include.backup_engine.preflight import preflight
from include.backup_engine.records import Flavour
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from include.backup_engine.store.s3 import Vault
from tests.demo.stack import create_account
from tests.integration.mysql.conftest import DEMO, MARIADB, NewAccount, Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take
from tests.integration.mysql.test_stalls import impatient
from tests.servers.localstack import Aws
from tests.servers.localstack import Vault as Bucket

Check = Callable[..., None]
BODIES: dict[Flavour, str] = {"mariadb": "SELECT ON mysql.proc", "mysql": "SHOW_ROUTINE ON *.*"}
FUNCTION = f"EXECUTE ON FUNCTION {DEMO}.open_cases_of"  # a view calls it
LOCK = "RELOAD ON *.*"
ALL = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"}


def grants_without(privilege: str, flavour: Flavour) -> list[str]:
    return [f"{', '.join(sorted(ALL - {privilege}))} ON {DEMO}.*", BODIES[flavour], FUNCTION, LOCK]


def too_little(what: str, flavour: Flavour) -> tuple[list[str], str]:
    """Grants that are not enough, and what is missing."""
    bodies = BODIES[flavour]
    if what in ALL:
        return grants_without(what, flavour), f"{what} ON `{DEMO}`.*"
    return {
        "routines": ([f"{', '.join(ALL)} ON {DEMO}.*", FUNCTION, LOCK], bodies),
        "routines, of a column": ([f"{', '.join(ALL)} ON {DEMO}.*", COLUMN[flavour], FUNCTION, LOCK], bodies),
        "all but one column": (
            [f"{', '.join(sorted(ALL - {'SELECT'}))} ON {DEMO}.*", f"SELECT (id) ON {DEMO}.patients", bodies, LOCK],
            f"SELECT ON `{DEMO}`.*",
        ),
        "all but one table": ([f"SELECT ON {DEMO}.patients", LOCK], f"SELECT ON `{DEMO}`.*"),
    }[what]


COLUMN: dict[Flavour, str] = {"mariadb": "SELECT (name) ON mysql.proc", "mysql": "SELECT (user) ON mysql.user"}
TOO_LITTLE = pytest.mark.parametrize(
    "what",
    [
        *("TRIGGER", "EVENT", "SHOW VIEW"),
        *("routines", "routines, of a column", "all but one table", "all but one column"),
    ],
)


@TOO_LITTLE
def test_p07_no_backup_is_begun_by_an_account_that_cannot_see_everything(
    what: str, demo: str, new_account: NewAccount, pair: Pair
) -> None:
    grants, missing = too_little(what, pair.flavour)
    account = new_account(*grants)
    with (
        pytest.raises(PreflightError, match="may not see everything") as caught,
        read_source(account, source_policy(demo), Reporter(), Cancellation()),
    ):
        raise AssertionError
    assert missing in caught.value.cause
    assert f"GRANT {missing} TO the account" in caught.value.remedy


@pytest.mark.servers("mariadb", "mysql")
def test_p07_all_privileges_on_the_schema_do_not_show_routines(demo: str, new_account: NewAccount, pair: Pair) -> None:
    account = new_account(f"ALL PRIVILEGES ON {DEMO}.*", LOCK)
    with (
        pytest.raises(PreflightError, match="may not see everything") as caught,
        read_source(account, source_policy(demo), Reporter(), Cancellation()),
    ):
        raise AssertionError
    assert BODIES[pair.flavour] in caught.value.cause


@pytest.mark.servers("mariadb-11")
def test_from_mariadb_11_3_on_a_privilege_on_the_schema_shows_routines(demo: str, new_account: NewAccount) -> None:
    account = new_account(f"SHOW CREATE ROUTINE, {', '.join(ALL)} ON {DEMO}.*", FUNCTION, LOCK)
    assert take(account, source_policy(demo)).facts.stream.routines == 8


@pytest.mark.servers("mysql")
def test_on_mysql_a_view_s_function_need_not_be_called(demo: str, new_account: NewAccount, source: Endpoint) -> None:
    account = new_account(f"{', '.join(ALL)} ON {DEMO}.*", BODIES["mysql"], LOCK)
    assert take(account, source_policy(demo)).facts.census == take(source, source_policy(demo)).facts.census


@pytest.fixture
def check(aws: Aws, vault: Bucket) -> Check:
    """The whole preflight of a source, as that account."""
    keyring = Keyring(aws.kms)
    policy = VaultPolicy(
        bucket=vault.bucket, region=aws.region, data_key_id=vault.data_key_arn, sse_key_id=vault.sse_key_arn
    )
    store = Vault(aws.s3, with_sse_key_arn(policy, keyring))

    def check(endpoint: Endpoint, database: str = DEMO, exclude_tables: tuple[str, ...] = (), **options: Any) -> None:
        sources = {"demo": source_policy(database, exclude_tables=exclude_tables, **options)}
        whole = Policy(version=1, vault=policy, sources=sources)
        preflight("demo", whole, endpoint, store, keyring, keyring, Reporter())

    return check


def test_the_documented_grants_are_enough(demo: str, pair: Pair, check: Check) -> None:
    create_account(pair.source, "backup_account.sql", "backup", "backup-secret", database=DEMO)
    pair.source.sql(f"ALTER USER backup@'%' REQUIRE NONE; GRANT {FUNCTION} TO backup@'%'")
    where = pair.source.endpoint
    check(Endpoint(host=where.host, port=where.port, user="backup", password="backup-secret"))
    pair.source.sql("DROP USER backup@'%'")


def test_p12_the_documented_account_backs_up_over_verified_tls(demo: str, pair: Pair, scratch: Endpoint) -> None:
    create_account(pair.source, "backup_account.sql", "backup", "backup-secret", database=DEMO)  # REQUIRE SSL
    pair.source.sql(f"GRANT {FUNCTION} TO backup@'%'")
    where, certificate = pair.source.endpoint, pair.source.certificate
    assert certificate is not None
    account = Endpoint(
        host=where.host, port=where.port, user="backup", password="backup-secret", ca=str(certificate.authority)
    )
    assert account.tls_mode == "VERIFY_IDENTITY"
    taken = take(account, source_policy(demo))
    pair.source.sql("DROP USER backup@'%'")
    restore_into(scratch, "mirror_copy", taken)
    assert compare(taken, scratch, "mirror_copy").equal


@TOO_LITTLE
def test_p07_preflight_names_the_grant_that_is_missing(
    what: str, demo: str, new_account: NewAccount, pair: Pair, check: Check
) -> None:
    grants, missing = too_little(what, pair.flavour)
    with pytest.raises(PreflightError) as caught:
        check(new_account(*grants))
    assert f"The backup account lacks {missing}." in caught.value.cause
    assert f"GRANT {missing} TO the account." in caught.value.remedy


def test_preflight_names_everything_at_once(demo: str, new_account: NewAccount, pair: Pair, check: Check) -> None:
    with pytest.raises(PreflightError) as caught:
        check(new_account(f"SELECT ON {DEMO}.*"))
    for missing in (f"SHOW VIEW ON `{DEMO}`.*", f"TRIGGER ON `{DEMO}`.*", f"EVENT ON `{DEMO}`.*", BODIES[pair.flavour]):
        assert missing in caught.value.cause
    assert ("a_daily_board" in caught.value.cause) == (pair.flavour == "mariadb")  # a view that calls a function


@pytest.mark.servers("mariadb")
def test_preflight_names_what_a_throttle_may_not_see_and_how_short_the_server_waits(
    demo: str, new_account: NewAccount, pair: Pair, check: Check, caplog: pytest.LogCaptureFixture
) -> None:
    account = new_account(f"{', '.join(ALL)} ON {DEMO}.*", BODIES[pair.flavour], LOCK, FUNCTION)
    with impatient(pair.source, "wait_timeout", "net_write_timeout", seconds=599):
        with pytest.raises(PreflightError, match="may not see the server's replication lag") as caught:
            check(account, throttle={"replication_lag_seconds": 10})
        assert "GRANT SLAVE MONITOR ON *.*" in caught.value.remedy
    [told] = [record.getMessage() for record in caplog.records if "stands still" in record.getMessage()]
    assert "The server's wait_timeout is 599 s" in told  # the dump's net_write_timeout is its own


@MARIADB
def test_p26_preflight_names_a_view_whose_function_may_not_be_called(
    demo: str, new_account: NewAccount, pair: Pair, check: Check
) -> None:
    with pytest.raises(PreflightError, match="view a_daily_board uses a function") as caught:
        check(new_account(f"{', '.join(ALL)} ON {DEMO}.*", BODIES[pair.flavour], LOCK))
    assert "GRANT EXECUTE ON FUNCTION" in caught.value.remedy


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            ["CREATE TABLE t (a int)", "CREATE VIEW broken AS SELECT a FROM t", "DROP TABLE t"],
            "The view broken is broken",
        ),
        (["CREATE EVENT endless ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT ';;'; END"], "The body of the event endless"),
    ],
)
def test_p26_preflight_names_what_the_dump_program_fails_at(
    statements: list[str], named: str, source: Endpoint, database: str, check: Check
) -> None:
    with closing(source.connect(database)) as connection:
        for statement in statements:
            rows(connection, statement)
    with pytest.raises(BackupError, match=named):
        check(source, database)


def test_preflight_names_what_depends_on_an_excluded_table(demo: str, source: Endpoint, check: Check) -> None:
    check(source, exclude_tables=("legacy_tariffs",))
    with pytest.raises(PreflightError) as caught:
        check(source, exclude_tables=("cases",))
    assert "The table cases is excluded, and the foreign key" in caught.value.cause
    assert "The table cases is excluded, and the view" in caught.value.cause


def test_p07_the_dump_program_itself_says_nothing(demo: str, new_account: NewAccount, pair: Pair) -> None:
    """The reason for all this: exit code 0, the end marker, and no trigger."""
    program = find_dump_program(pair.flavour, str(pair.source.sql("SELECT VERSION()")[0][0]))
    arguments = dump_arguments(program, demo, binary_log=False, versioned_tables=False)
    process = ClientProcess(program, new_account(*grants_without("TRIGGER", pair.flavour)), arguments)
    scanner = StreamScanner()
    for _ in scanner.scan(iter(lambda: process.stdout.read(1 << 18), b"")):
        pass
    assert process.wait() == 0
    assert not process.complained
    assert scanner.contents.completed
    routines = 8 if pair.flavour == "mariadb" else 7
    assert (scanner.contents.triggers, scanner.contents.routines, scanner.contents.events) == (0, routines, 3)


def test_excluded_tables_are_left_out_and_listed(demo: str, source: Endpoint, scratch: Endpoint) -> None:
    excluded = ("insurers", "cases_archive", "patients", "tray`s 100% contents.v1")
    taken = take(source, source_policy(demo, exclude_tables=excluded))
    census = taken.facts.census
    assert census.excluded_tables == sorted(excluded)
    assert census.excluded_because == dict.fromkeys(excluded, "policy")
    names = {table.name for table in census.tables if table.kind == "table"}
    assert len(names) == 45 - 3
    assert not names & set(excluded)
    assert "patients_no_delete" not in {item.name for item in census.objects}  # a trigger of an excluded table
    assert {section.name for section in taken.facts.stream.sections if section.kind == "table"} == names

    restore_into(scratch, "mirror_copy", taken)
    comparison = compare(taken, scratch, "mirror_copy")
    missing = re.compile(r"foreign key \w.* of table .* refers to the table (insurers|patients), which is missing")
    assert len(comparison.findings) == 8
    assert all(missing.fullmatch(finding) for finding in comparison.findings)
