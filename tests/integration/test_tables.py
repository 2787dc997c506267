"""Single tables out of a backup, on a real server: what is read, what comes where, and that nothing live is touched."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from include.backup_engine import copies
from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import before_database, incoming_database, leftovers, tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census, compare_with_snapshot
from include.backup_engine.copies import copy_names, put_beside
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import FrameTampered, RequestRefused, RestoreRefused
from include.backup_engine.excerpt import Excerpt
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName
from include.backup_engine.plan import Plan, make_plan
from include.backup_engine.policy import Policy
from include.backup_engine.records import Census, Chain
from include.backup_engine.report import Reporter
from include.backup_engine.restore import create_database, restore
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.survey import Place
from include.backup_engine.swap import Swapped, swap
from tests.demo.stack import create_account
from tests.demo.surgicase import connector, generate
from tests.faults.gate import Gate
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL

LIVE = "surgicase"
FRAME = 1024 * 1024 + 32
BALLAST = 40
"""Rows of 1 MB that do not compress, in a table that sorts before most others."""
DIFFICULT = [
    "audit_log", "case_status_audit", "cases", "images", "lab_results", "legacy_tariffs", "numbered", "order",
    "schedules", "tray`s 100% contents.v1", "waiting", "überweisungen 診療",
]  # fmt: skip


@dataclass
class Site:
    """A server with a live database and its backups: of the default format, and of the original one."""

    server: MariaDB
    endpoint: Endpoint
    policy: Policy
    keyring: Keyring
    vault: Vault
    hour: int = 0

    def stored(self, source: str = LIVE, vault: Vault | None = None) -> StoredBackup:
        vault = vault or self.vault
        return open_stored(Catalog(vault).find(source, "latest"), source, self.policy, vault, self.keyring)

    def next_run(self) -> datetime:
        self.hour += 1
        return datetime(2026, 11, 2, self.hour, tzinfo=UTC)

    def plan(self, tables: list[str], target: str, run_at: datetime, source: str = LIVE) -> Plan:
        place = Place(
            conn_id="x", database=target, databases=[target, incoming_database(target, run_at)], overwrite=False,
            tables=tables, run_at=run_at,
        )  # fmt: skip
        return make_plan(self.stored(source), place, self.endpoint, self.policy, self.keyring, Reporter(), None)

    def beside(self, plan: Plan, source: str = LIVE) -> tuple[str, Excerpt]:
        """Restore into the incoming database, proven."""
        incoming, stored = plan.place.databases[1], self.stored(source)
        create_database(self.endpoint, incoming, stored)
        restored = restore(
            stored, self.endpoint, incoming, self.policy, self.keyring, Reporter(), Cancellation(),
            tables=plan.place.tables,
        )  # fmt: skip
        assert stored.facts is not None and restored.verified.excerpt is not None
        found = compare_with_snapshot(
            stored.facts.census, self.endpoint, incoming, Reporter(),
            events_disabled=True, excerpt=restored.verified.excerpt,
        )  # fmt: skip
        assert (found.findings, found.not_compared) == ([], [])
        assert found.tables == len(restored.verified.excerpt.names)
        return incoming, restored.verified.excerpt

    def put_beside(self, plan: Plan) -> Swapped:
        return put_beside(
            self.endpoint, plan.place.database, plan.place.databases[1], plan.copies, Reporter(), Cancellation()
        )

    def everything(self, database: str) -> Census:
        root = Endpoint(unix_socket=str(self.server.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, "mariadb", database))

    def live_is(self, expected: Census) -> None:
        """The live database is what it was, but for copies that came beside its tables."""
        now = self.everything(LIVE)
        kept = now.model_copy(update={"tables": [t for t in now.tables if "_restored_" not in t.name]})
        assert compare_census(expected, kept, events_disabled=False)[0] == []

    def drop_copies(self, names: dict[str, str]) -> None:
        for name in names.values():
            kind = "SEQUENCE" if name.startswith("mrn_seq") else "TABLE"
            self.server.sql(f"DROP {kind} `{name.replace('`', '``')}`", database=LIVE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[Site]:
    with MariaDB(tmp_path_factory.mktemp("tables")) as server:
        generate(connector(str(server.endpoint.socket)), LIVE, 5)
        server.sql(
            "SET GLOBAL log_bin_trust_function_creators = 1;"
            "CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(mrn_seq) PRIMARY KEY, note TEXT);"
            "INSERT INTO numbered (note) VALUES ('a'), ('b');"
            "CREATE TABLE waiting (what INT, since DATE); INSERT INTO waiting VALUES (1, '2026-01-01'), (1, NULL);"
            "CREATE TABLE ballast (id INT PRIMARY KEY, b LONGBLOB)",
            database=LIVE,
        )
        for number in range(BALLAST):
            server.sql("INSERT INTO ballast VALUES (%s, %s)", number, os.urandom(1_000_000), database=LIVE)
        create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
        server.sql("ALTER USER recovery@'%' REQUIRE NONE")
        where = server.endpoint
        endpoint = Endpoint(host=where.host, port=where.port, user="recovery", password="recovery-secret")
        policy = Policy.model_validate(
            {
                "version": 1,
                "vault": {
                    "bucket": aws.seed(bucket=f"tables-{uuid.uuid4().hex[:12]}").bucket,
                    "region": aws.region,
                    "data_key_id": "alias/surgicase-backup",
                    "sse_key_id": "alias/surgicase-backup-sse",
                },
                "sources": {
                    LIVE: {"conn_id": "unused", "database": LIVE},
                    "original": {"conn_id": "unused", "database": LIVE, "format": "v1", "exclude_tables": ["ballast"]},
                    "zstd": {"conn_id": "unused", "database": LIVE, "compression": "zstd"},
                },
            }
        )
        keyring = Keyring(aws.kms)
        vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
        for source in policy.sources:
            name = BackupName(datetime(2026, 11, 1, 2, tzinfo=UTC), policy.source(source).compression)
            job = BackupJob(policy, source, name, Chain(sequence=1))
            back_up(job, endpoint, keyring, vault, Reporter(), Cancellation())
        yield Site(server, endpoint, policy, keyring, vault)


@pytest.mark.parametrize("source", [LIVE, "zstd", "original"])
def test_difficult_tables_come_into_a_new_database_as_they_were(site: Site, source: str) -> None:
    target, live = "surgicase_restored", site.everything(LIVE)
    plan = site.plan(DIFFICULT, target, site.next_run(), source)
    assert (plan.blockers, plan.copies) == ([], {})
    assert plan.counts["table"] == len(DIFFICULT)
    excerpt = plan.verified.excerpt
    assert excerpt is not None
    assert (excerpt.tables, excerpt.sequences) == (sorted(DIFFICULT), ["mrn_seq"])
    assert "cases_check_room" in excerpt.triggers
    assert "patients_no_delete" not in excerpt.triggers
    assert any(warning.startswith("foreign keys of table cases refer to patients") for warning in plan.warnings)
    assert not any("trigger cases_touch_audit uses" in warning for warning in plan.warnings)
    incoming, excerpt = site.beside(plan, source)
    census = excerpt.part_of(_census(site, source))
    before = before_database(target, plan.place.run_at)
    swapped = swap(site.endpoint, target, incoming, before, census, Reporter(), Cancellation(), overwrite=False)
    assert (swapped.tables_in, swapped.copies) == (len(DIFFICULT) + 1, {})
    assert compare_census(census, site.everything(target), events_disabled=True)[0] == []
    site.server.sql("INSERT INTO numbered (note) VALUES ('from its own sequence')", database=target)
    site.live_is(live)
    assert leftovers(site.endpoint.connect(), target, "incoming") == []
    site.server.sql(f"DROP DATABASE {target}")


def _census(site: Site, source: str) -> Census:
    facts = site.stored(source).facts
    assert facts is not None
    return facts.census


def test_what_a_table_or_trigger_lacks_is_said(site: Site) -> None:
    plan = site.plan(["cases"], "surgicase_restored", site.next_run())
    assert "trigger cases_log_insert uses audit_log, not restored with it: it fails when it fires" in plan.warnings
    assert any("refer to patients, procedure_codes, surgeons" in warning for warning in plan.warnings)
    assert any(note.startswith("they have triggers: a_cases_default_risk") for note in plan.notes)
    assert any("every frame of the tables is authentic" in line for line in plan.lines())
    assert any("the rest was not read and is not verified" in line for line in plan.lines())


def test_difficult_tables_come_beside_the_live_ones_and_constrain_nothing(site: Site) -> None:
    live = site.everything(LIVE)
    plan = site.plan(DIFFICULT, LIVE, site.next_run())
    assert (plan.blockers, plan.overwrites) == ([], False)
    assert set(plan.copies) == {*DIFFICULT, "mrn_seq"}
    assert any(f"+ {LIVE}.audit_log_restored_" in line for line in plan.lines())
    site.beside(plan)
    swapped = site.put_beside(plan)
    assert swapped.copies == plan.copies
    assert "trigger cases_check_room" in swapped.left_out
    assert "foreign key fk_case_patient of cases to patients" in swapped.left_out
    site.live_is(live)
    now = {table.name: table for table in site.everything(LIVE).tables}
    for table, copy in plan.copies.items():
        if table != "mrn_seq":
            assert (now[copy].rows, now[copy].fingerprint) == (now[table].rows, now[table].fingerprint), table
    # The copy draws from the copy of the sequence, and no write to it reaches a live table.
    audited = site.server.sql("SELECT COUNT(*) FROM audit_log", database=LIVE)
    site.server.sql(f"INSERT INTO {plan.copies['numbered']} (note) VALUES ('x')", database=LIVE)
    site.server.sql(f"UPDATE {plan.copies['cases']} SET patient_id = 0, status = 'closed'", database=LIVE)
    assert site.server.sql("SELECT COUNT(*) FROM audit_log", database=LIVE) == audited
    assert site.everything(LIVE).tables[0].name  # still readable as a whole
    assert "mrn_seq`)" not in str(site.server.sql(f"SHOW CREATE TABLE {plan.copies['numbered']}", database=LIVE))
    site.live_is(live)
    site.drop_copies(plan.copies)


def test_a_table_that_is_not_there_is_refused_with_its_neighbours(site: Site) -> None:
    with pytest.raises(RequestRefused, match="no table 'case'") as refused:
        site.plan(["case"], LIVE, site.next_run())
    assert "cases" in refused.value.remedy


# Bytes -------------------------------------------------------------------------------------------------------


def test_a_small_table_is_read_without_the_rest_of_the_object(
    site: Site, aws: Aws, record_property: Callable[[str, object], None]
) -> None:
    passed = 0

    def count(block: bytes) -> None:
        nonlocal passed
        passed += len(block)

    port = urlsplit(aws.url).port
    assert port is not None
    with Gate(port) as gate:
        gate.observe = count
        vault = Vault(Aws(f"http://127.0.0.1:{gate.port}").s3, site.vault.policy)
        stored = site.stored(vault=vault)
        size = stored.stored.size
        site.server.sql("CREATE DATABASE surgicase_counted")
        for table in ("waiting", "specialties", "allergies"):
            before = passed
            text = b"".join(stored.sql_of([table]))
            assert f"INSERT INTO `{table}` VALUES".encode() in text
            # The settings' frame, and the table's: of a member of 4 MiB of SQL, however large the object is.
            assert passed - before < 3.1 * FRAME, table
        before = passed
        restored = restore(
            stored, site.endpoint, "surgicase_counted", site.policy, site.keyring, Reporter(), Cancellation(),
            tables=["waiting"],
        )  # fmt: skip
        read, excerpt = passed - before, restored.verified.excerpt
        assert excerpt is not None
        # Twice: once to authenticate it, once to load it. Headers of HTTP come on top.
        assert 2 * excerpt.bytes_read < read < 2 * excerpt.bytes_read + 20_000
        assert read < 6.2 * FRAME
        record_property("bytes read of the object", f"{read} of {size}")
        site.server.sql("DROP DATABASE surgicase_counted")
        before = passed
        assert sum(map(len, stored.ciphertext())) == size < passed - before
    assert size > BALLAST * 1_000_000


# Killed and tampered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["drop_definition", "drop_foreign_keys", "_rename", "point_sequences"])
def test_killed_at_any_point_nothing_live_has_changed_and_the_next_run_succeeds(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    live, tables = site.everything(LIVE), ["cases", "numbered"]
    plan = site.plan(tables, LIVE, site.next_run())
    site.beside(plan)
    real = getattr(copies, step)

    def killed(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copies, step, killed)
        with pytest.raises(KeyboardInterrupt):
            site.put_beside(plan)
    site.live_is(live)
    tidy(site.endpoint, LIVE, Reporter())
    site.live_is(live)
    assert leftovers(site.endpoint.connect(), LIVE, "incoming") == []
    there = {str(name) for (name,) in site.server.sql("SHOW TABLES", database=LIVE)}
    first = {table: name for table, name in plan.copies.items() if name in there}
    again = site.plan(tables, LIVE, site.next_run())
    site.beside(again)
    assert site.put_beside(again).copies == again.copies
    site.live_is(live)
    site.drop_copies(first)
    site.drop_copies(again.copies)


def test_a_run_that_has_put_its_tables_there_does_not_touch_them_again(site: Site) -> None:
    plan = site.plan(["waiting"], LIVE, site.next_run())
    site.beside(plan)
    site.put_beside(plan)
    site.beside(plan)
    with pytest.raises(RestoreRefused, match="this run has put its tables there before"):
        site.put_beside(plan)
    assert site.plan(["waiting"], LIVE, plan.place.run_at).blockers
    tidy(site.endpoint, LIVE, Reporter())
    site.drop_copies(plan.copies)


def test_a_damaged_frame_is_refused_before_a_statement_runs_and_only_if_it_is_needed(site: Site, aws: Aws) -> None:
    stored = site.stored()
    body = bytearray(b"".join(stored.ciphertext()))
    sidecar = stored.opened.sidecar.model_dump()
    key = stored.stored.key
    policy = site.vault.policy.model_copy(
        update={"bucket": aws.seed(bucket=f"tables-forged-{uuid.uuid4().hex[:8]}").bucket}
    )
    forged = Vault(aws.s3, policy)
    raw = aws.s3.get_object(Bucket=site.vault.bucket, Key=key + SIDECAR_SUFFIX)["Body"].read()
    for frame, expected in ((20, None), (1, FrameTampered)):  # of the ballast; of the settings
        damaged = bytearray(body)
        damaged[sidecar["header_length"] + (frame - 1) * FRAME + 1000] ^= 1
        for suffix, content in (("", bytes(damaged)), (SIDECAR_SUFFIX, raw)):
            aws.s3.put_object(
                Bucket=forged.bucket, Key=key + suffix, Body=content,
                ServerSideEncryption="aws:kms", SSEKMSKeyId=forged.policy.sse_key_id,
            )  # fmt: skip
        backup, target = site.stored(vault=forged), "surgicase_forged"
        site.server.sql(f"CREATE DATABASE {target}")
        arguments = (backup, site.endpoint, target, site.policy, site.keyring, Reporter(), Cancellation())
        if expected is None:
            restore(*arguments, tables=["waiting"])
            assert site.server.sql("SHOW TABLES", database=target) == [("waiting",)]
        else:
            with pytest.raises(expected):
                restore(*arguments, tables=["waiting"])
            assert site.server.sql("SHOW TABLES", database=target) == []
        site.server.sql(f"DROP DATABASE {target}")


def test_copies_on_mysql_lose_their_checks_too_whose_names_are_unique_in_a_schema(mysql_scratch: MySQL) -> None:
    mysql_scratch.sql(
        "SET GLOBAL log_bin_trust_function_creators = 1; CREATE DATABASE tables_live; CREATE DATABASE tables_incoming"
    )
    for database in ("tables_live", "tables_incoming"):
        mysql_scratch.sql(
            "SET foreign_key_checks = 0; CREATE TABLE own (id INT PRIMARY KEY);"
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, q INT, CONSTRAINT b FOREIGN KEY (p) REFERENCES parent (id),"
            " CONSTRAINT a FOREIGN KEY (q) REFERENCES own (id), CONSTRAINT c CHECK (q > 0), CHECK (id < 9));"
            "INSERT INTO own VALUES (1); INSERT INTO child VALUES (1, 1, 1);"
            "CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.q = 1",
            database=database,
        )
    endpoint = Endpoint(unix_socket=str(mysql_scratch.endpoint.socket), user="root")
    live = mysql_scratch.sql("SHOW CREATE TABLE tables_live.child")
    names = copy_names(["child", "own"], datetime(2026, 11, 2, tzinfo=UTC))
    done = put_beside(endpoint, "tables_live", "tables_incoming", names, Reporter(), Cancellation())
    assert done.left_out == [
        "trigger tr", "foreign key a of child to own", "foreign key b of child to parent",
        "check c of child", "check child_chk_1 of child",
    ]  # fmt: skip
    assert mysql_scratch.sql(f"SELECT * FROM tables_live.{names['child']}") == [(1, 1, 1)]
    assert mysql_scratch.sql("SHOW CREATE TABLE tables_live.child") == live
    assert mysql_scratch.sql("SHOW DATABASES LIKE 'tables%'") == [("tables_live",)]
    mysql_scratch.sql("DROP DATABASE tables_live")


@pytest.mark.parametrize("length", [30, 40, 41, 64])
def test_names_of_copies_fit_and_differ(length: int) -> None:
    first, second = "x" * (length - 1) + "a", "x" * (length - 1) + "b"
    names = copy_names([first, second, "short"], datetime(2026, 11, 2, tzinfo=UTC))
    assert names["short"] == "short_restored_20261102000000"
    assert len(set(names.values())) == 3
    assert max(map(len, names.values())) <= 64
