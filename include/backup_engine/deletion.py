"""Carrying out a retention plan: exactly what it says, each backup looked at again first, each in the evidence.

The sidecar goes first, then the accounts kept with the backup, then the dump, and of each the current version last: at
every moment a backup is either whole, or nothing that a reader would take for one. What a crash leaves is a dump
without a sidecar, which a later plan sweeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.backup_engine import evidence
from include.backup_engine.errors import BackupError, RetentionRefused
from include.backup_engine.names import ACCOUNTS_SUFFIX
from include.backup_engine.records import Record
from include.backup_engine.report import Reporter
from include.backup_engine.retention import Decision, RetentionPlan
from include.backup_engine.retention_survey import hold_markers
from include.backup_engine.store.s3 import ObjectVersion, Vault

_REMEDY = "Make a new plan; it says what stands against it."


class Deletions(Record):
    """What was done.

    :param refused: name of each backup that was planned to go and stayed, and why.
    """

    deleted: list[str]
    refused: dict[str, str]
    aborted_uploads: list[str]


def carry_out(plan: RetentionPlan, deleter: Vault, reader: Vault, writer: Vault, reporter: Reporter) -> Deletions:
    """Delete what the plan says, oldest first.

    :param deleter: the vault as the one role sees it that may delete; ``reader`` and ``writer`` keep the evidence.
    :raises RetentionRefused: the plan itself says that nothing may be deleted.
    :raises BackupError: S3 failed or refused a deletion; what was not reached is left for the next plan.
    """
    if plan.blocked:
        raise RetentionRefused(f"Nothing was deleted: {plan.blocked}.", "See to the newest backup first.")
    deleted: list[str] = []
    refused: dict[str, str] = {}
    for decision in reversed(plan.of("delete")):
        try:
            versions = _still_as_planned(decision, deleter)
        except RetentionRefused as error:
            refused[decision.name] = error.cause
            reporter.warn(f"{decision.name} is not deleted: {error.cause}")
            continue
        with _recorded(plan.source, _facts(decision, versions), reader, writer) as record:
            for version in versions:
                deleter.delete_version(version)
        deleted.append(decision.name)
        reporter.line(f"Deleted {decision.name}", reason=decision.reason, versions=len(versions), evidence=record)
    for upload in plan.uploads:
        facts = {"upload": upload.model_dump(mode="json"), "reason": "left by a killed attempt"}
        with _recorded(plan.source, facts, reader, writer) as record:
            deleter.abort_upload(upload.key, upload.upload_id)
        reporter.line(f"Aborted the upload of {upload.key}", began=upload.initiated, evidence=record)
    aborted = [upload.key for upload in plan.uploads]
    return Deletions(deleted=deleted, refused=refused, aborted_uploads=aborted)


@contextmanager
def _recorded(source: str, facts: dict[str, Any], reader: Vault, writer: Vault) -> Iterator[str]:
    """The evidence of a deletion, written before it, so that none is without; if it fails, a second record says so."""
    key, _ = evidence.append(reader, writer, "deletion", source, "passed", facts)
    try:
        yield key
    except BackupError as error:
        evidence.append(reader, writer, "deletion", source, "failed", facts | {"failures": [error.cause]})
        raise


def _still_as_planned(decision: Decision, deleter: Vault) -> list[ObjectVersion]:
    """The versions to delete, in the order in which they go.

    :raises RetentionRefused: the backup is held or locked by now, or is not what the plan saw.
    """
    markers = hold_markers(decision.key)
    found = deleter.versions(f"{decision.key.rpartition('/')[0]}/{decision.name}")
    if any(version.key in markers and version.latest and not version.marker for version in found):
        raise RetentionRefused("It is held by now.", _REMEDY)
    sidecar = [version for version in found if version.key == decision.sidecar_key]
    dump = [version for version in found if version.key == decision.key]
    accounts = [version for version in found if version.key == decision.key + ACCOUNTS_SUFFIX]
    leftover = decision.backup_id is None
    if _current(dump) != (decision.version_id or "null") or _current(sidecar) != (
        None if leftover else decision.sidecar_version or "null"
    ):
        raise RetentionRefused("It has changed since it was planned.", _REMEDY)
    for version in (*sidecar, *accounts, *dump):
        if not version.marker and (lock := deleter.lock(version.key, version.version_id)):
            raise RetentionRefused(f"A version of {version.key} is {lock}.", _REMEDY)
    return [*sidecar, *accounts, *dump]


def _current(versions: list[ObjectVersion]) -> str | None:
    """The version id that a reader gets; ``None``: there is no version at all."""
    return versions[-1].version_id if versions else None


def _facts(decision: Decision, versions: list[ObjectVersion]) -> dict[str, Any]:
    return {
        "backup": decision.name,
        "backup_id": decision.backup_id,
        "taken_at": decision.taken_at.isoformat(),
        "size": decision.size,
        "reason": decision.reason,
        "versions": [{"key": version.key, "version_id": version.version_id} for version in versions],
    }
