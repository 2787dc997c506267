"""Several dump programs, one dump: it holds what that of one program holds, for the product and for a plain client."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from include.backup_engine.mysql import lane as lane_module
from include.backup_engine.mysql.client import find_dump_program
from include.backup_engine.mysql.server import Endpoint, quote, rows
from include.backup_engine.mysql.target import set_options
from include.backup_engine.records import StreamFacts
from tests.integration.mysql.conftest import Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take
from tests.integration.mysql.hostile_database import create, files_of
from tests.servers.database import Database

SOURCE, PLAIN, COPY = "mirror_many `of; -- it", "mirror_plain", "mirror_copy"
ROWS = 10_000
FIRED = "a trigger has fired"
SIDE_BY_SIDE = {"parallel": 4}
SMALL = {"least_parallel": 1 << 20}
LARGE = ["ranged", "neighbour", "other"]


def fill(server: Database, database: str) -> None:
    """Three large tables of difficult rows, one of them of twice the size, with triggers."""
    definition = "(id BIGINT, text VARCHAR(2000) NOT NULL, at TIMESTAMP NULL, {key})"
    server.sql(f"CREATE TABLE ranged {definition.format(key='PRIMARY KEY (id, text(9)), KEY (at)')}", database=database)
    for name in ("neighbour", "other"):
        server.sql(f"CREATE TABLE {name} {definition.format(key='KEY (id)')}", database=database)
    for first in range(-500_000, 500_000, 100_000):
        values = ", ".join(
            rf"({first + number * 100}, CONCAT('{number};\nINSERT INTO `ranged` VALUES\n(', REPEAT(SHA2({number}, 256), 13)),"
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
