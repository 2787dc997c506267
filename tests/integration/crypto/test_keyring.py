from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from include.backup_engine.crypto.data_key import Keyring, WrappedKey
from include.backup_engine.errors import KeyRefused, KeyServiceDown, KeyUnavailable, WrongBackup
from tests.servers.processes import free_port

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

CONTEXT = {"purpose": "test", "backup-id": "1"}


@pytest.fixture
def new_arn(kms: KMSClient) -> str:
    """A key whose state a test may change."""
    return kms.create_key()["KeyMetadata"]["Arn"]


def test_round_trip(keyring: Keyring, key_arn: str) -> None:
    made = keyring.generate(key_arn, CONTEXT)
    assert len(made.plaintext) == 32
    assert [key.key_arn for key in made.wrapped] == [key_arn]
    assert keyring.last_request_id is not None
    unwrapped = keyring.unwrap(made.wrapped, CONTEXT, {key_arn})
    assert (unwrapped.plaintext, unwrapped.wrapped) == (made.plaintext, made.wrapped)
    assert keyring.generate(key_arn, CONTEXT).plaintext != made.plaintext


def test_every_way_to_name_a_key_leads_to_its_arn(keyring: Keyring, kms: KMSClient, key_arn: str) -> None:
    alias = f"alias/test-{uuid.uuid4().hex}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_arn)
    prefix, key_id = key_arn.split("key/")
    for name in (key_arn, key_id, alias, prefix + alias):
        assert keyring.resolve(name) == key_arn
        assert keyring.generate(name, CONTEXT).wrapped[0].key_arn == key_arn


@pytest.mark.parametrize("context", [{}, {"purpose": "test"}, CONTEXT | {"backup-id": "2"}, CONTEXT | {"more": "x"}])
def test_a_key_of_another_backup(keyring: Keyring, key_arn: str, context: dict[str, str]) -> None:
    made = keyring.generate(key_arn, CONTEXT)
    with pytest.raises(WrongBackup, match=key_arn):
        keyring.unwrap(made.wrapped, context, {key_arn})


def test_a_key_without_context_opens_only_without(keyring: Keyring, key_arn: str) -> None:
    made = keyring.generate(key_arn, {})
    assert keyring.unwrap(made.wrapped, {}, {key_arn}).plaintext == made.plaintext
    with pytest.raises(WrongBackup):
        keyring.unwrap(made.wrapped, CONTEXT, {key_arn})


def test_an_altered_blob(keyring: Keyring, key_arn: str) -> None:
    blob = bytearray(keyring.generate(key_arn, CONTEXT).wrapped[0].ciphertext)
    blob[-1] ^= 1
    with pytest.raises(WrongBackup):
        keyring.unwrap([WrappedKey(key_arn, bytes(blob))], CONTEXT, {key_arn})


@pytest.mark.parametrize("size", [0, 1, 50, 200, 6144, 6145, 60_000])
def test_a_blob_that_kms_has_not_made(keyring: Keyring, key_arn: str, size: int) -> None:
    with pytest.raises((WrongBackup, KeyRefused)):
        keyring.unwrap([WrappedKey(key_arn, b"x" * size)], CONTEXT, {key_arn})


def test_a_blob_that_holds_something_else(keyring: Keyring, kms: KMSClient, key_arn: str) -> None:
    for size in (1, 16, 33):
        blob = kms.encrypt(KeyId=key_arn, Plaintext=bytes(size), EncryptionContext=CONTEXT)["CiphertextBlob"]
        with pytest.raises(WrongBackup, match="not a data key"):
            keyring.unwrap([WrappedKey(key_arn, blob)], CONTEXT, {key_arn})


def test_only_allow_listed_keys_are_asked(keyring: Keyring, key_arn: str, other_arn: str) -> None:
    theirs = keyring.generate(other_arn, CONTEXT)
    keyring.last_request_id = None
    for allowed in ({key_arn}, set(), {other_arn.replace("key/", "alias/")}):
        with pytest.raises(KeyRefused, match=other_arn):
            keyring.unwrap(theirs.wrapped, CONTEXT, allowed)
    with pytest.raises(KeyRefused, match="no KMS key"):
        keyring.unwrap([], CONTEXT, {key_arn})
    assert keyring.last_request_id is None


def test_a_blob_that_claims_another_key(keyring: Keyring, key_arn: str, other_arn: str) -> None:
    """KMS itself would open it with the key named inside the blob, had we not pinned one."""
    blob = keyring.generate(other_arn, CONTEXT).wrapped[0].ciphertext
    with pytest.raises(KeyRefused, match="claims to be wrapped"):
        keyring.unwrap([WrappedKey(key_arn, blob)], CONTEXT, {key_arn})


def test_the_next_copy_is_tried(keyring: Keyring, kms: KMSClient, key_arn: str, new_arn: str) -> None:
    made = keyring.generate(new_arn, CONTEXT)
    copy = kms.re_encrypt(
        SourceKeyId=new_arn,
        CiphertextBlob=made.wrapped[0].ciphertext,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=key_arn,
        DestinationEncryptionContext=CONTEXT,
    )
    kms.disable_key(KeyId=new_arn)
    copies = [*made.wrapped, WrappedKey(key_arn, copy["CiphertextBlob"])]
    unwrapped = keyring.unwrap(copies, CONTEXT, {key_arn, new_arn})
    assert unwrapped.plaintext == made.plaintext
    assert unwrapped.wrapped == (copies[1],)
    with pytest.raises(WrongBackup):  # rather than KeyUnavailable of the first copy
        keyring.unwrap(copies, CONTEXT | {"backup-id": "2"}, {key_arn, new_arn})


def test_a_key_that_cannot_be_used_is_named_with_its_state(keyring: Keyring, kms: KMSClient, new_arn: str) -> None:
    made = keyring.generate(new_arn, CONTEXT)
    kms.disable_key(KeyId=new_arn)
    with pytest.raises(KeyUnavailable, match=f"{new_arn} is in state Disabled"):
        keyring.unwrap(made.wrapped, CONTEXT, {new_arn})
    with pytest.raises(KeyUnavailable, match=f"{new_arn} is in state Disabled"):
        keyring.generate(new_arn, CONTEXT)
    kms.enable_key(KeyId=new_arn)
    kms.schedule_key_deletion(KeyId=new_arn, PendingWindowInDays=7)
    with pytest.raises(KeyUnavailable, match=f"{new_arn} is in state PendingDeletion"):
        keyring.unwrap(made.wrapped, CONTEXT, {new_arn})


def test_a_key_that_does_not_exist(keyring: Keyring, key_arn: str) -> None:
    missing = key_arn.rsplit("/", 1)[0] + f"/{uuid.uuid4()}"
    for name in (missing, "alias/no-such-alias"):
        with pytest.raises(KeyUnavailable, match=f"{name} does not exist"):
            keyring.resolve(name)
        with pytest.raises(KeyUnavailable, match=f"{name} does not exist"):
            keyring.generate(name, CONTEXT)


def test_no_kms_there() -> None:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
    kms = boto3.client(
        "kms",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=config,
    )
    with pytest.raises(KeyServiceDown, match="EndpointConnectionError") as caught:
        Keyring(kms).generate("alias/x", CONTEXT)
    assert caught.value.retryable


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    kms = boto3.Session().client("kms", endpoint_url="http://127.0.0.1:9", region_name="us-east-1")
    with pytest.raises(KeyUnavailable, match="NoCredentialsError") as caught:
        Keyring(kms).generate("alias/x", CONTEXT)
    assert not caught.value.retryable
