"""Fingerprints: per table, a row count and an order-independent hash, computed by the server.

Each row becomes one text, every column in a canonical, unambiguous form; the first 60 bits of its SHA-256 are a
number, and these are summed over all rows. A sum does not depend on the order of rows, and unlike XOR it does not
lose pairs of equal rows; a changed row goes unseen once in 2**60 times. The server computes it where the data is,
inside the transaction it is asked in: at backup in the snapshot of the dump, in a drill in the restored copy. It is
an oracle of equality between honest copies, not a defence against somebody who can write both (that is the message's
authentication).

Of some types a dump does not write every value exactly: FLOAT is printed with six digits, MySQL's negative zero comes
back as zero, and a value in JSON loses MySQL's own types (1.10 comes back as 1.1, a date as a string). What is hashed
is what a dump holds, so that a copy can be equal; and the values that are not exactly that are counted, so that the
backup says at once where they are. (To see how JSON is dumped the server must parse it anew, so it is hashed as it is,
and once more as dumped if that is something else.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.server import quote, row, rows, scalar

VERSION = "2"
_TEXT = {"char", "varchar", "enum", "set"}
_LONG_TEXT = {"tinytext", "text", "mediumtext", "longtext"}
_BYTES = {
    "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector",
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
}  # fmt: skip
_PLAIN = {
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal",
    "date", "time", "datetime", "timestamp", "year",
}  # fmt: skip
_ADDRESSES = {"inet4", "inet6", "uuid"}
_OTHER_BYTES = 80
"""More than a number, a time, an address or a digest has as text, with what stands between it and its neighbour."""
_WIDENING = 4
"""A byte of a column becomes at most so many of them in UTF-8."""


def _canonical(column: str, data_type: str) -> str | None:
    """SQL for a column's canonical text: unambiguous beside its neighbours, ``~`` for NULL.

    ``None``: the type is unknown. The SQL is NULL where the server cannot make that text.
    """
    if data_type in _TEXT:  # length first, so that no value can imitate a neighbour
        text = f"CONCAT(CHAR_LENGTH({column}), ':', CONVERT({column} USING utf8mb4))"
        return f"IF({column} IS NULL, '~', {text})"
    if data_type in _PLAIN:
        text = column
    elif data_type in _ADDRESSES:  # as text: beside an address even '~' would be taken for one
        text = f"CONCAT({column})"
    elif data_type in _LONG_TEXT or data_type in _BYTES:  # hashed apart: CONCAT stops at max_allowed_packet
        text = f"SHA2({column}, 256)"
    elif data_type == "json":
        text = f"SHA2(CAST({column} AS CHAR), 256)"
    elif data_type == "float":
        text = f"IF({column} = 0, '0', CONCAT({column}))"
    elif data_type == "double":  # negative zero plus zero is zero
        text = f"{column} + 0e0"
    elif data_type == "bit":
        text = f"{column} + 0"
    else:
        return None
    return f"IFNULL({text}, '~')"


def _rewritten(column: str) -> str:
    """A JSON value as it is after having been a text."""
    return f"CAST(CAST({column} AS CHAR) AS JSON)"


def _inexact(column: str, data_type: str) -> str | None:
    """SQL that is true for values which a dump does not write exactly; ``None`` where there are none of the kind."""
    negative_zero = f"({column} = 0 AND LEFT(CONCAT({column}), 1) = '-')"
    if data_type == "float":
        return f"{column} <> CAST(CONCAT({column}) AS FLOAT) OR {negative_zero}"
    if data_type == "double":
        return negative_zero
    if data_type == "json":
        as_text, rewritten = f"CAST({column} AS CHAR)", _rewritten(column)
        return f"{column} <> {rewritten} OR CAST({as_text} AS BINARY) <> CAST(CAST({rewritten} AS CHAR) AS BINARY)"
    return None


def _sum_of_digests(expressions: list[str], may_be_too_long: bool) -> str:
    """SQL for three columns: rows, rows that have a digest, and the sum of these."""
    # CONCAT is NULL when it would be too long, or when a part is; CONCAT_WS would leave that part out.
    joined = ", '|', ".join(expressions)
    digest = f"SHA2(CONCAT({joined}), 256)"
    # The server works a digest out anew wherever it is named, so one is only named twice where rows may have none.
    hashed = f"COUNT({digest})" if may_be_too_long else "COUNT(*)"
    return f"COUNT(*), {hashed}, COALESCE(SUM(CAST(CONV(LEFT({digest}, 15), 16, 10) AS UNSIGNED)), 0)"


@dataclass(frozen=True)
class Sums:
    """What the server has added up over some rows of a table.

    :param hashed: rows whose text the server could make; the others are too long for it.
    :param digests: the sum of the rows' numbers.
    :param current: rows that are not history, of a system-versioned table.
    :param inexact: of each column that may have them, the values that a dump does not write exactly.
    """

    rows: int = 0
    hashed: int = 0
    digests: int = 0
    current: int | None = None
    inexact: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            rows=self.rows + other.rows,
            hashed=self.hashed + other.hashed,
            digests=self.digests + other.digests,
            current=None if other.current is None else (self.current or 0) + other.current,
            inexact={column: self.inexact.get(column, 0) + number for column, number in other.inexact.items()},
        )

    @property
    def fingerprint(self) -> str | None:
        """``version:sum``, and ``:current rows`` of a system-versioned table: the same rows are all history to a server
        that takes another time for the end of time. ``None`` when not all rows could be hashed.
        """
        if self.hashed != self.rows:
            return None
        return f"{VERSION}:{self.digests:x}" + ("" if self.current is None else f":{self.current:x}")

    @property
    def note(self) -> str | None:
        """The reason why there is no fingerprint, or the columns with values that a dump does not write exactly."""
        if self.hashed != self.rows:
            return f"{self.rows - self.hashed} rows are too long to be hashed by the server (max_allowed_packet)"
        named = [f"{number} of column {name}" for name, number in self.inexact.items() if number]
        return f"a dump does not write these values exactly: {', '.join(named)}" if named else None


class RowHash:
    """How the server hashes the rows of one table, history rows of a system-versioned table included.

    :param note: why it cannot; then only :meth:`count` may be asked.
    :raises SourceUnavailable, PreflightError: see server.server_errors.
    """

    def __init__(self, connection: Connection[Any], database: str, table: str, versioned: bool = False) -> None:
        self._connection = connection
        self._table = f"{quote(database)}.{quote(table)}"
        self._versioned = versioned
        expressions: list[str] = []
        as_dumped: list[str] = []
        unknown: list[str] = []
        inexact: dict[str, str] = {}
        explicit_period = False
        longest = 0
        for name, data_type, generated_as, octets in rows(
            connection,
            "SELECT column_name, LOWER(data_type), UPPER(generation_expression), COALESCE(character_octet_length, 0)"
            " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (database, table),
        ):
            explicit_period |= generated_as == "ROW START"
            longest += _OTHER_BYTES + (_WIDENING * int(octets) if data_type in _TEXT else 0)
            column = quote(str(name))
            canonical = _canonical(column, str(data_type))
            dumped = _canonical(_rewritten(column) if data_type == "json" else column, str(data_type))
            if canonical is None or dumped is None:
                unknown.append(f"{name} {data_type}")
            else:
                expressions.append(canonical)
                as_dumped.append(dumped)
            if differs := _inexact(column, str(data_type)):
                inexact[str(name)] = differs
        self.note = None
        if unknown:
            self.note = f"no fingerprint for columns of type: {', '.join(unknown)}"
        elif not expressions:
            self.note = "no columns are visible"
        self._rows = f"{self._table} FOR SYSTEM_TIME ALL" if versioned else self._table
        if versioned and not explicit_period:
            expressions += ["row_start", "row_end"]
            as_dumped += ["row_start", "row_end"]
        may_be_too_long = longest > int(scalar(connection, "SELECT @@max_allowed_packet"))
        flags = "".join(f", COALESCE(SUM({differs}), 0)" for differs in inexact.values())
        self._inexact = list(inexact)
        self._aggregate = _sum_of_digests(expressions, may_be_too_long) + flags
        self._as_dumped = _sum_of_digests(as_dumped, may_be_too_long) + flags

    def count(self) -> int:
        """Rows of the table."""
        return self._one(f"SELECT COUNT(*) FROM {self._rows}")[0]  # noqa: S608 - identifiers are quoted

    def sums(self, condition: str = "") -> Sums:
        """Hash the rows for which a condition is true, or all."""
        where = f" WHERE {condition}" if condition else ""
        count, hashed, digests, *inexact = self._one(f"SELECT {self._aggregate} FROM {self._rows}{where}")  # noqa: S608
        if any(inexact) and self._as_dumped != self._aggregate:
            _, hashed, digests, *_ = self._one(f"SELECT {self._as_dumped} FROM {self._rows}{where}")  # noqa: S608
        current = self._one(f"SELECT COUNT(*) FROM {self._table}{where}")[0] if self._versioned else None  # noqa: S608
        return Sums(count, hashed, digests, current, dict(zip(self._inexact, inexact, strict=True)))

    def _one(self, query: str) -> list[int]:
        found = row(self._connection, query)
        if found is None:
            raise PreflightError(
                f"The table {self._table} cannot be counted.", "Check the account's SELECT privilege on it."
            )
        return [int(value) for value in found]


def fingerprint_table(
    connection: Connection[Any], database: str, table: str, *, versioned: bool = False
) -> tuple[int, str | None, str | None]:
    """Count and fingerprint one table, history rows of a system-versioned table included.

    :return: rows; the fingerprint or ``None``; and a note, see :class:`Sums` and :class:`RowHash`.
    :raises SourceUnavailable, PreflightError: see server.server_errors.
    """
    hashed = RowHash(connection, database, table, versioned)
    if hashed.note:
        return hashed.count(), None, hashed.note
    sums = hashed.sums()
    return sums.rows, sums.fingerprint, sums.note
