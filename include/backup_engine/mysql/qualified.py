"""Which names in a piece of code name a schema.

``a.b`` is a table of the schema ``a``, or a column of the table or alias ``a``: that depends on where it stands.
So this reads just enough of the grammar to know where only a column can stand. Everywhere else ``a`` counts as a
schema: what is not understood is refused rather than let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from include.backup_engine.mysql.identifiers import NAME, unquoted

_TOKEN = re.compile(rb"\s*(?:(" + NAME + rb")|(.))", re.DOTALL)
# After these words a column may stand, if an expression is being read.
_BEFORE_COLUMNS = frozenset(
    b"SELECT DISTINCT ALL FROM WHERE HAVING AND OR XOR NOT ON BY SET RETURN WHEN THEN ELSE CASE IF ELSEIF UNTIL WHILE"
    b" BETWEEN LIKE REGEXP RLIKE DIV MOD BINARY INTERVAL ESCAPE SEPARATOR".split()
)
_OPERATORS = frozenset(b"=<>+-*/%|&^~!(,:")  # a ":" stands before the values of a JSON duality view
_LISTS = frozenset((b"SELECT", b"BY", b"SET", b"VALUES", b"VALUE"))  # a comma separates expressions
_CONDITIONS = frozenset((b"WHERE", b"HAVING"))  # a comma ends them
_EXPRESSIONS = frozenset(b"RETURN WHEN IF ELSEIF UNTIL WHILE CASE".split())
_TABLES = frozenset((b"JOIN", b"STRAIGHT_JOIN", b"USING"))
# What begins another statement or names objects; those with a function of the same name are that before a "(".
_STATEMENTS = frozenset(
    b"UPDATE DELETE INTO TABLE TABLES VIEW SEQUENCE INDEX CALL REFERENCES HANDLER RENAME DROP CREATE ALTER ANALYZE LOCK"
    b" SHOW DESCRIBE EXPLAIN CACHE CHECKSUM GRANT REVOKE FLUSH TRIGGER PROCEDURE FUNCTION EVENT INSERT REPLACE"
    b" TRUNCATE UNION".split()
)
_OF_SEQUENCES = frozenset((b"NEXTVAL", b"LASTVAL", b"SETVAL"))  # take a table


@dataclass
class _Level:
    """What is being read between two parentheses.

    :param expression: whether columns can stand here; ``listed``: after a comma, too.
    :param tables: whether this is, or was before an ON, a list of tables.
    :param inner: whether it is the inside of an expression; ``query``: a query has begun in it.
    """

    expression: bool = False
    listed: bool = False
    tables: bool = False
    inner: bool = False
    query: bool = False

    def set(self, *, expression: bool, listed: bool = False) -> None:
        self.expression, self.listed = expression, listed

    def word(self, word: bytes, before: bytes, is_call: bool) -> None:
        """Take a keyword into account."""
        if word == b"SET" and before == b"CHARACTER":
            return
        if word in _LISTS or (word == b"UPDATE" and before == b"KEY"):  # ON DUPLICATE KEY UPDATE
            self.set(expression=True, listed=True)
            self.query = self.query or word == b"SELECT"
        elif word in _CONDITIONS:
            self.set(expression=True)
        elif word == b"ON":
            self.set(expression=self.tables)
        elif word in _EXPRESSIONS and not self.expression:
            self.set(expression=True)
        elif word in _TABLES or (word == b"FROM" and (self.query or not self.inner)):  # not: EXTRACT(YEAR FROM x)
            self.set(expression=False)
            self.tables = True
        elif word in _STATEMENTS and not (is_call and self.expression):
            self.set(expression=False)
            self.tables = False

    def opened(self, before: bytes) -> _Level:
        """What follows an opening parenthesis."""
        inside = self.expression and before not in _OF_SEQUENCES
        return _Level(expression=inside, listed=inside, tables=self.tables and not inside, inner=inside)


def schemas_named(code: bytes) -> Iterator[str]:
    """The first parts of all names that may be qualified with a schema.

    :param code: without comments and without what is inside strings.
    """
    tokens = [(bool(found[1]), found[1] or found[2]) for found in _TOKEN.finditer(code.strip())]
    levels, before, at = [_Level()], b"", 0
    while at < len(tokens):
        is_name, token = tokens[at]
        at += 1
        if not is_name:
            _punctuate(levels, token, before)
            before = token
            continue
        parts = [token]
        while at + 1 < len(tokens) and tokens[at][1] == b"." and (tokens[at + 1][0] or tokens[at + 1][1] == b"*"):
            parts.append(tokens[at + 1][1])
            at += 2
        after = tokens[at][1] if at < len(tokens) else b";"
        if before in (b"@", b"."):  # a variable, whose name may have dots
            before = parts[-1]
            continue
        if len(parts) == 1:
            before = token.upper()
            levels[-1].word(before, tokens[at - 2][1].upper() if at > 1 else b"", after == b"(")
            continue
        column = len(parts) == 2 and after != b"(" and _is_column_place(levels[-1], before, after)
        if not column and not token.isdigit():  # 1.5 is a number; a name of digits has quotes
            yield unquoted(token)
        before = parts[-1]


def _punctuate(levels: list[_Level], token: bytes, before: bytes) -> None:
    level = levels[-1]
    if token == b"(":
        levels.append(level.opened(before))
    elif token == b")" and len(levels) > 1:
        levels.pop()
    elif token == b"," and not level.listed:
        level.expression = False
    elif token == b";":
        levels[:] = [_Level()]


def _is_column_place(level: _Level, before: bytes, after: bytes) -> bool:
    if before in (b"THEN", b"ELSE") and after == b";":  # a procedure, called as sql_mode=ORACLE allows it
        return False
    return level.expression and (before in _BEFORE_COLUMNS or (len(before) == 1 and before[0] in _OPERATORS))
