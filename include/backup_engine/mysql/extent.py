"""How much of a table is hashed: at backup what the policy asks for, of a copy what was hashed of its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.mysql.fingerprint import VERSION, RowHash, Sums
from include.backup_engine.mysql.ranges import condition, integer_key, is_large, plan_ranges
from include.backup_engine.records import Census, KeyRanges, TableFacts

LARGE_TABLE_ROWS = 100_000
"""Rows from which on a table is hashed by ranges; below, they would only make the sidecar longer."""
SHARE = 8
"""Of the ranges of a large table, a sample is one in so many."""
Look = Callable[["Connection[Any]", str, TableFacts], TableFacts]
"""Adds rows, fingerprint, ranges and note to a table of a database.

Raises SourceUnavailable and PreflightError: see server.server_errors.
"""


@dataclass(frozen=True)
class Extent:
    """What a backup hashes.

    :param sampled: of large tables, a share of the ranges only.
    :param turn: which share; of ``SHARE`` turns in a row, each takes another one.
    :param large: rows of a table that is large, as the server estimates them.
    """

    sampled: bool = False
    turn: int = 0
    large: int = LARGE_TABLE_ROWS

    def takes(self, ranges: KeyRanges) -> list[int]:
        """The ranges that are hashed. Each keeps its turn for as long as the table keeps its width."""
        numbers = range(len(ranges.hashes))
        return [n for n in numbers if not self.sampled or (ranges.first + n) % SHARE == self.turn % SHARE]

    def look(self, connection: Connection[Any], database: str, table: TableFacts) -> TableFacts:
        """Hash a table of a source."""
        if not is_large(connection, database, table.name, self.large):
            return _whole(connection, database, table)
        ranges = plan_ranges(connection, database, table)
        if ranges:
            return _by_ranges(connection, database, table, ranges, self.takes(ranges))
        if not self.sampled:
            return _whole(connection, database, table)
        note = "a sample needs an integer as the first column of the primary key"
        return _counted(connection, database, table).model_copy(update={"note": note})


def like(source: Census) -> Look:
    """Hash of a copy what was hashed of its source by this version, and count the rest."""
    expected = {table.name: table for table in source.tables}

    def look(connection: Connection[Any], database: str, table: TableFacts) -> TableFacts:
        known = expected.get(table.name)
        if known is None or not (known.fingerprint or known.ranges):
            return _counted(connection, database, table)
        if not can_be_compared(known):
            note = f"its fingerprint is of version {_version(known)}, made by another version of this program"
            return _counted(connection, database, table).model_copy(update={"note": note})
        ranges = known.ranges
        if ranges is None or integer_key(connection, database, table.name) != ranges.key:
            return _whole(connection, database, table)
        taken = [number for number, hashed in enumerate(ranges.hashes) if hashed]
        return _by_ranges(connection, database, table, ranges, taken)

    return look


FULL = Extent()


def can_be_compared(table: TableFacts) -> bool:
    """Whether a table has a fingerprint, whole or by ranges, such as this version makes."""
    return _version(table) == VERSION


def _version(table: TableFacts) -> str:
    """Of its fingerprint, or of those of its ranges, which have their rows before it."""
    if table.fingerprint:
        return table.fingerprint.partition(":")[0]
    first = next((hashed for hashed in table.ranges.hashes if hashed), "") if table.ranges else ""
    return first.partition(":")[2].partition(":")[0]


def _counted(connection: Connection[Any], database: str, table: TableFacts) -> TableFacts:
    return table.model_copy(update={"rows": RowHash(connection, database, table.name, table.versioned).count()})


def _whole(connection: Connection[Any], database: str, table: TableFacts) -> TableFacts:
    hashed = RowHash(connection, database, table.name, table.versioned)
    if hashed.note:
        return table.model_copy(update={"rows": hashed.count(), "note": hashed.note})
    sums = hashed.sums()
    return table.model_copy(update={"rows": sums.rows, "fingerprint": sums.fingerprint, "note": sums.note})


def _by_ranges(
    connection: Connection[Any], database: str, table: TableFacts, ranges: KeyRanges, taken: Sequence[int]
) -> TableFacts:
    """Hash some ranges of a table; all its rows are counted, which costs a twentieth of hashing them."""
    hashed = RowHash(connection, database, table.name, table.versioned)
    if hashed.note:
        return table.model_copy(update={"rows": hashed.count(), "note": hashed.note})
    total, hashes = Sums(), [""] * len(ranges.hashes)
    for number in taken:
        sums = hashed.sums(condition(ranges, number))
        total += sums
        hashes[number] = f"{sums.rows:x}:{sums.fingerprint}" if sums.fingerprint else ""
    found = table.model_copy(update={"ranges": ranges.model_copy(update={"hashes": hashes}), "note": total.note})
    if len(taken) == len(hashes):
        return found.model_copy(update={"rows": total.rows, "fingerprint": total.fingerprint})
    part = f"{len(taken)} of {len(hashes)} ranges of {ranges.key} were hashed"
    return found.model_copy(update={"rows": hashed.count(), "note": f"{part}; {total.note}" if total.note else part})
