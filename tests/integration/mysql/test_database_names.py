"""A database whose name has every character that programs and servers quote or escape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.client import ClientProcess, find_dump_program
from include.backup_engine.mysql.dump import dump_arguments
from include.backup_engine.mysql.server import Endpoint, quote, rows
from tests.integration.mysql.conftest import Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take

NAME = 'mirror_it\'s "odd", `so` 100% \\ x'
CONTENT = [
    "CREATE TABLE beds (id INT PRIMARY KEY, note VARCHAR(40))",
    "CREATE TABLE left_out (id INT)",
    "INSERT INTO beds VALUES (1, 'by the window'), (2, 'by the door')",
    "CREATE VIEW notes AS SELECT note FROM beds",
    "CREATE FUNCTION beds_of(who INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM beds WHERE id = who)",
    "CREATE PROCEDURE count_beds() SELECT COUNT(*) FROM beds",
    "CREATE TRIGGER upper BEFORE INSERT ON beds FOR EACH ROW SET NEW.note = UPPER(NEW.note)",
]


@pytest.fixture
def odd(source: Endpoint) -> Iterator[str]:
    with closing(source.connect()) as connection:
        rows(connection, f"CREATE DATABASE {quote(NAME)}")
        connection.select_db(NAME)
        for statement in CONTENT:
            rows(connection, statement)
        yield NAME
        rows(connection, f"DROP DATABASE {quote(NAME)}")


def test_it_is_backed_up_and_restored(odd: str, source: Endpoint, scratch: Endpoint) -> None:
    taken = take(source, source_policy(odd, exclude_tables=("left_out",)))
    copy = odd + " copy"
    restore_into(scratch, copy, taken)
    comparison = compare(taken, scratch, copy)
    assert comparison.equal, comparison.summary()
    assert (comparison.tables, comparison.objects) == (1, 4)


def test_its_events_are_backed_up_or_preflight_says_that_mariadb_s_program_cannot(
    odd: str, pair: Pair, source: Endpoint, scratch: Endpoint
) -> None:
    pair.source.sql("CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM beds WHERE id < 0", database=odd)
    if pair.flavour == "mysql":
        taken = take(source, source_policy(odd))
        restore_into(scratch, odd + " copy", taken)
        assert compare(taken, scratch, odd + " copy").objects == 5
        return
    with pytest.raises(PreflightError, match="finds no events under such a name") as refused:
        take(source, source_policy(odd))
    assert "without events it can be backed up" in refused.value.remedy
    # It is so: when this fails, MariaDB has mended its program, and newer ones need not be refused any more.
    program = find_dump_program(pair.flavour, str(pair.source.sql("SELECT VERSION()")[0][0]))
    process = ClientProcess(program, source, dump_arguments(program, odd, binary_log=False, versioned_tables=False))
    process.stdout.read()
    assert process.wait() != 0
    assert process.error_codes == {1049}
