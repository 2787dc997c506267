"""One consistent snapshot for every connection of a backup, by the strongest way that the grants allow.

The ladder, strongest first:

1. ``global_read_lock``: FLUSH TABLES WITH READ LOCK, held until all transactions are open (milliseconds).
2. ``table_read_locks``: LOCK TABLES … READ on the schema's tables, likewise.
3. ``equal_coordinates`` (MariaDB): no lock; the binary-log position that belongs to each transaction's
   snapshot (``binlog_snapshot_*``) must be the same, else the opening is repeated. MySQL has no such position: a
   transaction that is being committed is in its log already, and not yet in snapshots.
4. ``none``: only where the policy accepts ``unproven``.

A rung that the server denies in spite of the grants, as managed servers do, gives way to the next; so does MySQL's
first while long statements run. The dump program
opens its own transaction, so its opening is awaited while the lock is held (dump.py), and where it prints its
coordinates they must equal ours.

Definitions are in no snapshot. With BACKUP_ADMIN, MySQL's LOCK INSTANCE FOR BACKUP keeps them as they are until the
dump has ended, and application rows go on. MariaDB's BACKUP STAGE would also hold up all writes to tables without
transactions for as long, so it is not used; there, and without that grant, changes are looked for (changes.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError, PreflightError, SchemaChanged, SnapshotUnproven, SourceBusy
from include.backup_engine.mysql.changes import Look, look
from include.backup_engine.mysql.parallel import more_connections
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import (
    LOCK_WAIT_SECONDS,
    Endpoint,
    own_id,
    quote,
    row,
    rows,
    scalar,
    server_errors,
    variable,
)
from include.backup_engine.records import (
    Consistency,
    Coordinates,
    Definitions,
    ServerIdentity,
    SnapshotMethod,
    Verdict,
)

_LONG_STATEMENT_SECONDS = 2
_SAVEPOINT = "snapshot"
MUCH_HISTORY = 1_000_000
"""Transactions: what the manual calls the lag of "a problematic workload" (MySQL manual, "Purge Configuration")."""


@dataclass
class Snapshot:
    """A transaction that sees the snapshot, and the lock that still holds the server there.

    :param connection: reads the snapshot; it also holds the advisory lock that keeps two backups apart.
    :param connection_id: its id on the server, for KILL.
    :param others: more connections that read it, and their ids.
    :param together: whether all connections that tell a position in the binary log tell the same.
    :param before: what changes.py saw before the snapshot was opened.
    :param counted: statements that change definitions, executed meanwhile somewhere on the server; see :meth:`judge`.
    :param history: transactions whose old rows the server kept in the end, ``None`` where it does not say.
    :param written: tables without transactions that were written meanwhile.
    """

    connection: Connection[Any]
    connection_id: int
    server: ServerIdentity
    database: str
    method: SnapshotMethod
    coordinates: Coordinates
    taken_at: datetime
    non_transactional_tables: list[str]
    before: Look
    excluded: Collection[str]
    others: list[Connection[Any]]
    other_ids: list[int]
    together: bool
    _lock: Connection[Any] | None
    _backup_lock: Connection[Any] | None
    _locked_at: float = field(default_factory=time.monotonic)
    lock_seconds: float = 0.0
    definitions: Definitions | None = None
    counted: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    history: int | None = None

    def release_lock(self) -> None:
        """Let writers go on; the snapshot stays. Called when the last transaction is known to be open."""
        if self._lock is not None:
            with server_errors("releasing the read lock"), self._lock.cursor() as cursor:
                cursor.execute("UNLOCK TABLES")
            self.lock_seconds = round(time.monotonic() - self._locked_at, 4)
            self._lock.close()
            self._lock = None

    @staticmethod
    def let_schema_change(connection: Connection[Any]) -> None:
        """Give back a connection's metadata locks on the tables that it has read so far; the snapshot stays.

        Otherwise an ALTER TABLE waits for the end of the backup, and every statement on its table waits behind it.
        The dump program does the same after each table. On MySQL; MariaDB (10.11, 11.8) keeps the locks all the same.
        """
        rows(connection, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")

    def end(self) -> None:
        """Let go of what the snapshot keeps on the server, once all of it is read: old rows, and metadata locks.

        Where somebody waits to alter a table, the dump would wait behind them, and they for us.
        """
        for connection in (self.connection, *self.others):
            rows(connection, "ROLLBACK")

    def same_as(self, other: Coordinates | None) -> bool:
        """Whether a dump that printed ``other`` reads this snapshot. Under a lock, silence is agreement."""
        if self.method == "none":
            return True
        if not self.together:
            return False
        if other is None:
            return self.method != "equal_coordinates"
        mine = (self.coordinates.binlog_file, self.coordinates.binlog_position)
        return mine == (None, None) or mine == (other.binlog_file, other.binlog_position)

    def judge(self, connection: Connection[Any]) -> None:
        """Find out what changed since the snapshot was opened. Called when the dump has ended.

        :param connection: outside of the snapshot.
        :raises SchemaChanged: an object was created, altered or dropped.
        """
        after = look(connection, self.server.flavour, self.database, self.before.written, self.excluded, self.before)
        if changed := self.before.changed_by(after):
            raise schema_changed(changed)
        self.written = self.before.written_by(after)
        self.history = history_list_length(connection, self.server)
        if self._definitions_are_locked():
            self.definitions = "locked"
        else:
            self.counted = self.before.counted_by(after)
            self.definitions = "compared" if self.counted else "quiet"

    def _definitions_are_locked(self) -> bool:
        """Whether the lock that was taken is still ours: it would fall with its connection, in silence."""
        if self._backup_lock is None:
            return False
        try:
            return own_id(self._backup_lock) > 0
        except BackupError:
            return False

    @property
    def verdict(self) -> Verdict:
        """What has been proved, once :meth:`judge` was asked."""
        if self.method == "none" or self.written or self.definitions is None:
            return "unproven"
        return "ddl-checked" if self.definitions == "compared" else "exact"

    def consistency(self) -> Consistency:
        """The record for the sidecar."""
        return Consistency(
            method=self.method,
            verdict=self.verdict,
            snapshot_at=self.taken_at,
            lock_seconds=self.lock_seconds,
            coordinates=self.coordinates,
            definitions=self.definitions,
            non_transactional_tables=self.non_transactional_tables,
            written_tables=self.written,
        )


def schema_changed(names: list[str]) -> SchemaChanged:
    """The error that names them."""
    return SchemaChanged(
        f"The schema changed while it was dumped: {', '.join(names[:20])}.",
        "Keep schema changes out of the backup window; the retry tries again.",
    )


def ladder(
    server: ServerIdentity, grants: Grants, database: str, binary_log: bool, accepted: Verdict
) -> list[SnapshotMethod]:
    """The ways that the grants and the policy allow, strongest first.

    :param accepted: the weakest verdict that the policy accepts.
    :raises SnapshotUnproven: when there is none, naming the GRANT that gives one.
    """
    allowed: dict[SnapshotMethod, bool] = {
        "global_read_lock": grants.may_lock_globally(),
        "table_read_locks": grants.may_lock_tables(database),
        "equal_coordinates": server.flavour == "mariadb" and binary_log,
        "none": accepted == "unproven",
    }
    if methods := [method for method, possible in allowed.items() if possible]:
        return methods
    raise SnapshotUnproven(
        "The dump and its fingerprints cannot be shown to read one snapshot: the account may lock nothing.",
        f"GRANT RELOAD ON *.*, or GRANT LOCK TABLES ON {quote(database)}.*, to the backup account.",
    )


@contextmanager
def open_snapshot(
    endpoint: Endpoint, server: ServerIdentity, grants: Grants, database: str, methods: Sequence[SnapshotMethod],
    excluded: Collection[str] = (), readers: int = 1,
) -> Iterator[Snapshot]:  # fmt: skip
    """Open the snapshot; on leaving, close its connections and with them every lock.

    :param methods: see :func:`ladder`; the first that the server does not deny.
    :param excluded: tables that are not to be watched.
    :param readers: connections that read the snapshot; fewer where the account may not have so many.
    :raises SourceBusy: another backup of this database runs, or a lock was not granted within 20 s.
    :raises PreflightError: the server denies every one of them.
    """
    with ExitStack() as opened:
        reader = _connect(endpoint, database, opened)
        _keep_others_out(reader, database)
        backup_lock = _lock_definitions(endpoint, server, grants, opened)
        tables, non_transactional = _tables(reader, database)
        # Looking at a table that somebody has locked waits, too.
        rows(reader, f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
        before = look(reader, server.flavour, database, set(non_transactional) - set(excluded), excluded)
        others = more_connections(reader, readers - 1, lambda: _connect(endpoint, database, opened))
        method, lock, locked_at = _take_first(methods, endpoint, server, database, tables, opened)
        for connection in (reader, *others):
            _begin(connection, server)
        binary_log = variable(reader, "log_bin") == "ON"
        coordinates = _coordinates(reader, lock, server, grants) if binary_log else Coordinates()
        told = {_position(connection) for connection in (reader, *others)} if server.flavour == "mariadb" else set()
        yield Snapshot(
            reader, own_id(reader), server, database, method, coordinates, datetime.now(UTC), non_transactional,
            before, excluded, others, [own_id(other) for other in others], len(told) <= 1, lock, backup_lock, locked_at,
        )  # fmt: skip


def history_list_length(connection: Connection[Any], server: ServerIdentity) -> int | None:
    """Transactions whose old row versions InnoDB has not purged, because some snapshot may need them.

    Any account sees it on MariaDB; on MySQL it takes PROCESS.
    """
    if server.flavour == "mariadb":
        status = row(connection, "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'")
        return int(status[1]) if status else None
    metric = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'"
    try:
        return int(scalar(connection, metric))
    except PreflightError:
        return None


def _connect(endpoint: Endpoint, database: str | None, opened: ExitStack) -> Connection[Any]:
    connection = endpoint.connect(database)

    def close() -> None:
        if connection.open:
            connection.close()

    opened.callback(close)
    return connection


def _begin(connection: Connection[Any], server: ServerIdentity) -> None:
    with server_errors("opening the snapshot"), connection.cursor() as cursor:
        # A server-wide limit on statements is for the application's; a fingerprint may take minutes.
        limit = "max_statement_time" if server.flavour == "mariadb" else "max_execution_time"
        cursor.execute(f"SET SESSION {limit} = 0, lock_wait_timeout = {LOCK_WAIT_SECONDS}")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        cursor.execute(f"SAVEPOINT {_SAVEPOINT}")


def _position(connection: Connection[Any]) -> tuple[str, ...]:
    """Where a MariaDB transaction's snapshot is in the binary log; empty without one."""
    found = rows(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'")
    return tuple(str(value) for _, value in found)


def _lock_definitions(
    endpoint: Endpoint, server: ServerIdentity, grants: Grants, opened: ExitStack
) -> Connection[Any] | None:
    """MySQL's backup lock, when it is to be had (MySQL manual, "LOCK INSTANCE FOR BACKUP and UNLOCK INSTANCE")."""
    if server.flavour != "mysql" or not grants.has("BACKUP_ADMIN"):
        return None
    connection = _connect(endpoint, None, opened)
    try:
        rows(connection, f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
        rows(connection, "LOCK INSTANCE FOR BACKUP")
    except PreflightError:
        return None
    return connection


def _take_first(
    methods: Sequence[SnapshotMethod], endpoint: Endpoint, server: ServerIdentity, database: str, tables: list[str],
    opened: ExitStack,
) -> tuple[SnapshotMethod, Connection[Any] | None, float]:  # fmt: skip
    """The first method that the server lets us have, the connection that holds its lock, and when it was asked for."""
    for method in methods:
        locked_at = time.monotonic()
        if method in ("equal_coordinates", "none"):
            return method, None, locked_at
        lock = _connect(endpoint, database, opened)
        if method == "global_read_lock" and server.flavour == "mysql" and (running := _long_statements(lock)):
            if method != methods[-1]:
                continue
            raise SourceBusy(
                f"Statements run for long on the source (connections {', '.join(map(str, running[:20]))}).",
                f"Find them in SHOW PROCESSLIST, let the retry try later, or GRANT LOCK TABLES ON {quote(database)}.*.",
            )
        try:
            _take_lock(lock, method, tables)
        except PreflightError:
            if method == methods[-1]:
                raise
        else:
            return method, lock, locked_at
    raise ValueError("no method was given")


def _keep_others_out(connection: Connection[Any], database: str) -> None:
    """An advisory lock for the life of the connection: it falls when the task, or its machine, dies, a moment later."""
    name = "backup/" + hashlib.sha256(database.encode()).hexdigest()[:40]
    if scalar(connection, "SELECT GET_LOCK(%s, 2)", (name,)) != 1:
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


def _long_statements(connection: Connection[Any]) -> list[int]:
    """Connections whose statement has been running for long and does not end while we wait for that.

    MySQL's FLUSH TABLES waits for every statement that runs. When that is given up, the tables of these statements
    stay closed, and whoever uses them waits for their end, too (seen on 9.7); so it is not even begun. Without PROCESS
    only statements of this account are seen.
    """
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        found = rows(
            connection,
            "SELECT id FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND time >= %s"
            " AND id <> CONNECTION_ID()",
            (_LONG_STATEMENT_SECONDS,),
        )
        if not found or time.monotonic() > deadline:
            return [int(number) for (number,) in found]
        time.sleep(0.2)


def _take_lock(connection: Connection[Any], method: SnapshotMethod, tables: list[str]) -> None:
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
    if lock is None:
        return Coordinates()
    if not grants.has("REPLICATION CLIENT"):
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
