"""The list of backups, from a bucket with good and broken ones, evidence and locks."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from include.backup_engine import evidence
from include.backup_engine.cache import Cache
from include.backup_engine.crypto.sidecar import seal
from include.backup_engine.listing import Listed, list_backups
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName, encryption_context
from include.backup_engine.policy import VaultPolicy
from include.backup_engine.report import Reporter
from include.backup_engine.store.s3 import Vault
from tests.servers.localstack import Aws
from tests.unit.crypto.examples import data_key, make_v2

FOLDER = "private/db_backups/surgicase/"
NIGHT = datetime(2026, 6, 2, 3, 4, 5, tzinfo=UTC)
KEY = data_key()


class CountedVault(Vault):
    """Counts what is read of it."""

    reads = heads = 0

    def fetch(self, key, **options):  # type: ignore[no-untyped-def]  # as in Vault
        self.reads += 1
        return super().fetch(key, **options)

    def head(self, key, version_id=None):  # type: ignore[no-untyped-def]  # as in Vault
        self.heads += 1
        return super().head(key, version_id)


@pytest.fixture
def shelf(aws: Aws) -> CountedVault:
    bucket = aws.seed(bucket=f"listing-{uuid.uuid4().hex[:12]}", object_lock=True)
    policy = VaultPolicy(
        bucket=bucket.bucket, region=aws.region, data_key_id=bucket.data_key_arn, sse_key_id=bucket.sse_key_arn
    )
    return CountedVault(aws.s3, policy)


def store(vault: Vault, day: int, **lock: object) -> tuple[BackupName, str]:
    name, backup_id = BackupName(NIGHT + timedelta(days=day)), str(uuid.uuid4())
    message, sidecar = make_v2(b"dump", KEY, encryption_context("surgicase", name, backup_id), name)
    body = seal(sidecar.model_copy(update={"backup_id": backup_id}), KEY)
    vault.client.put_object(Bucket=vault.bucket, Key=FOLDER + name.object_name, Body=message, **lock)  # type: ignore[arg-type]  # of boto3
    vault.client.put_object(Bucket=vault.bucket, Key=FOLDER + name.sidecar_name, Body=body)
    return name, backup_id


def drilled(vault: Vault, name: BackupName, backup_id: str, outcome: Literal["passed", "failed"]) -> datetime:
    picked = {"backup": name.object_name, "backup_id": backup_id}
    return evidence.append(vault, vault, "drill", "surgicase", outcome, {"picked": picked})[1].recorded_at


def look(vault: Vault, cache: Cache | None = None, limit: int | None = None) -> list[Listed]:
    listing = list_backups(vault, "surgicase", Reporter(), limit=limit, cache=cache)
    assert listing.warnings == []
    return listing.backups


def test_what_is_known_about_a_backup(shelf: CountedVault) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    name, backup_id = store(shelf, 0, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    _, record = evidence.append(shelf, shelf, "backup", "surgicase", "passed", {"backup_id": backup_id})
    drilled(shelf, name, backup_id, "passed")
    failed_at = drilled(shelf, name, backup_id, "failed")
    [listed] = look(shelf)
    assert (listed.name, listed.state, listed.problem, listed.backup_id) == (name.stem, "complete", None, backup_id)
    assert (listed.verdict, listed.tables, listed.rows, listed.taken_at) == ("exact", 1, 3, name.taken_at)
    assert listed.verified_at == record.recorded_at
    assert (listed.drill, listed.drilled_at) == ("failed", failed_at)  # the last one counts
    assert (listed.lock_mode, listed.retain_until) == ("GOVERNANCE", until)
    texts = listed.columns(name.taken_at + timedelta(days=1, hours=3))
    assert texts[4:8] == ("1d03h", "exact", f"failed {failed_at:%Y-%m-%d}", f"{until:%Y-%m-%d}")


def test_what_is_wrong_is_listed_with_the_reason(shelf: CountedVault) -> None:
    good, bad, alone = (store(shelf, day)[0] for day in (2, 1, 0))
    shelf.client.put_object(Bucket=shelf.bucket, Key=FOLDER + bad.sidecar_name, Body=b"{")
    shelf.client.delete_object(Bucket=shelf.bucket, Key=FOLDER + alone.sidecar_name)
    found = look(shelf)
    assert [(row.name, row.state) for row in found] == [
        (good.stem, "complete"), (bad.stem, "unreadable"), (alone.stem, "incomplete")
    ]  # fmt: skip
    assert all(row.problem for row in found[1:])


def test_a_second_list_reads_only_what_is_new(shelf: CountedVault, tmp_path: Path) -> None:
    made = [store(shelf, day) for day in range(4)]
    drilled(shelf, *made[0], "passed")
    before = look(shelf, Cache(tmp_path / "x.json"))
    assert shelf.reads == 5  # four sidecars and one record
    shelf.reads = 0
    assert look(shelf, Cache(tmp_path / "x.json")) == before
    assert shelf.reads == 0
    # Written again, although under the same name: read again.
    changed, other_id = store(shelf, 2)
    drilled(shelf, changed, other_id, "passed")
    shelf.reads = 0
    after = look(shelf, Cache(tmp_path / "x.json"))
    assert shelf.reads == 2
    assert [row.backup_id for row in after if row.name == changed.stem] == [other_id]
    assert [row.drill for row in after] == [None, "passed", None, "passed"]


def test_what_is_broken_is_looked_at_again_each_time(shelf: CountedVault, tmp_path: Path) -> None:
    name, _ = store(shelf, 0)
    shelf.client.put_object(Bucket=shelf.bucket, Key=FOLDER + name.sidecar_name, Body=b"{")
    for _ in range(2):
        shelf.reads = 0
        [listed] = look(shelf, Cache(tmp_path / "x.json"))
        assert (listed.state, shelf.reads) == ("unreadable", 1)


def test_a_limit_saves_requests(shelf: CountedVault) -> None:
    names = [store(shelf, day)[0] for day in range(5)]
    shelf.reads = shelf.heads = 0
    assert [row.name for row in look(shelf, limit=2)] == [names[4].stem, names[3].stem]
    assert (shelf.reads, shelf.heads) == (2, 2)


def test_records_of_earlier_months_are_not_read(shelf: CountedVault) -> None:
    name, backup_id = store(shelf, 0)
    drilled(shelf, name, backup_id, "passed")
    assert len(evidence.since(shelf, NIGHT)) == 1
    assert evidence.since(shelf, datetime.now(UTC) + timedelta(days=32)) == []


def test_evidence_that_cannot_be_read_is_told_and_hides_no_backup(shelf: CountedVault) -> None:
    store(shelf, 0)
    key = f"private/db_backups/evidence/{datetime.now(UTC):%Y/%m}/00000001.json"
    shelf.client.put_object(Bucket=shelf.bucket, Key=key, Body=b"{")
    listing = list_backups(shelf, "surgicase", Reporter())
    assert [row.state for row in listing.backups] == ["complete"]
    assert listing.warnings == [f"The evidence cannot be read, so no drill is shown: {key} is not an evidence record."]


def test_a_deleted_backup_is_forgotten(shelf: CountedVault, tmp_path: Path) -> None:
    gone, _ = store(shelf, 0)
    store(shelf, 1)
    look(shelf, Cache(tmp_path / "x.json"))
    for suffix in ("", SIDECAR_SUFFIX):
        shelf.client.delete_object(Bucket=shelf.bucket, Key=FOLDER + gone.object_name + suffix)
    store(shelf, 2)
    assert len(look(shelf, Cache(tmp_path / "x.json"))) == 2
    assert gone.stem not in (tmp_path / "x.json").read_text()
