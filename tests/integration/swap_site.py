"""A live database that has a backup, and the account that recovers it: what restores beside and swaps in."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import before_database, incoming_database
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census, compare_with_snapshot
from include.backup_engine.crypto.data_key import Keyring
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
from tests.faults.bad_day import flavour_of
from tests.servers.database import Database
from tests.servers.localstack import Aws


@dataclass
class Site:
    """One of them.

    :ivar live: the database.
    """

    server: Database
    live: str
    endpoint: Endpoint
    stored: StoredBackup
    policy: Policy
    keyring: Keyring
    hour: int = 0

    @classmethod
    def new(cls, server: Database, live: str, aws: Aws) -> Self:
        """Back up a database that there is."""
        create_account(server, "recovery_account.sql", "recovery", "recovery-secret", database=live)
        server.sql("ALTER USER recovery@'%' REQUIRE NONE")
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
                "sources": {live: {"conn_id": "unused", "database": live}},
            }
        )
        keyring = Keyring(aws.kms)
        vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
        job = BackupJob(policy, live, BackupName(datetime(2026, 11, 1, 2, tzinfo=UTC)), Chain(sequence=1))
        back_up(job, endpoint, keyring, vault, Reporter(), Cancellation())
        stored = open_stored(Catalog(vault).find(live, "latest"), live, policy, vault, keyring)
        return cls(server, live, endpoint, stored, policy, keyring)

    @property
    def census(self) -> Census:
        assert self.stored.facts is not None
        return self.stored.facts.census

    def beside(self, target: str | None = None) -> tuple[str, str]:
        """Restore beside, proven; the names of the incoming and of the before database."""
        target = target or self.live
        self.hour += 1
        run_at = datetime(2026, 11, 2, self.hour, tzinfo=UTC)
        incoming, before = incoming_database(target, run_at), before_database(target, run_at)
        create_database(self.endpoint, incoming, self.stored)
        restore(self.stored, self.endpoint, incoming, self.policy, self.keyring, Reporter(), Cancellation())
        found = compare_with_snapshot(self.census, self.endpoint, incoming, Reporter(), events_disabled=True)
        assert (found.findings, found.not_compared) == ([], [])
        return incoming, before

    def swap(self, incoming: str, before: str, target: str | None = None) -> Swapped:
        target = target or self.live
        return swap(self.endpoint, target, incoming, before, self.census, Reporter(), Cancellation(), overwrite=True)

    def everything(self, database: str) -> Census:
        """Definitions, rows and fingerprints of a database."""
        root = Endpoint(unix_socket=str(self.server.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, flavour_of(self.server), database))

    def differences(self, expected: Census, database: str) -> list[str]:
        return compare_census(expected, self.everything(database), events_disabled=False)[0]

    def statuses(self, database: str) -> dict[str, str | None]:
        return {item.name: item.status for item in self.everything(database).objects if item.kind == "event"}
