"""The part of a recovery's plan that is about accounts: which would be created, and what that means."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from include.backup_engine.accounts import ServerAccounts
from include.backup_engine.mysql.account_creation import existing_accounts, missing_for_accounts
from include.backup_engine.mysql.accounts import Account
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.records import Record

_NAMED = 10
_GRAVEST = ("ALL PRIVILEGES", "SUPER", "GRANT OPTION", "CREATE USER", "SYSTEM_USER", "FILE", "SHUTDOWN")


class AccountPlan(Record):
    """What creating the accounts would mean.

    :param created: names of those that would be; the others exist.
    """

    created: list[str]
    notes: list[str]
    warnings: list[str]
    blockers: list[str]


def plan_accounts(connection: Connection[Any], found: ServerAccounts, source: str, target: str) -> AccountPlan:
    """Look at what the target has, and at what the connected account may give. It changes nothing.

    :param source: the database that the backup was made of; ``target``: where it goes.
    :raises PreflightError: without ``SELECT`` on ``mysql.user``.
    """
    there = existing_accounts(connection)
    wanted = [account for account in found.accounts if account.key not in there and not account.not_understood]
    notes = [f"{len(wanted)} of {len(found.accounts)} accounts would be created, with the passwords they had"]
    if stay := [account.name for account in found.accounts if account.key in there]:
        notes.append(f"accounts that exist there are left alone: {_some(stay)}")
    if source != target and wanted:
        notes.append(f"their grants name the database {source}, as on the source, not {target}")
    warnings = [f"ON THE WHOLE SERVER {account.name} gets {_powers(account)}" for account in wanted if account.powers]
    warnings += [
        f"the account {account.name} is not created: it has statements of a form that is not known"
        for account in found.accounts
        if account.key not in there and account.not_understood
    ]
    lacking = missing_for_accounts(Grants.of(connection), found.server.flavour, wanted)
    blockers = [f"to create the accounts, this one lacks {_some(lacking)}"] if lacking else []
    return AccountPlan(
        created=[account.name for account in wanted], notes=notes, warnings=warnings, blockers=blockers
    )  # fmt: skip


def _powers(account: Account) -> str:
    """The gravest first."""
    powers = list(dict.fromkeys(account.powers))
    return _some(sorted(powers, key=lambda name: _GRAVEST.index(name) if name in _GRAVEST else len(_GRAVEST)))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
