"""Reading single tables out of a backup: which bytes hold them, and what was read.

The sidecar's index (``stream.sections``) says where each table lies in the dump, and where the compressed member that
holds it starts. So a reader decrypts and decompresses from there on, and needs nothing of what lies before.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from include.backup_engine.errors import ContentIncomplete, RequestRefused
from include.backup_engine.records import Census, Record, Section
from include.backup_engine.report import megabytes


class Excerpt(Record):
    """What was read of a backup to bring back some of its tables.

    :param sequences: those that were asked for, and those that defaults of the tables draw from.
    :param triggers: of these tables; they lie in the same stretches of the dump.
    :param warnings: what the tables or triggers use and is not among them.
    :param bytes_read: fetched from the object, which has ``object_bytes``.
    :param requests: how many ranges were asked for.
    """

    tables: list[str]
    sequences: list[str]
    triggers: list[str]
    warnings: list[str]
    bytes_read: int
    object_bytes: int
    requests: int

    @property
    def names(self) -> list[str]:
        """The tables and sequences."""
        return [*self.tables, *self.sequences]

    def part_of(self, census: Census) -> Census:
        """What a census says about these tables, sequences and triggers."""
        return census.model_copy(
            update={
                "tables": [table for table in census.tables if table.name in self.names],
                "objects": [i for i in census.objects if i.kind == "trigger" and i.name in self.triggers],
            }
        )

    def absent_from(self, census: Census) -> set[str]:
        """The tables of a census that are not among these."""
        return {table.name for table in census.tables} - set(self.names)

    def __str__(self) -> str:
        share = 100 * self.bytes_read / self.object_bytes
        read = f"{megabytes(self.bytes_read)} of {megabytes(self.object_bytes)} ({share:.1f} %)"
        return f"{read} in {self.requests} request{'s' if self.requests != 1 else ''}"


@dataclass
class Stretch:
    """Sections that are read in one go; ``start``, ``certain`` and ``end`` are offsets in the compressed dump.

    :param certain: up to here all is needed.
    :param end: where the last section's member ends; the section itself may end before, it is not recorded where.
    :param sql_start: the offset in the SQL text that belongs to ``start``.
    """

    sections: list[Section]
    start: int
    certain: int
    end: int
    sql_start: int


def chosen_sections(sections: Iterable[Section], names: Collection[str]) -> list[Section]:
    """The settings, which all others need before them, and the sections of some tables and sequences."""
    return [
        section
        for section in sections
        if section.kind == "settings" or (section.kind in ("table", "sequence") and section.name in names)
    ]


def are_all(sections: Iterable[Section], sql_bytes: int) -> bool:
    """Whether the sections, in whatever order, are all of a text of that length."""
    position = 0
    for section in sorted(sections, key=lambda section: (section.sql_offset, section.sql_length)):
        if section.sql_offset != position:
            return False
        position += section.sql_length
    return position == sql_bytes


def stretches(sections: Sequence[Section], chosen: Iterable[Section], size: int, gap: int) -> list[Stretch]:
    """What to read for the chosen sections, in their order; neighbours together.

    :param sections: all of the dump, in its order.
    :param size: of the compressed dump.
    :param gap: up to so many bytes between two stretches are read rather than asked around.
    """
    starts = sorted({section.compressed_offset for section in sections})
    ends = dict(zip(starts, [*starts[1:], size], strict=True))
    last_of_member = {section.compressed_offset: section for section in sections}
    found: list[Stretch] = []
    for section in chosen:
        start, end = section.compressed_offset, ends[section.compressed_offset]
        certain = end if section == last_of_member[start] else start
        before = found[-1] if found and found[-1].sections[-1].sql_offset < section.sql_offset else None
        if before and (before.end == end or (before.certain == before.end and start - before.end < gap)):
            before.sections.append(section)
            before.certain, before.end = max(certain, before.certain), end
        else:
            found.append(Stretch([section], start, certain, end, section.member_sql_offset))
    return found


def cut(chunks: Iterable[bytes], position: int, sections: Iterable[Section]) -> Iterator[bytes]:
    """The text of some sections out of a stretch of the dump; no chunk is taken after the last of them.

    :param position: the offset in the SQL text at which ``chunks`` start.
    :raises ContentIncomplete: they end within a section.
    """
    stream = iter(chunks)
    chunk = b""
    for section in sections:
        end = section.sql_offset + section.sql_length
        at = section.sql_offset
        while at < end:
            while position + len(chunk) <= at:
                position += len(chunk)
                following = next(stream, None)
                if following is None:
                    raise ContentIncomplete(
                        f"The dump ends before its {section.kind} {section.name} does, whatever the index says.",
                        "Use another backup, and report this one.",
                    )
                chunk = following
            piece = chunk[at - position : end - position]
            at += len(piece)
            yield piece


def check_names(census: Census, names: Collection[str]) -> None:
    """Whether a backup holds tables (or sequences) of these names.

    :raises RequestRefused: naming the first that it does not hold, and what comes next to it.
    """
    there = [table.name for table in census.tables]
    for name in names:
        if name in there:
            continue
        if name in census.excluded_tables:
            raise RequestRefused(
                f"The table {name} is not in the backup: the policy excluded it.", "Take it from somewhere else."
            )
        other = next((item.kind for item in census.objects if item.name == name), None)
        if other:
            raise RequestRefused(
                f"{name} is a {other}; only tables are restored one by one.",
                "Restore the whole backup under a new name, and take it from there.",
            )
        folded = {table.lower(): table for table in there}
        near = [folded[found] for found in difflib.get_close_matches(name.lower(), folded, n=3)]
        raise RequestRefused(
            f"The backup holds no table {name!r}.",
            f"Nearest are: {', '.join(near)}." if near else "Look at the tables that it holds (show).",
        )
