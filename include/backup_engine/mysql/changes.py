"""Whether anything but rows of transactional tables changed while a dump ran: two looks, before and after.

A snapshot does not contain definitions, and not the rows of tables without transactions. Three things tell of them:

- *marks*: when each object was created and last altered (``information_schema``; MariaDB keeps none for views);
- *counters*: how many statements of each kind that changes definitions the server has executed (``Com_…``, which any
  account may read). Where none was counted, none was executed. They count for the whole server;
- *written*: when each table without transactions was last written, or its fingerprint where that is not told.

Creating and dropping tables is not counted: MySQL counts temporary ones as well, and the marks show it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.fingerprint import fingerprint_table
from include.backup_engine.mysql.server import rows
from include.backup_engine.records import Flavour

_COUNTED = re.compile(
    r"Com_((alter|create|drop)_(event|function|index|package|package_body|procedure|sequence|trigger|view)"
    r"|alter_db|alter_table|rename_table)\Z"
)
_MARKS = (
    "SELECT 'table', table_name, table_name, create_time, NULL FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    "SELECT LOWER(routine_type), routine_name, NULL, created, last_altered FROM information_schema.routines"
    " WHERE routine_schema = %s",
    "SELECT 'trigger', trigger_name, event_object_table, created, NULL FROM information_schema.triggers"
    " WHERE trigger_schema = %s",
    "SELECT 'event', event_name, NULL, created, last_altered FROM information_schema.events WHERE event_schema = %s",
)
_JUST_NOW = 2
"""Seconds: times of writing are whole seconds, so one this young does not show a later write."""
_BY_TIME = "at "
_ABSENT = "absent"
_UNTOLD = "at a time that is not told"
_OPENING = 2.0
"""Seconds that a table gets to be opened: MariaDB lists one that it cannot open just then without times (seen twice,
on a busy server). What stays untold is no evidence of a change: a table that was altered or made anew has a time."""


@dataclass(frozen=True)
class Look:
    """What was seen in one look.

    :param running: seconds since the server's counters began; when that has fallen, they began anew.
    """

    marks: dict[tuple[str, str], str]
    counters: dict[str, int]
    running: int
    written: dict[str, str]

    def changed_by(self, later: Look) -> list[str]:
        """What was created, altered or dropped between the two looks, by name and time."""
        found: list[str] = []
        for kind, name in self.marks.keys() | later.marks.keys():
            before, after = self.marks.get((kind, name), _ABSENT), later.marks.get((kind, name), _ABSENT)
            is_there = _ABSENT not in (before, after)
            if before != after and not (is_there and (before.endswith(_UNTOLD) or after.endswith(_UNTOLD))):
                found.append(f"{kind} {name} ({before}, then {after})")
        return sorted(found)

    def counted_by(self, later: Look) -> list[str]:
        """Kinds of statements that change definitions and were executed in between, on the whole server."""
        if later.running < self.running:
            return ["unknown, because the server's counters were reset"]
        return sorted(
            name.removeprefix("Com_").replace("_", " ")
            for name, count in later.counters.items()
            if count != self.counters.get(name)
        )

    def written_by(self, later: Look) -> list[str]:
        """Tables without transactions that were written in between, or cannot be shown not to have been."""
        return sorted(name for name, mark in self.written.items() if later.written.get(name) != mark)


def look(
    connection: Connection[Any], flavour: Flavour, database: str, unprotected: Collection[str],
    excluded: Collection[str], earlier: Look | None = None,
) -> Look:  # fmt: skip
    """Look at a schema and its server.

    :param unprotected: the tables without transactions.
    :param excluded: tables that do not matter.
    :param earlier: what the result will be compared with.
    :raises SourceUnavailable, PreflightError: see server.server_errors.
    """
    if flavour == "mysql":  # else times are up to a day old (MySQL manual, information_schema_stats_expiry)
        rows(connection, "SET SESSION information_schema_stats_expiry = 0")
    marks = _marks(connection, database, excluded)
    deadline = time.monotonic() + _OPENING
    while _untold(marks, earlier) and time.monotonic() < deadline:
        time.sleep(0.2)
        marks = _marks(connection, database, excluded)
    found = rows(
        connection,
        "SHOW GLOBAL STATUS WHERE Variable_name REGEXP '^Com_(alter|create|drop|rename)_'"
        " OR Variable_name = 'Uptime_since_flush_status'",
    )
    status = {str(name): int(value) for name, value in found}
    return Look(
        marks=marks,
        counters={name: count for name, count in status.items() if _COUNTED.match(name)},
        running=status.get("Uptime_since_flush_status", 0),
        written=_written(connection, database, unprotected, earlier),
    )


def _marks(connection: Connection[Any], database: str, excluded: Collection[str]) -> dict[tuple[str, str], str]:
    return {
        (str(kind), str(name)): f"created {created or _UNTOLD}" + (f", altered {altered}" if altered else "")
        for query in _MARKS
        for kind, name, table, created, altered in rows(connection, query, (database,))
        if table not in excluded
    }


def _untold(marks: dict[tuple[str, str], str], earlier: Look | None) -> bool:
    """Whether a table's time is missing that was told before: the server could not open it just then."""
    before = earlier.marks if earlier else {}
    return any(mark.endswith(_UNTOLD) and not before.get(key, "").endswith(_UNTOLD) for key, mark in marks.items())


def _written(
    connection: Connection[Any], database: str, unprotected: Collection[str], earlier: Look | None
) -> dict[str, str]:
    if not unprotected:
        return {}
    written: dict[str, str] = {}
    for name, at, settled in rows(
        connection,
        f"SELECT table_name, update_time, update_time < NOW() - INTERVAL {_JUST_NOW} SECOND"  # noqa: S608 - a constant
        " FROM information_schema.tables WHERE table_schema = %s",
        (database,),
    ):
        if name not in unprotected:
            continue
        by_time = bool(settled) if earlier is None else earlier.written.get(name, "").startswith(_BY_TIME)
        if by_time:
            written[str(name)] = f"{_BY_TIME}{at}"
        else:
            count, fingerprint, _ = fingerprint_table(connection, database, str(name))
            written[str(name)] = f"{count} rows, {fingerprint or 'not to be told from others'}"
    return written
