"""Gathers a dump's INSERTs, has the lanes send their rows as data (row_data.py), and counts what the server takes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed
from include.backup_engine.mysql.identifiers import QUOTED, unquoted
from include.backup_engine.mysql.lanes import Lanes
from include.backup_engine.mysql.row_data import RowData
from include.backup_engine.records import Flavour

_TABLE = re.compile(rb"\A(?:CREATE TABLE|INSERT INTO) (" + QUOTED + rb")")
_AT_ONCE = 1 << 20
"""Bytes of INSERTs whose rows are sent at once; as long as MariaDB's INSERTs, MySQL's are shorter."""


def _name(statement: bytes) -> bytes:
    """The table that a statement creates or fills, in its quotes; empty: it cannot be told."""
    found = _TABLE.match(statement)
    return found[1] if found else b""


@dataclass
class _Table:
    """A table whose rows are sent as data.

    :param rows: how many the dump holds.
    :param created: when that has happened; ``None``: it has.
    :param taken: how many the server has taken so far.
    :param data: how they are sent, once that was ``looked_at``; ``None``: as statements all the same.
    """

    rows: int
    created: Future[None] | None
    taken: int = 0
    looked_at: bool = False
    data: RowData | None = None


class RowSender:
    """Sends the rows of some tables.

    :param connection: where tables are created.
    :param tables: names, and how many rows each has.
    :param judge: lets a statement pass, or raises (the fence).
    :param run: runs a statement, which is the dump's n-th, and says how many rows it changed, or raises.
    """

    def __init__(
        self,
        connection: Connection[Any],
        lanes: Lanes,
        flavour: Flavour,
        tables: Mapping[str, int],
        judge: Callable[[bytes, int], object],
        run: Callable[[Connection[Any], bytes, int], int],
    ) -> None:
        self._connection = connection
        self._lanes = lanes
        self._flavour = flavour
        self._expected = tables
        self._judge = judge
        self._run = run
        self._created: dict[bytes, Future[None]] = {}
        self._tables: dict[bytes, _Table] = {}
        self._filling: _Table | None = None
        self._inserts: list[bytes] = []
        self._size = 0
        self._counting = threading.Lock()
        self.sent = 0
        """Rows that the server has taken as data."""
        self.session_is_plain = False
        """Whether the dump's text is in UTF-8 and backslashes escape in it."""

    def create(self, statement: bytes, number: int) -> None:
        """Create a table of InnoDB on a lane: nothing waits for it but its rows."""
        name = _name(statement)
        created = self._lanes.insert(
            len(statement), number, lambda connection: self._run(connection, statement, number)
        )
        if created:
            self._created[name] = created
        rows = self._expected.get(unquoted(name)) if name else None
        # Of a table with history, rows that are sent as data might all be taken for current ones.
        if rows is not None and b"SYSTEM VERSIONING" not in statement:
            self._tables[name] = _Table(rows, created)

    def gather(self, insert: bytes, number: int) -> bool:
        """Take an INSERT, if its rows are to be sent as data."""
        table = self._tables.get(_name(insert))
        if table is None or not self._is_data(table, insert):
            return False
        if table is not self._filling:
            self.send(number)
        self._filling = table
        self._inserts.append(insert)
        self._size += len(insert)
        if self._size >= _AT_ONCE:
            self.send(number)
        return True

    def _is_data(self, table: _Table, insert: bytes) -> bool:
        if not self.session_is_plain:
            return False
        if not table.looked_at:
            if table.created:
                table.created.result()
            table.data, table.looked_at = RowData.of(self._connection, self._flavour, insert), True
        return table.data is not None and table.data.fits(insert)

    def send(self, number: int) -> None:
        """Have a lane send what was gathered. To be called before any statement that must find the rows there.

        :param number: of the last statement that was gathered.
        """
        if not self._inserts or self._filling is None:
            return
        table, inserts, size = self._filling, self._inserts, self._size
        self._inserts, self._size = [], 0

        def load(connection: Connection[Any]) -> None:
            self._run(connection, b"START TRANSACTION", number)
            count = table.data.send(connection, inserts) if table.data else None
            self._run(connection, b"ROLLBACK" if count is None else b"COMMIT", number)
            if count is not None:
                self._add(table, count, count)
                return
            for insert in inserts:
                self._judge(insert, number)
            self._add(table, sum(self._run(connection, insert, number) for insert in inserts))

        self._lanes.insert(size, number, load, table.created)

    def insert(self, statement: bytes, number: int) -> None:
        """Run an INSERT as it is on a lane."""
        name = _name(statement)
        table = self._tables.get(name)

        def load(connection: Connection[Any]) -> None:
            count = self._run(connection, statement, number)
            if table:
                self._add(table, count)

        self._lanes.insert(len(statement), number, load, self._created.get(name))

    def _add(self, table: _Table, count: int, sent: int = 0) -> None:
        with self._counting:
            table.taken += count
            self.sent += sent

    def check(self) -> None:
        """To be called when all rows are in.

        :raises LoadFailed: a table has not taken as many as the dump holds.
        """
        for name, table in self._tables.items():
            if table.taken != table.rows:
                raise LoadFailed(
                    f"The table {unquoted(name)} has taken {table.taken} rows; the backup holds {table.rows}.",
                    "Look on the target for what adds or refuses rows; if there is nothing, report this.",
                )
