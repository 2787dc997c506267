"""Verifying the stored copy: what lies in the bucket is the backup that was made, and it can be read.

Everything is read back as a restore would read it: key, header, sidecar, every frame, the compressed stream,
the dump's own end marker, the list of objects; and what S3 says about encryption and checksum is compared with
policy and record. Nothing is kept.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace

from include.backup_engine.accounts import open_accounts
from include.backup_engine.ahead import ahead
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError, ContentIncomplete, StoredCopyDiffers, UnsupportedFormat
from include.backup_engine.excerpt import Excerpt, check_names
from include.backup_engine.mysql.dump import check_completeness
from include.backup_engine.mysql.references import References
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.mysql.stream import StreamScanner
from include.backup_engine.policy import Policy
from include.backup_engine.records import Census, Record, StoredObject
from include.backup_engine.report import Reporter, megabytes, peak_memory, rate
from include.backup_engine.stored import StoredBackup

_AHEAD = 4
"""Blocks of the dump, of at most 1 MiB, that are decrypted and decompressed ahead."""


class Verification(Record):
    """What was verified.

    :param longest_statement: bytes of the longest line or statement, which the target must take in one packet; 0: not
        looked for.
    :param seconds: of reading, decrypting and checking.
    :param excerpt: what was read, when that was some tables only; ``None``: all.
    :param accounts: how many accounts of the server were read back; ``None``: none are kept with it, or not read.
    :param accounts_problem: why not, if they should have been. It is no reason not to restore the database.
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
    excerpt: Excerpt | None = None
    accounts: int | None = None
    accounts_problem: str | None = None

    def require_accounts(self) -> None:
        """For those who verify to know, not to restore.

        :raises ContentIncomplete: the accounts are not those that were kept with the backup.
        """
        if self.accounts_problem:
            raise ContentIncomplete(
                self.accounts_problem, "The database in the backup is good; take the accounts of another backup."
            )


def verify(
    backup: StoredBackup, policy: Policy, keyring: Keyring, reporter: Reporter, *, rows: bool = True
) -> Verification:
    """Verify everything that can be verified without a database.

    :param rows: whether rows are counted, and the longest statement looked for; a restore counts them as it loads.
    :raises IntegrityError: by name what is wrong.
    """
    started = time.monotonic()
    _report_stored(backup, policy, keyring, reporter)
    with reporter.stage("Read back, decrypt, decompress, check"):
        scanner, statements = StreamScanner(rows=rows), LongestStatement()
        sql_bytes = 0
        with closing(ahead(backup.sql(), _AHEAD, lambda: None)) as text:
            for piece in scanner.scan(reporter.watch(text, "Checked", backup.sql_bytes)):
                sql_bytes += len(piece.data)
                if rows:
                    statements.feed(piece.data)
        _check_content(backup, scanner, sql_bytes)
    accounts, problem = _verify_accounts(backup, policy, keyring, reporter)
    tables = len(scanner.contents.tables)
    what = f"Backup {backup.name} verified: every frame is authentic, {tables} tables"
    verification = _verification(backup, reporter, what, started, sql_bytes, tables, statements.bytes)
    return verification.model_copy(update={"accounts": accounts, "accounts_problem": problem})


def _verify_accounts(
    backup: StoredBackup, policy: Policy, keyring: Keyring, reporter: Reporter
) -> tuple[int | None, str | None]:
    """Read back the accounts that are kept with the backup: how many, or what is wrong with them."""
    facts = backup.facts
    if facts is None or facts.accounts is None:
        return None, None
    with reporter.stage("Accounts of the server"):
        try:
            found = open_accounts(backup, policy, keyring)
        except BackupError as error:
            if error.retryable:
                raise
            reporter.warn(error.cause)
            return None, error.cause
        reporter.line("Accounts are authentic", accounts=len(found.accounts), roles=found.roles)
        if orphans := found.without_account(facts.census):
            reporter.warn(f"Code belongs to accounts that are not among them: {', '.join(orphans)}")
    return len(found.accounts), None


def verify_tables(
    backup: StoredBackup, names: Collection[str], policy: Policy, keyring: Keyring, reporter: Reporter
) -> Verification:
    """Verify what :meth:`~.stored.StoredBackup.sql_of` gives for some tables, and for the sequences that they need.

    The rest of the backup is not read, and so not verified.

    :raises RequestRefused: the backup does not hold one of them.
    :raises UnsupportedFormat: it does not say where they lie, or what it holds at all.
    :raises IntegrityError: by name what is wrong.
    """
    started = time.monotonic()
    facts = backup.facts
    if facts is None:
        raise UnsupportedFormat(
            f"{backup.name} was made by the original system, whose sidecar does not say where its tables lie.",
            "Decrypt the backup, load it with the client under another name, and take the tables from there.",
        )
    check_names(facts.census, names)
    _report_stored(backup, policy, keyring, reporter)
    before = replace(backup.traffic)
    reading = _Reading(backup, facts.census, reporter)
    with reporter.stage("Read the tables, decrypt, decompress, check"):
        reading.read(set(names))
        if drawn := set().union(*reading.references.sequences.values()) - set(names):
            reading.read(drawn)
    kinds = {table.name: table.kind for table in facts.census.tables}
    wanted = sorted({*names, *drawn})
    excerpt = Excerpt(
        tables=[name for name in wanted if kinds[name] == "table"],
        sequences=[name for name in wanted if kinds[name] == "sequence"],
        triggers=sorted(reading.references.triggers),
        warnings=_left_out(reading.references, {item.name for item in facts.census.everything} - set(wanted)),
        bytes_read=backup.traffic.bytes - before.bytes,
        object_bytes=backup.stored.size,
        requests=backup.traffic.requests - before.requests,
    )
    tables = len(excerpt.tables)
    what = f"{tables} tables of {backup.name} verified: read {excerpt}, every frame of it is authentic"
    return _verification(backup, reporter, what, started, reading.sql_bytes, tables, reading.longest, excerpt)


class _Reading:
    """Reads tables, and collects what a restore of them must know."""

    def __init__(self, backup: StoredBackup, census: Census, reporter: Reporter) -> None:
        self._backup = backup
        self._rows = {table.name: table.rows for table in census.tables}
        self._reporter = reporter
        self.references = References()
        self.sql_bytes = 0
        self.longest = 0

    def read(self, names: set[str]) -> None:
        scanner = StreamScanner()
        for statement in split_statements(self._text(scanner, names)):
            self.longest = max(self.longest, len(statement))
            self.references.take(statement)
        contents = scanner.contents
        there = {*contents.tables, *contents.sequences}
        problems = [f"{name} is missing" for name in sorted(names - there)]
        problems += [f"{name} was not expected" for name in sorted(there - names)]
        problems += [
            f"table {name} has {count} rows in the dump and {self._rows[name]} in the snapshot"
            for name, count in contents.tables.items()
            if count is not None and self._rows.get(name) not in (None, count)
        ]
        if problems:
            raise ContentIncomplete(
                f"What lies where the index of {self._backup.name} says is something else: {'; '.join(problems)}.",
                "Restore all of it, or use another backup; report this one.",
            )

    def _text(self, scanner: StreamScanner, names: set[str]) -> Iterator[bytes]:
        for piece in scanner.scan(self._reporter.watch(self._backup.sql_of(names), "Checked")):
            self.sql_bytes += len(piece.data)
            yield piece.data


def _left_out(found: References, others: set[str]) -> list[str]:
    """What the tables and their triggers use of the backup's other objects."""
    warnings = [
        f"foreign keys of table {table} refer to {', '.join(sorted(parents & others))}, not restored with it:"
        " until that is there, the server refuses new rows"
        for table, parents in sorted(found.parents.items())
        if parents & others
    ]
    warnings += [
        f"trigger {name} uses {', '.join(sorted(used & others))}, not restored with it: it fails when it fires"
        for name, used in sorted(found.triggers.items())
        if used & others
    ]
    return warnings


def _verification(
    backup: StoredBackup, reporter: Reporter, what: str, started: float, sql_bytes: int, tables: int, longest: int,
    excerpt: Excerpt | None = None,
) -> Verification:  # fmt: skip
    seconds = time.monotonic() - started
    reporter.line(
        what,
        sql=megabytes(sql_bytes),
        kms_key=backup.kms_key_id,
        seconds=round(seconds, 1),
        rate=rate(sql_bytes, seconds),
        peak_memory=megabytes(peak_memory()),
    )
    return Verification(
        name=backup.name.stem,
        stored=backup.stored,
        kms_key_id=backup.kms_key_id,
        sql_bytes=sql_bytes,
        tables=tables,
        longest_statement=longest,
        seconds=round(seconds, 3),
        bytes_per_second=round(sql_bytes / seconds),
        peak_memory_bytes=peak_memory(),
        excerpt=excerpt,
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


def _report_stored(backup: StoredBackup, policy: Policy, keyring: Keyring, reporter: Reporter) -> None:
    with reporter.stage("Encryption and checksum as S3 reports them"):
        _check_stored(backup, policy, keyring.resolve(policy.vault.sse_key_id))
        stored = backup.stored
        reporter.line(
            "S3 reports", sse=stored.sse, sse_key=stored.sse_kms_key_id, bucket_key=stored.bucket_key,
            checksum=stored.checksum, size=megabytes(stored.size), version=stored.version_id,
            lock=stored.lock_mode, retain_until=stored.retain_until,
        )  # fmt: skip


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
