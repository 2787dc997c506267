"""Watching a dump pass by: which objects it holds, where each table lies, how many rows it writes, and their hash.

The dump programs announce each part in a comment on a line of its own (``-- Table structure for table `x```)
and escape newlines inside values, so a line that starts with ``-- `` is theirs. The exception are the bodies
of routines, triggers and events; they stand between two DELIMITER lines and are passed over. A body may hold a
DELIMITER line itself; that which ends it is followed by the settings that the program puts back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from include.backup_engine.mysql.stream_hash import StreamHash, total
from include.backup_engine.records import Coordinates

SectionKind = Literal["settings", "table", "sequence", "code"]
Part = Literal["head", "tables", "rows", "after rows", "code", "end"]
"""Where in a dump something stands: in the settings at its head, among its tables and the places that it keeps for
views, in the INSERTs of a table, between those and the next table, in the code and views behind all tables, in the
settings that are put back at its end."""

_HOLD_BACK = 1024  # longer than any announcement, so that none is cut in two
_MARK = re.compile(
    rb"\n(?=-- |DELIMITER |/\*!(?:50106 CREATE\*/ |40000 ALTER TABLE |40103 SET TIME_ZONE=@OLD))([^\n]*)(?=(\n/\*!50)?)"
)
_NAMED = re.compile(rb"-- (Table structure for table|Sequence structure for|Final view structure for view) `(.+)`\Z")
_ROWS = re.compile(rb"-- Dumping data for table `(.+)`\Z")
_POSITION = re.compile(rb"-- CHANGE (?:MASTER|REPLICATION SOURCE) TO .*_LOG_FILE='([^']+)', .*_LOG_POS=(\d+)")
_CODE = (
    b"-- Temporary table structure for view",  # MariaDB
    b"-- Temporary view structure for view",  # MySQL
    b"-- Final view structure for view",
    b"-- Dumping routines",
    b"-- Dumping events",
)
_BEHIND_TABLES = (b"-- Final view structure for view", b"-- Dumping routines", b"-- Dumping events")


@dataclass
class Piece:
    """A stretch of the stream; ``starts`` is set when a new section begins with it."""

    data: bytes
    part: Part
    starts: tuple[SectionKind, str] | None = None


@dataclass
class DumpContents:
    """What was seen so far.

    :param tables: rows per table; ``None``: not dumped, not counted, or written in a way that is not known here.
    :param row_hashes: of the same rows (stream_hash.py), where they are known.
    """

    tables: dict[str, int | None] = field(default_factory=dict)
    row_hashes: dict[str, str] = field(default_factory=dict)
    sequences: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    routines: int = 0
    triggers: int = 0
    events: int = 0
    coordinates: Coordinates | None = None
    started: bool = False
    """Whether the dump has come to its first object, which means that its transaction is open."""
    completed: bool = False
    """Whether the dump program's own end marker was seen."""


class StreamScanner:
    """Cuts a dump into sections and fills :attr:`contents` as it passes.

    :param rows: whether rows are counted and hashed, which is most of the work.
    """

    def __init__(self, *, rows: bool = True) -> None:
        self._counts_rows = rows
        self.contents = DumpContents()
        self._starts: tuple[SectionKind, str] | None = ("settings", "")
        self._in_body = False
        self._bodies: Literal["triggers", "routines", "events"] = "triggers"
        self._part: Part = "head"
        self._section_name = ""
        self._table = ""
        self._rows: StreamHash | None = None
        self._begun: set[str] = set()
        """Tables of which rows were seen; they may be announced again, where their text was joined with others'."""

    def scan(self, chunks: Iterable[bytes]) -> Iterator[Piece]:
        """Pass the stream on; at most 1 KiB is held back."""
        buffer = b""
        for chunk in chunks:
            buffer += chunk
            whole = max(len(buffer) - _HOLD_BACK, 0)
            yield from self._pieces(buffer, whole)
            buffer = buffer[whole:]
        yield from self._pieces(buffer, len(buffer))
        self._end_of_rows()

    def _pieces(self, buffer: bytes, end: int) -> Iterator[Piece]:
        position = 0
        for mark in _MARK.finditer(buffer):
            if mark.start() >= end:
                break
            # The newline before the announcement still belongs to what came before.
            yield self._piece(buffer[position : mark.start() + 1])
            position = mark.start() + 1
            self._starts = self._note(mark[1], bool(mark[2]))
        if rest := buffer[position:end]:
            yield self._piece(rest)

    def _piece(self, data: bytes) -> Piece:
        if self._rows:
            self._rows.feed(data)
        starts, self._starts = self._starts, None
        return Piece(data, self._part, starts)

    def _note(self, line: bytes, settings_follow: bool) -> tuple[SectionKind, str] | None:
        """Take an announcement into account; returns the section that it starts, if it starts one."""
        if line.startswith(b"/*!50106"):  # an event; several of them stand between two DELIMITER lines
            self.contents.events += self._bodies == "events"
            return None
        if self._in_body:
            self._in_body = not (line.strip() == b"DELIMITER ;" and settings_follow)
            return None
        if line.startswith(b"/*!"):
            self._end_of_part(line)
            return None
        if line.startswith(b"DELIMITER "):
            self._in_body = True
            self._end_of_rows()
            self.contents.triggers += self._bodies == "triggers"
            self.contents.routines += self._bodies == "routines"
            return None
        contents = self.contents
        if line.startswith(b"-- Dump completed"):
            contents.completed = True
        elif found := _POSITION.match(line):
            contents.coordinates = Coordinates(binlog_file=found[1].decode(), binlog_position=int(found[2]))
        elif found := _ROWS.match(line):
            self._end_of_rows()
            self._table = _unquoted(found[1])
            self._rows, self._part = StreamHash() if self._counts_rows else None, "rows"
            if self._table != self._section_name:  # the program was told to write no definitions
                self.contents.started = True
                self._section_name = self._table
                return "table", self._table
        elif line.startswith(_CODE) or _NAMED.match(line):
            return self._section(line)
        return None

    def _section(self, line: bytes) -> tuple[SectionKind, str]:
        self._end_of_rows()
        contents = self.contents
        contents.started = True
        self._bodies = "triggers"
        named = _NAMED.match(line)
        name = _unquoted(named[2]) if named else ""
        self._part = "code" if line.startswith(_BEHIND_TABLES) else "tables"
        self._section_name = name if line.startswith(b"-- Table structure") else ""
        if line.startswith(b"-- Table structure"):
            contents.tables[name] = None
            return "table", name
        if line.startswith(b"-- Sequence structure"):
            contents.sequences.append(name)
            return "sequence", name
        if line.startswith(b"-- Final view"):
            contents.views.append(name)
        elif line.startswith(b"-- Dumping routines"):
            self._bodies = "routines"
        elif line.startswith(b"-- Dumping events"):
            self._bodies = "events"
        return "code", ""

    def _end_of_part(self, line: bytes) -> None:
        if line.startswith(b"/*!40103"):
            self._end_of_rows()
            self._part = "end"
        elif line.endswith(b" ENABLE KEYS */;"):
            self._end_of_rows()

    def _end_of_rows(self) -> None:
        if self._part == "rows":
            self._part = "after rows"
        if self._rows:
            more = DumpContents(tables={self._table: self._rows.rows})
            if value := self._rows.value:
                more.row_hashes[self._table] = value
            pieces = [self.contents, more] if self._table in self._begun else [more]
            self._begun.add(self._table)
            self.contents.tables[self._table], found = _of_table(pieces, self._table)
            self.contents.row_hashes.pop(self._table, None)
            if found:
                self.contents.row_hashes[self._table] = found
            self._rows = None


def joined(parts: Sequence[DumpContents]) -> DumpContents:
    """What several dumps held together; a table's rows may be spread over them."""
    everything = DumpContents(
        sequences=[name for part in parts for name in part.sequences],
        views=[name for part in parts for name in part.views],
        routines=sum(part.routines for part in parts),
        triggers=sum(part.triggers for part in parts),
        events=sum(part.events for part in parts),
        coordinates=parts[0].coordinates,
        started=all(part.started for part in parts),
        completed=all(part.completed for part in parts),
    )
    for name in dict.fromkeys(name for part in parts for name in part.tables):
        everything.tables[name], found = _of_table([part for part in parts if name in part.tables], name)
        if found:
            everything.row_hashes[name] = found
    return everything


def _of_table(parts: Sequence[DumpContents], name: str) -> tuple[int | None, str | None]:
    """Rows of a table, and their hash; ``None``, where that is so of one of the parts."""
    rows = [part.tables[name] for part in parts]
    hashes = [part.row_hashes.get(name, "") for part in parts]
    return None if None in rows else sum(count or 0 for count in rows), total(hashes) if all(hashes) else None


def _unquoted(name: bytes) -> str:
    return name.decode().replace("``", "`")
