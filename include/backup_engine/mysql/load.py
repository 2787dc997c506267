"""Loading a dump into another database: statement by statement, over a driver, inside a fence.

Only statements that a dump of one schema needs are let through, and none that leaves the target: no USE, no
other schema's tables, no global setting. No client program is involved, so nothing in a dump can reach a
shell, and no server text (which quotes rows) reaches a log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed, RestoreRefused
from include.backup_engine.mysql.server import quote
from include.backup_engine.mysql.statements import split_statements

# Under ANSI_QUOTES, which a routine may have been created with, names stand in double quotes.
_NAME = rb"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\")"
_COMMENT_MARKS = re.compile(rb"/\*M?!(\d{5,6})?|\*/")
_DEFINER = re.compile(rb"DEFINER\s*=\s*" + _NAME + rb"(?:@" + _NAME + rb")?")
_EVENT_STATUS = re.compile(
    rb"(EVENT "
    + _NAME
    + rb" ON SCHEDULE .*? ON COMPLETION (?:NOT )?PRESERVE) (ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)\b",
    re.DOTALL,
)
_GLOBAL = re.compile(rb"\b(GLOBAL|PERSIST|PERSIST_ONLY|PASSWORD)\b|@@(?:GLOBAL|PERSIST)", re.IGNORECASE)
# Where a table or routine name may stand. Not after a comma: there `alias`.`column` is far more common.
_FOREIGN = re.compile(
    rb"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|REFERENCES|CALL|(?:INSERT|UPDATE|DELETE)\s+ON|(?:NEXT|LAST|SET)VAL)\s*\(*\s*"
    rb"(" + _NAME + rb"|[\w$]+)\s*\.\s*(?:`|\w)",
    re.IGNORECASE,
)
_Kind = Literal["skip", "run", "insert", "table", "code", "alter_database"]
_PATTERNS: tuple[tuple[_Kind, bytes], ...] = (
    ("insert", rb"INSERT INTO NAME (\((NAME|\w+)(, ?(NAME|\w+))*\) )?VALUES?\b"),
    ("run", rb"SET\b"),
    ("run", rb"DROP (TABLE|VIEW|SEQUENCE|PROCEDURE|FUNCTION|TRIGGER|EVENT) IF EXISTS NAME\s*\Z"),
    ("run", rb"ALTER TABLE NAME (DISABLE|ENABLE) KEYS\s*\Z"),
    ("run", rb"(DO|SELECT) SETVAL\(NAME, -?\d+, [01]\)\Z"),
    ("run", rb"(COMMIT|START TRANSACTION)\Z"),
    ("skip", rb"(UNLOCK TABLES|LOCK TABLES NAME WRITE)\s*\Z"),
    ("table", rb"CREATE (SEQUENCE|TABLE) NAME(?!\s*\.)"),
    (
        "code",
        rb"CREATE\s+((OR REPLACE|AGGREGATE|ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*NAME(@NAME)?|SQL SECURITY \w+)\s+)*"
        rb"(VIEW|TRIGGER|EVENT|PROCEDURE|FUNCTION)\s+(IF NOT EXISTS\s+)?(NAME|[\w$]+\b)(?!\s*\.)",
    ),
    ("alter_database", rb"ALTER DATABASE NAME CHARACTER SET \w+ COLLATE \w+\s*\Z"),
)
_ALLOWED = tuple(
    (kind, re.compile(pattern.replace(b"NAME", _NAME), re.IGNORECASE | re.DOTALL)) for kind, pattern in _PATTERNS
)


@dataclass
class LoadFacts:
    """What was loaded."""

    statements: Counter[str] = field(default_factory=Counter)
    sql_bytes: int = 0
    definers_mapped: int = 0
    events_disabled: int = 0


class Loader:
    """Runs a dump's statements against one database.

    :param connection: its default database is the target.
    :param source_database: the schema that the dump was taken from, which it must not name.
    :param definers: ``map``: objects get the loading account as definer, and are counted; ``keep``: as dumped.
    :param events: ``disable``: events are created disabled; ``keep``: as dumped.
    """

    def __init__(
        self,
        connection: Connection[Any],
        database: str,
        *,
        source_database: str,
        other_schemas: Collection[str],
        definers: Literal["map", "keep"] = "map",
        events: Literal["disable", "keep"] = "disable",
    ) -> None:
        self._connection = connection
        self._database = database
        self._forbidden = {name.lower() for name in {*other_schemas, source_database} if name != database}
        self._source_prefix = f"{quote(source_database)}.".encode()
        self._definers = definers
        self._events = events
        self.facts = LoadFacts()

    def load(self, chunks: Iterable[bytes]) -> LoadFacts:
        """Run all statements.

        :raises RestoreRefused: a statement that a dump of one schema has no need for, before it is run.
        :raises LoadFailed: the server refused a statement.
        """
        for number, statement in enumerate(split_statements(chunks), start=1):
            if statement.startswith(b"CREATE TABLE "):
                # MariaDB prints DEFAULT nextval(`schema`.`sequence`); the sequence meant is the restored one.
                statement = statement.replace(b"nextval(" + self._source_prefix, b"nextval(")
            kind = self._admit(statement, number)
            if kind == "skip":
                continue
            if kind == "code":
                statement = self._localise(statement, number)
            elif kind == "alter_database":
                statement = re.sub(_NAME, quote(self._database).encode().replace(b"\\", b"\\\\"), statement, count=1)
            self._run(statement, number)
            self.facts.statements[kind] += 1
            self.facts.sql_bytes += len(statement)
        return self.facts

    def _admit(self, statement: bytes, number: int) -> _Kind:
        """The fence: what kind of statement this is, if it is one that may run."""
        text = statement if statement.startswith(b"INSERT INTO ") else _bare(statement)
        for kind, pattern in _ALLOWED:
            if pattern.match(text):
                if kind == "run" and text[:3].upper() == b"SET" and _GLOBAL.search(text):
                    break
                if kind in ("code", "table"):
                    self._refuse_foreign_schemas(text, number)
                return kind
        raise RestoreRefused(
            f"Statement {number} of the dump is not one that a dump of a single schema needs.",
            "If you trust the backup all the same, decrypt it and load it by hand.",
        )

    def _refuse_foreign_schemas(self, text: bytes, number: int) -> None:
        for match in _FOREIGN.finditer(text):
            schema = match[1].strip(b'`"').replace(b"``", b"`").decode("utf-8", "replace")
            if schema.lower() in self._forbidden:
                raise RestoreRefused(
                    f"Statement {number} of the dump reaches into the schema {schema}, outside its target.",
                    "Restore on a server of its own, or remove that object from the source.",
                )

    def _localise(self, statement: bytes, number: int) -> bytes:
        """Definers and event states as this restore wants them."""
        if self._definers == "map":
            statement, count = _DEFINER.subn(b"DEFINER=CURRENT_USER", statement, count=1)
            self.facts.definers_mapped += count
        if self._events == "disable" and re.search(rb"\bEVENT " + _NAME + rb" ON SCHEDULE ", statement):
            statement, count = _EVENT_STATUS.subn(rb"\1 DISABLE", statement, count=1)
            if not count:
                raise RestoreRefused(
                    f"Statement {number} creates an event that cannot be recognised and disabled.",
                    "Restore by hand, with the server's event scheduler off.",
                )
            self.facts.events_disabled += 1
        return statement

    def _run(self, statement: bytes, number: int) -> None:
        try:
            self._connection.query(statement)  # bytes pass through as they are
            return
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        except OSError:
            code = 2013
        # Outside the handler: the driver's exception quotes rows and must not travel along as context.
        raise LoadFailed(
            f"The target server refused statement {number} ({_headline(statement)}) with error {code}.",
            "Look the number up in the server's manual; the server's text is withheld because it quotes rows.",
        )


def _bare(statement: bytes) -> bytes:
    """The statement without the marks of version comments, whose content the server executes."""
    return _COMMENT_MARKS.sub(b"", statement).strip()


def _headline(statement: bytes) -> str:
    """The statement's verb and object, never its values."""
    match = re.match(rb"(?:\s*[A-Z_]+)+(?: " + _NAME + rb")?", _bare(statement[:400]))
    return match[0].decode("utf-8", "replace")[:120] if match else "statement"
