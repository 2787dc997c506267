"""Large tables are hashed by ranges of their key: a difference says where it is, and a share can be hashed alone."""

from __future__ import annotations

from contextlib import closing

import pytest

from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.extent import Extent
from include.backup_engine.mysql.fingerprint import fingerprint_table
from include.backup_engine.mysql.server import Endpoint, rows
from include.backup_engine.records import TableFacts
from tests.integration.mysql.conftest import MARIADB, Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take

COPY = "mirror_ranges_copy"
DIGITS = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"\
    " UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"  # fmt: skip


def numbers(digits: int) -> str:
    """SQL that selects ``n``: all numbers of so many digits."""
    terms = " + ".join(f"{10**place} * d{place}.d" for place in range(digits))
    return f"SELECT {terms} AS n FROM " + ", ".join(f"{DIGITS} d{place}" for place in range(digits))


def test_a_difference_in_a_large_table_says_where_it_is(database: str, source: Endpoint, scratch: Endpoint) -> None:
    with closing(source.connect(database)) as connection:
        rows(connection, "CREATE TABLE notes (note_id int unsigned PRIMARY KEY, body varchar(40))")
        for half in (1, 2):
            rows(connection, f"INSERT INTO notes SELECT 2 * n + {half}, CONCAT('note ', n) FROM ({numbers(5)}) x")
        rows(connection, "ANALYZE TABLE notes")
        whole = fingerprint_table(connection, database, "notes")
    taken = take(source, source_policy(database))
    [notes] = taken.facts.census.tables
    assert (notes.rows, notes.fingerprint, notes.note) == whole
    assert notes.ranges
    assert (notes.ranges.key, notes.ranges.width, notes.ranges.first) == ("note_id", 5000, 0)
    assert len(notes.ranges.hashes) == 41

    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY, "none").findings == []
    with closing(scratch.connect(COPY)) as connection:
        rows(connection, "UPDATE notes SET body = CONCAT(body, ' ') WHERE note_id = 40000")
        assert compare(taken, scratch, COPY, "none").findings == [
            "table notes has the right number of rows but another content, in note_id 40000 to 44999"
        ]
        rows(connection, "DELETE FROM notes WHERE note_id BETWEEN 45000 AND 52000")
        assert compare(taken, scratch, COPY, "none").findings == [
            "table notes has 192999 rows, the source had 200000, in note_id 40000 to 54999"
        ]


@pytest.fixture
def visits(database: str, source: Endpoint) -> str:
    """2,000 rows from -1000 on, 1,000 whose key is no integer, and a few."""
    with closing(source.connect(database)) as connection:
        rows(connection, "CREATE TABLE visits (id int, part int, f double, PRIMARY KEY (id, part))")
        rows(connection, f"INSERT INTO visits SELECT n - 1000, 0, n FROM ({numbers(4)}) x WHERE n < 2000")
        rows(connection, "CREATE TABLE codes (code varchar(9) PRIMARY KEY)")
        rows(connection, f"INSERT INTO codes SELECT CONCAT('c', n) FROM ({numbers(3)}) x")
        rows(connection, "CREATE TABLE few (id int PRIMARY KEY)")
        rows(connection, "INSERT INTO few VALUES (1), (2)")
        rows(connection, "ANALYZE TABLE visits, codes, few")
    return database


def test_a_sample_says_what_it_holds_and_finds_what_is_in_it(visits: str, source: Endpoint, scratch: Endpoint) -> None:
    taken = take(source, source_policy(visits, fingerprints="sampled"), turn=3, large_rows=500)
    assert taken.facts.fingerprints == "sampled"
    tables = {table.name: table for table in taken.facts.census.tables}
    assert {name: (table.rows, bool(table.fingerprint)) for name, table in tables.items()} == {
        "visits": (2000, False), "codes": (1000, False), "few": (2, True),
    }  # fmt: skip
    ranges = tables["visits"].ranges
    assert ranges
    assert (ranges.width, ranges.first, len(ranges.hashes)) == (50, -20, 40)
    sampled = [n for n, hashed in enumerate(ranges.hashes) if hashed]
    assert sampled == [7, 15, 23, 31, 39]  # from -650, -250, 150, 550 and 950 on
    told = [
        "the content of table codes (a sample needs an integer as the first column of the primary key); its 1000 rows"
        " were counted",
        "the content of table visits (5 of 40 ranges of id were hashed); its 2000 rows were counted",
    ]

    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY, "none")
    assert (comparison.findings, comparison.not_compared, comparison.rows) == ([], told, 2)
    with closing(scratch.connect(COPY)) as connection:
        rows(connection, "UPDATE visits SET f = -1 WHERE id = 200")  # in a range that is not in the sample
        comparison = compare(taken, scratch, COPY, "none")
        assert (comparison.findings, comparison.not_compared) == ([], told)
        rows(connection, "UPDATE visits SET f = -1 WHERE id IN (160, 951)")
        assert compare(taken, scratch, COPY, "none").findings == [
            "table visits has the right number of rows but another content, in id 150 to 199 (and 1 more range)"
        ]
        rows(connection, "DELETE FROM visits WHERE id = 200")
        assert compare(taken, scratch, COPY, "none").findings == [
            "table visits has 1999 rows, the source had 2000, in id 150 to 199 (and 1 more range)"
        ]
        rows(connection, "INSERT INTO visits VALUES (5000, 0, 0), (1000, 0, 0), (-5000, 0, 0)")
        assert compare(taken, scratch, COPY, "none").findings == [
            "table visits has 2002 rows, the source had 2000, in id 150 to 199 (and 1 more range)"
        ]
        rows(connection, "ALTER TABLE visits DROP PRIMARY KEY, ADD PRIMARY KEY (part, id)")
        assert "table visits has another definition" in compare(taken, scratch, COPY, "none").findings


def test_without_fingerprints_rows_are_compared_as_the_dump_shows_them(
    visits: str, source: Endpoint, scratch: Endpoint, pair: Pair
) -> None:
    taken = take(source, source_policy(visits, fingerprints="off"))
    assert (taken.facts.fingerprints, taken.facts.fingerprint_seconds) == ("off", 0)
    dumped = {section.name: section.rows for section in taken.facts.stream.sections if section.kind == "table"}
    assert dumped == {"codes": 1000, "few": 2, "visits": 2000}
    assert [(t.name, t.rows, t.fingerprint, t.ranges, t.note) for t in taken.facts.census.tables] == [
        (name, dumped[name], None, None, "fingerprints are off") for name in ("codes", "few", "visits")
    ]
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY, "none")
    assert (comparison.findings, comparison.rows) == ([], 0)
    assert comparison.not_compared == [
        f"the content of table {name} (fingerprints are off); its {dumped[name]} rows were counted"
        for name in ("codes", "few", "visits")
    ]
    with closing(scratch.connect(COPY)) as connection:
        rows(connection, "DELETE FROM few WHERE id = 1")
    assert compare(taken, scratch, COPY, "none").findings == ["table few has 1 rows, the source had 2"]


KEYS = {
    "(k bigint unsigned PRIMARY KEY, v int)": ["18446744073709551615", "18446744073709551614", "0",
                                               "10000000000000000000"],
    "(k bigint PRIMARY KEY, v int)": ["-9223372036854775808", "9223372036854775807", "-1", "0"],
    "(k int(7) zerofill PRIMARY KEY, v int)": ["1", "77", "4000"],
    "(k tinyint, v int, PRIMARY KEY (k, v))": ["-128", "127", "0", "1"],
    "(k int PRIMARY KEY, v int) PARTITION BY HASH (k) PARTITIONS 3": ["1", "2", "500", "900"],
    "(k int, v int, `we``ird %` int, PRIMARY KEY (k DESC))": ["1", "2", "500"],
}  # fmt: skip


def looked_at(endpoint: Endpoint, database: str, pair: Pair) -> TableFacts:
    """The only table, as a backup looks at large ones."""
    with closing(endpoint.connect(database)) as connection:
        census = take_census(connection, pair.flavour, database)
        return add_fingerprints([connection], database, census, look=Extent(large=0).look).tables[0]


@pytest.mark.parametrize("definition", KEYS)
def test_the_ranges_of_any_integer_key_add_up_to_the_table_s_fingerprint(
    definition: str, database: str, source: Endpoint, pair: Pair
) -> None:
    values = KEYS[definition]
    with closing(source.connect(database)) as connection:
        rows(connection, f"CREATE TABLE t {definition}")
        for value in values:
            rows(connection, f"INSERT INTO t (k, v) VALUES ({value}, 7)")
        found = looked_at(source, database, pair)
        assert found.ranges
        assert found.ranges.key == "k"
        counts = [int(hashed.partition(":")[0], 16) for hashed in found.ranges.hashes]
        assert sum(counts) == len(values)
        assert counts[0]
        assert counts[-1]
        assert (found.rows, found.fingerprint, found.note) == fingerprint_table(connection, database, "t")


@MARIADB
def test_history_has_ranges_too(database: str, source: Endpoint, pair: Pair) -> None:
    with closing(source.connect(database)) as connection:
        rows(connection, "CREATE TABLE t (k int PRIMARY KEY, v int) WITH SYSTEM VERSIONING")
        rows(connection, "INSERT INTO t VALUES (1, 1), (500, 2), (900, 3)")
        rows(connection, "DELETE FROM t WHERE k = 900")
        rows(connection, "UPDATE t SET v = 9")
        found = looked_at(source, database, pair)
        assert found.ranges
        assert [h[:1] for h in found.ranges.hashes if not h.startswith("0:")] == ["2", "2", "1"]
        assert (found.rows, found.fingerprint, None) == fingerprint_table(connection, database, "t", versioned=True)


@pytest.mark.parametrize(
    "definition",
    ["(k varchar(9) PRIMARY KEY)", "(k int)", "(k int UNIQUE)", "(k date PRIMARY KEY)",
     "(k int PRIMARY KEY) ENGINE=MEMORY"],
)  # fmt: skip
def test_keys_that_are_no_integers_or_have_no_order_are_not_used(
    definition: str, database: str, source: Endpoint, pair: Pair
) -> None:
    pair.source.sql(f"CREATE TABLE t {definition}", database=database)
    pair.source.sql("INSERT INTO t VALUES (20260101), (20260505)", database=database)
    found = looked_at(source, database, pair)
    assert found.ranges is None
    assert found.fingerprint
