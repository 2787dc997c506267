"""Secondary indexes and foreign keys that are built after a table's rows are in, which costs a fraction of keeping
them up to date row by row.

A table's definition is only taken apart when putting it together again gives the same definition: the order of its
keys included. What is not understood here stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from include.backup_engine.mysql.identifiers import QUOTED, unquoted
from include.backup_engine.records import Section, whole_tables

LARGE_TABLE_BYTES = 4 << 20
"""Bytes of SQL from which on an ALTER TABLE costs less than it saves."""

_HEAD = re.compile(rb"\ACREATE TABLE (" + QUOTED + rb") \(\n")
_INNODB = re.compile(rb"\n\) ENGINE=InnoDB\b")
_PRIMARY = re.compile(rb"  PRIMARY KEY \((" + QUOTED + rb")")
_KEY = re.compile(rb"  (?:UNIQUE )?KEY " + QUOTED + rb" \((?!\()")
_OTHER_KEY = re.compile(rb"  (?:(?:UNIQUE|FULLTEXT|SPATIAL|VECTOR) )?KEY |  PERIOD ")
_FOREIGN = re.compile(rb"  CONSTRAINT " + QUOTED + rb" FOREIGN KEY \(.*\) REFERENCES (" + QUOTED + rb") \(")
_COUNTER = re.compile(rb"  (" + QUOTED + rb") .* AUTO_INCREMENT\b")


@dataclass(frozen=True)
class Deferred:
    """A definition in three steps.

    :param create: CREATE TABLE with what the rows need.
    :param keys: ALTER TABLE for when the rows are in.
    :param foreign_keys: ALTER TABLE for when all tables are complete.
    """

    create: bytes
    keys: bytes | None = None
    foreign_keys: bytes | None = None


def large_tables(sections: Sequence[Section]) -> list[Section]:
    """The tables of a dump whose keys are deferred."""
    return [table for table in whole_tables(sections) if table.sql_length >= LARGE_TABLE_BYTES]


def defer(create: bytes, large: frozenset[str]) -> Deferred:
    """Take a definition apart.

    :param create: as SHOW CREATE TABLE writes it: a column, key or constraint a line.
    :param large: tables whose keys are deferred. Foreign keys wait when either of their tables is one of them,
        because until then it lacks the index that they need.
    """
    head, innodb = _HEAD.match(create), _INNODB.search(create)
    if head is None or innodb is None or b"SYSTEM VERSIONING" in create:
        return Deferred(create)
    lines = [line.removesuffix(b",") for line in create[head.end() : innodb.start()].split(b"\n")]
    is_large = unquoted(head[1]) in large
    foreign = [line for line in lines if (found := _FOREIGN.match(line)) and (is_large or unquoted(found[1]) in large)]
    keys = [line for line in lines if _KEY.match(line)] if is_large and _separable(lines) else []
    if not keys and not foreign:
        return Deferred(create)
    kept = [line for line in lines if line not in keys and line not in foreign]
    alter = b"ALTER TABLE " + head[1] + b" "
    return Deferred(
        create=head[0] + b",\n".join(kept) + create[innodb.start() :],
        keys=alter + b", ".join(b"ADD" + line[1:] for line in keys) if keys else None,
        foreign_keys=alter + b", ".join(b"ADD" + line[1:] for line in foreign) if foreign else None,
    )


def _separable(lines: list[bytes]) -> bool:
    """Whether the rows need none of the secondary keys, and all of them can be added in their order."""
    primary = next((found[1] for line in lines if (found := _PRIMARY.match(line))), None)
    counters = [found[1] for line in lines if (found := _COUNTER.match(line))]
    if primary is None or any(counter != primary for counter in counters):
        return False
    return all(_KEY.match(line) for line in lines if _OTHER_KEY.match(line))
