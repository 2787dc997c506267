"""Restoring beside and swapping in, on a real server: what is where afterwards, and after every kind of failure."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from include.backup_engine import swap as swapping
from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import JOURNAL, before_database, incoming_database, leftovers, tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census, compare_with_snapshot
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError, Cancelled, RecoveryFailed, RestoreRefused
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Census, Chain
from include.backup_engine.report import Reporter
from include.backup_engine.restore import create_database, restore
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.swap import Swapped, swap
from tests.demo.stack import create_account
from tests.demo.surgicase import connector, generate
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

LIVE = "surgicase"


@dataclass
class Site:
    """A server with a live database that has moved on since its backup, and the account that recovers it."""

    server: MariaDB
    endpoint: Endpoint
    stored: StoredBackup
    policy: Policy
    keyring: Keyring
    hour: int = 0

    @property
    def census(self) -> Census:
        assert self.stored.facts is not None
        return self.stored.facts.census

    def beside(self, target: str = LIVE) -> tuple[str, str]:
        """Restore beside, proven; the names of the incoming and of the before database."""
        self.hour += 1
        run_at = datetime(2026, 11, 2, self.hour, tzinfo=UTC)
        incoming, before = incoming_database(target, run_at), before_database(target, run_at)
        create_database(self.endpoint, incoming, self.stored)
        restore(self.stored, self.endpoint, incoming, self.policy, self.keyring, Reporter(), Cancellation())
        found = compare_with_snapshot(self.census, self.endpoint, incoming, Reporter(), events_disabled=True)
        assert (found.findings, found.not_compared) == ([], [])
        return incoming, before

    def swap(self, incoming: str, before: str, target: str = LIVE) -> Swapped:
        return swap(self.endpoint, target, incoming, before, self.census, Reporter(), Cancellation(), overwrite=True)

    def everything(self, database: str) -> Census:
        """Definitions, rows and fingerprints of a database."""
        root = Endpoint(unix_socket=str(self.server.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, "mariadb", database))

    def differences(self, expected: Census, database: str) -> list[str]:
        return compare_census(expected, self.everything(database), events_disabled=False)[0]

    def statuses(self, database: str) -> dict[str, str | None]:
        return {item.name: item.status for item in self.everything(database).objects if item.kind == "event"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[Site]:
    with MariaDB(tmp_path_factory.mktemp("swap")) as server:
        generate(connector(str(server.endpoint.socket)), LIVE, 5)
        server.sql(
            "SET GLOBAL log_bin_trust_function_creators = 1;"
            "CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(mrn_seq) PRIMARY KEY, note TEXT);"
            "INSERT INTO numbered (note) VALUES ('a'), ('b');"
            "CREATE TABLE plain (id INT) ENGINE=MyISAM; INSERT INTO plain VALUES (1), (2)",
            database=LIVE,
        )
        create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
        server.sql(
            "ALTER USER recovery@'%' REQUIRE NONE;"
            # MariaDB shows a view differently while its definer may not read the tables.
            "GRANT SELECT, EXECUTE ON `surgicase\\_before\\_%`.* TO surgicase_app@'%'"
        )
        where = server.endpoint
        endpoint = Endpoint(host=where.host, port=where.port, user="recovery", password="recovery-secret")
        policy = Policy.model_validate(
            {
                "version": 1,
                "vault": {
                    "bucket": aws.seed(bucket=f"swap-{uuid.uuid4().hex[:12]}").bucket,
                    "region": aws.region,
                    "data_key_id": "alias/surgicase-backup",
                    "sse_key_id": "alias/surgicase-backup-sse",
                },
                "sources": {LIVE: {"conn_id": "unused", "database": LIVE}},
            }
        )
        keyring = Keyring(aws.kms)
        vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
        job = BackupJob(policy, LIVE, BackupName(datetime(2026, 11, 1, 2, tzinfo=UTC)), Chain(sequence=1))
        back_up(job, endpoint, keyring, vault, Reporter(), Cancellation())
        stored = open_stored(Catalog(vault).find(LIVE, "latest"), LIVE, policy, vault, keyring)
        yield Site(server, endpoint, stored, policy, keyring)


@pytest.fixture
def moved_on(site: Site) -> Iterator[Census]:
    """The live database after a bad day: rows lost, a table dropped, another one new, code changed."""
    site.server.sql(
        "SET foreign_key_checks = 0; DELETE FROM audit_log LIMIT 50;"
        "UPDATE hospitals SET name = CONCAT(name, ' (old)');"
        "DROP TABLE IF EXISTS alarm_events; CREATE OR REPLACE TABLE scratchpad (id INT PRIMARY KEY, t TEXT);"
        "INSERT INTO scratchpad VALUES (1, 'new since the backup');"
        "CREATE OR REPLACE DEFINER=surgicase_app@'%' TRIGGER scratchpad_check BEFORE INSERT ON scratchpad"
        " FOR EACH ROW SET NEW.t = UPPER(NEW.t);"
        "CREATE OR REPLACE VIEW v_new AS SELECT t FROM scratchpad;"
        "CREATE OR REPLACE VIEW v_urgent_cases AS SELECT id FROM cases;"
        "CREATE OR REPLACE FUNCTION open_cases_of(who BIGINT) RETURNS INT READS SQL DATA RETURN 0;"
        "CREATE OR REPLACE EVENT tomorrow ON SCHEDULE AT '2037-01-01 00:00:00' DO DELETE FROM scratchpad",
        database=LIVE,
    )
    yield site.everything(LIVE)


def test_an_overwrite_brings_back_the_backup_and_keeps_the_old_content(site: Site, moved_on: Census) -> None:
    assert site.differences(site.census, LIVE) != []
    site.server.sql(f"GRANT EXECUTE ON FUNCTION {LIVE}.open_cases_of TO recovery@'%'")
    incoming, before = site.beside()
    swapped = site.swap(incoming, before)
    assert site.differences(site.census, LIVE) == []
    assert site.differences(moved_on, before) == []
    assert swapped.before == before
    assert swapped.not_kept == []
    assert site.statuses(LIVE) == {"purge_sessions": "ENABLED", "monthly_rollup": "DISABLED", "one_shot": "ENABLED"}
    assert set(site.statuses(before).values()) == {"DISABLED"}
    assert swapped.events_enabled == ["one_shot", "purge_sessions"]
    recorded = {(item.kind, item.name): item.definer for item in site.census.objects}
    assert {(i.kind, i.name): i.definer for i in site.everything(LIVE).objects} == recorded
    # The moved tables draw from their own sequences.
    site.server.sql("INSERT INTO numbered (note) VALUES ('c')", database=LIVE)
    site.server.sql("INSERT INTO numbered (note) VALUES ('c')", database=before)
    grants = site.server.sql("SHOW GRANTS FOR recovery@'%'")
    assert any("FUNCTION" in line and "open_cases_of" in line for (line,) in grants)
    assert leftovers(site.endpoint.connect(), LIVE, "incoming") == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_p36_a_new_database_appears_complete_or_not_at_all(site: Site) -> None:
    target = "surgicase_restored"
    incoming, before = site.beside(target)
    swapped = site.swap(incoming, before, target)
    assert (swapped.before, swapped.events_enabled) == (None, [])
    assert site.differences(site.census, target) == []
    assert set(site.statuses(target).values()) == {"DISABLED"}
    assert site.server.sql("SHOW DATABASES LIKE 'surgicase\\_restored\\_%'") == []
    site.server.sql(f"DROP DATABASE {target}")


Fault = Callable[[pytest.MonkeyPatch, Site], Any]


def _killed(patch: pytest.MonkeyPatch, site: Site) -> None:
    """Another session holds a table; the connection is killed while the rename waits for it."""
    holder = site.server._connect(LIVE)
    holder.begin()
    holder.cursor().execute("SELECT * FROM hospitals LIMIT 1")

    def kill() -> None:
        for _ in range(400):
            waiting = site.server.sql("SELECT id FROM information_schema.processlist WHERE info LIKE 'RENAME TABLE%'")
            if waiting:
                site.server.sql(f"KILL {waiting[0][0]}")
                holder.close()
                return
            time.sleep(0.02)

    threading.Thread(target=kill).start()


def _no_privilege(patch: pytest.MonkeyPatch, site: Site) -> None:
    """The rename itself is refused."""
    real = swapping.drop_definition

    def revoke(connection: Any, database: str, item: Any) -> None:
        real(connection, database, item)
        raise RestoreRefused("injected after a trigger was dropped.", "-")

    patch.setattr(swapping, "drop_definition", revoke)


def _cancelled(patch: pytest.MonkeyPatch, site: Site) -> None:
    patch.setattr(Cancellation, "check", lambda self: (_ for _ in ()).throw(Cancelled("stop", "-")))


def _busy(patch: pytest.MonkeyPatch, site: Site) -> None:
    patch.setattr(swapping, "_LOCK_SECONDS", 1)
    holder = site.server._connect(LIVE)
    holder.begin()
    holder.cursor().execute("SELECT * FROM hospitals LIMIT 1")
    threading.Timer(4, holder.close).start()


def _disk_full(patch: pytest.MonkeyPatch, site: Site) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr(swapping, "write_down", full)


@pytest.mark.parametrize("fault", [_killed, _no_privilege, _cancelled, _busy, _disk_full])
def test_p36_a_failure_before_the_rename_leaves_the_target_as_it_was(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:
        fault(patch, site)
        with pytest.raises((BackupError, OSError)) as failure:
            site.swap(incoming, before)
    assert not isinstance(failure.value, RecoveryFailed), failure.value
    assert site.differences(moved_on, LIVE) == []
    assert leftovers(site.endpoint.connect(), LIVE, "before") == []
    tidy(site.endpoint, LIVE, Reporter())
    assert leftovers(site.endpoint.connect(), LIVE, "incoming") == []
    incoming, before = site.beside()
    site.swap(incoming, before)
    assert site.differences(site.census, LIVE) == []
    assert site.differences(moved_on, before) == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_a_process_killed_before_the_rename_is_undone_by_the_next_run(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:
        # What SIGKILL does: nothing after this point runs, not even the undoing.
        patch.setattr(swapping._Exchange, "_undo_or_tell", lambda *_: None)
        real = swapping.drop_definition

        def then_die(connection: Any, database: str, item: Any) -> None:
            real(connection, database, item)
            if database == LIVE:
                raise KeyboardInterrupt

        patch.setattr(swapping, "drop_definition", then_die)
        with pytest.raises(KeyboardInterrupt):
            site.swap(incoming, before)
    assert any("trigger" in line for line in site.differences(moved_on, LIVE))
    tidy(site.endpoint, LIVE, Reporter())
    assert site.differences(moved_on, LIVE) == []
    connection = site.endpoint.connect()
    assert leftovers(connection, LIVE, "before") + leftovers(connection, LIVE, "incoming") == []


def test_p36_a_failure_after_the_rename_says_what_is_where_and_the_next_run_goes_on(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:

        def lost(*_: object) -> None:
            raise RestoreRefused("injected after the rename.", "-")

        patch.setattr(swapping, "replace_definitions", lost)
        with pytest.raises(RecoveryFailed) as failure:
            site.swap(incoming, before)
    text = str(failure.value)
    assert "have been swapped" in text and before in text and "run disaster_recovery again" in text
    assert f"{JOURNAL}" in site.server.sql(f"SHOW TABLES FROM `{before}` LIKE '%journal'")[0]
    tidy(site.endpoint, LIVE, Reporter())
    assert site.differences(moved_on, before) == []
    again, second_before = site.beside()
    site.swap(again, second_before)
    assert site.differences(site.census, LIVE) == []
    site.server.sql(f"DROP DATABASE `{before}`; DROP DATABASE `{second_before}`")


def test_what_an_earlier_swap_has_put_aside_is_never_dropped(site: Site, moved_on: Census) -> None:
    incoming, before = site.beside()
    site.server.sql(f"CREATE DATABASE `{before}`; CREATE TABLE `{before}`.old (id INT)")
    with pytest.raises(RestoreRefused, match="exists: this run has swapped before"):
        site.swap(incoming, before)
    tidy(site.endpoint, LIVE, Reporter())
    assert site.server.sql(f"SHOW TABLES FROM `{before}`") == [("old",)]
    assert site.differences(moved_on, LIVE) == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_a_target_that_others_depend_on_is_refused(site: Site, moved_on: Census) -> None:
    site.server.sql(
        "CREATE DATABASE neighbour; CREATE TABLE neighbour.c (id BIGINT UNSIGNED, KEY (id));"
        f"CREATE TABLE {LIVE}.parent (id INT PRIMARY KEY);"
        f"CREATE TABLE neighbour.child (p INT, FOREIGN KEY (p) REFERENCES {LIVE}.parent (id))"
    )
    site.server.sql("GRANT SELECT, REFERENCES ON neighbour.* TO recovery@'%'")
    expected = site.everything(LIVE)
    incoming, before = site.beside()
    with pytest.raises(RestoreRefused, match="nobody approved"):
        swap(site.endpoint, LIVE, incoming, before, site.census, Reporter(), Cancellation(), overwrite=False)
    with pytest.raises(RestoreRefused, match=r"table neighbour\.child has a foreign key into it"):
        site.swap(incoming, before)
    assert site.differences(expected, LIVE) == []
    site.server.sql(f"DROP DATABASE neighbour; DROP TABLE {LIVE}.parent; REVOKE ALL ON neighbour.* FROM recovery@'%'")
    tidy(site.endpoint, LIVE, Reporter())
