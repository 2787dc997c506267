"""What the connected account may do, read from its own grants.

A dump leaves out what its account cannot see, without an error: triggers without TRIGGER, routines without
the right to read their bodies. So grants are checked before anything is dumped, and what is missing is named
together with the GRANT that gives it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.server import quote, rows
from include.backup_engine.records import ServerIdentity

_POWERS = (
    "SUPER", "FILE", "SHUTDOWN", "SYSTEM_VARIABLES_ADMIN", "SESSION_VARIABLES_ADMIN", "PERSIST_RO_VARIABLES_ADMIN",
    "CONNECTION ADMIN", "CONNECTION_ADMIN", "READ_ONLY ADMIN", "BINLOG ADMIN", "BINLOG_ADMIN", "BINLOG REPLAY",
    "REPLICATION SLAVE ADMIN", "REPLICATION_SLAVE_ADMIN", "REPLICATION MASTER ADMIN",
)  # fmt: skip
_NAME = r"(?:\*|`(?:[^`]|``)*+`)"
_GRANT = re.compile(
    r"(?P<verb>GRANT|REVOKE) (?P<privileges>.+?) ON (?:(?:TABLE|FUNCTION|PROCEDURE) )?"
    rf"(?P<db>{_NAME})\.(?P<table>{_NAME}) (?:TO|FROM) ",
    re.DOTALL,
)
_QUOTED = re.compile(r"`(?:[^`]|``)*+`|'(?:[^'\\]|\\.|'')*+'")
_ADMINISTERED = re.compile(rf"GRANT ({_NAME}) TO {_NAME}(?:@{_NAME})? WITH ADMIN OPTION\Z")
# A privilege on columns is not the privilege on the table.
_ON_COLUMNS = re.compile(r"[A-Z ]+\((?:`(?:[^`]|``)*+`|[^`)])*\),?")


def _like(pattern: str) -> re.Pattern[str]:
    r"""A grant's schema pattern (``_`` and ``%`` are wildcards, ``\\`` escapes) as a regular expression."""
    out, chars = "", iter(pattern)
    for char in chars:
        if char == "\\":
            out += re.escape(next(chars, "\\"))
        else:
            out += {"%": ".*", "_": "."}.get(char, re.escape(char))
    return re.compile(out + r"\Z", re.DOTALL)


@dataclass(frozen=True)
class Grant:
    """One line of SHOW GRANTS: privileges on ``db.table``, ``*`` for all; or a REVOKE that takes some of them back."""

    privileges: frozenset[str]
    db: str
    table: str
    revokes: bool = False

    def covers(self, privilege: str, db: str | None, table: str | None) -> bool:
        """Whether this line is about ``privilege`` there; ``None`` asks for the whole server or schema."""
        everything = "ALL PRIVILEGES" in self.privileges and privilege != "GRANT OPTION"
        if privilege not in self.privileges and not everything:
            return False
        if self.db == "*":
            return True
        if self.table != "*" or self.revokes:  # only in grants on a whole schema has its name wildcards
            return self.db == db and self.table in ("*", table)
        return db is not None and bool(_like(self.db).match(db))


class Grants:
    """All grants of an account, roles in force included."""

    def __init__(self, lines: list[str]) -> None:
        self.administered = {found[1] for line in lines if (found := _ADMINISTERED.match(line))}
        """MariaDB's roles that the account may grant, as SQL has them."""
        self.lines = [grant for line in lines if (grant := self._parse(line))]

    @staticmethod
    def _parse(line: str) -> Grant | None:
        match = _GRANT.match(line)
        if not match:
            return None
        names = (name.strip().upper() for name in _ON_COLUMNS.sub("", match["privileges"]).split(","))
        db, table = (part if part == "*" else part[1:-1].replace("``", "`") for part in match.group("db", "table"))
        privileges = {name for name in names if name}
        if " WITH GRANT OPTION" in _QUOTED.sub("", line[match.end() :]):
            privileges.add("GRANT OPTION")
        return Grant(frozenset(privileges), db, table, match["verb"] == "REVOKE")

    @classmethod
    def of(cls, connection: Connection[Any]) -> Grants:
        """The grants of the connected account."""
        return cls([str(line[0]) for line in rows(connection, "SHOW GRANTS")])

    def has(self, privilege: str, db: str | None = None, table: str | None = None) -> bool:
        """Whether the account has the privilege on the server, a schema or a table.

        A partial revoke (MySQL manual, "Privilege Restriction Using Partial Revokes") takes it from a schema.
        """
        about = [line for line in self.lines if line.covers(privilege, db, table)]
        return any(not line.revokes for line in about) and not any(line.revokes for line in about)

    @property
    def powerful(self) -> bool:
        """Whether the account may act on files, settings, other sessions or the binary log of the server."""
        return any(self.has(name) for name in _POWERS)

    def may_lock_globally(self) -> bool:
        """Whether FLUSH TABLES WITH READ LOCK is allowed."""
        return self.has("RELOAD") or self.has("FLUSH_TABLES")

    def may_lock_tables(self, db: str) -> bool:
        """Whether LOCK TABLES is allowed in the schema."""
        return self.has("LOCK TABLES", db) and self.has("SELECT", db)

    def may_read_routines(self, server: ServerIdentity, db: str) -> bool:
        """Whether the bodies of other accounts' routines are visible."""
        if server.flavour == "mariadb":
            version = tuple(int(part) for part in re.findall(r"\d+", server.version)[:2])
            # Before 11.3 there is no such privilege, and ALL PRIVILEGES on the schema does not contain it.
            has_privilege = version >= (11, 3) and self.has("SHOW CREATE ROUTINE", db)
            return has_privilege or self.has("SELECT", "mysql", "proc")
        return self.has("SHOW_ROUTINE") or self.has("SELECT")

    def may_read_accounts(self) -> bool:
        """Whether SHOW CREATE USER tells everything about other accounts (manuals of both, SHOW CREATE USER)."""
        return self.has("SELECT", "mysql")

    def missing_for_backup(self, server: ServerIdentity, db: str) -> list[str]:
        """What a complete dump of the schema needs and the account lacks, as ``PRIVILEGE ON scope``."""
        scope = f"{quote(db)}.*"
        missing = [
            f"{name} ON {scope}" for name in ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT") if not self.has(name, db)
        ]
        if not self.may_read_routines(server, db):
            missing.append("SELECT ON mysql.proc" if server.flavour == "mariadb" else "SHOW_ROUTINE ON *.*")
        return missing
