"""Names of backups, and the context that binds a data key to one of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.errors import BackupMissing
from include.backup_engine.names import BackupName, Compression, encryption_context, source_prefix

TAKEN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("compression", "object_name"),
    [
        ("gzip", "db_backup_20260102_030405.sql.gz.encrypted"),
        ("zstd", "db_backup_20260102_030405.sql.zst.encrypted"),
    ],
)
def test_the_names_of_the_original_system(compression: Compression, object_name: str) -> None:
    name = BackupName(TAKEN_AT, compression)
    assert str(name) == name.stem == "db_backup_20260102_030405"
    assert name.object_name == object_name
    assert name.sidecar_name == object_name + ".encryption_info"


def test_p35_names_are_utc_and_whole_seconds() -> None:
    tokyo = TAKEN_AT.astimezone(timezone(timedelta(hours=9))).replace(microsecond=999_999)
    assert BackupName(tokyo) == BackupName(TAKEN_AT)
    assert BackupName(tokyo).taken_at.tzinfo is UTC


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    st.sampled_from(["gzip", "zstd"]),
    st.sampled_from(["", "private/db_backups/", "private/db_backups/surgicase/"]),
)
def test_every_form_of_a_name_is_read_back(taken_at: datetime, compression: Compression, prefix: str) -> None:
    name = BackupName(taken_at, compression)
    assert BackupName.parse(prefix + name.object_name) == name
    assert BackupName.parse(prefix + name.sidecar_name) == name
    assert BackupName.parse(prefix + name.stem).taken_at == name.taken_at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "db_backup_",
        "db_backup_20260102",
        "db_backup_20261302_030405",
        "db_backup_20260230_030405",
        "db_backup_20260102_250405",
        "db_backup_20260102_030405.sql.gz",
        "db_backup_20260102_030405.sql.bz2.encrypted",
        "db_backup_20260102_030405.encrypted",
        "db_backup_20260102_030405.encryption_info",
        "db_backup_20260102_030405.sql.gz.encrypted.encryption_info.encryption_info",
        "xdb_backup_20260102_030405",
        "db_backup_20260102_030405\n",
        "db_backup_20260102_030405 ",
        "DB_BACKUP_20260102_030405",
        "db_backup_٢٠٢٦٠١٠٢_٠٣٠٤٠٥",
        "db_backup_20260102_030405/",
    ],
)
def test_anything_else_is_no_name(text: str) -> None:
    with pytest.raises(BackupMissing, match="is not the name of a backup") as caught:
        BackupName.parse(text)
    assert repr(text) in caught.value.cause
    assert caught.value.__suppress_context__


def test_names_are_ordered_by_time() -> None:
    names = [BackupName(TAKEN_AT + timedelta(days=days)) for days in (2, 0, 1)]
    assert [name.taken_at.day for name in sorted(names)] == [2, 3, 4]
    assert sorted(name.stem for name in names) == [name.stem for name in sorted(names)]


def test_a_source_has_its_own_folder() -> None:
    assert source_prefix("private/db_backups/", "surgicase") == "private/db_backups/surgicase/"
    assert source_prefix("", "surgicase") == "surgicase/"


def test_the_context_binds_to_one_backup_of_one_source_and_tells_nothing() -> None:
    name = BackupName(TAKEN_AT)
    context = encryption_context("surgicase", name, "id-1")
    assert context == encryption_context("surgicase", name, "id-1")
    assert "surgicase" not in json.dumps(context)
    others = [
        encryption_context("surgicase", name, "id-2"),
        encryption_context("surgicase", BackupName(TAKEN_AT + timedelta(seconds=1)), "id-1"),
        encryption_context("surgicase", BackupName(TAKEN_AT, "zstd"), "id-1"),
        encryption_context("billing", name, "id-1"),
    ]
    assert len({json.dumps(other, sort_keys=True) for other in [context, *others]}) == 5


def test_the_context_never_changes() -> None:
    """Old backups can only be opened with the context that they were made with."""
    assert encryption_context("surgicase", BackupName(TAKEN_AT), "id-1") == {
        "purpose": "mysql-backup",
        "format": "2",
        "backup-id": "id-1",
        "object-name": "db_backup_20260102_030405.sql.gz.encrypted",
        "database-id": "40f3656b-2da4-567e-aa5b-84c68f68def8",
    }
