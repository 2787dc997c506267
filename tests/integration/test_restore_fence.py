"""Where a restore refuses to go, and whose code it makes its own, on a real server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import RestoreRefused
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.restore import create_database, restore
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from tests.faults.gate import Gate
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

FRONT = "mirror_front"
CODE = """
CREATE TABLE wards (id INT PRIMARY KEY, name VARCHAR(40));
INSERT INTO wards VALUES (1, 'A'), (2, 'B');
CREATE DEFINER = ghost@'10.0.0.%' FUNCTION wards_with(letter CHAR(1)) RETURNS INT READS SQL DATA
  RETURN (SELECT COUNT(*) FROM wards WHERE name = letter);
CREATE DEFINER = ghost@'10.0.0.%' SQL SECURITY INVOKER VIEW names AS SELECT name FROM wards
"""


@pytest.fixture
def root(mariadb_source: MariaDB) -> Iterator[Endpoint]:
    """Enters by the socket; `mover` enters by TCP and may do as much."""
    mariadb_source.sql(
        "SET GLOBAL log_bin_trust_function_creators = 1;"
        f"CREATE DATABASE {FRONT}; CREATE USER mover@'%' IDENTIFIED BY 'm'; GRANT ALL ON *.* TO mover@'%'"
    )
    mariadb_source.sql(CODE, database=FRONT)
    yield Endpoint(user="root", unix_socket=str(mariadb_source.endpoint.socket))
    for (name,) in mariadb_source.sql("SHOW DATABASES LIKE 'mirror\\_%'"):
        mariadb_source.sql(f"DROP DATABASE {name}")
    mariadb_source.sql("DROP USER mover@'%'")


@pytest.fixture
def policy(aws: Aws) -> Policy:
    vault = aws.seed(bucket=f"fence-{uuid.uuid4().hex[:12]}")
    document = {
        "version": 1,
        "vault": {
            "bucket": vault.bucket, "region": aws.region, "data_key_id": vault.data_key_arn,
            "sse_key_id": vault.sse_key_arn,
        },
        "sources": {"front": {"conn_id": "unused", "database": FRONT}},
    }  # fmt: skip
    return Policy.model_validate(document)


@pytest.fixture
def stored(root: Endpoint, policy: Policy, aws: Aws) -> StoredBackup:
    """A backup of the database, whose source lives on."""
    keyring = Keyring(aws.kms)
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
    job = BackupJob(policy, "front", BackupName(datetime(2026, 1, 2, tzinfo=UTC)), Chain(sequence=1))
    back_up(job, root, keyring, vault, Reporter(), Cancellation())
    return open_stored(Catalog(vault).find("front", "latest"), "front", policy, vault, keyring)


def test_p08_the_source_is_known_by_every_way_to_it(
    root: Endpoint, stored: StoredBackup, mariadb_source: MariaDB
) -> None:
    port = mariadb_source.endpoint.port
    with Gate(port) as gate:
        for way in (
            root,
            Endpoint(user="mover", password="m", host="127.0.0.1", port=port),
            Endpoint(user="mover", password="m", host="localhost", port=port),
            Endpoint(user="mover", password="m", host="127.0.0.1", port=gate.port),
        ):
            with pytest.raises(RestoreRefused, match=f"{FRONT} on this server is the source"):
                create_database(way, FRONT, stored)
    assert mariadb_source.sql(f"SELECT COUNT(*) FROM {FRONT}.wards") == [(2,)]


def test_the_source_is_refused_even_when_it_is_gone(
    root: Endpoint, stored: StoredBackup, mariadb_source: MariaDB
) -> None:
    mariadb_source.sql(f"DROP DATABASE {FRONT}")
    with pytest.raises(RestoreRefused, match="is the source"):
        create_database(root, FRONT, stored)
    assert mariadb_source.sql(f"SHOW DATABASES LIKE '{FRONT}'") == []


def test_p06_code_of_an_account_that_does_not_exist_belongs_to_who_restores(
    root: Endpoint, stored: StoredBackup, policy: Policy, aws: Aws, mariadb_source: MariaDB
) -> None:
    create_database(root, "mirror_copy", stored)
    restored = restore(
        stored, root, "mirror_copy", policy, Keyring(aws.kms), Reporter(), Cancellation(), events="disable"
    )
    assert restored.definers_mapped == 2
    assert mariadb_source.sql("SELECT mirror_copy.wards_with('A'), COUNT(*) FROM mirror_copy.names") == [(1, 2)]
    owners = mariadb_source.sql(
        "SELECT definer FROM information_schema.routines WHERE routine_schema = 'mirror_copy'"
        " UNION SELECT definer FROM information_schema.views WHERE table_schema = 'mirror_copy'"
    )
    assert owners == [("root@localhost",)]
