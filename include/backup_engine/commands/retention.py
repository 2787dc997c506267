"""``retention``: which backups the policy would delete, and why; or delete them."""

from __future__ import annotations

import argparse

from include.backup_engine.commands.answers import RetentionAnswer
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.deletion import carry_out
from include.backup_engine.retention import plan_retention


def add(commands: Commands) -> None:
    """Add the command."""
    retiring = add_command(
        commands, "retention", retire, "Say which backups the policy would delete, and why; or delete them."
    )
    retiring.add_argument("--apply", action="store_true", help="delete; without it nothing is deleted")
    add_json(retiring)


def retire(desk: Desk, options: argparse.Namespace) -> None:
    """Plan, and perhaps delete."""
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
        print_json(RetentionAnswer(plan=plan, applied=done))
    elif done:
        print(f"Deleted {len(done.deleted)}, refused {len(done.refused)}, aborted {len(done.aborted_uploads)} uploads")
