"""``accounts``: which accounts of the server were kept with a backup; or their statements, into a new file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from include.backup_engine.accounts import ServerAccounts, open_accounts
from include.backup_engine.commands.answers import AccountsAnswer, ListedAccount
from include.backup_engine.commands.decrypt import write_whole
from include.backup_engine.commands.desk import Commands, Desk, add_backup, add_command, add_json, print_json


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "accounts", tell_accounts, "Name the accounts of the server that were kept with a backup."
    )
    add_backup(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the .sql to write, with the hashes of passwords; must not exist"
    )
    add_json(parser)


def tell_accounts(desk: Desk, options: argparse.Namespace) -> None:
    """Print names and privileges, and no hash; or write the statements to a file that only its owner can read."""
    backup = desk.stored(options.name)
    found = open_accounts(backup, desk.policy, desk.keyring)
    if options.output:
        write_whole(options.output, [_sql(found)])
    if options.json:
        listed = [
            ListedAccount(name=each.name, role=each.role, privileges=each.privileges) for each in found.accounts
        ]  # fmt: skip
        print_json(
            AccountsAnswer(backup=backup.name.stem, server=found.server, taken_at=found.taken_at, accounts=listed)
        )
        return
    for account in found.accounts:
        print(f"{account.name}{' (role)' if account.role else ''}")
        for privilege in account.privileges:
            print(f"  {privilege}")
    print(f"{len(found.accounts)} accounts, {found.roles} of them roles", file=sys.stderr)


def _sql(found: ServerAccounts) -> bytes:
    """In an order in which everything that a statement names is there already."""
    statements = [account.create for account in found.accounts]
    statements += [grant for account in found.accounts for grant in account.grants]
    return "".join(f"{statement};\n" for statement in statements).encode()
