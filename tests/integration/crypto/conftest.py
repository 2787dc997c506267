from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.envelope import OpenBackup, open_backup
from include.backup_engine.crypto.message import MAX_HEADER_BYTES
from include.backup_engine.names import BackupName
from tests.integration.crypto.backups import ORIGINALS_FIELDS, Count, Open, Stored, store_v1, store_v2
from tests.servers.localstack import Aws
from tests.unit.crypto.examples import NAME, SOURCE

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@pytest.fixture(scope="session")
def kms(aws: Aws) -> KMSClient:
    return aws.kms


@pytest.fixture(scope="session")
def key_arn(kms: KMSClient) -> str:
    """The KMS key that readers allow."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture(scope="session")
def other_arn(kms: KMSClient) -> str:
    """A KMS key that the same role can use, but that is not on the readers' allow-list."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def keyring(kms: KMSClient) -> Keyring:
    return Keyring(kms)


@pytest.fixture
def opened(keyring: Keyring, key_arn: str) -> Open:
    """Opens as a reader does that was asked for ``name``."""

    def opened(stored: Stored, name: BackupName = NAME, source: str = SOURCE, allowed: str = key_arn) -> OpenBackup:
        head = stored.message[:MAX_HEADER_BYTES]
        return open_backup(stored.sidecar, head, source=source, name=name, keyring=keyring, allowed_arns={allowed})

    return opened


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    def count(cases: int) -> None:
        record_property("tamper_cases_refused", cases)
        print(f"tamper cases refused: {cases}")

    return count


@pytest.fixture
def v2(keyring: Keyring, key_arn: str) -> Stored:
    return store_v2(keyring, key_arn)[0]


@pytest.fixture
def v1(keyring: Keyring, key_arn: str) -> Stored:
    return store_v1(keyring, key_arn)[0]


@pytest.fixture
def original(v1: Stored) -> Stored:
    """A backup that the original system made: its fields only, no MAC."""
    document = json.loads(v1.sidecar)
    return Stored(json.dumps({field: document[field] for field in ORIGINALS_FIELDS}).encode(), v1.message)
