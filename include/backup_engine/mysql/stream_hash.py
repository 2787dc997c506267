r"""The stream hash: of the rows that a dump writes of one table, whatever their order.

A row is the text between its parentheses, as the dump program writes it. XXH3 makes a number of 64 bits of each, and
these are summed modulo 2**64: neither the order of rows nor how many stand in an INSERT matters, and unlike XOR a sum
does not lose pairs of equal rows. It costs the source nothing, since the dump passes by anyway. It is an oracle of
equality between honest copies, not a defence against somebody who can write both: whoever knows XXH3 can make a row
with the number of another. That a dump is authentic is for the message to show.

Two facts about dumps keep this fast: a value never holds a raw newline, so what ends with ``;\n`` is a statement, and
where each row has its line (MariaDB 10.11 and later) what stands between rows cannot stand in a value. On one line
(MySQL, older MariaDB) it can; there a row ends where its quotes are even, escaped ones not counted. In a dump
backslashes escape, since the program empties the SQL mode first.

Counting each row's quotes takes as long as all the rest, and is done only where it may matter. When what looks like the
border of two rows stands in a string, the next quote after it either has a backslash before it or ends the string, and
then a comma or a parenthesis comes next. After a real border the next quote begins a string, which rarely looks so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from xxhash import xxh3_64, xxh3_64_intdigest

VERSION = "1"
_NAME = rb"(?:`(?:[^`]|``)*+`|\w++)"
_HEAD = re.compile(rb"\nINSERT INTO " + _NAME + rb" (?:\(" + _NAME + rb"(?:, ?" + _NAME + rb")*+\) )?VALUES([ \n])\(")
_BEGINNING = b"\nINSERT INTO "
_ESCAPED, _DOUBLY = re.compile(rb"\\'"), re.compile(rb"\\\\'")  # three times as quick as ``in``
_LINE_EACH, _ON_ONE_LINE = b"),\n(", b"),("
_AT_ONCE = 1 << 16
"""Bytes that are gone through at once: as many as stay in a processor's cache meanwhile."""
_LONG = 1 << 16
"""Bytes of an unfinished row after which it is hashed as far as it is there, so that it is read once, and not kept."""
_HEAD_LIMIT = 1 << 20
"""More than the names of a table's columns can have (4096 of 64 characters)."""


class StreamHash:
    """Counts and hashes the rows of one table, from the text of its INSERTs and of what stands around them."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0
        self._between: bytes | None = None
        """What stands between two rows of the statement that is open."""
        self._rest = b"\n"
        self._long: xxh3_64 | None = None
        """Of the beginning of an unfinished row, when that is long."""
        self._long_is_open = False
        """Whether that beginning ends inside a string."""
        self._readable = True

    @property
    def rows(self) -> int | None:
        """Rows, once their last INSERT has ended; ``None``: they are written in a way that is not known here."""
        return self._count if self._readable and self._between is None else None

    @property
    def value(self) -> str | None:
        """``version:sum``, the sum in hex; ``None``: as for :attr:`rows`."""
        return None if self.rows is None else f"{VERSION}:{self._sum % (1 << 64):016x}"

    def feed(self, data: bytes) -> None:
        """Take the next part of the dump, which begins with a whole line."""
        view = memoryview(data)
        for start in range(0, len(data), _AT_ONCE):
            self._feed(view[start : start + _AT_ONCE])

    def _feed(self, data: memoryview) -> None:
        text = self._rest + data
        while self._readable:
            if self._between is None:
                begin = text.find(_BEGINNING)
                head = _HEAD.match(text, begin) if begin >= 0 else None
                if not head:
                    self._rest = self._unfinished_head(text, begin)
                    return
                self._between = _LINE_EACH if head[1] == b"\n" else _ON_ONE_LINE
                text = text[head.end() :]
            rows, after = self._split(text)
            if after is None:
                self._rest = self._shortened(self._take(rows))
                return
            self._take([*rows, b""])
            text = after

    def _unfinished_head(self, text: bytes, begin: int) -> bytes:
        """What is to be kept of a text without a whole beginning of an INSERT."""
        if begin < 0:
            last_line = text[text.rfind(b"\n") :]
            return last_line if _BEGINNING.startswith(last_line) else b""
        self._readable = len(text) - begin < _HEAD_LIMIT and text.find(b";\n", begin) < 0
        return text[begin:]

    def _split(self, text: bytes) -> tuple[list[bytes], bytes | None]:
        """The rows up to where the statement ends, or goes on in lines, and the text from there on.

        ``None``: it does neither, and the last row is not whole.
        """
        if self._between == _ON_ONE_LINE:
            return self._split_one_line(text)
        rows = _split(text, _LINE_EACH)
        if text.count(b"\n") < len(rows):  # each is between two rows; counting is the quicker search
            return rows, None
        end = text.find(b");\n")
        if end < 0:
            return rows, None
        self._between = None
        return _split(text[:end], _LINE_EACH), text[end + 2 :]

    def _split_one_line(self, text: bytes) -> tuple[list[bytes], bytes | None]:
        line, newline, after = text.partition(b"\n")
        if not newline or (line.endswith(b"),") and not after):
            return self._split_line(text), None
        rows = self._split_line(line[:-2])
        if line.endswith(b");"):
            self._between, after = None, newline + after
        else:  # after a list of columns, MariaDB puts the first row on the line of the INSERT
            self._between, after = _LINE_EACH, after[1:]
            self._readable = text.startswith(b"),\n(", len(line) - 2)
        return rows, after

    def _split_line(self, text: bytes) -> list[bytes]:
        rows = _split(text, _ON_ONE_LINE)
        if len(rows) == 1 or self._has_only_borders(text, len(text) // len(rows)):
            return rows
        odd = _odd_quotes(rows, text)
        odd[0] ^= self._long_is_open
        return list(_joined(rows, odd)) if 1 in odd[:-1] else rows

    def _has_only_borders(self, text: bytes, row_length: int) -> bool:
        """Whether each ``),(`` surely stands between two rows, of about so many bytes."""
        end = text.rfind(b"'", 0, -1) + 1  # of the last quote after which there is something to see
        if _doubtful(row_length.bit_length()).search(text, 0, end + 1):
            return False
        if text.find(_ON_ONE_LINE, end) < 0:
            return True
        border = text.rfind(_ON_ONE_LINE, 0, end)
        is_open = self._long_is_open if border < 0 else False
        return is_open == _has_odd_quotes(text[max(border, 0) : end])

    def _take(self, rows: list[bytes]) -> bytes:
        """Hash all but the last, which is returned."""
        last = rows.pop()
        if rows and self._long is not None:
            self._long.update(rows.pop(0))
            self._sum += self._long.intdigest()
            self._count += 1
            self._long, self._long_is_open = None, False
        self._sum += sum(map(xxh3_64_intdigest, rows))
        self._count += len(rows)
        return last

    def _shortened(self, row: bytes) -> bytes:
        """The end of an unfinished row; what comes before is hashed already, if that is long."""
        if len(row) <= _LONG:
            return row
        cut = len(row) - len(_LINE_EACH)
        cut -= (cut - len(row[:cut].rstrip(b"\\"))) & 1  # not between a backslash and what it escapes
        self._long = self._long or xxh3_64()
        self._long.update(row[:cut])
        if self._between == _ON_ONE_LINE and b"'" in row:
            self._long_is_open ^= _has_odd_quotes(row[:cut])
        return row[cut:]


def total(values: Iterable[str]) -> str:
    """The value of rows of which several have hashed a part each."""
    return f"{VERSION}:{sum(int(value.partition(':')[2], 16) for value in values) % (1 << 64):016x}"


def _split(text: bytes, between: bytes) -> list[bytes]:
    """The pieces between borders. From the right it is a quarter quicker, and one character is found at once."""
    return text.rsplit(between) if b")" in text else [text]


@cache
def _doubtful(bits: int) -> re.Pattern[bytes]:
    """Finds a ``),(`` that may stand in a string, in a text that does not end between it and what decides.

    First a quote is looked for within so many bytes as a row has, up to a factor of two; farther would not be linear
    in the length of the text, since it may pass borders. From there on what a value outside of strings can have is
    passed over, up to the next border, which stands in the same string as this one, or in none, or to the next quote.

    :param bits: of the number of bytes of a row.
    """
    begins = rb"(?<!\\)'[^,)]"
    near = rb"(?![^']{0,%d}+%s)" % (1 << bits, begins)
    return re.compile(rb"\),\(" + near + rb"[*-\xff]*+(?!\),\(|" + begins + rb")")


def _odd_quotes(rows: list[bytes], text: bytes) -> list[int]:
    """For each row of the text 1 if its quotes are odd, escaped ones not counted."""
    if b"\\" not in text or not _ESCAPED.search(text):
        return [row.count(b"'") & 1 for row in rows]
    if not _DOUBLY.search(text):  # so each backslash before a quote escapes it
        return [(row.count(b"'") + row.count(b"\\'")) & 1 for row in rows]
    return [int(_has_odd_quotes(row)) for row in rows]


def _has_odd_quotes(text: bytes) -> bool:
    if b"\\" in text and _ESCAPED.search(text):
        text = text.replace(b"\\\\", b"_").replace(b"\\'", b"_")
    return text.count(b"'") % 2 == 1


def _joined(pieces: list[bytes], odd: list[int]) -> Iterator[bytes]:
    """Pieces put together where they were cut inside a string: until their quotes are even."""
    parts: list[bytes] = []
    inside = 0
    for piece, is_odd in zip(pieces, odd, strict=True):
        parts.append(piece)
        inside ^= is_odd
        if not inside:
            yield _ON_ONE_LINE.join(parts)
            parts = []
    if parts:
        yield _ON_ONE_LINE.join(parts)
