"""One of several dump programs: its text in compressed members, each of which begins and ends between statements.

What the programs set at their heads and put back at their ends stands in the joined text once, from the first of them.
The others' must be the same, so that their text means there what it means here.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from include.backup_engine.cancel import Cancellation
from include.backup_engine.compression import Compressor
from include.backup_engine.errors import DumpFailed
from include.backup_engine.mysql.division import Share
from include.backup_engine.mysql.dump import Dump
from include.backup_engine.mysql.dump_text import MEMBER_SQL_BYTES
from include.backup_engine.mysql.server import quote
from include.backup_engine.mysql.stream import Piece, SectionKind
from include.backup_engine.names import Compression

_MOST_SQL_BYTES = 16 * MEMBER_SQL_BYTES
_MEMBERS = 1024
CODE = 2
"""The stage of the first program's text that all others come before."""
_MOST_SETTINGS = 1 << 20
_BETWEEN = b";\nINSERT INTO "
_ONLY_FOR_DEFINITIONS = b"UNIQUE_CHECKS"
"""MariaDB 10.11's program sets it only where it writes definitions. It makes a load quicker, and changes no row."""


@dataclass
class Stretch:
    """A part of a member.

    :param starts: sections that begin in it, with their offsets in the member's SQL text.
    :param sql_bytes: of the member so far.
    :param stage: of the lane's text.
    :param ends: whether it is the member's last, so that another lane's text may follow.
    :param ends_stage: whether it is the last of its stage.
    """

    blocks: list[bytes]
    starts: list[tuple[int, SectionKind, str]]
    sql_bytes: int
    stage: int
    ends: bool
    ends_stage: bool

    @property
    def size(self) -> int:
        """Compressed bytes."""
        return sum(map(len, self.blocks))


@dataclass
class Settings:
    """What a program sets at the head of its text and puts back at its end."""

    head: list[bytes] = field(default_factory=list)
    end: list[bytes] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Keep it.

        :raises DumpFailed: it is too long for that.
        """
        lines = self.head if piece.part == "head" else self.end
        lines.append(piece.data)
        if sum(map(len, lines)) > _MOST_SETTINGS:
            raise not_joinable("The settings of a dump program are longer than they can be.")


def same_settings(first: list[bytes], other: list[bytes], rows_only: bool) -> bool:
    """Whether two programs set the same; what was not found is not the same."""
    return _statements(first, rows_only) == _statements(other, rows_only) != []


def _statements(text: list[bytes], rows_only: bool) -> list[bytes]:
    lines = [line.strip() for line in b"".join(text).split(b"\n")]
    left_out = _ONLY_FOR_DEFINITIONS if rows_only else b"\n"
    return [line for line in lines if line and not line.startswith(b"--") and left_out not in line]


def not_joinable(cause: str) -> DumpFailed:
    """The error of a text that cannot be joined with others."""
    return DumpFailed(cause, "Set parallel: 1 for this source, and report it with the version of the dump program.")


class Lane:
    """A dump program and its text.

    The text has stages: of the first program its head and sequences (0), its tables (1), its code and views (2); of
    the program that writes the definition of a table in ranges that and rows (0), then triggers (1).

    :param share: what it dumps; None: the first program, which dumps everything that no other does.
    """

    def __init__(self, dump: Dump, share: Share | None, compression: Compression, cancellation: Cancellation) -> None:
        self.dump = dump
        self.share = share
        self.settings = Settings()
        self.members = self.stages = 0
        """How many were taken to their end by whoever joins the texts, who also says when it is ``done``."""
        self.done = False
        self._compressor = Compressor(compression)
        self._cancellation = cancellation
        self._section: tuple[SectionKind, str] = ("settings", "")
        self._blocks: list[bytes] = []
        self._starts: list[tuple[int, SectionKind, str]] = []
        self._in_hand = 0
        self._stage = 0

    def stretches(self) -> Generator[Stretch, None, None]:
        """The text.

        :raises DumpFailed: it is not complete.
        """
        for piece in self.dump.pieces():
            self._cancellation.check()
            if piece.part in ("head", "end"):
                self.settings.add(piece)
                if self.share:
                    continue
            stage = self._stage_of(piece)
            if (piece.starts and self._is_full) or stage > self._stage:
                yield from self._cut(ends_stage=stage > self._stage)
            self._stage = stage
            if piece.starts:
                self._start(*piece.starts)
            data = piece.data
            rows = piece.part == "rows"
            at = data.find(_BETWEEN) if rows and self._is_full else -1
            if at >= 0:
                self._add(data[: at + 2], rows=rows)
                yield from self._cut()
                data = data[at + 2 :]
            self._add(data, rows=rows)
            if self._in_hand > 2 * self._most:
                yield self._give(ends=False)
        yield from self._cut(ends_stage=True)

    @property
    def _member_bytes(self) -> int:
        return self._compressor.bytes_in - self._compressor.member_in

    @property
    def _most(self) -> int:
        """SQL bytes of a member: more in a larger dump, so that the sidecar does not outgrow its limit."""
        return min(max(MEMBER_SQL_BYTES, self._compressor.bytes_in // _MEMBERS), _MOST_SQL_BYTES)

    @property
    def _is_full(self) -> bool:
        return self._member_bytes >= self._most

    def _stage_of(self, piece: Piece) -> int:
        """Which stage begins or goes on with it: what others have to wait for, or what has to wait for others."""
        kind = piece.starts[0] if piece.starts else self._section[0]
        if self.share is None:
            if piece.part in ("code", "end"):
                return CODE
            return max(self._stage, 0 if kind in ("settings", "sequence") else 1)
        return max(self._stage, int(bool(self.share.where) and piece.part == "after rows"))

    def _start(self, kind: SectionKind, name: str) -> None:
        self._section = (kind, name)
        self._starts.append((self._member_bytes, kind, name))

    def _add(self, data: bytes, *, rows: bool) -> None:
        if not data:
            return
        if not self._member_bytes and not self._starts:
            self._starts.append((0, *self._section))
            if rows:  # so that whoever reads the joined text knows whose they are
                data = b"-- Dumping data for table " + quote(self._section[1]).encode() + b"\n--\n\n" + data
        self._in_hand += len(data)
        if block := self._compressor.compress(data):
            self._blocks.append(block)

    def _cut(self, *, ends_stage: bool = False) -> Generator[Stretch, None, None]:
        if self._member_bytes:
            yield self._give(ends=True, ends_stage=ends_stage)

    def _give(self, *, ends: bool, ends_stage: bool = False) -> Stretch:
        sql = self._member_bytes
        if ends:
            self._blocks.append(self._compressor.cut())
        given = Stretch(self._blocks, self._starts, sql, self._stage, ends, ends_stage)
        self._blocks, self._starts, self._in_hand = [], [], 0
        return given
