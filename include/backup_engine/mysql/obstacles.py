"""What in a schema no backup, or no restore, can take: told before anything is dumped."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.fence import lies_elsewhere
from include.backup_engine.mysql.server import identify, quote, rows, shown

# The two that every server has (MySQL manual, "CREATE TABLE", TABLESPACE).
_TABLESPACE = re.compile(
    r"^\) /\*!50100 TABLESPACE `(?!innodb_system`|innodb_file_per_table`)((?:[^`]|``)+)`", re.MULTILINE
)

# What mysql_real_escape_string() escapes (MySQL C API; a name cannot hold NUL).
_ESCAPED = re.compile(r"""['"\\\n\r\x1a]""")


def not_dumpable(connection: Connection[Any], database: str, excluded: Collection[str]) -> list[tuple[str, str]]:
    """Objects that cannot be backed up, each with the remedy."""
    by_transaction = rows(
        connection,
        "SELECT table_name FROM information_schema.columns WHERE table_schema = %s AND data_type = 'bigint'"
        " AND UPPER(generation_expression) = 'ROW START' ORDER BY 1",
        (database,),
    )
    broken = rows(
        connection,
        "SELECT LOWER(table_type), table_name FROM information_schema.tables WHERE table_schema = %s"
        " AND LOCATE('\n', table_name) ORDER BY 2",
        (database,),
    )
    return (
        [
            (f"{kind} {name} cannot be restored", "Take it out of the database, into a file under version control.")
            for kind, name in _other_code(connection, database)
        ]
        + [
            (
                f"history of table {name} is kept by transaction numbers, which the dump program cannot dump",
                f"Have it kept by time (columns of type timestamp(6)), or exclude {name}.",
            )
            for (name,) in by_transaction
            if name not in excluded
        ]
        + [
            (f"name of {kind} {name!r} has a line break, which the dump program cannot announce", "Rename it.")
            for kind, name in broken
            if name not in excluded
        ]
        + _events_under_an_escaped_name(connection, database)
    )


def _events_under_an_escaped_name(connection: Connection[Any], database: str) -> list[tuple[str, str]]:
    """MariaDB's program selects the database by its escaped name once it has found an event (error 1049)."""
    if not _ESCAPED.search(database) or identify(connection).flavour != "mariadb":
        return []
    if not rows(connection, "SELECT 1 FROM information_schema.events WHERE event_schema = %s LIMIT 1", (database,)):
        return []
    return [
        (
            f"name of the database {database} has a quote or a backslash, and MariaDB's dump program finds no events"
            " under such a name",
            "Give the database another name, or keep its events elsewhere: without events it can be backed up.",
        )
    ]


def _other_code(connection: Connection[Any], database: str) -> list[tuple[str, str]]:
    """Kind and name of code that no restore can judge: MariaDB's packages, and what is not written in SQL (MySQL)."""
    found = rows(
        connection,
        "SELECT DISTINCT CASE WHEN routine_type LIKE 'PACKAGE%%' THEN 'package'"
        " ELSE CONCAT(external_language, ' ', LOWER(routine_type)) END, routine_name FROM information_schema.routines"
        " WHERE routine_schema = %s AND (routine_type LIKE 'PACKAGE%%' OR external_language <> 'SQL') ORDER BY 2",
        (database,),
    )
    if rows(
        connection,
        "SELECT 1 FROM information_schema.tables"
        " WHERE table_schema = 'information_schema' AND table_name = 'LIBRARIES'",
    ):
        found += rows(
            connection,
            "SELECT 'library', library_name FROM information_schema.libraries WHERE library_schema = %s ORDER BY 2",
            (database,),
        )
    return [(str(kind), str(name)) for kind, name in found]


def tables_elsewhere(connection: Connection[Any], database: str, excluded: Collection[str]) -> list[str]:
    """Tables whose content lies where no restore, or not every one, can put it; one sentence each."""
    found = rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name",
        (database,),
    )
    findings: list[str] = []
    for name in (str(name) for (name,) in found if name not in excluded):
        definition = shown(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(name)}")
        text = str(definition[1]) if definition else ""
        if option := lies_elsewhere(text):
            findings.append(
                f"The content of the table {name} lies elsewhere ({option}): a restore refuses this backup."
                " Exclude the table, or load the backup by hand"
            )
        if space := _TABLESPACE.search(text):
            label = space[1].replace("``", "`")
            findings.append(
                f"The table {name} lies in the tablespace {label}: only a server that has one takes this backup"
            )
    return findings
