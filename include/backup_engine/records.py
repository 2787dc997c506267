"""What a backup says about itself: the typed contents of the sidecar and of XComs, JSON both ways.

All sizes are bytes, all durations seconds, all times UTC (RFC 3339). Readers ignore fields that they do not
know, so that an older reader opens a newer backup of the same ``format_version``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Flavour = Literal["mariadb", "mysql"]
SnapshotMethod = Literal["global_read_lock", "table_read_locks", "equal_coordinates", "none"]
Verdict = Literal["exact", "ddl-checked", "unproven"]
"""What is proved of a dump, strongest first; see :class:`Consistency`."""
Definitions = Literal["locked", "quiet", "compared"]
DumpAgain = Literal["all", "unproven", "none"]
"""Which tables of a restored copy are dumped again; ``unproven``: those of which the fingerprint does not prove all."""
Fingerprints = Literal["full", "sampled", "off"]
"""How much of the tables the server hashes beside a dump (mysql/ranges.py)."""


class Record(BaseModel):
    """Base of all records: immutable, JSON-able."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ServerIdentity(Record):
    """Which server, well enough to recognise it again.

    :param instance_id: ``server_uuid`` (MySQL) or a digest of host name, port and data directory (MariaDB).
    """

    flavour: Flavour
    version: str
    instance_id: str
    sql_mode: str = ""
    time_zone: str = ""


class Coordinates(Record):
    """Position in the binary log that belongs to the snapshot. A record only, never executable SQL."""

    binlog_file: str | None = None
    binlog_position: int | None = None
    gtid: str | None = None


class Consistency(Record):
    """How the snapshot was made, and how far it is proved.

    ``exact``: all connections provably read one snapshot, and no definition changed while they did.
    ``ddl-checked``: one snapshot, but changes of definitions could only be looked for in part.
    ``unproven``: no snapshot was shown to be common, or tables without transactions were written meanwhile.

    :param definitions: ``locked``: nobody could change them; ``quiet``: the server executed no statement that does;
        ``compared``: it did, and what is dumped looks the same before and after. None in backups that do not say.
    :param written_tables: tables without transactions that were, or may have been, written while they were dumped.
    """

    method: SnapshotMethod
    verdict: Verdict
    snapshot_at: datetime
    lock_seconds: float = 0.0
    coordinates: Coordinates = Coordinates()
    definitions: Definitions | None = None
    non_transactional_tables: list[str] = []
    written_tables: list[str] = []


class KeyRanges(Record):
    """The fingerprint of a large table by ranges of its key (mysql/ranges.py).

    Range number n holds the keys from ``(first + n) * width`` on, as many as ``width``; the first one holds those
    before it, too, and the last one those behind it.

    :param key: the first column of the primary key.
    :param hashes: of each range ``rows:fingerprint``, the rows in hexadecimal; empty: it was not hashed.
    """

    key: str
    width: int
    first: int
    hashes: list[str]


class TableFacts(Record):
    """One base table or sequence, as it was in the snapshot.

    :param fingerprint: hex; row count and order-independent hash of canonical values (mysql/fingerprint.py).
        For a sequence: its next value, as text.
    :param ranges: the same by ranges of the key; when only some of them were hashed, there is no fingerprint.
    :param auto_increment: a table's next value, the least that was seen before, while and after it was dumped;
        ``None``: 1, or no such column.
    :param note: why there is no fingerprint, when there is none; or the columns with values that a dump does not
        write exactly.
    """

    name: str
    kind: Literal["table", "sequence"] = "table"
    rows: int | None = None
    fingerprint: str | None = None
    ranges: KeyRanges | None = None
    auto_increment: int | None = None
    note: str | None = None
    definition_sha256: str
    engine: str | None = None
    versioned: bool = False


class ObjectFacts(Record):
    """One view, routine, trigger or event: a normalised hash of its definition, its definer, its status."""

    kind: Literal["view", "procedure", "function", "trigger", "event"]
    name: str
    definition_sha256: str
    definer: str | None = None
    status: str | None = None


class Census(Record):
    """Everything that the database holds, as seen in the snapshot.

    :param collation: the database's own.
    :param comment: the database's own; ``None`` in backups that do not tell it, and where databases have none (MySQL).
    :param collations: of all tables, columns and code; empty in backups that do not list them.
    :param data_types: of all columns; empty in backups that do not list them.
    :param excluded_because: each excluded table with the policy's reason.
    """

    charset: str
    collation: str
    comment: str | None = None
    collations: list[str] = []
    data_types: list[str] = []
    tables: list[TableFacts]
    objects: list[ObjectFacts]
    excluded_tables: list[str] = []
    excluded_because: dict[str, str] = {}

    def count(self, kind: str) -> int:
        """How many there are of a kind: table, sequence, view, procedure, function, trigger, event."""
        return [item.kind == kind for item in self.everything].count(True)

    @property
    def everything(self) -> list[TableFacts | ObjectFacts]:
        """Tables, sequences and all other objects."""
        return [*self.tables, *self.objects]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows or 0 for table in self.tables)


class Section(Record):
    """Where one part of the dump lies: its settings, one table or sequence, or a stretch of views and code.

    A table that was dumped beside others may lie in several pieces, in this order: its definition is in the first, its
    triggers are in the last, and each consists of whole statements.

    :param sql_offset: first byte in the SQL text.
    :param compressed_offset: where the gzip member or zstd frame that holds ``sql_offset`` starts in the
        compressed stream (= the plaintext of the message), so that a reader can start there.
    :param member_sql_offset: the SQL offset at which that member starts.
    :param rows: of a table, counted in the stream; of all of its pieces, at the first.
    :param rows_hash: of the same rows (mysql/stream_hash.py); None in backups that do not say.
    """

    kind: Literal["settings", "table", "sequence", "code"]
    name: str
    sql_offset: int
    sql_length: int
    compressed_offset: int
    member_sql_offset: int
    rows: int | None = None
    rows_hash: str | None = None


def whole_tables(sections: Iterable[Section]) -> list[Section]:
    """The tables of a dump, each once: its first piece, with the length of all of them."""
    found: dict[str, Section] = {}
    for section in sections:
        if section.kind == "table":
            before = found.get(section.name)
            length = section.sql_length + before.sql_length if before else section.sql_length
            found[section.name] = (before or section).model_copy(update={"sql_length": length})
    return list(found.values())


class StreamFacts(Record):
    """What went through the dump stream, counted as it passed."""

    sql_bytes: int
    compressed_bytes: int
    sections: list[Section]
    views: list[str]
    routines: int
    triggers: int
    events: int


class SourceFacts(Record):
    """Everything that was learnt about a source in the snapshot of one dump.

    :param tools: name -> version of what made the dump.
    :param fingerprints: what the policy asked for; None in backups that do not say, where it was ``full``.
    """

    database: str
    server: ServerIdentity
    consistency: Consistency
    census: Census
    stream: StreamFacts
    tools: dict[str, str]
    fingerprints: Fingerprints | None = None
    fingerprint_seconds: float = 0.0


class MessageFacts(Record):
    """Geometry and identity of the encrypted message (base64 where bytes)."""

    message_id: str
    header_length: int
    header_tag: str
    frame_length: int
    frame_count: int
    key_commitment: str
    ciphertext_bytes: int
    ciphertext_sha256: str


class StoredObject(Record):
    """One object in the bucket, as the store acknowledged or reports it.

    :param checksum: S3's additional checksum, base64, SHA-256; composite (``…-N``) after a multipart upload.
    """

    bucket: str
    key: str
    version_id: str | None = None
    size: int
    etag: str | None = None
    checksum: str | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None
    bucket_key: bool | None = None
    lock_mode: str | None = None
    retain_until: datetime | None = None
    last_modified: datetime | None = None
    request_id: str | None = None
    parts: int | None = None


class AccountsFacts(Record):
    """The server's accounts, in an encrypted object of their own beside the backup (accounts.py).

    :param accounts: how many, roles included.
    :param message_id: base64.
    :param version_id: S3's; ``None`` when the sidecar was sealed before the upload (staged.py).
    """

    object_name: str
    accounts: int
    roles: int
    message_id: str
    ciphertext_bytes: int
    ciphertext_sha256: str
    version_id: str | None = None


class Timings(Record):
    """Seconds of wall time per stage, and the memory high-water mark of the process."""

    total: float
    stages: dict[str, float] = {}
    peak_memory_bytes: int | None = None


class Chain(Record):
    """Link to the backup before this one, so that a removed backup leaves a gap that shows."""

    sequence: int
    previous_backup_id: str | None = None
    previous_sidecar_sha256: str | None = None
