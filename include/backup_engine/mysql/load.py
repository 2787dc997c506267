"""Loading a dump into another database: statement by statement, over a driver, inside a fence.

Only statements that a dump of one schema needs are let through, and none that leaves the target (fence.py). No
client program is involved, so nothing in a dump can reach a shell, and no server text (which quotes rows) reaches a
log.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed, RestoreRefused
from include.backup_engine.mysql.deferred import defer
from include.backup_engine.mysql.fence import Charset, Fence, Kind
from include.backup_engine.mysql.identifiers import QUOTED, unquoted, without_own_schema
from include.backup_engine.mysql.lanes import Lanes
from include.backup_engine.mysql.row_sender import RowSender
from include.backup_engine.mysql.server import error_number, quote, row
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.records import ServerIdentity

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
# Below its counter, an ARCHIVE table takes no row (MySQL manual, "The ARCHIVE Storage Engine"). It sets it by itself.
_ARCHIVE_COUNTER = re.compile(rb"(\n\) ENGINE=ARCHIVE) AUTO_INCREMENT=\d+")
# What a server may forbid to new tables or add to them, although its source did not (MySQL only).
_STRICTER = (b"sql_require_primary_key", b"sql_generate_invisible_primary_key", b"restrict_fk_on_non_standard_key")
_CREATE = re.compile(rb"CREATE (?:TABLE|SEQUENCE) (" + QUOTED + rb")")
_DROP = re.compile(rb"DROP (?:TABLE|SEQUENCE) IF EXISTS (" + QUOTED + rb")")
_QUOTED_NAME = re.compile(QUOTED)
_SESSION = re.compile(rb"SQL_MODE|CHARACTER_SET|NAMES", re.IGNORECASE)
# As numbers: a text would arrive in a character set that the dump has set. The last column: 2 for character sets in
# which the second byte of a character may look like a quote or a backslash.
_HOW_IT_READS = (
    "SELECT FIND_IN_SET('NO_BACKSLASH_ESCAPES', @@sql_mode) = 0, FIND_IN_SET('ANSI_QUOTES', @@sql_mode) > 0,"
    " CASE WHEN @@character_set_client LIKE 'utf8%' THEN 0"
    " WHEN @@character_set_client IN ('big5', 'cp932', 'gb18030', 'gbk', 'sjis') THEN 2 ELSE 1 END"
)
_DISK_FULL = "Make room on the target's disk, for data and binary log, and start again."
_SERVER_LOST = "See that the target server runs, and what its log says of it; then start again."
# By the numbers of the MySQL Server Error Message Reference, those that a restore meets although the dump is good.
_REMEDIES = {
    **dict.fromkeys((1021, 1114), _DISK_FULL),
    **dict.fromkeys((1053, 1927, 2006, 2013), _SERVER_LOST),
    1180: "See whether the target's disk is full, and what the server's log says; then start again.",
    1153: "Raise max_allowed_packet on the target server; the plan says how long the longest statement is.",
}
_DEADLOCK = 1213
_MALFORMED = 2027
_ATTEMPTS = 5
_LONG = 1_000_000
"""Bytes of a statement for which a server may have closed the connection; its error 1153 is then often lost."""
_CHARSETS: tuple[Charset, ...] = ("utf8", "other", "misleading")


@dataclass
class LoadFacts:
    """What was loaded.

    :param rows_as_data: rows that were sent as data instead of in statements.
    """

    statements: Counter[str] = field(default_factory=Counter)
    sql_bytes: int = 0
    definers_mapped: int = 0
    events_disabled: int = 0
    rows_as_data: int = 0


def be_lenient(connection: Connection[Any]) -> None:
    """Switch off, for this session, what would make tables other than they were; as far as the account may.

    Where it may not, the server says so by error 3750 or 6125, or the comparison by naming the table.
    """
    for name in _STRICTER:
        with contextlib.suppress(pymysql.err.MySQLError):
            connection.query(b"SET SESSION " + name + b" = OFF")


class Loader:
    """Runs a dump's statements against one database, which is empty.

    :param connections: their default database is the target, they commit each statement. With more than one, rows
        are loaded side by side, and a dump's own transactions are passed over.
    :param source_database: the schema that the dump was taken from, which it must not name.
    :param other_schemas, powerful: see :class:`~include.backup_engine.mysql.fence.Fence`.
    :param definers: ``map``: objects get the loading account as definer, and are counted; ``keep``: as dumped.
    :param events: ``disable``: events are created disabled; ``keep``: as dumped.
    :param large_tables: tables whose secondary indexes are built when their rows are in.
    :param as_data: tables whose rows are sent as data (row_data.py), and how many rows each has. The dump must be one
        that a backup of ours has written, and the server one that takes data.
    :param interrupt: ends what runs on the connections.
    """

    def __init__(
        self,
        connections: Sequence[Connection[Any]],
        database: str,
        *,
        server: ServerIdentity,
        source_database: str,
        other_schemas: Collection[str],
        powerful: bool,
        definers: Literal["map", "keep"] = "map",
        events: Literal["disable", "keep"] = "disable",
        large_tables: Collection[str] = (),
        as_data: Mapping[str, int] | None = None,
        interrupt: Callable[[], object] = lambda: None,
    ) -> None:
        self._first = connections[0]
        self._lanes = Lanes(connections, _run, interrupt)
        self._large = frozenset(large_tables)
        self._keys: dict[str, bytes] = {}
        """ALTER TABLE for each table whose keys are deferred, until it is given to a lane."""
        self._innodb: set[str] = set()
        self._complete: list[str] = []
        """Tables whose last row was seen, and whose triggers may still follow."""
        self._created: set[bytes] = set()
        self._foreign_keys: list[bytes] = []
        self._database = database
        self._source = source_database
        self._fence, rows_fence = (
            Fence(
                database, source_database=source_database, other_schemas=other_schemas, flavour=server.flavour,
                version=server.version, powerful=powerful,
            )
            for _ in range(2)
        )  # fmt: skip
        # Of its own: lanes judge rows that were gathered before the session began to read in another way.
        self._rows = RowSender(self._first, self._lanes, server.flavour, as_data or {}, rows_fence.admit, _run)
        self._definers = definers
        self._events = events
        self.facts = LoadFacts()

    def load(self, chunks: Iterable[bytes]) -> LoadFacts:
        """Run all statements of a text; see :meth:`run`."""
        return self.run(split_statements(chunks))

    def run(self, statements: Iterable[bytes]) -> LoadFacts:
        """Run all statements.

        :raises RestoreRefused: a statement that a dump of one schema has no need for, before it is run.
        :raises LoadFailed: the server refused a statement.
        """
        number = 0
        try:
            for number, statement in enumerate(statements, start=1):
                self._take(statement, number)
            self._finish(number)
        finally:
            self._lanes.close()
        return self.facts

    def _take(self, statement: bytes, number: int) -> None:
        if statement.startswith(b"INSERT INTO "):
            self._build_keys(number)
        if self._rows.gather(statement, number):
            kind: Kind = "insert"
        else:
            self._rows.send(number)
            if not statement.startswith(b"INSERT INTO "):
                statement = without_own_schema(statement, self._source)
            kind, code = self._fence.admit(statement, number)
            if kind == "skip" or self._is_pointless(kind, code):
                return
            statement = self._execute(statement, kind, code, number)
        self.facts.statements[kind] += 1
        self.facts.sql_bytes += len(statement)

    def _is_pointless(self, kind: Kind, code: bytes) -> bool:
        """Whether a statement would do nothing. To drop a table that is not there costs MariaDB a write to its disk."""
        if kind == "keys":
            return self._is_told_by_keys(code)
        dropped = _DROP.match(code)
        return dropped is not None and dropped[1] not in self._created

    def _execute(self, statement: bytes, kind: Kind, code: bytes, number: int) -> bytes:
        """Run what the fence has admitted, and say what that was in the end."""
        if kind == "insert":
            self._rows.insert(statement, number)
        elif kind == "setting":
            self._lanes.setting(statement, number)
            if _SESSION.search(code):
                self._look_at_session()
        elif kind == "table":
            if created := _CREATE.match(code):
                self._created.add(created[1])
            self._begin_table(statement, number)
        else:
            if kind != "run" or _DROP.match(code):
                self._lanes.drain()  # what is dropped must be there, and a trigger must not see the rows before it
            if kind in ("code", "event"):
                statement = self._localise(statement, kind, number)
            elif kind == "alter_database":
                statement = re.sub(QUOTED, quote(self._database).encode().replace(b"\\", b"\\\\"), code, count=1)
            self._lanes.run(statement, number)
        return statement

    def _begin_table(self, statement: bytes, number: int) -> None:
        self._build_keys(number)
        statement = _ARCHIVE_COUNTER.sub(rb"\1", statement)
        deferred = defer(statement, self._large)
        innodb = b"\n) ENGINE=InnoDB" in statement
        if innodb and (name := _QUOTED_NAME.search(statement)):
            self._innodb.add(unquoted(name[0]))
            if deferred.keys:
                self._keys[unquoted(name[0])] = deferred.keys
        if deferred.foreign_keys:
            self._foreign_keys.append(deferred.foreign_keys)
        if innodb:
            self._rows.create(deferred.create, number)
        else:
            self._lanes.run(deferred.create, number)

    def _is_told_by_keys(self, code: bytes) -> bool:
        """Whether DISABLE or ENABLE KEYS is for InnoDB, which has no use for it; the latter says that rows have ended.

        Rows of several tables may alternate, so that the next table's beginning does not say it.
        """
        name = _QUOTED_NAME.search(code)
        if name is None or (table := unquoted(name[0])) not in self._innodb:
            return False
        if code.rstrip().endswith(b"ENABLE KEYS"):
            self._complete.append(table)
        return True

    def _build_keys(self, number: int) -> None:
        """Have the keys of complete tables built. Not before their triggers are there, which would wait for that."""
        for table in self._complete:
            if keys := self._keys.pop(table, None):
                self._lanes.build(keys, number)
        self._complete.clear()

    def _finish(self, number: int) -> None:
        self._rows.send(number)
        self._complete.extend(self._keys)
        self._build_keys(number)
        self._lanes.finish()
        self._rows.check()
        self.facts.rows_as_data = self._rows.sent
        if self._foreign_keys:
            self._lanes.run(b"SET FOREIGN_KEY_CHECKS = 0", number)  # the rows are a snapshot's: there is none to refuse
        for statement in self._foreign_keys:
            self._lanes.run(statement, number)

    def _look_at_session(self) -> None:
        """Ask the server how it reads from now on: what a dump sets may come out of variables.

        :raises RestoreRefused: the dump has set a character set in which even digits cannot be read.
        """
        try:
            escapes, ansi_quotes, charset = (int(value) for value in row(self._first, _HOW_IT_READS) or ())
        except ValueError:
            raise RestoreRefused(
                "The dump sets a character set in which the server's answers cannot be read.",
                "If you trust the backup all the same, decrypt it and load it by hand.",
            ) from None
        self._fence.obey(backslash_escapes=bool(escapes), ansi_quotes=bool(ansi_quotes), charset=_CHARSETS[charset])
        self._rows.session_is_plain = bool(escapes) and not ansi_quotes and _CHARSETS[charset] == "utf8"

    def _localise(self, statement: bytes, kind: Kind, number: int) -> bytes:
        """Definers and event states as this restore wants them."""
        if self._definers == "map":
            statement, count = _DEFINER.subn(rb"\1CURRENT_USER", statement)
            self.facts.definers_mapped += count
            if self._fence.names_definer(statement):
                raise RestoreRefused(
                    f"Statement {number} names a definer in a way that cannot be recognised and changed.",
                    "If you trust the backup all the same, decrypt it and load it by hand.",
                )
        if kind == "event" and self._events == "disable":
            statement, count = _EVENT_STATUS.subn(rb"\1 DISABLE", statement, count=1)
            if not (count and self._fence.is_disabled(statement)):
                raise RestoreRefused(
                    f"Statement {number} creates an event that cannot be recognised and disabled.",
                    "Restore by hand, with the server's event scheduler off.",
                )
            self.facts.events_disabled += 1
        return statement


def _run(connection: Connection[Any], statement: bytes, number: int) -> int:
    """Run a statement, and say how many rows it has changed.

    Again after a deadlock, which has undone it: two tables that are created at once may refer to each other. Not a
    COMMIT, with which everything before it is undone, too.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return int(connection.query(statement))  # bytes pass through as they are
        except (pymysql.err.MySQLError, OSError) as error:
            code = error_number(error)
        except RuntimeError:  # the driver's, to a server that answers by asking for a file
            code = _MALFORMED
        if code != _DEADLOCK or attempt + 1 == _ATTEMPTS or statement == b"COMMIT":
            break
    remedy = _REMEDIES.get(
        code, "Look the number up in the server's manual; the server's text is withheld because it quotes rows."
    )
    if code in (2006, 2013) and len(statement) > _LONG:
        remedy = (
            f"See that the target's max_allowed_packet is above the {len(statement) / 1e6:.1f} MB of this statement;"
            " if it is, see whether the server runs, and what its log says of it."
        )
    # Outside the handler: the driver's exception quotes rows and must not travel along as context.
    raise LoadFailed(
        f"The target server refused statement {number} ({_headline(statement)}) with error {code}.", remedy
    )


def _bare(statement: bytes) -> bytes:
    """The statement without the marks of version comments, whose content the server executes."""
    return _VERSION_COMMENT.sub(b"", statement).strip()


def _headline(statement: bytes) -> str:
    """The statement's verb and object, never its values."""
    head = b" ".join(_OPTIONS.sub(b"", _bare(statement[:1000]), count=3).split())
    match = re.match(rb"(?:\s*[A-Z_]+)+(?: " + QUOTED + rb")?", head)
    return match[0].decode("utf-8", "replace")[:120] if match else "statement"
