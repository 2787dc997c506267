"""The census: every object of a schema, with a normalised hash of its definition.

Definitions are compared between a source and its restored copy, so what legitimately differs is taken out
before hashing: the next AUTO_INCREMENT value, the schema's own name (identifiers.py), the definer, and whether an
event is enabled. Definer and status are recorded beside the hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.extent import FULL, Look
from include.backup_engine.mysql.identifiers import QUOTED, unquoted, without_own_schema
from include.backup_engine.mysql.server import Row, quote, row, rows, scalar, shown
from include.backup_engine.mysql.side_by_side import side_by_side
from include.backup_engine.records import Census, Flavour, ObjectFacts, TableFacts

_AUTO_INCREMENT = re.compile(r"^(\) (?:/\*!.*?\*/ )?ENGINE=\w+) AUTO_INCREMENT=(\d+)", re.MULTILINE)
_DEFINER = re.compile(rb"\A([^`'\"]*?)\bDEFINER=(" + QUOTED + rb")(?:@(" + QUOTED + rb"))? ?")
_EVENT_STATUS = re.compile(r"(ON COMPLETION (?:NOT )?PRESERVE) (ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)\b")
_INVISIBLE = re.compile(
    r"^(  `(?:[^`]|``)++`)((?:'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|[^'`\n])*?) INVISIBLE\b", re.MULTILINE
)
_HEX_DEFAULT = re.compile(
    r"^(  `(?:[^`]|``)++`(?:'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|[^'`\n])*? DEFAULT )x'([0-9a-f]*)'", re.MULTILINE
)
_ESCAPED = ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"'", b"''"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_END = re.compile(r"(?:\s*;)+\s*\Z")
_CHARSET_ECHO = re.compile(r" CHARACTER SET \w+(?= COLLATE \w+)")  # MySQL adds it on re-creation


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def _neutral(definition: str, database: str) -> tuple[str, str | None]:
    """The definition without definer and without the schema's own name in it, and the definer.

    Without the ";" behind it, too, which MySQL keeps of code that was one of several statements in a text, and does
    not when it is created anew.
    """
    code = definition.encode()
    definer = None
    if found := _DEFINER.match(code):
        definer = "@".join(unquoted(part) for part in found.groups()[1:] if part)
        code = found[1] + code[found.end() :]
    return _END.sub("", without_own_schema(code, database).decode()), definer


def take_census(
    connection: Connection[Any],
    flavour: Flavour,
    database: str,
    excluded_tables: Collection[str] = (),
    sequences: Mapping[str, int] | None = None,
) -> Census:
    """List all objects of the schema, without fingerprints.

    :param sequences: next values that were read before, see :func:`next_values`; ``None`` reads them now.
    :raises PreflightError: when the definition of an object is hidden from this account, or a view is broken.
    """
    charset, collation, comment = schema_options(connection, flavour, database)
    return Census(
        charset=charset,
        collation=collation,
        comment=comment,
        collations=_collations(connection, database, excluded_tables),
        data_types=_data_types(connection, database, excluded_tables),
        tables=list(
            _tables(
                connection,
                flavour,
                database,
                excluded_tables,
                next_values(connection, database) if sequences is None else sequences,
            )
        ),
        objects=[
            *_views(connection, database),
            *_triggers(connection, database, excluded_tables),
            *_routines(connection, database),
            *_events(connection, database),
        ],
        excluded_tables=sorted(excluded_tables),
    )


def schema_options(connection: Connection[Any], flavour: Flavour, database: str) -> tuple[str, str, str | None]:
    """A schema's character set, its collation and its comment; ``None``: schemas have no comments (MySQL).

    :raises PreflightError: there is none of that name, or it is hidden from this account.
    """
    # All columns: MariaDB has the comment, the sixth, from 10.5 on.
    found = row(connection, "SELECT * FROM information_schema.schemata WHERE schema_name = %s", (database,))
    if found is None:
        raise PreflightError(
            f"There is no database {database}, or this account may not see it.", "Check the name and the grants."
        )
    comment = str(found[5]) if flavour == "mariadb" and len(found) > 5 else None
    return str(found[2]), str(found[3]), comment


def add_fingerprints(
    connections: Sequence[Connection[Any]],
    database: str,
    census: Census,
    on_table: Callable[[TableFacts], None] = lambda _: None,
    look: Look = FULL.look,
    after: Callable[[Connection[Any]], None] = lambda _: None,
) -> Census:
    """The census with rows and fingerprints of every table, each read in the transaction of one of the connections.

    :param connections: a database that others change must be read by one, or by several in one snapshot.
    :param look: how much of a table is hashed; everything unless told otherwise.
    :param on_table: called with each table, in their order, for progress and for stopping early (by raising).
    :param after: called after each table with the connection that has read it, on which nothing runs meanwhile.
    """

    def add(connection: Connection[Any], table: TableFacts) -> TableFacts:
        if table.kind != "table":
            return table
        hashed = look(connection, database, table)
        after(connection)
        return hashed

    sizes = _sizes(connections[0], database) if len(connections) > 1 else {}
    tables: list[TableFacts] = []
    with closing(side_by_side(connections, census.tables, add, lambda table: sizes.get(table.name, 0))) as results:
        for table in results:
            tables.append(table)
            on_table(table)
    return census.model_copy(update={"tables": tables})


def _sizes(connection: Connection[Any], database: str) -> dict[str, int]:
    """Bytes of each table, as the server estimates them."""
    query = "SELECT table_name, COALESCE(data_length, 0) FROM information_schema.tables WHERE table_schema = %s"
    return {str(name): int(size) for name, size in rows(connection, query, (database,))}


def _collations(connection: Connection[Any], database: str, excluded: Collection[str]) -> list[str]:
    """All collations that the database's tables, columns and code name; a server without one cannot take them."""
    of_tables = rows(
        connection,
        "SELECT DISTINCT table_name, table_collation FROM information_schema.tables WHERE table_schema = %s"
        " UNION SELECT DISTINCT table_name, collation_name FROM information_schema.columns WHERE table_schema = %s",
        (database,) * 2,
    )
    of_code = rows(
        connection,
        "SELECT collation_connection FROM information_schema.views WHERE table_schema = %s"
        " UNION SELECT collation_name FROM information_schema.parameters WHERE specific_schema = %s"
        " UNION SELECT collation_connection FROM information_schema.routines WHERE routine_schema = %s"
        " UNION SELECT database_collation FROM information_schema.routines WHERE routine_schema = %s"
        " UNION SELECT collation_connection FROM information_schema.triggers WHERE trigger_schema = %s"
        " UNION SELECT database_collation FROM information_schema.triggers WHERE trigger_schema = %s"
        " UNION SELECT collation_connection FROM information_schema.events WHERE event_schema = %s"
        " UNION SELECT database_collation FROM information_schema.events WHERE event_schema = %s",
        (database,) * 8,
    )
    found = {name for table, name in of_tables if table not in excluded} | {name for (name,) in of_code}
    return sorted(str(name) for name in found if name)


def _data_types(connection: Connection[Any], database: str, excluded: Collection[str]) -> list[str]:
    """All types that columns have; a server without one cannot take them."""
    found = rows(
        connection,
        "SELECT DISTINCT table_name, LOWER(data_type) FROM information_schema.columns WHERE table_schema = %s",
        (database,),
    )
    return sorted({str(name) for table, name in found if table not in excluded})


def _tables(
    connection: Connection[Any],
    flavour: Flavour,
    database: str,
    excluded: Collection[str],
    sequences: Mapping[str, int],
) -> Iterator[TableFacts]:
    found = rows(
        connection,
        "SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema = %s"
        " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY table_name",
        (database,),
    )
    for name, table_type, engine in ((str(n), str(t), e) for n, t, e in found):
        if name in excluded:
            continue
        what: Literal["TABLE", "SEQUENCE"] = "SEQUENCE" if table_type == "SEQUENCE" else "TABLE"
        definition, _ = _neutral(_show(connection, what, database, name, 1), database)
        counter = _AUTO_INCREMENT.search(definition)
        definition = _AUTO_INCREMENT.sub(r"\1", definition)
        # Before a column's default in MariaDB 10.11, behind it in 11.8.
        definition = _INVISIBLE.sub(r"\1 INVISIBLE\2", definition)
        definition = _HEX_DEFAULT.sub(_as_text, definition)
        if flavour == "mysql":
            definition = _CHARSET_ECHO.sub("", definition)
        yield TableFacts(
            name=name,
            kind="sequence" if what == "SEQUENCE" else "table",
            fingerprint=str(sequences[name]) if name in sequences else None,
            definition_sha256=_digest(definition),
            engine=str(engine) if engine else None,
            auto_increment=int(counter[2]) if counter else None,
            versioned=table_type == "SYSTEM VERSIONED",
        )


def _as_text(found: re.Match[str]) -> str:
    """A binary column's default as MariaDB 10.11 writes it; 11.8 writes its bytes in hexadecimal."""
    value = bytes.fromhex(found[2])
    for byte, escaped in _ESCAPED:
        value = value.replace(byte, escaped)
    return f"{found[1]}'{value.decode('utf-8', 'backslashreplace')}'"


def _show(connection: Connection[Any], what: str, database: str, name: str, column: int) -> str:
    """One column of SHOW CREATE; a hidden definition comes back as NULL (MySQL manual, SHOW CREATE PROCEDURE)."""
    return _visible(shown(connection, f"SHOW CREATE {what} {quote(database)}.{quote(name)}"), what, name, column)


def _visible(found: Row | None, what: str, name: str, column: int) -> str:
    if found is None or found[column] is None:
        raise PreflightError(
            f"The definition of {what.lower()} {name} is hidden from the backup account.",
            "Give it the grants in include/sql/backup_account.sql.",
        )
    return str(found[column])


def _surroundings(found: Row | None, start: int, end: int) -> Row:
    """What the server keeps beside the text of code, without which it means something else: the SQL mode, the
    character set and the collation of the connection, the collation of the database (MySQL manual, SHOW CREATE).
    """
    return found[start:end] if found else ()


def _views(connection: Connection[Any], database: str) -> Iterator[ObjectFacts]:
    for (name,) in rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'VIEW' ORDER BY 1",
        (database,),
    ):
        found = shown(connection, f"SHOW CREATE VIEW {quote(database)}.{quote(str(name))}")
        definition, definer = _neutral(_visible(found, "VIEW", str(name), 1), database)
        digest = _digest(definition, *_surroundings(found, 2, 4))
        yield ObjectFacts(kind="view", name=str(name), definition_sha256=digest, definer=definer)


def _triggers(connection: Connection[Any], database: str, excluded: Collection[str]) -> Iterator[ObjectFacts]:
    for name, table, timing, event, order in rows(
        connection,
        "SELECT trigger_name, event_object_table, action_timing, event_manipulation, action_order"
        " FROM information_schema.triggers WHERE trigger_schema = %s ORDER BY trigger_name",
        (database,),
    ):
        if str(table) in excluded:
            continue
        found = shown(connection, f"SHOW CREATE TRIGGER {quote(database)}.{quote(str(name))}")
        definition, definer = _neutral(_visible(found, "TRIGGER", str(name), 2), database)
        digest = _digest(
            definition, *_surroundings(found, 1, 2), *_surroundings(found, 3, 6), table, timing, event, order
        )
        yield ObjectFacts(kind="trigger", name=str(name), definition_sha256=digest, definer=definer)


def _routines(connection: Connection[Any], database: str) -> Iterator[ObjectFacts]:
    for name, routine_type in rows(
        connection,
        "SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = %s"
        " AND routine_type IN ('PROCEDURE', 'FUNCTION') ORDER BY routine_name, routine_type",
        (database,),
    ):
        found = shown(connection, f"SHOW CREATE {routine_type} {quote(database)}.{quote(str(name))}")
        definition, definer = _neutral(_visible(found, str(routine_type), str(name), 2), database)
        yield ObjectFacts(
            kind="procedure" if routine_type == "PROCEDURE" else "function",
            name=str(name),
            definition_sha256=_digest(definition, *_surroundings(found, 1, 2), *_surroundings(found, 3, 6)),
            definer=definer,
        )


def _events(connection: Connection[Any], database: str) -> Iterator[ObjectFacts]:
    for name, status in rows(
        connection,
        "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s ORDER BY event_name",
        (database,),
    ):
        found = shown(connection, f"SHOW CREATE EVENT {quote(database)}.{quote(str(name))}")
        definition, definer = _neutral(_visible(found, "EVENT", str(name), 3), database)
        definition = _EVENT_STATUS.sub(r"\1", definition, count=1)
        digest = _digest(definition, *_surroundings(found, 1, 3), *_surroundings(found, 4, 7))
        yield ObjectFacts(
            kind="event", name=str(name), definition_sha256=digest, definer=definer, status=str(status).upper()
        )


def next_values(connection: Connection[Any], database: str) -> dict[str, int]:
    """The next value of every sequence.

    A sequence belongs to no snapshot: whoever reads later sees more. So this is read before the dump reads it,
    and the restored copy must then not be behind.
    """
    names = rows(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'SEQUENCE'",
        (database,),
    )
    return {
        str(name): int(scalar(connection, f"SELECT next_not_cached_value FROM {quote(database)}.{quote(str(name))}"))  # noqa: S608
        for (name,) in names
    }


def with_least_counters(census: Census, *others: Census) -> Census:
    """A census with the least AUTO_INCREMENT that it or one of the others has seen of each table.

    It is in no snapshot. It grows with rows; and it falls back to what follows the last row when InnoDB, which reserves
    more for an INSERT … SELECT, reads the table's definition anew (after 300 rows, from 512 to 301).
    """
    seen = [{table.name: table.auto_increment or 1 for table in other.tables} for other in others]
    tables = []
    for table in census.tables:
        least = min([table.auto_increment or 1, *(values.get(table.name, 1) for values in seen)])
        tables.append(table.model_copy(update={"auto_increment": least if least > 1 else None}))
    return census.model_copy(update={"tables": tables})


def has_versioned_tables(connection: Connection[Any], database: str) -> bool:
    """Whether the schema has system-versioned tables, whose history a dump must be asked for."""
    found = scalar(
        connection,
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_type = 'SYSTEM VERSIONED'",
        (database,),
    )
    return bool(found)


def schema_changes(before: Census, after: Census) -> list[str]:
    """What was created, altered or dropped between two censuses of the same schema, by name."""
    old, new = (
        {(item.kind, item.name): item.definition_sha256 for item in census.everything} for census in (before, after)
    )
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return sorted(f"{kind} {name}" for kind, name in changed)
