"""Versions, locks, and deleting for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.backup_engine.errors import BackupMissing, StoreRefused
from include.backup_engine.store.s3 import Vault
from tests.servers.localstack import Aws

KEY = "private/db_backups/s/a"


def put(vault: Vault, key: str, body: bytes = b"x") -> str:
    return vault.client.put_object(Bucket=vault.bucket, Key=key, Body=body).get("VersionId", "null")


def test_versions_and_markers_the_current_one_last(vault: Vault) -> None:
    ids = [put(vault, KEY, bytes([number])) for number in range(3)]
    put(vault, "private/db_backups/t/a")
    marker = vault.client.delete_object(Bucket=vault.bucket, Key=KEY)["VersionId"]
    found = vault.versions(KEY)
    assert found[-1].version_id == marker
    assert {version.version_id for version in found[:-1]} == set(ids)
    assert [(version.latest, version.marker) for version in found] == [(False, False)] * 3 + [(True, True)]
    assert all(version.stored_at.tzinfo for version in found)


def test_more_versions_than_one_answer_holds(vault: Vault) -> None:
    ids = {put(vault, f"{KEY}{number}") for number in range(1002)}
    assert {version.version_id for version in vault.versions(KEY)} == ids


def test_a_deleted_version_is_gone_and_the_one_before_is_current(vault: Vault) -> None:
    old, new = put(vault, KEY, b"old"), put(vault, KEY, b"new")
    vault.delete_version(vault.versions(KEY)[-1])
    assert vault.get(KEY, max_bytes=9) == b"old"
    with pytest.raises(BackupMissing):
        vault.head(KEY, new)
    vault.delete_version(vault.versions(KEY)[-1])
    assert vault.versions(KEY) == ()
    with pytest.raises(BackupMissing):
        vault.head(KEY, old)


def test_a_bucket_without_versions_and_locks(aws: Aws, make_vault: Callable[..., Vault], bucket: str) -> None:
    aws.s3.create_bucket(Bucket=f"{bucket}-plain")
    vault = make_vault(bucket=f"{bucket}-plain")
    put(vault, KEY)
    [version] = vault.versions(KEY)
    assert version.version_id == "null"
    assert vault.lock(KEY) is None
    vault.delete_version(version)
    assert list(vault.list(KEY)) == []


def test_a_lock_in_words(vault: Vault) -> None:
    old, new = put(vault, KEY, b"old"), put(vault, KEY, b"new")
    assert vault.lock(KEY) is None
    until = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    vault.client.put_object_retention(
        Bucket=vault.bucket, Key=KEY, VersionId=old, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
    )
    assert vault.lock(KEY, old) == f"locked (COMPLIANCE) until {until:%Y-%m-%d %H:%M} UTC"
    assert vault.lock(KEY) is None
    vault.client.put_object_legal_hold(Bucket=vault.bucket, Key=KEY, LegalHold={"Status": "ON"})
    assert vault.lock(KEY, new) == "under legal hold"
    vault.client.put_object_legal_hold(Bucket=vault.bucket, Key=KEY, LegalHold={"Status": "OFF"})
    assert vault.lock(KEY) is None
    with pytest.raises(BackupMissing):
        vault.lock(KEY + "missing")


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE", "legal hold"])
def test_s3_refuses_to_delete_what_is_locked(vault: Vault, mode: Any) -> None:
    put(vault, KEY)
    if mode == "legal hold":
        vault.client.put_object_legal_hold(Bucket=vault.bucket, Key=KEY, LegalHold={"Status": "ON"})
    else:
        until = datetime.now(UTC) + timedelta(days=1)
        vault.client.put_object_retention(
            Bucket=vault.bucket,
            Key=KEY,
            Retention={"Mode": mode, "RetainUntilDate": until},
        )
    [version] = vault.versions(KEY)
    with pytest.raises(StoreRefused, match="AccessDenied"):
        vault.delete_version(version)
    assert vault.get(KEY, max_bytes=9) == b"x"


def test_aborting_an_upload_that_is_gone_is_no_error(vault: Vault) -> None:
    upload_id = vault.client.create_multipart_upload(Bucket=vault.bucket, Key=KEY)["UploadId"]
    vault.abort_upload(KEY, upload_id)
    assert list(vault.unfinished_uploads(KEY)) == []
    vault.abort_upload(KEY, upload_id)
