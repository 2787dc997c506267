"""The hostile database overwritten from its backup, and one of its tables brought back alone, on every server.

By the account of include/sql/recovery_account.sql, step by step as the DAG and the command line take them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import PreflightError
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint, rows
from include.backup_engine.names import BackupName
from include.backup_engine.plan import Plan
from include.backup_engine.policy import Policy
from include.backup_engine.preflight import preflight
from include.backup_engine.records import Census, Chain
from include.backup_engine.recovery import Recovery, sound_request
from include.backup_engine.recovery_steps import compare_beside, plan_recovery, put_in_place, restore_beside
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.swap import Swapped
from tests.demo.stack import create_account
from tests.integration.mysql.conftest import Pair, root_of
from tests.integration.mysql.hostile_database import create, files_of
from tests.servers.database import Database
from tests.servers.localstack import Aws

LIVE = "mirror_live"
OVERWRITE = {"overwrite": True, "confirm": LIVE, "reason": "ticket 4711"}


@dataclass
class Site:
    """A server with the hostile database, its backup, and the account that recovers it."""

    server: Database
    pair: Pair
    endpoint: Endpoint
    policy: Policy
    keyring: Keyring
    vault: Vault
    hour: int = 0

    def everything(self, database: str = LIVE) -> Census:
        with closing(root_of(self.server).connect(database)) as root:
            return add_fingerprints([root], database, take_census(root, self.pair.flavour, database))

    def differences(self, expected: Census, database: str = LIVE) -> list[str]:
        return compare_census(expected, self.everything(database), events_disabled=False)[0]

    def run(self, *statements: str) -> None:
        """One by one: MySQL would keep the ";" between several in the text of a trigger."""
        with closing(root_of(self.server).connect(LIVE)) as connection:
            for statement in statements:
                rows(connection, statement)

    def plan(self, **asked: object) -> tuple[Recovery, StoredBackup, Plan]:
        self.hour += 1
        now = datetime(2026, 11, 2, self.hour, tzinfo=UTC)
        request = {"source": LIVE, "mode": "restore", "target_database": LIVE} | asked
        recovery = sound_request(request, self.policy, run_at=now, requested_at=now, requested_by="test")
        backup = open_stored(Catalog(self.vault).find(LIVE, "latest"), LIVE, self.policy, self.vault, self.keyring)
        plan = plan_recovery(
            recovery, backup, self.endpoint, self.policy, self.vault, self.keyring, Reporter()
        )  # fmt: skip
        return recovery, backup, plan

    def recover(self, **asked: object) -> tuple[Plan, Swapped]:
        recovery, backup, plan = self.plan(**asked)
        assert plan.blockers == []
        restore_beside(recovery, backup, self.endpoint, self.policy, self.keyring, Reporter(), Cancellation())
        comparison = compare_beside(recovery, plan, backup, self.endpoint, Reporter())
        assert comparison.equal, comparison.summary()
        swapped = put_in_place(recovery, plan, comparison, backup, self.endpoint, Reporter(), Cancellation())
        return plan, swapped


@pytest.fixture(scope="module")
def site(pair: Pair, aws: Aws) -> Iterator[Site]:
    server = pair.source
    server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    # test_matrix has copied the rows of 16 MB, and the objects of which there is one for each mode, unit, trait.
    create(root_of(server), LIVE, *files_of(pair.flavour), without="INSERT INTO `16 MB`", everything=False)
    server.sql("CREATE USER IF NOT EXISTS surgeon@'%' ACCOUNT LOCK")
    server.sql(f"GRANT SELECT, EXECUTE ON {LIVE}.* TO surgeon@'%'")
    server.sql("GRANT SELECT, EXECUTE ON `mirror\\_live\\_%`.* TO surgeon@'%'")
    server.sql("CREATE DEFINER = surgeon@'%' VIEW of_surgeon AS SELECT id FROM `16 MB`", database=LIVE)
    create_account(server, "recovery_account.sql", "recovery", "recovery-secret", database=LIVE)
    server.sql("ALTER USER recovery@'%' REQUIRE NONE")
    where = server.endpoint
    endpoint = Endpoint(host=where.host, port=where.port, user="recovery", password="recovery-secret")
    bucket = aws.seed(bucket=f"recovery-{uuid.uuid4().hex[:12]}")
    vault_policy = {
        "bucket": bucket.bucket, "region": aws.region, "data_key_id": bucket.data_key_arn,
        "sse_key_id": bucket.sse_key_arn,
    }  # fmt: skip
    source = {"conn_id": "unused", "database": LIVE}
    policy = Policy.model_validate({"version": 1, "vault": vault_policy, "sources": {LIVE: source}})
    keyring = Keyring(aws.kms)
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
    job = BackupJob(policy, LIVE, BackupName(datetime(2026, 11, 1, 2, tzinfo=UTC)), Chain(sequence=1))
    back_up(job, endpoint, keyring, vault, Reporter(), Cancellation())
    yield Site(server, pair, endpoint, policy, keyring, vault)
    server.sql("DROP USER recovery@'%'; DROP USER surgeon@'%'")
    for (name,) in server.sql("SHOW DATABASES LIKE 'mirror\\_live%'"):
        server.sql(f"DROP DATABASE {name}")


def test_p36_p39_an_overwrite_brings_the_hostile_database_back_and_keeps_the_old_content(site: Site) -> None:
    expected = site.everything()
    site.run(
        "DELETE FROM texts WHERE id > 2",
        "DROP TABLE bytes",
        "CREATE TABLE scratchpad (id INT PRIMARY KEY)",
        "CREATE TRIGGER noisy BEFORE INSERT ON scratchpad FOR EACH ROW SET NEW.id = NEW.id + 1",
        "DROP VIEW checked",
        "CREATE VIEW checked AS SELECT 1 AS one",
        "DROP FUNCTION `same.name`",
        "CREATE EVENT late ON SCHEDULE EVERY 1 DAY DO DELETE FROM scratchpad",
        *([f"ALTER DATABASE {LIVE} COMMENT 'moved on'"] if site.pair.flavour == "mariadb" else []),
    )
    moved_on = site.everything()
    assert site.differences(expected) != []
    plan, swapped = site.recover(**OVERWRITE)
    assert plan.overwrites
    assert site.differences(expected) == []
    assert swapped.before is not None
    assert swapped.not_kept == []
    enabled = [item.name for item in expected.objects if item.status == "ENABLED"]
    assert sorted(swapped.events_enabled) == sorted(enabled)
    old = [line for line in site.differences(moved_on, swapped.before) if "is disabled in the copy" not in line]
    assert [line for line in old if not line.startswith("event ")] == []
    owners = {(item.kind, item.name): item.definer for item in site.everything().objects}
    assert owners["view", "of_surgeon"] == "surgeon@%"
    site.server.sql(f"DROP DATABASE {swapped.before}")


@pytest.mark.servers("mysql")
def test_p39_without_system_user_the_plan_names_the_code_that_cannot_be_moved(site: Site) -> None:
    site.server.sql("REVOKE SYSTEM_USER ON *.* FROM recovery@'%'; GRANT SELECT ON mysql.global_grants TO recovery@'%'")
    try:
        _, _, plan = site.plan(**OVERWRITE)
        assert any("event every day belongs to root@localhost" in line for line in plan.blockers)
        assert all("GRANT SYSTEM_USER ON *.*" in line for line in plan.blockers)
    finally:
        site.server.sql("GRANT SYSTEM_USER ON *.* TO recovery@'%'")


def test_p39_the_documented_account_recovers_one_table_beside_the_live_one(site: Site) -> None:
    live = {table.name: table for table in site.everything().tables}
    table = "every attribute"
    plan, swapped = site.recover(tables=[table, "a`b.c`; DROP TABLE x; -- ❤", "16 MB", "child"])
    assert swapped.copies == plan.copies
    now = {each.name: each for each in site.everything().tables}
    for name, copy in plan.copies.items():
        assert (now[copy].rows, now[copy].fingerprint) == (live[name].rows, live[name].fingerprint)
    assert {name: now[name] for name in live} == live
    assert now.keys() - live.keys() == set(plan.copies.values())


@pytest.mark.servers("mysql")
def test_a_view_that_holds_text_of_another_character_set_is_made_anew_or_named(site: Site) -> None:
    """MySQL shows such a literal as its bytes, which are no UTF-8."""
    site.server.sql(
        "CREATE VIEW latin AS SELECT _latin1 x'e9275c0a00' AS a, _latin1 'x' AS b, _utf8mb4 'é' AS `_latin1 'c`",
        database=LIVE,
    )
    value = site.server.sql("SELECT HEX(a) FROM latin", database=LIVE)
    expected = site.everything()
    back_up(
        BackupJob(site.policy, LIVE, BackupName(datetime(2026, 11, 1, 3, tzinfo=UTC)), Chain(sequence=2)),
        site.endpoint, site.keyring, site.vault, Reporter(), Cancellation(),
    )  # fmt: skip
    check = partial(preflight, LIVE, site.policy, site.endpoint, site.vault, site.keyring, site.keyring, Reporter())
    check()
    site.server.sql("DROP VIEW latin; CREATE VIEW latin AS SELECT 1 AS one", database=LIVE)
    site.recover(**OVERWRITE)
    assert site.differences(expected) == []
    assert site.server.sql("SELECT HEX(a) FROM latin", database=LIVE) == value == [("E9275C0A00",)]
    # Where a second byte may look like a quote, it is refused before anything is touched.
    site.server.sql("CREATE VIEW misleading AS SELECT _gbk x'815c' AS a", database=LIVE)
    check()
    expected = site.everything()
    with pytest.raises(PreflightError, match="view misleading holds text of a character set"):
        site.recover(**OVERWRITE)
    tidy(site.endpoint, LIVE, Reporter())
    assert site.differences(expected) == []
    site.server.sql("DROP VIEW misleading", database=LIVE)
