"""Restoring a backup into a database that holds nothing yet.

The whole backup, or for single tables all that is needed of it, is authenticated before the first statement runs;
then it is read again, from the same version of the object, and loaded. The fence stands before both: what must not be
written to is refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import RestoreRefused, UnsupportedFormat
from include.backup_engine.mysql.deferred import large_tables
from include.backup_engine.mysql.lanes import lane_count
from include.backup_engine.mysql.load import Loader, be_lenient
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.row_data import tables_as_data, takes_data
from include.backup_engine.mysql.server import (
    Endpoint,
    database_exists,
    identify,
    kill_connection,
    own_id,
    quote,
    rows,
    scalar,
)
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.mysql.target import set_options
from include.backup_engine.mysql.turns import in_turns, take_turns
from include.backup_engine.policy import Policy
from include.backup_engine.records import Flavour, Record, Section
from include.backup_engine.report import Reporter, megabytes, peak_memory, rate
from include.backup_engine.stored import StoredBackup
from include.backup_engine.verify import Verification, verify, verify_tables

DRILL_PREFIX = "drill_"
_CHARSET = re.compile(r"[A-Za-z0-9_]{1,64}\Z")


class Restoration(Record):
    """What was restored, and how long it took.

    :param seconds: of the load alone; ``verified`` has the seconds of the pass before.
    """

    backup: str
    database: str
    verified: Verification
    statements: int
    sql_bytes: int
    seconds: float
    bytes_per_second: float
    definers_mapped: int
    events_disabled: int
    peak_memory_bytes: int


def create_database(endpoint: Endpoint, database: str, backup: StoredBackup) -> None:
    """Create the target with the character set that the source had. It must not exist.

    :raises RestoreRefused: it exists, or the backup was taken from this very schema of this very server.
    """
    facts = backup.facts
    if facts is None:
        raise UnsupportedFormat(
            f"{backup.name} was made by the original system, whose sidecar does not describe the database.",
            "Create the database by hand, decrypt the backup, and load it with the client.",
        )
    connection = endpoint.connect()
    try:
        _refuse_source(connection, database, backup)
        if database_exists(connection, database):
            raise RestoreRefused(
                f"The database {database} exists on {endpoint.name or endpoint.host}.",
                "Choose another name; a restore never writes into a database that exists.",
            )
        charset, collation = facts.census.charset, facts.census.collation
        if not (_CHARSET.match(charset) and _CHARSET.match(collation)):
            raise RestoreRefused("The sidecar's character set is not a name.", "Use another backup.")
        set_options(connection, "CREATE", database, charset, collation, facts.census.comment)
    finally:
        connection.close()


def drop_drill_database(endpoint: Endpoint, database: str) -> None:
    """Drop a drill's database. Any other name is refused.

    :raises RestoreRefused: the name does not have the drill prefix.
    """
    if not database.startswith(DRILL_PREFIX):
        raise RestoreRefused(f"{database} is not a drill's database.", f"Only {DRILL_PREFIX}… is ever dropped.")
    with endpoint.connect() as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(database)}")


def database_is_gone(endpoint: Endpoint, database: str) -> bool:
    """Whether the server has no such database."""
    with endpoint.connect() as connection:
        return not database_exists(connection, database)


def restore(
    backup: StoredBackup,
    endpoint: Endpoint,
    database: str,
    policy: Policy,
    keyring: Keyring,
    reporter: Reporter,
    cancellation: Cancellation,
    *,
    tables: Collection[str] = (),
    events: Literal["disable", "keep"] = "disable",
) -> Restoration:
    """Verify the backup, then load it into an empty database.

    :param tables: restore only these, with their triggers and the sequences that they draw from; empty: everything.

    :raises IntegrityError: the backup is not what was made; no statement has run.
    :raises RequestRefused: the backup does not hold one of the tables.
    :raises RestoreRefused: the target is not empty or is the source, or a statement would leave it.
    :raises LoadFailed: the server refused a statement; the target is to be dropped.
    """
    if tables:
        verified = verify_tables(backup, tables, policy, keyring, reporter)
    else:
        verified = verify(backup, policy, keyring, reporter, rows=False)
    facts = backup.facts
    sections = facts.stream.sections if facts else []
    statements = _statements(backup, sections, verified.excerpt.names if verified.excerpt else [])
    with reporter.stage(f"Load into {database}"):
        started = time.monotonic()
        with ExitStack() as opened:
            connections = [opened.enter_context(_connection(endpoint, database)) for _ in range(1 + lane_count())]
            _refuse_source(connections[0], database, backup)
            _refuse_filled(connections[0], database)
            others = [str(name) for (name,) in rows(connections[0], "SHOW DATABASES") if name != database]
            ids = [own_id(connection) for connection in connections]
            server = identify(connections[0])
            as_data = _tables_as_data(connections[0], sections, server.flavour, reporter)

            def interrupt() -> None:
                for number in ids:
                    kill_connection(endpoint, number)

            with cancellation.action(interrupt):
                loader = Loader(
                    connections,
                    database,
                    server=server,
                    source_database=facts.database if facts else database,
                    other_schemas=others,
                    powerful=Grants.of(connections[0]).powerful,
                    events=events,
                    large_tables=[table.name for table in large_tables(sections)],
                    as_data=as_data,
                    interrupt=interrupt,
                )
                loaded = loader.run(_until(cancellation, reporter.watch(statements, "Loaded")))
        seconds = time.monotonic() - started
    reporter.line(
        f"Backup {backup.name} restored into {database}: {sum(loaded.statements.values())} statements",
        tables=", ".join(verified.excerpt.names) if verified.excerpt else None,
        sql=megabytes(loaded.sql_bytes),
        seconds=round(seconds, 1),
        rate=rate(loaded.sql_bytes, seconds),
        rows_sent_as_data=loaded.rows_as_data or None,
        definers_mapped_to_this_account=loaded.definers_mapped,
        events_created_disabled=loaded.events_disabled,
        peak_memory=megabytes(peak_memory()),
    )
    return Restoration(
        backup=backup.name.stem,
        database=database,
        verified=verified,
        statements=sum(loaded.statements.values()),
        sql_bytes=loaded.sql_bytes,
        seconds=round(seconds, 3),
        bytes_per_second=round(loaded.sql_bytes / seconds),
        definers_mapped=loaded.definers_mapped,
        events_disabled=loaded.events_disabled,
        peak_memory_bytes=peak_memory(),
    )


@contextmanager
def _connection(endpoint: Endpoint, database: str) -> Iterator[Connection[Any]]:
    connection = endpoint.connect(database, sends_data=True)
    try:
        be_lenient(connection)
        yield connection
    finally:
        if connection.open:
            connection.close()


def _statements(backup: StoredBackup, sections: Sequence[Section], tables: Collection[str]) -> Iterator[bytes]:
    """The statements of some tables, or all, in the order in which they are loaded."""
    if tables:
        return split_statements(backup.sql_of(tables))
    turns = take_turns(sections, lane_count())
    if not backup.holds_exactly(turns.sections):
        return split_statements(backup.sql())
    return chain(
        split_statements(backup.sql_part(turns.before)),
        in_turns([(backup.sql_part(part), sum(section.sql_length for section in part)) for part in turns.beside]),
        split_statements(backup.sql_part(turns.after)),
    )


def _tables_as_data(
    connection: Connection[Any], sections: Sequence[Section], flavour: Flavour, reporter: Reporter
) -> dict[str, int]:
    """The large tables whose rows are sent as data, if the server takes any."""
    tables = tables_as_data(large_tables(sections), flavour)
    if tables and not takes_data(connection):
        reporter.line("Rows go to the target as statements, which takes it longer: its local_infile is off")
        return {}
    return tables


def _until(cancellation: Cancellation, statements: Iterator[bytes]) -> Iterator[bytes]:
    for statement in statements:
        cancellation.check()
        yield statement


def _refuse_source(connection: Connection[Any], database: str, backup: StoredBackup) -> None:
    facts = backup.facts
    if facts and facts.database == database and facts.server.instance_id == identify(connection).instance_id:
        raise RestoreRefused(
            f"{database} on this server is the source of {backup.name}.", "Restore under another name, or elsewhere."
        )


def _refuse_filled(connection: Connection[Any], database: str) -> None:
    found = scalar(
        connection,
        "SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = %s)",
        (database, database, database),
    )
    if found:
        raise RestoreRefused(
            f"The database {database} is not empty: it holds {found} objects.",
            "Restore into a database that does not exist yet.",
        )
