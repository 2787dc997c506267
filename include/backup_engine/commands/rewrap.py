"""``rewrap``: give backups one more copy of their data keys, under another KMS key."""

from __future__ import annotations

import argparse

from include.backup_engine.commands.answers import RewrapAnswer
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.errors import BackupError, RewrapRefused
from include.backup_engine.rewrap import Rewrapped, Rewrapper, key_to_wrap_for, rewrap


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "rewrap",
        rewrap_backups,
        "Say which backups would get a copy of their data key under a KMS key; or do it.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="a name, 'latest', or an ISO time: the newest backup at or before it")
    which.add_argument("--all", action="store_true", help="all backups of the source")
    parser.add_argument("--to", required=True, metavar="KEY_ARN", help="the KMS key, which the policy must name")
    parser.add_argument("--apply", action="store_true", help="do it; without it nothing is written")
    add_json(parser)


def rewrap_backups(desk: Desk, options: argparse.Namespace) -> None:
    """Oldest first; one that cannot be done does not keep the others from it."""
    key_arn = key_to_wrap_for(options.to, desk.policy, desk.keyring)
    entries = desk.catalog.entries(desk.source) if options.all else [desk.catalog.find(desk.source, options.name)]
    rewrapper = _rewrapper(desk) if options.apply else None
    done: list[Rewrapped] = []
    failed: dict[str, str] = {}
    for entry in reversed(entries):
        if entry.state != "complete":
            failed[entry.key] = entry.problem or entry.state
            continue
        try:
            done.append(
                rewrap(entry, desk.source, key_arn, desk.policy, desk.vault, desk.keyring, desk.reporter, rewrapper)
            )
        except BackupError as error:
            if error.retryable or not options.all:
                raise
            failed[entry.key] = error.cause
    if options.json:
        print_json(RewrapAnswer(key_arn=key_arn, backups=done, failed=failed))
    else:
        _tell(done, failed)
    if failed:
        raise RewrapRefused(
            f"{len(failed)} of {len(entries)} backups have no copy under {key_arn}.",
            "See the reason of each, and keep the old key until `keys --if-deleted` names no backup.",
        )


def _rewrapper(desk: Desk) -> Rewrapper:
    roles = desk.policy.vault
    return Rewrapper(
        desk.keyring_as(roles.rewrap_conn_id), desk.vault_as(roles.rewrap_conn_id), desk.vault_as(roles.writer_conn_id)
    )


def _tell(done: list[Rewrapped], failed: dict[str, str]) -> None:
    words = {"done": "was re-wrapped", "planned": "would be re-wrapped", "already": "opens with it already"}
    for item in done:
        print(f"{item.backup:30} {words[item.state]} ({item.way} from {item.opened_with})")
    for key, why in failed.items():
        print(f"{key} FAILED: {why}")
