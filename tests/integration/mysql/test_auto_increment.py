"""A copy goes on counting where its source was: the numbers of deleted rows are not given out again."""

from __future__ import annotations

from contextlib import closing

from include.backup_engine.cancel import Cancellation
from include.backup_engine.mysql.server import Endpoint, quote, rows, scalar
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from tests.integration.mysql.conftest import Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take

COPY = "mirror_counter_copy"
TABLES = {
    "plain": ["(id int PRIMARY KEY)"],
    "fresh": ["(id int AUTO_INCREMENT PRIMARY KEY)"],
    "gap": ["(id int AUTO_INCREMENT PRIMARY KEY, a int, KEY a (a))", "(1), (2), (3), (4), (5)", "id > 2"],
    "emptied": ["(id int AUTO_INCREMENT PRIMARY KEY, a int, UNIQUE KEY a (a))", "(1), (2), (3)", "1"],
    "not primary": ["(id int AUTO_INCREMENT, a int PRIMARY KEY, KEY id (id))", "(1), (2), (3)", "id > 1"],
    "child": [
        "(id int AUTO_INCREMENT PRIMARY KEY, a int, KEY a (a), CONSTRAINT up FOREIGN KEY (a) REFERENCES gap (id))",
        "(1), (2), (1)", "id > 1",
    ],
    "legacy": ["(id int AUTO_INCREMENT PRIMARY KEY, a int, KEY a (a)) ENGINE=MyISAM", "(1), (2), (3)", "id > 1"],
    "parts": [
        "(id int AUTO_INCREMENT PRIMARY KEY, a int) PARTITION BY HASH (id) PARTITIONS 3", "(1), (2), (3)", "id > 1"
    ],
    "largest": [
        "(id bigint unsigned AUTO_INCREMENT PRIMARY KEY, a int) AUTO_INCREMENT=18446744073709551600", "(1), (2)", "1"
    ],
}  # fmt: skip
HISTORY = ["(id int AUTO_INCREMENT PRIMARY KEY, a int) WITH SYSTEM VERSIONING", "(1), (2), (3)", "id > 1"]
NEXT = {
    "plain": None, "fresh": None, "gap": 6, "emptied": 4, "not primary": 4, "child": 4, "legacy": 4, "parts": 4,
    "largest": 18446744073709551602,
}  # fmt: skip


def filled(pair: Pair, source: Endpoint, database: str) -> dict[str, int | None]:
    """Create the tables; their next values."""
    tables = TABLES | ({"history": HISTORY} if pair.flavour == "mariadb" else {})
    with closing(source.connect(database)) as connection:
        for name, (definition, *content) in tables.items():
            rows(connection, f"CREATE TABLE {quote(name)} {definition}")
            if content:
                values, deleted = content
                rows(connection, f"INSERT INTO {quote(name)} (a) VALUES {values}")
                rows(connection, f"DELETE FROM {quote(name)} WHERE {deleted}")
    return NEXT | ({"history": 4} if pair.flavour == "mariadb" else {})


def counters(taken: Taken) -> dict[str, int | None]:
    return {table.name: table.auto_increment for table in taken.facts.census.tables}


def test_a_copy_goes_on_where_its_source_was(database: str, pair: Pair, source: Endpoint, scratch: Endpoint) -> None:
    expected = filled(pair, source, database)
    taken = take(source, source_policy(database))
    assert counters(taken) == expected
    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY).findings == []
    assert counters(take(scratch, source_policy(COPY))) == expected

    # History's rows are rows to the server, so that it sets no counter behind them.
    behind = {name: value for name, value in expected.items() if value and name != "history"}
    with closing(scratch.connect(COPY)) as connection:
        for name in behind:
            least = int(scalar(connection, f"SELECT COALESCE(MAX(id), 0) + 1 FROM {quote(name)}"))
            rows(connection, f"ALTER TABLE {quote(name)} AUTO_INCREMENT = {least}")
            behind[name] = least
    assert sorted(compare(taken, scratch, COPY).findings) == sorted(
        f"table {name} would repeat values: next is {value}, was {expected[name]}" for name, value in behind.items()
    )


def test_what_is_counted_while_the_dump_runs_is_no_difference(
    database: str, pair: Pair, source: Endpoint, scratch: Endpoint
) -> None:
    """The counter is in no snapshot, so what counts is the least that was seen."""
    expected = filled(pair, source, database)
    policy = source_policy(database)
    with read_source(source, policy, Reporter(), Cancellation()) as reader:
        pair.source.sql("INSERT INTO gap (a) VALUES (7), (8)", database=database)
        taken = Taken(list(reader.compressed()), reader.facts(), policy.compression)
    assert counters(taken)["gap"] == expected["gap"]
    restore_into(scratch, COPY, taken)
    assert compare(taken, scratch, COPY).findings == []
    with closing(scratch.connect(COPY)) as connection:
        rows(connection, "INSERT INTO gap (a) VALUES (9)")
    assert compare(taken, scratch, COPY).findings == ["table gap has 3 rows, the source had 2"]
