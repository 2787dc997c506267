"""Small backups, made as every night, under the keys that a test asks for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

import boto3

from include.backup_engine import evidence
from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.preflight import link_to_previous
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.verify import verify
from tests.servers.database import Database
from tests.servers.localstack import Aws

DATABASE = "keyed"
FIRST_NIGHT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OTHER_REGION, OTHER_ACCOUNT = "eu-west-1", "222233334444"
EVERY_SERVER = {"mariadb": "mariadb_source", "mariadb-11": "mariadb_11", "mysql": "mysql_source"}
SCHEMA = f"""
DROP DATABASE IF EXISTS {DATABASE};
CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE TABLE {DATABASE}.patients (id int PRIMARY KEY, name varchar(40));
INSERT INTO {DATABASE}.patients VALUES (1, 'Zoë'), (2, 'O''Neil')
"""


def kms_client(aws: Aws, region: str, account: str = "test") -> Any:
    """LocalStack takes an access key id of twelve digits for an account."""
    return boto3.Session(account, "test", region_name=region).client("kms", endpoint_url=aws.url)


@dataclass
class Site:
    """A database, a bucket, and the policy and roles that back it up."""

    aws: Aws
    server: Database
    document: dict[str, Any]
    nights: int = 0

    @classmethod
    def new(cls, aws: Aws, server: Database, **vault: Any) -> Self:
        """In a bucket of its own, under keys of its own unless they are given."""
        server.sql(SCHEMA)
        bucket = aws.seed(bucket=f"keyed-{uuid.uuid4().hex[:12]}", object_lock=True)
        keys = {"data_key_id": cls.key(aws), "sse_key_id": bucket.sse_key_arn}
        return cls(
            aws,
            server,
            {
                "version": 1,
                "vault": {"bucket": bucket.bucket, "region": aws.region} | keys | vault,
                "sources": {"clinic": {"conn_id": "clinic_mysql", "database": DATABASE}},
            },
        )

    @staticmethod
    def key(aws: Aws, region: str | None = None, account: str = "test") -> str:
        """A new KMS key, whose state a test may change."""
        return str(kms_client(aws, region or aws.region, account).create_key()["KeyMetadata"]["Arn"])

    def policy(self, **vault: Any) -> Policy:
        return Policy.model_validate(self.document | {"vault": self.document["vault"] | vault})

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.aws.kms, partial(kms_client, self.aws))

    @property
    def vault(self) -> Vault:
        return Vault(self.aws.s3, with_sse_key_arn(self.policy().vault, self.keyring))

    @property
    def root(self) -> Endpoint:
        return Endpoint(user="root", unix_socket=str(self.server.endpoint.socket))

    def job(self, policy: Policy) -> BackupJob:
        """The next night's."""
        self.nights += 1
        name = BackupName(FIRST_NIGHT + timedelta(days=self.nights))
        return BackupJob(policy, "clinic", name, link_to_previous("clinic", self.vault))

    def back_up(self, format: str = "v2", reporter: Reporter | None = None, **vault: Any) -> str:
        """Make the next night's backup; returns its name."""
        policy = self.policy(**vault)
        source = policy.source("clinic").model_copy(update={"format": format})
        job = self.job(policy.model_copy(update={"sources": {"clinic": source}}))
        back_up(job, self.root, self.keyring, self.vault, reporter or Reporter(), Cancellation())
        return job.name.stem

    def entry(self, name: str = "latest") -> Entry:
        return Catalog(self.vault).find("clinic", name)

    def opened(self, name: str, *allowed: str) -> StoredBackup:
        """As a reader opens it that accepts these keys, those of the policy when none is named."""
        policy = self.policy(**({"allowed_data_keys": list(allowed)} if allowed else {}))
        return open_stored(self.entry(name), "clinic", policy, self.vault, self.keyring)

    def verify(self, name: str, *allowed: str) -> None:
        """Read all of it back."""
        verify(self.opened(name, *allowed), self.policy(), self.keyring, Reporter())

    def records(self, kind: str) -> list[evidence.EvidenceRecord]:
        return [record for record in evidence.checked(self.vault) if record.kind == kind]

    def lose(self, key_arn: str) -> None:
        """As far as KMS lets anyone: for a week it can be rescued, and used it cannot be."""
        region, account = key_arn.split(":")[3:5]
        kms_client(self.aws, region, account).schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=7)
