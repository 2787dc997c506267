"""The list of backups, as people and programs read it: what is there, how good it is, and what is known about it.

Made from the bucket alone: the catalogue, the evidence, and the locks. Nothing of it is authentic (who opens a
backup authenticates it), and nothing is left out: what is incomplete or unreadable is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Literal, TypeVar

from include.backup_engine import evidence
from include.backup_engine.cache import Cache
from include.backup_engine.errors import BackupMissing, EvidenceError, StoredCopyDiffers, StoreRefused
from include.backup_engine.names import source_prefix
from include.backup_engine.records import Record, StoredObject
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.store.catalog import READERS, Catalog, Entry, State
from include.backup_engine.store.s3 import Vault

_In = TypeVar("_In")
_Out = TypeVar("_Out")


_SHORT_KEY = 8


class Listed(Record):
    """One backup.

    :param name: the short name; of what is not named like a backup, the whole key.
    :param state: as in the catalogue.
    :param problem: one sentence, when something is wrong.
    :param taken_at: UTC.
    :param size: bytes of the encrypted dump.
    :param verified_at: when its stored copy was read back, by the evidence; None: no record says so.
    :param format_version: 1 is the original's; None: the original system itself made it.
    :param verdict: whether dump and fingerprints are of one snapshot (``consistency`` in docs/format.md).
    :param drill: how its last drill ended; None: no record of one.
    :param lock_mode: of Object Lock, with ``retain_until`` (UTC); None: not locked, or this role may not see it.
    """

    name: str
    source: str | None
    key: str
    state: State
    problem: str | None
    taken_at: datetime
    size: int | None
    backup_id: str | None = None
    kms_key_id: str | None = None
    format_version: int | None = None
    verdict: str | None = None
    tables: int | None = None
    rows: int | None = None
    verified_at: datetime | None = None
    drill: Literal["passed", "failed"] | None = None
    drilled_at: datetime | None = None
    lock_mode: str | None = None
    retain_until: datetime | None = None

    def columns(self, now: datetime) -> tuple[str, ...]:
        """The texts of a table's row; see :data:`TITLES`."""
        return (
            self.name,
            self.source or "-",
            self.state,
            megabytes(self.size) if self.size is not None else "-",
            age(self.taken_at, now),
            self.verdict or "-",
            self.drill_text,
            f"{self.retain_until.astimezone(UTC):%Y-%m-%d}" if self.retain_until else "-",
            (self.kms_key_id or "-").rpartition("/")[2][:_SHORT_KEY],
            self.problem or "",
        )

    @property
    def drill_text(self) -> str:
        """The last drill, for people."""
        if self.drill is None or self.drilled_at is None:
            return "none"
        return f"{self.drill} {self.drilled_at.astimezone(UTC):%Y-%m-%d}"


TITLES = ("BACKUP", "SOURCE", "STATE", "SIZE", "AGE", "VERDICT", "LAST DRILL", "LOCKED TO", "KMS KEY", "")


class Proof(Record):
    """What one evidence record says about a backup, in the fields of :class:`Listed`."""

    backup_id: str | None = None
    verified_at: datetime | None = None
    drill: Literal["passed", "failed"] | None = None
    drilled_at: datetime | None = None


class Listing(Record):
    """The list, newest first.

    :param total: how many there are in the bucket, listed or not.
    :param warnings: what could not be looked at, and is missing in the list therefore.
    """

    backups: list[Listed]
    total: int
    warnings: list[str]


def list_backups(
    vault: Vault, source: str | None, reporter: Reporter, *, limit: int | None = None, cache: Cache | None = None
) -> Listing:
    """Look at the backups of one source, or at all that there are.

    :param vault: as the reading role sees it.
    :param limit: look at the newest ones only.
    :param cache: saves reading again what has not changed.
    :raises StoreError, StoreRefused: the bucket cannot be listed.
    """
    cache = cache or Cache()
    found = Catalog(vault).listed(source)
    backups, warnings = describe(found[:limit], vault, reporter, cache)
    folder, there = source_prefix(vault.prefix, source) if source else vault.prefix, {entry.key for entry in found}
    cache.save(lambda key: not (key.endswith(".encrypted") and key.startswith(folder)) or key in there)
    return Listing(backups=backups, total=len(found), warnings=warnings)


def describe(entries: list[Entry], vault: Vault, reporter: Reporter, cache: Cache) -> tuple[list[Listed], list[str]]:
    """What is known about entries of the catalogue, and warnings about what could not be looked at."""
    catalog = Catalog(vault)
    warnings: list[str] = []
    backups = _each(lambda entry: _look(entry, catalog, cache), entries, reporter, "Backups read")
    if not backups:
        return backups, warnings
    try:
        records = evidence.since(vault, min(entry.taken_at for entry in entries))
        proofs: dict[str | None, dict[str, object]] = {None: {}}
        for proof in _each(lambda item: _record(item, vault, cache), records, reporter, "Records read"):
            if proof.backup_id is not None:
                proofs.setdefault(proof.backup_id, {}).update(proof.model_dump(exclude_defaults=True))
        backups = [backup.model_copy(update=proofs.get(backup.backup_id, {})) for backup in backups]
    except (EvidenceError, StoreRefused, StoredCopyDiffers, BackupMissing) as error:
        warnings.append(f"The evidence cannot be read, so no drill is shown: {error.cause}")
    if vault.policy.object_lock is not None or vault.bucket_settings().object_lock:
        backups = _each(lambda backup: _with_lock(backup, vault), backups, reporter, "Locks looked at")
    return backups, warnings


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in days and hours: ``3d04h``."""
    past = now - moment
    return f"{past.days}d{past.seconds // 3600:02}h"


def _each(work: Callable[[_In], _Out], items: list[_In], reporter: Reporter, what: str) -> list[_Out]:
    with ThreadPoolExecutor(READERS) as pool:
        return list(reporter.count(pool.map(work, items), what, len(items)))


def _look(entry: Entry, catalog: Catalog, cache: Cache) -> Listed:
    if known := cache.get(entry.key, entry.seen, Listed):
        return known
    entry = catalog.read(entry)
    sidecar, facts = entry.sidecar, entry.sidecar.facts if entry.sidecar else None
    listed = Listed(
        name=entry.name.stem if entry.name else entry.key,
        source=entry.source,
        key=entry.key,
        state=entry.state,
        problem=entry.problem,
        taken_at=entry.taken_at,
        size=entry.size,
        backup_id=facts.backup_id if facts else None,
        kms_key_id=sidecar.kms_key_id if sidecar else None,
        format_version=sidecar.format_version if sidecar else None,
        verdict=facts.consistency.verdict if facts else None,
        tables=facts.census.count("table") if facts else None,
        rows=facts.census.rows if facts else None,
    )
    if listed.state == "complete":  # what is wrong with the others may be put right without writing them again
        cache.keep(entry.key, entry.seen, listed)
    return listed


def _record(item: StoredObject, vault: Vault, cache: Cache) -> Proof:
    seen = f"{item.etag} {item.size}"
    if known := cache.get(item.key, seen, Proof):
        return known
    _, record = evidence.read(vault, item.key)
    backup_id = evidence.backup_id_of(record)
    proof = Proof(backup_id=backup_id)
    if record.kind == "drill":
        proof = Proof(backup_id=backup_id, drill=record.outcome, drilled_at=record.recorded_at)
    elif record.kind == "backup" and record.outcome == "passed":
        proof = Proof(backup_id=backup_id, verified_at=record.recorded_at)
    cache.keep(item.key, seen, proof)
    return proof


def _with_lock(backup: Listed, vault: Vault) -> Listed:
    if backup.size is None:
        return backup
    try:
        stored = vault.head(backup.key)
    except BackupMissing:  # deleted since it was listed
        return backup
    return backup.model_copy(update={"lock_mode": stored.lock_mode, "retain_until": stored.retain_until})
