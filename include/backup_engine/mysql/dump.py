"""One consistent dump of one schema as a stream of SQL, complete or failed, never in between.

The stream has no USE and no CREATE DATABASE (``--databases`` is not used), so it can be loaded under any name
and cannot find its way back into the source. Coordinates are printed as comments only.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from typing import Protocol

from include.backup_engine.errors import ContentIncomplete, DumpFailed, PreflightError, SchemaChanged, SourceBusy
from include.backup_engine.mysql.client import ClientProcess, DumpProgram
from include.backup_engine.mysql.division import Share
from include.backup_engine.mysql.server import ACCESS_DENIED, LOCK_TIMEOUT, TABLE_CHANGED, Endpoint
from include.backup_engine.mysql.stream import DumpContents, Piece, StreamScanner
from include.backup_engine.records import Census

_CHUNK = 1 << 18
_START_TIMEOUT = 60.0
_NAP_SECONDS = 0.2

_COMMON = (
    "--single-transaction",
    "--quick",
    "--hex-blob",  # binary values survive every character set on the way
    "--tz-utc",
    "--no-tablespaces",  # else PROCESS is needed
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
    "--comments",  # the announcements that stream.py reads
)
_EVERYTHING = ("--routines", "--events", "--triggers")
_ROWS_ONLY = ("--no-create-info", "--skip-triggers")
_BESIDE_OTHERS = ("--skip-add-locks",)
"""For a text into which that of other programs is put: LOCK TABLES would keep their tables out."""


def dump_arguments(
    program: DumpProgram,
    database: str,
    *,
    binary_log: bool,
    versioned_tables: bool,
    excluded_tables: Collection[str] = (),
    others: Sequence[Share] = (),
) -> list[str]:
    """The argument list; options that not every version knows are used only where ``--help`` lists them.

    :param others: what other programs dump.
    """
    arguments = [*_COMMON, *_EVERYTHING, *_arguments_of(program, versioned_tables), *_coordinates(program, binary_log)]
    if others:
        arguments += _BESIDE_OTHERS
    elsewhere = {table for share in others for table in share.tables}
    arguments += [f"--ignore-table={database}.{table}" for table in sorted({*excluded_tables, *elsewhere})]
    return [*arguments, database]


def share_arguments(program: DumpProgram, database: str, share: Share, *, binary_log: bool) -> list[str]:
    """The argument list for what a program beside the first dumps, written as :func:`dump_arguments` has it."""
    arguments = [*_COMMON, *_BESIDE_OTHERS, *_arguments_of(program, False), *_coordinates(program, binary_log)]
    # Of several programs that dump rows of a table, only one writes ENABLE KEYS, which is after all of them.
    arguments += [*_ROWS_ONLY, "--skip-disable-keys"] if share.rows_only else ["--triggers"]
    if share.where:
        arguments.append(f"--where={share.where}")
    return [*arguments, "--", database, *share.tables]


def row_arguments(program: DumpProgram, database: str, tables: Collection[str], *, versioned_tables: bool) -> list[str]:
    """The argument list for the rows of some tables and nothing else, written as :func:`dump_arguments` has them."""
    return [*_COMMON, *_ROWS_ONLY, *_arguments_of(program, versioned_tables), "--", database, *sorted(tables)]


def _coordinates(program: DumpProgram, binary_log: bool) -> list[str]:
    """What has a program print its position in the binary log, as a comment."""
    return ["--master-data=2"] if binary_log and program.flavour == "mariadb" else []


def _arguments_of(program: DumpProgram, versioned_tables: bool) -> list[str]:
    """What the flavours, and their versions, know by other names or not at all."""
    arguments: list[str] = []
    if program.flavour == "mariadb":
        if "no-autocommit" in program.options:  # on from 11.8: one transaction per table costs a restore twice the CPU
            arguments.append("--skip-no-autocommit")
        if versioned_tables:
            if "dump-history" not in program.options:
                raise DumpFailed(
                    f"{program.path} cannot dump the history of system-versioned tables.",
                    "Install a MariaDB client of version 10.11 or later, or exclude these tables.",
                )
            arguments.append("--dump-history")
    else:
        # Its statements of 1 MB, the default, take MySQL a quarter longer to load (processor time; MariaDB: no longer).
        arguments.append("--net-buffer-length=65536")
        # Executed on a restore, GTID_PURGED fails or changes the target server; the sidecar has the GTIDs.
        arguments.append("--set-gtid-purged=OFF")
        if "column-statistics" in program.options:
            arguments.append("--column-statistics=0")
        if "skip-masking-policies" in program.options:
            arguments.append("--skip-masking-policies")
    return arguments


class Pace(Protocol):
    """How fast a dump is read."""

    def took(self, size: int) -> None:
        """So many bytes were read."""

    def delay(self) -> float:
        """Seconds after which to ask again; 0: read on now."""

    @property
    def pausing(self) -> bool:
        """Whether it is for the server's sake that nothing is read."""


class Dump:
    """A running dump. Use :meth:`wait_until_open`, then :meth:`pieces` to the end, or :meth:`kill`.

    :param pace: what may hold it back once its transaction is open.
    """

    def __init__(
        self, program: DumpProgram, endpoint: Endpoint, arguments: list[str], pace: Pace | None = None
    ) -> None:
        self._process = ClientProcess(program, endpoint, arguments)
        self._pace = pace
        self._killed = False
        self._program = program
        self._scanner = StreamScanner()
        self._known_names: frozenset[str] = frozenset()
        self._pieces = self._scanner.scan(self._chunks())
        self._first: list[Piece] = []
        self._deadline: float | None = None

    @property
    def contents(self) -> DumpContents:
        """What the stream held so far."""
        return self._scanner.contents

    @property
    def pid(self) -> int:
        """Process id of the dump program."""
        return self._process.pid

    def know(self, census: Census) -> None:
        """More names that may be quoted from the program's complaints."""
        self._known_names |= {item.name for item in census.everything}

    def wait_until_open(self) -> None:
        """Read until the dump's transaction is open: at its first object, or its end.

        The program opens its transaction before it writes the first object, and what is read here is a few kB.

        :raises SourceBusy: when that takes longer than a minute.
        :raises DumpFailed: when the program ends with an error first.
        """
        self._deadline = time.monotonic() + _START_TIMEOUT
        for piece in self._pieces:
            self._first.append(piece)
            if self.contents.started:
                break
        self._deadline = None

    def pieces(self) -> Generator[Piece, None, None]:
        """The stream to its end.

        :raises DumpFailed: exit code, end marker or complaints say that the dump is not complete.
        """
        yield from self._first
        self._first.clear()
        yield from self._pieces
        if not self.contents.completed:
            raise DumpFailed(
                "The dump ended without its end marker.", "Run it again; if it stays so, look at the server's log."
            )

    def _chunks(self) -> Iterator[bytes]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                self._hold_back()
                if self._deadline is not None and not selector.select(max(0.0, self._deadline - time.monotonic())):
                    raise SourceBusy(
                        f"The dump did not open its transaction within {_START_TIMEOUT:.0f} s.",
                        "Look for long-running statements on the source; the retry tries again.",
                    )
                chunk = os.read(self._process.stdout.fileno(), _CHUNK)
                if not chunk:
                    break
                if self._pace:
                    self._pace.took(len(chunk))
                yield chunk
        code = self._process.wait()
        # mysqldump reports some failures, a table it may not read among them, and exits 0 all the same.
        if code != 0 or self._process.complained:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            cause = f"The dump program {ended} ({self._process.failure(self._known_names)})."
            if self._process.error_codes & ACCESS_DENIED:
                raise PreflightError(
                    cause, "Give the backup account the grants in include/sql/backup_account.sql; preflight names them."
                )
            if self._process.error_codes & TABLE_CHANGED:
                raise SchemaChanged(
                    f"An object was altered or dropped while it was to be dumped. {cause}",
                    "Keep schema changes out of the backup window; the retry tries again.",
                )
            if self._process.error_codes & LOCK_TIMEOUT:
                raise SourceBusy(
                    f"A lock was not to be had in time: somebody holds a table, or waits to alter it. {cause}",
                    "Find that statement in SHOW PROCESSLIST, or let the retry try later.",
                )
            raise DumpFailed(
                cause,
                "Look the error number up in the server's manual; the program's text is withheld, it may quote rows."
                if self._process.error_codes
                else "See in the source's log whether it runs, and whether somebody has ended the connection.",
            )

    def _hold_back(self) -> None:
        """Wait as long as the pace asks for it; not while the server is locked until the transaction is open."""
        while self._pace and self._deadline is None and not self._killed and (seconds := self._pace.delay()):
            time.sleep(min(seconds, _NAP_SECONDS))

    def join_pause(self) -> None:
        """For whoever else reads the snapshot: wait while the dump is held back for the server's sake."""
        while self._pace and self._pace.pausing and not self._killed:
            time.sleep(_NAP_SECONDS)

    def kill(self) -> None:
        """End the program now, and a pause with it."""
        self._killed = True
        self._process.kill()


def check_completeness(contents: DumpContents, census: Census) -> None:
    """Compare what the stream held with what the schema holds.

    :raises ContentIncomplete: naming every kind or object that is missing, or was not expected.
    """
    problems: list[str] = []
    expected_tables = {table.name: table.rows for table in census.tables if table.kind == "table"}
    expected_sequences = {table.name for table in census.tables if table.kind == "sequence"}
    expected_views = {item.name for item in census.objects if item.kind == "view"}
    for kind, expected, dumped in (
        ("table", set(expected_tables), set(contents.tables)),
        ("sequence", expected_sequences, set(contents.sequences)),
        ("view", expected_views, set(contents.views)),
    ):
        problems += [f"{kind} {name} is missing" for name in sorted(expected - dumped)]
        problems += [f"{kind} {name} was not expected" for name in sorted(dumped - expected)]
    for kind, count, expected_count in (
        ("routines", contents.routines, census.count("procedure") + census.count("function")),
        ("triggers", contents.triggers, census.count("trigger")),
        ("events", contents.events, census.count("event")),
    ):
        if count != expected_count:
            problems.append(f"{count} of {expected_count} {kind}")
    for name, dumped_rows in contents.tables.items():
        expected_rows = expected_tables.get(name)
        if dumped_rows is not None and expected_rows is not None and dumped_rows != expected_rows:
            problems.append(f"table {name} has {dumped_rows} rows in the dump and {expected_rows} in the snapshot")
    if problems:
        raise ContentIncomplete(
            f"The dump is not what the database holds: {'; '.join(problems[:20])}.",
            "Check the backup account's grants (preflight names them); a table without transactions may have changed.",
        )
