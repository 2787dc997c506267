"""Creating accounts from their statements: only those that do not exist, and each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection

from include.backup_engine.mysql.accounts import Account, understood
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import error_number, quote, rows, server_errors
from include.backup_engine.records import Flavour, Record

_OBJECT_MISSING = {1049, 1054, 1146, 1147, 1305}
"""A GRANT names a database, column, table or routine that is not there."""
_CLIENT_ERRORS = range(2000, 3000)


class CreatedAccounts(Record):
    """What was created.

    :param left_alone: those that were there already.
    :param refused: name of each account that was not created, and why.
    :param not_given: what was granted on tables and routines that are not there.
    """

    created: list[str]
    left_alone: list[str]
    refused: dict[str, str]
    not_given: list[str]


def existing_accounts(connection: Connection[Any]) -> set[tuple[str, str]]:
    """User and host of all accounts; of MariaDB's roles the host is empty.

    :raises PreflightError: without ``SELECT`` on ``mysql.user``.
    """
    return {(str(user), str(host)) for user, host in rows(connection, "SELECT user, host FROM mysql.user")}


def missing_for_accounts(own: Grants, flavour: Flavour, accounts: Sequence[Account]) -> list[str]:
    """What the connected account lacks to create these: as ``PRIVILEGE ON scope``.

    Nobody can give what they do not have themselves with the right to pass it on (manuals of both, GRANT).
    """
    statements = [statement for account in accounts for statement in account.grants]
    roles = {role for account in accounts for role in account.roles}
    missing = ["CREATE USER ON *.*"] if accounts and not own.has("CREATE USER") else []
    if flavour == "mysql":
        if roles and not (own.has("ROLE_ADMIN") or own.has("SUPER")):
            missing.append("ROLE_ADMIN ON *.*")
    else:  # whoever creates a role may grant it; one that exists, only who has it with this option
        there = roles - own.administered - {account.written for account in accounts}
        missing += [f"{role} WITH ADMIN OPTION" for role in sorted(there)]
        if any(statement.startswith("SET DEFAULT ROLE ") for statement in statements) and not own.has(
            "UPDATE", "mysql"
        ):
            missing.append("UPDATE ON `mysql`.*")
    for grant in Grants(statements).lines:
        db, table = (None if part == "*" else part for part in (grant.db, grant.table))
        scope = f"{quote(db) if db else '*'}.{quote(table) if table else '*'}"
        needed = [*sorted(grant.privileges - {"USAGE"}), "GRANT OPTION"] if not grant.revokes else []
        missing += [f"{name} ON {scope}" for name in needed if not own.has(name, db, table)]
    return list(dict.fromkeys(missing))


def create_accounts(connection: Connection[Any], flavour: Flavour, accounts: Iterable[Account]) -> CreatedAccounts:
    """Create those that do not exist, roles first; one whose grants the server refuses is dropped again.

    Nothing that exists is altered. What is granted on objects that are not there is left out, and told.

    :raises PreflightError: without ``SELECT`` on ``mysql.user``.
    :raises SourceUnavailable: the server was lost.
    """
    there = existing_accounts(connection)
    wanted = sorted(accounts, key=lambda account: not account.role)
    made: list[Account] = []
    refused: dict[str, str] = {}
    not_given: list[str] = []
    for account in wanted:
        if account.key in there:
            continue
        if account.not_understood:
            refused[account.name] = "it has statements of a form that is not known"
        elif number := _run(connection, account, account.create):
            refused[account.name] = f"the server refused to create it (error {number})"
        else:
            made.append(account)
    for account in list(made):  # all roles, and whoever may be a proxy, are there now
        try:
            not_given += _give(connection, account)
        except _Refused as error:
            refused[account.name] = str(error)
            rows(connection, f"DROP {'USER' if account.host is not None else 'ROLE'} {account.written}")
            made.remove(account)
    if flavour == "mariadb":  # which gives a new role to whoever creates it
        for account in made:
            if account.host is None:
                rows(connection, f"REVOKE {account.written} FROM CURRENT_USER")
    return CreatedAccounts(
        created=[account.name for account in made],
        left_alone=[account.name for account in wanted if account.key in there],
        refused=refused,
        not_given=not_given,
    )


class _Refused(Exception):
    """The server refused a grant."""


def _give(connection: Connection[Any], account: Account) -> list[str]:
    """Run an account's grants; returns those on objects that are not there."""
    left_out: list[str] = []
    for statement in account.grants:
        number = _run(connection, account, statement)
        found = understood(statement, account)
        if number in _OBJECT_MISSING and found and found.groupdict().get("object"):
            left_out.append(f"{account.name}: {found['privileges']} ON {found['on']}")
        elif number:
            raise _Refused(f"the server refused one of its grants (error {number})")
    return left_out


def _run(connection: Connection[Any], account: Account, statement: str) -> int:
    """Run one statement; returns the server's error number, 0 without one. Its text is dropped: it may quote a hash."""
    if not understood(statement, account):
        raise ValueError("a statement that is not understood")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except pymysql.err.MySQLError as error:
        failure = error
    else:
        return 0
    number = error_number(failure)
    if number == 0 or number in _CLIENT_ERRORS:
        with server_errors(f"creating the account {account.name}"):
            raise failure
    return number
