"""Several dump programs, one dump: it holds what that of one program holds, for the product and for a plain client."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.errors import Cancelled, DumpFailed, SchemaChanged
from include.backup_engine.excerpt import Excerpt, chosen_sections
from include.backup_engine.mysql import dump_lanes
from include.backup_engine.mysql import lane as lane_module
from include.backup_engine.mysql.client import find_dump_program
from include.backup_engine.mysql.division import PARALLEL_BYTES
from include.backup_engine.mysql.server import Endpoint, quote, rows
from include.backup_engine.mysql.stream import DumpContents, StreamScanner
from include.backup_engine.mysql.target import set_options
from include.backup_engine.records import StreamFacts
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from include.backup_engine.written import Written
from tests.faults.processes import descendants
from tests.integration.mysql.conftest import MARIADB, Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take
from tests.integration.mysql.hostile_database import create, files_of
from tests.servers.database import Database

SOURCE, PLAIN, COPY = "mirror_many `of; -- it", "mirror_plain", "mirror_copy"
ROWS = 10_000
FIRED = "a trigger has fired"
SIDE_BY_SIDE: dict[str, Any] = {"parallel": 4}
SMALL = {"least_parallel": 1 << 20}
LARGE = ["ranged", "neighbour", "other"]


def fill(server: Database, database: str) -> None:
    """Three large tables of difficult rows, one of them of twice the size, with triggers."""
    definition = "(id BIGINT, text VARCHAR(2000) NOT NULL, at TIMESTAMP NULL, {key})"
    server.sql(f"CREATE TABLE ranged {definition.format(key='PRIMARY KEY (id, text(9)), KEY (at)')}", database=database)
    for name in ("neighbour", "other"):
        server.sql(f"CREATE TABLE {name} {definition.format(key='KEY (id)')}", database=database)
    long = "REPEAT(SHA2({}, 256), 13)"
    for first in range(-500_000, 500_000, 100_000):
        values = ", ".join(
            rf"({first + number * 100}, CONCAT('{number};\nINSERT INTO `ranged` VALUES\n(', {long.format(number)}),"
            rf" '2026-03-29 0{number % 10}:30:00')"
            for number in range(ROWS // 10)
        )
        server.sql(f"INSERT INTO ranged VALUES {values}".replace("%", "%%"), database=database)
    for name in ("neighbour", "other"):
        server.sql(f"INSERT INTO {name} SELECT * FROM ranged WHERE id < 0", database=database)
    for name in LARGE:
        server.sql(f"ANALYZE TABLE {name}", database=database)
        body = f"BEGIN\nSET NEW.text = '{FIRED}';\nEND"
        server.sql(f"CREATE TRIGGER `fires on {name}` BEFORE INSERT ON {name} FOR EACH ROW {body}", database=database)


@dataclass(frozen=True)
class Both:
    """The same database, dumped by one program and by several."""

    one: Taken
    many: Taken


@pytest.fixture(scope="module")
def small_members() -> Iterator[None]:
    """Lanes take turns after each statement, so that small data shows it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane_module, "MEMBER_SQL_BYTES", 1 << 14)
        yield


@pytest.fixture(scope="module")
def both(pair: Pair, source: Endpoint, small_members: None) -> Iterator[Both]:
    create(source, SOURCE, *files_of(pair.flavour))
    fill(pair.source, SOURCE)
    one = take(source, source_policy(SOURCE, parallel=1))
    yield Both(one, take(source, source_policy(SOURCE, **SIDE_BY_SIDE), **SMALL))
    pair.source.sql(f"DROP DATABASE {quote(SOURCE)}")


def gunzipped(data: bytes) -> Iterator[bytes]:
    """The first member."""
    yield zlib.decompressobj(wbits=31).decompress(data)


def pieces(stream: StreamFacts) -> list[str]:
    return [section.name for section in stream.sections if section.kind == "table"]


def test_tables_lie_side_by_side_in_pieces(both: Both) -> None:
    assert set(Counter(pieces(both.one.facts.stream)).values()) == {1}
    counted = Counter(pieces(both.many.facts.stream))
    assert min(counted[name] for name in LARGE) > 2
    order = [name for name in pieces(both.many.facts.stream) if name in LARGE]
    assert order != sorted(order) != order[::-1]


def test_all_is_in_it_once(both: Both) -> None:
    one, many = both.one.facts.stream, both.many.facts.stream
    assert sorted(set(pieces(many))) == sorted(pieces(one))
    assert (many.views, many.routines, many.triggers, many.events) == (
        one.views, one.routines, one.triggers, one.events,
    )  # fmt: skip
    facts = [
        {s.name: (s.rows, s.rows_hash) for s in stream.sections if s.kind == "table" and s.rows is not None}
        for stream in (one, many)
    ]
    assert facts[0] == facts[1]
    assert facts[1]["ranged"][0] == ROWS
    assert many.sql_bytes == len(both.many.sql)
    assert many.compressed_bytes == sum(map(len, both.many.chunks))


def test_who_reads_it_again_finds_the_same(both: Both) -> None:
    found: list[DumpContents] = []
    for taken in (both.one, both.many):
        scanner = StreamScanner()
        for _ in scanner.scan([taken.sql]):
            pass
        found.append(scanner.contents)
    assert found[0] == found[1]
    assert found[1].tables["ranged"] == ROWS


def test_the_index_leads_to_each_piece(both: Both) -> None:
    taken, position = both.many, 0
    sql, compressed = taken.sql, b"".join(taken.chunks)
    for section in taken.facts.stream.sections:
        assert section.sql_offset == position
        position += section.sql_length
        [member] = gunzipped(compressed[section.compressed_offset :])
        start = section.sql_offset - section.member_sql_offset
        assert member[start : start + section.sql_length] == sql[section.sql_offset : position]
        assert sql[position - 1 : position] == b"\n"
    assert position == len(sql)


@pytest.mark.parametrize("name", ["ranged", "neighbour"])
def test_a_single_table_comes_back_with_its_trigger(name: str, both: Both, scratch: Endpoint) -> None:
    taken, sql = both.many, both.many.sql
    chosen = chosen_sections(taken.facts.stream.sections, [name])
    text = b"".join(sql[part.sql_offset : part.sql_offset + part.sql_length] for part in chosen)
    restore_into(scratch, COPY, replace(taken, chunks=[gzip.compress(text, 1)]))
    excerpt = Excerpt(
        tables=[name], sequences=[], triggers=[f"fires on {name}"], warnings=[], bytes_read=1, object_bytes=1,
        requests=1,
    )  # fmt: skip
    comparison = compare_with_snapshot(
        taken.facts.census, scratch, COPY, Reporter(), events_disabled=True, excerpt=excerpt,
        written=Written.of(taken.facts, "all"),
    )  # fmt: skip
    assert (comparison.findings, comparison.not_compared) == ([], [])
    assert (comparison.tables, comparison.objects) == (1, 1)


def test_the_product_restores_it(both: Both, scratch: Endpoint) -> None:
    restore_into(scratch, COPY, both.many)
    comparison = compare(both.many, scratch, COPY)
    assert comparison.findings == []
    comparison = compare(both.one, scratch, COPY)
    assert comparison.findings == []


def test_a_plain_client_restores_it(pair: Pair, source: Endpoint, scratch: Endpoint, small_members: None) -> None:
    create(source, PLAIN, "values.sql", everything=False)
    fill(pair.source, PLAIN)
    taken = take(source, source_policy(PLAIN, **SIDE_BY_SIDE), **SMALL)
    pair.source.sql(f"DROP DATABASE {PLAIN}")
    census = taken.facts.census
    with closing(scratch.connect()) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {COPY}")
        set_options(connection, "CREATE", COPY, census.charset, census.collation, census.comment)
    program = find_dump_program(pair.flavour, str(pair.scratch.sql("SELECT VERSION()")[0][0])).path
    client = program.replace("mariadb-dump", "mariadb").replace("mysqldump", "mysql")
    options = [f"--socket={scratch.unix_socket}", "--user=root", "--default-character-set=utf8mb4"]
    loaded = subprocess.run([client, "--no-defaults", *options, COPY], input=taken.sql, capture_output=True)
    assert (loaded.returncode, loaded.stderr[-1000:]) == (0, b"")
    for name in LARGE:
        assert pair.scratch.sql(f"SELECT COUNT(*) FROM {name} WHERE text = '{FIRED}'", database=COPY) == [(0,)]
        assert pair.scratch.sql(f"SELECT COUNT(*) FROM {name}", database=COPY)[0][0] >= ROWS // 2
    comparison = compare(taken, scratch, COPY)
    assert comparison.findings == []
    assert Counter(pieces(taken.facts.stream))["ranged"] > 2


@pytest.fixture
def three(pair: Pair, database: str, small_members: None) -> str:
    fill(pair.source, database)
    return database


def test_all_programs_read_one_snapshot_of_a_busy_source(
    three: str, pair: Pair, source: Endpoint, scratch: Endpoint
) -> None:
    stop = Event()

    def write() -> int:
        done = 0
        with closing(source.connect(three)) as connection:
            while not stop.is_set():
                rows(connection, "BEGIN")
                rows(connection, "INSERT INTO ranged VALUES (%s, 'x', NULL)", (600_000 + done,))
                for name in LARGE:  # a program with another snapshot would have another sum
                    rows(connection, f"UPDATE {name} SET at = NOW() WHERE id < {-400_000 + done}")
                    rows(connection, f"DELETE FROM {name} WHERE id = {-500_000 + done * 100}")
                rows(connection, "COMMIT")
                done += 1
        return done

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        taken = take(source, source_policy(three, **SIDE_BY_SIDE), **SMALL)
        stop.set()
        changes = writing.result()
    assert changes > 1
    assert Counter(pieces(taken.facts.stream))["ranged"] > 2
    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY).findings == []


def dump_processes() -> dict[int, bytes]:
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(os.getpid())}
    return {pid: command for pid, command in commands.items() if b"--single-transaction" in command}


@contextmanager
def begun(endpoint: Endpoint, database: str, **policy: Any) -> Iterator[Iterator[bytes]]:
    """A dump of which only the first block is taken yet; afterwards no program of it is left."""
    with read_source(
        endpoint, source_policy(database, **policy), Reporter(), Cancellation(), least_parallel=1 << 20
    ) as reader:
        blocks = reader.compressed()
        next(blocks)
        yield blocks
    assert not dump_processes()


@pytest.mark.parametrize("which", [b"--routines", b"--where=`id` < ", b"--where=`id` >= "])
def test_one_program_that_is_killed_ends_all(
    which: bytes, three: str, source: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_lanes, "_MOST_WAITING", 1)
    with begun(source, three, **SIDE_BY_SIDE) as blocks:
        running = dump_processes()
        [one] = [pid for pid, command in running.items() if which in command]
        os.kill(one, signal.SIGKILL)
        with pytest.raises(DumpFailed, match="killed by signal 9"):
            list(blocks)
        assert not dump_processes()


@MARIADB  # on MySQL, the backup lock keeps it from being dropped
def test_a_table_that_is_dropped_meanwhile_is_named(
    three: str, pair: Pair, source: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.source.sql("DELETE FROM ranged WHERE id > 0; ANALYZE TABLE ranged", database=three)
    monkeypatch.setattr(dump_lanes, "_MOST_WAITING", 1)
    with begun(source, three, parallel=2, fingerprints="off") as blocks:
        [side] = [command.split(b"\0") for command in dump_processes().values() if b"--routines" not in command]
        last = side[-2].decode()
        pair.source.sql(f"DROP TABLE {last}", database=three)
        with pytest.raises(SchemaChanged, match=last):  # whoever comes to it first, dump or census
            list(blocks)


def test_a_cancelled_backup_leaves_no_program(three: str, source: Endpoint) -> None:
    cancellation = Cancellation()
    policy = source_policy(three, **SIDE_BY_SIDE)
    with read_source(source, policy, Reporter(), cancellation, **SMALL) as reader:
        blocks = reader.compressed()
        next(blocks)
        cancellation.request()
        with pytest.raises(Cancelled):
            list(blocks)
        assert not dump_processes()


def test_one_program_is_enough_for_little_data_or_where_backups_are_held_back(three: str, source: Endpoint) -> None:
    for policy, least in (
        (source_policy(three, **SIDE_BY_SIDE), PARALLEL_BYTES),
        (source_policy(three, **SIDE_BY_SIDE, throttle={"threads_running": 100}), 1 << 20),
    ):
        with read_source(source, policy, Reporter(), Cancellation(), least_parallel=least):
            assert len(dump_processes()) == 1
