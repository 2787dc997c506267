"""From a dump's text to single statements, as the command-line client would cut them.

Two facts about dumps keep this fast: an INSERT never holds a raw newline inside a value, so it ends at the
first line that ends with the delimiter; and everything else is short, so it can be lexed for open quotes and
comments whenever a line ends with the delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from include.backup_engine.errors import ContentIncomplete

_INSERT = b"INSERT INTO "
_MAX_CODE = 64 << 20
_SQL_MODE = re.compile(rb"(?:/\*M?!\d*\s*)?SET SQL_MODE\s*=\s*('[^']*'|@\w+)", re.IGNORECASE)
_OPENERS = (b"'", b'"', b"`")


@cache
def _lexemes(backslash_escapes: bool, ansi_quotes: bool) -> re.Pattern[bytes]:
    """Strings, quoted names and comments that are complete, then anything else, one character at a time.

    What stands in a version comment (``/*!50001 ... */``) is code.
    """
    plain = rb"Q(?:[^Q]++|QQ)*+Q"
    string = rb"Q(?:[^Q\\]++|\\.|QQ)*+Q" if backslash_escapes else plain
    single, double = string.replace(b"Q", b"'"), (plain if ansi_quotes else string).replace(b"Q", b'"')
    backtick = plain.replace(b"Q", b"`")
    strings, names = ([single], [double, backtick]) if ansi_quotes else ([single, double], [backtick])
    return re.compile(
        rb"(?P<string>" + b"|".join(strings) + rb")|" + b"|".join(names)
        + rb"|(?P<comment>/\*(?!M?!).*?\*/|(?:--(?=[\x00-\x20\x7f]|\Z)|\#)[^\n]*(?:\n|\Z))|/\*M?!|[^'\"`/\-#]+|.",
        re.DOTALL,
    )  # fmt: skip


class Lexer:
    """Tells code from strings and comments, whose writing depends on the SQL mode: a dump sets it for each routine."""

    def __init__(self) -> None:
        self._lexemes = _lexemes(True, False)

    def obey(self, statement: bytes) -> None:
        """Take a change of the SQL mode into account."""
        if mode := _SQL_MODE.match(statement):
            names = mode[1].upper()
            self.use(b"NO_BACKSLASH_ESCAPES" not in names, b"ANSI_QUOTES" in names)

    def use(self, backslash_escapes: bool, ansi_quotes: bool) -> None:
        """Read on in a SQL mode."""
        self._lexemes = _lexemes(backslash_escapes, ansi_quotes)

    def is_open(self, text: bytes) -> bool:
        """Whether the text ends inside a string, a quoted name or a comment."""
        token = b""
        for found in self._lexemes.finditer(text):
            token = found[0]
            if token in _OPENERS or (token == b"/" and text[found.start() : found.start() + 2] == b"/*"):
                return True
        return token.startswith((b"--", b"#")) and not token.endswith(b"\n")

    def code(self, text: bytes) -> bytes:
        """The text without its comments, all its strings empty and in single quotes."""
        return self._lexemes.sub(
            lambda found: b" " if found["comment"] else b"''" if found["string"] else found[0], text
        )


def split_statements(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Single statements without their delimiter; comment lines between statements are dropped.

    :param chunks: SQL text as a dump program writes it.
    :raises ContentIncomplete: the text ends inside a statement.
    """
    reader = _Reader()
    for line in _lines(chunks, reader):
        if statement := reader.take(line):
            yield statement
    reader.end()


class _Reader:
    """Puts lines together to statements."""

    def __init__(self) -> None:
        self._delimiter = b";"
        self._lexer = Lexer()
        self._lines: list[bytes] = []
        self._size = 0
        self._is_insert = False

    def take(self, line: bytes) -> bytes | None:
        """The statement that this line completes, if it does."""
        if not self._lines and self._stands_between(line):
            return None
        self._lines.append(line)
        self._size += len(line)
        if not line.rstrip().endswith(self._delimiter):
            if not self._is_insert and self._size > _MAX_CODE:
                raise ContentIncomplete("A statement of the dump does not end within 64 MiB.", "Use another backup.")
            return None
        text = b"".join(self._lines).rstrip()[: -len(self._delimiter)]
        whole_rows = self._is_insert and line.endswith(b"\n")  # the last line of a text that was cut off does not
        if not whole_rows and self._lexer.is_open(text):
            return None
        self._lines, self._size = [], 0
        if not self._is_insert:
            self._lexer.obey(text)
        return text.strip()

    def _stands_between(self, line: bytes) -> bool:
        """Whether the line is no part of a statement; DELIMITER, an order to the client, is obeyed here."""
        bare = line.strip()
        if bare.startswith(b"DELIMITER "):
            self._delimiter = bare[10:].strip()
            return True
        self._is_insert = line.startswith(_INSERT) and self._delimiter == b";"
        return not bare or bare == b"--" or bare.startswith((b"-- ", b"/*!999999\\-", b"/*M!999999\\-"))

    @property
    def is_in_rows(self) -> bool:
        """Whether the lines that follow are rows, up to the first that ends with the delimiter."""
        return self._is_insert and bool(self._lines)

    def end(self) -> None:
        """The text is at its end."""
        if self._lines:
            raise ContentIncomplete("The dump ends inside a statement.", "Use another backup, and report this one.")


def _lines(chunks: Iterable[bytes], reader: _Reader) -> Iterator[bytes]:
    """Lines with their newline; of an INSERT whose rows have lines of their own, all that follow at once.

    A line may span many chunks: it is joined once.
    """
    parts: list[bytes] = []
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            mark = b";\n" if reader.is_in_rows else b"\n"
            found = chunk.find(mark, start)
            end = found + len(mark) if found >= 0 else 0
            if reader.is_in_rows and parts and parts[-1].endswith(b";") and chunk.startswith(b"\n"):
                end = 1
            if not end:
                parts.append(chunk[start:])
                break
            yield b"".join([*parts, chunk[start:end]])
            parts, start = [], end
    if parts:
        yield b"".join(parts)
