"""Foreign keys of tables that move to another schema: pointed there, or dropped.

A renamed table takes its foreign keys along, and InnoDB corrects those between tables that move together. One whose
parent does not exist keeps the name of the schema that its table came from.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pymysql.connections import Connection

from include.backup_engine.mysql.identifiers import unquoted
from include.backup_engine.mysql.server import quote, row, rows
from include.backup_engine.records import Flavour

_NAME = r"`(?:[^`]|``)+`"
_CLAUSE = re.compile(
    rf"^  CONSTRAINT ({_NAME}) FOREIGN KEY (\(.+?\)) REFERENCES ({_NAME}) (\(.+?\)[^\n]*?),?$", re.MULTILINE
)


class ForeignKey(NamedTuple):
    """One foreign key, as SHOW CREATE TABLE writes it."""

    table: str
    name: str
    columns: str
    parent: str
    rest: str

    def __str__(self) -> str:
        return f"{self.name} of {self.table} to {self.parent}"


def foreign_keys(connection: Connection[Any], database: str) -> list[ForeignKey]:
    """All foreign keys of a schema to tables of the same schema, existing or not."""
    tables = rows(
        connection,
        "SELECT DISTINCT table_name FROM information_schema.referential_constraints WHERE constraint_schema = %s"
        " ORDER BY table_name",
        (database,),
    )
    found: list[ForeignKey] = []
    for (table,) in tables:
        shown = row(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(str(table))}")
        for name, columns, parent, rest in _CLAUSE.findall(str(shown[1]) if shown else ""):
            found.append(ForeignKey(str(table), _bare(name), columns, _bare(parent), rest))
    return found


def drop_foreign_keys(connection: Connection[Any], flavour: Flavour, database: str, keys: list[ForeignKey]) -> None:
    """Drop foreign keys; the indexes under them stay."""
    if keys and flavour == "mariadb":  # else a system-versioned table refuses to be altered
        rows(connection, "SET system_versioning_alter_history = KEEP")
    for key in keys:
        rows(connection, f"ALTER TABLE {quote(database)}.{quote(key.table)} DROP FOREIGN KEY {quote(key.name)}")


def point_foreign_keys(
    connection: Connection[Any], flavour: Flavour, database: str, keys: list[ForeignKey], schema: str
) -> None:
    """Let foreign keys refer to a table of another schema, which need not exist."""
    drop_foreign_keys(connection, flavour, database, keys)
    if not keys:
        return
    rows(connection, "SET foreign_key_checks = 0")
    for key in keys:
        rows(
            connection,
            f"ALTER TABLE {quote(database)}.{quote(key.table)} ADD CONSTRAINT {quote(key.name)} FOREIGN KEY"
            f" {key.columns} REFERENCES {quote(schema)}.{quote(key.parent)} {key.rest}",
        )
    rows(connection, "SET foreign_key_checks = 1")


def drop_checks(connection: Connection[Any], flavour: Flavour, database: str) -> list[str]:
    """Drop CHECK constraints on MySQL, where their names are unique in a schema; returns them, with their tables."""
    if flavour == "mariadb":
        return []
    found = rows(
        connection,
        "SELECT table_name, constraint_name FROM information_schema.table_constraints"
        " WHERE constraint_schema = %s AND constraint_type = 'CHECK' ORDER BY table_name, constraint_name",
        (database,),
    )
    for table, name in found:
        rows(connection, f"ALTER TABLE {quote(database)}.{quote(str(table))} DROP CHECK {quote(str(name))}")
    return [f"{name} of {table}" for table, name in found]


def _bare(name: str) -> str:
    return unquoted(name.encode())
