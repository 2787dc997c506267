"""What the dump wrote came back: a restored copy is dumped again, and each table's stream hash is compared.

A fingerprint proves the way from the source to the copy where it can be had: the server must be able to hash every
column, and must have read the table in the snapshot of the dump. The stream hash (mysql/stream_hash.py) is there for
every table, and proves the way from the dump to the copy. Nothing of the second dump is stored.

Equal hashes are equal rows. Another hash is another content only where both dumps write equal rows in the same way:
that is sure of programs and servers of the same versions, and of values that survive being written, as negative zero
and MySQL's own types in JSON do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.client import find_dump_program
from include.backup_engine.mysql.dump import Dump, row_arguments
from include.backup_engine.mysql.extent import can_be_compared
from include.backup_engine.mysql.server import Endpoint, identify, rows
from include.backup_engine.mysql.stream_hash import VERSION
from include.backup_engine.records import Census, DumpAgain, ServerIdentity, SourceFacts

_INEXACT = "values of type float, double or json do not always survive being written"


@dataclass(frozen=True)
class Written:
    """What a dump wrote.

    :param hashes: of the rows of each table that is to be dumped again.
    :param hand: versions of the dump program and of the server.
    """

    hashes: Mapping[str, str]
    hand: str

    @classmethod
    def of(cls, facts: SourceFacts | BackupFacts, which: DumpAgain) -> Written:
        """As a backup records it; one from before the hash has none."""
        unproven = {
            table.name
            for table in facts.census.tables
            if table.note or not (table.fingerprint and can_be_compared(table))
        }
        return cls(
            {
                section.name: section.rows_hash
                for section in facts.stream.sections
                if section.rows_hash and section.rows_hash.startswith(f"{VERSION}:")
                if which == "all" or (which == "unproven" and section.name in unproven)
            },
            _hand(facts.tools.get("dump", ""), facts.server),
        )


@dataclass(frozen=True)
class Rewritten:
    """What a copy's dump wrote of the same tables.

    :param same: tables whose rows are those that the backup's dump wrote.
    :param other: tables of which others were written.
    :param other_hand: what wrote them, when it was not what wrote the backup.
    :param inexact: tables with values that may not survive being written.
    :param failed: why nothing was written.
    """

    same: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()
    other_hand: str = ""
    inexact: frozenset[str] = frozenset()
    failed: str = ""

    def innocent(self, table: str, *, exact: bool) -> str:
        """What else than another content may be why a table's rows were written otherwise; empty: nothing.

        :param exact: whether all of its values are known to survive being written.
        """
        if self.other_hand:
            return self.other_hand
        return _INEXACT if not exact and table in self.inexact else ""


@contextmanager
def writing_again(
    written: Written | None, endpoint: Endpoint, database: str, copy: Census
) -> Iterator[Callable[[], Rewritten]]:
    """Dump a copy's tables while the block runs; what it is given waits for the end of that."""
    tables = {table.name for table in copy.tables if table.kind == "table" and written and table.name in written.hashes}
    if not written or not tables:
        yield Rewritten
        return
    stop = Cancellation()
    versioned = any(table.versioned for table in copy.tables if table.name in tables)
    with ThreadPoolExecutor(1, "dump-again") as pool:
        try:
            yield pool.submit(_write_again, written, endpoint, database, tables, versioned, stop).result
        except BaseException:
            stop.request()
            raise


def _write_again(
    written: Written, endpoint: Endpoint, database: str, tables: set[str], versioned: bool, stop: Cancellation
) -> Rewritten:
    try:
        with closing(endpoint.connect(database)) as connection:
            server = identify(connection)
            inexact = rows(
                connection,
                "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = %s"
                " AND LOWER(data_type) IN ('float', 'double', 'json')",
                (database,),
            )
        program = find_dump_program(server.flavour, server.version)
        dump = Dump(program, endpoint, row_arguments(program, database, tables, versioned_tables=versioned))
        try:
            with stop.action(dump.kill):
                for _ in dump.pieces():
                    stop.check()
        finally:
            dump.kill()
    except BackupError as error:
        return Rewritten(failed=error.cause)
    found, hand = dump.contents.row_hashes, _hand(program.version, server)
    same = {table for table in tables if found.get(table) == written.hashes[table]}
    return Rewritten(
        same=frozenset(same),
        other=frozenset(table for table in tables - same if table in found),
        other_hand="" if hand == written.hand else f"another hand wrote them: {hand}, not {written.hand}",
        inexact=frozenset(str(table) for (table,) in inexact),
    )


def _hand(program: str, server: ServerIdentity) -> str:
    """The program's version without its path, and the server's."""
    return f"{program.partition(' ')[2]} on {server.flavour} {server.version}"
