"""The command line: the same backups, without Airflow.

``python -m include.backup_engine list | show NAME | verify NAME | decrypt FILE_OR_NAME --output FILE | recover NAME |
retention``

Policy as in the DAGs (``BACKUP_POLICY``), connections from ``AIRFLOW_CONN_*``. Exit codes: 0 done, 1 an
expected error (told in two sentences), 2 wrong usage, 130 interrupted. JSON output goes to stdout, the story
to stderr.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.connections import aws_clients, connection_from_environment, mysql_endpoint
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.envelope import open_backup
from include.backup_engine.deletion import carry_out
from include.backup_engine.errors import BackupError, BackupMissing, DrillFailed, StoreError
from include.backup_engine.keys import allowed_data_keys, with_sse_key_arn
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.restore import create_database, restore
from include.backup_engine.retention import plan_retention
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.verify import verify


class Desk:
    """What the commands work with, opened on first use."""

    def __init__(self, source: str | None) -> None:
        self.policy: Policy = load_policy()
        self._source = source
        clients = aws_clients(connection_from_environment(self.policy.vault.reader_conn_id), self.policy.vault.region)
        self.keyring = Keyring(clients.kms)
        self.vault = Vault(clients.s3, with_sse_key_arn(self.policy.vault, self.keyring))
        self.catalog = Catalog(self.vault)
        self.reporter = Reporter(logging.getLogger("backup"))

    @property
    def source(self) -> str:
        """The source that was named, or the only one there is."""
        if self._source:
            return self._source
        if len(self.policy.sources) > 1:
            raise BackupMissing(
                "The policy has several sources.", f"Say which with --source: {', '.join(sorted(self.policy.sources))}."
            )
        return next(iter(self.policy.sources))

    def stored(self, selector: str) -> StoredBackup:
        """The backup that a selector means, opened."""
        entry = self.catalog.find(self.source, selector)
        return open_stored(entry, self.source, self.policy, self.vault, self.keyring)

    def vault_as(self, conn_id: str) -> Vault:
        """The vault as another role sees it."""
        clients = aws_clients(connection_from_environment(conn_id), self.policy.vault.region)
        return Vault(clients.s3, self.vault.policy)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    command: Callable[[Desk, argparse.Namespace], None] = options.command
    try:
        command(Desk(options.source), options)
    except BackupError as error:
        print(f"{type(error).__name__}: {error.cause}\nRemedy: {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.backup_engine", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[Desk, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--source", help="name of the source in the policy; needed when there are several")
        return sub

    listing = add("list", _list, "List all backups of the bucket, newest first.")
    listing.add_argument("--json", action="store_true", help="print JSON")
    for name, command, text in (
        ("show", _show, "Show what the sidecar of a backup says."),
        ("verify", _verify, "Read a backup back, decrypt and check all of it, keep nothing."),
    ):
        sub = add(name, command, text)
        sub.add_argument("name", help="a name, 'latest', or an ISO time: the newest backup at or before it")
        sub.add_argument("--json", action="store_true", help="print JSON")
    decrypting = add("decrypt", _decrypt, "Decrypt a backup, or a local file that lies beside its sidecar.")
    decrypting.add_argument("name", help="a backup as above, or the path of an .encrypted file")
    decrypting.add_argument("--output", type=Path, required=True, help="the .sql.gz to write; must not exist")
    recovering = add(
        "recover", _recover, "Check a backup (dry run), or restore it into a database that does not exist."
    )
    recovering.add_argument("name", help="a backup as above")
    recovering.add_argument("--restore", action="store_true", help="restore; without it nothing is written")
    recovering.add_argument("--target-conn-id", help="connection of the target server; default: the source's")
    recovering.add_argument("--target-database", help="default: <database>_restored")
    recovering.add_argument("--json", action="store_true", help="print JSON")
    retiring = add("retention", _retention, "Say which backups the policy would delete, and why; or delete them.")
    retiring.add_argument("--apply", action="store_true", help="delete; without it nothing is deleted")
    retiring.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2, default=str))


# Commands ---------------------------------------------------------------------------------------------------


def _row(entry: Entry) -> dict[str, Any]:
    facts = entry.sidecar.facts if entry.sidecar else None
    return {
        "name": entry.name.stem if entry.name else entry.key,
        "source": entry.source,
        "key": entry.key,
        "state": entry.state,
        "problem": entry.problem,
        "taken_at": entry.taken_at.isoformat(),
        "size": entry.size,
        "kms_key_id": entry.sidecar.kms_key_id if entry.sidecar else None,
        "format_version": entry.sidecar.format_version if entry.sidecar else None,
        "verdict": facts.consistency.verdict if facts else None,
        "tables": facts.census.count("table") if facts else None,
        "rows": facts.census.rows if facts else None,
    }


def _list(desk: Desk, options: argparse.Namespace) -> None:
    listed = [_row(entry) for entry in desk.catalog.entries(desk.source if options.source else None)]
    if options.json:
        _print_json(listed)
        return
    now = datetime.now(UTC)
    for row in listed:
        age = now - datetime.fromisoformat(row["taken_at"])
        size = megabytes(row["size"]) if row["size"] is not None else "-"
        print(
            f"{row['name']:30} {row['source'] or '-':16} {row['state']:14} {size:>10} "
            f"{age.days}d{age.seconds // 3600:02}h  {row['verdict'] or '-':11} {row['problem'] or ''}".rstrip()
        )
    print(f"{len(listed)} backups", file=sys.stderr)


def _show(desk: Desk, options: argparse.Namespace) -> None:
    backup = desk.stored(options.name)
    document = backup.opened.sidecar.model_dump(mode="json", exclude_none=True)
    if options.json:
        _print_json(document)
        return
    for field in ("object_name", "source", "database", "backup_id", "kms_key_id", "algorithm", "encrypted_file_size"):
        if field in document:
            print(f"{field:22} {document[field]}")
    if facts := backup.facts:
        print(f"{'snapshot':22} {facts.consistency.snapshot_at.isoformat()} {facts.consistency.verdict}")
        print(f"{'server':22} {facts.server.flavour} {facts.server.version}")
        for table in facts.census.tables:
            print(f"  {table.kind:10} {table.name:40} {table.rows if table.rows is not None else '':>12}")
        for item in facts.census.objects:
            print(f"  {item.kind:10} {item.name}")


def _verify(desk: Desk, options: argparse.Namespace) -> None:
    verification = verify(desk.stored(options.name), desk.policy, desk.keyring, desk.reporter)
    if options.json:
        _print_json(verification.model_dump(mode="json"))
    else:
        print(f"{verification.name} is good: {megabytes(verification.sql_bytes)} of SQL, {verification.tables} tables")


def _decrypt(desk: Desk, options: argparse.Namespace) -> None:
    path = Path(options.name)
    chunks = _local_plaintext(desk, path) if path.is_file() else desk.stored(options.name).compressed()
    size = _write_whole(options.output, desk.reporter.watch(chunks, "Decrypted"))
    print(f"{options.output}: {megabytes(size)}, authentic and complete")


def _local_plaintext(desk: Desk, path: Path) -> Iterable[bytes]:
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if not sidecar.is_file():
        raise BackupMissing(f"There is no {sidecar.name} beside {path}.", "Put the sidecar into the same folder.")

    def blocks() -> Iterable[bytes]:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                yield block

    try:
        raw_sidecar, head = sidecar.read_bytes(), next(iter(blocks()), b"")
    except OSError as error:
        raise BackupMissing(
            f"{error.filename} cannot be read: {error.strerror}.", "Give this user the permission to read it."
        ) from None
    opened = open_backup(
        raw_sidecar,
        head,
        source=desk.source,
        name=BackupName.parse(path.name),
        keyring=desk.keyring,
        allowed_arns=allowed_data_keys(desk.policy.vault, desk.keyring),
    )
    if opened.needs_verify:
        opened.verify(blocks())
    return opened.plaintext(blocks())


def _write_whole(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a new file of mode 0600 that gets its name only when all of it is there."""
    partial = path.with_name(path.name + ".partial")
    size = 0
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(
            f"{partial} cannot be written: {error.strerror}.", "Remove it or choose another name."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
        os.link(partial, path)
    except FileExistsError:
        raise StoreError(f"{path} exists.", "Choose another name; nothing is ever overwritten.") from None
    except OSError as error:
        raise StoreError(
            f"{path} could not be written: {error.strerror}.", "Choose a disk with enough room; nothing was left."
        ) from None
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return size


def _recover(desk: Desk, options: argparse.Namespace) -> None:
    backup = desk.stored(options.name)
    source = desk.policy.source(desk.source)
    database = options.target_database or f"{source.database}_restored"
    if not options.restore:
        verification = verify(backup, desk.policy, desk.keyring, desk.reporter)
        if options.json:
            _print_json({"mode": "dry_run", "would_create": database, "verified": verification.model_dump(mode="json")})
        else:
            print(f"Dry run: {backup.name} is good and would be restored into the new database {database}.")
        return
    endpoint = mysql_endpoint(connection_from_environment(options.target_conn_id or source.conn_id))
    create_database(endpoint, database, backup)
    restoration = restore(
        backup, endpoint, database, desk.policy, desk.keyring, desk.reporter, Cancellation(), events="disable"
    )
    facts = backup.facts
    comparison = (
        compare_with_snapshot(facts.census, endpoint, database, desk.reporter, events_disabled=True) if facts else None
    )
    if options.json:
        _print_json(
            {
                "mode": "restore",
                "restored": restoration.model_dump(mode="json"),
                "comparison": comparison.model_dump(mode="json") if comparison else None,
            }
        )
    if comparison and not comparison.equal:
        raise DrillFailed(
            f"{database} is not what the source held: {comparison.summary()}.",
            "Do not use it; restore another backup, and report this one.",
        )
    if not options.json:
        print(f"{backup.name} is restored into {database}; its events are disabled.")


def _retention(desk: Desk, options: argparse.Namespace) -> None:
    plan = plan_retention(desk.source, desk.policy, desk.vault, desk.keyring)
    if not options.json:
        print("\n".join(plan.lines()))
    roles = desk.policy.vault
    done = (
        carry_out(
            plan, desk.vault_as(roles.retention_conn_id), desk.vault, desk.vault_as(roles.writer_conn_id), desk.reporter
        )
        if options.apply
        else None
    )
    if options.json:
        _print_json({"plan": plan.model_dump(mode="json"), "applied": done.model_dump(mode="json") if done else None})
    elif done:
        print(f"Deleted {len(done.deleted)}, refused {len(done.refused)}, aborted {len(done.aborted_uploads)} uploads")


if __name__ == "__main__":
    sys.exit(main())
