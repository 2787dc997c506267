"""Downloads: ranges, pinned versions, cut connections; and small objects, written once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from include.backup_engine.errors import BackupExists, BackupMissing, StoredCopyDiffers, StoreError, StoreRefused
from include.backup_engine.policy import ObjectLock
from include.backup_engine.store import download
from include.backup_engine.store.s3 import Vault
from tests.integration.store.clients import MIB
from tests.integration.store.wire import Wire
from tests.servers.localstack import Aws

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

KEY = "private/db_backups/surgicase/db_backup_20260102_030405.sql.gz.encrypted"
DATA = os.urandom(12 * MIB + 12345)


@pytest.fixture
def stored(vault: Vault) -> Vault:
    vault.upload(KEY, [DATA])
    return vault


# Streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, None),
        (0, 1),
        (0, len(DATA)),
        (1, None),
        (8 * MIB - 1, 2),
        (8 * MIB, MIB),
        (len(DATA) - 1, 1),
        (len(DATA) - 1, None),
        (777, 3 * MIB + 1),
        (5, 0),
    ],
)
def test_ranges(stored: Vault, offset: int, length: int | None) -> None:
    pieces = list(stored.read(KEY, offset=offset, length=length))
    assert b"".join(pieces) == DATA[offset : None if length is None else offset + length]
    assert all(0 < len(piece) <= MIB for piece in pieces)


@pytest.mark.parametrize(("offset", "length"), [(0, len(DATA) + 1), (len(DATA), None), (len(DATA) - 1, 2), (10**9, 1)])
def test_a_range_beyond_the_end_is_an_error_before_any_byte(stored: Vault, offset: int, length: int | None) -> None:
    with pytest.raises(StoredCopyDiffers):
        next(stored.read(KEY, offset=offset, length=length))


def test_an_early_end_of_reading_lets_the_connection_go(stored: Vault) -> None:
    for _ in range(30):  # more than the client has connections
        reader = stored.read(KEY)
        next(reader)
        del reader
    assert stored.get(KEY, max_bytes=len(DATA)) == DATA


def test_what_is_missing_is_missing(stored: Vault) -> None:
    with pytest.raises(BackupMissing):
        next(stored.read(KEY + ".not"))
    with pytest.raises(BackupMissing):
        next(stored.read(KEY, version_id="AZm3x8uPqK3l2y1pYQZ1bFvJwq0m8a9T"))
    with pytest.raises(BackupMissing):
        stored.head(KEY + ".not")
    stored.bucket += "-missing"
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        next(stored.read(KEY))


def test_a_disabled_sse_key_is_refused(stored: Vault, kms: KMSClient, sse_key: str) -> None:
    kms.disable_key(KeyId=sse_key)
    with pytest.raises(StoreRefused, match=r"KMS\.DisabledException"):
        next(stored.read(KEY))


# Pinned ---------------------------------------------------------------------------------------------------


def test_a_named_version_is_read_though_the_key_was_overwritten_or_deleted(vault: Vault) -> None:
    first = vault.upload(KEY, [b"first"]).version_id
    vault.upload(KEY, [b"second"])
    vault.client.delete_object(Bucket=vault.bucket, Key=KEY)
    assert b"".join(vault.read(KEY, version_id=first)) == b"first"
    assert vault.head(KEY, first).size == len(b"first")
    with pytest.raises(BackupMissing):
        vault.head(KEY)


def test_a_stream_stays_with_its_version_across_a_cut(
    stored: Vault, make_vault: Callable[..., Vault], wire: Wire
) -> None:
    wire.cut_download_after, wire.cuts = 5 * MIB, 1
    reader = make_vault(endpoint=wire.endpoint).read(KEY)
    received = next(reader)
    stored.upload(KEY, [bytes(len(DATA))])
    assert received + b"".join(reader) == DATA
    assert wire.cuts == 0


def test_without_versions_an_overwritten_key_is_an_error_after_a_cut(
    aws: Aws, bucket: str, make_vault: Callable[..., Vault], wire: Wire
) -> None:
    aws.s3.create_bucket(Bucket=f"{bucket}-plain")
    vault = make_vault(endpoint=wire.endpoint, bucket=f"{bucket}-plain")
    vault.upload(KEY, [DATA])
    wire.cut_download_after, wire.cuts = 5 * MIB, 1
    reader = vault.read(KEY)
    next(reader)
    make_vault(bucket=vault.bucket).upload(KEY, [bytes(len(DATA))])
    with pytest.raises(StoredCopyDiffers, match="overwritten"):
        list(reader)


# Cut connections ------------------------------------------------------------------------------------------


def test_a_stream_is_resumed_where_it_was_cut(
    stored: Vault, make_vault: Callable[..., Vault], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    wire.cut_download_after, wire.cuts = 3 * MIB // 2, 100
    vault = make_vault(endpoint=wire.endpoint)
    assert b"".join(vault.read(KEY, offset=100, length=11 * MIB)) == DATA[100 : 100 + 11 * MIB]
    assert 100 - wire.cuts > download.RESUMPTIONS  # each after some progress


def test_a_line_that_always_breaks_is_given_up(
    stored: Vault, make_vault: Callable[..., Vault], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    wire.cut_download_after, wire.cuts = MIB // 2, 1000
    with pytest.raises(StoreError, match="at byte"):
        list(make_vault(endpoint=wire.endpoint).read(KEY))
    assert wire.cuts == 1000 - (1 + download.RESUMPTIONS)


# Small objects --------------------------------------------------------------------------------------------


def test_a_small_object_is_written_once_and_protected(make_vault: Callable[..., Vault], sse_key: str) -> None:
    vault = make_vault(object_lock=ObjectLock(mode="GOVERNANCE", days=2))
    stored = vault.put_once(KEY, b"{}", content_type="application/json")
    head = vault.head(KEY)
    assert (head.version_id, head.checksum, head.size) == (stored.version_id, stored.checksum, 2)
    assert (head.sse, head.sse_kms_key_id, head.bucket_key) == ("aws:kms", sse_key, True)
    assert head.lock_mode == "GOVERNANCE"
    with pytest.raises(BackupExists):
        vault.put_once(KEY, b"other", content_type="application/json")
    assert vault.fetch(KEY, max_bytes=2) == (b"{}", head.model_copy(update={"request_id": vault.last_request_id}))


def test_two_writers_have_one_winner(vault: Vault, make_vault: Callable[..., Vault]) -> None:
    def write(number: int) -> bool:
        try:
            make_vault().put_once(KEY, b"%d" % number, content_type="text/plain")
        except BackupExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert vault.get(KEY, max_bytes=1) == b"%d" % won.index(True)


def test_a_lost_answer_to_the_write_is_not_somebody_elses_object(
    vault: Vault, make_vault: Callable[..., Vault], wire: Wire
) -> None:
    wire.cut_answer_to = f"PUT /{vault.bucket}/{KEY}".encode()
    stored = make_vault(endpoint=wire.endpoint).put_once(KEY, b"{}", content_type="application/json")
    assert wire.cut_answer_to is None  # it was cut
    assert stored.version_id == vault.head(KEY).version_id


def test_a_lost_answer_does_not_make_somebody_elses_object_ours(
    vault: Vault, make_vault: Callable[..., Vault], wire: Wire
) -> None:
    vault.put_once(KEY, b"theirs", content_type="text/plain")
    wire.cut_answer_to = f"PUT /{vault.bucket}/{KEY}".encode()
    with pytest.raises(BackupExists):
        make_vault(endpoint=wire.endpoint).put_once(KEY, b"ours", content_type="text/plain")


def test_a_lost_answer_that_a_role_cannot_clear_up_is_worth_a_retry(
    vault: Vault, make_vault: Callable[..., Vault], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: object) -> None:  # the server at hand denies nobody anything
        raise ClientError({"Error": {"Code": "403"}}, "HeadObject")

    writer = make_vault(endpoint=wire.endpoint)
    monkeypatch.setattr(writer.client, "head_object", denied)
    wire.cut_answer_to = f"PUT /{vault.bucket}/{KEY}".encode()
    with pytest.raises(StoreError, match="cannot see"):
        writer.put_once(KEY, b"{}", content_type="application/json")
    assert vault.get(KEY, max_bytes=2) == b"{}"


def test_damage_on_the_way_is_rejected_by_s3(vault: Vault, make_vault: Callable[..., Vault], wire: Wire) -> None:
    wire.replace = (b"DAMAGE-ME", b"damage-me")
    with pytest.raises(StoreError, match=r"BadDigest|XAmzContentSHA256Mismatch"):
        make_vault(endpoint=wire.endpoint).put_once(KEY, b"DAMAGE-ME", content_type="text/plain")
    assert list(vault.list("")) == []


def test_damage_on_the_way_back_is_seen(vault: Vault, make_vault: Callable[..., Vault], wire: Wire) -> None:
    vault.put_once(KEY, b"DAMAGE-ME", content_type="text/plain")
    wire.replace_answer = (b"DAMAGE-ME", b"damage-me")
    with pytest.raises(StoredCopyDiffers, match="checksum"):
        make_vault(endpoint=wire.endpoint).get(KEY, max_bytes=100)


def test_an_object_that_is_too_large_is_not_taken(vault: Vault) -> None:
    vault.put_once(KEY, b"12345", content_type="text/plain")
    assert vault.get(KEY, max_bytes=5) == b"12345"
    with pytest.raises(StoredCopyDiffers, match="larger"):
        vault.get(KEY, max_bytes=4)


def test_the_last_request_id_is_that_of_the_store(vault: Vault) -> None:
    assert vault.last_request_id is None
    stored = vault.put_once(KEY, b"{}", content_type="application/json")
    assert vault.last_request_id == stored.request_id
    with pytest.raises(BackupMissing) as caught:
        vault.head("missing")
    assert str(vault.last_request_id) in caught.value.cause


def test_a_locked_object_cannot_be_removed(make_vault: Callable[..., Vault]) -> None:
    vault = make_vault(object_lock=ObjectLock(mode="COMPLIANCE", days=1))
    version = vault.put_once(KEY, b"{}", content_type="application/json").version_id
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.client.delete_object(Bucket=vault.bucket, Key=KEY, VersionId=str(version), BypassGovernanceRetention=True)
