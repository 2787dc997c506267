"""Putting a restored database in the place of the target: tables renamed in one statement, then the code recreated.

The restored copy lies beside the target as ``<target>_incoming_<time>``. RENAME TABLE moves the old tables to
``<target>_before_<time>`` and the new ones into the target, all or none. Before it, nothing of the target has
changed but its triggers, which a table cannot take along (error 1435); their text, and that of all other old code,
is written into the before-database first, so that whoever comes after a killed process can put it back.
"""

from __future__ import annotations

import time
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.beside import JOURNAL, keep_old, missing_code, tables_of, write_down
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census
from include.backup_engine.errors import BackupError, RecoveryFailed, RestoreRefused
from include.backup_engine.mysql.census import schema_options, take_census
from include.backup_engine.mysql.definitions import (
    Definition,
    create_definition,
    create_definitions,
    drop_definition,
    point_sequences,
    read_definitions,
    replace_definitions,
    with_owners,
)
from include.backup_engine.mysql.foreign_keys import foreign_keys, point_foreign_keys
from include.backup_engine.mysql.health import check_views
from include.backup_engine.mysql.server import (
    Endpoint,
    database_exists,
    identify,
    kill_connection,
    own_id,
    quote,
    rows,
    server_errors,
)
from include.backup_engine.mysql.target import set_options, swap_hindrances, wait_for_end
from include.backup_engine.records import Census, Record
from include.backup_engine.report import Reporter

_LOCK_SECONDS = 15


class Swapped(Record):
    """What a swap has done.

    :param before: the database that holds the old content until someone drops it; ``None`` when there was none.
    :param not_kept: old code that could not be created again beside the old tables; its text is in the journal.
    :param seconds: of the whole swap; ``rename_seconds`` of the one statement.
    :param copies: single tables that came beside live ones (copies.py): table -> the name that its copy has.
    :param left_out: triggers, foreign keys and, on MySQL, checks that these copies do not have.
    """

    database: str
    before: str | None
    tables_in: int
    tables_out: int
    code_in: int
    code_out: int
    definers_kept: int
    events_enabled: list[str]
    not_kept: list[str]
    rename_seconds: float
    seconds: float
    copies: dict[str, str]
    left_out: list[str]


def swap(
    endpoint: Endpoint,
    target: str,
    incoming: str,
    before: str,
    census: Census,
    reporter: Reporter,
    cancellation: Cancellation,
    *,
    overwrite: bool,
) -> Swapped:
    """Put ``incoming``, which has been compared with ``census``, in the place of ``target``.

    A target that does not exist or holds nothing is filled, and its events stay disabled; one that holds something
    is overwritten, and the events that were enabled in the source are enabled in the end.

    :param overwrite: whether it may be overwritten.
    :raises RestoreRefused: this target cannot be swapped; it is unchanged.
    :raises SourceUnavailable, SourceBusy, Cancelled: before the rename; the target is as it was.
    :raises RecoveryFailed: after the rename; says what is where.
    """
    started = time.monotonic()
    connection = endpoint.connect(incoming)
    try:
        exchange = _Exchange(endpoint, connection, target, incoming, before, census, reporter)
        if exchange.overwrites and not overwrite:
            raise RestoreRefused(
                f"{target} holds {len(exchange.tables_out)} tables by now, and nobody approved to overwrite them.",
                "Find out who has filled it; recover under another name, or ask for an overwrite.",
            )
        with reporter.stage(f"Swap {incoming} into {target}"):
            rename_seconds = exchange.rename(cancellation)
            try:
                events_enabled, not_kept = exchange.finish()
            except BackupError as error:
                raise _half_done(exchange, error.cause) from None
    finally:
        if connection.open:
            connection.close()
    result = Swapped(
        database=target,
        before=before if exchange.overwrites else None,
        tables_in=len(exchange.tables_in),
        tables_out=len(exchange.tables_out),
        code_in=len(exchange.code_in),
        code_out=len(exchange.code_out),
        definers_kept=exchange.definers_kept,
        events_enabled=events_enabled,
        not_kept=not_kept,
        rename_seconds=round(rename_seconds, 3),
        seconds=round(time.monotonic() - started, 3),
        copies={},
        left_out=[],
    )
    reporter.line(
        f"{target} is what the backup holds", tables=result.tables_in, old_content=result.before,
        rename_seconds=result.rename_seconds, events_enabled=len(events_enabled),
    )  # fmt: skip
    return result


class _Exchange:
    """The state of one swap."""

    def __init__(
        self, endpoint: Endpoint, connection: Connection[Any], target: str, incoming: str, before: str, census: Census,
        reporter: Reporter,
    ) -> None:  # fmt: skip
        self._endpoint = endpoint
        self._connection = connection
        self._flavour = identify(connection).flavour
        self.target, self.incoming, self.before = target, incoming, before
        self._census = census
        self._reporter = reporter
        self.tables_in = tables_of(connection, incoming)
        self.code_in = read_definitions(connection, incoming)
        # After a restore of some tables: those that others refer to may not be among them.
        self._without_parent = [k for k in foreign_keys(connection, incoming) if k.parent not in self.tables_in]
        self.tables_out: list[str] = []
        self.code_out: list[Definition] = []
        self.definers_kept = 0
        if exists := database_exists(connection, target):
            self.tables_out = tables_of(connection, target)
            with server_errors(f"opening {target}"):
                connection.select_db(target)
            self.code_out = read_definitions(connection, target)
        self._target_exists = bool(exists)
        self._made: list[str] = []  # databases that this swap has created, and may drop again while they hold nothing
        self.overwrites = bool(self.tables_out or self.code_out)
        # What stands in the way of the rename: triggers of the old tables, and views under a new table's name.
        self._in_the_way = [
            item
            for item in self.code_out
            if item.kind == "trigger" or (item.kind == "view" and item.name in self.tables_in)
        ]
        if self.overwrites:
            owners: dict[tuple[str, str], str] = {
                (item.kind, item.name): item.definer for item in census.objects if item.definer
            }
            self.code_in, self.definers_kept = with_owners(connection, self.code_in, owners)

    def rename(self, cancellation: Cancellation) -> float:
        """Move all tables at once; returns how long that took, in seconds.

        Whatever goes wrong, either it has not happened and the target is as it was, or all of it has.
        """
        connection = self._connection
        problems, _ = swap_hindrances(connection, self.target)
        if database_exists(connection, self.before):
            problems.append(f"{self.before} exists: this run has swapped before; trigger a new one")
        if problems:
            raise RestoreRefused(
                f"{self.target} cannot be swapped: {'; '.join(problems)}.", "Restore under another name instead."
            )
        pairs = [(self.target, self.before, name) for name in self.tables_out]
        pairs += [(self.incoming, self.target, name) for name in self.tables_in]
        moves = ", ".join(f"{quote(a)}.{quote(name)} TO {quote(b)}.{quote(name)}" for a, b, name in pairs)
        number = own_id(connection)
        try:
            with cancellation.action(lambda: kill_connection(self._endpoint, number)):
                self._prepare()
                cancellation.check()
                rows(connection, f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
                point_foreign_keys(connection, self._flavour, self.incoming, self._without_parent, self.target)
                for item in self.code_in:
                    if item.kind == "trigger":
                        drop_definition(connection, self.incoming, item)
                for item in reversed(self._in_the_way):  # what stays keeps its order
                    drop_definition(connection, self.target, item)
                started = time.monotonic()
                if pairs:
                    with server_errors(f"renaming {len(pairs)} tables"), connection.cursor() as cursor:
                        cursor.execute(f"RENAME TABLE {moves}")
                return time.monotonic() - started
        except BaseException as error:  # a task's time limit is no Exception
            self._undo_or_tell(number, error)
            raise

    def _prepare(self) -> None:
        """Make room for the old content, and write down its code before anything of it is touched."""
        connection, census = self._connection, self._census
        if not self._target_exists:
            self._create(self.target, census.charset, census.collation, census.comment)
        if not self.overwrites:
            return
        self._create(self.before, *schema_options(connection, self._flavour, self.target))
        write_down(connection, self.before, self.code_out)

    def _create(self, database: str, charset: str, collation: str, comment: str | None) -> None:
        set_options(self._connection, "CREATE", database, charset, collation, comment)
        self._made.append(database)

    def _undo_or_tell(self, number: int, error: BaseException) -> None:
        """After a failure: see whether the rename has happened; if not, put back what stood in its way.

        :raises RecoveryFailed: it has happened, or the target could not be put back.
        """
        cause = error.cause if isinstance(error, BackupError) else type(error).__name__
        if self._connection.open:
            self._connection.close()
        try:
            with self._endpoint.connect() as connection:
                wait_for_end(self._endpoint, connection, number)
                if self.tables_in and not tables_of(connection, self.incoming):
                    raise _half_done(self, cause)
                if self._in_the_way:
                    missing = missing_code(connection, self.target, self._in_the_way)
                    create_definitions(connection, self.target, missing)
                for database in self._made:
                    if tables_of(connection, database) in ([], [JOURNAL]):
                        rows(connection, f"DROP DATABASE {quote(database)}")
        except RecoveryFailed:
            raise
        except BackupError as second:
            raise RecoveryFailed(
                f"The swap failed ({cause}), and {self.target} could not be looked after ({second.cause});"
                f" it holds its old tables, or all of the backup's and {self.before} the old ones; its triggers may be"
                f" missing and are then written down in {self.before}.{JOURNAL}.",
                "Run disaster_recovery again: before anything else it puts that right.",
            ) from None
        self._reporter.warn(f"The swap failed before its rename; {self.target} is as it was")

    def finish(self) -> tuple[list[str], list[str]]:
        """Everything after the rename: code, sequences, events, and a look at the result."""
        connection = self._connection
        for item in self.code_out:
            if item.kind == "event":
                drop_definition(connection, self.target, item)
        create_definitions(connection, self.target, [item for item in self.code_in if item.kind == "trigger"])
        point_sequences(connection, self.target, [self.incoming])
        census = self._census
        set_options(connection, "ALTER", self.target, census.charset, census.collation, census.comment)
        stays = [i for i in self.code_out if i.kind not in ("trigger", "event") and i not in self._in_the_way]
        comes = [i for i in self.code_in if i.kind not in ("trigger", "event")]
        replace_definitions(connection, self.target, self._flavour, stays, comes)
        create_definitions(connection, self.target, [item for item in self.code_in if item.kind == "event"])
        not_kept: list[str] = []
        if self.overwrites:
            not_kept = keep_old(connection, self.target, self.before, self.code_out, self._reporter)
        self._check()
        enabled = self._enable_events() if self.overwrites else []
        rows(connection, f"DROP DATABASE {quote(self.incoming)}")
        return enabled, not_kept

    def _check(self) -> None:
        """Compare all definitions with the snapshot's, and run the views.

        The rows were compared in the incoming database; the same tables are here now, and applications may write.
        """
        connection = self._connection
        with server_errors(f"opening {self.target}"):
            connection.select_db(self.target)
        tables = [
            item if item.kind == "sequence" else item.model_copy(update={"rows": None, "fingerprint": None})
            for item in self._census.tables
        ]
        expected = self._census.model_copy(update={"tables": tables})
        actual = take_census(connection, self._flavour, self.target)
        findings, _ = compare_census(expected, actual, events_disabled=True)
        findings += check_views(connection, self.target)
        if findings:
            raise RecoveryFailed(f"{'; '.join(findings[:20])}.", "Find out why before anybody uses it.")

    def _enable_events(self) -> list[str]:
        wanted = {item.name for item in self._census.objects if item.kind == "event" and item.status == "ENABLED"}
        events = [item for item in self.code_in if item.kind == "event" and item.name in wanted]
        for item in events:
            drop_definition(self._connection, self.target, item)
            create_definition(self._connection, self.target, item.switched(True))
        return [item.name for item in events]


def _half_done(exchange: _Exchange, cause: str) -> RecoveryFailed:
    old = f"its old content is in {exchange.before}" if exchange.overwrites else "it held nothing before"
    return RecoveryFailed(
        f"The tables of {exchange.target} have been swapped, but then: {cause} {exchange.target} holds the backup's"
        f" tables, its code may be incomplete and its events are disabled; {old}.",
        "To go on, run disaster_recovery again with the same parameters. To go back, run it with the safety backup.",
    )
