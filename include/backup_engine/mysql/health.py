"""Whether a schema works, beyond having the right content.

Of a restored one: views run, no orphans. Of a source: whether it could be restored under another name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.definitions import read_definitions
from include.backup_engine.mysql.qualified import schemas_named
from include.backup_engine.mysql.server import quote, rows, scalar
from include.backup_engine.mysql.statements import Lexer
from include.backup_engine.records import Record

_NO_OTHERS = {"information_schema"}


class Health(Record):
    """What was tried and what failed, by name.

    :param foreign_keys: foreign keys whose rows were all checked for a parent.
    """

    views: int
    foreign_keys: int
    findings: list[str]


def check_health(connection: Connection[Any], database: str, absent: Collection[str] = ()) -> Health:
    """Select from every view, and look for child rows without a parent under every foreign key.

    :param absent: tables that were left out on purpose, so that foreign keys to them cannot be checked.
    :raises SourceUnavailable: the server is lost.
    """
    views, findings = check_views(connection, database)
    foreign_keys = {
        key: (parent, query)
        for key, (parent, query) in _foreign_keys(connection, database).items()
        if parent not in absent
    }
    listed = rows(connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (database,))
    tables = {str(name) for (name,) in listed}
    for (table, name), (parent, query) in foreign_keys.items():
        if parent not in tables:
            findings.append(f"foreign key {name} of table {table} refers to the table {parent}, which is missing")
        elif orphans := scalar(connection, query):
            findings.append(f"foreign key {name} of table {table} has {orphans} rows without a parent")
    return Health(views=views, foreign_keys=len(foreign_keys), findings=findings)


def check_views(connection: Connection[Any], database: str) -> tuple[int, list[str]]:
    """Select from every view; how many there are, and those that fail."""
    views, broken = broken_views(connection, database)
    return views, [f"view {name} cannot be selected from" for name in broken]


def broken_views(connection: Connection[Any], database: str) -> tuple[int, list[str]]:
    """How many views there are, and the names of those that cannot be selected from."""
    views = [
        str(name)
        for (name,) in rows(
            connection,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'VIEW'",
            (database,),
        )
    ]
    broken: list[str] = []
    for name in views:
        try:
            rows(connection, f"SELECT * FROM {quote(database)}.{quote(name)} LIMIT 1")  # noqa: S608 - quoted
        except BackupError:
            broken.append(name)
    return len(views), broken


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


def _foreign_keys(connection: Connection[Any], database: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Per table and foreign key: the parent table, and a query that counts orphans.

    A key with a NULL column refers to nothing (MATCH SIMPLE).
    """
    columns: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for table, name, column, parent, parent_column in rows(
        connection,
        "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage WHERE table_schema = %s AND referenced_table_schema = %s"
        " ORDER BY table_name, constraint_name, ordinal_position",
        (database, database),
    ):
        columns[str(table), str(name)].append((str(column), str(parent), str(parent_column)))
    queries: dict[tuple[str, str], tuple[str, str]] = {}
    for key, parts in columns.items():
        child, parent = (f"{quote(database)}.{quote(name)}" for name in (key[0], parts[0][1]))
        matches = " AND ".join(f"p.{quote(there)} = c.{quote(here)}" for here, _, there in parts)
        given = " AND ".join(f"c.{quote(here)} IS NOT NULL" for here, _, _ in parts)
        queries[key] = (
            parts[0][1],
            f"SELECT COUNT(*) FROM {child} c WHERE {given}"  # noqa: S608 - identifiers are quoted
            f" AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {matches})",
        )
    return queries
