"""What must hold before anything is dumped: every missing privilege, key, setting or program, with its remedy.

All checks run, so that one look at the log is enough to put everything right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.crypto.data_key import DataKey, Keyring
from include.backup_engine.crypto.original import MAX_BYTES as ORIGINAL_MAX_BYTES
from include.backup_engine.errors import BackupError, BackupMissing, KeyServiceDown, KeyUnavailable, PreflightError
from include.backup_engine.mysql.client import find_dump_program, release_series
from include.backup_engine.mysql.health import bound_code
from include.backup_engine.mysql.obstacles import not_dumpable, tables_elsewhere
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, quote, row, rows, scalar, shown, variable
from include.backup_engine.mysql.snapshot import ladder
from include.backup_engine.policy import Policy, SourcePolicy
from include.backup_engine.records import Chain, ServerIdentity
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.store.staging import Staging
from include.backup_engine.throttle import look_for

_SHORT_SECONDS = 600
"""Storing a part of a backup is tried for about so long before it fails."""
_CONTEXT = {"purpose": "mysql-backup-preflight"}


@dataclass
class Findings:
    """What a check found: problems stop the backup, warnings are told."""

    problems: list[BackupError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def require(self, holds: bool, cause: str, remedy: str) -> None:
        """Note a problem unless it holds."""
        if not holds:
            self.problems.append(PreflightError(cause, remedy))

    def attempt(self, check: Callable[[], object]) -> None:
        """Run a check that raises."""
        try:
            check()
        except BackupError as error:
            self.problems.append(error)


def preflight(
    source: str, policy: Policy, endpoint: Endpoint, reader: Vault, writer_keys: Keyring, reader_keys: Keyring,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Check source, client, keys, bucket and staging.

    :raises PreflightError: naming everything that is not as it must be.
    """
    findings = Findings()
    with reporter.stage("Source"):
        findings.attempt(lambda: _check_source(policy.source(source), endpoint, findings, reporter))
    with reporter.stage("Keys"):
        findings.attempt(lambda: _check_keys(policy, writer_keys, reader_keys, findings, reporter))
    with reporter.stage("Bucket"):
        findings.attempt(lambda: _check_bucket(policy, reader, findings, reporter))
    if staging := policy.source(source).staging_dir:
        findings.attempt(lambda: Staging(staging))
    for warning in findings.warnings:
        reporter.warn(warning)
    if not findings.problems:
        reporter.line(f"Preflight of {source} passed", warnings=len(findings.warnings))
        return
    if len(findings.problems) == 1:
        raise findings.problems[0]
    causes = " ".join(f"({n}) {problem.cause}" for n, problem in enumerate(findings.problems, 1))
    remedies = " ".join(f"({n}) {problem.remedy}" for n, problem in enumerate(findings.problems, 1))
    raise PreflightError(causes, remedies)


def _check_source(policy: SourcePolicy, endpoint: Endpoint, findings: Findings, reporter: Reporter) -> None:
    connection = endpoint.connect(policy.database)
    try:
        server = identify(connection)
        grants = Grants.of(connection)
        for missing in grants.missing_for_backup(server, policy.database):
            findings.require(False, f"The backup account lacks {missing}.", f"GRANT {missing} TO the account.")
        findings.require(
            not policy.accounts or grants.may_read_accounts(),
            "The policy asks for the accounts of the server, and the backup account may not read them.",
            "GRANT SELECT ON mysql.* TO the account, or set accounts: false.",
        )
        findings.attempt(lambda: _check_program(server, connection, findings))
        binary_log = variable(connection, "log_bin") == "ON"
        findings.attempt(lambda: ladder(server, grants, policy.database, binary_log, policy.consistency))
        if not binary_log:
            findings.warnings.append("The source writes no binary log: no coordinates can be recorded")
        findings.attempt(lambda: look_for(policy.throttle, connection, server))
        _check_objects(connection, policy.database, findings)
        for cause, remedy in not_dumpable(connection, policy.database, policy.exclude_tables):
            findings.require(False, f"The {cause}.", remedy)
        with suppress(BackupError):  # what cannot be read is a problem that other checks name
            findings.warnings += bound_code(connection, policy.database)
            findings.warnings += tables_elsewhere(connection, policy.database, policy.exclude_tables)
        if policy.exclude_tables:
            findings.attempt(lambda: _check_exclusions(connection, policy, findings))
        size = int(
            scalar(
                connection,
                "SELECT COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = %s",
                (policy.database,),
            )
        )
        findings.require(
            policy.format != "v1" or size <= ORIGINAL_MAX_BYTES,
            f"{policy.database} holds {megabytes(size)}, more than a v1 file may ({megabytes(ORIGINAL_MAX_BYTES)}).",
            "Use format: v2.",
        )
        cipher = row(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        reporter.line(
            "Source is reachable", server=server.version, database=policy.database, data=megabytes(size),
            tls=endpoint.tls_mode, cipher=cipher[1] or None if cipher else None,
        )  # fmt: skip
    finally:
        connection.close()


def _check_program(server: ServerIdentity, connection: Connection[Any], findings: Findings) -> None:
    program = find_dump_program(server.flavour, server.version)
    if program.series < release_series(server.version):
        findings.warnings.append(
            f"{program.path} is older ({program.version}) than the server ({server.version}): it may not know all types"
        )
    # What the session of the program cannot be given, it has from the server; MariaDB's resets the first of these two.
    inherited = ["wait_timeout"] * ("init-command" not in program.options)
    inherited += ["net_write_timeout"] * (server.flavour == "mariadb" and not program.connection_strings)
    for name in inherited:
        if (seconds := int(scalar(connection, f"SELECT @@GLOBAL.{name}"))) < _SHORT_SECONDS:
            findings.warnings.append(
                f"The server's {name} is {seconds} s: a store that stands still for longer may end the dump"
            )


def _check_objects(connection: Connection[Any], database: str, findings: Findings) -> None:
    """Objects that the dump program is known to fail at."""
    for (view,) in rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'VIEW'",
        (database,),
    ):
        _check_view(connection, str(view), findings)
    for (event,) in rows(
        connection,
        "SELECT event_name FROM information_schema.events WHERE event_schema = %s AND LOCATE(';;', event_definition)",
        (database,),
    ):
        findings.require(
            False,
            f"The body of the event {event} contains ';;', at which the dump program runs for ever.",
            "Change the body, for example to '; ;'.",
        )


def _check_exclusions(connection: Connection[Any], policy: SourcePolicy, findings: Findings) -> None:
    """Excluded tables that something which is backed up depends on: such a backup could not be restored."""
    for table, constraint, parent in rows(
        connection,
        "SELECT table_name, constraint_name, referenced_table_name FROM information_schema.referential_constraints"
        " WHERE constraint_schema = %s",
        (policy.database,),
    ):
        findings.require(
            parent not in policy.exclude_tables or table in policy.exclude_tables,
            f"The table {parent} is excluded, and the foreign key {constraint} of {table} refers to it.",
            f"Exclude {table} as well, or neither.",
        )
    for (view,) in rows(
        connection,
        "SELECT table_name FROM information_schema.views WHERE table_schema = %s",
        (policy.database,),
    ):
        text = shown(connection, f"SHOW CREATE VIEW {quote(str(view))}")
        for table in policy.exclude_tables:
            findings.require(
                not text or quote(table) not in str(text[1]),
                f"The table {table} is excluded, and the view {view} uses it.",
                "Back the table up as well, or drop the view: a view without its table cannot be restored.",
            )


def _check_view(connection: Connection[Any], view: str, findings: Findings) -> None:
    """What the dump program does with each view, done beforehand."""
    try:
        rows(connection, f"SHOW FIELDS FROM {quote(view)}")
    except PreflightError:
        findings.require(
            False,
            f"The view {view} uses a function or table that the backup account may not use.",
            "GRANT EXECUTE ON FUNCTION for the functions it calls, to the account.",
        )
    except BackupError:
        findings.require(
            False,
            f"The view {view} is broken, and no dump can contain it.",
            "Repair or drop it; its tables, columns or definer are missing.",
        )


def _check_keys(policy: Policy, writer: Keyring, reader: Keyring, findings: Findings, reporter: Reporter) -> None:
    vault = policy.vault
    data_key_arn, sse_key_arn = reader.resolve(vault.data_key_id), reader.resolve(vault.sse_key_id)
    if data_key_arn == sse_key_arn:
        raise PreflightError(
            f"data_key_id and sse_key_id are the same KMS key, {data_key_arn}.",
            "Use two keys: the writer needs kms:Decrypt on the SSE key and must not have it on the other.",
        )
    for twice in sorted({data_key_arn, sse_key_arn}.intersection(vault.further_data_key_ids)):
        findings.require(
            False, f"{twice} is in further_data_key_ids and also data_key_id or sse_key_id.", "Take it off that list."
        )
    # What the writer does with them, done once for nothing: permission and key state are then known.
    with writer.generate(vault.data_key_id, _CONTEXT) as data_key:
        for arn in vault.further_data_key_ids:
            findings.attempt(partial(_check_further_key, arn, data_key, writer, reader, findings))
    reporter.line("Keys are usable", data_key=data_key_arn, sse_key=sse_key_arn, request_id=writer.last_request_id)


def _check_further_key(arn: str, data_key: DataKey, writer: Keyring, reader: Keyring, findings: Findings) -> None:
    try:
        copy = writer.wrap(data_key, arn, _CONTEXT)
    except KeyServiceDown as error:  # the backup is made without this copy
        findings.warnings.append(f"{error.cause} {error.remedy}")
        return
    try:
        reader.unwrap([copy], _CONTEXT, [arn]).forget()
    except KeyUnavailable as error:  # it may be for another role, there
        findings.warnings.append(f"No one has shown that copies under the further key open: {error.cause}")


def _check_bucket(policy: Policy, reader: Vault, findings: Findings, reporter: Reporter) -> None:
    settings, bucket = reader.bucket_settings(), policy.vault.bucket
    findings.warnings += [f"The reader may not see the {name} of bucket {bucket}" for name in settings.denied]
    visible = {
        "versioning": (settings.versioning, "Turn versioning on: a backup is pinned to one version of its object."),
        "public access block": (settings.public_access_blocked, "Turn all four public access blocks on."),
    }
    for name, (holds, remedy) in visible.items():
        findings.require(holds or name in settings.denied, f"The bucket {bucket} has no {name}.", remedy)
    if policy.vault.object_lock:
        findings.require(
            settings.object_lock or "object lock" in settings.denied,
            f"The policy asks for object_lock, and the bucket {bucket} has none.",
            "Enable Object Lock on the bucket, or set object_lock: null.",
        )
    if settings.default_encryption != "aws:kms" and "default encryption" not in settings.denied:
        findings.warnings.append(f"The default encryption of bucket {bucket} is {settings.default_encryption}")
    if settings.abort_multipart_days is None and "lifecycle" not in settings.denied:
        findings.warnings.append(
            f"No lifecycle rule of bucket {bucket} aborts unfinished uploads; killed attempts stay until swept"
        )
    reporter.line(
        "Bucket is as it must be" if not findings.problems else "Bucket was read",
        bucket=bucket, versioning=settings.versioning, default_encryption=settings.default_encryption,
        object_lock=settings.object_lock, abort_multipart_days=settings.abort_multipart_days,
    )  # fmt: skip


def link_to_previous(source: str, reader: Vault) -> Chain:
    """The link that the next backup of a source gets: to the newest complete one."""
    try:
        previous = Catalog(reader).find(source, "latest")
    except BackupMissing:
        return Chain(sequence=1)
    facts = previous.sidecar.facts if previous.sidecar else None
    raw = previous.raw_sidecar or b""
    return Chain(
        sequence=facts.chain.sequence + 1 if facts else 1,
        previous_backup_id=facts.backup_id if facts else None,
        previous_sidecar_sha256=hashlib.sha256(raw).hexdigest(),
    )
