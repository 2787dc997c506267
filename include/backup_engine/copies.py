"""Restored tables put beside the live ones, into the same schema under other names. Nothing that exists is touched.

The tables lie in the incoming database, compared. There they lose what they cannot take along or must not have beside
the originals: triggers (error 1435; and a copy must not fire any), foreign keys (their names are unique in a schema,
and a copy must not constrain live tables), and on MySQL, for their names, checks. Then one RENAME TABLE moves them all,
or none.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.beside import tables_of
from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import BackupError, RecoveryFailed, RestoreRefused
from include.backup_engine.mysql.definitions import drop_definition, point_sequences, read_definitions
from include.backup_engine.mysql.foreign_keys import drop_checks, drop_foreign_keys, foreign_keys
from include.backup_engine.mysql.server import Endpoint, identify, kill_connection, own_id, quote, rows, server_errors
from include.backup_engine.report import Reporter
from include.backup_engine.swap import Swapped

_MAX_NAME = 64  # characters of a table's name (MySQL manual, "Identifier Length Limits")
_LOCK_SECONDS = 15


def copy_names(tables: Collection[str], run_at: datetime) -> dict[str, str]:
    """Table -> name of its copy: ``<table>_restored_<time>``, the table's name cut where that would be too long."""
    suffix = f"_restored_{run_at.astimezone(UTC):%Y%m%d%H%M%S}"
    names: dict[str, str] = {}
    for table in sorted(tables):
        number, ending = 1, suffix
        while (name := table[: _MAX_NAME - len(ending)] + ending) in names.values():
            number += 1
            ending = f"_{number}{suffix}"
        names[table] = name
    return names


def put_beside(
    endpoint: Endpoint,
    target: str,
    incoming: str,
    names: dict[str, str],
    reporter: Reporter,
    cancellation: Cancellation,
) -> Swapped:
    """Move the tables of ``incoming``, which have been compared, into ``target`` under ``names``.

    :raises RestoreRefused: a name is taken, or the tables are not those that were restored; nothing has moved.
    :raises SourceUnavailable, SourceBusy, Cancelled: before the tables are moved.
    :raises RecoveryFailed: after it; says where they are.
    """
    started = time.monotonic()
    connection = endpoint.connect(incoming)
    try:
        flavour = identify(connection).flavour
        _check(connection, target, incoming, names)
        with reporter.stage(f"Put the tables of {incoming} beside those of {target}"):
            number = own_id(connection)
            with cancellation.action(lambda: kill_connection(endpoint, number)):
                triggers = [item for item in read_definitions(connection, incoming) if item.kind == "trigger"]
                for item in triggers:
                    drop_definition(connection, incoming, item)
                keys = foreign_keys(connection, incoming)
                drop_foreign_keys(connection, flavour, incoming, keys)
                checks = drop_checks(connection, flavour, incoming)
                cancellation.check()
                rename_seconds = _rename(connection, target, incoming, names)
            try:
                point_sequences(connection, target, [incoming], names)
                rows(connection, f"DROP DATABASE {quote(incoming)}")
            except BackupError as error:
                raise RecoveryFailed(
                    f"The restored tables are in {target} as {', '.join(names.values())}, but then: {error.cause}",
                    f"The live tables are untouched; defaults of the copies may still draw from {incoming}.",
                ) from None
    finally:
        if connection.open:
            connection.close()
    left_out = [f"trigger {item.name}" for item in triggers]
    left_out += [*(f"foreign key {key}" for key in keys), *(f"check {check}" for check in checks)]
    for table, name in names.items():
        reporter.line(f"{table} of the backup is {target}.{name}")
    for what in left_out:
        reporter.line(f"A copy beside the live tables does not have the {what}")
    return Swapped(
        database=target,
        before=None,
        tables_in=len(names),
        tables_out=0,
        code_in=0,
        code_out=0,
        definers_kept=0,
        events_enabled=[],
        not_kept=[],
        rename_seconds=round(rename_seconds, 3),
        seconds=round(time.monotonic() - started, 3),
        copies=names,
        left_out=left_out,
    )


def taken_names(connection: Connection[Any], target: str, names: Collection[str]) -> list[str]:
    """Which of these names a table or view of the schema has already."""
    found = rows(connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (target,))
    there = {str(name).lower() for (name,) in found}
    return sorted(name for name in names if name.lower() in there)


def _check(connection: Connection[Any], target: str, incoming: str, names: dict[str, str]) -> None:
    if set(tables_of(connection, incoming)) != set(names):
        raise RestoreRefused(f"{incoming} does not hold the tables that were asked for.", "Start the recovery again.")
    if taken := taken_names(connection, target, names.values()):
        raise RestoreRefused(
            f"{target} holds {', '.join(taken)} already: this run has put its tables there before.",
            "Look at them, or trigger a new run, whose copies get other names.",
        )


def _rename(connection: Connection[Any], target: str, incoming: str, names: dict[str, str]) -> float:
    moves = ", ".join(
        f"{quote(incoming)}.{quote(table)} TO {quote(target)}.{quote(name)}" for table, name in names.items()
    )
    rows(connection, f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
    started = time.monotonic()
    with server_errors(f"moving {len(names)} tables"), connection.cursor() as cursor:
        cursor.execute(f"RENAME TABLE {moves}")
    return time.monotonic() - started
