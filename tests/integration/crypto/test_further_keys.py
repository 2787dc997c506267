"""Backups that open with KMS keys of several regions and accounts, and what happens when one of them is lost."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.envelope import OpenBackup, open_backup
from include.backup_engine.crypto.message import MAX_HEADER_BYTES
from include.backup_engine.crypto.sidecar import encode, seal
from include.backup_engine.errors import (
    CommitmentMismatch,
    KeyRefused,
    KeyServiceDown,
    KeyUnavailable,
    SidecarTampered,
    WrongBackup,
)
from include.backup_engine.keys import allowed_data_keys
from include.backup_engine.policy import VaultPolicy
from tests.integration.crypto.backups import PLAINTEXT, Stored
from tests.servers.localstack import Aws
from tests.servers.processes import free_port
from tests.unit.crypto.examples import CONTEXT, NAME, SOURCE, make_v2

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

OTHER_REGION, OTHER_ACCOUNT = "eu-west-1", "222233334444"


def client(aws: Aws, region: str, account: str = "test", url: str | None = None) -> KMSClient:
    """LocalStack takes an access key id of twelve digits for an account."""
    session = boto3.Session(account, "test", region_name=region)
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    return session.client("kms", endpoint_url=url or aws.url, config=config)


@pytest.fixture
def abroad(aws: Aws) -> str:
    """A key of another region, whose state a test may change."""
    return client(aws, OTHER_REGION).create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def foreign(aws: Aws) -> str:
    """A key of another account."""
    return client(aws, aws.region, OTHER_ACCOUNT).create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def here(kms: KMSClient) -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def keyring(aws: Aws, kms: KMSClient) -> Keyring:
    return Keyring(kms, lambda region: client(aws, region))


def store(keyring: Keyring, first: str, *further: str) -> Stored:
    with keyring.generate(first, CONTEXT) as key:
        key.wrapped += tuple(keyring.wrap(key, arn, CONTEXT) for arn in further)
        message, sidecar = make_v2(PLAINTEXT, key)
        return Stored(seal(sidecar, key), message)


def opened(stored: Stored, keyring: Keyring, *allowed: str) -> OpenBackup:
    head = stored.message[:MAX_HEADER_BYTES]
    backup = open_backup(stored.sidecar, head, source=SOURCE, name=NAME, keyring=keyring, allowed_arns=allowed)
    assert b"".join(backup.plaintext([stored.message])) == PLAINTEXT
    return backup


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_each_key_opens_it_alone(aws: Aws, keyring: Keyring, here: str, abroad: str, foreign: str) -> None:
    stored = store(keyring, here, abroad, foreign)
    assert [key["key_arn"] for key in json.loads(stored.sidecar)["encrypted_data_keys"]] == [here, abroad, foreign]
    for arn in (here, abroad, foreign):
        assert opened(stored, keyring, arn).opened_with.key_arn == arn
    assert opened(stored, keyring, abroad, here).opened_with.key_arn == abroad  # in the order of the list
    there = Keyring(client(aws, OTHER_REGION), lambda region: client(aws, region))  # a reader in the other region
    assert opened(stored, there, abroad, here).opened_with.key_arn == abroad
    assert opened(stored, there, here).opened_with.key_arn == here
    guest = Keyring(client(aws, aws.region, OTHER_ACCOUNT))  # and one in the other account
    assert opened(stored, guest, foreign, here).opened_with.key_arn == foreign


@pytest.mark.parametrize("loss", ["disabled", "pending deletion"])
def test_the_first_key_is_lost(
    keyring: Keyring, kms: KMSClient, here: str, abroad: str, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = store(keyring, here, abroad)
    if loss == "disabled":
        kms.disable_key(KeyId=here)
    else:
        kms.schedule_key_deletion(KeyId=here, PendingWindowInDays=7)
    for _ in range(3):
        assert opened(stored, keyring, here, abroad).opened_with.key_arn == abroad
    [told] = warnings(caplog)  # once, not for every backup
    assert f"{here} is in state" in told


def test_the_first_region_does_not_answer(
    aws: Aws, keyring: Keyring, here: str, abroad: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = store(keyring, here, abroad)
    dead = client(aws, aws.region, url=f"http://127.0.0.1:{free_port()}")
    reader = Keyring(dead, lambda region: client(aws, region))
    policy = VaultPolicy(
        bucket="b-1", region=aws.region, data_key_id="alias/ours", sse_key_id="alias/x", further_data_key_ids=[abroad]
    )
    for _ in range(2):
        assert allowed_data_keys(policy, reader) == [abroad]  # an alias is looked up in the region that is down
    assert opened(stored, reader, here, *allowed_data_keys(policy, reader)).opened_with.key_arn == abroad
    assert [told.split(" (")[0] for told in warnings(caplog)] == [
        "KMS cannot be reached for kms:DescribeKey on alias/ours",
        f"KMS cannot be reached for kms:Decrypt on {here}",
    ]
    lonely = policy.model_copy(update={"further_data_key_ids": []})
    with pytest.raises(KeyServiceDown):
        allowed_data_keys(lonely, reader)


def test_when_no_key_opens_each_is_named_with_its_reason(
    aws: Aws, keyring: Keyring, kms: KMSClient, here: str, abroad: str
) -> None:
    stored = store(keyring, here, abroad)
    kms.disable_key(KeyId=here)
    client(aws, OTHER_REGION).schedule_key_deletion(KeyId=abroad, PendingWindowInDays=7)
    with pytest.raises(KeyUnavailable) as caught:
        opened(stored, keyring, here, abroad)
    assert f"{here} is in state Disabled" in caught.value.cause
    assert f"{abroad} is in state PendingDeletion" in caught.value.cause
    assert not caught.value.retryable
    nowhere = f"http://127.0.0.1:{free_port()}"
    half = Keyring(kms, lambda region: client(aws, region, url=nowhere))
    with pytest.raises(KeyServiceDown, match=r"is in state Disabled.*cannot be reached"):  # may be over in a minute
        opened(stored, half, here, abroad)


def test_a_copy_that_somebody_else_has_put_there_is_refused(
    keyring: Keyring, kms: KMSClient, here: str, abroad: str, other_arn: str
) -> None:
    """By someone who writes the bucket and may use the right KMS keys, but has not the data key."""
    stored = store(keyring, here)
    genuine = json.loads(stored.sidecar)["encrypted_data_keys"]
    with keyring.generate(abroad, CONTEXT) as theirs:
        smuggled = {"provider": "aws-kms", "key_arn": abroad, "ciphertext": encode(theirs.wrapped[0].ciphertext)}
    forged = stored.edited(encrypted_data_keys=[*genuine, smuggled])
    with pytest.raises(SidecarTampered):
        opened(forged, keyring, here, abroad)  # our copy opens, and then shows that the sidecar is not ours
    with pytest.raises(CommitmentMismatch):
        opened(forged, keyring, abroad, here)
    kms.disable_key(KeyId=here)
    with pytest.raises(CommitmentMismatch):
        opened(forged, keyring, here, abroad)
    garbage = stored.edited(encrypted_data_keys=[*genuine, smuggled | {"ciphertext": encode(b"x" * 180)}])
    with pytest.raises((WrongBackup, KeyRefused)):
        opened(garbage, keyring, here, abroad)
