"""What retention looks at: the backups of a source, their proofs, locks and holds. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.backup_engine import evidence
from include.backup_engine.anomalies import Measures
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError, EvidenceError, StoreRefused
from include.backup_engine.names import SAFETY_SUFFIX, source_prefix
from include.backup_engine.policy import Policy
from include.backup_engine.retention import RetentionPlan, Surveyed, decide, decide_safety
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import UnfinishedUpload, Vault
from include.backup_engine.stored import open_stored

HOLD_SUFFIX = ".hold"
_READERS = 8


def plan_retention(
    source: str, policy: Policy, reader: Vault, keyring: Keyring, now: datetime | None = None
) -> RetentionPlan:
    """Look at all backups of a source, and plan.

    :param reader: lists, reads, and sees locks and versions.
    :raises BackupError: what cannot be told now, and may be later (a service that does not answer).
    """
    shelf = _Shelf.of(source, policy, reader, keyring)
    plan = decide(
        source, shelf.backups, shelf.uploads, policy.retention, timedelta(hours=policy.drill.rpo_target_hours),
        now or datetime.now(UTC), shelf.held, shelf.alarm, policy.anomalies,
    )  # fmt: skip
    return plan.model_copy(update={"stray_holds": shelf.stray_holds})


def plan_safety_retention(main: RetentionPlan, policy: Policy, reader: Vault, keyring: Keyring) -> RetentionPlan | None:
    """The same for what recoveries of a source have overwritten; None when there is nothing.

    :param main: the plan for the source's own backups; broken evidence blocks it, and so this one, too.
    """
    shelf = _Shelf.of(main.source + SAFETY_SUFFIX, policy, reader, keyring)
    if not (shelf.backups or shelf.uploads or shelf.markers):
        return None
    plan = decide_safety(main, shelf.backups, shelf.uploads, policy.retention, shelf.held)
    return plan.model_copy(update={"stray_holds": shelf.stray_holds})


@dataclass(frozen=True)
class _Shelf:
    """Everything under a source's name.

    :param markers: keys of hold markers.
    :param alarm: why the evidence cannot be relied on.
    """

    reader: Vault
    backups: Sequence[Surveyed]
    uploads: Sequence[UnfinishedUpload]
    markers: set[str]
    alarm: str | None

    @classmethod
    def of(cls, source: str, policy: Policy, reader: Vault, keyring: Keyring) -> _Shelf:
        """Look."""
        folder = source_prefix(reader.prefix, source)
        entries = Catalog(reader).entries(source)
        proofs: dict[tuple[str, str], bool] = {}
        alarm = None
        try:
            for record in evidence.checked(reader) if entries else ():
                if record.source == source and (backup_id := evidence.backup_id_of(record)):
                    proofs[record.kind, backup_id] = record.outcome == "passed"
        except EvidenceError as error:
            alarm = f"the evidence cannot be relied on: {error.cause.rstrip('.')}"

        def survey(entry: Entry) -> Surveyed:
            try:
                return _survey(entry, source, policy, reader, keyring, proofs)
            except BackupError as error:
                if error.retryable:
                    raise
                return Surveyed(entry, unproven=error.cause)

        with ThreadPoolExecutor(_READERS) as pool:
            backups = list(pool.map(survey, entries))
        markers = {item.key for item in reader.list(folder) if item.key.endswith(HOLD_SUFFIX)}
        return cls(reader, backups, list(reader.unfinished_uploads(folder)), markers, alarm)

    @property
    def stray_holds(self) -> list[str]:
        """Markers that hold no backup."""
        return sorted(self.markers - {marker for backup in self.backups for marker in hold_markers(backup.entry.key)})

    def held(self, backup: Surveyed) -> str | None:
        """What stands against deleting a backup, in words."""
        return _hold(backup.entry, self.markers, self.reader)


def hold_markers(key: str) -> set[str]:
    """Keys at which an object, whatever its content, holds the backup at ``key``: its short or its whole name."""
    folder, _, name = key.rpartition("/")
    return {f"{folder}/{name.partition('.sql.')[0]}{HOLD_SUFFIX}", key + HOLD_SUFFIX}


def _survey(
    entry: Entry, source: str, policy: Policy, reader: Vault, keyring: Keyring, proofs: dict[tuple[str, str], bool]
) -> Surveyed:
    if entry.state == "incomplete":
        return Surveyed(entry, version_id=reader.head(entry.key).version_id)
    if entry.state != "complete":
        return Surveyed(entry)
    stored = open_stored(entry, source, policy, reader, keyring)
    if stored.facts is None:
        return Surveyed(entry, unproven="It is of the original system, which recorded nothing about it.")
    backup_id = stored.facts.backup_id
    return Surveyed(
        entry,
        backup_id=backup_id,
        measures=Measures.of(stored.facts, entry.size or 0),
        version_id=stored.stored.version_id,
        verified=proofs.get(("backup", backup_id), False),
        drilled=proofs.get(("drill", backup_id), False),
    )


def _hold(entry: Entry, markers: set[str], reader: Vault) -> str | None:
    """What stands against deleting a backup."""
    if found := hold_markers(entry.key) & markers:
        return f"held by {min(found)}"
    try:
        if entry.state == "complete":
            return reader.lock(entry.sidecar_key) or reader.lock(entry.key)
        if reader.versions(entry.sidecar_key):
            return "its sidecar was deleted, but a version of it is still there: undo that, or delete that version"
        return reader.lock(entry.key)
    except StoreRefused as error:
        return f"its locks and versions cannot be seen: {error.cause}"
