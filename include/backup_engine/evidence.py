"""The evidence: one record per backup, drill, recovery, deletion and re-wrap, each with the digest of the one before.

Records are numbered; a number is taken by creating its key conditionally, so two writers cannot take the same
one. Removing or changing a record breaks the chain at the next, which :func:`check_chain` finds with nothing
but the bucket.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from include.backup_engine.errors import BackupExists, EvidenceError
from include.backup_engine.records import Record, StoredObject
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.verify import Verification

RECORD_VERSION = 1
_KEY = re.compile(r"evidence/(?P<year>\d{4})/(?P<month>\d{2})/(?P<number>\d{8})\.json\Z")
_MAX_RECORD_BYTES = 1 << 20
_TRIES = 20

Kind = Literal["backup", "drill", "recovery", "deletion", "rewrap"]


class EvidenceRecord(Record):
    """One record.

    :param recorded_at: UTC.
    :param outcome: ``passed`` or ``failed``; a failure is evidence, too.
    :param facts: what was done, compared and measured; no row data.
    :param previous_sha256: hex digest of the record before, as stored; ``None`` for the first.
    """

    record_version: Literal[1] = 1
    number: int
    kind: Kind
    recorded_at: datetime
    source: str
    outcome: Literal["passed", "failed"]
    facts: dict[str, Any]
    previous_sha256: str | None


def append(
    reader: Vault,
    writer: Vault,
    kind: Kind,
    source: str,
    outcome: Literal["passed", "failed"],
    facts: Mapping[str, Any],
) -> tuple[str, EvidenceRecord]:
    """Write the next record; returns its key.

    :param reader: may list and read; the writer may do neither.
    :raises EvidenceError: when no number could be had.
    """
    for _ in range(_TRIES):
        last = _last_key(reader)
        previous = reader.get(last, max_bytes=_MAX_RECORD_BYTES) if last else None
        now = datetime.now(UTC)
        record = EvidenceRecord(
            number=_number(last) + 1 if last else 1,
            kind=kind,
            recorded_at=now,
            source=source,
            outcome=outcome,
            facts=dict(facts),
            previous_sha256=hashlib.sha256(previous).hexdigest() if previous is not None else None,
        )
        key = f"{writer.prefix}evidence/{now:%Y/%m}/{record.number:08d}.json"
        body = json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False).encode()
        try:
            writer.put_once(key, body, content_type="application/json")
        except BackupExists:
            continue  # another task took the number: chain to its record instead
        return key, record
    raise EvidenceError(
        f"No evidence record could be written in {_TRIES} tries: others took every number.", "Run the task again."
    )


def backup_facts(entry: Entry, verification: Verification) -> dict[str, Any]:
    """What the record of a backup says: how it was made, what it holds, and what was read back."""
    facts = entry.sidecar.facts if entry.sidecar else None
    if facts is None:
        raise EvidenceError(f"{entry.key} does not record what it holds.", "Only our own backups are recorded.")
    census = facts.census
    kinds = ("table", "sequence", "view", "procedure", "function", "trigger", "event")
    return {
        "backup": verification.name,
        "backup_id": facts.backup_id,
        "sidecar_sha256": hashlib.sha256(entry.raw_sidecar or b"").hexdigest(),
        "consistency": facts.consistency.model_dump(mode="json"),
        "counts": {kind: census.count(kind) for kind in kinds},
        "rows": census.rows,
        "excluded_tables": census.excluded_tables,
        "excluded_because": census.excluded_because,
        "not_fingerprinted": {
            table.name: table.note for table in census.tables if table.note and not table.fingerprint
        },
        "not_exact": {table.name: table.note for table in census.tables if table.note and table.fingerprint},
        "sql_bytes": facts.stream.sql_bytes,
        "compressed_bytes": facts.stream.compressed_bytes,
        "fingerprints": facts.fingerprints,
        "fingerprint_seconds": facts.fingerprint_seconds,
        "timings": facts.timings.model_dump(mode="json"),
        "chain": facts.chain.model_dump(mode="json"),
        "made_by": facts.airflow,
        "attempt": facts.attempt,
        "verification": verification.model_dump(mode="json"),
    }


def records(reader: Vault, *, newest_first: bool = False) -> Iterator[tuple[str, bytes, EvidenceRecord]]:
    """All records, oldest first unless told otherwise, as stored and as read."""
    for key in sorted(_keys(reader), key=_number, reverse=newest_first):
        yield (key, *read(reader, key))


def read(reader: Vault, key: str) -> tuple[bytes, EvidenceRecord]:
    """One record, as stored and as read.

    :raises EvidenceError: it is not one.
    """
    raw = reader.get(key, max_bytes=_MAX_RECORD_BYTES)
    try:
        return raw, EvidenceRecord.model_validate_json(raw)
    except ValueError:
        raise EvidenceError(f"{key} is not an evidence record.", "Look at its versions in the bucket.") from None


def since(reader: Vault, moment: datetime) -> list[StoredObject]:
    """The records of the month of ``moment`` and of later ones, unread, oldest first."""
    month = f"{moment.astimezone(UTC):%Y/%m}"
    found = sorted(_objects(reader), key=lambda item: _number(item.key))
    return [item for item in found if item.key.removeprefix(f"{reader.prefix}evidence/")[:7] >= month]


def backup_id_of(record: EvidenceRecord) -> str | None:
    """The backup that the record of a backup or a drill is about."""
    facts = record.facts.get("picked", {}) if record.kind == "drill" else record.facts
    backup_id = facts.get("backup_id") if record.kind in ("backup", "drill") else None
    return backup_id if isinstance(backup_id, str) else None


def check_chain(reader: Vault) -> int:
    """Check that no record was removed or changed; returns how many there are.

    :raises EvidenceError: naming the first record that does not follow from the one before.
    """
    return sum(1 for _ in checked(reader))


def checked(reader: Vault) -> Iterator[EvidenceRecord]:
    """All records, oldest first, each when it is shown to follow from the one before.

    :raises EvidenceError: naming the first that does not.
    """
    digest: str | None = None
    number = 0
    for key, raw, record in records(reader):
        if record.number != number + 1 or record.previous_sha256 != digest or _number(key) != record.number:
            raise EvidenceError(
                f"The evidence chain breaks at {key}: record {number} before it was removed or changed.",
                "Compare the object versions in the bucket with CloudTrail.",
            )
        digest, number = hashlib.sha256(raw).hexdigest(), record.number
        yield record


def check_links(reader: Vault, source: str) -> int:
    """Check that each backup of a source follows from the one that its ``chain`` names; returns how many do.

    The one before must be there with the sidecar that it had, or with what recorded re-wraps have made of that; or
    its deletion is recorded. Sidecars are compared here, not authenticated: who opens a backup does that.

    :raises EvidenceError: naming the first backup whose predecessor was changed or removed without a record.
    """
    history = [record for record in checked(reader) if record.source == source]
    deleted = {record.facts.get("backup_id") for record in history if record.kind == "deletion"}
    changes = [record.facts for record in history if record.kind == "rewrap"]
    entries = Catalog(reader).entries(source)
    facts = [(entry, entry.sidecar.facts) for entry in entries if entry.sidecar and entry.sidecar.facts]
    found = {about.backup_id: entry for entry, about in facts}
    links = 0
    for entry, chain in ((entry, about.chain) for entry, about in facts):
        previous = found.get(chain.previous_backup_id or "")
        if chain.previous_backup_id is None or (previous is None and chain.previous_backup_id in deleted):
            continue
        known = {chain.previous_sidecar_sha256}
        for change in changes:
            if change.get("previous_sidecar_sha256") in known:
                known.add(change.get("sidecar_sha256"))
        if previous is None or hashlib.sha256(previous.raw_sidecar or b"").hexdigest() not in known:
            raise EvidenceError(
                f"The backup before {entry.key} was {'removed' if previous is None else 'changed'} without a record.",
                "Compare the object versions in the bucket with CloudTrail.",
            )
        links += 1
    return links


def _objects(reader: Vault) -> Iterator[StoredObject]:
    return (item for item in reader.list(f"{reader.prefix}evidence/") if _KEY.search(item.key))


def _keys(reader: Vault) -> Iterator[str]:
    return (item.key for item in _objects(reader))


def _number(key: str) -> int:
    match = _KEY.search(key)
    return int(match["number"]) if match else 0


def _last_key(reader: Vault) -> str | None:
    return max(_keys(reader), key=_number, default=None)
