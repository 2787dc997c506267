"""How a dump is divided between several dump programs: large tables whole, or by ranges of their key.

The first program dumps everything that no other takes. What others take are InnoDB's tables without history: to the
text of these, nothing but INSERTs, definitions and triggers belongs.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.ranges import condition_between, plan_ranges
from include.backup_engine.mysql.server import rows
from include.backup_engine.records import Flavour, TableFacts

PARALLEL_BYTES = 64 << 20
"""Bytes of data, as the server estimates them, below which one program is as quick."""
_WORTH_IT = 16
"""A table below so small a part of a program's share is not worth taking from the first program."""
_TOO_LARGE = 1.25
"""A table of more than so many programs' shares is cut."""
_PLAIN_NAME = re.compile(r"\w+\Z", re.ASCII)  # dump programs repeat the condition in a comment


@dataclass(frozen=True)
class Share:
    """What one program beside the first dumps.

    :param tables: the largest first.
    :param where: SQL; of its only table, the rows that it dumps; None: all.
    :param number: of the range, when the table is cut: the first has the table's definition and triggers, too.
    """

    tables: tuple[str, ...]
    where: str | None = None
    number: int = 0

    @property
    def rows_only(self) -> bool:
        """Whether another program dumps the definition."""
        return self.number > 0


@dataclass(frozen=True)
class _Sized:
    name: str
    size: int
    divisible: bool


def divide(
    connection: Connection[Any], flavour: Flavour, database: str, excluded: Collection[str], programs: int, least: int
) -> list[Share]:
    """What other programs than the first dump; nothing, if one program is as quick.

    :param programs: how many are to run at the same time. When a table is cut, there may be one more.
    :param least: bytes of data, as the server estimates them, from which on several are started.
    :raises SourceUnavailable, PreflightError: see server.server_errors.
    """
    if programs == 1:
        return []
    tables = [table for table in _tables(connection, flavour, database) if table.name not in excluded]
    whole = sum(table.size for table in tables)
    if whole < least:
        return []
    share = whole / programs
    candidates = sorted((t for t in tables if t.divisible and t.size * _WORTH_IT > share), key=lambda t: -t.size)
    shares: list[Share] = []
    for table in [table for table in candidates if table.size > share * _TOO_LARGE]:
        cut = _cut(connection, database, table.name, min(programs, max(2, round(table.size / share))))
        if cut:
            candidates.remove(table)
            shares += cut
    taken = {table for one in shares for table in one.tables}
    rest = sum(table.size for table in tables if table not in candidates and table.name not in taken)
    return shares + _balanced(candidates, rest, programs - len(shares) - 1)


def _balanced(candidates: list[_Sized], rest: int, others: int) -> list[Share]:
    """Tables, the largest first, each to whom has the least so far; ``rest`` is what the first program has."""
    sizes = [rest] + [0] * max(0, others)
    names: list[list[str]] = [[] for _ in sizes]
    for table in candidates:
        least = sizes.index(min(sizes))
        sizes[least] += table.size
        names[least].append(table.name)
    return [Share(tuple(tables)) for tables in names[1:] if tables]


def _cut(connection: Connection[Any], database: str, table: str, parts: int) -> list[Share]:
    """Ranges of a table's key; none, if it has no suitable one."""
    ranges = plan_ranges(connection, database, TableFacts(name=table, definition_sha256=""))
    if ranges is None or not _PLAIN_NAME.match(ranges.key):
        return []
    count = len(ranges.hashes)
    parts = min(parts, count)
    bounds = [count * part // parts for part in range(parts + 1)]
    whole = Share((table,))
    return [
        replace(whole, where=condition_between(ranges, first, end - 1), number=number)
        for number, (first, end) in enumerate(pairwise(bounds))
    ]


def _tables(connection: Connection[Any], flavour: Flavour, database: str) -> list[_Sized]:
    """All tables; divisible are those that dump programs can be told to take, and to leave, by name alone.

    They look names up in their own collation, in which those of two tables, or of a table and a view, may be equal.
    """
    if flavour == "mysql":  # which otherwise tells sizes of a day ago
        rows(connection, "SET SESSION information_schema_stats_expiry = 0")
    broad = "utf8mb4_0900_ai_ci" if flavour == "mysql" else "utf8mb4_unicode_520_ci"
    of_name = [
        f"COUNT(*) OVER (PARTITION BY CONVERT(table_name USING utf8mb4) COLLATE {collation})"
        for collation in ("utf8mb4_general_ci", broad)
    ]
    found = rows(
        connection,
        "SELECT table_name, table_type, COALESCE(data_length, 0), COALESCE(engine = 'InnoDB', 0),"  # noqa: S608 - constants
        f" {of_name[0]}, {of_name[1]} FROM information_schema.tables WHERE table_schema = %s",
        (database,),
    )
    return [
        _Sized(
            str(name),
            int(size),
            kind == "BASE TABLE" and bool(innodb) and one == other == 1 and str(name).isprintable(),
        )
        for name, kind, size, innodb, one, other in found
        if kind in ("BASE TABLE", "SYSTEM VERSIONED")
    ]
