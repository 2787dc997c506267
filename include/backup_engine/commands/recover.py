"""``recover``: check a backup, or restore it into a database that does not exist yet."""

from __future__ import annotations

import argparse

from include.backup_engine.cancel import Cancellation
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.connections import connection_from_environment, mysql_endpoint
from include.backup_engine.errors import DrillFailed
from include.backup_engine.restore import create_database, restore
from include.backup_engine.verify import verify


def add(commands: Commands) -> None:
    """Add the command."""
    recovering = add_command(
        commands, "recover", recover, "Check a backup (dry run), or restore it into a database that does not exist."
    )
    recovering.add_argument("name", help="a backup as above")
    recovering.add_argument("--restore", action="store_true", help="restore; without it nothing is written")
    recovering.add_argument("--target-conn-id", help="connection of the target server; default: the source's")
    recovering.add_argument("--target-database", help="default: <database>_restored")
    add_json(recovering)


def recover(desk: Desk, options: argparse.Namespace) -> None:
    """Recover."""
    backup = desk.stored(options.name)
    source = desk.policy.source(desk.source)
    database = options.target_database or f"{source.database}_restored"
    if not options.restore:
        verification = verify(backup, desk.policy, desk.keyring, desk.reporter)
        if options.json:
            print_json({"mode": "dry_run", "would_create": database, "verified": verification.model_dump(mode="json")})
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
        print_json(
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
