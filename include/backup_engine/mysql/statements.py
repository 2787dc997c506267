"""From a dump's text to single statements, as the command-line client would cut them.

Two facts about dumps keep this fast: an INSERT never holds a raw newline inside a value, so it ends at the
first line that ends with the delimiter; and everything else is short, so it can be lexed for open quotes and
comments whenever a line ends with the delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from include.backup_engine.errors import ContentIncomplete

_INSERT = b"INSERT INTO "
_MAX_CODE = 64 << 20
# Strings, quoted identifiers and comments that are complete, then anything else, one character at a time.
_LEXEME = re.compile(
    rb"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
    rb"|/\*.*?\*/|--[ \t][^\n]*(?:\n|\Z)|\#[^\n]*(?:\n|\Z)|[^'\"`/\-#]+|.",
    re.DOTALL,
)
_OPENERS = (b"'", b'"', b"`")


def split_statements(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Single statements without their delimiter; comment lines between statements are dropped.

    :param chunks: SQL text as a dump program writes it.
    :raises ContentIncomplete: the text ends inside a statement.
    """
    delimiter = b";"
    statement: list[bytes] = []
    size = 0
    is_insert = False
    for line in _lines(chunks):
        if not statement:
            bare = line.strip()
            if not bare or bare.startswith((b"-- ", b"/*!999999\\-", b"/*M!999999\\-")) or bare == b"--":
                continue
            if bare.startswith(b"DELIMITER "):
                delimiter = bare[10:].strip()
                continue
            is_insert = line.startswith(_INSERT) and delimiter == b";"
        statement.append(line)
        size += len(line)
        if not line.rstrip().endswith(delimiter):
            if not is_insert and size > _MAX_CODE:
                raise ContentIncomplete("A statement of the dump does not end within 64 MiB.", "Use another backup.")
            continue
        text = b"".join(statement).strip()[: -len(delimiter)].rstrip()
        if is_insert or not _is_open(text):
            if text:
                yield text
            statement, size = [], 0
    if statement:
        raise ContentIncomplete("The dump ends inside a statement.", "Use another backup, and report this one.")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their newline. A line may span many chunks: it is joined once."""
    parts: list[bytes] = []
    for chunk in chunks:
        lines = chunk.split(b"\n")
        if len(lines) == 1:
            parts.append(chunk)
            continue
        parts.append(lines[0])
        yield b"".join(parts) + b"\n"
        for line in lines[1:-1]:
            yield line + b"\n"
        parts = [lines[-1]] if lines[-1] else []
    if parts:
        yield b"".join(parts)


def _is_open(text: bytes) -> bool:
    """Whether the text ends inside a string, a quoted identifier or a comment."""
    for lexeme in _LEXEME.finditer(text):
        token = lexeme[0]
        if token in _OPENERS or (token == b"/" and text[lexeme.start() : lexeme.start() + 2] == b"/*"):
            return True
    return False
