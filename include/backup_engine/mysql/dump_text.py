"""The compressed text of a dump, and the index of its tables: of one program here, of several in dump_lanes.py."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from include.backup_engine.ahead import ahead
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compression import Compressor
from include.backup_engine.mysql.dump import Dump
from include.backup_engine.mysql.stream import DumpContents, SectionKind
from include.backup_engine.names import Compression
from include.backup_engine.records import Census, Coordinates, Section, StreamFacts

MEMBER_SQL_BYTES = 4 << 20
"""A gzip member or zstd frame is ended at a table's start once it holds this much SQL: small enough to fetch one table
without its neighbours, large enough not to cost compression."""
_AHEAD = 8
"""Pieces of the dump, of at most 256 KiB, that wait to be compressed, and blocks that wait to be encrypted."""


class DumpText(Protocol):
    """A running dump. Wait until it is open, take its blocks to their end, and then :meth:`finish`."""

    @property
    def contents(self) -> DumpContents:
        """What it held so far."""

    @property
    def coordinates(self) -> list[Coordinates | None]:
        """What each of its programs has printed."""

    def know(self, census: Census) -> None:
        """Names that may be quoted from the programs' complaints."""

    def wait_until_open(self) -> None:
        """Read until all transactions are open.

        :raises SourceBusy, DumpFailed: see :meth:`Dump.wait_until_open`.
        """

    def blocks(self) -> Generator[bytes, None, None]:
        """The compressed text but for its last bytes.

        :raises DumpFailed: it is not complete.
        """

    def finish(self) -> bytes:
        """The last bytes."""

    def facts(self) -> StreamFacts:
        """What was seen, once it is finished."""

    def join_pause(self) -> None:
        """See :meth:`Dump.join_pause`."""

    def kill(self) -> None:
        """End all programs now."""


class SingleText:
    """The text of one program."""

    def __init__(self, dump: Dump, compression: Compression, cancellation: Cancellation) -> None:
        self._dump = dump
        self._compressor = Compressor(compression)
        self._cancellation = cancellation
        self._sections: list[Section] = []
        self.know, self.wait_until_open = dump.know, dump.wait_until_open
        self.join_pause, self.kill = dump.join_pause, dump.kill

    @property
    def contents(self) -> DumpContents:
        """What it held so far."""
        return self._dump.contents

    @property
    def coordinates(self) -> list[Coordinates | None]:
        """What the program has printed."""
        return [self._dump.contents.coordinates]

    def blocks(self) -> Generator[bytes, None, None]:
        """The compressed text but for its last bytes, in members that start at tables.

        :raises DumpFailed: it is not complete.
        """
        blocks = ahead(self._compressed(), _AHEAD, self.kill)
        with closing(blocks):
            yield from blocks

    def _compressed(self) -> Generator[bytes, None, None]:
        compressor = self._compressor
        with closing(ahead(self._dump.pieces(), _AHEAD, self.kill)) as pieces:
            for piece in pieces:
                self._cancellation.check()
                if piece.starts:
                    if compressor.bytes_in - compressor.member_in >= MEMBER_SQL_BYTES:
                        yield compressor.cut()
                    self._start_section(*piece.starts)
                if block := compressor.compress(piece.data):
                    yield block
        self._end_section()

    def _start_section(self, kind: SectionKind, name: str) -> None:
        self._end_section()
        compressor = self._compressor
        self._sections.append(
            Section(
                kind=kind, name=name, sql_offset=compressor.bytes_in, sql_length=0,
                compressed_offset=compressor.member_out, member_sql_offset=compressor.member_in,
            )
        )  # fmt: skip

    def _end_section(self) -> None:
        if self._sections:
            last = self._sections[-1]
            length = self._compressor.bytes_in - last.sql_offset
            self._sections[-1] = last.model_copy(update={"sql_length": length})

    def finish(self) -> bytes:
        """The last bytes."""
        return self._compressor.finish()

    def facts(self) -> StreamFacts:
        """What was seen, once it is finished."""
        return stream_facts(self.contents, self._sections, self._compressor.bytes_in, self._compressor.bytes_out)


def stream_facts(contents: DumpContents, index: Sequence[Section], sql: int, compressed: int) -> StreamFacts:
    """The record of a dump; rows and their hash stand at the first piece of each table.

    :param sql, compressed: bytes.
    """
    seen: set[str] = set()
    sections = list(index)
    for number, section in enumerate(sections):
        if section.kind == "table" and section.name not in seen:
            seen.add(section.name)
            name = section.name
            facts = {"rows": contents.tables.get(name), "rows_hash": contents.row_hashes.get(name)}
            sections[number] = section.model_copy(update=facts)
    return StreamFacts(
        sql_bytes=sql,
        compressed_bytes=compressed,
        sections=sections,
        views=contents.views,
        routines=contents.routines,
        triggers=contents.triggers,
        events=contents.events,
    )
