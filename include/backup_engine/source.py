"""Reading a source: one snapshot, and from it a compressed dump, a census and fingerprints.

The dump streams while a second connection, in the same snapshot, counts and hashes every table. What the
stream must prove (exit codes, end marker, census, unchanged schema) is proved before its last byte is handed
out, so whoever writes the stream elsewhere never completes a dump that is not whole.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import DumpFailed, PreflightError, SchemaChanged, SnapshotUnproven
from include.backup_engine.mysql.census import (
    add_fingerprints,
    has_versioned_tables,
    next_values,
    schema_changes,
    take_census,
    with_least_counters,
)
from include.backup_engine.mysql.client import DumpProgram, find_dump_program
from include.backup_engine.mysql.division import PARALLEL_BYTES, Share, divide
from include.backup_engine.mysql.dump import Dump, check_completeness, dump_arguments, share_arguments
from include.backup_engine.mysql.dump_lanes import JoinedText
from include.backup_engine.mysql.dump_text import DumpText, SingleText
from include.backup_engine.mysql.extent import LARGE_TABLE_ROWS, Extent
from include.backup_engine.mysql.obstacles import not_dumpable
from include.backup_engine.mysql.parallel import reading_connections
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, kill_connection, variable
from include.backup_engine.mysql.snapshot import MUCH_HISTORY, Snapshot, ladder, open_snapshot, schema_changed
from include.backup_engine.policy import SourcePolicy, ThrottlePolicy
from include.backup_engine.records import Census, ServerIdentity, SourceFacts, TableFacts
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.throttle import Throttle

_SNAPSHOT_ATTEMPTS = 5
_PARALLEL_ATTEMPTS = 2
"""Then one connection reads for the census, and one for the dump: without a lock, the more are opened, the likelier the
source moves on."""


class SourceReader:
    """One reading of a source. Consume :meth:`compressed` to its end, then ask :meth:`facts`."""

    def __init__(
        self, snapshot: Snapshot, text: DumpText, server: ServerIdentity, policy: SourcePolicy, program: DumpProgram,
        endpoint: Endpoint, before: Census, sequences: Mapping[str, int], extent: Extent, reporter: Reporter,
        cancellation: Cancellation,
    ) -> None:  # fmt: skip
        self._snapshot = snapshot
        self._text = text
        self._server = server
        self._policy = policy
        self._program = program
        self._endpoint = endpoint
        self._before = before
        self._sequences = sequences
        self._extent = extent
        self._reporter = reporter
        self._cancellation = cancellation
        self._census: Census | None = None
        self._fingerprint_seconds = 0.0
        self._stream = self._read()

    def compressed(self) -> Iterator[bytes]:
        """The dump, compressed, in members that start at tables.

        :raises DumpFailed, ContentIncomplete, SchemaChanged: before the last chunk.
        """
        return self._stream

    def close(self) -> None:
        """End the dump and the census, when whoever took the stream did not come to its end."""
        self._stream.close()

    def _read(self) -> Generator[bytes, None, None]:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="census") as pool:
            census = pool.submit(self._take_census)
            try:
                blocks = self._text.blocks()
                with closing(blocks):
                    for block in self._reporter.watch(blocks, "Compressed"):
                        if census.done():
                            census.result()  # if it failed, so has the backup, and there is no need to go on
                        yield block
                self._census = self._checked(census)
            except BaseException as error:
                self._stop_census(census)
                if isinstance(error, DumpFailed):
                    self._cancellation.check()  # a stop kills the dump, too
                raise
            yield self._text.finish()

    def _take_census(self) -> Census:
        connection, database = self._snapshot.connection, self._policy.database
        census = take_census(connection, self._server.flavour, database, self._policy.exclude_tables, self._sequences)
        census = census.model_copy(update={"excluded_because": dict(self._policy.exclude_tables)})
        self._text.know(census)
        if self._snapshot.method != "none" and self._policy.fingerprints != "off":
            census = self._add_fingerprints(census)
        self._snapshot.end()
        return census

    def _add_fingerprints(self, census: Census) -> Census:
        started = time.monotonic()

        def after_table(table: TableFacts) -> None:
            if table.note:
                as_asked = table.ranges and not table.fingerprint and self._extent.sampled
                tell = self._reporter.line if as_asked else self._reporter.warn
                tell(f"Table {table.name}: {table.note}")

        def after(reader: Connection[Any]) -> None:
            self._snapshot.let_schema_change(reader)
            self._text.join_pause()
            self._cancellation.check()

        connections = [self._snapshot.connection, *self._snapshot.others]
        census = add_fingerprints(connections, self._policy.database, census, after_table, self._extent.look, after)
        self._fingerprint_seconds = round(time.monotonic() - started, 3)
        return census

    def _checked(self, census: Future[Census]) -> Census:
        """The census, once it agrees with the stream, nothing has changed under it, and the policy is content."""
        taken, snapshot, policy = census.result(), self._snapshot, self._policy
        connection = self._endpoint.connect(policy.database)
        try:
            now = take_census(connection, self._server.flavour, policy.database, policy.exclude_tables)
            if changed := schema_changes(self._before, taken) or schema_changes(taken, now):
                raise schema_changed(changed)
            snapshot.judge(connection)
        finally:
            connection.close()
        taken = with_least_counters(taken, self._before, now)
        everything = {table.name for table in taken.tables}
        if (kept := snapshot.history or 0) > MUCH_HISTORY:
            self._reporter.warn(
                f"The server keeps the old rows of {kept:,} transactions for snapshots such as this backup's;"
                " take it of a replica, or at a quieter hour"
            )
        if snapshot.method == "none":
            taken = self._counted_in_stream(taken, everything, "no common snapshot is proved")
        elif policy.fingerprints == "off":
            taken = self._counted_in_stream(taken, everything, "fingerprints are off")
        elif snapshot.written:
            taken = self._counted_in_stream(taken, snapshot.written, "written while it was dumped")
        check_completeness(self._text.contents, taken)
        _check_verdict(snapshot, policy)
        return taken

    def _counted_in_stream(self, census: Census, names: Collection[str], note: str) -> Census:
        """The census without what was not read where the dump was: those tables' fingerprints."""
        counts = self._text.contents.tables
        tables = [
            table.model_copy(update={"rows": counts.get(table.name), "fingerprint": None, "ranges": None, "note": note})
            if table.kind == "table" and table.name in names
            else table
            for table in census.tables
        ]
        return census.model_copy(update={"tables": tables})

    def _stop_census(self, census: Future[Census]) -> None:
        """Free the thread that may be waiting for a long query, so that nobody has to wait for it."""
        self._text.kill()
        if census.done() or census.cancel():
            return
        ids = [self._snapshot.connection_id, *self._snapshot.other_ids]
        if not all([kill_connection(self._endpoint, number) for number in ids]):
            self._reporter.warn("The census query could not be stopped on the server")
        census.exception()  # waits; whatever it says, the first error is the one to report

    def facts(self) -> SourceFacts:
        """What was learnt, once :meth:`compressed` has ended."""
        if self._census is None:
            raise RuntimeError("facts() before the stream has ended")
        return SourceFacts(
            database=self._policy.database,
            server=self._server,
            consistency=self._snapshot.consistency(),
            census=self._census,
            stream=self._text.facts(),
            tools={
                "dump": self._program.version,
                "python": platform.python_version(),
                **{name: version(name) for name in ("cryptography", "isal", "zstandard", "xxhash", "boto3")},
            },
            fingerprints=self._policy.fingerprints,
            fingerprint_seconds=self._fingerprint_seconds,
        )


@contextmanager
def read_source(
    endpoint: Endpoint, policy: SourcePolicy, reporter: Reporter, cancellation: Cancellation, *,
    turn: int = 0, large_rows: int = LARGE_TABLE_ROWS, least_parallel: int = PARALLEL_BYTES,
) -> Iterator[SourceReader]:  # fmt: skip
    """Open the snapshot and start the dump in it; on leaving, no process and no connection is left.

    :param turn: number of the backup, which says whose turn it is when the policy has large tables sampled.
    :param large_rows: rows from which on a table is large.
    :param least_parallel: bytes of data from which on several programs dump it.

    :raises PreflightError: client, privileges or account do not allow a complete dump.
    :raises SnapshotUnproven, SourceBusy, SourceUnavailable, DumpFailed: see there.
    """
    database = policy.database
    connection = endpoint.connect(database)
    try:
        server = identify(connection)
        grants = Grants.of(connection)
        binary_log = variable(connection, "log_bin") == "ON"
        readers = reading_connections(policy, connection, server.flavour)
        hindrances = not_dumpable(connection, database, policy.exclude_tables)
    finally:
        connection.close()
    if missing := grants.missing_for_backup(server, database):
        raise PreflightError(
            f"The backup account may not see everything in {database}: {', '.join(missing)}.",
            f"Run as an administrator: {'; '.join(f'GRANT {grant} TO the account' for grant in missing)}.",
        )
    if hindrances:
        raise PreflightError(
            f"{database} holds what no backup can: the {'; the '.join(cause for cause, _ in hindrances)}.",
            " ".join(dict.fromkeys(remedy for _, remedy in hindrances)),
        )
    program = find_dump_program(server.flavour, server.version)
    reporter.line("Source", database=database, server=server.version, client=program.version)
    extent = Extent(policy.fingerprints == "sampled", turn, large_rows)
    methods = ladder(server, grants, database, binary_log, policy.consistency)
    with Throttle(policy.throttle, endpoint, server, reporter) as throttle:
        throttle.wait_until_calm(cancellation)
        with closing(endpoint.connect(database)) as connection:
            before = take_census(connection, server.flavour, database, policy.exclude_tables)
            versioned = has_versioned_tables(connection, database)
            # By itself, or where the server is to be spared, one: on two cores more of them gain little (benchmarks).
            programs = policy.parallel if policy.parallel != "auto" and policy.throttle == ThrottlePolicy() else 1
            shares = divide(connection, server.flavour, database, policy.exclude_tables, programs, least_parallel)
        for attempt in range(1, _SNAPSHOT_ATTEMPTS + 1):
            if attempt == _SNAPSHOT_ATTEMPTS and "none" in methods:
                methods = ["none"]
            with open_snapshot(
                endpoint,
                server,
                grants,
                database,
                methods,
                policy.exclude_tables,
                readers if attempt <= _PARALLEL_ATTEMPTS else 1,
            ) as snapshot:
                sequences = next_values(snapshot.connection, database)
                alone = snapshot.method == "none" or attempt > _PARALLEL_ATTEMPTS
                others = [] if alone else shares
                arguments = dump_arguments(
                    program, database, binary_log=binary_log, versioned_tables=versioned,
                    excluded_tables=policy.exclude_tables, others=others,
                )  # fmt: skip
                further = [share_arguments(program, database, share, binary_log=binary_log) for share in others]
                text = _start(program, endpoint, [arguments, *further], others, throttle, policy, cancellation)
                text.know(before)
                try:
                    with cancellation.action(text.kill):
                        text.wait_until_open()
                        snapshot.release_lock()
                        if all(map(snapshot.same_as, text.coordinates)):
                            _tell(reporter, snapshot, len(text.coordinates))
                            reader = SourceReader(
                                snapshot, text, server, policy, program, endpoint, before, sequences, extent, reporter,
                                cancellation,
                            )  # fmt: skip
                            with closing(reader):
                                yield reader
                            return
                finally:
                    text.kill()
            reporter.line("The source moved on between two transactions; opening the snapshot again", attempt=attempt)
    raise SnapshotUnproven(
        f"In {_SNAPSHOT_ATTEMPTS} attempts the source never stood still between two transactions.",
        f"GRANT RELOAD ON *.*, or LOCK TABLES ON `{database}`.*, to the backup account.",
    )


def _start(
    program: DumpProgram, endpoint: Endpoint, arguments: list[list[str]], others: list[Share], throttle: Throttle,
    policy: SourcePolicy, cancellation: Cancellation,
) -> DumpText:  # fmt: skip
    """Start the first program, and one for each of the others' shares."""
    dumps: list[Dump] = []
    try:
        for each in arguments:
            dumps.append(Dump(program, endpoint, each, throttle))
    except BaseException:
        for dump in dumps:
            dump.kill()
        raise
    if not others:
        return SingleText(dumps[0], policy.compression, cancellation)
    return JoinedText(dumps, others, policy.compression, cancellation)


def _check_verdict(snapshot: Snapshot, policy: SourcePolicy) -> None:
    """Refuse what the policy does not accept.

    :raises DumpFailed: naming what stands against a better verdict; a retry may find the source quieter.
    """
    accepted, verdict = policy.consistency, snapshot.verdict
    if snapshot.written and accepted != "unproven":
        raise DumpFailed(
            f"Tables without transactions were written while they were dumped: {', '.join(snapshot.written[:20])}.",
            "Convert them to InnoDB, exclude them, keep writers away at that hour, or accept consistency: unproven.",
        )
    if accepted == "exact" and verdict != "exact":
        raise SchemaChanged(
            f"The server executed statements that change definitions ({', '.join(snapshot.counted[:20])}), and none"
            " of them can be shown to have left this database alone.",
            "Keep them out of the backup window, GRANT BACKUP_ADMIN (MySQL), or accept consistency: ddl-checked.",
        )


def _tell(reporter: Reporter, snapshot: Snapshot, programs: int) -> None:
    coordinates = snapshot.coordinates
    reporter.line(
        "Snapshot is open in all connections",
        method=snapshot.method,
        lock_seconds=snapshot.lock_seconds,
        binlog=f"{coordinates.binlog_file}:{coordinates.binlog_position}" if coordinates.binlog_file else None,
        gtid=coordinates.gtid,
        readers=1 + len(snapshot.others),
        dump_programs=programs,
    )


def describe(facts: SourceFacts) -> str:
    """One line on what was read."""
    census = facts.census
    kinds = ("table", "view", "procedure", "function", "trigger", "event", "sequence")
    counts = ", ".join(f"{census.count(kind)} {kind}s" for kind in kinds if census.count(kind))
    return f"{counts}; {census.rows} rows; {megabytes(facts.stream.sql_bytes)} of SQL"
