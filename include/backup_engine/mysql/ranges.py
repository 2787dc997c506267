"""Ranges of a large table's key: a difference is told where it is, and a share of the table can be read alone.

The key is the first column of the primary key, where that is an integer. The bounds of its ranges are multiples of a
round width and no values of rows; keys of other types could say something about a person, and are not used.

Each range is a query of its own. The server reads it by the primary key, so that the ranges of a table cost little more
than the table at once, and a part of them costs only its part; grouping the rows of one query costs more on both
flavours, and an (in-memory) temporary table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.server import quote, row, scalar
from include.backup_engine.records import KeyRanges, TableFacts

_MOST_RANGES = 64
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}


def is_large(connection: Connection[Any], database: str, table: str, large: int) -> bool:
    """Whether the server estimates at least so many rows."""
    estimate = scalar(
        connection,
        "SELECT table_rows FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        (database, table),
    )
    return int(estimate or 0) >= large


def plan_ranges(connection: Connection[Any], database: str, table: TableFacts) -> KeyRanges | None:
    """Ranges for the keys that the table has now, in this transaction; ``None``: it has no such key, or one range.

    :raises SourceUnavailable, PreflightError: see server.server_errors.
    """
    key = integer_key(connection, database, table.name)
    if key is None:
        return None
    history = " FOR SYSTEM_TIME ALL" if table.versioned else ""
    ends = row(
        connection,
        f"SELECT MIN({quote(key)}), MAX({quote(key)}) FROM {quote(database)}.{quote(table.name)}{history}",  # noqa: S608 - identifiers are quoted
    )
    if ends is None or ends[0] is None:
        return None
    ranges = cut(key, int(ends[0]), int(ends[1]))
    return ranges if len(ranges.hashes) > 1 else None


def integer_key(connection: Connection[Any], database: str, table: str) -> str | None:
    """The first column of the primary key, if it is an integer and the server can read stretches of it."""
    name = scalar(
        connection,
        "SELECT column_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"
        " AND index_name = 'PRIMARY' AND seq_in_index = 1 AND index_type = 'BTREE'",
        (database, table),
    )
    data_type = scalar(
        connection,
        "SELECT LOWER(data_type) FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND column_name = %s",
        (database, table, name),
    )
    return str(name) if data_type in _INTEGERS else None


def cut(key: str, least: int, most: int) -> KeyRanges:
    """At most 64 ranges from ``least`` to ``most``, of a width of 1, 2 or 5 times a power of ten."""
    width = next(width for width in _widths() if most // width - least // width < _MOST_RANGES)
    first = least // width
    return KeyRanges(key=key, width=width, first=first, hashes=[""] * (most // width - first + 1))


def _widths() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def condition(ranges: KeyRanges, number: int) -> str:
    """SQL that is true for the rows of one range."""
    return condition_between(ranges, number, number)


def condition_between(ranges: KeyRanges, first: int, last: int) -> str:
    """SQL that is true for the rows of several ranges, both ends included; empty for those of all."""
    start, end = _bounds(ranges, first)[0], _bounds(ranges, last)[1]
    column = quote(ranges.key)
    parts = [f"{column} >= {start}"] * (start is not None) + [f"{column} < {end}"] * (end is not None)
    return " AND ".join(parts)


def _bounds(ranges: KeyRanges, number: int) -> tuple[int | None, int | None]:
    """Start and end of a range; the first has no start and the last no end, so that no row is in none."""
    start = (ranges.first + number) * ranges.width
    return start if number else None, start + ranges.width if number < len(ranges.hashes) - 1 else None


def differing(expected: KeyRanges, found: KeyRanges) -> str:
    """Where two tables differ, in words; neighbours are told as one. Empty: nowhere that both have looked."""
    numbers = [
        number
        for number, (one, other) in enumerate(zip(expected.hashes, found.hashes, strict=True))
        if one and other and one != other
    ]
    stretches: list[list[int]] = []
    for number in numbers:
        if stretches and stretches[-1][-1] == number - 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    if not stretches:
        return ""
    start, end = _bounds(expected, stretches[0][0])[0], _bounds(expected, stretches[0][-1])[1]
    if start is None:
        where = "anywhere" if end is None else f"up to {end - 1}"
    else:
        where = f"from {start} on" if end is None else f"{start} to {end - 1}"
    more = len(stretches) - 1
    return f"{expected.key} {where}" + (f" (and {more} more range{'s' * (more > 1)})" if more else "")
