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

_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?:(?:TABLE|FUNCTION|PROCEDURE) )?(?P<scope>\S+) TO ", re.DOTALL)
_SCOPE = re.compile(r"(?P<db>\*|`(?:[^`]|``)*`)\.(?P<table>\*|`(?:[^`]|``)*`)\Z")
_COLUMNS = re.compile(r"\([^)]*\)")


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
    """One line of SHOW GRANTS: privileges on ``db.table``, ``*`` for all."""

    privileges: frozenset[str]
    db: str
    table: str

    def covers(self, privilege: str, db: str | None, table: str | None) -> bool:
        """Whether this grant gives ``privilege`` there; ``None`` asks for the whole server or schema."""
        if privilege not in self.privileges and "ALL PRIVILEGES" not in self.privileges:
            return False
        if self.db == "*":
            return True
        if db is None or not _like(self.db).match(db):
            return False
        return self.table == "*" or self.table == table


class Grants:
    """All grants of an account, roles in force included."""

    def __init__(self, lines: list[str]) -> None:
        self._grants = [grant for line in lines if (grant := self._parse(line))]

    @staticmethod
    def _parse(line: str) -> Grant | None:
        match = _GRANT.match(line)
        scope = match and _SCOPE.match(match["scope"])
        if not match or not scope:
            return None
        names = [name.strip().upper() for name in _COLUMNS.sub("", match["privileges"]).split(",")]
        return Grant(frozenset(names), *(part.strip("`").replace("``", "`") for part in scope.group("db", "table")))

    @classmethod
    def of(cls, connection: Connection[Any]) -> Grants:
        """The grants of the connected account."""
        return cls([str(line[0]) for line in rows(connection, "SHOW GRANTS")])

    def has(self, privilege: str, db: str | None = None, table: str | None = None) -> bool:
        """Whether the account has the privilege on the server, a schema or a table."""
        return any(grant.covers(privilege, db, table) for grant in self._grants)

    def may_lock_globally(self) -> bool:
        """Whether FLUSH TABLES WITH READ LOCK is allowed."""
        return self.has("RELOAD") or self.has("FLUSH_TABLES")

    def may_lock_tables(self, db: str) -> bool:
        """Whether LOCK TABLES is allowed in the schema."""
        return self.has("LOCK TABLES", db) and self.has("SELECT", db)

    def may_read_routines(self, server: ServerIdentity, db: str) -> bool:
        """Whether the bodies of other accounts' routines are visible."""
        if server.flavour == "mariadb":
            return self.has("SELECT", "mysql", "proc") or self.has("SHOW CREATE ROUTINE", db)
        return self.has("SHOW_ROUTINE") or self.has("SELECT")

    def missing_for_backup(self, server: ServerIdentity, db: str) -> list[str]:
        """What a complete dump of the schema needs and the account lacks, as ``PRIVILEGE ON scope``."""
        scope = f"{quote(db)}.*"
        missing = [
            f"{name} ON {scope}" for name in ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT") if not self.has(name, db)
        ]
        if not self.may_read_routines(server, db):
            missing.append("SELECT ON mysql.proc" if server.flavour == "mariadb" else "SHOW_ROUTINE ON *.*")
        return missing
