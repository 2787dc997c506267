"""What a target server is like: what a restore needs of it, what it holds already, what stands in a swap's way."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError, SourceUnavailable
from include.backup_engine.mysql.definitions import may_name_definers, system_accounts
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import (
    Endpoint,
    database_exists,
    kill_connection,
    quote,
    row,
    rows,
    scalar,
    variable,
)
from include.backup_engine.records import Record, ServerIdentity

_NEEDED = (
    "CREATE", "DROP", "SELECT", "INSERT", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "SHOW VIEW", "TRIGGER",
    "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "EVENT",
)  # fmt: skip
_SETTLE_SECONDS = 30.0
SPATIAL = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection",
}  # fmt: skip
"""Types that every server knows, and MariaDB lists nowhere (OpenGIS Implementation Specification, "Simple Feature")."""
_WORD = re.compile(r"[A-Za-z0-9_]{1,64}\Z")


class Existing(Record):
    """What a database holds at the moment.

    :param rows: the server's estimate.
    :param data_bytes: of data and indexes.
    """

    tables: int
    code: int
    rows: int
    data_bytes: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing that could be overwritten."""
        return not self.tables and not self.code


def existing(connection: Connection[Any], database: str) -> Existing | None:
    """What a database holds, ``None`` when there is no such database."""
    if not database_exists(connection, database):
        return None
    tables = row(
        connection,
        "SELECT COUNT(*), COALESCE(SUM(table_rows), 0), COALESCE(SUM(data_length + index_length), 0)"
        " FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'VIEW'",
        (database,),
    ) or (0, 0, 0)
    code = scalar(
        connection,
        "SELECT (SELECT COUNT(*) FROM information_schema.views WHERE table_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = %s)",
        (database,) * 4,
    )
    return Existing(tables=int(tables[0]), rows=int(tables[1]), data_bytes=int(tables[2]), code=int(code))


def set_options(
    connection: Connection[Any], verb: Literal["CREATE", "ALTER"], database: str, charset: str, collation: str,
    comment: str | None,
) -> None:  # fmt: skip
    """Create a database with these options, or give them to one that exists.

    :param comment: ``None``: none is set, and one that exists stays.
    """
    name, commented = quote(database).replace("%", "%%"), "" if comment is None else " COMMENT %s"
    statement = f"{verb} DATABASE {name} CHARACTER SET {charset} COLLATE {collation}{commented}"
    rows(connection, statement, [comment] if commented else [])


def missing_privileges(grants: Grants, databases: list[str]) -> list[str]:
    """What a restore into these databases needs and the account lacks, as ``PRIVILEGE ON scope``."""
    return [
        f"{name} ON {quote(database)}.*" for database in databases for name in _NEEDED if not grants.has(name, database)
    ]


def may_create_code(connection: Connection[Any], grants: Grants) -> bool:
    """Whether functions and triggers may be created while a binary log is written (MySQL manual, 27.7)."""
    trusted = variable(connection, "log_bin_trust_function_creators") in (None, "ON", "1")
    return trusted or variable(connection, "log_bin") != "ON" or grants.has("SUPER")


def knows_collation(connection: Connection[Any], collation: str) -> bool:
    """Whether the server has the collation. It is tried, as no list names those that are aliases."""
    charset = collation.partition("_")[0]
    if not _WORD.match(collation):
        return False
    try:
        rows(connection, f"SELECT CONVERT('' USING {charset}) COLLATE {collation}")
    except BackupError:
        return False
    return True


def unknown_types(connection: Connection[Any], data_types: Collection[str]) -> list[str] | None:
    """Those of these types that the server does not know: its types are keywords or plugins, or spatial.

    ``None``: it lists no keywords (MySQL before 8.0.13, MariaDB before 10.6).
    """
    try:
        words = rows(
            connection,
            "SELECT LOWER(word) FROM information_schema.keywords UNION"
            " SELECT LOWER(plugin_name) FROM information_schema.plugins WHERE plugin_type = 'DATA TYPE'",
        )
    except BackupError:
        return None
    return sorted(set(data_types) - {str(word) for (word,) in words} - SPATIAL)


def engines(connection: Connection[Any]) -> set[str]:
    """The storage engines that the server can use."""
    return {str(name) for name, support in rows(connection, "SELECT engine, support FROM information_schema.engines")
            if support in ("YES", "DEFAULT")}  # fmt: skip


def altered_names(connection: Connection[Any], names: Sequence[str]) -> list[str]:
    """Tables that would not have their own name there (MySQL manual, "Identifier Case Sensitivity").

    With ``lower_case_table_names`` 1, names are stored in lower case; with 1 and 2, they are equal if they differ by
    case only.
    """
    mode = variable(connection, "lower_case_table_names")
    times = Counter(name.lower() for name in names)
    return [
        name
        for name in names
        if (mode == "1" and name != name.lower()) or (mode in ("1", "2") and times[name.lower()] > 1)
    ]


def knows_time_zone(connection: Connection[Any], zone: str) -> bool:
    """Whether the server can be set to this time zone, as the dump of an event asks for."""
    return zone == "" or scalar(connection, "SELECT CONVERT_TZ('2026-01-01', %s, '+00:00')", (zone,)) is not None


def may_write_anyway(grants: Grants) -> bool:
    """Whether the account may write to a read-only server: MariaDB's privilege, its older one, and MySQL's."""
    return any(grants.has(privilege) for privilege in ("READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN"))


def replication(connection: Connection[Any]) -> tuple[bool | None, int]:
    """Whether the server applies what another one sends (``None``: it does not say), and how many follow it."""
    query = "SHOW GLOBAL STATUS WHERE variable_name IN ('Slaves_running', 'Slaves_connected')"
    found = {str(name): int(value) for name, value in rows(connection, query)}
    if "Slaves_running" not in found:  # MySQL
        try:
            return bool(rows(connection, "SHOW REPLICA STATUS")), 0
        except BackupError:
            return None, 0
    return found["Slaves_running"] > 0, found["Slaves_connected"]


def free_bytes(connection: Connection[Any]) -> int | None:
    """Free space of the data directory's file system; ``None`` where the server does not show it (DISKS plugin)."""
    folder = variable(connection, "datadir") or "/"
    try:
        disks = rows(connection, "SELECT path, available FROM information_schema.disks")
    except BackupError:
        return None
    at = [(len(str(path)), int(available) * 1024) for path, available in disks if folder.startswith(str(path))]
    return max(at)[1] if at else None


def swap_hindrances(connection: Connection[Any], target: str) -> tuple[list[str], list[str]]:
    """What makes a swap of the target impossible, and what somebody should know about it."""
    problems = [
        f"table {schema}.{table} has a foreign key into it"
        for schema, table in rows(
            connection,
            "SELECT DISTINCT table_schema, table_name FROM information_schema.key_column_usage"
            " WHERE referenced_table_schema = %s AND table_schema <> %s",
            (target, target),
        )
    ]
    warnings = [
        f"view {schema}.{view} reads {target} and will read the new content"
        for schema, view in rows(
            connection,
            "SELECT table_schema, table_name FROM information_schema.views"
            " WHERE table_schema <> %s AND LOCATE(%s, view_definition)",
            (target, f"{quote(target)}."),
        )
    ]
    grants = Grants.of(connection)
    if not may_name_definers(grants):
        problems += _of_other_accounts(connection, target, "SET USER", None)
    elif not grants.has("SYSTEM_USER") and (system := system_accounts(connection)):
        problems += _of_other_accounts(connection, target, "SYSTEM_USER", system)
    return problems, warnings


def _of_other_accounts(
    connection: Connection[Any], target: str, missing: str, others: Collection[str] | None
) -> list[str]:
    """Code in a target that this account may not move, as it belongs to others: to any, or to these."""
    account = str(scalar(connection, "SELECT CURRENT_USER()"))
    found = rows(
        connection,
        "SELECT 'trigger', trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = %s"
        " UNION SELECT 'view', table_name, definer FROM information_schema.views WHERE table_schema = %s"
        " UNION SELECT 'routine', routine_name, definer FROM information_schema.routines WHERE routine_schema = %s"
        " UNION SELECT 'event', event_name, definer FROM information_schema.events WHERE event_schema = %s",
        (target,) * 4,
    )
    return [
        f"{kind} {name} belongs to {definer}, in whose name this account may create nothing (GRANT {missing} ON *.*)"
        for kind, name, definer in found
        if str(definer) != account and (others is None or definer in others)
    ]


def wait_for_end(endpoint: Endpoint, connection: Connection[Any], number: int) -> None:
    """Kill a connection and wait until it has ended: its last statement may still be waiting for a lock.

    :raises SourceUnavailable: it goes on.
    """
    kill_connection(endpoint, number)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while rows(connection, "SELECT 1 FROM information_schema.processlist WHERE id = %s", (number,)):
        if time.monotonic() > deadline:
            raise SourceUnavailable("The server does not end a connection.", "Look at SHOW PROCESSLIST.")
        time.sleep(0.05)


def outdated(source: ServerIdentity, target: ServerIdentity) -> bool:
    """Whether the target is of an older release series than the source."""
    numbers = [[int(part) for part in re.findall(r"\d+", server.version)[:2]] for server in (source, target)]
    return numbers[1] < numbers[0]


def other_end_of_time(source: ServerIdentity, target: ServerIdentity) -> bool:
    """Whether rows of a system-versioned table that are current on one of them would not be on the other.

    Their end is the last TIMESTAMP of the server: in 2038, from MariaDB 11.5 on in 2106 (MariaDB 11.5 release notes).
    """
    extended = [
        [int(part) for part in re.findall(r"\d+", server.version)[:2]] >= [11, 5] for server in (source, target)
    ]
    return extended[0] != extended[1]
