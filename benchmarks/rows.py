"""The rows alone, without the dump around them: read by SELECT, kept as text files, loaded by LOAD DATA."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from include.backup_engine.mysql.deferred import defer
from include.backup_engine.mysql.server import quote

_PIECE_BYTES = 16 << 20
_RANGES_PER_LANE = 4
_AS_TEXT = ("uuid", "inet4", "inet6", "json")
_CONVERSIONS = {"bit": "CAST({} AS UNSIGNED)"} | dict.fromkeys(_AS_TEXT, "CONVERT({} USING utf8mb4)")


@dataclass(frozen=True)
class _Table:
    name: str
    size: int


def _connect(server: str, database: str) -> Connection[Any]:
    return pymysql.connect(
        unix_socket=os.environ[f"{server}_SOCKET"],
        user="root",
        database=database,
        charset="utf8mb4",
        autocommit=True,
        local_infile=True,
        max_allowed_packet=1 << 30,
        sql_mode="NO_AUTO_VALUE_ON_ZERO",
        init_command="SET time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0",
    )


def _rows(connection: Connection[Any], statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def _tables(connection: Connection[Any]) -> list[_Table]:
    """Largest first."""
    if os.environ["FLAVOUR"] == "mysql":  # else it tells sizes of up to a day ago
        _rows(connection, "SET SESSION information_schema_stats_expiry = 0")
    found = _rows(
        connection,
        "SELECT table_name, data_length FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY data_length DESC, table_name",
    )
    return [_Table(name, int(size or 0)) for name, size in found]


def selects(lanes: int) -> list[list[str]]:
    """For each of so many clients, the SELECTs that it runs: about equal shares of all rows."""
    with _connect("SOURCE", os.environ["DATABASE"]) as connection:
        tables = _tables(connection)
        limit = sum(table.size for table in tables) / (lanes * _RANGES_PER_LANE)
        shares: list[list[str]] = [[] for _ in range(lanes)]
        loads = [0.0] * lanes
        for table in tables:
            ranges = _ranges(connection, table, lanes * _RANGES_PER_LANE) if table.size > limit else [""]
            for condition in ranges:
                lane = loads.index(min(loads))
                loads[lane] += table.size / len(ranges) + 1
                shares[lane].append(f"SELECT * FROM {quote(table.name)}{condition}")
    return shares


def _ranges(connection: Connection[Any], table: _Table, count: int) -> list[str]:
    """Conditions that cut a table into ranges of its primary key, if that is one number."""
    keys = _rows(
        connection,
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = %s AND column_key = 'PRI'",
        table.name,
    )
    if len(keys) != 1 or keys[0][1] not in ("int", "bigint"):
        return [""]
    key = quote(keys[0][0])
    [[low, high]] = _rows(connection, f"SELECT MIN({key}), MAX({key}) FROM {quote(table.name)}")
    if low is None:
        return [""]
    bounds = [low + (high - low) * n // count for n in range(1, count)]
    starts, ends = [None, *bounds], [*bounds, None]
    return [
        " WHERE "
        + " AND ".join(
            ([f"{key} >= {start}"] if start is not None else []) + ([f"{key} < {end}"] if end is not None else [])
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def export() -> None:
    """Write each table's definition and rows to ``$WORK/rows``, the rows in pieces that connections can share."""
    folder = Path(os.environ["WORK"]) / "rows"
    folder.mkdir()
    with _connect("SOURCE", os.environ["DATABASE"]) as connection:
        for number, table in enumerate(_tables(connection)):
            home = folder / f"{number:05}"
            home.mkdir()
            [[_, definition]] = _rows(connection, f"SHOW CREATE TABLE {quote(table.name)}")
            columns = _columns(connection, table.name)
            (home / "create.sql").write_text(definition)
            (home / "load.sql").write_text(_into(table.name, columns))
            selected = ", ".join(f"{quote(name)} + 0" if kind == "bit" else quote(name) for name, kind in columns)
            _rows(connection, f"SELECT {selected} FROM {quote(table.name)} INTO OUTFILE {_literal(home / 'all')}")
            for index, piece in enumerate(pieces(home / "all")):
                (home / f"{index:05}.tsv").write_bytes(piece)
            (home / "all").unlink()
    (folder / "complete").touch()


def _columns(connection: Connection[Any], table: str) -> list[tuple[str, str]]:
    """Name and type of the columns that take values."""
    found = _rows(
        connection,
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = %s AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position",
        table,
    )
    return [(str(name), str(kind)) for name, kind in found]


def _into(table: str, columns: list[tuple[str, str]]) -> str:
    """The end of the LOAD DATA statement: bytes as they are, but for types that take them for something else."""
    fields, settings = [], []
    for number, (name, kind) in enumerate(columns):
        if value := _CONVERSIONS.get(kind):
            fields.append(f"@v{number}")
            settings.append(f"{quote(name)} = {value.format(f'@v{number}')}")
        else:
            fields.append(quote(name))
    setting = f" SET {', '.join(settings)}" if settings else ""
    return f"INTO TABLE {quote(table)} CHARACTER SET binary ({', '.join(fields)}){setting}"


def pieces(file: Path, size: int = _PIECE_BYTES) -> Iterator[bytes]:
    """A file of rows, cut where a row ends: at a line's end that no backslash escapes."""
    rest = b""
    with file.open("rb") as stream:
        while block := stream.read(size):
            rest += block
            if end := _last_end(rest):
                yield rest[:end]
                rest = rest[end:]
    if rest:
        yield rest


def _last_end(rows: bytes) -> int:
    """Where the last whole row ends; 0 when none does."""
    newline = rows.rfind(b"\n")
    while newline >= 0:
        backslashes = newline
        while backslashes and rows[backslashes - 1 : backslashes] == b"\\":
            backslashes -= 1
        if (newline - backslashes) % 2 == 0:
            return newline + 1
        newline = rows.rfind(b"\n", 0, newline)
    return 0


def _literal(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Lane(threading.local):
    """A thread's own connection."""

    def __init__(self, database: str) -> None:
        self.connection = _connect("TARGET", database)


class _Target:
    """A table that is being loaded.

    :param left: pieces that are not loaded yet.
    """

    def __init__(self, home: Path) -> None:
        definition = (home / "create.sql").read_bytes()
        self._into = (home / "load.sql").read_text()
        self.deferred = defer(definition, frozenset([definition.split(b"`")[1].decode()]))
        self.pieces = sorted(home.glob("*.tsv"))
        self._left = len(self.pieces)
        self._lock = threading.Lock()

    def load(self, piece: Path, lane: _Lane) -> None:
        """Load a piece; whoever loads the last one builds the indexes."""
        _rows(lane.connection, f"LOAD DATA LOCAL INFILE {_literal(piece)} {self._into}")
        with self._lock:
            self._left -= 1
            last = not self._left
        if last and self.deferred.keys:
            _rows(lane.connection, self.deferred.keys.decode())


def load() -> None:
    """Load what :func:`export` has written: all pieces side by side, each table's indexes when its rows are in."""
    folder, database = Path(os.environ["WORK"]) / "rows", os.environ["RESTORED"]
    targets = [_Target(home) for home in sorted(folder.iterdir()) if home.is_dir()]
    lane = _Lane(database)
    with ThreadPoolExecutor(int(os.environ["CORES"])) as pool:
        loads = []
        for target in targets:
            _rows(lane.connection, target.deferred.create.decode())
            loads += [pool.submit(target.load, piece, lane) for piece in target.pieces]
        for done in loads:
            done.result()
    for target in targets:
        if target.deferred.foreign_keys:
            _rows(lane.connection, target.deferred.foreign_keys.decode())
