"""A stored backup, opened by a reader: pinned to one version of the object, its key and sidecar proven."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass

from include.backup_engine.compression import decompress
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.envelope import OpenBackup, open_backup
from include.backup_engine.crypto.message import MAX_HEADER_BYTES
from include.backup_engine.crypto.sidecar import BackupFacts, OriginalSidecar
from include.backup_engine.errors import BackupMissing, UnsupportedFormat
from include.backup_engine.excerpt import are_all, chosen_sections, cut, stretches
from include.backup_engine.keys import allowed_data_keys
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Section, StoredObject, StreamFacts
from include.backup_engine.store.catalog import Entry
from include.backup_engine.store.read_ahead import RANGE_BYTES
from include.backup_engine.store.s3 import Vault


@dataclass
class Traffic:
    """What was fetched of the object so far."""

    bytes: int = 0
    requests: int = 0


class StoredBackup:
    """A backup that may be read any number of times; each pass authenticates everything anew.

    :param stored: what S3 says about the object version that all passes read.
    """

    def __init__(self, name: BackupName, stored: StoredObject, opened: OpenBackup, vault: Vault) -> None:
        self.name = name
        self.stored = stored
        self.opened = opened
        self.traffic = Traffic()
        self._vault = vault

    @property
    def facts(self) -> BackupFacts | None:
        """What was recorded when it was made; the original system recorded none of it."""
        return self.opened.sidecar.facts

    @property
    def sql_bytes(self) -> int | None:
        """Bytes of the SQL text, if that was recorded."""
        return self.facts.stream.sql_bytes if self.facts else None

    @property
    def kms_key_id(self) -> str:
        """The KMS key that wraps the data key."""
        return self.opened.sidecar.kms_key_id

    def ciphertext(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes, all or ``length`` of them."""
        end = self.stored.size if length is None else offset + length
        self.traffic.requests += len(range(offset, end, RANGE_BYTES))
        for chunk in self._vault.read_ahead(self.stored, offset, end):
            self.traffic.bytes += len(chunk)
            yield chunk

    def beside(self, object_name: str, version_id: str | None, max_bytes: int) -> bytes:
        """A whole small object in the same folder.

        :param version_id: as the sidecar has it; a copy in another bucket has other versions.
        :raises BackupMissing: there is none.
        """
        recorded = self.facts.s3 if self.facts else None
        pinned = version_id if recorded and recorded.bucket == self._vault.bucket else None
        key = f"{self.stored.key.rpartition('/')[0]}/{object_name}"
        return self._vault.get(key, version_id=pinned, max_bytes=max_bytes)

    def compressed(self) -> Iterator[bytes]:
        """The compressed dump. Nothing is released before it is authentic."""
        if self.opened.needs_verify:
            self.opened.verify(self.ciphertext())
        return self.opened.plaintext(self.ciphertext())

    def sql(self) -> Generator[bytes, None, None]:
        """The dump's SQL text."""
        return decompress(self.compressed(), self.name.compression)

    def sql_of(self, names: Collection[str]) -> Iterator[bytes]:
        """The SQL text of some tables and sequences, after the dump's settings, which they need.

        Only the frames that hold it are fetched; of a backup in the original format, all is. Nothing is released
        before it is authentic.

        :raises UnsupportedFormat: the backup has no index of its tables.
        """
        facts = self.facts
        if facts is None or not facts.stream.sections:
            raise UnsupportedFormat(
                f"The sidecar of {self.name} does not say where its tables lie.",
                "Restore all of it under a new name, and take the tables from there.",
            )
        chosen = chosen_sections(facts.stream.sections, names)
        if isinstance(self.opened.sidecar, OriginalSidecar):
            yield from cut(self.sql(), 0, chosen)
        else:
            yield from self._read(chosen, facts.stream, self.opened.sidecar.frame_length)

    def holds_exactly(self, sections: Collection[Section]) -> bool:
        """Whether these sections are all of the dump's text, and can be read one by one (:meth:`sql_part`).

        They cannot in the original format.
        """
        facts = self.facts
        if facts is None or isinstance(self.opened.sidecar, OriginalSidecar):
            return False
        return are_all(sections, facts.stream.sql_bytes)

    def sql_part(self, sections: list[Section]) -> Iterator[bytes]:
        """The SQL text of some sections, in their order. Nothing is released before it is authentic.

        :raises UnsupportedFormat: the backup has no index.
        """
        facts, sidecar = self.facts, self.opened.sidecar
        if facts is None or isinstance(sidecar, OriginalSidecar):
            raise UnsupportedFormat(f"The sidecar of {self.name} has no index.", "Read all of it.")
        return self._read(sections, facts.stream, sidecar.frame_length)

    def _read(self, sections: Iterable[Section], index: StreamFacts, frame_length: int) -> Iterator[bytes]:
        for part in stretches(index.sections, sections, index.compressed_bytes, frame_length):
            compressed = self.opened.plaintext_range(part.start, part.certain, part.end, self.ciphertext)
            yield from cut(decompress(compressed, self.name.compression), part.sql_start, part.sections)


def open_stored(entry: Entry, source: str, policy: Policy, vault: Vault, keyring: Keyring) -> StoredBackup:
    """Open a complete backup of the catalogue.

    :param source: the source that was asked for; the backup must be one of its.
    :raises IntegrityError, KeyRefused, KeyUnavailable: see crypto/envelope.py.
    """
    if entry.name is None or entry.raw_sidecar is None:
        raise BackupMissing(f"{entry.key} is not a complete backup ({entry.state}).", "Choose another backup.")
    recorded = entry.sidecar.facts.s3 if entry.sidecar is not None and entry.sidecar.facts else None
    # A copy in another bucket has other versions; what is read is authenticated in any case.
    pinned = recorded.version_id if recorded and recorded.bucket == vault.bucket else None
    stored = vault.head(entry.key, pinned)
    head = b"".join(vault.read(entry.key, version_id=stored.version_id, length=min(stored.size, MAX_HEADER_BYTES)))
    opened = open_backup(
        entry.raw_sidecar,
        head,
        source=source,
        name=entry.name,
        keyring=keyring,
        allowed_arns=allowed_data_keys(policy.vault, keyring),
    )
    return StoredBackup(entry.name, stored, opened, vault)
