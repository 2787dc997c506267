"""What the tables and triggers of a dump refer to: parents, sequences, and what else triggers use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from include.backup_engine.mysql.identifiers import NAME, QUOTED, unquoted
from include.backup_engine.mysql.statements import Lexer

_MARKS = re.compile(rb"/\*M?!(\d{5,6})?|\*/")
_TABLE = re.compile(rb"\s*CREATE TABLE (" + QUOTED + rb")")
_TRIGGER = re.compile(
    rb"\s*CREATE\s[^;]*?\bTRIGGER\s+(?:IF NOT EXISTS\s+)?(?:NAME\s*\.\s*)?(NAME)\s+(?:BEFORE|AFTER)\s".replace(
        b"NAME", NAME
    ),
    re.IGNORECASE,
)
_PARENT = re.compile(rb"\bFOREIGN KEY [^\n]*?\bREFERENCES (?:QUOTED\.)?(QUOTED)".replace(b"QUOTED", QUOTED))
_SEQUENCE = re.compile(rb"\b(?:NEXT|LAST)VAL\((?:NAME\.)?(NAME)\)".replace(b"NAME", NAME), re.IGNORECASE)
_USED = re.compile(
    rb"(?:\b(?:FROM|JOIN|INTO|UPDATE|TABLE|CALL|VALUE\s+FOR|(?:NEXT|LAST|SET)VAL\s*\()\s*(?:NAME\s*\.\s*)?(NAME)|(NAME)\s*\()".replace(
        b"NAME", NAME
    ),
    re.IGNORECASE,
)


@dataclass
class References:
    """Collected from statements, in the order of a dump.

    :param parents: table -> the tables that its foreign keys refer to.
    :param sequences: table -> the sequences that its defaults draw from.
    :param triggers: name -> names that stand where a table, sequence or routine may stand.
    """

    parents: dict[str, set[str]] = field(default_factory=dict)
    sequences: dict[str, set[str]] = field(default_factory=dict)
    triggers: dict[str, set[str]] = field(default_factory=dict)
    _lexer: Lexer = field(default_factory=Lexer)

    def take(self, statement: bytes) -> None:
        """Look at one statement of a dump."""
        if statement.startswith(b"INSERT INTO "):
            return
        self._lexer.obey(statement)
        code = _MARKS.sub(b"", self._lexer.code(statement))
        if table := _TABLE.match(code):
            name = unquoted(table[1])
            self.parents[name] = {unquoted(found) for found in _PARENT.findall(code)}
            self.sequences[name] = {unquoted(found) for found in _SEQUENCE.findall(code)}
        elif trigger := _TRIGGER.match(code):
            self.triggers[unquoted(trigger[1])] = set(_used(code[trigger.end() :]))


def _used(code: bytes) -> Iterator[str]:
    for found in _USED.finditer(code):
        yield from (unquoted(name) for name in found.groups() if name)
