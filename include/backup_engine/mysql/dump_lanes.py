"""Several dump programs in one snapshot, whose texts are joined to one that a plain client loads.

Each has a thread that reads, hashes and compresses its text in members (lane.py). A member is appended when its turn
comes, and turns change only where one statement has ended and the next has not begun. What waits for others:

- all tables, for the first program's head and its sequences, which defaults of columns draw from;
- rows of a table in ranges, for its definition; its triggers, which no row may fire, for all of its rows;
- code and views, for all tables.

Whoever waits has a member in hand, compressed: the program's pipe fills, and the server waits to send it rows.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from queue import SimpleQueue

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import DumpFailed
from include.backup_engine.mysql.division import Share
from include.backup_engine.mysql.dump import Dump
from include.backup_engine.mysql.dump_text import stream_facts
from include.backup_engine.mysql.lane import CODE, Lane, Stretch, not_joinable, same_settings
from include.backup_engine.mysql.stream import DumpContents, joined
from include.backup_engine.names import Compression
from include.backup_engine.records import Census, Coordinates, Section, StreamFacts

_MOST_WAITING = 8 << 20
"""Compressed bytes that wait to be taken, or one stretch, if that is longer."""


class _Ended(Exception):
    """Another lane has failed, or the dump was killed."""


class JoinedText:
    """The text of several programs; see ``DumpText``.

    :param dumps: that of the first program, and of one for each of the shares.
    """

    def __init__(
        self, dumps: Sequence[Dump], shares: Sequence[Share], compression: Compression, cancellation: Cancellation
    ) -> None:
        self._lanes = [
            Lane(dump, share, compression, cancellation) for dump, share in zip(dumps, [None, *shares], strict=True)
        ]
        self._main = self._lanes[0]
        self._turn = threading.Condition()
        self._holder: Lane | None = None
        self._ended = False
        self._waiting = 0
        self._taken: SimpleQueue[list[bytes] | BaseException | None] = SimpleQueue()
        self._last: list[bytes] = []
        self._sections: list[Section] = []
        self._sql = self._compressed = 0
        self._member = 0, 0
        """Where in the two the member begins that is being appended."""

    @property
    def contents(self) -> DumpContents:
        """What they held so far."""
        return joined([lane.dump.contents for lane in self._lanes])

    @property
    def coordinates(self) -> list[Coordinates | None]:
        """What each of the programs has printed."""
        return [lane.dump.contents.coordinates for lane in self._lanes]

    def know(self, census: Census) -> None:
        """Names that may be quoted from the programs' complaints."""
        for lane in self._lanes:
            lane.dump.know(census)

    def wait_until_open(self) -> None:
        """Read until all transactions are open.

        :raises SourceBusy, DumpFailed: see :meth:`Dump.wait_until_open`.
        """
        for lane in self._lanes:
            lane.dump.wait_until_open()

    def join_pause(self) -> None:
        """See :meth:`Dump.join_pause`."""
        self._main.dump.join_pause()

    def kill(self) -> None:
        """End all programs now."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        for lane in self._lanes:
            lane.dump.kill()

    def blocks(self) -> Generator[bytes, None, None]:
        """The compressed text but for its last member.

        :raises DumpFailed: one of the programs has failed, whose error this is, or their texts cannot be joined.
        """
        threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"dump-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        for thread in threads:
            thread.start()
        try:
            running = len(threads)
            while running:
                taken = self._taken.get()
                if isinstance(taken, BaseException):
                    raise taken
                if taken is None:
                    running -= 1
                    continue
                yield from taken
                with self._turn:
                    self._waiting -= sum(map(len, taken))
                    self._turn.notify_all()
            if self._ended:
                raise DumpFailed("The dump programs were ended before they were done.", "Run it again.")
            self._check()
        finally:
            self.kill()
            for thread in threads:
                thread.join()

    def finish(self) -> bytes:
        """The last member: of the first program, with the settings that it puts back."""
        return b"".join(self._last)

    def facts(self) -> StreamFacts:
        """What was seen, once it is finished."""
        return stream_facts(self.contents, self._sections, self._sql, self._compressed)

    # In a lane's thread ---------------------------------------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        try:
            for stretch in lane.stretches():
                self._append(lane, stretch)
            with self._turn:
                lane.done = True
                self._turn.notify_all()
        except _Ended:
            pass
        except BaseException as error:  # whatever it is, it is raised where the text is taken
            self._fail(error)
        finally:
            self._taken.put(None)

    def _fail(self, error: BaseException) -> None:
        with self._turn:
            if self._ended:  # as a program fails that was killed because of another
                return
            self._ended = True
            self._taken.put(error)
        self.kill()

    def _append(self, lane: Lane, stretch: Stretch) -> None:
        """Wait for the lane's turn, and for room.

        :raises _Ended: the turn will never come.
        :raises DumpFailed: the program's settings are not those of the first.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._ended or (self._has_turn(lane, stretch) and self._has_room(stretch)))
            if self._ended:
                raise _Ended
            if lane.share and not lane.members:
                _check_settings(lane.share, self._main.settings.head, lane.settings.head)
            if self._holder is None:
                self._member = self._sql, self._compressed
            self._holder = None if stretch.ends else lane
            lane.members += stretch.ends
            lane.stages += stretch.ends_stage
            self._index(stretch)
            if lane is self._main and stretch.stage == CODE and stretch.ends_stage:
                self._last = stretch.blocks
            else:
                self._waiting += stretch.size
                self._taken.put(stretch.blocks)
            self._turn.notify_all()

    def _has_room(self, stretch: Stretch) -> bool:
        return not self._waiting or self._waiting + stretch.size <= _MOST_WAITING

    def _has_turn(self, lane: Lane, stretch: Stretch) -> bool:
        if self._holder is not None:
            return self._holder is lane
        if lane.share is None:
            return stretch.stage < CODE or all(other.done for other in self._lanes if other is not lane)
        if lane.share.rows_only:
            return self._of_same_table(lane.share)[0].members > 0
        if stretch.stage:
            return all(other.done for other in self._of_same_table(lane.share) if other is not lane)
        return self._main.stages > 0

    def _index(self, stretch: Stretch) -> None:
        sql, compressed = self._member
        for offset, kind, name in stretch.starts:
            self._end_section(sql + offset)
            self._sections.append(
                Section(
                    kind=kind, name=name, sql_offset=sql + offset, sql_length=0,
                    compressed_offset=compressed, member_sql_offset=sql,
                )
            )  # fmt: skip
        self._sql = sql + stretch.sql_bytes
        self._compressed += stretch.size
        self._end_section(self._sql)

    def _end_section(self, end: int) -> None:
        if self._sections:
            last = self._sections[-1]
            self._sections[-1] = last.model_copy(update={"sql_length": end - last.sql_offset})

    def _of_same_table(self, share: Share) -> list[Lane]:
        """The lanes of the ranges, first that which has the definition, too."""
        return [lane for lane in self._lanes if lane.share and lane.share.tables == share.tables]

    def _check(self) -> None:
        """Whether each program wrote what it was to write, and nothing else.

        :raises DumpFailed: naming the first table of which that is not so.
        """
        shares = {table for lane in self._lanes if lane.share for table in lane.share.tables}
        for lane in self._lanes:
            written = set(lane.dump.contents.tables)
            if wrong := written ^ set(lane.share.tables) if lane.share else written & shares:
                raise not_joinable(f"The table {min(wrong)} was not dumped by the program that was to dump it.")
            if lane.share:
                _check_settings(lane.share, self._main.settings.end, lane.settings.end)


def _check_settings(share: Share, first: list[bytes], other: list[bytes]) -> None:
    if not same_settings(first, other, share.rows_only):
        raise not_joinable("Two dump programs of one backup do not make the same settings.")
