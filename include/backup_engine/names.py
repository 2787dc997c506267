"""Names of backups, their keys in the bucket, and the encryption context that binds a data key to one of them.

A backup is two objects that share a stem: the encrypted dump and its sidecar. The names are those of the
original system, in UTC: ``db_backup_20260102_030405.sql.gz.encrypted`` and the same with ``.encryption_info``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from include.backup_engine.errors import BackupMissing

Compression = Literal["gzip", "zstd"]

SIDECAR_SUFFIX = ".encryption_info"
ACCOUNTS_SUFFIX = ".accounts"
SAFETY_SUFFIX = "-safety"
"""Behind a source's name: the backups of what recoveries of this source have overwritten."""
_EXTENSION: dict[Compression, str] = {"gzip": "gz", "zstd": "zst"}
_PATTERN = re.compile(
    r"db_backup_(?P<stamp>\d{8}_\d{6})(?:\.sql\.(?P<ext>gz|zst)\.encrypted(?:\.encryption_info)?)?\Z", re.ASCII
)
_STAMP = "%Y%m%d_%H%M%S"


@dataclass(frozen=True, order=True)
class BackupName:
    """The name of one backup.

    :param taken_at: UTC, whole seconds.
    :param compression: decides the extension.
    """

    taken_at: datetime
    compression: Compression = "gzip"

    def __post_init__(self) -> None:
        object.__setattr__(self, "taken_at", self.taken_at.astimezone(UTC).replace(microsecond=0))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a stem, an object name or a sidecar name, with or without a key prefix.

        :raises BackupMissing: when ``text`` is not the name of a backup.
        """
        match = _PATTERN.fullmatch(text.rsplit("/", 1)[-1])
        try:
            if match is None:
                raise ValueError
            taken_at = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise BackupMissing(
                f"{text!r} is not the name of a backup.",
                "Use a name such as db_backup_20260102_030405, as the list shows it.",
            ) from None
        return cls(taken_at, "zstd" if match["ext"] == "zst" else "gzip")

    @property
    def stem(self) -> str:
        """The short name that people type: ``db_backup_20260102_030405``."""
        return f"db_backup_{self.taken_at.strftime(_STAMP)}"

    @property
    def object_name(self) -> str:
        """The encrypted dump's name."""
        return f"{self.stem}.sql.{_EXTENSION[self.compression]}.encrypted"

    @property
    def sidecar_name(self) -> str:
        """The sidecar's name."""
        return self.object_name + SIDECAR_SUFFIX

    @property
    def accounts_name(self) -> str:
        """The name of the server's encrypted accounts, which no catalogue takes for a backup."""
        return self.object_name + ACCOUNTS_SUFFIX

    def __str__(self) -> str:
        return self.stem


def source_prefix(prefix: str, source: str) -> str:
    """The folder of one source's backups: ``private/db_backups/surgicase/``."""
    return f"{prefix}{source}/"


def encryption_context(source: str, name: BackupName, backup_id: str) -> dict[str, str]:
    """What KMS and the message header bind the data key to.

    It appears in clear in CloudTrail and in the header, so it holds opaque ids only: the database is a UUIDv5
    of the policy's name for it (RFC 9562), never a host or schema name. A reader builds it from what was
    *asked for*; only ``backup-id`` comes from the sidecar.
    """
    return {
        "purpose": "mysql-backup",
        "format": "2",
        "backup-id": backup_id,
        "object-name": name.object_name,
        "database-id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"mysql-backup/{source}")),
    }
