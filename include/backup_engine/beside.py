"""The databases beside the target of a recovery, and what killed recoveries have left in them.

``<target>_incoming_<time>`` holds a restored copy until it is swapped in; nobody needs it afterwards.
``<target>_before_<time>`` holds the content that was swapped out; only a person drops it. While a swap runs, a table
in it, the journal, has the text of the old code.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError, RestoreRefused
from include.backup_engine.mysql.definitions import (
    Definition,
    create_definition,
    create_definitions,
    drop_definition,
    point_sequences,
    read_definitions,
)
from include.backup_engine.mysql.health import broken_views
from include.backup_engine.mysql.server import Endpoint, database_exists, quote, rows, server_errors
from include.backup_engine.mysql.target import existing, wait_for_end
from include.backup_engine.report import Reporter

_INCOMING = re.compile(r"_incoming_\d{14}\Z")
JOURNAL = "__swap_journal"
MAX_TARGET = 64 - len("_incoming_") - 14
"""Characters that the name of a target may have, so that the names of the databases beside it fit."""


def incoming_database(target: str, run_at: datetime) -> str:
    """Where a copy is restored to before it is swapped in."""
    return f"{target}_incoming_{run_at.astimezone(UTC):%Y%m%d%H%M%S}"


def before_database(target: str, run_at: datetime) -> str:
    """Where the content that is swapped out goes."""
    return f"{target}_before_{run_at.astimezone(UTC):%Y%m%d%H%M%S}"


def tables_of(connection: Connection[Any], database: str) -> list[str]:
    """Tables and sequences of a schema."""
    found = rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY table_name",
        (database,),
    )
    return [str(name) for (name,) in found]


def write_down(connection: Connection[Any], before: str, code: Collection[Definition]) -> None:
    """Write the journal."""
    journal = f"{quote(before)}.{quote(JOURNAL)}"
    rows(connection, f"CREATE TABLE {journal} (id INT PRIMARY KEY, definition LONGTEXT CHARACTER SET utf8mb4)")
    for number, item in enumerate(code):
        with server_errors(f"writing down the {item}"), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {journal} VALUES (%s, %s)", (number, item.model_dump_json()))  # noqa: S608


def keep_old(
    connection: Connection[Any], target: str, before: str, code: Collection[Definition], reporter: Reporter
) -> list[str]:
    """Create the old code beside the old tables, events disabled; returns what could not be created."""
    point_sequences(connection, before, [target])
    pending = [item.switched(False) for item in missing_code(connection, before, code)]
    while pending:
        failed: list[Definition] = []
        for item in pending:
            try:
                create_definition(connection, before, item)
            except BackupError:
                failed.append(item)
        if len(failed) == len(pending):
            break
        pending = failed
    if pending:
        names = [str(item) for item in pending]
        reporter.warn(f"Not created again in {before}, but written down in its {JOURNAL}: {', '.join(names)}")
        return names
    rows(connection, f"DROP TABLE {quote(before)}.{quote(JOURNAL)}")
    return []


def missing_code(connection: Connection[Any], database: str, code: Collection[Definition]) -> list[Definition]:
    """What of some code a schema does not have."""
    with server_errors(f"opening {database}"):
        connection.select_db(database)
    there = {(item.kind, item.name) for item in read_definitions(connection, database)}
    return [item for item in code if (item.kind, item.name) not in there]


def tidy(endpoint: Endpoint, target: str, reporter: Reporter) -> None:
    """Clear away what killed recoveries of this target have left, and finish what they had begun.

    What they still do on the server is ended. Incoming databases are dropped. A swap that was killed before its
    rename is undone; the old code of one that was killed after it is put beside the old tables.

    :raises BackupError: it cannot be done; nothing is lost.
    """
    with endpoint.connect() as connection:
        for name in leftovers(connection, target, "before"):
            if JOURNAL in tables_of(connection, name) and database_exists(connection, target):
                _end_work(endpoint, connection, {target, name}, name, reporter)
                _finish(connection, target, name, reporter)
            elif (there := existing(connection, name)) and there.empty:  # killed before it wrote the journal
                _end_work(endpoint, connection, {target, name}, name, reporter)
                rows(connection, f"DROP DATABASE {quote(name)}")
        for name in leftovers(connection, target, "incoming"):
            _end_work(endpoint, connection, {name}, name, reporter)
            rows(connection, f"DROP DATABASE {quote(name)}")
            reporter.line(f"Dropped {name}, which an earlier recovery has left")


def drop_incoming(endpoint: Endpoint, database: str) -> None:
    """Drop a copy that is not wanted any more. Any other name is refused.

    :raises RestoreRefused: the name is not that of a database which a recovery has made for itself.
    """
    if not _INCOMING.search(database):
        raise RestoreRefused(f"{database} is not a recovery's incoming database.", "Only those are ever dropped.")
    with endpoint.connect() as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(database)}")


def leftovers(connection: Connection[Any], target: str, kind: str) -> list[str]:
    """The incoming or before databases of a target, oldest first."""
    pattern = re.compile(rf"{re.escape(target)}_{kind}_\d{{14}}\Z")
    return sorted(str(name) for (name,) in rows(connection, "SHOW DATABASES") if pattern.match(str(name)))


def _end_work(
    endpoint: Endpoint, connection: Connection[Any], databases: Collection[str], leftover: str, reporter: Reporter
) -> None:
    """End this account's connections that are in these databases, or whose statement names the leftover.

    Who opened them may be dead or hang, but a RENAME that still waits for a lock would run in the midst of our work.
    """
    found = rows(
        connection,
        "SELECT id, db, info FROM information_schema.processlist"
        " WHERE id <> CONNECTION_ID() AND user = SUBSTRING_INDEX(USER(), '@', 1)",
    )
    for number, database, statement in found:
        if database in databases or quote(leftover) in str(statement):
            wait_for_end(endpoint, connection, int(number))
            reporter.warn(f"Ended a connection of this account that was at work in {leftover} or its target")


def _finish(connection: Connection[Any], target: str, before: str, reporter: Reporter) -> None:
    entries = rows(connection, f"SELECT definition FROM {quote(before)}.{quote(JOURNAL)} ORDER BY id")  # noqa: S608
    code = [Definition.model_validate_json(str(entry)) for (entry,) in entries]
    if tables_of(connection, before) != [JOURNAL]:
        keep_old(connection, target, before, code, reporter)
        # An old view of what the backup does not have would fail the safety backup of what is there now.
        broken = broken_views(connection, target)
        for item in code:
            if item.kind == "view" and item.name in broken:
                drop_definition(connection, target, item)
        reporter.warn(f"An earlier swap was killed after its rename; the old content of {target} is in {before}")
        return
    tables = set(tables_of(connection, target))
    missing = [item for item in missing_code(connection, target, code) if item.kind == "view" or item.table in tables]
    create_definitions(connection, target, missing)
    rows(connection, f"DROP DATABASE {quote(before)}")
    reporter.warn(f"An earlier swap was killed before its rename; {target} is as it was before it")
