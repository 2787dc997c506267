"""The accounts of a server: users and roles, as the statements that create them anew, and the few that may be run.

Server programs can dump accounts, too, but not alike: ``mariadb-dump --system=users`` writes compound statements in
version comments, ``mysqldump`` only rows of ``mysql.*``, which no other version should load. ``SHOW CREATE USER`` and
``SHOW GRANTS`` are alike on both, and what they write can be judged.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field
from pymysql.connections import Connection

from include.backup_engine.mysql.server import quote, row, rows
from include.backup_engine.records import Flavour, Record

_SYSTEM = {"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC"}
"""Those that every server has of its own, and PUBLIC, which is nobody."""

_STRING = r"'(?:[^'\\]|\\.|'')*+'"
_NAME = r"`(?:[^`]|``)*+`"
_ACCOUNT = rf"{_NAME}(?:@{_NAME})?"
_ACCOUNTS = rf"{_ACCOUNT}(?:, ?{_ACCOUNT})*+"
_PRIVILEGE = rf"[A-Z_]+(?: [A-Z_]+)*(?: ?\({_NAME}(?:, ?{_NAME})*+\))?"
_CREATE = re.compile(rf"CREATE (?P<kind>ROLE|USER) (?P<to>{_ACCOUNT})(?:{_STRING}|{_NAME}|[\w .,@])*+", re.DOTALL)
_GRANT = re.compile(
    rf"(?P<verb>GRANT|REVOKE) (?P<privileges>{_PRIVILEGE}(?:, ?{_PRIVILEGE})*) ON"
    rf" (?P<on>(?P<object>(?:(?:TABLE|FUNCTION|PROCEDURE) )?(?:{_NAME}\.{_NAME}))|\*\.\*|{_NAME}\.\*)"
    rf" (?:TO|FROM) (?P<to>{_ACCOUNT})(?P<rest>.*)",
    re.DOTALL,
)
_OTHERS = [
    re.compile(rf"GRANT (?P<roles>{_ACCOUNTS}) TO (?P<to>{_ACCOUNT})(?: WITH ADMIN OPTION)?"),
    re.compile(rf"GRANT PROXY ON {_ACCOUNT} TO (?P<to>{_ACCOUNT})(?: WITH GRANT OPTION)?"),
    re.compile(rf"SET DEFAULT ROLE {_ACCOUNTS} (?:FOR|TO) (?P<to>{_ACCOUNT})"),
]
# Where MySQL names default roles: before they are granted. Strings and names are passed over.
_DEFAULT_ROLES = re.compile(rf"(?P<before>(?:{_STRING}|{_NAME}|[^'`])*?) DEFAULT ROLE (?P<roles>{_ACCOUNTS})(?= |\Z)")
_WITH_GRANT_OPTION = " WITH GRANT OPTION"


class Account(Record):
    """A user or a role.

    :param host: None: a role of MariaDB, which has none.
    :param role: of MySQL, where a role is a user like any other: one that has been granted to somebody.
    :param create: the statement that creates it, with the hash of its password: a secret.
    :param grants: statements to be run after it, in this order; no secret, as far as they are understood.
    """

    user: str
    host: str | None
    role: bool
    create: str = Field(repr=False)
    grants: list[str] = Field(repr=False)

    @property
    def name(self) -> str:
        """As definers are recorded, and as people read it: ``user@host``."""
        return self.user if self.host is None else f"{self.user}@{self.host}"

    @property
    def key(self) -> tuple[str, str]:
        """As the server's own list has it."""
        return self.user, self.host or ""

    @property
    def written(self) -> str:
        """As SQL has it."""
        return quote(self.user) if self.host is None else f"{quote(self.user)}@{quote(self.host)}"

    @property
    def not_understood(self) -> int:
        """How many of its statements are none that :func:`understood` knows; nobody runs them."""
        return [understood(statement, self) is None for statement in (self.create, *self.grants)].count(True)

    @property
    def privileges(self) -> list[str]:
        """What it may do, to be read by people: ``SELECT ON `db`.*``. Never a hash."""
        shown: list[str] = []
        for statement in self.grants:
            if found := understood(statement, self):
                given = statement[: found.start("to")].rsplit(" ", 2)[0].removeprefix("GRANT ")
                shown.append(given + statement[found.end("to") :])
        hidden = len(self.grants) - len(shown)
        return shown + ([f"{hidden} that are not understood"] if hidden else [])

    @property
    def roles(self) -> list[str]:
        """The roles that it was granted, as SQL has them."""
        found = [match["roles"] for statement in self.grants if (match := _OTHERS[0].fullmatch(statement))]
        return [name for listed in found for name in re.findall(_ACCOUNT, listed)]

    @property
    def powers(self) -> list[str]:
        """Its privileges on the whole server."""
        found: list[str] = []
        for statement in self.grants:
            grant = _GRANT.fullmatch(statement)
            if grant and grant["on"] == "*.*" and grant["verb"] == "GRANT":
                found += [name.strip() for name in grant["privileges"].split(",") if name.strip() != "USAGE"]
                found += ["GRANT OPTION"] * (grant["rest"] == _WITH_GRANT_OPTION)
        return found


def take_accounts(connection: Connection[Any], flavour: Flavour) -> list[Account]:
    """All accounts of the server but its own, roles first. The connection is used for nothing else afterwards.

    :raises PreflightError: without ``SELECT`` on ``mysql.*``.
    """
    roles = "is_role = 'Y'"
    if flavour == "mysql":
        roles = "(user, host) IN (SELECT from_user, from_host FROM mysql.role_edges)"
        rows(connection, "SET SESSION print_identified_with_as_hex = 1")  # salts are bytes
    found = rows(connection, f"SELECT user, host, {roles} FROM mysql.user ORDER BY 3 DESC, user, host")  # noqa: S608
    return [
        _take(connection, str(user), None if role and flavour == "mariadb" else str(host), bool(role))
        for user, host, role in found
        if user not in _SYSTEM
    ]


def _take(connection: Connection[Any], user: str, host: str | None, role: bool) -> Account:
    account = Account(user=user, host=host, role=role, create="", grants=[])
    last: list[str] = []
    if host is None:
        create = f"CREATE ROLE {account.written}"
    else:
        shown = row(connection, f"SHOW CREATE USER {account.written}")
        create = str(shown[0]) if shown else ""
        if default := _DEFAULT_ROLES.match(create):
            create = default["before"] + create[default.end() :]
            last = [f"SET DEFAULT ROLE {default['roles']} TO {account.written}"]
    lines = [str(line[0]) for line in rows(connection, f"SHOW GRANTS FOR {account.written}")]
    grants = [grant for line in lines if (grant := _own_grant(line, account))]
    return account.model_copy(update={"create": create, "grants": grants + last})


def _own_grant(line: str, account: Account) -> str | None:
    """A line of SHOW GRANTS as it is to be run. MariaDB shows what roles inherit, too, and repeats the password."""
    grant = next((found for pattern in (_GRANT, *_OTHERS) if (found := pattern.fullmatch(line))), None)
    if grant is None:
        return line  # kept, and never run
    if grant["to"] != account.written:
        return None
    if grant.re is not _GRANT:
        return line
    option = _WITH_GRANT_OPTION if _WITH_GRANT_OPTION in re.sub(_STRING, "", grant["rest"]) else ""
    if grant["privileges"] == "USAGE" and not option:
        return None
    return line[: grant.end("to")] + option


def understood(statement: str, account: Account) -> re.Match[str] | None:
    """The fence: what matches creates this account, or gives it something, and does nothing else."""
    if (created := _CREATE.fullmatch(statement)) and created["to"] == account.written:
        return created if (created["kind"] == "ROLE") == (account.host is None) else None
    grant = next((found for pattern in (_GRANT, *_OTHERS) if (found := pattern.fullmatch(statement))), None)
    if grant is None or grant["to"] != account.written:
        return None
    if grant.re is _GRANT:
        # MySQL revokes privileges on a database from those on the server ("Partial Revokes").
        known = ("", _WITH_GRANT_OPTION) if grant["verb"] == "GRANT" else ("",)
        return grant if grant["rest"] in known else None
    return grant
