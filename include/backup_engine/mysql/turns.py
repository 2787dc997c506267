"""The order in which a dump is loaded: large tables first, several of them at the same time, in turns.

Rows of one table get into each other's way; on MariaDB those that are sent as data even go over one connection at a
time, as each LOAD DATA locks the table's counter. Rows of different tables do not. So large tables are read from
several places of the dump, and their statements run in turns. These parts end at about the same time, so that the
longest index build is not the last thing to do, with all other connections idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from include.backup_engine.mysql.deferred import large_tables
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.records import Section

MOST_TURNS = 4
"""Places of the dump that are read at the same time: each holds up to 8 MiB of the stored object."""
_ROW_BYTES = 200
"""A row costs a server what so many bytes of rows cost it, beside its own bytes."""
_AT_ONCE = 1 << 20
"""Bytes after which it is another's turn: what is sent as data in one go."""


@dataclass(frozen=True)
class Turns:
    """Sections of a dump, in the order in which they are loaded.

    :param before: settings and sequences, up to the first table.
    :param beside: large tables, which take turns; the costs of these parts are about the same.
    :param after: everything else, in the dump's order; at its end the dump puts the settings back.
    """

    before: list[Section]
    beside: list[list[Section]]
    after: list[Section]

    @property
    def sections(self) -> list[Section]:
        """All of them."""
        return [*self.before, *(section for part in self.beside for section in part), *self.after]


def take_turns(sections: Sequence[Section], most: int) -> Turns:
    """Divide a dump; the pieces of a table stay together and in their order.

    :param most: parts that take turns.
    """
    before = next((number for number, section in enumerate(sections) if section.kind == "table"), len(sections))
    last = sections[-1].name if sections and sections[-1].kind == "table" else ""
    costs = {table.name: _cost(table) for table in large_tables(sections) if table.name != last}
    parts: list[list[str]] = [[] for _ in range(min(most, MOST_TURNS, len(costs)))]
    for name in sorted(costs, key=lambda name: -costs[name]):
        min(parts, key=lambda part: sum(costs[other] for other in part)).append(name)
    tables = sections[before:]
    return Turns(
        before=list(sections[:before]),
        beside=[[s for name in part for s in tables if s.kind == "table" and s.name == name] for part in parts],
        after=[section for section in tables if section.kind != "table" or section.name not in costs],
    )


def _cost(table: Section) -> int:
    return table.sql_length + _ROW_BYTES * (table.rows or 0)


def in_turns(texts: Sequence[tuple[Iterable[bytes], int]]) -> Iterator[bytes]:
    """The statements of several texts of a dump, each with its length in bytes, so that all end at about the same time.

    Turns change behind an INSERT only: what a dump sets for a definition or a trigger, it sets back before the rows or
    behind it.

    :raises ContentIncomplete: a text ends inside a statement.
    """
    turns = [_Turn(split_statements(text), size) for text, size in texts]
    while turns:
        turn = min(turns, key=lambda turn: turn.done / turn.size)
        yield from turn.take()
        if turn.ended:
            turns.remove(turn)


class _Turn:
    def __init__(self, statements: Iterator[bytes], size: int) -> None:
        self._statements = statements
        self.size = max(size, 1)
        self.done = 0
        self.ended = False

    def take(self) -> Iterator[bytes]:
        taken = 0
        for statement in self._statements:
            yield statement
            taken += len(statement)
            self.done += len(statement)
            if taken >= _AT_ONCE and statement.startswith(b"INSERT INTO "):
                return
        self.ended = True
