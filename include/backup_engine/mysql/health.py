"""Whether a schema works, beyond having the right content.

Of a restored one: views run, no orphans. Of a source: whether it could be restored under another name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.definitions import read_definitions
from include.backup_engine.mysql.qualified import schemas_named
from include.backup_engine.mysql.server import quote, rows, scalar
from include.backup_engine.mysql.side_by_side import side_by_side
from include.backup_engine.mysql.statements import Lexer
from include.backup_engine.records import Record

_NO_OTHERS = {"information_schema"}
_CANNOT_BE_SELECTED = "view {} cannot be selected from"


class Health(Record):
    """What was tried and what failed, by name.

    :param foreign_keys: foreign keys whose rows were all checked for a parent.
    """

    views: int
    foreign_keys: int
    findings: list[str]


def check_health(connections: Sequence[Connection[Any]], database: str, absent: Collection[str] = ()) -> Health:
    """Select from every view, and look for child rows without a parent under every foreign key.

    :param connections: on which this is done side by side.
    :param absent: tables that were left out on purpose, so that foreign keys to them cannot be checked.
    :raises SourceUnavailable: the server is lost.
    """
    connection = connections[0]
    listed = rows(connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (database,))
    tables = {str(name) for (name,) in listed}
    views = _views(connection, database)
    foreign_keys = [key for key in _foreign_keys(connection, database) if key.parent not in absent]

    def try_view(connection: Connection[Any], view: str) -> str:
        return "" if _works(connection, database, view) else _CANNOT_BE_SELECTED.format(view)

    def look_for_orphans(connection: Connection[Any], key: _ForeignKey) -> str:
        label = f"foreign key {key.name} of table {key.table}"
        if key.parent not in tables:
            return f"{label} refers to the table {key.parent}, which is missing"
        orphans = scalar(connection, key.orphans)
        return f"{label} has {orphans} rows without a parent" if orphans else ""

    told = [
        *side_by_side(connections, views, try_view),
        *side_by_side(connections, foreign_keys, look_for_orphans),
    ]
    return Health(views=len(views), foreign_keys=len(foreign_keys), findings=list(filter(None, told)))


def check_views(connection: Connection[Any], database: str) -> list[str]:
    """Select from every view; those that fail."""
    return [_CANNOT_BE_SELECTED.format(view) for view in broken_views(connection, database)]


def broken_views(connection: Connection[Any], database: str) -> list[str]:
    """The names of the views that cannot be selected from."""
    return [view for view in _views(connection, database) if not _works(connection, database, view)]


def _views(connection: Connection[Any], database: str) -> list[str]:
    found = rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'VIEW'",
        (database,),
    )
    return [str(name) for (name,) in found]


def _works(connection: Connection[Any], database: str, view: str) -> bool:
    try:
        rows(connection, f"SELECT * FROM {quote(database)}.{quote(view)} LIMIT 1")  # noqa: S608 - quoted
    except BackupError:
        return False
    return True


def bound_code(connection: Connection[Any], database: str) -> list[str]:
    """Code that names a schema, its own or another one, and what follows from that, one sentence each.

    :param connection: its default database is the schema.
    :raises PreflightError: the text of an object is hidden from this account.
    """
    schemas = {str(name).lower(): str(name) for (name,) in rows(connection, "SHOW DATABASES")}
    findings: list[str] = []
    for item in read_definitions(connection, database):
        lexer = Lexer()
        lexer.use("NO_BACKSLASH_ESCAPES" not in item.sql_mode, "ANSI_QUOTES" in item.sql_mode)
        named = {name.lower() for name in schemas_named(lexer.code(item.statement.encode()))} & schemas.keys()
        if database.lower() in named:
            findings.append(
                f"The {item} names its own schema {database}: this backup can be restored under that name only,"
                " on another server, and no drill can restore it"
            )
        findings += [
            f"The {item} reaches into the schema {schemas[name]}: no server that has one takes this backup"
            for name in sorted(named - {database.lower()} - _NO_OTHERS)
        ]
    return findings


@dataclass(frozen=True)
class _ForeignKey:
    """A foreign key of a table.

    :param orphans: a query that counts rows without a parent.
    """

    table: str
    name: str
    parent: str
    orphans: str


def _foreign_keys(connection: Connection[Any], database: str) -> list[_ForeignKey]:
    """A key with a NULL column refers to nothing (MATCH SIMPLE)."""
    columns: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for table, name, column, parent, parent_column in rows(
        connection,
        "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage WHERE table_schema = %s AND referenced_table_schema = %s"
        " ORDER BY table_name, constraint_name, ordinal_position",
        (database, database),
    ):
        columns[str(table), str(name)].append((str(column), str(parent), str(parent_column)))
    keys: list[_ForeignKey] = []
    for (table, name), parts in columns.items():
        parent = parts[0][1]
        matches = " AND ".join(f"p.{quote(there)} = c.{quote(here)}" for here, _, there in parts)
        given = " AND ".join(f"c.{quote(here)} IS NOT NULL" for here, _, _ in parts)
        orphans = (
            f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)} c WHERE {given}"  # noqa: S608 - quoted
            f" AND NOT EXISTS (SELECT 1 FROM {quote(database)}.{quote(parent)} p WHERE {matches})"
        )
        keys.append(_ForeignKey(table, name, parent, orphans))
    return keys
