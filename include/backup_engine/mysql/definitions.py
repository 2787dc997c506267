"""The code of a schema, read so that it can be created again in another one: views, routines, triggers, events.

With each goes what the server keeps beside its text: SQL mode, character set of the client, collations, time zone
(MySQL manual, "Stored Program Restrictions" and SHOW CREATE). Nothing of it is ever logged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError, PreflightError
from include.backup_engine.mysql.identifiers import QUOTED, without_own_schema
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Row, quote, rows, scalar, server_errors, shown
from include.backup_engine.records import Flavour, Record

CodeKind = Literal["procedure", "function", "trigger", "view", "event"]

_ORDER: tuple[CodeKind, ...] = ("function", "procedure", "trigger", "view", "event")  # views call functions
_DEFINER = re.compile(rb"\A(CREATE [^`'\"]*?\bDEFINER=)" + QUOTED + rb"(?:@" + QUOTED + rb")?")
_EVENT_STATUS = re.compile(r"(ON COMPLETION (?:NOT )?PRESERVE) (?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)\b")
_TEXT = r"'(?:[^'\\]|\\.|'')*+'"
# A quoted name, or a string with its introducer if it has one (MySQL manual, "Character Set Introducers").
_LITERAL = re.compile(rb"`(?:[^`]|``)*`|(?:(?<![\w$])(_[a-z0-9]+) ?)?'((?:[^'\\]|\\.|'')*+)'", re.DOTALL)
_ESCAPED = re.compile(rb"\\.|''", re.DOTALL)
_CONTROL = {rb"\0": b"\0", rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t", rb"\b": b"\b", rb"\Z": b"\x1a"}
_MISLEADING = {b"_big5", b"_cp932", b"_gb18030", b"_gbk", b"_sjis"}
_MAY_NAME_DEFINERS = ("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER")


class Definition(Record):
    """One object and what creates it.

    :param statement: its CREATE statement, without the name of its schema.
    :param table: the table of a trigger.
    :param definer: ``user@host``.
    :param enabled: of an event.
    """

    kind: CodeKind
    name: str
    statement: str
    sql_mode: str = ""
    charset: str
    collation: str
    database_collation: str | None = None
    time_zone: str = "+00:00"
    table: str | None = None
    definer: str = ""
    enabled: bool = False

    def owned_by(self, definer: str) -> Definition:
        """The same with another definer, given as ``user@host``."""
        user, _, host = definer.rpartition("@")
        owner = f"{quote(user)}@{quote(host)}" if user else quote(host)
        replacement = owner.encode().replace(b"\\", b"\\\\")
        statement = _DEFINER.sub(rb"\1" + replacement, self.statement.encode())
        return self.model_copy(update={"statement": statement.decode(), "definer": definer})

    def switched(self, enabled: bool) -> Definition:
        """An event that is enabled or disabled; anything else as it is."""
        if self.kind != "event":
            return self
        statement = _EVENT_STATUS.sub(rf"\1 {'ENABLE' if enabled else 'DISABLE'}", self.statement, count=1)
        return self.model_copy(update={"statement": statement, "enabled": enabled})

    def same_code(self, other: Definition | None) -> bool:
        """Whether the other one would create the same."""
        return other is not None and (self.statement, self.sql_mode) == (other.statement, other.sql_mode)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def read_definitions(connection: Connection[Any], database: str) -> list[Definition]:
    """All code of a schema, in an order in which it can be created.

    :param connection: its default database must be that schema: only then are names written without it.
    :raises PreflightError: the text of an object is hidden from this account.
    """
    found = [*_routines(connection, database), *_triggers(connection, database)]
    return [*found, *_views(connection, database), *_events(connection, database)]


def create_definitions(connection: Connection[Any], database: str, definitions: Iterable[Definition]) -> None:
    """Create objects in a schema; views in whatever order they need each other.

    :raises BackupError: the first that cannot be created, by name.
    """
    pending = sorted(definitions, key=lambda item: _ORDER.index(item.kind))
    while pending:
        failures: list[tuple[Definition, BackupError]] = []
        for item in pending:
            try:
                create_definition(connection, database, item)
            except BackupError as error:
                if item.kind != "view" or not connection.open:
                    raise
                failures.append((item, error))
        if len(failures) == len(pending):
            raise failures[0][1]
        pending = [item for item, _ in failures]


def create_definition(connection: Connection[Any], database: str, item: Definition, *, replace: bool = False) -> None:
    """Create one object.

    :param replace: with OR REPLACE: grants on a routine then survive.
    :raises BackupError: naming the object, never its text.
    """
    statement = item.statement.replace("CREATE ", "CREATE OR REPLACE ", 1) if replace else item.statement
    # The text is sent as utf8mb4; another client character set is put back only where that makes no difference.
    charset = item.charset if item.charset.startswith("utf8") or statement.isascii() else "utf8mb4"
    with server_errors(f"creating the {item} in {database}"), connection.cursor() as cursor:
        connection.select_db(database)
        default = scalar(connection, "SELECT @@collation_database")
        borrowed = item.database_collation and item.database_collation != default
        if borrowed:
            cursor.execute(f"ALTER DATABASE COLLATE {item.database_collation}")
        try:
            cursor.execute(
                "SET time_zone = %s, sql_mode = %s, character_set_client = %s, collation_connection = %s",
                (item.time_zone, item.sql_mode, charset, item.collation),
            )
            cursor.execute(statement)
        finally:
            if connection.open:
                cursor.execute("SET time_zone = '+00:00', sql_mode = ''")
                cursor.execute("SET NAMES utf8mb4")
                if borrowed:
                    cursor.execute(f"ALTER DATABASE COLLATE {default}")


def drop_definition(connection: Connection[Any], database: str, item: Definition) -> None:
    """Drop one object, if it is there."""
    rows(connection, f"DROP {item.kind.upper()} IF EXISTS {quote(database)}.{quote(item.name)}")


def replace_definitions(
    connection: Connection[Any],
    database: str,
    flavour: Flavour,
    old: Collection[Definition],
    new: Collection[Definition],
) -> None:
    """Bring views and routines of a schema from ``old`` to ``new``; what does not change is not touched.

    :raises BackupError: the first that cannot be created, by name.
    """
    present = {(item.kind, item.name): item for item in old}
    wanted = {(item.kind, item.name) for item in new}
    for key, item in present.items():
        if key not in wanted:
            drop_definition(connection, database, item)
    missing: list[Definition] = []
    for item in new:
        before = present.get((item.kind, item.name))
        if item.same_code(before):
            continue
        if before and item.kind != "view" and flavour == "mariadb":
            create_definition(connection, database, item, replace=True)
            continue
        if before:
            drop_definition(connection, database, item)
        missing.append(item)
    create_definitions(connection, database, missing)


def point_sequences(
    connection: Connection[Any], database: str, old_schemas: Collection[str], names: Mapping[str, str] | None = None
) -> None:
    """Let column defaults use the schema's own sequences.

    MariaDB writes the schema's name before a sequence in a default, and does not change it when a table is renamed
    into another schema: the moved table would draw from a sequence that is gone, or is somebody else's.

    :param names: of the sequences that have another name now: old -> new.
    """
    renamed = {quote(old): quote(new) for old, new in (names or {}).items()}
    home = quote(database)
    defaults: dict[str, list[tuple[str, str]]] = {}
    for table, column, default in rows(
        connection,
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        " WHERE table_schema = %s AND (column_default LIKE '%%nextval(%%' OR column_default LIKE '%%lastval(%%')",
        (database,),
    ):
        moved = str(default)
        for schema in old_schemas:
            moved = re.sub(
                rf"\b((?:next|last)val\(){re.escape(quote(schema))}\.(`(?:[^`]|``)+`)",
                lambda found: f"{found[1]}{home}.{renamed.get(found[2], found[2])}",
                moved,
            )
        if moved != default:
            defaults.setdefault(str(table), []).append((str(column), moved))
    if defaults:
        rows(connection, "SET system_versioning_alter_history = KEEP")  # only MariaDB has sequences
    for table, columns in defaults.items():
        clauses = ", ".join(f"ALTER COLUMN {quote(name)} SET DEFAULT ({value})" for name, value in columns)
        rows(connection, f"ALTER TABLE {quote(database)}.{quote(table)} {clauses}")


def accounts(connection: Connection[Any]) -> set[str] | None:
    """All accounts and roles of the server as ``user@host``, ``None`` when this account may not see them."""
    try:
        return {f"{user}@{host}" for user, host in rows(connection, "SELECT user, host FROM mysql.user")}
    except PreflightError:
        return None


def system_accounts(connection: Connection[Any]) -> set[str]:
    """Accounts whose code only another of their kind may touch (MySQL manual, "Account Categories").

    Empty where there are none (MariaDB), and where this account may not see them.
    """
    try:
        found = rows(connection, "SELECT user, host FROM mysql.global_grants WHERE priv = 'SYSTEM_USER'")
    except BackupError:
        return set()
    return {f"{user}@{host}" for user, host in found}


def may_name_definers(grants: Grants) -> bool:
    """Whether the account may create objects that belong to others."""
    return any(grants.has(privilege) for privilege in _MAY_NAME_DEFINERS)


def with_owners(
    connection: Connection[Any], code: Iterable[Definition], owners: Mapping[tuple[str, str], str]
) -> tuple[list[Definition], int]:
    """Code in the name of its owners, as far as these exist here and the account may; and of how much that is true.

    :param owners: kind and name -> ``user@host``.
    """
    grants = Grants.of(connection)
    known = (accounts(connection) or set()) if may_name_definers(grants) else set()
    if not grants.has("SYSTEM_USER"):
        known -= system_accounts(connection)
    found = [(item, owners.get((item.kind, item.name), "")) for item in code]
    kept = sum(owner in known for _, owner in found)
    return [item.owned_by(owner) if owner in known else item for item, owner in found], kept


def _shown(connection: Connection[Any], what: str, database: str, name: str, column: int) -> Row:
    try:
        found = shown(connection, f"SHOW CREATE {what} {quote(database)}.{quote(name)}", _executable)
    except UnicodeDecodeError:
        raise PreflightError(
            f"The {what.lower()} {name} holds text of a character set in which it cannot be created again.",
            "Write that text as CONVERT(_utf8mb4'…' USING …) in its definition.",
        ) from None
    if found is None or found[column] is None:
        raise PreflightError(
            f"The definition of {what.lower()} {name} is hidden from this account.",
            "Give it the grants in include/sql/recovery_account.sql.",
        )
    return found


def _executable(text: bytes) -> str:
    """A definition that creates the same. MySQL shows a view's literals of other character sets as their bytes.

    :raises UnicodeDecodeError: there is one in which the second byte of a character may look like a quote.
    """
    return text.decode() if text.isascii() else _LITERAL.sub(_in_hexadecimal, text).decode()


def _in_hexadecimal(found: re.Match[bytes]) -> bytes:
    introducer, value = found[1], found[2]
    if introducer is None or introducer in _MISLEADING:
        return found[0]
    with suppress(UnicodeDecodeError):
        value.decode()
        return found[0]
    plain = _ESCAPED.sub(lambda escaped: _CONTROL.get(escaped[0], escaped[0][1:]), value)
    return introducer + b" x'" + plain.hex().encode() + b"'"


def _own(statement: object, database: str) -> str:
    return without_own_schema(str(statement).encode(), database).decode()


def _unqualified(view: str, database: str) -> str:
    """A view's text without its schema: MariaDB writes it before columns when the definer may not read the tables."""
    pattern = re.compile(rf"({_TEXT})|{re.escape(quote(database))}\.(?=`)", re.DOTALL)
    return pattern.sub(lambda found: found[1] or "", view)


def _views(connection: Connection[Any], database: str) -> Iterator[Definition]:
    for name, definer in rows(
        connection,
        "SELECT table_name, definer FROM information_schema.views WHERE table_schema = %s ORDER BY table_name",
        (database,),
    ):
        found = _shown(connection, "VIEW", database, str(name), 1)
        yield Definition(
            kind="view", name=str(name), statement=_unqualified(_own(found[1], database), database),
            charset=str(found[2]), collation=str(found[3]), definer=str(definer),
        )  # fmt: skip


def _triggers(connection: Connection[Any], database: str) -> Iterator[Definition]:
    for name, table, definer in rows(
        connection,
        "SELECT trigger_name, event_object_table, definer FROM information_schema.triggers WHERE trigger_schema = %s"
        " ORDER BY event_object_table, action_timing, event_manipulation, action_order",
        (database,),
    ):
        found = _shown(connection, "TRIGGER", database, str(name), 2)
        yield Definition(
            kind="trigger", name=str(name), statement=_own(found[2], database), sql_mode=str(found[1]),
            charset=str(found[3]), collation=str(found[4]), database_collation=str(found[5]),
            table=str(table), definer=str(definer),
        )  # fmt: skip


def _routines(connection: Connection[Any], database: str) -> Iterator[Definition]:
    kinds: dict[str, CodeKind] = {"PROCEDURE": "procedure", "FUNCTION": "function"}
    for name, routine_type, definer in rows(
        connection,
        "SELECT routine_name, routine_type, definer FROM information_schema.routines WHERE routine_schema = %s"
        " AND routine_type IN ('PROCEDURE', 'FUNCTION') ORDER BY routine_type, routine_name",
        (database,),
    ):
        found = _shown(connection, str(routine_type), database, str(name), 2)
        yield Definition(
            kind=kinds[str(routine_type)], name=str(name), statement=_own(found[2], database),
            sql_mode=str(found[1]), charset=str(found[3]), collation=str(found[4]),
            database_collation=str(found[5]), definer=str(definer),
        )  # fmt: skip


def _events(connection: Connection[Any], database: str) -> Iterator[Definition]:
    for name, definer, status in rows(
        connection,
        "SELECT event_name, definer, status FROM information_schema.events WHERE event_schema = %s ORDER BY event_name",
        (database,),
    ):
        found = _shown(connection, "EVENT", database, str(name), 3)
        yield Definition(
            kind="event", name=str(name), statement=_own(found[3], database), sql_mode=str(found[1]),
            time_zone=str(found[2]), charset=str(found[4]), collation=str(found[5]),
            database_collation=str(found[6]), definer=str(definer), enabled=str(status).upper() == "ENABLED",
        )  # fmt: skip
