"""A dump whose output nobody takes for longer than the server waits for a client: it goes on when somebody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.mysql import dump_lanes, lane
from include.backup_engine.mysql.client import find_dump_program
from include.backup_engine.mysql.dump import Dump, dump_arguments
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from include.backup_engine.throttle import Throttle
from tests.integration.mysql.conftest import NewAccount, Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy
from tests.servers.database import Database

_STALL_SECONDS = 3
_ROWS = 1 << 14  # of 1 kB, twice as many in hexadecimal: more than pipe and sockets hold


@contextmanager
def impatient(server: Database, *names: str, seconds: int = 1) -> Iterator[None]:
    """The server waits so long for its clients."""
    before = {name: server.sql(f"SELECT @@GLOBAL.{name}")[0][0] for name in names}
    try:
        for name in names:
            server.sql(f"SET GLOBAL {name} = {seconds}")
        yield
    finally:
        for name, value in before.items():
            server.sql(f"SET GLOBAL {name} = {value}")


@pytest.fixture
def large(pair: Pair, database: str) -> str:
    pair.source.sql("CREATE TABLE large (id INT AUTO_INCREMENT PRIMARY KEY, content BLOB)", database=database)
    pair.source.sql("INSERT INTO large (content) VALUES (RANDOM_BYTES(1000))", database=database)
    while pair.source.sql("SELECT COUNT(*) FROM large", database=database)[0][0] < _ROWS:
        pair.source.sql("INSERT INTO large (content) SELECT RANDOM_BYTES(1000) FROM large", database=database)
    pair.source.sql("ANALYZE TABLE large", database=database)
    return database


@pytest.mark.parametrize("programs", [1, 3])
def test_a_dump_that_stands_still_is_not_dropped_and_little_of_it_is_in_memory(
    programs: int, large: str, pair: Pair, scratch: Endpoint, new_account: NewAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_lanes, "_MOST_WAITING", 1 << 20)
    monkeypatch.setattr(lane, "MEMBER_SQL_BYTES", 1 << 20)
    endpoint, policy = new_account("ALL PRIVILEGES ON *.*"), source_policy(large, parallel=programs)
    read: list[int] = []
    monkeypatch.setattr(Throttle, "took", lambda _, size: read.append(size))
    # MariaDB's program sets wait_timeout back to the server's own; it counts between two statements only.
    short = ("net_write_timeout",) if pair.flavour == "mariadb" else ("net_write_timeout", "wait_timeout")
    with (
        impatient(pair.source, *short),
        read_source(endpoint, policy, Reporter(), Cancellation(), least_parallel=1 << 20) as reader,
    ):
        chunks: list[bytes] = []
        for chunk in reader.compressed():
            if not chunks:
                time.sleep(_STALL_SECONDS)
                assert sum(read) < 20e6  # of 33 MB
            chunks.append(chunk)
        taken = Taken(chunks, reader.facts(), policy.compression)
    assert (len(taken.facts.stream.sections) > 10) == (programs > 1)
    restore_into(scratch, "mirror_copy", taken)
    assert compare(taken, scratch, "mirror_copy").findings == []


@pytest.mark.servers("mysql")
def test_nor_is_one_that_stands_still_between_two_statements(
    pair: Pair, database: str, new_account: NewAccount
) -> None:
    for number in range(30):
        pair.source.sql(f"CREATE TABLE small_{number} (content BLOB)", database=database)
        pair.source.sql(f"INSERT INTO small_{number} VALUES (REPEAT('x', 10000))", database=database)
    program = find_dump_program("mysql")
    arguments = dump_arguments(program, database, binary_log=True, versioned_tables=False)
    with impatient(pair.source, "wait_timeout"):
        dump = Dump(program, new_account("ALL PRIVILEGES ON *.*"), arguments)
        try:
            dump.wait_until_open()
            time.sleep(_STALL_SECONDS)
            assert sum(len(piece.data) for piece in dump.pieces()) > 600_000
        finally:
            dump.kill()
    assert len(dump.contents.tables) == 30
