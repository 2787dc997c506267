"""Fingerprints: per table, a row count and an order-independent hash, computed by the server.

Each row becomes one text, every column in a canonical, unambiguous form, and at least 60 bits of its SHA-256 a number.
The numbers are combined by XOR where no two rows are equal, because there is a primary key, and else by a sum, as XOR
would lose pairs of equal rows. Neither depends on the order of rows; a changed row goes unseen once in 2**60 times. The
server computes it where the data is, inside the transaction it is asked in: at backup in the snapshot of the dump, in a
drill in the restored copy. It is an oracle of equality between honest copies, not a defence against somebody who can
write both (that is the message's authentication).

How the number is made is the cheapest way of each flavour: MySQL combines binary strings; in MariaDB, two checksums of
a digest make a number quicker than CONV does, and a variable lets the digest be made once (MariaDB, "LAST_VALUE").

Of some types a dump does not write every value exactly: FLOAT is printed with six digits, MySQL's negative zero comes
back as zero, and a value in JSON loses MySQL's own types (1.10 comes back as 1.1, a date as a string). What is hashed
is what a dump holds, so that a copy can be equal; and the values that are not exactly that are counted, so that the
backup says at once where they are. (To see how JSON is dumped the server must parse it anew, so it is hashed as it is,
and once more as dumped if that is something else.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.server import quote, row, rows
from include.backup_engine.records import Flavour

VERSION = "3"
_TEXT = {"char", "varchar", "enum", "set", "binary", "varbinary", "tinytext", "tinyblob"}
_LONG = {
    "text", "mediumtext", "longtext", "blob", "mediumblob", "longblob", "vector",
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
}  # fmt: skip
_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "time"}
_OF_ONE_WIDTH = {"date", "datetime", "timestamp", "year"}
_ADDRESSES = {"inet4", "inet6", "uuid"}
_AS_STORED = {None, "utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "binary"}
"""Character sets (bytes have none) of which a copy has the same bytes; others may write a character in two ways."""
_NULL, _END, _COLON = "_binary'~'", "_binary'|'", "_binary':'"
_OTHER_BYTES = 80
"""More than a number, a time, an address or a digest has as text, with what stands between it and its neighbour."""
_WIDENING = 4
"""A byte of a column becomes at most so many of them in UTF-8."""
_TIMES_AND_BYTES = (
    "{0} LIKE _binary'%\"____-__-__\"%' OR {0} LIKE _binary'%:__:__.______\"%' OR LOCATE(_binary'\"base64:type', {0})"
)
"""True of the text of a value in JSON that has one of MySQL's own types in it which are written as strings."""


@dataclass(frozen=True)
class _Column:
    """A column as information_schema tells it.

    :param octets: the longest value of a text.
    """

    name: str
    data_type: str
    octets: int
    charset: str | None
    nullable: bool

    @property
    def sql(self) -> str:
        return quote(self.name)

    @property
    def longest(self) -> int:
        """Bytes that it adds to a row's text at most."""
        if self.data_type not in _TEXT:
            return _OTHER_BYTES
        return _OTHER_BYTES + self.octets * (1 if self.charset in _AS_STORED else _WIDENING)

    def canonical(self, json: str) -> list[str] | None:
        """SQL for its canonical text, in parts: unambiguous before whatever follows, ``~`` for NULL. No part is NULL.

        ``None``: the type is unknown.

        :param json: SQL for the text of a value in MySQL's JSON, as bytes; empty of other types.
        """
        column, kind = self.sql, self.data_type
        if kind in _TEXT:  # length first, so that no value can imitate a neighbour
            if self.charset in _AS_STORED:
                length, text = f"LENGTH({column})", column
            else:
                length, text = f"CHAR_LENGTH({column})", f"CONVERT({column} USING utf8mb4)"
            return [self._or(_NULL, length), _COLON, self._or("_binary''", text)]
        if kind in _OF_ONE_WIDTH:
            return [self._or(_NULL, column)]
        if kind in _LONG or kind == "json":  # hashed apart: CONCAT stops at max_allowed_packet
            return [self._or(_NULL, f"SHA2({json or column}, 256)")]
        other = {
            **dict.fromkeys(_NUMBERS, column),
            # As text: beside an address even '~' would be taken for one.
            **dict.fromkeys(_ADDRESSES, f"CONCAT({column})"),
            "float": f"IF({column} = 0, '0', CONCAT({column}))",
            "double": f"{column} + 0e0",  # negative zero plus zero is zero
            "bit": f"{column} + 0",
        }
        return [self._or(_NULL, other[kind]), _END] if kind in other else None

    def _or(self, null: str, text: str) -> str:
        return f"IFNULL({text}, {null})" if self.nullable else text

    def inexact(self, json: str) -> str | None:
        """SQL that is true for values which a dump does not write exactly; ``None`` where there are none of the kind.

        Of JSON, the text is compared first: only numbers can be written otherwise. Where it is the same, only a date, a
        time or bytes can be another value, a string; so values are compared only where the text may hold one of these.
        """
        column = self.sql
        negative_zero = f"({column} = 0 AND LEFT(CONCAT({column}), 1) = '-')"
        if self.data_type == "float":
            return f"{column} <> CAST(CONCAT({column}) AS FLOAT) OR {negative_zero}"
        if self.data_type == "double":
            return negative_zero
        if self.data_type == "json":
            rewritten = f"CAST(CONVERT({json} USING utf8mb4) AS JSON)"
            other_value = f"({_TIMES_AND_BYTES.format(json)}) AND {column} <> {rewritten}"
            return f"{json} <> CAST({rewritten} AS BINARY) OR ({other_value})"
        return None


def _aggregate(flavour: Flavour, text: str, distinct: bool, may_be_too_long: bool) -> str:
    """SQL for three columns: rows, rows that have a digest, and the digests' numbers combined.

    :param text: SQL for a row's text.
    :param distinct: whether no two rows are equal.
    """
    digest = f"SHA2({text}, 256)"
    # The server works a digest out anew wherever it is named, so one is only named twice where rows may have none.
    hashed = f"COUNT({digest})" if may_be_too_long else "COUNT(*)"
    if flavour == "mariadb":
        number = f"LAST_VALUE(@row_digest := {digest}, CRC32(@row_digest) << 32 | CRC32C(@row_digest))"
    elif distinct:
        number = f"UNHEX({digest})"
    else:
        number = f"CAST(CONV(LEFT({digest}, 15), 16, 10) AS UNSIGNED)"
    return f"COUNT(*), {hashed}, " + (f"BIT_XOR({number})" if distinct else f"COALESCE(SUM({number}), 0)")


@dataclass(frozen=True)
class Sums:
    """What the server has added up over some rows of a table.

    :param hashed: rows whose text the server could make; the others are too long for it.
    :param digests: the rows' numbers, combined.
    :param distinct: whether that is by XOR, because no two rows are equal, and not their sum.
    :param current: rows that are not history, of a system-versioned table.
    :param inexact: of each column that may have them, the values that a dump does not write exactly.
    """

    rows: int = 0
    hashed: int = 0
    digests: int = 0
    distinct: bool = True
    current: int | None = None
    inexact: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            rows=self.rows + other.rows,
            hashed=self.hashed + other.hashed,
            digests=self.digests ^ other.digests if other.distinct else self.digests + other.digests,
            distinct=other.distinct,
            current=None if other.current is None else (self.current or 0) + other.current,
            inexact={column: self.inexact.get(column, 0) + number for column, number in other.inexact.items()},
        )

    @property
    def fingerprint(self) -> str | None:
        """``version:digests``, and ``:current rows`` of a system-versioned table: the same rows are all history to a
        server that takes another time for the end of time. ``None`` when not all rows could be hashed.
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
        columns: list[_Column] = []
        explicit_period = self._distinct = False
        for name, data_type, generated_as, octets, charset, nullable, key in rows(
            connection,
            "SELECT column_name, LOWER(data_type), UPPER(generation_expression), COALESCE(character_octet_length, 0),"
            " character_set_name, is_nullable, column_key"
            " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (database, table),
        ):
            explicit_period |= generated_as == "ROW START"
            self._distinct |= key == "PRI"
            columns.append(_Column(str(name), str(data_type), int(octets), charset, nullable == "YES"))
        found = row(connection, "SELECT @@max_allowed_packet, VERSION()")
        packet, version = found or (0, "")
        may_be_too_long = sum(column.longest for column in columns) > int(packet)
        flavour: Flavour = "mariadb" if "mariadb" in str(version).lower() else "mysql"
        # Each text of JSON is made once a row, by a table of one row: it is named several times.
        taken = {column.name for column in columns}
        free = (name for name in map(str, count()) if name not in taken)
        texts = {column: quote(next(free)) for column in columns if column.data_type == "json"}
        self._rows = f"{self._table} FOR SYSTEM_TIME ALL" if versioned else self._table
        self._rows_as_dumped = self._rows
        if texts:
            made = ", ".join(f"CAST({column.sql} AS BINARY) AS {text}" for column, text in texts.items())
            dumped = ", ".join(
                f"CAST(CAST(CAST({column.sql} AS CHAR) AS JSON) AS BINARY) AS {text}" for column, text in texts.items()
            )
            self._rows, self._rows_as_dumped = (
                f"{self._rows}, LATERAL (SELECT {select} LIMIT 1) AS json_texts" for select in (made, dumped)
            )
        parts: list[str] = []
        unknown: list[str] = []
        inexact: dict[str, str] = {}
        for column in columns:
            if (canonical := column.canonical(texts.get(column, ""))) is None:
                unknown.append(f"{column.name} {column.data_type}")
            else:
                parts += canonical
            if differs := column.inexact(texts.get(column, "")):
                inexact[column.name] = differs
        self.note = None
        if flavour == "mariadb" and not has_crc32c(str(version)):
            self.note = "fingerprints need MariaDB 10.8 or later"
        elif unknown:
            self.note = f"no fingerprint for columns of type: {', '.join(unknown)}"
        elif not parts:
            self.note = "no columns are visible"
        if versioned and not explicit_period:
            parts += ["row_start", "row_end"]
        # The first part makes bytes of all, so that nothing is converted; a literal would give way to the columns'
        # character sets. CONCAT is NULL when it would be too long.
        text = f"CONCAT(CAST('' AS BINARY), {', '.join(parts)})"
        self._inexact = list(inexact)
        self._aggregate = _aggregate(flavour, text, self._distinct, may_be_too_long)
        self._flags = "".join(f", COUNT({differs} OR NULL)" for differs in inexact.values())

    def count(self) -> int:
        """Rows of the table."""
        return self._one("COUNT(*)", self._table + (" FOR SYSTEM_TIME ALL" if self._versioned else ""), "")[0]

    def sums(self, condition: str = "") -> Sums:
        """Hash the rows for which a condition is true, or all."""
        where = f" WHERE {condition}" if condition else ""
        number, hashed, digests, *inexact = self._one(self._aggregate + self._flags, self._rows, where)
        if any(inexact) and self._rows_as_dumped != self._rows:
            _, hashed, digests = self._one(self._aggregate, self._rows_as_dumped, where)
        current = self._one("COUNT(*)", self._table, where)[0] if self._versioned else None
        return Sums(number, hashed, digests, self._distinct, current, dict(zip(self._inexact, inexact, strict=True)))

    def _one(self, select: str, source: str, where: str) -> list[int]:
        found = row(self._connection, f"SELECT {select} FROM {source}{where}")  # noqa: S608 - identifiers are quoted
        if found is None:
            raise PreflightError(
                f"The table {self._table} cannot be counted.", "Check the account's SELECT privilege on it."
            )
        return [_number(value) for value in found]


def has_crc32c(version: str) -> bool:
    """Whether this MariaDB has CRC32C (MariaDB manual: since 10.8)."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= (10, 8)


def _number(value: Any) -> int:
    """A number as it is; of a digest that MySQL has combined, its first 64 bits."""
    return int.from_bytes(value[:8], "big") if isinstance(value, bytes) else int(value)


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
