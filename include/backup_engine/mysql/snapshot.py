"""One consistent snapshot for every connection of a backup, by the strongest way that the grants allow.

The ladder, strongest first:

1. ``global_read_lock``: FLUSH TABLES WITH READ LOCK, held until all transactions are open (milliseconds).
2. ``table_read_locks``: LOCK TABLES … READ on the schema's tables, likewise.
3. ``equal_coordinates`` (MariaDB): no lock; the binary-log position that belongs to each transaction's
   snapshot (``binlog_snapshot_*``) must be the same, else the opening is repeated.

The dump program opens its own transaction, so its opening is awaited while the lock is held (dump.py), and
where it prints its coordinates they must equal ours.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.errors import SnapshotUnproven, SourceBusy
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import (
    Endpoint,
    own_id,
    quote,
    row,
    rows,
    scalar,
    server_errors,
    variable,
)
from include.backup_engine.records import Consistency, Coordinates, ServerIdentity

Method = Literal["global_read_lock", "table_read_locks", "equal_coordinates"]
LOCK_WAIT_SECONDS = 20
_SAVEPOINT = "snapshot"


@dataclass
class Snapshot:
    """A transaction that sees the snapshot, and the lock that still holds the server there.

    :param connection: reads the snapshot; it also holds the advisory lock that keeps two backups apart.
    :param connection_id: its id on the server, for KILL.
    """

    connection: Connection[Any]
    connection_id: int
    method: Method
    coordinates: Coordinates
    taken_at: datetime
    non_transactional_tables: list[str]
    _lock: Connection[Any] | None
    _locked_at: float = field(default_factory=time.monotonic)
    lock_seconds: float = 0.0

    def release_lock(self) -> None:
        """Let writers go on; the snapshot stays. Called when the last transaction is known to be open."""
        if self._lock is not None:
            with server_errors("releasing the read lock"), self._lock.cursor() as cursor:
                cursor.execute("UNLOCK TABLES")
            self.lock_seconds = round(time.monotonic() - self._locked_at, 4)
            self._lock.close()
            self._lock = None

    def let_schema_change(self) -> None:
        """Give back the metadata locks on the tables read so far; the snapshot stays.

        Otherwise an ALTER TABLE waits for the end of the backup, and every statement on its table waits behind it.
        The dump program does the same after each table.
        """
        rows(self.connection, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")

    def same_as(self, other: Coordinates | None) -> bool:
        """Whether a dump that printed ``other`` reads this snapshot. Under a lock, silence is agreement."""
        if other is None:
            return self.method != "equal_coordinates"
        mine = (self.coordinates.binlog_file, self.coordinates.binlog_position)
        return mine == (None, None) or mine == (other.binlog_file, other.binlog_position)

    def consistency(self) -> Consistency:
        """The record for the sidecar."""
        return Consistency(
            method=self.method,
            verdict="exact",
            snapshot_at=self.taken_at,
            lock_seconds=self.lock_seconds,
            coordinates=self.coordinates,
            non_transactional_tables=self.non_transactional_tables,
        )


def choose_method(server: ServerIdentity, grants: Grants, database: str, binary_log: bool) -> Method:
    """The strongest way that the grants allow.

    :raises SnapshotUnproven: when there is none, naming the GRANT that gives one.
    """
    if grants.may_lock_globally():
        return "global_read_lock"
    if grants.may_lock_tables(database):
        return "table_read_locks"
    if server.flavour == "mariadb" and binary_log:
        return "equal_coordinates"
    raise SnapshotUnproven(
        "The dump and its fingerprints cannot be shown to read one snapshot: the account may lock nothing.",
        f"GRANT RELOAD ON *.*, or GRANT LOCK TABLES ON {quote(database)}.*, to the backup account.",
    )


@contextmanager
def open_snapshot(endpoint: Endpoint, server: ServerIdentity, grants: Grants, database: str) -> Iterator[Snapshot]:
    """Open the snapshot; on leaving, close its connections and with them every lock.

    :raises SourceBusy: another backup of this database runs, or a lock was not granted within 20 s.
    :raises SnapshotUnproven: see :func:`choose_method`.
    """
    reader = endpoint.connect(database)
    lock: Connection[Any] | None = None
    snapshot: Snapshot | None = None
    try:
        _keep_others_out(reader, database)
        binary_log = variable(reader, "log_bin") == "ON"
        method = choose_method(server, grants, database, binary_log)
        tables, non_transactional = _tables(reader, database)
        locked_at = time.monotonic()
        if method != "equal_coordinates":
            lock = endpoint.connect(database)
            _take_lock(lock, method, tables)
        with server_errors("opening the snapshot"), reader.cursor() as cursor:
            # A server-wide limit on statements is for the application's; a fingerprint may take minutes.
            limit = "max_statement_time" if server.flavour == "mariadb" else "max_execution_time"
            cursor.execute(f"SET SESSION {limit} = 0")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            cursor.execute(f"SAVEPOINT {_SAVEPOINT}")
        coordinates = _coordinates(reader, lock, server, grants) if binary_log else Coordinates()
        snapshot = Snapshot(
            reader, own_id(reader), method, coordinates, datetime.now(UTC), non_transactional, lock, locked_at
        )
        yield snapshot
    finally:
        for connection in (snapshot._lock if snapshot else lock, reader):
            if connection is not None and connection.open:
                connection.close()


def _keep_others_out(connection: Connection[Any], database: str) -> None:
    """An advisory lock for the life of the connection: it falls when the task, or its machine, dies."""
    name = "backup/" + hashlib.sha256(database.encode()).hexdigest()[:40]
    if scalar(connection, "SELECT GET_LOCK(%s, 0)", (name,)) != 1:
        holder = scalar(connection, "SELECT IS_USED_LOCK(%s)", (name,))
        raise SourceBusy(
            f"Another backup of {database} is running (server connection {holder}).",
            f"Wait for it, or end it with KILL {holder} on the server if its task is dead.",
        )


def _tables(connection: Connection[Any], database: str) -> tuple[list[str], list[str]]:
    """Base tables, and those of them that no transaction protects."""
    found = rows(
        connection,
        "SELECT t.table_name, COALESCE(e.transactions, 'NO') FROM information_schema.tables t"
        " LEFT JOIN information_schema.engines e ON e.engine = t.engine"
        " WHERE t.table_schema = %s AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1",
        (database,),
    )
    return [str(t[0]) for t in found], [str(t[0]) for t in found if t[1] != "YES"]


def _take_lock(connection: Connection[Any], method: Method, tables: list[str]) -> None:
    # A lock that waits makes every later writer wait behind it, so the wait is short and then given up.
    with server_errors("locking the tables for the snapshot"), connection.cursor() as cursor:
        cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
        if method == "global_read_lock":
            cursor.execute("FLUSH TABLES WITH READ LOCK")
        elif tables:
            cursor.execute("LOCK TABLES " + ", ".join(f"{quote(table)} READ" for table in tables))


def _coordinates(
    reader: Connection[Any], lock: Connection[Any] | None, server: ServerIdentity, grants: Grants
) -> Coordinates:
    """The snapshot's position in the binary log, as far as the account may see it."""
    if server.flavour == "mariadb":
        status = {str(name): str(value) for name, value in rows(reader, "SHOW STATUS LIKE 'binlog_snapshot_%'")}
        file, position = status.get("Binlog_snapshot_file"), status.get("Binlog_snapshot_position")
        if not file or not position:
            return Coordinates()
        gtid = scalar(reader, "SELECT BINLOG_GTID_POS(%s, %s)", (file, int(position)))
        return Coordinates(binlog_file=file, binlog_position=int(position), gtid=str(gtid) if gtid else None)
    if lock is None or not grants.has("REPLICATION CLIENT"):
        return Coordinates(gtid=str(scalar(reader, "SELECT @@GLOBAL.gtid_executed")) or None)
    newer = tuple(int(part) for part in server.version.split("-")[0].split(".")[:2]) >= (8, 2)
    status_row = row(lock, "SHOW BINARY LOG STATUS" if newer else "SHOW MASTER STATUS")
    if not status_row:
        return Coordinates()
    return Coordinates(
        binlog_file=str(status_row[0]),
        binlog_position=int(status_row[1]),
        gtid=str(scalar(reader, "SELECT @@GLOBAL.gtid_executed")) or None,
    )
