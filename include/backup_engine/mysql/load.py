"""Loading a dump into another database: statement by statement, over a driver, inside a fence.

Only statements that a dump of one schema needs are let through, and none that leaves the target: no USE, no
other schema's tables, no global setting. No client program is involved, so nothing in a dump can reach a
shell, and no server text (which quotes rows) reaches a log.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed, RestoreRefused
from include.backup_engine.mysql.deferred import defer
from include.backup_engine.mysql.identifiers import NAME, QUOTED, schemas_named, without_own_schema
from include.backup_engine.mysql.lanes import Lanes
from include.backup_engine.mysql.server import quote
from include.backup_engine.mysql.statements import Lexer, split_statements

_VERSION_COMMENT = re.compile(rb"/\*M?!(\d{5,6})?|\*/")
_DEFINER = re.compile(rb"\A([^`'\"]*?\bDEFINER\s*=\s*)" + QUOTED + rb"(?:@" + QUOTED + rb")?")
_OPTIONS = re.compile(
    rb"\b(?:ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*(?:CURRENT_USER|QUOTED(?:@QUOTED)?)|SQL SECURITY \w+)".replace(
        b"QUOTED", QUOTED
    )
)
_EVENT_STATUS = re.compile(
    rb"(EVENT "
    + QUOTED
    + rb" ON SCHEDULE .*? ON COMPLETION (?:NOT )?PRESERVE) (ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)\b",
    re.DOTALL,
)
# A setting of the session or a variable gets a constant or another variable: no call, no query, nothing global.
_SETTING = rb"(@{1,2}(SESSION\.)?|SESSION\s+)?(?!PASSWORD\b)\w+\s*:?=\s*(''|\"\"|[-@\w.]+)"
# What a server may forbid to new tables or add to them, although its source did not (MySQL only).
_STRICTER = (b"sql_require_primary_key", b"sql_generate_invisible_primary_key", b"restrict_fk_on_non_standard_key")
_Kind = Literal["skip", "setting", "run", "keys", "insert", "table", "code", "event", "alter_database"]
_PATTERNS: tuple[tuple[_Kind, bytes], ...] = (
    ("insert", rb"INSERT INTO QUOTED (\((QUOTED|\w+)(, ?(QUOTED|\w+))*\) )?VALUES?\b"),
    ("skip", rb"(COMMIT|START TRANSACTION)\Z"),
    ("skip", rb"SET\s+(@OLD_AUTOCOMMIT\s*=\s*@@AUTOCOMMIT\s*,\s*)?(@@)?AUTOCOMMIT\s*=\s*([01]|@OLD_AUTOCOMMIT)\s*\Z"),
    ("setting", rb"SET\s+(NAMES\s+\w+(\s+COLLATE\s+\w+)?|" + _SETTING + rb"(\s*,\s*" + _SETTING + rb")*)\s*\Z"),
    ("run", rb"DROP (TABLE|VIEW|SEQUENCE|PROCEDURE|FUNCTION|TRIGGER|EVENT) IF EXISTS QUOTED\s*\Z"),
    ("keys", rb"ALTER TABLE QUOTED (DISABLE|ENABLE) KEYS\s*\Z"),
    ("run", rb"(DO|SELECT) SETVAL\(QUOTED, -?\d+, [01]\)\Z"),
    ("skip", rb"(UNLOCK TABLES|LOCK TABLES QUOTED WRITE)\s*\Z"),
    ("table", rb"CREATE (SEQUENCE|TABLE) QUOTED(?!\s*\.)"),
    ("event", rb"CREATE\s+(DEFINER\s*=\s*QUOTED(@QUOTED)?\s+)?EVENT\s+(IF NOT EXISTS\s+)?+ANYNAME(?!\s*\.)"),
    (
        "code",
        rb"CREATE\s+((OR REPLACE|AGGREGATE|ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*QUOTED(@QUOTED)?|SQL SECURITY \w+)\s+)*"
        rb"((VIEW|TRIGGER)\s+(IF NOT EXISTS\s+)?+ANYNAME(?!\s*\.)|(PROCEDURE|FUNCTION)\s+ANYNAME\s*\()",
    ),
    ("alter_database", rb"ALTER DATABASE QUOTED CHARACTER SET \w+ COLLATE \w+\s*\Z"),
)
_ALLOWED = tuple(
    (kind, re.compile(pattern.replace(b"ANYNAME", NAME).replace(b"QUOTED", QUOTED), re.IGNORECASE | re.DOTALL))
    for kind, pattern in _PATTERNS
)


@dataclass
class LoadFacts:
    """What was loaded."""

    statements: Counter[str] = field(default_factory=Counter)
    sql_bytes: int = 0
    definers_mapped: int = 0
    events_disabled: int = 0


def be_lenient(connection: Connection[Any]) -> None:
    """Switch off, for this session, what would make tables other than they were; as far as the account may.

    Where it may not, the server says so by error 3750 or 6125, or the comparison by naming the table.
    """
    for name in _STRICTER:
        with contextlib.suppress(pymysql.err.MySQLError):
            connection.query(b"SET SESSION " + name + b" = OFF")


class Loader:
    """Runs a dump's statements against one database.

    :param connections: their default database is the target, they commit each statement. With more than one, rows
        are loaded side by side, and a dump's own transactions are passed over.
    :param source_database: the schema that the dump was taken from, which it must not name.
    :param definers: ``map``: objects get the loading account as definer, and are counted; ``keep``: as dumped.
    :param events: ``disable``: events are created disabled; ``keep``: as dumped.
    :param large_tables: tables whose secondary indexes are built when their rows are in.
    :param interrupt: ends what runs on the connections.
    """

    def __init__(
        self,
        connections: Sequence[Connection[Any]],
        database: str,
        *,
        source_database: str,
        other_schemas: Collection[str],
        definers: Literal["map", "keep"] = "map",
        events: Literal["disable", "keep"] = "disable",
        large_tables: Collection[str] = (),
        interrupt: Callable[[], object] = lambda: None,
    ) -> None:
        self._lanes = Lanes(connections, _run, interrupt)
        self._large = frozenset(large_tables)
        self._table = _Table()
        self._foreign_keys: list[bytes] = []
        self._database = database
        self._source = source_database
        self._forbidden = {name.lower() for name in {*other_schemas, source_database} if name != database}
        self._lexer = Lexer()
        self._definers = definers
        self._events = events
        self.facts = LoadFacts()

    def load(self, chunks: Iterable[bytes]) -> LoadFacts:
        """Run all statements.

        :raises RestoreRefused: a statement that a dump of one schema has no need for, before it is run.
        :raises LoadFailed: the server refused a statement.
        """
        number = 0
        try:
            for number, statement in enumerate(split_statements(chunks), start=1):
                self._take(statement, number)
            self._finish(number)
        finally:
            self._lanes.close()
        return self.facts

    def _take(self, statement: bytes, number: int) -> None:
        if not statement.startswith(b"INSERT INTO "):
            statement = without_own_schema(statement, self._source)
        kind = self._admit(statement, number)
        if kind == "skip" or (kind == "keys" and self._table.innodb):  # which has no use for DISABLE KEYS
            return
        if kind == "insert":
            self._lanes.insert(statement, number)
        elif kind == "setting":
            self._lexer.obey(statement)
            self._lanes.setting(statement, number)
        elif kind == "table":
            self._begin_table(statement, number)
        else:
            if kind != "run":
                self._lanes.drain()  # a trigger must not see rows that were there before it
            if kind in ("code", "event"):
                statement = self._localise(statement, kind, number)
            elif kind == "alter_database":
                statement = re.sub(QUOTED, quote(self._database).encode().replace(b"\\", b"\\\\"), statement, count=1)
            self._lanes.run(statement, number)
        self.facts.statements[kind] += 1
        self.facts.sql_bytes += len(statement)

    def _begin_table(self, statement: bytes, number: int) -> None:
        self._end_table(number)
        deferred = defer(statement, self._large)
        self._table = _Table(deferred.keys, innodb=b"\n) ENGINE=InnoDB" in statement)
        if deferred.foreign_keys:
            self._foreign_keys.append(deferred.foreign_keys)
        self._lanes.run(deferred.create, number)

    def _end_table(self, number: int) -> None:
        if self._table.keys:
            self._lanes.build(self._table.keys, number)
            self._table = _Table()

    def _finish(self, number: int) -> None:
        self._end_table(number)
        self._lanes.finish()
        if self._foreign_keys:
            self._lanes.run(b"SET FOREIGN_KEY_CHECKS = 0", number)  # the rows are a snapshot's: there is none to refuse
        for statement in self._foreign_keys:
            self._lanes.run(statement, number)

    def _admit(self, statement: bytes, number: int) -> _Kind:
        """The fence: what kind of statement this is, if it is one that may run."""
        is_insert = statement.startswith(b"INSERT INTO ")
        code = statement if is_insert else _bare(self._lexer.code(statement))
        for kind, pattern in _ALLOWED:
            if pattern.match(code):
                if kind in ("code", "event", "table"):
                    self._refuse_schemas(code, number)
                return kind
        raise RestoreRefused(
            f"Statement {number} of the dump is not one that a dump of a single schema needs.",
            "If you trust the backup all the same, decrypt it and load it by hand.",
        )

    def _refuse_schemas(self, code: bytes, number: int) -> None:
        for schema in schemas_named(code):
            if schema.lower() not in self._forbidden:
                continue
            if schema.lower() == self._source.lower():
                raise RestoreRefused(
                    f"Statement {number} of the dump names the schema {schema} that it was taken from.",
                    "Restore under that very name, on another server; or take the name out of the source's code.",
                )
            raise RestoreRefused(
                f"Statement {number} of the dump reaches into the schema {schema}, outside its target.",
                "Restore on a server of its own, or remove that object from the source.",
            )

    def _localise(self, statement: bytes, kind: _Kind, number: int) -> bytes:
        """Definers and event states as this restore wants them."""
        if self._definers == "map":
            statement, count = _DEFINER.subn(rb"\1CURRENT_USER", statement)
            self.facts.definers_mapped += count
        if kind == "event" and self._events == "disable":
            statement, count = _EVENT_STATUS.subn(rb"\1 DISABLE", statement, count=1)
            if not count:
                raise RestoreRefused(
                    f"Statement {number} creates an event that cannot be recognised and disabled.",
                    "Restore by hand, with the server's event scheduler off.",
                )
            self.facts.events_disabled += 1
        return statement


@dataclass(frozen=True)
class _Table:
    """The table whose rows are being loaded.

    :param keys: ALTER TABLE for when they are in.
    """

    keys: bytes | None = None
    innodb: bool = False


def _run(connection: Connection[Any], statement: bytes, number: int) -> None:
    try:
        connection.query(statement)  # bytes pass through as they are
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
    return _VERSION_COMMENT.sub(b"", statement).strip()


def _headline(statement: bytes) -> str:
    """The statement's verb and object, never its values."""
    head = b" ".join(_OPTIONS.sub(b"", _bare(statement[:1000]), count=3).split())
    match = re.match(rb"(?:\s*[A-Z_]+)+(?: " + QUOTED + rb")?", head)
    return match[0].decode("utf-8", "replace")[:120] if match else "statement"
