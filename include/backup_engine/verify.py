"""Verifying the stored copy: what lies in the bucket is the backup that was made, and it can be read.

Everything is read back as a restore would read it: key, header, sidecar, every frame, the compressed stream,
the dump's own end marker, the list of objects; and what S3 says about encryption and checksum is compared with
policy and record. Nothing is kept.
"""

from __future__ import annotations

import time

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import ContentIncomplete, StoredCopyDiffers
from include.backup_engine.mysql.dump import check_completeness
from include.backup_engine.mysql.stream import StreamScanner
from include.backup_engine.policy import Policy
from include.backup_engine.records import Record, StoredObject
from include.backup_engine.report import Reporter, megabytes, peak_memory, rate
from include.backup_engine.stored import StoredBackup


class Verification(Record):
    """What was verified.

    :param longest_statement: bytes of the longest line or statement, which the target must take in one packet.
    :param seconds: of reading, decrypting and checking.
    """

    name: str
    stored: StoredObject
    kms_key_id: str
    sql_bytes: int
    tables: int
    longest_statement: int = 0
    seconds: float
    bytes_per_second: float
    peak_memory_bytes: int


def verify(backup: StoredBackup, policy: Policy, keyring: Keyring, reporter: Reporter) -> Verification:
    """Verify everything that can be verified without a database.

    :raises IntegrityError: by name what is wrong.
    """
    started = time.monotonic()
    with reporter.stage("Encryption and checksum as S3 reports them"):
        _check_stored(backup, policy, keyring.resolve(policy.vault.sse_key_id))
        stored = backup.stored
        reporter.line(
            "S3 reports", sse=stored.sse, sse_key=stored.sse_kms_key_id, bucket_key=stored.bucket_key,
            checksum=stored.checksum, size=megabytes(stored.size), version=stored.version_id,
            lock=stored.lock_mode, retain_until=stored.retain_until,
        )  # fmt: skip
    with reporter.stage("Read back, decrypt, decompress, check"):
        scanner, statements = StreamScanner(), LongestStatement()
        sql_bytes = 0
        for piece in scanner.scan(reporter.watch(backup.sql(), "Checked")):
            sql_bytes += len(piece.data)
            statements.feed(piece.data)
        _check_content(backup, scanner, sql_bytes)
    seconds = time.monotonic() - started
    tables = len(scanner.contents.tables)
    reporter.line(
        f"Backup {backup.name} verified: every frame is authentic, {tables} tables",
        sql=megabytes(sql_bytes),
        kms_key=backup.kms_key_id,
        seconds=round(seconds, 1),
        rate=rate(sql_bytes, seconds),
        peak_memory=megabytes(peak_memory()),
    )
    return Verification(
        name=backup.name.stem,
        stored=stored,
        kms_key_id=backup.kms_key_id,
        sql_bytes=sql_bytes,
        tables=tables,
        longest_statement=statements.bytes,
        seconds=round(seconds, 3),
        bytes_per_second=round(sql_bytes / seconds),
        peak_memory_bytes=peak_memory(),
    )


class LongestStatement:
    """Bytes of the longest statement that passed by: from one semicolon at the end of a line to the next."""

    def __init__(self) -> None:
        self.bytes = 0
        self._open = 0
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Take the next part of the stream."""
        if self._last == b";" and data.startswith(b"\n"):
            self._open = 0
        first, *others = data.split(b";\n")
        self._open += len(first)
        self.bytes = max(self.bytes, self._open, *map(len, others), 0)
        if others:
            self._open = len(others[-1])
        self._last = data[-1:] or self._last


def _check_stored(backup: StoredBackup, policy: Policy, sse_key_arn: str) -> None:
    stored, facts = backup.stored, backup.facts
    differences: list[str] = []
    if stored.sse != "aws:kms" or stored.sse_kms_key_id != sse_key_arn:
        differences.append(f"it is encrypted with {stored.sse} under {stored.sse_kms_key_id}, not {sse_key_arn}")
    recorded = facts.s3 if facts else None
    if recorded is not None and recorded.bucket == stored.bucket:
        if stored.size != recorded.size:
            differences.append(f"it has {stored.size} bytes, recorded were {recorded.size}")
        if stored.checksum != recorded.checksum:
            differences.append("its checksum is not the recorded one")
    if policy.vault.object_lock and stored.lock_mode is None:
        differences.append("it is not locked, although the policy asks for it")
    if differences:
        raise StoredCopyDiffers(
            f"The stored copy of {backup.name} differs: {'; '.join(differences)}.",
            "Look for who changed the bucket's settings or the object; the backup may still be readable.",
        )


def _check_content(backup: StoredBackup, scanner: StreamScanner, sql_bytes: int) -> None:
    if not scanner.contents.completed:
        raise ContentIncomplete(
            f"The dump in {backup.name} has no end marker.", "It was incomplete when it was made; use another."
        )
    facts = backup.facts
    if facts is None:
        return
    if sql_bytes != facts.stream.sql_bytes:
        raise ContentIncomplete(
            f"The dump in {backup.name} has {sql_bytes} bytes of SQL, recorded were {facts.stream.sql_bytes}.",
            "Use another backup, and report this one.",
        )
    check_completeness(scanner.contents, facts.census)
