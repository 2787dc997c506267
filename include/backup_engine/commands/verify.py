"""``verify``: read a backup back as a restore would, and keep nothing."""

from __future__ import annotations

import argparse

from include.backup_engine.commands.desk import Commands, Desk, add_backup, add_command, add_json, print_json
from include.backup_engine.report import megabytes
from include.backup_engine.verify import verify


def add(commands: Commands) -> None:
    """Add the command."""
    verifying = add_command(
        commands, "verify", verify_backup, "Read a backup back, decrypt and check all of it, keep nothing."
    )
    add_backup(verifying)
    add_json(verifying)


def verify_backup(desk: Desk, options: argparse.Namespace) -> None:
    """Verify, and say that it is good."""
    verification = verify(desk.stored(options.name), desk.policy, desk.keyring, desk.reporter)
    if options.json:
        print_json(verification)
    else:
        print(f"{verification.name} is good: {megabytes(verification.sql_bytes)} of SQL, {verification.tables} tables")
    verification.require_accounts()
