"""The catalogue, read from a bucket that holds good, broken, foreign and original backups."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from include.backup_engine.crypto.sidecar import MAX_SIDECAR_BYTES, seal
from include.backup_engine.errors import BackupMissing, StoreError
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from tests.unit.crypto.examples import data_key, make_v2

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

PREFIX = "private/db_backups/"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = data_key()


def name(days: int, **changes: str) -> BackupName:
    return BackupName(START + timedelta(days=days), **changes)  # type: ignore[arg-type]  # tests name compressions


def put(vault: Vault, key: str, body: bytes) -> None:
    vault.client.put_object(Bucket=vault.bucket, Key=key, Body=body)


def store(vault: Vault, backup: BackupName, source: str = "surgicase", body: bytes = b"dump") -> str:
    """A backup; ``source`` may be empty: directly under the prefix. Returns the dump's key."""
    message, sidecar = make_v2(body, KEY, name=backup)
    key = f"{PREFIX}{source}/{backup.object_name}" if source else PREFIX + backup.object_name
    put(vault, key, message)
    put(vault, key + SIDECAR_SUFFIX, seal(sidecar, KEY))
    return key


def original(vault: Vault, backup: BackupName) -> str:
    """A backup of the original system."""
    fields = {
        "kms_key_id": "1234",
        "encrypted_data_key": "AAAA",
        "iv": "AAAAAAAAAAAAAAAA",
        "auth_tag": "AAAAAAAAAAAAAAAAAAAAAA==",
        "algorithm": "AES-256-GCM",
        "original_file_size": 4,
        "metadata": {"backup_date": "2025-08-05T22:48:22.1+00:00Z", "tables_count": 45, "backup_type": "database_dump"},
    }
    key = PREFIX + backup.object_name
    put(vault, key, b"dump")
    put(vault, key + SIDECAR_SUFFIX, json.dumps(fields, indent=2).encode())
    return key


def one(vault: Vault, source: str | None = "surgicase") -> Entry:
    (entry,) = Catalog(vault).entries(source)
    return entry


# What an entry says ---------------------------------------------------------------------------------------


def test_a_complete_backup(vault: Vault) -> None:
    key = store(vault, name(0))
    entry = one(vault)
    assert (entry.state, entry.problem, entry.future) == ("complete", None, False)
    assert (entry.name, entry.source, entry.key) == (name(0), "surgicase", key)
    assert entry.size == vault.head(key).size
    assert entry.sidecar
    assert entry.sidecar.facts
    assert entry.sidecar.facts.object_name == name(0).object_name
    assert entry.raw_sidecar == vault.get(entry.sidecar_key, version_id=entry.sidecar_version, max_bytes=10**6)
    assert entry.sidecar_version == vault.head(entry.sidecar_key).version_id


def test_a_backup_of_the_original_system(vault: Vault) -> None:
    original(vault, name(0))
    entry = one(vault, None)
    assert (entry.state, entry.source, entry.name) == ("complete", None, name(0))
    assert entry.sidecar
    assert entry.sidecar.facts is None
    assert Catalog(vault).entries("surgicase") == []


def test_p14_no_sidecar_is_incomplete(vault: Vault) -> None:
    put(vault, f"{PREFIX}surgicase/{name(0).object_name}", b"dump")
    entry = one(vault)
    assert (entry.state, entry.size) == ("incomplete", 4)


@pytest.mark.parametrize(
    ("sidecar", "state"),
    [
        (b"", "unreadable"),
        (b"{", "unreadable"),
        (b"[]", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (b'{"algorithm": "AES-256-GCM"}', "unreadable"),
        (b" " * (MAX_SIDECAR_BYTES + 1), "unreadable"),
        (b'{"format_version": 3, "algorithm": "AES-256-GCM-SIV"}', "unknown_format"),
        (b'{"algorithm": "ROT13"}', "unknown_format"),
    ],
)
def test_a_sidecar_that_cannot_be_used(vault: Vault, sidecar: bytes, state: str) -> None:
    put(vault, f"{PREFIX}surgicase/{name(0).object_name}", b"dump")
    put(vault, f"{PREFIX}surgicase/{name(0).sidecar_name}", sidecar)
    entry = one(vault)
    assert (entry.state, entry.sidecar) == (state, None)
    assert entry.problem


def test_p14_a_sidecar_without_its_dump(vault: Vault) -> None:
    key = store(vault, name(0))
    vault.client.delete_object(Bucket=vault.bucket, Key=key)
    entry = one(vault)
    assert (entry.state, entry.size) == ("unreadable", None)
    assert "no encrypted dump" in str(entry.problem)


def test_a_dump_of_another_size_than_its_sidecar_says(vault: Vault) -> None:
    put(vault, store(vault, name(0)), b"cut off")
    assert one(vault).state == "unreadable"
    assert "has 7 bytes" in str(one(vault).problem)


def test_a_sidecar_of_another_backup(vault: Vault) -> None:
    other = store(vault, name(1))
    key = f"{PREFIX}surgicase/{name(0).object_name}"
    for suffix in ("", SIDECAR_SUFFIX):
        vault.client.copy_object(
            Bucket=vault.bucket, Key=key + suffix, CopySource={"Bucket": vault.bucket, "Key": other + suffix}
        )
    newest, copied = Catalog(vault).entries("surgicase")
    assert newest.state == "complete"
    assert (copied.state, copied.problem) == ("unreadable", "Its sidecar describes a backup of another name.")


def test_a_sidecar_under_an_unusable_key(vault: Vault, kms: KMSClient, sse_key: str) -> None:
    put(vault, f"{PREFIX}surgicase/{name(0).object_name}", b"dump")
    vault.put_once(f"{PREFIX}surgicase/{name(0).sidecar_name}", b"{}", content_type="application/json")
    store(vault, name(1))
    kms.disable_key(KeyId=sse_key)
    newest, refused = Catalog(vault).entries("surgicase")
    assert newest.state == "complete"
    assert refused.state == "unreadable"
    assert "KMS.DisabledException" in str(refused.problem)


def test_a_key_that_is_no_name_of_a_backup(vault: Vault) -> None:
    for file_name in ("db_backup_20261340_000000.sql.gz.encrypted", "copy of x.encrypted"):
        put(vault, f"{PREFIX}surgicase/{file_name}", b"dump")
        put(vault, f"{PREFIX}surgicase/{file_name}{SIDECAR_SUFFIX}", b"{}")
    for entry in Catalog(vault).entries("surgicase"):
        assert (entry.name, entry.state) == (None, "unreadable")


def test_other_objects_are_not_listed(vault: Vault) -> None:
    store(vault, name(0))
    for key in ("evidence/2026/01/backup.json", "surgicase/README", "a/b/" + name(0).object_name, "surgicase/"):
        put(vault, PREFIX + key, b"")
    put(vault, "private/" + name(0).object_name, b"")
    assert len(Catalog(vault).entries()) == 1


def test_a_store_that_fails_is_no_empty_catalogue(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store(vault, name(0))
    store(vault, name(1))

    def fails(*_: object, **__: object) -> None:
        raise StoreError("It is raining.", "Wait.")

    monkeypatch.setattr(vault, "fetch", fails)
    with pytest.raises(StoreError):
        Catalog(vault).entries("surgicase")
    with pytest.raises(StoreError):  # and not the backup before the newest
        Catalog(vault).find("surgicase", "latest")


# Choosing one ---------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(vault: Vault) -> Catalog:
    """Complete on days 0 and 2; incomplete on 3, unreadable on 4, unknown on 5; 2099 in future; another source."""
    store(vault, name(0))
    store(vault, name(2))
    put(vault, f"{PREFIX}surgicase/{name(3).object_name}", b"dump")
    for day, sidecar in ((4, b"{"), (5, b'{"format_version": 9}')):
        put(vault, f"{PREFIX}surgicase/{name(day).object_name}", b"dump")
        put(vault, f"{PREFIX}surgicase/{name(day).sidecar_name}", sidecar)
    store(vault, BackupName(datetime(2099, 1, 1, tzinfo=UTC)))
    store(vault, name(6), source="other")
    original(vault, name(7))
    return Catalog(vault)


def test_newest_first(mixed: Catalog) -> None:
    entries = mixed.entries("surgicase")
    assert [entry.taken_at for entry in entries] == sorted((entry.taken_at for entry in entries), reverse=True)
    assert [(entry.state, entry.future) for entry in entries] == [
        ("complete", True),
        ("unknown_format", False),
        ("unreadable", False),
        ("incomplete", False),
        ("complete", False),
        ("complete", False),
    ]
    assert entries[0].problem
    assert {entry.source for entry in mixed.entries()} == {"surgicase", "other", None}


@pytest.mark.parametrize(
    ("selector", "day"),
    [
        ("latest", 2),
        ("2099-12-31", 2),
        ("2026-01-04T03:04:05Z", 2),
        ("2026-01-04T03:04:05", 2),
        ("2026-01-04T04:04:05+01:00", 2),
        ("2026-01-04T03:04:04Z", 0),
        ("2026-01-02T03:04:05+00:00", 0),
        ("db_backup_20260102_030405", 0),
        ("db_backup_20260102_030405.sql.gz.encrypted", 0),
        ("private/db_backups/surgicase/db_backup_20260102_030405.sql.gz.encrypted.encryption_info", 0),
        ("db_backup_20260109_030405", 7),
    ],
)
def test_a_selector_finds_a_complete_backup(mixed: Catalog, selector: str, day: int) -> None:
    entry = mixed.find("surgicase", selector)
    assert (entry.state, entry.name) == ("complete", name(day))


def test_by_its_name_a_future_one_can_be_had(mixed: Catalog) -> None:
    assert mixed.find("surgicase", "db_backup_20990101_000000").future


def test_the_original_systems_are_found_without_a_source(mixed: Catalog) -> None:
    assert mixed.find(None, "latest").name == name(7)
    with pytest.raises(BackupMissing):
        mixed.find(None, "db_backup_20260102_030405")


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("2026-01-01", "No complete backup of surgicase"),
        ("db_backup_20260105_030405", "incomplete"),
        ("db_backup_20260106_030405", "unreadable"),
        ("db_backup_20260107_030405", "unknown_format"),
        ("db_backup_20260108_030405", "no backup"),
        ("db_backup_20260102_030405.sql.zst.encrypted", "no backup"),
        ("yesterday", "not the name of a backup"),
        ("", "not the name of a backup"),
    ],
)
def test_nothing_but_a_complete_one_is_chosen(mixed: Catalog, selector: str, told: str) -> None:
    with pytest.raises(BackupMissing, match=told) as caught:
        mixed.find("surgicase", selector)
    assert caught.value.remedy


def test_two_of_one_name_need_the_whole_name(vault: Vault) -> None:
    store(vault, name(0))
    zstd = name(0, compression="zstd")
    store(vault, zstd)
    with pytest.raises(BackupMissing, match="2 backups"):
        Catalog(vault).find("surgicase", name(0).stem)
    assert Catalog(vault).find("surgicase", zstd.object_name).name == zstd


def test_an_empty_bucket(vault: Vault) -> None:
    assert Catalog(vault).entries() == []
    with pytest.raises(BackupMissing):
        Catalog(vault).find("surgicase", "latest")


def test_three_hundred_backups_are_listed_in_seconds(vault: Vault) -> None:
    for day in range(290):
        store(vault, name(day - 290), body=b"x" * day)
    for day in range(10):
        put(vault, f"{PREFIX}surgicase/{name(day).object_name}", b"dump")
        put(vault, f"{PREFIX}surgicase/{name(day).sidecar_name}", b"{" if day % 2 else b'{"format_version": 9}')
    started = time.monotonic()
    entries = Catalog(vault).entries("surgicase")
    seconds = time.monotonic() - started
    print(f"{len(entries)} entries in {seconds:.2f} s")
    assert [entry.state for entry in entries].count("complete") == 290
    assert [entry.state for entry in entries[:10]] == ["unreadable", "unknown_format"] * 5
    assert seconds < 30
    started = time.monotonic()
    assert Catalog(vault).find("surgicase", "latest").name == name(-1)
    print(f"latest in {time.monotonic() - started:.2f} s")
