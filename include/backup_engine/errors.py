"""What can go wrong, by name.

Every error says one sentence of cause and one of remedy, and never contains row data, keys or passwords:
failing SQL quotes whole rows, so no text of a server or client program is ever passed on unread.
"""

from __future__ import annotations

from typing import ClassVar


class BackupError(Exception):
    """Base of all expected errors of the engine.

    :param cause: one sentence: what is wrong, naming the thing.
    :param remedy: one sentence: what the reader can do about it.
    """

    retryable: ClassVar[bool] = False
    """Whether running the same task again may succeed without anyone changing anything."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} Remedy: {self.remedy}"


# Before anything is dumped --------------------------------------------------------------------------------


class PolicyError(BackupError):
    """The policy file is missing, malformed or contradictory."""


class ConnectionMissing(BackupError):
    """A connection that the policy names is not defined, or lacks a field."""


class PreflightError(BackupError):
    """A privilege, key, bucket setting or client program is not as a backup needs it."""


# The way source -> dump -----------------------------------------------------------------------------------


class SourceUnavailable(BackupError):
    """The database server cannot be reached, or closed the connection."""

    retryable = True


class SourceBusy(BackupError):
    """Another attempt backs up the same database, or a lock could not be had in time."""

    retryable = True


class SnapshotUnproven(BackupError):
    """No way was found to prove that all connections read one snapshot."""


class DumpFailed(BackupError):
    """The dump program failed, or its output is not a complete dump."""

    retryable = True


class SchemaChanged(DumpFailed):
    """An object was created, altered or dropped while the dump ran."""


class Cancelled(BackupError):
    """The task was asked to stop."""


# Keys and store -------------------------------------------------------------------------------------------


class KeyUnavailable(BackupError):
    """KMS refused or could not serve a request for a key that we are meant to use."""


class KeyServiceDown(KeyUnavailable):
    """KMS cannot be reached, or is overloaded, at the moment."""

    retryable = True


class KeyRefused(BackupError):
    """A data key is wrapped by a KMS key that is not on the allow-list."""


class StoreError(BackupError):
    """The object store failed or refused a request."""

    retryable = True


class StoreRefused(BackupError):
    """The object store refused a request for good: missing bucket, denied access, wrong key."""


class BackupMissing(BackupError):
    """No backup of that name, or none that matches the selection."""


class AccountsMissing(BackupError):
    """The accounts of a server were asked for, and none were kept with this backup."""


class RetentionRefused(BackupError):
    """A backup must not be deleted: it is locked, held, or not what the plan saw; or nothing may be deleted at all."""


class BackupExists(BackupError):
    """A finished backup already has this name; finished backups are never overwritten."""


class BackupChanged(BackupError):
    """A stored backup is not the one that was read: somebody has changed it in between."""


class RewrapRefused(BackupError):
    """A data key must not, or cannot, be wrapped for this KMS key or in this backup's format."""


class FileRefused(BackupError):
    """A local file cannot be read, or the one that was asked for cannot be written."""


# A stored copy that is not what it claims -------------------------------------------------------------------


class IntegrityError(BackupError):
    """Base of everything that says: these bytes are not the backup that was made."""


class UnsupportedFormat(IntegrityError):
    """Not a format, version or algorithm that this reader accepts."""


class SidecarMalformed(IntegrityError):
    """The sidecar is not the JSON document that its format prescribes."""


class SidecarTampered(IntegrityError):
    """The sidecar's MAC is wrong, or it contradicts the message that it describes."""


class WrongBackup(IntegrityError):
    """The data key was not made for the backup that was asked for (encryption context)."""


class CommitmentMismatch(IntegrityError):
    """The data key is not the one that the message commits to."""


class HeaderTampered(IntegrityError):
    """The message header is malformed or fails authentication."""


class FrameTampered(IntegrityError):
    """A frame is out of order, malformed or fails authentication."""


class MessageTruncated(IntegrityError):
    """The message ends before its final frame is complete."""


class TrailingData(IntegrityError):
    """Bytes follow the end of the message."""


class StoredCopyDiffers(IntegrityError):
    """Size, digest, checksum or server-side encryption of the stored object is not what was recorded."""


class ContentIncomplete(IntegrityError):
    """The decrypted stream is not a complete dump of what the census lists."""


# The way backup -> database -------------------------------------------------------------------------------


class RestoreRefused(BackupError):
    """The fence: this target must not be written to, or this statement must not run."""


class LoadFailed(BackupError):
    """The target server refused a statement of the dump."""


class DrillFailed(BackupError):
    """The restored copy is not what the source held, or a target time was missed."""


class AbnormalBackup(BackupError):
    """A complete backup is so unlike those before it that the policy wants someone to look."""


class EvidenceError(BackupError):
    """An evidence record could not be written, or its chain is broken."""


class RequestRefused(RestoreRefused):
    """A recovery request is unknown in part, contradictory, or not approved."""


class RecoveryFailed(BackupError):
    """A recovery did not come to its end; the cause says what is where."""
