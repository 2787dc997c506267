"""``recover``: check a backup, or restore it, or single tables of it; nothing that exists is overwritten."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from include.backup_engine.beside import incoming_database, tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.connections import connection_from_environment, mysql_endpoint
from include.backup_engine.copies import copy_names, put_beside
from include.backup_engine.errors import DrillFailed
from include.backup_engine.mysql.server import Endpoint, database_exists
from include.backup_engine.recovery import check_target_name
from include.backup_engine.restore import create_database, restore
from include.backup_engine.stored import StoredBackup
from include.backup_engine.verify import verify, verify_tables


def add(commands: Commands) -> None:
    """Add the command."""
    recovering = add_command(
        commands, "recover", recover, "Check a backup (dry run), or restore it into a database that does not exist."
    )
    recovering.add_argument("name", help="a backup as above")
    recovering.add_argument("--restore", action="store_true", help="restore; without it nothing is written")
    recovering.add_argument("--target-conn-id", help="connection of the target server; default: the source's")
    recovering.add_argument("--target-database", help="default: <database>_restored")
    recovering.add_argument(
        "--table", action="append", default=[], metavar="NAME",
        help="restore only this table, with its triggers; may be given again. Into a database that exists, it comes"
        " beside what is there, as NAME_restored_<time>",
    )  # fmt: skip
    add_json(recovering)


def recover(desk: Desk, options: argparse.Namespace) -> None:
    """Recover."""
    backup = desk.stored(options.name)
    source = desk.policy.source(desk.source)
    database = options.target_database or f"{source.database}_restored"
    what = f"{', '.join(options.table)} of {backup.name}" if options.table else str(backup.name)
    if options.restore:
        _restore(desk, options, backup, database, what)
        return
    if options.table:
        verification = verify_tables(backup, options.table, desk.policy, desk.keyring, desk.reporter)
    else:
        verification = verify(backup, desk.policy, desk.keyring, desk.reporter)
    if options.json:
        print_json({"mode": "dry_run", "would_create": database, "verified": verification.model_dump(mode="json")})
    elif options.table:
        print(f"Dry run: {what} can be restored into {database}; the rest of the backup was not read.")
    else:
        print(f"Dry run: {what} is good and would be restored into the new database {database}.")


def _restore(desk: Desk, options: argparse.Namespace, backup: StoredBackup, database: str, what: str) -> None:
    source = desk.policy.source(desk.source)
    endpoint = mysql_endpoint(connection_from_environment(options.target_conn_id or source.conn_id))
    run_at = datetime.now(UTC)
    beside = bool(options.table) and _exists(endpoint, database)
    into = incoming_database(database, run_at) if beside else database
    if beside:
        check_target_name(database)
        tidy(endpoint, database, desk.reporter)
    create_database(endpoint, into, backup)
    restoration = restore(
        backup, endpoint, into, desk.policy, desk.keyring, desk.reporter, Cancellation(), tables=options.table
    )
    facts, excerpt = backup.facts, restoration.verified.excerpt
    comparison = (
        compare_with_snapshot(facts.census, endpoint, into, desk.reporter, events_disabled=True, excerpt=excerpt)
        if facts
        else None
    )
    equal = comparison is None or comparison.equal
    copies = copy_names(excerpt.names, run_at) if beside and excerpt and equal else {}
    if copies:
        put_beside(endpoint, database, into, copies, desk.reporter, Cancellation())
    elif excerpt:
        for warning in excerpt.warnings:
            desk.reporter.warn(f"! {warning}")
    if options.json:
        print_json(
            {
                "mode": "restore",
                "restored": restoration.model_dump(mode="json"),
                "comparison": comparison.model_dump(mode="json") if comparison else None,
                "copies": copies,
            }
        )
    elif equal:
        _tell(what, database, copies, events=not options.table)
    if comparison and not equal:
        raise DrillFailed(
            f"{into} is not what the source held: {comparison.summary()}.",
            "Do not use it; restore another backup, and report this one.",
        )


def _tell(what: str, database: str, copies: dict[str, str], *, events: bool) -> None:
    for table, copy in copies.items():
        print(f"{table} is restored as {database}.{copy}, without triggers and foreign keys.")
    if not copies:
        print(f"{what} is restored into {database}{'; its events are disabled' if events else ''}.")


def _exists(endpoint: Endpoint, database: str) -> bool:
    with endpoint.connect() as connection:
        return database_exists(connection, database)
