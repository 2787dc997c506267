"""``keys``: which KMS keys the backups need, and which backups are lost when one is deleted."""

from __future__ import annotations

import argparse

from include.backup_engine.commands.answers import KeyLoss
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.key_report import KeyUse, report_keys


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "keys", tell_keys, "Say which KMS keys the backups of the bucket need, and what is lost without one."
    )
    parser.add_argument("--if-deleted", metavar="KEY", help="name the backups that are lost if this key is deleted")
    add_json(parser)


def tell_keys(desk: Desk, options: argparse.Namespace) -> None:
    """Print the report on all keys, or on one."""
    report = report_keys(desk.policy, desk.vault, desk.keyring)
    use = report.of(options.if_deleted, desk.keyring) if options.if_deleted else None
    if options.json:
        print_json(KeyLoss(key=use.key.arn, lost=use.lost) if use else report)
        return
    print("\n".join(_loss(use) if use else [line for each in report.keys for line in each.lines()]))
    for name, why in report.unproven.items():
        print(f"{name} could not be opened now: {why}")


def _loss(use: KeyUse) -> list[str]:
    lost = [
        f"{name}: {'S3 encrypts it with this key' if name in use.lost_objects else 'no other key opens it'}"
        for name in use.lost
    ]
    return [*lost, f"{len(lost)} backups are lost if {use.key.arn} is deleted"]
